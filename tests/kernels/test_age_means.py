import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.age_means import age_means
from pxdask.kernels.sfh import age_quadrature, age_weights

LOG_AGE = np.arange(6.0, 10.31, 0.1)
EDGES = np.array([0.0, 0.03, 0.3, 2.0])
QUADRATURE = age_quadrature(LOG_AGE, bin_edges=EDGES)
TABLE = np.random.default_rng(3).uniform(0.5, 1.0, (3, LOG_AGE.size))


def means(sfh, age, shape, position, table=TABLE):
    return age_means(sfh, age, shape, quadrature=QUADRATURE, table=table, position=position)


def test_one_bin_of_the_age_itself_by_hand():
    # constant star formation from 0.03 to 0.3 Gyr, of a table that is the age up to rounding of
    # its linear interpolation in ln(age): the middle of the bin
    table = np.repeat(QUADRATURE.node[None], 3, axis=0)
    found = means("piecewise", np.array([2.0]), np.array([[0.0, 1.0, 0.0]]), np.zeros(1), table)
    # a chord of exp(x) over steps of 0.23 lies 0.23^2 / 12 = 0.4 per cent above on average
    np.testing.assert_allclose(found, 0.165, rtol=0.005)


@pytest.mark.parametrize(
    ("sfh", "shape"),
    [
        ("tau", [2.0]),
        ("delayed_tau", [40.0]),
        ("gaussian", [0.5, 9.0]),
        ("lognormal", [0.1, 2.0]),
        ("double_power_law", [0.2, 3.0, 2.0]),
        ("piecewise", [0.2, 0.5, 0.3]),
    ],
)
@given(age=st.floats(0.01, 13.0), position=st.floats(0.0, 2.0))
def test_means_are_weights_times_the_table(sfh, shape, age, position):
    shape, age = np.array([shape]), np.array([age])
    weights = age_weights(sfh, age, shape, quadrature=QUADRATURE)[0]
    row = np.array([np.interp(position, np.arange(3), column) for column in TABLE.T])
    # 44 sums of numbers of order one
    np.testing.assert_allclose(
        means(sfh, age, shape, np.array([position])), [weights @ row], rtol=1e-13
    )


def test_the_last_row_and_no_model():
    ones = np.ones((1, 1))
    last = means("tau", np.ones(1), ones, np.array([2.0]))
    np.testing.assert_array_equal(last, means("tau", np.ones(1), ones, np.zeros(1), TABLE[2:]))
    assert means("tau", np.empty(0), np.empty((0, 1)), np.empty(0)).shape == (0,)
