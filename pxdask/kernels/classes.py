"""Statistics of a quantity whose weights were summed in classes of equal width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numba import njit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def class_moments(sums_of: Floats, low: float, high: float) -> tuple[float, float]:
    """Return mean and variance of a quantity whose weights were summed by class."""
    total, first, second = 0.0, 0.0, 0.0
    for k in range(sums_of.size):
        off = k - 0.5 * (sums_of.size - 1)
        total += sums_of[k]
        first += sums_of[k] * off
        second += sums_of[k] * off * off
    mean, step = first / total, (high - low) / sums_of.size
    return 0.5 * (low + high) + step * mean, step**2 * max(second / total - mean**2, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def class_quantiles(
    sums_of: Floats, low: float, high: float, probabilities: Floats, result: Floats
) -> None:
    """Fill quantiles of a quantity whose weights were summed by class.

    Weight is even inside a class, so a quantile is right to (high - low) / n_class, and its
    probability to the share of that class. Probabilities increase.
    """
    total, step = sums_of.sum(), (high - low) / sums_of.size
    below, k = 0.0, 0
    for i in range(probabilities.size):
        target = probabilities[i] * total
        while k < sums_of.size - 1 and below + sums_of[k] < target:
            below += sums_of[k]
            k += 1
        share = (target - below) / sums_of[k] if sums_of[k] > 0 else 0.0
        result[i] = low + step * (k + min(max(share, 0.0), 1.0))
