"""Priors: ends, draws, densities."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from pxdask.core.cosmology import age_of_universe
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.models import (
    FixedPrior,
    GammaPrior,
    GaussianPrior,
    MassPrior,
    ModelConfig,
    StudentTPrior,
    TablePrior,
    UniformPrior,
)
from pxdask.sps.parameters import free_parameters
from pxdask.sps.priors import draw, joint_ln_density, ln_density, resolve_priors
from pxdask.sps.sampling import unit_points

RELATION = {"log_mass": (9.0, 11.0), "mean": (-0.5, 0.1), "sigma": (0.1, 0.2)}
KINDS = {
    "uniform": UniformPrior(low=0.2, high=2.0),
    "gaussian": GaussianPrior(kind="gaussian", mean=0.5, sigma=0.4, low=0.2, high=2.0),
    "gaussian_tail": GaussianPrior(kind="gaussian", mean=-3.0, sigma=0.4, low=0.2, high=2.0),
    "student_t": StudentTPrior(kind="student_t", mean=0.5, scale=0.3, low=0.2, high=2.0),
    "gamma": GammaPrior(kind="gamma", shape=2.0, scale=0.3, start=0.1, low=0.2, high=2.0),
    "table": TablePrior(
        kind="table",
        values=(0.0, 0.5, 0.7, 1.0, 3.0),
        density=(2.0, 0.0, 0.0, 1.0, 3.0),
        low=0.2,
        high=2.0,
    ),
    "joint_with_mass": MassPrior(kind="joint_with_mass", **RELATION, low=0.2, high=2.0),
}
EACH = pytest.mark.parametrize("kind", KINDS)


def resolved(prior, name="dust2", **changes):
    return resolve_priors(ModelConfig(priors={name: prior}, **changes), redshift=0.1)[name]


def points(n_model, n_dim, kind="sobol"):
    return unit_points(kind, n_dim=n_dim, seed=1, start=0, stop=n_model)


def test_priors_are_the_registry_s_but_for_the_age_of_the_universe():
    priors = resolve_priors(ModelConfig(), redshift=1.0)
    assert tuple(priors) == free_parameters(ModelConfig())
    assert (priors["log_tau"].low, priors["log_tau"].high) == (-1.0, 1.5)
    assert priors["log_age"].low == -1.0
    # E. L. Wright's calculator: 5.75 Gyr at z = 1 for H0 70, Omega_m 0.3, flat
    assert priors["log_age"].high == pytest.approx(np.log10(5.75), abs=0.002)


def test_an_end_that_is_not_given_is_the_registry_s():
    prior = resolved({"low": 0.5})
    assert (prior.low, prior.high) == (0.5, 3.0)
    table = resolved({"kind": "table", "values": [-1, 1], "density": [1, 1], "high": 0.5})
    assert (table.low, table.high) == (0.0, 0.5)  # the registry's 0, for depths below make light


@given(redshift=st.floats(1e-4, 12), high=st.floats(-0.9, 1.3))
def test_nothing_is_older_than_the_universe(redshift, high):
    chosen = ModelConfig(priors={"log_age": {"low": -1, "high": high}})
    prior = resolve_priors(chosen, redshift=redshift)["log_age"]
    assert prior.low < prior.high <= high
    oldest = np.log10(age_of_universe(chosen, redshift=redshift))
    value = draw({"log_age": prior}, np.array([[0.0], [0.5], [1 - 1e-16]]))["log_age"]
    assert np.all((value >= -1) & (value <= oldest))


@EACH
def test_draws_follow_the_density(kind):
    prior = resolved(KINDS[kind])
    value = draw({"dust2": prior}, points(4096, 1))["dust2"]
    assert np.all((value >= 0.2) & (value <= 2.0))
    grid = np.linspace(0.2, 2.0, 20001)
    density = np.exp(ln_density(prior, grid))
    below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    assert below[-1] == pytest.approx(1, abs=1e-6)  # trapezium rule, 20,000 steps
    share = np.interp(np.sort(value), grid, below)
    # 4096 Sobol points leave no gap above two steps of 1/4096 in one coordinate
    np.testing.assert_allclose(share, (np.arange(4096) + 0.5) / 4096, atol=2 / 4096)


def test_a_table_is_inverted_exactly():
    # density x on [0, 2]: the share up to x is x^2 / 4
    prior = resolved({"kind": "table", "values": [0, 2], "density": [0, 5]})
    unit = np.linspace(0, 1, 101)
    value = draw({"dust2": prior}, unit[:, None])["dust2"]
    np.testing.assert_allclose(value, 2 * np.sqrt(unit), atol=1e-14)
    assert ln_density(prior, np.array([1.0]))[0] == pytest.approx(np.log(0.5))


def test_the_far_tail_of_a_gaussian_keeps_its_digits():
    # 8 to 13 sigma above the mean: truncnorm is scipy's own account of it
    prior = resolved(KINDS["gaussian_tail"])
    exact = stats.truncnorm(3.2 / 0.4, 5.0 / 0.4, -3.0, 0.4)
    unit = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(
        draw({"dust2": prior}, unit[:, None])["dust2"], exact.ppf(unit), rtol=1e-9
    )
    value = np.array([0.2, 0.3, 1.0])
    np.testing.assert_allclose(ln_density(prior, value), exact.logpdf(value), rtol=1e-9)


@EACH
def test_density_is_none_beyond_the_ends(kind):
    prior = resolved(KINDS[kind])
    np.testing.assert_array_equal(ln_density(prior, np.array([0.1, 2.1])), [-np.inf] * 2)


@settings(max_examples=40)
@given(log_mass=st.floats(7, 12), low=st.floats(-3, 1.0), width=st.floats(0.05, 2))
def test_density_given_a_mass_integrates_to_one(log_mass, low, width):
    prior = MassPrior(kind="joint_with_mass", **RELATION, low=low, high=low + width)

    def density(value):
        return np.exp(joint_ln_density(prior, np.array([value]), np.array([log_mass])))[0]

    # where the Gaussian is far outside, all is near one end: let quad look there
    mean = np.interp(log_mass, RELATION["log_mass"], RELATION["mean"])
    steps = np.clip(mean + np.array([-9, -1, -0.1, 0, 0.1, 1, 9]), low, low + width)
    steps = np.unique([low, low + 0.01 * width, *steps, low + 0.99 * width, low + width])
    area = sum(quad(density, a, b, epsabs=1e-10)[0] for a, b in pairwise(steps))
    assert area == pytest.approx(1, abs=1e-6)


def test_density_given_a_mass_by_hand():
    # at 10^10 Msun: mean -0.2, sigma 0.15, so far inside [-2, 2] that the cut takes nothing
    prior = MassPrior(kind="joint_with_mass", **RELATION, low=-2.0, high=2.0)
    got = joint_ln_density(prior, np.array([-0.05, -0.2, 3.0]), np.array([10.0, 10.0, 10.0]))
    peak = -np.log(0.15 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(got[:2], [peak - 0.5, peak], rtol=1e-12)
    assert got[2] == -np.inf


def test_free_redshift_is_drawn_first_and_ages_follow_it():
    chosen = ModelConfig(priors={"redshift": {"low": 0.5, "high": 6.0}, "log_age": {"high": 1.14}})
    priors = resolve_priors(chosen)
    assert next(iter(priors)) == "redshift"
    drawn = draw(priors, points(2048, len(priors)), settings=chosen)
    picked = np.argsort(drawn["log_age"] - 0.5 * np.log10(7.0))[::100]
    for i in picked:
        oldest = np.log10(age_of_universe(chosen, redshift=drawn["redshift"][i]))
        assert drawn["log_age"][i] <= oldest + 1e-8  # a spline of the age: 1e-8
    oldest = np.array([np.log10(age_of_universe(chosen, redshift=z)) for z in drawn["redshift"]])
    share = (drawn["log_age"] + 1) / (oldest + 1)
    # even up to the universe at each redshift: a quarter of 2048 points in each quarter
    assert np.all(np.abs(np.histogram(share, 4, (0, 1 + 1e-7))[0] - 512) < 16)


def test_every_fault_is_named():
    chosen = ModelConfig(
        priors={
            "log_mass": {"low": 8, "high": 12},
            "dust_2": {"low": 0, "high": 1},
            "dust2": {"low": -1, "high": 1},
            "log_tau": {"low": 1.6},
            "gas_logu": {"kind": "gaussian", "mean": 300, "sigma": 0.1},
            "log_age": 1.4,
            "redshift": 0.1,
        }
    )
    with pytest.raises(ConfigError) as caught:
        resolve_priors(chosen, redshift=0.1)
    text = str(caught.value)
    for part in (
        "'log_mass' is not a parameter of these models; they have redshift, log_age",
        "'dust_2' is not",
        "dust2: [-1.0, 1.0] goes beyond the models' range [0.0, 50.0]",
        "log_tau: no value is left between 1.6 and 1.5",
        "gas_logu: the prior is zero everywhere in [-4.0, -1.0]",
        "log_age: 1.4 is not within [-4.0, 1.3]",
        "redshift: 0.1 is one value for all galaxies",
    ):
        assert part in text


def test_universe_younger_than_every_model():
    chosen = ModelConfig(priors={"log_age": {"low": 0.5, "high": 1}})
    with pytest.raises(DataError, match=r"2\.11 Gyr old.*models\.priors\.log_age\.low"):
        resolve_priors(chosen, redshift=3.0)
    fixed = ModelConfig(priors={"log_age": FixedPrior(value=0.5)})
    with pytest.raises(DataError, match=r"log_age = 0\.5"):
        resolve_priors(fixed, redshift=3.0)
    table = {"kind": "table", "values": [-1, 0.4, 1.0], "density": [0, 0, 1]}
    with pytest.raises(DataError, match=r"zero everywhere in \[-1\.0, 0\.3"):
        resolve_priors(ModelConfig(priors={"log_age": table}), redshift=3.0)


def test_histories_of_time_bins_have_no_age():
    priors = resolve_priors(ModelConfig(sfh="dirichlet", sfh_bins=4), redshift=3.0)
    assert {"sfr_stick_1", "sfr_stick_2", "sfr_stick_3"} < set(priors)
    assert "log_age" not in priors


@pytest.mark.parametrize("redshift", [0.0, -0.1, np.nan, np.inf])
def test_redshift_must_be_positive(redshift):
    with pytest.raises(DataError, match="above zero"):
        resolve_priors(ModelConfig(), redshift=redshift)


def test_redshift_must_be_known():
    with pytest.raises(ConfigError, match="need a redshift"):
        resolve_priors(ModelConfig())


def test_something_must_be_free():
    chosen = ModelConfig(priors=dict.fromkeys(("log_age", "log_tau", "logzsol", "dust2"), 0.0))
    with pytest.raises(ConfigError, match="no parameter is free"):
        resolve_priors(chosen, redshift=0.1)


def test_columns_must_be_those_of_the_priors():
    with pytest.raises(ConfigError, match=r"shape \(3, 2\); wanted \(n_model, 4\)"):
        draw(resolve_priors(ModelConfig(), redshift=0.1), np.zeros((3, 2)))


@settings(max_examples=30)
@given(st.sampled_from(["sobol", "random"]), st.integers(0, 9000), st.integers(0, 300))
def test_a_point_is_the_same_in_any_slice(kind, start, length):
    whole = unit_points(kind, n_dim=3, seed=5, start=0, stop=9300)
    part = unit_points(kind, n_dim=3, seed=5, start=start, stop=start + length)
    np.testing.assert_array_equal(part, whole[start : start + length])


@pytest.mark.parametrize("kind", ["sobol", "random"])
def test_points_of_other_seeds_are_others(kind):
    one, other = (unit_points(kind, n_dim=2, seed=s, start=0, stop=64) for s in (1, 2))
    assert not np.any(one == other)


def test_sobol_points_are_balanced():
    # 256 points: one in each of 256 equal steps of each coordinate (Sobol 1967)
    steps = np.sort((256 * points(256, 6)).astype(int), axis=0)
    np.testing.assert_array_equal(steps, np.tile(np.arange(256)[:, None], 6))


def test_more_points_than_there_are():
    with pytest.raises(ConfigError, match="random sampling"):
        unit_points("sobol", n_dim=1, seed=1, start=2**32, stop=2**32 + 1)
    with pytest.raises(ConfigError, match=r"\[5, 3\)"):
        unit_points("random", n_dim=1, seed=1, start=5, stop=3)
