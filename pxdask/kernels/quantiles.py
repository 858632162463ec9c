"""Quantiles of weighted samples, exact and without sorting them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_N_BUCKET = 512
"""Equal steps between the smallest and the largest value; only a few are ever sorted."""


def weighted_quantiles(values: Floats, weights: Floats, *, probabilities: Floats) -> Floats:
    """Return quantiles of each row of weighted values.

    The quantile of probability p is the smallest value at or below which lies at least
    the fraction p of the weight: always one of the values, never an interpolation.

    Parameters
    ----------
    values : (n_row, n_sample)
        Samples of each quantity, finite where the weight is positive.
    weights : (n_sample,)
        Non-negative weights, in any normalisation [1].
    probabilities : (n_quantile,)
        Probabilities, above 0 and at most 1 [1].

    Returns
    -------
    quantiles : (n_row, n_quantile)
        In the unit of the values; NaN where no weight is positive, or where a value of
        positive weight is not finite.

    Notes
    -----
    Inverse of the empirical distribution function (type 1 of Hyndman & Fan 1996, The
    American Statistician 50, 361), with weights. Values are counted into equal steps;
    only those in the step where a quantile falls are sorted, so the cost is linear.
    """
    quantiles = np.empty((values.shape[0], probabilities.size))
    for row, result in zip(values, quantiles, strict=True):
        _quantiles(row, weights, probabilities, result)
    return quantiles


@njit(cache=True, nogil=True, error_model="numpy")
def _quantiles(values: Floats, weights: Floats, probabilities: Floats, result: Floats) -> None:
    """Fill ``result``; see `weighted_quantiles`."""
    low, high = _range(values, weights)
    if not np.isfinite(low):
        result[:] = np.nan
        return
    # A range too small to divide by, or too large to hold, is one step.
    steps = (_N_BUCKET - 1) / (high - low) if high > low else 0.0
    if not np.isfinite(steps):
        steps = 0.0
    bucket = np.full(values.size, -1, np.int16)
    filled = np.zeros(_N_BUCKET)
    for j in range(values.size):
        if weights[j] > 0.0:
            bucket[j] = np.int16((values[j] - low) * steps) if steps > 0.0 else 0
            filled[bucket[j]] += weights[j]
    total, last = filled.sum(), np.flatnonzero(filled)[-1]
    for i in range(probabilities.size):
        target = probabilities[i] * total
        below, b = 0.0, 0
        while b < last and below + filled[b] < target:
            below += filled[b]
            b += 1
        members = np.flatnonzero(bucket == b)
        result[i] = values[_first_at(values, weights, members, target - below)]


@njit(cache=True, nogil=True, error_model="numpy")
def _range(values: Floats, weights: Floats) -> tuple[float, float]:
    """Return the smallest and largest value of positive weight; NaN where there is none."""
    low, high = np.inf, -np.inf
    for j in range(values.size):
        if weights[j] > 0.0:
            if not np.isfinite(values[j]):
                return np.nan, np.nan
            low, high = min(low, values[j]), max(high, values[j])
    return (low, high) if low <= high else (np.nan, np.nan)


@njit(cache=True, nogil=True, error_model="numpy")
def _first_at(values: Floats, weights: Floats, members: NDArray[np.int64], target: float) -> int:
    """Return which of some values is the smallest whose cumulated weight reaches ``target``."""
    # Stable, so that ties keep one order and sums one rounding.
    order = members[np.argsort(values[members], kind="mergesort")]
    reached = 0.0
    for k in range(order.size - 1):
        reached += weights[order[k]]
        if reached >= target:
            return int(order[k])
    return int(order[-1])
