"""Elliptical annuli: places by hand, and the form of a disc found again."""

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from pxdask.binning import annulus_bins
from pxdask.binning.annuli import _pixels_to_sky, light_shape, sky_form
from pxdask.core.errors import DataError

NORTH_UP = np.array([[-1.0, 0.0], [0.0, 1.0]])


def offsets(side):
    return np.indices((side, side)) - (side - 1) / 2


def disc(side=101, *, axis_ratio=0.5, angle=30.0, scale=10.0, n=1.0, fine=5):
    """Return a Sersic profile, exp(-r / scale) for n = 1, whose half-light radius is 1.68 scale.

    Its major axis is at `angle` from up (north) through left (east). Pixels are means of
    `fine` x `fine` points.
    """
    place = (np.arange(side * fine) - (side * fine - 1) / 2) / fine
    y, x = place[:, None], place[None]
    turn = np.radians(angle)
    along, across = y * np.cos(turn) - x * np.sin(turn), x * np.cos(turn) + y * np.sin(turn)
    radius = np.hypot(along, across / axis_ratio) / (1.678 * scale)
    flux = np.exp(-(1.678 + 2 * (n - 1)) * radius ** (1 / n))
    return flux.reshape(side, fine, side, fine).mean(axis=(1, 3))


def cards(*, turn=0.0, step=1.0, mirror=1.0, dec=40.0, side=101):
    """Return a gnomonic WCS whose y axis is turned from north through east [deg]."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [359.999, dec]
    wcs.wcs.crpix = [(side + 1) / 2] * 2
    sin, cos = np.sin(np.radians(turn)), np.cos(np.radians(turn))
    wcs.wcs.cd = np.array([[-cos * mirror, sin], [sin * mirror, cos]]) * step / 3600
    return wcs.to_header(relax=True).tostring(sep="", endcard=False, padding=False)


def test_circles_by_hand():
    """Radii in 5 x 5 are 0, 1, 1.41, 2, 2.24, 2.83: rings of width 1 from 0, 1, 2."""
    rings = annulus_bins(np.ones((5, 5)), np.ones((5, 5), dtype=bool), width=1.0, axis_ratio=1.0)
    quarter = [[0, 1, 2], [1, 1, 2], [2, 2, 2]]
    np.testing.assert_array_equal(rings[2:, 2:], quarter)
    np.testing.assert_array_equal(rings, rings[::-1])
    np.testing.assert_array_equal(rings, rings.T)


def test_ellipses_by_hand():
    """With axis ratio 0.5 and north along y, x counts twice: 0, 2, 4 against 0, 1, 2.

    No pixel is at 3 to 4, so the ring at 4 is the third.
    """
    region = np.ones((5, 5), dtype=bool)
    rings = annulus_bins(np.ones((5, 5)), region, width=1.0, axis_ratio=0.5, angle=0.0)
    np.testing.assert_array_equal(rings[2:, 2:], [[0, 2, 3], [1, 2, 3], [2, 2, 3]])
    east = annulus_bins(np.ones((5, 5)), region, width=1.0, axis_ratio=0.5, angle=90.0)
    np.testing.assert_array_equal(east, rings.T)


def test_rings_are_counted_without_gaps():
    region = np.zeros((1, 30), dtype=bool)
    region[0, ::5] = True
    rings = annulus_bins(np.ones((1, 30)), region, width=1.0)
    np.testing.assert_array_equal(rings[region], [2, 1, 0, 0, 1, 2])
    assert np.all(annulus_bins(np.ones((3, 3)), np.zeros((3, 3), bool), width=1.0) == -1)


@pytest.mark.parametrize("n", [0.5, 1.0, 2.0, 4.0])
def test_form_of_a_disc_whatever_its_profile(n):
    """To 1 % where the region ends with an isophote: what is left is that of pixels, which are
    round and add 1/12 pix2 to both axes."""
    flux = disc(n=n)
    shape = light_shape(flux, flux > flux[50, 30])
    form = sky_form(shape, NORTH_UP)
    assert form.axis_ratio == pytest.approx(0.5, rel=0.01)
    assert form.angle == pytest.approx(30.0, abs=0.3)
    assert (shape.x, shape.y) == pytest.approx((50, 50), abs=0.01)


@pytest.mark.parametrize(("n", "accuracy"), [(1.0, 0.02), (4.0, 0.05)])
def test_a_round_region_makes_a_disc_little_rounder(n, accuracy):
    """Plain moments are off by four times as much, and more."""
    y, x = offsets(101)
    flux, region = disc(n=n), np.hypot(x, y) < 50
    form = sky_form(light_shape(flux, region), NORTH_UP)
    assert form.axis_ratio == pytest.approx(0.5, rel=accuracy)
    assert 4 * abs(form.axis_ratio - 0.5) < plain_axis_ratio(flux, region) - 0.5


def plain_axis_ratio(flux, region):
    place = np.stack(np.nonzero(region))
    squares = np.linalg.eigvalsh(np.cov(place, aweights=flux[region]))
    return np.sqrt(squares[0] / squares[1])


def test_form_of_a_noisy_disc():
    """To 3 %, with S/N 30 in the central pixel, in its isophote of S/N 1 and in the whole image."""
    flux = 30 * disc() + np.random.default_rng(3).normal(size=(101, 101))
    for region in (disc() > 1 / 30, np.ones_like(flux, dtype=bool)):
        form = sky_form(light_shape(flux, region), NORTH_UP)
        assert form.axis_ratio == pytest.approx(0.5, rel=0.03)
        assert form.angle == pytest.approx(30.0, rel=0.03)


@pytest.mark.parametrize(("turn", "mirror", "dec"), [(0, 1, 40), (70, 1, -89.9), (200, -1, 60)])
def test_angles_are_those_of_the_sky(turn, mirror, dec):
    """A disc at angle A from y lies at A + turn; on a mirrored image, at turn - A."""
    to_sky = _pixels_to_sky(cards(turn=turn, mirror=mirror, dec=dec), x=50, y=50)
    form = sky_form(light_shape(disc(), disc() > 0.01), to_sky)
    assert form.angle == pytest.approx((turn + mirror * 30) % 180, abs=0.3)
    assert abs(np.linalg.det(to_sky)) == pytest.approx(1, rel=1e-12)


def test_annuli_of_the_light_follow_its_isophotes():
    flux, region = disc(), disc() > 0.05
    rings = annulus_bins(flux, region, width=5.0, wcs=cards())
    radius = -10 * np.log(flux)
    wrong = np.mean(rings[region] != np.floor(radius / 5)[region])
    assert wrong < 0.05  # pixels within a tenth of a pixel of an edge
    stated = annulus_bins(flux, region, width=5.0, axis_ratio=0.5, angle=30.0, wcs=cards())
    assert np.mean(stated[region] != np.floor(radius / 5)[region]) < 0.01


def test_one_of_the_two_may_be_given():
    flux, region = disc(), disc() > 0.05
    both = annulus_bins(flux, region, width=5.0, axis_ratio=0.5, angle=30.0)
    for given_part in ({"axis_ratio": 0.5}, {"angle": 30.0}):
        assert np.mean(annulus_bins(flux, region, width=5.0, **given_part) != both) < 0.03


@pytest.mark.parametrize("level", [np.nan, 0.0, -1.0])
def test_light_without_form_gives_the_region_its_own(level):
    y, x = offsets(41)
    region = np.hypot(y, x / 0.5) < 18
    form = sky_form(light_shape(np.full(region.shape, level), region), NORTH_UP)
    assert form.axis_ratio == pytest.approx(0.5, rel=0.02)
    assert min(form.angle, 180 - form.angle) < 0.1


def test_lines_and_single_pixels_are_round():
    region = np.zeros((5, 7), dtype=bool)
    region[2, 3] = True
    np.testing.assert_array_equal(
        annulus_bins(np.ones((5, 7)), region, width=2.0), np.where(region, 0, -1)
    )
    region[2] = True
    np.testing.assert_array_equal(
        annulus_bins(np.ones((5, 7)), region, width=2.0)[2], [1, 1, 0, 0, 0, 1, 1]
    )


def test_coordinates_must_be_celestial():
    region = np.ones((3, 3), dtype=bool)
    with pytest.raises(DataError, match="celestial"):
        annulus_bins(np.ones((3, 3)), region, width=1.0, wcs="WCSAXES =                    2")


@given(st.integers(-60, 60), st.integers(0, 2**32 - 1))
def test_scale_and_layout_make_no_difference(power, seed):
    """Factors are powers of 2, which round nothing."""
    flux = np.random.default_rng(seed).normal(1.0, 1.0, (9, 11))
    region = flux > 0
    rings = annulus_bins(flux, region, width=1.5)
    for other in (flux * 2.0**power, np.asfortranarray(flux)):
        np.testing.assert_array_equal(annulus_bins(other, region, width=1.5), rings)
    assert set(rings[region]) == set(range(rings.max() + 1))
