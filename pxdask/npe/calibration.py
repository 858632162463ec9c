"""Whether posteriors are what they say: ranks, coverage, widths, against known truths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import kstest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_BLOCK = 256
"""Posteriors worked on at a time, so that what is in between stays in the cache."""


@dataclass(frozen=True, slots=True)
class Uniformity:
    """Kolmogorov-Smirnov tests of ranks against evenness.

    Attributes
    ----------
    distance : (n_dim,) float64
        Largest difference of cumulative distributions [1].
    p_value : (n_dim,) float64
        Probability of a larger one, were the posteriors exact [1].
    """

    distance: Floats
    p_value: Floats


@dataclass(frozen=True, slots=True)
class Tarp:
    """Coverage of all parameters jointly, by random points.

    Attributes
    ----------
    level : (n,) float64
        Credibility [1].
    covered : (n,) float64
        Share of truths within the region of that credibility [1].
    """

    level: Floats
    covered: Floats

    @property
    def deviation(self) -> float:
        """Largest difference of share and credibility [1]."""
        return float(np.max(np.abs(self.covered - self.level)))


def ranks(draws: Floats, truth: Floats, *, weights: Floats | None = None) -> Floats:
    """Return the share of each posterior that is below the truth.

    Parameters
    ----------
    draws : (n_sed, n_draw, n_dim)
        Of the posteriors.
    truth : (n_sed, n_dim)
        Parameters that the data were made of.
    weights : (n_sed, n_draw), optional
        Of the draws, in any normalisation of each row; default: equal.

    Returns
    -------
    rank : (n_sed, n_dim) float64
        Even between 0 and 1 where posteriors are exact and truths come from the prior; a draw
        that equals the truth counts half.

    Notes
    -----
    Source: simulation-based calibration, Talts et al. 2018 (arXiv 1804.06788).
    """
    found = np.empty(truth.shape)
    for first in range(0, len(truth), _BLOCK):
        rows = slice(first, first + _BLOCK)
        at = truth[rows][:, None, :]
        below = 0.5 * ((draws[rows] < at).astype(np.float64) + (draws[rows] <= at))
        found[rows] = _mean(below, None if weights is None else weights[rows])
    return found


def sbc_ks(rank: Floats) -> Uniformity:
    """Return how far ranks are from even, of each parameter.

    Parameters
    ----------
    rank : (n_sed, n_dim)
        From `ranks`; NaN is left out.

    Notes
    -----
    Ranks of ``n_draw`` draws are multiples of their share, which adds up to ``0.5 / n_draw``
    to a distance: take ten times more draws than the square root of the number of SEDs.
    """
    tests = [kstest(column[np.isfinite(column)], "uniform") for column in rank.T]
    return Uniformity(
        np.array([float(test.statistic) for test in tests]),
        np.array([float(test.pvalue) for test in tests]),
    )


def coverage(rank: Floats, *, level: float = 0.68) -> Floats:
    """Return the share (n_dim,) of truths within the central interval of a credibility.

    Parameters
    ----------
    rank : (n_sed, n_dim)
        From `ranks`; NaN is left out.
    level : float
        Credibility, between 0 and 1 [1].
    """
    inside = np.where(np.isfinite(rank), np.abs(rank - 0.5) <= 0.5 * level, np.nan)
    return np.asarray(np.nanmean(inside, axis=0))


def tarp(draws: Floats, truth: Floats, reference: Floats, *, weights: Floats | None = None) -> Tarp:
    """Return coverage of joint posteriors.

    Parameters
    ----------
    draws : (n_sed, n_draw, n_dim)
        Of the posteriors; parameters in units in which distances mean something.
    truth : (n_sed, n_dim)
        Parameters that the data were made of.
    reference : (n_sed, n_dim)
        A point for each SED that is independent of its truth and data. Truths of others are none
        where these are spread evenly: neighbours of a Sobol sequence shun each other.
    weights : (n_sed, n_draw), optional
        Of the draws; default: equal.

    Notes
    -----
    A region is the ball about the reference point that reaches to the truth; its credibility,
    the share of draws within, is even where posteriors are exact. Source: tests of accuracy
    with random points, Lemos et al. 2023 (ICML, arXiv 2302.03026).
    """
    reach = np.sum((truth - reference) ** 2, axis=1)
    share = np.empty(len(truth))
    for first in range(0, len(truth), _BLOCK):
        rows = slice(first, first + _BLOCK)
        apart = np.sum((draws[rows] - reference[rows][:, None, :]) ** 2, axis=2)
        inside = (apart < reach[rows][:, None]).astype(np.float64)
        share[rows] = _mean(inside[:, :, None], None if weights is None else weights[rows])[:, 0]
    level = np.sort(share[np.isfinite(share)])
    return Tarp(level, (np.arange(level.size) + 0.5) / max(level.size, 1))


def r2(found: Floats, truth: Floats) -> Floats:
    """Return the coefficient of determination, the part of the truths' variance that is found.

    Parameters
    ----------
    found, truth : (n_sed, ...)
        Estimates, and what they are of.

    Notes
    -----
    It says as much of the range of the truths as of the errors: with the same errors it is
    nearer one over a wider range. Compare `scatter`.
    """
    residual = np.sum((found - truth) ** 2, axis=0)
    return np.asarray(1 - residual / np.sum((truth - truth.mean(axis=0)) ** 2, axis=0))


def scatter(found: Floats, truth: Floats) -> Floats:
    """Return the robust standard deviation of errors about their median, along the first axis.

    Notes
    -----
    1.4826 times the median absolute deviation, which is the standard deviation of a Gaussian.
    """
    error = found - truth
    return np.asarray(1.4826 * np.median(np.abs(error - np.median(error, axis=0)), axis=0))


def _mean(values: Floats, weights: Floats | None) -> Floats:
    """Return the mean (n_sed, n_dim) of values (n_sed, n_draw, n_dim)."""
    if weights is None:
        return np.asarray(values.mean(axis=1))
    total = weights.sum(axis=1)[:, None]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.einsum("sdk,sd->sk", values, weights) / total)
