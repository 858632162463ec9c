"""Binning: laws, and agreement with the oracle."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from pxdask.binning import bin_sums
from pxdask.kernels.binning import sed_similarity_bins
from tests.kernels.binning_cases import alike, bright, cubes, oracle


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


@given(cubes())
@settings(max_examples=100, deadline=None)
def test_bins_are_what_the_paper_calls_a_bin(cube):
    """Of each bin but the last some pixel is the centre of a circle that makes it.

    With what was free then: the circle is the smallest one, or one of its rings further; all of
    the smallest circle belongs; of the rest exactly the pixels of the centre's shape; a ring less
    misses a demand. This is the paper's proximity; touching is not part of it.
    """
    flux, flux_err, region, chosen = cube
    found = sed_similarity_bins(flux, flux_err, region, **chosen)
    for number in range(found.max()):
        member, free = found == number, found >= number
        assert any(
            makes_bin(flux, flux_err, tuple(seed), member, free, **chosen)
            for seed in np.argwhere(member)
        )


def makes_bin(flux, flux_err, seed, member, free, *, min_diameter, ring_width, max_chi2, **chosen):
    """Return whether a bin can have been grown from a seed."""
    y, x = np.indices(member.shape)
    distance = np.hypot(y - seed[0], x - seed[1])
    radii = min_diameter / 2 + ring_width * np.arange(2 + int(distance.max() / ring_width))
    # The last ring is at least the one of the furthest member.
    n_ring = int(np.searchsorted(radii, distance[member].max()))
    inside, least = free & (distance <= radii[n_ring]), free & (distance <= radii[0])
    similar = np.zeros_like(member)
    for other in np.argwhere(inside & ~least):
        similar[*other] = alike(flux, flux_err, seed, other, max_chi2)
    demand = {name: chosen[name] for name in ("min_snr", "noise_area")}
    before = member & (distance <= radii[n_ring - 1])
    enough = n_ring == 0 or not bright(flux, flux_err, before, **demand)
    return enough and np.array_equal(member, least | similar)


@given(cubes(), st.sampled_from([2.0**-40, 0.5, 3.7, 2.0**30]))
@settings(max_examples=50, deadline=None)
def test_units_do_not_matter(cube, factor):
    flux, flux_err, region, chosen = cube
    np.testing.assert_array_equal(
        sed_similarity_bins(flux, flux_err, region, **chosen),
        sed_similarity_bins(flux * factor, flux_err * factor, region, **chosen),
    )


@given(cubes(), st.lists(st.sampled_from([2.0**-20, 0.3, 1.0, 8.0]), min_size=4, max_size=4))
@settings(max_examples=50, deadline=None)
def test_units_of_a_band_do_not_matter(cube, factors):
    # Each term of equations 1 and 2 has a band's flux squared over its variance.
    flux, flux_err, region, chosen = cube
    factor = np.array(factors[: len(flux)])[:, None, None]
    np.testing.assert_array_equal(
        sed_similarity_bins(flux, flux_err, region, **chosen),
        sed_similarity_bins(flux * factor, flux_err * factor, region, **chosen),
    )


def layouts(values):
    """Return arrays that hold the same numbers in other ways."""
    spread = np.full([2 * n for n in values.shape], 7, dtype=values.dtype)
    spread[::2, 1::2, ::2] = values
    fixed = values.copy()
    fixed.flags.writeable = False
    return {
        "Fortran": np.asfortranarray(values),
        "bytes": values.astype(values.dtype.newbyteorder()),
        "strides": spread[::2, 1::2, ::2],
        "backwards": values[:, ::-1, ::-1].copy()[:, ::-1, ::-1],
        "read only": fixed,
    }


@given(cubes(), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=30, deadline=None)
def test_layout_does_not_matter(cube, dtype):
    flux, flux_err, region, chosen = cube
    flux, flux_err = flux.astype(dtype), flux_err.astype(dtype)
    # Single precision is kept but summed in double: nothing is lost against a converted copy.
    wanted = sed_similarity_bins(flux.astype(float), flux_err.astype(float), region, **chosen)
    mixed = sed_similarity_bins(flux.astype(float), flux_err, region, **chosen)
    np.testing.assert_array_equal(mixed, wanted)
    errors, regions = layouts(flux_err), layouts(region[None])
    for name, values in {"as it is": flux, **layouts(flux)}.items():
        where = regions.get(name, region[None])[0]
        found = sed_similarity_bins(values, errors.get(name, flux_err), where, **chosen)
        np.testing.assert_array_equal(found, wanted, err_msg=name)


@given(cubes(), st.tuples(*[st.integers(0, 70)] * 4))
@settings(max_examples=50, deadline=None)
def test_margins_do_not_matter(cube, widths):
    flux, flux_err, region, chosen = cube
    top, bottom, left, right = widths
    around = ((top, bottom), (left, right))
    wide = sed_similarity_bins(
        np.pad(flux, ((0, 0), *around), constant_values=9.0),
        np.pad(flux_err, ((0, 0), *around), constant_values=1.0),
        np.pad(region, around),
        **chosen,
    )
    found = sed_similarity_bins(flux, flux_err, region, **chosen)
    np.testing.assert_array_equal(wide, np.pad(found, around, constant_values=-1))


def turned(values, n, *, flip):
    """Return images turned by n right angles, and flipped before if wanted."""
    return np.rot90(values[..., ::-1] if flip else values, n, axes=(-2, -1))


@given(cubes(), st.integers(0, 3), st.booleans())
@settings(max_examples=100, deadline=None)
def test_orientation_does_not_matter(cube, n, flip):
    # Save where seeds are equally bright, as are all without a flux in the reference band.
    flux, flux_err, region, chosen = cube
    band = chosen["reference"]
    flux[band] = np.where(
        np.isfinite(flux[band]),
        flux[band],
        np.sin(np.arange(flux[band].size)).reshape(region.shape),
    )
    flux_err[band] = np.where(flux_err[band] > 0, flux_err[band], 1.0)
    found = sed_similarity_bins(flux, flux_err, region, **chosen)
    images = (turned(values, n, flip=flip) for values in (flux, flux_err, region))
    np.testing.assert_array_equal(
        sed_similarity_bins(*images, **chosen), turned(found, n, flip=flip)
    )


def test_orientation_does_not_matter_where_seeds_look_near_by_only():
    # A third of the pixels have no like: more seeds fail than may search the whole image, and the
    # count of their steps near by must not depend on rows and columns or on the image's edge.
    rng = np.random.default_rng(5)
    flux = rng.normal(1.0, 0.2, size=(5, 61, 83))
    odd = rng.random((61, 83)) < 0.3
    flux[:, odd] += rng.uniform(0, 9, size=(5, odd.sum()))
    error, region = np.full_like(flux, 0.5), np.ones_like(odd)
    chosen = {
        "reference": 0,
        "min_snr": 20.0,
        "min_diameter": 2.0,
        "max_chi2": 1.0,
        "ring_width": 1.0,
    }
    found = sed_similarity_bins(flux, error, region, **chosen)
    assert np.sum(found == found.max()) > 64
    assert found.max() > 2
    margins = np.pad(region, 200)
    wide = (np.pad(values, ((0, 0), (200, 200), (200, 200))) for values in (flux, error))
    np.testing.assert_array_equal(
        sed_similarity_bins(*wide, margins, **chosen)[200:-200, 200:-200], found
    )
    for n in range(1, 4):
        images = (turned(values, n, flip=True) for values in (flux, error, region))
        np.testing.assert_array_equal(
            sed_similarity_bins(*images, **chosen), turned(found, n, flip=True)
        )


@given(cubes())
@settings(max_examples=200, deadline=None)
def test_agrees_with_the_oracle(cube):
    flux, flux_err, region, chosen = cube
    np.testing.assert_array_equal(
        sed_similarity_bins(flux, flux_err, region, **chosen),
        oracle(flux, flux_err, region, **chosen),
    )
