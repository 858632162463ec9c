"""Surveys as instruments: pixels, PSFs, units and depths of the images they deliver."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pxdask.core.constants import AB_MAG_OF_MICROJANSKY, FWHM_PER_SIGMA

if TYPE_CHECKING:
    from collections.abc import Mapping

SQUARE_ARCSEC_PER_SR = (180.0 * 3600.0 / math.pi) ** 2
"""Square arcseconds in a steradian; by definition."""

UncertaintyKind = Literal["sigma", "variance", "weight"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandSpec:
    """How one band of a survey records the sky.

    Attributes
    ----------
    name : str
        Unique over all surveys; also the name of the band's files.
    filter : str
        Filter curve, as in the configuration.
    label : str
        FILTER of the header, as the archive writes it.
    psf_fwhm : float
        Width of the Gaussian PSF as measured on images, thus with the pixel's own
        response included [arcsec].
    limit_mag : float
        AB magnitude of a source detected at 5 sigma over the sky's noise [mag].
    zero_point : float or None
        AB magnitude of one delivered unit [mag]; None where the unit is MJy/sr.
    unit : str
        BUNIT.
    gain : float or None
        Detected photons per delivered unit, which give the source its Poisson noise;
        None: none.
    exposure : float
        EXPTIME of the header [s].
    """

    name: str
    filter: str
    label: str
    psf_fwhm: float
    limit_mag: float
    zero_point: float | None
    unit: str
    gain: float | None = None
    exposure: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveySpec:
    """A survey: what its bands share.

    Attributes
    ----------
    name : str
        Key in `SURVEYS`.
    telescope, instrument : str
        TELESCOP and INSTRUME of the header.
    bands : tuple of BandSpec
        In order of wavelength.
    pixel_scale : float
        Side of a pixel [arcsec].
    uncertainty : {"sigma", "variance", "weight"}
        What the uncertainty images hold, in the unit of the image.
    limit_aperture : float or None
        Diameter of the aperture of the limiting magnitudes [arcsec]; None: of a point
        source measured with its own PSF as the weight.
    rotation : float
        Angle of the images' y axis from north through east [deg].
    projection : {"TAN", "SIN"}
        Projection of the headers.
    matrix : {"CD", "PC", "CROTA"}
        How the headers write scale and rotation.
    """

    name: str
    telescope: str
    instrument: str
    bands: tuple[BandSpec, ...]
    pixel_scale: float
    uncertainty: UncertaintyKind = "sigma"
    limit_aperture: float | None = None
    rotation: float = 0.0
    projection: Literal["TAN", "SIN"] = "TAN"
    matrix: Literal["CD", "PC", "CROTA"] = "CD"

    def select(self, *names: str) -> SurveySpec:
        """Return the survey with only the named bands."""
        return replace(self, bands=tuple(band for band in self.bands if band.name in names))


def ujy_per_unit(band: BandSpec, *, pixel_scale: float) -> float:
    """Return the flux density of one delivered unit in a pixel [uJy].

    Parameters
    ----------
    band : BandSpec
    pixel_scale : float
        Side of a pixel [arcsec]; matters for surface brightness only.
    """
    if band.zero_point is None:
        return 1e12 * pixel_scale**2 / SQUARE_ARCSEC_PER_SR
    return float(10.0 ** (0.4 * (AB_MAG_OF_MICROJANSKY - band.zero_point)))


def sky_sigma(band: BandSpec, survey: SurveySpec) -> float:
    """Return the 1-sigma noise of a pixel of empty sky [uJy].

    Notes
    -----
    A flux measured in an aperture of n pixels has the noise of the square root of n
    pixels. Weighted by its own Gaussian PSF (King 1983, PASP 95, 163), n is the PSF's
    noise-equivalent area 4 pi sigma^2.
    """
    if survey.limit_aperture is None:
        area = 4.0 * math.pi * (band.psf_fwhm / FWHM_PER_SIGMA) ** 2
    else:
        area = math.pi * survey.limit_aperture**2 / 4.0
    faintest = 10.0 ** (0.4 * (AB_MAG_OF_MICROJANSKY - band.limit_mag))
    return float(faintest / 5.0 / math.sqrt(area / survey.pixel_scale**2))


# Morrissey et al. 2007 (ApJS 173, 682): zero points, and 5-sigma limits and 1500 s of the Medium
# Imaging Survey. PSFs: Abdurro'uf et al. 2021, section 2.1.1.
_GALEX = SurveySpec(
    name="galex",
    telescope="GALEX",
    instrument="MIS",
    pixel_scale=1.5,
    uncertainty="variance",
    matrix="CROTA",
    bands=tuple(
        BandSpec(
            name=f"galex_{label.lower()}",
            filter=f"galex_{label.lower()}",
            label=label,
            psf_fwhm=fwhm,
            limit_mag=limit,
            zero_point=zero_point,
            unit="ct / s",
            gain=1500.0,
            exposure=1500.0,
        )
        for label, fwhm, limit, zero_point in (
            ("FUV", 4.2, 22.6, 18.82),
            ("NUV", 5.3, 22.7, 20.08),
        )
    ),
)

# PSFs: the double Gaussians of 1.5" (u, g, r) and 1.0" (i, z) that piXedfit's documentation,
# section 1.4, found to describe SDSS, as single ones. Limits: median 5-sigma depths of PSF
# photometry, the survey's data release pages; Jiang et al. 2014 (ApJS 213, 12) agree within
# 0.2 mag. Photons per nanomaggy: gain of camera column 3 over the nanomaggies per count of a
# typical frame. Inverse variances as in the NASA-Sloan Atlas.
_SDSS = SurveySpec(
    name="sdss",
    telescope="SDSS 2.5m",
    instrument="SDSS",
    pixel_scale=0.396,
    uncertainty="weight",
    rotation=12.0,
    matrix="CD",
    bands=tuple(
        BandSpec(
            name=f"sdss_{label}",
            filter=f"sdss_{label}",
            label=label,
            psf_fwhm=fwhm,
            limit_mag=limit,
            zero_point=22.5,
            unit="nanomaggy",
            gain=gain,
            exposure=53.907456,
        )
        for label, fwhm, limit, gain in (
            ("u", 1.5, 22.15, 150.0),
            ("g", 1.5, 23.13, 1010.0),
            ("r", 1.5, 22.70, 910.0),
            ("i", 1.0, 22.20, 700.0),
            ("z", 1.0, 20.71, 150.0),
        )
    ),
)

# PSF: 3.5" (piXedfit's documentation, section 1.4). Limits: 10-sigma magnitudes 15.8, 15.1, 14.3
# (Skrutskie et al. 2006, AJ 131, 1163) are 0.753 mag brighter than 5-sigma ones; AB = Vega + 0.894,
# 1.374, 1.840 from the zero-magnitude fluxes 1594, 1024, 666.7 Jy of Cohen, Wheaton & Megeath 2003
# (AJ 126, 1090). MAGZP near 20.9, 20.4, 19.9 is typical; 60 photons per DN (six frames of gain 10).
_TWOMASS = SurveySpec(
    name="2mass",
    telescope="2MASS",
    instrument="2MASS",
    pixel_scale=1.0,
    uncertainty="sigma",
    rotation=-0.4,
    projection="SIN",
    matrix="CROTA",
    bands=tuple(
        BandSpec(
            name=f"2mass_{label.lower()}",
            filter=f"2mass_{label.lower()}",
            label=label.lower(),
            psf_fwhm=3.5,
            limit_mag=ten_sigma + 0.753 + vega,
            zero_point=magnitude_zero + vega,
            unit="DN",
            gain=60.0,
            exposure=7.8,
        )
        for label, ten_sigma, vega, magnitude_zero in (
            ("J", 15.8, 0.894, 20.9),
            ("H", 15.1, 1.374, 20.4),
            ("Ks", 14.3, 1.840, 19.9),
        )
    ),
)

# PSFs: Aniano et al. 2011 (PASP 123, 1218), the ones piXedfit matches to. Limits: 5-sigma point
# sources of 54 and 71 uJy (AllWISE explanatory supplement). Units: 1.9350e-6 and 2.7048e-6 Jy/DN.
# Photons per DN: 3.20 and 3.83 of one frame, about 24 frames.
_WISE = SurveySpec(
    name="wise",
    telescope="WISE",
    instrument="AllWISE",
    pixel_scale=1.375,
    uncertainty="sigma",
    rotation=0.0,
    projection="SIN",
    matrix="CROTA",
    bands=tuple(
        BandSpec(
            name=f"wise_{label.lower()}",
            filter=f"wise_{label.lower()}",
            label=label,
            psf_fwhm=fwhm,
            limit_mag=AB_MAG_OF_MICROJANSKY - 2.5 * math.log10(faintest),
            zero_point=AB_MAG_OF_MICROJANSKY - 2.5 * math.log10(scale),
            unit="DN",
            gain=gain,
            exposure=7.7,
        )
        for label, fwhm, faintest, scale, gain in (
            ("W1", 5.79, 54.0, 1.9350, 77.0),
            ("W2", 6.37, 71.0, 2.7048, 92.0),
        )
    ),
)

# PSFs: JWST user documentation, "NIRCam Point Spread Functions". Limits: about those of deep
# JADES imaging in a 0.3" aperture (Eisenstein et al. 2023, arXiv 2306.02465).
_NIRCAM = SurveySpec(
    name="jwst-nircam",
    telescope="JWST",
    instrument="NIRCAM",
    pixel_scale=0.03,
    limit_aperture=0.3,
    rotation=25.0,
    matrix="PC",
    bands=tuple(
        BandSpec(
            name=f"jwst_{label.lower()}",
            filter=f"jwst_{label.lower()}",
            label=label,
            psf_fwhm=fwhm,
            limit_mag=limit,
            zero_point=None,
            unit="MJy/sr",
            exposure=20000.0,
        )
        for label, fwhm, limit in (
            ("F090W", 0.033, 29.6),
            ("F115W", 0.040, 29.8),
            ("F150W", 0.050, 29.9),
            ("F200W", 0.066, 29.9),
            ("F277W", 0.092, 30.3),
            ("F335M", 0.111, 29.6),
            ("F356W", 0.116, 30.2),
            ("F410M", 0.137, 29.8),
            ("F444W", 0.145, 29.9),
        )
    ),
)

# PSFs: 0.10-0.14" reconstructed (ACS instrument handbook, section 5.6). Limits: about those of
# GOODS-S in the Hubble Legacy Fields in a 0.3" aperture (Illingworth et al. 2016).
_ACS = SurveySpec(
    name="hst-acs",
    telescope="HST",
    instrument="ACS",
    pixel_scale=0.03,
    limit_aperture=0.3,
    rotation=25.0,
    matrix="CD",
    bands=tuple(
        BandSpec(
            name=f"acs_{label.lower()}",
            filter=f"acs_wfc_{label.lower()}",
            label=label,
            psf_fwhm=fwhm,
            limit_mag=limit,
            zero_point=AB_MAG_OF_MICROJANSKY,
            unit="uJy",
            exposure=20000.0,
        )
        for label, fwhm, limit in (
            ("F435W", 0.10, 28.7),
            ("F606W", 0.10, 29.0),
            ("F775W", 0.10, 28.6),
            ("F814W", 0.10, 28.7),
            ("F850LP", 0.11, 28.2),
        )
    ),
)

SURVEYS: Mapping[str, SurveySpec] = {
    survey.name: survey for survey in (_GALEX, _SDSS, _TWOMASS, _WISE, _NIRCAM, _ACS)
}
"""Every survey by its name."""

NEARBY = ("galex", "sdss", "2mass", "wise")
"""Surveys of the twelve bands, FUV to W2, of Abdurro'uf et al. 2021."""
