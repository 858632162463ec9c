"""Plain multi-band images become bins without a survey around them."""

import numpy as np
import pytest
import xarray as xr

import pxdask
from pxdask.binning import BinStage, bin_images
from pxdask.core.config import BinConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.schema import BINS
from tests.binning.test_stage import GALAXY, cube


def images():
    """Return two bands, 4 x 4: one pixel without flux, one without error, one without both."""
    flux, err = np.full((2, 4, 4), 9.0), np.ones((2, 4, 4))
    flux[0, 0, 0] = np.nan
    err[1, 0, 1] = 0.0
    flux[0, 3, 3], err[1, 3, 3] = np.inf, np.nan
    return flux, err


SQUARES = BinConfig(method="squares", size=2)


def test_by_hand():
    flux, err = images()
    bins = BINS.validate(bin_images(flux, err, bands=("g", "r"), settings=SQUARES))
    assert list(bins["band"].values) == ["g", "r"]
    assert bins["band"].dtype == object
    np.testing.assert_array_equal(
        bins["bin_map"], [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, -1]]
    )
    np.testing.assert_array_equal(bins["flux"], [[27, 27], [36, 36], [36, 36], [27, 27]])
    np.testing.assert_array_equal(bins["flux_err"], np.sqrt(bins["flux"] / 9))
    np.testing.assert_array_equal(
        bins["flags"], [[Flag.NO_DATA, Flag.NO_ERROR], [0, 0], [0, 0], [0, 0]]
    )
    np.testing.assert_allclose(bins["snr"], 9 * np.sqrt([[3, 3], [4, 4], [4, 4], [3, 3]]))
    np.testing.assert_array_equal(bins["n_pieces"], 1)
    np.testing.assert_array_equal(bins["limiting_band"], 0)
    assert np.isnan(bins["pivot_wave"]).all()
    assert "wcs" not in bins.attrs


def test_defaults_are_those_of_the_settings():
    flux, err = images()
    plain = bin_images(flux, err, bands=["g", "r"])
    named = bin_images(flux, err, bands=["g", "r"], settings=BinConfig())
    xr.testing.assert_identical(plain, named)
    assert plain.attrs["reference_band"] == "g"
    assert pxdask.bin_images is bin_images


def test_the_stage_gives_the_same():
    image = cube(np.random.default_rng(1).normal(5, 1, (3, 9, 9)), noise_area=2.0)
    settings = BinConfig(snr=12.0)
    bins = bin_images(
        image["flux"].values,
        image["flux_err"].values,
        bands="abc",
        settings=settings,
        pivot_wave=image["pivot_wave"].values,
        noise_area=image["noise_area"].values,
        flags=image["flags"].values,
        wcs=image.attrs["wcs"],
    )
    xr.testing.assert_identical(bins, BinStage(settings).run(GALAXY, cube=image))


def test_noise_areas_count_only_if_the_settings_say_so():
    flux, err = images()
    errors = [
        bin_images(
            flux,
            err,
            bands=["g", "r"],
            settings=SQUARES.model_copy(update={"correlated_noise": asked}),
            noise_area=area,
        )["flux_err"].values
        for asked, area in ((True, 3.0), (True, None), (False, 3.0))
    ]
    np.testing.assert_array_equal(errors[1], errors[2])
    assert np.all(errors[0] > 1.2 * errors[1])


def test_memory_is_refused_before_it_is_taken():
    """Inputs of 12 x 2 x 16 bytes in float64, with flags 2 more, are 576; 15 pixels at 176."""
    flux, err = images()
    needed = 2 * 16 * (8 + 8 + 2) + 15 * 176
    enough = SQUARES.model_copy(update={"max_memory": needed / 1e9})
    bin_images(flux, err, bands="gr", settings=enough)
    short = SQUARES.model_copy(update={"max_memory": (needed - 1) / 1e9})
    with pytest.raises(DataError, match=r"15 pixels takes about 3.22e-06 GB.* raise it"):
        bin_images(flux, err, bands="gr", settings=short)


def test_tables_count_too():
    """A bin for each pixel: 64 bytes for each of 20 bands are more than the search takes."""
    flux = np.ones((20, 30, 30), dtype="f4")
    needed = 20 * 900 * (4 + 4 + 2) + 64 * 900 * 21
    settings = BinConfig(method="pixels", max_memory=(needed - 1) / 1e9)
    with pytest.raises(DataError, match=r"takes about 0\.00139 GB.*max_memory allows 0\.0013896;"):
        bin_images(flux, flux, bands=list(map(str, range(20))), settings=settings)


@pytest.mark.parametrize("method", ["sed_similarity", "pixedfit", "pixels", "hexagons", "annuli"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_memory_is_what_is_said(method, dtype):
    """The peak that numpy reports is at most what is reckoned with, and at least a third of it.

    Small fixed costs (attributes, compiled code's arrays) are 100 kB.
    """
    import tracemalloc

    rng = np.random.default_rng(2)
    y, x = np.indices((150, 150)) - 74.5
    flux = (20 * np.exp(-np.hypot(y, x) / 20) + rng.normal(size=(8, 150, 150))).astype(dtype)
    err, flags = np.ones_like(flux), np.zeros(flux.shape, dtype="u2")
    kept = {"bands": "abcdefgh", "region": np.hypot(y, x) < 75, "flags": flags}
    settings = BinConfig(method=method, snr=10.0)
    bin_images(flux, err, settings=settings, **kept)  # compiles
    tracemalloc.start()
    bin_images(flux, err, settings=settings, **kept)
    peak = tracemalloc.get_traced_memory()[1] + flux.nbytes + err.nbytes + flags.nbytes
    tracemalloc.stop()
    for limit, refused in ((peak - 1e5, True), (3 * peak, False)):
        tried = settings.model_copy(update={"max_memory": limit / 1e9})
        if refused:
            with pytest.raises(DataError, match="GB of memory"):
                bin_images(flux, err, settings=tried, **kept)
        else:
            bin_images(flux, err, settings=tried, **kept)


def test_faults():
    flux, err = images()
    with pytest.raises(DataError, match=r"\(2, 4, 4\) and flux_err \(2, 4, 4\).*with 3 bands"):
        bin_images(flux, err, bands="grz")
    with pytest.raises(DataError, match="wanted"):
        bin_images(flux[0], err[0], bands="g")
    with pytest.raises(DataError, match="region has no pixel"):
        bin_images(flux * np.nan, err, bands="gr")
    with pytest.raises(DataError, match="region has no pixel"):
        bin_images(flux, err, bands="gr", region=np.zeros((4, 4)))
    with pytest.raises(DataError, match="do not agree"):
        bin_images(flux, err, bands="gr", region=np.ones((4, 5)))
    with pytest.raises(ConfigError, match="reference_band is 'z'"):
        bin_images(flux, err, bands="gr", settings=BinConfig(reference_band="z"))
