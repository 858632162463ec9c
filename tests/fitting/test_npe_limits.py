import logging
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.fitting import npe_limits
from pxdask.fitting.npe import NpeFitter
from pxdask.fitting.npe_draws import Judge, in_units
from pxdask.fitting.npe_limits import with_limits
from pxdask.fitting.npe_rounds import BROADER
from pxdask.fitting.outliers import Law, OutlierLimit
from pxdask.fitting.rdsps import RdspsFitter
from pxdask.fitting.target import Observed, Sampled
from pxdask.npe.density import Shape, make_classes, weight_shapes
from pxdask.npe.features import n_inputs
from pxdask.npe.mocks import make_mocks
from pxdask.npe.network import Network
from pxdask.npe.noise import NoiseModel
from pxdask.npe.redshift_check import RedshiftCheck
from pxdask.testing import seds_of
from tests.npe.small import BANDS, fit_settings, library, network


@cache
def with_limits_of():
    """Return a network of weights at random, which proposes at least, that knows its limits."""
    own = network()
    settings = fit_settings(max_rounds=2).model_dump(mode="json")
    return with_limits(replace(own, settings=settings), library(), n_mocks=3000)


def at(redshift, own, **npe):
    """Return a fitter made ready."""
    settings = fit_settings(**{"hand_over": "none", **npe})
    return NpeFitter(settings).prepare(
        replace(library(redshift=redshift, n_models=512), network=own.to_dataset)
    )


def mocks_at(redshift, own, n):
    """Return SEDs of a redshift, errors without the systematic part."""
    settings = fit_settings()
    noise = NoiseModel.from_json(own.noise_json)
    made = make_mocks(library(redshift=redshift), noise, n=n, seed=99, settings=settings)
    variance = made.error**2 - (settings.systematic_error * made.flux) ** 2
    return made.flux, np.sqrt(variance)


def flagged(fit):
    return (fit["flags"].values & int(Flag.OUT_OF_DISTRIBUTION)) > 0


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("reweight", [True, False])
def test_false_alarms_are_those_asked_for(reweight):
    own = Network.from_dataset(with_limits_of().to_dataset())
    assert own.outliers.keys() == {"plain", "weighed"}
    prepared = at(0.13, own, reweight=reweight, false_alarms=0.1, max_rounds=2)
    flux, error = mocks_at(0.13, own, 500)
    fit = prepared.fit(seds_of(flux, error))
    odd = fit["outlier_score"].values > 1
    # binomial error of some 400: 0.015; draws of a network of random weights, and so the limit that
    # is learnt of them, turn on the last bit of a sum: 0.06 to 0.17 seen by kind of processor
    assert np.mean(odd) == pytest.approx(0.1, abs=0.08)
    bright = np.nanmedian(flux / error, axis=1) > 10
    flux[:, 2] *= 10
    spoilt = prepared.fit(seds_of(flux, error))
    has = np.isfinite(flux[:, 2]) & (np.isfinite(flux).sum(axis=1) == flux.shape[1])
    assert np.mean(flagged(spoilt)[bright & has]) > 0.95


def test_oddness_of_seds_without_a_positive_amplitude_is_not_known():
    """Few mocks are so, and a batch may hold nothing else; `outlier_limit` leaves them out."""
    own = network()
    settings = fit_settings(max_rounds=2, n_draws=100)
    at_z = library(redshift=0.13, n_models=512)
    flux = -np.ones((1, len(BANDS)))
    data = Observed(flux, np.abs(flux) / 10, np.zeros(flux.shape, bool))
    judge = Judge(Sampled(settings, at_z), data, in_units(data))
    for found in npe_limits._oddness(judge, own, np.arange(1)).values():
        assert found.chi2.tolist() == [np.inf]
        assert found.gap.tolist() == [np.inf]


@pytest.mark.slow
def test_a_redshift_check_is_heard():
    """A density that is certain of redshifts near 0.15, whatever the fluxes, makes others odd."""
    shape = Shape(n_inputs(len(BANDS), redshift=False), 1, 4, 2, 8, 1)
    weights = {k: np.zeros(dims, np.float32) for k, dims in weight_shapes("classes", shape).items()}
    # the fourth and fifth of eight parts have e^10 times the density of the others
    weights["last_bias"][3:5] = 10
    check = RedshiftCheck((0.1, 0.2), make_classes(shape, weights))
    own = with_limits_of()
    flux, error = mocks_at(0.15, own, 40)
    # limits of a figure that is the same for all SEDs of a redshift: a law made by hand
    plain = OutlierLimit.from_json(own.outliers["weighed"])
    flat = Law((0.0,), (0.0,), tuple(np.linspace(-4.0, 0.0, 46)), 1.0)
    limit = replace(plain, redshift=flat).to_json()
    checked = replace(own, redshift_check=check, outliers={"weighed": limit})
    checked = Network.from_dataset(checked.to_dataset())
    for redshift in (0.15, 0.19):
        one, other = (
            at(redshift, each, max_rounds=2).fit(seds_of(flux, error))["outlier_score"].values
            for each in (own, checked)
        )
        known = np.isfinite(one)
        if redshift == 0.19:
            assert np.all(other[known] > 1)
        else:
            # of a density four times the prior's
            assert np.mean(other[known] > 1) < 0.5


def test_how_many_mocks_are_asked_for_is_looked_up_when_it_is_needed(monkeypatch):
    def asked(*_, n, **__):
        raise DataError(f"{n} of one redshift")

    monkeypatch.setattr(npe_limits, "make_mocks", asked)
    monkeypatch.setattr(npe_limits, "N_MOCKS", 160)
    with pytest.raises(DataError, match=r"^10 of one redshift"):
        with_limits(network(), library())
    with pytest.raises(DataError, match=r"^20 of one redshift"):
        with_limits(network(), library(), n_mocks=320)


def test_draws_that_are_weighed_come_from_a_broader_network():
    own = network()
    flux, error = mocks_at(0.15, own, 1)
    given_points = {"unit": np.full((1, 1, 3), 0.5), "log_mass": np.full((1, 1), 8.0)}
    plain, weighed, by_hand = (
        source.ln_density(flux, error, redshift=np.array([0.15]), **given_points)
        for source in (
            at(0.15, own, reweight=False).network,
            at(0.15, own, reweight=True).network,
            own.broadened(BROADER),
        )
    )
    assert weighed == by_hand != plain


def test_a_network_without_limits_says_so(caplog):
    own = network()
    with caplog.at_level(logging.WARNING):
        at(0.15, own)
    assert "how odd good SEDs are" in caplog.text


def test_a_redshift_that_the_network_does_not_know(caplog):
    own = network()
    with pytest.raises(DataError, match=r"0\.1 to 0\.2; it is 0\.3\. .*fit\.npe\.hand_over"):
        at(0.3, own)
    flux, error = mocks_at(0.3, own, 6)
    flux[1] = np.nan
    seds = seds_of(flux, error)
    with caplog.at_level(logging.INFO):
        prepared = at(0.3, own, hand_over="rdsps")
    assert "redshift 0.3 is outside what the network knows (0.1 to 0.2)" in caplog.text
    fit = prepared.fit(seds)
    handed = (fit["flags"].values & int(Flag.HANDED_OVER)) > 0
    assert np.all(handed)
    assert not np.any(flagged(fit))
    want = RdspsFitter(fit_settings()).prepare(library(redshift=0.3, n_models=512)).fit(seds)
    for name in ("log_mass", "chi2", "n_used"):
        np.testing.assert_array_equal(fit[name], want[name])
    for name in ("efficiency", "predictive_p", "outlier_score", "redshift_ratio"):
        assert np.all(np.isnan(fit[name]))
    # the variables are those of galaxies that it knows
    known = at(0.15, own, hand_over="rdsps").fit(seds_of(*mocks_at(0.15, own, 4)))
    assert set(known.variables) == set(fit.variables)
