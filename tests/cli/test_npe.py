"""Commands about networks as a user meets them."""

import json
import re
from contextlib import nullcontext

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.core.errors import ConfigError
from pxdask.npe.noise import NoiseModel, broad_noise
from pxdask.survey.networks import given
from pxdask.survey.networks.given import load_given
from tests.survey.mini import BANDS, make_survey, settings
from tests.survey.networks.test_given import MODELS, fit_settings


def call(*words):
    wide = {"COLUMNS": "200"}  # so that no header is broken
    result = CliRunner().invoke(app, ["npe", *(str(word) for word in words)], env=wide)
    if isinstance(result.exception, ConfigError):
        raise result.exception
    return result


def write(path, **changes):
    values = settings(**{"fit": fit_settings(), "models": MODELS, **changes})
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A survey that is fitted by RDSPS, and so has bins."""
    root = tmp_path_factory.mktemp("npe")
    catalog, config = make_survey(root, 1)
    run = pxdask.submit(catalog, config, root / "run", root=root, serial=True, progress=False)
    return root, catalog, run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    pytest.importorskip("jax")
    root = tmp_path_factory.mktemp("trained")
    config = write(root / "npe.yaml", fit=fit_settings(redshift=[0.02, 0.08]))
    path = root / "network.zarr.zip"
    return config, path, call("train", config, "-o", path)


@pytest.mark.slow
def test_train_and_show(trained):
    config, path, result = trained
    assert result.exit_code == 0, result.output
    told = result.output.splitlines()
    for line in (
        f"file: {path}, {path.stat().st_size / 1e6:.2f} MB",
        "bands: g, r, i",
        "redshift: 0.02 to 0.08",
    ):
        assert line in told, result.output
    best = np.nanmin(load_given(str(path)).held_loss)
    assert f"loss: {best:.4f} at best, of mocks held out" in told
    assert any(line.startswith("training: 2000 mocks, seed 1, 2 passes") for line in told)
    assert any(re.fullmatch(r"time: 0:0\d:\d\d", line) for line in told), result.output
    assert "coverage_68" in result.output
    assert {each.name for each in path.parent.iterdir()} == {config.name, path.name}
    text = call("show", path).output
    for line in (
        "bands: g, r, i",
        "redshift: 0.02 to 0.08",
        "targets: log_age, log_tau, logzsol, dust2, log_mass",
        "sfh: tau",
    ):
        assert line in text.splitlines(), text
    assert "2000 mocks, seed 1" in text
    assert "populations: library synthetic" in text
    for word in ("[uJy]", "Angstrom", "[dex]", "uniform"):
        assert word in " ".join(text.split()), word


@pytest.mark.slow
def test_a_killed_training_goes_on_and_says_so(tmp_path, monkeypatch):
    pytest.importorskip("jax")
    config = write(tmp_path / "npe.yaml", fit=fit_settings(redshift=[0.02, 0.08]))
    path = tmp_path / "network.zarr.zip"
    passes = []

    def report(done):
        passes.append(done.done)
        if len(passes) == 1:
            raise MemoryError  # as if it were killed

    with monkeypatch.context() as patched:
        patched.setattr(given, "shown_training", lambda: nullcontext(report))
        assert isinstance(call("train", config, "-o", path).exception, MemoryError)
        assert list(tmp_path.glob(".network.zarr.zip-*.npz"))
        result = call("train", config, "-o", path)
    assert result.exit_code == 0, result.output
    assert passes == [1, 2]
    (line,) = (line for line in result.output.splitlines() if line.startswith("time: "))
    assert line.endswith(", since it went on")
    assert {each.name for each in tmp_path.iterdir()} == {config.name, path.name}


@pytest.mark.slow
def test_it_does_not_write_over_anything(trained):
    config, path, _ = trained
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists; remove it"):
        call("train", config, "-o", path)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_check_tells_calibration(trained):
    config, path, _ = trained
    result = call("check", path, config, "--n-mocks", 300)
    assert result.exit_code == 0, result.output
    assert "is of these bands, models and priors" in result.output
    assert "fresh mocks, draws not re-weighted" in " ".join(result.output.split())
    assert "joint coverage (TARP)" in result.output


@pytest.mark.slow
def test_check_tells_what_differs(trained, tmp_path, survey):
    _, path, _ = trained
    priors = {"dust2": {"low": 0.0, "high": 1.0}}
    other = write(tmp_path / "other.yaml", models={**MODELS, "priors": priors})
    result = call("check", path, other, survey[1], "--n-mocks", 0)
    assert result.exit_code == 1
    assert "prior of dust2: the network knows" in result.output
    catalog = tmp_path / "far.ecsv"
    catalog.write_text(survey[1].read_text().replace("0.05", "0.5"))
    result = call("check", path, write(tmp_path / "same.yaml"), catalog, "--n-mocks", 0)
    assert result.exit_code == 1
    assert "the network knows 0.02 to 0.08; the catalogue has 0.5 to 0.5" in result.output


def test_names_redshifts_and_filters_are_needed(tmp_path):
    config = write(tmp_path / "npe.yaml")
    with pytest.raises(ConfigError, match=r"wanted a name that ends in \.zarr\.zip"):
        call("train", config, "-o", tmp_path / "network.nc")
    with pytest.raises(ConfigError, match=r"set fit\.npe\.redshift"):
        call("train", config, "-o", tmp_path / "network.zarr.zip")
    bands = settings()["bands"]
    bands[0]["filter"] = "{curve}"
    config = write(tmp_path / "npe.yaml", bands=bands)
    with pytest.raises(ConfigError, match="bands g depend on the galaxy: give a catalogue"):
        call("train", config, "-o", tmp_path / "network.zarr.zip")
    with pytest.raises(ConfigError, match="is no trained network"):
        call("show", tmp_path / "nothing.zarr.zip")


def test_settings_of_a_catalogue_of_photometry_serve_too(tmp_path):
    config = tmp_path / "fit.yaml"
    config.write_text(yaml.safe_dump({"bands": BANDS, "models": MODELS, "colour": "red"}))
    with pytest.raises(ConfigError, match="colour"):
        call("train", config, "-o", tmp_path / "network.zarr.zip")
    config.write_text(yaml.safe_dump({"bands": BANDS, "models": MODELS}))
    with pytest.raises(ConfigError, match=r"set fit\.npe\.redshift"):
        call("train", config, "-o", tmp_path / "network.zarr.zip")


@pytest.mark.parametrize("of", ["bins", "pixels"])
def test_noise_of_a_run(survey, tmp_path, of):
    run = survey[2]
    path = tmp_path / "noise.json"
    result = call("noise", run.store, "-o", path, "--of", of)
    assert result.exit_code == 0, result.output
    noise = NoiseModel.from_json(path.read_text())
    assert noise.bands == tuple(BANDS)
    assert set(json.loads(path.read_text())) == set(json.loads(broad_noise(BANDS).to_json()))
    bins, cube = run.dataset("g00", "bins"), run.dataset("g00", "cube")
    inside = bins["bin_map"].values >= 0
    errors = bins["flux_err"].values if of == "bins" else cube["flux_err"].values[:, inside].T
    assert f"noise of {len(errors)} {of}" in result.output
    # errors of the mini survey's pixels are those of the sky alone; bins differ in size
    tolerance = 0.01 if of == "pixels" else 0.5
    np.testing.assert_allclose(
        np.log10(noise.depth), np.log10(np.median(errors, axis=0)), atol=tolerance
    )
    with pytest.raises(ConfigError, match="exists; remove it"):
        call("noise", run.store, "-o", path)


def test_noise_of_something_else_is_refused(survey, tmp_path):
    with pytest.raises(ConfigError, match="noise of 'stars'; wanted one of bins, pixels"):
        call("noise", survey[2].store, "-o", tmp_path / "noise.json", "--of", "stars")
