"""Axes, units and settings of any cube; what is wrong with a file is said by name."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import DataError
from pxdask.core.ifs import IfsConfig
from pxdask.io.ifs import read_ifs_header
from pxdask.io.ifs.units import flux_factor
from tests.io.ifs import cubes

WAVE = np.array([5000.0, 10000.0])
ARCSEC2 = 2.3504430539e-11
"""Square arcsecond [sr]."""


def header_of(path, **settings):
    return read_ifs_header(IfsConfig(path=str(path), **settings))


def factor(text):
    return flux_factor(text, wave=WAVE, pixel_area=0.25 * ARCSEC2, path="a.fits")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1E-17 erg/s/cm^2/Ang/spaxel", [1, 1]),
        ("1E-16 erg s-1 cm-2 A-1", [10, 10]),
        ("10^-16 erg/s/cm^2/A", [10, 10]),
        ("10**(-20)*erg/s/cm**2/Angstrom", [1e-3, 1e-3]),
        ("10**(-16) erg /s /cm**2 /angstrom /pixel", [10, 10]),
        ("10**(-20)*erg/s/cm**2/Angstrom/arcsec**2", [2.5e-4, 2.5e-4]),
        ("W m-2 um-1", [1e16, 1e16]),  # 1e3 erg/s/cm2 in 1e4 Angstrom
        # 1e-29 erg/s/cm2/Hz * c / wave^2: 2.99792458e18 / 2.5e7 and / 1e8
        ("uJy", [0.1199169832, 0.0299792458]),
    ],
)
def test_units_of_flux(text, wanted):
    np.testing.assert_allclose(factor(text), wanted, rtol=1e-9)


@pytest.mark.parametrize("text", ["", "electron/s", "erg/s/cm2", "flux units", "MJy/beam", "Jy2"])
def test_other_units_are_refused_by_name(text):
    with pytest.raises(DataError, match=r"a\.fits: BUNIT is .*; wanted a flux density"):
        factor(text)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_surface_brightness_grows_with_the_pixel(area, more):
    one = flux_factor("MJy/sr", wave=WAVE, pixel_area=area, path="a")
    np.testing.assert_allclose(
        flux_factor("MJy/sr", wave=WAVE, pixel_area=area * more, path="a"), one * more, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("cards", "wave"),
    [
        ({}, [5000, 5002, 5004, 5006, 5008]),
        ({"CRPIX3": 3.0}, [4996, 4998, 5000, 5002, 5004]),
        ({"CUNIT3": "nm", "CRVAL3": 500.0, "CD3_3": 0.2}, [5000, 5002, 5004, 5006, 5008]),
        ({"CUNIT3": "m", "CRVAL3": 5e-7, "CD3_3": 2e-10}, [5000, 5002, 5004, 5006, 5008]),
        ({"CD3_3": None, "CDELT3": 4.0, "PC3_3": 0.5}, [5000, 5002, 5004, 5006, 5008]),
        # 5000 exp(2 i / 5000)
        ({"CTYPE3": "WAVE-LOG"}, [5000, 5002.0004, 5004.0016, 5006.0036, 5008.0064]),
        (
            {"DC-FLAG": 1, "CRVAL3": 3.7, "CD3_3": 1e-3},
            [5011.8723, 5023.4259, 5035.0061, 5046.6130, 5058.2466],
        ),
    ],
)
def test_axes_of_wavelengths(tmp_path, cards, wave):
    header = header_of(cubes.generic(tmp_path / "a.fits", **cards))
    np.testing.assert_allclose(header.wave, wave, atol=1e-4)


def test_air_by_ctype_and_by_the_user(tmp_path):
    air = header_of(cubes.generic(tmp_path / "a.fits", CTYPE3="AWAV"))
    assert air.air_converted
    # NIST: vacuum 5001.394 for air 5000
    assert air.wave[0] == pytest.approx(5001.394, abs=2e-3)
    as_given = header_of(tmp_path / "a.fits", air=False)
    assert as_given.wave[0] == 5000.0
    assert not as_given.air_converted


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"CTYPE3": "FREQ", "CUNIT3": "Hz"}, "CTYPE3 is 'FREQ'; wanted an axis of wavelengths"),
        ({"CTYPE3": "VOPT", "CUNIT3": "m/s"}, "CTYPE3 is 'VOPT'"),
        ({"CUNIT3": "deg"}, "CUNIT3 is 'deg'; wanted a unit of length"),
        ({"CUNIT3": "blob"}, "CUNIT3 is 'blob'"),
        ({"CUNIT3": None}, "CUNIT3 is 'absent'"),
        ({"CUNIT3": "cm"}, "is CUNIT3 right"),
        ({"CD3_3": None}, "neither CD3_3 nor CDELT3"),
        ({"CD3_3": -2.0}, "wavelengths do not increase"),
        ({"CD3_1": 0.1}, "CD3_1 is 0.1; wanted 0"),
        ({"CTYPE1": "LINEAR"}, "the WCS of .* cannot be read"),
        ({"CTYPE1": None, "CTYPE2": None}, "no celestial WCS"),
        ({"BUNIT": None}, "BUNIT is absent"),
        ({"BUNIT": "counts"}, "BUNIT is 'counts'"),
        ({"CTYPE3": "WAVE-LOG", "CRVAL3": 0.0}, r"CRVAL3 is 0\.0"),
        ({"CTYPE3": "WAVE-TAB"}, "no HDU WCS-TABLE"),
    ],
)
def test_a_wrong_header_is_named(tmp_path, cards, message):
    path = cubes.generic(tmp_path / "wrong.fits", **cards)
    with pytest.raises(DataError, match=message) as caught:
        header_of(path)
    assert "wrong.fits" in str(caught.value)


def test_a_survey_s_wavelengths_must_be_its_own(tmp_path):
    path = cubes.califa(tmp_path / "a.fits", CUNIT3="nm")
    with pytest.raises(DataError, match=r"37010 to .* wanted within 3000 to 8500 .*CUNIT3"):
        header_of(path)


def test_wavelengths_may_have_gaps_but_not_turn_back(tmp_path):
    path = cubes.manga(tmp_path / "a.fits")
    for wave, good in (
        ([4000, 4001, 4300, 4301, 9000.0], True),
        ([4000, 4001, 4001, 4301, 9e3], 0),
    ):
        with fits.open(path, mode="update") as hdus:
            hdus["WAVE"].data[:] = wave
        if good:
            np.testing.assert_array_equal(header_of(path).wave, wave)
        else:
            with pytest.raises(DataError, match="do not increase"):
                header_of(path)


def test_a_kind_that_the_file_is_not(tmp_path):
    path = cubes.generic(tmp_path / "a.fits")
    with pytest.raises(DataError, match="no HDU FLUX; it has PRIMARY"):
        header_of(path, kind="manga")
    with pytest.raises(DataError, match="no HDU ERROR"):
        header_of(path, kind="califa")


def test_what_holds_no_cube(tmp_path):
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "plane.fits")
    with pytest.raises(DataError, match=r"no cube.*PRIMARY \(4, 4\)"):
        header_of(tmp_path / "plane.fits")
    with pytest.raises(DataError, match="no such file"):
        header_of(tmp_path / "none.fits")
    (tmp_path / "text.fits").write_text("not FITS")
    with pytest.raises(DataError, match="not a FITS file"):
        header_of(tmp_path / "text.fits")


def test_planes_of_other_shapes(tmp_path):
    path = cubes.generic(tmp_path / "a.fits", cubes.image(np.ones((5, 4, 2)), "ERR"))
    with pytest.raises(DataError, match=r"HDU ERR has shape \(5, 4, 2\), the flux \(5, 4, 3\)"):
        header_of(path)


def test_a_truncated_file(tmp_path):
    path = Path(cubes.muse(tmp_path / "a.fits"))
    path.write_bytes(path.read_bytes()[:-2880])
    with pytest.raises(DataError, match="truncated"):
        header_of(path)
    packed = tmp_path / "b.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes())[:-20])
    with pytest.raises(DataError, match="truncated"):
        header_of(packed)


def test_the_user_knows_better(tmp_path):
    path = cubes.manga(tmp_path / "a.fits")
    header = header_of(path, psf_fwhm=1.5, lsf_fwhm=3.0, noise_area=9.0, extinction=False)
    assert set(header.psf_fwhm) == {1.5}
    assert set(header.lsf_fwhm) == {3.0}
    assert (header.noise_area, header.ebv, header.needs_extinction) == (9.0, 0.0, False)
    assert "as configured" in header.psf
    done = cubes.califa(tmp_path / "b.fits")
    assert header_of(done, extinction=True).ebv is None


def test_steps_that_are_stated_twice(tmp_path):
    path = cubes.generic(tmp_path / "a.fits", CDELT1=1.0, CDELT2=1.0, CDELT3=7.0)
    header = header_of(path)
    assert WCS(header.wcs).proj_plane_pixel_area().to_value("arcsec2") == pytest.approx(0.25)
    assert header.wave[1] == 5002.0


def test_only_the_range_that_is_used(tmp_path):
    path = cubes.generic(tmp_path / "a.fits")
    header = header_of(path, wave_range=(5001.0, 5006.5))
    np.testing.assert_array_equal(header.wave, [5002, 5004, 5006])
    assert (header.shape, header.first) == ((3, 4, 3), 1)
    assert header.factor.shape == header.lsf_fwhm.shape == header.psf_fwhm.shape == (3,)
    with pytest.raises(DataError, match="wave_range, 6000 to 7000"):
        header_of(path, wave_range=(6000, 7000))


def test_the_celestial_header_is_that_of_the_pixels(tmp_path):
    header = header_of(cubes.sami(tmp_path / "a.fits"))
    wcs = WCS(header.wcs)
    assert wcs.naxis == 2
    sky = wcs.pixel_to_world_values(1.0, 1.0)
    np.testing.assert_allclose(sky, (150.0, 0.0), atol=1e-12)
    assert wcs.proj_plane_pixel_area().to_value("arcsec2") == pytest.approx(0.25)
