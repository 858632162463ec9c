"""Figures of calibration, of posteriors that are exact and of others that are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.npe.calibration import coverage, r2, ranks, sbc_ks, scatter, tarp

N_SED, N_DRAW = 4000, 500
CRITICAL = 1.63 / np.sqrt(N_SED)
"""Distance that Kolmogorov-Smirnov tests of even ranks exceed in 1 % of cases."""


def gaussian(width=1.0, shift=0.0, seed=1):
    """Return draws and truths: prior and noise both of unit variance, in two dimensions."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((N_SED, 2))
    seen = truth + rng.standard_normal((N_SED, 2))
    spread = width * np.sqrt(0.5) * rng.standard_normal((N_SED, N_DRAW, 2))
    return 0.5 * seen[:, None, :] + shift + spread, truth


def test_rank_by_hand():
    """Of the draws 1, 2, 2, 3 one and a half of two equal ones are below 2: a rank of 1/2."""
    draws = np.array([[[1.0], [2.0], [2.0], [3.0]]])
    assert ranks(draws, np.array([[2.0]])) == 0.5
    assert ranks(draws, np.array([[0.0]])) == 0.0
    # a quarter of the weight is on the first, the rest on the last
    assert ranks(draws, np.array([[2.5]]), weights=np.array([[1.0, 0.0, 0.0, 3.0]])) == 0.25


def test_rank_without_weight_is_nan():
    """A posterior that has none has no rank, and counts in no figure."""
    rank = ranks(np.zeros((2, 3, 1)), np.ones((2, 1)), weights=np.array([[0.0] * 3, [1.0] * 3]))
    np.testing.assert_array_equal(rank, [[np.nan], [1.0]])
    assert coverage(rank) == 0.0
    assert sbc_ks(rank).distance == 1.0


@given(st.integers(1, 40), st.integers(1, 3), st.integers(0, 1000))
def test_equal_weights_change_nothing(n_sed, n_dim, seed):
    """Weights of one are no weights; ranks are between 0 and 1."""
    rng = np.random.default_rng(seed)
    draws, truth = rng.random((n_sed, 7, n_dim)), rng.random((n_sed, n_dim))
    rank = ranks(draws, truth)
    assert np.all((rank >= 0) & (rank <= 1))
    np.testing.assert_allclose(ranks(draws, truth, weights=np.full((n_sed, 7), 3.0)), rank)


@pytest.mark.statistical
def test_exact_posteriors_pass():
    """Coverage to 3 sigma, ranks even at 1 %, random points too."""
    draws, truth = gaussian()
    rank = ranks(draws, truth)
    np.testing.assert_allclose(coverage(rank), 0.68, atol=3 * np.sqrt(0.68 * 0.32 / N_SED))
    found = sbc_ks(rank)
    assert np.all(found.distance < CRITICAL)
    assert np.all(found.p_value > 0.01)
    assert tarp(draws, truth, np.roll(truth, 1, axis=0)).deviation < CRITICAL


@pytest.mark.statistical
@pytest.mark.parametrize(("width", "shift", "covered"), [(0.8, 0.0, 0.5745), (1.0, 0.3, 0.6326)])
def test_wrong_posteriors_fail(width, shift, covered):
    """Narrow or shifted posteriors cover what a Gaussian says, to 4 sigma, and fail the tests.

    68 % of a Gaussian are within 0.9945 deviations: of one 0.8 as wide P(|x| < 0.796), of one
    that is 0.3 sqrt(2) deviations off P(-1.419 < x < 0.570).
    """
    draws, truth = gaussian(width, shift)
    rank = ranks(draws, truth)
    np.testing.assert_allclose(coverage(rank), covered, atol=4 * 0.5 / np.sqrt(N_SED))
    assert np.all(sbc_ks(rank).p_value < 1e-6)
    # random points see a shift less well
    assert tarp(draws, truth, np.roll(truth, 1, axis=0)).deviation > 1.4 * CRITICAL


@pytest.mark.statistical
def test_weights_make_a_wide_proposal_exact():
    """Draws from a posterior twice as wide, weighed by the right one, are as good as exact."""
    rng = np.random.default_rng(5)
    truth = rng.standard_normal((N_SED, 1))
    mean = 0.5 * (truth + rng.standard_normal((N_SED, 1)))
    draws = mean[:, None, :] + np.sqrt(2.0) * rng.standard_normal((N_SED, 2000, 1))
    shift = (draws - mean[:, None, :])[..., 0] ** 2
    weights = np.exp(-shift + shift / 4)
    rank = ranks(draws, truth, weights=weights)
    assert sbc_ks(rank).distance < CRITICAL
    assert np.all(sbc_ks(ranks(draws, truth)).p_value < 1e-6)
    level = tarp(draws, truth, np.roll(truth, 1, axis=0), weights=weights)
    assert level.deviation < CRITICAL


def test_r2_and_scatter_by_hand():
    """Errors of 1, -1, 1, -1 about truths of variance 5 leave four fifths."""
    truth = np.array([[0.0], [2.0], [4.0], [6.0]])
    found = truth + np.array([[1.0], [-1.0], [1.0], [-1.0]])
    np.testing.assert_allclose(r2(found, truth), [0.8])
    np.testing.assert_allclose(scatter(found, truth), [1.4826])
    # an offset is no scatter
    np.testing.assert_allclose(scatter(found + 3, truth), [1.4826])
