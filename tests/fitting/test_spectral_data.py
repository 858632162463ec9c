"""Which wavelengths of spectra count, and SEDs whose spectra are odd, or none."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from pxdask.core.flags import Flag
from pxdask.fitting.rdsps import RdspsFitter
from pxdask.fitting.spectral_data import (
    fitted_wavelengths,
    likelihood_of_spectrum,
    spectral_data,
)
from pxdask.fitting.stage import join_blocks
from pxdask.testing import digest
from tests.fitting.lined import MASS, WAVE, Z, fit_of, fitter, library, mocks


def test_emission_lines_do_not_count():
    seds, _ = mocks(n_sed=3)
    lit = seds.spectrum.copy()
    rest = WAVE / (1 + Z)
    for line in (4862.68, 4960.30, 5008.24):
        lit[:, np.abs(rest - line) < 9] *= 3
    plain, with_lines = fit_of(seds), fit_of(replace(seds, spectrum=lit))
    assert digest(with_lines) == digest(plain)
    seen = fit_of(replace(seds, spectrum=lit), mask_lines=False)
    assert np.all(seen["spectrum_chi2"].values > 10 * plain["spectrum_chi2"].values)


def test_lines_are_left_out_wherever_a_free_redshift_may_move_them(caplog):
    seds, _ = mocks(n_sed=1)
    settings_ = fitter().settings
    with caplog.at_level(logging.INFO):
        data = spectral_data(seds, library(free=True), settings=settings_)
    ends = 0.025, 0.035
    count = np.ones(WAVE.size, bool)
    for z in np.linspace(*ends, 201):
        count &= fitted_wavelengths(WAVE, redshifts=(z, z), settings=settings_.spectrum)
    fitted = fitted_wavelengths(WAVE, redshifts=ends, settings=settings_.spectrum)
    # masks and range of redshifts are intervals: their ends differ by rounding alone
    assert np.count_nonzero(fitted != count) <= 2
    n_fixed = np.count_nonzero(
        fitted_wavelengths(WAVE, redshifts=(Z, Z), settings=settings_.spectrum)
    )
    assert np.count_nonzero(fitted) < n_fixed
    assert f"of {WAVE.size} wavelengths are fitted" in caplog.text
    assert "redshift from 0.025 to 0.035" in caplog.text
    assert data.targets[0].n_used <= np.count_nonzero(fitted)


def test_ranges_are_of_the_rest_frame():
    settings_ = fitter(wave_ranges=((5100.0, 5300.0),), mask_lines=False).settings.spectrum
    fitted = fitted_wavelengths(WAVE, redshifts=(Z, Z), settings=settings_)
    rest = WAVE / (1 + Z)
    np.testing.assert_array_equal(fitted, (rest >= 5100) & (rest <= 5300))
    wide = fitted_wavelengths(WAVE, redshifts=(0.02, 0.04), settings=settings_)
    np.testing.assert_array_equal(wide, (WAVE / 1.04 >= 5100) & (WAVE / 1.02 <= 5300))
    seds, _ = mocks(n_sed=2)
    fit = fit_of(seds, wave_ranges=((5100.0, 5300.0),), mask_lines=False)
    assert np.all(fit["spectrum_n_used"].values == np.count_nonzero(fitted))


def test_no_wavelength_left_is_said(caplog):
    seds, _ = mocks(n_sed=2)
    with caplog.at_level(logging.WARNING):
        fit = fit_of(seds, wave_ranges=((1000.0, 1100.0),))
    assert "none of 1000 wavelengths" in caplog.text
    plain = RdspsFitter(fitter().settings).prepare(library()).fit(seds)
    np.testing.assert_array_equal(fit["log_mass"], plain["log_mass"])
    assert np.isnan(fit["model_spectrum"]).all()


def test_clipping_drops_a_cosmic_ray():
    seds, _ = mocks(n_sed=3)
    hit = seds.spectrum.copy()
    place = np.abs(WAVE - 5300 * (1 + Z)).argmin()
    hit[:, place] *= 5
    clean = seds.spectrum_err.copy()
    clean[:, place] = np.nan
    hit_fit = fit_of(replace(seds, spectrum=hit), clip_sigma=8.0, clip_rounds=3)
    want = fit_of(replace(seds, spectrum_err=clean), clip_sigma=8.0)
    for name in ("log_age", "logzsol", "log_mass", "spectrum_n_used", "spectrum_chi2"):
        np.testing.assert_allclose(hit_fit[name], want[name], rtol=1e-9)
    unclipped = fit_of(replace(seds, spectrum=hit))
    assert np.all(unclipped["spectrum_chi2"].values > want["spectrum_chi2"].values + 1000)
    some = fit_of(seds, clip_sigma=2.0)
    # 4.6 % of a Gaussian
    share = some["spectrum_n_used"].values / fit_of(seds)["spectrum_n_used"].values
    assert np.all((share > 0.92) & (share < 0.98))


def test_an_sed_without_a_spectrum_is_fitted_by_its_photometry():
    seds, _ = mocks(n_sed=4)
    spectrum = seds.spectrum.copy()
    spectrum[[0, 2]] = np.nan
    spectrum[3, 4:] = np.nan  # four wavelengths determine a cubic, and nothing else
    mixed = fit_of(replace(seds, spectrum=spectrum), n_samples=5)
    plain = RdspsFitter(fitter(n_samples=5).settings).prepare(library()).fit(seds)
    full = fit_of(seds, n_samples=5)
    for name in ("log_mass", "log_mass_mean", "log_mass_samples", "chi2", "flags", "model_flux"):
        np.testing.assert_array_equal(mixed[name][[0, 2, 3]], plain[name][[0, 2, 3]])
        np.testing.assert_array_equal(mixed[name][1], full[name][1])
    assert np.isnan(mixed["spectrum_chi2"].values[[0, 2, 3]]).all()
    np.testing.assert_array_equal(mixed["spectrum_n_used"].values[[0, 2, 3]], 0)
    assert np.isnan(mixed["model_spectrum"].values[0]).all()
    nothing = fit_of(replace(seds, spectrum=np.full_like(spectrum, np.nan)), n_samples=5)
    # blocks of SEDs can be joined whatever is in them
    assert set(nothing.variables) == set(full.variables)
    assert nothing.sizes == full.sizes


def test_blocks_with_and_without_spectra_can_be_joined():
    seds, _ = mocks()
    spectrum = seds.spectrum.copy()
    spectrum[:3] = np.nan
    some = replace(seds, spectrum=spectrum)
    blocks = [
        fit_of(some.rows(start, stop)).assign_attrs(bin_start=start, bin_stop=stop)
        for start, stop in ((0, 3), (3, 8))
    ]
    joined = join_blocks(blocks)
    whole = fit_of(some).assign_attrs(bin_start=0, bin_stop=8)
    assert digest(joined) == digest(whole)


def test_a_spectrum_that_no_model_fits_is_told_the_same_alone():
    seds, _ = mocks(n_sed=3)
    spectrum = seds.spectrum.copy()
    spectrum[1] *= -1
    some = replace(seds, spectrum=spectrum)
    fit = fit_of(some, polynomial_order=0)
    assert digest(fit_of(some.rows(1, 2), polynomial_order=0)) == digest(fit.isel(bin=[1]))
    assert np.isnan(fit["log_mass"].values[1]).all()
    assert fit["spectrum_n_used"].values[1] == 0


def test_wrong_unit_and_negative_spectra_are_flagged(caplog):
    seds, _ = mocks(n_sed=3)
    strange = np.array([[1e20], [-1.0], [1.0]])
    other = replace(
        seds, spectrum=seds.spectrum * strange, spectrum_err=seds.spectrum_err * np.abs(strange)
    )
    with caplog.at_level(logging.WARNING):
        fit = fit_of(other, use="spectrum")
    flags = fit["flags"].values
    assert flags[0] & Flag.ODD_FLUX
    assert flags[1] == Flag.NOT_FITTED
    assert not flags[2] & (Flag.ODD_FLUX | Flag.NOT_FITTED)
    assert "the best model has" in caplog.text
    assert "no model" in caplog.text
    assert np.isnan(fit["log_mass"].values[1]).all()


def test_likelihood_for_samplers_is_that_of_the_fit():
    seds, _ = mocks(n_sed=2)
    settings_ = fitter().settings
    data = spectral_data(seds, library(), settings=settings_)
    models = library().draw()
    spectra = data.observer.spectra({n: models[n].values for n in ("log_age", "logzsol")})
    found = likelihood_of_spectrum(spectra, data.targets[1], settings=settings_.spectrum)
    fit = fit_of(seds, use="spectrum")
    least = 2 * (data.targets[1].constant - found.ln_likelihood.max())
    assert least == pytest.approx(fit["spectrum_chi2"].values[1], rel=1e-6)
    best = np.argmax(found.ln_likelihood)
    assert found.scale[best] * models["surviving"].values[best] == pytest.approx(MASS, rel=0.6)
    # without a polynomial, at any amplitude: the best one is the best
    amplitude = settings_.spectrum.model_copy(update={"polynomial_order": None})
    at_best = likelihood_of_spectrum(spectra, data.targets[1], settings=amplitude)
    for factor in (0.97, 1.03):
        off = likelihood_of_spectrum(
            spectra, data.targets[1], settings=amplitude, scale=factor * at_best.scale
        )
        assert np.all(off.ln_likelihood < at_best.ln_likelihood)
        # a parabola: (s - best)^2 / (2 err^2)
        drop = 0.5 * (0.03 * at_best.scale / at_best.scale_err) ** 2
        np.testing.assert_allclose(at_best.ln_likelihood - off.ln_likelihood, drop, rtol=1e-3)
