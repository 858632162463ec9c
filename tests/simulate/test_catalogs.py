import numpy as np
import pytest

from pxdask.core.config import SurveyConfig
from pxdask.io.catalog import fill_template, read_catalog, rows
from pxdask.io.filters import load_filters
from pxdask.io.fits import read_header
from pxdask.kernels.bandpass import pivot_wave
from pxdask.simulate import NEARBY, SURVEYS, MockGalaxy
from tests.paths import REPOSITORY, real_data

CATALOGS = REPOSITORY / "catalogs"
NAMES = ("demo", "jades-jof")


@pytest.mark.parametrize("name", NAMES)
def test_settings_load_and_filters_exist(name):
    config = SurveyConfig.load(CATALOGS / f"{name}.yaml")
    curves = load_filters([band.filter for band in config.bands])
    pivots = [pivot_wave(curve) for curve in curves]
    assert min(np.diff(pivots)) > -600  # in order of wavelength but for ACS before NIRCam


@pytest.mark.parametrize("name", NAMES)
def test_every_path_can_be_filled(name):
    config = SurveyConfig.load(CATALOGS / f"{name}.yaml")
    for row in rows(read_catalog(CATALOGS / f"{name}.ecsv")):
        for band in config.bands:
            for template in (band.image, band.uncertainty.path, band.psf.kernel or ""):
                assert "{" not in fill_template(template, row, root="/data")


def test_demo_describes_what_the_simulation_delivers():
    config = SurveyConfig.load(CATALOGS / "demo.yaml")
    specs = [(SURVEYS[name], band) for name in NEARBY for band in SURVEYS[name].bands]
    for band, (survey, spec) in zip(config.bands, specs, strict=True):
        assert (band.name, band.filter, band.psf.fwhm) == (spec.name, spec.filter, spec.psf_fwhm)
        assert band.uncertainty.kind == survey.uncertainty
        assert band.image == f"{{data_root}}/{{id}}/{spec.name}.fits"
        kind = survey.uncertainty
        assert band.uncertainty.path == f"{{data_root}}/{{id}}/{spec.name}_{kind}.fits"
        if spec.unit == "nanomaggy":
            assert band.zero_point is None  # told by BUNIT
        else:
            assert band.zero_point == pytest.approx(spec.zero_point, abs=1e-4)
    widest = max(config.bands, key=lambda band: band.psf.fwhm)
    assert config.images.target_psf == widest.name


def test_demo_galaxies_are_nearby_discs():
    galaxies = [MockGalaxy.from_row(row) for row in rows(read_catalog(CATALOGS / "demo.ecsv"))]
    assert len(galaxies) == 4
    for galaxy in galaxies:
        assert 0.01 <= galaxy.redshift <= 0.03
        assert 10 <= galaxy.log_mass <= 11
        assert 12 <= galaxy.r_eff <= 20


def test_demo_columns_have_units():
    table = read_catalog(CATALOGS / "demo.ecsv")
    units = {name: str(table[name].unit) for name in table.colnames if table[name].unit}
    assert units == {
        "ra": "deg",
        "dec": "deg",
        "r_eff": "arcsec",
        "bulge_r_eff": "arcsec",
        "position_angle": "deg",
        "pitch_angle": "deg",
        "age": "Gyr",
        "tau": "Gyr",
    }


@pytest.mark.data
def test_every_file_of_jades_is_there():
    root = str(real_data("jades"))
    config = SurveyConfig.load(CATALOGS / "jades-jof.yaml")
    for row in rows(read_catalog(CATALOGS / "jades-jof.ecsv")):
        for band in config.bands:
            header = read_header(fill_template(band.image, row, root=root))
            assert header.shape == (65, 65)
            assert header.bunit == band.unit
            read_header(fill_template(band.uncertainty.path, row, root=root))
    for band in config.bands:
        if band.psf.kernel is not None:
            assert (real_data("jades") / band.psf.kernel.removeprefix("{data_root}/")).is_file()
