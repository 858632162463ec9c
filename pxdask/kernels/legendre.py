"""Legendre polynomials of wavelength, and the linear equations of their best coefficients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.polynomial import legendre

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NODES_PER_ORDER = 8
"""Points per order, and as many more, at which a polynomial must be positive."""


def legendre_basis(wave: Floats, *, ends: tuple[float, float], order: int) -> Floats:
    """Return Legendre polynomials of wavelength.

    Parameters
    ----------
    wave : (n_wave,) float64
        Increasing [Angstrom].
    ends : (float, float)
        Wavelengths that become -1 and 1 [Angstrom]; equal: all become 0.
    order : int
        Highest order, >= 0.

    Returns
    -------
    basis : (order + 1, n_wave) float64
        [1]; beyond the ends, their values there.
    """
    first, last = ends
    x = np.zeros_like(wave)
    if last > first:
        x = np.clip(2 * (wave - first) / (last - first) - 1, -1.0, 1.0)
    return np.ascontiguousarray(legendre.legvander(x, order).T)


def higher_basis(basis: Floats, order: int) -> Floats:
    """Return Legendre polynomials up to a higher order than that of the basis."""
    if order == 0:
        return basis[:1]
    return np.asarray(legendre.legvander(basis[1], order).T, np.float64)


def legendre_products(order: int) -> Floats:
    """Return the coefficients of ``L_n`` in ``L_j L_k``: (order + 1, order + 1, 2 order + 1)."""
    unit = np.eye(order + 1)
    found = np.zeros((order + 1, order + 1, 2 * order + 1))
    for j in range(order + 1):
        for k in range(order + 1):
            product = legendre.legmul(unit[j], unit[k])
            found[j, k, : product.size] = product
    return found


def polynomial_nodes(order: int) -> Floats:
    """Return the polynomials (n_node, order + 1) at the points where they must be positive."""
    x = np.linspace(-1, 1, _NODES_PER_ORDER * (order + 1) + 1)
    return np.ascontiguousarray(legendre.legvander(x, order))


@njit(cache=True, nogil=True, error_model="numpy")
def solve_polynomials(
    moments: Floats,
    cross: Floats,
    power: float,
    products: Floats,
    nodes: Floats,
    chi2: Floats,
    coefficients: Floats,
    scale_err: Floats,
) -> None:
    """Fill the best coefficients of every model, chi-square, and the first one's uncertainty.

    Parameters
    ----------
    moments : (n_model, 2 order + 1)
        ``sum(w m^2 L_n)``.
    cross : (n_model, order + 1)
        ``sum(w d m L_k)``.
    power : float
        ``sum(w d^2)``.
    products, nodes
        Of `legendre_products` and `polynomial_nodes`.
    chi2, coefficients, scale_err : (n_model,), (n_model, order + 1), (n_model,)
        Filled; infinite, NaN and infinite where the equations have no one solution. Chi-square
        is infinite, too, where the polynomial is not positive at every node.
    """
    n = coefficients.shape[1]
    factor = np.empty((n, n))
    for i in range(chi2.size):
        possible = _factorised(moments[i], products, factor)
        first = 0.0
        if possible:
            # Forward: chi-square falls by the square of what is solved so far.
            gain = 0.0
            for j in range(n):
                value = cross[i, j]
                for k in range(j):
                    value -= factor[j, k] * coefficients[i, k]
                coefficients[i, j] = value / factor[j, j]
                gain += coefficients[i, j] ** 2
            chi2[i] = max(power - gain, 0.0)
            for j in range(n - 1, -1, -1):
                value = coefficients[i, j]
                for k in range(j + 1, n):
                    value -= factor[k, j] * coefficients[i, k]
                coefficients[i, j] = value / factor[j, j]
            first = _first_variance(factor)
            possible = _positive(coefficients[i], nodes)
        else:
            coefficients[i] = np.nan
        scale_err[i] = math.sqrt(first) if first > 0 else np.inf
        if not possible:
            chi2[i] = np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def _factorised(moments: Floats, products: Floats, factor: Floats) -> bool:
    """Fill the Cholesky factor of the normal matrix; return whether it is positive definite."""
    n = factor.shape[0]
    for j in range(n):
        for k in range(j + 1):
            value = 0.0
            # The product of two orders has every second order from their difference to their sum.
            for m in range(j - k, j + k + 1, 2):
                value += products[j, k, m] * moments[m]
            diagonal = value
            for m in range(k):
                value -= factor[j, m] * factor[k, m]
            if j == k:
                # Beyond rounding, a column that the others do not make up.
                if not value > 1e-12 * diagonal or not np.isfinite(value):
                    return False
                factor[j, j] = math.sqrt(value)
            else:
                factor[j, k] = value / factor[k, k]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _first_variance(factor: Floats) -> float:
    """Return the first diagonal element of the inverse of the normal matrix."""
    n = factor.shape[0]
    column = np.empty(n)
    total = 0.0
    for j in range(n):
        value = 1.0 if j == 0 else 0.0
        for k in range(j):
            value -= factor[j, k] * column[k]
        column[j] = value / factor[j, j]
        total += column[j] ** 2
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _positive(coefficients: Floats, nodes: Floats) -> bool:
    """Return whether a polynomial is positive at all nodes."""
    for i in range(nodes.shape[0]):
        value = 0.0
        for k in range(coefficients.size):
            value += nodes[i, k] * coefficients[k]
        if not value > 0.0:
            return False
    return True
