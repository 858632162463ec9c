"""Systems of few linear equations, solved inside compiled code.

By Cholesky's factor, which tells what is not determined where numpy's solvers would raise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def _factor(matrix: Floats) -> Floats:
    """Return the Cholesky factor of a matrix, with infinity where it has no rank."""
    n = matrix.shape[0]
    lower = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i == j:
                lower[i, i] = math.sqrt(total) if total > 1e-12 * matrix[i, i] else math.inf
            else:
                lower[i, j] = total / lower[j, j]
    return lower


@njit(cache=True, nogil=True, error_model="numpy")
def solved(matrix: Floats, vector: Floats) -> Floats:
    """Return the solution of a system of equations; 0 for what is not determined.

    Parameters
    ----------
    matrix : (n, n) float64
        Symmetric, positive semidefinite.
    vector : (n,) float64
    """
    n = vector.size
    lower, x = _factor(matrix), np.empty(n)
    for i in range(n):
        total = vector[i]
        for k in range(i):
            total -= lower[i, k] * x[k]
        x[i] = total / lower[i, i]
    for i in range(n - 1, -1, -1):
        total = x[i]
        for k in range(i + 1, n):
            total -= lower[k, i] * x[k]
        x[i] = total / lower[i, i]
    return x


@njit(cache=True, nogil=True, error_model="numpy")
def inverse(matrix: Floats) -> Floats:
    """Return the inverse of a matrix, infinite on the diagonal for what is not determined.

    Parameters
    ----------
    matrix : (n, n) float64
        Symmetric, positive semidefinite.
    """
    n = matrix.shape[0]
    found = np.empty((n, n))
    for i in range(n):
        unit = np.zeros(n)
        unit[i] = 1.0
        found[i] = solved(matrix, unit)
        if found[i, i] == 0.0:
            found[i, i] = math.inf
    return found
