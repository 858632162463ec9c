"""Emission lines of spectra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from pxdask.ifs.lines import LINES, continuum_level, measure_lines
from pxdask.kernels.line_fit import C_KM_S
from tests.ifs.test_indices import manga_spectra

Z = 0.03
WAVE = 3622 * 10 ** (1e-4 * np.arange(2900))
LSF = WAVE / 2000
TRUE = {"oii_3727": 30, "hbeta": 20, "oiii_5007": 15, "halpha": 70, "nii_6584": 25, "sii_6717": 12,
        "sii_6731": 9}  # fmt: skip
LEVEL = 3.0


def mock(n=1, *, velocity=0.0, sigma=60.0, scale=1.0, level=None):
    """Return spectra (n, n_wave) of flat continuum and all lines."""
    velocity, sigma = np.broadcast_to(velocity, n), np.broadcast_to(sigma, n)
    flux = np.tile(np.full(WAVE.size, LEVEL) if level is None else level, (n, 1))
    for name, members in LINES.items():
        for rest, share in members:
            centre = (rest * (1 + Z) * (1 + velocity / C_KM_S))[:, None]
            lsf = np.interp(rest * (1 + Z), WAVE, LSF) / 2.3548200
            width = np.hypot(sigma[:, None] * centre / C_KM_S, lsf)
            profile = np.exp(-0.5 * ((WAVE - centre) / width) ** 2)
            flux += scale * TRUE[name] * share * profile / (np.sqrt(2 * np.pi) * width)
    return flux


def measured(flux, error=0.1, *, wave=WAVE, lsf=LSF, **kwargs):
    flux = np.atleast_2d(flux)
    error = np.broadcast_to(np.asarray(error, float), flux.shape)
    return measure_lines(wave, flux, error, redshift=Z, lsf_fwhm=lsf, **kwargs)


def test_noiseless_lines_come_back():
    # The continuum's windows leave 15 A at lines out, so 1e-3 of a line's flux may leak into it.
    velocity, sigma = np.array([-310.0, 0.0, 140.0]), np.array([20.0, 75.0, 130.0])
    found = measured(mock(3, velocity=velocity, sigma=sigma))
    np.testing.assert_allclose(found.flux, np.tile(list(TRUE.values()), (3, 1)), rtol=8e-3)
    np.testing.assert_allclose(found.velocity, velocity, atol=0.2)
    np.testing.assert_allclose(found.sigma, sigma, atol=0.5)
    assert np.all(np.isnan(found.limit))
    np.testing.assert_allclose(found.width[1], found.flux[1] / LEVEL / (1 + Z), rtol=1e-3)


def test_as_scipy_fits():
    # The same model by least_squares: minima within a thousandth of an error, errors to 1 %.
    rng = np.random.default_rng(3)
    flux = mock(3, velocity=50.0, sigma=[40.0, 90.0, 150.0]) + 0.3 * rng.standard_normal((3, 2900))
    found = measured(flux, 0.3)
    level = continuum_level(WAVE, flux, np.full(flux.shape, 0.3), redshift=Z)

    def model(p):
        lines = np.zeros(WAVE.size)
        for value, members in zip(p[2:], LINES.values(), strict=True):
            for rest, share in members:
                centre = rest * (1 + Z) * (1 + p[0] / C_KM_S)
                lsf = np.interp(rest * (1 + Z), WAVE, LSF) / 2.3548200450309493
                width = np.hypot(p[1] * centre / C_KM_S, lsf)
                profile = np.exp(-0.5 * ((WAVE - centre) / width) ** 2)
                lines += value * share * profile / (np.sqrt(2 * np.pi) * width)
        return lines

    for i in range(3):
        start = [30.0, 70.0, *TRUE.values()]
        fit = least_squares(
            lambda p, i=i: (flux[i] - level[i] - model(p)) / 0.3, start, x_scale=[10, 10] + 7 * [5]
        )
        error = np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))
        ours = [found.velocity[i], found.sigma[i], *found.flux[i]]
        assert np.max(np.abs(ours - fit.x) / error) < 3e-3
        errors = [found.velocity_err[i], found.sigma_err[i], *found.flux_err[i]]
        np.testing.assert_allclose(errors, error, rtol=0.01)


@settings(deadline=None, max_examples=10)
@given(st.floats(1e-3, 1e3), st.floats(0.5, 2))
def test_units_do_not_matter_and_flux_is_linear(unit, bright):
    plain = measured(mock(), 0.1)
    other = measured(unit * mock(), 0.1 * unit)
    np.testing.assert_allclose(other.flux, unit * plain.flux, rtol=1e-6)
    np.testing.assert_allclose(other.velocity, plain.velocity, atol=1e-3)
    scaled = measured(mock(scale=bright), 0.1)
    np.testing.assert_allclose(scaled.flux, bright * plain.flux, rtol=5e-3)


@pytest.mark.statistical
def test_errors_and_limits_are_right():
    # 600 spectra: pulls have a deviation of 1 to 3 %, and the continuum's noise adds about 5 %.
    n = 600
    rng = np.random.default_rng(11)
    velocity, sigma = rng.uniform(-250, 250, n), rng.uniform(50, 150, n)
    error = np.full((n, WAVE.size), 0.4)
    flux = mock(n, velocity=velocity, sigma=sigma) + error * rng.standard_normal(error.shape)
    found = measured(flux, error)
    pulls = (found.flux - np.array(list(TRUE.values()))) / found.flux_err
    assert np.all(np.abs(pulls.mean(axis=0)) < 0.2)
    assert np.all((pulls.std(axis=0) > 0.93) & (pulls.std(axis=0) < 1.17))
    assert np.std((found.velocity - velocity) / found.velocity_err) == pytest.approx(1, abs=0.1)
    assert np.std((found.sigma - sigma) / found.sigma_err) == pytest.approx(1.03, abs=0.12)
    assert np.mean(found.chi2 / found.n_used) == pytest.approx(0.98, abs=0.03)
    # No lines: no velocity, unbiased fluxes, limits above them and none detected by chance more
    # often than 3 sigma is, 0.13 %, of 4200 lines.
    found = measured(LEVEL + error * rng.standard_normal(error.shape), error)
    assert np.all(np.isnan(found.velocity))
    pulls = found.flux / found.flux_err
    assert np.all(np.abs(pulls.mean(axis=0)) < 0.15)
    assert np.isnan(found.limit).sum() <= 18
    assert np.nanmin(found.limit / found.flux_err) >= 3 - 1e-9


def test_stars_absorb_what_gas_emits():
    # An absorption line of 4 A at H beta hides 4 x 3 x 1.03 of flux from a flat continuum, and
    # nothing from starlight of any scale that has it.
    rest = WAVE / (1 + Z)
    stars = (1 - 0.4 * np.exp(-0.5 * ((rest - LINES["hbeta"][0][0]) / 4.0) ** 2)) * LEVEL
    flux = mock(level=stars)
    i = list(LINES).index("hbeta")
    naive = measured(flux).flux[0, i]
    found = measured(flux, starlight=17.0 * stars[None]).flux[0, i]
    assert found == pytest.approx(TRUE["hbeta"], rel=5e-3)
    assert naive < 0.9 * found


def test_what_is_not_covered():
    names = list(LINES)
    flux = mock(3)
    flux[0, np.abs(WAVE / (1 + Z) - 6564.61) < 4] = np.nan
    flux[1] = np.nan
    error = np.full(flux.shape, 0.1)
    error[2, np.abs(WAVE / (1 + Z) - 4960.3) < 25] = 0.0  # the lesser of the doublet
    found = measured(flux, error)
    assert np.isnan(found.flux[0]).tolist() == [name == "halpha" for name in names]
    assert np.all(np.isnan(found.flux[1]))
    assert np.isnan(found.chi2[1])
    assert found.n_used[1] == 0
    assert found.flux[2, names.index("oiii_5007")] == pytest.approx(15, rel=0.01)
    part = WAVE < 6500
    short = measured(flux[2:, part], wave=WAVE[part], lsf=LSF[part])
    seen = np.isfinite(short.flux[0])
    assert seen.tolist() == [True] * 3 + [False] * 4
    assert short.flux[0, 1] == pytest.approx(20, rel=0.01)


def test_unknown_resolution_gives_observed_widths():
    found = measured(mock(sigma=100.0), lsf=np.full(WAVE.size, np.nan))
    wanted = np.hypot(100, C_KM_S / 2000 / 2.3548)
    assert found.sigma[0] == pytest.approx(wanted, rel=0.02)
    assert found.flux[0, 3] == pytest.approx(70, rel=0.02)


def test_unresolved_lines():
    found = measured(mock(sigma=0.0), lsf=1.05 * LSF)
    assert found.sigma[0] == 0
    assert found.sigma_err[0] > 0
    assert np.all(np.isfinite(found.flux_err))


@pytest.mark.data
def test_real_spectra():
    # Without starlight H beta is partly filled by absorption; the star-forming three nonetheless
    # have all lines at more than 10 sigma, at the redshift that is given, and [S II] between the
    # limits of thin and dense gas, 1.45 and 0.44 (Osterbrock & Ferland 2006), within 3 errors.
    found = [
        measure_lines(wave, flux[None], error[None], redshift=redshift, lsf_fwhm=lsf)
        for wave, flux, error, redshift, lsf in manga_spectra()
    ]
    assert np.all(np.isnan(found[5].flux))
    for i in (8, 10):
        flux, error = found[i].flux[0], found[i].flux_err[0]
        assert np.all(flux > 10 * error)
        assert abs(found[i].velocity[0]) < 60
        ratio = flux[5] / flux[6]
        ratio_err = ratio * np.hypot(error[5] / flux[5], error[6] / flux[6])
        assert 0.44 - 3 * ratio_err < ratio < 1.45 + 3 * ratio_err
    assert np.isnan(found[7].velocity[0])
