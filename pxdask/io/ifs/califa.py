"""CALIFA: rscube files of the set-ups V500, V1200 and COMB (Sanchez et al. 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.io.ifs.axes import axis_wave
from pxdask.io.ifs.layout import DEFAULT_PSF, CubeFile, Layout, widths

if TYPE_CHECKING:
    from numpy.typing import NDArray

LSF_V500 = 6.0
LSF_V1200 = 2.3
"""Width of the line spread function, which the pipeline makes the same everywhere [Angstrom];
Sanchez et al. (2016); COMB is brought to the resolution of V500."""

V1200_STEP = 1.0
"""Step of wavelength below which a cube is of V1200 (0.7, the others 2.0) [Angstrom]."""

NOISE_AREA = 12.0
"""Pixels over which noise is correlated [pix]. With it the error of a sum over n pixels grows as
1 + 1.06 log10(n), the fit of Husemann et al. (2013) and Garcia-Benito et al. (2015), to 13 % for 10
to 100 pixels and to 1 % at 100."""


def is_califa(cube: CubeFile) -> bool:
    """Return whether a file has the HDUs of a CALIFA cube."""
    return cube.find("ERROR") is not None and cube.find("BADPIX") is not None


def layout(cube: CubeFile) -> Layout:
    """Return the layout of a CALIFA cube.

    The pipeline has corrected for the Galaxy's dust (Husemann et al. 2013); wavelengths are in air.

    Raises
    ------
    DataError
        If it has not the HDUs of one.
    """
    flux = cube.first_cube("PRIMARY", "FLUX")
    wave = axis_wave(cube, flux, default_unit="Angstrom")
    lsf = _lsf(wave)
    return Layout(
        flux=flux,
        wave=wave,
        air=True,
        unit="1e-16 erg / (s cm2 Angstrom pix)",
        lsf_fwhm=widths(lsf, wave),
        psf_fwhm=widths(DEFAULT_PSF, wave),
        psf=f"{DEFAULT_PSF} arcsec: the survey's (Sanchez et al. 2016)",
        error=cube.need("ERROR"),
        mask=cube.need("BADPIX"),
        needs_extinction=False,
        noise_area=NOISE_AREA,
        notes=(
            f"LSF: {lsf} Angstrom, the survey's",
            "the Galaxy's extinction was corrected by the survey",
            "noise is correlated over 12 pixels (Husemann et al. 2013)",
        ),
    )


def _lsf(wave: NDArray[np.float64]) -> float:
    """Return the width of the set-up's line spread function [Angstrom]."""
    return LSF_V1200 if np.median(np.diff(wave)) < V1200_STEP else LSF_V500
