"""Samplers against the weights of a dense library, and against the prior that mocks come from."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import kstest

from pxdask.core.models import ModelConfig
from pxdask.core.random import stream
from pxdask.core.schema import QUANTILES
from pxdask.fitting.chains import first_chain, run
from pxdask.fitting.first_look import FirstLook
from pxdask.fitting.stage import fitter_of
from pxdask.fitting.target import HALF_RANGE, Observed, Sampled, Target
from pxdask.kernels.quantiles import weighted_quantiles
from pxdask.sps.libraries import make_library
from pxdask.testing import seds_of
from tests.fitting.small import filters, fit_settings, populations, small_library

MCMC = {"n_walkers": 60, "max_steps": 3000, "adapt_steps": 500, "max_rhat": 1.05, "min_taus": 40.0}


def noisy(library, *, snr, n_sed=4):
    flux = 1e9 * library.draw()["flux"].values[10 : 10 + n_sed].astype(float)
    error = flux / snr
    return flux + error * stream(5, "noise").standard_normal(flux.shape), error


def weighed(sampled, flux, error, dof):
    """Quantiles and deviations over all amplitudes, from models that fill the prior densely."""
    unit = np.random.default_rng(3).random((2**18, sampled.simulator.n_dim))
    models = sampled.simulator.simulate(unit)
    # nodes in the amplitude where the prior of its logarithm is even
    inverse = models.flux / error
    best = inverse @ (flux / error) / np.sum(inverse**2, axis=1)
    sigma = 1 / np.sqrt(np.sum(inverse**2, axis=1)) / best
    nodes = np.linspace(-5, 5, 31)
    ln_scale = np.log(best) + np.outer(nodes, sigma)
    chi = (flux - np.exp(ln_scale)[..., None] * models.flux) / error
    if np.isinf(dof):
        ln_weight = -0.5 * np.sum(chi**2, axis=-1)
    else:
        ln_weight = -0.5 * (dof + 1) * np.sum(np.log1p(chi**2 / dof), axis=-1)
    weight = sigma * np.exp(ln_weight - ln_weight.max())
    rows = {name: np.tile(value, (31, 1)) for name, value in models.parameters.items()}
    rows["log_mass"] = ln_scale / np.log(10) + np.log10(models.derived["surviving"])
    return {
        name: (
            weighted_quantiles(
                row.reshape(1, -1), weight.ravel(), probabilities=np.array(QUANTILES)
            )[0],
            np.sqrt(np.cov(row.ravel(), aweights=weight.ravel())),
        )
        for name, row in rows.items()
    }


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
def test_mcmc_agrees_with_a_dense_library(likelihood):
    library = small_library()
    flux, error = noisy(library, snr=10.0)
    settings = fit_settings(method="mcmc", mcmc=MCMC, likelihood=likelihood)
    fit = fitter_of(settings).prepare(library).fit(seds_of(flux, error))
    sampled = Sampled(settings, library)
    for i in range(len(flux)):
        want = weighed(sampled, flux[i], error[i], sampled.dof)
        # of a quantile of n independent samples of a Gaussian: 1.5 sigma / sqrt(n) at 0.16; four
        # deviations of MCMC's, and as much for the library's thousands of models of weight
        n_eff = min(fit["n_eff"].values[i], 4000.0)
        for name, (quantiles, std) in want.items():
            tolerance = std * (4 * 1.5 / np.sqrt(n_eff) + 0.05)
            found = fit[name].values[i]
            assert np.all(np.abs(found - quantiles) < tolerance), (i, name, found, quantiles, std)
            assert fit[f"{name}_std"].values[i] == pytest.approx(std, rel=0.15)


@pytest.mark.slow
@pytest.mark.statistical
def test_mcmc_agrees_with_rdsps():
    library = small_library(n_models=2**16)
    flux, error = noisy(library, snr=10.0)
    fits = [
        fitter_of(fit_settings(method=method, mcmc=MCMC)).prepare(library).fit(seds_of(flux, error))
        for method in ("rdsps", "mcmc")
    ]
    for name in ("log_mass", "log_age", "logzsol", "dust2", "log_mw_age"):
        first, second = (fit[name].values for fit in fits)
        std = fits[1][f"{name}_std"].values[:, None]
        # RDSPS takes the likelihood at the best amplitude, which differs from the mean over
        # amplitudes by the part of 1 / S/N in which the amplitude's own error varies
        assert np.all(np.abs(first - second) < 0.2 * std), (name, first, second, std)


@pytest.mark.slow
@pytest.mark.statistical
def test_ranks_of_the_truth_are_uniform():
    """Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788)."""
    n_mock, library = 200, small_library()
    quick = {**MCMC, "n_walkers": 24, "max_steps": 600, "adapt_steps": 150, "n_components": 8}
    settings = fit_settings(method="mcmc", mcmc=quick)
    sampled = Sampled(settings, library)
    rng = stream(11, "mocks")
    truth = rng.random((n_mock, sampled.n_dim))
    models = sampled.simulator.simulate(truth[:, :-1])
    # one range of masses for all, so that truth and fit have one prior; constant errors, of S/N 100
    # at the greatest mass, so that so few steps are enough
    scale = 10.0 ** (9 + HALF_RANGE * (2 * truth[:, -1:] - 1))
    error = np.broadcast_to(1e9 * np.median(models.flux, axis=0) * 10, (n_mock, 5))
    flux = scale * models.flux + error * rng.standard_normal((n_mock, 5))
    data = Observed(flux, np.array(error), np.zeros(flux.shape, bool))
    look = FirstLook(np.array([1e9]), np.zeros(1))
    target = Target(sampled, data, (look,) * n_mock)
    # begun from the prior, and not from what the data say of first models
    chains = [
        first_chain(target, i, (i,), first=rng.standard_normal((1000, sampled.simulator.n_dim)))
        for i in range(n_mock)
    ]
    run(target, chains, settings.mcmc)
    # ranks of chains that have not converged would tell nothing
    assert np.mean([chain.converged for chain in chains]) > 0.95
    ranks = np.empty((n_mock, sampled.n_dim))
    for i, chain in enumerate(chains):
        unit = ndtr(chain.kept()[::3].reshape(-1, sampled.simulator.n_dim).astype(float))
        mass = target.draw_mass(unit, np.full(len(unit), i), rng.random(len(unit)))
        ranks[i] = np.mean(np.column_stack([unit, mass]) < truth[i], axis=0)
    for k, name in enumerate((*sampled.simulator.names, "mass")):
        assert kstest(ranks[:, k], "uniform").pvalue > 0.01, (name, np.sort(ranks[:, k]))
        # and the central 68 per cent cover the truth so often: the deviation of 200 is 0.033
        covered = np.mean((ranks[:, k] > 0.16) & (ranks[:, k] < 0.84))
        assert 0.58 < covered < 0.78, (name, covered)


@pytest.mark.slow
@pytest.mark.statistical
def test_intervals_cover_the_truth_in_seven_dimensions():
    """Mocks of any mass with constant errors, chosen by what is observed: the fit's own prior.

    200 mocks of BC03 populations in 12 bands covered as often as they should (0.63 to 0.74 of
    each parameter, 0.71 of mass); these are fewer, of five bands.
    """
    n_mock = 24
    models = ModelConfig(sfh="delayed_tau", dust="charlot_fall", n_models=4000)
    library = make_library(populations(), filters(), settings=models, redshift=0.1, seed=5)
    drawn = library.draw()
    flux = drawn["flux"].values.astype(float)
    rng = stream(12, "mocks")
    log_scale = rng.uniform(7, 11.5, len(flux))
    error = np.broadcast_to(1e8 * np.median(flux, axis=0), flux.shape)
    observed = 10 ** log_scale[:, None] * flux + error * rng.standard_normal(flux.shape)
    snr = np.median(observed / error, axis=1)
    rows = np.flatnonzero((snr > 5) & (snr < 20))[:n_mock]
    quick = {"n_walkers": 40, "max_steps": 1000, "adapt_steps": 400, "n_components": 16}
    settings = fit_settings(
        method="mcmc", n_samples=200, mcmc={**quick, "min_taus": 15.0, "max_rhat": 1.1}
    )
    fit = fitter_of(settings).prepare(library).fit(seds_of(observed[rows], np.array(error[rows])))
    truth = {name: drawn[name].values[rows] for name in ("log_age", "dust2", "logzsol", "log_tau")}
    truth["log_mass"] = log_scale[rows] + np.log10(drawn["surviving"].values[rows])
    covered = []
    for name, value in truth.items():
        rank = np.mean(fit[f"{name}_samples"].values < value[:, None], axis=1)
        assert kstest(rank, "uniform").pvalue > 0.005, (name, np.sort(rank))
        covered.append(np.mean((rank > 0.16) & (rank < 0.84)))
    # the deviation of 24 is 0.095; of the mean of five, which are not independent, above 0.04
    assert all(0.35 < each < 0.98 for each in covered), covered
    assert 0.52 < np.mean(covered) < 0.84, covered
