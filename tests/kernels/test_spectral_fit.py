import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import legendre

from pxdask.kernels.emission_lines import EMISSION_LINES, near_lines
from pxdask.kernels.legendre import legendre_basis
from pxdask.kernels.spectral_fit import (
    BATCH,
    amplitude_sums,
    clipped,
    polynomial_fit,
    spectral_ln_likelihood,
    spectral_target,
)

N_WAVE = 300
WAVE = np.linspace(4000.0, 7000.0, N_WAVE)
X = np.linspace(-1, 1, N_WAVE)
ALL = np.ones(N_WAVE, bool)


def spectra(n_model=40, seed=0):
    """Smooth spectra with lines of differing depth."""
    rng = np.random.default_rng(seed)
    slope, depth = rng.uniform(-0.4, 0.4, (n_model, 1)), rng.uniform(0, 0.6, (n_model, 1))
    lines = sum(np.exp(-0.5 * ((X - at) / 0.01) ** 2) for at in (-0.7, -0.2, 0.35, 0.8))
    return ((1 + slope * X) * (1 - depth * lines)).astype(np.float32)


def target_of(flux, error, *, order=3, fitted=ALL, wave=WAVE):
    return spectral_target(wave, flux, error, fitted=fitted, order=order)


def test_two_wavelengths_and_order_zero_by_hand():
    # weights 1 and 4: c = (2 + 4 * 3 * 2) / (1 + 4 * 4) = 26 / 17
    wave, fitted = np.array([1.0, 2.0]), np.ones(2, bool)
    target = target_of(
        np.array([2.0, 3.0]), np.array([1.0, 0.5]), order=0, fitted=fitted, wave=wave
    )
    fit = polynomial_fit(np.array([[1.0, 2.0]]), [target])
    c = 26 / 17
    assert fit.coefficients[0, 0, 0] == pytest.approx(c, rel=1e-14)
    assert fit.chi2[0, 0] == pytest.approx((2 - c) ** 2 + 4 * (3 - 2 * c) ** 2, rel=1e-13)
    assert fit.scale_err[0, 0] == pytest.approx(17**-0.5, rel=1e-14)
    sums = amplitude_sums(np.array([[1.0, 2.0]]), [target])
    assert sums.square[0, 0] == pytest.approx(17)
    assert sums.cross[0, 0] == pytest.approx(26)
    assert sums.chi_square(np.array([[2.0]]))[0, 0] == pytest.approx(0 + 4)
    want = -0.5 * fit.chi2[0] - np.log(0.5) - np.log(2 * np.pi)
    ln_likelihood = spectral_ln_likelihood(fit.chi2[0], target, weight=1.0)
    np.testing.assert_allclose(ln_likelihood, want, rtol=1e-13)


def test_three_wavelengths_and_order_one_by_hand():
    # a flat model and equal errors: an ordinary straight line through 1, 2, 6 at x = -1, 0, 1
    target = target_of(
        np.array([1.0, 2.0, 6.0]), np.ones(3), order=1, fitted=np.ones(3, bool),
        wave=np.array([1.0, 2.0, 3.0]),
    )  # fmt: skip
    fit = polynomial_fit(np.ones((1, 3)), [target])
    np.testing.assert_allclose(fit.coefficients[0, 0], [3.0, 2.5], rtol=1e-14)
    # residuals 0.5, -1, 0.5
    assert fit.chi2[0, 0] == pytest.approx(1.5, rel=1e-13)
    assert fit.scale_err[0, 0] == pytest.approx(3**-0.5, rel=1e-14)


@pytest.mark.parametrize("order", [0, 1, 3, 10, 30])
@pytest.mark.parametrize("snr", [3, 1000])
def test_equals_least_squares(order, snr):
    rng = np.random.default_rng(order)
    models = spectra()
    error = rng.uniform(0.5, 2, N_WAVE) / snr
    flux = 7 * models[3] * (1.2 + 0.3 * X) + 7 * error * rng.standard_normal(N_WAVE)
    error = 7 * error
    flux[20:60], error[100] = np.nan, 0.0  # a gap, and an error that is none
    target = target_of(flux, error, order=order)
    fit = polynomial_fit(models, [target])
    used = target.fitted
    power = np.sum((flux[used] / error[used]) ** 2)
    assert target.n_used == N_WAVE - 41
    for i, model in enumerate(models.astype(np.float64)):
        matrix = (model / target.error * target.basis)[:, used].T
        c, rest, _, _ = np.linalg.lstsq(matrix, flux[used] / error[used], rcond=None)
        if not np.all(legendre.legval(np.linspace(-1, 1, 2001), c) > 0):
            continue
        # the small difference of large sums, in float64
        assert fit.chi2[0, i] == pytest.approx(rest[0], abs=1e-12 * power)
        np.testing.assert_allclose(fit.coefficients[0, i], c, rtol=1e-7, atol=1e-7 * abs(c[0]))
        variance = np.linalg.inv(matrix.T @ matrix)[0, 0]
        assert fit.scale_err[0, i] == pytest.approx(np.sqrt(variance), rel=1e-8)


@given(
    coefficients=st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=3),
    scale=st.floats(1e-6, 1e6),
    number=st.integers(0, 39),
)
@settings(max_examples=30)
def test_any_polynomial_of_the_order_changes_nothing(coefficients, scale, number):
    models = spectra()
    factor = scale * legendre.legval(X, [1.0, *coefficients])
    flux = models[number] * factor
    target = target_of(flux, 0.1 * np.abs(flux))
    fit = polynomial_fit(models, [target])
    # sum(w d^2) is 100 N_WAVE; chi-square is right to 1e-13 of it
    assert fit.chi2[0, number] == pytest.approx(0, abs=1e-13 * 100 * N_WAVE * 10)
    np.testing.assert_allclose(
        fit.coefficients[0, number], scale * np.array([1.0, *coefficients]), atol=1e-8 * scale
    )
    # and chi-square of all others is that of the plain spectrum: errors are relative
    plain = target_of(models[number].astype(float), 0.1 * models[number].astype(float))
    np.testing.assert_allclose(
        polynomial_fit(models, [plain]).chi2[0][np.argmin(fit.chi2[0])], 0, atol=1e-7
    )


@given(st.integers(1, 3 * BATCH), st.randoms())
@settings(max_examples=10)
def test_a_spectrum_does_not_depend_on_its_neighbours(n_target, random):
    models = spectra(n_model=300)
    rng = np.random.default_rng(5)
    flux = models[:n_target] * rng.uniform(1, 3, (n_target, 1)) + rng.normal(0, 0.1, N_WAVE)
    targets = [target_of(row, np.full(N_WAVE, 0.1)) for row in flux.astype(float)]
    together = polynomial_fit(models, targets)
    sums = amplitude_sums(models, targets)
    i = random.randrange(n_target)
    alone = polynomial_fit(models, [targets[i]])
    for name in ("chi2", "coefficients", "scale_err"):
        assert np.array_equal(getattr(alone, name)[0], getattr(together, name)[i])
    assert np.array_equal(amplitude_sums(models, [targets[i]]).cross[0], sums.cross[i])
    # nor on models beside the model
    assert np.array_equal(polynomial_fit(models[:7], [targets[i]]).chi2[0], alone.chi2[0, :7])


def test_polynomials_that_are_not_positive_are_refused():
    models = np.ones((2, N_WAVE))
    models[1] = 1 + 0.9 * X
    # a flat model would need 0.9 + x, negative below -0.9; the second only a factor of one
    target = target_of(0.9 + X, np.full(N_WAVE, 0.1), order=1)
    fit = polynomial_fit(models, [target])
    assert np.isinf(fit.chi2[0, 0])
    assert np.isfinite(fit.chi2[0, 1])
    negative = target_of(-models[1], np.full(N_WAVE, 0.1), order=1)
    assert np.all(np.isinf(polynomial_fit(models, [negative]).chi2))


def test_too_few_wavelengths_and_dark_models_have_no_fit():
    fitted = np.zeros(N_WAVE, bool)
    fitted[[3, 50]] = True
    few = target_of(np.ones(N_WAVE), np.full(N_WAVE, 0.1), fitted=fitted)
    none = target_of(np.full(N_WAVE, np.nan), np.full(N_WAVE, 0.1))
    models = np.concatenate([spectra(2), np.zeros((1, N_WAVE), np.float32)])
    fit = polynomial_fit(models, [few, none])
    assert none.n_used == 0
    assert np.all(np.isinf(fit.chi2))
    good = polynomial_fit(models, [target_of(np.ones(N_WAVE), np.full(N_WAVE, 0.1))])
    assert np.isfinite(good.chi2[0, :2]).all()
    assert np.isinf(good.chi2[0, 2])


def test_basis_stays_at_its_ends():
    basis = legendre_basis(WAVE, ends=(5000.0, 6000.0), order=4)
    np.testing.assert_allclose(basis[:, WAVE > 6000], 1.0)
    np.testing.assert_allclose(basis[1, WAVE < 5000], -1.0)
    inside = (WAVE > 5000) & (WAVE < 6000)
    x = (WAVE[inside] - 5500) / 500
    np.testing.assert_allclose(basis[2, inside], 1.5 * x**2 - 0.5, atol=1e-14)
    assert np.array_equal(legendre_basis(WAVE, ends=(5e3, 5e3), order=1)[1], np.zeros(N_WAVE))


def test_clipping_drops_a_cosmic_ray_and_no_more():
    rng = np.random.default_rng(2)
    model = spectra()[0].astype(float)
    flux = model + 0.01 * rng.uniform(-2, 2, N_WAVE)
    flux[77] += 1.0
    target = target_of(flux, np.full(N_WAVE, 0.01))
    kept = clipped(target, model, clip_sigma=3.0)
    np.testing.assert_array_equal(np.flatnonzero(~kept), [77])
    assert clipped(target, model, clip_sigma=0.0).all()


def test_clipping_goes_by_the_scatter_where_no_model_fits():
    rng = np.random.default_rng(2)
    model = spectra()[0].astype(float)
    target = target_of(model + 0.1 * rng.standard_normal(N_WAVE), np.full(N_WAVE, 0.01))
    # residuals of ten errors: by the errors alone three quarters would go
    assert clipped(target, model, clip_sigma=3.0).mean() > 0.98


def test_lines_are_masked_by_their_distance():
    wave = np.array([6563.0, 6554.5, 6554.7, 6500.0, np.nan])
    # H alpha at 6564.61, [N II] at 6549.86: 1.6, 4.6 and 4.8, 49.9 from the nearer one
    np.testing.assert_array_equal(
        near_lines(wave, half_width=4.7), [True, True, False, False, False]
    )
    all_lines = np.concatenate([np.array(each) for each in EMISSION_LINES.values()])
    assert near_lines(all_lines, half_width=1e-6).all()
    assert all_lines.min() > 1200
    assert np.all(np.diff(np.sort(all_lines)) > 0)
