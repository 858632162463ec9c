from dataclasses import dataclass

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_pixel

from pxdask.core.errors import DataError
from pxdask.images.grid import (
    Grid,
    common_grid,
    corner_positions,
    covers,
    footprint,
    parse_wcs,
    pixel_area,
    position,
    wcs_cards,
)
from tests.images.skies import DEC, RA, grid


@dataclass(frozen=True)
class Image:
    path: str
    wcs: str
    shape: tuple


def image(*args, path="a.fits", **kwargs):
    made = grid(*args, **kwargs)
    return Image(path, made.wcs, made.shape)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_pixel_scale(flip, angle):
    # gnomonic at the tangent point: exact to the pixel's own curvature, 1e-12
    assert grid(0.25, 11, flip=flip, angle=angle).pixel_scale == pytest.approx(0.25, rel=1e-9)


def test_pixel_area_knows_the_projection():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---CAR", "DEC--CAR"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [10.0, 0.0], [1.0, 1.0], [-1e-3, 1e-3]
    # plate carree: at declination 60 a pixel is cos 60 = 1/2 as wide
    assert pixel_area(wcs, x=0, y=60_000) == pytest.approx(0.5 * 3.6**2, rel=1e-6)


def test_the_coarsest_image_gives_the_grid():
    fine, coarse, same = image(0.1, 300), image(0.4, 80, angle=0.3), image(0.4, 80, angle=0.9)
    assert common_grid([fine, coarse, same], ra=RA, dec=DEC) == Grid(coarse.wcs, (80, 80))


def test_the_stamp_is_cut_to_whole_pixels_around_the_galaxy():
    coarse = image(0.4, 81, x=30.2, y=50.9)
    cut = common_grid([coarse], ra=RA, dec=DEC, stamp_size=4.1)
    assert cut.shape == (10, 10)  # 10.25 pixels
    x, y = position(cut.to_wcs(), ra=RA, dec=DEC)
    assert abs(x - 4.5) <= 0.5
    assert abs(y - 4.5) <= 0.5
    # the same pixels: offsets are whole
    assert (x - 30.2) == pytest.approx(round(x - 30.2), abs=1e-6)
    near_edge = common_grid([image(0.4, 81, x=1, y=1)], ra=RA, dec=DEC, stamp_size=4.0)
    assert near_edge.shape == (10, 10)  # reaches over the edge


def test_a_chosen_pixel_scale_gives_a_grid_about_the_galaxy():
    coarse, fine = image(0.4, 81, angle=0.5, x=30.2, y=50.9), image(0.1, 300)
    cut = common_grid([fine, coarse], ra=RA, dec=DEC, stamp_size=10.0, pixel_scale=0.2)
    assert cut.shape == (50, 50)
    assert cut.pixel_scale == pytest.approx(0.2, rel=1e-6)
    np.testing.assert_allclose(position(cut.to_wcs(), ra=RA, dec=DEC), 24.5, atol=1e-9)
    x, y = position(cut.to_wcs(), ra=RA, dec=DEC + 1 / 3600)
    np.testing.assert_allclose((x, y), (24.5, 29.5), atol=1e-5)  # north is up
    assert position(cut.to_wcs(), ra=RA + 1 / 3600, dec=DEC)[0] < 24.5  # east to the left
    whole = common_grid([fine, coarse], ra=RA, dec=DEC, pixel_scale=0.5)
    assert whole.shape == (65, 65)  # 81 pixels of 0.4 arcsec
    with pytest.raises(DataError, match="outside"):
        common_grid([image(0.3, 100)], ra=RA + 1, dec=DEC, pixel_scale=1.0)


@pytest.mark.parametrize("n", [20, 200, 333])
@pytest.mark.parametrize("term", [0.0, 1e-5])
def test_corners_are_where_astropy_places_them(n, term):
    header = grid(0.3, n, angle=0.4).to_wcs().to_header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    header["A_ORDER"], header["B_ORDER"] = 3, 3
    header["A_3_0"], header["B_1_1"] = term / 100, term
    wcs, other = WCS(header, fix=False), grid(1.0, 50).to_wcs()
    x, y = corner_positions(wcs, other, (n, n + 3))
    across, up = np.meshgrid(np.arange(n + 4) - 0.5, np.arange(n + 1) - 0.5)
    true = pixel_to_pixel(wcs, other, across, up)
    # 1e-7 between the points they rest on; no more than ten times that anywhere
    np.testing.assert_allclose((x, y), true, atol=1e-6)


def test_parsed_coordinates_are_the_callers_own():
    cards = grid(0.3, 10).wcs
    first = parse_wcs(cards)
    first.wcs.crpix = [0, 0]
    assert parse_wcs(cards).wcs.crpix.tolist() == [5.5, 5.5]


def test_coverage_and_its_failures():
    here = image(0.3, 100)
    assert covers(here, RA, DEC)
    assert covers(here, RA, DEC + 49.9 * 0.3 / 3600)
    assert not covers(here, RA, DEC + 50.1 * 0.3 / 3600)
    assert not covers(here, RA + 180, -DEC)  # behind the tangent plane
    with pytest.raises(DataError, match=r"ra 53\.200000.*b\.fits.*100 x 100.*corners"):
        common_grid([image(0.3, 100, path="b.fits")], ra=RA + 0.1, dec=DEC)


def test_distorted_images_far_away_are_outside():
    wcs = grid(0.3, 100).to_wcs()
    header = wcs.to_header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    header["A_ORDER"], header["B_ORDER"], header["A_2_0"], header["B_0_2"] = 2, 2, 1e-5, 1e-5
    bent = Image("sip.fits", wcs_cards(WCS(header, fix=False)), (100, 100))
    for ra, dec in ((RA, DEC + 1), (RA + 180, 60.0), (RA, DEC + 80)):
        assert not covers(bent, ra, dec)
    whole, cut = Grid(bent.wcs, (100, 100)), common_grid([bent], ra=RA, dec=DEC, stamp_size=6)
    start = whole.to_wcs().world_to_pixel(cut.to_wcs().pixel_to_world(0, 0))
    far = whole.to_wcs().world_to_pixel(cut.to_wcs().pixel_to_world(19, 19))
    # the distortion moves with the pixels: 1e-4 px is the tolerance of its inversion
    np.testing.assert_allclose(np.subtract(far, start), 19.0, atol=1e-3)


@pytest.mark.parametrize("flip", [False, True])
def test_footprint_holds_the_grid_and_a_margin(flip):
    header = image(0.1, 400, angle=0.5, flip=flip)
    target = grid(0.5, 20)
    rows, columns = footprint(header, target, margin_pix=7)
    # 10 arcsec square turned by 0.5 rad: 10 (cos + sin) = 13.57 arcsec = 135.7 pixels
    for part in (rows, columns):
        assert part.stop - part.start == pytest.approx(135.7 + 14, abs=2)
        assert (part.stop + part.start) / 2 == pytest.approx(200, abs=1)
    clipped = footprint(image(0.1, 100), target, margin_pix=3)
    assert clipped == (slice(0, 100), slice(0, 100))
    with pytest.raises(DataError, match="outside"):
        footprint(image(0.1, 50, x=200, y=0), target, margin_pix=0)


def test_galactic_images_are_understood():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    here = SkyCoord(RA, DEC, unit="deg").galactic
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [here.l.deg, here.b.deg], [11, 21], [-1e-4, 1e-4]
    np.testing.assert_allclose(position(wcs, ra=RA, dec=DEC), (10, 20), atol=1e-6)
