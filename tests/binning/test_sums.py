"""Summed SEDs of bins."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from pxdask.binning import bin_sums
from pxdask.core.errors import DataError


def test_sums_by_hand():
    flux = np.array([[[1.0, 2.0, 4.0], [-8.0, 16.0, 32.0]], [[1.0, np.nan, 1.0], [1.0, 1.0, 1.0]]])
    flux_err = np.array([[[3.0, 4.0, 1.0], [1.0, 0.0, 1.0]], [[1.0, 1.0, np.inf], [2.0, 1.0, 1.0]]])
    bin_map = np.array([[0, 0, 1], [0, 0, -1]])
    flags = np.zeros(flux.shape, dtype=np.uint16)
    flags[0, 0, 0], flags[0, 0, 1], flags[0, 1, 2] = 1, 4, 2
    sums = bin_sums(flux, flux_err, bin_map, flags=flags, noise_area=(1.0, 3.0))
    # Bin 0, band 0: 1 + 2 - 8 and sqrt(9 + 16 + 1), 16 left out; band 1: three of 1 with
    # variance 1 + 4 + 1 grown by 1.62692, of three pixels at area 3: sqrt(3) erf(sqrt(pi))
    # - 3 / (pi sqrt(3)) 0.95679 + 0.95679 / (6 sqrt(3)), squared. Bin 1, band 1: nothing left.
    np.testing.assert_allclose(sums.flux, [[-5.0, 3.0], [4.0, np.nan]], rtol=1e-15)
    np.testing.assert_allclose(
        sums.flux_err, [[np.sqrt(26), np.sqrt(6 * 1.62692)], [1.0, np.nan]], rtol=1e-5
    )
    np.testing.assert_array_equal(sums.n_usable, [[3, 3], [1, 0]])
    np.testing.assert_array_equal(sums.n_pix, [4, 1])
    np.testing.assert_array_equal(sums.flags, [[5, 0], [0, 0]])


def test_no_bins_and_empty_bins():
    one = np.ones((2, 1, 3))
    none = bin_sums(one, one, np.full((1, 3), -1))
    assert none.flux.shape == none.flux_err.shape == none.flags.shape == (0, 2)
    gap = bin_sums(one, one, np.array([[0, 2, 2]]))
    np.testing.assert_array_equal(gap.n_pix, [1, 0, 2])
    np.testing.assert_array_equal(gap.flux[:, 0], [1, np.nan, 2])


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_merging_bins_adds_fluxes_and_variances(seed, n_bin):
    rng = np.random.default_rng(seed)
    flux, flux_err = rng.normal(size=(3, 7, 5)), rng.uniform(0.1, 1, size=(3, 7, 5))
    bin_map = rng.integers(-1, n_bin, size=(7, 5))
    fine = bin_sums(flux, flux_err, bin_map)
    coarse = bin_sums(flux, flux_err, np.minimum(bin_map, 0))
    if len(coarse.flux):  # 1e-12: other orders of at most 35 additions of order 1
        np.testing.assert_allclose(np.nansum(fine.flux, 0), coarse.flux[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            np.nansum(fine.flux_err**2, 0), coarse.flux_err[0] ** 2, rtol=1e-12
        )
    assert fine.n_pix.sum() == np.sum(bin_map >= 0)


def test_shapes_must_agree():
    one = np.ones((2, 3, 3))
    with pytest.raises(DataError, match="do not agree"):
        bin_sums(one, one, np.zeros((3, 2), dtype=int))
    with pytest.raises(DataError, match="flags"):
        bin_sums(one, one, np.zeros((3, 3), dtype=int), flags=np.zeros((1, 3, 3), dtype=np.uint16))
