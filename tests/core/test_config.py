"""Settings are refused with reasons, and survive YAML."""

import pytest
import yaml
from pydantic import BaseModel

from pxdask.core import config as config_module
from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.settings import value_of


def values(**changes):
    band = {
        "name": "r",
        "filter": "sdss_r",
        "image": "{data_root}/{id}/r.fits",
        "uncertainty": {"path": "{data_root}/{id}/r_err.fits"},
        "psf": {"fwhm": 1.5},
    }
    return {"bands": [band, {**band, "name": "i"}], **changes}


def test_round_trip_through_yaml():
    config = SurveyConfig.parse(values(seed=7))
    again = SurveyConfig.parse(yaml.safe_load(config.dump()))
    assert again == config
    assert again.key() == config.key()


def test_quantities_are_converted():
    config = SurveyConfig.parse(values(images={"stamp_size": "2 arcmin"}))
    assert config.images.stamp_size == pytest.approx(120.0, rel=1e-12)


def test_all_faults_are_named_at_once():
    bad = values(images={"stampsize": 3}, binning={"max_chi2": -1}, fit={"likelihood": "cauchy"})
    with pytest.raises(ConfigError) as caught:
        SurveyConfig.parse(bad)
    for word in ("images.stampsize", "binning.max_chi2", "fit.likelihood", "cauchy"):
        assert word in str(caught.value)


def test_a_key_that_is_misspelt_has_its_spelling_proposed():
    bad = values(bining={}, images={"region": {"treshold": 3}}, binning={"min_diametre": 5})
    bad["bands"][0]["psf"] = {"fwmh": 3}
    with pytest.raises(ConfigError) as caught:
        SurveyConfig.parse(bad)
    for place, key in (
        ("bining", "binning"),
        ("images.region.treshold", "threshold"),
        ("binning.min_diametre", "min_diameter"),
        ("bands.0.psf.fwmh", "fwhm"),
    ):
        wanted = f"- {place}: Extra inputs are not permitted; did you mean {key}? (got "
        assert wanted in str(caught.value)


def test_faults_between_settings_come_without_the_whole_settings(tmp_path):
    with pytest.raises(ConfigError) as caught:
        SurveyConfig.parse(values(binning={"reference_band": "K"}))
    line = str(caught.value).splitlines()[1]
    assert line == "  - binning.reference_band names band 'K'; the bands are ['r', 'i']"
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    with pytest.raises(ConfigError, match=r"empty\.yaml holds no settings"):
        SurveyConfig.load(empty)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"binning": {"reference_band": "K"}}, "'K'"),
        ({"binning": {"snr": {"J": 3.0}}}, "'J'"),
        ({"images": {"target_psf": "W2"}}, "'W2'"),
        ({"images": {"stamp_size": "3 kg"}}, "3 kg"),
        ({"bands": []}, "bands"),
        ({"bands": [values()["bands"][0] | {"psf": {"kernel": "k.fits"}}]}, "target_psf must name"),
    ],
)
def test_a_fault_names_what_is_wrong(changes, word):
    with pytest.raises(ConfigError, match=word):
        SurveyConfig.parse(values(**changes))


def test_a_band_has_one_psf_and_one_unit():
    two = values()
    two["bands"][0] |= {"psf": {"fwhm": 1.0, "image": "psf.fits"}, "unit": "Jy", "zero_point": 25}
    with pytest.raises(ConfigError, match="exactly one of fwhm, image, kernel"):
        SurveyConfig.parse(two)
    two["bands"][0]["psf"] = {"fwhm": 1.0}
    with pytest.raises(ConfigError, match="unit or zero_point, not both"):
        SurveyConfig.parse(two)


def with_band(**changes):
    config = values()
    config["bands"][0] |= changes
    return config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"uncertainty": None},
            "'r' has no uncertainty; give them, or name its survey, one of galex",
        ),
        ({"uncertainty": None, "psf": None}, "no uncertainty and no psf"),
        ({"survey": "2df"}, "'2df'"),
        ({"uncertainty": {"kind": "sky", "path": "e"}}, "kind 'sky' takes no path"),
        ({"uncertainty": {"kind": "weight"}}, "'weight' needs the path"),
        ({"uncertainty": {"path": "e", "scale": 0}}, "scale"),
        ({"psf": {"fwhm": 1, "beta": 3}}, "'gaussian' takes fwhm; got beta"),
        ({"psf": {"fwhm": 1, "shape": "moffat", "second_fwhm": 2}}, "takes fwhm, beta; got second"),
        ({"psf": {"image": "p", "shape": "moffat"}}, "goes with fwhm, not with image"),
        ({"psf": {"fwhm": 1, "pixel_scale": 0.1}}, "pixel_scale goes with image or kernel"),
        ({"background": {"filter_size": 4}}, "filter_size must be odd"),
    ],
)
def test_faults_of_bands(changes, words):
    with pytest.raises(ConfigError, match=words):
        SurveyConfig.parse(with_band(**changes))


def test_a_known_survey_gives_what_the_band_leaves_out():
    config = SurveyConfig.parse(with_band(survey="sdss", uncertainty=None, psf=None))
    assert config.bands[0].psf is None
    with pytest.raises(ConfigError, match="'r' has no psf, and survey 'sdss' gives none"):
        _ = config.bands[0].needed_psf  # before the survey's defaults are filled in


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ({"kind": "circle"}, "circle needs radius"),
        ({"kind": "ellipse", "semi_major": 3}, "ellipse needs axis_ratio"),
        ({"kind": "ellipse", "semi_major": 3, "axis_ratio": 2.0}, "at most 1; got 2"),
        ({"kind": "rectangle", "length": 3}, "rectangle needs width"),
        ({"kind": "circle", "radius": -1}, "radius must be positive"),
        ({"kind": "circle", "radius": "2 kg"}, "neither a quantity in arcsec nor a column"),
        ({"kind": "circle", "radius": 3, "measured": True}, "measured goes with kind ellipse"),
        ({"kind": "ellipse", "measured": True, "angle": 5}, "takes no axis_ratio and no angle"),
        ({"measure_band": "K"}, "images.region.measure_band names band 'K'"),
    ],
)
def test_faults_of_regions(region, words):
    with pytest.raises(ConfigError, match=words):
        SurveyConfig.parse(values(images={"region": region}))


def test_sizes_may_be_quantities_or_columns():
    region = {"kind": "ellipse", "semi_major": "1 arcmin", "axis_ratio": "ba", "angle": "pa"}
    config = SurveyConfig.parse(values(images={"region": region})).images.region
    assert (config.semi_major, config.axis_ratio, config.angle) == (60.0, "ba", "pa")
    galaxy = {"id": "g1", "ba": 0.6, "pa": "north"}
    assert value_of(config.semi_major, galaxy) == 60.0
    assert value_of(config.axis_ratio, galaxy) == 0.6
    with pytest.raises(DataError, match="'g1': column 'pa' holds 'north'"):
        value_of(config.angle, galaxy)
    with pytest.raises(DataError, match="column 'r25' holds None"):
        value_of("r25", galaxy)


def test_repeated_band_is_refused():
    bands = values()["bands"]
    with pytest.raises(ConfigError, match="'r' is listed twice"):
        SurveyConfig.parse({"bands": [bands[0], bands[0]]})


def test_every_field_states_unit_and_meaning():
    models = [
        model
        for model in vars(config_module).values()
        if isinstance(model, type) and issubclass(model, BaseModel) and model.model_fields
    ]
    assert SurveyConfig in models
    for model in models:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            assert "unit" in (field.json_schema_extra or {}), f"{model.__name__}.{name}"


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        SurveyConfig.load(tmp_path / "absent.yaml")
    path = tmp_path / "bad.yaml"
    path.write_text("bands: [")
    with pytest.raises(ConfigError, match="not YAML"):
        SurveyConfig.load(path)
    path.write_text("[1, 2]")
    with pytest.raises(ConfigError, match="not a mapping"):
        SurveyConfig.load(path)
