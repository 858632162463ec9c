"""Agreement of model spectra with an observed one, up to a smooth factor.

The factor is a polynomial in wavelength with which a model is multiplied: it takes up what
flux calibration, dust and distance do to the shape of a spectrum, and leaves the lines of the
stars to be compared. Its best coefficients follow from linear equations, so that no sampler
ever sees them.

A wavelength whose flux is not finite, or whose uncertainty is not a positive finite number, or
that is not asked for, is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.kernels.legendre import (
    higher_basis,
    legendre_basis,
    legendre_products,
    polynomial_nodes,
    solve_polynomials,
)
from pxdask.kernels.likelihood import usable_bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Spectra = NDArray[np.float32] | NDArray[np.float64]

BATCH = 8
"""Spectra whose sums over wavelength are one matrix product. There are always as many columns, of
zeros where spectra are fewer, so that a column's sums do not depend on those beside it."""

_TILE = 256
"""Models whose sums are made at a time."""

_LN_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class SpectralTarget:
    """One spectrum made ready to be compared with any number of models.

    Attributes
    ----------
    flux, error : (n_wave,) float64
        Spectrum and its uncertainty, in one unit; where not fitted 0 and infinity.
    basis : (n_order + 1, n_wave) float64
        Legendre polynomials from the first to the last fitted wavelength [1]; beyond these,
        their values there.
    fitted : (n_wave,) bool
        Wavelengths that count.
    ends : (float, float)
        Wavelengths at which the polynomials' argument is -1 and 1 [Angstrom].
    """

    flux: Floats
    error: Floats
    basis: Floats
    fitted: NDArray[np.bool_]
    ends: tuple[float, float]

    @property
    def n_used(self) -> int:
        """Number of wavelengths that count."""
        return int(np.count_nonzero(self.fitted))

    @property
    def constant(self) -> float:
        """Natural log of the Gaussian likelihood of chi-square 0, per unit of flux."""
        return -float(np.sum(np.log(self.error[self.fitted]))) - 0.5 * self.n_used * _LN_2PI


@dataclass(frozen=True, eq=False)
class SpectralFit:
    """How well models agree with one spectrum.

    Attributes
    ----------
    chi2 : (..., n_model) float64
        Chi-square at the best polynomial; infinite where this is not positive everywhere
        between the first and the last fitted wavelength, or does not exist.
    coefficients : (..., n_model, n_order + 1) float64
        Of the Legendre polynomials [unit of the data / unit of the models]. The first is the
        mean of the polynomial over the fitted range.
    scale_err : (..., n_model) float64
        1-sigma uncertainty of the first coefficient.
    """

    chi2: Floats
    coefficients: Floats
    scale_err: Floats


@dataclass(frozen=True, eq=False)
class SpectralSums:
    """Sums over wavelength from which chi-square at any amplitude follows.

    Attributes
    ----------
    square, cross : (..., n_model) float64
        ``sum(m^2 / e^2)`` and ``sum(d m / e^2)``.
    power : (...) float64
        ``sum(d^2 / e^2)`` [1].
    """

    square: Floats
    cross: Floats
    power: Floats

    def chi_square(self, scale: Floats) -> Floats:
        """Return chi-square of the models times ``scale`` (..., n_model)."""
        return np.asarray(
            self.power[..., None] - 2 * scale * self.cross + scale**2 * self.square, np.float64
        )


def spectral_target(
    wave: Floats, flux: Floats, error: Floats, *, fitted: NDArray[np.bool_], order: int
) -> SpectralTarget:
    """Return a spectrum made ready for `polynomial_fit`.

    Parameters
    ----------
    wave : (n_wave,) float64
        Increasing [Angstrom].
    flux, error : (n_wave,) float64
        Spectrum and its 1-sigma uncertainty, in one unit.
    fitted : (n_wave,) bool
        Wavelengths that may count; those that are not usable never do.
    order : int
        Of the polynomial, >= 0.
    """
    fitted = fitted & usable_bands(flux, error)
    inside = wave[fitted] if np.any(fitted) else wave
    ends = (float(inside[0]), float(inside[-1]))
    return SpectralTarget(
        flux=np.where(fitted, flux, 0.0),
        error=np.where(fitted, error, np.inf),
        basis=legendre_basis(wave, ends=ends, order=order),
        fitted=fitted,
        ends=ends,
    )


def polynomial_fit(models: Spectra, targets: Sequence[SpectralTarget]) -> SpectralFit:
    """Return the best polynomial of every model against every spectrum.

    Parameters
    ----------
    models : (n_model, n_wave)
        Model spectra, finite.
    targets : sequence of SpectralTarget
        ``n_target`` spectra at the same wavelengths, with polynomials of one order.

    Returns
    -------
    fit : SpectralFit
        Of shape (n_target, n_model). The same target gives the same bits, whatever the others.

    Notes
    -----
    Minimises ``sum(w (d - m sum_k c_k L_k)^2)``, ``w = 1 / e^2``. The normal matrix is
    ``sum(w m^2 L_j L_k)``, and as a product of two Legendre polynomials is a sum of others
    (Adams 1878), it follows from 2 K + 1 sums ``sum(w m^2 L_n)``: those of all models and
    spectra are one matrix product, those of ``w d m L_k`` another. All sums are float64:
    chi-square is the small difference of large ones, of relative error 1e-13 of
    ``sum(w d^2)``.
    """
    order = targets[0].basis.shape[0] - 1
    products, nodes = legendre_products(order), polynomial_nodes(order)
    n_model = models.shape[0]
    fit = SpectralFit(
        chi2=np.empty((len(targets), n_model)),
        coefficients=np.empty((len(targets), n_model, order + 1)),
        scale_err=np.empty((len(targets), n_model)),
    )
    for first in range(0, len(targets), BATCH):
        batch = targets[first : first + BATCH]
        of_square, of_model, power = _columns(batch, order)
        for start in range(0, n_model, _TILE):
            rows = slice(start, start + _TILE)
            tile = _padded(models[rows])
            moments, cross = (tile * tile) @ of_square, tile @ of_model
            for i in range(len(batch)):
                solve_polynomials(
                    moments[:, i * (2 * order + 1) : (i + 1) * (2 * order + 1)],
                    cross[:, i * (order + 1) : (i + 1) * (order + 1)],
                    power[i],
                    products,
                    nodes,
                    fit.chi2[first + i, rows],
                    fit.coefficients[first + i, rows],
                    fit.scale_err[first + i, rows],
                )
    return fit


def amplitude_sums(models: Spectra, targets: Sequence[SpectralTarget]) -> SpectralSums:
    """Return the sums that tell chi-square of models without a polynomial, at any amplitude.

    Parameters
    ----------
    models : (n_model, n_wave)
        Model spectra, finite.
    targets : sequence of SpectralTarget
        ``n_target`` spectra at the same wavelengths; their polynomials do not count.

    Returns
    -------
    sums : SpectralSums
        Of shape (n_target, n_model). The same target gives the same bits, whatever the others.
    """
    n_model = models.shape[0]
    square, cross = np.empty((2, len(targets), n_model))
    powers = np.empty(len(targets))
    for first in range(0, len(targets), BATCH):
        batch = targets[first : first + BATCH]
        of_square, of_model, power = _columns(batch, 0)
        last = first + len(batch)
        powers[first:last] = power[: len(batch)]
        for start in range(0, n_model, _TILE):
            rows = slice(start, min(start + _TILE, n_model))
            tile = _padded(models[rows])
            n_row = rows.stop - start
            square[first:last, rows] = ((tile * tile) @ of_square)[:n_row, : len(batch)].T
            cross[first:last, rows] = (tile @ of_model)[:n_row, : len(batch)].T
    return SpectralSums(square=square, cross=cross, power=powers)


def spectral_ln_likelihood(chi2: Floats, target: SpectralTarget, *, weight: float) -> Floats:
    """Return the natural log of the Gaussian likelihood of a spectrum, times its weight.

    Parameters
    ----------
    chi2 : (n_model,)
        Chi-square of each model [1].
    target : SpectralTarget
        What it is the chi-square of.
    weight : float
        How much the spectrum counts; 1: as its errors say.

    Returns
    -------
    ln_likelihood : (n_model,)
        -inf where chi-square is infinite.
    """
    return np.asarray(weight * (target.constant - 0.5 * chi2), np.float64)


def clipped(target: SpectralTarget, model: Floats, *, clip_sigma: float) -> NDArray[np.bool_]:
    """Return the fitted wavelengths at which a model is not too far from the spectrum.

    Parameters
    ----------
    target : SpectralTarget
        All wavelengths that may count.
    model : (n_wave,) float64
        Model times its polynomial, in the unit of the data.
    clip_sigma : float
        Residual from which a wavelength is left out [standard deviations]; 0: none is.

    Returns
    -------
    kept : (n_wave,) bool

    Notes
    -----
    The standard deviation is that of the residuals over the error, from their median absolute
    deviation, but not less than 1: where no model fits within the errors, a clip of so many
    errors would take the spectrum away.
    """
    if clip_sigma == 0 or target.n_used == 0:
        return target.fitted.copy()
    residual = (target.flux - model) / target.error
    spread = 1.4826 * float(np.median(np.abs(residual[target.fitted])))
    kept = np.abs(residual) <= clip_sigma * max(spread, 1.0)
    return np.asarray(target.fitted & kept)


def _padded(models: Spectra) -> Floats:
    """Return a tile of float64 of full size: products of another size may round differently."""
    tile = np.zeros((_TILE, models.shape[1]))
    tile[: models.shape[0]] = models
    return tile


def _columns(batch: Sequence[SpectralTarget], order: int) -> tuple[Floats, Floats, Floats]:
    """Return what squared models and models are multiplied with, and ``sum(w d^2)``."""
    n_wave = batch[0].flux.size
    of_square = np.zeros((n_wave, BATCH * (2 * order + 1)))
    of_model = np.zeros((n_wave, BATCH * (order + 1)))
    power = np.zeros(BATCH)
    for i, target in enumerate(batch):
        weight = target.error**-2.0
        higher = higher_basis(target.basis, 2 * order)
        basis = target.basis[: order + 1]
        of_square[:, i * (2 * order + 1) : (i + 1) * (2 * order + 1)] = (weight * higher).T
        of_model[:, i * (order + 1) : (i + 1) * (order + 1)] = (weight * target.flux * basis).T
        power[i] = np.sum(weight * target.flux**2)
    return of_square, of_model, power
