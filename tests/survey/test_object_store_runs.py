"""A run in an object store gives the same bytes as one on a disk, whoever does the work."""

import pytest

import pxdask
from pxdask.cli.app import app
from pxdask.core.errors import ConfigError, StoreError
from pxdask.survey.manifest import Manifest
from pxdask.survey.seds.catalog_fit import fit_catalog, open_catalog
from tests.object_store import BUCKET, environment, s3_server
from tests.survey.mini import outputs
from tests.survey.seds.test_catalog_fit import block_files as blocks
from tests.survey.seds.test_catalog_fit import catalog as seds
from tests.survey.seds.test_catalog_fit import settings as seds_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def store():
    with s3_server() as variables, environment(**variables):
        yield


def survey(run):
    """Return what `submit` needs to do a run once more."""
    root = run.store.parent
    return {"catalog": root / "catalog.ecsv", "config": root / "survey.yaml", "root": root}


@pytest.fixture(scope="module")
def far_run(finished_run):
    place = f"s3://{BUCKET}/serial"
    return pxdask.submit(**survey(finished_run), store=place, serial=True, progress=False)


def test_serial_run(far_run, finished_run):
    assert str(far_run.store) == f"s3://{BUCKET}/serial"
    assert far_run.finished() == ["g00", "g01", "g02"]
    assert outputs(far_run.store) == outputs(finished_run.store)
    assert len(far_run.manifest()) == len(finished_run.manifest())


def test_going_on_does_nothing_twice(far_run):
    n_row = len(far_run.manifest())
    again = pxdask.resume(str(far_run.store), serial=True, progress=False)
    assert len(again.manifest()) == n_row


def test_verify_collect_and_space(far_run, finished_run, own_run):
    found = far_run.verify()
    assert found.ok
    n_whole = len(outputs(finished_run.store)) + 2  # its settings and catalogue
    assert found.n_whole == n_whole
    here, there = own_run.collect(), far_run.collect()
    found = far_run.verify()
    assert found.ok
    assert found.n_whole > n_whole + len(there.tables)
    assert there.n_bin == here.n_bin
    assert far_run.collect().n_read == 0
    for table, other in zip(here.tables, there.tables, strict=True):
        assert table.read_bytes() == other.read_bytes()
    assert list(far_run.table()["log_mass"]) == list(own_run.table()["log_mass"])
    sizes = dict(far_run.usage().iterrows("stage", "size"))
    expected = dict(own_run.usage().iterrows("stage", "size"))
    assert sizes["maps"] == expected["maps"]
    assert sizes["survey.zarr"] == expected["survey.zarr"]


def test_lost_and_damaged_objects_are_made_again(far_run, finished_run):
    lost = far_run.product_paths("g01")["summary"]
    lost.unlink()
    cut = next((far_run.store / "galaxies").glob("*/g02/maps-*.zarr.zip"))
    cut.write_bytes(cut.read_bytes()[:-40])
    found = far_run.verify()
    assert found.missing == (lost.relative_to(far_run.store).as_posix(),)
    assert found.damaged == (cut.relative_to(far_run.store).as_posix(),)
    far_run.product_paths("g02")["maps"].unlink()
    again = pxdask.resume(far_run.store, serial=True, progress=False)
    assert outputs(again.store) == outputs(finished_run.store)
    assert again.verify().ok


@pytest.mark.cluster
def test_two_workers(finished_run):
    place = f"s3://{BUCKET}/deep/er/dask"
    run = pxdask.submit(**survey(finished_run), store=place, workers=2, progress=False)
    assert outputs(run.store) == outputs(finished_run.store)
    assert not [path for path in run.store.rglob("*") if path.name.endswith(".part")]


def test_a_catalogue_that_is_fitted(tmp_path):
    here = fit_catalog(seds(), seds_settings(), tmp_path / "run", serial=True, progress=False)
    place = f"s3://{BUCKET}/fits/run"
    there = fit_catalog(seds(), seds_settings(), place, serial=True, progress=False)
    assert str(there.folder) == place
    assert blocks(there.folder) == blocks(here.folder)
    assert [path.read_bytes() for path in there.table_paths()] == [
        path.read_bytes() for path in here.table_paths()
    ]
    n_row = len(list(Manifest(there.folder / "manifest").records()))
    # going on: what is lost is made again, and nothing else
    lost = next((there.folder / "blocks").glob("*/*.zip"))
    lost.unlink()
    again = fit_catalog(seds(), seds_settings(), place, serial=True, progress=False)
    assert blocks(again.folder) == blocks(here.folder)
    assert len(list(Manifest(there.folder / "manifest").records())) == n_row + 1
    assert list(open_catalog(place).table()["id"]) == list(here.table()["id"])
    with pytest.raises(ConfigError, match="run with other catalogue"):
        fit_catalog(seds(seed=2), seds_settings(), place, serial=True, progress=False)


@pytest.mark.cluster
def test_two_workers_fit_a_catalogue(tmp_path):
    here = fit_catalog(seds(), seds_settings(), tmp_path / "run", serial=True, progress=False)
    place = f"s3://{BUCKET}/fits/dask"
    there = fit_catalog(seds(), seds_settings(), place, workers=2, progress=False)
    assert blocks(there.folder) == blocks(here.folder)


def test_the_command_fits_into_a_url(tmp_path, capsys):
    seds().write(tmp_path / "seds.ecsv")
    (tmp_path / "fit.yaml").write_text(seds_settings().dump())
    place = f"s3://{BUCKET}/fits/command"
    words = ["fit", str(tmp_path / "seds.ecsv"), str(tmp_path / "fit.yaml"), place, "--serial"]
    assert app(words, standalone_mode=False) in (None, 0)
    assert f"{place}/results.fits" in capsys.readouterr().out
    assert len(open_catalog(place).table()) == len(seds())


def test_a_bucket_that_is_not_there(finished_run):
    with pytest.raises(StoreError, match=r"s3://no-such-bucket/run.*bucket does not exist"):
        pxdask.submit(**survey(finished_run), store="s3://no-such-bucket/run", serial=True)
    with pytest.raises(ConfigError, match="s3://no-such-bucket/run is not a run"):
        pxdask.open_run("s3://no-such-bucket/run")


def test_commands_take_a_url(far_run, capsys):
    for command in ("status", "maps", "verify", "du", "gc"):
        assert app([command, str(far_run.store)], standalone_mode=False) in (None, 0)
    said = capsys.readouterr().out
    assert "3 of 3 galaxies have maps" in said
    assert "nothing to remove" in said
