import numpy as np
import pytest

from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig
from pxdask.sps import PhotometryEngine, make_model_set
from pxdask.sps.libraries import make_library
from pxdask.sps.priors import draw, resolve_priors
from pxdask.sps.sampling import unit_points
from pxdask.sps.simulator import RedshiftEngines, Simulator

FREE = {"redshift": {"low": 0.2, "high": 0.23}}


def simulator(ssp, bands, *, redshift=0.5, **settings):
    return Simulator(
        make_library(ssp, bands, settings=ModelConfig(**settings), redshift=redshift, seed=1)
    )


def test_models_are_those_of_the_engine_at_the_priors_quantiles(ssp, bands):
    settings = ModelConfig()
    made = simulator(ssp, bands)
    unit = np.random.default_rng(0).random((20, made.n_dim))
    models = made.simulate(unit)
    parameters = draw(resolve_priors(settings, redshift=0.5), unit, settings=settings)
    engine = PhotometryEngine(ssp, bands, redshift=0.5, settings=settings)
    np.testing.assert_array_equal(models.flux, engine.flux(parameters))
    assert made.names == tuple(models.parameters) == tuple(parameters)
    for name, value in engine.derived(parameters).items():
        np.testing.assert_array_equal(models.derived[name], value)
    assert set(models.derived) == set(made.derived_names)


@pytest.mark.parametrize("sfh", ["delayed_tau", "continuity"])
def test_models_of_free_redshift_are_those_of_the_set(ssp, bands, sfh):
    settings = ModelConfig(priors=FREE, sfh=sfh, n_models=64)
    made = simulator(ssp, bands, redshift=None, priors=FREE, sfh=sfh)
    unit = unit_points("sobol", n_dim=made.n_dim, seed=4, start=0, stop=64)
    models = made.simulate(unit)
    drawn = make_model_set(ssp, bands, settings=settings, seed=4)
    np.testing.assert_array_equal(models.flux, drawn["flux"].values)
    for name, value in {**models.parameters, **models.derived}.items():
        np.testing.assert_array_equal(value, drawn[name].values)


@pytest.mark.parametrize("priors", [{}, FREE])
def test_a_model_does_not_depend_on_the_others(ssp, bands, priors):
    made = simulator(ssp, bands, redshift=None if priors else 0.5, priors=priors)
    unit = np.random.default_rng(1).random((40, made.n_dim))
    whole = made.simulate(unit).flux
    for rows in ([3], [39, 0, 7], list(range(11, 30))):
        np.testing.assert_array_equal(made.simulate(unit[rows]).flux, whole[rows])


def test_the_ends_of_the_cube_are_the_ends_of_the_priors(ssp, bands):
    made = simulator(ssp, bands)
    models = made.simulate(np.array([[0.0] * made.n_dim, [1.0] * made.n_dim]))
    for name, prior in made.priors.items():
        np.testing.assert_allclose(models.parameters[name], [prior.low, prior.high], rtol=1e-12)
    assert np.all(np.isfinite(models.flux))


def test_prior_that_depends_on_mass_has_unit_integral(ssp, bands):
    joint = {
        "kind": "joint_with_mass",
        "log_mass": [8.0, 11.0],
        "mean": [-1.0, 0.0],
        "sigma": [0.2, 0.3],
    }
    made = simulator(ssp, bands, priors={"logzsol": joint})
    unit = np.full((4001, made.n_dim), 0.5)
    unit[:, made.names.index("logzsol")] = (np.arange(4001) + 0.5) / 4001
    models = made.simulate(unit)
    # at one surviving mass the density over metallicity is one prior
    log_formed = 9.3 - np.log10(models.derived["surviving"])
    density = np.exp(made.ln_mass_prior(models, log_formed))
    # midpoints of a smooth function that is cut at its ends: 1 / 4001^2, and the cuts
    assert density.mean() == pytest.approx(1, abs=1e-4)
    assert simulator(ssp, bands).ln_mass_prior(models, log_formed).tolist() == [0.0] * 4001


def test_no_models_and_too_few_columns(ssp, bands):
    made = simulator(ssp, bands)
    assert made.simulate(np.empty((0, made.n_dim))).flux.shape == (0, len(bands))
    with pytest.raises(ConfigError, match="wanted"):
        made.simulate(np.zeros((2, made.n_dim - 1)))


def test_engines_leave_when_there_are_too_many(ssp, bands):
    settings = ModelConfig(priors=FREE)
    priors = resolve_priors(settings)
    unit = np.random.default_rng(2).random((50, len(priors)))
    parameters = draw(priors, unit, settings=settings)
    few, many = (
        RedshiftEngines(ssp, bands, prior=priors["redshift"], settings=settings, n_engine=n)
        for n in (2, 100)
    )
    np.testing.assert_array_equal(few.flux(parameters), many.flux(parameters))
    assert (len(few._engines), len(many._engines)) == (2, 6)
