"""The commands for stellar populations as a user meets them."""

import re
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pxdask.cli.ssp import EXIT_UNUSABLE, Imf, app
from pxdask.core.errors import ConfigError
from pxdask.io.stores import publish, read
from pxdask.sps import synthetic_ssp
from pxdask.sps.fsps import IMFS
from tests.sps.fsps.shared import need_fsps, shared_home


@pytest.fixture(autouse=True)
def _terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("PXDASK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pxdask.cli.ssp.out", Console(width=140))
    monkeypatch.delenv("SPS_HOME", raising=False)


@pytest.fixture
def product(tmp_path):
    path = tmp_path / "own.zarr.zip"
    publish(synthetic_ssp(n_wave=30), path)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return shared_home(tmp_path_factory)


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_imfs_are_those_of_the_extractor():
    assert [imf.value for imf in Imf] == list(IMFS)


def test_build_list_and_show_made_up_populations(tmp_path):
    text = call("build", "synthetic").output
    path = Path(re.search(r"^ssp: (.+)$", text, re.MULTILINE)[1])
    assert path == tmp_path / "cache/ssp/synthetic.zarr.zip"
    assert "0 products" not in (listed := call("list").output)
    assert re.search(r"synthetic +pxdask +synthetic +none +\d", listed)
    assert "size" in listed
    assert "[MB]" in listed
    shown = call("show", "synthetic").output
    assert re.search(r"log_age +age +5 +10.3", shown)
    assert "1e46 s-1 Msun-1" in shown
    assert re.search(r"library +synthetic", shown)


def test_list_with_a_damaged_file(tmp_path):
    call("build", "synthetic")
    (tmp_path / "cache/ssp/cut.zarr.zip").write_bytes(b"PK")
    text = call("list").output
    assert re.search(r"cut +damaged: build it again", text)
    assert "2 products" in text


def test_list_of_nothing():
    assert "0 products in" in call("list").output


def test_show_of_a_file(product):
    text = call("show", product).output
    assert text.splitlines()[0] == str(product)
    assert "wave 30" in text


def test_show_of_what_is_not_there():
    with pytest.raises(ConfigError, match="is no file, and no product"):
        call("show", "nothing")


def test_files_are_not_overwritten_unasked(product):
    with pytest.raises(ConfigError, match=r"own\.zarr\.zip is there already; --overwrite"):
        call("build", "synthetic", "--out", product)
    assert read(product).sizes["wave"] == 30
    call("build", "synthetic", "--out", product, "--overwrite")
    assert read(product).sizes["wave"] == 300


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("synthetic", "--imf", "kroupa"), "--imf and --option are for fsps"),
        (("synthetic", "--out", "x.fits"), r"ends in \.zarr\.zip"),
        (("fsps", "--option", "fbhb"), "not of the form name=value"),
        (("fsps", "--option", "fbhb=much"), "neither a number nor true or false"),
    ],
)
def test_words_that_make_no_sense(words, said):
    with pytest.raises(ConfigError, match=said):
        call("build", *words)


def test_build_without_data():
    need_fsps()
    with pytest.raises(ConfigError, match="set SPS_HOME to their folder"):
        call("build", "fsps")


def test_doctor_without_data():
    need_fsps()
    result = call("doctor")
    assert result.exit_code == EXIT_UNUSABLE
    assert re.search(r"SPS_HOME +NOT OK", result.output)


def test_doctor_with_data(home, monkeypatch):
    monkeypatch.setenv("SPS_HOME", str(home))
    result = call("doctor")
    assert result.exit_code == 0, result.output
    assert re.search(r"files +ok +all 90 are there", result.output)


@pytest.mark.slow
def test_build_from_fsps_once(home, tmp_path):
    words = ("build", "fsps", "--home", home, "--imf", "kroupa", "--option", "fbhb=0.2")
    path = Path(re.search(r"^ssp: (.+)$", call(*words).output, re.MULTILINE)[1])
    assert path.parent == tmp_path / "cache/ssp"
    made = path.stat().st_mtime_ns
    ds = read(path)
    assert (ds.attrs["imf"], ds.attrs["options"]) == ("Kroupa (2001)", '{"fbhb": 0.2}')
    assert str(path) in call(*words).output.replace("\n", "")
    assert path.stat().st_mtime_ns == made
    assert re.search(r"MIST, C3K_LR, DL07 +Kroupa \(2001\) +\d+\.\d", call("list").output)
