"""Statistics of quantities whose weights were summed in classes of equal width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

N_CLASS = 4096
"""Classes between the least and the greatest value of a quantity: its resolution."""

_PART = 64
"""Classes that are passed together on the way to a quantile."""

_ROUNDED = 1e-12
"""Part of the weight that is none: what sums in another order may differ by."""

_FAST = {"contract", "reassoc", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy")
def class_summaries(
    sums_of: Floats,
    low: Floats,
    high: Floats,
    probabilities: Floats,
    edges: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return statistics of some quantities.

    Parameters
    ----------
    sums_of : (n_quantity, n_class)
        Weight in each class [1].
    low, high : (n_quantity,)
        Ends of the classes of each.
    probabilities : (n_probability,)
        Of the quantiles; increasing.
    edges : (n_quantity, 2)
        Values below and above which weight is counted; NaN: it is not.

    Returns
    -------
    quantiles : (n_quantity, n_probability)
        Weight is even inside a class, so a quantile is right to (high - low) / n_class, and its
        probability to the share of that class.
    moments : (n_quantity, 2)
        Mean and variance, a class counting at its middle.
    shares : (n_quantity, 2)
        Parts of the weight beyond the edges, to the nearest class; NaN where there are none.
    """
    n = len(sums_of)
    quantiles, moments = np.empty((n, probabilities.size)), np.empty((n, 2))
    shares = np.empty((n, 2))
    for i in range(n):
        total, first, second = _moments(sums_of[i])
        step = (high[i] - low[i]) / sums_of.shape[1]
        mean = first / total
        moments[i, 0] = 0.5 * (low[i] + high[i]) + step * mean
        moments[i, 1] = step**2 * max(second / total - mean**2, 0.0)
        _quantiles(sums_of[i], total, low[i], step, probabilities, quantiles[i])
        _beyond(sums_of[i], total, low[i], high[i], edges[i], shares[i])
    return quantiles, moments, shares


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _moments(sums_of: Floats) -> tuple[float, float, float]:
    """Return the sum, and the first and second about the middle, in classes."""
    total, first, second = 0.0, 0.0, 0.0
    for k in range(sums_of.size):
        off = k - 0.5 * (sums_of.size - 1)
        total += sums_of[k]
        first += sums_of[k] * off
        second += sums_of[k] * off * off
    return total, first, second


@njit(cache=True, nogil=True, error_model="numpy")
def _quantiles(
    sums_of: Floats, total: float, low: float, step: float, probabilities: Floats, result: Floats
) -> None:
    """Fill quantiles of one quantity."""
    # one class after the other takes as long as each addition waits for the one before
    parts = _sums_of_parts(sums_of)
    below, part = 0.0, 0
    for i in range(probabilities.size):
        target = probabilities[i] * total
        while part < parts.size - 1 and target - below - parts[part] > _ROUNDED * total:
            below += parts[part]
            part += 1
        left, k = target - below, part * _PART
        last = min(k + _PART, sums_of.size) - 1
        while k < last and left - sums_of[k] > _ROUNDED * total:
            left -= sums_of[k]
            k += 1
        share = left / sums_of[k] if sums_of[k] > 0 else 0.0
        result[i] = low + step * (k + min(max(share, 0.0), 1.0))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _sums_of_parts(sums_of: Floats) -> Floats:
    """Return the weight in each `_PART` classes."""
    parts = np.empty((sums_of.size + _PART - 1) // _PART)
    for i in range(parts.size):
        part, total = sums_of[i * _PART : (i + 1) * _PART], 0.0
        for k in range(part.size):
            total += part[k]
        parts[i] = total
    return parts


@njit(cache=True, nogil=True, error_model="numpy")
def _beyond(
    sums_of: Floats, total: float, low: float, high: float, edges: Floats, result: Floats
) -> None:
    """Fill the shares of the weight beyond two values."""
    result[:] = np.nan
    if not (edges[0] < edges[1] and low < high):
        return
    n = sums_of.size
    first = round(min(max((edges[0] - low) / (high - low), 0.0), 1.0) * n)
    last = round(min(max((edges[1] - low) / (high - low), 0.0), 1.0) * n)
    result[0] = sums_of[:first].sum() / total
    result[1] = sums_of[last:].sum() / total
