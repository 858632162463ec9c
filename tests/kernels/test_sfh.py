"""Star formation histories as weights on SSP ages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.fastmath import exp, log
from pxdask.kernels.sfh import (
    SFH_KINDS,
    age_quadrature,
    age_weights,
    mean_age,
    recent_fraction,
)

LOG_AGE = np.round(np.arange(107) * 0.05 + 5, 2)
QUADRATURE = age_quadrature(LOG_AGE)
KINDS = sorted(SFH_KINDS)


def _sfr(sfh, time, tau):
    return np.exp(-time / tau) * (time if sfh == "delayed_tau" else 1)


def _by_brute_force(sfh, age, tau):
    """Mass shares of the nodes from a fine sum over lookback time."""
    node = 10 ** (LOG_AGE - 9)
    edges = np.unique(np.concatenate([np.linspace(0, age, 400001), node[node < age]]))
    middle, step = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    mass = _sfr(sfh, age - middle, tau) * step
    position = np.interp(np.log(middle), np.log(node), np.arange(node.size))
    low = np.minimum(position.astype(int), node.size - 2)
    weights = np.zeros(node.size)
    np.add.at(weights, low, mass * (1 - position + low))
    np.add.at(weights, low + 1, mass * (position - low))
    return weights / np.sum(mass), np.sum(mass * middle) / np.sum(mass), middle, mass


@pytest.mark.parametrize("sfh", KINDS)
@pytest.mark.parametrize(
    ("age", "tau"), [(13.0, 3.0), (12.58, 0.117), (0.1, 30.0), (0.45, 0.1), (5.0, 0.5), (3e-4, 1)]
)
def test_weights_equal_fine_integration(sfh, age, tau):
    expected, _, _, _ = _by_brute_force(sfh, age, tau)
    got = age_weights(sfh, np.array([age]), np.array([[1 / tau]]), quadrature=QUADRATURE)[0]
    # six points an interval; worst where a steep decline falls in one wide interval
    assert np.sum(np.abs(got - expected)) < 2e-3
    np.testing.assert_allclose(got, expected, atol=1e-3)


@pytest.mark.parametrize("sfh", KINDS)
def test_moments_equal_fine_integration(sfh):
    age, tau = np.array([13.0, 0.3, 0.05, 2.0]), np.array([2.0, 5.0, 1.0, 0.3])
    shape = 1 / tau[:, None]
    recent = recent_fraction(sfh, age, shape, span=0.1)
    mean = mean_age(sfh, age, shape)
    for i in range(age.size):
        _, expected, middle, mass = _by_brute_force(sfh, age[i], tau[i])
        assert mean[i] == pytest.approx(expected, rel=1e-5)
        # the sum's own step, 3e-5 of a 13 Gyr history, blurs the edge at 0.1 Gyr
        share = np.sum(mass[middle < 0.1]) / np.sum(mass)
        assert recent[i] == pytest.approx(share, rel=3e-4)


def test_constant_rate_in_two_intervals_is_worked_by_hand():
    # nodes 1 and e Gyr, constant rate for 1 Gyr: all mass is younger than the first node;
    # for e Gyr: the second node gets int_1^e ln t dt = 1 of e
    quadrature = age_quadrature(np.array([9.0, 9 + np.log10(np.e)]))
    flat = np.full((2, 1), 1e-9)
    got = age_weights("tau", np.array([1.0, np.e]), flat, quadrature=quadrature)
    np.testing.assert_allclose(got, [[1, 0], [1 - 1 / np.e, 1 / np.e]], atol=1e-7)


@given(
    sfh=st.sampled_from(KINDS), log_age=st.floats(-4, 1.3), log_tau=st.floats(-1.5, 4), n=st.just(1)
)
def test_weights_are_a_distribution_over_ages_reached(sfh, log_age, log_tau, n):
    age, shape = np.full(n, 10**log_age), np.full((n, 1), 10**-log_tau)
    weights = age_weights(sfh, age, shape, quadrature=QUADRATURE)
    assert np.all(weights >= 0)
    assert np.sum(weights) == pytest.approx(1, abs=1e-12)
    beyond = np.searchsorted(QUADRATURE.node, age[0], side="right") + 1
    assert np.all(weights[0, beyond:] == 0)
    assert 0 <= recent_fraction(sfh, age, shape, span=0.1)[0] <= 1
    assert 0 < mean_age(sfh, age, shape)[0] < age[0]


def test_recent_fraction_keeps_its_digits_long_after_the_end():
    # tau = 0.1 Gyr, 10 Gyr old: exp(-100) (e - 1), which 1 - cumulative mass would lose
    got = recent_fraction("tau", np.array([10.0]), np.array([[10.0]]), span=0.1)
    np.testing.assert_allclose(got, np.exp(-100) * (np.e - 1), rtol=1e-10)


def test_no_models_give_no_weights():
    got = age_weights("tau", np.empty(0), np.empty((0, 1)), quadrature=QUADRATURE)
    assert got.shape == (0, LOG_AGE.size)


@given(x=st.floats(-700, 700))
def test_exponential(x):
    assert exp(x) == pytest.approx(np.exp(x), rel=1e-11)


@given(x=st.floats(1e-300, 1e300))
def test_logarithm(x):
    assert log(x) == pytest.approx(np.log(x), rel=1e-12, abs=2e-12)
