"""Catalogues in every format, and all their faults at once."""

import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, Table
from astropy.units import Unit

from pxdask.core.errors import ConfigError
from pxdask.io.catalog import fill_template, read_catalog, rows
from pxdask.io.catalog_file import write_catalog


def table():
    made = Table(
        {
            "id": ["a-1", "b_2"],
            "ra": [10.0, 20.5],
            "dec": [-5.0, 60.0],
            "redshift": [0.1, 2.0],
            "tile": [3, 4],
        }
    )
    made["ra"].unit = made["dec"].unit = "deg"
    return made


@pytest.mark.parametrize("ending", [".ecsv", ".csv", ".fits", ".parquet", ".vot"])
def test_every_format_gives_the_same_rows(tmp_path, ending):
    path = tmp_path / f"catalog{ending}"
    if ending == ".parquet":
        table().to_pandas(index=False).to_parquet(path)
    elif ending == ".vot":
        table().write(path, format="votable")
    else:
        table().write(path)
    assert list(rows(read_catalog(path))) == list(rows(read_catalog(table())))


def test_units_are_converted():
    other = table()
    other["ra"] = [0.5, 1.0]
    other["ra"].unit = "hourangle"
    assert read_catalog(other)["ra"].tolist() == pytest.approx([7.5, 15.0], rel=1e-12)


def test_columns_that_settings_name_are_converted_and_others_are_not(tmp_path):
    given = table()
    columns = {"length": [0.5, np.nan], "pa": [0.1, 0.2], "ebv": [20.0, 30.0], "other": [1.0, 2.0]}
    units = {"length": "arcmin", "pa": "rad", "ebv": "mmag", "other": "arcmin"}
    for name, values in columns.items():
        given[name] = MaskedColumn(values, unit=units[name], description=f"the {name}")
    given["length"].mask = [False, True]
    wanted = {"length": "arcsec", "pa": "deg", "tile": "arcsec", "absent": "arcsec"}
    catalog = read_catalog(given, units=wanted)
    assert (catalog["length"].unit, catalog["length"].description) == ("arcsec", "the length")
    first, second = rows(catalog)
    assert first["length"] == pytest.approx(30.0, rel=1e-14)
    assert "length" not in second
    assert (first["pa"], second["pa"]) == pytest.approx((5.729577951, 11.459155903))
    # of known meaning, whatever the settings name
    assert (first["ebv"], second["ebv"]) == pytest.approx((0.02, 0.03))
    # nobody said what they are wanted in; without a unit they are in the one wanted
    assert (first["other"], first["tile"]) == (1.0, 3)
    given.write(tmp_path / "given.fits")
    given.write(tmp_path / "given.ecsv")
    for source in (given, tmp_path / "given.fits", tmp_path / "given.ecsv"):
        file = write_catalog(source, tmp_path / "catalog.parquet", units=wanted)
        found = list(file.rows())
        assert [row["length"] for row in found if "length" in row] == [first["length"]]
        assert [row["ebv"] for row in found] == [first["ebv"], second["ebv"]]
    assert given["length"].unit == "arcmin"


@pytest.mark.parametrize(
    ("unit", "wanted", "words"),
    [
        ("kpc", "arcsec", "'kpc' does not convert to arcsec"),
        ("deg", "", "'deg' does not convert to a pure number"),
        ("blob", "arcsec", "'blob' does not convert to arcsec"),
    ],
)
def test_a_column_that_settings_name_in_a_wrong_unit(tmp_path, unit, wanted, words):
    given = table()
    given["size"] = Column([1.0, 2.0], unit=Unit(unit, parse_strict="silent"))
    with pytest.raises(ConfigError, match=f"column size: unit {words}; the settings"):
        read_catalog(given, units={"size": wanted})
    with pytest.raises(ConfigError, match=f"column size: unit {words}"):
        write_catalog(given, tmp_path / "catalog.parquet", units={"size": wanted})
    assert next(rows(read_catalog(given)))["size"] == 1.0


def test_all_faults_are_named_with_row_and_column():
    bad = table()
    bad.add_row(["a-1", np.nan, 95.0, -0.1, 5])
    bad.add_row(["../up", 1.0, 2.0, 0.0, 5])
    with pytest.raises(ConfigError) as caught:
        read_catalog(bad)
    for words in (
        "row 0, column id: 'a-1' stands 2 times",
        "row 2, column ra: 'nan'",
        "row 2, column dec: 95",
        "row 2, column redshift: -0.1",
        "row 3, column id: '../up'",
        "row 3, column redshift: 0 has no luminosity distance",
    ):
        assert words in str(caught.value)


def test_faults_of_numbers_name_the_galaxy_and_what_is_wanted():
    bad = Table({"id": ["m51"], "ra": ["13:29:52"], "dec": [47.2], "redshift": [-1.0]})
    with pytest.raises(ConfigError) as caught:
        read_catalog(bad)
    ra, redshift = str(caught.value).splitlines()[1:]
    assert ra.startswith("  - row 0, column ra: '13:29:52' is not a finite number; wanted degrees,")
    assert ra.endswith(" (galaxy 'm51')")
    assert redshift == "  - row 0, column redshift: -1 is outside [0, 20] (galaxy 'm51')"


def test_missing_columns_are_named():
    with pytest.raises(ConfigError, match="lacks columns ra, redshift; it has id, dec"):
        read_catalog(Table({"id": ["a"], "dec": [0.0]}))


def test_masked_values():
    masked = table()
    masked["redshift"] = MaskedColumn([0.1, 0.2], mask=[False, True])
    with pytest.raises(ConfigError, match="row 1, column redshift: 'masked'"):
        read_catalog(masked)
    masked = table()
    masked["tile"] = MaskedColumn([3, 4], mask=[True, False])
    assert "tile" not in next(rows(read_catalog(masked)))


def test_wrong_unit_is_refused():
    wrong = table()
    wrong["dec"].unit = "kpc"
    with pytest.raises(ConfigError, match="'kpc' does not convert to deg"):
        read_catalog(wrong)


def test_empty_absent_and_unreadable(tmp_path):
    with pytest.raises(ConfigError, match="no rows"):
        read_catalog(table()[:0])
    with pytest.raises(ConfigError, match="no catalogue at"):
        read_catalog(tmp_path / "none.ecsv")
    with pytest.raises(ConfigError, match="cannot tell the format"):
        read_catalog(tmp_path / "catalog.xls")
    (tmp_path / "broken.fits").write_text("not a table")
    with pytest.raises(ConfigError, match="cannot read"):
        read_catalog(tmp_path / "broken.fits")


def test_source_table_is_not_changed():
    source = table()
    source["ra"].unit = "rad"
    source["ra"] /= 100
    before = source["ra"].tolist()
    read_catalog(source)
    assert source["ra"].tolist() == before


def test_planned_rows_survive_parquet(tmp_path):
    catalog = read_catalog(table())
    write_catalog(catalog, tmp_path / "catalog.parquet")
    assert list(rows(read_catalog(tmp_path / "catalog.parquet"))) == list(rows(catalog))


def test_templates():
    galaxy = {"id": "a", "tile": 7}
    assert fill_template("{data_root}/{tile:03d}/{id}.fits", galaxy, root="x") == "x/007/a.fits"
    with pytest.raises(ConfigError, match=r"'a'.*needs 'field'"):
        fill_template("{field}.fits", galaxy, root="")


@pytest.mark.parametrize("name", ["../up", "a\\b", "con", "x" * 200, "ｇ１", "\u0430"])
def test_ids_that_are_no_names_of_folders_are_refused(name):
    bad = table()
    bad["id"] = [name, "b"]
    with pytest.raises(ConfigError, match="row 0, column id: "):
        read_catalog(bad)


def test_ids_of_bytes_that_are_no_text_are_refused():
    bad = table()
    bad["id"] = np.array([b"\xff\xfe", b"b"])
    with pytest.raises(ConfigError, match=r"row 0, column id: .* must be letters"):
        read_catalog(bad)


def test_templates_take_formats():
    row = {"id": "a", "tile": 7, "z": 0.25}
    assert fill_template("{data_root}/{tile:04d}/{id}_{z:.1f}", row, root="/r") == "/r/0007/a_0.2"
    assert fill_template("{{{id}}}", row, root="/r") == "{a}"


@pytest.mark.parametrize(
    "template",
    [
        "{id.__class__}",
        "{id.__class__.__mro__}",
        "{id[0]}",
        "{id!r}",
        "{}",
        "{0}",
        "{id:{tile}}",
        "{tile:9999999999}",
        "{id:.999999999}",
        "{id",
        "a\0{id}",
    ],
)
def test_templates_reach_columns_and_nothing_of_python(template):
    with pytest.raises(ConfigError, match=r"template"):
        fill_template(template, {"id": "a", "tile": 7}, root="/r")


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{data_root}/{file}", "../../etc/passwd"),
        ("{data_root}/{file}.fits", "a/../../b"),
        ("images/{file}", ".."),
        ("{file}", "/etc/passwd"),
        ("{file}", "/baseless/../etc/passwd"),
        ("{file}", "/base-not"),
        ("x{file}", "a\\..\\b"),
        ("{file}", "a\0b"),
    ],
)
def test_a_catalogue_cannot_lead_a_template_elsewhere(template, value):
    with pytest.raises(ConfigError, match=r"column file holds .* out of the data root '/base'"):
        fill_template(template, {"id": "a", "file": value}, root="/base")


def test_a_catalogue_may_name_files_below_the_data_root():
    for value in ("field1/a.fits", "/base/field1/a.fits", "a..b.fits"):
        assert fill_template("{file}", {"id": "a", "file": value}, root="/base") == value
    # where the user's own template begins elsewhere, that is the user's will
    assert fill_template("/archive/{file}", {"file": "a.fits"}, root="/base") == "/archive/a.fits"
