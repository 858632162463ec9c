"""Binning: every rule in cases worked by hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.binning import binning_bytes
from pxdask.kernels.noise import aperture_growth
from tests.kernels.binning_cases import bins, square


@pytest.mark.parametrize(
    ("ring_width", "demand", "squared_radius"),
    [
        *((1, 2.0, 0), (1, 2.01, 2), (1, 3.33, 2), (1, 3.34, 5), (1, 4.80, 5), (1, 4.81, 8)),
        *((2, 2.0, 0), (2, 2.01, 5), (2, 4.80, 5), (2, 4.81, 8)),
    ],
)
def test_rings_by_hand(ring_width, demand, squared_radius):
    # Seed 2, others 1, errors 1; the disc of radius 0.5 is the seed: 2/1. Rings of 1 end at 1.5
    # with 9 pixels, 10/3; at 2.5 with 21, 22/sqrt 21 = 4.801; at 3.5 with 25, 26/5. Rings of 2 go
    # from 0.5 to 2.5 and 4.5.
    y, x = np.indices((5, 5)) - 2
    found = bins(square(2, 1), min_snr=demand, ring_width=ring_width)
    np.testing.assert_array_equal(found == 0, y**2 + x**2 <= squared_radius)


def test_growth_by_hand():
    # Centre 2, others 1, errors 1, S/N 2.5. Centre: 2/1, then with its 8 neighbours 10/3: bin 0.
    # Ties of 1 start at the top left: 3/sqrt 3, 5/sqrt 5, then 7/sqrt 7 = 2.65: bin 1. Top right:
    # 4 down to row 3 are 2.0, with (4,4), (4,3), (4,2) at distance <= 4.5 again 7: bin 2.
    # What is left has 2/sqrt 2 and is the last bin.
    wanted = [
        [1, 1, 1, 1, 2],
        [1, 0, 0, 0, 2],
        [1, 0, 0, 0, 2],
        [1, 0, 0, 0, 2],
        [3, 3, 2, 2, 2],
    ]
    np.testing.assert_array_equal(bins(square(2, 1), min_snr=2.5), wanted)


def test_smallest_diameter_and_ties_by_hand():
    # Every pixel is bright enough alone; discs of radius 1.5 are 3 x 3 blocks less what is taken,
    # seeds follow row-major order.
    wanted = [
        [1, 1, 2, 2, 3],
        [1, 0, 0, 0, 3],
        [4, 0, 0, 0, 5],
        [4, 0, 0, 0, 5],
        [6, 6, 7, 7, 8],
    ]
    found = bins(square(200, 100), min_snr=5.0, min_diameter=3.0)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("max_chi2", "n_first"), [(0.5, 25), (0.499, 24)])
def test_similarity_by_hand(max_chi2, n_first):
    # Seed (4, 4), others (3, 1), errors 1: weights 1/2, scale 16/32, residuals (1, -1), so
    # chi2 = 2/2 over 2 bands is 0.5. Below that the seed finds no company and is passed over; the
    # next finds 23 with its own shape: 72/sqrt 24 = 14.7, and the odd one is left.
    cube = np.stack([square(4, 3), square(4, 1)])
    found = bins(cube, min_snr=(12.0, 0.0), max_chi2=max_chi2, ring_width=10.0)
    assert np.sum(found == 0) == n_first
    assert (found[2, 2] == 0) == (n_first == 25)
    assert found.max() == (0 if n_first == 25 else 1)


@pytest.mark.parametrize(("max_chi2", "others"), [(0.2, 1), (0.22, 0)])
def test_shape_counts_and_scale_does_not_by_hand(max_chi2, others):
    # Seed (40, 20) +- 4; the left three columns (4, 2) +- 1 are a tenth of it: chi2 = 0. The
    # right two, (2, 4) +- 1, have scale (80 + 80) / 2000 = 0.08, residuals (-1.2, 2.4), chi2 =
    # 7.2/17, over 2 bands 0.2118. Seed alone 40/4 = 10; with 14 on the left 96/sqrt 30 = 17.5;
    # the right side's 20/sqrt 10 is the last bin.
    cube = np.stack([np.full((5, 5), 4.0), np.full((5, 5), 2.0)])
    cube[:, :, 3:] = cube[::-1, :, 3:]
    cube[:, 2, 2] = 40.0, 20.0
    error = np.stack([square(4, 1)] * 2)
    found = bins(cube, error, min_snr=(15.0, 0.0), max_chi2=max_chi2, ring_width=10.0)
    np.testing.assert_array_equal(found, np.tile([0, 0, 0, others, others], (5, 1)))


def test_systematic_error_by_hand():
    # Adding 20 % of flux: variances 2 + 0.04 (9 + 16) = 3 and 2 + 0.04 (1 + 16) = 2.68; scale
    # (4 + 4/2.68) / (16/3 + 16/2.68) = 0.48592; residuals 1.05634 and -0.94366; chi2 = 0.37195 +
    # 0.33228 = 0.70423, over 2 bands 0.35211.
    cube = np.stack([square(4, 3), square(4, 1)])
    for limit, wanted in ((0.3522, 25), (0.3521, 24)):
        found = bins(cube, min_snr=(12.0, 0), max_chi2=limit, ring_width=10.0, systematic_error=0.2)
        assert np.sum(found == 0) == wanted


@pytest.mark.parametrize(
    ("demand", "n_first"), [((5.0, 2.9), 9), ((5.0, 0.0), 1), ((5.0, np.nan), 1), ((5.0, 3.1), 21)]
)
def test_each_band_has_its_own_demand(demand, n_first):
    # Band 1 has 9/3 in the first 3 x 3 block; the next ring to radius 2.5 takes all but the
    # corners: 21/sqrt 21 = 4.6.
    cube = np.stack([square(10.5, 10), np.ones((5, 5))])
    found = bins(cube, min_snr=demand)
    assert np.sum(found == 0) == n_first


def test_negative_flux_counts_as_it_is():
    # (5 - 3) / sqrt 2 = 1.41 misses 2, with the third pixel 4 / sqrt 3 = 2.31 reaches it.
    found = bins([[5.0, -3.0, 2.0]], min_snr=2.0, min_diameter=2.0)
    np.testing.assert_array_equal(found, [[0, 0, 0]])


def test_negative_ring_by_hand():
    # The 3 x 3 block has 5 - 8 = -3; to radius 2.5 come 12 of 2: 21/sqrt 21 = 4.58. Without its
    # negative pixels the block would have 5/1 and end there. The corners have 8/2 and are last.
    image = np.full((5, 5), 2.0)
    image[1:4, 1:4] = square(5, -1, n=3)
    wanted = [
        [1, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 1],
    ]
    np.testing.assert_array_equal(bins(image, min_snr=4.1, min_diameter=3.0), wanted)


@pytest.mark.parametrize(
    ("demand", "min_diameter", "wanted"),
    [
        # 5/1 in the block: NaNs join by nearness and add nothing, neither flux nor error.
        (5.0, 3.0, ["11111", "10001", "10001", "10001", "11111"]),
        # The next ring: (5 + 24)/sqrt 13 = 8.04.
        (8.0, 3.0, ["10001", "00000", "00000", "00000", "10001"]),
        # Outside the smallest diameter NaNs have no shape and are left.
        (8.0, 1.0, ["10001", "01110", "01010", "01110", "10001"]),
    ],
)
def test_nan_ring_by_hand(demand, min_diameter, wanted):
    image = np.full((5, 5), 2.0)
    image[1:4, 1:4] = square(5, np.nan, n=3)
    found = bins(image, min_snr=demand, min_diameter=min_diameter)
    np.testing.assert_array_equal(found == 0, np.array([list(row) for row in wanted]) == "0")


@pytest.mark.parametrize(("demand", "n_first"), [(4.69, 21), (4.70, 25)])
def test_one_band_of_one_pixel_masked_by_hand(demand, n_first):
    # To radius 2.5 band 0 has 22/sqrt 21 = 4.801, band 1 without (0, 2) 21/sqrt 20 = 4.696; with
    # the corners 25/sqrt 24 = 5.10. The pixel is in the bin all the same: band 0 has its shape.
    cube = np.stack([square(2, 1)] * 2)
    cube[1, 0, 2] = np.nan
    found = bins(cube, min_snr=(4.80, demand))
    assert np.sum(found == 0) == n_first
    assert found[0, 2] == 0


@pytest.mark.parametrize(
    ("value", "error"),
    [(np.nan, 1), (np.inf, 1), (-np.inf, 1), (9, np.nan), (9, np.inf), (9, 0), (9, -1)],
)
def test_unusable_values_are_left_out(value, error):
    # The second pixel joins by nearness and adds nothing: 5/1 passes; 2/1 passes alone. It is
    # not the seed, although 9 would be the brightest.
    found = bins([[5.0, value, 2.0]], [[[1.0, error, 1.0]]], min_snr=2.0, min_diameter=2.0)
    np.testing.assert_array_equal(found, [[0, 0, 1]])


def test_unusable_band_is_left_out_of_similarity():
    # Two of three bands usable: reduced chi-square 0.5 as in the two-band case, whatever band 2 is.
    cube = np.stack([square(4, 3), square(4, 1), square(4, np.nan)])
    for limit, wanted in ((0.5, 25), (0.499, 24)):
        found = bins(cube, min_snr=(12.0, 0, 0), max_chi2=limit, ring_width=10.0)
        assert np.sum(found == 0) == wanted


def test_masked_band_without_demand_changes_nothing():
    image = square(2, 1)
    cube = np.stack([image, np.full_like(image, np.nan)])
    np.testing.assert_array_equal(bins(cube, min_snr=(2.5, 0)), bins(image, min_snr=2.5))
    assert np.all(bins(cube, min_snr=(2.5, 1.0)) == 0)


def test_pixels_without_any_flux_are_binned_last():
    found = bins([[np.nan, 1.0, 3.0]], min_snr=0.0)
    np.testing.assert_array_equal(found, [[2, 1, 0]])
    np.testing.assert_array_equal(bins([[np.nan, np.nan]], min_snr=1.0), [[0, 0]])


def test_leftovers_are_one_bin_by_hand():
    # Two rows of 5 are bins of one pixel each; 13 pixels of 0.1 and two of NaN, in two pieces
    # round the third row's 5, have 1.3/sqrt 13 = 0.36 together and are the last bin.
    image = np.full((5, 5), 0.1)
    image[:2], image[2], image[3:, 4] = 5.0, 5.0, np.nan
    image[1, :3] = 0.1
    wanted = [
        [0, 1, 2, 3, 4],
        [12, 12, 12, 5, 6],
        [7, 8, 9, 10, 11],
        [12, 12, 12, 12, 12],
        [12, 12, 12, 12, 12],
    ]
    np.testing.assert_array_equal(bins(image, min_snr=4.0), wanted)


@pytest.mark.parametrize("value", [1.0, 0.0, np.nan])
@pytest.mark.parametrize("n", [5, 60])
def test_ties_are_taken_row_by_row(value, n):
    # Zero and minus zero are equal, and so are all pixels without a flux.
    image = np.full((n, n), value)
    image[::2] *= -1.0 if value == 0 else 1.0
    np.testing.assert_array_equal(bins(image), np.arange(n * n).reshape(n, n))


def test_stopping_at_the_total_gives_up_more():
    # 2.5/1, 5/sqrt 2 and 7.5/sqrt 3 = 4.3: the third ring reaches 4, but the total is negative.
    row = [[2.5, 2.5, 2.5, -20.0]]
    np.testing.assert_array_equal(bins(row, min_snr=4.0), [[0, 0, 0, 1]])
    np.testing.assert_array_equal(bins(row, min_snr=4.0, stop_at_total=True), [[0, 0, 0, 0]])


def test_correlated_noise_by_hand():
    # Growth of 9 pixels at area 2, a side of 3: 1.41421 - 2 / (3 pi) + 1 / 18 = 1.25756, squared
    # 1.58146: 9 / sqrt(9 * 1.58146) = 2.3856.
    np.testing.assert_allclose(aperture_growth([0, 1, 9], 2.0), [1, 1, 1.58146], rtol=2e-5)
    np.testing.assert_array_equal(aperture_growth(7, [1.0, 0.3, np.nan]), 1.0)
    image = np.ones((5, 5))
    image[2, 2] = 1.0 + 1e-9
    for demand, n_first in ((2.38, 9), (2.39, 21)):
        found = bins(image, min_snr=demand, noise_area=2.0)
        assert np.sum(found == 0) == n_first


def test_empty_region_and_thin_rings():
    assert np.all(bins(np.ones((3, 3)), region=np.zeros((3, 3), dtype=bool)) == -1)
    # Squared distances are whole numbers: rings of 0.01 and of 1e-9 pixel hold the same pixels.
    image = np.random.default_rng(1).normal(3, 1, (9, 9))
    thin = bins(image, min_snr=9.0, ring_width=1e-9)
    np.testing.assert_array_equal(thin, bins(image, min_snr=9.0, ring_width=0.01))


@pytest.mark.parametrize("demand", [1e300, np.inf])
def test_demand_out_of_reach_gives_one_bin(demand):
    assert np.all(bins(square(2, 1), min_snr=demand) == 0)


@pytest.mark.parametrize(
    "fault",
    [
        {"reference": 1},
        {"reference": -1},
        {"min_diameter": 0.0},
        {"max_chi2": np.nan},
        {"ring_width": np.inf},
        {"systematic_error": -0.1},
    ],
)
def test_bad_settings_are_named(fault):
    with pytest.raises(ConfigError, match=next(iter(fault))):
        bins(square(2, 1), **fault)


def test_shapes_must_agree():
    with pytest.raises(DataError, match="do not agree"):
        bins(square(2, 1), region=np.ones((5, 4), dtype=bool))


def test_many_failed_seeds_do_not_spoil_the_rest():
    # 70 bright pixels of S/N 18 at most, each of its own colour, find no company for 20. After 64
    # such failures seeds look near by only, which is enough for the others: 100 of S/N 2 each.
    rng = np.random.default_rng(3)
    cube = np.ones((6, 40, 47))
    odd = np.zeros((40, 47), dtype=bool)
    odd.flat[rng.choice(odd.size, 70, replace=False)] = True
    cube[:, odd] = rng.uniform(0, 9, size=(6, 70))
    cube[0, odd], cube[1, odd] = 9, 0  # no flat SED can come near: reduced chi2 above 1/3
    found = bins(cube, 0.5, min_snr=20.0, max_chi2=0.1, ring_width=3.0)
    assert np.all(found[odd] == found.max())
    sizes = np.bincount(found[~odd])
    assert np.all(sizes[:-1] >= 100)
    assert sizes[:-1].sum() > 0.8 * sizes.sum()


def test_all_colours_different_ends_soon():
    # The worst case for the search: no two pixels alike, so nearly every seed fails.
    rng = np.random.default_rng(2)
    cube = np.exp(2 * rng.normal(size=(4, 60, 60)))
    found = bins(cube, 0.05, min_snr=1e5, max_chi2=1e-3)
    assert np.all(found == 0)
    found = bins(cube, 0.05, min_snr=200.0, max_chi2=1e-3, min_diameter=3.0)
    assert found.min() == 0


def test_memory_by_hand():
    # Ten pixels: 2 bands of flux and error in 8 bytes and 64 more, 960; twenty of the image, 480.
    assert binning_bytes(10, 2, (4, 5)) == 1440
    assert binning_bytes(10, 2, (4, 5), itemsize=4) == 1280


MEASURE = """
import re
from pathlib import Path
import numpy as np
from pxdask.kernels.binning import binning_bytes, sed_similarity_bins
settings = dict(reference=0, min_diameter=4.0, max_chi2=4.0, ring_width=2.0)
def peak():  # of this program: getrusage would count the one that started it
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
def measure(n):
    flux = np.random.default_rng(1).normal(10, 3, (12, n, n))
    error, region = np.full_like(flux, 3.0), np.ones((n, n), dtype=bool)
    before = peak()
    sed_similarity_bins(flux, error, region, min_snr=np.full(12, 10.0), **settings)
    return peak() - before
measure(9)
print(measure(800) / binning_bytes(800**2, 12, (800, 800)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_is_within_the_estimate():
    # The SEDs alone are 0.69 of the estimate; what the start of the process had freed hides some.
    for _ in range(2):  # the first may compile, which takes memory of its own
        answer = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, check=True)
    assert 0.4 < float(answer.stdout) < 1.0
