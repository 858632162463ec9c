"""Bins in piXedfit's FITS layouts."""

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError, DataError, SchemaError
from pxdask.core.flags import Flag
from pxdask.core.schema import BINS
from pxdask.io.filters import load_filters
from pxdask.io.pixedfit_bins import read_pixedfit_bins, read_pixedfit_map, write_pixedfit_bins
from pxdask.kernels.bandpass import pivot_wave
from pxdask.testing import digest, fake_galaxy
from tests.binning.test_spectra import cube_of
from tests.paths import real_data

FLOAT32 = 1.2e-7
"""Two roundings to float32, as a fraction."""


@pytest.fixture(scope="module")
def galaxy():
    return fake_galaxy(rng=np.random.default_rng(2), n_model=10, n_pixel=16)


@pytest.fixture(scope="module")
def tiny():
    return fake_galaxy(rng=np.random.default_rng(3), n_model=2, n_pixel=6, n_band=1)


def with_spectra(bins, *, n_wave=7, seed=0):
    rng = np.random.default_rng(seed)
    n_bin = bins.sizes["bin"]
    values = {
        "wave": np.linspace(4000.0, 9000.0, n_wave),
        "lsf_fwhm": np.full(n_wave, 2.6),
        "spectrum": rng.normal(5, 1, (n_bin, n_wave)),
        "spectrum_err": rng.uniform(0.1, 0.2, (n_bin, n_wave)),
        "coverage": np.ones(n_bin),
    }
    values["spectrum"][-1] = values["spectrum_err"][-1] = np.nan
    values["coverage"][-1] = 0.0
    added = {name: (BINS.variables[name].dims, v, BINS.attrs(name)) for name, v in values.items()}
    return BINS.validate(bins.assign(added).set_coords("wave"))


def write(path, galaxy, *, bins=None, **kwargs):
    bins = galaxy.bins if bins is None else bins
    band = str(galaxy.bins["band"].values[1])
    kwargs = {"galaxy": galaxy.row, "reference_band": band} | kwargs
    write_pixedfit_bins(path, bins, galaxy.cube, **kwargs)
    return path


def theirs(path, *, layout):
    """Return SEDs [erg s-1 cm-2 A-1] as the documentation of piXedfit reads them."""
    names = {
        "current": ("PHOTO_BIN_MAP", "FLUX", "FLUX_ERR"),
        "1.0": ("BIN_MAP", "BIN_FLUX", "BIN_FLUXERR"),
    }[layout]
    with fits.open(path) as hdus:
        header = hdus[0].header
        bin_map, flux, flux_err = (np.array(hdus[name].data) for name in names)
    seds = np.zeros((2, int(header["nbins"]), int(header["nfilters"])))
    for number in range(int(header["nbins"])):
        rows, cols = np.where(bin_map == number + 1)
        seds[0, number] = flux[:, rows[0], cols[0]] * float(header["unit"])
        seds[1, number] = flux_err[:, rows[0], cols[0]] * float(header["unit"])
    return seds, header, bin_map


@pytest.mark.parametrize("layout", ["current", "1.0"])
def test_their_reader_finds_our_fluxes(galaxy, tmp_path, layout):
    path = write(tmp_path / "pixbin.fits", galaxy, layout=layout)
    seds, header, bin_map = theirs(path, layout=layout)
    pivot = galaxy.bins["pivot_wave"].values
    for got, name in zip(seds, ("flux", "flux_err"), strict=True):
        # f_lambda = f_nu c / lambda^2, of 1 uJy = 1e-29 erg s-1 cm-2 Hz-1
        want = galaxy.bins[name].values * 1e-29 * 2.99792458e18 / pivot**2
        np.testing.assert_allclose(got, want, rtol=FLOAT32)
    np.testing.assert_array_equal(bin_map, galaxy.bins["bin_map"].values + 1)
    assert header["bunit"] == "erg/s/cm^2/A"
    assert (header["refband"], header["specphot"]) == (1, 0)
    assert (header["z"], header["RA"]) == (galaxy.row["redshift"], galaxy.row["ra"])
    assert header["fil0"] == str(galaxy.bins["band"].values[0])
    assert header["pixsize"] == pytest.approx(1.5, rel=1e-6)


@pytest.mark.parametrize("layout", ["current", "1.0"])
@pytest.mark.parametrize("spectra", [False, True])
def test_round_trip(galaxy, tmp_path, layout, spectra):
    bins = with_spectra(galaxy.bins) if spectra else galaxy.bins
    before = digest(bins)
    found = read_pixedfit_bins(write(tmp_path / "a.fits", galaxy, bins=bins, layout=layout))
    assert digest(bins) == before
    for name in ("flux", "flux_err", *(("spectrum", "spectrum_err") if spectra else ())):
        np.testing.assert_allclose(found.bins[name].values, bins[name].values, rtol=FLOAT32)
    for name in ("bin_map", "n_pix", "pivot_wave", *(("wave", "coverage") if spectra else ())):
        np.testing.assert_array_equal(found.bins[name].values, bins[name].values)
    assert list(found.bins["band"].values) == list(bins["band"].values)
    assert found.bins.attrs["reference_band"] == str(bins["band"].values[1])
    assert found.bins.attrs["n_bin"] == bins.sizes["bin"]
    wcs = WCS(found.bins.attrs["wcs"])
    assert wcs.wcs.crval == pytest.approx([galaxy.row["ra"], galaxy.row["dec"]])
    assert found.header["z"] == galaxy.row["redshift"]
    if layout == "current":
        np.testing.assert_array_equal(found.region, galaxy.cube["region"].values)
    else:
        np.testing.assert_array_equal(found.region, bins["bin_map"].values >= 0)
    if spectra:
        last = bins["bin_map"].values == bins.sizes["bin"] - 1
        np.testing.assert_array_equal(found.spec_region, (bins["bin_map"].values >= 0) & ~last)
        assert found.header["nbinssp"] == bins.sizes["bin"] - 1
        assert np.isnan(found.bins["lsf_fwhm"].values).all() == (layout == "1.0")
    else:
        assert found.spec_region is None


def test_spectra_as_the_documentation_reads_them(galaxy, tmp_path):
    bins = with_spectra(galaxy.bins)
    ny, nx = bins["bin_map"].shape
    region = np.zeros((ny, nx), bool)
    region[4:12, 3:10] = True
    cube = cube_of(np.ones((7, ny, nx)), region=region)
    path = write(tmp_path / "a.fits", galaxy, bins=bins, spectra=cube)
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == [
            "PRIMARY", "PHOTO_FLUX", "PHOTO_FLUXERR", "WAVE", "SPEC_FLUX", "SPEC_FLUXERR",
            "SPEC_REGION", "PHOTO_REGION", "PHOTO_BIN_MAP", "SPEC_BIN_MAP", "LSF_FWHM",
        ]  # fmt: skip
        header = hdus[0].header
        assert (header["specphot"], header["structsp"]) == (1, "(wavelength,y,x)")
        spec_map, flux = hdus["SPEC_BIN_MAP"].data, hdus["SPEC_FLUX"].data
        for number in range(int(header["nbinsph"])):
            rows, cols = np.where(spec_map == number + 1)
            if number == header["nbinsph"] - 1:
                assert len(rows) == 0
                continue
            got = flux[:, rows[0], cols[0]] * float(header["unit"])
            want = 1e-17 * bins["spectrum"].values[number]
            np.testing.assert_allclose(got, want, rtol=FLOAT32)
        np.testing.assert_array_equal(hdus["SPEC_REGION"].data == 1, region)
    found = read_pixedfit_bins(path)
    np.testing.assert_array_equal(found.spec_region, region)
    inside = bins["bin_map"].values == 0
    assert found.bins["coverage"].values[0] == pytest.approx(region[inside].mean())


def their_file(path, *, filters=("sdss_r", "wise_w1"), unit=1e-17, **keys):
    """Write a file as piXedfit 1.0 does: float64 maps, the map first, -99 outside."""
    bin_map = np.array([[0.0, 1.0, 1.0], [3.0, 3.0, 0.0]])
    flux = np.full((2, 2, 3), -99 / 1e-17)
    flux[:, 0, 1:] = [[2.0], [0.5]]
    flux[:, 1, :2] = [[4.0], [np.nan]]
    error = np.where(flux > 0, 0.1, flux)
    header = fits.Header()
    header["nfilters"], header["refband"], header["z"] = len(filters), 0, 0.02
    header.update({f"fil{i}": name for i, name in enumerate(filters)})
    if unit is not None:
        header["unit"], header["bunit"] = unit, keys.pop("bunit", "erg/s/cm^2/A")
    fits.HDUList(
        [
            fits.PrimaryHDU(bin_map, header),
            fits.ImageHDU(flux, name="bin_flux"),
            fits.ImageHDU(error, name="bin_fluxerr"),
        ]
    ).writeto(path)
    with fits.open(path, mode="update") as hdus:
        hdus[0].name = "bin_map"
    return path


def test_their_file_with_gaps_nan_and_known_filters(tmp_path):
    found = read_pixedfit_bins(their_file(tmp_path / "a.fits"))
    pivot = np.array([pivot_wave(band) for band in load_filters(["sdss_r", "wise_w1"])])
    np.testing.assert_allclose(found.bins["pivot_wave"].values, pivot, rtol=1e-15)
    # 2e-17 erg s-1 cm-2 A-1 times pivot^2 / c, over 1e-29
    want = 2e-17 * pivot[0] ** 2 / 2.99792458e18 / 1e-29
    assert found.bins["flux"].values[0, 0] == pytest.approx(want, rel=1e-14)
    np.testing.assert_array_equal(found.bins["bin_map"].values, [[-1, 0, 0], [1, 1, -1]])
    assert np.isnan(found.bins["flux"].values[1, 1])
    assert np.isnan(found.bins["flux_err"].values[1, 1])
    np.testing.assert_array_equal(found.bins["flags"].values, [[0, 0], [0, Flag.NO_DATA]])
    assert "wcs" not in found.bins.attrs
    assert found.bins.attrs["reference_band"] == "sdss_r"


def test_units_per_frequency(tmp_path):
    found = read_pixedfit_bins(their_file(tmp_path / "a.fits", unit=1e-3, bunit="mJy"))
    np.testing.assert_allclose(found.bins["flux"].values[0], [2.0, 0.5], rtol=1e-14)


def test_unknown_filters_units_and_files(tmp_path):
    path = their_file(tmp_path / "a.fits", filters=("sdss_r", "mine_x"))
    with pytest.raises(ConfigError, match="no curves of the filters mine_x"):
        read_pixedfit_bins(path)
    found = read_pixedfit_bins(path, pivot={"mine_x": 5000.0})
    assert found.bins["pivot_wave"].values[1] == 5000.0
    path = their_file(tmp_path / "b.fits", unit=None)
    with pytest.raises(DataError, match="UNIT is None"):
        read_pixedfit_bins(path)
    bin_map, wcs = read_pixedfit_map(path)
    assert bin_map.max() == 1
    assert wcs is None
    with pytest.raises(DataError, match="fluxes are in 'counts'"):
        read_pixedfit_bins(their_file(tmp_path / "c.fits", bunit="counts"))
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "d.fits")
    with pytest.raises(DataError, match="no HDU PHOTO_BIN_MAP or BIN_MAP"):
        read_pixedfit_bins(tmp_path / "d.fits")
    with pytest.raises(DataError, match="no such file"):
        read_pixedfit_map(tmp_path / "absent.fits")


def test_planes_must_be_as_many_as_filters_and_wavelengths(galaxy, tmp_path):
    path = their_file(tmp_path / "a.fits", filters=("sdss_g", "sdss_r", "wise_w1"))
    with pytest.raises(
        DataError, match=r"3 filters, and its HDU of flux has the shape \(2, 2, 3\)"
    ):
        read_pixedfit_bins(path)
    path = write(tmp_path / "b.fits", galaxy, bins=with_spectra(galaxy.bins, n_wave=7))
    with fits.open(path) as hdus:
        hdus["WAVE"].data = hdus["WAVE"].data[1:]
        hdus.writeto(tmp_path / "c.fits")
        del hdus["WAVE"]
        hdus.writeto(tmp_path / "d.fits")
    with pytest.raises(
        DataError, match=r"6 wavelengths, and its HDU of spectrum has the shape \(7, "
    ):
        read_pixedfit_bins(tmp_path / "c.fits")
    with pytest.raises(DataError, match=r"d\.fits has none of the HDUs WAVE, SPEC_WAVE"):
        read_pixedfit_bins(tmp_path / "d.fits")


def test_coordinates_that_cannot_be_read_are_a_fault_of_the_data(galaxy, tmp_path):
    path = write(tmp_path / "a.fits", galaxy)
    with fits.open(path) as hdus:
        hdus["PHOTO_BIN_MAP"].header["CTYPE1"] = "RA---TAN"
        hdus["PHOTO_BIN_MAP"].header["CTYPE2"] = "DEC--SIN"
        hdus.writeto(tmp_path / "b.fits")
    with pytest.raises(DataError, match=r"the WCS of .*b\.fits cannot be read"):
        read_pixedfit_map(tmp_path / "b.fits")


def test_nothing_is_replaced_unasked_and_faults_are_named(galaxy, tmp_path):
    path = write(tmp_path / "a.fits", galaxy)
    content = path.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        write(path, galaxy)
    write(path, galaxy, overwrite=True)
    assert path.read_bytes() == content  # no date in it
    with pytest.raises(ConfigError, match="reference band is 'q'"):
        write(tmp_path / "b.fits", galaxy, reference_band="q")
    with pytest.raises(ConfigError, match="1 filters for 5 bands"):
        write(tmp_path / "b.fits", galaxy, filters=["sdss_r"])
    with pytest.raises(SchemaError):
        write(tmp_path / "b.fits", galaxy, bins=xr.Dataset({"flux": galaxy.bins["flux"]}))
    assert not (tmp_path / "b.fits").exists()


def test_filters_may_have_other_names_than_bands(galaxy, tmp_path):
    names = ["galex_fuv", "sdss_u", "sdss_r", "2mass_j", "wise_w2"]
    path = write(tmp_path / "a.fits", galaxy, filters=names)
    assert fits.getheader(path)["fil3"] == "2mass_j"
    found = read_pixedfit_bins(path).bins
    assert list(found["band"].values) == list(galaxy.bins["band"].values)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_any_map_comes_back(tiny, tmp_path_factory, seed):
    rng, galaxy = np.random.default_rng(seed), tiny
    _, labels = np.unique(rng.integers(0, 9, (6, 6)), return_inverse=True)
    n_bin = labels.max() + 1
    values = {
        "bin_map": labels.reshape(6, 6).astype(np.int32),
        "flux": 10 ** rng.uniform(-6, 6, (n_bin, 1)) * rng.choice([-1, 1], (n_bin, 1)),
        "flux_err": 10 ** rng.uniform(-6, 3, (n_bin, 1)),
        "n_pix": np.bincount(labels.ravel()).astype(np.int32),
        "flags": np.zeros((n_bin, 1), np.uint16),
    }
    base = galaxy.bins.drop_vars(list(values), errors="ignore")
    bins = base.assign(
        {name: (BINS.variables[name].dims, v, BINS.attrs(name)) for name, v in values.items()}
    )
    path = tmp_path_factory.mktemp("any") / "a.fits"
    band = str(bins["band"].values[0])
    write_pixedfit_bins(path, bins, galaxy.cube, galaxy=galaxy.row, reference_band=band)
    found = read_pixedfit_bins(path).bins
    np.testing.assert_array_equal(found["bin_map"].values, values["bin_map"])
    np.testing.assert_array_equal(found["n_pix"].values, values["n_pix"])
    np.testing.assert_allclose(found["flux"].values, values["flux"], rtol=FLOAT32)


@pytest.mark.data
@pytest.mark.parametrize(("name", "n_bin"), [("jof_36", 23), ("jof_370", 17), ("jof_801", 17)])
def test_a_real_map_of_theirs_survives(tmp_path, name, n_bin):
    """Maps that piXedfit made, put into files of its layout, with a JWST filter by its name."""
    number = fits.getdata(real_data("jades") / name / "reference_pixedfit_binmap.fits")
    path = tmp_path / "a.fits"
    header = fits.Header({"nfilters": 1, "refband": 0, "unit": 1e-17, "fil0": "jwst_nircam_f277w"})
    flux = np.where(number > 0, number, 0.0)[None]
    hdus = [fits.PrimaryHDU(number.astype(float), header)]
    hdus += [fits.ImageHDU(flux, name="BIN_FLUX"), fits.ImageHDU(flux, name="BIN_FLUXERR")]
    hdus[0].name = "BIN_MAP"
    fits.HDUList(hdus).writeto(path)
    found = read_pixedfit_bins(path)
    assert found.bins.sizes["bin"] == n_bin
    np.testing.assert_array_equal(found.bins["bin_map"].values, number.astype(int) - 1)
    pivot = pivot_wave(load_filters(["jwst_f277w"])[0])
    assert found.bins["pivot_wave"].values[0] == pivot
    assert pivot == pytest.approx(27700, rel=0.01)  # the filter's name is its wavelength
    expected = np.arange(1, n_bin + 1) * 1e-17 * pivot**2 / 2.99792458e18 / 1e-29
    np.testing.assert_allclose(found.bins["flux"].values[:, 0], expected, rtol=1e-13)
