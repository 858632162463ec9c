"""What pixels are worth and how well they are known: as the band says, else as its survey does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pxdask.core.bands import PsfConfig
from pxdask.core.errors import ConfigError
from pxdask.images import recipes
from pxdask.images.psf_defaults import default_psf as survey_psf
from pxdask.images.surveys import IMAGE, SURVEYS, sky_sigma
from pxdask.images.units import microjansky_factor

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from pxdask.core.bands import BandConfig
    from pxdask.images.surveys import Pixels

    Floats = NDArray[np.float64]


def survey_band(band: BandConfig) -> str:
    """Return the survey's own name of a band: as given, or what ends the filter's name.

    Raises
    ------
    ConfigError
        If the survey has no such band.
    """
    survey = SURVEYS[_survey_name(band)]
    name = (band.survey_band or band.filter.rsplit("_", 1)[-1]).lower()
    for prefix in ("ch", band.survey or ""):
        if survey.bands and name not in survey.bands:
            name = name.removeprefix(prefix)
    if survey.bands and name not in survey.bands:
        raise ConfigError(
            f"band {band.name!r}: survey {band.survey!r} has bands {', '.join(survey.bands)}; the "
            f"filter {band.filter!r} names none of them: give survey_band"
        )
    return name


def with_survey_defaults(band: BandConfig) -> BandConfig:
    """Return a band with what its survey gives filled in: uncertainty, PSF, background.

    The uncertainty stays None where the survey has a recipe for it.

    Raises
    ------
    ConfigError
        If the survey has no such band, delivers uncertainties in files of their own that the
        band does not name, or has no one PSF.
    """
    if band.survey is None:
        return band
    survey, name = SURVEYS[band.survey], survey_band(band)
    changes: dict[str, object] = {}
    if band.uncertainty is None and survey.extension is not None:
        changes["uncertainty"] = survey.extension.model_copy(update={"path": band.image})
    elif band.uncertainty is None and survey.sigma is None:
        raise ConfigError(
            f"band {band.name!r}: survey {band.survey!r} has no recipe for uncertainties; "
            f"give uncertainty ({survey.errors.removeprefix(IMAGE).strip() or 'an image'}), or "
            "kind: sky for the scatter of the image's own sky"
        )
    if band.psf is None:
        changes["psf"] = default_psf(band, name)
    if band.background is None and survey.background is not None:
        changes["background"] = survey.background
    return band.model_copy(update=changes)


def default_psf(band: BandConfig, name: str) -> PsfConfig:
    """Return the PSF that holds for any image of a survey's band.

    Raises
    ------
    ConfigError
        If there is none, as for seeing that differs from field to field.
    """
    camera = band.filter.split("_", 1)[0].lower()
    survey = {"hst": camera, "jwst": "nircam", "euclid": "euclid-vis"}.get(
        str(band.survey), str(band.survey)
    )
    try:
        psf = survey_psf(survey, name)
    except ConfigError as error:
        raise ConfigError(f"band {band.name!r}: {error}") from error
    return PsfConfig(
        fwhm=psf.fwhm,
        shape=psf.shape,
        second_fwhm=psf.second_fwhm,
        second_weight=psf.second_weight,
        beta=psf.beta,
    )


def read_keywords(band: BandConfig) -> tuple[str, ...]:
    """Return the names of the header keywords that a band's recipes may use."""
    if band.survey is None:
        return ()
    return tuple(keyword.name for keyword in SURVEYS[band.survey].keywords)


def keyword_faults(band: BandConfig, keywords: Mapping[str, object]) -> list[str]:
    """Return what is wrong with the header keywords of a resolved band, one sentence each."""
    if band.survey is None:
        return []
    given = {
        "flux": band.unit is not None or band.zero_point is not None,
        "error": band.uncertainty is not None,
    }
    faults = []
    for keyword in SURVEYS[band.survey].keywords:
        skipped = given[keyword.use] or (keyword.name == "EXPTIME" and band.exposure is not None)
        value = keywords.get(keyword.name)
        if skipped or (value is None and not keyword.needed):
            continue
        if value is None:
            faults.append(
                f"{band.image}: the header has no {keyword.name}, which survey {band.survey!r} "
                f"needs for the {keyword.use}; give the band "
                + ("a zero_point or unit" if keyword.use == "flux" else "an uncertainty")
            )
        elif not _fits(value, keyword.kind):
            faults.append(
                f"{band.image}: {keyword.name} is {value!r}, wanted a {keyword.kind} value"
            )
    return faults


def flux_factor(band: BandConfig, pixels: Pixels) -> float:
    """Return what a count is worth [uJy]: the band's unit or zero point, its survey's, BUNIT.

    Raises
    ------
    ConfigError
        If there is none of them, or the unit is not one of brightness.
    """
    survey = SURVEYS[band.survey] if band.survey else None
    if survey is not None and band.unit is None and band.zero_point is None:
        return survey.flux(pixels)
    if pixels.bunit is None and pixels.zero_point is None:
        raise ConfigError(f"band {band.name!r} has no unit, no zero_point and no BUNIT")
    return microjansky_factor(
        unit=pixels.bunit if pixels.zero_point is None else None,
        zero_point=pixels.zero_point,
        pixel_area=pixels.pixel_area,
        pivot=pixels.pivot,
        beam_area=recipes.SPIRE_BEAM.get(pixels.band) if band.survey == "spire" else None,
    )


def needs_sky(band: BandConfig) -> bool:
    """Return whether the band's errors need the level and scatter of its sky."""
    if band.uncertainty is not None:
        return band.uncertainty.kind == "sky"
    return band.survey is not None and SURVEYS[band.survey].uses_sky


def recipe_sigma(band: BandConfig, image: Floats, pixels: Pixels) -> Floats:
    """Return errors of a band that has no image of them, in the unit of the image.

    Raises
    ------
    ConfigError
        If the survey has no recipe.
    """
    if band.uncertainty is not None:
        return sky_sigma(image, pixels)
    survey = SURVEYS[_survey_name(band)]
    if survey.sigma is None:
        raise ConfigError(f"band {band.name!r}: survey {band.survey!r} has no recipe for errors")
    return survey.sigma(image, pixels)


def _survey_name(band: BandConfig) -> str:
    """Return the survey of a band that must have one."""
    if band.survey is None:
        raise ConfigError(f"band {band.name!r} names no survey and has no uncertainty")
    return band.survey


def _fits(value: object, kind: str) -> bool:
    """Return whether a keyword's value is of its kind."""
    if kind == "text":
        return isinstance(value, str) and bool(value.strip())
    if isinstance(value, bool):
        return False
    try:
        number = float(str(value))  # (some archives write numbers as text)
    except ValueError:
        return False
    return math.isfinite(number) and (kind == "number" or number > 0)
