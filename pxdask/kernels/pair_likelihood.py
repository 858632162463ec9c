"""Likelihood of models that each belong to one of many SEDs, as samplers need it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LN_2PI = math.log(2 * math.pi)

_FAR = -20.0
"""Argument below which ln Phi is its asymptotic series: the first omitted term is 2e-6 / 15."""


def pair_ln_likelihood(
    flux: Floats,
    error: Floats,
    limit: NDArray[np.bool_],
    model: NDArray[np.float32],
    *,
    scale: Floats,
    sed: NDArray[np.intp],
    dof: float = math.inf,
) -> Floats:
    """Return the natural log of the likelihood of each model given its own SED.

    Parameters
    ----------
    flux, error : (n_sed, n_band) float64
        Observed flux density, or the upper limit, and 1-sigma uncertainty [uJy]; a band that is
        not finite, or whose uncertainty is not positive, is left out.
    limit : (n_sed, n_band) bool
        Where ``flux`` is an upper limit.
    model : (n_model, n_band) float32
        Model flux density per unit mass formed [uJy Msun-1].
    scale : (n_model,) float64
        Amplitude of each model [Msun].
    sed : (n_model,) int
        Which SED each model is held against.
    dof : float
        Degrees of freedom of Student's t; infinite: a Gaussian.

    Returns
    -------
    ln_likelihood : (n_model,) float64
        A density in flux [ln uJy^-n_used], upper limits being probabilities: the values of
        `pxdask.kernels.likelihood`. 0 where no band is usable. Each depends on its own model
        and SED alone, to the last bit.

    Notes
    -----
    Source: Abdurro'uf et al. 2021 (ApJS 254, 15), equations 4 and 5; upper limits as Sawicki
    2012 (PASP 124, 1208), equation A10: ``ln Phi((limit - scale model) / error)``.
    """
    seen = in_errors(flux, error, limit, dof=dof)
    return np.asarray(_pairs(*seen, model, scale, sed, float(dof)))


class InErrors(NamedTuple):
    """SEDs in units of their errors.

    Attributes
    ----------
    data, inverse : (n_sed, n_band) float64
        Flux density, or its limit, over its error, and one over the error [uJy-1]; zero where left
        out.
    limit : (n_sed, n_band) bool
        Upper limits that are used.
    constant : (n_sed,) float64
        Natural log of the likelihood of a model that is right in all bands, limits not counted.
    """

    data: Floats
    inverse: Floats
    limit: NDArray[np.bool_]
    constant: Floats


def in_errors(flux: Floats, error: Floats, limit: NDArray[np.bool_], *, dof: float) -> InErrors:
    """Return SEDs in units of their errors; arguments as of `pair_ln_likelihood`."""
    usable = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    inverse = np.where(usable, 1 / np.where(usable, error, 1.0), 0.0)
    measured = usable & ~limit
    per_band = -0.5 * _LN_2PI
    if math.isfinite(dof):
        per_band = math.lgamma(0.5 * (dof + 1)) - math.lgamma(0.5 * dof)
        per_band -= 0.5 * math.log(dof * math.pi)
    terms = np.where(measured, per_band + np.log(np.where(measured, inverse, 1.0)), 0.0)
    constant = np.array([math.fsum(row) for row in terms])
    return InErrors(np.where(usable, flux, 0.0) * inverse, inverse, usable & limit, constant)


@njit(cache=True, inline="always", error_model="numpy")
def ln_phi(x: float) -> float:
    """Return the natural log of the standard normal distribution function.

    To 1e-9, relative, or 3e-16, absolute.

    Notes
    -----
    Asymptotic series: Abramowitz & Stegun 1964, 26.2.12.
    """
    if x < _FAR:
        q = 1.0 / (x * x)
        series = -q * (1.0 - q * (3.0 - q * (15.0 - q * 105.0)))
        return -0.5 * x * x - math.log(-x) - 0.5 * _LN_2PI + math.log1p(series)
    return math.log(0.5 * math.erfc(-x * math.sqrt(0.5)))


@njit(cache=True, nogil=True, error_model="numpy")
def _pairs(
    data: Floats,
    inverse: Floats,
    limit: NDArray[np.bool_],
    constant: Floats,
    model: NDArray[np.float32],
    scale: Floats,
    sed: NDArray[np.intp],
    dof: float,
) -> Floats:
    """Return ln likelihoods; ``data`` and ``inverse`` are f/e and 1/e, zero where left out."""
    out = np.empty(model.shape[0])
    gaussian = math.isinf(dof)
    for i in range(model.shape[0]):
        j = sed[i]
        total = 0.0
        bounds = 0.0
        for k in range(model.shape[1]):
            if inverse[j, k] == 0.0:
                continue
            residual = data[j, k] - scale[i] * model[i, k] * inverse[j, k]
            if limit[j, k]:
                bounds += ln_phi(residual)
            elif gaussian:
                total += residual * residual
            else:
                total += math.log1p(residual * residual / dof)
        factor = 0.5 if gaussian else 0.5 * (dof + 1.0)
        out[i] = constant[j] - factor * total + bounds
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def fill_ratio(
    model: NDArray[np.float32], inverse: Floats, low: float, width: float, ratio: Floats
) -> float:
    """Fill a model over the errors of an SED, at the middle of a prior of amplitudes; return this.

    Amplitudes are then in units of the middle one, whose squares do not overflow.
    """
    middle = low + 0.5 * width
    unit = math.exp(middle)
    for k in range(ratio.size):
        ratio[k] = model[k] * (unit * inverse[k])
    return middle
