import logging
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.schema import FIT
from pxdask.fitting.mcmc import McmcFitter
from pxdask.fitting.nested import NestedFitter
from pxdask.fitting.npe import NpeFitter, NpeModels
from pxdask.fitting.npe_draws import Judge, in_units
from pxdask.fitting.npe_trust import Training, Trust
from pxdask.fitting.outliers import OutlierLimit
from pxdask.fitting.rdsps import RdspsFitter
from pxdask.fitting.seds import Seds
from pxdask.fitting.stage import fitter_of
from pxdask.fitting.target import Observed, Sampled
from pxdask.npe.noise import broad_noise
from pxdask.testing import check_fitter, digest, seds_of
from tests.fitting.npe_stand_in import StandIn, StandInFitter
from tests.fitting.small import fit_settings, small_library
from tests.npe.small import network

WIDE = {"width": 1.0, "mass_width": 0.3}
ONE_ROUND = {"max_rounds": 1, "n_draws": 8000, "min_n_eff": 10, "min_efficiency": 0.001}
"""Enough draws for what the stand-in is near at S/N 3, and none at S/N 300."""

EXTRA = ("efficiency", "predictive_p", "outlier_score", "redshift_ratio", "ln_evidence_err")


def settings(npe=None, **changed):
    return fit_settings(**{"method": "npe", "npe": {"hand_over": "none", **(npe or {})}, **changed})


def noisy(library, n_sed, *, snr, seed=5, mass=1e9):
    flux = mass * library.draw()["flux"].values[:n_sed].astype(float)
    error = np.abs(flux) / snr
    return flux + error * np.random.default_rng(seed).standard_normal(flux.shape), error


def fitted(chosen, seds, library=None, **network):
    return StandInFitter(chosen, network).prepare(library or small_library()).fit(seds)


@pytest.mark.parametrize("hand_over", ["none", "rdsps"])
def test_contract(hand_over):
    chosen = settings({"hand_over": hand_over, "n_draws": 1000, "min_n_eff": 200}, n_samples=5)
    fit = check_fitter(StandInFitter(chosen, WIDE), small_library(n_models=512), snr=10.0)
    assert fit.attrs["method"] == "npe"
    assert fit["log_age_samples"].sizes["sample"] == 5
    assert {"log_mass", "log_sfr", "log_age", "dust2", "log_mw_age", "av", *EXTRA} <= set(fit)


def test_contract_without_weights():
    # near enough that the best of a hundred draws is a good fit
    chosen = settings({"reweight": False}, n_samples=5)
    fit = check_fitter(StandInFitter(chosen, {"width": 0.3}), small_library(), snr=3.0)
    np.testing.assert_array_equal(fit["n_eff"], 500)
    assert np.all(np.isnan(fit["ln_evidence"]))


@cache
def five_by_mcmc():
    """Return a library, SEDs of it and their posteriors by MCMC; made once."""
    library = small_library(n_models=16)
    seds = seds_of(*noisy(library, 5, snr=3.0))
    mcmc = {"max_steps": 4000, "min_taus": 100.0}
    fitter = McmcFitter(fit_settings(method="mcmc", mcmc=mcmc))
    return library, seds, fitter.prepare(library).fit(seds)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("network", [{"width": 1.0, "mass_width": 0.3}, {"offset": 0.4}])
def test_a_wrong_network_gives_the_right_posterior(network):
    library, seds, want = five_by_mcmc()
    many = settings({"n_draws": 10000, "min_n_eff": 2000})
    found = fitted(many, seds, library, **network)
    assert np.all(found["n_eff"] > 2000)
    for name in ("log_mass", "log_sfr", "log_age", "dust2", "logzsol"):
        apart = (found[name].values - want[name].values) / want[f"{name}_std"].values[:, None]
        # 2,000 effective draws against 10,000: 0.04 in a quantile; a side valley of one SED more
        assert np.sqrt(np.mean(apart**2)) < 0.1, name
        wide = found[f"{name}_std"].values / want[f"{name}_std"].values
        np.testing.assert_allclose(wide, 1, atol=0.15, err_msg=name)


@pytest.mark.slow
@pytest.mark.statistical
def test_quantiles_are_those_of_a_dense_library():
    library = small_library(n_models=1 << 15)
    flux, error = noisy(library, 6, snr=5.0)
    seds = seds_of(flux, error)
    many = settings({"n_draws": 10000, "min_n_eff": 2000})
    found = fitted(many, seds, library, **WIDE)
    want = RdspsFitter(fit_settings()).prepare(library).fit(seds)
    for name in ("log_mass", "dust2"):
        # RDSPS's weights lack a factor sigma_s / s, of a few per cent in mass at this S/N
        np.testing.assert_allclose(found[name], want[name], atol=0.05, err_msg=name)


@pytest.mark.slow
def test_evidence_is_that_of_nested_sampling():
    library = small_library()
    flux, error = noisy(library, 2, snr=5.0)
    seds = seds_of(flux, error)
    found = fitted(settings({"n_draws": 10000, "min_n_eff": 2000}), seds, library, **WIDE)
    chosen = fit_settings(method="nested", nested={"n_live": 200})
    want = NestedFitter(chosen).prepare(library).fit(seds)
    apart = found["ln_evidence"].values - want["ln_evidence"].values
    spread = np.hypot(found["ln_evidence_err"].values, want["ln_evidence_err"].values)
    # the prior of mass is about the best draw here, about the best first model there: 1e-3
    assert np.all(np.abs(apart) < 4 * spread + 1e-3)


def test_more_rounds_where_few_draws_count():
    flux, error = noisy(small_library(), 4, snr=20.0)
    found = [
        fitted(settings({"max_rounds": rounds}), seds_of(flux, error), **WIDE) for rounds in (1, 4)
    ]
    # four times as many draws, of a density that learns
    assert np.median(found[1]["n_eff"] / found[0]["n_eff"]) > 8
    # how far the network is to be believed does not depend on what comes after it
    np.testing.assert_array_equal(found[1]["efficiency"], found[0]["efficiency"])
    np.testing.assert_allclose(found[0]["efficiency"], found[0]["n_eff"] / 500, rtol=1e-12)


def test_results_do_not_depend_on_the_memory_allowed():
    flux, error = noisy(small_library(), 3, snr=10.0)
    found = [
        digest(fitted(settings(max_memory=memory), seds_of(flux, error))) for memory in (2.0, 1e-9)
    ]
    assert found[0] == found[1]


def test_what_cannot_be_fitted():
    flux, error = noisy(small_library(), 4, snr=10.0)
    flux[0] = np.nan
    error[1] = [0, -1, np.nan, np.inf, 0]
    flux[2] = -np.abs(flux[2])
    fit = fitted(settings(n_samples=3), seds_of(flux, error))
    np.testing.assert_array_equal(fit["flags"].values[:3], int(Flag.NOT_FITTED))
    np.testing.assert_array_equal(fit["n_used"], [0, 0, 5, 5])
    assert np.isfinite(fit["log_mass"][3]).all()
    for name in ("log_mass", *EXTRA):
        assert np.all(np.isnan(fit[name][:3])), name
    # a block of nothing else has the same variables, so that blocks join
    none = fitted(settings(n_samples=3), seds_of(flux[:3], error[:3]))
    assert set(none.variables) == set(fit.variables)
    empty = fitted(settings(), seds_of(flux[:0], error[:0]))
    assert empty.sizes["bin"] == 0
    FIT.validate(empty)


def test_one_band_leaves_the_priors():
    flux, error = noisy(small_library(), 1, snr=20.0)
    flux[0, [0, 1, 3, 4]] = np.nan
    many = settings({"n_draws": 10000})
    prior = Sampled(many, small_library()).simulator.priors["logzsol"]
    fit = fitted(many, seds_of(flux, error), width=1.0, mass_width=0.5)
    want = prior.low + np.array([0.16, 0.5, 0.84]) * (prior.high - prior.low)
    # some hundred effective draws
    np.testing.assert_allclose(fit["logzsol"].values[0], want, atol=0.12 * (prior.high - prior.low))


def test_other_bands_are_refused():
    flux, error = noisy(small_library(), 2, snr=10.0)
    with pytest.raises(DataError, match="4 bands, the models 5"):
        fitted(settings(), seds_of(flux[:, :4], error[:, :4]))


def test_no_network():
    with pytest.raises(ConfigError, match="pxdask npe train"):
        fitter_of(settings()).prepare(small_library())
    assert isinstance(fitter_of(settings()), NpeFitter)


def test_an_upper_limit_bounds_the_models():
    flux, error = noisy(small_library(), 1, snr=20.0)
    flux, error = np.repeat(flux, 2, axis=0), np.repeat(error, 2, axis=0)
    limit = np.zeros(flux.shape, bool)
    limit[1, 4] = True
    flux[1, 4] *= 0.5
    error[1, 4] *= 0.1
    both = Seds(flux, error, (("a",), ("b",)), upper_limit=limit)
    fit = fitted(settings({"n_draws": 4000}), both, **WIDE)
    np.testing.assert_array_equal(fit["n_used"], 5)
    assert fit["model_flux"].values[1, 4] < 0.52 * fit["model_flux"].values[0, 4]


def test_handed_over_seds_are_the_other_methods():
    library = small_library(n_models=512)
    flux, error = noisy(library, 4, snr=[[3.0], [300.0], [3.0], [300.0]])
    seds = seds_of(flux, error)
    chosen = settings({"hand_over": "rdsps", **ONE_ROUND}, n_samples=4)
    fit = fitted(chosen, seds, library)
    handed = (fit["flags"].values & int(Flag.HANDED_OVER)) > 0
    np.testing.assert_array_equal(handed, [False, True, False, True])
    alone = RdspsFitter(chosen).prepare(library).fit(seds)
    for name in ("log_mass", "dust2_mean", "chi2", "n_eff", "model_flux", "log_age_samples"):
        np.testing.assert_array_equal(fit[name][handed], alone[name][handed], err_msg=name)
    assert np.all(fit["efficiency"][handed] < 0.001)
    kept = fitted(settings(ONE_ROUND, n_samples=4), seds, library)
    for name in kept.data_vars:
        if "bin" in kept[name].dims:
            np.testing.assert_array_equal(fit[name][~handed], kept[name][~handed], err_msg=name)
    assert np.all(kept["flags"].values[handed] & int(Flag.FEW_MODELS))


def test_blocks_have_the_same_variables_whoever_is_handed_to_mcmc():
    flux, error = noisy(small_library(), 2, snr=[[3.0], [300.0]])
    mcmc = {"n_walkers": 16, "max_steps": 20, "check_every": 10, "adapt_steps": 10}
    chosen = settings({"hand_over": "mcmc", **ONE_ROUND}, mcmc=mcmc)
    fit = fitted(chosen, seds_of(flux, error))
    assert fit["n_steps"].values.tolist() == [-1, 20]
    assert np.isfinite(fit["tau"].values).tolist() == [False, True]
    first = fitted(chosen, seds_of(flux[:1], error[:1]))
    assert set(first.variables) == set(fit.variables)


def test_a_spectrum_is_handed_over_or_refused(caplog):
    flux, error = noisy(small_library(), 2, snr=3.0)
    spectrum = np.ones((2, 5))
    with_spectrum = replace(
        seds_of(flux, error),
        wave=np.linspace(5000.0, 6000.0, 5),
        spectrum=spectrum,
        spectrum_err=0.1 * spectrum,
    )
    with pytest.raises(ConfigError, match="2 of 2 SEDs have a spectrum"):
        fitted(settings(), with_spectrum)
    alone = settings(spectrum={"use": "photometry"})
    plain = fitted(settings(), seds_of(flux, error))
    assert "model_spectrum" not in plain
    np.testing.assert_array_equal(fitted(alone, with_spectrum)["log_mass"], plain["log_mass"])
    spectrum[1] = np.nan
    chosen = settings({"hand_over": "rdsps", **ONE_ROUND}, spectrum={"polynomial_order": 0})
    with caplog.at_level(logging.INFO):
        fit = fitted(chosen, with_spectrum)
    assert "1 of 2 SEDs have a spectrum" in caplog.text
    handed = (fit["flags"].values & int(Flag.HANDED_OVER)) > 0
    assert handed.tolist() == [True, False]
    assert np.isfinite(fit["model_spectrum"].values).all(axis=1).tolist() == [True, False]


def test_outliers_are_flagged():
    flux, error = noisy(small_library(), 6, snr=20.0)
    flux[3, 2] *= 10
    flux[4] = flux[4] * np.array([1, 30, 1, 30, 1])
    fit = fitted(settings({"n_draws": 2000}), seds_of(flux, error), **WIDE)
    odd = (fit["flags"].values & int(Flag.OUT_OF_DISTRIBUTION)) > 0
    np.testing.assert_array_equal(odd, [False, False, False, True, True, False])
    np.testing.assert_array_equal(odd, fit["outlier_score"] > 1)
    assert np.all(fit["predictive_p"].values[odd] < 1e-6)
    assert np.all(fit["predictive_p"].values[~odd] > 1e-3)


def test_what_no_mock_was_like_is_flagged():
    library = small_library()
    flux, error = noisy(library, 3, snr=[[3.0], [3.0], [0.2]], seed=6)
    flux[1, :3] = np.nan
    flux[2] = np.abs(flux[2])
    error[2] = 10 * flux[2]
    sampled = Sampled(settings(), library)
    noise = broad_noise(library.bands)
    trust = Trust(sampled, OutlierLimit(), Training(noise, (1.0, 200.0), 0.3))
    fit = NpeModels(sampled, StandIn(sampled), trust).fit(seds_of(flux, error))
    odd = (fit["flags"].values & int(Flag.OUT_OF_DISTRIBUTION)) > 0
    np.testing.assert_array_equal(odd, [False, True, True])
    assert np.all(fit["outlier_score"] < 1)


@pytest.mark.parametrize("snr", [50.0, 5000.0])
def test_brighter_than_all_mocks_is_flagged_whatever_the_systematic_error(snr):
    """With 3 % no S/N is above 33, systematic error included: it is the raw one that tells."""
    library, chosen = small_library(), settings(systematic_error=0.03)
    flux, _ = noisy(library, 4, snr=1e9)
    sampled = Sampled(chosen, library)
    own = network(redshift=(0.15, 0.15))
    noise = broad_noise(library.bands)
    # photons as usual: the greatest S/N is 186 here
    noise = replace(noise, covariance=np.zeros((5, 5)), photon_scatter=0.0)
    made = {**own.settings, "npe": {**own.settings["npe"], "snr": (1.0, 100.0)}}
    training = Training.of(replace(own, noise_json=noise.to_json(), settings=made))
    trust = Trust(sampled, OutlierLimit(), training)
    fit = NpeModels(sampled, StandIn(sampled), trust).fit(seds_of(flux, flux / snr))
    odd = (fit["flags"].values & int(Flag.OUT_OF_DISTRIBUTION)) > 0
    assert np.all(odd == (snr > 100))


@pytest.mark.statistical
def test_p_values_of_students_t_are_its_own():
    library = small_library(n_models=256)
    chosen = settings({"n_draws": 300, "max_rounds": 1}, likelihood="student_t", dof=2.0)
    flux, error = noisy(library, 200, snr=10.0)
    flux = error * 10
    flux += error * np.random.default_rng(3).standard_t(2.0, flux.shape)
    fit = fitted(chosen, seds_of(flux, error), library)
    p = fit["predictive_p"].values
    p = p[np.isfinite(p)]
    assert p.size > 180
    # parameters fit a part of the noise: small ones are fewer than of the truths, by binomial error
    assert np.mean(p < 0.05) < 0.05 + 3 * np.sqrt(0.05 / 200)
    assert np.mean(p < 0.001) < 0.001 + 3 * np.sqrt(0.001 / 200)
    assert np.mean(fit["outlier_score"] > 1) < 0.05 + 3 * np.sqrt(0.05 / 200)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_bands_as_some_mocks_had_them_are_known_however_few(missing):
    """Mocks of two bands keep both, and SEDs of these are no outliers; of others they are."""
    noise = broad_noise(small_library().bands)
    two = np.array([True, True, False, False, False])
    noise = replace(noise, patterns=np.array([two | True, two]), shares=np.array([0.5, 0.5]))
    training = Training(noise, (1.0, 200.0), missing)
    flux = np.full((3, 5), 9.0)
    flux[0, ~two] = np.nan
    flux[1, two] = np.nan
    flux[2, :3] = np.nan
    data = Observed(flux, np.where(np.isnan(flux), np.nan, 3.0), np.zeros(flux.shape, bool))
    assert [training.had(in_units(data), sed) for sed in range(3)] == [True, missing > 0, False]


def test_draws_without_a_positive_amplitude_have_no_weight():
    """Limits of outliers are learnt from mocks, and among these are such SEDs."""
    sampled = Sampled(settings(), small_library())
    flux, error = noisy(small_library(), 2, snr=10.0)
    flux[1] = -np.abs(flux[1])
    data = Observed(flux, error, np.zeros(flux.shape, bool))
    judge, sed = Judge(sampled, data, in_units(data)), np.arange(2)
    rngs = [np.random.default_rng(i) for i in sed]
    draws = judge.draws(StandIn(sampled), np.zeros(2, int), rngs, n_draws=50)
    bright, dark = judge.clouds(draws, sed)
    assert np.isfinite(bright.gap)
    assert bright.weights.n_eff > 1
    assert dark.gap == np.inf
    assert dark.weights.n_eff == 0
    np.testing.assert_array_equal(dark.weights.share, 0)


def test_student_t_and_priors_of_mass():
    joint = {"kind": "joint_with_mass", "log_mass": [6, 12], "mean": [-1, -1], "sigma": [0.1, 0.1]}
    library = small_library(logzsol=joint)
    flux, error = noisy(library, 2, snr=3.0)
    fit = fitted(settings({"n_draws": 8000}), seds_of(flux, error), library, width=0.8)
    # the data say little: the prior's mean and width, to the error of some hundred draws
    assert np.all(np.abs(fit["logzsol_mean"] + 1) < 0.06)
    np.testing.assert_allclose(fit["logzsol_std"], 0.1, atol=0.04)
    heavy = fitted(settings(likelihood="student_t"), seds_of(flux, error), **WIDE)
    assert np.isfinite(heavy["log_mass"]).all()


def test_masses_that_no_number_holds_do_not_count():
    library = small_library(n_models=512)
    chosen = settings({"hand_over": "none", "n_draws": 400, "max_rounds": 1})
    seds = seds_of(*noisy(library, 3, snr=10.0))
    fit = fitted(chosen, seds, library, width=0.6, mass_width=400.0)
    # of 400 draws over 800 dex two or so are within a few of the mass
    assert np.all(np.isfinite(fit["chi2"]))
    assert np.all(np.abs(fit["log_mass"].sel(quantile=0.5)) < 60)


def test_masses_that_are_all_beyond_their_prior_are_no_posterior():
    library = small_library(n_models=512)
    chosen = settings({"hand_over": "none", "n_draws": 100, "max_rounds": 3})
    models = StandInFitter(chosen, {}).prepare(library)
    drawn = type(models.network).draw

    class Heavy(type(models.network)):
        def draw(self, *args, **kwargs):
            found = drawn(self, *args, **kwargs)
            return replace(found, log_mass=found.log_mass + 40)

    fit = replace(models, network=Heavy(models.sampled)).fit(seds_of(*noisy(library, 3, snr=10.0)))
    np.testing.assert_array_equal(fit["n_eff"], 0)
    assert np.all(np.isnan(fit["log_mass"]))
    assert np.all((fit["flags"].values & int(Flag.FEW_MODELS)) > 0)
