import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_ndtr

from pxdask.kernels.likelihood import (
    chi_square,
    ln_likelihood_gaussian,
    ln_likelihood_student,
)
from pxdask.kernels.pair_likelihood import ln_phi, pair_ln_likelihood


def problem(seed=0, n_sed=3, n_band=5, n_model=20):
    rng = np.random.default_rng(seed)
    flux = rng.uniform(1, 2, (n_sed, n_band))
    error = rng.uniform(0.1, 0.5, (n_sed, n_band))
    model = rng.uniform(0.5, 2, (n_model, n_band)).astype(np.float32)
    return flux, error, model, rng.uniform(0.5, 2, n_model), rng.integers(0, n_sed, n_model)


def paired(flux, error, model, scale, sed, *, limit=None, **kwargs):
    limit = np.zeros(flux.shape, bool) if limit is None else limit
    return pair_ln_likelihood(flux, error, limit, model, scale=scale, sed=sed, **kwargs)


def test_by_hand():
    # residuals (2 - 2) / 1 and (3 - 4) / 0.5 = -2: -2 - ln(2 pi 0.5)
    found = paired(
        np.array([[2.0, 3.0]]), np.array([[1.0, 0.5]]), np.array([[1, 2]], np.float32),
        np.array([2.0]), np.array([0]),
    )  # fmt: skip
    assert found[0] == pytest.approx(-2 - math.log(math.pi), rel=1e-14)


@given(st.integers(0, 1000), st.sampled_from([math.inf, 2.0, 5.5]))
def test_it_is_the_likelihood_of_each_sed(seed, dof):
    flux, error, model, scale, sed = problem(seed)
    error[1, 2] = 0.0
    flux[2, 0] = np.nan
    found = paired(flux, error, model, scale, sed, dof=dof)
    columns = np.ascontiguousarray(model.T)
    for i in range(len(flux)):
        used = np.isfinite(flux[i]) & (error[i] > 0)
        own = np.where(used, error[i], np.nan)
        if math.isinf(dof):
            chi2 = chi_square(flux[i], own, columns, scale=scale)
            want = ln_likelihood_gaussian(own, chi2=chi2)
        else:
            want = ln_likelihood_student(flux[i], own, columns, scale=scale, dof=dof)
        # sums in another order
        np.testing.assert_allclose(found[sed == i], want[sed == i], rtol=1e-11, atol=1e-11)


def test_upper_limits_are_probabilities():
    flux, error, model, scale, sed = problem()
    limit = np.zeros(flux.shape, bool)
    limit[:, 1] = True
    found = paired(flux, error, model, scale, sed, limit=limit)
    measured = error.copy()
    measured[:, 1] = np.nan
    chance = log_ndtr((flux[sed, 1] - scale * model[:, 1]) / error[sed, 1])
    want = paired(flux, measured, model, scale, sed) + chance
    np.testing.assert_allclose(found, want, rtol=1e-12)


@given(st.floats(-1e4, 38))
def test_ln_phi(x):
    # near zero it is the rounding of a probability near one
    assert ln_phi.py_func(x) == pytest.approx(float(log_ndtr(x)), rel=1e-9, abs=3e-16)


def test_a_model_does_not_depend_on_the_others_and_nothing_gives_zero():
    flux, error, model, scale, sed = problem()
    whole = paired(flux, error, model, scale, sed)
    for rows in ([3], [9, 0], list(range(5, 18))):
        part = paired(flux, error, model[rows], scale[rows], sed[rows])
        np.testing.assert_array_equal(part, whole[rows])
    assert np.all(paired(flux, error * np.nan, model, scale, sed) == 0)
    assert paired(flux, error, model[:0], scale[:0], sed[:0]).shape == (0,)
