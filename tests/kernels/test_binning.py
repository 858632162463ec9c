"""Binning: cases worked by hand, laws, and a slow oracle that reads like the paper."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from pxdask.binning import bin_sums
from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.binning import sed_similarity_bins
from pxdask.kernels.noise import aperture_growth

NO_LIMIT = 1e9
"""A chi-square that every pixel passes."""


def bins(flux, flux_err=1.0, region=None, **changes):
    """Bin one row, one image or a cube, with settings that change nothing unless asked."""
    flux = np.atleast_3d(np.array(flux, dtype=float).T).T
    error = np.array(np.broadcast_to(flux_err, flux.shape), dtype=float)
    region = np.ones(flux.shape[1:], dtype=bool) if region is None else region
    chosen = {
        "reference": 0,
        "min_snr": 0.0,
        "min_diameter": 1.0,
        "max_chi2": NO_LIMIT,
        "ring_width": 1.0,
    }
    return sed_similarity_bins(flux, error, region, **{**chosen, **changes})


def square(centre, around, n=5):
    """Return an image of one value with another in the middle."""
    image = np.full((n, n), float(around))
    image[n // 2, n // 2] = centre
    return image


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


@st.composite
def cubes(draw):
    """Return flux, error, region and settings of a small, dirty cube."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_band, ny, nx = (draw(st.integers(1, n)) for n in (4, 9, 9))
    level = draw(st.sampled_from([0.0, 0.5, 3.0, 30.0]))
    kinds = rng.integers(0, 2, size=(ny, nx))
    sed = rng.uniform(0, 2, size=(2, n_band))
    flux = level * np.moveaxis(sed[kinds], -1, 0) * rng.uniform(0.5, 2, size=(ny, nx))
    flux_err = rng.uniform(0.5, 1.5, size=flux.shape)
    flux += rng.normal(size=flux.shape) * flux_err
    bad = rng.random(flux.shape) < draw(st.sampled_from([0.0, 0.2]))
    flux[bad] = rng.choice([np.nan, np.inf], size=bad.sum())
    flux_err[rng.random(flux.shape) < draw(st.sampled_from([0.0, 0.1]))] = 0.0
    region = rng.random((ny, nx)) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    return (
        flux,
        flux_err,
        region,
        {
            "reference": draw(st.integers(0, n_band - 1)),
            "min_snr": rng.choice([0.0, 2.0, 5.0], size=n_band),
            "min_diameter": draw(st.sampled_from([1.0, 2.0, 3.3])),
            "max_chi2": draw(st.sampled_from([0.5, 2.0, NO_LIMIT])),
            "ring_width": draw(st.sampled_from([0.125, 0.25, 1.0, 2.0])),
            "noise_area": rng.uniform(1, 4, size=n_band),
        },
    )


@given(cubes())
@settings(max_examples=200, deadline=None)
def test_laws_of_bins(cube):
    flux, flux_err, region, chosen = cube
    given_flux = flux.copy()
    found = sed_similarity_bins(flux, flux_err, region, **chosen)
    np.testing.assert_array_equal(flux, given_flux)
    # Every pixel of the region is in one bin, nothing outside, no number is missing.
    np.testing.assert_array_equal(found >= 0, region)
    n_bin = found.max() + 1
    assert set(np.unique(found[region])) == set(range(n_bin))
    # Flux is conserved; 1e-12 of the sum of absolute values is 1000 times double rounding.
    sums = bin_sums(flux, flux_err, found, noise_area=chosen["noise_area"])
    usable = np.isfinite(flux) & (flux_err > 0) & region
    clean = np.where(usable, flux, 0.0)
    total = np.nansum(sums.flux, axis=0) if n_bin else np.zeros(len(flux))
    scale = np.abs(clean).sum(axis=(1, 2))
    assert np.all(np.abs(total - clean.sum(axis=(1, 2))) <= 1e-12 * scale)
    # Every bin but the last meets every demand; 1e-9 allows for another order of summation.
    demand = chosen["min_snr"]
    reached = sums.flux >= demand * sums.flux_err * (1 - 1e-9)
    assert np.all((reached | (demand == 0))[:-1])


@given(cubes(), st.sampled_from([2.0**-40, 0.5, 4.0, 2.0**30]))
@settings(max_examples=50, deadline=None)
def test_units_do_not_matter(cube, factor):
    flux, flux_err, region, chosen = cube
    np.testing.assert_array_equal(
        sed_similarity_bins(flux, flux_err, region, **chosen),
        sed_similarity_bins(flux * factor, flux_err * factor, region, **chosen),
    )


@given(cubes())
@settings(max_examples=200, deadline=None)
def test_agrees_with_the_oracle(cube):
    flux, flux_err, region, chosen = cube
    np.testing.assert_array_equal(
        sed_similarity_bins(flux, flux_err, region, **chosen),
        oracle(flux, flux_err, region, **chosen),
    )


def alike(flux, flux_err, seed, other, max_chi2):
    """Return whether two pixels' SEDs have one shape."""
    good = np.isfinite(flux) & (flux_err > 0)
    both = good[:, *seed] & good[:, *other]
    if not both.any():
        return False
    a, b = flux[:, *seed][both], flux[:, *other][both]
    var = flux_err[:, *seed][both] ** 2 + flux_err[:, *other][both] ** 2
    scale = np.sum(a * b / var) / np.sum(a * a / var)
    return np.mean((b - scale * a) ** 2 / var) <= max_chi2


def bright(flux, flux_err, mask, min_snr, noise_area):
    """Return whether the sums over a mask meet every demand."""
    for band, demand in enumerate(min_snr):
        chosen = mask & np.isfinite(flux[band]) & (flux_err[band] > 0)
        n = chosen.sum()
        error = np.sqrt(np.sum(flux_err[band][chosen] ** 2) * aperture_growth(n, noise_area[band]))
        if demand > 0 and (n == 0 or flux[band][chosen].sum() < demand * error):
            return False
    return True


def oracle(flux, flux_err, region, *, reference, ring_width, min_diameter, max_chi2, **demand):
    """Bin by whole-image scans, written from the paper and the rule for failed seeds."""
    y, x = np.indices(region.shape)
    bin_map = np.full(region.shape, -1)
    free, seeds, n_bin = region.copy(), region.copy(), 0
    good = np.isfinite(flux[reference]) & (flux_err[reference] > 0)
    brightness = np.where(good, flux[reference], -np.inf)
    while (free & seeds).any():
        seed = tuple(np.argwhere(free & seeds)[np.argmax(brightness[free & seeds])])
        distance = np.hypot(y - seed[0], x - seed[1])
        radius = min_diameter / 2
        mask = free & (distance <= radius)
        while not bright(flux, flux_err, mask, **demand) and radius < distance.max():
            ring = free & (distance > radius) & (distance <= radius + ring_width)
            for other in np.argwhere(ring):
                mask[*other] = alike(flux, flux_err, seed, other, max_chi2)
            radius += ring_width
        if bright(flux, flux_err, mask, **demand):
            bin_map[mask] = n_bin
            n_bin += 1
            free &= ~mask
        else:
            seeds[seed] = False
            for other in np.argwhere(mask & (distance <= 2 * min_diameter)):
                seeds[*other] &= not alike(flux, flux_err, seed, other, max_chi2)
    bin_map[free] = n_bin
    return bin_map
