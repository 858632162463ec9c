"""A catalogue read and written some rows at a time is the same as one in memory."""

import tracemalloc
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.io.catalog import read_catalog, rows
from pxdask.io.catalog_file import CatalogFile, catalog_rows, write_catalog

N_ROW = 25


@pytest.fixture(autouse=True)
def _small_blocks():
    with mock.patch("pxdask.io.catalog_file.ROWS_AT_ONCE", 10):
        yield


def table(n_row=N_ROW):
    rng = np.random.default_rng(1)
    made = Table(
        {
            "id": [f"g{n:03d}" for n in range(n_row)],
            "ra": rng.uniform(0, 6, n_row),
            "dec": rng.uniform(-80, 80, n_row),
            "redshift": rng.uniform(0.01, 1, n_row).astype("f4"),
            "tile": MaskedColumn(np.arange(n_row, dtype="i2"), mask=np.arange(n_row) % 7 == 3),
            "ebv": np.where(np.arange(n_row) == 12, np.nan, 0.1),
            "field": [f"field{n % 3}" for n in range(n_row)],
            "good": np.arange(n_row) % 2 == 0,
        }
    )
    made["ra"].unit, made["dec"].unit = "rad", "deg"
    return made


@pytest.mark.parametrize("ending", ["", ".ecsv", ".fits", ".parquet"])
def test_rows_are_those_of_the_catalogue_in_memory(tmp_path, ending):
    source, path = table(), tmp_path / f"given{ending}"
    if ending == ".parquet":
        source["ra"] = source["ra"].to("deg")  # Parquet has no units
        columns = {
            name: pa.array(np.asarray(source[name]).tolist(), mask=np.ma.getmaskarray(source[name]))
            for name in source.colnames
        }
        pq.write_table(pa.table(columns), path, row_group_size=7)
    elif ending:
        source.write(path)
    given = path if ending else source
    file = write_catalog(given, tmp_path / "catalog.parquet")
    expected = list(rows(read_catalog(given)))
    assert list(file.rows()) == expected
    assert [type(value) for value in next(file.rows()).values()] == [
        type(value) for value in expected[0].values()
    ]
    assert ("tile" in expected[3], "ebv" in expected[12], "ebv" in expected[13]) == (
        *(False, False),
        True,
    )
    assert pq.read_metadata(file.path).num_row_groups == 3
    assert list(rows(file.table())) == expected


@given(st.integers(1, 40), st.integers(1, 12))
def test_every_row_is_there_once_and_in_order(tmp_path_factory, n_row, every):
    path = tmp_path_factory.mktemp("catalog") / "catalog.parquet"
    file = write_catalog(table(n_row), path)
    names = [f"g{n:03d}" for n in range(n_row)]
    assert (len(file), list(file.ids())) == (n_row, names)
    assert [row["id"] for row in file.rows(every=every)] == names[::every]
    assert list(catalog_rows(file.table(), every=every)) == list(file.rows(every=every))


def test_one_galaxy_and_some(tmp_path):
    file = write_catalog(table(), tmp_path / "catalog.parquet")
    every = list(file.rows())
    assert [file.row(name) for name in ("g000", "g017", "g024")] == [every[n] for n in (0, 17, 24)]
    assert file.row("g025") is None
    some = file.chosen(["g020", "g003"])
    assert (len(some), [row["id"] for row in some.rows()]) == (2, ["g003", "g020"])
    with pytest.raises(ConfigError, match="not in the catalogue: nobody"):
        file.chosen(["nobody", "g001"])


def test_faults_are_named_by_their_rows_in_the_whole(tmp_path):
    bad = table()
    bad["id"][21] = bad["id"][4]
    bad["dec"][15] = 99.0
    with pytest.raises(ConfigError) as caught:
        write_catalog(bad, tmp_path / "catalog.parquet")
    with pytest.raises(ConfigError) as at_once:
        read_catalog(bad)
    for words in ("row 15, column dec: 99", "row 4, column id: 'g004' stands 2 times", "row 21,"):
        assert words in str(caught.value)
    assert sorted(str(caught.value).splitlines()) == sorted(str(at_once.value).splitlines())


def test_no_rows_no_columns_no_file(tmp_path):
    for source, words in (
        (table()[:0], "has no rows"),
        (table()["id", "ra"], "lacks columns dec, redshift"),
        (tmp_path / "none.parquet", "no catalogue at"),
        (tmp_path / "broken.parquet", "as parquet"),
        (tmp_path / "broken.fits", "as fits"),
    ):
        if "broken" in str(source)[-16:]:
            source.write_text("not a table")
        with pytest.raises(ConfigError, match=words):
            write_catalog(source, tmp_path / "catalog.parquet")


@pytest.mark.parametrize("ending", [".fits", ".parquet", ".ecsv"])
def test_a_file_of_whatever_damage_is_called_unreadable(tmp_path, ending):
    """Readers of files raise errors of every kind; a catalogue is cut off at every length."""
    good, path = tmp_path / f"good{ending}", tmp_path / f"catalog{ending}"
    table().write(good)
    whole = good.read_bytes()
    n_told = 0
    for part in range(40):
        path.write_bytes(whole[: len(whole) * part // 40])
        try:
            write_catalog(path, tmp_path / "catalog.parquet")
        except ConfigError:
            n_told += 1
    assert n_told > 20


def test_what_a_reader_raises_is_told_as_it_is_of_the_whole(tmp_path, monkeypatch):
    table().write(tmp_path / "a.fits")

    def fails(*_args, **_choices):
        raise KeyError("TFORM3")

    monkeypatch.setattr("pxdask.io.catalog_file.Table.read", fails)
    with pytest.raises(ConfigError, match=r"cannot read .*a\.fits as fits: 'TFORM3'"):
        write_catalog(tmp_path / "a.fits", tmp_path / "catalog.parquet")


def test_columns_of_arrays_are_left_out_and_dates_are_text(tmp_path):
    columns = {name: table()[name].tolist() for name in ("id", "ra", "dec", "redshift")}
    dates = pa.array([0] * N_ROW, pa.timestamp("s"))
    arrow = pa.table({**columns, "when": dates, "list": [[1.0, 2.0]] * N_ROW})
    pq.write_table(arrow, tmp_path / "given.parquet")
    row = next(write_catalog(tmp_path / "given.parquet", tmp_path / "catalog.parquet").rows())
    assert set(row) == {"id", "ra", "dec", "redshift", "when"}
    assert row["when"].startswith("1970-01-01")


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """As Python values, the rows of 100,000 galaxies take 50 MB."""
    n_row = 100_000
    given = Table(
        {
            "id": [f"g{n:06d}" for n in range(n_row)],
            **{name: np.full(n_row, 0.5) for name in ("ra", "dec", "redshift")},
        }
    )
    given.write(tmp_path / "given.fits")
    del given
    with mock.patch("pxdask.io.catalog_file.ROWS_AT_ONCE", 1000):
        tracemalloc.start()
        file = write_catalog(tmp_path / "given.fits", tmp_path / "catalog.parquet")
        n_seen = sum(1 for _ in CatalogFile(file.path).rows())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert n_seen == n_row
    assert peak < 12e6  # [byte]; 3 of them are the digests of all ids, twice while they are sorted
