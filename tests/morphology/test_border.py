import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from pxdask.morphology.border import border_sky

SIDE = 80
Y, X = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
RADIUS = np.hypot(X, Y)
GOOD = np.ones((SIDE, SIDE), dtype=bool)


def noise(seed, *, width=0.0):
    """Return noise of unit variance, correlated over a Gaussian of a width [pix]."""
    white = np.random.default_rng(seed).standard_normal((SIDE, SIDE))
    return white if width == 0 else gaussian_filter(white, width) * 2 * np.sqrt(np.pi) * width


def border(flux, *, good=GOOD):
    return border_sky(flux, np.ones_like(flux), good, radius=RADIUS)


def test_a_flat_sky_has_its_level_and_the_error_of_its_pixels():
    found = border(3.0 + noise(1))
    # 2304 pixels, a median of 16 parts: no less than 1.2533 / 48 = 0.026, and what may be light
    assert 0.026 < found.level_err < 0.1
    assert found.level == pytest.approx(3.0, abs=4 * found.level_err)
    assert found.light == 0.0


@settings(max_examples=20)
@given(st.floats(-5.0, 5.0), st.floats(0.1, 10.0))
def test_units_do_not_matter(level, unit):
    flux = noise(2) + 20 * np.exp(-RADIUS / 10)
    one = border_sky(flux, np.ones_like(flux), GOOD, radius=RADIUS)
    two = border_sky(unit * (flux + level), np.full_like(flux, unit), GOOD, radius=2 * RADIUS)
    assert two.level == pytest.approx(unit * (one.level + level), abs=1e-6 * unit)
    assert two.level_err == pytest.approx(unit * one.level_err, rel=1e-6)


def test_light_of_a_disc_that_fills_the_stamp_is_taken_off():
    # scale 12 pixels: exp(-3) of 100 at the border's sides
    found = border(2.0 + noise(3) + 100 * np.exp(-RADIUS / 12))
    assert found.light > 1.0
    assert found.level_err >= 0.5 * found.light
    assert found.level == pytest.approx(2.0, abs=found.level_err)


def test_errors_are_right_where_noise_is_correlated():
    away = [
        (found.level / found.level_err, found.slope[0] / found.slope_err)
        for found in (border(noise(seed, width=2.0)) for seed in range(60))
    ]
    # errors of independent pixels would be seven times too small; the sky's hold light as well
    level, slope = np.std(away, axis=0)
    assert 0.4 < level < 1.3
    assert 0.4 < slope < 1.6


def test_a_tilt_is_found_and_masked_sources_do_not_count():
    flux = noise(4) + 0.5 * X / (SIDE / 2) - 0.3 * Y / (SIDE / 2)
    flux[:10, :10] = 1e4
    good = GOOD.copy()
    good[:10, :10] = False
    found = border(flux, good=good)
    assert found.slope == pytest.approx((0.5, -0.3), abs=4 * found.slope_err)
    assert found.slope_err < 0.2


def test_without_a_border_the_sky_is_zero_within_the_noise():
    found = border(5.0 + noise(5), good=RADIUS < 20)
    assert (found.level, found.level_err, found.light) == (0.0, 1.0, 0.0)


def test_an_image_without_noise_has_its_level():
    flux = np.full((SIDE, SIDE), 0.25)
    found = border_sky(flux, np.full_like(flux, 1e-3), GOOD, radius=RADIUS)
    assert found.level == pytest.approx(0.25)
    assert found.level_err > 0
