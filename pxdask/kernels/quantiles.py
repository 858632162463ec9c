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
    quantiles, moments = np.empty((values.shape[0], probabilities.size)), np.empty((0, 2))
    _summaries(values, weights, probabilities, np.empty(0), 0, _NO_NODES, quantiles, moments)
    return quantiles


def weighted_summaries(
    values: Floats,
    weights: Floats,
    *,
    probabilities: Floats,
    spread: Floats,
    n_spread: int,
    nodes: tuple[float, float, float],
) -> tuple[Floats, Floats]:
    """Return quantiles, and mean and standard deviation, of some quantities.

    Parameters
    ----------
    values : (n_row, n_sample)
        Finite samples of each quantity.
    weights : (n_sample,)
        Positive weights, in any normalisation [1].
    probabilities : (n_quantile,)
        Probabilities, above 0 and at most 1 [1].
    spread : (n_sample,)
        Half-width of a sample of the first quantities, not negative.
    n_spread : int
        How many quantities it is that of: their quantiles are those of three nodes for each
        sample: itself less ``spread``, itself, itself plus ``spread``.
    nodes : (float, float, float)
        Shares of the weight that the nodes have.

    Returns
    -------
    quantiles : (n_row, n_quantile)
        As of `weighted_quantiles`.
    moments : (n_row, 2)
        Mean, and standard deviation of the samples without spread.
    """
    quantiles = np.empty((values.shape[0], probabilities.size))
    moments = np.empty((values.shape[0], 2))
    _summaries(values, weights, probabilities, spread, n_spread, nodes, quantiles, moments)
    return quantiles, moments


_NO_NODES = (0.0, 1.0, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _summaries(
    values: Floats,
    weights: Floats,
    probabilities: Floats,
    spread: Floats,
    n_spread: int,
    nodes: tuple[float, float, float],
    quantiles: Floats,
    moments: Floats,
) -> None:
    """Fill quantiles of all rows, and their moments where there is room for them."""
    n_row, n = values.shape
    split, thrice = np.empty(3 * n if n_spread else 0), np.empty(3 * n if n_spread else 0)
    bucket = np.empty(max(split.size, n), np.int16)
    filled = np.empty(_N_BUCKET)
    if n_spread:
        for k in range(3):
            thrice[k * n : (k + 1) * n] = nodes[k] * weights
    for i in range(n_row):
        if moments.size:
            _moments(values[i], weights, moments[i])
        if i < n_spread:
            for j in range(n):
                split[j] = values[i, j] - spread[j]
                split[n + j] = values[i, j]
                split[2 * n + j] = values[i, j] + spread[j]
            _quantiles(split, thrice, probabilities, bucket, filled, quantiles[i])
        else:
            _quantiles(values[i], weights, probabilities, bucket[:n], filled, quantiles[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _quantiles(
    values: Floats,
    weights: Floats,
    probabilities: Floats,
    bucket: NDArray[np.int16],
    filled: Floats,
    result: Floats,
) -> None:
    """Fill ``result``; see `weighted_quantiles`. ``bucket`` and ``filled`` are overwritten."""
    low, high = _range(values, weights)
    if not np.isfinite(low):
        result[:] = np.nan
        return
    # A range too small to divide by, or too large to hold, is one step.
    steps = (_N_BUCKET - 1) / (high - low) if high > low else 0.0
    if not np.isfinite(steps):
        steps = 0.0
    filled[:] = 0.0
    _assign(values, weights, low, steps, bucket)
    for j in range(values.size):
        filled[max(bucket[j], 0)] += weights[j]
    total, last = filled.sum(), _N_BUCKET - 1
    while filled[last] == 0.0:
        last -= 1
    members, of = np.empty(0, np.int64), -1
    below, b = 0.0, 0
    for i in range(probabilities.size):
        target = probabilities[i] * total
        if i > 0 and probabilities[i] < probabilities[i - 1]:
            below, b = 0.0, 0
        while b < last and below + filled[b] < target:
            below += filled[b]
            b += 1
        if b != of:
            members, of = _members(bucket, b), b
        result[i] = values[_first_at(values, weights, members, target - below)]


@njit(cache=True, nogil=True, error_model="numpy")
def _assign(
    values: Floats, weights: Floats, low: float, steps: float, bucket: NDArray[np.int16]
) -> None:
    """Fill the step that each value is in; -1 where it has no weight."""
    for j in range(values.size):
        step = np.int16((values[j] - low) * steps) if steps > 0.0 else np.int16(0)
        bucket[j] = step if weights[j] > 0.0 else np.int16(-1)


@njit(cache=True, nogil=True, error_model="numpy")
def _members(bucket: NDArray[np.int16], wanted: int) -> NDArray[np.int64]:
    """Return which values are in a step."""
    n, single = np.int32(0), np.int16(wanted)
    for j in range(bucket.size):
        n += np.int32(bucket[j] == single)
    members, k = np.empty(n, np.int64), 0
    for j in range(bucket.size):
        if bucket[j] == single:
            members[k] = j
            k += 1
            if k == n:
                break
    return members


@njit(cache=True, nogil=True, error_model="numpy")
def _range(values: Floats, weights: Floats) -> tuple[float, float]:
    """Return the smallest and largest value of positive weight; NaN where there is none."""
    low, high, odd = np.inf, -np.inf, 0
    for j in range(values.size):
        counts = weights[j] > 0.0
        odd += int(counts & ~(abs(values[j]) < np.inf))
        low = min(low, values[j] if counts else np.inf)
        high = max(high, values[j] if counts else -np.inf)
    return (low, high) if low <= high and odd == 0 else (np.nan, np.nan)


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


# Free to reorder sums, so that they are vector sums; the order is the same in every call.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _moments(values: Floats, weights: Floats, result: Floats) -> None:
    """Write mean and standard deviation."""
    total, first = 0.0, 0.0
    for j in range(values.size):
        total += weights[j]
        first += weights[j] * values[j]
    mean, second = first / total, 0.0
    for j in range(values.size):
        off = values[j] - mean
        second += weights[j] * (off * off)
    result[0], result[1] = mean, np.sqrt(second / total)


@njit(cache=True, nogil=True, error_model="numpy")
def shares_beyond(values: Floats, weights: Floats, edges: Floats) -> Floats:
    """Return the shares of the weight below and above two values, of each of some rows.

    Parameters
    ----------
    values : (n_row, n_sample)
        Samples of each quantity.
    weights : (n_sample,)
        Positive weights [1].
    edges : (n_row, 2)
        The two values; NaN: the shares are NaN.

    Returns
    -------
    shares : (n_row, 2)
    """
    shares = np.full((values.shape[0], 2), np.nan)
    for i in range(values.shape[0]):
        low, high = edges[i]
        if low < high:
            shares[i] = _beyond(values[i], weights, low, high)
    return shares


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _beyond(values: Floats, weights: Floats, low: float, high: float) -> tuple[float, float]:
    """Return the shares of the weight below and above two values."""
    total, below, above = 0.0, 0.0, 0.0
    for j in range(values.size):
        total += weights[j]
        below += weights[j] if values[j] < low else 0.0
        above += weights[j] if values[j] > high else 0.0
    return below / total, above / total
