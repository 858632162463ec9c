import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from pxdask.core.errors import ConfigError, DataError
from pxdask.images.background import subtract_background

SIZE = 384


def gradient(level=5.0, along_x=4.0, along_y=-2.0, shape=(SIZE, SIZE)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return level + along_x * x / shape[1] + along_y * y / shape[0]


def disc(*, scale, peak, shape=(SIZE, SIZE)):
    """An exponential disc of axis ratio 0.7 in the middle; scale [pix]."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return peak * np.exp(-np.hypot(x - shape[1] / 2, (y - shape[0] / 2) / 0.7) / scale)


def stars(rng, n, shape=(SIZE, SIZE)):
    """Gaussian stars of sigma 2 pixels, with peaks of 10 to 3000."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for _ in range(n):
        at_y, at_x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        image += 10 ** rng.uniform(1, 3.5) * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / 8)
    return image


def off(background, sky):
    """The error of the level: mean and root mean square."""
    error = background.level - sky
    return np.mean(error), np.sqrt(np.mean(error**2))


def test_gradient_under_stars_and_a_galaxy():
    rng = np.random.default_rng(1)
    sky = gradient()
    sources = stars(rng, 40) + disc(scale=12, peak=100)
    image = sky + sources + rng.normal(0, 1, sky.shape)
    found = subtract_background(image)
    mean, scatter = off(found, sky)
    # A median of 64^2 pixels errs by 1.25 / 64 = 0.02, the median of nine by less than half that
    assert abs(mean) < 0.02
    assert scatter < 0.02
    assert np.max(np.abs(found.level - sky)) < 0.06
    # the scatter of 1.4826 MAD of 4096 pixels is 1.8 %; clipping at 3 sigma takes 0.4 %
    np.testing.assert_allclose(found.rms, 1.0, atol=0.05)
    np.testing.assert_array_equal(found.flux, image - found.level)
    assert np.all(found.sources[sources > 2])
    assert np.mean(found.sources) < 0.5


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_bumps_of_correlated_noise_are_not_sources(width):
    rng = np.random.default_rng(11)
    shape = (512, 512)
    image = gaussian_filter(rng.normal(0, 1, shape), width)
    image /= np.std(image)
    found = subtract_background(image)
    # 512 / sqrt(4 pi width^2) independent pixels a side: 0.014 for the wider; and 0.03
    assert abs(np.mean(found.level)) < 0.03 + 0.007 * width
    assert np.mean(found.sources) < 0.1
    np.testing.assert_allclose(np.mean(found.rms), 1.0, atol=0.05)


def test_a_galaxy_over_half_of_the_frame_is_no_background():
    rng = np.random.default_rng(2)
    sky = gradient()
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    inside = np.hypot(x, y) < 0.4 * SIZE  # 0.50 of the pixels
    found = subtract_background(sky + 20 * inside + rng.normal(0, 1, sky.shape))
    mean, scatter = off(found, sky)
    assert abs(mean) < 0.03  # sky in 28 % of the frame, at its corners, carried inwards
    assert scatter < 0.04
    assert np.all(found.sources[inside])


def test_outskirts_bias_the_level_by_little():
    # 5.1 scale lengths to the border, 0.6 rms there, 0.1 in the corners
    rng = np.random.default_rng(3)
    image = disc(scale=38, peak=100) + rng.normal(0, 1, (SIZE, SIZE))
    mean, _ = off(subtract_background(image), 0.0)
    assert 0 < mean < 0.2
    naive = np.median(image)
    assert naive > 5 * mean


def test_borders_without_data():
    rng = np.random.default_rng(4)
    sky = gradient()
    image = sky + stars(rng, 30) + rng.normal(0, 1, sky.shape)
    image[:20], image[:, -30:], image[100, 100] = np.nan, np.nan, np.inf
    bad = np.zeros(sky.shape, bool)
    bad[200:230] = True
    image[bad] = 1e5
    found = subtract_background(image, bad=bad)
    mean, scatter = off(found, sky)
    assert abs(mean) < 0.02
    assert scatter < 0.02
    assert np.all(np.isfinite(found.level))
    assert np.all(np.isfinite(found.rms))
    np.testing.assert_array_equal(np.isnan(found.flux), ~np.isfinite(image))


@pytest.mark.parametrize("shape", [(50, 50), (6, 40), (100, 100), (1, 30)])
def test_frames_of_less_than_two_boxes_have_one_level(shape):
    rng = np.random.default_rng(5)
    small = 0.06 * min(shape)
    image = 7 + disc(scale=small, peak=50, shape=shape) + rng.normal(0, 1, shape)
    found = subtract_background(image)
    assert np.ptp(found.level) == 0
    n_sky = np.count_nonzero(~found.sources)
    # a median of n pixels errs by 1.25 / sqrt(n); 3.5 of these, and 0.05 for the outskirts
    assert abs(found.level[0, 0] - 7) < 3.5 * 1.25 / np.sqrt(n_sky) + 0.05


@pytest.mark.parametrize("photons", [0.003, 0.05, 0.4, 1.0, 2.5, 8.0, 60.0])
@pytest.mark.parametrize("scaled", [False, True])
def test_images_of_few_photons(photons, scaled):
    rng = np.random.default_rng(6)
    image = rng.poisson(photons, (SIZE, SIZE)).astype(float)
    exposure = np.linspace(0.8, 1.2, SIZE) if scaled else 1.0
    found = subtract_background(image * exposure)
    mean = np.mean(found.level / exposure)
    error = np.sqrt(photons)
    # a mean of the frame errs by 1 / 384 of a pixel's error; clipping and, above 4 photons
    # scaled each by its own factor, medians are biased by up to 5 % of it
    assert abs(mean - photons) < (0.05 if scaled and photons > 4 else 0.02) * error
    assert np.mean(found.rms) == pytest.approx(error, rel=0.05)


@pytest.mark.parametrize("sky", [0, 300])
def test_blank_parts_are_not_taken_for_pixels_without_a_photon(sky):
    rng = np.random.default_rng(10)
    image = rng.normal(sky, 10, (SIZE, SIZE))
    image[:30] = 0.0  # 8 %
    found = subtract_background(image)
    np.testing.assert_allclose(found.level, sky, atol=0.5)
    np.testing.assert_allclose(found.rms, 10, rtol=0.05)


def test_constant_images():
    found = subtract_background(np.full((300, 300), 3.0))
    np.testing.assert_array_equal(found.flux, 0.0)
    np.testing.assert_array_equal(found.rms, 0.0)
    assert not np.any(found.sources)


def test_integers_of_the_other_byte_order():
    image = np.random.default_rng(7).normal(1000, 50, (200, 200)).round().astype(">i2")
    found = subtract_background(image)
    assert np.mean(found.level) == pytest.approx(1000, abs=1.5)


def test_a_larger_threshold_follows_curved_sky():
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    sky = 6 * np.sin(np.pi * x) * np.sin(np.pi * y)
    image = sky + rng.normal(0, 1, sky.shape)
    scatters = [
        off(subtract_background(image, box=32, mask_threshold=threshold), sky)[1]
        for threshold in (2.0, 8.0)
    ]
    # 6 pi / 12 per box at the borders, where the median of boxes stops half a box short
    assert scatters[1] < 0.4
    assert scatters[0] > 1.0


@settings(max_examples=15, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_levels_scale_and_shift_with_the_image(shift, scale):
    rng = np.random.default_rng(9)
    image = rng.normal(0, 1, (140, 140)) + disc(scale=8, peak=30, shape=(140, 140))
    one = subtract_background(image, box=32)
    other = subtract_background(image * scale + shift, box=32)
    np.testing.assert_allclose(other.level, one.level * scale + shift, atol=1e-2 * scale)
    np.testing.assert_allclose(other.rms, one.rms * scale, rtol=1e-2)


def test_too_few_pixels():
    image = np.full((50, 50), np.nan)
    image[0, :19] = 1.0
    with pytest.raises(DataError, match="20 pixels or more; of 2500 19 are good"):
        subtract_background(image)


@pytest.mark.parametrize("wrong", [{"box": 2}, {"filter_size": 2}, {"filter_size": 0}])
def test_wrong_settings(wrong):
    with pytest.raises(ConfigError, match="odd filter_size"):
        subtract_background(np.zeros((50, 50)), **wrong)
