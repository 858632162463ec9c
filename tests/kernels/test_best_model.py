import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.best_model import best_models
from pxdask.kernels.likelihood import best_scale, chi_square


def library(n_model=500, n_band=6, seed=1):
    return np.random.default_rng(seed).uniform(0.5, 2, (n_band, n_model)).astype(np.float32)


def best_of(flux, error, models, **more):
    return best_models(flux, error, models, unit_flux=1.0, **more)


def test_by_hand():
    models = np.array([[1.0, 1.0], [1.0, 3.0]], np.float32)
    best = best_of(np.array([[2.0, 2.0], [1.0, 2.0]]), np.ones((2, 2)), models, n_best=3)
    np.testing.assert_array_equal(best.model, [[0, 1, -1], [1, 0, -1]])
    # (2, 2) is 2 (1, 1), or 0.8 (1, 3) with residuals 1.2 and -0.4; (1, 2) is 0.7 (1, 3) with
    # 0.3 and -0.1, or 1.5 (1, 1) with -0.5 and 0.5
    np.testing.assert_allclose(best.scale[:, :2], [[2.0, 0.8], [0.7, 1.5]], rtol=1e-15)
    np.testing.assert_allclose(best.chi2[:, :2], [[0.0, 1.6], [0.1, 0.5]], atol=1e-15)
    # exp(-0.8) and exp(-0.2) of the best's likelihood
    odds = np.exp([-0.8, -0.2])
    np.testing.assert_allclose(best.weights[:, 1], odds / (1 + odds), rtol=1e-14)
    np.testing.assert_array_equal(best.weights[:, 2], 0.0)
    np.testing.assert_allclose(best.weights.sum(axis=1), 1.0)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-12, 1.0, 1e9]), st.sampled_from([1, 7]))
def test_they_are_the_least_of_all_in_double_precision(seed, unit, n_best):
    rng, models = np.random.default_rng(seed), library()
    flux = unit * models[:, rng.integers(0, 500, 5)].T * (1 + 0.05 * rng.normal(size=(5, 6)))
    error = rng.choice([1e-5, 0.05]) * flux
    flux[0, 2], error[1, 3], error[2, 4] = np.nan, 0.0, np.inf
    best = best_of(flux, error, models, n_best=n_best)
    for i in range(5):
        scale = best_scale(flux[i], error[i], models).value
        chi2 = chi_square(flux[i], error[i], models, scale=scale)
        wanted = np.argsort(chi2)[:n_best]
        np.testing.assert_array_equal(best.model[i], wanted)
        # sums in another order
        np.testing.assert_allclose(best.chi2[i], chi2[wanted], rtol=1e-9)
        np.testing.assert_allclose(best.scale[i], scale[wanted], rtol=1e-12)


def test_seds_that_no_model_can_fit_have_none():
    models = library()
    flux, error = np.ones((4, 6)), np.full((4, 6), 0.1)
    flux[0] = np.nan
    error[1] = 0.0
    flux[2] = -1.0
    best = best_of(flux, error, models)
    np.testing.assert_array_equal(best.model[:, 0] >= 0, [False, False, False, True])
    assert np.isnan(best.chi2[:3]).all()
    assert np.isnan(best.scale[:3]).all()
    np.testing.assert_array_equal(best.weights[:, 0], [0, 0, 0, 1])
    assert best_of(flux[:0], error[:0], models).model.shape == (0, 1)


def test_models_without_flux_are_passed_over():
    models = library()
    models[:, :499] = 0.0
    best = best_of(np.ones((1, 6)), np.full((1, 6), 0.1), models, n_best=2)
    np.testing.assert_array_equal(best.model, [[499, -1]])


def test_beyond_single_precision_all_are_compared():
    models = library()
    flux = models[:, [77]].T.astype(np.float64)
    assert best_of(flux, 1e-12 * flux, models).model[0, 0] == 77


@pytest.mark.parametrize("n_sed", [1, 63, 65, 130])
def test_an_sed_has_the_same_models_whatever_is_beside_it(n_sed):
    rng, models = np.random.default_rng(3), library()
    flux = rng.uniform(0.5, 2, (130, 6))
    error = np.full(flux.shape, 0.1)
    whole = best_of(flux, error, models, n_best=4)
    part = best_of(flux[-n_sed:], error[-n_sed:], models, n_best=4)
    for one, all_of in zip(part, whole, strict=True):
        np.testing.assert_array_equal(one, all_of[-n_sed:])
