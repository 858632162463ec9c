"""The law of chi-square where noise is Student's t: of sums of squares with heavy tails."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import chdtrc, stdtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ENDS, _N_SUM = (1e-8, 1e10), 400
"""Sums that chances are tabulated at, evenly in the logarithm; beyond, one term decides."""

_EDGES = np.concatenate([[0.0], np.geomspace(1e-9, 0.5, 27)])
"""Cells of the last term's root as a part of the sum's, from either end: noise is of the order of
one and sums up to 1e10, and so is what is left for the other terms."""

_LEAST = 1e-304


def chance_of_squares(total: Floats, *, n: int, dof: float) -> Floats:
    """Return the probability of a sum of squares of noise as great as each, or greater.

    Parameters
    ----------
    total : (...) float64
        Sums [1], not negative; infinite ones have a chance of 0, NaN stays.
    n : int
        Independent terms, at least one.
    dof : float
        Degrees of freedom of Student's t that the noise has, in units of its scale; infinite: a
        Gaussian, whose sums are chi-square.

    Notes
    -----
    Each term is added by a quadrature of P(S_n > x) = P(t^2 > x) + the mean over t^2 < x of
    P(S_n-1 > x - t^2), good to 0.3 per cent of the chance. Far out a sum of heavy tails is as
    great as its greatest term (Embrechts, Klueppelberg & Mikosch 1997, Modelling Extremal Events,
    section 1.3).
    """
    if math.isinf(dof):
        return np.asarray(chdtrc(n, total))
    inside = np.clip(total, *_ENDS)
    found = np.exp(_ln_chance(n, dof)(np.log(inside)))
    one, of_inside = (_of_one(each, dof) for each in (np.maximum(total, _ENDS[0]), inside))
    found = np.where(total > _ENDS[1], found * one / of_inside, found)
    return np.asarray(np.where(np.isinf(total), 0.0, found))


def _of_one(square: Floats, dof: float) -> Floats:
    """Return the probability that one square is greater, and no less than can be divided by."""
    return np.asarray(np.maximum(2 * stdtr(dof, -np.sqrt(square)), _LEAST))


@lru_cache(maxsize=256)
def _ln_chance(n: int, dof: float) -> PchipInterpolator:
    """Return ln of the chance of sums of ``n`` terms, of ln of the sum."""
    ln_sum = np.linspace(math.log(_ENDS[0]), math.log(_ENDS[1]), _N_SUM)
    total = np.exp(ln_sum)
    chance = _of_one(total, dof)
    if n > 1:
        fewer = _ln_chance(n - 1, dof)
        root, left, weight = _nodes()
        t = np.sqrt(total)[:, None] * root
        rest = np.clip(np.log(total)[:, None] + np.log(left), *np.log(_ENDS))
        # of t of either sign
        inside = 2 * _density(t, dof) * np.exp(fewer(rest))
        chance = chance + np.sqrt(total) * np.sum(inside * weight, axis=1)
    return PchipInterpolator(ln_sum, np.log(np.clip(chance, _LEAST, 1.0)))


def _nodes() -> tuple[Floats, Floats, Floats]:
    """Return where in [0, 1] the last term's root is, one less its square, and weights."""
    x, w = np.polynomial.legendre.leggauss(5)
    low, high = _EDGES[:-1, None], _EDGES[1:, None]
    near = (0.5 * (low + high + (high - low) * x)).ravel()
    weight = (0.5 * (high - low) * w).ravel()
    return (
        np.concatenate([near, 1 - near]),
        np.concatenate([(1 - near) * (1 + near), near * (2 - near)]),
        np.concatenate([weight, weight]),
    )


def _density(t: Floats, dof: float) -> Floats:
    """Return the density of Student's t."""
    ln_norm = math.lgamma(0.5 * (dof + 1)) - math.lgamma(0.5 * dof) - 0.5 * math.log(dof * math.pi)
    return np.asarray(np.exp(ln_norm - 0.5 * (dof + 1) * np.log1p(t**2 / dof)))
