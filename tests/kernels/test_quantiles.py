import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.kernels.quantiles import shares_beyond, weighted_quantiles, weighted_summaries

THREE = np.array([0.16, 0.5, 0.84])


def sorted_quantiles(values, weights, probabilities):
    """Quantiles by sorting everything: what the kernel must equal."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    at = np.searchsorted(reached, probabilities * reached[-1] * (1 - 1e-14))
    return values[order][np.minimum(at, values.size - 1)]


def test_by_hand():
    values, weights = np.array([[3.0, 1.0, 2.0, 9.0]]), np.array([1.0, 1.0, 2.0, 0.0])
    # Cumulated 0.25 at 1, 0.75 at 2, 1 at 3; the value without weight does not count.
    got = weighted_quantiles(values, weights, probabilities=np.array([0.1, 0.25, 0.26, 0.8, 1]))
    np.testing.assert_array_equal(got, [[1, 1, 2, 3, 3]])


@pytest.mark.parametrize("n", [1, 2, 7, 500, 20_000])
@pytest.mark.parametrize("kind", ["normal", "ties", "outlier", "heavy"])
def test_equals_sorting(n, kind):
    rng = np.random.default_rng(n)
    values, weights = rng.normal(size=n), rng.random(n)
    if kind == "ties":
        values = np.round(values)
    if kind == "outlier":
        values[0] = 1e12  # puts all others into one step
    if kind == "heavy":
        weights = weights**50
    got = weighted_quantiles(values[None], weights, probabilities=THREE)[0]
    np.testing.assert_array_equal(got, sorted_quantiles(values, weights, THREE))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(1e-6, 1e3)), min_size=1, max_size=60))
def test_quantiles_are_values_in_order(samples):
    values, weights = np.array(samples).T
    got = weighted_quantiles(values[None], weights.copy(), probabilities=THREE)[0]
    assert np.all(np.isin(got, values))
    assert np.all(np.diff(got) >= 0)


@settings(deadline=None)
@given(st.integers(0, 100))
def test_order_of_samples_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    # Weights of few bits, so that sums have no rounding at all in any order.
    values, weights = rng.normal(size=300), rng.integers(0, 8, 300).astype(float)
    mixed = rng.permutation(300)
    np.testing.assert_array_equal(
        weighted_quantiles(values[None, mixed], weights[mixed], probabilities=THREE),
        weighted_quantiles(values[None], weights, probabilities=THREE),
    )


@pytest.mark.parametrize(("low", "high"), [(-1e308, 1e308), (0.0, 5e-324), (1.0, 1 + 2e-16)])
def test_extreme_ranges(low, high):
    got = weighted_quantiles(np.array([[high, low]]), np.ones(2), probabilities=THREE)
    np.testing.assert_array_equal(got, [[low, low, high]])


def test_without_weight_or_with_nan_the_answer_is_nan():
    values = np.array([[1.0, np.nan]])
    assert np.isnan(weighted_quantiles(values, np.zeros(2), probabilities=THREE)).all()
    assert np.isnan(weighted_quantiles(values, np.ones(2), probabilities=THREE)).all()
    no_weight_on_nan = weighted_quantiles(values, np.array([1.0, 0.0]), probabilities=THREE)
    np.testing.assert_array_equal(no_weight_on_nan, [[1.0, 1.0, 1.0]])
    empty = weighted_quantiles(np.empty((1, 0)), np.empty(0), probabilities=THREE)
    assert np.isnan(empty).all()


def test_summaries_by_hand():
    values, weights = np.array([[1.0, 2.0, 4.0]] * 2), np.array([1.0, 2.0, 1.0])
    quantiles, moments = weighted_summaries(
        values,
        weights,
        probabilities=THREE,
        spread=np.full(3, 0.1),
        n_spread=1,
        nodes=(0.41, 0.18, 0.41),
    )
    # up to 1.0 lie 0.1475, to 1.1 0.25, to 1.9 0.455, to 2.0 0.545, to 2.1 0.75, to 3.9 0.8525
    np.testing.assert_allclose(quantiles, [[1.1, 2.0, 3.9], [1, 2, 4]], rtol=1e-14)
    # mean 9 / 4; squares about it (25 + 2 + 49) / 16 / 4
    np.testing.assert_allclose(moments, [[2.25, np.sqrt(1.1875)]] * 2, rtol=1e-14)


def test_shares_beyond_by_hand():
    values, weights = np.array([[1.0, 2.0, 4.0]] * 2), np.array([1.0, 2.0, 1.0])
    got = shares_beyond(values, weights, np.array([[2.0, 3.0], [np.nan, np.nan]]))
    np.testing.assert_array_equal(got, [[0.25, 0.25], [np.nan, np.nan]])


def test_probabilities_may_be_in_any_order():
    values, weights = np.random.default_rng(2).random((2, 1000))
    got = weighted_quantiles(values[None], weights, probabilities=THREE[::-1])
    np.testing.assert_array_equal(
        got[:, ::-1], weighted_quantiles(values[None], weights, probabilities=THREE)
    )
