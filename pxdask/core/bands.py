"""Settings of images: where bands are found, what their pixels mean, how they become a cube."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import PositiveInt, field_validator, model_validator

from pxdask.core.errors import ConfigError
from pxdask.core.names import name_fault
from pxdask.core.settings import (
    TEXT,
    Arcsec,
    ArcsecOrColumn,
    DegreesOrColumn,
    NumberOrColumn,
    Settings,
    in_unit,
    setting,
)

SurveyName = Literal[
    "galex",
    "sdss",
    "2mass",
    "wise",
    "irac",
    "mips",
    "pacs",
    "spire",
    "hst",
    "jwst",
    "legacy",
    "hsc",
    "kids",
    "vircam",
    "euclid",
    "generic",
]
"""Surveys that `pxdask.images.surveys` describes."""


class UncertaintyConfig(Settings):
    """Where a band's uncertainty image is and what it holds."""

    path: str = setting("", unit=TEXT, about="path template of the uncertainty image")
    kind: Literal["sigma", "variance", "weight", "sky"] = setting(
        "sigma",
        unit=TEXT,
        about="sigma, variance, or weight = 1 / variance, in the image's unit; or sky: no image, "
        "but the sky's scatter in the band's own image",
    )
    hdu: int | str = setting(0, unit=TEXT, about="number or name of the HDU")
    scale: float = setting(1.0, unit=TEXT, about="factor on sigma", gt=0)

    @model_validator(mode="after")
    def _path_or_sky(self) -> UncertaintyConfig:
        if (self.kind == "sky") == bool(self.path):
            raise ValueError(
                f"uncertainty of kind {self.kind!r} "
                + ("takes no path" if self.path else "needs the path of its image")
            )
        return self


class PsfConfig(Settings):
    """The point spread function of a band: exactly one of width, image and kernel."""

    fwhm: Arcsec | None = setting(
        None, unit="arcsec", about="full width at half maximum of the shape's (first) part", gt=0
    )
    shape: Literal["gaussian", "double_gaussian", "moffat"] = setting(
        "gaussian", unit=TEXT, about="profile that goes with fwhm"
    )
    second_fwhm: Arcsec | None = setting(
        None,
        unit="arcsec",
        about="width of a double Gaussian's second part; default: twice the first's",
        gt=0,
    )
    second_weight: float | None = setting(
        None,
        unit=TEXT,
        about="fraction of the flux in a double Gaussian's second part; default: 0.1",
        gt=0,
        lt=1,
    )
    beta: float | None = setting(
        None,
        unit=TEXT,
        about="exponent of a Moffat profile (1 + r^2 / a^2)^-beta; default: 4.765",
        gt=1,
    )
    image: str | None = setting(
        None, unit=TEXT, about="path template of an image of a point source"
    )
    kernel: str | None = setting(
        None,
        unit=TEXT,
        about="path template of a kernel that matches the band to the target, or of a folder of"
        " such kernels, found by the filters of band and target",
    )

    pixel_scale: Arcsec | None = setting(
        None,
        unit="arcsec",
        about="side of the pixels of image or kernel; default: the band's own",
        gt=0,
    )

    @model_validator(mode="after")
    def _one_description(self) -> PsfConfig:
        given = [name for name in ("fwhm", "image", "kernel") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of fwhm, image, kernel; got {given or 'none'}")
        if self.fwhm is not None and self.pixel_scale is not None:
            raise ValueError("pixel_scale goes with image or kernel, not with fwhm")
        if self.fwhm is None and self.shape != "gaussian":
            raise ValueError(f"shape {self.shape!r} goes with fwhm, not with {given[0]}")
        known = {"double_gaussian": ("second_fwhm", "second_weight"), "moffat": ("beta",)}
        allowed = known.get(self.shape, ())
        foreign = [
            name
            for name in ("second_fwhm", "second_weight", "beta")
            if getattr(self, name) is not None and name not in allowed
        ]
        if foreign:
            raise ValueError(
                f"a PSF of shape {self.shape!r} takes {', '.join(('fwhm', *allowed))}; "
                f"got {', '.join(foreign)}"
            )
        return self


class BackgroundConfig(Settings):
    """The sky under the sources, measured in boxes (images/background.py)."""

    box: PositiveInt = setting(64, unit="pix", about="side of the boxes, on the band's own pixels")
    filter_size: PositiveInt = setting(
        3, unit=TEXT, about="boxes over which a median smooths the level; odd"
    )
    sigma: float = setting(3.0, unit=TEXT, about="clipping of a box's pixels [sigma]", gt=0)
    mask_threshold: float = setting(
        2.0, unit=TEXT, about="pixels above this belong to sources and do not count [sigma]", gt=0
    )
    subtract: bool = setting(
        default=True, unit=TEXT, about="subtract the level; false: the image has been subtracted"
    )

    @field_validator("filter_size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("filter_size must be odd")
        return value


class BandConfig(Settings):
    """One band. Path templates and the filter may use any catalogue column and {data_root}.

    Where ``survey`` names a known survey, it gives what the band leaves out: unit or zero
    point, uncertainties, PSF and background (docs/images.md).
    """

    name: str = setting(unit=TEXT, about="short name, unique in the survey")
    filter: str = setting(unit=TEXT, about="filter curve, such as sdss_r or jwst_f200w")
    image: str = setting(unit=TEXT, about="path template of the science image")
    hdu: int | str = setting(0, unit=TEXT, about="number or name of the image's HDU")
    survey: SurveyName | None = setting(
        None, unit=TEXT, about="known survey whose conventions the image follows"
    )
    survey_band: str | None = setting(
        None,
        unit=TEXT,
        about="the survey's name of the band, such as u; default: what ends the filter's name",
    )
    exposure: str | None = setting(
        None,
        unit=TEXT,
        about="path template of a map of exposure time [s], where a recipe uses one",
    )
    uncertainty: UncertaintyConfig | None = setting(
        None, unit=TEXT, about="the uncertainty image; default: the survey's recipe"
    )
    unit: str | None = setting(
        None, unit=TEXT, about="unit of a pixel, such as uJy or MJy/sr; default: header's BUNIT"
    )
    zero_point: Annotated[float, in_unit("mag")] | None = setting(
        None, unit="mag", about="AB magnitude of one count, instead of a unit"
    )
    psf: PsfConfig | None = setting(
        None, unit=TEXT, about="the point spread function; default: the survey's"
    )
    background: BackgroundConfig | None = setting(
        None, unit=TEXT, about="background subtraction; default: the survey's, or none"
    )

    @field_validator("name")
    @classmethod
    def _names_a_file(cls, name: str) -> str:
        if fault := name_fault(name):
            raise ValueError(f"a band's name becomes part of a file's; this {fault}")
        return name

    @model_validator(mode="after")
    def _complete(self) -> BandConfig:
        if self.unit is not None and self.zero_point is not None:
            raise ValueError(f"band {self.name!r}: give unit or zero_point, not both")
        if self.survey is None:
            absent = [name for name in ("uncertainty", "psf") if getattr(self, name) is None]
            if absent:
                raise ValueError(
                    f"band {self.name!r} has no {' and no '.join(absent)}; give them, or name its "
                    f"survey, one of {', '.join(get_args(SurveyName))}"
                )
        return self

    @property
    def needed_psf(self) -> PsfConfig:
        """The PSF of a band whose survey's defaults are filled in.

        Raises
        ------
        ConfigError
            If there is none.
        """
        if self.psf is None:
            raise ConfigError(
                f"band {self.name!r} has no psf, and survey {self.survey!r} gives none"
            )
        return self.psf


class RegionConfig(Settings):
    """Which pixels belong to the galaxy.

    Sizes and angles may be catalogue columns, so that each galaxy has its own.
    """

    kind: Literal["segmentation", "ellipse", "circle", "rectangle"] = setting(
        "segmentation", unit=TEXT, about="what the region is bounded by"
    )
    bands: tuple[str, ...] = setting(
        (), unit=TEXT, about="bands whose segmentations are merged; default: all"
    )
    threshold: float = setting(1.5, unit=TEXT, about="detection threshold [sigma]", gt=0)
    min_area: PositiveInt = setting(10, unit="pix", about="smallest source")
    deblend_contrast: float = setting(
        0.005, unit=TEXT, about="flux fraction that makes a peak a source of its own", ge=0, le=1
    )
    measured: bool = setting(
        default=False, unit=TEXT, about="measure the ellipse's axis ratio and angle on a band"
    )
    measure_band: str | None = setting(
        None, unit=TEXT, about="band that the ellipse is measured on; default: the middle"
    )
    radius: ArcsecOrColumn | None = setting(None, unit="arcsec", about="of the circle")
    semi_major: ArcsecOrColumn | None = setting(
        None, unit="arcsec", about="of the ellipse; default where measured: its outermost isophote"
    )
    axis_ratio: NumberOrColumn | None = setting(
        None, unit=TEXT, about="of the ellipse, minor by major axis, 0 to 1"
    )
    length: ArcsecOrColumn | None = setting(
        None, unit="arcsec", about="of the rectangle's sides along the angle"
    )
    width: ArcsecOrColumn | None = setting(
        None, unit="arcsec", about="of the rectangle's sides across the angle"
    )
    angle: DegreesOrColumn = setting(
        0.0, unit="deg", about="of the major axis or the length, from north to east"
    )
    mask_neighbours: bool = setting(
        default=False, unit=TEXT, about="leave out other sources inside the region"
    )
    stars: str | None = setting(
        None,
        unit=TEXT,
        about="path template of a table ra [deg], dec [deg], radius [arcsec] of what is left out",
    )

    @model_validator(mode="after")
    def _geometry(self) -> RegionConfig:
        if self.measured and self.kind != "ellipse":
            raise ValueError(f"measured goes with kind ellipse, not {self.kind}")
        if self.measured and (self.axis_ratio is not None or self.angle != 0.0):
            raise ValueError("an ellipse that is measured takes no axis_ratio and no angle")
        wanted = {
            "segmentation": (),
            "circle": ("radius",),
            "ellipse": () if self.measured else ("semi_major", "axis_ratio"),
            "rectangle": ("length", "width"),
        }[self.kind]
        if absent := [name for name in wanted if getattr(self, name) is None]:
            raise ValueError(f"a region of kind {self.kind} needs {' and '.join(absent)}")
        sizes = ("radius", "semi_major", "axis_ratio", "length", "width")
        for name in sizes:
            value = getattr(self, name)
            if not isinstance(value, str) and value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if isinstance(self.axis_ratio, float) and self.axis_ratio > 1:
            raise ValueError(f"axis_ratio is minor by major axis, at most 1; got {self.axis_ratio}")
        return self


class ExtinctionConfig(Settings):
    """Correction for the dust of the Milky Way."""

    column: str = setting(
        "ebv", unit=TEXT, about="catalogue column with E(B-V) [mag]; not used with a dust_map"
    )
    dust_map: Literal["sfd", "csfd", "planck"] | None = setting(
        None, unit=TEXT, about="map of the package dustmaps that gives E(B-V), on disk already"
    )
    law: Literal["F99", "CCM89", "O94", "F19", "G23"] = setting(
        "F99", unit=TEXT, about="extinction law; F99 is Fitzpatrick 1999"
    )
    rv: float = setting(3.1, unit=TEXT, about="A_V / E(B-V)", ge=2.0, le=6.0)
    scale: float = setting(
        1.0,
        unit=TEXT,
        about="factor on the column; 0.86 if it is SFD's (Schlafly & Finkbeiner 2011)",
        gt=0,
    )


class ImageConfig(Settings):
    """From images as delivered to a cube of matched images."""

    target_psf: str | None = setting(
        None, unit=TEXT, about="band whose PSF all are matched to; default: the widest"
    )
    stamp_size: Arcsec | None = setting(
        None, unit="arcsec", about="side of the square stamp; default: the coarsest image", gt=0
    )
    pixel_scale: Arcsec | None = setting(
        None, unit="arcsec", about="side of the stamp's pixels; default: the coarsest image's", gt=0
    )
    match_psf: bool = setting(default=True, unit=TEXT, about="match the PSFs of the bands")
    kernel_method: Literal["auto", "window", "regularised"] = setting(
        "auto",
        unit=TEXT,
        about="how matching kernels are made: window, a windowed ratio of Fourier transforms; "
        "regularised; auto, exactly between Gaussians, else by the window",
    )
    reproject: Literal["exact", "adaptive", "interpolation"] = setting(
        "exact", unit=TEXT, about="how pixels are resampled; exact and adaptive conserve flux"
    )
    extinction: ExtinctionConfig | None = setting(
        None, unit=TEXT, about="Galactic extinction to correct for; default: none"
    )
    region: RegionConfig = setting(RegionConfig(), unit=TEXT, about="the galaxy's pixels")
