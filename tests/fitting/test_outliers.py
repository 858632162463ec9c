import numpy as np
import pytest
from scipy.special import chdtri
from scipy.stats import chi2 as chi2_law

from pxdask.core.errors import DataError
from pxdask.fitting.npe_draws import in_units
from pxdask.fitting.outliers import (
    LEAST_MOCKS,
    nearest,
    outlier_limit,
    predictive_p,
    safe_limit,
)
from pxdask.fitting.target import Observed, Sampled
from tests.fitting.small import fit_settings, small_library


def units(flux, error, limit=None):
    return in_units(Observed(flux, error, np.zeros(flux.shape, bool) if limit is None else limit))


def test_units_of_errors_by_hand():
    flux, error = np.array([[3.0, 8.0, np.nan, 5.0]]), np.array([[1.0, 2.0, np.nan, 1.0]])
    found = units(flux, error, np.array([[False, False, False, True]]))
    np.testing.assert_array_equal(found.data, [[3, 4, 0, 0]])
    np.testing.assert_array_equal(found.inverse, [[1, 0.5, 0, 0]])
    assert (found.n_measured[0], found.snr[0], found.best_snr[0]) == (2, 5, 4)


def test_predictive_p_by_hand():
    # of 2 bands the chance is exp(-chi2 / 2)
    found = predictive_p(2 * np.log([2.0, 4.0]), np.array([0.5, 0.5]), n_band=2)
    assert found == pytest.approx(0.5 * 0.5 + 0.5 * 0.25)
    assert np.isnan(predictive_p(np.zeros(1), np.ones(1), n_band=0))


def test_a_limit_without_mocks_is_that_of_noise():
    found = safe_limit(0.05)(np.array([1, 10]), np.array([3.0, 300.0]))
    # published quantiles of chi-square
    np.testing.assert_allclose(found, [3.841, 18.307], atol=1e-3)


@pytest.mark.statistical
def test_limits_give_the_false_alarms_that_are_asked_for():
    rng = np.random.default_rng(1)
    snr, n_band = 10 ** rng.uniform(0, 2, 20000), rng.integers(8, 20, 20000)
    fitted = 1 + 3 * np.log10(snr) / 2
    chi2 = chi2_law.rvs(n_band - fitted, random_state=rng)
    limit = outlier_limit(chi2[:10000], n_band[:10000], snr[:10000], false_alarms=0.03)
    beyond = chi2[10000:] > limit(n_band[10000:], snr[10000:])
    # binomial error of 10,000: 0.0017; that of a learnt limit is as large
    assert np.mean(beyond) == pytest.approx(0.03, abs=0.007)
    for part in (snr[10000:] < 10, snr[10000:] >= 10):
        assert np.mean(beyond[part]) == pytest.approx(0.03, abs=0.01)
    np.testing.assert_allclose(limit.n_fitted[0], 1.25, atol=0.6)
    np.testing.assert_allclose(limit.n_fitted[-1], 3.75, atol=0.6)


def test_too_few_mocks():
    with pytest.raises(DataError, match="wanted 300"):
        outlier_limit(np.ones(9), np.full(9, 5), np.ones(9), false_alarms=0.02)
    assert LEAST_MOCKS == 300


def test_one_band_is_always_near():
    limit = outlier_limit(
        chi2_law.rvs(5, size=600, random_state=1),
        np.full(600, 8),
        np.geomspace(1, 100, 600),
        false_alarms=0.02,
    )
    assert limit(np.array([1]), np.array([50.0]))[0] > 0


def test_downhill_reaches_models_of_the_library():
    library = small_library()
    simulator = Sampled(fit_settings(), library).simulator
    truth = np.random.default_rng(2).uniform(0.1, 0.9, (20, simulator.n_dim))
    flux = 1e9 * simulator.simulate(truth).flux.astype(float)
    seds = units(flux, flux / 50)
    start = np.clip(truth + 0.1, 0.05, 0.95)
    sed = np.arange(20)

    def models(unit):
        return simulator.simulate(unit).flux

    found = nearest(seds, models, start, sed=sed)
    # 5 bands and 4 parameters at S/N 50: all but a few in a side valley come within noise
    assert np.mean(found.chi2 < 0.5) >= 0.9
    np.testing.assert_allclose(found.scale[found.chi2 < 1e-4], 1e9, rtol=0.2)
    alone = nearest(seds, models, start[7:8], sed=sed[7:8])
    np.testing.assert_array_equal(alone.unit, found.unit[7:8])
    # a spike in one band cannot be reached
    flux[:, 2] *= 3
    far = nearest(units(flux, flux / 50), models, start, sed=sed)
    assert np.all(far.chi2 > chdtri(5, 1e-6))
