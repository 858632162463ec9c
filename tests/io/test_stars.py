"""Tables of stars become positions and radii, or say what is wrong with them."""

import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table

from pxdask.core.errors import DataError
from pxdask.io.stars import read_stars


def test_units_are_those_of_the_table(tmp_path):
    plain = Table({"RA": [150.0], "Dec": [2.0], "radius": [3.5]})
    plain.write(tmp_path / "a.csv")
    assert read_stars(tmp_path / "a.csv") == ((150.0, 2.0, 3.5),)
    other = QTable({"ra": [10.0] * u.hourangle, "dec": [2.0] * u.deg, "radius": [0.5] * u.arcmin})
    other.write(tmp_path / "a.ecsv")
    assert read_stars(tmp_path / "a.ecsv")[0] == pytest.approx((150.0, 2.0, 30.0))
    plain[:0].write(tmp_path / "none.fits")
    assert read_stars(tmp_path / "none.fits") == ()


def test_faults_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no such file: .*none\.csv"):
        read_stars(tmp_path / "none.csv")
    Table({"ra": [1.0], "dec": [2.0]}).write(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"no column \['radius'\]"):
        read_stars(tmp_path / "a.csv")
    Table({"ra": [1.0, 2.0], "dec": [2.0, 3.0], "radius": [1.0, float("nan")]}).write(
        tmp_path / "b.csv"
    )
    with pytest.raises(DataError, match="row 1 holds"):
        read_stars(tmp_path / "b.csv")
    hidden = Table({"ra": [1.0, 2.0], "dec": [2.0, 3.0]})
    hidden["radius"] = MaskedColumn([1.0, 7.0], mask=[False, True], unit="arcsec")
    hidden.write(tmp_path / "d.ecsv")
    with pytest.raises(DataError, match=r"row 1 holds .* nan\]"):
        read_stars(tmp_path / "d.ecsv")
    hidden["radius"].unit = "pix"
    hidden.write(tmp_path / "e.ecsv")
    with pytest.raises(DataError, match=r"e\.ecsv: column radius \[pix\] cannot be had in arcsec"):
        read_stars(tmp_path / "e.ecsv")
    Table({"RA": ["one"], "dec": [2.0], "radius": [1.0]}).write(tmp_path / "f.csv")
    with pytest.raises(DataError, match=r"f\.csv: column RA \[no unit\] cannot be had in deg"):
        read_stars(tmp_path / "f.csv")
    Table({"ra": [1.0, 2.0], "dec": [2.0, 3.0], "radius": [0.0, -7.0]}).write(tmp_path / "g.csv")
    with pytest.raises(DataError, match=r"g\.csv: row 1 has a radius of -7 arcsec; wanted 0"):
        read_stars(tmp_path / "g.csv")
    (tmp_path / "c.fits").write_text("no table")
    with pytest.raises(DataError, match="cannot be read"):
        read_stars(tmp_path / "c.fits")
