"""From parameters to star formation histories."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pxdask.core.models import ModelConfig
from pxdask.kernels.sfh import age_quadrature, age_weights
from pxdask.sps.histories import bin_edges, histories
from pxdask.sps.parameters import default_prior, model_parameters

UNIVERSE = 10.0
BINNED = ("continuity", "dirichlet")


def _values(names, numbers):
    """One model from numbers, for parameters of these names."""
    return {name: np.array([number]) for name, number in zip(names, numbers, strict=True)}


def _names(settings):
    return [name for name in model_parameters(settings) if name.startswith(("logsfr_", "sfr_"))]


@pytest.mark.parametrize(
    ("sfh", "columns"),
    [
        ("tau", [0.5]),
        ("delayed_tau", [0.5]),
        ("lognormal", [1.5, 0.5]),
        ("gaussian", [1.5, 0.5]),
        ("double_power_law", [np.log(2), 10, 0.1]),
    ],
)
def test_equations_get_the_parameters_they_want(sfh, columns):
    values = {
        "log_age": np.log10([3.0]),
        "log_tau": np.log10([2.0]),
        "log_t0": np.log10([1.5]),
        "log_alpha": np.array([1.0]),
        "log_beta": np.array([-1.0]),
        "dust2": np.array([0.3]),
    }
    got = histories(ModelConfig(sfh=sfh), values, universe=UNIVERSE)
    assert got.kind == sfh
    np.testing.assert_allclose(got.age, [3.0])
    np.testing.assert_allclose(got.shape, [columns], atol=1e-15)
    assert bin_edges(ModelConfig(sfh=sfh), universe=UNIVERSE) is None


def test_seven_bins_are_those_of_the_paper():
    got = bin_edges(ModelConfig(sfh="continuity"), universe=UNIVERSE)
    np.testing.assert_allclose(got[[0, 1, 2, 6, 7]], [0, 0.03, 0.1, 8.5, 10])
    np.testing.assert_allclose(np.diff(np.log(got[2:7])), np.log(85) / 4)


@given(n_bin=st.integers(3, 30), universe=st.floats(0.17, 14), sfh=st.sampled_from(BINNED))
def test_bins_fill_the_age_of_any_universe(n_bin, universe, sfh):
    got = bin_edges(ModelConfig(sfh=sfh, sfh_bins=n_bin), universe=universe)
    assert got.shape == (n_bin + 1,)
    assert (got[0], got[-1]) == (0, universe)
    assert np.all(np.diff(got) > 0)
    # none is a sliver: the least spacing is 2**(1/27) between 100 Myr and 0.85 of the age
    assert np.min(got[2:] / got[1:-1]) > 1.02


def test_ratios_are_worked_by_hand():
    settings = ModelConfig(sfh="continuity", sfh_bins=3)
    # 30, 70 and 9900 Myr at 20 : 2 : 4
    got = histories(settings, _values(_names(settings), [1, np.log10(0.5)]), universe=UNIVERSE)
    mass = np.array([20 * 30, 2 * 70, 4 * 9900])
    assert got.kind == "piecewise"
    np.testing.assert_allclose(got.age, [UNIVERSE])
    np.testing.assert_allclose(got.shape, [mass / np.sum(mass)])


def test_sticks_are_worked_by_hand():
    settings = ModelConfig(sfh="dirichlet", sfh_bins=3)
    # 0.6, 0.4 x 0.75 and 0.4 x 0.25 of the rate in bins of 30, 70 and 9900 Myr
    got = histories(settings, _values(_names(settings), [0.4, 0.25]), universe=UNIVERSE)
    mass = np.array([0.6 * 30, 0.3 * 70, 0.1 * 9900])
    np.testing.assert_allclose(got.shape, [mass / np.sum(mass)])


@pytest.mark.parametrize(
    ("sfh", "number"),
    [("continuity", 20.0), ("continuity", -20.0), ("dirichlet", 0.0), ("dirichlet", 1.0)],
)
def test_limits_put_all_mass_into_the_first_or_last_bin(sfh, number):
    settings = ModelConfig(sfh=sfh, sfh_bins=30)
    names = _names(settings)
    got = histories(settings, _values(names, [number] * len(names)), universe=UNIVERSE).shape[0]
    youngest = number in (20.0, 0.0)
    # the next bin's rate is 1e-20 of the first's, or zero
    assert got[0 if youngest else -1] == pytest.approx(1, abs=1e-15)
    assert np.all(np.isfinite(got))


@pytest.mark.parametrize("sfh", BINNED)
def test_constant_rates_are_a_constant_history(sfh):
    settings = ModelConfig(sfh=sfh)
    names = _names(settings)
    # sticks of a constant rate leave (n - i) / (n - i + 1) to older bins
    even = [0.0] * 6 if sfh == "continuity" else [i / (i + 1) for i in range(6, 0, -1)]
    got = histories(settings, _values(names, even), universe=UNIVERSE)
    quadrature = age_quadrature(
        np.arange(107) * 0.05 + 5, bin_edges=bin_edges(settings, universe=UNIVERSE)
    )
    weights = age_weights(got.kind, got.age, got.shape, quadrature=quadrature)
    flat = age_weights("tau", got.age, np.array([[1e-9]]), quadrature=quadrature)
    # closed forms of one, quadrature of the other
    np.testing.assert_allclose(weights, flat, atol=1e-9)


@pytest.mark.statistical
def test_default_sticks_give_a_flat_dirichlet():
    # of n shares, each is Beta(1, n - 1), and any two are anticorrelated by -1 / (n - 1)
    settings, rng, n_model, n_bin = ModelConfig(sfh="dirichlet"), np.random.default_rng(4), 20000, 7
    names = _names(settings)
    values = {}
    for i, name in enumerate(names, start=1):
        beta = stats.beta(n_bin - i, 1)
        values[name] = beta.rvs(n_model, random_state=rng)
        prior = default_prior(name, settings)
        density = np.array(prior.density) / np.trapezoid(prior.density, prior.values)
        # the table's 129 values are joined by lines
        np.testing.assert_allclose(density, beta.pdf(np.array(prior.values)), atol=2e-3)
    mass = histories(settings, values, universe=UNIVERSE).shape
    rate = mass / np.diff(bin_edges(settings, universe=UNIVERSE))
    share = rate / np.sum(rate, axis=1, keepdims=True)
    for i in range(n_bin):
        assert stats.kstest(share[:, i], stats.beta(1, n_bin - 1).cdf).pvalue > 1e-3
    correlation = np.corrcoef(share.T)[~np.eye(n_bin, dtype=bool)]
    # four standard errors of a correlation from 20,000 draws
    np.testing.assert_allclose(correlation, -1 / (n_bin - 1), atol=4 / np.sqrt(n_model))
