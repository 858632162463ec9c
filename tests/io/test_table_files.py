"""Tables written in blocks are read back as one, by the readers that people use."""

import warnings

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Column, Table, vstack

from pxdask.core.errors import ConfigError, DataError
from pxdask.io.table_files import table_files


def block(start, n):
    index = np.arange(start, start + n)
    return Table(
        {
            "galaxy": np.array([f"g{i % 7:03d}" for i in index]),
            "number": index.astype(np.int32),
            "flags": Column(index.astype(np.uint16), description="quality flags"),
            "good": index % 2 == 0,
            "log_mass": Column(
                np.where(index % 5, index / 3, np.nan), unit="dex(Msun)", description="mass"
            ),
            "flux": Column(index.astype(np.float32), unit="uJy"),
        }
    )


BLOCKS = [block(0, 40), block(40, 1), block(41, 59)]


def write(folder, names=("t.fits", "t.ecsv", "t.parquet"), blocks=BLOCKS, *, n_row=None):
    paths = [folder / name for name in names]
    n_row = sum(map(len, blocks)) if n_row is None else n_row
    with table_files(paths, n_row=n_row, n_letter={"galaxy": 4}) as append:
        for one in blocks:
            append(one)
    return paths


@pytest.mark.parametrize("n_row", [0, 99, 101])
def test_files_of_other_rows_than_announced_are_not_there(tmp_path, n_row):
    names = ("t.fits", "t.ecsv", "t.parquet", "t.vot")
    with pytest.raises(DataError, match=rf"t\.vot: 100 rows were written; wanted {n_row}, as"):
        write(tmp_path, names, n_row=n_row)
    assert list(tmp_path.iterdir()) == []


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy reads dex from FITS, and says it is not standard
        return (
            Table.read(path, character_as_bytes=False)
            if path.suffix == ".fits"
            else Table.read(path)
        )


def test_votables_say_units_that_they_have_and_others_in_words(tmp_path):
    (path,) = write(tmp_path, ["t.vot"])
    found = Table.read(path)
    assert len(found) == 100
    assert list(found["galaxy"][38:42]) == ["g003", "g004", "g005", "g006"]
    assert found["flux"].unit == "uJy"
    assert found["log_mass"].unit is None
    assert found["log_mass"].description == "mass [dex(solMass)]"
    np.testing.assert_array_equal(found["flags"], np.arange(100))
    assert vstack(BLOCKS)["flags"].dtype == np.uint16  # what was given is as it was


@pytest.mark.parametrize("name", ["t.fits", "t.ecsv", "t.parquet"])
def test_blocks_are_one_table(tmp_path, name):
    (path,) = write(tmp_path, [name])
    found, expected = read(path), vstack(BLOCKS)
    assert found.colnames == expected.colnames
    assert len(found) == 100
    for column in expected.colnames:
        np.testing.assert_array_equal(
            np.ma.filled(found[column].astype(float), np.nan)
            if column == "log_mass"
            else np.asarray(found[column], expected[column].dtype),
            expected[column],
        )
    assert found["flux"].unit == "uJy"
    assert str(found["log_mass"].unit) == "dex(solMass)"


def test_fits_is_what_the_standard_says(tmp_path):
    (path,) = write(tmp_path, ["t.fits"])
    assert path.stat().st_size % 2880 == 0
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert hdus[1].header["NAXIS2"] == 100
        assert hdus[1].header.comments["TTYPE5"] == "mass"
        assert [hdus[1].header[f"TFORM{i}"] for i in range(1, 7)] == ["4A", "J", "J", "B", "D", "E"]


def test_parquet_tells_units_to_everybody(tmp_path):
    (path,) = write(tmp_path, ["t.parquet"])
    import pyarrow.parquet as pq

    field = pq.read_schema(path).field("log_mass")
    assert field.metadata == {b"unit": b"dex(solMass)", b"description": b"mass"}
    frame = pd.read_parquet(path)
    assert frame["number"].dtype == np.int32
    assert np.isnan(frame["log_mass"][0])


def test_blocks_do_not_show_but_in_parquet(tmp_path):
    for name, blocks in (("a", BLOCKS), ("b", [vstack(BLOCKS)])):
        (tmp_path / name).mkdir()
        write(tmp_path / name, blocks=blocks)
    for name in ("t.fits", "t.ecsv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_unknown_ending_and_failure_leave_nothing(tmp_path):
    with pytest.raises(ConfigError, match=r"t\.hdf5; endings known: \.fits"):
        write(tmp_path, ["t.hdf5"])
    paths = [tmp_path / "t.fits", tmp_path / "t.ecsv"]

    def half():
        with table_files(paths, n_row=100, n_letter={"galaxy": 4}) as append:
            append(BLOCKS[0])
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        half()
    assert list(tmp_path.iterdir()) == []
