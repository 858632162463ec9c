"""Posteriors that a good part of a library makes up: single precision and classes of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.schema import QUANTILES
from pxdask.fitting.weighing import AMPLITUDE_NODE, AMPLITUDE_WEIGHTS, Summary, relative_error
from pxdask.kernels.broad import broad_sums, make_limits, make_quantities
from pxdask.kernels.classes import class_summaries
from pxdask.kernels.vector_sums import N_TOGETHER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pxdask.fitting.weighing import Rows
    from pxdask.kernels.broad import Broad, Quantities
    from pxdask.kernels.rdsps import Search

    Floats = NDArray[np.float64]

BROAD_LEAST = 8192
"""Models of a posterior from which on it may be summed by class; below it is exact."""

BROAD_SHARE = 0.05
"""Part of the library that they must be, for it to pay."""

BROAD_NORM = 6000.0
"""Greatest sum of (S/N)^2 at which single precision is enough: summaries are then right to
1e-4 [1]."""

_SOUND = 1e12
"""Sum of weights beyond which some are not sound; squares of weights still are numbers then."""

_PROBABILITIES = np.array(QUANTILES)


def broad_quantities(rows: Rows) -> Quantities:
    """Return the quantities of a library in classes, made once."""
    n_model = rows.scaled[0].size
    per_mass = np.empty((len(rows.scaled), n_model), np.float32)
    for i, row in enumerate(per_mass):
        for start in range(0, n_model, 65536):
            part = slice(start, start + 65536)
            row[part] = rows.log_per_mass(i, part)
    return make_quantities(per_mass, rows.parameters)


def least_broad(n_model: int) -> int:
    """Return of how many models it pays to sum a posterior by class."""
    return math.ceil(max(BROAD_LEAST, BROAD_SHARE * n_model))


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over all models of one SED.

    Attributes
    ----------
    broad : Broad
        The sums.
    unit : float
        Factor from the search's amplitudes to those of the data.
    norm : float
        Sum of (S/N)^2.
    """

    broad: Broad
    unit: float
    norm: float

    @property
    def sound(self) -> bool:
        """Whether some model has weight, all costs are known, and none is far below the least."""
        return 0 < float(self.broad.total) < _SOUND


def sums_of_seds(
    seds: Search,
    chosen: NDArray[np.int64],
    flux: NDArray[np.float32],
    quantities: Quantities,
    *,
    some: NDArray[np.float32],
    best: NDArray[np.float32],
    dof: float,
    depth: float,
    keep: bool,
    together: int,
) -> Iterator[Sums]:
    """Yield the sums of some SEDs.

    Parameters
    ----------
    seds : Search
        SEDs as searched.
    chosen : (n_chosen,)
        Which of them.
    flux : (n_band, n_model) float32
        Of all models, as searched.
    quantities : Quantities
        Of all models.
    some : (n_band, n_some) float32
        Fluxes of every `pxdask.kernels.broad.SOME`-th model.
    best : (n_chosen,) float32
        Least cost of each [1].
    dof : float
        Degrees of freedom; infinity: the Gaussian [1].
    depth : float
        How much more than the least cost may have any weight [1].
    keep : bool
        Keep all weights, for samples.
    together : int
        Of how many SEDs there is memory to keep them.
    """
    outer, middle, _ = AMPLITUDE_WEIGHTS
    together = min(together, N_TOGETHER) if keep else N_TOGETHER
    for start in range(0, chosen.size, together):
        part = slice(start, start + together)
        limits = make_limits(
            best[part], depth=depth, dof=dof, node=AMPLITUDE_NODE, weights=(middle, outer)
        )
        found = broad_sums(
            flux,
            seds,
            chosen[part],
            limits=limits,
            quantities=quantities,
            some=some,
            keep=keep,
        )
        for k, i in enumerate(chosen[part]):
            yield Sums(found.one(k), float(seds.unit[i]), float(seds.norm[i]))


def broad_summary(sums: Sums, quantities: Quantities, *, edges: Floats) -> Summary:
    """Return statistics of all results; see `pxdask.fitting.weighing.summarise`."""
    broad, log_unit = sums.broad, math.log10(sums.unit)
    n_scaled = len(broad.scaled)
    whole = np.concatenate([np.full((n_scaled, 2), np.nan), edges])
    quantiles, moments, shares = class_summaries(
        np.concatenate([broad.scaled, broad.levels]),
        np.concatenate([broad.low + log_unit, quantities.low]),
        np.concatenate([broad.high + log_unit, quantities.high]),
        _PROBABILITIES,
        whole,
    )
    moments[:n_scaled] = broad.moments
    moments[:n_scaled, 0] += log_unit
    return Summary(
        quantiles,
        moments[:, 0],
        np.sqrt(moments[:, 1]),
        shares[n_scaled:],
        relative_error(float(broad.spread)),
    )
