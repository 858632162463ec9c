"""A survey that begins from files of piXedfit."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.io.catalog import read_catalog
from pxdask.io.pixedfit_specphoto import write_pixedfit_specphoto
from pxdask.survey.exchange.importing import import_pixedfit
from pxdask.testing import fake_galaxy
from tests.binning.test_spectra import cube_of


@pytest.fixture(scope="module")
def fluxmaps(finished_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fluxmaps")
    finished_run.export("pixedfit", folder, galaxies=["g00", "g01"])
    return [folder / f"{name}-fluxmap.fits" for name in ("g00", "g01")]


@pytest.mark.slow  # a whole run: about ten seconds on one core
def test_a_run_from_fluxmaps_keeps_pixels_and_region(finished_run, fluxmaps, tmp_path):
    done = import_pixedfit(fluxmaps, tmp_path / "begin")
    assert done.galaxies == ("g00", "g01")
    with done.config.open("a") as file:
        file.write("models: {ssp: synthetic, n_models: 64}\n")
    run = pxdask.submit(
        done.catalog,
        done.config,
        tmp_path / "run",
        root=done.data_root,
        serial=True,
        progress=False,
    )
    assert run.finished() == ["g00", "g01"]
    for name in run.galaxies:
        own, want = run.dataset(name, "cube"), finished_run.dataset(name, "cube")
        np.testing.assert_array_equal(own["region"].values, want["region"].values)
        inside = want["region"].values
        for variable in ("flux", "flux_err"):
            np.testing.assert_allclose(
                own[variable].values[:, inside], want[variable].values[:, inside], rtol=5e-7
            )
        np.testing.assert_array_equal(own["noise_area"].values, 1.0)


def test_what_is_written(fluxmaps, tmp_path):
    result = CliRunner().invoke(app, ["import", *map(str, fluxmaps), "-o", str(tmp_path / "b")])
    assert result.exit_code == 0, result.output
    table = read_catalog(tmp_path / "b" / "catalog.ecsv")
    assert list(table["id"]) == ["g00", "g01"]
    assert table["ra"][1] == pytest.approx(150.1)
    written = Table.read(tmp_path / "b" / "catalog.ecsv")
    assert all(written[name].description for name in written.colnames)
    assert {name: str(written[name].unit) for name in written.colnames if written[name].unit} == {
        "ra": "deg",
        "dec": "deg",
        **dict.fromkeys(("region_length", "region_width", "pixel_scale"), "arcsec"),
    }
    with fits.open(fluxmaps[0]) as hdus:
        steps = proj_plane_pixel_scales(WCS(hdus["STAMP_IMAGE"].header)) * 3600
    np.testing.assert_allclose(written["pixel_scale"], steps[0], rtol=1e-6)
    config = SurveyConfig.load(tmp_path / "b" / "survey.yaml")
    assert [band.name for band in config.bands] == ["sdss_g", "sdss_r", "sdss_i"]
    assert not config.images.match_psf
    region = fits.getdata(fluxmaps[0], "GALAXY_REGION") == 1
    image = fits.getdata(tmp_path / "b" / "images" / "g00" / "sdss_r.fits")
    np.testing.assert_array_equal(np.isfinite(image), region)


def test_images_of_specphoto_files_are_empty_outside_the_region(tmp_path):
    """Unlike fluxmaps, these files have the light around the galaxy too."""
    galaxy = fake_galaxy(rng=np.random.default_rng(2), n_model=2, n_pixel=8)
    inside = galaxy.cube["region"].values
    shape = (3, *inside.shape)
    spectra = cube_of(np.ones(shape), np.full(shape, 0.1))
    path = tmp_path / "one_specphoto.fits"
    names = ["galex_nuv", "sdss_u", "sdss_r", "2mass_j", "wise_w2"]
    write_pixedfit_specphoto(
        path, galaxy.cube, spectra, galaxy=galaxy.row, survey="manga", filters=names
    )
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["psffwhm"] = "unknown"
    assert np.isfinite(fits.getdata(path, "PHOTO_FLUX")[:, ~inside]).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = import_pixedfit([path], tmp_path / "b")
    assert done.galaxies == ("one",)
    for name in ("sdss_r", "sdss_r-err"):
        image = fits.getdata(done.data_root / "one" / f"{name}.fits")
        np.testing.assert_array_equal(np.isfinite(image), inside)
        assert image.dtype == np.dtype(">f4")
    assert SurveyConfig.load(done.config).bands[0].psf.fwhm > 0


def test_faults_are_named(fluxmaps, tmp_path):
    import_pixedfit(fluxmaps, tmp_path / "b")
    with pytest.raises(ConfigError, match=r"catalog\.ecsv exists"):
        import_pixedfit(fluxmaps, tmp_path / "b")
    with pytest.raises(ConfigError, match="would both be galaxy 'g00'"):
        import_pixedfit([fluxmaps[0], fluxmaps[0]], tmp_path / "c")
    import_pixedfit({"one": fluxmaps[0], "two": fluxmaps[0]}, tmp_path / "c")
    with pytest.raises(ConfigError, match="no files"):
        import_pixedfit([], tmp_path / "d")
    with fits.open(fluxmaps[1]) as hdus:
        hdus[0].header["fil0"] = "sdss_u"
        hdus.writeto(tmp_path / "other-fluxmap.fits")
        del hdus["STAMP_IMAGE"]
        for key in ("CTYPE1", "CTYPE2"):
            del hdus["GALAXY_REGION"].header[key]
        hdus[0].header["fil0"] = "sdss_g"
        hdus.writeto(tmp_path / "lost-fluxmap.fits")
    with pytest.raises(ConfigError, match="has the filters sdss_u, sdss_r, sdss_i; wanted those"):
        import_pixedfit([fluxmaps[0], tmp_path / "other-fluxmap.fits"], tmp_path / "d")
    assert not (tmp_path / "d").exists()
    with pytest.raises(DataError, match=r"lost-fluxmap\.fits: no HDU has a WCS"):
        import_pixedfit([tmp_path / "lost-fluxmap.fits"], tmp_path / "e")
    with pytest.raises(DataError, match="nor is it a specphoto file"):
        import_pixedfit([tmp_path / "b" / "images" / "g00" / "sdss_r.fits"], tmp_path / "e")


def test_the_kind_of_a_file_is_not_told_by_words_of_a_message(fluxmaps, tmp_path):
    """The name of a damaged fluxmap is in its error, and may have any words."""
    path = tmp_path / "galaxy that has no HDU-fluxmap.fits"
    with fits.open(fluxmaps[0]) as hdus:
        hdus["GALAXY_REGION"].data = np.ones((2, 2))
        hdus.writeto(path)
    with pytest.raises(DataError, match="GALAXY_REGION has the shape") as caught:
        import_pixedfit([path], tmp_path / "e")
    assert "specphoto" not in str(caught.value)
