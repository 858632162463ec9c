"""What weighted draws of a network say of SEDs, of many at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.flags import Flag
from pxdask.core.random import stream
from pxdask.core.schema import QUANTILES
from pxdask.fitting.npe_draws import derived_of
from pxdask.fitting.results import SedPosterior, odd_flux
from pxdask.fitting.sample_summary import result_rows
from pxdask.fitting.target import HALF_RANGE, LEANING, near_ends
from pxdask.fitting.weighing import drawn_models
from pxdask.kernels.quantiles import shares_beyond, weighted_summaries
from pxdask.sps.priors import ends_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.fitting.npe_draws import Point
    from pxdask.fitting.target import Sampled

    Floats = NDArray[np.float64]

_PROBABILITIES = np.array(QUANTILES)
_NO_SPREAD = np.empty(0)
_ONE_NODE = (0.0, 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class Weighted:
    """The posterior of one SED as weighted draws, and what else is to be told of it.

    Attributes
    ----------
    unit : (n, n_dim) float64
        Points of the cube.
    log_mass : (n,) float64
        log10 of mass formed [dex(Msun)].
    share : (n,) float64
        Positive weights, in any normalisation.
    best : Point
        The model that is reported.
    middle : float
        Amplitude about which that of draws may lie [Msun].
    n_eff, ln_evidence, n_used, flags, extra
        As of `pxdask.fitting.results.SedPosterior`.
    """

    unit: Floats
    log_mass: Floats
    share: Floats
    best: Point
    middle: float
    n_eff: float
    ln_evidence: float = math.nan
    n_used: int = 0
    flags: int = 0
    extra: Mapping[str, float] = field(default_factory=dict)


def weighted_posteriors(
    sampled: Sampled, found: Sequence[Weighted], keys: Sequence[tuple[str | int, ...]]
) -> list[SedPosterior]:
    """Return what weighted draws say of each of some SEDs; ``keys`` name their random streams."""
    if not found:
        return []
    unit = np.concatenate([one.unit for one in found])
    log_mass = np.concatenate([one.log_mass for one in found])
    # at once: what follows from parameters costs far less for many than for each alone
    parameters, derived = derived_of(sampled, unit)
    rows = result_rows(sampled, parameters, derived, log_mass)
    edges = _edges(sampled)
    ends = np.cumsum([0, *(len(one.unit) for one in found)])
    return [
        _posterior(sampled, one, np.ascontiguousarray(rows[:, first:last]), edges, key)
        for one, key, first, last in zip(found, keys, ends[:-1], ends[1:], strict=True)
    ]


def _posterior(
    sampled: Sampled, one: Weighted, rows: Floats, edges: Floats, key: tuple[str | int, ...]
) -> SedPosterior:
    """Return what the draws of an SED say, ``rows`` (n_result, n) being their results."""
    share = np.ascontiguousarray(one.share)
    quantiles, moments = weighted_summaries(
        rows,
        share,
        probabilities=_PROBABILITIES,
        spread=_NO_SPREAD,
        n_spread=0,
        nodes=_ONE_NODE,
    )
    offset = one.log_mass[None] - math.log10(one.middle)
    near = np.array([near_ends(-HALF_RANGE, HALF_RANGE)])
    leaning = max(
        float(np.nanmax(shares_beyond(rows, share, edges), initial=0.0)),
        float(np.max(shares_beyond(offset, share, near))),
    )
    flags = one.flags | odd_flux(one.best.scale, key)
    flags |= int(Flag.AT_EDGE) if leaning > LEANING else 0
    samples = None
    if sampled.settings.n_samples:
        rng = stream(sampled.model_library.seed, *key, "samples")
        samples = rows[:, drawn_models(share, rng=rng, n=sampled.settings.n_samples)]
    return SedPosterior(
        quantiles=quantiles,
        mean=moments[:, 0],
        std=moments[:, 1],
        model_flux=one.best.flux,
        chi2=one.best.chi2,
        n_used=one.n_used,
        n_eff=one.n_eff,
        ln_evidence=one.ln_evidence,
        flags=flags,
        samples=samples,
        extra=one.extra,
    )


def _edges(sampled: Sampled) -> Floats:
    """Return values of each result near the ends of its prior (n_result, 2); NaN: it has none."""
    edges = np.full((len(sampled.results), 2), np.nan)
    for i, name in enumerate(sampled.results):
        if name in sampled.simulator.priors:
            edges[i] = near_ends(*ends_of(sampled.simulator.priors[name]))
    return edges
