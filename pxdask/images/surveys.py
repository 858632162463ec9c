"""Known surveys: what their headers tell, and which recipe each image follows.

A `Survey` is a description, not code for one telescope: which header keywords are read, the
function that makes counts microjansky, the one that gives errors where no image of them is
delivered, pixel scale and background. `docs/images.md` shows them as a table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pxdask.core.bands import BackgroundConfig, UncertaintyConfig
from pxdask.core.errors import ConfigError
from pxdask.images import recipes
from pxdask.images.units import microjansky_factor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Number = Floats | float


@dataclass(frozen=True, slots=True)
class Keyword:
    """A header keyword that a recipe reads.

    Attributes
    ----------
    name : str
        As in the header.
    use : {"flux", "error"}
        Needed for the flux (unless the band gives unit or zero point) or for the errors
        (unless the band gives an uncertainty).
    kind : {"positive", "number", "text"}
        What its value must be.
    needed : bool
        Whether its absence is a fault.
    """

    name: str
    use: Literal["flux", "error"]
    kind: Literal["positive", "number", "text"] = "positive"
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a recipe may know of a band.

    Attributes
    ----------
    band : str
        The survey's name of the band.
    keywords : mapping
        Those of the header that the survey's description names, where they are present.
    pixel_area : float
        [arcsec2]
    pivot : float
        Pivot wavelength [Angstrom].
    bunit : str or None
        The band's unit, else the header's BUNIT.
    zero_point : float or None
        The band's AB zero point [mag].
    planes : mapping
        Further (ny, nx) images, such as ``exposure`` [s], ``sky``, ``calibration``; and, for
        recipes that need the sky, ``level`` and ``rms``, in the unit of the image.
    """

    band: str
    keywords: Mapping[str, float | str]
    pixel_area: float
    pivot: float
    bunit: str | None = None
    zero_point: float | None = None
    planes: Mapping[str, Number] = field(default_factory=dict)

    def number(self, name: str, default: float = math.nan) -> float:
        """Return a keyword's number."""
        return float(self.keywords.get(name, default))


@dataclass(frozen=True, slots=True)
class Survey:
    """How the images of one survey are to be read.

    Attributes
    ----------
    title : str
        What the images are, for people.
    bands : tuple of str
        The survey's names of its bands; empty: any.
    pixel_scale : str
        Usual side of a pixel, for people [arcsec].
    flux : callable
        Pixels -> what a count is worth [uJy].
    unit : str
        What the pixels hold, for people.
    sigma : callable or None
        (image, Pixels) -> 1-sigma errors in the unit of the image; None where the survey
        delivers images of its errors.
    errors : str
        Where errors come from, for people.
    extension : UncertaintyConfig or None
        HDU of the image's own file that holds the errors; ``path`` stands for the file.
    keywords : tuple of Keyword
        What is read from the header.
    uses_sky : bool
        Whether ``sigma`` needs the sky's level and rms.
    background : BackgroundConfig or None
        Default treatment; None where the sky is subtracted on delivery.
    source : str
        The document that says so.
    """

    title: str
    bands: tuple[str, ...]
    pixel_scale: str
    flux: Callable[[Pixels], float]
    unit: str
    errors: str
    source: str
    sigma: Callable[[Floats, Pixels], Floats] | None = None
    extension: UncertaintyConfig | None = None
    keywords: tuple[Keyword, ...] = ()
    uses_sky: bool = False
    background: BackgroundConfig | None = None


def _unit(
    default: str | None, beams: Mapping[str, float] | None = None
) -> Callable[[Pixels], float]:
    """Return the factor function of images whose unit is BUNIT's, or a default."""

    def factor(pixels: Pixels) -> float:
        unit = pixels.bunit or default
        if unit is None:
            raise ConfigError("the header has no BUNIT; give the band a unit or zero_point")
        return microjansky_factor(
            unit=unit,
            pixel_area=pixels.pixel_area,
            pivot=pixels.pivot,
            beam_area=beams.get(pixels.band) if beams else None,
        )

    return factor


def _zero_point(magnitude: float) -> Callable[[Pixels], float]:
    """Return the factor function of images with one AB zero point."""

    def factor(pixels: Pixels) -> float:
        return microjansky_factor(
            zero_point=magnitude, pixel_area=pixels.pixel_area, pivot=pixels.pivot
        )

    return factor


def _galex_flux(pixels: Pixels) -> float:
    return _zero_point(recipes.GALEX_AB[pixels.band])(pixels)


def _galex_sigma(image: Floats, pixels: Pixels) -> Floats:
    exposure = pixels.planes.get("exposure", pixels.number("EXPTIME"))
    return recipes.galex_sigma(image, band=pixels.band, exposure=exposure)


def _sdss_sigma(image: Floats, pixels: Pixels) -> Floats:
    camcol, run = int(pixels.number("CAMCOL")), int(pixels.number("RUN"))
    return recipes.sdss_sigma(
        image,
        calibration=pixels.planes["calibration"],
        sky=pixels.planes["sky"],
        gain=recipes.sdss_gain(band=pixels.band, camcol=camcol, run=run),
        dark_variance=recipes.sdss_dark_variance(band=pixels.band, camcol=camcol, run=run),
    )


def _twomass_flux(pixels: Pixels) -> float:
    return recipes.vega_factor(
        zero_flux=recipes.TWOMASS_JY[pixels.band], magzp=pixels.number("MAGZP")
    )


def _twomass_sigma(image: Floats, pixels: Pixels) -> Floats:
    rms = pixels.keywords.get("SKYSIG")
    return recipes.twomass_sigma(
        image,
        level=pixels.planes["level"],
        sky_rms=pixels.planes["rms"] if rms is None else float(rms),
    )


def _wise_flux(pixels: Pixels) -> float:
    return recipes.vega_factor(zero_flux=recipes.WISE_JY[pixels.band], magzp=pixels.number("MAGZP"))


def _hst_flux(pixels: Pixels) -> float:
    per_second = "/S" in (pixels.bunit or "ELECTRONS/S").upper().replace(" ", "")
    seconds = 1.0 if per_second else pixels.number("EXPTIME")
    if not seconds > 0:
        raise ConfigError(
            f"an image in {pixels.bunit} needs EXPTIME [s] > 0; got "
            f"{pixels.keywords.get('EXPTIME')!r}"
        )
    return recipes.hst_factor(
        photflam=pixels.number("PHOTFLAM"), photplam=pixels.number("PHOTPLAM"), seconds=seconds
    )


def _hsc_flux(pixels: Pixels) -> float:
    return recipes.fluxmag0_factor(pixels.number("FLUXMAG0", recipes.HSC_FLUXMAG0))


def _vircam_flux(pixels: Pixels) -> float:
    return recipes.vircam_factor(
        photzp=pixels.number("PHOTZP"), system=str(pixels.keywords["PHOTSYS"]), band=pixels.band
    )


def _euclid_flux(pixels: Pixels) -> float:
    return _zero_point(pixels.number("MAGZERO"))(pixels)


def sky_sigma(image: Floats, pixels: Pixels) -> Floats:
    """Return the scatter of the sky as the error of each pixel, in the unit of the image."""
    return recipes.sky_sigma(image, sky_rms=pixels.planes["rms"])


_SKY = BackgroundConfig()
IMAGE = "image given by the band"
"""How errors are said to come where each image of them must be named."""

SURVEYS: Mapping[str, Survey] = {
    "galex": Survey(
        title="GALEX intensity maps (-int), sky included",
        bands=("fuv", "nuv"),
        pixel_scale="1.5",
        flux=_galex_flux,
        unit="count/s; AB 18.82, 20.08",
        sigma=_galex_sigma,
        errors="photons and response; exposure map or EXPTIME",
        keywords=(Keyword("EXPTIME", "error"),),
        background=_SKY,
        source="Morrissey et al. 2007, ApJS 173, 682",
    ),
    "sdss": Survey(
        title="SDSS corrected frames (DR8 and later)",
        bands=("u", "g", "r", "i", "z"),
        pixel_scale="0.396",
        flux=_unit("nanomaggy"),
        unit="nanomaggy",
        sigma=_sdss_sigma,
        errors="photons, sky (HDU 2), gain and dark variance by camcol, run, band",
        keywords=(Keyword("CAMCOL", "error"), Keyword("RUN", "error")),
        source="SDSS data model, file type frame",
    ),
    "2mass": Survey(
        title="2MASS Atlas images",
        bands=("j", "h", "ks"),
        pixel_scale="1.0",
        flux=_twomass_flux,
        unit="DN; MAGZP, Vega",
        sigma=_twomass_sigma,
        errors="photons and correlated sky; SKYSIG, else measured",
        keywords=(Keyword("MAGZP", "flux", "number"), Keyword("SKYSIG", "error", needed=False)),
        uses_sky=True,
        background=_SKY,
        source="2MASS Explanatory Supplement VI.8.a; Cohen et al. 2003, AJ 126, 1090",
    ),
    "wise": Survey(
        title="WISE Atlas images (-int)",
        bands=("w1", "w2", "w3", "w4"),
        pixel_scale="1.375",
        flux=_wise_flux,
        unit="DN; MAGZP, Vega",
        errors=IMAGE + " (-unc, sigma)",
        keywords=(Keyword("MAGZP", "flux", "number"),),
        background=_SKY,
        source="WISE All-Sky Explanatory Supplement II.3 and IV.4.h",
    ),
    "irac": Survey(
        title="Spitzer IRAC mosaics",
        bands=("1", "2", "3", "4"),
        pixel_scale="0.6 or 1.2",
        flux=_unit("MJy/sr"),
        unit="MJy/sr",
        errors=IMAGE,
        background=_SKY,
        source="IRAC Instrument Handbook",
    ),
    "mips": Survey(
        title="Spitzer MIPS mosaics",
        bands=("24", "70", "160"),
        pixel_scale="1.5, 4.5, 9.0",
        flux=_unit("MJy/sr"),
        unit="MJy/sr",
        errors=IMAGE,
        background=_SKY,
        source="MIPS Instrument Handbook",
    ),
    "pacs": Survey(
        title="Herschel PACS maps",
        bands=("70", "100", "160"),
        pixel_scale="1.6 to 3.2",
        flux=_unit("Jy/pixel"),
        unit="Jy/pixel",
        errors=IMAGE,
        background=_SKY,
        source="PACS Handbook",
    ),
    "spire": Survey(
        title="Herschel SPIRE maps",
        bands=("250", "350", "500"),
        pixel_scale="6, 10, 14",
        flux=_unit("Jy/beam", recipes.SPIRE_BEAM),
        unit="Jy/beam (469.35, 831.27, 1804.31 arcsec2) or MJy/sr",
        errors="HDU error of the image's file",
        extension=UncertaintyConfig(path="{image}", hdu="error", kind="sigma"),
        background=_SKY,
        source="SPIRE Handbook, flux calibration",
    ),
    "hst": Survey(
        title="HST drizzled images",
        bands=(),
        pixel_scale="0.03 to 0.13",
        flux=_hst_flux,
        unit="electron/s or electron (EXPTIME); PHOTFLAM, PHOTPLAM",
        errors=IMAGE + " (inverse-variance weight)",
        keywords=(
            Keyword("PHOTFLAM", "flux"),
            Keyword("PHOTPLAM", "flux"),
            Keyword("EXPTIME", "flux", needed=False),
        ),
        source="WFC3 Data Handbook, photometric calibration",
    ),
    "jwst": Survey(
        title="JWST stage 3 images (i2d)",
        bands=(),
        pixel_scale="0.02 to 0.11",
        flux=_unit("MJy/sr"),
        unit="MJy/sr",
        errors="HDU ERR of the image's file",
        extension=UncertaintyConfig(path="{image}", hdu="ERR", kind="sigma"),
        source="JWST pipeline documentation, data products, i2d",
    ),
    "legacy": Survey(
        title="DESI Legacy Imaging Surveys coadds",
        bands=("g", "r", "i", "z"),
        pixel_scale="0.262",
        flux=_unit("nanomaggy"),
        unit="nanomaggy",
        errors=IMAGE + " (-invvar, weight)",
        source="Legacy Surveys DR10, files, image stacks",
    ),
    "hsc": Survey(
        title="HSC-SSP coadds (calexp)",
        bands=("g", "r", "i", "z", "y"),
        pixel_scale="0.168",
        flux=_hsc_flux,
        unit="count; FLUXMAG0, else AB 27.0",
        errors="HDU 3 of the image's file (variance)",
        extension=UncertaintyConfig(path="{image}", hdu=3, kind="variance"),
        keywords=(Keyword("FLUXMAG0", "flux", needed=False),),
        source="Aihara et al. 2019, PASJ 71, 114",
    ),
    "kids": Survey(
        title="KiDS coadds",
        bands=("u", "g", "r", "i"),
        pixel_scale="0.2",
        flux=_zero_point(0.0),
        unit="AB zero point 0",
        errors=IMAGE + " (weight)",
        source="Kuijken et al. 2019, A&A 625, A2",
    ),
    "vircam": Survey(
        title="VISTA/VIRCAM tiles (VIKING and others)",
        bands=("z", "y", "j", "h", "ks"),
        pixel_scale="0.34",
        flux=_vircam_flux,
        unit="count; PHOTZP, PHOTSYS AB or Vega",
        sigma=sky_sigma,
        errors="scatter of the sky",
        keywords=(Keyword("PHOTZP", "flux", "number"), Keyword("PHOTSYS", "flux", "text")),
        uses_sky=True,
        background=_SKY,
        source="ESO Science Data Products Standard; Gonzalez-Fernandez et al. 2018",
    ),
    "euclid": Survey(
        title="Euclid MER mosaics, background subtracted",
        bands=("vis", "y", "j", "h"),
        pixel_scale="0.1",
        flux=_euclid_flux,
        unit="count; MAGZERO, AB",
        errors=IMAGE + " (RMS, sigma)",
        keywords=(Keyword("MAGZERO", "flux", "number"),),
        source="Euclid data product description, MER final catalogue mosaics",
    ),
    "generic": Survey(
        title="any image with a unit or zero point",
        bands=(),
        pixel_scale="any",
        flux=_unit(None),
        unit="unit, zero point or BUNIT",
        sigma=sky_sigma,
        errors="scatter of the sky",
        uses_sky=True,
        source="-",
    ),
}
"""The known surveys by the name that a band's ``survey`` takes."""


def survey_rows() -> list[tuple[str, ...]]:
    """Return the table of surveys that docs/images.md shows, header first."""
    header = ("survey", "images", "bands", "pixel", "unit", "errors", "background", "keywords")
    rows = [
        (
            f"`{name}`",
            survey.title,
            ", ".join(survey.bands) or "any",
            survey.pixel_scale,
            survey.unit,
            survey.errors,
            "subtracted" if survey.background is not None else "as delivered",
            ", ".join(keyword.name for keyword in survey.keywords) or "BUNIT",
        )
        for name, survey in SURVEYS.items()
    ]
    return [header, *rows]
