"""The models of a search that are near an SED, listed while they are met."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp_single

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Singles = NDArray[np.float32]

_WORD = 8
"""Models whose marks are read as one number."""

WIDE = 16
"""Costs of which the least is kept in one pass over a tile."""

_LARGEST = np.float32(3e38)

_N_STEP = 128
"""Steps of one in cost by which weights are summed; what is further is in the last."""

_FAST = {"contract", "reassoc", "nsz"}
"""Freedom to fuse and to reorder sums; NaN and infinity keep their meaning."""


class Found(NamedTuple):
    """What a search found: of each SED the models within its reach, in their order.

    Attributes
    ----------
    best : (n_sed,) float32
        Least cost of a model whose cost is known; infinity where none is [1].
    n_near : (n_sed,) int64
        Models within reach; more than were asked for where they are not listed.
    n_unknown : (n_sed,) int64
        Models whose cost is not known.
    model : (n_sed, n_model + 1) int32
        Which they are; only the first ``n_near`` have a meaning.
    cost : (n_sed, n_model + 1) float32
        How far they are [1].
    """

    best: Singles
    n_near: NDArray[np.int64]
    n_unknown: NDArray[np.int64]
    model: NDArray[np.int32]
    cost: Singles

    def first(self, n_sed: int) -> Found:
        """Return the memory of the first SEDs."""
        return Found(
            self.best[:n_sed],
            self.n_near[:n_sed],
            self.n_unknown[:n_sed],
            self.model[:n_sed],
            self.cost[:n_sed],
        )


def make_found(n_sed: int, n_model: int) -> Found:
    """Return memory for a search; what is never written takes none."""
    shape = n_sed, n_model + 1
    n_near, n_unknown = np.empty((2, n_sed), np.int64)
    return Found(
        best=np.empty(n_sed, np.float32),
        n_near=n_near,
        n_unknown=n_unknown,
        model=np.empty(shape, np.int32),
        cost=np.empty(shape, np.float32),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def add_near(
    cost: Singles,
    start: int,
    n: int,
    limit: np.float32,
    most: np.int64,
    near: NDArray[np.uint8],
    found: Found,
    i: int,
) -> None:
    """Add the models of a tile that are not above a limit, unless they are too many."""
    some, unknown = _mark(cost[:n], limit, near)
    found.n_unknown[i] += unknown
    listed = found.n_near[i]
    if some == 0 or listed > most:
        return
    listed += _add(near, start, cost, found.model[i, listed:], found.cost[i, listed:])
    if listed > most:  # unless some were only near while better ones had not been met
        listed = keep_near(found.model[i], found.cost[i], listed, limit)
    found.n_near[i] = listed


@njit(cache=True, nogil=True, error_model="numpy")
def least_cost(cost: Singles, n: int, low: Singles) -> np.float32:
    """Return the least of a tile's costs that are known; infinity where there is none."""
    # of columns first, which vector instructions do, then of them
    low[:] = np.inf
    cost[n:] = np.inf
    for start in range(0, cost.size, WIDE):
        for j in range(WIDE):
            value = cost[start + j]
            value = value if value > -_LARGEST else np.float32(np.inf)
            low[j] = min(value, low[j])
    return np.float32(low.min())


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _mark(cost: Singles, limit: np.float32, near: NDArray[np.uint8]) -> tuple[np.int32, np.int32]:
    """Mark models that are not above a limit, and no others; count them, and those not known."""
    some, unknown = np.int32(0), np.int32(0)
    for j in range(cost.size):
        near[j] = np.uint8(cost[j] <= limit)
        some += np.int32(cost[j] <= limit)
        unknown += np.int32(cost[j] < -_LARGEST)
    near[cost.size :] = 0
    return some, unknown


@njit(cache=True, nogil=True, error_model="numpy")
def _add(
    near: NDArray[np.uint8],
    start: int,
    cost: Singles,
    models: NDArray[np.int32],
    costs: Singles,
) -> np.int64:
    """Write marked models of a tile; return how many they are."""
    words, n = near.view(np.uint64), np.int64(0)
    for word in range(words.size):
        if words[word]:
            for j in range(_WORD):
                # written always and counted where it holds: no branch to foretell
                at = word * _WORD + j
                models[n] = start + at
                costs[n] = cost[at]
                n += np.int64(near[at])
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def keep_near(
    models: NDArray[np.int32], costs: Singles, n: np.int64, limit: np.float32
) -> np.int64:
    """Drop models above a limit; return how many are left."""
    kept = np.int64(0)
    for k in range(n):
        models[kept], costs[kept] = models[k], costs[k]
        kept += np.int64(costs[k] <= limit)
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def drop_tail(
    models: NDArray[np.int32],
    costs: Singles,
    n: np.int64,
    best: np.float32,
    share: float,
    sure: float,
) -> int:
    """Drop the models of least weight that together have no more than a share of all weight.

    A model's weight is ``exp(-cost / 2)``. Only models of costs below ``sure`` count towards
    all weight, and models whose cost is not known stay.

    Returns
    -------
    n : int
        Models that are left.
    """
    in_step, total = np.zeros(_N_STEP), 0.0
    for k in range(n):
        behind = max(costs[k] - best, np.float32(0))
        weight = np.float64(exp_single(np.float32(-0.5) * behind))
        in_step[min(int(behind), _N_STEP - 1)] += weight
        total += weight if -_LARGEST < costs[k] < sure else 0.0
    last, tail = _N_STEP, 0.0
    while last > 1 and tail + in_step[last - 1] <= share * total:
        last -= 1
        tail += in_step[last]
    kept = 0
    for k in range(n):
        behind = max(costs[k] - best, np.float32(0))
        models[kept], costs[kept] = models[k], costs[k]
        kept += 1 if min(int(behind), _N_STEP - 1) < last else 0
    return kept
