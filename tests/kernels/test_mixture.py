import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_t

from pxdask.kernels.mixture import Mixture, draw_t, fit_mixture, ln_t

TWO = Mixture(
    np.array([0.3, 0.7]),
    np.array([[0.0, 0.0], [4.0, -2.0]]),
    np.array([[[1.0, 0.0], [0.5, 0.8]], [[0.3, 0.0], [0.0, 2.0]]]),
)


def drawn(mixture, n, *, dof, seed=0):
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((n, mixture.mean.shape[1]))
    return draw_t(mixture, rng.random(n), normal, rng.chisquare(dof, n), dof=dof)


def test_density_is_that_of_scipy():
    points = np.random.default_rng(1).normal(0, 4, (50, 2))
    want = sum(
        share * multivariate_t(mean, root @ root.T, df=5).pdf(points)
        for share, mean, root in zip(*TWO, strict=True)
    )
    np.testing.assert_allclose(ln_t(TWO, points, dof=5), np.log(want), rtol=1e-10)


def test_draws_have_the_density():
    points = drawn(TWO, 40_000, dof=5)
    # the mean of q(x) / p(x) under p is the integral of q: here of a narrow Gaussian
    apart = points - TWO.mean[1]
    ratio = np.exp(-0.5 * np.sum(apart**2, axis=1) - ln_t(TWO, points, dof=5)) / (2 * np.pi)
    assert ratio.mean() == pytest.approx(1, abs=5 * ratio.std() / 200)
    # covariance of t is the scale matrix times dof / (dof - 2); heavy tails: 10 per cent
    left = points[points[:, 0] < 2.5]
    assert len(left) / len(points) == pytest.approx(0.3, abs=0.02)


def test_a_mixture_is_found_again():
    samples = drawn(TWO, 5000, dof=1e6)
    found = fit_mixture(samples, n_component=2, n_round=60, rng=np.random.default_rng(2))
    order = np.argsort(found.mean[:, 0])
    # 1,500 samples of the smaller: 0.03 of a mean, 0.02 of a width
    np.testing.assert_allclose(found.share[order], TWO.share, atol=0.03)
    np.testing.assert_allclose(found.mean[order], TWO.mean, atol=0.15)
    np.testing.assert_allclose(found.root[order], TWO.root, atol=0.15)


@settings(max_examples=20)
@given(st.integers(0, 100), st.integers(1, 6))
def test_each_draw_and_density_is_its_own(seed, n_component):
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((200, 3)) * [1, 5, 0.01]
    mixture = fit_mixture(samples, n_component=n_component, n_round=5, rng=rng)
    assert mixture.share.sum() == pytest.approx(1)
    uniform, normal, chi2 = rng.random(9), rng.standard_normal((9, 3)), rng.chisquare(5, 9)
    points = draw_t(mixture, uniform, normal, chi2, dof=5)
    density = ln_t(mixture, points, dof=5)
    for rows in ([4], [8, 1]):
        part = draw_t(mixture, uniform[rows], normal[rows], chi2[rows], dof=5)
        np.testing.assert_array_equal(part, points[rows])
        np.testing.assert_array_equal(ln_t(mixture, part, dof=5), density[rows])


def test_samples_that_are_all_equal_keep_a_width():
    samples = np.ones((20, 2))
    found = fit_mixture(samples, n_component=2, n_round=5, rng=np.random.default_rng(0))
    assert np.all(np.isfinite(ln_t(found, samples, dof=5)))
