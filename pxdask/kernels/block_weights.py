"""Weights and amplitudes of a block of models, by vector instructions of single precision."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp_single, log_single

if TYPE_CHECKING:
    from pxdask.kernels.rdsps import Singles

_FAR = np.float32(1e30)
_ALL_BUT_SIGN = np.int32(0x7FFFFFFF)
_ROOT_BITS = np.int32(0x5F375A86)
_LOG10_E = np.float32(math.log10(math.e))
_FAST = {"contract", "reassoc", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST | {"nnan"})
def weights_of_costs(
    cost: Singles, cross: Singles, best: np.float32, depth: np.float32
) -> tuple[np.float32, np.float32, np.int32]:
    """Replace costs by weights; return their sum, that of their squares, the greatest's bits."""
    _exponentials(cost, cross, best, depth)
    total, squares = np.float32(0), np.float32(0)
    for j in range(cost.size):
        total += cost[j]
        squares += cost[j] * cost[j]
    # numbers that are not negative are in the order of their bits, and compilers know how to
    # find the greatest integer
    bits, most = cost.view(np.int32), np.int32(0)
    for j in range(bits.size):
        most = max(most, bits[j])
    return total, squares, np.int32(most)


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
def amplitudes(
    cross: Singles, square: Singles, node: np.float32, log_scale: Singles, spread: Singles
) -> None:
    """Fill log10 of amplitudes, and how far the outer nodes are from them [dex]."""
    for j in range(log_scale.size):
        a = max(cross[j], np.float32(1e-30))
        scale = a / square[j]
        log_scale[j] = _LOG10_E * log_single(scale)
        relative = _inverse_root(scale * a)
        spread[j] = _LOG10_E * log_single(np.float32(1) + node * relative)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _inverse_root(x: np.float32) -> np.float32:
    """Return x**-0.5 to 5e-6, relative, for normal positive x; finite where it is zero.

    Notes
    -----
    Halving the exponent gives it to 3 per cent, and two of Newton's steps the rest, in less time
    than a root and a division take (Lomont 2003, Fast inverse square root).
    """
    bits = np.int32(_ROOT_BITS - np.int32(np.float32(x).view(np.int32) >> np.int32(1)))
    y = np.int32(bits).view(np.float32)
    half = np.float32(0.5) * x
    y *= np.float32(1.5) - half * y * y
    return y * (np.float32(1.5) - half * y * y)


@njit(cache=True, nogil=True, error_model="numpy")
def ends_of_spread(
    weight: Singles, value: Singles, spread: Singles
) -> tuple[np.float32, np.float32]:
    """Return the least and the greatest value at the outer nodes, of models that count."""
    low, high = _in_order(_FAR), _in_order(-_FAR)
    for j in range(weight.size):
        near, beyond = value[j] - spread[j], value[j] + spread[j]  # first: no branch is left
        counts = weight[j] > np.float32(0)
        low = min(low, _in_order(near if counts else _FAR))
        high = max(high, _in_order(beyond if counts else -_FAR))
    return _of_order(low), _of_order(high)


# As above: compilers find the least of integers by vector instructions, not that of numbers.
@njit(cache=True, error_model="numpy")
def _in_order(x: np.float32) -> np.int32:
    """Return an integer that is the greater the greater the number is."""
    bits = np.float32(x).view(np.int32)
    return np.int32(bits ^ ((bits >> np.int32(31)) & _ALL_BUT_SIGN))


@njit(cache=True, error_model="numpy")
def _of_order(order: np.int32) -> np.float32:
    """Return the number of an `_in_order`."""
    bits = order ^ ((order >> np.int32(31)) & _ALL_BUT_SIGN)
    return np.int32(bits).view(np.float32)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def sum_of(weight: Singles) -> np.float32:
    """Return the sum of some weights."""
    total = np.float32(0)
    for j in range(weight.size):
        total += weight[j]
    return total
