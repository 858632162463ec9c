import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammainc, gammaincinv

from pxdask.morphology.sizes import growth_radii, half_radius


def rings(radii, *, index, half):
    """Light in rings of a Sersic profile, exact (Ciotti 1991)."""
    shape = 2 * index
    inside = gammainc(shape, gammaincinv(shape, 0.5) * (radii / half) ** (1 / index))
    return np.diff(inside, prepend=0.0)


@pytest.mark.parametrize("index", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("half", [1.0, 4.0, 30.0])
def test_sersic_profiles(index, half):
    radii = growth_radii(last=1e4 * half, pixel_scale=1.0)[:-1]
    fine = growth_radii(last=200.0, pixel_scale=1.0)
    beyond = 1 - rings(fine, index=index, half=half).sum()
    sums = np.append(rings(fine, index=index, half=half), beyond)
    found = half_radius(np.append(fine, radii[-1]), sums)
    # constant brightness between radii 7 % apart
    assert found == pytest.approx(half, rel=2e-3)


def test_by_hand():
    # half of 4 is reached after a third of the second ring's area: sqrt(1 + 3 / 3)
    assert half_radius(np.array([1.0, 2.0]), np.array([1.0, 3.0])) == pytest.approx(np.sqrt(2))
    # within the disc: half the area
    assert half_radius(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == pytest.approx(np.sqrt(0.5))


@given(
    sums=st.lists(st.floats(0.01, 10.0), min_size=2, max_size=20),
    scale=st.floats(0.1, 10.0),
    amount=st.floats(1e-3, 1e3),
)
def test_scales_with_radii_and_not_with_amounts(sums, scale, amount):
    radii = np.arange(1.0, len(sums) + 1)
    one = half_radius(radii, np.array(sums))
    other = half_radius(scale * radii, amount * np.array(sums))
    np.testing.assert_allclose(other, scale * one, rtol=1e-9)


def test_nothing_and_noise():
    radii = np.array([1.0, 2.0, 3.0])
    sums = np.array([[1.0, np.nan, 1.0], [-1.0, 0.0, 0.5], [0.0, 0.0, 0.0], [1.0, -0.1, 1.1]])
    found = half_radius(radii, sums)
    assert np.isnan(found[:3]).all()
    assert 0.9 < found[3] <= 1.0  # the first that reaches half
