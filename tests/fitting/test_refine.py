import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.stats import multivariate_normal

from pxdask.core.bandpass import Filter
from pxdask.core.config import FitConfig
from pxdask.core.errors import ConfigError
from pxdask.core.fits import RefineConfig
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.fitting import RdspsFitter
from pxdask.fitting.refine import Proposal
from pxdask.sps import synthetic_ssp
from pxdask.sps.libraries import make_library
from pxdask.testing import fake_models, library_of, seds_of

WAVES = np.geomspace(1600, 22000, 10)
FILTERS = tuple(
    Filter(f"box_{i}", wave * np.array([0.95, 0.97, 1.03, 1.05]), np.array([0.0, 1, 1, 0]))
    for i, wave in enumerate(WAVES)
)
REFINE = RefineConfig(min_n_eff=100, n_models=4096, max_rounds=8)


def library(n_models, seed=1):
    settings = ModelConfig(n_models=n_models)
    return make_library(synthetic_ssp(), FILTERS, settings=settings, redshift=0.1, seed=seed)


SMALL = library(4096)


def fitter(**kwargs):
    return RdspsFitter(FitConfig(systematic_error=0.0, **kwargs))


def sed(snr):
    flux = 1e10 * library(8, seed=9).draw()["flux"].values[[3]].astype(float)
    error = flux / snr
    return seds_of(flux + error * np.random.default_rng(2).normal(size=flux.shape), error)


def test_refinement_reaches_the_effective_number_that_was_asked_for():
    seds = sed(60.0)
    before = fitter().prepare(SMALL).fit(seds)
    after = fitter(refine=REFINE).prepare(SMALL).fit(seds)
    assert before["n_eff"].item() < 10
    assert before["flags"].item() & Flag.FEW_MODELS
    assert after["n_eff"].item() >= 100
    assert not after["flags"].item() & Flag.FEW_MODELS
    assert after["chi2"].item() <= before["chi2"].item()


@pytest.mark.statistical
def test_refined_quantiles_are_those_of_a_denser_library():
    seds = sed(25.0)
    after = fitter(refine=REFINE).prepare(SMALL).fit(seds)
    dense = fitter().prepare(library(131_072, seed=4)).fit(seds)
    n_eff = dense["n_eff"].item()
    assert n_eff > 30
    # a quantile at 0.16 of n draws of a Gaussian has a deviation of 1.5 sigma / sqrt(n)
    room = 4 * 1.5 * math.sqrt(1 / n_eff + 1 / after["n_eff"].item())
    for name in ("log_age", "log_tau", "logzsol", "dust2", "log_mass", "log_sfr"):
        if name not in dense:
            continue
        low, middle, high = dense[name].values[0]
        sigma = max(0.5 * (high - low), dense[f"{name}_std"].item())
        np.testing.assert_allclose(after[name].values[0], [low, middle, high], atol=room * sigma)
    # both estimate one integral
    spread = 4 * math.sqrt(1 / n_eff + 1 / after["n_eff"].item())
    assert after["ln_evidence"].item() == pytest.approx(dense["ln_evidence"].item(), abs=spread)


def test_a_fit_with_models_enough_is_left_as_it_is():
    seds = sed(2.0)
    one, other = (fitter(**k).prepare(SMALL).fit(seds) for k in ({}, {"refine": REFINE}))
    assert one["n_eff"].item() > 100
    for name in one.data_vars:
        assert one[name].values.tobytes() == other[name].values.tobytes()


def test_a_refined_result_does_not_depend_on_its_company():
    seds = sed(60.0)
    flux, error = np.repeat(seds.flux, 3, axis=0), np.repeat(seds.flux_err, 3, axis=0)
    prepared = fitter(refine=REFINE, n_samples=5).prepare(SMALL)
    three = prepared.fit(seds_of(flux * np.array([[1.0], [1.1], [0.9]]), error))
    one = prepared.fit(replace(seds, keys=(("sed", 0),)))
    for name in (name for name in one.data_vars if "bin" in one[name].dims):
        assert one[name].values.tobytes() == three[name].values[:1].tobytes(), name


def test_a_proposal_has_the_density_that_it_is_drawn_with():
    rng = np.random.default_rng(0)
    root = np.array([[0.2, 0.0], [0.1, 0.05]])
    proposal = Proposal(np.array([[0.3, 0.4], [0.6, 0.5]]), root)
    points = rng.random((5, 2))
    want = [
        0.5 * sum(multivariate_normal(centre, root @ root.T).pdf(point)
                  for centre in proposal.centre)
        for point in points
    ]  # fmt: skip
    np.testing.assert_allclose(np.exp(proposal.ln_density(points)), want, rtol=1e-10)
    drawn = proposal.draw(rng, 40_000)
    inside = np.mean(np.all((drawn > 0.25) & (drawn < 0.5), axis=1))
    mass, _ = dblquad(
        lambda y, x: math.exp(proposal.ln_density(np.array([[x, y]]))[0]), 0.25, 0.5, 0.25, 0.5
    )
    assert inside == pytest.approx(mass, abs=4 * math.sqrt(mass / 40_000))  # 4 deviations


def test_what_cannot_be_refined_is_refused():
    models = fake_models(WAVES, n_model=50, rng=np.random.default_rng(1))
    with pytest.raises(ConfigError, match="drawn from the library's priors"):
        fitter(refine=REFINE).prepare(library_of(models))
    with pytest.raises(ConfigError, match="redshift is free"):
        fitter(refine=REFINE).prepare(replace(library_of(models), redshift=None))


def test_a_posterior_that_is_summed_by_class_is_refined_too():
    # so faint that most models are within depth
    wide, seds = library(2**15), sed(3.0)
    plain = fitter().prepare(wide).fit(seds)
    n_eff = plain["n_eff"].item()
    settings = REFINE.model_copy(update={"min_n_eff": 3 * n_eff, "n_models": 2**15})
    more = fitter(refine=settings).prepare(wide).fit(seds)
    assert more["n_eff"].item() > 1.5 * n_eff
    for name in ("logzsol", "dust2", "log_mass"):
        low, middle, high = plain[name].values[0]
        assert more[name].values[0, 1] == pytest.approx(middle, abs=0.1 * (high - low)), name
