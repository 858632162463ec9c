"""Integrals over passbands, exact for curves that are linear between their points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import AB_MAG_OF_MICROJANSKY, C_ANGSTROM_S, UJY_CGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from pxdask.core.bandpass import Filter

    Floats = NDArray[np.float64]
    Spectrum = Callable[[Floats], Floats]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
"""Exact for polynomials to the 31st power; for 1 / lambda, to rounding (4e-16) over a segment
whose ends differ by less than a factor of 2.8, to 1e-9 for a factor of 10."""

VEGA_TEMPERATURE = 9550.0
"""Effective temperature of Vega [K]; Castelli & Kurucz (1994, A&A 281, 817)."""

_SECOND_RADIATION = 1.438776877e8
"""h c / k [Angstrom K]; exact, SI."""


def pivot_wave(band: Filter) -> float:
    """Return the pivot wavelength [Angstrom].

    It relates the mean flux densities of any source:
    ``f_nu = f_lambda * pivot_wave**2 / c``.

    Parameters
    ----------
    band : Filter
        Transmission curve and detector type.

    Returns
    -------
    pivot : float
        [Angstrom].

    Notes
    -----
    Tokunaga & Vacca (2005, PASP 117, 421, eq. A11) for photon counters; for detectors of
    energy each integral has one power of wavelength less.
    """
    power = _power(band)
    return float(np.sqrt(_moment(band, power=power) / _moment(band, power=power - 2)))


def mean_wave(band: Filter) -> float:
    """Return the mean wavelength of the curve [Angstrom].

    Notes
    -----
    ``int T lambda / int T`` of the curve as it is given, whatever the detector (Koornneef et
    al. 1986, Highlights of Astronomy 7, 833; the SVO's WavelengthMean).
    """
    return _moment(band, power=1) / _moment(band, power=0)


def equivalent_width(band: Filter) -> float:
    """Return the width of a box with the curve's area and its peak [Angstrom].

    Notes
    -----
    ``int T / max T``, whatever the detector: the SVO's WidthEff.
    """
    return _moment(band, power=0) / float(np.max(band.transmission))


def rms_width(band: Filter) -> float:
    """Return the standard deviation of wavelength under the curve [Angstrom].

    Multiplied by ``FWHM_PER_SIGMA`` it is the width of a Gaussian alike; that of a box is its
    full width over ``sqrt(12)``.

    Notes
    -----
    Koornneef et al. (1986), as `mean_wave`.
    """
    mean = mean_wave(band)
    variance = _integral(band, lambda wave: (wave - mean) ** 2) / _moment(band, power=0)
    return float(np.sqrt(variance))


def effective_wave(band: Filter, *, spectrum: Spectrum | None = None) -> float:
    """Return the mean wavelength of what a detector counts of a source [Angstrom].

    Parameters
    ----------
    band : Filter
        Transmission curve and detector type.
    spectrum : callable, optional
        ``f_lambda`` of the source at wavelengths [Angstrom], in any unit. Evaluated at 16
        points between any two of the curve; features narrower than these are missed.
        Default: the AB source, flat in ``f_nu``; `vega_like` is another.

    Returns
    -------
    effective : float
        [Angstrom].

    Notes
    -----
    ``int lambda f_lambda S / int f_lambda S``, with the signal ``S = lambda T`` for photon
    counters and ``S = T`` for detectors of energy (Bessell & Murphy 2012, PASP 124, 140,
    eq. A21).
    """
    power = float(_power(band))
    source = spectrum or _ab_source

    def signal(wave: Floats) -> Floats:
        """Return what is counted at each wavelength, for unit transmission."""
        counted: Floats = source(wave) * wave**power
        return counted

    return _integral(band, lambda wave: wave * signal(wave)) / _integral(band, signal)


def mean_flux(band: Filter, *, spectrum: Spectrum) -> float:
    """Return the mean flux density per frequency that a band sees of a source.

    Parameters
    ----------
    band : Filter
        Transmission curve and detector type.
    spectrum : callable
        ``f_lambda`` [erg s-1 cm-2 Angstrom-1] at wavelengths [Angstrom]; see `effective_wave`.

    Returns
    -------
    flux : float
        ``f_nu`` [erg s-1 cm-2 Hz-1]; for spectra known in bins see `bin_weights`.

    Notes
    -----
    The AB definition (Bessell & Murphy 2012, eq. A12), as `bin_weights`.
    """
    power = float(_power(band))
    signal = _integral(band, lambda wave: spectrum(wave) * wave**power)
    return signal / (C_ANGSTROM_S * _moment(band, power=power - 2))


def vega_like(wave: Floats) -> Floats:
    """Return ``f_lambda`` of a black body as hot as Vega, in an arbitrary unit.

    It has no lines and no jumps: redward of 4000 Angstrom effective wavelengths agree with
    those under spectra of Vega to 1 per cent, blueward they do not.

    Parameters
    ----------
    wave : (...) float64
        [Angstrom].
    """
    ratio = _SECOND_RADIATION / VEGA_TEMPERATURE / wave
    result: Floats = 1e20 / wave**5 / np.expm1(ratio)
    return result


def ab_magnitude(flux: ArrayLike) -> Floats:
    """Return AB magnitudes [mag] of flux densities [uJy], of equal shape.

    NaN where the flux is NaN, zero or negative: none of these has a magnitude.

    Notes
    -----
    Oke & Gunn (1983, ApJ 266, 713, eq. 2).
    """
    values = np.asarray(flux, dtype=np.float64)
    positive = np.where(values > 0, values, np.nan)
    magnitude: Floats = AB_MAG_OF_MICROJANSKY - 2.5 * np.log10(positive)
    return magnitude


def ab_flux(magnitude: ArrayLike) -> Floats:
    """Return flux densities [uJy] of AB magnitudes [mag], of equal shape; NaN stays NaN."""
    exponent = -0.4 * (np.asarray(magnitude, dtype=np.float64) - AB_MAG_OF_MICROJANSKY)
    flux: Floats = 10.0**exponent
    return flux


def flux_per_wavelength(flux: ArrayLike, *, pivot: ArrayLike) -> Floats:
    """Return mean ``f_lambda`` [erg s-1 cm-2 Angstrom-1] of mean ``f_nu`` [uJy].

    Parameters
    ----------
    flux : (..., n_band) array
        [uJy]; NaN stays NaN.
    pivot : (n_band,) array or float
        Pivot wavelengths [Angstrom].

    Notes
    -----
    Exact for any spectrum, by the definition of the pivot wavelength; see `pivot_wave`.
    """
    values = np.asarray(flux, dtype=np.float64)
    result: Floats = values * UJY_CGS * C_ANGSTROM_S / np.square(np.asarray(pivot, np.float64))
    return result


def flux_per_frequency(flux: ArrayLike, *, pivot: ArrayLike) -> Floats:
    """Return mean ``f_nu`` [uJy] of mean ``f_lambda`` [erg s-1 cm-2 Angstrom-1].

    The inverse of `flux_per_wavelength`, with the same arguments.
    """
    values = np.asarray(flux, dtype=np.float64)
    result: Floats = values * np.square(np.asarray(pivot, np.float64)) / C_ANGSTROM_S / UJY_CGS
    return result


def bin_weights(band: Filter, edges: Floats) -> Floats:
    """Return the weights that turn binned flux densities into the band's mean ``f_nu``.

    Parameters
    ----------
    band : Filter
        Transmission curve and detector type.
    edges : (n_bin + 1,) float64
        Edges of the wavelength bins, increasing, in the frame of the filter [Angstrom].

    Returns
    -------
    weights : (n_bin,) float64
        ``weights @ f_lambda`` is the mean of ``f_nu`` [erg s-1 cm-2 Hz-1] for
        ``f_lambda`` [erg s-1 cm-2 Angstrom-1] constant within each bin. What the filter
        sees outside the edges counts as dark.

    Notes
    -----
    The AB definition, ``int f_lambda T lambda / int T c / lambda`` for photon counters
    (Bessell & Murphy 2012, PASP 124, 140, eq. A12). The upper integral is a cubic of
    wavelength between the points of the curve, and is evaluated as such.
    """
    power = _power(band)
    integral = _running_integral(band, edges, power=power)
    return np.diff(integral) / (C_ANGSTROM_S * _moment(band, power=power - 2))


def _power(band: Filter) -> int:
    """Return the power of wavelength that multiplies ``f_lambda`` in the detector's signal."""
    return 1 if band.detector == "photon" else 0


def _ab_source(wave: Floats) -> Floats:
    """Return ``f_lambda`` of a source of flat ``f_nu``, in an arbitrary unit."""
    result: Floats = wave**-2.0
    return result


def _moment(band: Filter, *, power: float) -> float:
    """Return ``int T lambda**power dlambda`` over the curve."""
    return _integral(band, lambda wave: wave ** float(power))


def _integral(band: Filter, function: Spectrum) -> float:
    """Return ``int T function(lambda) dlambda`` over the curve."""
    low, high = band.wave[:-1, None], band.wave[1:, None]
    fraction = (1 + _NODES) / 2
    wave = low + (high - low) * fraction
    response = band.transmission[:-1, None] * (1 - fraction) + (
        band.transmission[1:, None] * fraction
    )
    return float(np.sum((high - low) / 2 * (response * function(wave) * _WEIGHTS)))


def _running_integral(
    band: Filter, wave: NDArray[np.float64], *, power: int
) -> NDArray[np.float64]:
    """Return ``int T lambda**power dlambda`` from the curve's start to each wavelength."""
    start, response = band.wave[:-1], band.transmission[:-1]
    slope = np.diff(band.transmission) / np.diff(band.wave)

    def within(
        segment: NDArray[np.int64] | slice, step: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the integral over the first ``step`` Angstrom of a segment."""
        t, s, x = response[segment], slope[segment], start[segment]
        if power == 0:
            return step * (t + step * s / 2)
        return step * (t * x + step * ((t + s * x) / 2 + step * s / 3))

    full = np.concatenate([[0.0], np.cumsum(within(slice(None), np.diff(band.wave)))])
    inside = np.clip(wave, band.wave[0], band.wave[-1])
    segment = np.clip(np.searchsorted(band.wave, inside, side="right") - 1, 0, len(start) - 1)
    result: NDArray[np.float64] = full[segment] + within(segment, inside - start[segment])
    return result
