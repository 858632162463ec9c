"""Tables of photometry."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.units import Unit
from astropy.utils.masked import Masked
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.catalogs import TableBand
from pxdask.core.errors import ConfigError
from pxdask.core.schema import SEDS
from pxdask.io.catalog import read_table
from pxdask.io.sed_tables import (
    as_table,
    bands_of,
    in_microjansky,
    seds_of_table,
    write_sed_table,
)

BANDS = (TableBand(name="g", filter="sdss_g"), TableBand(name="r", filter="sdss_r"))
PIVOTS = np.array([4702.0, 6176.0])


def table(**changes):
    columns = {
        "id": ["a", "b", "c"],
        "redshift": [0.1, 0.2, 0.3],
        "flux_g": [1.0, -2.0, -99.0],
        "err_g": [0.1, 0.2, 0.3],
        "flux_r": [10.0, np.nan, 30.0],
        "err_r": [1.0, 2.0, -99.0],
    }
    return Table({name: v for name, v in {**columns, **changes}.items() if v is not None})


def read(source, **choices):
    choices = {"bands": BANDS, "pivot_wave": PIVOTS, "redshift": "redshift", **choices}
    return seds_of_table(source, **choices)


def test_values_by_hand():
    seds = SEDS.validate(read(table(limit_g=[False, True, False])))
    np.testing.assert_array_equal(seds["flux"], [[1, 10], [-2, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(seds["flux_err"], [[0.1, 1], [0.2, 2], [np.nan, np.nan]])
    np.testing.assert_array_equal(seds["upper_limit"], [[0, 0], [1, 0], [0, 0]])
    assert list(seds["id"].values) == ["a", "b", "c"]
    np.testing.assert_array_equal(seds["redshift"], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("unit", "value", "wanted"),
    [
        ("Jy", 3631.0, 3.631e9),
        ("nJy", 1000.0, 1.0),
        ("mJy", 1.0, 1000.0),
        # m = 23.9 is one microjansky by definition of the AB system; 18.9 is a hundred
        ("AB mag", 18.9, 100.0),
        # f_nu = f_lambda lambda^2 / c = 1e-17 * 5000^2 / 2.99792458e18 = 8.33910e-29 cgs
        ("1e-17 erg / (s cm2 Angstrom)", 1.0, 8.3391024),
        ("erg s-1 cm-2 AA-1", 1e-17, 8.3391024),
    ],
)
def test_units(unit, value, wanted):
    flux, error = in_microjansky(
        np.array([value]), np.array([0.1 * value]), unit=unit, pivot_wave=5000.0
    )
    assert flux[0] == pytest.approx(wanted, rel=1e-7)  # as many digits as are written here
    if "mag" not in unit:
        assert error[0] == pytest.approx(0.1 * wanted, rel=1e-7)


@given(st.floats(-5, 40), st.floats(0.001, 0.3))
def test_magnitudes_and_their_errors_are_consistent(mag, error):
    flux, flux_err = in_microjansky(
        np.array([mag]), np.array([error]), unit="mag", pivot_wave=5000.0
    )
    assert -2.5 * np.log10(flux[0]) + 23.9 == pytest.approx(mag, abs=1e-9)
    assert 1.0857362 * flux_err[0] / flux[0] == pytest.approx(error, rel=1e-6)


def test_missing_magnitudes():
    mags, errors = np.array([99.0, -99.0, 20.0, 20.0]), np.array([0.1, 0.1, 99.0, 0.1])
    flux, _ = in_microjansky(mags, errors, unit="ABmag", pivot_wave=5000.0)
    np.testing.assert_array_equal(np.isnan(flux), [True, True, True, False])


def test_a_column_has_a_unit_of_its_own_and_may_be_masked():
    source = QTable(table())
    source["flux_g"] = [1.0, 2.0, 3.0] * Unit("mJy")
    source["err_g"] = [0.1, 0.2, 0.3] * Unit("Jy")
    source["flux_r"] = MaskedColumn([1.0, 2.0, 3.0], mask=[False, True, False])
    seds = read(source)
    np.testing.assert_allclose(seds["flux"][:, 0], [1e3, 2e3, 3e3])
    np.testing.assert_allclose(seds["flux_err"][:, 0], [1e5, 2e5, 3e5])
    np.testing.assert_array_equal(np.isnan(seds["flux"][:, 1]), [False, True, True])


@pytest.mark.parametrize(("has", "lacks"), [("flux_g", "err_g"), ("err_g", "flux_g")])
def test_a_unit_of_one_of_a_pair_is_refused(has, lacks):
    source = table()
    source[has].unit = "Jy"
    words = f"column '{has}' has the unit Jy, column '{lacks}' has none; wanted units of both"
    with pytest.raises(ConfigError, match=words):
        read(source)


def test_magnitudes_and_their_errors_have_units_of_other_names():
    source = table()
    source["flux_g"], source["err_g"] = np.full(3, 23.9), np.full(3, 0.1)  # [mag], AB
    alike = read(source, unit="mag")
    source["flux_g"].unit, source["err_g"].unit = "mag(AB)", "mag"
    source["flux_r"].unit = source["err_r"].unit = "mag"
    np.testing.assert_array_equal(read(source)["flux_err"], alike["flux_err"])
    # 0.4 ln(10) of 1 uJy
    np.testing.assert_allclose(alike["flux_err"][:, 0], 0.0921034, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".ecsv", ".csv", ".fits", ".parquet"])
def test_files(tmp_path, suffix):
    path = tmp_path / f"seds{suffix}"
    if suffix == ".parquet":
        table().to_pandas().to_parquet(path, index=False)
    else:
        table().write(path)
    assert read(as_table(path)).identical(read(table()))


def test_other_tables():
    frame = table().to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert read(as_table(frame)).identical(read(table()))
    assert read(as_table({name: table()[name] for name in table().colnames})).identical(
        read(table())
    )
    with pytest.raises(ConfigError, match="is not a table"):
        as_table(3)
    with pytest.raises(ConfigError, match="no rows"):
        as_table(table()[:0])


def test_bands_by_columns():
    assert [band.filter for band in bands_of(table())] == ["g", "r"]
    with pytest.raises(ConfigError, match="no column flux_<filter>"):
        bands_of(Table({"g": [1.0]}))


def test_rows_without_names_are_numbered():
    assert list(read(table(id=None))["id"].values) == ["0", "1", "2"]


def test_every_fault_is_named_at_once():
    bad = table(id=["a", "a", "b"], err_g=None, flux_r=["x", "y", "z"])
    with pytest.raises(ConfigError) as caught:
        read(bad, redshift="z")
    text = str(caught.value)
    for part in ("no column 'err_g'", "'flux_r' holds no numbers", "such as 'a'", "no column 'z'"):
        assert part in text


@pytest.mark.parametrize("unit", ["K", "furlong", "dex(Jy)"])
def test_units_that_are_not_of_flux(unit):
    with pytest.raises(ConfigError, match="is not one of flux density"):
        read(table(), unit=unit)


def test_limits_are_true_or_false():
    np.testing.assert_array_equal(
        read(table(limit_r=[1, 0, 1]))["upper_limit"][:, 1], [True, False, True]
    )
    with pytest.raises(ConfigError, match="wanted true or false"):
        read(table(limit_r=[3.0, 0.0, 1.0]))


def test_a_row_without_a_name_is_a_fault():
    with pytest.raises(ConfigError, match="column 'id': 1 rows have no name, such as 1"):
        read(table(id=MaskedColumn(["a", "b", "c"], mask=[False, True, False])))


@pytest.mark.parametrize("suffix", [".fits", ".parquet", ".ecsv"])
def test_what_results_lack_is_not_written(tmp_path, suffix):
    hidden = [False, True]
    columns = {
        "ra": Masked([1.0, 2.0] * Unit("deg"), mask=hidden),
        "chi2": MaskedColumn([3.0, 4.0], mask=hidden),
        "note": MaskedColumn(["x", "y"], mask=hidden),
        "n": MaskedColumn([5, 6], mask=hidden),
    }
    write_sed_table(QTable(columns), tmp_path / f"t{suffix}")
    back = read_table(tmp_path / f"t{suffix}")
    for name in columns:
        assert list(np.ma.getmaskarray(np.ma.asarray(back[name]))) == hidden, name
    assert back["ra"].unit == Unit("deg")


@pytest.mark.parametrize("suffix", [".fits", ".parquet", ".ecsv"])
def test_results_keep_their_units(tmp_path, suffix):
    found = QTable({"id": np.array(["a", "b"]), "flux": [1.0, 2.0] * Unit("uJy")})
    found["log_mass_p50"] = [9.0, 10.0]
    found["log_mass_p50"].info.unit = "dex(Msun)"
    found["flags"] = np.array(["", "few_models at_edge"])
    path = tmp_path / f"t{suffix}"
    write_sed_table(found, path)
    if suffix == ".fits":
        with fits.open(path) as hdus:
            back = {name: np.array(hdus["SEDS"].data[name]) for name in found.colnames}
            units = {column.name: column.unit for column in hdus["SEDS"].columns}
    else:
        read_back = QTable.read(path)
        back = {name: getattr(read_back[name], "value", read_back[name]) for name in found.colnames}
        units = {name: str(read_back[name].info.unit) for name in found.colnames}
    assert Unit(units["log_mass_p50"]) == Unit("dex(Msun)")
    assert Unit(units["flux"]) == Unit("uJy")
    assert list(back["id"]) == ["a", "b"]
    np.testing.assert_array_equal(back["flux"], [1, 2])
    np.testing.assert_array_equal(back["log_mass_p50"], [9, 10])
    with pytest.raises(ConfigError, match="cannot write"):
        write_sed_table(found, tmp_path / "t.txt")
