"""Star formation histories: weights on SSP ages, and summaries."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammainc, gammaincinv
from scipy.stats import norm

from pxdask.kernels.assembly import summarise
from pxdask.kernels.fastmath import exp, log
from pxdask.kernels.history import SFH_KINDS
from pxdask.kernels.sfh import age_quadrature, age_weights

LOG_AGE = np.round(np.arange(107) * 0.05 + 5, 2)
NODE = 10 ** (LOG_AGE - 9)
QUADRATURE = age_quadrature(LOG_AGE)
KINDS = [kind for kind in SFH_KINDS if kind != "piecewise"]
FRACTIONS = (0.3, 0.5, 0.7, 0.9)


def _shape(kind, tau, t0, alpha, beta):
    """One history's parameters, as the kernels want them."""
    if kind in ("tau", "delayed_tau"):
        return np.array([[1 / tau]])
    if kind in ("lognormal", "gaussian"):
        return np.array([[t0, 1 / tau]])
    return np.array([[np.log(tau), alpha, beta]])


@st.composite
def _histories(draw):
    """Any history that the registry's limits allow."""
    kind = draw(st.sampled_from(KINDS))
    age = 10 ** draw(st.floats(-4, 1.3))
    tau, t0 = 10 ** draw(st.floats(-1.5, 4)), 10 ** draw(st.floats(-4, 1.5))
    alpha, beta = (10 ** draw(st.floats(-3, 3)) for _ in range(2))
    return kind, np.array([age]), _shape(kind, tau, t0, alpha, beta)


def _draws(kind, n_model, seed):
    """Histories from the registry's ranges."""
    rng = np.random.default_rng(seed)
    age, tau, t0 = (10 ** rng.uniform(-1, high, n_model) for high in (1.14, 1.5, 1.14))
    alpha, beta = 10 ** rng.uniform(-2, 2, (2, n_model))
    shapes = [_shape(kind, *each) for each in zip(tau, t0, alpha, beta, strict=True)]
    return age, np.concatenate(shapes)


def _ln_rate(kind, time, shape):
    """The equations of piXedfit, as they are written."""
    if kind == "tau":
        return -time * shape[0]
    if kind == "delayed_tau":
        return np.log(time) - time * shape[0]
    if kind == "lognormal":
        return -0.5 * ((np.log(time) - shape[0]) * shape[1]) ** 2 - np.log(time)
    if kind == "gaussian":
        return -0.5 * ((time - shape[0]) * shape[1]) ** 2
    y = np.log(time) - shape[0]
    return -np.logaddexp(shape[1] * y, -shape[2] * y)


def _weights_by_brute_force(kind, age, shape):
    """Shares of the nodes from small cells wherever the history or the nodes need them."""
    tau = 1 / shape[0] if kind.endswith("tau") else 1 / shape[1]
    centre = shape[0] if kind == "gaussian" else 0.0
    grids = [
        np.geomspace(1e-60, age, 6000),
        age - np.geomspace(1e-9, age, 3000),
        age - NODE[age > NODE],
        centre + np.linspace(-10, 60, 4000) * tau,
    ]
    if kind == "double_power_law":
        turn = np.exp(shape[0] + np.linspace(-30, 30, 4000) / (shape[1] + shape[2]))
        grids = [*grids[:3], turn]
    edges = np.unique(np.concatenate(grids))
    edges = np.concatenate([[0.0], edges[(edges > 0) & (edges < age)], [age]])
    middle, step = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    ln_mass = _ln_rate(kind, middle, shape) + np.log(step)
    mass = np.exp(ln_mass - np.max(ln_mass))
    position = np.interp(np.log(age - middle), np.log(NODE), np.arange(NODE.size))
    low = np.minimum(position.astype(int), NODE.size - 2)
    weights = np.bincount(low, mass * (1 - position + low), NODE.size)
    weights += np.bincount(low + 1, mass * (position - low), NODE.size)
    return weights / np.sum(mass)


@pytest.mark.parametrize("kind", KINDS)
def test_photometry_equals_fine_integration(kind):
    # light from steady to gone after some Myr, steeper in age than any band's
    light = np.stack([NODE**-power for power in (0.3, 0.7, 1.2)] + [np.exp(-NODE / 3e-3)])
    age, shape = _draws(kind, 30, seed=3)
    got = age_weights(kind, age, shape, quadrature=QUADRATURE)
    expected = np.stack(
        [_weights_by_brute_force(kind, *each) for each in zip(age, shape, strict=True)]
    )
    # the worst of 1,500 draws is 4e-4 of the mass on a neighbouring age
    assert np.max(np.sum(np.abs(got - expected), axis=1)) < 8e-4
    # the promise is 0.05 per cent; light of a few Myr that is 1e-9 of all is no light
    bright = expected @ light.T > 1e-9
    relative = np.abs(got @ light.T / np.where(bright, expected @ light.T, 1) - 1)
    assert np.max(relative[bright]) < 5e-4


def test_a_double_power_law_is_resolved_where_its_slope_turns():
    # the turn begins within an interval; panels once ran across it, and moved 1.5 per cent
    age, shape = 1.1744985024970382, np.array([-2.04741083, 14.26285966, 4.78671445])
    got = age_weights("double_power_law", np.array([age]), shape[None], quadrature=QUADRATURE)[0]
    expected = _weights_by_brute_force("double_power_law", age, shape)
    assert np.sum(np.abs(got - expected)) < 8e-4


def test_constant_rate_in_two_intervals_is_worked_by_hand():
    # nodes 1 and e Gyr, constant rate for 1 Gyr: all mass is younger than the first node;
    # for e Gyr: the second node gets int_1^e ln t dt = 1 of e
    quadrature = age_quadrature(np.array([9.0, 9 + np.log10(np.e)]))
    flat = np.full((2, 1), 1e-9)
    got = age_weights("tau", np.array([1.0, np.e]), flat, quadrature=quadrature)
    # three points over a factor of e in age leave 2e-6; over the usual 0.05 dex, 1e-11
    np.testing.assert_allclose(got, [[1, 0], [1 - 1 / np.e, 1 / np.e]], atol=3e-6)


def test_bins_are_worked_by_hand():
    # as above: of the second bin, e - 1 Gyr long, the second node gets 1; of the third, after
    # the last node, all
    quadrature = age_quadrature(
        np.array([9.0, 9 + np.log10(np.e)]), bin_edges=np.array([0, 1, np.e, 5.0])
    )
    shape = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.5, 0.3]])
    got = age_weights("piecewise", np.full(4, 5.0), shape, quadrature=quadrature)
    later = 1 / (np.e - 1)
    mixed = 0.5 * later + 0.3
    expected = [[1, 0], [1 - later, later], [0, 1], [1 - mixed, mixed]]
    np.testing.assert_allclose(got, expected, atol=1e-14)


@pytest.mark.parametrize(
    ("kind", "shape", "lookback"),
    [
        ("gaussian", [4.6, 10**1.5], 9.4),
        ("double_power_law", [np.log(4.6), 1000.0, 1000.0], 9.4),
        ("lognormal", [np.log(4.6), 1e3], 9.4),
        ("tau", [1e3], 14 - 1e-3),
    ],
)
def test_a_burst_falls_between_the_nodes_around_it(kind, shape, lookback):
    got = age_weights(kind, np.array([14.0]), np.array([shape]), quadrature=QUADRATURE)[0]
    position = np.interp(np.log(lookback), np.log(NODE), np.arange(NODE.size))
    low = int(position)
    # a width s blurs the mean of ln(age) by s^2 / (2 age^2) < 5e-6, 5e-5 of an interval
    assert got[low + 1] == pytest.approx(position - low, abs=2e-4)
    assert got[low] + got[low + 1] == pytest.approx(1, abs=1e-7)


@given(history=_histories())
def test_weights_are_a_distribution_over_ages_reached(history):
    kind, age, shape = history
    weights = age_weights(kind, age, shape, quadrature=QUADRATURE)
    assert np.all(weights >= 0)
    assert np.sum(weights) == pytest.approx(1, abs=1e-12)
    beyond = np.searchsorted(NODE, age[0], side="right") + 1
    assert np.all(weights[0, beyond:] == 0)


@given(history=_histories())
def test_slower_histories_are_the_same_at_later_ages(history):
    kind, age, shape = history
    longer, steps = 10**0.2, 4
    age = np.minimum(age, NODE[-1] / longer * 0.999)
    slow = shape.copy()
    if kind in ("lognormal", "double_power_law"):
        slow[:, 0] += np.log(longer)
    elif kind == "gaussian":
        slow *= [longer, 1 / longer]
    else:
        slow /= longer
    weights = age_weights(kind, age, shape, quadrature=QUADRATURE)[0]
    later = age_weights(kind, age * longer, slow, quadrature=QUADRATURE)[0]
    # where a step between ages is about as long as a burst, whether it is divided may differ
    np.testing.assert_allclose(later[steps + 1 :], weights[1:-steps], atol=5e-4)
    assert np.sum(later[: steps + 1]) == pytest.approx(weights[0], abs=5e-4)
    asked = {"quadrature": QUADRATURE, "fractions": FRACTIONS}
    quick = summarise(kind, age, shape, spans=[0.03], **asked)
    slower = summarise(kind, age * longer, slow, spans=[0.03 * longer], **asked)
    assert slower.mean_age[0] == pytest.approx(longer * quick.mean_age[0], rel=1e-5)
    assert slower.recent[0, 0] == pytest.approx(quick.recent[0, 0], rel=1e-5, abs=1e-12)
    np.testing.assert_allclose(
        slower.lookback, longer * quick.lookback, rtol=1e-5, atol=1e-6 * age[0]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_has_the_same_bits_in_any_batch(kind):
    age, shape = _draws(kind, 50, seed=8)
    together = age_weights(kind, age, shape, quadrature=QUADRATURE)
    alone = age_weights(kind, age[17:18], shape[17:18], quadrature=QUADRATURE)
    assert np.array_equal(together[17], alone[0])


def test_ages_outside_the_nodes_are_held_to_them():
    quadrature = age_quadrature(np.array([8.0, 9.0]))
    got = age_weights("tau", np.array([0.05, 14.0]), np.full((2, 1), 5.0), quadrature=quadrature)
    # 13 of 14 Gyr, and the 65 e-foldings, lie before the last node
    np.testing.assert_allclose(got, [[1, 0], [0, 1]], atol=1e-12)


def test_no_models_give_no_weights():
    got = age_weights("tau", np.empty(0), np.empty((0, 1)), quadrature=QUADRATURE)
    assert got.shape == (0, LOG_AGE.size)
    none = summarise(
        "tau", np.empty(0), np.empty((0, 1)), quadrature=QUADRATURE, spans=[0.1], fractions=[0.5]
    )
    assert (none.mean_age.shape, none.recent.shape, none.lookback.shape) == ((0,), (0, 1), (0, 1))


SPANS = (0.01, 0.1)
AGES = np.array([13.0, 5.0, 0.3, 0.05, 2.0])
TAUS = np.array([2.0, 0.1, 5.0, 1.0, 0.3])
PEAKS = np.array([3.0, 1.2, 4.0, 0.02, 1.8])
CLOSE = {"rtol": 2e-6, "atol": 2e-8}
"""Error of five points in panels of 0.6 of the usual length, and of what is left out early."""


def _check(kind, shape, formed_until, mean_time):
    """Compare with the share of the mass formed until a time, of each model."""
    got = summarise(kind, AGES, shape, quadrature=QUADRATURE, spans=SPANS, fractions=FRACTIONS)
    np.testing.assert_allclose(AGES - got.mean_age, mean_time, **CLOSE)
    for i, span in enumerate(SPANS):
        recent = 1 - formed_until(np.maximum(AGES - span, 0.0))
        np.testing.assert_allclose(got.recent[:, i], recent, **CLOSE)
    for i, fraction in enumerate(FRACTIONS):
        np.testing.assert_allclose(formed_until(AGES - got.lookback[:, i]), fraction, **CLOSE)


@pytest.mark.parametrize("kind", ["tau", "delayed_tau"])
def test_summary_of_exponentials_has_closed_forms(kind):
    # t^(k-1) exp(-t / tau) is a gamma distribution of order k
    order, now = 1 + (kind == "delayed_tau"), AGES / TAUS

    def formed_until(time):
        return gammainc(order, time / TAUS) / gammainc(order, now)

    mean = order * TAUS * gammainc(order + 1, now) / gammainc(order, now)
    _check(kind, 1 / TAUS[:, None], formed_until, mean)
    median = AGES - TAUS * gammaincinv(order, 0.5 * gammainc(order, now))
    got = summarise(
        kind, AGES, 1 / TAUS[:, None], quadrature=QUADRATURE, spans=[1], fractions=[0.5]
    )
    np.testing.assert_allclose(got.lookback[:, 0], median, rtol=1e-6)


def test_summary_of_gaussians_has_closed_forms():
    first, now = norm.cdf(-PEAKS / TAUS), (AGES - PEAKS) / TAUS
    total = norm.cdf(now) - first

    def formed_until(time):
        return (norm.cdf((time - PEAKS) / TAUS) - first) / total

    mean = PEAKS + TAUS * (norm.pdf(PEAKS / TAUS) - norm.pdf(now)) / total
    _check("gaussian", np.stack([PEAKS, 1 / TAUS], axis=1), formed_until, mean)


def test_summary_of_lognormals_has_closed_forms():
    now = (np.log(AGES) - PEAKS) / TAUS

    def formed_until(time):
        with np.errstate(divide="ignore"):
            return norm.cdf((np.log(time) - PEAKS) / TAUS) / norm.cdf(now)

    mean = np.exp(PEAKS + TAUS**2 / 2) * norm.cdf(now - TAUS) / norm.cdf(now)
    _check("lognormal", np.stack([PEAKS, 1 / TAUS], axis=1), formed_until, mean)


def test_lognormal_spread_over_thousands_of_e_foldings():
    # nearly everything formed at once, long before a number can tell; a recent rest remains
    age, width = np.array([3.0]), 1e3
    got = summarise(
        "lognormal",
        age,
        np.array([[0.5, 1 / width]]),
        quadrature=QUADRATURE,
        spans=[1.5],
        fractions=[0.5],
    )
    start, middle = (np.log(3.0) - 0.5) / width, (np.log(1.5) - 0.5) / width
    expected = 1 - norm.cdf(middle) / norm.cdf(start)
    assert got.recent[0, 0] == pytest.approx(expected, rel=1e-5)
    assert got.lookback[0, 0] == 3.0


def test_summary_of_double_power_laws_equals_adaptive_integration():
    shape = np.array([[np.log(2), 3.0, 5.0], [0, 0.5, 80.0], [-1, 90, 0.1], [-5, 2, 2], [0, 1, 1]])

    def mass(i, until, power=0):
        def rate(ln_time):
            return np.exp(
                _ln_rate("double_power_law", np.exp(ln_time), shape[i]) + ln_time * (1 + power)
            )

        turn = shape[i, 0]
        start, stop = min(turn, np.log(AGES[i])) - 40, np.log(until) if until > 0 else -np.inf
        if stop <= start:
            return 0.0
        borders = sorted({start, stop, *(b for b in turn + np.arange(-3, 4.0) if start < b < stop)})
        pieces = pairwise(borders)
        return sum(quad(rate, *piece, epsabs=0, epsrel=1e-11)[0] for piece in pieces)

    totals = np.array([mass(i, AGES[i]) for i in range(AGES.size)])
    means = np.array([mass(i, AGES[i], power=1) for i in range(AGES.size)]) / totals

    def formed_until(time):
        return np.array([mass(i, time[i]) for i in range(AGES.size)]) / totals

    _check("double_power_law", shape, formed_until, means)


def test_summary_of_bins_is_worked_by_hand():
    quadrature = age_quadrature(LOG_AGE, bin_edges=np.array([0, 1, 3, 10.0]))
    shape = np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    got = summarise(
        "piecewise",
        np.full(2, 10.0),
        shape,
        quadrature=quadrature,
        spans=[0.5, 2, 20],
        fractions=[0.25, 0.5, 0.65, 0.9],
    )
    np.testing.assert_allclose(got.mean_age, [0.1 + 0.6 + 3.25, 2])
    np.testing.assert_allclose(got.recent, [[0.1, 0.35, 1], [0, 0.5, 1]])
    np.testing.assert_allclose(got.lookback, [[6.5, 3, 2, 0.5], [2.5, 2, 1.7, 1.2]])


def test_recent_share_keeps_its_digits_long_after_the_end():
    # tau = 0.1 Gyr, 10 Gyr old: exp(-100) (e - 1), which 1 - cumulative mass would lose
    asked = {"quadrature": QUADRATURE, "spans": [0.1], "fractions": [0.5]}
    got = summarise("tau", np.array([10.0]), np.array([[10.0]]), **asked).recent[0, 0]
    assert got == pytest.approx(np.exp(-100) * (np.e - 1), rel=1e-6, abs=0)
    # a Gaussian of 0.3 Gyr, 9 Gyr ago
    shape = np.array([[1.0, 1 / 0.3]])
    got = summarise("gaussian", np.array([10.0]), shape, **asked).recent[0, 0]
    expected = norm.sf(8.9 / 0.3) - norm.sf(9 / 0.3)
    assert got == pytest.approx(expected / norm.sf(-1 / 0.3), rel=1e-6, abs=0)


@given(history=_histories(), span=st.floats(1e-3, 20))
def test_summaries_are_in_order(history, span):
    kind, age, shape = history
    got = summarise(
        kind,
        age,
        shape,
        quadrature=QUADRATURE,
        spans=[span, 1.5 * span],
        fractions=[0.0, *FRACTIONS, 1.0],
    )
    assert 0 < got.mean_age[0] <= age[0]
    assert np.all((got.lookback >= 0) & (got.lookback <= age))
    assert np.all(np.diff(got.lookback[0]) <= 0)
    assert 0 <= got.recent[0, 0] <= got.recent[0, 1] * (1 + 1e-5) <= 1 + 1e-5
    if span >= age[0]:
        assert got.recent[0, 0] == 1


@given(x=st.floats(-700, 700))
def test_exponential(x):
    assert exp(x) == pytest.approx(np.exp(x), rel=1e-11)


@given(x=st.floats(1e-300, 1e300))
def test_logarithm(x):
    assert log(x) == pytest.approx(np.log(x), rel=1e-12, abs=2e-12)
