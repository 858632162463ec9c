"""Known surveys: complete descriptions, defaults where a band gives none, faults that are named."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from pxdask.core.config import BandConfig, SurveyName
from pxdask.core.errors import ConfigError
from pxdask.images.calibration import (
    flux_factor,
    keyword_faults,
    needs_sky,
    read_keywords,
    recipe_sigma,
    survey_band,
    with_survey_defaults,
)
from pxdask.images.surveys import SURVEYS, Pixels, survey_rows

PAGE = Path(__file__).parents[2] / "docs" / "images.md"


def band(survey, curve="x", **changes):
    values = {"name": "b", "filter": curve, "image": "/i.fits", "survey": survey}
    return BandConfig.model_validate({**values, **changes})


def pixels(name="x", **changes):
    return Pixels(**{"band": name, "keywords": {}, "pixel_area": 1.0, "pivot": 5000.0, **changes})


def test_settings_and_descriptions_name_the_same_surveys():
    assert set(get_args(SurveyName)) == set(SURVEYS)


def test_the_page_shows_the_descriptions():
    header, *rows = survey_rows()
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    lines[1] = "|" + "---|" * len(header)
    assert "\n".join(lines) in PAGE.read_text(), "\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("survey", "name", "changes", "expected"),
    [
        ("galex", "fuv", {}, 10 ** (0.4 * (23.9 - 18.82))),
        ("sdss", "r", {}, 3.631),
        ("2mass", "ks", {"keywords": {"MAGZP": 19.9}}, 666.7e6 * 10 ** (-0.4 * 19.9)),
        ("wise", "w1", {"keywords": {"MAGZP": 20.5}}, 1.93500),
        ("irac", "1", {"pixel_area": 0.36}, 23.504431 * 0.36),
        ("mips", "24", {"pixel_area": 2.25, "bunit": "MJy/sr"}, 23.504431 * 2.25),
        ("pacs", "100", {"bunit": "Jy/pixel"}, 1e6),
        ("spire", "250", {"pixel_area": 36.0, "bunit": "Jy/beam"}, 36e6 / 469.35),
        ("spire", "500", {"pixel_area": 196.0, "bunit": "MJy/sr"}, 23.504431 * 196),
        ("hst", "f814w", {"keywords": {"PHOTFLAM": 1e-19, "PHOTPLAM": 8000.0}}, 0.213482),
        ("jwst", "f200w", {"pixel_area": 0.0009, "bunit": "MJy/sr"}, 23.504431 * 0.0009),
        ("legacy", "g", {}, 3.631),
        ("hsc", "i", {}, 10 ** (0.4 * (23.9 - 27.0))),
        ("hsc", "i", {"keywords": {"FLUXMAG0": 1e12}}, 10 ** (0.4 * (23.9 - 30.0))),
        ("kids", "u", {}, 10 ** (0.4 * 23.9)),
        (
            "vircam",
            "j",
            {"keywords": {"PHOTZP": 23.0, "PHOTSYS": "VEGA"}},
            10 ** (0.4 * (23.9 - 23.916)),
        ),
        ("euclid", "vis", {"keywords": {"MAGZERO": 24.6}}, 10 ** (0.4 * (23.9 - 24.6))),
        ("generic", "x", {"bunit": "nJy"}, 1e-3),
    ],
)
def test_a_count_of_each_survey(survey, name, changes, expected):
    # 1 MJy/sr = 1e12 uJy / (648000 / pi)^2 arcsec2 = 23.504431 uJy/arcsec2
    given = band(survey, psf={"fwhm": 1.0}, uncertainty={"path": "e"})
    assert flux_factor(given, pixels(name, **changes)) == pytest.approx(expected, rel=3e-5)


def test_an_hst_image_in_electrons_needs_its_exposure():
    given = band("hst", psf={"fwhm": 0.1}, uncertainty={"path": "e"})
    keywords = {"PHOTFLAM": 1e-19, "PHOTPLAM": 8000.0}
    rate = flux_factor(given, pixels(keywords=keywords, bunit="ELECTRONS/S"))
    total = flux_factor(given, pixels(keywords={**keywords, "EXPTIME": 10.0}, bunit="ELECTRONS"))
    assert total == pytest.approx(rate / 10, rel=1e-12)
    with pytest.raises(ConfigError, match=r"needs EXPTIME.*None"):
        flux_factor(given, pixels(keywords=keywords, bunit="ELECTRONS"))


def test_what_the_band_says_goes_before_its_survey():
    given = band("2mass", "2mass_j", zero_point=23.9)
    assert flux_factor(given, pixels("j", zero_point=23.9)) == pytest.approx(1.0)
    assert keyword_faults(with_survey_defaults(given), {}) == []  # no MAGZP, no need
    own = {"psf": {"fwhm": 2.0}, "background": {"subtract": False}}
    filled = with_survey_defaults(band("2mass", "2mass_j", **own))
    assert filled.psf.fwhm == 2.0
    assert filled.background.subtract is False


def test_defaults_are_filled_in():
    sdss = with_survey_defaults(band("sdss", "sdss_i"))
    assert (sdss.psf.shape, sdss.psf.fwhm) == ("double_gaussian", 1.0)
    assert sdss.uncertainty is None
    assert sdss.background is None
    galex = with_survey_defaults(band("galex", "galex_fuv"))
    assert galex.psf.fwhm == 4.2
    assert galex.background.subtract
    jwst = with_survey_defaults(band("jwst", "jwst_f200w"))
    assert (jwst.uncertainty.path, jwst.uncertainty.hdu) == ("/i.fits", "ERR")
    hsc = with_survey_defaults(band("hsc", "hsc_i", psf={"fwhm": 0.6}))
    assert (hsc.uncertainty.kind, hsc.uncertainty.hdu) == ("variance", 3)
    plain = BandConfig.model_validate(
        {"name": "r", "filter": "r", "image": "i", "uncertainty": {"path": "e"}, "psf": {"fwhm": 1}}
    )
    assert with_survey_defaults(plain) is plain


def test_what_no_survey_can_give_is_asked_for():
    with pytest.raises(ConfigError, match=r"'wise' has no recipe.*-unc, sigma.*kind: sky"):
        with_survey_defaults(band("wise", "wise_w1"))
    sky = with_survey_defaults(band("wise", "wise_w1", uncertainty={"kind": "sky"}))
    assert needs_sky(sky)
    with pytest.raises(ConfigError, match=r"band 'b': no default PSF for survey 'kids'"):
        with_survey_defaults(band("kids", "kids_r", uncertainty={"path": "e"}))


@pytest.mark.parametrize(
    ("survey", "changes", "name"),
    [
        ("sdss", {"curve": "sdss_u"}, "u"),
        ("wise", {"curve": "wise_w2"}, "w2"),
        ("irac", {"curve": "spitzer_irac_ch3"}, "3"),
        ("spire", {"curve": "herschel_spire_350"}, "350"),
        ("galex", {"curve": "/curves/mine.txt", "survey_band": "NUV"}, "nuv"),
        ("hst", {"curve": "acs_wfc_f814w"}, "f814w"),
    ],
)
def test_bands_are_known_by_their_filters(survey, changes, name):
    assert survey_band(band(survey, **changes)) == name


def test_a_filter_of_another_survey_is_told():
    with pytest.raises(ConfigError, match=r"w1, w2, w3, w4.*'sdss_u'.*survey_band"):
        survey_band(band("wise", "sdss_u"))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "the header has no EXPTIME, which survey 'galex' needs for the error"),
        (-3.0, "EXPTIME is -3.0, wanted a positive value"),
        ("long", "EXPTIME is 'long', wanted a positive value"),
        (True, "EXPTIME is True"),
        (np.inf, "EXPTIME is inf"),
    ],
)
def test_faults_of_keywords_name_file_keyword_and_value(value, words):
    given = with_survey_defaults(band("galex", "galex_fuv"))
    header = {} if value is None else {"EXPTIME": value}
    (fault,) = keyword_faults(given, header)
    assert fault.startswith("/i.fits: ")
    assert words in fault
    assert keyword_faults(given, {"EXPTIME": 100.0}) == []
    assert keyword_faults(given, {"EXPTIME": " 100.0"}) == []
    mapped = with_survey_defaults(band("galex", "galex_fuv", exposure="/t.fits"))
    assert keyword_faults(mapped, {}) == []


def test_keywords_that_are_read():
    assert read_keywords(band("sdss", "sdss_u")) == ("CAMCOL", "RUN")
    plain = band(None, psf={"fwhm": 1}, uncertainty={"path": "e"})
    assert read_keywords(plain) == ()
    assert keyword_faults(plain, {}) == []


def test_recipes_of_bands_without_uncertainties():
    image = np.full((4, 4), 0.5)
    sdss = with_survey_defaults(band("sdss", "sdss_r"))
    known = pixels(
        "r",
        keywords={"CAMCOL": 3, "RUN": 2000},
        planes={"calibration": np.full((4, 4), 0.005), "sky": np.full((4, 4), 120.0)},
    )
    np.testing.assert_allclose(recipe_sigma(sdss, image, known), 0.0346167, rtol=1e-5)
    galex = with_survey_defaults(band("galex", "galex_fuv"))
    by_keyword = recipe_sigma(galex, image, pixels("fuv", keywords={"EXPTIME": 100.0}))
    by_map = recipe_sigma(galex, image, pixels("fuv", planes={"exposure": np.full((4, 4), 100.0)}))
    np.testing.assert_array_equal(by_keyword, by_map)
    twomass = with_survey_defaults(band("2mass", "2mass_j"))
    assert needs_sky(twomass)
    sky = {"level": np.full((4, 4), 0.5), "rms": np.full((4, 4), 2.0)}
    measured = recipe_sigma(twomass, image, pixels("j", planes=sky))
    np.testing.assert_allclose(measured, 2 * np.hypot(3.4, 0.024), rtol=1e-12)
    stated = recipe_sigma(twomass, image, pixels("j", planes=sky, keywords={"SKYSIG": 1.0}))
    np.testing.assert_allclose(stated, measured / 2, rtol=1e-12)
