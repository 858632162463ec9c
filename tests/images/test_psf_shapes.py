"""Analytic PSFs integrated over pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from pxdask.core.errors import ConfigError
from pxdask.images.psf import Psf, image_fwhm, kernel_radius
from pxdask.images.psf_shapes import (
    double_gaussian_image,
    double_gaussian_width,
    gaussian_image,
    moffat_image,
    moffat_reach,
)

FWHM = 2.3548200450309493


def test_double_gaussian_by_hand():
    # sigma of 1 and 2 pixels: the central pixel holds erf(0.5/sqrt 2)^2 = 0.146632 of the first,
    # erf(0.25/sqrt 2)^2 = 0.197413^2 = 0.038972 of the second
    image = double_gaussian_image(FWHM)
    assert image.shape == (21, 21)  # 5 sigma of the wider
    middle = 0.9 * 0.146632 + 0.1 * 0.038972
    assert image[10, 10] == pytest.approx(middle, rel=1e-5)
    assert erf(0.25 / 2**0.5) ** 2 == pytest.approx(0.038972, rel=1e-4)


def test_double_gaussian_width_by_hand():
    # half of 0.9 + 0.1/4 is 0.4625; at 1.0136 of the first's width, with its square 1.02738,
    # 0.9 * 2^-1.02738 + 0.025 * 2^-0.25685 = 0.44154 + 0.02092 = 0.46246
    assert double_gaussian_width(1.0) == pytest.approx(1.0136, abs=2e-4)
    # the width of the image, without the pixel's share: 16 pixels across
    image = double_gaussian_image(16.0)
    assert image_fwhm(image) == pytest.approx(16 * double_gaussian_width(1.0), rel=0.005)
    assert double_gaussian_width(2.0, second_fwhm=2.0) == pytest.approx(2.0)
    assert double_gaussian_width(2.0, second_weight=0.0) == pytest.approx(2.0)
    assert double_gaussian_width(2.0, second_weight=1.0) == pytest.approx(4.0)


def test_moffat_by_hand():
    # beta = 2, FWHM of 2 pixels: core a = 1 / sqrt(sqrt 2 - 1) = 1.553774; the flux in a square
    # of half-side h about the centre is 2 h / (pi sqrt(h^2 + a^2)) * 2 atan(h / sqrt(h^2 + a^2))
    # of all (the integral of 1/(pi a^2) (1 + r^2/a^2)^-2): h = 0.5 gives 0.1159; the image
    # of 401 x 401 pixels has all within h = 200.5
    a = 1 / np.sqrt(np.sqrt(2.0) - 1)

    def square(h):
        root = np.hypot(h, a)
        return 4 * h / (np.pi * root) * np.arctan(h / root)

    image = moffat_image(2.0, beta=2.0, radius=200)
    assert image[200, 200] == pytest.approx(square(0.5) / square(200.5), rel=1e-6)
    assert image[198:203, 198:203].sum() == pytest.approx(square(2.5) / square(200.5), rel=1e-6)


def test_moffat_reach_by_hand():
    # beta = 2: 0.1 % of the flux is beyond r = a sqrt(1000 - 1) = 31.607 * 0.776887 FWHM
    assert moffat_reach(2.0, beta=2.0) == pytest.approx(2 * 31.60696 * 0.776887, rel=1e-5)
    assert moffat_reach(2.0, beta=1.1) == 50.0  # capped at 25 FWHM


@given(
    fwhm=st.floats(0.3, 12.0),
    kind=st.sampled_from([gaussian_image, double_gaussian_image, moffat_image]),
    n=st.sampled_from([3, 5]),
)
def test_large_pixels_are_sums_of_small_ones(fwhm, kind, n):
    coarse = kind(fwhm, radius=8)
    fine = kind(fwhm * n, radius=(17 * n) // 2)
    binned = fine.reshape(17, n, 17, n).sum(axis=(1, 3))
    # Gaussians exactly; Moffats to the quadrature, 1e-6 of the peak at a third of a pixel
    np.testing.assert_allclose(coarse, binned, rtol=0, atol=2e-6 * coarse.max())
    assert coarse.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(coarse, coarse[::-1, ::-1], rtol=0, atol=1e-15)


def test_a_psf_far_narrower_than_a_pixel_is_one_pixel():
    for kind in (gaussian_image, double_gaussian_image):
        image = kind(0.05)
        assert image.shape == (3, 3)
        assert image[1, 1] == pytest.approx(1.0)
    assert moffat_image(0.05, radius=1)[1, 1] > 0.99


def test_faint_wings_keep_their_digits():
    # differences of erf itself are zero or noise from 6 sigma on; the truth at 8 sigma, to first
    # order in the pixel, is exp(-32)
    side = gaussian_image(FWHM * 10, radius=100).sum(axis=0)
    assert side[20] / side[100] == pytest.approx(np.exp(-32.0), rel=0.05)


def test_shapes_of_a_psf():
    double = Psf(fwhm=1.5, shape="double_gaussian")
    assert double.width == pytest.approx(1.5 * 1.0136, rel=1e-3)
    np.testing.assert_array_equal(double.on_pixels(0.5), double_gaussian_image(3.0))
    moffat = Psf(fwhm=1.5, shape="moffat", beta=3.0)
    assert moffat.width == 1.5
    np.testing.assert_array_equal(moffat.on_pixels(0.5), moffat_image(3.0, beta=3.0))
    for psf in (double, moffat, Psf(fwhm=1.5)):
        radius = kernel_radius(psf, pixel_scale=0.1)
        assert radius == psf.on_pixels(0.1).shape[0] // 2 + 2


def test_settings_hold_all_that_matters():
    plain = {"fwhm": 1.5, "shape": "double_gaussian"}
    described = [
        Psf(fwhm=1.5),
        Psf(**plain),
        Psf(**plain, second_fwhm=2.0),
        Psf(**plain, second_weight=0.2),
        Psf(fwhm=1.5, shape="moffat"),
        Psf(fwhm=1.5, shape="moffat", beta=2.5),
    ]
    texts = {str(psf.settings()) for psf in described}
    assert len(texts) == len(described)
    # defaults and their values said are one
    said = Psf(**plain, second_fwhm=3.0, second_weight=0.1)
    assert said.settings() == described[1].settings()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shape": "airy"}, "gaussian, double_gaussian, moffat"),
        ({"shape": "moffat", "beta": 1.0}, "above 1"),
        ({"beta": 3.0}, "beta is of Moffat"),
        ({"second_fwhm": 3.0}, "of double Gaussians"),
        ({"shape": "double_gaussian", "second_fwhm": -3.0}, "positive, got -3"),
        ({"shape": "double_gaussian", "second_weight": 1.2}, "from 0 to 1, got 1.2"),
    ],
)
def test_numbers_that_are_no_psf_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        Psf(fwhm=1.0, **arguments)
