"""Integrals over passbands, exact for curves that are linear between their points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import C_ANGSTROM_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)


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


def bin_weights(band: Filter, edges: NDArray[np.float64]) -> NDArray[np.float64]:
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


def _moment(band: Filter, *, power: int) -> float:
    """Return ``int T lambda**power dlambda`` over the curve."""
    low, high = band.wave[:-1, None], band.wave[1:, None]
    fraction = (1 + _NODES) / 2
    wave = low + (high - low) * fraction
    response = band.transmission[:-1, None] * (1 - fraction) + (
        band.transmission[1:, None] * fraction
    )
    return float(np.sum((high - low) / 2 * (response * wave**power * _WEIGHTS)))


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
