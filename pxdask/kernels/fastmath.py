"""Exponential and logarithm that compilers turn into vector instructions.

The C library's functions are called once a number and stop numba's vectoriser; these are
plain arithmetic on bits, five to ten times faster inside loops over arrays.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.693147180369123816490
_LN2_LOW = 1.90821492927058770002e-10
"""Natural logarithm of 2 in two parts, the first exact in 32 bits."""
_ROUND = 6755399441055744.0
"""1.5 * 2**52: adding it rounds a float64 to an integer held in its low bits."""
_TWO52 = 4503599627370496.0
_TWO52_BITS = np.int64(0x4330000000000000)
_MANTISSA = np.int64(0x000FFFFFFFFFFFFF)
_ONE_BITS = np.int64(0x3FF0000000000000)
_SQRT2 = 1.4142135623730951
_ROUND_SINGLE = np.float32(12582912.0)
"""1.5 * 2**23: as `_ROUND`, for float32."""
_LN2_HIGH_SINGLE = np.float32(0.693359375)
_LN2_LOW_SINGLE = np.float32(-2.12194440e-4)
_LN2_SINGLE = np.float32(0.6931472)
_MANTISSA_SINGLE = np.int32(0x007FFFFF)
_ROOT_HALF_BITS_SINGLE = np.int32(0x3F3504F3)
_ONE_BITS_SINGLE = np.int32(0x3F800000)
_OWN = {"contract"}
"""Flags of these functions, whoever calls them. A function without any, or one that numba itself
inlines, takes those of its caller; were that free to reorder sums, the number that is added and
subtracted to round would vanish. LLVM inlines them all the same."""


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def exp(x: float) -> float:
    """Return e**x to 1e-11, relative, for -708 < x < 709; clamped outside; NaN not kept.

    Notes
    -----
    ``x = n ln 2 + r`` with ``|r| <= ln 2 / 2``; Taylor series of degree 9 in r, whose first
    omitted term is 7e-12.
    """
    x = min(max(x, -708.0), 709.0)
    shifted = x * _LOG2_E + _ROUND
    n = shifted - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = 1 / 40320 + r * (1 / 362880)
    series = 1 / 5040 + r * series
    series = 1 / 720 + r * series
    series = 1 / 120 + r * series
    series = 1 / 24 + r * series
    series = 1 / 6 + r * series
    series = 0.5 + r * series
    series = 1 + r * (1 + r * series)
    power = (np.float64(shifted).view(np.int64) << np.int64(52)) + _ONE_BITS
    return series * np.int64(power).view(np.float64)


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def log(x: float) -> float:
    """Return ln(x) to 1e-12, absolute, for normal positive x; no meaning elsewhere.

    Notes
    -----
    ``x = 2**n m`` with m between sqrt(1/2) and sqrt(2), and
    ``ln m = 2 artanh((m - 1) / (m + 1))`` by its series to the thirteenth power.
    """
    bits = np.float64(x).view(np.int64)
    m = np.int64((bits & _MANTISSA) | _ONE_BITS).view(np.float64)
    n = np.int64((bits >> np.int64(52)) | _TWO52_BITS).view(np.float64) - (_TWO52 + 1023.0)
    large = m > _SQRT2
    m = 0.5 * m if large else m
    n = n + 1.0 if large else n
    s = (m - 1) / (m + 1)
    q = s * s
    series = 1 / 11 + q * (1 / 13)
    series = 1 / 9 + q * series
    series = 1 / 7 + q * series
    series = 1 / 5 + q * series
    series = 1 / 3 + q * series
    return n * _LN2_HIGH + (n * _LN2_LOW + 2 * s * (1 + q * series))


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def exp_single(x: np.float32) -> np.float32:
    """Return e**x to 3e-7, relative, for -87 < x < 88; clamped outside; NaN not kept.

    Notes
    -----
    As `exp`, in single precision: twice the numbers in a vector register. The Taylor series
    stops at degree 6, whose first omitted term is 1.2e-7.
    """
    x = min(max(np.float32(x), np.float32(-87.0)), np.float32(88.0))
    shifted = x * np.float32(1.44269504) + _ROUND_SINGLE
    n = shifted - _ROUND_SINGLE
    r = (x - n * _LN2_HIGH_SINGLE) - n * _LN2_LOW_SINGLE
    series = np.float32(1 / 120) + r * np.float32(1 / 720)
    series = np.float32(1 / 24) + r * series
    series = np.float32(1 / 6) + r * series
    series = np.float32(0.5) + r * series
    series = np.float32(1) + r * (np.float32(1) + r * series)
    power = (np.float32(shifted).view(np.int32) << np.int32(23)) + _ONE_BITS_SINGLE
    return series * np.int32(power).view(np.float32)


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def log_single(x: np.float32) -> np.float32:
    """Return ln(x) to 2e-7, absolute near one, for normal positive x; no meaning elsewhere.

    Notes
    -----
    ``x = 2**n m`` with m between sqrt(1/2) and sqrt(2), and a polynomial of degree 9 in m - 1,
    whose coefficients are those of Cephes's logf (Moshier 1989): no division, which takes as long
    as all the rest.
    """
    bits = np.float32(x).view(np.int32)
    shifted = np.int32(bits - _ROOT_HALF_BITS_SINGLE)  # sums of two int32 are int64 to numba
    n = np.float32(np.int32(shifted >> np.int32(23)))
    m = np.int32((shifted & _MANTISSA_SINGLE) + _ROOT_HALF_BITS_SINGLE).view(np.float32)
    s = m - np.float32(1)
    q = s * s
    series = np.float32(-1.1514610310e-1) + s * np.float32(7.0376836292e-2)
    series = np.float32(1.1676998740e-1) + s * series
    series = np.float32(-1.2420140846e-1) + s * series
    series = np.float32(1.4249322787e-1) + s * series
    series = np.float32(-1.6668057665e-1) + s * series
    series = np.float32(2.0000714765e-1) + s * series
    series = np.float32(-2.4999993993e-1) + s * series
    series = np.float32(3.3333331174e-1) + s * series
    return n * _LN2_SINGLE + (s + q * (s * series - np.float32(0.5)))
