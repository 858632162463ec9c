"""Cubes as FITS files: what a viewer of cubes asks of them."""

from dataclasses import dataclass

import numpy as np
import pytest
from astropy.io import fits
from astropy.units import Unit
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import SchemaError
from pxdask.core.flags import Flag
from pxdask.io.export_cubes import TABLE, wave_cards, write_cube_fits
from pxdask.testing import fake_galaxy
from tests.binning.test_spectra import cube_of

HEADER = {"id": "g", "ra": 1.0, "dec": 2.0, "redshift": 0.1}


@pytest.fixture(scope="module")
def galaxy():
    return fake_galaxy(rng=np.random.default_rng(3), n_model=2, n_pixel=12)


def spectra(galaxy, wave):
    rng = np.random.default_rng(1)
    shape = (wave.size, *galaxy.bins["bin_map"].shape)
    cube = cube_of(rng.normal(5, 1, shape), region=np.ones(shape[1:], bool))
    wcs = galaxy.cube.attrs["wcs"]
    return cube.assign_coords(wave=("wave", wave, cube["wave"].attrs)).assign_attrs(wcs=wcs)


@dataclass
class Axis:
    wave: np.ndarray
    kind: str


AXES = {
    "even": Axis(np.linspace(4000, 7000, 31), "WAVE"),
    "logarithmic": Axis(np.geomspace(3600, 10300, 40), "WAVE-LOG"),
    "neither": Axis(np.linspace(60, 90, 25) ** 2, "PLANE"),
}


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_every_plane_has_its_place_and_wavelength(galaxy, tmp_path, axis):
    cube = spectra(galaxy, axis.wave)
    path = tmp_path / "spectra.fits"
    write_cube_fits(path, cube, header=HEADER)
    ours = WCS(cube.attrs["wcs"]).celestial
    n_wave, ny, nx = cube["flux"].shape
    x, y = np.array([-0.5, nx - 0.5, -0.5, nx - 0.5]), np.array([-0.5, -0.5, ny - 0.5, ny - 0.5])
    with fits.open(path) as hdus:
        hdus.verify("exception")
        names = [hdu.name for hdu in hdus]
        assert names[:6] == ["PRIMARY", "FLUX", "ERR", "DQ", "REGION", "WAVELENGTHS"]
        by_table = axis.kind == "PLANE"
        assert (TABLE in names) == by_table
        for name in ("FLUX", "ERR", "DQ"):
            header = hdus[name].header
            assert header["CTYPE3"] == axis.kind
            wcs = WCS(header, hdus, key="A") if by_table else WCS(header)
            for plane in (0, n_wave // 2, n_wave - 1):
                ra, dec, wave = wcs.wcs_pix2world(x, y, np.full(4, plane), 0)
                back = ours.world_to_pixel_values(ra, dec)
                np.testing.assert_allclose(back, (x, y), atol=0.01)
                found = wave * Unit(wcs.wcs.cunit[2]).to("Angstrom")  # wcslib's metres, or ours
                np.testing.assert_allclose(found, axis.wave[plane], rtol=1e-6)
        np.testing.assert_array_equal(hdus["FLUX"].data, cube["flux"].values)
        np.testing.assert_array_equal(hdus["ERR"].data, cube["flux_err"].values)
        np.testing.assert_array_equal(hdus["WAVELENGTHS"].data["wave"], axis.wave)
        assert Unit(hdus["FLUX"].header["BUNIT"]) == Unit(cube["flux"].attrs["units"])


def test_images_are_a_cube_too(galaxy, tmp_path):
    """Bands in the order of their wavelengths, whatever that of the survey."""
    order = [3, 0, 4, 2, 1]
    mixed = galaxy.cube.isel(band=order)
    mixed["flags"].values[2, 0, 0] = Flag.EDGE | Flag.NO_ERROR  # in the band of number 4
    path = tmp_path / "images.fits"
    write_cube_fits(path, mixed, header=HEADER)
    with fits.open(path) as hdus:
        header = hdus["DQ"].header
        assert [header[f"BAND{i}"] for i in range(1, 6)] == [f"fake_{i}" for i in range(5)]
        assert list(hdus["BANDS"].data["band"]) == [f"fake_{i}" for i in range(5)]
        np.testing.assert_array_equal(hdus["FLUX"].data, galaxy.cube["flux"].values)
        value = int(hdus["DQ"].data[4, 0, 0])
        bits = [bit for bit in range(16) if value >> bit & 1]
        assert [header[f"FLAG{bit}"] for bit in bits] == ["no_error", "edge"]
        wcs = WCS(hdus["FLUX"].header, hdus, key="A")
        assert wcs.wcs.ctype[2] == "WAVE-TAB"
        wave = wcs.wcs_pix2world(5, 5, np.arange(5), 0)[2] * Unit(wcs.wcs.cunit[2]).to("Angstrom")
        np.testing.assert_allclose(wave, galaxy.cube["pivot_wave"].values, rtol=1e-12)


PLANES = {"images": "BAND", "spectra": "PLANE"}


@pytest.mark.parametrize("of", PLANES)
def test_a_header_alone_tells_where_pixels_are(of, galaxy, tmp_path):
    """The line that everybody types; wavelengths by a table would want the whole file for it."""
    cube = galaxy.cube if of == "images" else spectra(galaxy, AXES["neither"].wave)
    path = tmp_path / "cube.fits"
    write_cube_fits(path, cube, header=HEADER)
    ours = WCS(cube.attrs["wcs"]).celestial
    y, x = np.indices(cube["flux"].shape[1:])
    for name in ("FLUX", "ERR", "DQ", "REGION"):
        header = fits.getheader(path, name)
        image, whole = WCS(header, naxis=2), WCS(header)
        assert list(whole.wcs.ctype)[2:] == ([] if name == "REGION" else [PLANES[of]])
        for wcs in (image, whole.celestial):
            back = ours.world_to_pixel_values(*wcs.pixel_to_world_values(x, y))
            np.testing.assert_allclose(back, (x, y), atol=0.01)  # in pixels, as a viewer would care
        if name != "REGION":
            number = whole.pixel_to_world_values(0, 0, np.arange(cube["flux"].shape[0]))[2]
            np.testing.assert_array_equal(number, 1 + np.arange(cube["flux"].shape[0]))


def test_equal_content_gives_equal_bytes_and_faults_are_named(galaxy, tmp_path):
    for name in ("a.fits", "b.fits"):
        write_cube_fits(tmp_path / name, galaxy.cube, header=HEADER)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()
    lost = galaxy.cube.copy()
    del lost.attrs["wcs"]
    with pytest.raises(SchemaError, match=r"no attrs\['wcs'\]"):
        write_cube_fits(tmp_path / "c.fits", lost, header=HEADER)
    with pytest.raises(SchemaError, match="image/1"):
        write_cube_fits(tmp_path / "c.fits", galaxy.bins, header=HEADER)


@given(
    st.floats(500, 5e4),
    st.floats(0.1, 50),
    st.integers(2, 200),
    st.sampled_from(["linear", "log", "square"]),
)
def test_cards_tell_the_wavelengths(first, step, n_wave, kind):
    number = np.arange(n_wave)
    wave = {
        "linear": first + step * number,
        "log": first * np.exp(step / first * number),
        "square": (np.sqrt(first) + step / first * number) ** 2,
    }[kind]
    cards = wave_cards(wave)
    if cards is None:
        return
    told = cards["CRVAL3"] + cards["CDELT3"] * number
    if cards["CTYPE3"] == "WAVE-LOG":  # Greisen et al. 2006, equation 5
        told = cards["CRVAL3"] * np.exp(cards["CDELT3"] * number / cards["CRVAL3"])
    # 1e-3 of a step, plus rounding
    tolerance = 1.01e-3 * np.max(np.abs(np.diff(wave))) + 1e-9 * first
    np.testing.assert_allclose(told, wave, atol=tolerance, rtol=0)


def test_one_band_and_no_order_are_tables():
    assert wave_cards(np.array([5000.0])) is None
    assert wave_cards(np.array([2.0, 1.0, 3.0])) is None
