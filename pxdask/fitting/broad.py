"""Posteriors that a good part of a library makes up: single precision and classes of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.schema import QUANTILES
from pxdask.fitting.weighing import AMPLITUDE_NODE, AMPLITUDE_WEIGHTS, Summary, drawn_models
from pxdask.kernels.broad import (
    N_CLASS,
    broad_weights,
    make_broad,
    make_levels,
    scaled_by_class,
    sums_by_class,
)
from pxdask.kernels.classes import class_moments, class_quantiles
from pxdask.kernels.vector_sums import N_TOGETHER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pxdask.fitting.weighing import Rows
    from pxdask.kernels.broad import Broad, Levels
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


@dataclass(frozen=True, eq=False)
class BroadTables:
    """What is made of a library once.

    Attributes
    ----------
    per_mass : (n_scaled, n_model) float32
        log10 of scaled quantities per mass formed.
    levels : tuple of Levels
        Classes of the parameters.
    """

    per_mass: NDArray[np.float32]
    levels: tuple[Levels, ...]


def broad_tables(rows: Rows) -> BroadTables:
    """Return the tables of a library."""
    n_model = rows.scaled[0].size
    per_mass = np.empty((len(rows.scaled), n_model), np.float32)
    for i, row in enumerate(per_mass):
        for start in range(0, n_model, 65536):
            part = slice(start, start + 65536)
            row[part] = rows.log_per_mass(i, part)
    return BroadTables(per_mass, tuple(make_levels(values) for values in rows.parameters))


def least_broad(n_model: int) -> int:
    """Return of how many models it pays to sum a posterior by class."""
    return math.ceil(max(BROAD_LEAST, BROAD_SHARE * n_model))


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of all models against one SED, and their sums by class.

    Attributes
    ----------
    broad : Broad
        The weights.
    sums : (n_parameter, n_class)
        Of each parameter's classes.
    unit : float
        Factor from the search's amplitudes to those of the data.
    norm : float
        Sum of (S/N)^2.
    """

    broad: Broad
    sums: Floats
    unit: float
    norm: float

    @property
    def sound(self) -> bool:
        """Whether all costs are known, and none is far below the least that was known before."""
        return float(self.broad.total) < _SOUND


class Weigher:
    """Weighs all models against the SEDs of a search, some at a time, in memory of its own.

    Parameters
    ----------
    tables : BroadTables
        Of the library.
    flux : (n_band, n_model) float32
        Of all models, as searched.
    dof : float
        Degrees of freedom; infinity: the Gaussian [1].
    depth : float
        How much more than the least cost may have any weight [1].
    n_sed : int
        How many SEDs to weigh at a time, `N_TOGETHER` at most.
    """

    def __init__(
        self,
        tables: BroadTables,
        flux: NDArray[np.float32],
        *,
        dof: float,
        depth: float,
        n_sed: int,
    ) -> None:
        self._tables, self._flux, self._dof, self._depth = tables, flux, dof, depth
        # pages that are never written take no memory
        self._memory = make_broad(min(n_sed, N_TOGETHER), flux.shape[1], len(tables.per_mass))

    def weights(
        self, seds: Search, chosen: NDArray[np.int64], best: NDArray[np.float32]
    ) -> Iterator[Weights]:
        """Yield the weights of some SEDs; the next ones overwrite the arrays.

        ``best`` is the least cost of each of the ``chosen``.
        """
        step = len(self._memory.total)
        for start in range(0, chosen.size, step):
            part = slice(start, start + step)
            found = broad_weights(
                self._flux,
                seds,
                chosen[part],
                dof=self._dof,
                best=best[part],
                depth=self._depth,
                node=AMPLITUDE_NODE,
                per_mass=self._tables.per_mass,
                out=self._memory,
            )
            sums = sums_by_class(self._tables.levels, found.weight[: chosen[part].size])
            for k, i in enumerate(chosen[part]):
                yield Weights(found.one(k), sums[k], float(seds.unit[i]), float(seds.norm[i]))


def broad_summary(
    tables: BroadTables,
    rows: Rows,
    weights: Weights,
    *,
    edges: Floats,
    rng: np.random.Generator | None,
    n_samples: int,
) -> Summary:
    """Return statistics of all results; see `pxdask.fitting.weighing.summarise`."""
    broad = weights.broad
    n_scaled, n_result = len(tables.per_mass), len(tables.per_mass) + len(tables.levels)
    quantiles = np.empty((n_result, len(QUANTILES)))
    mean, variance = np.empty(n_result), np.empty(n_result)
    shares = np.full((len(tables.levels), 2), np.nan)
    nodes = AMPLITUDE_WEIGHTS[1], AMPLITUDE_WEIGHTS[0]
    log_unit = math.log10(weights.unit)
    for i, row in enumerate(tables.per_mass):
        found, middle, variance[i] = scaled_by_class(row, broad, i, nodes)
        low, high = broad.low[i] + log_unit, broad.high[i] + log_unit
        mean[i] = middle + log_unit
        class_quantiles(found, low, high, _PROBABILITIES, quantiles[i])
    for k, (_, low, high) in enumerate(tables.levels):
        found, i = weights.sums[k], n_scaled + k
        mean[i], variance[i] = class_moments(found, low, high)
        class_quantiles(found, low, high, _PROBABILITIES, quantiles[i])
        shares[k] = _shares(found, low, high, edges[k])
    samples = None
    if rng is not None and n_samples:
        samples = _samples(tables, rows, broad, log_unit, rng, n_samples)
    return Summary(quantiles, mean, np.sqrt(variance), shares, samples)


def _shares(found: Floats, low: float, high: float, edges: Floats) -> Floats:
    """Return the parts of a posterior beyond two values, to the nearest class."""
    if not (edges[0] < edges[1] and low < high):
        return np.full(2, np.nan)
    first, last = (round(min(max((e - low) / (high - low), 0), 1) * N_CLASS) for e in edges)
    beyond: Floats = np.array([found[:first].sum(), found[last:].sum()])
    return np.asarray(beyond / found.sum())


def _samples(
    tables: BroadTables,
    rows: Rows,
    broad: Broad,
    log_unit: float,
    rng: np.random.Generator,
    n: int,
) -> Floats:
    """Return draws of all results, (n_result, n)."""
    picks = drawn_models(broad.weight, rng=rng, n=n)
    relative = (10.0 ** broad.spread[picks].astype(np.float64) - 1) / AMPLITUDE_NODE
    noise = relative * math.log10(math.e) * rng.standard_normal(n)
    log_scale = broad.log_scale[picks].astype(np.float64) + log_unit
    scaled = [row[picks] + log_scale + noise for row in tables.per_mass]
    return np.array(scaled + [row[picks] for row in rows.parameters])
