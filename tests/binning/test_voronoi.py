"""Voronoi bins: about one S/N, larger in correlated noise, whatever is thrown at them."""

import sys

import numpy as np
import pytest

from pxdask.binning import bin_sums, voronoi_bins
from pxdask.core.errors import ConfigError

pytest.importorskip("powerbin", reason="the extra voronoi is not installed")


def disc(side=60, *, n_band=1, seed=1):
    """Return flux, errors and region of an exponential disc with noise 1."""
    y, x = np.indices((side, side)) - (side - 1) / 2
    light = 20 * np.exp(-np.hypot(y, x) / (side / 8))
    flux = light + np.random.default_rng(seed).normal(size=(n_band, side, side))
    return flux, np.ones_like(flux), light > 0.3


def snr_of(bin_map, flux, flux_err, **noise):
    sums = bin_sums(flux, flux_err, bin_map, **noise)
    return sums.flux / sums.flux_err, sums.n_pix


def test_snr_scatters_about_the_target():
    flux, err, region = disc()
    bin_map = voronoi_bins(flux, err, region, min_snr=20.0)
    np.testing.assert_array_equal(bin_map >= 0, region)
    np.testing.assert_array_equal(np.unique(bin_map[region]), np.arange(bin_map.max() + 1))
    snr, n_pix = snr_of(bin_map, flux, err)
    many = n_pix > 1
    assert many.sum() > 50
    assert snr[many].mean() == pytest.approx(20, rel=0.1)
    assert snr[many].std() / 20 < 0.2


def test_correlated_noise_makes_bins_larger():
    flux, err, region = disc()
    plain = voronoi_bins(flux, err, region, min_snr=20.0)
    grown = voronoi_bins(flux, err, region, min_snr=20.0, noise_area=4.0)
    assert grown.max() < 0.6 * plain.max()
    snr, n_pix = snr_of(grown, flux, err, noise_area=4.0)
    assert snr[n_pix > 1].mean() == pytest.approx(20, rel=0.1)


def test_the_weakest_band_counts():
    flux, err, region = disc(n_band=2)
    flux[1] /= 2
    both = voronoi_bins(flux, err, region, min_snr=[10.0, 10.0])
    weak = voronoi_bins(flux, err, region, min_snr=[0.0, 10.0])
    bright = voronoi_bins(flux, err, region, min_snr=[10.0, np.nan])
    assert weak.max() < 0.7 * bright.max()
    assert both.max() == pytest.approx(weak.max(), rel=0.1)
    snr, n_pix = snr_of(both, flux, err)
    assert np.median(snr[n_pix > 1].min(axis=1)) == pytest.approx(10, rel=0.1)


def test_same_pixels_same_bins():
    """Whatever the layout, the type, a factor 2^k or the surroundings."""
    flux, err, region = disc(40)
    bin_map = voronoi_bins(flux, err, region, min_snr=10.0)
    same = [
        voronoi_bins(np.asfortranarray(flux), err, np.asfortranarray(region), min_snr=10.0),
        voronoi_bins(flux * 2.0**40, err * 2.0**40, region, min_snr=10.0),
        voronoi_bins(
            np.pad(flux, ((0, 0), (3, 1), (2, 2))),
            np.pad(err, ((0, 0), (3, 1), (2, 2)), constant_values=1.0),
            np.pad(region, ((3, 1), (2, 2))),
            min_snr=10.0,
        )[3:-1, 2:-2],
    ]
    for other in same:
        np.testing.assert_array_equal(other, bin_map)


@pytest.mark.parametrize("n_pix", [1, 2, 3, 4, 7])
def test_few_pixels(n_pix):
    """Faint ones make one bin, bright ones a bin each."""
    region = np.zeros((5, 8), dtype=bool)
    region[2, :n_pix] = True
    flux = np.ones((1, 5, 8))
    faint = voronoi_bins(flux, flux, region, min_snr=100.0)
    np.testing.assert_array_equal(faint, np.where(region, 0, -1))
    bright = voronoi_bins(flux, flux, region, min_snr=0.5)
    np.testing.assert_array_equal(bright[region], np.arange(n_pix))


@pytest.mark.parametrize("level", [0.0, -3.0, np.nan])
def test_no_signal_is_one_bin(level):
    flux = np.full((1, 6, 6), level)
    bin_map = voronoi_bins(flux, np.ones((1, 6, 6)), np.ones((6, 6), bool), min_snr=3.0)
    assert np.all(bin_map == 0)


def test_bad_pixels_are_binned_and_add_nothing():
    flux, err, region = disc(40)
    flux[0, 20, 18:22] = np.nan
    err[0, 15, 15:25] = 0.0
    flux[0, 25, 15:20] = -50.0
    bin_map = voronoi_bins(flux, err, region, min_snr=15.0)
    np.testing.assert_array_equal(bin_map >= 0, region)
    assert bin_map.max() > 5


def test_a_demand_is_needed():
    with pytest.raises(ConfigError, match=r"\[0\.0\]; Voronoi bins need a positive S/N"):
        voronoi_bins(np.ones((1, 3, 3)), np.ones((1, 3, 3)), np.ones((3, 3), bool), min_snr=0.0)


def test_without_the_package_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "powerbin", None)
    with pytest.raises(ConfigError, match=r"powerbin.*pip install 'pxdask\[voronoi\]'"):
        voronoi_bins(np.ones((1, 3, 3)), np.ones((1, 3, 3)), np.ones((3, 3), bool), min_snr=9.0)
