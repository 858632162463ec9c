import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import fftconvolve
from scipy.special import erf

from pxdask.core.errors import ConfigError, DataError
from pxdask.images.psf import (
    Psf,
    gaussian_kernel,
    gaussian_matching_kernel,
    image_fwhm,
    image_matching_kernel,
    kernel_radius,
    matching_kernel,
    unit_sum,
)

FWHM = 2.3548200450309493


def variance(kernel):
    offset = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    return kernel.sum(axis=1) @ offset**2


def moffat(fwhm, n, beta=3.0):
    y, x = np.mgrid[:n, :n] - n // 2
    core = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    image = (1 + (x**2 + y**2) / core**2) ** -beta
    return image / image.sum()


def test_gaussian_kernel_by_hand():
    # sigma = 1 pix: the central pixel holds erf(0.5 / sqrt 2)^2 = 0.382925^2 = 0.146632
    kernel = gaussian_kernel(FWHM)
    assert kernel.shape == (11, 11)
    assert kernel[5, 5] == pytest.approx(0.146632, rel=1e-5)
    assert kernel[5, 6] == pytest.approx(
        erf(0.5 / 2**0.5) * (erf(1.5 / 2**0.5) - erf(0.5 / 2**0.5)) / 2, rel=1e-5
    )
    assert kernel.sum() == pytest.approx(1.0)


@given(st.floats(0.8, 8.0), st.floats(1.02, 4.0))
def test_variances_add(source, ratio):
    target = source * ratio
    kernel = gaussian_matching_kernel(source, target)
    # cut at 5 sigma: 4e-5 of the variance is beyond
    assert variance(kernel) == pytest.approx((target**2 - source**2) / FWHM**2, rel=1e-4)


def test_matched_gaussian_has_the_target_width():
    source, target = gaussian_kernel(3.0), gaussian_kernel(5.0)
    kernel = gaussian_matching_kernel(3.0, 5.0)
    matched = fftconvolve(np.pad(source, 20), kernel, mode="same")
    # pixel integration is in both, so variances match exactly but for the cuts
    assert variance(matched) == pytest.approx(variance(target), rel=1e-4)
    assert matched.max() == pytest.approx(target.max(), rel=2e-3)  # not exactly Gaussian


def test_image_fwhm_of_known_profiles():
    # pixel integration widens by sqrt(1 + 1/12 / sigma^2): 1.2 % here; 1 % for the interpolation
    assert image_fwhm(gaussian_kernel(6.0)) == pytest.approx(6.0 * np.sqrt(1 + FWHM**2 / 432), 0.01)
    assert image_fwhm(moffat(4.0, 61)) == pytest.approx(4.0, rel=0.01)
    y, x = np.mgrid[:31, :31] - 15.0
    oval = np.exp(-(x**2 / (2 * 4.0) + y**2 / (2 * 1.0)))
    assert image_fwhm(oval) == pytest.approx(FWHM * np.sqrt(2.0), rel=0.01)


def test_psf_images_are_matched():
    source, target = moffat(3.0, 61), moffat(5.0, 81)
    kernel = image_matching_kernel(source, target)
    assert kernel.shape == (81, 81)
    assert kernel.sum() == pytest.approx(1.0)
    matched = fftconvolve(np.pad(source, 10), kernel, mode="same")
    # the window cuts what the source does not hold: residual of 1 % of the target's peak
    assert np.max(np.abs(matched - target)) < 0.01 * target.max()
    assert image_fwhm(matched) == pytest.approx(image_fwhm(target), rel=0.01)


def test_a_target_on_other_pixels_is_resampled():
    # target on 0.3 arcsec pixels, band on 0.1 arcsec
    target = Psf(image=moffat(4.0, 41), pixel_scale=0.3)
    source = Psf(image=moffat(5.0, 81), pixel_scale=0.1)
    assert target.width == pytest.approx(1.2, rel=0.01)
    on_fine = target.on_pixels(0.1)
    assert image_fwhm(on_fine) * 0.1 == pytest.approx(1.2, rel=0.02)
    kernel = matching_kernel(source, target, pixel_scale=0.1)
    matched = fftconvolve(np.pad(source.on_pixels(0.1), 60), kernel, mode="same")
    assert image_fwhm(matched) * 0.1 == pytest.approx(1.2, rel=0.02)
    # fine to coarse: each pixel is a mean, so the width grows by the pixel (0.3^2/12 in variance)
    coarse = source.on_pixels(0.3)
    assert coarse.shape[0] % 2 == 1
    assert coarse.sum() == pytest.approx(1.0)
    assert image_fwhm(coarse) * 0.3 == pytest.approx(0.5, rel=0.2)


def test_gaussian_and_image_can_be_mixed():
    kernel = matching_kernel(
        Psf(fwhm=0.3), Psf(image=moffat(5.0, 61), pixel_scale=0.1), pixel_scale=0.1
    )
    matched = fftconvolve(np.pad(gaussian_kernel(3.0), 60), kernel, mode="same")
    assert image_fwhm(matched) == pytest.approx(5.0, rel=0.02)


def test_equal_psfs_need_no_kernel():
    psf = Psf(image=moffat(3.0, 41), pixel_scale=0.1)
    assert matching_kernel(psf, psf, pixel_scale=0.1) is None
    assert matching_kernel(Psf(fwhm=1.0), Psf(fwhm=1.0), pixel_scale=0.1) is None
    assert matching_kernel(Psf(fwhm=1.019), Psf(fwhm=1.0), pixel_scale=0.1) is None


def test_a_wider_band_is_refused_with_both_widths():
    with pytest.raises(ConfigError, match=r"'u'.*1\.3 arcsec.*1\.1 arcsec"):
        matching_kernel(Psf(fwhm=1.3), Psf(fwhm=1.1), pixel_scale=0.2, band="u")
    with pytest.raises(ConfigError, match="narrowed"):
        gaussian_matching_kernel(2.0, 2.0)


def test_even_and_unnormalised_kernels():
    even = np.zeros((4, 4))
    even[1:3, 1:3] = 2.5  # between two pixels
    fixed = unit_sum(even)
    assert fixed.shape == (21, 21)  # 4 + 1, and 8 on each side for the spline
    assert fixed.sum() == pytest.approx(1.0)
    offset = np.arange(21) - 10
    # the spline's response is cut at 8 pixels, 3e-5 of it
    assert fixed.sum(axis=0) @ offset == pytest.approx(0.0, abs=1e-3)
    assert fixed.sum(axis=1) @ offset == pytest.approx(0.0, abs=1e-3)
    fourier = np.zeros((4, 4))
    fourier[2, 2] = 7.0  # pixel n // 2
    assert unit_sum(fourier)[2, 2] == pytest.approx(1.0)
    mixed = unit_sum(np.ones((3, 4)))
    assert mixed.shape == (3, 21)
    shifted = np.zeros((5, 5))
    shifted[2, 3] = 4.0  # an offset that is meant
    np.testing.assert_array_equal(unit_sum(shifted), shifted / 4)


def test_useless_kernels_are_refused():
    with pytest.raises(DataError, match="finite"):
        unit_sum(np.array([[1.0, np.nan]]))
    with pytest.raises(DataError, match="positive"):
        unit_sum(np.zeros((3, 3)), what="PSF image")
    with pytest.raises(DataError, match="two-dimensional"):
        unit_sum(np.ones(3))


def test_psf_is_one_thing():
    for arguments in ({}, {"fwhm": 1.0, "image": np.ones((3, 3))}, {"image": np.ones((3, 3))}):
        with pytest.raises(ConfigError):
            Psf(**arguments)
    with pytest.raises(ConfigError, match="positive"):
        Psf(fwhm=-1.0)


def test_settings_tell_psfs_apart():
    one = Psf(image=moffat(3.0, 21), pixel_scale=0.1)
    same = Psf(image=moffat(3.0, 21).astype(">f8"), pixel_scale=0.1)
    other = Psf(image=moffat(3.1, 21), pixel_scale=0.1)
    assert one.settings() == same.settings() != other.settings()
    assert Psf(fwhm=1.0).settings() == {"fwhm": 1.0}


def test_margin_holds_the_kernel():
    target = Psf(fwhm=2.0)
    kernel = matching_kernel(Psf(fwhm=0.5), target, pixel_scale=0.1)
    assert kernel_radius(target, pixel_scale=0.1) >= kernel.shape[0] // 2
    assert kernel_radius(None, pixel_scale=0.1) == 2
    assert kernel_radius(target, pixel_scale=0.1, kernel=201) == 102
    wide = Psf(image=np.ones((41, 41)), pixel_scale=0.3)
    assert kernel_radius(wide, pixel_scale=0.1) == 64
