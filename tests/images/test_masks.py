import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import DataError
from pxdask.images.masks import neighbour_mask, star_mask
from tests.images.skies import DEC, RA, grid

EMPTY = np.zeros((2, 9, 9), dtype=bool)


def test_a_star_by_hand():
    on = grid(1.0, 11)
    mask = star_mask(on.to_wcs(), on.shape, stars=[(RA, DEC, 1.1)])
    assert mask.sum() == 5  # the pixel and the four beside it
    assert mask[5, 4:7].all()
    assert mask[4:7, 5].all()


@given(angle=st.floats(-3, 3), flip=st.booleans(), east=st.floats(-15, 15))
def test_stars_are_where_they_are_on_any_pixels(angle, flip, east):
    on = grid(0.5, 101, angle=angle, flip=flip)
    ra = RA + east / 3600 / np.cos(np.radians(DEC))
    mask = star_mask(on.to_wcs(), on.shape, stars=[(ra, DEC, 5.0)])
    # Gauss's circle problem: 314 pixels, give or take some
    assert mask.sum() == pytest.approx(np.pi * 100, abs=12)
    y, x = np.nonzero(mask)
    star_x, star_y = (float(v) for v in on.to_wcs().world_to_pixel_values(ra, DEC))
    assert (x.mean(), y.mean()) == pytest.approx((star_x, star_y), abs=0.2)


def test_far_stars_and_none_mask_nothing():
    on = grid(1.0, 11)
    assert not star_mask(on.to_wcs(), on.shape, stars=[]).any()
    far = [(RA + 180, -DEC, 60.0), (RA, DEC + 1, 60.0), (RA, DEC, 1e-3)]
    # (a star smaller than a pixel masks the one whose centre it covers)
    assert star_mask(on.to_wcs(), on.shape, stars=far).sum() == 1
    # a halo that reaches in from outside
    assert star_mask(on.to_wcs(), on.shape, stars=[(RA, DEC + 1, 3601.0)])[6:].all()


@pytest.mark.parametrize(
    "star", [(np.nan, DEC, 1.0), (RA, 91.0, 1.0), (RA, DEC, -1.0), (RA, DEC, np.inf)]
)
def test_impossible_stars_are_refused(star):
    on = grid(1.0, 5)
    with pytest.raises(DataError, match=r"star number 1 .*\(1 such stars of 2\)"):
        star_mask(on.to_wcs(), on.shape, stars=[(RA, DEC, 1.0), star])


def test_bands_vote_and_a_tie_is_the_neighbour_s():
    own, others = np.zeros((3, 1, 4), dtype=bool), np.zeros((3, 1, 4), dtype=bool)
    own[:, 0, 0] = True  # the galaxy's in all
    own[:2, 0, 1], others[2, 0, 1] = True, True  # a knot in one band
    own[0, 0, 2], others[1, 0, 2] = True, True  # two bands differ, the third sees nothing
    others[0, 0, 3] = True  # a neighbour in one
    mask = neighbour_mask(own, others, growth=np.zeros(3))
    assert mask.tolist() == [[False, False, True, True]]


def test_neighbours_grow_but_not_into_the_galaxy():
    own, others = EMPTY.copy(), EMPTY.copy()
    own[0, :, :4] = True
    others[:, 4, 5] = True
    mask = neighbour_mask(own, others, growth=np.array([2.4, 0.7]))
    assert mask[4, 4:8].all()
    assert mask[2:7, 5].all()
    assert not mask[:, :4].any()
    assert mask.sum() == 12  # a disc of radius 2 has 13 pixels, one of them the galaxy's


def test_no_neighbours_no_mask():
    assert not neighbour_mask(EMPTY | True, EMPTY, growth=np.full(2, 3.0)).any()
    assert not neighbour_mask(EMPTY, EMPTY, growth=np.full(2, 3.0)).any()
