"""Images in piXedfit's FITS layouts."""

import logging

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.schema import IMAGE
from pxdask.io.filters import load_filters
from pxdask.io.pixedfit_cards import their_filter
from pxdask.io.pixedfit_fluxmap import read_pixedfit_fluxmap, write_pixedfit_fluxmap
from pxdask.kernels.bandpass import pivot_wave
from pxdask.testing import fake_galaxy
from tests.io.pixedfit_filters import SERVED

FLOAT32 = 2.4e-7
"""Roundings to float32 on the way there and back, as a fraction."""

ROW = {"id": "fake", "ra": 150.1, "dec": 2.2, "redshift": 0.04, "ebv": 0.0337}


@pytest.fixture(scope="module")
def galaxy():
    return fake_galaxy(rng=np.random.default_rng(2), n_model=2, n_pixel=16)


def theirs(path, *, layout):
    """Read a file as the documentation of piXedfit describes it: fluxes [erg s-1 cm-2 A-1]."""
    with fits.open(path) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
        flux = hdus["FLUX"].data if layout == "current" else hdus[0].data
        scale = float(header["unit"])
        filters = [header[f"fil{i}"] for i in range(int(header["nfilters"]))]
        return {
            "header": header.copy(),
            "filters": filters,
            "flux": np.array(flux, float) * scale,
            "flux_err": np.array(hdus["FLUX_ERR"].data, float) * scale,
            "region": np.array(hdus["GALAXY_REGION"].data),
            "stamp": WCS(hdus["STAMP_IMAGE"].header),
        }


@pytest.mark.parametrize("layout", ["current", "1.0"])
def test_their_reader_finds_our_fluxes(galaxy, tmp_path, layout):
    path = tmp_path / "fluxmap.fits"
    write_pixedfit_fluxmap(path, galaxy.cube, galaxy=ROW, target="fake_4", layout=layout)
    found = theirs(path, layout=layout)
    cube = galaxy.cube
    inside = cube["region"].values
    pivot = cube["pivot_wave"].values[:, None]
    for name in ("flux", "flux_err"):
        # f_lambda = f_nu c / lambda^2, of 1 uJy = 1e-29 erg s-1 cm-2 Hz-1
        want = cube[name].values[:, inside] * 1e-29 * 2.99792458e18 / pivot**2
        np.testing.assert_allclose(found[name][:, inside], want, rtol=FLOAT32)
        # -99 over the unit, outside of the region
        np.testing.assert_allclose(found[name][:, ~inside], -99.0, rtol=FLOAT32)
    np.testing.assert_array_equal(found["region"], inside.astype(int))
    header = found["header"]
    wanted = {"RA": 150.1, "DEC": 2.2, "z": 0.04, "GalEBV": 0.0337, "unit": 1e-17, "specphot": 0}
    assert {key: header[key] for key in wanted} == wanted
    assert (header["bunit"], header["struct"]) == ("erg/s/cm^2/A", "(band,y,x)")
    assert header["fpsfmtch"] == "fake_4"
    assert found["filters"] == [str(name) for name in cube["band"].values]
    ny, nx = inside.shape
    x, y = np.array([-0.5, nx - 0.5, -0.5, nx - 0.5]), np.array([-0.5, -0.5, ny - 0.5, ny - 0.5])
    sky = found["stamp"].pixel_to_world_values(x, y)
    back = WCS(cube.attrs["wcs"]).celestial.world_to_pixel_values(*sky)
    np.testing.assert_allclose(back, (x, y), atol=0.01)


@pytest.mark.parametrize("layout", ["current", "1.0"])
def test_what_we_write_comes_back(galaxy, tmp_path, layout):
    path = tmp_path / "fluxmap.fits"
    write_pixedfit_fluxmap(path, galaxy.cube, galaxy=ROW, layout=layout)
    found = read_pixedfit_fluxmap(path)
    IMAGE.validate(found.images)
    inside = galaxy.cube["region"].values
    for name in ("flux", "flux_err"):
        own, want = found.images[name].values, galaxy.cube[name].values
        np.testing.assert_allclose(own[:, inside], want[:, inside], rtol=FLOAT32)
        assert np.isnan(own[:, ~inside]).all()
    for name in ("band", "pivot_wave", "region"):
        np.testing.assert_array_equal(found.images[name].values, galaxy.cube[name].values)
    assert found.row("fake") == ROW
    assert WCS(found.images.attrs["wcs"]).wcs.crval == pytest.approx(
        WCS(galaxy.cube.attrs["wcs"]).wcs.crval
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(-6, 6))
def test_any_flux_comes_back(galaxy, tmp_path_factory, seed, level):
    rng, path = np.random.default_rng(seed), tmp_path_factory.mktemp("any") / "a.fits"
    shape = galaxy.cube["flux"].shape
    changed = galaxy.cube.copy()
    changed["flux"].values[:] = 10**level * rng.normal(size=shape)
    changed["flux_err"].values[:] = 10**level * rng.uniform(0.01, 2, size=shape)
    changed["region"].values[:] = rng.random(shape[1:]) < 0.5
    write_pixedfit_fluxmap(path, changed, galaxy=ROW)
    found = read_pixedfit_fluxmap(path).images
    inside = changed["region"].values
    np.testing.assert_array_equal(found["region"].values, inside)
    for name in ("flux", "flux_err"):
        np.testing.assert_allclose(
            found[name].values[:, inside], changed[name].values[:, inside], rtol=FLOAT32
        )


def test_a_missing_flux_is_told_of(galaxy, tmp_path, caplog):
    cube = galaxy.cube.copy(deep=True)
    y, x = np.argwhere(cube["region"].values)[0]
    cube["flux"].values[1, y, x] = np.nan
    with caplog.at_level(logging.WARNING):
        write_pixedfit_fluxmap(tmp_path / "a.fits", cube, galaxy=ROW)
    assert f"1 of {int(cube['region'].sum())} pixels of the region lack a flux" in caplog.text
    found = read_pixedfit_fluxmap(tmp_path / "a.fits").images
    assert found["flags"].values[1, y, x] == Flag.NO_DATA
    assert found["flags"].values[0, y, x] == 0


def their_file(path, *, drop=(), hdus=("FLUX", "FLUX_ERR", "GALAXY_REGION"), **keys):
    """Write a file as piXedfit's newest version does, with one band and a WCS in the stamp."""
    header = fits.Header({"nfilters": 1, "fil0": "sdss_r", "unit": 1e-17, "RA": 10.0, "z": 0.1})
    header.update({"DEC": -5.0, "bunit": "erg/s/cm^2/A", "psffwhm": 2.5, **keys})
    for key in drop:
        del header[key]
    flux = np.array([[[2.0, -99 / 1e-17], [np.nan, 1.0]]])
    planes = {
        "FLUX": flux,
        "FLUX_ERR": np.array([[[0.2, -99 / 1e-17], [0.1, 0.0]]]),
        "GALAXY_REGION": np.array([[1.0, 0.0], [1.0, 1.0]]),
    }
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [10.0, -5.0]
    wcs.wcs.crpix, wcs.wcs.cdelt = [1.5, 1.5], [-1e-3, 1e-3]
    whole = [fits.PrimaryHDU(header=header)]
    whole += [fits.ImageHDU(planes[name], name=name) for name in hdus]
    whole.append(fits.ImageHDU(flux[0], wcs.to_header(), name="STAMP_IMAGE"))
    fits.HDUList(whole).writeto(path)
    return path


def test_their_file(tmp_path):
    found = read_pixedfit_fluxmap(their_file(tmp_path / "a.fits"))
    pivot = pivot_wave(load_filters(["sdss_r"])[0])
    want = 2e-17 * pivot**2 / 2.99792458e18 / 1e-29
    assert found.images["flux"].values[0, 0, 0] == pytest.approx(want, rel=1e-7)
    # outside, a flux that is NaN, an error of zero
    expected = [[0, Flag.NO_DATA], [Flag.NO_DATA, Flag.NO_DATA]]
    np.testing.assert_array_equal(found.images["flags"].values[0], expected)
    assert found.images["psf_fwhm"].values == [2.5]
    assert WCS(found.images.attrs["wcs"]).wcs.crval == pytest.approx([10.0, -5.0])
    assert found.row("x") == {"id": "x", "ra": 10.0, "dec": -5.0, "redshift": 0.1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop": ["fil0"]}, r"a\.fits: HDU 0 has no key FIL0"),
        ({"drop": ["nfilters"]}, r"a\.fits: HDU 0 has no key NFILTERS"),
        ({"drop": ["unit"]}, r"a\.fits: HDU 0: the key UNIT is None, wanted a number"),
        ({"bunit": "counts"}, r"a\.fits: fluxes are in 'counts'"),
        (
            {"nfilters": 2, "fil1": "sdss_g"},
            r"there are 2 filters, and HDU FLUX has the shape \(1, 2, 2\)",
        ),
        ({"hdus": ("FLUX", "GALAXY_REGION")}, r"a\.fits has no HDU FLUX_ERR; wanted a fluxmap"),
    ],
)
def test_other_layouts_are_refused_by_name(tmp_path, changes, message):
    path = their_file(tmp_path / "a.fits", **changes)
    with pytest.raises(DataError, match=message):
        read_pixedfit_fluxmap(path)


def test_a_row_needs_a_redshift(tmp_path):
    found = read_pixedfit_fluxmap(their_file(tmp_path / "a.fits", z=0))
    with pytest.raises(DataError, match=r"key Z is 0; wanted the galaxy's redshift"):
        found.row("x")


def test_faults_of_the_writer_are_named(galaxy, tmp_path):
    path = tmp_path / "a.fits"
    write_pixedfit_fluxmap(path, galaxy.cube, galaxy=ROW)
    content = path.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        write_pixedfit_fluxmap(path, galaxy.cube, galaxy=ROW)
    write_pixedfit_fluxmap(path, galaxy.cube, galaxy=ROW, overwrite=True)
    assert path.read_bytes() == content  # no date in it
    with pytest.raises(ConfigError, match="1 filters for 5 bands"):
        write_pixedfit_fluxmap(tmp_path / "b.fits", galaxy.cube, galaxy=ROW, filters=["sdss_r"])
    with pytest.raises(DataError, match="have no region"):
        write_pixedfit_fluxmap(tmp_path / "b.fits", galaxy.cube.drop_vars("region"), galaxy=ROW)
    assert not (tmp_path / "b.fits").exists()


def test_filters_have_the_names_of_their_library():
    """Of every curve of ours that their library has, a name that is there and means it."""
    rows = [line.split()[:2] for line in SERVED.strip().splitlines() if len(line.split()) == 3]
    curves = {theirs: curve.lower() for theirs, curve in rows}
    common = [f"sdss_{band}" for band in "gri"] + ["2mass_ks", "galex_fuv", "wise_w1"]
    common += ["jwst_f200w", "jwst_f770w", "acs_wfc_f435w", "wfc3_ir_f160w", "spitzer_irac_ch2"]
    for name in common:
        own = their_filter(name)
        assert own in curves
        assert pivot_wave(load_filters([own])[0]) == pivot_wave(load_filters([name])[0])
    assert their_filter("/curves/own.filter.dat") == "own.filter"
