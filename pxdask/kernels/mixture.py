"""Mixtures of Gaussians fitted to samples, and of Student's t drawn from, with their densities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_RIDGE = 1e-4
"""Part of the variance of all samples that is added to that of every component, so that one of
few samples keeps a width [1]."""

_FIRST = 0.05
"""Covariance that a component has without samples, in units of that of all [1]."""

_LN_NONE = -12.0
"""A sample whose density under a component is less than this times the largest is not its own."""

_NEVER_EMPTY = 1e-6
"""Share that a component keeps even where no sample is its own [1]."""


_BLOCK = 64
"""Points worked on side by side."""

_N_BEFORE = 2
"""Samples that the first covariance of a component counts for [1]."""


class Mixture(NamedTuple):
    """Components of a density.

    Attributes
    ----------
    share : (n_component,) float64
        Weights; they add up to one.
    mean : (n_component, n_dim) float64
        Centres.
    root : (n_component, n_dim, n_dim) float64
        Lower triangular (Cholesky) square roots of the scale matrices.
    """

    share: Floats
    mean: Floats
    root: Floats


def fit_mixture(
    samples: Floats, *, n_component: int, n_round: int, rng: np.random.Generator
) -> Mixture:
    """Return a mixture of Gaussians that samples are likely to come from.

    Parameters
    ----------
    samples : (n_sample, n_dim) float64
        Finite; ``n_sample >= n_component``.
    n_component : int
        Gaussians.
    n_round : int
        Rounds of expectation and maximisation.
    rng : numpy.random.Generator
        Chooses the samples that components start at.

    Returns
    -------
    mixture : Mixture

    Notes
    -----
    Expectation maximisation: Dempster, Laird & Rubin 1977 (J. R. Stat. Soc. B 39, 1), begun with
    the samples nearest to each of some, in units of the deviations of all.
    """
    n_sample, n_dim = samples.shape
    whole = np.cov(samples.T).reshape(n_dim, n_dim)
    ridge = np.diag(_RIDGE * np.diag(whole) + np.finfo(np.float64).tiny ** 0.5)
    first = rng.choice(n_sample, size=n_component, replace=False)
    nearest = _nearest(samples, samples[first], 1 / np.sqrt(np.diag(ridge)))
    share, mean = np.empty(n_component), samples[first]
    covariance = np.empty((n_component, n_dim, n_dim))
    for k in range(n_component):
        own = samples[nearest == k]
        share[k] = max(len(own), 1) / n_sample
        mean[k] = own.mean(axis=0) if len(own) else mean[k]
        square = (own - mean[k]).T @ (own - mean[k])
        covariance[k] = (square + _N_BEFORE * _FIRST * whole) / (len(own) + _N_BEFORE)
    mixture = Mixture(share / share.sum(), mean, _root(covariance + ridge))
    return _maximised(mixture, samples, ridge, n_round)


def _maximised(mixture: Mixture, samples: Floats, ridge: Floats, n_round: int) -> Mixture:
    """Return a mixture after rounds of expectation and maximisation."""
    share, mean, root = mixture
    for _ in range(n_round):
        total, first, second = _moments(samples, share, mean, root)
        share = total / total.sum()
        step = first / total[:, None]
        lower = second / total[:, None, None] - step[:, :, None] * step[:, None, :]
        mean = mean + step
        # the root looks at the lower triangle alone
        root = _root(lower + ridge)
    return Mixture(share, mean, root)


def _root(covariance: Floats) -> Floats:
    """Return the lower triangular root (..., n_dim, n_dim)."""
    return np.asarray(np.linalg.cholesky(covariance), np.float64)


def draw_t(
    mixture: Mixture, uniform: Floats, normal: Floats, chi2: Floats, *, dof: float
) -> Floats:
    """Return draws from a mixture of Student's t, made of given random numbers.

    Parameters
    ----------
    mixture : Mixture
        Components.
    uniform : (n,) float64
        In [0, 1): choose the component.
    normal : (n, n_dim) float64
        Standard normal.
    chi2 : (n,) float64
        From the chi-square distribution of ``dof`` degrees of freedom.
    dof : float
        Of every component.

    Returns
    -------
    points : (n, n_dim) float64
        With the density `ln_t`.
    """
    return np.asarray(_draw_t(*mixture, uniform, normal, np.sqrt(dof / chi2)))


def ln_t(mixture: Mixture, points: Floats, *, dof: float) -> Floats:
    """Return the natural log of the density (n,) of a mixture of Student's t.

    Parameters
    ----------
    mixture : Mixture
        Components.
    points : (n, n_dim) float64
        Where.
    dof : float
        Degrees of freedom of every component.

    Notes
    -----
    Multivariate t: Kotz & Nadarajah 2004, equation 1.1.
    """
    return np.asarray(_ln_t(points, *mixture, float(dof)))


def step_within(
    mixture: Mixture, points: Floats, uniform: Floats, normal: Floats, *, size: Floats, dof: float
) -> tuple[Floats, Floats]:
    """Return steps of the shape of the component that each point belongs to.

    Parameters
    ----------
    mixture : Mixture
        Components, of Student's t.
    points : (n, n_dim) float64
        Where from.
    uniform : (n,) float64
        In [0, 1): choose the component, by the probability that the point is its own.
    normal : (n, n_dim) float64
        Standard normal.
    size : (n,) float64
        Factors on the component's root.
    dof : float
        Degrees of freedom of every component.

    Returns
    -------
    proposed : (n, n_dim) float64
        Where to.
    ln_ratio : (n,) float64
        Natural log of the probability of the component there over that here, which the acceptance
        owes; the step itself is as likely as its inverse.
    """
    return _step_within(*mixture, points, uniform, normal, size, float(dof))


@njit(cache=True, nogil=True, error_model="numpy")
def _step_within(
    share: Floats,
    mean: Floats,
    root: Floats,
    points: Floats,
    uniform: Floats,
    normal: Floats,
    size: Floats,
    dof: float,
) -> tuple[Floats, Floats]:
    """Return proposals, and what they owe."""
    n, n_dim = points.shape
    ln_norm = _ln_norms(share, root)
    norm = np.exp(ln_norm - np.max(ln_norm))
    out, ln_ratio = np.empty((n, n_dim)), np.empty(n)
    inverse, each = _inverses(root), np.empty(share.size)
    for p in range(n):
        _t_terms(points[p], mean, inverse, norm, dof, each)
        total = np.sum(each)
        k, left = 0, uniform[p] * total - each[0]
        while k < share.size - 1 and left >= 0.0:
            k += 1
            left -= each[k]
        ln_here = math.log(each[k] / total)
        for i in range(n_dim):
            step = 0.0
            for j in range(i + 1):
                step += root[k, i, j] * normal[p, j]
            out[p, i] = points[p, i] + size[p] * step
        _t_terms(out[p], mean, inverse, norm, dof, each)
        ln_ratio[p] = math.log(each[k] / np.sum(each)) - ln_here
    return out, ln_ratio


@njit(cache=True, error_model="numpy")
def _t_terms(
    point: Floats, mean: Floats, inverse: Floats, norm: Floats, dof: float, each: Floats
) -> None:
    """Put the densities of t components into ``each``, but for a constant."""
    twice = dof + point.size
    whole = int(twice)
    if whole == twice:
        # a root of a whole power costs a quarter of logarithm and exponential
        for k in range(each.size):
            near = 1.0 + _square(point, mean[k], inverse[k]) / dof
            each[k] = norm[k] / math.sqrt(near**whole)
    else:
        for k in range(each.size):
            near = 1.0 + _square(point, mean[k], inverse[k]) / dof
            each[k] = norm[k] * near ** (-0.5 * twice)


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_t(
    share: Floats, mean: Floats, root: Floats, uniform: Floats, normal: Floats, stretch: Floats
) -> Floats:
    """Return draws; loops, so that a draw's bits do not depend on the others."""
    n, n_dim = normal.shape
    out = np.empty((n, n_dim))
    for p in range(n):
        k, reached = 0, share[0]
        while k < share.size - 1 and uniform[p] >= reached:
            k += 1
            reached += share[k]
        for i in range(n_dim):
            total = 0.0
            for j in range(i + 1):
                total += root[k, i, j] * normal[p, j]
            out[p, i] = mean[k, i] + stretch[p] * total
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _ln_t(points: Floats, share: Floats, mean: Floats, root: Floats, dof: float) -> Floats:
    """Return ln densities of t mixtures."""
    n, n_dim = points.shape
    n_component = share.size
    power = 0.5 * (dof + n_dim)
    constant = math.lgamma(power) - math.lgamma(0.5 * dof) - 0.5 * n_dim * math.log(dof * math.pi)
    ln_norm = constant + _ln_norms(share, root)
    inverse, out = _inverses(root), np.empty(n)
    top = np.max(ln_norm)
    norm = np.exp(ln_norm - top)
    at, square, total = np.empty((n_dim, _BLOCK)), np.empty(_BLOCK), np.empty(_BLOCK)
    for first in range(0, n, _BLOCK):
        size = min(_BLOCK, n - first)
        _transpose(points[first : first + size], at)
        total[:] = 0.0
        for k in range(n_component):
            _squares(at, mean[k], inverse[k], square)
            _add_t(square, norm[k], dof, n_dim, total)
        for p in range(size):
            out[first + p] = top + math.log(total[p])
    return out


@njit(cache=True, error_model="numpy")
def _transpose(points: Floats, at: Floats) -> None:
    """Put points (n, n_dim) into the columns of ``at``; in those left over, the first."""
    for i in range(at.shape[0]):
        for p in range(at.shape[1]):
            at[i, p] = points[p if p < points.shape[0] else 0, i]


@njit(cache=True, error_model="numpy")
def _squares(at: Floats, mean: Floats, inverse: Floats, square: Floats) -> None:
    """Put squared Mahalanobis distances of the columns of ``at`` into ``square``."""
    n_dim = at.shape[0]
    square[:] = 0.0
    apart = np.empty(_BLOCK)
    for i in range(n_dim):
        apart[:] = 0.0
        for j in range(i + 1):
            factor, centre, row = inverse[i, j], mean[j], at[j]
            for p in range(_BLOCK):
                apart[p] += factor * (row[p] - centre)
        for p in range(_BLOCK):
            square[p] += apart[p] * apart[p]


@njit(cache=True, error_model="numpy")
def _add_t(square: Floats, norm: float, dof: float, n_dim: int, total: Floats) -> None:
    """Add the density of a t component, but for a constant, at squared distances."""
    twice = dof + n_dim
    whole = int(twice)
    if whole != twice:
        for p in range(_BLOCK):
            total[p] += norm * (1.0 + square[p] / dof) ** (-0.5 * twice)
        return
    # a root of a whole power costs a quarter of logarithm and exponential
    per_dof, power, base = 1.0 / dof, np.ones(_BLOCK), np.empty(_BLOCK)
    for p in range(_BLOCK):
        base[p] = 1.0 + square[p] * per_dof
    while whole > 0:
        if whole & 1:
            for p in range(_BLOCK):
                power[p] *= base[p]
        whole >>= 1
        if whole > 0:
            for p in range(_BLOCK):
                base[p] *= base[p]
    for p in range(_BLOCK):
        total[p] += norm / math.sqrt(power[p])


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(
    samples: Floats, share: Floats, mean: Floats, root: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return number and sums of steps from the means, and of their products, by membership.

    Of the products only the lower triangle.
    """
    n_sample, n_dim = samples.shape
    n_component = share.size
    ln_norm = _ln_norms(share, root)
    inverse = _inverses(root)
    at, each = np.empty((n_dim, _BLOCK)), np.empty((n_component, _BLOCK))
    total = np.full(n_component, _NEVER_EMPTY)
    first = np.zeros((n_component, n_dim))
    second = np.zeros((n_component, n_dim, n_dim))
    for start in range(0, n_sample, _BLOCK):
        size = min(_BLOCK, n_sample - start)
        _transpose(samples[start : start + size], at)
        for k in range(n_component):
            _squares(at, mean[k], inverse[k], each[k])
        for p in range(size):
            _memberships(each, ln_norm, p)
        for k in range(n_component):
            for p in range(size):
                weight = each[k, p]
                if weight == 0.0:
                    continue
                total[k] += weight
                for i in range(n_dim):
                    part = weight * (at[i, p] - mean[k, i])
                    first[k, i] += part
                    for j in range(i + 1):
                        second[k, i, j] += part * (at[j, p] - mean[k, j])
    return total, first, second


@njit(cache=True, error_model="numpy")
def _memberships(each: Floats, ln_norm: Floats, p: int) -> None:
    """Turn squared distances of a point into the probabilities that it is of each component."""
    top = -math.inf
    for k in range(ln_norm.size):
        each[k, p] = ln_norm[k] - 0.5 * each[k, p]
        top = max(top, each[k, p])
    norm = 0.0
    for k in range(ln_norm.size):
        each[k, p] = math.exp(each[k, p] - top) if each[k, p] > top + _LN_NONE else 0.0
        norm += each[k, p]
    for k in range(ln_norm.size):
        each[k, p] /= norm


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest(samples: Floats, centres: Floats, scale: Floats) -> NDArray[np.int64]:
    """Return the centre nearest to each sample."""
    out = np.zeros(samples.shape[0], np.int64)
    for p in range(samples.shape[0]):
        least = math.inf
        for k in range(centres.shape[0]):
            square = 0.0
            for i in range(scale.size):
                square += (scale[i] * (samples[p, i] - centres[k, i])) ** 2
            if square < least:
                least, out[p] = square, k
    return out


@njit(cache=True, error_model="numpy")
def _ln_norms(share: Floats, root: Floats) -> Floats:
    """Return ln of share over the determinant of the root, of each component."""
    out = np.log(share)
    for k in range(share.size):
        for i in range(root.shape[1]):
            out[k] -= math.log(root[k, i, i])
    return out


@njit(cache=True, error_model="numpy")
def _inverses(root: Floats) -> Floats:
    """Return the inverses of lower triangular matrices, by forward substitution."""
    n_component, n_dim = root.shape[:2]
    out = np.zeros_like(root)
    for k in range(n_component):
        for j in range(n_dim):
            out[k, j, j] = 1.0 / root[k, j, j]
            for i in range(j + 1, n_dim):
                total = 0.0
                for m in range(j, i):
                    total -= root[k, i, m] * out[k, m, j]
                out[k, i, j] = total / root[k, i, i]
    return out


@njit(cache=True, error_model="numpy")
def _square(point: Floats, mean: Floats, inverse: Floats) -> float:
    """Return the squared Mahalanobis distance, by the inverse of the root."""
    total = 0.0
    for i in range(point.size):
        apart = 0.0
        for j in range(i + 1):
            apart += inverse[i, j] * (point[j] - mean[j])
        total += apart * apart
    return total
