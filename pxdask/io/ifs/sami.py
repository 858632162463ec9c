"""SAMI: blue and red cubes of its data releases (Sharp et al. 2015, Croom et al. 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.io.ifs.axes import axis_wave
from pxdask.io.ifs.layout import CubeFile, Layout, widths

if TYPE_CHECKING:
    from numpy.typing import NDArray

LSF_BLUE = 2.65
LSF_RED = 1.61
"""Width of the line spread function of either arm [Angstrom]; van de Sande et al. (2017)."""

RED_START = 6000.0
"""Wavelength between the arms, which end and begin at 5700 and 6300 [Angstrom]."""

TYPICAL_PSF = 2.06
"""FWHM where the file states none [arcsec]; Scott et al. (2018)."""


def is_sami(cube: CubeFile) -> bool:
    """Return whether a file has the HDUs of a SAMI cube."""
    return cube.find("VARIANCE") is not None and cube.find("WEIGHT") is not None


def layout(cube: CubeFile) -> Layout:
    """Return the layout of a SAMI cube.

    Wavelengths are in air. Nothing is corrected for the Galaxy's dust: the HDU DUST only states
    it. What no fibre saw is NaN.

    Raises
    ------
    DataError
        If it has not the HDUs of one.
    """
    flux = cube.first_cube("PRIMARY")
    wave = axis_wave(cube, flux, default_unit="Angstrom")
    lsf = LSF_BLUE if np.median(wave) < RED_START else LSF_RED
    measured = cube.number("PSFFWHM")
    stated = measured is not None and measured > 0
    psf_fwhm = measured if stated and measured is not None else TYPICAL_PSF
    area = _noise_area(cube)
    return Layout(
        flux=flux,
        wave=wave,
        air=True,
        unit="1e-16 erg / (s cm2 Angstrom pix)",
        lsf_fwhm=widths(lsf, wave),
        psf_fwhm=widths(psf_fwhm, wave),
        psf=f"{psf_fwhm:.2f} arcsec: {'PSFFWHM of the header' if stated else 'typical'}",
        error=cube.need("VARIANCE"),
        error_kind="variance",
        ebv=cube.number("EBVSFD98"),
        noise_area=area,
        notes=(
            f"LSF: {lsf} Angstrom, the arm's (van de Sande et al. 2017)",
            f"noise is correlated over {area:.2f} pixels, by COVAR"
            if area > 1
            else "no COVAR: noise is taken to be uncorrelated",
        ),
    )


def _noise_area(cube: CubeFile) -> float:
    """Return the pixels over which noise is correlated, by the covariance hypercube.

    COVAR (n, 5, 5, ny, nx) has the covariance of each spaxel with those at most two away, over its
    own variance (Sharp et al. 2015): its sum over these is the area. Of slices and spaxels that
    have one the median is taken.
    """
    if (index := cube.find("COVAR")) is None or len(shape := cube.shape(index)) != 5:
        return 1.0
    middle = np.array(cube.hdus[index].section[shape[0] // 2], dtype=np.float64)
    own = middle[shape[1] // 2, shape[2] // 2]
    total = np.nansum(middle, axis=(0, 1))
    good: NDArray[np.bool_] = np.isfinite(own) & (own > 0)
    return max(1.0, float(np.median((total / np.where(good, own, 1))[good]))) if good.any() else 1.0
