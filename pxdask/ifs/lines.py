"""Emission lines of spectra: continuum taken away, Gaussians fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.kernels.emission_lines import EMISSION_LINES, near_lines
from pxdask.kernels.line_fit import (
    C_KM_S,
    MAX_SIGMA,
    MAX_VELOCITY,
    LineShapes,
    bin_widths,
    fit_gaussian_lines,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_OII, _OIII, _SII = (
    EMISSION_LINES["[O II] 3727"],
    EMISSION_LINES["[O III]"],
    EMISSION_LINES["[S II]"],
)
_NII_BLUE, _HALPHA, _NII_RED = EMISSION_LINES["[N II] and H alpha"]

OIII_RATIO = 2.98
"""Flux of [O III] 5007 over 4959 [1]; Storey & Zeippen 2000."""

NII_RATIO = 3.05
"""Flux of [N II] 6584 over 6548 [1]; Storey & Zeippen 2000."""

OII_RATIO = 1.45
"""Flux of [O II] 3729 over 3726 [1] in thin gas; Sanders et al. 2016. Dense gas has down to 0.38,
but at the resolution of surveys only the sum matters, which is what is given."""

LINES: dict[str, tuple[tuple[float, float], ...]] = {
    "oii_3727": (
        (_OII[0], 1 / (1 + OII_RATIO)),
        (_OII[1], OII_RATIO / (1 + OII_RATIO)),
    ),
    "hbeta": ((EMISSION_LINES["H beta"][0], 1.0),),
    "oiii_5007": ((_OIII[1], 1.0), (_OIII[0], 1 / OIII_RATIO)),
    "halpha": ((_HALPHA, 1.0),),
    "nii_6584": ((_NII_RED, 1.0), (_NII_BLUE, 1 / NII_RATIO)),
    "sii_6717": ((_SII[0], 1.0),),
    "sii_6731": ((_SII[1], 1.0),),
}
"""Lines that are measured: wavelengths [Angstrom, vacuum] and fluxes over the one that is given.
Names have wavelengths in air, as usual."""

REST_WAVE = {
    name: sum(w * s for w, s in members) / sum(s for _, s in members)
    if name == "oii_3727"
    else members[0][0]
    for name, members in LINES.items()
}
"""Wavelength of each line [Angstrom, vacuum]; of [O II] the mean of the two."""

MIN_SNR = 3.0
"""Signal-to-noise ratio from which a line is detected, and of its upper limit if not [1]."""

MIN_GAIN = 40.0
"""Chi-square that emission must explain for its velocity and width to be fitted [1]: noise alone
explained 30 in 3 of 3000 spectra with all seven lines, and 40 in none."""

_MASKED = 15.0
"""Rest-frame distance from lines up to which the continuum is not looked at [Angstrom]."""

_SPAN, _STEP = 100.0, 40.0
"""Half-width and distance of the windows of the continuum, rest frame [Angstrom]."""

_MIN_WINDOW = 20
"""Good wavelengths that a window of the continuum needs at least."""


@dataclass(frozen=True, eq=False)
class EmissionLines:
    """Emission lines of spectra.

    Attributes
    ----------
    names : tuple of str
        ``n_line`` names, keys of `LINES`.
    flux, flux_err : (n_spectrum, n_line) float64
        [unit of the spectra times Angstrom]; may be negative; NaN where not covered.
    limit : (n_spectrum, n_line) float64
        Upper limit of what is not detected: 3 errors above the flux, or above 0 if that is
        negative; NaN for lines that are detected.
    width, width_err : (n_spectrum, n_line) float64
        Equivalent width, rest frame, positive in emission [Angstrom]; NaN where the continuum
        is not positive. Its uncertainty is the flux's alone.
    velocity, velocity_err, sigma, sigma_err : (n_spectrum,) float64
        Of all lines [km s-1], ``sigma`` without the instrument's; NaN where too weak.
    chi2 : (n_spectrum,) float64
        Chi-square near the lines; NaN where no line is covered.
    n_used : (n_spectrum,) int32
        Good wavelengths there.
    """

    names: tuple[str, ...]
    flux: Floats
    flux_err: Floats
    limit: Floats
    width: Floats
    width_err: Floats
    velocity: Floats
    velocity_err: Floats
    sigma: Floats
    sigma_err: Floats
    chi2: Floats
    n_used: NDArray[np.int32]


def measure_lines(
    wave: Floats,
    flux: Floats,
    flux_err: Floats,
    *,
    redshift: float,
    lsf_fwhm: Floats,
    starlight: Floats | None = None,
) -> EmissionLines:
    """Return the emission lines of spectra.

    Parameters
    ----------
    wave : (n_wave,) float64
        Observed frame, vacuum, increasing [Angstrom].
    flux, flux_err : (n_spectrum, n_wave) float64
        Flux density per wavelength and its 1-sigma uncertainty, in one unit. A value that is not
        finite, or whose error is not finite and positive, is left out.
    redshift : float
        Above -1; velocities count from it, and lines are sought within 500 km/s of it.
    lsf_fwhm : (n_wave,) float64
        Width of the line spread function [Angstrom]; where NaN, lines have the width observed.
    starlight : (n_spectrum, n_wave) float64, optional
        Spectra of the stars alone, without lines of gas, at the resolution of the data; only
        their shape matters. Default: flat, so that Balmer lines are those in emission less
        those of the stars in absorption.

    Returns
    -------
    found : EmissionLines
        NaN where a line, or the continuum around it, is not covered.

    Notes
    -----
    The continuum is `continuum_level`. Lines are fitted with one velocity and one width, doublets
    with fixed ratios; see `pxdask.kernels.line_fit.fit_gaussian_lines`. The paper (Abdurro'uf et
    al. 2021, section 6.4) fits each of two lines by itself, to spectra less a model's continuum.
    Errors do not have those of the continuum in them: the running median adds some 5 per cent.
    """
    names = tuple(LINES)
    level = continuum_level(wave, flux, flux_err, redshift=redshift, starlight=starlight)
    near = _near(wave, redshift, names)
    shapes = _shapes(wave, lsf_fwhm, redshift, names)
    residual = np.ascontiguousarray((flux - level)[:, near])
    error = np.ascontiguousarray(flux_err[:, near])
    fit = fit_gaussian_lines(wave[near], residual, error, shapes, min_gain=MIN_GAIN)
    detected = fit.flux >= MIN_SNR * fit.flux_err
    limit = np.where(detected, np.nan, np.maximum(fit.flux, 0.0) + MIN_SNR * fit.flux_err)
    at = np.searchsorted(wave, [REST_WAVE[name] * (1 + redshift) for name in names])
    under = level[:, np.clip(at, 0, wave.size - 1)] * (1 + redshift)
    under = np.where(under > 0, under, np.nan)
    return EmissionLines(
        names=names,
        flux=fit.flux,
        flux_err=fit.flux_err,
        limit=limit,
        width=fit.flux / under,
        width_err=fit.flux_err / under,
        velocity=fit.velocity,
        velocity_err=fit.velocity_err,
        sigma=fit.sigma,
        sigma_err=fit.sigma_err,
        chi2=fit.chi2,
        n_used=fit.n_used,
    )


def continuum_level(
    wave: Floats,
    flux: Floats,
    flux_err: Floats,
    *,
    redshift: float,
    starlight: Floats | None = None,
) -> Floats:
    """Return the continuum: starlight times a running median of what it must be multiplied with.

    Parameters
    ----------
    wave, flux, flux_err, redshift, starlight
        As of `measure_lines`.

    Returns
    -------
    level : (n_spectrum, n_wave) float64
        [unit of the spectra]; NaN before the first and after the last window with 20 good
        wavelengths.

    Notes
    -----
    Windows are 200 Angstrom wide, 40 apart, without the 15 Angstrom on both sides of emission
    lines (all of `EMISSION_LINES`), and between their middles the factor is linear. A factor
    keeps the depth of absorption lines in proportion to the light, which a sum would not.
    """
    rest = wave / (1 + redshift)
    shape = np.ones(flux.shape) if starlight is None else starlight
    good = np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0) & (shape > 0)
    good &= ~near_lines(rest, half_width=_MASKED)
    ratio = np.divide(flux, shape, out=np.full(flux.shape, np.nan), where=good)
    nodes = np.arange(rest[0] + 0.25 * _SPAN, rest[-1], _STEP)
    factor = np.empty(flux.shape)
    _running_medians(rest, ratio, nodes, factor)
    return np.asarray(shape * factor, np.float64)


@njit(cache=True, nogil=True)
def _running_medians(rest: Floats, ratio: Floats, nodes: Floats, factor: Floats) -> None:
    """Fill medians in windows around nodes, linear between them, NaN outside."""
    low = np.searchsorted(rest, nodes - _SPAN)
    high = np.searchsorted(rest, nodes + _SPAN)
    at, values = np.empty(nodes.size), np.empty(nodes.size)
    for i in range(ratio.shape[0]):
        n = 0
        for k in range(nodes.size):
            part = ratio[i, low[k] : high[k]]
            part = part[np.isfinite(part)]
            if part.size >= _MIN_WINDOW:
                at[n], values[n] = nodes[k], np.median(part)
                n += 1
        if n == 0:
            factor[i] = np.nan
            continue
        factor[i] = np.interp(rest, at[:n], values[:n])
        for k in range(rest.size):
            if rest[k] < at[0] - _STEP or rest[k] > at[n - 1] + _STEP:
                factor[i, k] = np.nan


def _near(wave: Floats, redshift: float, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return the wavelengths that lines can reach."""
    reach = (MAX_VELOCITY + 2 * MAX_SIGMA) / C_KM_S
    near = np.zeros(wave.shape, dtype=bool)
    for name in names:
        for rest, _ in LINES[name]:
            near |= np.abs(wave / (rest * (1 + redshift)) - 1) < reach
    return near


def _shapes(wave: Floats, lsf_fwhm: Floats, redshift: float, names: tuple[str, ...]) -> LineShapes:
    """Return lines at their redshift, as wide as the instrument makes them."""
    members = [(rest, share, i) for i, name in enumerate(names) for rest, share in LINES[name]]
    centre = np.array([rest for rest, _, _ in members]) * (1 + redshift)
    known = np.isfinite(lsf_fwhm)
    # A line is never narrower than the box of a wavelength bin.
    variance = np.interp(centre, wave, bin_widths(wave) ** 2 / 12)
    if np.any(known):
        sigma = np.interp(centre, wave[known], lsf_fwhm[known]) / FWHM_PER_SIGMA
        variance = np.maximum(sigma**2, variance)
    return LineShapes(
        wave=centre,
        variance=variance,
        group=np.array([i for _, _, i in members], np.int64),
        share=np.array([share for _, share, _ in members]),
    )
