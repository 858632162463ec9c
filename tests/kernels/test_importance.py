import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.importance import evened_out, pareto_fit, smoothed_weights
from pxdask.kernels.likelihood import effective_number


def test_equal_weights_by_hand():
    # 3 in each: the mean is 3, all count
    found = smoothed_weights(np.full(50, np.log(3.0)))
    np.testing.assert_allclose(found.share, 0.02, rtol=1e-12)
    assert found.ln_mean == pytest.approx(np.log(3.0), abs=1e-12)
    assert found.n_eff == pytest.approx(50, rel=1e-12)
    assert found.tail == -np.inf


def test_few_weights_are_not_smoothed():
    # a fifth of ten is no tail: 1, 2, 3, ... 10 keep their shares of 55
    found = smoothed_weights(np.log(np.arange(1.0, 11.0)))
    np.testing.assert_allclose(found.share, np.arange(1.0, 11.0) / 55, rtol=1e-12)
    assert found.n_eff == pytest.approx(55**2 / 385)
    assert found.ln_mean == pytest.approx(np.log(5.5))
    assert found.tail == np.inf


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.5, 0.9])
def test_the_shape_of_a_tail_is_found(shape):
    uniform = (np.arange(4000) + 0.5) / 4000
    values = -np.log1p(-uniform) if shape == 0 else np.expm1(-shape * np.log1p(-uniform)) / shape
    found, scale = pareto_fit(2.0 * values)
    # 4,000 evenly spaced values: the fit's error is 0.02, and the prior's pull 10 / 4010 of it
    assert found == pytest.approx(shape, abs=0.05)
    assert scale == pytest.approx(2.0, rel=0.05)


def test_smoothing_makes_a_heavy_tail_less_noisy():
    # weights 1 / x of x ** 0.7: a Pareto tail of shape 0.7, whose mean is known, 1 / 0.3
    errors = []
    for seed in range(200):
        ln_weight = -0.7 * np.log(np.random.default_rng(seed).random(1000))
        raw = np.log(np.mean(np.exp(ln_weight)))
        errors.append([raw, smoothed_weights(ln_weight).ln_mean])
    raw, smoothed = np.std(np.array(errors) - np.log(1 / 0.3), axis=0)
    assert smoothed < raw


def test_nothing_has_weight():
    found = smoothed_weights(np.array([-np.inf, np.nan, -np.inf]))
    np.testing.assert_array_equal(found.share, 0)
    assert found.ln_mean == -np.inf
    assert (found.n_eff, found.tail) == (0, np.inf)


def test_nan_is_no_weight():
    rng = np.random.default_rng(1)
    ln_weight = rng.standard_normal(100)
    ln_weight[7] = np.nan
    assert smoothed_weights(ln_weight).share[7] == 0


@given(st.integers(0, 1000), st.floats(-500, 500), st.floats(0.1, 5))
def test_laws(seed, offset, width):
    ln_weight = width * np.random.default_rng(seed).standard_normal(300)
    one, other = smoothed_weights(ln_weight), smoothed_weights(ln_weight + offset)
    # a factor changes the mean alone; to the rounding of ln weights of 500
    np.testing.assert_allclose(other.share, one.share, rtol=1e-9)
    assert other.ln_mean == pytest.approx(one.ln_mean + offset, abs=1e-9)
    assert one.share.sum() == pytest.approx(1)
    assert 1 <= one.n_eff <= 300 * (1 + 1e-12)
    # the order of weights is kept
    order = np.argsort(ln_weight)
    assert np.all(np.diff(one.share[order]) >= -1e-15)


def test_weights_are_evened_out_by_hand():
    # 1, 1/16, 1/16, 0: 81 / 66 count, and wanted are 1.5, half of the three that are any; of the
    # square roots 1, 1/4, 1/4: 9/4 over 9/8, which is 2
    ln_weight = np.array([0.0, -np.log(16), -np.log(16), -np.inf]) + 3
    found = evened_out(ln_weight, n_eff=100.0, factor=0.5)
    np.testing.assert_allclose(found, [1, 0.25, 0.25, 0], rtol=1e-14)
    # fewer are wanted, and there are: the weights are as they were
    found = evened_out(ln_weight, n_eff=1.2, factor=0.5)
    np.testing.assert_allclose(found, [1, 1 / 16, 1 / 16, 0], rtol=1e-14)
    np.testing.assert_array_equal(evened_out(np.array([-7.0]), n_eff=5.0, factor=0.5), 1)


@given(st.integers(0, 1000), st.floats(0.1, 1e4), st.floats(1, 300), st.floats(0.3, 0.95))
def test_as_many_weights_count_as_are_wanted(seed, width, n_eff, factor):
    ln_weight = width * np.random.default_rng(seed).standard_normal(200)
    found = evened_out(ln_weight, n_eff=n_eff, factor=factor)
    assert found.max() == 1
    assert effective_number(found) >= min(n_eff, 100)
    # the order of weights is kept
    assert np.all(np.diff(found[np.argsort(ln_weight)]) >= 0)
