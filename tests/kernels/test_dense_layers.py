import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.dense_layers import LANES, activate, dense, trunk_outputs


def weights(rng, n_input, hidden, n_layer, n_output):
    """Return weights of a network, in the order `trunk_outputs` takes them."""
    shapes = [
        (hidden, n_input),
        (hidden,),
        (n_layer, hidden, hidden),
        (n_layer, hidden),
        (n_output, hidden),
        (n_output,),
    ]
    return [rng.standard_normal(shape, np.float32) / np.sqrt(shape[-1]) for shape in shapes]


def test_activation_by_hand():
    values = np.tile(np.array([[0.0], [1.0], [-1.0], [1e6], [-1e6]], np.float32), LANES)
    activate(values)
    want = [0.0, 0.75, -0.25, 1e6 - 0.5, -0.5]
    np.testing.assert_allclose(values, np.tile(np.array(want)[:, None], LANES), rtol=3e-6)


@given(n_out=st.integers(1, 9), n_in=st.integers(0, 11), seed=st.integers(0, 2**31))
def test_layer_is_a_matrix_product(n_out, n_in, seed):
    rng = np.random.default_rng(seed)
    weight, bias = rng.standard_normal((n_out, n_in)), rng.standard_normal(n_out)
    values, out = rng.standard_normal((n_in, LANES)), np.empty((n_out, LANES), np.float32)
    dense(*(each.astype(np.float32) for each in (weight, bias, values)), out)
    # sums of at most 12 numbers of order one, in single precision
    np.testing.assert_allclose(out, weight @ values + bias[:, None], atol=2e-5)


def test_outputs_are_those_of_numpy():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((LANES + 3, 7), np.float32)
    first, first_bias, trunk, trunk_bias, last, last_bias = own = weights(rng, 7, 13, 2, 5)

    def active(x):
        return 0.5 * x * (1 + x / (1 + np.abs(x)))

    state = active(values.astype(np.float64) @ first.T + first_bias)
    for weight, bias in zip(trunk, trunk_bias, strict=True):
        state = state + active(state @ weight.T + bias)
    np.testing.assert_allclose(trunk_outputs(values, *own), state @ last.T + last_bias, atol=1e-5)


@pytest.mark.parametrize("rows", [[5], [LANES + 2, 3], list(range(60, 2 * LANES + 1))])
def test_a_point_is_the_same_in_any_company(rows):
    rng = np.random.default_rng(2)
    values = rng.standard_normal((2 * LANES + 1, 58), np.float32)
    own = weights(rng, 58, 32, 3, 21)
    np.testing.assert_array_equal(
        trunk_outputs(values[rows], *own), trunk_outputs(values, *own)[rows]
    )


def test_no_points_have_no_outputs():
    own = weights(np.random.default_rng(3), 4, 8, 0, 2)
    assert trunk_outputs(np.empty((0, 4), np.float32), *own).shape == (0, 2)
