import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import convolve as direct
from scipy.signal import correlate

from pxdask.images.noise import (
    aperture_variance,
    convolve,
    response_variance,
    unprocessed,
)
from pxdask.images.psf import gaussian_kernel, gaussian_matching_kernel
from pxdask.images.resample import to_grid
from pxdask.kernels.noise import aperture_growth
from tests.images.skies import grid


def test_convolution_by_hand():
    flux = np.zeros((5, 5))
    flux[2, 2] = 9.0
    kernel = np.full((3, 3), 1 / 9)
    out = convolve(unprocessed(flux, np.full((5, 5), 3.0)), kernel)
    np.testing.assert_allclose(out.flux[1:4, 1:4], 1.0, atol=1e-14)
    np.testing.assert_allclose(out.variance[1:4, 1:4], 1.0)  # 9 / 9
    assert out.noise_area == pytest.approx(9.0)
    assert out.coverage[2, 2] == pytest.approx(1.0)
    assert out.coverage[0, 2] == pytest.approx(6 / 9)
    assert np.isnan(out.flux[0, 0])  # 4 / 9 of the kernel


def test_missing_pixels_stand_for_the_mean_of_the_others():
    flux = np.full((9, 9), 5.0)
    flux[4, 4] = np.nan
    sigma = np.ones((9, 9))
    sigma[2, 2] = np.nan  # a flux of unknown error does not count
    flux[2, 2] = 1e6
    out = convolve(unprocessed(flux, sigma), np.full((3, 3), 1 / 9))
    np.testing.assert_allclose(out.flux[1:-1, 1:-1], 5.0, rtol=1e-12)
    assert out.coverage[4, 4] == pytest.approx(8 / 9)
    assert out.variance[4, 4] == pytest.approx(8 / 81 / (8 / 9) ** 2)


def test_kernel_larger_than_the_image():
    kernel = np.zeros((31, 31))
    kernel[15, 15] = 1.0
    flux = np.arange(20.0).reshape(4, 5)
    out = convolve(unprocessed(flux, np.ones((4, 5))), kernel)
    np.testing.assert_allclose(out.flux, flux, atol=1e-12)
    assert out.noise_area == pytest.approx(1.0)


def test_convolution_is_that_of_direct_sums():
    rng = np.random.default_rng(5)
    flux, kernel = rng.normal(size=(23, 31)), rng.random((7, 5))
    kernel /= kernel.sum()
    flux[4, 4] = 1e9  # rounding is relative to the brightest pixel: 1e-16 of it in float64
    out = convolve(unprocessed(flux, np.ones(flux.shape)), kernel)
    inner = (slice(3, -3), slice(2, -2))
    np.testing.assert_allclose(out.flux[inner], direct(flux, kernel, mode="valid"), atol=1e-6)
    np.testing.assert_allclose(out.variance[inner], np.sum(kernel**2), rtol=1e-12)


@given(st.floats(1.0, 4.0), st.floats(1.2, 3.0))
def test_uniform_noise_area_is_that_of_the_kernel(source, ratio):
    kernel = gaussian_matching_kernel(source, source * ratio)
    out = convolve(unprocessed(np.zeros((61, 61)), np.ones((61, 61))), kernel)
    # pixels at the border, with 95 % of the kernel or more, are among those of the median
    assert out.noise_area == pytest.approx(1 / np.sum(kernel**2), rel=1e-2)


def test_aperture_variance_at_both_ends():
    one, many = np.ones((3, 1)), np.ones((3, 10**6))
    np.testing.assert_allclose(aperture_variance(one, noise_area=20.0), 1.0)
    # a square of 1000 pixels lacks 2 a / (pi L) = 0.28 % of the sum at its borders
    np.testing.assert_allclose(aperture_variance(many, noise_area=20.0), 2e7, rtol=3e-3)
    np.testing.assert_allclose(aperture_variance(np.ones(7), noise_area=1.0), 7.0)


@given(st.floats(1.0, 12.0), st.integers(1, 40))
def test_growth_is_that_of_squares_of_gaussian_noise(fwhm, side):
    kernel = gaussian_kernel(fwhm)
    lags = correlate(kernel, kernel, method="fft")
    offset = np.arange(lags.shape[0]) - lags.shape[0] // 2
    pairs = np.clip(1 - np.abs(offset) / side, 0, None)
    true = pairs @ lags @ pairs / np.sum(kernel**2)
    # the closed form leaves out the second Euler-Maclaurin term: 0.4 % at 1.0 pixels and less
    growth = aperture_growth(side**2, 1 / np.sum(kernel**2))
    assert growth == pytest.approx(true, rel=0.01)


def test_growth_of_white_noise_is_none():
    np.testing.assert_array_equal(aperture_growth([1, 2, 100.0], 1.0), 1.0)


@pytest.mark.parametrize("method", ["exact", "adaptive"])
def test_response_of_whole_factors_by_hand(method):
    # 4 x 4 fine pixels, borders aligned: exact sums 16 of them. Hann windows: the squares of
    # (1 + cos(pi (j + 1/2) / 4)) / 2 for 8 pixels sum to 3, their sum is 4: (16 * 3 / 16)^2 = 9
    value = response_variance(
        np.diag([4.0, 4.0]), phases=np.array([[1.5, 1.5]]), method=method, kernel=None
    )
    assert value == pytest.approx(16.0 if method == "exact" else 9.0, rel=1e-6)


def test_response_of_interpolation_by_hand():
    # a quarter of the way between two pixels: weights 3/4, 1/4 and 1, times an area of 4
    phase = np.array([[0.25, 0.0]])
    value = response_variance(
        np.diag([2.0, 2.0]), phases=phase, method="interpolation", kernel=None
    )
    assert value == pytest.approx(16 * 10 / 16)


def test_response_of_half_a_pixel_by_hand():
    half = np.array([[0.5, 0.5]])
    assert response_variance(np.eye(2), phases=half, method="exact", kernel=None) == pytest.approx(
        0.25, rel=1e-6
    )  # four quarters
    kernel = np.full((1, 3), 1 / 3)
    # along x: weights (1/2, 1/2) * (1, 1, 1)/3 = (1, 2, 2, 1)/6, squares 10/36; along y: 1/2
    value = response_variance(np.eye(2), phases=half, method="exact", kernel=kernel)
    assert value == pytest.approx(10 / 72, rel=1e-6)


def blank_sky_pulls(source, target, *, widths, method, rng, n_sky):
    """Fluxes over errors of single pixels and of 10 x 10 apertures of blank sky."""
    kernel = None if widths is None else gaussian_matching_kernel(*widths)
    pixels, apertures = [], []
    for _ in range(n_sky):
        image = unprocessed(rng.normal(0, 0.7, source.shape), np.full(source.shape, 0.7))
        if kernel is not None:
            image = convolve(image, kernel)
        out = to_grid(image, source, target, method=method, kernel=kernel)
        inner = (slice(10, target.shape[0] - 10),) * 2
        flux, variance = out.flux[inner], out.variance[inner]
        pixels.append(flux / np.sqrt(variance))
        n = flux.shape[0] // 10
        flux, variance = (
            a[: n * 10, : n * 10].reshape(n, 10, n, 10).transpose(0, 2, 1, 3).reshape(n, n, 100)
            for a in (flux, variance)
        )
        expected = np.sqrt(aperture_variance(variance, noise_area=out.noise_area))
        apertures.append(flux.sum(axis=-1) / expected)
    return np.std(pixels), np.std(apertures), out.noise_area


@pytest.mark.statistical
@pytest.mark.slow
@pytest.mark.parametrize("method", ["exact", "adaptive", "interpolation"])
@pytest.mark.parametrize(
    ("source", "target", "widths"),
    [
        (grid(0.4, 400, angle=0.2), grid(1.5, 80), None),
        (grid(0.4, 400, angle=0.2), grid(1.5, 80), (3.0, 8.0)),
        (grid(1.0, 90), grid(1.0, 90), (3.0, 5.0)),
        (grid(1.0, 150), grid(1.0, 90, x=45, y=44.5), (2.5, 4.0)),
        (grid(1.0, 150), grid(1.0, 90, angle=0.6), None),
        (grid(1.0, 150), grid(1.0, 90, angle=0.6), (3.0, 5.0)),
    ],
    ids=["coarser", "coarser-matched", "matched", "half-pixel-matched", "turned", "turned-matched"],
)
def test_blank_sky_scatters_as_its_errors_say(source, target, widths, method):
    rng = np.random.default_rng(20261121)
    pixel, aperture, area = blank_sky_pulls(
        source, target, widths=widths, method=method, rng=rng, n_sky=12
    )
    # 12 skies of 3600 pixels: with noise areas below 40, about 1000 independent ones: 2.2 %
    assert 0.93 < pixel < 1.07
    # 432 apertures: 3.4 %
    assert 0.9 < aperture < 1.1
    assert area >= 1.0
    if widths is not None:
        # what ignoring the correlation would claim is wrong by far
        assert aperture * np.sqrt(area * 100 / (100 + area - 1)) > 1.3
