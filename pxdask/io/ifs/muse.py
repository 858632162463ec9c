"""MUSE: cubes of ESO's pipeline and of MPDAF, with the HDUs DATA and STAT (a variance)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.io.ifs.axes import axis_wave, in_air, pixel_side
from pxdask.io.ifs.layout import CubeFile, Layout, drizzled_area, matching, widths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LSF = (5.835e-8, -9.080e-4, 5.983)
"""Width of the line spread function as a polynomial of wavelength, both in Angstrom; Bacon et al.
(2017), eq. 8, the UDF mosaic."""

TYPICAL_PSF = 0.8
"""FWHM where the file states none [arcsec]: the median seeing of the wide-field mode."""

PIXEL = 0.2
"""Side of the instrument's own pixels [arcsec]; Bacon et al. (2010)."""

PIXFRAC = 0.8
"""Side of the drops over that; the pipeline's default (Weilbacher et al. 2020)."""


def is_muse(cube: CubeFile) -> bool:
    """Return whether a file has the HDUs of a MUSE cube."""
    named = str(cube.keyword("INSTRUME") or "").strip().upper().startswith("MUSE")
    return cube.find("DATA") is not None and (named or cube.find("STAT") is not None)


def layout(cube: CubeFile) -> Layout:
    """Return the layout of a MUSE cube.

    Wavelengths are in air unless CTYPE3 is WAVE. Nothing is corrected for the Galaxy's dust.

    Raises
    ------
    DataError
        If it has not the HDUs of one.
    """
    flux = cube.first_cube("DATA")
    wave = axis_wave(cube, flux, default_unit="Angstrom")
    psf_fwhm, psf = _psf(cube, wave)
    kind = str(cube.header(flux).get("CTYPE3", "")).strip().upper()
    area = drizzled_area(PIXFRAC * PIXEL / pixel_side(cube, flux))
    return Layout(
        flux=flux,
        wave=wave,
        air=in_air(cube, flux, default=kind != "WAVE" and not kind.startswith("WAVE-")),
        unit="1e-20 erg / (s cm2 Angstrom pix)",
        lsf_fwhm=_polynomial(LSF, wave),
        psf_fwhm=psf_fwhm,
        psf=psf,
        error=cube.find("STAT"),
        error_kind="variance",
        mask=cube.find("DQ"),
        noise_area=area,
        notes=(
            "LSF: Bacon et al. (2017), eq. 8",
            f"noise is correlated over {area:.2f} pixels (Fruchter & Hook 2002)",
        ),
    )


def _polynomial(powers: Sequence[float], x: Floats) -> Floats:
    """Return a polynomial, the highest power first."""
    return np.polyval(powers, x).astype(np.float64)


def _psf(cube: CubeFile, wave: Floats) -> tuple[Floats, str]:
    """Return the FWHM of the PSF: MPDAF's model of it, ESO's measure, or what is typical.

    MPDAF's models (FSFMODE) are FWA + FWB wave, or a polynomial of the wavelength scaled to -0.5
    at FSFLB1 and 0.5 at FSFLB2, the highest power first. Of several fields the first is taken.
    """
    header = cube.header(0).copy()
    header.extend(cube.header(cube.first_cube("DATA")), update=True)
    if linear := matching(list(header), r"FSF\d\dFWA"):
        field = linear[0][:5]
        slope = float(header.get(f"{field}FWB", 0.0))
        return float(header[linear[0]]) + slope * wave, f"the header's model {field}"
    if terms := matching(list(header), r"FSF\d\dF\d\d"):
        field = terms[0][:5]
        low, high = float(header.get("FSFLB1", 5000.0)), float(header.get("FSFLB2", 9000.0))
        powers = [float(header[key]) for key in terms if key.startswith(field)]
        scaled = (wave - low) / (high - low) - 0.5
        return _polynomial(powers, scaled), f"the header's model {field}"
    if (measured := cube.number("SKY_RES")) is not None and measured > 0:
        return widths(measured, wave), f"{measured:.2f} arcsec: SKY_RES of the header"
    return (
        widths(TYPICAL_PSF, wave),
        f"{TYPICAL_PSF} arcsec, typical: the file has none; better give psf_fwhm",
    )
