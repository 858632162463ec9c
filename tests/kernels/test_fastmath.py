import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from pxdask.kernels.fastmath import exp, exp_single, log

ANY_ORDER = njit(fastmath={"reassoc", "contract", "nsz", "arcp"}, error_model="numpy")
"""A caller that is free to reorder sums, as callers in kernels are."""


def over_arrays(function):
    """Return a loop over an array, compiled with that freedom before any other caller is."""

    @ANY_ORDER
    def loop(x, out):
        for j in range(x.size):
            out[j] = function(x[j])

    def values(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    return values


@pytest.mark.parametrize(
    ("function", "want", "x", "tolerance"),
    [
        (exp, np.exp, np.linspace(-700, 700, 10_001), 1e-11),
        (exp_single, np.exp, np.linspace(-86, 86, 10_001, dtype=np.float32), 1e-6),
        (log, np.log, np.geomspace(1e-300, 1e300, 10_001), 1e-12),
    ],
)
def test_a_caller_free_to_reorder_changes_nothing(function, want, x, tolerance):
    # where rounding by adding and subtracting is reordered away, powers of two are lost
    got = over_arrays(function)(x)
    np.testing.assert_allclose(got, want(x.astype(float)), rtol=tolerance, atol=1e-12)


@given(st.floats(-700, 700))
def test_exponential_and_its_inverse(x):
    assert exp(x) == pytest.approx(math.exp(x), rel=1e-11)
    assert log(math.exp(x)) == pytest.approx(x, abs=1e-12 * max(1.0, abs(x)))


def test_ends_are_clamped():
    assert exp(-1e9) == pytest.approx(math.exp(-708), rel=1e-11)
    assert exp_single(np.float32(-1e9)) == pytest.approx(math.exp(-87), rel=1e-6)
