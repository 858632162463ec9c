import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from pxdask.kernels.autoregressive import chain_draw, chain_ln_density

SHARE, MEAN, WIDTH = np.array([0.3, 0.7]), np.array([-1.0, 2.0]), np.array([0.5, 1.5])


def one_target():
    """Return a mixture of one target, in a frame of mean 3 and deviation 2."""
    own = np.array([3.0, np.log(2.0), 0.4, -0.2, 0.0], np.float32)
    bias = np.concatenate([np.log(SHARE), MEAN, np.log(WIDTH)]).astype(np.float32)
    before, component = np.ones((1, 3, 1), np.float32), np.zeros((1, 6, 3), np.float32)
    return own, before, component, bias[None]


def chain(n_dim=3, head=5, n=4, seed=0):
    """Return a chain of targets with weights at random."""
    rng = np.random.default_rng(seed)
    triangle = n_dim * (n_dim + 1) // 2
    own = 0.5 * rng.standard_normal(n_dim + triangle + n_dim * head)
    before = rng.standard_normal((n_dim, head, n_dim))
    component = rng.standard_normal((n_dim, 3 * n, head)) / np.sqrt(head)
    bias = 0.5 * rng.standard_normal((n_dim, 3 * n))
    return tuple(each.astype(np.float32) for each in (own, before, component, bias))


def ln_density(own, y):
    found = np.empty(len(y))
    chain_ln_density(*own, np.asarray(y, np.float32), found)
    return found


def drawn(own, n, seed=1):
    n_dim, rng = own[1].shape[0], np.random.default_rng(seed)
    y, found = np.empty((n, n_dim), np.float32), np.empty(n)
    uniform, normal = (
        rng.random((n_dim, n), np.float32),
        rng.standard_normal((n_dim, n), np.float32),
    )
    chain_draw(*own, uniform, normal, y, found)
    return y, found


@given(st.floats(-8, 12))
def test_one_target_by_hand(y):
    z = (y - 3) / 2
    want = np.log(SHARE @ norm.pdf(z, MEAN, WIDTH)) - np.log(2)
    np.testing.assert_allclose(ln_density(one_target(), [[y]]), [want], rtol=1e-5, atol=1e-5)


def test_two_targets_as_numpy_would():
    own, before, component, bias = chain(n_dim=2, head=3, n=2, seed=5)
    y = np.array([0.4, -0.7])
    z0 = (y[0] - own[0]) / np.exp(own[2])
    z1 = (y[1] - own[1] - own[3] * z0) / np.exp(own[4])
    want = -own[2] - own[4]
    for i, (z, known) in enumerate([(z0, []), (z1, [z0])]):
        x = own[5 + 3 * i : 8 + 3 * i] + before[i][:, :i] @ np.array(known)
        x = 0.5 * x * (1 + x / (1 + np.abs(x)))
        ln_share, mean, ln_width = np.split(component[i] @ x + bias[i], 3)
        share = np.exp(ln_share) / np.exp(ln_share).sum()
        want += np.log(share @ norm.pdf(z, mean, np.exp(ln_width)))
    np.testing.assert_allclose(ln_density((own, before, component, bias), [y]), [want], rtol=1e-5)


def test_density_integrates_to_one():
    own, before, component, bias = chain(n_dim=2, seed=2)
    own = (own, before, 0.3 * component, bias)
    side = np.arange(-40, 40, 0.05)
    y = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    # no Gaussian is narrower than a step: sums over a grid are then good to 1e-4
    assert abs(np.exp(ln_density(own, y)).sum() * 0.05**2 - 1) < 2e-3


def test_draws_have_the_density():
    own = chain(seed=3)
    y, found = drawn(own, 100_000)
    # single precision of the frame's inverse
    np.testing.assert_allclose(found, ln_density(own, y), atol=5e-3)
    assert np.median(np.abs(found - ln_density(own, y))) < 1e-5
    # the mean of q / p under p is the integral of q: a Gaussian about the middle draw
    q = np.prod(norm.pdf(y, np.median(y, axis=0), 0.3 * y.std(axis=0)), axis=1)
    ratio = q / np.exp(found)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(len(y))


def test_components_are_chosen_by_their_weights():
    y, _ = drawn(one_target(), 200_000)
    z = np.sort((y[:, 0] - 3) / 2)
    want = SHARE @ norm.cdf(z[:, None], MEAN, WIDTH).T
    # Kolmogorov-Smirnov at a level of 1e-4
    assert np.max(np.abs(want - np.arange(len(z)) / len(z))) < 2.23 / np.sqrt(len(z))


def test_far_away_the_density_is_finite():
    assert np.isfinite(ln_density(chain(), [[1e6, -1e6, 1e6]])).all()


def test_no_draws():
    y, found = drawn(chain(), 0)
    assert y.shape == (0, 3)
    assert found.shape == (0,)
