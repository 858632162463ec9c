"""Weights of all models summed by class, in single precision, while they are in the cache.

Memory would take longer to hold the weights than it takes to make them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.block_weights import amplitudes, ends_of_spread, sum_of, weights_of_costs
from pxdask.kernels.broad import SOME, Broad, classes_around, make_broad
from pxdask.kernels.classes import N_CLASS
from pxdask.kernels.costs import CostSpace, all_costs, cost_space
from pxdask.kernels.tile_sums import TILE, fill_tiles, make_tiles
from pxdask.kernels.vector_sums import N_TOGETHER, add_row, aligned, lay_beside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.kernels.broad import Limits, Quantities
    from pxdask.kernels.rdsps import Search, Singles

    Floats = NDArray[np.float64]

BLOCK = 1024
"""Models weighed together: their weights and sums stay in the first-level cache."""

_PART = 4 * BLOCK
"""Models whose fluxes, and whose weights against all SEDs, stay in the second-level cache."""

_RUN = 128
"""Models that are looked at, or left out, together."""

_SUMMED = 131072
"""Models whose weights are summed in single precision before the sums are added in double."""

NOTHING = 1e-6
"""Part of all weight that may be left out: models are not looked at of less than their share of
it."""

_FAST = {"contract", "reassoc", "nsz"}


class _Space(NamedTuple):
    """Memory to work in."""

    tiles: Singles
    """(n_tile, n_band, TILE): a part's fluxes."""
    weights: Singles
    """(n_sed, _PART)."""
    beside: Singles
    """(_PART, N_TOGETHER): the same, all SEDs' of a model beside one another."""
    scaled: Singles
    """(n_sed, n_scaled, 2, N_CLASS): sums not yet in double precision, as the next."""
    levels: Singles
    """(n_level, N_CLASS, N_TOGETHER)."""
    costs: CostSpace


class Memory(NamedTuple):
    """Memory for the sums of some SEDs, as it takes longer to get than to use."""

    found: Broad
    space: _Space


def make_memory(n_sed: int, quantities: Quantities, *, n_band: int, keep: bool) -> Memory:
    """Return memory for `N_TOGETHER` SEDs at most.

    Parameters
    ----------
    n_sed : int
        SEDs.
    quantities : Quantities
        What is summed.
    n_band : int
        Of the models.
    keep : bool
        Whether weights are kept.
    """
    n_sed = min(n_sed, N_TOGETHER)
    space = _Space(
        tiles=make_tiles(_PART // TILE, n_band),
        weights=aligned((N_TOGETHER, _PART)),
        beside=aligned((_PART, N_TOGETHER)),
        scaled=aligned((n_sed, len(quantities.per_mass), 2, N_CLASS)),
        levels=aligned((len(quantities.level), N_CLASS, N_TOGETHER)),
        costs=cost_space(BLOCK),
    )
    return Memory(make_broad(n_sed, quantities, keep=keep), space)


class _Task(NamedTuple):
    """What to sum of which SEDs, where, and with what memory."""

    seds: Search
    chosen: NDArray[np.int64]
    limits: Limits
    quantities: Quantities
    found: Broad
    space: _Space


def broad_sums(
    models: Singles,
    seds: Search,
    chosen: NDArray[np.int64],
    *,
    limits: Limits,
    quantities: Quantities,
    memory: Memory,
    some: Singles | None = None,
) -> Broad:
    """Return the sums over all models for some of the SEDs.

    Parameters
    ----------
    models, seds
        As for `pxdask.kernels.rdsps.search`.
    chosen : (n_chosen,)
        Which SEDs; the sums of one do not depend on the others.
    limits : Limits
        What decides weights.
    quantities : Quantities
        What is summed.
    memory : Memory
        For as many SEDs or more; the next sums overwrite what is returned.
    some : (n_band, n_some) float32, optional
        Every `SOME`-th model, close together in memory; default: they are copied.

    Notes
    -----
    A sum is right to 6e-8 times the number of models in its class, or times 131,072 if they are
    more, and to `NOTHING` of all weight.
    """
    n_sed = chosen.size
    found, space = memory.found.first(n_sed), memory.space
    for each in (found.total, found.squares, found.best, found.moments, found.spread):
        each[:] = 0
    found.low[:], found.high[:] = np.inf, -np.inf
    task = _Task(seds, chosen, limits, quantities, found, space)
    mean = np.zeros(n_sed)
    few = models[:, ::SOME].copy() if some is None else some
    _look(few, quantities.some, task, np.arange(n_sed), mean)
    # of those of which none of some has any weight; others must not know of them
    unseen = np.flatnonzero(np.any(found.high < found.low, axis=1))
    if unseen.size:
        _look(models, quantities.per_mass, task, unseen, mean)
    found.low[:], found.high[:] = classes_around(found.low, found.high)
    _sum_all(models, task, NOTHING * mean)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(
    tiles: Singles, task: _Task, k: int, out: Singles
) -> tuple[np.float32, np.float32, np.int32]:
    """Fill a block's weights against the ``k``-th SED; return what `weights_of_costs` does.

    Sums over bands are left in ``task.space``.
    """
    seds, i, limits, space = task.seds, task.chosen[k], task.limits, task.space
    limit = limits.best[k] + limits.depth
    all_costs(tiles, seds, i, (limits.dof, limits.gaussian), limit, space.costs, out)
    return weights_of_costs(out, space.costs.of_bands[0], limits.best[k], limits.depth)


@njit(cache=True, nogil=True, error_model="numpy")
def _look(
    models: Singles, per_mass: Singles, task: _Task, rows: NDArray[np.int64], mean: Floats
) -> None:
    """Widen the ends of scaled quantities to these models; set the ``mean`` of their weights.

    ``rows`` are the SEDs to do so for.
    """
    found, space = task.found, task.space
    log_scale, spread = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    cross, square = space.costs.of_bands[0], space.costs.of_bands[1]
    value = np.empty(BLOCK, np.float32)
    mean[rows] = 0
    for start in range(0, models.shape[1], BLOCK):
        n = min(BLOCK, models.shape[1] - start)
        fill_tiles(models, start, n, space.tiles)
        for k in rows:
            weight = space.weights[k, :n]
            total, _, _ = _weigh(space.tiles, task, k, weight)
            if total == 0:
                continue
            mean[k] += total / models.shape[1]
            amplitudes(cross, square, task.limits.node, log_scale[:n], spread[:n])
            for row in range(per_mass.shape[0]):
                for j in range(n):
                    value[j] = per_mass[row, start + j] + log_scale[j]
                low, high = ends_of_spread(weight, value[:n], spread)
                found.low[k, row] = min(found.low[k, row], low)
                found.high[k, row] = max(found.high[k, row], high)


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_all(models: Singles, task: _Task, least: Floats) -> None:
    """Fill the sums; ``least`` is the mean weight below which models are not looked at."""
    quantities, space, n_model = task.quantities, task.space, models.shape[1]
    top = np.zeros(task.chosen.size, np.int32)
    for start in range(0, n_model, _PART):
        n = min(_PART, n_model - start)
        fill_tiles(models, start, n, space.tiles)
        for k in range(task.chosen.size):
            _weigh_part(task, k, start, n, np.float32(least[k]), top)
        if quantities.level.shape[0]:
            for j in range(0, n, N_TOGETHER):
                lay_beside(space.weights, j, space.beside)
        for row in range(quantities.level.shape[0]):
            level = quantities.level[row, start : start + n]
            _add_by_class(level, space.beside, space.levels[row])
        if (start + _PART) % _SUMMED == 0 or start + _PART >= n_model:
            _move(space, task.found, start + n > _SUMMED)
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
        total, squares, most = _weigh(space.tiles[first // TILE :], task, k, weight)
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
        at = slice(first, first + n)
        cross, square = space.costs.of_bands[0, at], space.costs.of_bands[1, at]
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
def _move(space: _Space, found: Broad, again: bool) -> None:  # noqa: FBT001  numba takes no keywords
    """Make sums in double precision, or add to them ``again``, and set those in single to zero."""
    of_seds = np.empty((N_TOGETHER, N_TOGETHER), np.float32)
    for row in range(found.levels.shape[1]):
        for start in range(0, N_CLASS, N_TOGETHER):
            lay_beside(space.levels[row, start : start + N_TOGETHER], 0, of_seds)
            for k in range(found.levels.shape[0]):
                sums_of, more = found.levels[k, row, start : start + N_TOGETHER], of_seds[k]
                for j in range(N_TOGETHER):
                    sums_of[j] = more[j] + (sums_of[j] if again else 0.0)
    for k in range(found.scaled.shape[0]):
        for row in range(found.scaled.shape[1]):
            sums_of = found.scaled[k, row]
            odd, even = space.scaled[k, row, 0], space.scaled[k, row, 1]
            for j in range(N_CLASS):
                more = np.float64(odd[j]) + np.float64(even[j])
                sums_of[j] = more + (sums_of[j] if again else 0.0)
    space.levels[:] = 0
    space.scaled[:] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_by_class(level: NDArray[np.uint16], beside: Singles, sums_of: Singles) -> None:
    """Add weights to the sums of their classes: one vector addition for all SEDs."""
    for j in range(level.size):
        add_row(sums_of, np.int64(level[j]), beside, np.int64(j))
