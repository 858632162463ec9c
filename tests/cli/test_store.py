"""verify, collect, du and gc as a user types them."""

import shutil

import pytest
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from tests.survey.mini import make_survey

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli-store")
    catalog, config = make_survey(root, 1)
    return pxdask.submit(catalog, config, root / "run", root=root, serial=True, progress=False)


@pytest.fixture
def store(made, tmp_path):
    return shutil.copytree(made.store, tmp_path / "run")


def call(*words):
    result = RUNNER.invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


def test_verify(store):
    code, said = call("verify", store)
    assert code == 0
    assert "13 files are whole, 0 damaged, 0 missing, 0 unreadable, 0 extra" in said
    path = next((store / "galaxies").rglob("maps-*.fits"))
    path.write_bytes(path.read_bytes()[:-1])
    code, said = call("verify", store)
    assert code == 1
    assert f"damaged: {path.relative_to(store)}" in said
    assert path.exists()
    code, said = call("verify", store, "--remove")
    assert code == 1
    assert not path.exists()
    assert "pxdask resume" in said


def test_collect(store):
    code, said = call("collect", store, "--table", "ecsv")
    assert code == 0
    assert "of 1 galaxy, 1 of them read" in said
    assert (store / "summary-bins.ecsv").is_file()
    assert not (store / "summary.fits").exists()


def test_du(store):
    code, said = call("du", store)
    assert code == 0
    assert [line.split()[-1] for line in said.splitlines()][:3] == ["image", "cube", "bins"]
    assert "in all" in said
    assert call("du", store, "--by", "galaxy")[1].splitlines()[0].endswith("g00")


def test_gc_tells_before_it_removes(store):
    old = store / "models" / "ssp-0000000000000000.zarr.zip"
    old.write_bytes(b"x" * 2500)
    code, said = call("gc", store)
    assert code == 0
    assert "1 file, 2.5 kB would be removed" in said
    assert old.exists()
    code, said = call("gc", store, "--yes")
    assert code == 0
    assert not old.exists()
    assert call("verify", store)[0] == 0
    assert "nothing to remove" in call("gc", store)[1]
