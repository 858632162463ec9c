"""Sums over posteriors that much of a library has a part in, in single precision.

Where data say little, most models count, and to sort or even to list them costs more than to
weigh them. Here nothing is selected: values stand in classes made once, weights are summed by
class, and statistics are those of the sums (`pxdask.kernels.classes`). Weights are summed while
they are in the cache; memory would take longer to hold them than it takes to make them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.block_weights import amplitudes, ends_of_spread, sum_of, weights_of_costs
from pxdask.kernels.classes import N_CLASS
from pxdask.kernels.rdsps import BLOCK, chi_squares, copy_block, student_costs, sums
from pxdask.kernels.vector_sums import N_TOGETHER, add_row, aligned, lay_beside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.kernels.rdsps import Search, Singles

    Floats = NDArray[np.float64]

_PART = 4 * BLOCK
"""Models whose fluxes, and whose weights against all SEDs, stay in the second-level cache."""

_RUN = 128
"""Models that are looked at, or left out, together."""

_SUMMED = 65536
"""Models whose weights are summed in single precision before the sums are added in double."""

_WIDE = 64
"""Numbers worked on in one pass of vector instructions."""

SOME = 16
"""Of how many models one tells between which values a scaled quantity is."""

_MARGIN = 0.05
"""Widening of these values to both sides, of their distance [1]: what is beyond nevertheless is
counted in the first or last class."""

_NARROW = 1e-3
"""Least distance of the ends of all classes of a scaled quantity [dex]."""

NOTHING = 1e-6
"""Part of all weight that may be left out: models are not looked at of less than their share of
it."""

_FAST = {"contract", "reassoc", "nsz"}


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
        return Broad(*(each[k] for each in self))


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


class _Space(NamedTuple):
    """Memory to work in."""

    blocks: Singles
    """(n_block, n_band, BLOCK): a part's fluxes."""
    weights: Singles
    """(n_sed, _PART)."""
    beside: Singles
    """(_PART, N_TOGETHER): the same, all SEDs' of a model beside one another."""
    scaled: Singles
    """(n_sed, n_scaled, 2, N_CLASS): sums not yet in double precision, as the next."""
    levels: Singles
    """(n_level, N_CLASS, N_TOGETHER)."""
    cross: Singles
    square: Singles
    power: NDArray[np.int32]


class _Task(NamedTuple):
    """What to sum of which SEDs, where, and with what memory."""

    seds: Search
    chosen: NDArray[np.int64]
    limits: Limits
    quantities: Quantities
    found: Broad
    space: _Space


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


def broad_sums(
    models: Singles,
    seds: Search,
    chosen: NDArray[np.int64],
    *,
    limits: Limits,
    quantities: Quantities,
    some: Singles | None = None,
    keep: bool = False,
) -> Broad:
    """Return the sums over all models for some of the SEDs.

    Parameters
    ----------
    models, seds
        As for `pxdask.kernels.rdsps.search`.
    chosen : (n_chosen,)
        Which SEDs, `N_TOGETHER` at most; the sums of one do not depend on the others.
    limits : Limits
        What decides weights.
    quantities : Quantities
        What is summed.
    some : (n_band, n_some) float32, optional
        Every `SOME`-th model, close together in memory; default: they are copied.
    keep : bool
        Whether weights are kept.

    Notes
    -----
    A sum is right to 6e-8 times the number of models in its class, or times 65,536 if they are
    more, and to `NOTHING` of all weight.
    """
    n_sed, (n_scaled, n_model) = chosen.size, quantities.per_mass.shape
    n_level, n_band = len(quantities.level), models.shape[0]
    found = Broad(
        total=np.zeros(n_sed),
        squares=np.zeros(n_sed),
        best=np.zeros(n_sed, np.int64),
        low=np.full((n_sed, n_scaled), np.inf),
        high=np.full((n_sed, n_scaled), -np.inf),
        moments=np.zeros((n_sed, n_scaled, 2)),
        scaled=np.zeros((n_sed, n_scaled, N_CLASS)),
        levels=np.zeros((n_sed, n_level, N_CLASS)),
        weight=np.empty((n_sed, n_model if keep else 0), np.float32),
        spread=np.zeros(n_sed),
    )
    space = _Space(
        blocks=np.empty((_PART // BLOCK, n_band, BLOCK), np.float32),
        weights=aligned((N_TOGETHER, _PART)),
        beside=aligned((_PART, N_TOGETHER)),
        scaled=aligned((n_sed, n_scaled, 2, N_CLASS)),
        levels=aligned((n_level, N_CLASS, N_TOGETHER)),
        cross=np.empty(BLOCK, np.float32),
        square=np.empty(BLOCK, np.float32),
        power=np.empty(BLOCK, np.int32),
    )
    task = _Task(seds, chosen, limits, quantities, found, space)
    mean = np.zeros(n_sed)
    few = models[:, ::SOME].copy() if some is None else some
    _look(few, quantities.some, task, np.arange(n_sed), mean)
    # of those of which none of some has any weight; others must not know of them
    unseen = np.flatnonzero(np.any(found.high < found.low, axis=1))
    if unseen.size:
        _look(models, quantities.per_mass, task, unseen, mean)
    found.low[:], found.high[:] = _classes_around(found.low, found.high)
    _sum_all(models, task, NOTHING * mean)
    return found


def _classes_around(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the ends of classes that hold some values and what may lie beyond them.

    Widths are numbers of four bits and ends multiples of them, so that classes hardly depend on
    which models were looked at.
    """
    width = np.maximum((1 + 2 * _MARGIN) * (high - low), _NARROW)
    mantissa, exponent = np.frexp(width / (N_CLASS - 1))
    step = np.ldexp(np.ceil(16 * mantissa) / 16, exponent)
    first = np.floor((low - _MARGIN * (high - low)) / step) * step
    return first, first + N_CLASS * step


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(
    block: Singles, task: _Task, k: int, out: Singles
) -> tuple[np.float32, np.float32, np.int32]:
    """Fill a block's weights against the ``k``-th SED; return what `weights_of_costs` does.

    Sums over bands are left in ``task.space``.
    """
    seds, i, limits, space = task.seds, task.chosen[k], task.limits, task.space
    sums(block, seds, i, out.size, space.cross, space.square)
    if limits.gaussian:
        chi_squares(space.cross, space.square, np.float32(seds.norm[i]), out)
    else:
        student_costs(block, seds, i, space.cross, space.square, limits.dof, space.power, out)
    return weights_of_costs(out, space.cross, limits.best[k], limits.depth)


@njit(cache=True, nogil=True, error_model="numpy")
def _look(
    models: Singles, per_mass: Singles, task: _Task, rows: NDArray[np.int64], mean: Floats
) -> None:
    """Widen the ends of scaled quantities to these models; set the ``mean`` of their weights.

    ``rows`` are the SEDs to do so for.
    """
    found, space = task.found, task.space
    log_scale, spread = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    block, work = space.blocks[0], np.empty((3, BLOCK), np.float32)
    mean[rows] = 0
    for start in range(0, models.shape[1], BLOCK):
        n = min(BLOCK, models.shape[1] - start)
        copy_block(models, start, n, block)
        for k in rows:
            weight = space.weights[k, :n]
            total, _, _ = _weigh(block, task, k, weight)
            if total == 0:
                continue
            mean[k] += total / models.shape[1]
            amplitudes(space.cross, space.square, task.limits.node, log_scale[:n], spread[:n])
            for row in range(per_mass.shape[0]):
                for j in range(n):
                    work[2, j] = per_mass[row, start + j] + log_scale[j]
                low, high = ends_of_spread(weight, work[2, :n], spread, work)
                found.low[k, row] = min(found.low[k, row], low)
                found.high[k, row] = max(found.high[k, row], high)


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_all(models: Singles, task: _Task, least: Floats) -> None:
    """Fill the sums; ``least`` is the mean weight below which models are not looked at."""
    quantities, space, n_model = task.quantities, task.space, models.shape[1]
    top = np.zeros(task.chosen.size, np.int32)
    for start in range(0, n_model, _PART):
        n = min(_PART, n_model - start)
        for first in range(0, n, BLOCK):
            size = min(BLOCK, n - first)
            copy_block(models, start + first, size, space.blocks[first // BLOCK])
        for k in range(task.chosen.size):
            _weigh_part(task, k, start, n, np.float32(least[k]), top)
        if quantities.level.shape[0]:
            for j in range(0, n, N_TOGETHER):
                lay_beside(space.weights, j, space.beside)
        for row in range(quantities.level.shape[0]):
            level = quantities.level[row, start : start + n]
            _add_by_class(level, space.beside, space.levels[row])
        if (start + _PART) % _SUMMED == 0 or start + _PART >= n_model:
            _move(space, task.found)
    _finish_moments(task.found)


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh_part(
    task: _Task, k: int, start: int, n: int, least: np.float32, top: NDArray[np.int32]
) -> None:
    """Weigh a part of the models against the ``k``-th SED; sum what is scaled.

    ``top`` holds the bits of the greatest weights so far.
    """
    found, space = task.found, task.space
    for first in range(0, n, BLOCK):
        size = min(BLOCK, n - first)
        weight = space.weights[k, first : first + size]
        total, squares, most = _weigh(space.blocks[first // BLOCK], task, k, weight)
        found.total[k] += total
        found.squares[k] += squares
        if most > top[k]:
            top[k], found.best[k] = most, start + first + np.argmax(weight)
        if total > least * size:
            _add_scaled(task, k, start + first, weight, least)
    if found.weight.shape[1]:
        found.weight[k, start : start + n] = space.weights[k, :n]


@njit(cache=True, nogil=True, error_model="numpy")
def _finish_moments(found: Broad) -> None:
    """Make means and variances of the sums of deviations from the middle, and of their squares."""
    for k in range(found.total.size):
        found.spread[k] /= found.total[k]
        for row in range(found.moments.shape[1]):
            mean = found.moments[k, row, 0] / found.total[k]
            variance = found.moments[k, row, 1] / found.total[k] - mean * mean
            found.moments[k, row, 0] = mean + 0.5 * (found.low[k, row] + found.high[k, row])
            found.moments[k, row, 1] = max(variance, 0.0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST | {"nnan"})
def _add_scaled(task: _Task, k: int, start: int, weight: Singles, least: np.float32) -> None:
    """Add the weights of models from ``start`` on to the sums of what is scaled."""
    per_mass, limits, found, space = task.quantities.per_mass, task.limits, task.found, task.space
    log_scale, spread = np.empty(_RUN, np.float32), np.empty(_RUN, np.float32)
    classes, parts = np.empty((3, _RUN), np.int32), np.empty((2, _RUN), np.float32)
    places = classes.view(np.uint32)  # numbers without a sign need no test for one
    for first in range(0, weight.size, _RUN):
        here = weight[first : first + _RUN]
        n = here.size
        if not sum_of(here) > least * n:
            continue
        cross, square = space.cross[first : first + n], space.square[first : first + n]
        amplitudes(cross, square, limits.node, log_scale[:n], spread[:n])
        spreads = np.float32(0)
        for j in range(n):
            parts[0, j], parts[1, j] = limits.middle * here[j], limits.outer * here[j]
            spreads += here[j] * spread[j]
        found.spread[k] += spreads
        for row in range(per_mass.shape[0]):
            low, high = found.low[k, row], found.high[k, row]
            steps = np.float32(N_CLASS / (high - low) if high > low else 0.0)
            origin, centre = np.float32(low), np.float32(0.5 * (low + high))
            top = np.int32(N_CLASS - 1)
            values = per_mass[row, start + first : start + first + n]
            part, part_squares = np.float32(0), np.float32(0)
            for j in range(n):
                value = values[j] + log_scale[j]
                share, half = (value - origin) * steps, spread[j] * steps
                classes[0, j] = min(max(np.int32(share - half), np.int32(0)), top)
                classes[1, j] = min(max(np.int32(share), np.int32(0)), top)
                classes[2, j] = min(max(np.int32(share + half), np.int32(0)), top)
                off = value - centre
                part += here[j] * off
                part_squares += here[j] * off * off
            found.moments[k, row, 0] += part
            found.moments[k, row, 1] += part_squares
            # every second model adds to sums of its own, so that fewer wait for one another
            odd, even = space.scaled[k, row, 0], space.scaled[k, row, 1]
            for j in range(0, n - 1, 2):
                odd[places[0, j]] += parts[1, j]
                even[places[0, j + 1]] += parts[1, j + 1]
                odd[places[1, j]] += parts[0, j]
                even[places[1, j + 1]] += parts[0, j + 1]
                odd[places[2, j]] += parts[1, j]
                even[places[2, j + 1]] += parts[1, j + 1]
            if n % 2:
                odd[places[0, n - 1]] += parts[1, n - 1]
                odd[places[1, n - 1]] += parts[0, n - 1]
                odd[places[2, n - 1]] += parts[1, n - 1]


@njit(cache=True, nogil=True, error_model="numpy")
def _move(space: _Space, found: Broad) -> None:
    """Add sums of single precision to those of double, and set them to zero."""
    for row in range(found.levels.shape[1]):
        for start in range(0, N_CLASS, _WIDE):
            for k in range(found.levels.shape[0]):
                sums_of = found.levels[k, row]
                for j in range(start, start + _WIDE):
                    sums_of[j] += space.levels[row, j, k]
    found.scaled[:] += space.scaled[:, :, 0]
    found.scaled[:] += space.scaled[:, :, 1]
    space.levels[:] = 0
    space.scaled[:] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_by_class(level: NDArray[np.uint16], beside: Singles, sums_of: Singles) -> None:
    """Add weights to the sums of their classes: one vector addition for all SEDs."""
    for j in range(level.size):
        add_row(sums_of, np.int64(level[j]), beside, np.int64(j))
