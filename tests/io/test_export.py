import numpy as np
import pytest
from astropy.io import fits
from astropy.units import Unit
from astropy.wcs import WCS

from pxdask.core.config import FitConfig
from pxdask.core.errors import SchemaError, StoreError
from pxdask.core.flags import Flag
from pxdask.fitting import FitStage, MapStage
from pxdask.io.export import fits_unit, write_maps_fits
from pxdask.testing import fake_galaxy, library_of

GALAXY = fake_galaxy(rng=np.random.default_rng(4), n_pixel=12, n_band=3, n_model=50)
FIT = FitStage(FitConfig(), lambda _: library_of(GALAXY.models), {}, 0, 999).run(
    GALAXY.row, bins=GALAXY.bins
)
MAPS = MapStage().run(GALAXY.row, cube=GALAXY.cube, bins=GALAXY.bins, fit=FIT)
PARTS = {"maps": MAPS, "bins": GALAXY.bins, "cube": GALAXY.cube, "fit": FIT}
HEADER = GALAXY.row | {
    "run_key": "abc",
    "note": "Abdurro'uf’s " + "x" * 90,
    "numbers": [1, 2],
    "absent": None,
    "missing": float("nan"),
    "a_long_key_with_a_long_value": "y" * 200,
    "count": np.int64(3),
    "tabbed": "one\ttwo\0",
    "größe": 2.5,
    "a=b": 1,
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "maps.fits"
    write_maps_fits(path, **PARTS, header=HEADER)
    return path


def test_the_file_keeps_to_the_standard_and_has_its_parts(path):
    with fits.open(path) as hdus:
        hdus.verify("exception")
        names = [hdu.name for hdu in hdus]
        assert names[0] == "PRIMARY"
        assert names[-6:] == ["BIN_MAP", "REGION", "FLUX", "FLUX_ERR", "FLAGS", "BINS"]
        assert {name.upper() for name in MAPS.data_vars} == set(names[1:-6])
        assert hdus[0].data is None


def test_primary_header_tells_the_galaxy(path):
    header = fits.getheader(path)
    assert header["ID"] == "fake-1"
    assert header["REDSHIFT"] == GALAXY.row["redshift"]
    assert header["kpc_per_pixel"] == MAPS.attrs["kpc_per_pixel"]
    assert header["COUNT"] == 3
    assert header["NUMBERS"] == "[1, 2]"
    assert header["NOTE"].startswith("Abdurro'uf\\u2019s xxx")
    assert header["MISSING"] is header["ABSENT"] is None
    assert header["TABBED"] == "one\\ttwo\\x00"
    assert header["GR__E"] == 2.5
    assert header["A_B"] == 1


def test_maps_come_back_with_units_and_quantiles(path):
    for name in MAPS.data_vars:
        data, header = fits.getdata(path, name.upper(), header=True)
        np.testing.assert_array_equal(data, MAPS[name].values)
        assert Unit(header.get("BUNIT", "")) == Unit(MAPS[name].attrs["units"])
        assert [header[f"QUANT{i}"] for i in (1, 2, 3)] == [0.16, 0.5, 0.84]


def test_images_come_back_with_bands(path):
    data, header = fits.getdata(path, "FLUX_ERR", header=True)
    np.testing.assert_array_equal(data, GALAXY.cube["flux_err"].values)
    assert header["BAND2"] == "fake_1"
    assert header["PIVOT2"] == GALAXY.cube["pivot_wave"].values[1]
    assert Unit(header["BUNIT"]) == Unit("uJy")
    np.testing.assert_array_equal(fits.getdata(path, "BIN_MAP"), GALAXY.bins["bin_map"])
    np.testing.assert_array_equal(fits.getdata(path, "REGION"), GALAXY.bins["bin_map"] >= 0)


def test_every_image_is_on_the_sky(path):
    ours = WCS(GALAXY.cube.attrs["wcs"])
    ny, nx = GALAXY.bins["bin_map"].shape
    x, y = np.array([-0.5, nx - 0.5, -0.5, nx - 0.5]), np.array([-0.5, -0.5, ny - 0.5, ny - 0.5])
    with fits.open(path) as hdus:
        for hdu in hdus[1:-1]:
            found = WCS(hdu.header).celestial.pixel_to_world_values(x, y)
            # the corners of every plane, back on the pixels they came from
            np.testing.assert_allclose(ours.world_to_pixel_values(*found), (x, y), atol=1e-6)


def test_flags_decode(path):
    """Bit n of a flag is what the card FLAGn says."""
    flags, header = fits.getdata(path, "FLAGS", header=True)
    np.testing.assert_array_equal(flags, GALAXY.cube["flags"].values)
    for flag in Flag:
        bit = int(np.log2(flag.value))
        assert header[f"FLAG{bit}"] == flag.name.lower()
        assert f"value {flag.value}" in header.comments[f"FLAG{bit}"]
    table, header = fits.getdata(path, "BINS", header=True)
    assert header["FLAG3"] == "low_snr"
    np.testing.assert_array_equal(table["flags_fake_1"], GALAXY.bins["flags"].values[:, 1])


def test_the_table_holds_bins(path):
    table, header = fits.getdata(path, "BINS", header=True)
    assert len(table) == GALAXY.bins.sizes["bin"]
    np.testing.assert_array_equal(table["flux_fake_2"], GALAXY.bins["flux"].values[:, 2])
    np.testing.assert_array_equal(table["model_flux_fake_0"], FIT["model_flux"].values[:, 0])
    np.testing.assert_array_equal(table["log_mass_p84"], FIT["log_mass"].values[:, 2])
    np.testing.assert_array_equal(table["n_eff"], FIT["n_eff"])
    units = {header[f"TTYPE{i}"]: header.get(f"TUNIT{i}") for i in range(1, header["TFIELDS"] + 1)}
    assert units["flux_fake_2"] == "uJy"
    assert Unit(units["log_sfr_p50"]) == Unit("dex(Msun / yr)")
    # A bin's centre is inside it, or at least inside the box around it.
    x, y = WCS(GALAXY.cube.attrs["wcs"]).world_to_pixel_values(table["ra"], table["dec"])
    for number in (0, len(table) - 1):
        rows, columns = np.nonzero(GALAXY.bins["bin_map"].values == number)
        assert (columns.mean(), rows.mean()) == pytest.approx((x[number], y[number]), abs=1e-6)


def test_equal_content_gives_equal_bytes(path, tmp_path):
    again = tmp_path / "again.fits"
    write_maps_fits(again, **PARTS, header=HEADER)
    assert again.read_bytes() == path.read_bytes()


def test_a_failure_leaves_the_old_file(path):
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="wanted one galaxy's"):
        write_maps_fits(path, **PARTS | {"fit": FIT.isel(bin=slice(1))}, header={})
    with pytest.raises(SchemaError, match="maps/1"):
        write_maps_fits(path, **PARTS | {"maps": FIT}, header={})
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_name_that_is_taken_by_a_folder_is_a_store_error(tmp_path):
    (tmp_path / "maps.fits").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        write_maps_fits(tmp_path / "maps.fits", **PARTS, header={})
    assert [each.name for each in tmp_path.iterdir()] == ["maps.fits"]


@pytest.mark.parametrize(
    "unit", ["", "mag", "uJy", "dex(Msun)", "dex(Msun / yr)", "dex(Msun / (yr kpc2))", "1 / yr"]
)
def test_units_survive(unit):
    assert Unit(fits_unit(unit)) == Unit(unit)
