"""Every byte that is not what was written is found."""

import json
import shutil

import pytest

import pxdask
from pxdask.io.stores import checksum
from pxdask.survey.care.verify import remove_damaged
from tests.survey.mini import outputs

OWN = ("catalog.parquet", "config.yaml")
"""The run's own files that are checked."""


def file(run, pattern):
    return next((run.store / "galaxies").glob(pattern))


def name(run, path):
    return path.relative_to(run.store).as_posix()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.write_bytes(content)


def test_a_run_as_it_was_written(finished_run):
    found = finished_run.verify()
    assert found.ok
    assert found.n_whole == len(outputs(finished_run.store)) + len(OWN)
    assert found.n_unrecorded == 0
    assert found.extra == ()


def test_the_record_is_that_of_the_file(finished_run):
    records = finished_run.records()
    paths = finished_run.product_paths("g00")
    expected = f"{checksum(paths['maps'])} {checksum(paths['summary'])}"
    assert records["g00", "products", ""].checksum == expected


def test_one_bit_anywhere(own_run):
    paths = [
        file(own_run, "*/g00/cube-*.zarr.zip"),
        file(own_run, "*/g01/maps-*.fits"),
        file(own_run, "*/g02/summary-*.png"),
        next((own_run.store / "models").glob("ssp-*")),
    ]
    for path in paths:
        flip(path)
    found = own_run.verify()
    assert not found.ok
    assert found.damaged == tuple(sorted(name(own_run, path) for path in paths))
    assert found.n_whole == len(outputs(own_run.store)) + len(OWN) - len(paths)


def test_torn_missing_and_extra(own_run):
    torn = file(own_run, "*/g00/fit-*")
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    missing = file(own_run, "*/g01/maps-*.fits")
    missing.unlink()
    left = torn.with_name(f".{torn.name}.0123.part")
    left.write_text("half")
    (torn.parent / "notes.txt").write_text("mine")
    found = own_run.verify()
    assert found.damaged == (name(own_run, torn),)
    assert found.missing == (name(own_run, missing),)
    assert found.extra == tuple(
        sorted((name(own_run, left), name(own_run, torn.parent / "notes.txt")))
    )


def test_without_records_archives_check_themselves(own_run):
    for path in (own_run.store / "manifest").iterdir():
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        text = "".join(json.dumps({**line, "checksum": ""}) + "\n" for line in lines)
        path.write_text(text)
    flip(file(own_run, "*/g00/cube-*.zarr.zip"))
    found = own_run.verify()
    assert len(found.damaged) == 1
    # models have their checksum in their names, the settings and the catalogue in run.json
    assert found.n_unrecorded == found.n_whole - 2 - len(OWN)
    assert len(found.extra) == 6  # products have no checksum of their own


def test_what_all_tasks_share_is_missed(own_run):
    gone = sorted(name(own_run, path) for path in (own_run.store / "models").iterdir())
    assert [word.split("-")[0] for word in gone] == ["models/filters", "models/ssp"]
    for word in gone:
        (own_run.store / word).unlink()
    assert own_run.verify().missing == tuple(gone)
    (told,) = (own_run.store / "history").glob("*.json")
    told.write_text('{"ssp": 3')
    assert own_run.verify().damaged == (name(own_run, told),)


def test_its_own_settings_are_told_of_and_stay(own_run):
    with (own_run.store / "config.yaml").open("a") as file:
        file.write("# a word more\n")
    found = own_run.verify()
    assert found.damaged == ("config.yaml",)
    assert remove_damaged(own_run.store, found) == ()
    assert (own_run.store / "config.yaml").is_file()


def test_what_was_collected(own_run):
    own_run.collect(formats=["ecsv", "fits"])
    n_whole = own_run.verify().n_whole
    assert n_whole > len(outputs(own_run.store)) + len(OWN) + 4
    piece = next((own_run.store / "survey.zarr" / "bins" / "chi2").glob("c/*"))
    table = own_run.store / "summary-bins.fits"
    for path in (piece, table):
        flip(path)
    found = own_run.verify()
    assert found.damaged == (table.name, name(own_run, piece))
    assert remove_damaged(own_run.store, found) == found.damaged
    found = own_run.verify()
    assert found.missing == (name(own_run, piece),)  # a table that is gone may be
    assert own_run.collect(formats=["ecsv", "fits"]).n_read == 3
    assert own_run.verify().ok
    assert own_run.verify().n_whole == n_whole
    shutil.rmtree(own_run.store / "survey.zarr")
    assert own_run.verify().ok


@pytest.mark.slow
def test_removed_and_made_again(own_run, finished_run):
    flip(file(own_run, "*/g00/maps-*.fits"))
    flip(file(own_run, "*/g01/bins-*"))
    remove_damaged(own_run.store, own_run.verify())
    assert len(own_run.verify().missing) == 2
    # a bins file that nothing missing reads is not made again: ask for what follows it
    again = pxdask.resume(own_run.store, serial=True, progress=False, from_stage="bins")
    assert outputs(again.store) == outputs(finished_run.store)
    assert again.verify().ok
