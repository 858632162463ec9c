"""Statistics of posteriors that much of a library has a part in, in single precision.

Where data say little, most models count, and to sort or even to list them costs more than to
weigh them. Here nothing is selected: values stand in classes made once, weights are summed by
class, and statistics are those of the sums.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp_single
from pxdask.kernels.rdsps import BLOCK, chi_squares, copy_block, log_single, student_costs, sums
from pxdask.kernels.vector_sums import N_TOGETHER, add_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.kernels.rdsps import Search, Singles

    Floats = NDArray[np.float64]

N_CLASS = 4096
"""Classes between the least and the greatest value of a quantity: its resolution."""

_PART = 8192
"""Models whose weights are written beside one another at a time: they stay in the second-level
cache."""

_SUMMED = 65536
"""Models whose weights are summed in single precision before the sums are added in double."""

_WIDE = 64
"""Values of which the ends are kept in one pass over a block."""

_FAR = np.float32(1e30)

NOTHING = 1e-6
"""Part of all weight that is left out: less than a block's share of it is not looked at."""

_LOG10_E = np.float32(math.log10(math.e))
_FAST = {"contract", "reassoc", "nsz"}


class Levels(NamedTuple):
    """A quantity of every model, as the class it stands in.

    Attributes
    ----------
    level : (n_model,) uint16
        Class, below `N_CLASS`.
    low, high : float
        Least and greatest value.
    """

    level: NDArray[np.uint16]
    low: float
    high: float


class Broad(NamedTuple):
    """Weights of all models against some SEDs.

    Attributes
    ----------
    weight : (n_sed, n_model) float32
        Likelihood over the greatest [1].
    log_scale : (n_sed, n_model) float32
        log10 of the best amplitude, in the unit of the search [dex].
    spread : (n_sed, n_model) float32
        Distance of the amplitude's outer nodes [dex].
    total, squares : (n_sed,) float64
        Sums of weights and of their squares.
    low, high : (n_sed, n_scaled) float64
        Values between which each scaled quantity is, at the outer nodes too.
    """

    weight: Singles
    log_scale: Singles
    spread: Singles
    total: Floats
    squares: Floats
    low: Floats
    high: Floats

    def one(self, k: int) -> Broad:
        """Return the ``k``-th SED's."""
        return Broad(
            self.weight[k],
            self.log_scale[k],
            self.spread[k],
            self.total[k],
            self.squares[k],
            self.low[k],
            self.high[k],
        )


def make_broad(n_sed: int, n_model: int, n_scaled: int) -> Broad:
    """Return memory for the weights of some SEDs."""
    weight, log_scale, spread = np.empty((3, n_sed, n_model), np.float32)
    total, squares = np.empty((2, n_sed))
    low, high = np.empty((2, n_sed, n_scaled))
    return Broad(weight, log_scale, spread, total, squares, low, high)


def make_levels(values: Floats) -> Levels:
    """Return the classes of some values, (n_model,), in any unit, all finite."""
    low, high = float(values.min()), float(values.max())
    level = np.zeros(values.size, np.uint16)
    if high > low:
        for start in range(0, values.size, 65536):
            part = slice(start, start + 65536)
            share = (values[part] - low) / (high - low)
            level[part] = np.minimum(share * N_CLASS, N_CLASS - 1)
    return Levels(level, low, high)


def broad_weights(
    models: Singles,
    seds: Search,
    chosen: NDArray[np.int64],
    *,
    dof: float,
    best: Singles,
    depth: float,
    node: float,
    per_mass: Singles,
    out: Broad | None = None,
) -> Broad:
    """Return the weights of all models against some of the SEDs.

    Parameters
    ----------
    models, seds, dof
        As for `pxdask.kernels.rdsps.search`.
    chosen : (n_chosen,)
        Which SEDs.
    best : (n_chosen,) float32
        Least cost of each [1].
    depth : float
        How much more may have any weight [1].
    node : float
        Distance of the amplitude's outer nodes [sigma].
    per_mass : (n_scaled, n_model) float32
        log10 of quantities that are scaled by the amplitude.
    out : Broad, optional
        Memory to fill and to return, from `make_broad`.

    Returns
    -------
    found : Broad
        Of which the first ``n_chosen`` have a meaning.
    """
    found = make_broad(chosen.size, models.shape[1], len(per_mass)) if out is None else out
    limits = best, np.float32(depth), np.float32(node)
    _weigh(models, seds, chosen, (np.float32(dof), math.isinf(dof)), limits, found)
    found.low[:] += per_mass.min(axis=1)
    found.high[:] += per_mass.max(axis=1)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(
    models: Singles,
    seds: Search,
    chosen: NDArray[np.int64],
    form: tuple[np.float32, bool],
    limits: tuple[Singles, np.float32, np.float32],
    found: Broad,
) -> None:
    """Fill ``found``, ends being those of the amplitude; see `broad_weights`."""
    dof, gaussian = form
    best, depth, node = limits
    cross, square = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    power, block = np.empty(BLOCK, np.int32), np.empty((models.shape[0], BLOCK), np.float32)
    ends = np.empty((4, BLOCK), np.float32)
    found.total[:] = 0
    found.squares[:] = 0
    found.low[:] = np.inf
    found.high[:] = -np.inf
    for start in range(0, models.shape[1], BLOCK):
        n = min(BLOCK, models.shape[1] - start)
        copy_block(models, start, n, block)
        for k in range(chosen.size):
            i = chosen[k]
            sums(block, seds, i, n, cross, square)
            out = found.weight[k, start : start + n]
            if gaussian:
                chi_squares(cross, square, np.float32(seds.norm[i]), out)
            else:
                student_costs(block, seds, i, cross, square, dof, power, out)
            total, squares = _weights(out, cross, best[k], depth)
            found.total[k] += total
            found.squares[k] += squares
            if total == 0:  # what is said of these models is never read
                continue
            scales = found.log_scale[k, start : start + n]
            spreads = found.spread[k, start : start + n]
            _amplitudes(cross, square, node, scales, spreads)
            low, high = _ends(out, scales, spreads, ends)
            found.low[k] = np.minimum(found.low[k], low)
            found.high[k] = np.maximum(found.high[k], high)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST | {"nnan"})
def _weights(
    cost: Singles, cross: Singles, best: np.float32, depth: np.float32
) -> tuple[np.float32, np.float32]:
    """Replace costs by weights; return the sums of these and of their squares."""
    _exponentials(cost, cross, best, depth)
    total, squares = np.float32(0), np.float32(0)
    for j in range(cost.size):
        total += cost[j]
        squares += cost[j] * cost[j]
    return total, squares


# Its own flags, because a function without any inherits those of whoever first calls it, and the
# exponential rounds by adding and subtracting, which must not be reordered.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _exponentials(cost: Singles, cross: Singles, best: np.float32, depth: np.float32) -> None:
    """Replace costs by weights."""
    for j in range(cost.size):
        behind = cost[j] - best
        w = exp_single(np.float32(-0.5) * behind)
        cost[j] = w if (behind < depth) & (cross[j] > np.float32(0)) else np.float32(0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST | {"nnan"})
def _amplitudes(
    cross: Singles, square: Singles, node: np.float32, log_scale: Singles, spread: Singles
) -> None:
    """Fill log10 of amplitudes, and how far the outer nodes are from them."""
    for j in range(log_scale.size):
        a = max(cross[j], np.float32(1e-30))
        log_scale[j] = _LOG10_E * log_single(a / square[j])
        ratio = np.float32(1) + node * np.sqrt(square[j]) / a
        spread[j] = _LOG10_E * log_single(ratio)


def sums_by_class(levels: Sequence[Levels], weight: Singles) -> Floats:
    """Return sums of weights in each class, (n_sed, n_level, `N_CLASS`).

    A model's class is the same for all SEDs, so that their sums are one vector addition. A sum is
    right to 6e-8 times the number of models in its class, or times 65,536 if they are more.

    Parameters
    ----------
    levels : sequence of Levels
        Classes of some quantities of the models.
    weight : (n_sed, n_model) float32
        Of at most `N_TOGETHER` SEDs.
    """
    n_sed, n_model = weight.shape
    found = np.zeros((n_sed, len(levels), N_CLASS))
    some = np.zeros((len(levels), N_CLASS, N_TOGETHER), np.float32)
    together = np.zeros((min(_PART, n_model), N_TOGETHER), np.float32)
    for start in range(0, n_model, _PART):
        part = slice(start, start + _PART)
        _beside(weight[:, part], together)
        for each, sums_of in zip(levels, some, strict=True):
            _add_by_class(each.level[part], together, sums_of)
        if (start + _PART) % _SUMMED == 0 or start + _PART >= n_model:
            _move(some, found)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _move(some: Singles, found: Floats) -> None:
    """Add sums of single precision to those of each SED, and set them to zero."""
    for row in range(found.shape[1]):
        for start in range(0, N_CLASS, _WIDE):
            for k in range(found.shape[0]):
                sums_of = found[k, row]
                for j in range(start, start + _WIDE):
                    sums_of[j] += some[row, j, k]
    some[:] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _beside(weight: Singles, together: Singles) -> None:
    """Write the weights of each model beside one another."""
    for start in range(0, weight.shape[1], _WIDE):
        for k in range(weight.shape[0]):
            row = weight[k]
            for j in range(start, min(start + _WIDE, weight.shape[1])):
                together[j, k] = row[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_by_class(level: NDArray[np.uint16], together: Singles, sums_of: Singles) -> None:
    """Add weights to the sums of their classes."""
    for j in range(level.size):
        add_row(sums_of, np.int64(level[j]), together, np.int64(j))


@njit(cache=True, nogil=True, error_model="numpy")
def _ends(
    weight: Singles, log_scale: Singles, spread: Singles, work: Singles
) -> tuple[np.float32, np.float32]:
    """Return the least and the greatest amplitude at the outer nodes."""
    n, left, right, low, high = weight.size, work[0], work[1], work[2, :_WIDE], work[3, :_WIDE]
    for j in range(n):
        value, far = log_scale[j], spread[j]
        near, beyond = value - far, value + far  # read first: no branch is left
        counts = weight[j] > np.float32(0)
        left[j] = near if counts else _FAR
        right[j] = beyond if counts else -_FAR
    left[n:], right[n:] = _FAR, -_FAR
    # of columns first, which vector instructions do, then of them
    low[:], high[:] = _FAR, -_FAR
    for start in range(0, BLOCK, _WIDE):
        for j in range(_WIDE):
            low[j] = min(left[start + j], low[j])
            high[j] = max(right[start + j], high[j])
    return low.min(), high.max()


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST | {"nnan"})
def scaled_by_class(
    per_mass: Singles, broad: Broad, row: int, nodes: tuple[float, float]
) -> tuple[Floats, float, float]:
    """Return sums of weights by class, mean and variance of one SED's scaled quantity.

    Parameters
    ----------
    per_mass : (n_model,) float32
        The quantity per mass formed.
    broad : Broad
        Of one SED.
    row : int
        Which of the quantities it is.
    nodes : (float, float)
        Weights of the middle and of either outer node; mean and variance are at the middle one.
    """
    # every second model adds to sums of its own, so that fewer wait for one another
    sums_of = np.zeros((2, N_CLASS))
    classes, parts = np.zeros((3, BLOCK), np.int32), np.zeros((2, BLOCK), np.float32)
    low, high = broad.low[row], broad.high[row]
    origin, top = np.float32(low), np.int32(N_CLASS - 1)
    steps = np.float32(N_CLASS / (high - low) if high > low else 0.0)
    least = np.float32(NOTHING * broad.total * BLOCK / per_mass.size)
    centre = np.float32(0.5 * (low + high))
    middle, outer = np.float32(nodes[0]), np.float32(nodes[1])
    first, second = 0.0, 0.0
    for start in range(0, per_mass.size, BLOCK):
        n = min(BLOCK, per_mass.size - start)
        weight, values = broad.weight[start : start + n], per_mass[start : start + n]
        scale, spread = broad.log_scale[start : start + n], broad.spread[start : start + n]
        if not _sum(weight) > least:
            continue
        part, part_squares = np.float32(0), np.float32(0)
        parts[:, n:] = 0
        for j in range(n):
            value = values[j] + scale[j]
            share, half = (value - origin) * steps, spread[j] * steps
            classes[0, j] = min(max(np.int32(share - half), np.int32(0)), top)
            classes[1, j] = min(max(np.int32(share), np.int32(0)), top)
            classes[2, j] = min(max(np.int32(share + half), np.int32(0)), top)
            parts[0, j], parts[1, j] = middle * weight[j], outer * weight[j]
            off = value - centre
            part += weight[j] * off
            part_squares += weight[j] * off * off
        first += float(part)
        second += float(part_squares)
        for j in range(0, BLOCK, 2):
            sums_of[0, classes[0, j]] += parts[1, j]
            sums_of[1, classes[0, j + 1]] += parts[1, j + 1]
            sums_of[0, classes[1, j]] += parts[0, j]
            sums_of[1, classes[1, j + 1]] += parts[0, j + 1]
            sums_of[0, classes[2, j]] += parts[1, j]
            sums_of[1, classes[2, j + 1]] += parts[1, j + 1]
    mean = first / broad.total
    variance = max(float(second / broad.total - mean * mean), 0.0)
    return sums_of[0] + sums_of[1], float(mean) + 0.5 * (low + high), variance


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _sum(weight: Singles) -> np.float32:
    """Return the sum of some weights."""
    total = np.float32(0)
    for j in range(weight.size):
        total += weight[j]
    return total
