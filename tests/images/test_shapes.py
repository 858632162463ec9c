import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from hypothesis import example, given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.images.grid import ARCSEC_PER_RADIAN
from pxdask.images.shapes import Ellipse, Rectangle, sky_ellipse, sky_jacobian, sky_offsets
from tests.images.skies import DEC, RA, grid

_RADIAN, _ARCSEC = u.rad, u.arcsec


def test_an_ellipse_by_hand():
    """North up, east at small x: a position angle of 90 degrees lies along the rows."""
    on = grid(1.0, 21)
    flat = Ellipse(RA, DEC, 5.2, 2.2, 90.0).contains(on.to_wcs(), on.shape)
    assert flat[10].sum() == 11
    assert flat[:, 10].sum() == 5
    # the corner pixels of angle 45: north-east is up and left
    turned = Ellipse(RA, DEC, 5.2, 2.2, 45.0).contains(on.to_wcs(), on.shape)
    assert turned[13, 7]
    assert not turned[13, 13]


def test_radii_by_hand():
    """North up: an axis ratio of a half along the rows makes what is above twice as far."""
    on = grid(1.0, 21)
    radius = Ellipse(RA, DEC, 4.0, 2.0, 90.0).radius(on.to_wcs(), on.shape)
    # a gnomonic projection is right to 1e-9 of such angles
    np.testing.assert_allclose(radius[10, [10, 7, 13]], [0.0, 3.0, 3.0], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(radius[[13, 7, 14], [10, 10, 13]], [6.0, 6.0, 73**0.5], rtol=1e-7)
    behind = Ellipse(RA + 180, -DEC, 4.0, 2.0, 90.0)
    assert np.isnan(behind.radius(on.to_wcs(), on.shape)).all()


@given(
    angle=st.floats(-3.0, 3.0),
    position_angle=st.floats(0, 180),
    ratio=st.floats(0.1, 1.0),
    major=st.floats(1.0, 20.0),
)
def test_pixels_of_an_ellipse_are_those_of_a_smaller_radius(angle, position_angle, ratio, major):
    """The size of the ellipse does not matter for radii, only its form."""
    on = grid(0.5, 31, angle=angle)
    ellipse = Ellipse(RA, DEC, major, major * ratio, position_angle)
    radius = ellipse.radius(on.to_wcs(), on.shape)
    at_border = np.abs(radius / major - 1) < 1e-9
    inside = ellipse.contains(on.to_wcs(), on.shape)
    np.testing.assert_array_equal((radius <= major)[~at_border], inside[~at_border])
    other = Ellipse(RA, DEC, 1.0, ratio, position_angle).radius(on.to_wcs(), on.shape)
    np.testing.assert_allclose(other, radius, rtol=1e-9, atol=1e-9)


def test_derivatives_on_the_sky_are_those_of_the_pixels():
    """Pixels of 0.5 arcsec: east is against x and north along y, and turned by 30 degrees."""
    for angle in (0.0, np.pi / 6):
        cos, sin = np.cos(angle), np.sin(angle)
        on = grid(0.5, 21, angle=angle)
        found = sky_jacobian(on.to_wcs(), x=10.0, y=10.0, ra=RA, dec=DEC)
        np.testing.assert_allclose(found, 0.5 * np.array([[-cos, sin], [sin, cos]]), rtol=1e-7)


def test_a_rectangle_by_hand():
    on = grid(1.0, 21)
    pixels = Rectangle(RA, DEC, 8.8, 2.8, 0.0).contains(on.to_wcs(), on.shape)
    assert pixels.sum() == 9 * 3
    assert pixels[6:15, 9:12].all()


@given(
    angle=st.floats(-3.0, 3.0),
    flip=st.booleans(),
    position_angle=st.floats(0, 180),
    ratio=st.floats(0.3, 1.0),
)
def test_shapes_are_the_same_sky_on_any_pixels(angle, flip, position_angle, ratio):
    """Area and second moments on the sky do not depend on how the pixels lie."""
    on = grid(0.5, 121, angle=angle, flip=flip)
    ellipse = Ellipse(RA, DEC, 20.0, 20.0 * ratio, position_angle)
    pixels = ellipse.contains(on.to_wcs(), on.shape)
    # Pixels that the outline cuts scatter by the root of their number, some 250: 0.5 % of 1500.
    assert pixels.sum() * 0.25 == pytest.approx(np.pi * 400 * ratio, rel=0.015)
    sky = sky_offsets(on.to_wcs(), on.shape, ra=RA, dec=DEC)
    along, across = sky.along(position_angle)
    assert np.var(along[pixels]) == pytest.approx(100, rel=0.03)
    assert np.var(across[pixels]) == pytest.approx(100 * ratio**2, rel=0.04)
    assert np.mean(along[pixels] * across[pixels]) == pytest.approx(0, abs=2.0)


def test_offsets_agree_with_astropy():
    on = grid(30.0, 41, angle=0.4)
    sky = sky_offsets(on.to_wcs(), on.shape, ra=RA + 0.1, dec=DEC - 0.1)
    centre = SkyCoord(RA + 0.1, DEC - 0.1, unit="deg")
    there = on.to_wcs().pixel_to_world(3, 37)
    distance, angle = centre.separation(there).rad, centre.position_angle(there).rad
    # gnomonic: the tangent of the distance
    assert sky.north[37, 3] == pytest.approx(
        np.tan(distance) * np.cos(angle) * ARCSEC_PER_RADIAN, rel=1e-9
    )
    assert sky.east[37, 3] == pytest.approx(
        np.tan(distance) * np.sin(angle) * ARCSEC_PER_RADIAN, rel=1e-9
    )


def test_galactic_pixels_are_turned_to_equatorial_angles():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    centre = SkyCoord(RA, DEC, unit="deg")
    wcs.wcs.crval = [centre.galactic.l.deg, centre.galactic.b.deg]
    wcs.wcs.crpix = [51, 51]
    wcs.wcs.cdelt = [-0.2 / 3600, 0.2 / 3600]
    pixels = Ellipse(RA, DEC, 8.0, 1.0, 30.0).contains(wcs, (101, 101))
    y, x = np.nonzero(pixels)
    far = np.argmax(np.hypot(x - 50, y - 50))
    angle = centre.position_angle(wcs.pixel_to_world(x[far], y[far])).deg % 180
    assert angle == pytest.approx(30.0, abs=4.0)


@given(
    angle=st.floats(-3.0, 3.0),
    flip=st.booleans(),
    position_angle=st.floats(0, 179),
    ratio=st.floats(0.2, 0.9),
)
def test_ellipses_of_the_image_become_those_of_the_sky(angle, flip, position_angle, ratio):
    on = grid(0.5, 11, angle=angle, flip=flip)
    x, y = 3.0, 6.0
    # Two points of the outline, in pixels, from the shape on the sky.
    sky = on.to_wcs().pixel_to_world(x, y)
    ends = [
        sky.directional_offset_by(a * np.pi / 180 * _RADIAN, size * _ARCSEC)
        for a, size in ((position_angle, 10.0), (position_angle + 90, 10.0 * ratio))
    ]
    axes = np.array([np.array(on.to_wcs().world_to_pixel(end)) - (x, y) for end in ends])
    got = sky_ellipse(on.to_wcs(), x=x, y=y, covariance=axes.T @ axes, source="given")
    assert got.semi_major == pytest.approx(10.0, rel=1e-4)
    assert got.semi_minor == pytest.approx(10.0 * ratio, rel=1e-4)
    assert (got.angle - position_angle + 90) % 180 - 90 == pytest.approx(0.0, abs=0.05)
    assert (got.ra, got.dec) == pytest.approx((sky.ra.deg, sky.dec.deg))


@given(size=st.floats(0.01, 100.0), major=st.floats(0.01, 100.0), ratio=st.floats(0.05, 1.0))
@example(size=0.1, major=3.0, ratio=1.0)
def test_an_ellipse_of_another_size_is_like_the_first(size, major, ratio):
    """No rounding makes the minor axis of a circle the greater: 0.1 * 3 / 3 is above 0.1."""
    ellipse = Ellipse(RA, DEC, major, major * ratio, 30.0, "given")
    other = ellipse.resized(size)
    assert other.semi_major == size
    assert other.semi_minor <= size
    assert other.axis_ratio == pytest.approx(ellipse.axis_ratio, rel=1e-15)
    assert (other.ra, other.dec, other.angle, other.source) == (RA, DEC, 30.0, "given")


def test_impossible_shapes_are_refused():
    with pytest.raises(ConfigError, match=r"half axes are 2\.0 and 3\.0"):
        Ellipse(RA, DEC, 2.0, 3.0, 0.0)
    with pytest.raises(ConfigError, match="half axes"):
        Ellipse(RA, DEC, float("nan"), 3.0, 0.0)
    with pytest.raises(ConfigError, match="sides"):
        Rectangle(RA, DEC, 0.0, 3.0, 0.0)


def test_the_other_side_of_the_sky_is_outside():
    on = grid(1.0, 5)
    assert not Ellipse(RA + 180, -DEC, 5000.0, 5000.0, 0.0).contains(on.to_wcs(), on.shape).any()
