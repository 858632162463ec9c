import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.block_weights import amplitudes, ends_of_spread, weights_of_costs

SINGLE = st.floats(-1e6, 1e6, width=32)


def test_amplitudes_by_hand():
    cross = np.array([200, 10, -3], np.float32)
    square = np.array([2, 100, 5], np.float32)
    log_scale, spread = np.empty((2, 3), np.float32)
    amplitudes(cross, square, np.float32(0.98), log_scale, spread)
    np.testing.assert_allclose(log_scale[:2], [2, -1], rtol=1e-6)
    # relative errors sqrt(2) / 200 and 1; 5e-6 of them are lost to the root
    want = np.log10(1 + 0.98 * np.array([2**0.5 / 200, 1]))
    np.testing.assert_allclose(spread[:2], want, rtol=1e-5)
    assert np.isfinite(spread[2])  # times a weight of zero


@given(st.lists(st.tuples(SINGLE, st.floats(0, 10, width=32), st.booleans()), min_size=1))
def test_ends_are_of_models_that_count(given_models):
    value, spread, counts = (np.array(each) for each in zip(*given_models, strict=True))
    value, spread, weight = (np.asarray(each, np.float32) for each in (value, spread, counts))
    low, high = ends_of_spread(weight, value, spread)
    if counts.any():
        assert low == (value - spread)[counts].min()
        assert high == (value + spread)[counts].max()
    else:
        assert low == np.float32(1e30)
        assert high == np.float32(-1e30)


def test_weights_and_their_sums():
    cost = np.array([10, 12, 200, 11, -np.inf], np.float32)
    cross = np.array([1, 1, 1, -1, 0], np.float32)
    total, squares, most = weights_of_costs(cost, cross, np.float32(10), np.float32(60))
    want = [1, np.exp(-1), 0, 0, 0]
    np.testing.assert_allclose(cost, want, rtol=1e-6)
    assert np.isclose(total, np.sum(want))
    assert np.isclose(squares, np.sum(np.square(want)))
    assert most == np.float32(1).view(np.int32)
