"""Spectra of posteriors in parts, and histories of their stars."""

import numpy as np
import pytest

from pxdask.core.errors import ConfigError, DataError
from pxdask.fitting.components import (
    HISTORY,
    MODEL_SED,
    model_sed,
    star_formation_history,
    without_dust,
)
from pxdask.kernels.bandpass import flux_per_frequency
from pxdask.sps import synthetic_ssp
from tests.fitting.test_posterior import fitted, settings

DUSTY = {"dust_emission": True, "priors": {"log_umin": 0.0, "log_gamma": -2.0, "log_qpah": 0.3}}


@pytest.fixture(scope="module")
def ssp():
    return synthetic_ssp(n_wave=800)


def test_one_model_is_the_sum_of_its_parts(ssp):
    """Without spread all quantiles are one model, so medians of parts add up to its spectrum.

    Spectra are float32, added in another order: parts in 1e6 of the largest.
    """
    found = MODEL_SED.validate(model_sed(fitted(ssp), 0))
    assert list(found["component"].values) == ["stellar", "nebular"]
    whole = found["spectrum"].sel(quantile=0.5).values
    np.testing.assert_allclose(found["parts"].sum("component").values, whole, rtol=3e-6)
    np.testing.assert_allclose(found["spectrum"].values, np.tile(whole, (3, 1)), rtol=3e-6)


def test_quantiles_agree_with_those_of_the_posterior(ssp):
    posterior = fitted(ssp, spread=0.05)
    found, other = model_sed(posterior, 0), posterior.model_sed(0)
    np.testing.assert_allclose(found["flux"].values, other.flux.value, rtol=1e-6)
    wanted = flux_per_frequency(other.spectrum.value, pivot=other.wave.value)
    np.testing.assert_allclose(found["spectrum"].values, wanted, rtol=1e-5, atol=1e-30)


def test_dust_takes_light_away_and_gives_it_back_in_the_infrared(ssp):
    """What dust absorbs of stars and gas it emits.

    To 1 %: light below 912 Angstrom, which the intergalactic medium hides, is absorbed too.
    """
    posterior = fitted(ssp, config=settings(**DUSTY))
    found = model_sed(posterior, 0)
    wave = found["wave"].values
    per_wave = 1.0 / wave**2  # f_lambda from f_nu
    lit = found["parts"].sel(component=["stellar", "nebular"]).sum("component").values
    optical = (wave > 1500) & (wave < 20000)
    assert np.all(found["without_dust"].values[optical] > lit[optical])
    lost = np.trapezoid((found["without_dust"].values - lit) * per_wave, wave)
    given = np.trapezoid(found["parts"].sel(component="dust").values * per_wave, wave)
    assert given == pytest.approx(lost, rel=0.01)


def test_without_dust_there_is_nothing_between(ssp):
    posterior = fitted(ssp, truth={"log_age": 0.6, "log_tau": 0.2, "logzsol": -0.3, "dust2": 0.0})
    found = model_sed(posterior, 0)
    whole = found["spectrum"].sel(quantile=0.5).values
    np.testing.assert_allclose(found["without_dust"].values, whole, rtol=1e-5, atol=1e-30)


def test_settings_without_dust_keep_only_what_has_an_effect():
    bare = without_dust(settings(**DUSTY))
    assert not bare.dust_emission
    assert bare.priors.keys() == {"dust2"}
    assert bare.priors["dust2"].value == 0.0


def test_history_is_that_of_the_posterior_and_forms_all_stars(ssp):
    posterior = fitted(ssp, spread=0.05)
    found = HISTORY.validate(star_formation_history(posterior, 0, n_draw=500, n_time=50))
    other = posterior.sfh(0)
    middle = found.sel(quantile=[0.16, 0.5, 0.84])
    np.testing.assert_allclose(middle["rate"].values, other.rate.value, rtol=1e-12)
    np.testing.assert_allclose(found["edge"].values, other.edges.value)
    formed = found["formed"].values
    np.testing.assert_allclose(formed[:, 0], 1.0)
    assert np.all(np.diff(formed, axis=1) <= 1e-12)  # less had formed longer ago
    # of one model each: the part formed is the mass of all older intervals
    single = star_formation_history(fitted(ssp), 0)
    mass = single["rate"].values[2] * np.diff(single["edge"].values)
    np.testing.assert_allclose(
        single["formed"].values[2], np.cumsum(mass[::-1])[::-1] / mass.sum(), rtol=1e-6
    )


def test_free_redshift_is_taken_sample_by_sample(ssp):
    config = settings(priors={"redshift": {"low": 0.05, "high": 0.2}})
    posterior = fitted(ssp, config=config, redshift=0.1)
    assert posterior.free_redshift
    found, fixed = model_sed(posterior, 0), model_sed(fitted(ssp), 0)
    # redshift is stored as float32
    np.testing.assert_allclose(found["flux"].values, fixed["flux"].values, rtol=1e-5)


def test_errors_name_what_is_missing(ssp):
    with pytest.raises(ConfigError, match="n_samples"):
        model_sed(fitted(ssp, samples=False), 0)
    with pytest.raises(DataError, match="has no posterior"):
        model_sed(fitted(ssp), 1)
    with pytest.raises(ConfigError, match="no SED number 7"):
        star_formation_history(fitted(ssp), 7)
