"""Integral-field units as instruments: spaxels, footprints, wavelengths, noise of their cubes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pxdask.core.constants import C_ANGSTROM_S, FWHM_PER_SIGMA
from pxdask.kernels.spectra import air_to_vacuum
from pxdask.sps.observed import UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class IfsSpec:
    """How an integral-field unit records the sky.

    Attributes
    ----------
    kind : {"manga", "califa"}
        Whose files it writes.
    pixel_scale : float
        Side of a spaxel [arcsec].
    shape : (int, int)
        Rows and columns of the cube.
    diameter : float
        Of the hexagon of fibres, from corner to corner along the rows [arcsec].
    wave_start, wave_step : float
        First wavelength [Angstrom], and step in it or, of a logarithmic axis, in its log10.
    n_wave : int
    logarithmic : bool
    air : bool
        Whether the file's wavelengths are in air.
    unit : float
        Flux of one unit in the file [erg s-1 cm-2 Angstrom-1 per spaxel].
    psf_fwhm : float
        Width of the Gaussian PSF, the spaxel's response included [arcsec].
    lsf_fwhm : float or None
        Full width at half maximum of lines [Angstrom]; None: by ``resolution``.
    resolution : float or None
        Wavelength over the width of lines.
    noise : float
        1-sigma noise of the sky in one spaxel at one wavelength, over the spaxel's area
        [1e-17 erg s-1 cm-2 Angstrom-1 arcsec-2].
    noise_area : float
        Spaxels over which the making of the cube has correlated the noise.
    bad_fraction : float
        Part of all pixels that is masked, and holds nonsense.
    dereddened : bool
        Whether the pipeline has taken out the Milky Way's dust.
    """

    kind: Literal["manga", "califa"]
    pixel_scale: float
    shape: tuple[int, int]
    diameter: float
    wave_start: float
    wave_step: float
    n_wave: int
    logarithmic: bool = False
    air: bool = False
    unit: float = UNIT
    psf_fwhm: float = 2.5
    lsf_fwhm: float | None = None
    resolution: float | None = None
    noise: float
    noise_area: float
    bad_fraction: float = 1e-3
    dereddened: bool = False

    @property
    def file_wave(self) -> Floats:
        """Wavelengths as the file has them, (n_wave,) [Angstrom]."""
        steps = self.wave_step * np.arange(self.n_wave)
        if self.logarithmic:
            return np.asarray(self.wave_start * 10.0**steps)
        return np.asarray(self.wave_start + steps)

    @property
    def wave(self) -> Floats:
        """Wavelengths in vacuum, (n_wave,) [Angstrom]."""
        return air_to_vacuum(self.file_wave) if self.air else self.file_wave

    @property
    def lsf(self) -> Floats:
        """Full width at half maximum of lines, (n_wave,) [Angstrom]."""
        if self.resolution is not None:
            return self.wave / self.resolution
        return np.full(self.n_wave, np.nan if self.lsf_fwhm is None else self.lsf_fwhm)


# Bundy et al. 2015 (ApJ 798, 7): S/N of 5 per Angstrom and fibre at 23 AB mag arcsec-2 in r, which
# a spaxel, a weighted mean over fibres, has too: 0.18 / 5 over the root of 1.4 Angstrom. Law et al.
# 2016 (AJ 152, 83): spaxels, PSF, wavelengths, 70 km/s of sigma. Westfall et al. 2019 (AJ 158,
# 231): the noise of spaxels is correlated by a Gaussian of sigma 1.92 spaxels. Drory et al. 2015
# (AJ 149, 77): 32.5 arcsec for 127 fibres.
_MANGA = IfsSpec(
    kind="manga",
    pixel_scale=0.5,
    shape=(72, 72),
    diameter=32.5,
    wave_start=3621.59598486,
    wave_step=1e-4,
    n_wave=4563,
    logarithmic=True,
    resolution=C_ANGSTROM_S * 1e-13 / (70.0 * FWHM_PER_SIGMA),
    noise=0.179 / 5 / 1.4**0.5,
    noise_area=2 * np.pi * 1.92**2,
)

# Sanchez et al. 2016 (A&A 594, A36): COMB cubes of 78 x 73 spaxels of 1 arcsec, 3701 to 7501
# Angstrom in air in steps of 2, lines of 6 Angstrom, PSF of 2.5 arcsec; the hexagon is 74 arcsec
# wide; the Milky Way's dust is corrected. Husemann et al. 2013 (A&A 549, A87): 3 sigma of 1e-18
# per arcsec2 and resolution element of three pixels; errors of n spaxels grow by 1 + 1.06 log10(n),
# as noise correlated over twelve does to 13 %.
_CALIFA = IfsSpec(
    kind="califa",
    pixel_scale=1.0,
    shape=(73, 78),
    diameter=74.0,
    wave_start=3701.0,
    wave_step=2.0,
    n_wave=1901,
    air=True,
    unit=1e-16,
    lsf_fwhm=6.0,
    noise=0.1 / 3 * 3**0.5,
    noise_area=12.0,
    dereddened=True,
)

IFUS: Mapping[str, IfsSpec] = {spec.kind: spec for spec in (_MANGA, _CALIFA)}
"""Integral-field units by kind."""
