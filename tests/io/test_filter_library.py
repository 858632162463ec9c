"""Curves in files of all known forms, and the user's own library of them."""

import sys

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.config import user_folder
from pxdask.core.errors import ConfigError
from pxdask.io.filter_files import pixedfit_curves, read_curve
from pxdask.io.filter_library import add_filter, remove_filter
from pxdask.io.filters import load_filters, user_curves

VOTABLE = """<?xml version="1.0"?>
<VOTABLE version="1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.ivoa.net/xml/VOTable/v1.1 http://www.ivoa.net/xml/VOTable/v1.1">
<INFO name="QUERY_STATUS" value="OK"/>
<RESOURCE type="results">
<TABLE utype="photdm:PhotometryFilter.transmissionCurve.spectrum">
{params}
<FIELD name="Wavelength" utype="spec:Data.SpectralAxis.Value" ucd="em.wl" {unit}
 datatype="float"/>
<FIELD name="Transmission" utype="spec:Data.FluxAxis.Value" ucd="phys.transmission" unit="ephot"
 datatype="float"/>
<DATA><TABLEDATA>
<TR><TD>{0}</TD><TD>0</TD></TR>
<TR><TD>{1}</TD><TD>0.5</TD></TR>
<TR><TD>{2}</TD><TD>0.25</TD></TR>
</TABLEDATA></DATA>
</TABLE>
</RESOURCE>
</VOTABLE>
"""
PARAM = '<PARAM name="{}" value="{}" datatype="char" arraysize="*"/>'


def votable(path, *, waves=(4000, 5000, 6000), unit='unit="AA"', **said):
    params = "\n".join(PARAM.format(name, value) for name, value in said.items())
    path.write_text(VOTABLE.format(*waves, params=params, unit=unit))
    return path


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PXDASK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def box(tmp_path):
    path = tmp_path / "box.txt"
    path.write_text("# wave T\n4000, 1\n5000, 0.5\n")
    return path


@pytest.fixture
def pixedfit_library(tmp_path):
    """Two filters, laid out as piXedfit's add_filter lays them out."""
    h5py = pytest.importorskip("h5py")
    curves = {"my_u": ([3000.0, 3500, 4000], [0, 1, 0.0]), "my_g": ([4000.0, 5000], [0.5, 1])}
    folder = tmp_path / "pixedfit"
    folder.mkdir()
    with (
        h5py.File(folder / "filters_w.hdf5", "w") as waves,
        h5py.File(folder / "filters_t.hdf5", "w") as responses,
    ):
        for name, (wave, response) in curves.items():
            kept = waves.create_dataset(name, data=wave, compression="gzip")
            kept.attrs[f"cw_{name}"] = 4000.0
            responses.create_dataset(name, data=response, compression="gzip")
    return folder


def test_a_curve_added_is_known_by_name_until_it_is_removed(box, home):
    added = add_filter("my.Box-1", box, detector="energy")
    (loaded,) = load_filters(["my.Box-1"])
    np.testing.assert_array_equal(loaded.wave, [4000, 5000])
    np.testing.assert_array_equal(loaded.transmission, added.transmission)
    assert (loaded.name, loaded.detector) == ("my.Box-1", "energy")
    assert remove_filter("MY.box-1") == home / "filters" / "my.box-1.ecsv"
    assert user_curves() == {}
    with pytest.raises(ConfigError, match="neither a known filter nor a file"):
        load_filters(["my.Box-1"])


@given(seed=st.integers(0, 10**6), n=st.integers(2, 30))
def test_curves_survive_the_library_to_the_last_bit(seed, n):
    rng = np.random.default_rng(seed)
    wave, response = np.cumsum(rng.uniform(1, 99, n)) + 900, rng.uniform(1e-9, 1, n)
    with pytest.MonkeyPatch.context() as patch:
        folder = user_folder().parent / "law"
        patch.setenv("PXDASK_HOME", str(folder))
        folder.mkdir(exist_ok=True)
        np.savetxt(folder / "curve.txt", np.column_stack([wave, response]), fmt="%.17g")
        add_filter("law", folder / "curve.txt", overwrite=True)
        (loaded,) = load_filters(["law"])
    np.testing.assert_array_equal(loaded.wave, wave)
    np.testing.assert_array_equal(loaded.transmission, response)


def test_nothing_is_overwritten_unless_it_is_asked_for(box, tmp_path):
    add_filter("mine", box)
    other = tmp_path / "other.txt"
    other.write_text("6000 1\n7000 1\n")
    with pytest.raises(ConfigError, match=r"there is a filter 'MINE' in .*mine\.ecsv.*overwrite"):
        add_filter("MINE", other)
    assert load_filters(["mine"])[0].wave[0] == 4000
    add_filter("MINE", other, overwrite=True)
    assert load_filters(["mine"])[0].wave[0] == 6000
    assert list(user_curves()) == ["mine"]


@pytest.mark.parametrize("name", ["sdss_r", "jwst_nircam_f200w", "GALEX_fuv"])
def test_names_of_packages_keep_their_meaning(name, box):
    with pytest.raises(ConfigError, match=r"is \w+ of sedpy; choose another name"):
        add_filter(name, box, overwrite=True)


@pytest.mark.parametrize("name", ["", "a b", "../box", "-box", ".hidden", "a/b"])
def test_names_that_could_not_be_files_are_refused(name, box):
    with pytest.raises(ConfigError, match="wanted letters, digits"):
        add_filter(name, box)


def test_removing_what_is_not_there_says_what_is(box):
    with pytest.raises(ConfigError, match="there are: none"):
        remove_filter("mine")
    add_filter("mine", box)
    with pytest.raises(ConfigError, match="there are: mine"):
        remove_filter("sdss_r")


def test_a_file_that_cannot_be_used_leaves_the_library_as_it_was(box, tmp_path):
    add_filter("mine", box)
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(ConfigError, match=r"empty\.txt"):
        add_filter("mine", empty, overwrite=True)
    assert load_filters(["mine"])[0].wave[0] == 4000


@pytest.mark.parametrize(("unit", "factor"), [(None, 1), ("Angstrom", 1), ("nm", 10),
                                              ("micron", 1e4)])  # fmt: skip
def test_units_of_text(unit, factor, tmp_path):
    path = tmp_path / "curve.dat"
    path.write_text("400 1\n500 1\n")
    band = read_curve(path, name="x", unit=unit)
    np.testing.assert_allclose(band.wave, np.array([400, 500]) * factor, rtol=1e-15)
    assert band.detector == "photon"


def test_microns_taken_for_angstrom_are_noticed(tmp_path):
    path = tmp_path / "curve.dat"
    path.write_text("3.1 0\n3.5 1\n3.9 0\n")
    with pytest.raises(ConfigError, match=r"end at 3\.9 Angstrom; wanted beyond 100.*micron"):
        read_curve(path, name="x")
    assert read_curve(path, name="x", unit="micron").wave[-1] == 39000


@pytest.mark.parametrize(
    ("said", "detector"),
    [
        ({"filterID": "2MASS/2MASS.H", "DetectorType": "1"}, "photon"),
        ({"filterID": "Herschel/Pacs.red", "DetectorType": "0"}, "energy"),
        ({"filterID": "Herschel/Pacs.red"}, "energy"),  # the service leaves its default out
        ({}, "photon"),  # not of the service
    ],
)
def test_votables_of_the_svo(said, detector, tmp_path):
    band = read_curve(votable(tmp_path / "svo.xml", **said), name="x")
    np.testing.assert_array_equal(band.wave, [4000, 5000, 6000])
    np.testing.assert_array_equal(band.transmission, [0, 0.5, 0.25])
    assert band.detector == detector
    assert read_curve(tmp_path / "svo.xml", name="x", detector="energy").detector == "energy"
    (loaded,) = load_filters([str(tmp_path / "svo.xml")])
    assert loaded.detector == detector


def test_units_of_votables(tmp_path):
    nm = votable(tmp_path / "nm.xml", waves=(400, 500, 600), unit='unit="nm"')
    np.testing.assert_allclose(read_curve(nm, name="x").wave, [4000, 5000, 6000], rtol=1e-15)
    beside = votable(tmp_path / "um.vot", waves=(4, 5, 6), unit="", WavelengthUnit="um")
    np.testing.assert_allclose(read_curve(beside, name="x").wave, [4e4, 5e4, 6e4], rtol=1e-15)
    with pytest.raises(ConfigError, match="says its own unit, nm"):
        read_curve(nm, name="x", unit="micron")
    herz = votable(tmp_path / "hz.xml", unit='unit="Hz"')
    with pytest.raises(ConfigError, match="are in Hz; wanted a unit of length"):
        read_curve(herz, name="x")


def test_faults_of_votables(tmp_path):
    wrong = votable(tmp_path / "wrong.xml", filterID="a/b", DetectorType="2")
    with pytest.raises(ConfigError, match=r"DetectorType is '2'; wanted 0 \(energy\) or 1"):
        read_curve(wrong, name="x")
    broken = tmp_path / "broken.xml"
    broken.write_text("<VOTABLE><RESOURCE>")
    with pytest.raises(ConfigError, match=r"broken\.xml is not a VOTable with a curve"):
        read_curve(broken, name="x")
    page = tmp_path / "page.xml"
    page.write_text("Not found")
    with pytest.raises(ConfigError, match=r"page\.xml is not a VOTable with a curve"):
        read_curve(page, name="x")


def test_ecsv_says_unit_and_detector(tmp_path):
    path = tmp_path / "curve.ecsv"
    table = Table({"wavelength": [400.0, 500, 600], "response": [0.0, 1, 0]},
                  units={"wavelength": "nm"}, meta={"detector": "energy"})  # fmt: skip
    table.write(path, format="ascii.ecsv")
    band = read_curve(path, name="x")
    np.testing.assert_allclose(band.wave, [4000, 5000, 6000], rtol=1e-15)
    assert band.detector == "energy"
    table.meta["detector"] = "bolometer"
    table.write(path, format="ascii.ecsv", overwrite=True)
    with pytest.raises(ConfigError, match="detector is 'bolometer'; wanted photon or energy"):
        read_curve(path, name="x")
    path.write_text("1 2\n")
    with pytest.raises(ConfigError, match="is not an ECSV table"):
        read_curve(path, name="x")


def test_the_library_of_pixedfit(pixedfit_library):
    assert pixedfit_curves(pixedfit_library) == ("my_g", "my_u")
    band = add_filter("my_u", pixedfit_library)
    np.testing.assert_array_equal(band.wave, [3000, 3500, 4000])
    np.testing.assert_array_equal(band.transmission, [0, 1, 0])
    one = add_filter("other", pixedfit_library / "filters_w.hdf5", curve="my_g", detector="energy")
    np.testing.assert_array_equal(one.transmission, [0.5, 1])
    assert load_filters(["other"])[0].detector == "energy"


def test_faults_of_the_library_of_pixedfit(pixedfit_library, tmp_path):
    with pytest.raises(ConfigError, match=r"no filter 'my_x' among its 2; close to my_u, my_g"):
        add_filter("my_x", pixedfit_library)
    with pytest.raises(ConfigError, match=r"has no filters_w\.hdf5 and no filters_t\.hdf5"):
        add_filter("my_u", tmp_path)
    (pixedfit_library / "filters_t.hdf5").write_text("nothing")
    with pytest.raises(ConfigError, match=r"filters_t\.hdf5 is not an HDF5 file"):
        add_filter("my_u", pixedfit_library)


def test_without_h5py_one_is_told_what_to_install(pixedfit_library, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConfigError, match=r"install h5py: `pip install \"pxdask\[hdf5\]\"`"):
        add_filter("my_u", pixedfit_library)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"detector": "ccd"}, "detector is 'ccd'; wanted photon or energy"),
        ({"unit": "m"}, "unit is 'm'; wanted one of Angstrom, nm, micron"),
    ],
)
def test_options_are_checked(options, fault, box):
    with pytest.raises(ConfigError, match=fault):
        add_filter("mine", box, **options)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file .*nowhere\.dat"):
        add_filter("mine", tmp_path / "nowhere.dat")


def test_the_library_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("PXDASK_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert user_folder() == tmp_path / "data" / "pxdask"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder() == tmp_path / ".local" / "share" / "pxdask"
