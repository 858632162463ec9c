import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.morphology.first_guess import Pixels, guess_source, psf_half_radius

SCALE = 0.2


def pixels(*, flux, sky=0.0, good=None, side=61, noise=1e-3):
    """Return pixels with east to the left; flux is a function of east and north."""
    y, x = (np.indices((side, side)) - (side - 1) / 2) * SCALE
    return Pixels(
        east=-x,
        north=y,
        flux=flux(-x, y) * SCALE**2 + sky,
        flux_err=np.full((side, side), noise),
        good=np.ones((side, side), dtype=bool) if good is None else good(-x, y),
        pixel_scale=SCALE,
        psf_radius=0.25,
    )


def gaussian(*, east=0.0, north=0.0, major=1.0, minor=0.6, angle=0.5, flux=50.0):
    def brightness(x, y):
        dx, dy = x - east, y - north
        along = dx * np.sin(angle) + dy * np.cos(angle)
        across = dx * np.cos(angle) - dy * np.sin(angle)
        return (
            flux / (2 * np.pi * major * minor)
            * np.exp(-0.5 * ((along / major) ** 2 + (across / minor) ** 2))
        )  # fmt: skip

    return brightness


def test_a_gaussian_has_its_own_numbers():
    guess = guess_source([pixels(flux=gaussian(east=0.2, north=-0.1), sky=0.02)])
    assert guess.sky[0] == pytest.approx(0.02, abs=1e-3)
    assert guess.flux[0] == pytest.approx(50.0, rel=0.02)
    assert (guess.xc, guess.yc) == pytest.approx((0.2, -0.1), abs=0.01)
    assert guess.theta == pytest.approx(0.5, abs=0.02)
    # freed of a PSF of sigma 0.25 / 1.177: sqrt((0.36 - 0.045) / (1 - 0.045)) = 0.574
    assert guess.ellip == pytest.approx(1 - 0.574, abs=0.02)
    # circular radius of half the light: 0.93 for these axes
    assert guess.r_eff == pytest.approx(np.sqrt(0.93**2 - 0.25**2), rel=0.05)


@settings(max_examples=20)
@given(st.floats(0.0, np.pi - 0.01), st.floats(0.3, 0.7))
def test_the_angle_follows_the_galaxy(angle, minor):
    guess = guess_source([pixels(flux=gaussian(angle=angle, minor=minor))])
    away = (guess.theta - angle + np.pi / 2) % np.pi - np.pi / 2
    assert abs(away) < 0.05


def test_masked_pixels_are_filled_in_by_their_rings():
    whole = guess_source([pixels(flux=gaussian(minor=1.0))])
    part = guess_source([pixels(flux=gaussian(minor=1.0), good=lambda x, y: (x < 0.7) | (y < 0))])
    assert part.flux[0] == pytest.approx(whole.flux[0], rel=0.1)


def test_a_band_without_light_does_not_spoil_the_others():
    faint = pixels(flux=lambda x, _: 0 * x)
    both = guess_source([pixels(flux=gaussian()), faint])
    alone = guess_source([pixels(flux=gaussian())])
    assert both.r_eff == pytest.approx(alone.r_eff, rel=1e-3)
    assert abs(both.flux[1]) < 1e-6


def test_nothing_at_all_has_a_finite_guess():
    guess = guess_source([pixels(flux=lambda x, _: 0 * x)])
    for value in (guess.xc, guess.yc, guess.r_eff, guess.ellip, guess.theta):
        assert np.isfinite(value)
    assert guess.r_eff > 0


def test_half_the_light_of_a_gaussian_psf():
    y, x = np.indices((41, 41)) - 20
    psf = np.exp(-0.5 * (x**2 + y**2) / 4.0**2)
    # whole pixels: within one
    assert psf_half_radius(psf, pixel_scale=0.5) == pytest.approx(0.5 * 1.1774 * 4.0, abs=0.25)
