import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.overlap import overlap_area, overlap_sums


def corners(*pairs):
    return tuple(np.array(values, dtype=float) for values in zip(*pairs, strict=True))


def test_areas_by_hand():
    def area(*pairs):
        return overlap_area(*corners(*pairs), 0.0, 0.0)

    # clockwise is positive
    assert area((0, 0), (0, 1), (1, 1), (1, 0)) == pytest.approx(1.0)
    assert area((0, 0), (1, 0), (1, 1), (0, 1)) == pytest.approx(-1.0)
    assert area((0.5, 0.5), (0.5, 3), (3, 3), (3, 0.5)) == pytest.approx(0.25)
    assert area((-5, -5), (-5, 5), (5, 5), (5, -5)) == pytest.approx(1.0)
    assert area((2, 2), (2, 3), (3, 3), (3, 2)) == 0.0
    # a diamond about a corner: a triangle with legs of 1/2
    assert area((-0.5, 0), (0, 0.5), (0.5, 0), (0, -0.5)) == pytest.approx(0.125)
    # a diamond about the middle that cuts each corner off: 1 - 4 (1/4)^2 / 2
    assert area((-0.25, 0.5), (0.5, 1.25), (1.25, 0.5), (0.5, -0.25)) == pytest.approx(0.875)
    assert area((0, 0), (0, 1), (1, 0)) == pytest.approx(0.5)


@given(st.floats(0, 6.28), st.floats(0.05, 4), st.floats(-3, 3), st.floats(-3, 3))
def test_areas_over_all_squares_add_up(angle, side, x, y):
    turn = np.exp(1j * (angle + 0.5 * np.pi * np.arange(4))) * side / np.sqrt(2)
    at_x, at_y = x + turn.real, y + turn.imag
    n = 8
    total = sum(
        overlap_area(at_x, at_y, float(i), float(j)) for i in range(-n, n) for j in range(-n, n)
    )
    assert total == pytest.approx(-(side**2), abs=1e-7)  # 1e-8 of each of the squares touched


def lattice(ny, nx, *, scale=1.0, x=-0.5, y=-0.5):
    return tuple(np.meshgrid(x + scale * np.arange(nx + 1), y + scale * np.arange(ny + 1)))


def test_sums_by_hand():
    # one old pixel of side 2 whose corner is in the middle of new pixel (1, 1)
    planes = np.array([[[8.0]], [[16.0]], [[0.5]]])
    sums = overlap_sums(*lattice(1, 1, scale=2.0, x=1.0, y=1.0), planes, 5, 5)
    shares = np.zeros((5, 5))
    shares[1:4, 1:4] = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]) / 4
    expected = (8 * shares, 16 * shares, 16 * shares**2, 4 * shares, 2 * shares)
    np.testing.assert_allclose(sums, expected, atol=1e-12)


@given(st.floats(0.3, 3), st.booleans(), st.integers(0, 1000))
def test_flux_is_shared_out_whole(scale, mirrored, seed):
    rng = np.random.default_rng(seed)
    x, y = lattice(5, 7, scale=scale, x=3.0, y=4.0)
    x, y = x + 0.1 * scale * rng.random(x.shape), y + 0.1 * scale * rng.random(x.shape)
    if mirrored:
        x = 27.0 - x
    planes = rng.random((3, 5, 7))
    sums = overlap_sums(x, y, planes, 30, 30)
    assert sums[0].sum() == pytest.approx(planes[0].sum(), rel=1e-6)
    assert sums[1].sum() == pytest.approx(planes[1].sum(), rel=1e-6)
    assert np.all(sums[3] < 1 + 1e-6)


def test_missing_pixels_and_places_are_left_out():
    x, y = lattice(3, 3)
    planes = np.ones((3, 3, 3))
    for plane in range(3):
        planes[plane, plane, 0] = np.nan
    x[3, 3] = np.inf
    sums = overlap_sums(x, y, planes, 4, 2)
    expected = np.zeros((4, 2))
    expected[:3, 1] = 1
    np.testing.assert_allclose(sums[0], expected)
    assert np.all(np.isfinite(sums))
    assert not np.any(overlap_sums(x + 100, y, planes, 4, 2))
