"""Commands about models as a user meets them."""

import re

import numpy as np
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from pxdask.cli import models
from pxdask.cli.app import app
from pxdask.core.errors import ConfigError
from pxdask.io.model_store import BLOCK, read_models
from pxdask.sps.parameters import PARAMETERS
from tests.mpi import mpirun
from tests.survey.mini import settings


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, ConfigError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "survey.yaml"
    path.write_text(yaml.safe_dump(settings(seed=5)))
    return path


def test_build_and_show(config, tmp_path):
    out = tmp_path / "m.zarr"
    result = call("models", "build", config, "--out", out, "--redshift", 0.1)
    assert result.exit_code == 0, result.output
    assert f"{out}: 512 models in 3 bands at 1 redshift" in result.output
    models = read_models(out)
    assert list(models["band"].values) == ["sdss_g", "sdss_r", "sdss_i"]
    assert models.attrs["seed"] == 5
    text = call("models", "show", out).output
    for line in ("form: models/1", "models: 512", "redshift: 0.1", "seed: 5", "sfh: delayed_tau"):
        assert line in text.splitlines()
    assert "populations: library synthetic" in text
    assert re.search(r"dust2\s*│\s*│\s*uniform\s*│\s*0\s*│\s*3\s*│", text)
    assert re.search(r"sfr\s*│\s*1 / yr\s*│", text)


def test_build_for_many_redshifts(config, tmp_path):
    out = tmp_path / "m.zarr"
    words = ["--redshifts", "0.1:0.12:0.01", "--n-models", 20, "--seed", 9, "--serial"]
    result = call("models", "build", config, "--out", out, *words, "--filters", "2mass_j,wise_w1")
    assert result.exit_code == 0, result.output
    grid = read_models(out)
    assert grid["flux"].shape == (3, 20, 2)
    redshift = grid["redshift"].values
    assert (redshift[0], redshift[-1]) == (0.1, 0.12)
    # ln(1.12 / 1.1) = 0.01802: two equal steps of no more than 0.01
    np.testing.assert_allclose(np.diff(np.log1p(redshift)), 0.00901, atol=1e-5)
    assert "redshift: 0.1 to 0.12, 3 of them" in call("models", "show", out).output


def test_build_with_a_free_redshift(tmp_path):
    path = tmp_path / "survey.yaml"
    models = {
        "ssp": "synthetic",
        "n_models": 30,
        "priors": {"redshift": {"low": 0.1, "high": 0.11}},
    }
    path.write_text(yaml.safe_dump(settings(models=models)))
    result = call("models", "build", path, "--out", tmp_path / "m.zarr")
    assert "30 models in 3 bands of free redshift" in result.output
    assert "redshift: free" in call("models", "show", tmp_path / "m.zarr").output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "need a redshift"),
        (["--redshift", "0.1", "--redshifts", "0.1:0.2:0.01"], "not both"),
        (["--redshifts", "0.1:0.2"], r"'0\.1:0\.2'; wanted first:last:step"),
        (["--redshifts", "0.2:0.1:0.01"], "wanted 0 < first < last"),
        (["--redshifts", "0.1:0.2:nan"], "wanted 0 < first < last and 0 < step"),
        (["--redshift", "0.1", "--filters", "sdss_g,nowhere_x"], "nowhere_x"),
    ],
)
def test_faults_are_named(config, tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        call("models", "build", config, "--out", tmp_path / "m.zarr", *words)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(config, tmp_path):
    with pytest.raises(ConfigError, match="never overwritten"):
        call("models", "build", config, "--out", tmp_path, "--redshift", 0.1)
    with pytest.raises(ConfigError, match="is not a set of models"):
        call("models", "show", tmp_path)


def parameters_on(monkeypatch, *, width):
    """Return what is printed; the console may have been made for another width by then."""
    monkeypatch.setattr(models, "out", Console(width=width))
    return CliRunner().invoke(app, ["models", "parameters"])


def test_parameters_are_tables_with_all_that_the_page_has(monkeypatch):
    result = parameters_on(monkeypatch, width=200)
    assert result.exit_code == 0, result.output
    rows = [" ".join(line.split()) for line in result.output.splitlines()]
    for name, entry in PARAMETERS.items():
        assert any(row.startswith(f"{name} ") and row.endswith(entry.meaning) for row in rows), name
    assert (
        "log_tau dex(Gyr) uniform, -1 to 1.5 -1.5 to 4"
        " duration of star formation: tau of the history's equation"
    ) in rows
    assert "continuity constant in time bins logsfr_ratio_<i>" in rows
    assert "Attenuation laws, models.dust" in result.output
    for mark in ("`", "|", "##"):
        assert mark not in result.output


def test_names_of_parameters_are_whole_on_a_narrow_terminal(monkeypatch):
    result = parameters_on(monkeypatch, width=80)
    first = {line.split()[0] for line in result.output.splitlines() if line.split()}
    assert set(PARAMETERS) <= first


@pytest.mark.slow
@pytest.mark.cluster
def test_under_mpirun(config, tmp_path):
    words = ["-m", "pxdask", "models", "build", config, "--redshift", "0.1"]
    words += ["--n-models", BLOCK + 10, "--filters", "sdss_g"]
    ended = mpirun(2, *words, "--out", tmp_path / "m.zarr")
    assert ended.returncode == 0, ended.stderr
    # one of the ranks speaks
    assert ended.stdout.splitlines() == [
        f"{tmp_path}/m.zarr: {BLOCK + 10} models in 1 band at 1 redshift"
    ]
    call("models", "build", config, *words[4:], "--out", tmp_path / "alone.zarr", "--serial")
    for path in (tmp_path / "alone.zarr").rglob("*"):
        if path.is_file():
            other = tmp_path / "m.zarr" / path.relative_to(tmp_path / "alone.zarr")
            assert path.read_bytes() == other.read_bytes()
    again = mpirun(2, *words, "--out", tmp_path / "m.zarr")
    assert again.returncode == 2
    assert "never overwritten" in again.stderr
    assert "Traceback" not in again.stderr
    refused = mpirun(2, *words, "--out", tmp_path / "x.zarr", "--serial")
    assert "under MPI the ranks are the workers" in refused.stderr
