import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pxdask.core.errors import DataError
from pxdask.plots.bin_maps import by_distance, mean_radius, outer_bin, require_bin
from tests.plots.galaxy import made

MAPS = arrays(np.int32, (4, 5), elements=st.integers(-1, 6))


def test_by_distance_by_hand():
    """Middles are at x = 0, 1.5, 3.5 and 6; a bin without pixels is at the origin."""
    bin_map = np.array([[0, 1, 1, 3, 3, -1, 2]])
    among = np.array([0, 1, 2, 3])
    assert by_distance(bin_map, centre=3, among=among).tolist() == [3, 1, 2, 0]
    assert by_distance(bin_map, centre=0, among=np.array([2, 4, 1])).tolist() == [4, 1, 2]
    assert by_distance(bin_map, centre=0, among=np.array([], int)).size == 0


@given(MAPS, st.integers(0, 6))
def test_distances_grow_and_no_bin_is_lost(bin_map, centre):
    among = np.arange(7)
    order = by_distance(bin_map, centre=centre, among=among)
    assert sorted(order) == among.tolist()
    middles = [np.argwhere(bin_map == i) for i in among]
    middles = [each.mean(axis=0) if len(each) else np.zeros(2) for each in middles]
    far = [np.hypot(*(middles[i] - middles[centre])) for i in order]
    assert np.all(np.diff(far) >= -1e-12)  # rounding of means
    assert far[0] == 0


@pytest.mark.parametrize(("n_bin", "wanted"), [(1, 0), (2, 1), (3, 2), (5, 3), (7, 5), (8, 5)])
def test_the_outer_bin_by_hand(n_bin, wanted):
    """Bins in a row from the central one: three quarters of the way, halves up (2: 1.5, 6: 4.5)."""
    bin_map = np.arange(n_bin)[None]
    assert outer_bin(bin_map, centre=0, among=np.arange(n_bin)) == wanted


def test_of_no_bins_the_outer_one_is_the_central_one():
    assert outer_bin(np.array([[0, 1, 2]]), centre=1, among=np.array([], int)) == 1


def test_the_mean_radius_by_hand():
    """Bin 0 has a pixel without a radius, bin 1 no pixel, bin 2 none with a radius."""
    bin_map = np.array([[0, 0, 0], [-1, 2, 3]])
    radius = np.array([[1.0, 4.0, np.nan], [9.0, np.nan, 5.0]])
    np.testing.assert_array_equal(mean_radius(bin_map, radius), [2.5, np.nan, np.nan, 5.0])


def test_a_bin_that_is_not_there_is_named():
    bins = made(one_bin=True)["bins"]
    require_bin(bins, 0)
    with pytest.raises(DataError, match="no bin 1; wanted one of 0 to 0"):
        require_bin(bins, 0, 1)
