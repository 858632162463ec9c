"""Formulas of the surveys: what a count is worth, and how well a pixel is known.

Each is the survey's own, with its source; where piXedfit 1.0 differs, the docstring says so.
Errors are 1-sigma in the unit of the image, before the background is subtracted, for the
photons of the sky scatter too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.kernels.bandpass import ab_flux, flux_per_frequency

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

JANSKY = 1e6
"""One jansky [uJy]."""

GALEX_AB = {"fuv": 18.82, "nuv": 20.08}
"""AB magnitude of 1 count/s [mag]; Morrissey et al. 2007, ApJS 173, 682. The 1.40e-15
and 2.06e-16 erg/s/cm2/A of the same paper, which piXedfit takes, are 2 and 5 % brighter at 1528
and 2271 Angstrom; catalogues and filter curves are on the AB scale."""

GALEX_FLAT = {"fuv": 0.050, "nuv": 0.027}
"""Error of the response, as a fraction of the counts; Morrissey et al. 2007."""

TWOMASS_JY = {"j": 1594.0, "h": 1024.0, "ks": 666.7}
"""Flux of magnitude 0 [Jy]; Cohen, Wheaton & Megeath 2003, AJ 126, 1090, table 2."""

WISE_JY = {"w1": 306.682, "w2": 170.663, "w3": 29.0448, "w4": 8.2839}
"""Flux of magnitude 0 for sources of constant f_nu [Jy]; WISE All-Sky Explanatory Supplement,
section IV.4.h, table 1."""

SPIRE_BEAM = {"250": 469.35, "350": 831.27, "500": 1804.31}
"""Solid angle of the beam for maps in Jy/beam [arcsec2]; SPIRE Handbook, for
nu f_nu constant as the pipeline assumes. The 426, 771 and 1626 of piXedfit's documentation
are those of the Observers' Manual; its code has the newer ones."""

HSC_FLUXMAG0 = 63095734448.0194
"""Counts of AB magnitude 0, thus zero point 27.0, of HSC's coadds; Aihara et al. 2019, PASJ 71,
114, and the FLUXMAG0 of their headers."""

VIRCAM_AB = {"z": 0.502, "y": 0.600, "j": 0.916, "h": 1.366, "ks": 1.827}
"""AB minus Vega magnitudes [mag]; Gonzalez-Fernandez et al. 2018, MNRAS 474, 5459."""

_SDSS_GAIN = {
    1: (1.62, 3.32, 4.71, 5.165, 4.745),
    2: (1.595, 3.855, 4.6, 6.565, 5.155),
    3: (1.59, 3.845, 4.72, 4.86, 4.885),
    4: (1.6, 3.995, 4.76, 4.885, 4.775),
    5: (1.47, 4.05, 4.725, 4.64, 3.48),
    6: (2.17, 4.035, 4.895, 4.76, 4.69),
}
_SDSS_DARK = {
    1: (9.61, 15.6025, 1.8225, 7.84, 0.81),
    2: (12.6025, 1.44, 1.0, 5.76, 1.0),
    3: (8.7025, 1.3225, 1.3225, 4.6225, 1.0),
    4: (12.6025, 1.96, 1.3225, 6.25, 9.61),
    5: (9.3025, 1.1025, 0.81, 7.84, 1.8225),
    6: (7.0225, 1.8225, 0.9025, 5.0625, 1.21),
}
_SDSS_BANDS = "ugriz"
_SDSS_LATER_GAIN = {(2, "u"): 1.825}
_SDSS_LATER_DARK = {(2, "i"): 6.25, (4, "i"): 7.5625, (4, "z"): 12.6025, (5, "z"): 2.1025}
_SDSS_GAIN_RUN = 1100
_SDSS_DARK_RUN = 1500

TWOMASS_GAIN = 10.0
"""Electrons per DN, typical; 2MASS Explanatory Supplement, section VI.8.a."""
TWOMASS_FRAMES = 6
"""Frames averaged in a pixel of the Atlas, as above."""
TWOMASS_SMEARING = 2 * 1.7
"""Noise of sums over that of pixels: 2 for resampling 2 to 1 arcsec, 1.7 for the smoothing."""
TWOMASS_SKY_FIT = 0.024
"""Error of the fitted background over the sky's scatter, as above."""

_BLOCK = 16
"""Side of the blocks whose means show the sky of images of few photons [pix]."""


def galex_sigma(rate: Floats, *, band: str, exposure: Floats | float) -> Floats:
    """Return errors of a GALEX intensity map [count/s].

    Parameters
    ----------
    rate : (ny, nx) float64
        The image, its background included [count/s].
    band : {"fuv", "nuv"}
        The band.
    exposure : float or (ny, nx) float64
        Effective exposure time [s].

    Returns
    -------
    sigma : (ny, nx) float64
        NaN where the exposure is not positive or the rate not finite.

    Notes
    -----
    Morrissey et al. 2007: ``sqrt(f t + (0.050 or 0.027 f t)^2) / t``. As most
    pixels of shallow images have no photon at all, which does not make them certain, the
    Poisson term counts no fewer than the sky's mean rate. (piXedfit has error 0 there.)
    """
    time = np.asarray(exposure, dtype=np.float64)
    time = np.where(time > 0, time, np.nan)
    poisson = np.maximum(np.abs(rate), sky_rate(rate)) / time
    sigma = np.sqrt(poisson + (GALEX_FLAT[band] * rate) ** 2)
    return np.where(sigma > 0, sigma, np.nan)


def sky_rate(rate: Floats) -> float:
    """Return the mean rate of the sky: the median of the means of blocks, or all pixels' mean.

    The median of single pixels is 0 where fewer than half hold a photon.
    """
    ny, nx = (size // _BLOCK * _BLOCK for size in rate.shape)
    good = np.isfinite(rate)
    if not np.any(good):
        return 0.0
    filled = np.where(good, rate, 0.0)[:ny, :nx]
    shape = (ny // _BLOCK, _BLOCK, nx // _BLOCK, _BLOCK)
    count = good[:ny, :nx].reshape(shape).sum(axis=(1, 3))
    total = filled.reshape(shape).sum(axis=(1, 3))
    full = count >= _BLOCK**2 / 2
    level = float(np.median(total[full] / count[full])) if np.any(full) else 0.0
    return level if level > 0 else max(float(np.mean(rate[good])), 0.0)


def sdss_gain(*, band: str, camcol: int, run: int) -> float:
    """Return the gain of an SDSS camera column [electron/DN].

    Notes
    -----
    Table of the data model of frame files (DR8 and later), where u of camcol 2 is 1.595 up to
    run 1100 and 1.825 later.

    Raises
    ------
    ConfigError
        If there is no such column or band.
    """
    return _sdss_entry(
        _SDSS_GAIN, _SDSS_LATER_GAIN if run > _SDSS_GAIN_RUN else {}, band=band, camcol=camcol
    )


def sdss_dark_variance(*, band: str, camcol: int, run: int) -> float:
    """Return read noise and dark current of an SDSS camera column, as variance [DN2].

    Notes
    -----
    Table of the data model of frame files; i and z of some columns grew with run 1500.

    Raises
    ------
    ConfigError
        If there is no such column or band.
    """
    return _sdss_entry(
        _SDSS_DARK, _SDSS_LATER_DARK if run >= _SDSS_DARK_RUN else {}, band=band, camcol=camcol
    )


def sdss_sigma(
    flux: Floats,
    *,
    calibration: Floats | float,
    sky: Floats | float,
    gain: float,
    dark_variance: float,
) -> Floats:
    """Return errors of an SDSS corrected frame [nmgy].

    Parameters
    ----------
    flux : (ny, nx) float64
        The frame, its sky subtracted [nmgy].
    calibration : float or (ny, nx) float64
        HDU 1, which makes counts nanomaggies [nmgy/DN].
    sky : float or (ny, nx) float64
        HDU 2, interpolated to the pixels [DN].
    gain : float
        [electron/DN]
    dark_variance : float
        [DN2]

    Returns
    -------
    sigma : (ny, nx) float64
        NaN where the variance is not positive.

    Notes
    -----
    Data model of frame files: ``dn = flux / calibration + sky``; ``sigma = calibration
    sqrt(dn / gain + dark_variance)``. piXedfit takes the header's NMGY, one number for the
    frame, instead of HDU 1.
    """
    counts = flux / calibration + sky
    variance = counts / gain + dark_variance
    return np.asarray(calibration * np.sqrt(np.where(variance > 0, variance, np.nan)))


def twomass_sigma(counts: Floats, *, level: Floats | float, sky_rms: Floats | float) -> Floats:
    """Return errors of a 2MASS Atlas image [DN], such that they are right for sums of pixels.

    Parameters
    ----------
    counts : (ny, nx) float64
        The image [DN].
    level : float or (ny, nx) float64
        Its background [DN].
    sky_rms : float or (ny, nx) float64
        Scatter of single pixels of the sky [DN].

    Notes
    -----
    2MASS Explanatory Supplement, section VI.8.a.v, for one pixel: ``S / (10 * 6) + (2 * 1.7
    sky_rms)^2 + (0.024 sky_rms)^2`` with ``S`` the counts above the sky. The pixels' noise is
    correlated on delivery; single pixels scatter by ``sky_rms`` only, which is 3.4 times less.
    """
    photons = np.maximum(counts - level, 0.0) / (TWOMASS_GAIN * TWOMASS_FRAMES)
    rms = np.asarray(sky_rms, dtype=np.float64)
    sky = (TWOMASS_SMEARING**2 + TWOMASS_SKY_FIT**2) * rms**2
    return np.sqrt(photons + sky)


def vega_factor(*, zero_flux: float, magzp: float) -> float:
    """Return what a count is worth [uJy] for a zero point on the Vega system.

    Parameters
    ----------
    zero_flux : float
        Flux of magnitude 0 [Jy].
    magzp : float
        Magnitude of one count.

    Notes
    -----
    ``zero_flux 10^(-0.4 magzp)``: 2MASS Explanatory Supplement VI.4.a, WISE IV.4.h. For W3
    (29.0448 Jy, MAGZP 18) it is 1.8326e-6 Jy as in WISE's own table; the 2.9045e-6 of
    piXedfit's code is 1.58 times too bright.
    """
    return float(zero_flux * JANSKY * 10 ** (-0.4 * magzp))


def hst_factor(*, photflam: float, photplam: float, seconds: float = 1.0) -> float:
    """Return what a count is worth [uJy] in an HST image.

    Parameters
    ----------
    photflam : float
        Flux density of 1 electron/s [erg s-1 cm-2 Angstrom-1].
    photplam : float
        Pivot wavelength [Angstrom].
    seconds : float
        Exposure time [s] of images in electrons, 1 for electrons/s.

    Notes
    -----
    ``photflam photplam^2 / c / seconds``: WFC3 Data Handbook, photometric calibration.
    """
    return float(flux_per_frequency(photflam, pivot=photplam)) / seconds


def fluxmag0_factor(fluxmag0: float) -> float:
    """Return what a count is worth [uJy]; fluxmag0 is the counts of AB magnitude 0."""
    return float(ab_flux(2.5 * math.log10(fluxmag0)))


def vircam_factor(*, photzp: float, system: str, band: str) -> float:
    """Return what a count is worth [uJy] in a VISTA tile.

    Parameters
    ----------
    photzp : float
        Magnitude of one count (PHOTZP).
    system : str
        PHOTSYS: AB or VEGA.
    band : str
        Of `VIRCAM_AB`.

    Raises
    ------
    ConfigError
        If the system is neither.

    Notes
    -----
    ``mag = PHOTZP - 2.5 log10(counts)``: ESO Science Data Products Standard, PHOTZP.
    """
    if (name := system.strip().upper()) not in {"AB", "VEGA"}:
        raise ConfigError(
            f"PHOTSYS is {system!r}; wanted AB or VEGA; or give the band a zero_point"
        )
    return float(ab_flux(photzp + (VIRCAM_AB[band] if name == "VEGA" else 0.0)))


def sky_sigma(image: Floats, *, sky_rms: Floats | float) -> Floats:
    """Return the sky's scatter as the error of every pixel, for images that come with none.

    The source's own photons are not counted: an underestimate where it outshines the sky.
    """
    return np.where(np.isfinite(image), np.asarray(sky_rms, dtype=np.float64), np.nan)


def _sdss_entry(
    table: Mapping[int, tuple[float, ...]],
    later: Mapping[tuple[int, str], float],
    *,
    band: str,
    camcol: int,
) -> float:
    """Return one entry of a table by camcol and band, or what replaced it later."""
    if camcol not in table or band not in _SDSS_BANDS or len(band) != 1:
        raise ConfigError(
            f"SDSS has camcol 1 to 6 and bands {', '.join(_SDSS_BANDS)}; got {camcol}, {band!r}"
        )
    return later.get((camcol, band), table[camcol][_SDSS_BANDS.index(band)])
