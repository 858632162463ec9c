"""Spectra in samplers, against the weights of a library and against photometry alone."""

from dataclasses import replace

import numpy as np
import pytest

from pxdask.core.config import FitConfig
from pxdask.core.errors import ConfigError
from pxdask.core.flags import Flag
from pxdask.core.schema import FIT
from pxdask.fitting.first_look import FirstLook
from pxdask.fitting.seds import Seds
from pxdask.fitting.spectral_data import SpectralLikelihood
from pxdask.fitting.spectral_term import as_bands
from pxdask.fitting.stage import fitter_of
from pxdask.fitting.target import Sampled
from pxdask.kernels.amplitude import ln_mean_over_amplitude
from pxdask.testing import digest
from tests.fitting.lined import library, mocks

QUICK = {
    "n_walkers": 32, "max_steps": 300, "adapt_steps": 100, "n_components": 4, "min_taus": 20.0,
    "max_rhat": 1.1,
}  # fmt: skip
NAMES = ("log_age", "logzsol", "log_mass")


def settings(method="mcmc", *, likelihood="gaussian", **spectrum):
    return FitConfig(
        method=method, likelihood=likelihood, systematic_error=0.0, mcmc=QUICK, spectrum=spectrum
    )


def fit_of(seds, method="mcmc", *, likelihood="gaussian", **spectrum):
    chosen = settings(method, likelihood=likelihood, **spectrum)
    return FIT.validate(fitter_of(chosen).prepare(library()).fit(seds))


@pytest.mark.slow
def test_a_spectrum_narrows_the_posterior_about_the_truth():
    seds, truth = mocks(2, snr=20.0)
    alone, both = fit_of(seds, use="photometry"), fit_of(seds)
    truth = {**truth, "log_mass": 9 + np.log10(truth["surviving"])}
    for name, narrower in zip(NAMES, (0.8, 0.25, 0.8), strict=True):
        assert np.all(both[f"{name}_std"] < narrower * alone[f"{name}_std"])
        # three deviations: six numbers
        away = np.abs(both[f"{name}_mean"] - truth[name]) / both[f"{name}_std"]
        assert np.all(away < 3), (name, away.values)
    assert not np.any(both["flags"])
    # 900 wavelengths: a scatter of 5 %
    np.testing.assert_allclose(both["spectrum_chi2"] / both["spectrum_n_used"], 1, atol=0.25)
    np.testing.assert_allclose(both["model_spectrum"], seds.spectrum, rtol=0.5)
    np.testing.assert_allclose(both["polynomial"][:, 0], 1, atol=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("use", ["both", "spectrum"])
def test_a_sampler_and_a_library_agree(use):
    seds, _ = mocks(2, snr=20.0)
    first, second = (fit_of(seds, method, use=use) for method in ("rdsps", "mcmc"))
    for name in NAMES:
        std = second[f"{name}_std"]
        # of some 20 effective models of the library: 0.3 deviations of a mean, and three of these
        assert np.all(np.abs(first[f"{name}_mean"] - second[f"{name}_mean"]) < 0.9 * std), name
        ratio = first[f"{name}_std"] / std
        assert np.all((ratio > 0.5) & (ratio < 1.6)), name
    for name in ("spectrum_n_used", "n_used"):
        np.testing.assert_array_equal(first[name], second[name])
    # the best of a sampler is at least as good as that of 2,048 models
    chi2 = [fit["spectrum_chi2"] + np.nan_to_num(fit["chi2"]) for fit in (first, second)]
    assert np.all(chi2[1] < chi2[0] + 0.1)


@pytest.mark.slow
def test_without_a_polynomial_the_amplitude_is_shared():
    seds, truth = mocks(2, snr=20.0)
    factor, shared = fit_of(seds), fit_of(seds, polynomial_order=None)
    # 900 wavelengths of S/N 20 tell the amplitude to 0.2 per cent, and with it the age
    assert np.all(shared["log_mass_std"] < 0.3 * factor["log_mass_std"])
    for name in ("log_age", "logzsol"):
        away = np.abs(shared[f"{name}_mean"] - truth[name]) / shared[f"{name}_std"]
        assert np.all(away < 3.5), (name, away.values)
    np.testing.assert_array_equal(shared["polynomial"], 1)


@pytest.mark.slow
def test_each_sed_is_fitted_as_if_alone_and_without_spectrum_by_its_photometry():
    seds, _ = mocks(2, snr=20.0)
    none = np.where(np.arange(2)[:, None] == 1, np.nan, seds.spectrum)
    some = replace(seds, spectrum=none)
    fit = fit_of(some)
    for i in range(2):
        assert digest(fit_of(some.rows(i, i + 1))) == digest(fit.isel(bin=slice(i, i + 1)))
    np.testing.assert_array_equal(fit["spectrum_n_used"] > 0, [True, False])
    assert np.all(np.isnan(fit["model_spectrum"][1]))
    plain = fit_of(seds.rows(1, 2), use="photometry")
    np.testing.assert_array_equal(fit["log_age"][1], plain["log_age"][0])


def test_a_cosmic_ray_is_clipped():
    seds, _ = mocks(1, snr=20.0)
    hit = seds.spectrum.copy()
    hit[0, 500] *= 5
    clipped, whole = (fit_of(replace(seds, spectrum=hit), clip_sigma=s) for s in (4.0, 0.0))
    assert clipped["spectrum_n_used"].item() < whole["spectrum_n_used"].item()
    assert clipped["spectrum_chi2"].item() < whole["spectrum_chi2"].item() - 1000


@pytest.mark.slow
def test_nested_sampling_takes_spectra_too():
    seds, _ = mocks(1, snr=20.0)
    first, second = fit_of(seds, "nested"), fit_of(seds)
    for name in NAMES:
        std = second[f"{name}_std"].item()
        # of some 1,000 effective samples each: 0.05, and three deviations of a mean
        assert abs(first[f"{name}_mean"] - second[f"{name}_mean"]).item() < 0.2 * std
        assert first[f"{name}_std"].item() == pytest.approx(std, rel=0.15)
    assert first["spectrum_n_used"].item() > 800


@pytest.mark.parametrize("method", ["mcmc", "nested"])
def test_an_amplitude_of_bands_and_spectrum_is_not_students(method):
    chosen = settings(method, likelihood="student_t", polynomial_order=None)
    with pytest.raises(ConfigError, match="student_t"):
        fitter_of(chosen).prepare(library())


@pytest.mark.parametrize("method", ["rdsps", pytest.param("mcmc", marks=pytest.mark.slow)])
def test_a_spectrum_without_a_band_is_gaussian_whatever_bands_are(method):
    seds, _ = mocks(3, snr=20.0)
    flux = seds.flux.copy()
    flux[1] = np.nan
    seds = replace(seds, flux=flux)
    student = fit_of(seds, method, likelihood="student_t")
    assert student.attrs["likelihood"] == "student_t"
    gaussian = fit_of(seds.rows(1, 2), method)
    for name in gaussian.data_vars:
        if "bin" in gaussian[name].dims:
            np.testing.assert_array_equal(student[name].values[1:2], gaussian[name].values)
    assert not np.any(np.isnan(student["log_mass"]))
    for i in range(3):
        alone = fit_of(seds.rows(i, i + 1), method, likelihood="student_t")
        assert digest(alone) == digest(student.isel(bin=slice(i, i + 1)))
    # where spectra alone are fitted, no SED has a band
    student = fit_of(seds, method, likelihood="student_t", use="spectrum")
    gaussian = fit_of(seds, method, use="spectrum")
    assert digest(student.assign_attrs(likelihood="gaussian")) == digest(gaussian)


@pytest.mark.parametrize("method", ["rdsps", "mcmc", "nested"])
def test_a_spectrum_that_is_wanted_and_missing_is_not_made_up_for_by_bands(method, caplog):
    seds, _ = mocks(3, snr=20.0)
    spectrum, error = seds.spectrum.copy(), seds.spectrum_err.copy()
    spectrum[0], error[2] = np.nan, 0.0
    some = replace(seds, spectrum=spectrum, spectrum_err=error).chosen(np.array([0, 2]))
    fit = fit_of(some, method, use="spectrum")
    np.testing.assert_array_equal(fit["flags"], int(Flag.NOT_FITTED))
    assert np.all(np.isnan(fit["log_mass"]))
    np.testing.assert_array_equal(fit["n_used"], 0)
    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert any(str(some.keys[0]) in text and str(some.keys[1]) in text for text in warned)
    caplog.clear()
    # nor where there is none at all
    none = Seds(seds.flux, seds.flux_err, seds.keys)
    fit = fit_of(none, method, use="spectrum")
    np.testing.assert_array_equal(fit["flags"], int(Flag.NOT_FITTED))
    assert str(seds.keys[1]) in caplog.text
    # with both, bands are fitted, and nothing is amiss
    caplog.clear()
    if method == "rdsps":
        assert not np.any(fit_of(some, method)["flags"] & int(Flag.NOT_FITTED))
        assert not [one for one in caplog.records if one.levelname == "WARNING"]


def test_students_t_of_bands_goes_with_a_spectrum():
    seds, truth = mocks(1, snr=20.0)
    fit = fit_of(seds, likelihood="student_t")
    assert abs(fit["logzsol_mean"] - truth["logzsol"]).item() < 3 * fit["logzsol_std"].item()
    # of a spectrum alone the amplitude is Gaussian, whatever is asked
    dark = replace(seds, flux=seds.flux * np.nan)
    alone, plain = (fit_of(dark, likelihood=form) for form in ("student_t", "gaussian"))
    np.testing.assert_array_equal(alone["log_mass"], plain["log_mass"])
    assert np.isfinite(alone["log_mass"]).all()


def test_an_amplitude_as_a_band_is_its_gaussian():
    # of 3 +- 0.1, and no other band: the integral over ln s of exp(-(s - 3)^2 / 2 0.1^2)
    found = SpectralLikelihood(np.array([-7.0]), np.array([3.0]), np.array([0.1]))
    none = np.full((1, 1), np.nan)
    bands, added = as_bands(found, none, none, np.zeros((1, 1), bool), np.ones((1, 1), np.float32))
    prior = {"sed": np.array([0]), "low": np.array([-5.0]), "width": 10.0}
    s = np.linspace(2, 4, 20_001)
    want = np.log(np.trapezoid(np.exp(-0.5 * ((s - 3) / 0.1) ** 2) / s, s) / 10) - 7
    assert (ln_mean_over_amplitude(*bands, **prior) + added)[0] == pytest.approx(want, abs=1e-4)


def test_the_density_over_mass_is_the_integral_of_that_over_the_cube():
    seds, _ = mocks(1, snr=20.0)
    for chosen in ({}, {"use": "spectrum"}, {"polynomial_order": None}):
        target = Sampled(settings(**chosen), library()).target(seds)
        unit = target.start(0, 3, np.random.default_rng(0))[:, :-1]
        last = np.linspace(0, 1, 8001)
        for point in unit:
            cube = np.column_stack([np.tile(point, (last.size, 1)), last])
            each = target(cube, np.zeros(last.size, int))
            want = np.log(np.trapezoid(np.exp(each - each.max()), last)) + each.max()
            found = target.over_mass(point[None], np.array([0]))[0]
            # a spectrum's last bits depend on how many models are made with it: 1e-7 of 1e6
            assert found == pytest.approx(want, abs=0.05)


def test_a_look_at_first_models_keeps_the_spectrum():
    look = FirstLook(np.array([1.0, np.nan, 2.0]), np.array([-1.0, -np.inf, -3.0]))
    spectral = SpectralLikelihood(np.array([-9.0, -2.0]), np.array([np.nan, 5.0]), np.ones(2))
    found = look.with_spectrum(spectral)
    np.testing.assert_array_equal(found.scale, [1, 5])
    np.testing.assert_array_equal(found.ln_likelihood, [-10, -2])
    assert found.best_scale == 5
