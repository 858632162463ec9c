"""What sums over posteriors are of that much of a library has a part in, and what they are.

Where data say little, most models count, and to sort or even to list them costs more than to
weigh them. So nothing is selected: values stand in classes made once, weights are summed by
class (`pxdask.kernels.broad_sums`), and statistics are those of the sums
(`pxdask.kernels.classes`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pxdask.kernels.classes import N_CLASS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.kernels.rdsps import Singles

    Floats = NDArray[np.float64]

SOME = 16
"""Of how many models one tells between which values a scaled quantity is."""

_MARGIN = 0.05
"""Widening of these values to both sides, of their distance [1]: what is beyond nevertheless is
counted in the first or last class."""

_NARROW = 1e-3
"""Least distance of the ends of all classes of a scaled quantity [dex]."""


class Quantities(NamedTuple):
    """Quantities of all models that are summed by class.

    Attributes
    ----------
    per_mass : (n_scaled, n_model) float32
        log10 of quantities that are scaled by the amplitude, per mass formed.
    level : (n_level, n_model) uint16
        Class of others, below `N_CLASS`.
    low, high : (n_level,) float64
        Least and greatest value of these.
    some : (n_scaled, n_some) float32
        ``per_mass`` of every `SOME`-th model, close together in memory.
    """

    per_mass: Singles
    level: NDArray[np.uint16]
    low: Floats
    high: Floats
    some: Singles


class Limits(NamedTuple):
    """What decides the weight of a model.

    Attributes
    ----------
    best : (n_chosen,) float32
        Least cost of each SED [1].
    depth : float32
        How much more may have any weight [1].
    node : float32
        Distance of the amplitude's outer nodes from the middle one [sigma].
    middle, outer : float32
        Weights of the middle node and of either outer one [1].
    dof : float32
        Degrees of freedom of Student's t [1].
    gaussian : bool
        Whether these are infinite.
    """

    best: Singles
    depth: np.float32
    node: np.float32
    middle: np.float32
    outer: np.float32
    dof: np.float32
    gaussian: bool


class Broad(NamedTuple):
    """Sums over all models of some SEDs.

    Attributes
    ----------
    total, squares : (n_sed,) float64
        Sums of weights, which are likelihoods over the greatest, and of their squares [1].
    best : (n_sed,) int64
        Model of greatest weight.
    low, high : (n_sed, n_scaled) float64
        Ends of the classes of scaled quantities, in the unit of the search [dex].
    moments : (n_sed, n_scaled, 2) float64
        Their mean and variance at the middle node [dex, dex2].
    scaled : (n_sed, n_scaled, N_CLASS) float64
        Weight in each of their classes.
    levels : (n_sed, n_level, N_CLASS) float64
        Weight in each class of the others.
    weight : (n_sed, n_model) float32
        Weights; of no model where they are not kept.
    spread : (n_sed,) float64
        Mean distance of the amplitude's outer nodes from the middle one [dex].
    """

    total: Floats
    squares: Floats
    best: NDArray[np.int64]
    low: Floats
    high: Floats
    moments: Floats
    scaled: Floats
    levels: Floats
    weight: Singles
    spread: Floats

    def one(self, k: int) -> Broad:
        """Return the ``k``-th SED's."""
        return Broad._make(each[k] for each in self)

    def first(self, n_sed: int) -> Broad:
        """Return the memory of the first SEDs."""
        return Broad._make(each[:n_sed] for each in self)


def make_broad(n_sed: int, quantities: Quantities, *, keep: bool) -> Broad:
    """Return memory for sums, and for all weights if these are to be kept."""
    (n_scaled, n_model), n_level = quantities.per_mass.shape, len(quantities.level)
    return Broad(
        total=np.empty(n_sed),
        squares=np.empty(n_sed),
        best=np.empty(n_sed, np.int64),
        low=np.empty((n_sed, n_scaled)),
        high=np.empty((n_sed, n_scaled)),
        moments=np.empty((n_sed, n_scaled, 2)),
        scaled=np.empty((n_sed, n_scaled, N_CLASS)),
        levels=np.empty((n_sed, n_level, N_CLASS)),
        weight=np.empty((n_sed, n_model if keep else 0), np.float32),
        spread=np.empty(n_sed),
    )


def make_limits(
    best: Singles, *, depth: float, dof: float, node: float, weights: tuple[float, float]
) -> Limits:
    """Return limits; ``weights`` are those of the middle node and of either outer one."""
    return Limits(
        best,
        depth=np.float32(depth),
        node=np.float32(node),
        middle=np.float32(weights[0]),
        outer=np.float32(weights[1]),
        dof=np.float32(dof),
        gaussian=math.isinf(dof),
    )


def make_quantities(per_mass: Singles, values: list[Floats] | tuple[Floats, ...]) -> Quantities:
    """Return quantities with the classes of ``values``, (n_model,) each, all finite."""
    level = np.zeros((len(values), per_mass.shape[1]), np.uint16)
    low, high = np.empty((2, len(values)))
    for i, of_all in enumerate(values):
        low[i], high[i] = of_all.min(), of_all.max()
        if not high[i] > low[i]:
            continue
        for start in range(0, of_all.size, 65536):
            part = slice(start, start + 65536)
            share = (of_all[part] - low[i]) / (high[i] - low[i])
            level[i, part] = np.minimum(share * N_CLASS, N_CLASS - 1)
    return Quantities(per_mass, level, low, high, per_mass[:, ::SOME].copy())


def classes_around(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the ends of classes that hold some values and what may lie beyond them.

    Widths are numbers of four bits and ends multiples of them, so that classes hardly depend on
    which models were looked at.
    """
    width = np.maximum((1 + 2 * _MARGIN) * (high - low), _NARROW)
    mantissa, exponent = np.frexp(width / (N_CLASS - 1))
    step = np.ldexp(np.ceil(16 * mantissa) / 16, exponent)
    first = np.floor((low - _MARGIN * (high - low)) / step) * step
    return first, first + N_CLASS * step
