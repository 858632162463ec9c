"""Few linear equations."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.small_systems import inverse, solved


def test_by_hand():
    # 4 x + 2 y = 8 and 2 x + 3 y = 8: x = 1, y = 2; the determinant is 8.
    matrix = np.array([[4.0, 2.0], [2.0, 3.0]])
    np.testing.assert_allclose(solved(matrix, np.array([8.0, 8.0])), [1, 2], rtol=1e-14)
    np.testing.assert_allclose(inverse(matrix), [[3 / 8, -2 / 8], [-2 / 8, 4 / 8]], rtol=1e-14)


@given(st.integers(1, 9), st.integers(0, 1000))
def test_as_numpy(n, seed):
    half = np.random.default_rng(seed).normal(size=(n + 3, n))
    matrix = half.T @ half
    # Relative errors grow with the condition number.
    rtol = 1e-14 * n * np.linalg.cond(matrix)
    unit = inverse(matrix) @ matrix
    np.testing.assert_allclose(unit, np.eye(n), atol=rtol)
    x = np.arange(1.0, n + 1)
    np.testing.assert_allclose(solved(matrix, matrix @ x), x, atol=n * rtol)


def test_what_is_not_determined():
    matrix = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    np.testing.assert_allclose(solved(matrix, np.array([3.0, 1.0, 4.0])), [3, 0, 2], rtol=1e-15)
    np.testing.assert_allclose(np.diag(inverse(matrix)), [1, np.inf, 0.5], rtol=1e-15)
    # Two equal columns: the first takes all.
    found = solved(np.ones((2, 2)), np.array([5.0, 5.0]))
    np.testing.assert_array_equal(found, [5, 0])
