"""Star formation histories as tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from pxdask.core.errors import ConfigError
from pxdask.sps.fsps.tables import _rows, _steps, ln_formation_rate


@given(st.floats(-2.0, 1.0), st.floats(-1.5, 1.5), st.floats(-1.0, 1.1))
def test_tables_form_the_mass_of_the_equation(log_age, log_tau, log_t0):
    """Of a Gaussian, known by its error function; rows may leave 1e-4 of the mass astray."""
    age, shape = 10**log_age, np.array([10**log_t0, 10**-log_tau])
    time, rate = _rows(lambda t: ln_formation_rate("gaussian", t, shape), age)
    assert np.all(np.diff(time) > 0)
    assert (time[0], time[-1]) == (0.0, age)
    k = time.size // 2
    early, late, cut = ((t - shape[0]) * shape[1] for t in (0.0, age, time[k]))
    if late < -5 or early > 5:
        return  # a tail so thin that differences of error functions lose it
    formed = np.trapezoid(rate[: k + 1], time[: k + 1]) / np.trapezoid(rate, time)
    expected = (ndtr(cut) - ndtr(early)) / (ndtr(late) - ndtr(early))
    assert formed == pytest.approx(
        expected, abs=1e-4
    )  # 2e-5 seen, of a peak 1 / 50 of the age wide


def test_a_history_that_begins_with_a_peak():
    """A wide lognormal forms a third of its mass in the first 1000 yr."""
    age, mean, width = 0.2, 2.5, 14.0
    time, rate = _rows(
        lambda t: ln_formation_rate("lognormal", t, np.array([mean, 1 / width])), age
    )
    mass = np.concatenate([[0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(time))])
    for at in (1e-3, 1e-2, 0.1):
        expected = ndtr((np.log(at) - mean) / width) / ndtr((np.log(age) - mean) / width)
        assert np.interp(at, time, mass) / mass[-1] == pytest.approx(expected, rel=1e-4)


def test_steps_by_hand():
    time, rate = _steps(10.0, np.array([3.0, 1.0]), np.array([0.0, 2.0, 10.0]))
    np.testing.assert_allclose(time, [0, 8, 8, 10], atol=2e-5)
    assert np.all(np.diff(time) > 0)
    assert rate.tolist() == [1, 1, 3, 3]


@pytest.mark.parametrize(
    ("kind", "shape", "ratio"),
    [
        ("tau", [0.5], np.exp(-0.5)),
        ("delayed_tau", [0.5], 2 * np.exp(-0.5)),
        ("lognormal", [0.0, 1.0], np.exp(-(np.log(2) ** 2) / 2) / 2),
        ("gaussian", [1.0, 1.0], np.exp(-0.5)),
        ("double_power_law", [0.0, 2.0, 1.0], 2 / (4 + 0.5)),
    ],
)
def test_rates_at_two_gyr_in_units_of_one(kind, shape, ratio):
    """The equations, worked by hand."""
    ln = ln_formation_rate(kind, np.array([1.0, 2.0]), np.array(shape))
    assert np.exp(ln[1] - ln[0]) == pytest.approx(ratio)


def test_forms_without_an_equation():
    with pytest.raises(ConfigError, match="'piecewise' is not"):
        ln_formation_rate("piecewise", np.ones(2), np.ones(2))
