"""Which wavelengths of spectra are fitted, and the models' spectra at them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.kernels.emission_lines import near_lines
from pxdask.kernels.legendre import legendre_basis
from pxdask.kernels.spectral_fit import (
    SpectralTarget,
    amplitude_sums,
    clipped,
    polynomial_fit,
    spectral_ln_likelihood,
    spectral_target,
)
from pxdask.sps.observed import Observer, observer_of, redshift_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig, SpectrumConfig
    from pxdask.fitting.seds import Seds
    from pxdask.sps.libraries import ModelLibrary

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Spectra = NDArray[np.float32] | NDArray[np.float64]
    Closest = Callable[[Mapping[int, SpectralTarget]], Iterable[tuple[Floats, float] | None]]

logger = logging.getLogger(__name__)

_NAMED = 10
"""SEDs that a warning names at most."""


@dataclass(frozen=True, eq=False)
class SpectralData:
    """Spectra of some SEDs, ready to be compared with models.

    Attributes
    ----------
    observer : Observer
        Makes spectra of models at the wavelengths from the first to the last that may count.
    whole : Observer
        The same at all wavelengths of the data.
    targets : tuple of SpectralTarget or None
        Of each SED; None where so few wavelengths count that no polynomial is determined.
    window : slice
        Wavelengths of ``observer`` among all.
    """

    observer: Observer
    whole: Observer
    targets: tuple[SpectralTarget | None, ...]
    window: slice


@dataclass(frozen=True, eq=False)
class SpectralLikelihood:
    """How likely one spectrum is, of each of some models.

    Attributes
    ----------
    ln_likelihood : (n_model,) float64
        Times the spectrum's weight.
    scale, scale_err : (n_model,) float64
        Amplitude that the spectrum alone has, and its uncertainty [Msun]: the mean of the
        polynomial over the fitted range, or the best amplitude where there is no polynomial.
    """

    ln_likelihood: Floats
    scale: Floats
    scale_err: Floats


def spectral_data(seds: Seds, library: ModelLibrary, *, settings: FitConfig) -> SpectralData | None:
    """Return spectra ready to be fitted, or None where none can be.

    Parameters
    ----------
    seds : Seds
        With or without spectra.
    library : ModelLibrary
        Populations and redshifts.
    settings : FitConfig
        Wavelengths, lines, polynomial; ``systematic_sigma`` counts for spectra as for bands.
        ``systematic_error`` does not: an error of calibration that is a fraction of the flux
        is common to neighbouring wavelengths, which is what the polynomial is for.
    """
    if seds.wave is None or seds.spectrum is None or seds.spectrum_err is None:
        return None
    chosen = settings.spectrum
    wave = np.asarray(seds.wave, np.float64)
    if wave.size < 2:
        return None
    whole = observer_of(library, wave=wave, lsf_fwhm=seds.lsf_fwhm, sigma=chosen.sigma)
    redshifts = redshift_range(library)
    fitted = whole.resolved & fitted_wavelengths(wave, redshifts=redshifts, settings=chosen)
    place = np.flatnonzero(fitted)
    if redshifts[0] < redshifts[1] and (chosen.mask_lines or chosen.wave_ranges):
        logger.info(
            "spectra: %d of %d wavelengths are fitted, those in the ranges and away from emission"
            " lines at every redshift from %g to %g",
            place.size, wave.size, *redshifts,
        )  # fmt: skip
    if place.size < 2:
        logger.warning("spectra: none of %d wavelengths can be fitted", wave.size)
        return None
    window = slice(int(place[0]), int(place[-1]) + 1)
    lsf = None if seds.lsf_fwhm is None else np.asarray(seds.lsf_fwhm)[window]
    observer = observer_of(library, wave=wave[window], lsf_fwhm=lsf, sigma=chosen.sigma)
    grown = np.hypot(1.0, settings.systematic_sigma)
    order = chosen.polynomial_order or 0
    targets = []
    for spectrum, error in zip(seds.spectrum, seds.spectrum_err, strict=True):
        target = spectral_target(
            wave[window],
            np.asarray(spectrum, np.float64)[window],
            np.asarray(error, np.float64)[window] * grown,
            fitted=fitted[window],
            order=order,
        )
        targets.append(target if target.n_used > order + 1 else None)
    return SpectralData(observer, whole, tuple(targets), window)


def silent_rows(seds: Seds, data: SpectralData | None, *, settings: FitConfig) -> Bools:
    """Return which SEDs (n_sed,) have nothing to be fitted by, and warn of them.

    Where spectra alone are fitted, they are those that have none of which enough wavelengths count.

    Parameters
    ----------
    seds : Seds
        With or without spectra.
    data : SpectralData or None
        Their spectra, from `spectral_data`.
    settings : FitConfig
        Of the fit.
    """
    if settings.spectrum.use != "spectrum":
        return np.zeros(len(seds), np.bool_)
    targets = data.targets if data is not None else (None,) * len(seds)
    silent = np.array([target is None for target in targets], np.bool_)
    if np.any(silent):
        rows = np.flatnonzero(silent)
        logger.warning(
            "%d of %d SEDs have no spectrum that can be fitted, and spectrum.use is spectrum: not"
            " fitted: %s%s",
            rows.size, len(seds), ", ".join(str(seds.keys[i]) for i in rows[:_NAMED]),
            ", ..." if rows.size > _NAMED else "",
        )  # fmt: skip
    return silent


def fitted_wavelengths(
    wave: Floats, *, redshifts: tuple[float, float], settings: SpectrumConfig
) -> NDArray[np.bool_]:
    """Return which wavelengths may count.

    Parameters
    ----------
    wave : (n_wave,) float64
        Observed frame [Angstrom].
    redshifts : (float, float)
        Of the models: a wavelength counts only if it does at every redshift of this range, since
        likelihoods of different data do not compare. So lines are left out as widely as the
        redshift may move them.
    settings : SpectrumConfig
        Ranges and lines.

    Returns
    -------
    fitted : (n_wave,) bool
    """
    low, high = (wave / (1 + z) for z in redshifts[::-1])
    fitted = np.ones(wave.size, bool)
    if settings.wave_ranges:
        inside = [(low >= first) & (high <= last) for first, last in settings.wave_ranges]
        fitted &= np.any(inside, axis=0)
    if settings.mask_lines:
        reach = 0.5 * (high - low) + settings.line_half_width
        fitted &= ~near_lines(0.5 * (low + high), half_width=reach)
    return fitted


def likelihood_of_spectrum(
    spectra: Spectra,
    target: SpectralTarget,
    *,
    settings: SpectrumConfig,
    scale: Floats | None = None,
) -> SpectralLikelihood:
    """Return how likely a spectrum is, of each model: for samplers that make models on the fly.

    Parameters
    ----------
    spectra : (n_model, n_wave)
        Of `SpectralData.observer`.
    target : SpectralTarget
        Of `SpectralData`.
    settings : SpectrumConfig
        Polynomial and weight.
    scale : (n_model,) float64, optional
        Amplitude of each model [Msun]. Not used where there is a polynomial; without one,
        default: the best of each.

    Notes
    -----
    With a polynomial the likelihood is that of its best coefficients, and says nothing of
    the amplitude, which photometry gives.
    """
    if settings.polynomial_order is not None:
        fit = polynomial_fit(spectra, [target])
        ln_likelihood = spectral_ln_likelihood(fit.chi2[0], target, weight=settings.weight)
        spread = fit.scale_err[0] / np.sqrt(settings.weight)
        return SpectralLikelihood(ln_likelihood, fit.coefficients[0, :, 0], spread)
    sums = amplitude_sums(spectra, [target])
    with np.errstate(divide="ignore", invalid="ignore"):
        best = sums.cross[0] / sums.square[0]
        spread = 1 / np.sqrt(settings.weight * sums.square[0])
    at = best if scale is None else scale
    chi2 = sums.chi_square(at[None])[0]
    ln_likelihood = spectral_ln_likelihood(chi2, target, weight=settings.weight)
    return SpectralLikelihood(ln_likelihood, best, spread)


def with_fitted(target: SpectralTarget, fitted: NDArray[np.bool_]) -> SpectralTarget:
    """Return a target of fewer wavelengths (n_wave,), with the polynomials of all."""
    return replace(
        target,
        flux=np.where(fitted, target.flux, 0.0),
        error=np.where(fitted, target.error, np.inf),
        fitted=fitted,
    )


def fitted_model(
    spectrum: Floats, target: SpectralTarget, *, settings: SpectrumConfig, scale: float
) -> Floats:
    """Return one model (n_wave,) times its polynomial, or times an amplitude without one."""
    if settings.polynomial_order is None:
        return np.asarray(scale * spectrum)
    coefficients = polynomial_fit(spectrum[None], [target]).coefficients[0, 0]
    return np.asarray(spectrum * (coefficients @ target.basis))


def clipped_targets(
    targets: Sequence[SpectralTarget], closest: Closest, *, settings: SpectrumConfig
) -> list[SpectralTarget]:
    """Return targets without the wavelengths that no model comes near.

    Each of at most ``clip_rounds`` rounds begins from all wavelengths; a target is left as it is
    once they are the same as before, or would be too few for its polynomial.

    Parameters
    ----------
    targets : sequence of SpectralTarget
        With all wavelengths that may count.
    closest : callable
        From targets as they are now, by their places, to the spectrum (n_wave,) and the amplitude
        [Msun] of the best model of each, in order; None where there is no such model.
    settings : SpectrumConfig
        Polynomial and clipping.
    """
    now = list(targets)
    moving = list(range(len(now))) if settings.clip_sigma > 0 else []
    for _ in range(settings.clip_rounds):
        if not moving:
            break
        found = closest({i: now[i] for i in moving})
        still = []
        for i, best in zip(moving, found, strict=True):
            if best is None:
                continue
            model = fitted_model(best[0], now[i], settings=settings, scale=best[1])
            kept = clipped(targets[i], model, clip_sigma=settings.clip_sigma)
            if np.array_equal(kept, now[i].fitted) or np.count_nonzero(kept) <= len(now[i].basis):
                continue
            now[i] = with_fitted(targets[i], kept)
            still.append(i)
        moving = still
    return now


def results_of_spectrum(
    parameters: Mapping[str, Floats],
    scale: float,
    *,
    target: SpectralTarget,
    data: SpectralData,
    settings: SpectrumConfig,
) -> tuple[dict[str, float], dict[str, Floats]]:
    """Return the spectral variables of schema fit/2 of an SED, of its best model.

    Parameters
    ----------
    parameters : mapping of (1,) float64
        Of that model.
    scale : float
        Its amplitude [Msun].
    target, data, settings
        What it was fitted to.

    Returns
    -------
    numbers : dict of float
        ``spectrum_chi2``, ``spectrum_n_used``.
    spectral : dict of float64
        ``model_spectrum`` at all wavelengths, and its ``polynomial``.
    """
    inside = data.observer.spectra(parameters).astype(np.float64)
    whole = scale * data.whole.spectra(parameters)[0].astype(np.float64)
    likely = likelihood_of_spectrum(inside, target, settings=settings, scale=np.array([scale]))
    chi2 = 2 * (target.constant - float(likely.ln_likelihood[0]) / settings.weight)
    factor = np.ones(1)
    if settings.polynomial_order is not None:
        factor = polynomial_fit(inside, [target]).coefficients[0, 0] / scale
        basis = legendre_basis(data.whole.wave, ends=target.ends, order=factor.size - 1)
        whole = whole * (factor @ basis)
    numbers = {"spectrum_chi2": chi2, "spectrum_n_used": target.n_used}
    return numbers, {"model_spectrum": whole, "polynomial": factor}
