"""The commands for filters as a user meets them."""

import pytest
from typer.testing import CliRunner

from pxdask.cli.filters import app
from pxdask.core.errors import ConfigError


@pytest.fixture(autouse=True)
def _terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("PXDASK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def box(tmp_path):
    path = tmp_path / "box.txt"
    path.write_text("0.4 1\n0.5 1\n")
    return path


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def row(text, name):
    """Words of the table's row of this name."""
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [name])


def test_list_has_names_wavelengths_detectors_and_sources():
    text = call("list", "herschel*").output
    assert row(text, "herschel_spire_250") == ["herschel_spire_250", "2461252.0", "714050.2",
                                               "energy", "sedpy"]  # fmt: skip
    assert "6 names" in text
    assert row(call("list", "sdss_r").output, "sdss_r")[-2:] == ["sedpy", "sdss_r0"]
    assert len(call("list").output.splitlines()) > 300


def test_list_says_when_nothing_matches():
    result = call("list", "nothing")
    assert result.exit_code == 1
    assert "no name matches 'nothing'" in result.output


def test_show_has_one_column_for_each_filter():
    text = call("show", "sdss_r", "wise_w1").output
    assert row(text, "pivot")[2:] == ["6175.35", "33682.2"]
    assert row(text, "detector")[1:] == ["photon", "photon"]
    assert row(text, "sdss_r:")[1].endswith("sdss_r0.par")


def test_add_list_show_and_remove(box):
    text = call("add", "mine", box, "--unit", "micron", "--detector", "energy").output
    # int 1 / int 1/lambda**2 of a box: the root of 4000 * 5000
    assert "mine: pivot 4472.1 Angstrom, per energy, in " in text
    assert row(call("list", "mine").output, "mine") == ["mine", "4472.1", "1000.0", "energy",
                                                        "user"]  # fmt: skip
    assert row(call("show", "mine").output, "points")[1] == "2"
    assert "removed" in call("remove", "mine").output
    with pytest.raises(ConfigError, match="neither a known filter"):
        call("show", "mine")


def test_add_does_not_replace_without_a_word(box):
    call("add", "mine", box, "--unit", "micron")
    with pytest.raises(ConfigError, match="say --overwrite"):
        call("add", "mine", box, "--unit", "micron")
    assert call("add", "mine", box, "--unit", "micron", "--overwrite").exit_code == 0


def test_plot_writes_a_picture(tmp_path):
    path = tmp_path / "curves.png"
    assert str(path) in call("plot", "sdss_g", "sdss_r", "--out", path).output
    assert path.read_bytes().startswith(b"\x89PNG")
