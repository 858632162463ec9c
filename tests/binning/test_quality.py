"""Figures of the quality of bins."""

import time
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.binning.quality import BinQuality, bin_quality
from pxdask.binning.sums import bin_sums
from pxdask.core.errors import DataError
from pxdask.core.schema import BINS


def quality(flux, flux_err, bin_map, *, min_snr=5.0, **kwargs):
    bin_map = np.asarray(bin_map, dtype=np.int32)
    sums = bin_sums(flux, flux_err, bin_map, **kwargs)
    return bin_quality(flux, flux_err, bin_map, sums, min_snr=min_snr)


def flat(bin_map, values=(1.0, 1.0)):
    shape = np.shape(bin_map)
    flux = np.array(values)[:, None, None] * np.ones(shape)
    return flux, np.ones_like(flux)


def test_names_and_types_are_those_of_the_schema():
    bin_map = [[0, 0], [1, -1]]
    found = quality(*flat(bin_map), bin_map)
    for field in fields(BinQuality):
        assert getattr(found, field.name).dtype == BINS.variables[field.name].dtype


def test_snr_and_limiting_band_by_hand():
    bin_map = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    flux, error = flat(bin_map, (6.0, 4.0, 1.0))
    flux[0, :, 2:] = 2.0
    # S/N 4 f / sqrt(4): bin 0 has 12, 8, 2; bin 1 has 4, 8, 2.
    found = quality(flux, error, bin_map, min_snr=[10.0, 6.0, 0.0])
    np.testing.assert_allclose(found.snr, [[12, 8, 2], [4, 8, 2]], rtol=1e-14)
    np.testing.assert_array_equal(found.limiting_band, [0, 0])  # 1.2 < 1.33, 0.4 < 1.33
    found = quality(flux, error, bin_map, min_snr=[10.0, 8.0, np.nan])
    np.testing.assert_array_equal(found.limiting_band, [1, 0])
    found = quality(flux, error, bin_map, min_snr=[12.0, 8.0, 2.0])
    assert found.limiting_band[0] == 0  # all equal: the first


def test_no_demand_limits_nothing_and_no_data_limits_most():
    bin_map = np.array([[0, 1]])
    flux, error = flat(bin_map, (5.0, -50.0, 7.0))
    flux[2, 0, 0] = np.nan
    assert set(quality(flux, error, bin_map, min_snr=0.0).limiting_band) == {-1}
    found = quality(flux, error, bin_map)
    np.testing.assert_array_equal(found.limiting_band, [2, 1])
    assert np.isnan(found.snr[0, 2])


def test_compactness_of_known_shapes():
    # A square of side L: <r^2> + 1/6 = L^2 / 6, so 6 / (2 pi). A line of n pixels: n over
    # 2 pi (n^2 / 12 + 1 / 12).
    bin_map = np.full((6, 14), -1)
    bin_map[:6, :6] = 0
    bin_map[0, 7:14] = 1
    bin_map[3, 9] = 3
    found = quality(*flat(bin_map), bin_map).compactness
    line = 7 / (2 * np.pi * (49 / 12 + 1 / 12))
    np.testing.assert_allclose(found, [3 / np.pi, line, np.nan, 3 / np.pi], rtol=1e-13)
    y, x = np.indices((101, 101)) - 50
    disc = np.where(x**2 + y**2 <= 48**2, 0, -1)
    # A disc of pixels has a rough edge: 1 to a part in the square of its radius.
    assert quality(*flat(disc), disc).compactness[0] == pytest.approx(1.0, abs=1e-3)


def test_pieces_are_counted():
    bin_map = [[0, -1, 0], [1, -1, -1], [-1, 1, 0]]
    np.testing.assert_array_equal(quality(*flat(bin_map), bin_map).n_pieces, [3, 1])


def test_shapes_by_hand():
    # Two pixels (3, 1) and (1, 3), errors 1: the mean is (2, 2), the scales 1, the residuals
    # all 1: chi2 4 over (2 - 1)(2 - 1).
    flux = np.array([[[3.0, 1.0]], [[1.0, 3.0]]])
    assert quality(flux, np.ones_like(flux), [[0, 0]]).sed_chi2[0] == pytest.approx(4.0)
    # One pixel, or one band: nothing to compare.
    assert np.isnan(quality(flux, np.ones_like(flux), [[0, 1]]).sed_chi2).all()
    assert np.isnan(quality(flux[:1], np.ones((1, 1, 2)), [[0, 0]]).sed_chi2).all()


@pytest.mark.statistical
def test_noise_alone_gives_a_chi2_of_one():
    # 400 bins of 25 pixels in 6 bands: the mean of 400 has a scatter of
    # sqrt(2 / (24 x 5 x 400)) = 0.0065; 4 of them are allowed.
    rng = np.random.default_rng(3)
    bin_map = np.arange(100)[:, None] // 5 * 20 + np.arange(100) // 5
    light = rng.uniform(20, 60, bin_map.shape)
    flux = rng.uniform(1, 3, 6)[:, None, None] * light
    error = np.full_like(flux, 2.0)
    noisy = flux + rng.normal(0, 2, flux.shape)
    noisy[2, ::7, ::3] = np.nan
    assert quality(noisy, error, bin_map).sed_chi2.mean() == pytest.approx(1.0, abs=0.026)
    # Two populations in a bin are seen.
    noisy[0, ::2] *= 1.5
    assert quality(noisy, error, bin_map).sed_chi2.min() > 5


@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_scale_and_layout_make_no_difference(seed, factor):
    rng = np.random.default_rng(seed)
    bin_map = rng.integers(-1, 4, (6, 7)).astype(np.int32)
    flux, error = rng.normal(3, 1, (3, 6, 7)), rng.uniform(0.5, 1, (3, 6, 7))
    found = quality(flux, error, bin_map)
    scaled = quality(flux * factor, error * factor, bin_map)
    turned = quality(
        np.asfortranarray(flux.transpose(0, 2, 1)), error.transpose(0, 2, 1), bin_map.T
    )
    for field in fields(BinQuality):
        for other in (scaled, turned):
            # Sums in another order, and of scaled numbers: rounding of at most 42 terms.
            np.testing.assert_allclose(
                getattr(other, field.name), getattr(found, field.name), rtol=1e-9, atol=1e-12
            )


def test_no_bins_at_all_and_empty_ones():
    bin_map = [[-1, -1]]
    found = quality(*flat(bin_map), bin_map)
    assert found.snr.shape == (0, 2)
    assert all(len(getattr(found, field.name)) == 0 for field in fields(BinQuality))


def test_sums_of_another_map_are_refused():
    bin_map = np.array([[0, 1]], dtype=np.int32)
    flux, error = flat(bin_map)
    sums = bin_sums(flux, error, np.array([[0, 0]]))
    with pytest.raises(DataError, match="wanted the sums of this map"):
        bin_quality(flux, error, bin_map, sums, min_snr=5.0)


def test_many_bins_take_no_longer_than_few():
    rng = np.random.default_rng(1)
    y, x = np.indices((600, 600))
    flux = rng.uniform(1, 2, (12, 600, 600))
    error = np.full_like(flux, 0.1)
    seconds = {}
    for side in (4, 100):
        bin_map = (y // side * (600 // side) + x // side).astype(np.int32)
        sums = bin_sums(flux, error, bin_map)
        times = []
        for _ in range(3):
            start = time.process_time()
            bin_quality(flux, error, bin_map, sums, min_snr=5.0)
            times.append(time.process_time() - start)
        seconds[side] = min(times)
    # Measured 0.05 s for 22,500 bins; a loop over bins takes some 20 s.
    assert seconds[4] < 10 * seconds[100]
    assert seconds[4] < 1.0
