"""Weights of draws that come from another density than the one wanted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.likelihood import effective_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LEAST_TAIL = 5
"""Weights that a tail has at least, or its shape says nothing."""

_PRIOR_SHAPE, _PRIOR_COUNT = 0.5, 10.0
"""Shape that a tail is believed to have, and for how many weights that belief counts (Vehtari et
al. 2024, appendix G)."""


class Weights(NamedTuple):
    """Weights of the draws of one posterior.

    Attributes
    ----------
    share : (n,) float64
        Weights that add up to 1; all 0 where no draw has any.
    ln_mean : float
        Natural log of the mean of the weights: of the integral of the density wanted.
    n_eff : float
        Effective number of draws (Kish 1965) [1].
    tail : float
        Shape k of the generalised Pareto distribution of the greatest weights: above 0.7 an
        estimate of ``n`` draws is not to be believed; infinite where there is none [1].
    """

    share: Floats
    ln_mean: float
    n_eff: float
    tail: float


def smoothed_weights(ln_weight: Floats) -> Weights:
    """Return weights whose greatest are smoothed, so that no single draw decides.

    Parameters
    ----------
    ln_weight : (n,) float64
        Natural log of the density wanted over that of the draws; -inf: none. NaN counts as none.

    Returns
    -------
    weights : Weights
        Each value follows from these draws alone, to the last bit.

    Notes
    -----
    Pareto smoothed importance sampling (Vehtari, Simpson, Gelman, Yao & Gabry 2024, JMLR 25, 72):
    the ``min(n / 5, 3 sqrt(n))`` greatest weights are replaced by quantiles of the generalised
    Pareto distribution that fits them, none above the greatest. The fit is that of Zhang &
    Stephens 2009 (Technometrics 51, 316).
    """
    share = np.empty(ln_weight.size)
    known = np.where(np.isnan(ln_weight), -np.inf, ln_weight)
    ln_mean, n_eff, tail = _smoothed(known, share)
    return Weights(share, ln_mean, n_eff, tail)


def evened_out(ln_weight: Floats, *, n_eff: float, factor: float) -> Floats:
    """Return weights raised to a power at which enough of them count.

    Parameters
    ----------
    ln_weight : (n,) float64
        Natural log of weights in any normalisation, one of them finite; -inf: none.
    n_eff : float
        Effective number wanted (Kish 1965), at least; half of the weights that are any, where this
        is less [1].
    factor : float
        Below 1: the power is the greatest of 1, ``factor``, ``factor^2``, ... that will do [1].

    Returns
    -------
    weight : (n,) float64
        The greatest is 1.
    """
    ln_weight = ln_weight - np.max(ln_weight)
    wanted = min(n_eff, 0.5 * np.count_nonzero(np.isfinite(ln_weight)))
    weight = np.exp(ln_weight)
    while effective_number(weight) < wanted:
        ln_weight = factor * ln_weight
        weight = np.exp(ln_weight)
    return np.asarray(weight)


@njit(cache=True, nogil=True, error_model="numpy")
def _smoothed(ln_weight: Floats, share: Floats) -> tuple[float, float, float]:
    """Fill ``share``; return ln of the mean weight, the effective number, the tail's shape."""
    n = ln_weight.size
    top = -math.inf
    for i in range(n):
        top = max(top, ln_weight[i])
    if not math.isfinite(top):
        share[:] = 0.0
        return -math.inf, 0.0, math.inf
    for i in range(n):
        share[i] = math.exp(ln_weight[i] - top) if ln_weight[i] > -math.inf else 0.0
    shape = _smooth_tail(share)
    total, square = 0.0, 0.0
    for i in range(n):
        total += share[i]
        square += share[i] * share[i]
    for i in range(n):
        share[i] /= total
    return top + math.log(total / n), total * total / square, shape


@njit(cache=True, nogil=True, error_model="numpy")
def _smooth_tail(weight: Floats) -> float:
    """Replace the greatest weights, the first of which is 1; return the shape of their tail."""
    n = weight.size
    n_tail = int(min(0.2 * n, 3.0 * math.sqrt(n)))
    if n_tail < _LEAST_TAIL:
        return math.inf
    order = np.argsort(weight, kind="mergesort")
    floor = weight[order[n - n_tail - 1]]
    beyond = np.empty(n_tail)
    for i in range(n_tail):
        beyond[i] = weight[order[n - n_tail + i]] - floor
    if beyond[n_tail // 4] <= 1e-12 * beyond[n_tail - 1]:
        # weights that are equal have no tail; where nearly all are none, it is all there is
        return -math.inf if floor > 0.5 else math.inf
    shape, scale = pareto_fit(beyond)
    for i in range(n_tail):
        chance = (i + 0.5) / n_tail
        if abs(shape) < 1e-9:
            value = -scale * math.log1p(-chance)
        else:
            value = scale * math.expm1(-shape * math.log1p(-chance)) / shape
        weight[order[n - n_tail + i]] = min(floor + value, 1.0)
    return shape


@njit(cache=True, nogil=True, error_model="numpy")
def pareto_fit(values: Floats) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto distribution of some values.

    Parameters
    ----------
    values : (n,) float64
        Positive, in increasing order.

    Returns
    -------
    shape, scale : float
        The distribution function is ``1 - (1 + shape x / scale)^(-1 / shape)``.

    Notes
    -----
    Zhang & Stephens 2009, section 3; the shape is drawn to 0.5 as in Vehtari et al. 2024.
    """
    n = values.size
    n_grid = 30 + int(math.sqrt(n))
    quarter = values[int(n / 4 + 0.5) - 1]
    if quarter <= 0.0:
        quarter = values[n - 1] / n
    slope, ln_profile = np.empty(n_grid), np.empty(n_grid)
    top = -math.inf
    for j in range(n_grid):
        slope[j] = 1.0 / values[n - 1] + (1.0 - math.sqrt(n_grid / (j + 0.5))) / (3.0 * quarter)
        shape = _mean_log(values, slope[j])
        # as slope nears 0 so does the shape, and their ratio is that of an exponential
        ratio = -slope[j] / shape if shape != 0.0 else n / values.sum()
        ln_profile[j] = n * (math.log(ratio) - shape - 1.0)
        top = max(top, ln_profile[j])
    total, mean = 0.0, 0.0
    for j in range(n_grid):
        chance = math.exp(ln_profile[j] - top)
        total += chance
        mean += chance * slope[j]
    mean /= total
    shape = _mean_log(values, mean)
    scale = -shape / mean
    shape = (n * shape + _PRIOR_COUNT * _PRIOR_SHAPE) / (n + _PRIOR_COUNT)
    return shape, scale


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_log(values: Floats, slope: float) -> float:
    """Return the mean of ln(1 - slope x)."""
    total = 0.0
    for i in range(values.size):
        total += math.log1p(-slope * values[i])
    return total / values.size
