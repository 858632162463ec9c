"""Settings to begin with: whole, and what the survey's images need."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from typer.testing import CliRunner

from pxdask.cli.app import app
from pxdask.core.bands import SurveyName
from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError
from pxdask.images.calibration import with_survey_defaults
from pxdask.images.surveys import SURVEYS
from pxdask.io.catalog import read_catalog
from pxdask.io.filters import find_curve
from pxdask.survey.starting import FILTERS, SEEING, write_start
from tests.survey.mini import header

CURVES_OF_THE_USER = {"kids"}
KEYWORDS = {
    "EXPTIME": 1500.0, "CAMCOL": 3, "RUN": 4570, "MAGZP": 20.5, "SKYSIG": 1.2, "PHOTFLAM": 1e-19,
    "PHOTPLAM": 5921.0, "PHOTZP": 23.0, "PHOTSYS": "AB", "MAGZERO": 23.9, "FLUXMAG0": 6.3e10,
}  # fmt: skip
UNITS = {
    "galex": "count/s", "sdss": "nanomaggy", "irac": "MJy/sr", "mips": "MJy/sr",
    "pacs": "Jy/pixel", "spire": "Jy/beam", "jwst": "MJy/sr", "legacy": "nanomaggy",
    "hst": "electron/s",
}  # fmt: skip


def begin(tmp_path, *surveys):
    config, catalog = tmp_path / "survey.yaml", tmp_path / "survey.ecsv"
    started = write_start(surveys, config, catalog)
    return SurveyConfig.load(config), started


def test_every_known_survey_can_be_begun():
    assert set(FILTERS) == set(SURVEYS) == set(SurveyName.__args__)


@pytest.mark.parametrize("name", FILTERS)
def test_bands_are_whole(name, tmp_path):
    config, started = begin(tmp_path, name)
    assert len(config.bands) == len(FILTERS[name])
    for band in config.bands:
        whole = with_survey_defaults(band)
        assert whole.needed_psf.fwhm > 0
        assert "{id}" in band.image
        if name not in CURVES_OF_THE_USER:
            find_curve(band.filter)
    assert any("psf" in note for note in started.notes) == (name in SEEING)
    of_user = [band.filter for band in config.bands] if name in CURVES_OF_THE_USER else []
    assert started.absent == tuple(sorted(of_user))
    text = started.config.read_text()
    assert text.count("pxdask filters add") == len(of_user)
    for filter_ in of_user:
        assert f"filter: {filter_} # not in the library: pxdask filters add {filter_} " in text


def test_known_psfs_are_told_as_comments(tmp_path):
    begin(tmp_path, "sdss", "wise")
    text = (tmp_path / "survey.yaml").read_text()
    assert "# psf: {fwhm: 1.5, shape: double_gaussian} # [arcsec] of all its images" in text
    assert "# psf: {fwhm: 6.1} # [arcsec] of all its images" in text
    assert max(len(line) for line in text.splitlines()) < 140


def test_some_bands(tmp_path):
    config, _ = begin(tmp_path, "sdss:gri", "IRAC:1,2", "hst:f606w", "sdss:g")
    wanted = ["sdss_g", "sdss_r", "sdss_i", "irac_1", "irac_2", "hst_f606w"]
    assert [band.name for band in config.bands] == wanted
    assert config.binning.reference_band == "irac_1"


@pytest.mark.parametrize(
    ("survey", "said"),
    [
        ("sloan", "'sloan' is not a known survey; known: galex, sdss"),
        ("sdss:gx", "survey 'sdss' has no band x; known: u, g, r, i, z"),
        ("jwst:f200w,f999w", "has no band f999w"),
    ],
)
def test_what_is_not_known_is_named(survey, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        begin(tmp_path, survey)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_silently(tmp_path):
    begin(tmp_path, "sdss")
    (tmp_path / "survey.yaml").unlink()
    with pytest.raises(ConfigError, match=r"survey\.ecsv exists"):
        begin(tmp_path, "sdss")
    assert not (tmp_path / "survey.yaml").exists()
    paths = tmp_path / "survey.yaml", tmp_path / "survey.ecsv"
    assert write_start(["wise"], *paths, overwrite=True).config == paths[0]
    with pytest.raises(ConfigError, match="cannot both be"):
        write_start(["wise"], paths[0], paths[0], overwrite=True)


def test_the_catalogue_can_be_read(tmp_path):
    begin(tmp_path, "sdss")
    table = read_catalog(tmp_path / "survey.ecsv")
    assert list(table["id"]) == ["ngc309", "ngc1309"]
    assert str(table["ra"].unit) == "deg"


def write_image(path, *, ra, dec, survey):
    """Write an image with a header as its survey has them, around a position."""
    cards = {**header(0), **KEYWORDS, "CRVAL1": ra, "CRVAL2": dec}
    cards["BUNIT"] = UNITS.get(survey, "count")
    image = fits.PrimaryHDU(np.ones((32, 32), "f4"))
    for name, value in cards.items():
        image.header[name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    if survey in {"jwst", "spire", "hsc"}:  # errors in further HDUs
        names = {"jwst": ("SCI", "ERR"), "spire": ("image", "error"), "hsc": ("I", "M", "V")}
        planes = [fits.ImageHDU(image.data, image.header, name=name) for name in names[survey]]
        fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(path)
    elif survey == "sdss":  # calibration by column, and the sky as a coarse image
        places = np.arange(32.0, dtype="f4")[None]
        sky = [("ALLSKY", np.ones((1, 4, 4), "f4")), ("XINTERP", places), ("YINTERP", places)]
        planes = [fits.ImageHDU(np.full(32, 0.005, "f4")), fits.BinTableHDU(Table(dict(sky)))]
        fits.HDUList([image, *planes]).writeto(path)
    else:
        image.writeto(path)


def test_curves_to_be_added_are_named_last(tmp_path):
    words = ["init", "--survey", "kids:gr", "-o", str(tmp_path / "k.yaml")]
    lines = CliRunner().invoke(app, words).output.splitlines()
    wanted = [f"pxdask filters add kids_{band} FILE-OF-CURVE" for band in "gr"]
    assert [line.partition(" #")[0] for line in lines[-3:-1]] == wanted
    assert lines[-1].startswith("pxdask check ")


@pytest.mark.parametrize("name", sorted(set(FILTERS) - CURVES_OF_THE_USER))
def test_check_accepts_it_once_the_images_are_there(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = CliRunner().invoke
    assert call(app, ["init", "--survey", name]).exit_code == 0
    words = ["check", "survey.ecsv", "survey.yaml", "--data-root", "images"]
    before = call(app, words)
    assert before.exit_code == 1
    assert "no such folder" in before.output
    for row in read_catalog("survey.ecsv"):
        folder = tmp_path / "images" / str(row["id"])
        for band in SurveyConfig.load("survey.yaml").bands:
            paths = [band.image, *([band.uncertainty.path] if band.uncertainty else [])]
            for path in paths:
                file = folder / path.rsplit("/", 1)[1]
                write_image(file, ra=row["ra"], dec=row["dec"], survey=name)
    after = call(app, words)
    assert after.exit_code == 0, after.output
    assert "2 of 2 galaxies can run" in after.output
