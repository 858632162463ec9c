"""Pixels, squares and hexagons: their places, areas and numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pxdask.binning import hexagon_bins, pixel_bins, square_bins
from pxdask.binning.blocks import numbered


def test_pixels_are_numbered_by_rows():
    region = np.array([[0, 1, 1], [1, 0, 1]], dtype=bool)
    np.testing.assert_array_equal(pixel_bins(region), [[-1, 0, 1], [2, -1, 3]])


def test_squares_by_hand():
    """A box of 4 x 7 in blocks of 3: two rows of three, one pixel over at each end."""
    region = np.zeros((6, 9), dtype=bool)
    region[1:5, 1:8] = True
    rows = [[0, 0, 1, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 4, 5, 5]] * 2
    bin_map = square_bins(region, size=3.0)
    np.testing.assert_array_equal(bin_map[1:5, 1:8], rows)
    assert np.all(bin_map[~region] == -1)


def test_whole_blocks_stay_whole_wherever_the_region_is():
    region = np.zeros((23, 31), dtype=bool)
    region[3:18, 7:27] = True
    assert np.all(np.bincount(square_bins(region, size=5.0)[region]) == 25)
    assert square_bins(region, size=100.0).max() == 0


def test_hexagons_by_hand():
    """Width 3 about the middle of 7 x 7: nodes at x = -3, 0, 3 in the middle row of hexagons.

    The next rows are 2.598 away, with nodes at +-1.5 and +-4.5. Pixels at y = +-1 are at most
    sqrt(2) from the middle row and at least sqrt(0.25 + 2.55) from the next; those at +-2
    at least 2 from the middle and at most sqrt(2.25 + 0.36) from the next, and so on it goes
    for +-3. There x = -3, 0 and 3 are on edges, and go to the right.
    """
    outer, middle = [0, 0, 0, 1, 1, 1, 2], [3, 3, 4, 4, 4, 5, 5]
    expected = np.array([outer] * 2 + [middle] * 3 + [[6 + label for label in outer]] * 2)
    np.testing.assert_array_equal(hexagon_bins(np.ones((7, 7), dtype=bool), size=3.0), expected)


def nearest(shape, size):
    """Return the nearest node of the triangular lattice, by trying all."""
    y, x = np.indices(shape) - (np.array(shape)[:, None, None] - 1) / 2
    lines = np.arange(-40, 41)
    nodes = [
        (line * np.sqrt(0.75) * size, (node + 0.5 * (line % 2)) * size)
        for line in lines
        for node in range(-40, 41)
    ]
    far = np.stack([(y - a) ** 2 + (x - b) ** 2 - 1e-9 * b for a, b in nodes])
    return numbered(np.argmin(far, axis=0), np.ones(shape, dtype=bool))


@pytest.mark.parametrize("size", [1.0, 2.5, 4.0, 7.3])
def test_hexagons_hold_what_is_nearest(size):
    np.testing.assert_array_equal(
        hexagon_bins(np.ones((20, 27), dtype=bool), size=size), nearest((20, 27), size)
    )


def test_inner_hexagons_have_one_area():
    """Rounding moves each of the six sides by under half a pixel: a tenth at size 15."""
    region = np.ones((150, 150), dtype=bool)
    bin_map = hexagon_bins(region, size=15.0)
    edge = np.concatenate([bin_map[0], bin_map[-1], bin_map[:, 0], bin_map[:, -1]])
    inner = np.setdiff1d(np.arange(bin_map.max() + 1), edge)
    area = np.bincount(bin_map.ravel())[inner]
    assert len(inner) > 60
    assert np.abs(area - np.sqrt(0.75) * 15**2).max() < 0.5 * 15
    assert area.mean() == pytest.approx(np.sqrt(0.75) * 15**2, rel=0.01)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)), st.floats(1.0, 20.0))
def test_a_region_is_cut_into_all_its_pixels(region, size):
    for bin_map in (square_bins(region, size=size), hexagon_bins(region, size=size)):
        np.testing.assert_array_equal(bin_map >= 0, region)
        found, first = np.unique(bin_map[region], return_index=True)
        np.testing.assert_array_equal(found, np.arange(found.size))
        assert np.all(np.diff(first) > 0)


@given(arrays(bool, (6, 7)), st.integers(0, 4), st.integers(0, 4))
def test_what_surrounds_a_region_makes_no_difference(region, above, left):
    wide = np.pad(region, ((above, 1), (left, 2)))
    inside = (slice(above, above + 6), slice(left, left + 7))
    for make in (square_bins, hexagon_bins):
        np.testing.assert_array_equal(make(wide, size=2.5)[inside], make(region, size=2.5))
