"""Posteriors that a good part of a library makes up: single precision and classes of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.schema import QUANTILES
from pxdask.fitting.weighing import AMPLITUDE_NODE, AMPLITUDE_WEIGHTS, Summary, relative_error
from pxdask.kernels.broad import make_limits, make_quantities
from pxdask.kernels.broad_sums import broad_sums
from pxdask.kernels.classes import class_summaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pxdask.fitting.weighing import Rows
    from pxdask.kernels.broad import Broad, Quantities
    from pxdask.kernels.broad_sums import Memory
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
    memory: Memory,
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
    memory : Memory
        For the sums of some SEDs at a time; the next overwrite them.
    """
    outer, middle, _ = AMPLITUDE_WEIGHTS
    together = memory.found.total.size
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
            memory=memory,
        )
        for k, i in enumerate(chosen[part]):
            yield Sums(found.one(k), float(seds.unit[i]), float(seds.norm[i]))


def broad_summary(sums: Sums, quantities: Quantities, *, edges: Floats) -> Summary:
    """Return statistics of all results; see `pxdask.fitting.weighing.summarise`."""
    broad, log_unit = sums.broad, math.log10(sums.unit)
    no_edges = np.full((len(broad.scaled), 2), np.nan)
    low, high = broad.low + log_unit, broad.high + log_unit
    of_scaled, _, _ = class_summaries(broad.scaled, low, high, _PROBABILITIES, no_edges)
    of_levels, moments, shares = class_summaries(
        broad.levels, quantities.low, quantities.high, _PROBABILITIES, edges
    )
    mean, variance = np.concatenate([broad.moments, moments]).T
    mean[: len(broad.scaled)] += log_unit
    return Summary(
        np.concatenate([of_scaled, of_levels]),
        mean,
        np.sqrt(variance),
        shares,
        relative_error(float(broad.spread)),
    )
