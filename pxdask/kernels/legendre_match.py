"""Smooth factors that bring observed spectra to the level and colour of models.

The factor of a spectrum is a Legendre series in wavelength. Equations of all spectra are made by
two matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.kernels.legendre import (
    higher_basis,
    legendre_products,
    polynomial_nodes,
    solve_polynomials,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Spectra = NDArray[np.float32] | NDArray[np.float64]

_PER_COEFFICIENT = 8
"""Wavelengths that each coefficient needs."""

_LEAST_SNR = 3.0
"""Mean factor over its own uncertainty, from which a series is believed."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Factors of some spectra.

    Attributes
    ----------
    coefficients : (order + 1, n_pix) float64
        Of the Legendre polynomials [unit of the models / unit of the data]; 1, 0, 0, ... where
        there is no factor.
    order : (n_pix,) int64
        Highest order in use; -1 where there is no factor.
    """

    coefficients: Floats
    order: NDArray[np.int64]


def match_factors(
    flux: Spectra, error: Spectra, models: Spectra, *, basis: Floats, model_error: float
) -> Factors:
    """Return the factors with which spectra have the shape of their models.

    Parameters
    ----------
    flux, error : (n_wave, n_pix)
        Spectra and their 1-sigma uncertainty, in one unit. A wavelength is left out where the
        flux is not finite or the error not a positive finite number.
    models : (n_wave, n_pix)
        What the spectra should be, finite.
    basis : (order + 1, n_wave) float64
        Legendre polynomials of wavelength; see `pxdask.kernels.legendre.legendre_basis`.
    model_error : float
        Uncertainty of the models as a fraction of themselves [1]: keeps the best wavelengths
        from being all that counts.

    Returns
    -------
    factors : Factors
        A series is believed where it is positive from the first wavelength of the basis to the
        last, has eight wavelengths for each coefficient, and a mean of three times its
        uncertainty; else its order is lowered, to none at last.

    Notes
    -----
    Abdurro'uf et al. 2021 (ApJS 254, 15), section 3.2: a polynomial P is fitted to the ratio
    m / d of model and spectrum. Here with weights ``w m d``, ``w = 1 / (e^2 + (f m)^2)``, so that
    ``sum(w m (d P - m) L_k) = 0``. These equations are linear in d, whose noise thus never biases
    P, as it does where d is squared (the usual least squares of ``d P - m``) or divided by. The
    matrix is ``sum(w m d L_j L_k)``; as a product of two Legendre polynomials is a sum of others,
    all of it follows from ``sum(w m d L_n)`` to twice the order.
    """
    order = basis.shape[0] - 1
    used = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    cross, square, level = _weighed(flux, error, models, used, model_error=model_error)
    moments = np.ascontiguousarray((higher_basis(basis, 2 * order) @ cross).T)
    targets = np.ascontiguousarray((basis @ square).T)
    n_used = np.count_nonzero(used, axis=0)
    found = Factors(np.zeros((order + 1, level.size)), np.full(level.size, -1))
    found.coefficients[0] = 1.0
    for lower in range(order, -1, -1):
        enough = n_used >= _PER_COEFFICIENT * (lower + 1)
        rows = np.flatnonzero((found.order < 0) & enough & (level > 0))
        solved = _solved(moments[rows, : 2 * lower + 1], targets[rows, : lower + 1])
        good = np.all(np.isfinite(solved), axis=1)
        chosen = rows[good]
        found.coefficients[: lower + 1, chosen] = solved[good].T * level[chosen]
        found.order[chosen] = lower
    return found


def _weighed(
    flux: Spectra,
    error: Spectra,
    models: Spectra,
    used: NDArray[np.bool_],
    *,
    model_error: float,
) -> tuple[Floats, Floats, Floats]:
    """Return ``w m d`` and ``w m^2`` (n_wave, n_pix) of models divided by their level (n_pix,).

    The level is the mean of P by errors alone: a spectrum may be off by any factor, by which
    the models' own error must not be. It is not positive where a spectrum has no light.
    """
    data = np.where(used, flux, 0.0).astype(np.float64, copy=False)
    variance = np.where(used, error, np.inf).astype(np.float64, copy=False) ** 2
    scaled = models / variance
    square = np.einsum("ij,ij->j", scaled, models)
    cross = np.einsum("ij,ij->j", scaled, data)
    level = np.divide(square, cross, out=np.zeros(cross.size), where=cross > 0)
    model = models / np.where(level > 0, level, 1.0)
    weighed = model / (variance + (model_error * model) ** 2)
    return weighed * data, weighed * model, level


def _solved(moments: Floats, targets: Floats) -> Floats:
    """Return coefficients (n_pix, order + 1) of equations, NaN where they are not believed."""
    n_pix, n = targets.shape
    chi2, err, coefficients = np.empty(n_pix), np.empty(n_pix), np.empty((n_pix, n))
    solve_polynomials(
        np.ascontiguousarray(moments), np.ascontiguousarray(targets), 0.0,
        legendre_products(n - 1), polynomial_nodes(n - 1), chi2, coefficients, err,
    )  # fmt: skip
    believed = np.isfinite(chi2) & (coefficients[:, 0] >= _LEAST_SNR * err)
    return np.where(believed[:, None], coefficients, np.nan)
