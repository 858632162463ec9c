"""Agreement of model fluxes with one observed SED, and what follows from it.

Every function works on one SED, so a result cannot depend on which SEDs are fitted beside
it. A band whose flux is NaN or infinite, or whose uncertainty is not a positive finite
number, is left out; where no band is left, results are NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Models = NDArray[np.float32] | NDArray[np.float64]

_BLOCK = 1024
"""Models worked on at a time; the block's sums stay in the first-level cache."""

_LN_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, slots=True)
class Scale:
    """Least-squares amplitude of every model.

    Attributes
    ----------
    value : (n_model,)
        Amplitude [flux unit of the data / flux unit of the models].
    err : (n_model,)
        Its 1-sigma uncertainty, in the same unit.
    """

    value: Floats
    err: Floats


def usable_bands(flux: Floats, flux_err: Floats) -> NDArray[np.bool_]:
    """Return which fluxes can be fitted: finite, with a positive finite uncertainty.

    Parameters
    ----------
    flux, flux_err : (..., n_band)
        Observed flux density and its 1-sigma uncertainty [uJy].

    Returns
    -------
    usable : (..., n_band) bool
    """
    return np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0)


def total_error(flux: Floats, flux_err: Floats, *, systematic_error: float) -> Floats:
    """Return the uncertainty with a systematic part in quadrature.

    Parameters
    ----------
    flux, flux_err : (..., n_band)
        Observed flux density and its 1-sigma uncertainty [uJy].
    systematic_error : float
        Systematic error as a fraction of the observed flux [1].

    Returns
    -------
    error : (..., n_band)
        ``sqrt(flux_err^2 + (systematic_error flux)^2)`` [uJy]; NaN where the band is not
        usable (`usable_bands`), so that a missing uncertainty never becomes a valid one.

    Notes
    -----
    Source: Abdurro'uf et al. 2021 (ApJS 254, 15), section 4.1: a systematic error
    multiplicative in the observed flux. (Their text multiplies sigma; their code and the
    sentence before it multiply the flux, as here.)
    """
    usable = usable_bands(flux, flux_err)
    error = np.hypot(flux_err, systematic_error * np.where(usable, flux, 0.0))
    return np.where(usable, error, np.nan)


def best_scale(flux: Floats, error: Floats, model: Models) -> Scale:
    """Return the amplitude that brings each model closest to one SED.

    Parameters
    ----------
    flux, error : (n_band,)
        Observed flux density and its 1-sigma uncertainty [uJy].
    model : (n_band, n_model)
        Model flux density per unit mass formed [uJy Msun-1], C-contiguous.

    Returns
    -------
    scale : Scale
        ``value = sum(f m / e^2) / sum(m^2 / e^2)``, ``err = sum(m^2 / e^2)^-1/2`` [Msun];
        NaN and infinity where no band is usable or the model has no flux in any usable band.

    Notes
    -----
    Source: minimum of chi-square over a free amplitude, Sawicki 2012 (PASP 124, 1208),
    equation 7, the scale of Abdurro'uf et al. 2021 (ApJS 254, 15), equation 5.
    """
    used = np.flatnonzero(usable_bands(flux, error))
    # In units of the error, so that nothing overflows where fluxes are extreme.
    value, err = _scale(flux[used] / error[used], 1 / error[used], used, model)
    return Scale(value, err)


def chi_square(flux: Floats, error: Floats, model: Models, *, scale: Floats) -> Floats:
    """Return chi-square of each scaled model against one SED.

    Parameters
    ----------
    flux, error : (n_band,)
        Observed flux density and its 1-sigma uncertainty [uJy].
    model : (n_band, n_model)
        Model flux density per unit mass formed [uJy Msun-1], C-contiguous.
    scale : (n_model,)
        Amplitude of each model [Msun].

    Returns
    -------
    chi2 : (n_model,)
        Sum over usable bands of squared residuals over the error [1]; NaN where no band
        is usable or the scale is NaN.

    Notes
    -----
    Source: Abdurro'uf et al. 2021 (ApJS 254, 15), equation 5, squared and summed.
    """
    used = np.flatnonzero(usable_bands(flux, error))
    if used.size == 0:
        return np.full(model.shape[1], np.nan)
    return np.asarray(_chi_square(flux[used] / error[used], 1 / error[used], used, model, scale))


def ln_likelihood_gaussian(error: Floats, *, chi2: Floats) -> Floats:
    """Return the natural log of the Gaussian likelihood.

    Parameters
    ----------
    error : (n_band,)
        1-sigma uncertainty [uJy]; NaN in bands that were left out of ``chi2``.
    chi2 : (n_model,)
        Chi-square of each model [1].

    Returns
    -------
    ln_likelihood : (n_model,)
        ``-chi2 / 2 - sum(ln(e sqrt(2 pi)))``, a density in flux [ln uJy^-n_used].
    """
    return ln_peak(error) - 0.5 * chi2


def ln_peak(error: Floats, *, dof: float = math.inf) -> float:
    """Return ln likelihood of a model that fits perfectly, the greatest that there can be.

    Parameters
    ----------
    error : (n_band,)
        1-sigma uncertainty [uJy]; not a positive number in bands that are left out.
    dof : float
        Degrees of freedom of Student's t; infinity: the Gaussian [1].
    """
    return ln_peak_of(error, dof)


@njit(cache=True, nogil=True, error_model="numpy")
def ln_peak_of(error: Floats, dof: float) -> float:
    """Return `ln_peak`, inside kernels."""
    each = -0.5 * _LN_2PI
    if dof < math.inf:
        each = math.lgamma(0.5 * (dof + 1)) - math.lgamma(0.5 * dof)
        each -= 0.5 * math.log(dof * math.pi)
    total = 0.0
    for e in error:
        if 0 < e < math.inf:
            total += each - math.log(e)
    return total


def ln_likelihood_student(
    flux: Floats, error: Floats, model: Models, *, scale: Floats, dof: float
) -> Floats:
    """Return the natural log of Student's t likelihood of each scaled model.

    Parameters
    ----------
    flux, error : (n_band,)
        Observed flux density and its 1-sigma uncertainty [uJy].
    model : (n_band, n_model)
        Model flux density per unit mass formed [uJy Msun-1], C-contiguous.
    scale : (n_model,)
        Amplitude of each model [Msun].
    dof : float
        Degrees of freedom, > 0; the Gaussian is the limit of large values [1].

    Returns
    -------
    ln_likelihood : (n_model,)
        A density in flux [ln uJy^-n_used]; NaN where no band is usable or the scale is NaN.

    Notes
    -----
    Source: Abdurro'uf et al. 2021 (ApJS 254, 15), equation 4, divided by each error so
    that it is a density in flux, as the Gaussian is.
    """
    used = np.flatnonzero(usable_bands(flux, error))
    if used.size == 0:
        return np.full(model.shape[1], np.nan)
    ln_terms = np.zeros(model.shape[1])
    # One logarithm for eight bands: a product of eight terms cannot overflow unless a
    # residual exceeds 1e19 sigma.
    for bands in np.split(used, range(8, used.size, 8)):
        terms = _student_product(
            flux[bands] / error[bands], 1 / error[bands], bands, model, scale, dof
        )
        ln_terms += np.log(terms)
    return ln_peak(error[used], dof=dof) - 0.5 * (dof + 1) * ln_terms


def effective_number(weights: Floats) -> float:
    """Return the effective number of models, ``sum(w)^2 / sum(w^2)`` (Kish 1965).

    Parameters
    ----------
    weights : (n_model,)
        Non-negative posterior weights, in any normalisation [1].

    Returns
    -------
    n_eff : float
        Between 1 and ``n_model``; NaN where all weights are zero.
    """
    return _effective_number(weights)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _effective_number(weights: Floats) -> float:
    """Return `effective_number`."""
    total, squares = 0.0, 0.0
    for w in weights:
        total += w
        squares += w * w
    return total * total / squares if total > 0 else math.nan


def posterior_weights(
    ln_likelihood: Floats, *, neglected: float, n_model: int | None = None
) -> tuple[NDArray[np.intp], Floats]:
    """Return the models that hold all but a stated part of the posterior, and their weights.

    Parameters
    ----------
    ln_likelihood : (n_model,)
        Natural log of each likelihood; -inf where a model has none.
    neglected : float
        Largest part of the posterior that may be left out, between 0 and 1 [1]. A
        quantile's probability is off by no more than this.
    n_model : int, optional
        Number of models, where only those that may count are given: what is returned is then
        what all would give. Default: those given.

    Returns
    -------
    models : (n_kept,)
        Which models were kept, in their order; none where no likelihood is finite.
    weights : (n_kept,)
        Likelihood over that of the best model [1].
    """
    n = n_model or ln_likelihood.size
    models, weights = _posterior_weights(ln_likelihood, neglected, math.log(2 * n / neglected))
    return models, weights


@njit(cache=True, nogil=True, error_model="numpy")
def _posterior_weights(
    ln_likelihood: Floats, neglected: float, depth: float
) -> tuple[NDArray[np.intp], Floats]:
    """Return models and weights; those ``depth`` below the best hold half of ``neglected``."""
    best = -np.inf
    for value in ln_likelihood:
        best = max(best, value)
    models, weights = np.empty(ln_likelihood.size, np.intp), np.empty(ln_likelihood.size)
    if not np.isfinite(best):
        return models[:0], weights[:0]
    n = np.intp(0)
    for j in range(ln_likelihood.size):
        models[n], weights[n] = j, best - ln_likelihood[j]
        n += np.intp(best - ln_likelihood[j] < depth)
    models, below = models[:n], weights[:n]
    weights = np.empty(n)
    for j in range(n):
        weights[j] = exp(-below[j])
    # The other half is found from the weight in each step of one in ln weight.
    in_step = np.zeros(int(depth) + 1)
    for j in range(n):
        in_step[int(below[j])] += weights[j]
    total, last, from_here_down = in_step.sum(), in_step.size, 0.0
    while last > 1 and from_here_down + in_step[last - 1] <= 0.5 * neglected * total:
        last -= 1
        from_here_down += in_step[last]
    kept = np.intp(0)
    for j in range(n):
        models[kept], weights[kept] = models[j], weights[j]
        kept += np.intp(below[j] < last)
    return models[:kept], weights[:kept]


@njit(cache=True, nogil=True, error_model="numpy")
def _scale(
    data: Floats, inverse: Floats, used: NDArray[np.int64], model: Models
) -> tuple[Floats, Floats]:
    """Return amplitudes and their errors; ``data`` and ``inverse`` are f/e and 1/e."""
    n_model = model.shape[1]
    value, err = np.empty(n_model), np.empty(n_model)
    cross, square = np.empty(_BLOCK), np.empty(_BLOCK)
    for start in range(0, n_model, _BLOCK):
        n = min(_BLOCK, n_model - start)
        cross[:n] = 0.0
        square[:n] = 0.0
        for k in range(used.size):
            row = model[used[k], start : start + n]
            for j in range(n):
                scaled = inverse[k] * row[j]
                cross[j] += data[k] * scaled
                square[j] += scaled * scaled
        # A model without flux gives 0 / 0 and 1 / 0: NaN and infinity by IEEE 754. Two
        # loops, because the compiler vectorises each alone.
        for j in range(n):
            value[start + j] = cross[j] / square[j]
        for j in range(n):
            err[start + j] = 1.0 / math.sqrt(square[j])
    return value, err


@njit(cache=True, nogil=True, error_model="numpy")
def _chi_square(
    data: Floats, inverse: Floats, used: NDArray[np.int64], model: Models, scale: Floats
) -> Floats:
    """Return chi-square; residuals, not sums of squares, so nothing cancels."""
    n_model = model.shape[1]
    chi2 = np.empty(n_model)
    total = np.empty(_BLOCK)
    for start in range(0, n_model, _BLOCK):
        n = min(_BLOCK, n_model - start)
        factor = scale[start : start + n]
        total[:n] = 0.0
        for k in range(used.size):
            row = model[used[k], start : start + n]
            for j in range(n):
                residual = data[k] - factor[j] * (inverse[k] * row[j])
                total[j] += residual * residual
        chi2[start : start + n] = total[:n]
    return chi2


@njit(cache=True, nogil=True, error_model="numpy")
def _student_product(
    data: Floats,
    inverse: Floats,
    used: NDArray[np.int64],
    model: Models,
    scale: Floats,
    dof: float,
) -> Floats:
    """Return the product over bands of 1 + chi^2 / dof."""
    n_model = model.shape[1]
    product = np.empty(n_model)
    total = np.empty(_BLOCK)
    per_dof = 1.0 / dof
    for start in range(0, n_model, _BLOCK):
        n = min(_BLOCK, n_model - start)
        factor = scale[start : start + n]
        total[:n] = 1.0
        for k in range(used.size):
            row = model[used[k], start : start + n]
            for j in range(n):
                residual = data[k] - factor[j] * (inverse[k] * row[j])
                total[j] *= 1.0 + residual * residual * per_dof
        product[start : start + n] = total[:n]
    return product
