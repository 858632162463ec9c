"""Folders of kernels, and files of PSFs."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from pxdask.core.errors import ConfigError, DataError
from pxdask.io.kernels import find_kernel, read_psf_file, write_psf_file

KERNEL = np.arange(12.0).reshape(3, 4)


@pytest.fixture
def folder(tmp_path):
    names = (
        "Kernel_HiRes_GALEX_FUV_to_WISE_FRAME_4.6.fits.gz",
        "Kernel_LoRes_GALEX_FUV_to_WISE_FRAME_4.6.fits",
        "Kernel_HiRes_BiGauss_01.5_to_WISE_FRAME_4.6.fits",
        "Kernel_HiRes_Gauss_03.5_to_SPIRE_250.fits",
        "Kernel_HiRes_Moffet_01.0_to_SPIRE_250.fits",
        "Kernel_HiRes_IRAC_3.6_to_SPIRE_250.fits",
        "Kernel_HiRes_WISE_MAP_4.6_to_SPIRE_250.fits",
        "PSF_GALEX_FUV.fits",
        "notes.txt",
    )
    for name in names:
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "target", "file"),
    [
        ("GALEX_FUV", "WISE_FRAME_4.6", "HiRes_GALEX_FUV_to_WISE_FRAME_4.6.fits.gz"),
        ("galex:fuv", "wise:w2", "HiRes_GALEX_FUV_to_WISE_FRAME_4.6.fits.gz"),
        ("sdss_u", "wise_w2", "HiRes_BiGauss_01.5_to_WISE_FRAME_4.6.fits"),
        ("double_gaussian:1.5", "wise_w2", "HiRes_BiGauss_01.5_to_WISE_FRAME_4.6.fits"),
        ("2mass_ks", "herschel-spire:250", "HiRes_Gauss_03.5_to_SPIRE_250.fits"),
        ("gaussian:3.5", "spire_250", "HiRes_Gauss_03.5_to_SPIRE_250.fits"),
        ("moffat:1", "spire_250", "HiRes_Moffet_01.0_to_SPIRE_250.fits"),
        ("spitzer_irac_ch1", "spire_250", "HiRes_IRAC_3.6_to_SPIRE_250.fits"),
        ("wise_w2", "spire_250", "HiRes_WISE_MAP_4.6_to_SPIRE_250.fits"),
    ],
)
def test_kernels_are_found_by_the_names_of_bands(folder, source, target, file):
    assert find_kernel(folder, source, target).name == f"Kernel_{file}"


def test_absent_kernels_are_an_error_that_names_what_there_is(folder):
    with pytest.raises(ConfigError, match=r"'sdss_i'.*from BiGauss_01.5, GALEX_FUV$"):
        find_kernel(folder, "sdss_i", "wise_w2")
    with pytest.raises(ConfigError, match=r"no kernel from 'a' to 'b'$"):
        find_kernel(folder, "a", "b")
    with pytest.raises(ConfigError, match="no folder"):
        find_kernel(folder / "none", "a", "b")


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "kernel.fits"
    write_psf_file(path, KERNEL, pixel_scale=0.25, comment="galex:fuv to wise:w2")
    found = read_psf_file(path)
    np.testing.assert_array_equal(found.image, KERNEL)
    assert found.pixel_scale == 0.25
    assert "galex:fuv" in str(fits.getheader(path)["COMMENT"])


@pytest.mark.parametrize(
    ("cards", "scale"),
    [
        ({"PIXSCALE": 0.5}, 0.5),
        ({"PIXELSCL": 0.031}, 0.031),
        ({"CD1_1": -0.25 / 3600, "CD2_2": 0.25 / 3600}, 0.25),
        ({"CD1_1": 0.0, "CD1_2": 0.3 / 3600, "CD2_1": 0.3 / 3600, "CD2_2": 0.0}, 0.3),
        ({"CDELT1": -2 / 3600, "CDELT2": 2 / 3600}, 2.0),
        ({"PIXSCALE": "none"}, None),
        ({}, None),
    ],
)
def test_pixels_are_as_large_as_the_header_says(tmp_path, cards, scale):
    hdu = fits.PrimaryHDU(KERNEL.astype(">f4"))
    hdu.header.update(cards)
    plain = tmp_path / "k.fits"
    hdu.writeto(plain)
    packed = tmp_path / "k.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    extension = tmp_path / "e.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(hdu.data, hdu.header)]).writeto(extension)
    for path in (plain, packed, extension):
        found = read_psf_file(path)
        assert found.pixel_scale == (None if scale is None else pytest.approx(scale))
        np.testing.assert_array_equal(found.image, KERNEL)


def test_pixels_that_are_not_square_are_an_error(tmp_path):
    fits.writeto(tmp_path / "k.fits", KERNEL, fits.Header({"CDELT1": 1e-4, "CDELT2": 2e-4}))
    with pytest.raises(DataError, match="not square"):
        read_psf_file(tmp_path / "k.fits")
