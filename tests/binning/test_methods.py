"""What holds for bins of every method."""

from typing import get_args

import numpy as np
import pytest

from pxdask.binning import BinStage, bin_pixels, bin_sums
from pxdask.binning.methods import _METHODS
from pxdask.core.config import BinConfig, BinMethod
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.schema import BINS
from tests.binning.test_annuli import cards
from tests.binning.test_stage import GALAXY, cube

METHODS = get_args(BinMethod)
MEETS_DEMANDS = ("sed_similarity", "pixedfit")


def config(method, **settings):
    return BinConfig(
        **{
            "method": method,
            "size": 3.0,
            "snr": 8.0,
            "map": "map.fits" if method == "map" else None,
            **settings,
        }
    )


def blocks(shape):
    """Return a map that somebody might give: columns of four, numbered from 5."""
    return np.broadcast_to(5 + np.arange(shape[1]) // 4, shape)


def galaxy(*, n_band=3, side=24, seed=7):
    """Return flux, errors and region of a red core in a blue disc."""
    y, x = np.indices((side, side)) - (side - 1) / 2
    radius = np.hypot(y, x / 0.7)
    colour = np.linspace(-0.5, 0.5, n_band)[:, None, None] * np.exp(-radius / 3)
    flux = 30 * np.exp(-radius / 5) * (1 + colour)
    noise = np.random.default_rng(seed).normal(size=flux.shape)
    return flux + noise, np.ones_like(flux), radius < 0.45 * side


def bins_of(method, flux, flux_err, region, **changes):
    given = changes.pop("given", blocks(region.shape))
    settings = changes.pop("settings", config(method))
    kept = {"reference": len(flux) // 2, "min_snr": np.full(len(flux), 8.0), **changes}
    return bin_pixels(flux, flux_err, region, settings=settings, given=given, **kept)


def check(bin_map, region):
    """Every pixel of the region is in one bin, all numbers are used, outside is -1."""
    assert bin_map.dtype == np.int32
    np.testing.assert_array_equal(bin_map >= 0, region)
    assert np.all(bin_map[~region] == -1)
    np.testing.assert_array_equal(np.unique(bin_map[region]), np.arange(bin_map.max() + 1))


def test_there_is_a_function_for_every_method():
    assert set(_METHODS) == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
class TestAnyMethod:
    @pytest.fixture(autouse=True)
    def _installed(self, method):
        if method == "voronoi":
            pytest.importorskip("powerbin", reason="the extra voronoi is not installed")

    def test_all_pixels_are_binned(self, method):
        flux, err, region = galaxy()
        before = [array.copy() for array in (flux, err, region)]
        bin_map = bins_of(method, flux, err, region)
        check(bin_map, region)
        assert bin_map.max() > 2
        for array, old in zip((flux, err, region), before, strict=True):
            np.testing.assert_array_equal(array, old)

    def test_flux_is_conserved(self, method):
        """To 1e-12: sums over the same pixels in another order."""
        flux, err, region = galaxy()
        sums = bin_sums(flux, err, bins_of(method, flux, err, region))
        np.testing.assert_allclose(sums.flux.sum(axis=0), flux[:, region].sum(axis=1), rtol=1e-12)

    def test_layout_and_type_make_no_difference(self, method):
        flux, err, region = galaxy()
        flux = flux.astype("f4").astype("f8")
        bin_map = bins_of(method, flux, err, region)
        wide = np.zeros((3, 24, 48))
        wide[:, :, ::2] = flux
        others = [
            (np.asfortranarray(flux), np.asfortranarray(err), np.asfortranarray(region)),
            (wide[:, :, ::2], err, region),
            (flux.astype("f4"), err.astype("f4"), region),
        ]
        for other in others:
            np.testing.assert_array_equal(bins_of(method, *other), bin_map)

    def test_scale_makes_no_difference(self, method):
        """A power of 2 rounds nothing, so not even ties may differ."""
        flux, err, region = galaxy()
        bin_map = bins_of(method, flux, err, region)
        for factor in (2.0**-40, 2.0**30):
            np.testing.assert_array_equal(
                bins_of(method, factor * flux, factor * err, region), bin_map
            )

    def test_one_band(self, method):
        flux, err, region = galaxy(n_band=1)
        check(bins_of(method, flux, err, region), region)

    def test_one_pixel(self, method):
        flux, err, region = galaxy()
        only = np.zeros_like(region)
        only[12, 13] = True
        np.testing.assert_array_equal(bins_of(method, flux, err, only), np.where(only, 0, -1))

    def test_no_pixel(self, method):
        flux, err, region = galaxy()
        assert np.all(bins_of(method, flux, err, np.zeros_like(region)) == -1)

    def test_bad_pixels(self, method):
        flux, err, region = galaxy()
        flux[0, 12], err[1, 5:9, 12] = np.nan, 0.0
        flux[:, 10, 10], err[:, 13, 14] = np.nan, np.inf
        flux[2, 11, 11] = -1e3
        check(bins_of(method, flux, err, region), region)

    def test_a_band_of_nothing(self, method):
        flux, err, region = galaxy()
        flux[2] = np.nan
        demand = np.array([8.0, 8.0, 0.0])
        check(bins_of(method, flux, err, region, min_snr=demand), region)

    def test_a_stage_makes_valid_bins(self, method):
        flux, _, region = galaxy()
        image = cube(flux, region=region, noise_area=1.5).assign_attrs(wcs=cards(side=24))
        stage = BinStage(config(method), given=blocks(region.shape))
        bins = BINS.validate(stage.run(GALAXY, cube=image))
        check(bins["bin_map"].values, region)
        assert bins.sizes["bin"] == bins.attrs["n_bin"] == bins["bin_map"].values.max() + 1
        snr = flux_over_error(bins)
        np.testing.assert_array_equal(bins["flags"].values & 8 > 0, snr < 8.0 * (1 - 1e-9))
        if method in MEETS_DEMANDS:
            grown = 1.0 if method == "sed_similarity" else np.sqrt(1.5)
            assert np.all(snr[:-1] >= 8.0 / grown * (1 - 1e-9))
        assert f'"method":"{method}"' in bins.attrs["settings"]

    def test_an_empty_region_is_refused_by_name(self, method):
        flux, _, region = galaxy()
        image = cube(flux, region=np.zeros_like(region))
        with pytest.raises(DataError, match="ngc309"):
            BinStage(config(method), given=blocks(region.shape)).run(GALAXY, cube=image)


def flux_over_error(bins):
    return bins["flux"].values / bins["flux_err"].values


def test_pixedfit_bins_with_its_own_fluxes_and_sums_the_true_ones():
    """Negatives count as the band's least positive flux in the search, and nowhere else."""
    flux, err, region = galaxy()
    region = np.ones_like(region)
    assert (flux < 0).any()
    bin_map = bins_of("pixedfit", flux, err, region)
    replaced = flux.copy()
    for band in replaced:
        band[region & (band < 0)] = band[region & (band > 0)].min()
    np.testing.assert_array_equal(bins_of("pixedfit", replaced, err, region), bin_map)
    sums = BinStage(config("pixedfit")).run(GALAXY, cube=cube(flux, region=region))
    assert sums["flux"].values.sum() == pytest.approx(flux[:, region].sum(), rel=1e-6)


def test_voronoi_takes_the_reference_band_or_those_named():
    pytest.importorskip("powerbin", reason="the extra voronoi is not installed")
    flux, err, region = galaxy()
    flux[0] /= 4
    demand = np.array([8.0, 8.0, 0.0])
    one = bins_of("voronoi", flux, err, region, min_snr=demand)
    named = config("voronoi", snr={"a": 8.0, "b": 8.0})
    weakest = bins_of("voronoi", flux, err, region, min_snr=demand, settings=named)
    alone = bins_of("voronoi", flux[1:2], err[1:2], region, reference=0)
    np.testing.assert_array_equal(one, alone)
    assert weakest.max() < 0.5 * one.max()


def test_faults():
    flux, err, region = galaxy()
    with pytest.raises(DataError, match=r"region \(24, 23\) do not agree"):
        bins_of("squares", flux, err, region[:, 1:])
    with pytest.raises(ConfigError, match="reference band 3 is not one of the 3 bands"):
        bins_of("squares", flux, err, region, reference=3)
    with pytest.raises(ConfigError, match=r"its map 'map\.fits' has not been read"):
        bins_of("map", flux, err, region, given=None)
