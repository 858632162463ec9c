"""One flux, one error, one wavelength of each survey's layout, worked by hand."""

import numpy as np
import pytest

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.core.ifs import IfsConfig
from pxdask.core.schema import IFS
from pxdask.io.ifs import read_ifs, read_ifs_header
from pxdask.io.ifs.layout import drizzled_area
from pxdask.io.ifs.manga import NOISE_AREA, image_fwhm
from pxdask.io.ifs.nirspec import psf_fwhm
from pxdask.kernels.noise import aperture_growth
from tests.io.ifs import cubes

F4 = 1e-6
"""Relative, for what was stored in float32."""


def header_of(path, **settings):
    return read_ifs_header(IfsConfig(path=str(path), **settings))


def read(path, **settings):
    header = header_of(path, **settings)
    return header, read_ifs(header, 0, header.shape[0])


def at(slices, name, place):
    return slices[name].values[place]


@pytest.mark.parametrize("kind", cubes.KINDS)
def test_auto_knows_each_kind_and_all_give_the_same_form(tmp_path, kind):
    header, slices = read(cubes.KINDS[kind](tmp_path / "a.fits"))
    assert header.kind == slices.attrs["kind"] == kind
    assert header.shape == slices["flux"].shape == cubes.SHAPE
    assert np.all(header.lsf_fwhm > 0)
    assert np.all(header.psf_fwhm > 0)
    assert header.noise_area >= 1
    IFS.validate(slices)


def test_manga(tmp_path):
    header, slices = read(cubes.manga(tmp_path / "a.fits"))
    assert header.wave[1] == pytest.approx(3622.43, abs=1e-4)  # vacuum already
    assert not header.air_converted
    assert at(slices, "flux", (1, 0, 1)) == 14.0
    assert at(slices, "flux_err", (1, 0, 1)) == 0.5
    # the blue end is beyond g: its width is kept; R = 2000 is 1.81 Angstrom
    assert header.psf_fwhm[0] == 2.6
    assert header.lsf_fwhm[0] == pytest.approx(1.8108, abs=1e-4)
    assert (header.ebv, header.needs_extinction) == (0.02, True)
    flags = slices["flags"].values
    assert np.all(flags[:, 0, 0] == Flag.NO_DATA | Flag.NO_ERROR | Flag.MASKED)
    assert list(flags[:, 1, 1]) == [0, Flag.NO_ERROR, Flag.MASKED, Flag.NO_ERROR, 0]
    bad = np.isnan(slices["flux"].values)
    assert np.array_equal(bad, (flags & (Flag.NO_DATA | Flag.MASKED)) != 0)
    assert np.array_equal(np.isnan(slices["flux_err"].values), flags != 0)


def test_manga_psf_of_its_images(tmp_path):
    header = header_of(cubes.manga(tmp_path / "a.fits", keywords=False))
    # 5 pixels of 0.5 arcsec; a noiseless Gaussian is fitted to float32's rounding
    np.testing.assert_allclose(header.psf_fwhm, 2.5, rtol=1e-4)
    assert "of its images" in header.psf


def test_manga_without_any_psf_or_with_widths_in_voxels(tmp_path):
    sigma = np.full(cubes.SHAPE, 1.0, np.float32)
    sigma[1] = 0.0
    path = cubes.manga(tmp_path / "a.fits", extra=(cubes.image(sigma, "LSFPOST"),))
    from astropy.io import fits

    with fits.open(path, mode="update") as hdus:
        del hdus["SPECRES"]
        for band in "GRIZ":
            del hdus[0].header[f"{band}FWHM"]
    header = header_of(path)
    np.testing.assert_allclose(header.lsf_fwhm, 2.3548, rtol=1e-5)
    np.testing.assert_array_equal(header.psf_fwhm, 2.5)
    with fits.open(path, mode="update") as hdus:
        del hdus["LSFPOST"]
    with pytest.raises(DataError, match="SPECRES, LSFPOST or DISP"):
        header_of(path)


def test_manga_noise_area_gives_the_survey_s_growth():
    n = np.array([10, 20, 40, 60, 80, 100])
    growth = np.sqrt(aperture_growth(n, NOISE_AREA))
    np.testing.assert_allclose(growth, 1 + 1.62 * np.log10(n), rtol=0.04)


@pytest.mark.parametrize(("fwhm", "tolerance"), [(2.5, 1e-5), (5.0, 1e-5), (8.0, 1e-5)])
def test_the_width_of_a_sampled_gaussian(fwhm, tolerance):
    assert image_fwhm(cubes.psf_image(fwhm).astype(np.float64)) == pytest.approx(
        fwhm, rel=tolerance
    )


@pytest.mark.parametrize("image", [np.zeros((9, 9)), np.full((9, 9), np.nan), np.ones((9, 9))])
def test_an_image_without_a_peak_has_no_width(image):
    with pytest.raises(DataError, match="PSF"):
        image_fwhm(image)


def test_califa(tmp_path):
    header, slices = read(cubes.califa(tmp_path / "a.fits"))
    # air 3701, 3703: IAU's formula (Morton 1991) by hand gives 1.053 A more
    np.testing.assert_allclose(header.wave[:2], [3702.0526, 3704.0532], atol=2e-3)
    assert header.air_converted
    assert "converted to vacuum" in header.notes[0]
    assert at(slices, "flux", (0, 0, 1)) == pytest.approx(20.0, rel=F4)  # 2e-16
    assert at(slices, "flux_err", (0, 0, 1)) == pytest.approx(5.0, rel=F4)
    assert header.lsf_fwhm[0] == 6.0
    assert header.psf_fwhm[0] == 2.5
    assert (header.ebv, header.needs_extinction) == (0.0, False)
    flags = slices["flags"].values
    assert np.all(flags[:, 3, 2] == Flag.MASKED)
    assert flags[0, 2, 2] == Flag.NO_ERROR
    assert any("BUNIT is absent" in note for note in header.notes)
    assert header_of(cubes.califa(tmp_path / "b.fits", step=0.7)).lsf_fwhm[0] == 2.3


def test_muse(tmp_path):
    header, slices = read(cubes.muse(tmp_path / "a.fits"))
    assert header.air_converted
    assert header.wave[0] == pytest.approx(4751.327, abs=3e-3)
    # 5.835e-8 * 4750^2 - 9.080e-4 * 4750 + 5.983 = 1.31652 - 4.31300 + 5.98300, in air as given
    assert header.lsf_fwhm[0] == pytest.approx(2.98652, abs=1e-5)
    assert at(slices, "flux", (0, 0, 1)) == pytest.approx(2e-3, rel=F4)
    assert at(slices, "flux_err", (0, 0, 1)) == pytest.approx(3e-3, rel=F4)
    flags = slices["flags"].values
    assert np.all(flags[:, 0, 0] == Flag.NO_DATA | Flag.NO_ERROR)
    assert flags[1, 1, 1] == flags[1, 1, 2] == Flag.NO_ERROR
    assert np.isfinite(at(slices, "flux", (1, 1, 1)))
    assert header.ebv is None
    assert header.needs_extinction
    assert not header_of(cubes.muse(tmp_path / "b.fits", CTYPE3="WAVE")).air_converted


@pytest.mark.parametrize(
    ("cards", "at_4750"),
    [
        ({}, 0.8),
        ({"SKY_RES": 0.66}, 0.66),
        ({"FSF00FWA": 0.869, "FSF00FWB": -3e-5, "FSF00BET": 2.8}, 0.7265),
        # (4750 - 5000) / 4000 - 0.5 = -0.5625: 0.62 + 0.12 * 0.5625
        ({"FSFLB1": 5000, "FSFLB2": 9000, "FSF00F00": -0.12, "FSF00F01": 0.62}, 0.6875),
    ],
)
def test_muse_psf(tmp_path, cards, at_4750):
    header = header_of(cubes.muse(tmp_path / "a.fits", **cards))
    assert header.psf_fwhm[0] == pytest.approx(at_4750, abs=1e-9)


def test_sami(tmp_path):
    header, slices = read(cubes.sami(tmp_path / "a.fits"))
    assert header.air_converted
    assert header.wave[1] - header.wave[0] == pytest.approx(1.0403, abs=1e-4)
    assert at(slices, "flux", (0, 1, 0)) == pytest.approx(40.0, rel=F4)
    assert at(slices, "flux_err", (0, 1, 0)) == pytest.approx(2.0, rel=F4)
    assert header.lsf_fwhm[0] == 2.65
    assert header.psf_fwhm[0] == 1.77
    assert header.ebv == 0.031
    assert header.noise_area == pytest.approx(1.5)  # 1 + 0.25 + 0.25
    assert np.all(slices["flags"].values[:, 0, :] == Flag.NO_DATA)
    assert header_of(cubes.sami(tmp_path / "b.fits", start=6300.0)).lsf_fwhm[0] == 1.61


def test_nirspec(tmp_path):
    header, slices = read(cubes.nirspec(tmp_path / "a.fits"))
    np.testing.assert_allclose(header.wave[:2], [20000.0, 20010.0])
    # 2 MJy/sr = 2e-17 erg/s/cm2/Hz/sr; times c / wave^2 = 2.99792458e18 / 4e8 Hz/A, and a pixel
    # of 0.01 arcsec2 = 0.01 * 2.3504431e-11 sr: 3.52323e-20 erg/s/cm2/A
    assert at(slices, "flux", (0, 0, 1)) == pytest.approx(3.52323e-3, rel=1e-5)
    assert at(slices, "flux_err", (0, 0, 1)) == pytest.approx(3.52323e-3 / 4, rel=1e-5)
    assert header.lsf_fwhm[0] == pytest.approx(23.32)
    flags = slices["flags"].values
    assert np.all(flags[:, 0, 0] == Flag.NO_DATA | Flag.MASKED)
    assert (flags[2, 1, 1], flags[2, 1, 2]) == (Flag.MASKED, 0)
    assert header.noise_area == pytest.approx(2.25)
    assert not header.air_converted


def test_nirspec_wavelengths_of_a_table_and_the_prism(tmp_path):
    header = header_of(cubes.nirspec(tmp_path / "a.fits", table=True, grating="PRISM"))
    # the table is float32
    np.testing.assert_allclose(header.wave, [2e4, 2.1e4, 2.3e4, 2.6e4, 3e4], rtol=1e-6)
    assert header.lsf_fwhm[4] == pytest.approx(30000 / 101, rel=1e-6)


def test_nirspec_of_an_unknown_grating(tmp_path):
    with pytest.raises(DataError, match="GRATING is 'G999'; wanted PRISM"):
        header_of(cubes.nirspec(tmp_path / "a.fits", grating="G999"))


def test_nirspec_psf_widens_and_is_that_of_its_source():
    wave = np.linspace(6000, 53000, 100)
    assert np.all(np.diff(psf_fwhm(wave)) > 0)
    # at 5 um: 0.125 + 9.4 exp(-4.87) = 0.19716 and 0.094 + exp(-2.496) = 0.17641
    assert psf_fwhm(np.array([5e4]))[0] == pytest.approx(0.18650, abs=2e-5)


def test_drizzling_correlates_noise():
    assert drizzled_area(1.0) == pytest.approx(2.25)
    assert drizzled_area(1.0 - 1e-9) == pytest.approx(drizzled_area(1.0 + 1e-9))
    assert drizzled_area(0.0) == 1.0
    assert drizzled_area(2.0) == pytest.approx(5.76)  # (2 / (1 - 1/6))^2
