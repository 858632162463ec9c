import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pxdask.kernels.painting import painted

MAPS = arrays(np.int32, (4, 5), elements=st.integers(-2, 6))
VALUES = arrays(np.float32, (2, 7), elements=st.floats(-9, 9, width=32) | st.just(np.nan))


def test_painted_by_hand():
    found = painted(np.array([5.0, 7.0]), np.array([[0, -1], [1, 1]]))
    np.testing.assert_array_equal(found, [[5.0, np.nan], [7.0, 7.0]])


def test_several_values_of_each_bin_by_hand():
    values = np.array([[5.0, np.nan], [1.0, 2.0]])
    found = painted(values, np.array([[0, -1, 1]]), empty=0.0)
    np.testing.assert_array_equal(found, [[[5.0, 0.0, np.nan]], [[1.0, 0.0, 2.0]]])


@given(VALUES, MAPS)
def test_each_pixel_holds_its_bin_in_the_same_precision(values, bin_map):
    found = painted(values, bin_map)
    assert found.dtype == np.float32
    for place, number in np.ndenumerate(bin_map):
        wanted = values[:, number] if number >= 0 else [np.nan, np.nan]
        np.testing.assert_array_equal(found[:, *place], wanted)


@pytest.mark.parametrize("shape", [(2, 3), (0, 3)])
def test_without_bins_all_is_empty(shape):
    found = painted(np.empty((2, 0)), np.full(shape, -1))
    np.testing.assert_array_equal(found, np.full((2, *shape), np.nan))
