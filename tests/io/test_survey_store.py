"""Rows come back as they were given, in whole files of one writer."""

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings

from pxdask.core.errors import StoreError
from pxdask.io.survey_store import (
    RowWriter,
    StoredRows,
    open_group,
    replacing_store,
    write_group,
)

COORDINATES = xr.Dataset(
    coords={"band": ("band", np.array(["g", "r"], dtype=object))}, attrs={"schema": "test/1"}
)


def rows(n, start=0):
    flux = np.arange(2.0 * n).reshape(n, 2) + 2 * start
    return xr.Dataset(
        {
            "number": ("bin", np.arange(start, start + n, dtype=np.int32)),
            "flux": (("bin", "band"), flux, {"units": "uJy"}),
        }
    )


def write(path, counts, *, shard=8, chunk=4):
    with replacing_store(path) as part:
        write_group(COORDINATES, part, "bins")
        writer = RowWriter(part, "bins", shard=shard, chunk=chunk)
        start = 0
        for n in counts:
            writer.append(rows(n, start))
            start += n
        writer.close()


@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt()])
def test_the_old_store_is_put_back_where_the_new_one_cannot_be(tmp_path, monkeypatch, error):
    path = tmp_path / "survey.zarr"
    write(path, [3])
    before = content(path)
    rename = Path.rename

    def fails(self, target):
        if self.suffix == ".part":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(StoreError if isinstance(error, OSError) else KeyboardInterrupt):
        write(path, [5])
    assert content(path) == before
    assert list(tmp_path.iterdir()) == [path]


def content(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=8))
def test_rows_come_back_however_they_were_given(tmp_path, counts):
    path = tmp_path / "survey.zarr"
    write(path, counts)
    n = sum(counts)
    ds = open_group(path, "bins").load()
    xr.testing.assert_equal(ds.drop_vars("band"), rows(n))
    assert ds["flux"].attrs == {"units": "uJy"}
    assert list(ds["band"].values) == ["g", "r"]
    write(tmp_path / "at-once.zarr", [n])
    assert content(path) == content(tmp_path / "at-once.zarr")
    stored = StoredRows(path, "bins", shard=8)
    assert stored.n_row == n
    pieces = list(stored.rows(n // 3, n))
    assert all(piece.sizes["bin"] <= 8 for piece in pieces)
    np.testing.assert_array_equal(
        np.concatenate([piece["number"].values for piece in pieces]), np.arange(n // 3, n)
    )


def test_every_file_is_written_once(tmp_path, monkeypatch):
    """Filling a shard in two goes, or from the middle, loses rows without a word."""
    begun = []
    write_rows = RowWriter._write

    def watched(self, n_row):
        begun.append(self._written)
        write_rows(self, n_row)

    monkeypatch.setattr(RowWriter, "_write", watched)
    write(tmp_path / "survey.zarr", [5, 5, 5, 5, 5])
    assert begun == [0, 8, 16, 24]


def test_a_variable_that_comes_late_or_not_always(tmp_path):
    path = tmp_path / "survey.zarr"
    with replacing_store(path) as part:
        write_group(COORDINATES, part, "bins")
        writer = RowWriter(part, "bins", shard=4, chunk=2)
        writer.append(rows(6))
        late = rows(3, 6).assign(
            ln_evidence=("bin", np.ones(3)), pieces=("bin", np.ones(3, np.int32))
        )
        writer.append(late)
        writer.append(rows(2, 9))
        writer.close()
    ds = open_group(path, "bins").load()
    np.testing.assert_array_equal(ds["number"].values, np.arange(11))
    nan = np.nan
    np.testing.assert_array_equal(ds["ln_evidence"].values, [nan] * 6 + [1.0] * 3 + [nan] * 2)
    np.testing.assert_array_equal(ds["pieces"].values, [-1] * 6 + [1] * 3 + [-1] * 2)


def test_the_old_store_stays_when_the_new_one_fails(tmp_path):
    path = tmp_path / "survey.zarr"
    write(path, [3])
    before = content(path)

    def half():
        with replacing_store(path) as part:
            write_group(COORDINATES, part, "bins")
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        half()
    assert content(path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["survey.zarr"]
    write(path, [4])
    assert open_group(path, "bins").sizes["bin"] == 4
    assert [p.name for p in tmp_path.iterdir()] == ["survey.zarr"]


def test_no_store(tmp_path):
    with pytest.raises(StoreError, match="cannot read"):
        open_group(tmp_path / "none.zarr", "bins")
