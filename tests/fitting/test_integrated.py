import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.binning.sums import bin_sums
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.fits import FitConfig
from pxdask.core.flags import Flag
from pxdask.fitting import FitStage, IntegratedStage
from pxdask.fitting.integrated import MOST_LACKING, integrated_sed
from pxdask.testing import check_stage, fake_galaxy, library_of

GALAXY = fake_galaxy(rng=np.random.default_rng(2), n_model=200)


def stage(**settings):
    library = library_of(GALAXY.models)
    return IntegratedStage(FitConfig(**settings), lambda _: library, {"n_models": 200})


def test_contract():
    fit = check_stage(stage(), GALAXY.row, {"bins": GALAXY.bins})
    assert fit.sizes["bin"] == 1


def test_of_one_bin_it_is_the_fit_of_the_bin():
    bins = GALAXY.bins.isel(bin=[3])
    library = library_of(GALAXY.models)
    own = FitStage(FitConfig(), lambda _: library, {}, 0, 1).run(GALAXY.row, bins=bins)
    whole = stage().run(GALAXY.row, bins=bins)
    # no random number is in RDSPS without samples
    assert whole.identical(own.drop_attrs(deep=False).assign_attrs(whole.attrs))


def test_settings_are_those_of_the_fit():
    one = stage(block_size=5, integrated=True).settings()
    assert one == stage(block_size=9).settings()
    assert one != stage(systematic_error=0.1).settings()


def test_fluxes_add_up_and_errors_in_quadrature():
    flux, error = integrated_sed(np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[3.0, 1], [4, 1]]))
    np.testing.assert_array_equal(flux, [4.0, 1.0])
    np.testing.assert_allclose(error, [5.0, 2**0.5], rtol=1e-15)


def test_of_correlated_noise_the_sum_has_the_error_of_one_bin_of_all_pixels():
    """How a region is divided into bins does not change the error of its sum."""
    rng = np.random.default_rng(4)
    flux, error = rng.uniform(1.0, 2.0, (2, 3, 12, 12))
    area = np.array([1.0, 9.0, 60.0])
    quarters = np.add.outer(2 * (np.arange(12) // 6), np.arange(12) // 6)
    bins, whole = (bin_sums(flux, error, m, noise_area=area) for m in (quarters, 0 * quarters))
    total, total_err = integrated_sed(bins.flux, bins.flux_err, n_pix=bins.n_pix, noise_area=area)
    np.testing.assert_allclose(total, whole.flux[0], rtol=1e-13)
    np.testing.assert_allclose(total_err, whole.flux_err[0], rtol=1e-13)
    quadrature = np.sqrt((bins.flux_err**2).sum(axis=0))
    # 36 and 144 pixels: correlated over 60, a quarter has not all the growth of the whole
    np.testing.assert_allclose(total_err[0], quadrature[0], rtol=1e-13)
    assert total_err[2] > 1.3 * quadrature[2]


@given(st.floats(0.0, 0.2), st.integers(0, 2))
def test_a_band_counts_where_nearly_all_of_the_light_has_it(part, band):
    flux = np.outer([1.0, 1e-3, part], [1.0, 2.0, 3.0])
    error = np.full((3, 3), 0.1)
    error[2, band] = np.nan
    total, total_err = integrated_sed(flux, error)
    others = np.arange(3) != band
    np.testing.assert_allclose(total[others], flux.sum(axis=0)[others], rtol=1e-15)
    kept = part <= MOST_LACKING * (1.001 + part)
    assert np.isfinite(total[band]) == np.isfinite(total_err[band]) == kept


def test_bins_without_any_band_do_not_count():
    flux, error = np.array([[1.0], [np.nan]]), np.array([[0.5], [np.nan]])
    assert [float(each[0]) for each in integrated_sed(flux, error)] == [1.0, 0.5]


def test_models_of_other_bands_are_refused():
    """As many bands in another order would be fitted, and nobody would know."""
    bins = GALAXY.bins.isel(band=slice(None, None, -1))
    with pytest.raises(ConfigError, match=r"fake-1: the models have bands .* in the same order"):
        stage().run(GALAXY.row, bins=bins)


def test_nothing_is_no_sed():
    bins = GALAXY.bins.assign(flux=GALAXY.bins["flux"] * np.nan)
    with pytest.raises(DataError, match="fake-1: no band has the light of all its bins"):
        stage().run(GALAXY.row, bins=bins)


def test_an_upper_limit_is_not_added():
    flags = GALAXY.bins["flags"].copy()
    flags[0, 1] = int(Flag.UPPER_LIMIT)
    limited = GALAXY.bins.isel(bin=[0]).assign(flags=flags[[0]])
    assert int(stage().run(GALAXY.row, bins=limited)["n_used"][0]) == flags.sizes["band"] - 1
