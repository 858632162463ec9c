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


def test_kernels_are_found_in_a_folder(tmp_path):
    folder = tmp_path / "kernels"
    folder.mkdir()
    path = folder / "Kernel_HiRes_BiGauss_01.5_to_WISE_FRAME_4.6.fits"
    path.touch()
    values = settings()
    values["bands"][0] |= {"filter": "sdss_g", "psf": {"kernel": str(folder)}}
    values["bands"][1] |= {"filter": "wise_w2"}
    values["images"] = {**values.get("images", {}), "target_psf": values["bands"][1]["name"]}
    bands = resolved_bands(GALAXY, SurveyConfig.parse(values), root="/data")
    assert bands[0].psf.kernel == str(path)


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


def survey_of(tmp_path, **changes):
    """Settings whose first band is one of a known survey, without uncertainty and PSF."""
    write_galaxy(tmp_path / "images" / "g00", 0)
    values = settings(**changes)
    values["bands"][0] |= {"uncertainty": None, "psf": None, "survey": "2mass", "filter": "2mass_j"}
    return SurveyConfig.parse(values)


def test_headers_of_known_surveys_are_checked(tmp_path):
    survey = survey_of(tmp_path)
    with pytest.raises(DataError, match=r"band g: .*g\.fits: the header has no MAGZP"):
        inspect_galaxy(GALAXY, survey, root=str(tmp_path))
    pixels = np.ones((32, 32), "f4")
    write_image(tmp_path / "images/g00/g.fits", pixels, {**header(0), "MAGZP": "none"})
    with pytest.raises(DataError, match=r"MAGZP is 'none', wanted a number value"):
        inspect_galaxy(GALAXY, survey, root=str(tmp_path))
    write_image(tmp_path / "images/g00/g.fits", pixels, {**header(0), "MAGZP": 20.9})
    inputs = inspect_galaxy(GALAXY, survey, root=str(tmp_path))
    assert inputs.headers["g"].keywords == {"MAGZP": 20.9}
    assert inputs.bands[0].psf.fwhm == 3.5
    assert len(inputs.checksums["g"]) == 1


def test_a_plain_image_is_no_sdss_frame(tmp_path):
    write_galaxy(tmp_path / "images" / "g00", 0)
    values = settings()
    values["bands"][0] |= {"uncertainty": None, "survey": "sdss"}
    cards = {**header(0), "CAMCOL": 3, "RUN": 2000}
    write_image(tmp_path / "images/g00/g.fits", np.ones((32, 32), "f4"), cards)
    with pytest.raises(DataError, match="has 1 HDUs"):
        inspect_galaxy(GALAXY, SurveyConfig.parse(values), root=str(tmp_path))


def test_stars_are_read_for_each_galaxy(tmp_path):
    write_galaxy(tmp_path / "images" / "g00", 0)
    survey = SurveyConfig.parse(settings(images={"region": {"stars": "stars/{id}.csv"}}))
    with pytest.raises(DataError, match=r"no such file: .*stars/g00\.csv"):
        inspect_galaxy(GALAXY, survey, root=str(tmp_path))
    (tmp_path / "stars").mkdir()
    (tmp_path / "stars/g00.csv").write_text("ra,dec,radius\n150.001,2.0,2.5\n")
    assert inspect_galaxy(GALAXY, survey, root=str(tmp_path)).stars == ((150.001, 2.0, 2.5),)
