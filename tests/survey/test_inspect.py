"""Templates become this galaxy's files, and what is wrong with them is told at once."""

import numpy as np
import pytest

from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.io.fits import write_image
from pxdask.survey.inspect import inspect_galaxy, resolved_bands
from tests.survey.mini import header, position, settings, write_galaxy

GALAXY = {"id": "g00", "ra": position(0)[0], "dec": position(0)[1], "redshift": 0.05}


def config(**changes):
    values = settings()
    values["bands"][0] |= changes
    return SurveyConfig.parse(values)


def test_relative_paths_start_at_the_root_and_names_stay():
    curve = config(filter="curves/{id}.txt", image="{id}.fits")
    first, second, _ = resolved_bands(GALAXY, curve, root="/data")
    assert (first.filter, first.image) == ("/data/curves/g00.txt", "/data/g00.fits")
    assert first.uncertainty.path == "/data/images/g00/g_err.fits"
    assert second.filter == "sdss_r"


def test_absolute_paths_stay():
    assert resolved_bands(GALAXY, config(image="/a/b.fits"), root="/data")[0].image == "/a/b.fits"


def test_unknown_column_is_named():
    with pytest.raises(ConfigError, match=r"'g00'.*needs 'tile'"):
        resolved_bands(GALAXY, config(image="{tile}.fits"), root="/data")


def test_all_faults_of_a_galaxy_are_in_one_message(tmp_path):
    folder = tmp_path / "images" / "g00"
    write_galaxy(folder, 0)
    (folder / "i.fits").unlink()
    write_image(folder / "r_err.fits", np.ones((5, 5), "f4"), header(0, 5))
    values = settings(images={"target_psf": "i"})
    values["bands"][0] |= {"psf": {"kernel": "k.fits"}}
    survey = SurveyConfig.parse(values)
    with pytest.raises(DataError) as caught:
        inspect_galaxy(GALAXY, survey, root=str(tmp_path))
    for words in ("band g: no such file", "k.fits", "band r: ", "(5, 5)", "band i: no such file"):
        assert words in str(caught.value)


def test_checksums_follow_the_content(tmp_path):
    folder = tmp_path / "images" / "g00"
    write_galaxy(folder, 0)
    survey = SurveyConfig.parse(settings())
    one = inspect_galaxy(GALAXY, survey, root=str(tmp_path)).checksums
    assert one == inspect_galaxy(GALAXY, survey, root=str(tmp_path)).checksums
    write_image(folder / "r.fits", np.ones((32, 32), "f4"), header(0))
    other = inspect_galaxy(GALAXY, survey, root=str(tmp_path)).checksums
    assert [band for band in one if one[band] != other[band]] == ["r"]
