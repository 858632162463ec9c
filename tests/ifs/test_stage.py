import json
import logging

import numpy as np
import pytest

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.ifs import MatchConfig
from pxdask.ifs.stage import SpectraStage
from pxdask.testing import check_stage
from tests.ifs.matching import Z, library, mock

GALAXY = {"id": "one", "ra": 150.0, "dec": 2.0, "redshift": Z}


def stage(**settings):
    return SpectraStage(MatchConfig(**settings), library, {"ssp": "synthetic"})


def inputs():
    galaxy = mock()
    return {"cube": galaxy.images, "ifs": galaxy.spectra}


def test_it_keeps_the_promises_of_stages(caplog):
    with caplog.at_level(logging.INFO, "pxdask.ifs"):
        out = check_stage(stage(), GALAXY, inputs())
    assert out["polynomial"].sizes == {"order": 4, "y": 12, "x": 12}
    assert "galaxy one: spectra of 144 pixels matched, 0 of them" in caplog.text
    assert not np.array_equal(out["flux"], inputs()["ifs"]["flux"])


def test_settings_are_those_of_the_factor_and_the_models():
    settings = stage(order=2).settings()
    assert settings["order"] == 2
    assert settings["models"] == {"ssp": "synthetic"}
    assert json.loads(json.dumps(settings)) == settings
    assert stage(order=2).settings() != stage(order=3).settings()
    assert stage(n_best=2).settings() != stage(n_best=3).settings()
    # what is not done has no settings
    assert stage(enabled=False, order=2).settings() == stage(enabled=False).settings()


def test_not_enabled_spectra_stay_as_they_are():
    off = SpectraStage(MatchConfig(enabled=False), None, {})
    out = check_stage(off, GALAXY, inputs())
    assert out.identical(inputs()["ifs"])


@pytest.mark.parametrize("redshift", [None, 0.0, -0.1, "nan", "far"])
def test_a_galaxy_without_redshift_is_refused(redshift):
    with pytest.raises(DataError, match="galaxy one: redshift is"):
        stage().run({**GALAXY, "redshift": redshift}, **inputs())


def test_faults_name_the_galaxy():
    given = inputs()
    with pytest.raises(DataError, match="galaxy one: the images are on a grid"):
        stage().run(GALAXY, cube=given["cube"].isel(x=slice(3, None)), ifs=given["ifs"])
    with pytest.raises(ConfigError, match="galaxy one: the models have bands"):
        stage().run(GALAXY, cube=given["cube"].isel(band=[0, 1, 2]), ifs=given["ifs"])


def test_a_galaxy_that_cannot_be_matched_at_all_is_told(caplog):
    given = inputs()
    dark = given["cube"].assign(flux=given["cube"]["flux"] * np.float32(np.nan))
    dark["flux"].attrs.update(given["cube"]["flux"].attrs)
    with caplog.at_level(logging.WARNING, "pxdask.ifs"):
        out = stage().run(GALAXY, cube=dark, ifs=given["ifs"])
    assert "galaxy one: no pixel has both" in caplog.text
    np.testing.assert_array_equal(out["flux"], given["ifs"]["flux"])
