"""Any cube with celestial coordinates, wavelengths and a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.io.ifs.axes import axis_wave, in_air
from pxdask.io.ifs.layout import DEFAULT_PSF, CubeFile, ErrorKind, Layout, widths

if TYPE_CHECKING:
    from collections.abc import Mapping

ERRORS: Mapping[str, ErrorKind] = {
    "ERROR": "sigma",
    "ERR": "sigma",
    "SIGMA": "sigma",
    "UNCERT": "sigma",
    "NOISE": "sigma",
    "VARIANCE": "variance",
    "VAR": "variance",
    "STAT": "variance",
    "IVAR": "ivar",
}
"""Names by which an HDU of uncertainties is known."""

MASKS = ("MASK", "BADPIX", "DQ")


def layout(cube: CubeFile) -> Layout:
    """Return the layout of a cube that belongs to no survey we know.

    Its wavelengths are in air where CTYPE3 is AWAV. Its LSF, which no header states, is taken to
    be sampled by two slices.

    Raises
    ------
    DataError
        If it holds no cube, or not one of wavelengths.
    """
    flux = cube.first_cube("FLUX", "SCI", "DATA", "PRIMARY")
    wave = axis_wave(cube, flux)
    name = next((name for name in ERRORS if cube.find(name) is not None), None)
    notes = ["LSF: two slices, a guess; better give lsf_fwhm"]
    if name is None:
        notes.append(f"no errors: none of the HDUs {', '.join(ERRORS)} is there")
    return Layout(
        flux=flux,
        wave=wave,
        air=in_air(cube, flux, default=False),
        unit="",
        lsf_fwhm=2 * np.gradient(wave) if wave.size > 1 else np.full(wave.shape, np.nan),
        psf_fwhm=widths(DEFAULT_PSF, wave),
        psf=f"{DEFAULT_PSF} arcsec, a guess; better give psf_fwhm",
        error=None if name is None else cube.find(name),
        error_kind="sigma" if name is None else ERRORS[name],
        mask=cube.find(*MASKS),
        notes=tuple(notes),
    )
