"""A survey whose galaxies have a spectral cube too, from files to maps."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from typer.testing import CliRunner

import pxdask
from pxdask.cli.ifs import app
from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError
from pxdask.core.random import stream
from pxdask.io.catalog import read_catalog
from pxdask.io.extensions import write_extensions
from pxdask.io.filters import load_filters
from pxdask.io.fits import write_image
from pxdask.io.pixedfit_specphoto import read_pixedfit_specphoto
from pxdask.simulate import IFUS, SURVEYS, MockGalaxy, extensions, observe, observe_ifs, truth_maps
from pxdask.sps import PhotometryEngine
from pxdask.survey.mock import make_mocks
from pxdask.survey.preflight import preflight
from pxdask.survey.products import ssp_dataset
from tests.survey.mini import outputs

MODELS = {"ssp": "synthetic", "n_models": 2048, "nebular": False}
SDSS = replace(SURVEYS["sdss"], bands=SURVEYS["sdss"].bands[1:4])
MANGA = replace(
    IFUS["manga"],
    shape=(40, 40),
    diameter=19.0,
    n_wave=150,
    wave_step=0.002,
    resolution=12.0,
)
"""A short spectrum, 3622 to 7200 Angstrom in coarse steps, as coarse as the populations are."""

ROW = {
    "id": "m1",
    "ra": 150.0,
    "dec": 2.0,
    "redshift": 0.02,
    "log_mass": 10.8,
    "r_eff": 8.0,
    "bulge_fraction": 0.2,
    "axis_ratio": 0.8,
    "position_angle": 30.0,
}


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    root = tmp_path_factory.mktemp("ifs")
    config = SurveyConfig.parse(settings())
    ssp = ssp_dataset("synthetic")
    galaxy = MockGalaxy.from_row(ROW)
    names = [band.name for band in SDSS.bands]
    engine = PhotometryEngine(
        ssp,
        load_filters([band.filter for band in SDSS.bands]),
        redshift=galaxy.redshift,
        settings=config.models,
    )
    truth = truth_maps(galaxy, engine=engine, bands=names)
    folder = root / "images" / "m1"
    for seen in observe(truth, SDSS, rng=stream(1, "sdss"), size=60.0):
        write_image(folder / f"{seen.band}.fits", seen.image, seen.header)
        write_image(folder / f"{seen.band}_err.fits", seen.uncertainty, seen.uncertainty_header)
    cube = observe_ifs(
        truth,
        MANGA,
        ssp=ssp,
        settings=config.models,
        redshift=galaxy.redshift,
        rng=stream(1, "manga"),
    )
    write_extensions(folder / "manga.fits", extensions(cube))
    lines = [",".join(ROW), ",".join(str(value) for value in ROW.values())]
    (root / "catalog.csv").write_text("\n".join(lines))
    return root


def settings(**ifs):
    return {
        "name": "spectra",
        "bands": [
            {
                "name": band.name,
                "filter": band.filter,
                "image": "{data_root}/images/{id}/" + f"{band.name}.fits",
                "uncertainty": {
                    "path": "{data_root}/images/{id}/" + f"{band.name}_err.fits",
                    "kind": "weight",
                },
                "psf": {"fwhm": 2.5},
            }
            for band in SDSS.bands
        ],
        "images": {"stamp_size": 30.0, "pixel_scale": 1.0},
        "ifs": {"path": "{data_root}/images/{id}/manga.fits", "chunk": 64, **ifs},
        "binning": {"method": "squares", "size": 4},
        "models": MODELS,
        "fit": {"block_size": 8},
    }


def run_of(survey, store, **ifs):
    config = SurveyConfig.parse(settings(**ifs))
    return pxdask.submit(survey / "catalog.csv", config, store, root=survey, serial=True)


def test_bins_have_spectra_and_fits_use_them(survey, tmp_path):
    run = run_of(survey, tmp_path / "run")
    assert len(run.failures()) == 0
    spectra, bins, fit = (run.dataset("m1", name) for name in ("spectra", "bins", "fit"))
    assert spectra.sizes["wave"] == 150
    assert np.isfinite(bins["spectrum"].values).any(axis=1).sum() > 5
    fitted = fit["spectrum_n_used"].values > 0
    assert fitted.sum() > 5
    assert np.isfinite(fit["log_mass"].values[fitted]).all()
    assert list((tmp_path / "run").rglob("ifs-*")) == []  # the chunks
    assert run.dataset("m1", "lines").sizes["bin"] == bins.sizes["bin"]
    assert run.line_maps("m1")["dn4000"].shape == bins["bin_map"].shape
    store, folder = str(tmp_path / "run"), tmp_path
    commands = (
        ["plot", store, "m1", str(int(np.flatnonzero(fitted)[0])), str(folder / "bin.png")],
        ["maps", store, "m1", str(folder / "lines.fits")],
        ["export", store, "m1", str(folder / "specphoto.fits")],
    )
    for command in commands:
        assert CliRunner().invoke(app, command).exit_code == 0
    with fits.open(folder / "lines.fits") as file:
        file.verify("exception")
        assert file["DN4000"].data.shape == bins["bin_map"].shape
        here = WCS(file["DN4000"].header).pixel_to_world_values(3, 4)
    np.testing.assert_allclose(here, WCS(bins.attrs["wcs"]).pixel_to_world_values(3, 4), atol=1e-7)
    read = read_pixedfit_specphoto(folder / "specphoto.fits")
    np.testing.assert_allclose(read.spectra["wave"].values, spectra["wave"].values, rtol=1e-6)


def test_chunks_change_no_byte(survey, tmp_path):
    run_of(survey, tmp_path / "one")
    run_of(survey, tmp_path / "two", chunk=37)
    mine, theirs = outputs(tmp_path / "one"), outputs(tmp_path / "two")
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] != theirs[name]] == []


def test_a_missing_cube_is_named_before_the_run(survey, tmp_path):
    config = SurveyConfig.parse(settings(path="{data_root}/images/{id}/nowhere.fits"))
    found = preflight(
        read_catalog(survey / "catalog.csv"), config, root=str(survey), store=tmp_path
    )
    assert [problem.galaxy for problem in found.problems] == ["m1"]
    assert "nowhere.fits" in str(found.problems[0])


def test_unknown_ifus_are_named(survey, tmp_path):
    with pytest.raises(ConfigError, match="known: califa, manga"):
        make_mocks(survey / "catalog.csv", tmp_path, ifus=["kcwi"])
