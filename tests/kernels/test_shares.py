import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.overlap import overlap_sums
from pxdask.kernels.shares import pixel_shares


def corners(shape, *, angle=0.0, scale=1.0, x=0.0, y=0.0):
    rows, columns = np.indices((shape[0] + 1, shape[1] + 1)) - 0.5
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return x + cos * columns - sin * rows, y + sin * columns + cos * rows


def test_half_a_pixel_each():
    # one old pixel between the second and third new ones of a row
    new, old, shared, filled = pixel_shares(*corners((1, 1), x=1.5), shape=(1, 4))
    assert new.tolist() == [1, 2]
    assert old.tolist() == [0, 0]
    assert shared == pytest.approx([0.5, 0.5])
    assert filled == pytest.approx([0.5, 0.5])


@given(st.floats(0, 6.3), st.floats(0.2, 3.0), st.floats(-3, 9), st.floats(-3, 9))
def test_sums_are_those_of_images(angle, scale, x, y):
    at = corners((5, 6), angle=angle, scale=scale, x=x, y=y)
    planes = np.random.default_rng(1).uniform(1, 2, (3, 5, 6))
    wanted = overlap_sums(*at, planes, 7, 8).reshape(5, -1)
    new, old, shared, filled = pixel_shares(*at, shape=(7, 8))
    flux, variance, weight = planes.reshape(3, -1)[:, old]
    parts = (shared * flux, shared * variance, shared**2 * variance, filled, filled * weight)
    for part, sums in zip(parts, wanted, strict=True):
        # 1e-6: areas are right to 1e-8 of a pixel, and slivers may be counted or not
        assert np.bincount(new, part, minlength=56) == pytest.approx(sums, abs=1e-6)


def test_corners_that_are_nowhere_are_left_out():
    x, y = corners((2, 2))
    x[0, 0] = np.nan
    _, old, _, _ = pixel_shares(x, y, shape=(2, 2))
    assert sorted(set(old.tolist())) == [1, 2, 3]


def test_grids_apart_share_nothing():
    assert all(a.size == 0 for a in pixel_shares(*corners((3, 3), x=50), shape=(3, 3)))
