import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from pxdask.kernels.conditional_mixture import MOST_LN_ROOT, mixture_draw, mixture_ln_density

SHARE = np.array([0.2, 0.5, 0.3])
MEAN = np.array([[0.0, 1.0], [-2.0, 0.5], [1.0, -1.0]])
TRIANGLE = np.array([[0.0, 0.4, 0.7], [1.0, -2.0, 0.2], [-0.3, 0.1, 0.0]])
"""Lower triangles of precision roots by rows, diagonals as logarithms."""


def outputs(share=SHARE, mean=MEAN, triangle=TRIANGLE):
    """Return what a network makes of an SED."""
    parts = [np.log(share), np.ravel(mean), np.ravel(triangle)]
    return np.concatenate(parts).astype(np.float32)


def ln_density(y, own, n_component):
    found = np.empty(len(y))
    mixture_ln_density(own, n_component, np.asarray(y, np.float32), found)
    return found


def drawn(n, seed, own=None, n_dim=2, n_component=3):
    rng = np.random.default_rng(seed)
    y, found = np.empty((n, n_dim), np.float32), np.empty(n)
    uniform, normal = rng.random(n, np.float32), rng.standard_normal((n, n_dim), np.float32)
    mixture_draw(outputs() if own is None else own, n_component, uniform, normal, y, found)
    return y, found


def test_one_gaussian_by_hand():
    # precision root e^0.5: deviation e^-0.5 about 2
    own = outputs(np.ones(1), [2.0], [0.5])
    found = ln_density([[2.0], [3.0]], own, 1)
    want = np.array([0.5, 0.5 - 0.5 * np.e]) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, want, atol=1e-6)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=2))
def test_density_is_that_of_scipy(point):
    want = 0.0
    for share, mean, (a, b, c) in zip(SHARE, MEAN, TRIANGLE, strict=True):
        root = np.array([[np.exp(a), 0], [b, np.exp(c)]])
        want += share * multivariate_normal(mean, np.linalg.inv(root.T @ root)).pdf(point)
    # single precision of squares of distances, here up to 400
    np.testing.assert_allclose(
        ln_density([point], outputs(), 3), np.log(want), rtol=1e-5, atol=1e-5
    )


def test_draws_have_the_density():
    y, found = drawn(100_000, 4)
    np.testing.assert_array_equal(found, ln_density(y, outputs(), 3))
    np.testing.assert_allclose(y.mean(axis=0), SHARE @ MEAN, atol=0.02)
    # the mean of q / p under p is the integral of q: here of a Gaussian within the mixture
    q = multivariate_normal([-2.0, 0.5], 0.05 * np.eye(2)).pdf(y)
    ratio = q / np.exp(found)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(len(y))


def test_a_draw_does_not_depend_on_how_many_there_are():
    # sizes on both sides of a block; the random numbers of a smaller call are those in front
    uniform = np.random.default_rng(5).random(130, np.float32)
    normal = np.random.default_rng(6).standard_normal((130, 2), np.float32)
    found = []
    for n in (1, 64, 65, 130):
        y, density = np.empty((n, 2), np.float32), np.empty(n)
        mixture_draw(outputs(), 3, uniform[:n], normal[:n], y, density)
        found.append((y, density))
    for y, density in found[:-1]:
        np.testing.assert_array_equal(y, found[-1][0][: len(y)])
        np.testing.assert_array_equal(density, found[-1][1][: len(y)])


def test_no_gaussian_is_narrower_than_can_be_told():
    own = outputs(np.ones(1), [0.0], [80.0])
    want = norm(0, np.exp(-MOST_LN_ROOT)).logpdf(0.0)
    np.testing.assert_allclose(ln_density([[0.0]], own, 1), [want], rtol=1e-6)


def test_far_away_the_density_is_small_but_finite():
    found = ln_density([[1e4, -1e4]], outputs(), 3)
    assert np.isfinite(found).all()
    assert found[0] < -1e6
