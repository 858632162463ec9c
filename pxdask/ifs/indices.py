"""Strengths of features of stellar spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.kernels.line_fit import bin_widths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DN4000_BANDS = ((3850.0, 3950.0), (4000.0, 4100.0))
"""Bands of the narrow break [Angstrom, rest frame]; Balogh et al. 1999 (ApJ 527, 54), section 3."""

MIN_COVERED = 0.8
"""Least part of a band that good wavelengths must cover [1]."""


@dataclass(frozen=True, eq=False)
class Index:
    """An index and its 1-sigma uncertainty, (n_spectrum,) float64."""

    value: Floats
    error: Floats


def dn4000(
    wave: Floats,
    flux: Floats,
    flux_err: Floats,
    *,
    redshift: float,
    rng: np.random.Generator,
    n_draws: int = 100,
) -> Index:
    """Return the break at 4000 Angstrom, mean F_nu redwards over that bluewards.

    Parameters
    ----------
    wave : (n_wave,) float64
        Observed frame, vacuum, increasing [Angstrom].
    flux, flux_err : (n_spectrum, n_wave) float64
        Flux density per wavelength and its 1-sigma uncertainty, in one unit. A value that is not
        finite, or whose error is not finite and positive, is left out.
    redshift : float
        Above -1.
    rng : numpy.random.Generator
        Source of the bootstrap.
    n_draws : int
        Spectra drawn for the uncertainty, at least 2.

    Returns
    -------
    index : Index
        NaN where good wavelengths cover less than 80 % of a band, or where the blue mean is not
        positive. A spectrum's uncertainty depends on its place among the spectra.

    Raises
    ------
    ConfigError
        If ``n_draws`` is less than 2.

    Notes
    -----
    Bands of Balogh et al. 1999; uncertainty as in Abdurro'uf et al. 2021, section 6.4: the standard
    deviation of the index over spectra with Gaussian noise added. A band's mean is a weighted sum
    of fluxes, so under noise that is independent between wavelengths it is exactly Gaussian and
    is drawn itself, which has the same distribution as drawing each wavelength. Wavelength bins
    at a band's end count by the part inside.
    """
    if n_draws < 2:
        raise ConfigError(f"n_draws is {n_draws}; a standard deviation needs at least 2")
    rest = wave / (1 + redshift)
    blue, red = (_band_mean(rest, flux, flux_err, band) for band in DN4000_BANDS)
    known = np.isfinite(blue.value) & np.isfinite(red.value) & (blue.value > 0)
    bottom = np.where(known, blue.value, 1.0)
    value = np.where(known, red.value / bottom, np.nan)
    noise = rng.standard_normal((n_draws, 2, len(flux)))
    drawn_red, drawn_blue = red.value + noise[:, 0] * red.error, bottom + noise[:, 1] * blue.error
    with np.errstate(divide="ignore"):
        spread = np.std(drawn_red[:, known] / drawn_blue[:, known], axis=0, ddof=1)
    error = np.full(len(flux), np.nan)
    error[known] = spread
    return Index(value, error)


def _band_mean(rest: Floats, flux: Floats, flux_err: Floats, band: tuple[float, float]) -> Index:
    """Return the mean of wavelength squared times flux over a band, and its uncertainty."""
    half = 0.5 * bin_widths(rest)
    inside = np.minimum(rest + half, band[1]) - np.maximum(rest - half, band[0])
    rows = inside > 0
    part, square = inside[rows], rest[rows] ** 2
    values, errors = flux[:, rows], flux_err[:, rows]
    good = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    weight = np.where(good, part, 0.0)
    covered = weight.sum(axis=1)
    enough = covered >= MIN_COVERED * (band[1] - band[0])
    weight /= np.where(enough, covered, np.inf)[:, None]
    mean = np.sum(weight * square * np.where(good, values, 0.0), axis=1)
    error = np.sqrt(np.sum((weight * square * np.where(good, errors, 0.0)) ** 2, axis=1))
    return Index(np.where(enough, mean, np.nan), np.where(enough, error, np.nan))
