import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.legendre import legendre_basis
from pxdask.kernels.legendre_match import match_factors

WAVE = np.linspace(4000.0, 7000.0, 300)
ENDS = (4000.0, 7000.0)


def basis(order=3):
    return legendre_basis(WAVE, ends=ENDS, order=order)


def spectrum(n_pix=1):
    """Return models (n_wave, n_pix) with a slope and lines."""
    shape = 2 + np.sin(WAVE / 40) + 1e-3 * (WAVE - 4000)
    return np.outer(shape, np.linspace(1, 3, n_pix))


def test_level_by_hand():
    # w = 1 where the error is 1: P = sum(m^2) / sum(m d) = (4 * 4 + 4 * 16) / (4 * 2 + 4 * 8)
    flux = np.array([[1.0] * 4 + [2.0] * 4]).T
    models = np.array([[2.0] * 4 + [4.0] * 4]).T
    found = match_factors(flux, np.ones((8, 1)), models, basis=np.ones((1, 8)), model_error=0.0)
    np.testing.assert_allclose(found.coefficients, [[80 / 40]], rtol=1e-15)
    assert found.order[0] == 0


@given(
    st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=3),
    st.floats(1e-3, 1e3),
    st.floats(0.0, 0.1),
)
def test_a_polynomial_is_recovered(higher, level, model_error):
    wanted = level * np.array([1.0, *higher])
    models = spectrum()
    flux = models / (basis().T @ wanted)[:, None]
    found = match_factors(flux, 0.1 * np.abs(flux), models, basis=basis(), model_error=model_error)
    # conditions of the equations of a few, over 300 wavelengths
    np.testing.assert_allclose(found.coefficients[:, 0], wanted, rtol=0, atol=1e-11 * level)


def test_noise_does_not_bias_the_factor():
    rng, n_pix = np.random.default_rng(5), 400
    wave = np.linspace(*ENDS, 1500)
    polynomials = legendre_basis(wave, ends=ENDS, order=3)
    models = np.repeat((2 + np.sin(wave / 40))[:, None], n_pix, axis=1)
    wanted = np.array([1.2, 0.1, -0.05, 0.02])
    truth = models / (polynomials.T @ wanted)[:, None]
    error = 1.0 * truth
    found = match_factors(
        truth + error * rng.normal(size=truth.shape), error, models,
        basis=polynomials, model_error=0.03,
    )  # fmt: skip
    assert np.all(found.order == 3)
    mean = np.mean(found.coefficients, axis=1)
    spread = np.std(found.coefficients, axis=1) / np.sqrt(n_pix)
    # At S/N 1 least squares of d P - m would halve the factor. Four standard errors, and what a
    # ratio of noisy sums is off by: the square of its own noise, of 1 / sqrt(1500) a coefficient.
    assert np.all(np.abs(mean - wanted) < 4 * spread + 4 * 1.2 / 1500)


def test_what_is_not_good_does_not_count():
    models = spectrum(3)
    flux, error = models / 1.5, np.full(models.shape, 0.1)
    flux[10:20, 0], flux[20:30, 0] = np.nan, np.inf
    flux[30:60, 0] = 1e6
    error[30:40, 0], error[40:50, 0], error[50:60, 0] = 0.0, -1.0, np.nan
    found = match_factors(flux, error, models, basis=basis(), model_error=0.03)
    np.testing.assert_allclose(found.coefficients[0], 1.5, rtol=1e-12)
    np.testing.assert_allclose(found.coefficients[1:], 0.0, atol=1e-11)


def test_spectra_without_light_have_no_factor():
    models = spectrum(4)
    flux, error = models.copy(), np.full(models.shape, 0.1)
    flux[:, 0] = np.nan
    flux[:, 1] *= -1
    flux[:, 2] = 0.0
    found = match_factors(flux, error, models, basis=basis(), model_error=0.03)
    np.testing.assert_array_equal(found.order, [-1, -1, -1, 3])
    np.testing.assert_array_equal(found.coefficients[:, :3], np.eye(4)[:, [0, 0, 0]])
    empty = match_factors(flux[:, :0], error[:, :0], models[:, :0], basis=basis(), model_error=0.03)
    assert empty.coefficients.shape == (4, 0)


def test_orders_are_lowered_until_the_factor_is_positive():
    models = spectrum(2)
    factor = np.linspace(1.0, -0.8, WAVE.size)[:, None]
    flux = models / np.where(factor > 0.1, factor, np.nan)
    flux[:, 1] = models[:, 1] / np.linspace(1.0, 0.2, WAVE.size)
    found = match_factors(flux, 0.1 * np.abs(models), models, basis=basis(), model_error=0.0)
    # of the first, the half that is seen falls on a line that is negative in the other half
    np.testing.assert_array_equal(found.order, [0, 3])
    assert 0.1 < found.coefficients[0, 0] < 1
    np.testing.assert_array_equal(found.coefficients[1:, 0], 0)


def test_a_factor_lost_in_the_noise_is_not_believed():
    models = spectrum(2)
    error = np.outer(np.ones(WAVE.size), [0.1, 10.0]) * np.sqrt(WAVE.size) * 3
    found = match_factors(models, error, models, basis=basis(), model_error=0.0)
    # S/N of all wavelengths together: some 10 and 0.1
    np.testing.assert_array_equal(found.order, [3, -1])


def test_the_model_error_shares_weight_among_bright_wavelengths():
    models, flux = spectrum(), spectrum()
    flux[:150] *= 1.1
    error = np.where(np.arange(300) < 150, 1e-4, 1e-2)[:, None]
    levels = [
        match_factors(flux, error, models, basis=basis(0), model_error=each).coefficients[0, 0]
        for each in (0.0, 0.03)
    ]
    np.testing.assert_allclose(levels[0], 1 / 1.1, rtol=1e-3)
    assert abs(levels[1] - 1 / 1.05) < 0.02
