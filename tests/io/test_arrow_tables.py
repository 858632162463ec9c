"""Parquet files keep what astropy says of their columns: units, and what is masked."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.io.arrow_tables import arrow_table
from pxdask.io.catalog import read_catalog
from pxdask.io.catalog_file import write_catalog
from pxdask.io.sed_tables import as_table, bands_of, seds_of_table
from pxdask.io.table_files import table_files


def test_a_catalogue_in_other_units(tmp_path):
    catalog = QTable({"id": ["a"], "ra": [10.0] * u.hourangle, "dec": [0.5] * u.rad})
    catalog["redshift"] = [0.1]
    catalog.write(tmp_path / "a.parquet")
    found = read_catalog(tmp_path / "a.parquet")
    assert found["ra"][0] == pytest.approx(150.0)
    assert found["dec"][0] == pytest.approx(28.64788975654116)  # 0.5 rad
    (row,) = write_catalog(tmp_path / "a.parquet", tmp_path / "run.parquet").rows()
    assert (row["ra"], row["dec"]) == (found["ra"][0], found["dec"][0])


def test_seds_in_other_units_with_masked_values(tmp_path):
    flux = Masked([1.0, 2.0] * u.Jy, mask=[False, True])
    QTable({"flux_sdss_r": flux, "err_sdss_r": [0.1, 0.1] * u.mJy}).write(tmp_path / "a.parquet")
    table = as_table(tmp_path / "a.parquet")
    seds = seds_of_table(table, bands=bands_of(table), pivot_wave=np.array([6000.0]))
    np.testing.assert_allclose(seds["flux"].values, [[1e6], [np.nan]], rtol=1e-14)
    np.testing.assert_allclose(seds["flux_err"].values[0], 100.0, rtol=1e-14)


def test_tables_of_ours_have_units_too(tmp_path):
    table = Table({"mass": [9.0], "flux": [2.0]})
    table["mass"].unit, table["flux"].unit = "dex(Msun)", "mJy"
    with table_files([tmp_path / "a.parquet"], n_row=1, n_letter={}) as append:
        append(table)
    whole = pq.read_table(tmp_path / "a.parquet")
    for found in (whole, whole.replace_schema_metadata(None)):
        units = {name: arrow_table(found)[name].unit for name in table.colnames}
        assert units == {"mass": u.Unit("dex(Msun)"), "flux": u.mJy}


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.text(), st.booleans()), min_size=1))
def test_what_is_masked_stays_masked(tmp_path_factory, rows):
    numbers, words, hidden = (list(part) for part in zip(*rows, strict=True))
    table = Table({"n": MaskedColumn(numbers, mask=hidden), "w": MaskedColumn(words, mask=hidden)})
    path = tmp_path_factory.mktemp("masked") / "a.parquet"
    table.write(path)
    found = arrow_table(pq.read_table(path))
    assert found.colnames == ["n", "w"]
    for row, (number, hide) in enumerate(zip(numbers, hidden, strict=True)):
        assert (found["n"][row] is np.ma.masked) == (found["w"][row] is np.ma.masked) == hide
        assert hide or found["n"][row] == number


def test_files_of_others_are_read_as_they_are():
    found = arrow_table(pa.table({"m": [1.0, None], "m.mask": [True, False], "few": [[1], [2]]}))
    assert found.colnames == ["m", "m.mask"]
    assert list(found["m"].mask) == [False, True]
    assert found["m"].unit is None


def test_a_description_that_cannot_be_read_is_a_fault():
    table = pa.table({"ra": [1.0]}).replace_schema_metadata({"table_meta_yaml": "no: [yaml"})
    with pytest.raises(ConfigError, match=r"what the Parquet file says of its columns .* anew"):
        arrow_table(table)
