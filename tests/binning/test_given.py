"""A user's map: renumbered, cut to the region, refused where it cannot be one."""

import numpy as np
import pytest

from pxdask.binning import given_bins
from pxdask.core.errors import DataError

REGION = np.array([[1, 1, 1], [1, 1, 0]], dtype=bool)


def test_by_hand(caplog):
    given = np.array([[7, 0, 3], [-1, 3, 9]])
    with caplog.at_level("INFO"):
        np.testing.assert_array_equal(given_bins(given, REGION), [[1, -1, 0], [-1, 0, -1]])
    assert "2 of the region's 5 pixels have no bin; 1 pixels" in caplog.text


def test_a_whole_map_is_not_worth_a_word(caplog):
    with caplog.at_level("INFO"):
        np.testing.assert_array_equal(given_bins(REGION * 4, REGION), np.where(REGION, 0, -1))
    assert not caplog.text


@pytest.mark.parametrize("dtype", ["f4", ">f8", "i2", ">i4", "u1"])
def test_numbers_of_any_kind(dtype):
    given = np.array([[2, 1, 1], [2, 1, 0]]).astype(dtype)
    np.testing.assert_array_equal(given_bins(given, REGION), [[1, 0, 0], [1, 0, -1]])


def test_nan_is_no_bin():
    given = np.array([[np.nan, 1, 2], [np.nan, 1, np.nan]])
    np.testing.assert_array_equal(given_bins(given, REGION), [[-1, 0, 1], [-1, 0, -1]])


def test_faults_say_what_was_found():
    with pytest.raises(DataError, match=r"\(3, 2\), the images are \(2, 3\)"):
        given_bins(np.ones((3, 2)), REGION)
    with pytest.raises(DataError, match=r"1 pixels such as 1\.5"):
        given_bins(np.array([[1.5, 1, 1], [1, 1, 1]]), REGION)
    with pytest.raises(DataError, match="pixels such as inf"):
        given_bins(np.array([[np.inf, 1, 1], [1, 1, 1]]), REGION)
    with pytest.raises(DataError, match=r"no number in any of the 5 pixels.*1 outside"):
        given_bins(np.where(REGION, 0, 1), REGION)
