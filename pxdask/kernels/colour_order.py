"""An order of models in which those of like colours are near one another.

Models that matter for an SED are then together in memory, so that reading them waits for few
cache lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAF = 64
"""Models that are not split any further."""

_FAINT = np.float32(1e-4)
"""Part of a model's brightest band below which a band is as good as dark."""


def colour_order(flux: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the models in an order in which neighbours have like colours.

    Parameters
    ----------
    flux : (n_model, n_band) float32
        Flux density per mass formed [uJy Msun-1], finite.

    Returns
    -------
    order : (n_model,)
        A permutation: leaves of a tree that halves the models at the median of the colour in
        which they are spread most (Bentley 1975, Comm. ACM 18, 509), `LEAF` models or
        fewer to a leaf; inside a leaf models keep their order.
    """
    order = np.arange(len(flux))
    _split(_colours(np.ascontiguousarray(flux)), order)
    return order


@njit(cache=True, nogil=True, error_model="numpy")
def _colours(flux: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ln of each band over the brightest one."""
    found = np.zeros(flux.shape, np.float32)
    for j in range(flux.shape[0]):
        top = flux[j].max()
        if top > 0:
            for b in range(flux.shape[1]):
                found[j, b] = np.log(max(flux[j, b] / top, _FAINT))
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _split(colour: NDArray[np.float32], order: NDArray[np.int64]) -> None:
    """Reorder ``order``."""
    n_band = colour.shape[1]
    low, high = np.empty(n_band, np.float32), np.empty(n_band, np.float32)
    stack = [(0, int(order.size))]
    while stack:
        start, stop = stack.pop()
        if stop - start <= LEAF:
            order[start:stop].sort()
            continue
        low[:], high[:] = np.inf, -np.inf
        for j in range(start, stop):
            row = colour[order[j]]
            for b in range(n_band):
                low[b] = min(low[b], row[b])
                high[b] = max(high[b], row[b])
        # whole leaves on either side, so that leaves start at multiples of their size
        half = max(LEAF, (stop - start) // 2 // LEAF * LEAF)
        _select(colour, order, int(np.argmax(high - low)), start, stop, start + half)
        stack.append((start, start + half))
        stack.append((start + half, stop))


@njit(cache=True, nogil=True, error_model="numpy")
def _select(
    colour: NDArray[np.float32],
    order: NDArray[np.int64],
    band: int,
    start: int,
    stop: int,
    at: int,
) -> None:
    """Bring the least models in one band to before ``at`` (Hoare 1961, Comm. ACM 4, 321)."""
    first, last = start, stop - 1
    while first < last:
        pivot = colour[order[(first + last) // 2], band]
        i, j = first, last
        while i <= j:
            while colour[order[i], band] < pivot:
                i += 1
            while colour[order[j], band] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if at <= j:
            last = j
        elif at >= i:
            first = i
        else:
            return
