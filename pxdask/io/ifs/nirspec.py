"""JWST NIRSpec IFU: s3d cubes of the calibration pipeline, one grating a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.io.ifs.axes import axis_wave, pixel_side
from pxdask.io.ifs.layout import CubeFile, Layout, drizzled_area

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DISPERSION = {
    "G140M": 6.36,
    "G140H": 2.35,
    "G235M": 10.6,
    "G235H": 3.96,
    "G395M": 17.9,
    "G395H": 6.65,
}
"""Wavelength per detector pixel of the gratings [Angstrom]: the steps of the pipeline's cubes."""

PIXELS_PER_ELEMENT = 2.2
"""Pixels of a resolution element [pix]; JWST User Documentation, "NIRSpec Dispersers and Filters":
its curves are these to about 10 %, from before launch. In flight the resolving power of
the IFU is 1 to 24 % higher (Shajib et al. 2025)."""

PRISM_WAVE = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.3)
PRISM_RESOLUTION = (86, 65, 50, 41, 34, 31, 29, 32, 36, 49, 71, 101, 138, 180, 229, 286, 324)
"""Resolving power of the prism at wavelengths in micron, by the curve of the same document."""

PIXEL = 0.1
"""Side of the slices' pixels [arcsec]; Boker et al. (2022)."""

DO_NOT_USE = 1 << 0
NON_SCIENCE = 1 << 9
"""Bits of DQ: what the pipeline advises against, and what lies outside the field."""


def is_nirspec(cube: CubeFile) -> bool:
    """Return whether a file is a cube of NIRSpec."""
    return str(cube.keyword("INSTRUME") or "").strip().upper() == "NIRSPEC"


def layout(cube: CubeFile) -> Layout:
    """Return the layout of an s3d cube of NIRSpec.

    Wavelengths are in vacuum, in micron, linear or in a table. Nothing is corrected for the
    Galaxy's dust.

    Raises
    ------
    DataError
        If it has not the HDUs of one, or its GRATING is none of the instrument's.
    """
    flux = cube.first_cube("SCI")
    wave = axis_wave(cube, flux)
    area = drizzled_area(PIXEL / pixel_side(cube, flux))
    return Layout(
        flux=flux,
        wave=wave,
        air=False,
        unit="",
        lsf_fwhm=_lsf(cube, wave),
        psf_fwhm=psf_fwhm(wave),
        psf="D'Eugenio et al. (2024), the geometric mean of the axes",
        error=cube.need("ERR"),
        mask=cube.find("DQ"),
        bad_bits=DO_NOT_USE,
        empty_bits=NON_SCIENCE,
        noise_area=area,
        notes=(
            "LSF: as before launch; in flight it is 1 to 24 % narrower (Shajib et al. 2025)",
            f"noise is correlated over {area:.2f} pixels (Fruchter & Hook 2002)",
        ),
    )


def psf_fwhm(wave: Floats) -> Floats:
    """Return the width of the PSF of the instrument's cubes [arcsec].

    Notes
    -----
    D'Eugenio et al. (2024, Nature Astronomy 8, 1443), of a star: widths along and across the
    slices, of which this is the geometric mean.
    """
    micron = wave / 1e4
    along = 0.125 + 1.88 * micron * np.exp(-24.35 / micron)
    across = 0.094 + 0.20 * micron * np.exp(-12.48 / micron)
    return np.sqrt(along * across)


def _lsf(cube: CubeFile, wave: Floats) -> Floats:
    """Return the width of the grating's line spread function [Angstrom]."""
    grating = str(cube.keyword("GRATING") or "").strip().upper()
    if grating == "PRISM":
        return wave / np.interp(wave / 1e4, PRISM_WAVE, PRISM_RESOLUTION)
    if grating not in DISPERSION:
        raise DataError(
            f"{cube.path}: GRATING is {grating or 'absent'!r}; wanted PRISM or one of "
            f"{', '.join(DISPERSION)}"
        )
    return np.full(wave.shape, PIXELS_PER_ELEMENT * DISPERSION[grating])
