"""MaNGA: LOGCUBE and LINCUBE of the data reduction pipeline (Law et al. 2016, 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.core.errors import DataError
from pxdask.io.ifs.axes import axis_wave, pixel_side
from pxdask.io.ifs.layout import DEFAULT_PSF, CubeFile, Layout, widths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BANDS = {"G": 4770.0, "R": 6231.0, "I": 7625.0, "Z": 9134.0}
"""Effective wavelengths of the SDSS bands [Angstrom]; Fukugita et al. 1996, table 2a."""

DO_NOT_USE = 1 << 10
NO_COVERAGE = 1 << 0
"""Bits of MANGA_DRP3PIXMASK: what the pipeline advises against, and what no fibre saw."""

NOISE_AREA = 2 * np.pi * 1.92**2
"""Pixels over which noise is correlated [pix]; the correlation of two spaxels is a Gaussian of
sigma 1.92 spaxels of 0.5 arcsec (Westfall et al. 2019). With it the error of a sum over n pixels
grows as 1 + 1.62 log10(n), the fit of Law et al. (2016), to 4 % for 10 to 100 pixels."""

_CORE = 0.3
"""Part of its peak above which a PSF is taken to be Gaussian [1]."""


def is_manga(cube: CubeFile) -> bool:
    """Return whether a file has the HDUs of a MaNGA cube."""
    return cube.find("FLUX") is not None and cube.find("IVAR") is not None and _has_wave(cube)


def _has_wave(cube: CubeFile) -> bool:
    return cube.find("WAVE") is not None


def layout(cube: CubeFile) -> Layout:
    """Return the layout of a MaNGA cube.

    Raises
    ------
    DataError
        If it has not the HDUs of one.
    """
    flux = cube.need("FLUX")
    wave = cube.values(cube.need("WAVE")) if _has_wave(cube) else axis_wave(cube, flux)
    psf_fwhm, psf = _psf(cube, wave)
    lsf_fwhm, lsf = _lsf(cube, wave)
    return Layout(
        flux=flux,
        wave=wave,
        air=False,
        unit="1e-17 erg / (s cm2 Angstrom pix)",
        lsf_fwhm=lsf_fwhm,
        psf_fwhm=psf_fwhm,
        psf=psf,
        error=cube.need("IVAR"),
        error_kind="ivar",
        mask=cube.find("MASK"),
        bad_bits=DO_NOT_USE,
        empty_bits=NO_COVERAGE,
        ebv=cube.number("EBVGAL", start=flux),
        noise_area=NOISE_AREA,
        notes=(
            lsf,
            "E(B-V) is EBVGAL, of Schlegel et al. (1998) as they give it",
            "noise is correlated over 23 pixels (Westfall et al. 2019)",
        ),
    )


def _lsf(cube: CubeFile, wave: Floats) -> tuple[Floats, str]:
    """Return the FWHM of the line spread function, and where it is from.

    The fibres' median resolution is preferred to the width in each voxel (LSFPOST, or DISP before
    DR15), of which only one row of spaxels is read: it scatters by few per cent over a cube.
    """
    if (index := cube.find("SPECRES")) is not None:
        resolution = cube.values(index).ravel()
        if resolution.shape == wave.shape:
            good = np.isfinite(resolution) & (resolution > 0)
            if np.any(good):
                width = np.interp(wave, wave[good], (wave / np.where(good, resolution, 1))[good])
                return width, "LSF: SPECRES, the fibres' median"
    if (index := cube.find("LSFPOST", "DISP")) is not None:
        middle = cube.shape(index)[1] // 2
        sigma = np.array(cube.hdus[index].section[:, middle, :], dtype=np.float64)
        sigma[~(np.isfinite(sigma) & (sigma > 0))] = np.nan
        good = np.any(np.isfinite(sigma), axis=1)
        if np.any(good):
            median = np.nanmedian(sigma[good], axis=1) * FWHM_PER_SIGMA
            return np.interp(wave, wave[good], median), f"LSF: {cube.names[index]}, its median"
    raise DataError(
        f"{cube.path} has no line spread function: wanted an HDU SPECRES, LSFPOST or DISP with "
        "positive values; or read it as kind generic, with lsf_fwhm"
    )


def _psf(cube: CubeFile, wave: Floats) -> tuple[Floats, str]:
    """Return the FWHM of the reconstructed PSFs, linear between the bands, and their source."""
    found: dict[float, float] = {}
    source: set[str] = set()
    for band, at in BANDS.items():
        if (width := cube.number(f"{band}FWHM")) is not None and width > 0:
            found[at] = width
            source.add("of the header")
        elif (index := cube.find(f"{band}PSF")) is not None:
            found[at] = image_fwhm(cube.values(index)) * pixel_side(cube, cube.need("FLUX"))
            source.add("of its images")
    if not found:
        return widths(DEFAULT_PSF, wave), f"{DEFAULT_PSF} arcsec: the file has none"
    text = ", ".join(f"{width:.2f}" for width in found.values())
    where = " and ".join(sorted(source))
    psf = f"reconstructed PSF {where}: {text} arcsec at {', '.join(f'{w:.0f}' for w in found)} A"
    return np.interp(wave, list(found), list(found.values())), psf


def image_fwhm(image: Floats) -> float:
    """Return the FWHM of a PSF's core [pix], the geometric mean of its axes.

    A Gaussian is fitted to the logarithm of pixels above `_CORE` of the peak, by least squares
    weighted by the square of the value.

    Raises
    ------
    DataError
        If the image has no peak that falls off on all sides.
    """
    peak = np.nanmax(image) if np.any(np.isfinite(image)) else 0.0
    y, x = np.nonzero(np.nan_to_num(image) > _CORE * peak)
    if peak <= 0 or len(x) < 6:
        raise DataError("a PSF's image has fewer than six pixels in its core")
    value = image[y, x]
    dx, dy = x - np.mean(x), y - np.mean(y)
    terms = np.stack([np.ones(len(x)), dx, dy, dx**2, dy**2, dx * dy], axis=1)
    fit = np.linalg.lstsq(terms * value[:, None], np.log(value) * value, rcond=None)[0]
    determinant = 4 * fit[3] * fit[4] - fit[5] ** 2
    if determinant <= 0 or fit[3] >= 0:
        raise DataError("a PSF's image has no peak that falls off on all sides")
    return float(FWHM_PER_SIGMA / determinant**0.25)
