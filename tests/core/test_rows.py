"""What settings want of a catalogue's columns."""

import pytest

from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError
from pxdask.core.rows import column_units, values_of_rows

BAND = {"name": "r", "filter": "sdss_r", "survey": "sdss", "image": "r.fits"}


def settings(**parts):
    return SurveyConfig.parse({"name": "a", "bands": [BAND], **parts})


def test_columns_have_the_units_of_their_settings():
    region = {"kind": "rectangle", "length": "long", "width": "10 arcsec", "angle": "pa"}
    priors = {
        "theta": {"mean": "pa", "std": 5.0},
        "r_eff": {"mean": "size", "std": "size_err"},
        "ellip": {"mean": "e", "std": 0.1},
        "xc": {"mean": 0.0, "std": "pointing"},
    }
    config = settings(
        images={"region": region, "extinction": {"column": "dust"}},
        maps={"inclination": True, "axis_ratio": "q"},
        morphology={"priors": priors},
    )
    assert column_units(config) == {
        "long": "arcsec",
        "pa": "deg",
        "dust": "mag",
        "q": "",
        "size": "arcsec",
        "size_err": "arcsec",
        "e": "",
        "pointing": "arcsec",
    }
    assert (10.0, "arcsec") in values_of_rows(config)


def test_columns_that_are_not_used_are_not_asked_for():
    config = settings(images={"extinction": {"dust_map": "sfd"}})
    assert values_of_rows(config) == [(0.0, "deg")]
    # spectral cubes whose files are silent about dust ask for it
    assert column_units(config) == {"ebv": "mag"}


def test_one_column_for_two_kinds_of_things():
    region = {"kind": "ellipse", "semi_major": "x", "axis_ratio": "x"}
    with pytest.raises(ConfigError, match="'x' for a value in arcsec and for one in no unit"):
        column_units(settings(images={"region": region}))
