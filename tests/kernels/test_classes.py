import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.kernels.classes import N_CLASS, class_summaries

PROBABILITIES = np.array([0.16, 0.5, 0.84])


def quantiles_of(sums):
    """Quantiles of one quantity, in classes."""
    edges, low, high = np.full((1, 2), np.nan), np.zeros(1), np.full(1, float(len(sums)))
    return class_summaries(sums[None], low, high, PROBABILITIES, edges)[0][0]


def test_quantiles_by_hand():
    sums = np.zeros(200)
    sums[[3, 63, 64, 130]] = 1.0, 1.0, 2.0, 4.0
    # 1.28, 4 and 6.72 of 8: 0.28 into the second, the end of the third, 0.68 into the last
    np.testing.assert_allclose(quantiles_of(sums), [63.28, 65, 130.68])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(1, N_CLASS), st.sampled_from([0, 9]))
def test_quantiles_are_those_of_the_sums_one_after_the_other(seed, n_filled, n_class, decades):
    rng = np.random.default_rng(seed)
    sums = np.zeros(n_class)
    sums[rng.integers(0, n_class, n_filled)] = 10.0 ** -rng.uniform(0, decades, n_filled)
    got, reached = quantiles_of(sums), np.cumsum(sums) / sums.sum()
    for quantile, p in zip(got, PROBABILITIES, strict=True):
        k = min(int(quantile), n_class - 1)
        before = reached[k] - sums[k] / sums.sum()
        assert abs(before + (quantile - k) * sums[k] / sums.sum() - p) < 1e-9
        # in a class with weight, or at the end of one
        assert sums[k] > 0 or sums[k - 1] > 0


def test_a_class_with_all_the_weight():
    for k in (0, 63, 64, N_CLASS - 1):
        sums = np.zeros(N_CLASS)
        sums[k] = 0.1
        np.testing.assert_allclose(quantiles_of(sums), k + PROBABILITIES)


def test_weight_near_the_ends():
    sums = np.zeros((1, 100))
    sums[0, [0, 50, 99]] = 1.0, 2.0, 5.0
    edges = np.array([[0.02, 0.98]])
    low, high = np.zeros(1), np.ones(1)
    shares = class_summaries(sums, low, high, PROBABILITIES, edges)[2]
    np.testing.assert_allclose(shares, [[1 / 8, 5 / 8]])
    assert np.isnan(class_summaries(sums, low, high, PROBABILITIES, edges * np.nan)[2]).all()
