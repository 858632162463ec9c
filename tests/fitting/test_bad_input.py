"""Data that are not as they should be: a flag or a clear error from every fitter."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from pxdask.core.config import FitConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.core.schema import FIT
from pxdask.fitting import RdspsFitter, Seds
from pxdask.fitting.mcmc import McmcFitter
from pxdask.fitting.nested import NestedFitter
from pxdask.io.filters import load_filters
from pxdask.sps import synthetic_ssp
from pxdask.sps.libraries import make_library
from pxdask.sps.model_set import check_models
from pxdask.testing import digest

FILTERS = ("galex_nuv", "sdss_g", "sdss_r", "2mass_j", "wise_w1")
SMALL = {
    "mcmc": {"n_walkers": 24, "max_steps": 80, "check_every": 40, "adapt_steps": 20},
    "nested": {"sampler": "nautilus", "n_live": 100, "max_calls": 400},
    "systematic_error": 0.0,
}
KINDS = {"rdsps": RdspsFitter, "mcmc": McmcFitter, "nested": NestedFitter}
FITTERS = [
    pytest.param(("rdsps", "gaussian"), id="rdsps-gaussian"),
    pytest.param(("rdsps", "student_t"), id="rdsps-student_t"),
    pytest.param(("mcmc", "gaussian"), id="mcmc-gaussian"),
    pytest.param(("mcmc", "student_t"), id="mcmc-student_t"),
    pytest.param(("nested", "gaussian"), id="nested", marks=pytest.mark.slow),
]


def library(filters=FILTERS, **models):
    settings = ModelConfig(**{"ssp": "synthetic", "n_models": 500, **models})
    return make_library(
        synthetic_ssp(), load_filters(filters), settings=settings, redshift=0.1, seed=3
    )


def fitter_of(kind, **settings):
    """A fitter that is quick, converged or not."""
    if kind == "nested":
        pytest.importorskip(SMALL["nested"]["sampler"], reason="the extra is not installed")
    return KINDS[kind](FitConfig(method=kind, **SMALL, **settings))


@pytest.fixture(scope="module", params=FITTERS)
def prepared(request):
    kind, likelihood = request.param
    ready = fitter_of(kind, likelihood=likelihood).prepare(library())
    ready.fit(good().rows(0, 1))  # nothing of what follows is because it is the first
    return ready


def good(n_sed=3, snr=20.0):
    """Models of 1e10 Msun, seen without noise."""
    flux = 1e10 * library(n_models=n_sed).draw()["flux"].values.astype(float)
    return Seds(flux, flux / snr, tuple(("galaxy", i) for i in range(n_sed)))


def changed(sed, *, band=None, flux=None, flux_err=None):
    """An SED of which some numbers are others."""
    new_flux, new_err = sed.flux.copy(), sed.flux_err.copy()
    at = slice(None) if band is None else band
    if flux is not None:
        new_flux[:, at] = flux
    if flux_err is not None:
        new_err[:, at] = flux_err
    return Seds(new_flux, new_err, sed.keys)


def results(fit):
    """Names of what is fitted."""
    return [str(name) for name in fit.data_vars if fit[name].dims == ("bin", "quantile")]


def assert_not_fitted(fit):
    FIT.validate(fit)
    assert np.all(fit["flags"] == Flag.NOT_FITTED)
    for name in (*results(fit), "chi2", "n_eff", "model_flux"):
        assert np.isnan(fit[name]).all(), name


def assert_fitted(fit):
    FIT.validate(fit)
    assert not np.any(fit["flags"] & int(Flag.NOT_FITTED))
    for name in results(fit):
        values = np.column_stack([fit[name], fit[f"{name}_mean"], fit[f"{name}_std"]])
        assert np.isfinite(values).all(), name
    assert np.isfinite(fit["model_flux"]).all()


@pytest.mark.parametrize(
    "fault",
    [
        {"flux_err": 0.0},
        {"flux_err": -0.5},
        {"flux_err": np.nan},
        {"flux_err": np.inf},
        {"flux": np.inf},
        {"flux": -np.inf},
    ],
    ids=str,
)
def test_a_band_that_is_no_measurement_is_left_out(prepared, fault):
    sed = good().rows(0, 1)
    missing = prepared.fit(changed(sed, band=1, flux=np.nan))
    found = prepared.fit(changed(sed, band=1, **fault))
    assert_fitted(found)
    assert found["n_used"].item() == len(FILTERS) - 1
    assert digest(found) == digest(missing)


@pytest.mark.parametrize(
    "fault",
    [{"flux": np.nan}, {"flux": np.inf}, {"flux_err": 0.0}, {"flux_err": -1.0}],
    ids=str,
)
def test_an_sed_without_a_band_is_flagged_and_its_neighbours_are_as_they_were(prepared, fault):
    seds = good()
    flux, flux_err = seds.flux.copy(), seds.flux_err.copy()
    if "flux" in fault:
        flux[1] = fault["flux"]
    else:
        flux_err[1] = fault["flux_err"]
    fit = prepared.fit(Seds(flux, flux_err, seds.keys))
    assert_not_fitted(fit.isel(bin=[1]))
    assert fit["n_used"].values[1] == 0
    alone = prepared.fit(seds.rows(0, 1))
    for name in results(fit):
        np.testing.assert_array_equal(fit[name].values[0], alone[name].values[0])


def test_fluxes_below_zero_in_all_bands_fit_no_model(prepared):
    sed = good().rows(0, 1)
    fit = prepared.fit(changed(sed, flux=-sed.flux))
    assert_not_fitted(fit)
    assert fit["n_used"].item() == len(FILTERS)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
@pytest.mark.parametrize("n_models", [500, 20_000])
@pytest.mark.parametrize("n_samples", [0, 5])
@pytest.mark.parametrize("sign", [-1.0, 0.0])
def test_an_sed_without_light_is_flagged_beside_others_whatever_the_library(
    likelihood, n_models, n_samples, sign
):
    # at S/N 1 most of a library counts, and large ones are summed by class
    seds = good(snr=1.0)
    flux = seds.flux.copy()
    flux[1] *= sign
    ready = fitter_of("rdsps", likelihood=likelihood, n_samples=n_samples).prepare(
        library(n_models=n_models)
    )
    fit = ready.fit(Seds(flux, seds.flux_err, seds.keys))
    assert_not_fitted(fit.isel(bin=[1]))
    assert fit["n_used"].values[1] == len(FILTERS)
    assert fit.sizes.get("sample", 0) == n_samples
    if n_samples:
        assert np.isnan(fit["log_mass_samples"].values[1]).all()
    assert_fitted(fit.isel(bin=[0, 2]))
    alone = ready.fit(seds.rows(2, 3))
    assert digest(alone) == digest(fit.isel(bin=[2]))


def test_a_negative_flux_among_others_is_a_measurement(prepared):
    sed = good().rows(0, 1)
    fit = prepared.fit(changed(sed, band=0, flux=-sed.flux_err[0, 0]))
    assert_fitted(fit)
    assert fit["n_used"].item() == len(FILTERS)
    left_out = prepared.fit(changed(sed, band=0, flux=np.nan))
    assert digest(fit) != digest(left_out)


def test_one_band_gives_a_mass(prepared):
    sed = good(snr=10.0).rows(0, 1)
    flux = np.full_like(sed.flux, np.nan)
    flux[0, 3] = sed.flux[0, 3]
    fit = prepared.fit(Seds(flux, sed.flux_err, sed.keys))
    assert_fitted(fit)
    assert fit["n_used"].item() == 1
    low, _, high = fit["log_mass"].values[0]
    truth = 10 + np.log10(library(n_models=3).draw()["surviving"].values[0])
    # one band tells the light, and mass to light ratios of the prior span more than a dex
    assert low - 1 < truth < high + 1
    assert high - low > 0.1
    assert fit["chi2"].item() < 1


def test_a_library_of_one_band(prepared):
    fitter = type_of(prepared)
    lib = library(filters=("sdss_r",))
    flux = 1e10 * lib.draw()["flux"].values[:2].astype(float)
    fit = fitter.prepare(lib).fit(Seds(flux, flux / 10, (("a",), ("b",))))
    assert_fitted(fit)


def type_of(prepared):
    """The fitter that made it."""
    settings = prepared.settings if hasattr(prepared, "settings") else prepared.sampled.settings
    return KINDS[settings.method](settings)


@pytest.mark.parametrize("factor", [1e20, 1e-20])
def test_fluxes_in_a_wrong_unit_are_flagged_and_told(prepared, factor, caplog):
    seds = good(2)
    scale = np.array([[1.0], [factor]])
    wrong = Seds(seds.flux * scale, seds.flux_err * scale, seds.keys)
    with caplog.at_level(logging.WARNING):
        fit = prepared.fit(wrong)
    assert_fitted(fit)
    odd = fit["flags"].values & int(Flag.ODD_FLUX)
    assert odd.tolist() == [0, int(Flag.ODD_FLUX)]
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "('galaxy', 1)" in warnings[0]
    assert "uJy" in warnings[0]


@pytest.mark.parametrize("factor", [1e150, 1e-150, 1e300, 1e-300])
def test_fluxes_that_no_square_holds_are_flagged(prepared, factor):
    sed = good().rows(0, 1)
    fit = prepared.fit(Seds(factor * sed.flux, factor * sed.flux_err, sed.keys))
    FIT.validate(fit)
    assert fit["flags"].item() & int(Flag.NOT_FITTED | Flag.ODD_FLUX)


def test_upper_limits_alone_are_no_fit(prepared):
    sed = good().rows(0, 1)
    limits = np.ones(sed.flux.shape, bool)
    fit = prepared.fit(Seds(sed.flux, sed.flux_err, sed.keys, upper_limit=limits))
    assert_not_fitted(fit)
    assert fit["n_used"].item() == len(FILTERS)


def test_good_fluxes_are_neither_flagged_nor_warned_of(prepared, caplog):
    with caplog.at_level(logging.WARNING):
        fit = prepared.fit(good())
    assert_fitted(fit)
    assert not np.any(fit["flags"] & int(Flag.ODD_FLUX))
    assert not caplog.records


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
def test_an_amplitude_without_error_has_an_evidence(likelihood):
    fit = fitter_of("rdsps", likelihood=likelihood).prepare(library()).fit(good(1, snr=1e18))
    assert_fitted(fit)
    assert np.isfinite(fit["ln_evidence"]).all()


@pytest.mark.parametrize("snr", [1e-6, 1e8])
def test_errors_far_too_large_or_small_give_numbers_that_say_so(prepared, snr):
    fit = prepared.fit(good(1, snr=snr))
    assert_fitted(fit)
    if snr > 1 and "rhat" not in fit:  # a sampler flags that it has not converged
        assert fit["n_eff"].item() < 1000
    if snr < 1:
        assert fit["chi2"].item() < 1e-6
        assert fit["log_mass_std"].item() > 0.1 or fit["n_eff"].item() > 100


def test_no_seds_give_no_posteriors(prepared):
    fit = prepared.fit(good().rows(0, 0))
    FIT.validate(fit)
    assert fit.sizes["bin"] == 0
    assert "log_mass" in fit


@pytest.mark.parametrize("n_band", [0, 4, 6])
def test_other_bands_than_the_models_are_refused(prepared, n_band):
    flux = np.ones((2, n_band))
    with pytest.raises(DataError, match=rf"SEDs have {n_band} bands, the models 5"):
        prepared.fit(Seds(flux, flux, (("a",), ("b",))))


@pytest.mark.parametrize("kind", KINDS)
def test_light_where_models_are_dark_is_flagged(kind):
    # below the Lyman limit at redshift 9 models have 1e-36 uJy per Msun
    settings = ModelConfig(ssp="synthetic", n_models=200)
    lib = make_library(
        synthetic_ssp(), load_filters(["galex_fuv"]), settings=settings, redshift=9.0, seed=3
    )
    seds = Seds(np.ones((1, 1)), np.ones((1, 1)), (("dark",),))
    fit = fitter_of(kind).prepare(lib).fit(seds)
    FIT.validate(fit)
    assert fit["flags"].item() & int(Flag.NOT_FITTED | Flag.ODD_FLUX)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({"logzsol": {"low": -9.0, "high": 0.0}}, "logzsol.*beyond"),
        ({"nonsense": {"low": 0.0, "high": 1.0}}, "'nonsense' is not a parameter"),
        ({"dust2": {"low": 1.0, "high": 0.5}}, "dust2|low"),
    ],
)
def test_priors_beyond_the_library_are_refused_before_any_fit(prior, message):
    with pytest.raises((ConfigError, ValueError), match=message):
        check_models(synthetic_ssp(), ModelConfig(ssp="synthetic", priors=prior))


@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_beyond_the_library_stops_every_fitter(kind):
    lib = library(priors={"logzsol": {"low": -9.0, "high": 0.0}})
    with pytest.raises((ConfigError, DataError), match="logzsol"):
        fitter_of(kind).prepare(lib)


def test_shapes_that_are_no_seds_are_refused():
    with pytest.raises(DataError, match=r"flux \(2,\), wanted \(2, n_band\)"):
        Seds(np.ones(2), np.ones(2), (("a",), ("b",)))
    with pytest.raises(DataError, match=r"flux_err \(2, 3\), wanted \(2, 4\)"):
        Seds(np.ones((2, 4)), np.ones((2, 3)), (("a",), ("b",)))


def test_chosen_seds_keep_their_names_and_what_all_share():
    seds = good()
    wave = np.array([5000.0, 6000.0])
    spectrum = np.arange(6.0).reshape(3, 2)
    some = replace(seds, wave=wave, spectrum=spectrum, spectrum_err=np.ones((3, 2)))
    found = some.chosen(np.array([2, 0]))
    assert found.keys == (seds.keys[2], seds.keys[0])
    np.testing.assert_array_equal(found.flux, seds.flux[[2, 0]])
    np.testing.assert_array_equal(found.spectrum, [[4.0, 5.0], [0.0, 1.0]])
    np.testing.assert_array_equal(found.wave, wave)
    assert found.upper_limit is None
