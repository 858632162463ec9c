import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from pxdask.kernels.chosen import chosen_likelihoods, chosen_rows, logarithms
from pxdask.kernels.likelihood import Scale, best_scale


def library(rng, n_band, n_model):
    return np.exp(0.7 * rng.normal(size=(n_band, n_model))).astype(np.float32)


def test_two_bands_and_two_models_by_hand():
    flux, error = np.array([2.0, 3.0]), np.array([1.0, 0.5])
    models = np.array([[9, 1, 1], [9, 1, 2]], np.float32)
    scale, got = chosen_likelihoods(flux, error, models, np.array([1, 2]), dof=math.inf)
    # weights of the bands 1 and 4: (2 + 12) / (1 + 4) and (2 + 24) / (1 + 16)
    np.testing.assert_allclose(scale.value, [14 / 5, 26 / 17], rtol=1e-14)
    np.testing.assert_allclose(scale.err, [5**-0.5, 17**-0.5], rtol=1e-14)
    chi2 = [0.8**2 + 4 * 0.2**2, (2 - 26 / 17) ** 2 + 4 * (3 - 52 / 17) ** 2]
    want = -0.5 * np.array(chi2) - math.log(2 * math.pi * 0.5)
    np.testing.assert_allclose(got, want, rtol=1e-14)


@pytest.mark.parametrize("dof", [math.inf, 2.0, 0.7])
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 19), st.floats(-1, 3))
def test_products_of_densities(dof, seed, n_band, log_snr):
    rng = np.random.default_rng(seed)
    models = library(rng, n_band, 700)
    flux = models[:, 0].astype(float) * 3.0
    error = flux / 10**log_snr
    chosen = rng.permutation(700)[:300]
    scale, got = chosen_likelihoods(flux, error, models, chosen, dof=dof)
    np.testing.assert_allclose(
        scale.value, best_scale(flux, error, models[:, chosen]).value, rtol=1e-13
    )
    density = norm(scale=error[:, None]) if math.isinf(dof) else t(dof, scale=error[:, None])
    want = density.logpdf(flux[:, None] - scale.value * models[:, chosen]).sum(axis=0)
    # residuals of cancelling terms are right to the rounding of S/N, squared or not
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11 * 10**log_snr)


@pytest.mark.parametrize("dof", [math.inf, 2.0])
def test_company_and_layout_change_nothing(dof):
    rng = np.random.default_rng(1)
    models = library(rng, 12, 1000)
    flux, error = models[:, 7].astype(float), 0.1 * models[:, 3].astype(float)
    every = np.arange(1000)
    _, together = chosen_likelihoods(flux, error, models, every, dof=dof)
    for layout in (models, np.asfortranarray(models)):
        for part in (every[5:6], every[3:262], every[::-1]):
            _, got = chosen_likelihoods(flux, error, layout, part, dof=dof)
            assert got.tobytes() == together[part].tobytes()


@pytest.mark.parametrize("dof", [math.inf, 2.0])
def test_nothing_to_compare(dof):
    models = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    both = np.arange(2)
    error = np.array([1.0, np.nan])
    scale, got = chosen_likelihoods(np.ones(2), error, models, both, dof=dof)
    assert np.isnan(scale.value[0])
    assert not np.isfinite(got[0])
    assert np.isfinite(got[1])
    _, got = chosen_likelihoods(np.ones(2), np.full(2, np.nan), models, both, dof=dof)
    assert np.isnan(got).all()
    _, got = chosen_likelihoods(np.ones(2), np.ones(2), models, both[:0], dof=dof)
    assert got.size == 0


def test_rows_of_a_table():
    table = np.random.default_rng(0).random((600, 5))
    chosen = np.arange(0, 600, 2)
    np.testing.assert_array_equal(chosen_rows(table, chosen), table[chosen].T)
    np.testing.assert_array_equal(chosen_rows(table[:, 2:3], chosen), table[chosen, 2:3].T)


def test_logarithms_of_amplitudes_by_hand():
    scale = Scale(np.array([100.0, 1e9, 1e-30]), np.array([9.0, 1e3, 1e-30]))
    relative, log_scale, spread = logarithms(scale, node=1.0)
    np.testing.assert_allclose(relative, [0.09, 1e-6, 1.0], rtol=1e-15)
    np.testing.assert_allclose(log_scale, [2, 9, -30], rtol=1e-12)
    # log10 of 1.09, 1.000001 and 2, right to 1e-12
    want = [0.03742649794, 4.3429426e-7, 0.30102999566]
    np.testing.assert_allclose(spread, want, rtol=0, atol=1e-11)
