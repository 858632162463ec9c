import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from pxdask.kernels.likelihood import (
    best_scale,
    chi_square,
    effective_number,
    ln_likelihood_gaussian,
    ln_likelihood_student,
    ln_peak,
    posterior_weights,
    total_error,
    usable_bands,
)

FLUX = np.array([2.0, 3.0])
ERROR = np.array([1.0, 0.5])
MODEL = np.array([[1.0, 1.0], [1.0, 2.0]])  # two bands, two models: (1, 1) and (1, 2)
# By hand, weights 1 and 4. Model 0: (2 + 12) / (1 + 4); model 1: (2 + 24) / (1 + 16).
SCALES = np.array([14 / 5, 26 / 17])
CHI2 = np.array([(2 - 2.8) ** 2 + 4 * (3 - 2.8) ** 2, (2 - 26 / 17) ** 2 + 4 * (3 - 52 / 17) ** 2])


def library(seed=0, n_band=5, n_model=40):
    return np.random.default_rng(seed).uniform(0.5, 2.0, (n_band, n_model))


def test_two_bands_and_two_models_by_hand():
    scale = best_scale(FLUX, ERROR, MODEL)
    np.testing.assert_allclose(scale.value, SCALES, rtol=1e-14)
    np.testing.assert_allclose(scale.err, [5**-0.5, 17**-0.5], rtol=1e-14)
    np.testing.assert_allclose(chi_square(FLUX, ERROR, MODEL, scale=scale.value), CHI2, rtol=1e-12)


def test_gaussian_likelihood_is_the_product_of_normal_densities():
    want = norm.logpdf(FLUX[:, None], SCALES * MODEL, ERROR[:, None]).sum(axis=0)
    np.testing.assert_allclose(ln_likelihood_gaussian(ERROR, chi2=CHI2), want, rtol=1e-12)


@pytest.mark.parametrize("dof", [0.7, 2.0, 30.0])
@pytest.mark.parametrize("n_band", [2, 19])  # more than one logarithm's worth of bands
def test_student_likelihood_is_the_product_of_t_densities(dof, n_band):
    model = library(n_band=n_band)
    flux, error = np.linspace(1, 3, n_band), np.linspace(0.1, 0.4, n_band)
    scale = best_scale(flux, error, model).value
    got = ln_likelihood_student(flux, error, model, scale=scale, dof=dof)
    want = t.logpdf(flux[:, None], dof, loc=scale * model, scale=error[:, None]).sum(axis=0)
    np.testing.assert_allclose(got, want, rtol=1e-11)


def test_student_becomes_gaussian_for_many_degrees_of_freedom():
    got = ln_likelihood_student(FLUX, ERROR, MODEL, scale=SCALES, dof=1e7)
    # The difference is of the order of chi^4 / dof.
    np.testing.assert_allclose(got, ln_likelihood_gaussian(ERROR, chi2=CHI2), atol=1e-6)


def test_an_outlier_of_a_million_sigma_does_not_overflow():
    model = library(n_band=30)
    flux = np.full(30, 1e6)
    ln_like = ln_likelihood_student(flux, np.ones(30), model, scale=np.ones(40), dof=2.0)
    assert np.all(np.isfinite(ln_like))


@settings(deadline=None)
@given(st.floats(1e-20, 1e20), st.integers(0, 100))
def test_scaling_the_sed_scales_the_amplitude_and_leaves_chi_square(factor, seed):
    rng = np.random.default_rng(seed)
    model, flux, error = library(seed), rng.uniform(1, 3, 5), rng.uniform(0.1, 0.5, 5)
    one, other = (best_scale(f * flux, f * error, model) for f in (1.0, factor))
    np.testing.assert_allclose(other.value, factor * one.value, rtol=1e-12)
    np.testing.assert_allclose(other.err, factor * one.err, rtol=1e-12)
    np.testing.assert_allclose(
        chi_square(factor * flux, factor * error, model, scale=other.value),
        chi_square(flux, error, model, scale=one.value),
        rtol=1e-9,  # residuals cancel to about 1e-3 of the flux
        atol=1e-9,
    )


@settings(deadline=None)
@given(st.integers(0, 100))
def test_no_amplitude_fits_better_than_the_best(seed):
    rng = np.random.default_rng(seed)
    model, flux, error = library(seed), rng.normal(1, 1, 5), rng.uniform(0.1, 0.5, 5)
    scale = best_scale(flux, error, model)
    best = chi_square(flux, error, model, scale=scale.value)
    off = chi_square(flux, error, model, scale=scale.value + scale.err)
    # One sigma off raises chi-square by one: the amplitude's error is what it says.
    np.testing.assert_allclose(off - best, 1.0, rtol=1e-9)


@pytest.mark.parametrize(
    ("flux", "error"), [(np.nan, 1.0), (1.0, np.nan), (1.0, 0.0), (1.0, -1.0), (np.inf, 1.0)]
)
def test_an_unusable_band_changes_nothing(flux, error):
    model = library(n_band=3)
    more = np.append(FLUX, flux), np.append(ERROR, error)
    scale = best_scale(*more, model).value
    assert np.array_equal(scale, best_scale(FLUX, ERROR, model[:2]).value)
    for got, want in (
        (chi_square(*more, model, scale=scale), chi_square(FLUX, ERROR, model[:2], scale=scale)),
        (
            ln_likelihood_student(*more, model, scale=scale, dof=2.0),
            ln_likelihood_student(FLUX, ERROR, model[:2], scale=scale, dof=2.0),
        ),
    ):
        assert np.array_equal(got, want)


def test_no_usable_band_gives_nan():
    flux = np.full(2, np.nan)
    scale = best_scale(flux, ERROR, MODEL).value
    assert np.isnan(scale).all()
    assert np.isnan(chi_square(flux, ERROR, MODEL, scale=scale)).all()
    assert np.isnan(ln_likelihood_student(flux, ERROR, MODEL, scale=scale, dof=2)).all()


def test_a_dark_model_has_no_amplitude():
    scale = best_scale(FLUX, ERROR, np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert np.isnan(scale.value[0])
    assert np.isfinite(scale.value[1])


def test_models_may_be_single_precision():
    exact = best_scale(FLUX, ERROR, library(n_band=2))
    single = best_scale(FLUX, ERROR, library(n_band=2).astype(np.float32))
    np.testing.assert_allclose(single.value, exact.value, rtol=2e-7)  # 24-bit fluxes


def test_total_error():
    flux, error = np.array([3.0, 3.0, np.nan, 3.0]), np.array([4.0, 0.0, 1.0, np.nan])
    got = total_error(flux, error, systematic_error=1.0)
    np.testing.assert_array_equal(got, [5.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(usable_bands(flux, error), [True, False, False, False])


def test_effective_number_by_hand():
    ln_like = np.log([0.5, 0.25, 0.25, 0.0], out=np.full(4, -np.inf), where=[1, 1, 1, 0])
    assert effective_number(np.exp(ln_like)) == pytest.approx(1 / 0.375, rel=1e-14)
    assert math.isnan(effective_number(np.zeros(3)))


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(0.1, 300), st.sampled_from([1e-3, 1e-5, 1e-8]))
def test_what_is_neglected_stays_under_its_bound(seed, width, neglected):
    ln_like = -width * np.random.default_rng(seed).exponential(size=3000)
    models, weights = posterior_weights(ln_like, neglected=neglected)
    every = np.exp(ln_like - ln_like.max())
    assert 1 - weights.sum() / every.sum() <= neglected + 1e-14
    np.testing.assert_allclose(weights, every[models], rtol=1e-11)  # that of `fastmath.exp`


def test_nothing_is_kept_where_no_model_is_possible():
    models, weights = posterior_weights(np.full(3, -np.inf), neglected=1e-5)
    assert models.size == weights.size == 0


def test_peak_is_the_likelihood_of_a_perfect_fit():
    error = np.array([1.0, 0.5, np.nan])
    want = norm.logpdf(0, scale=error[:2]).sum()
    assert ln_peak(error) == pytest.approx(want, rel=1e-14)
    want = t.logpdf(0, 3.0, scale=error[:2]).sum()
    assert ln_peak(error, dof=3.0) == pytest.approx(want, rel=1e-14)
