import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.morphology.transforms import values_of, z_of

KINDS = ("linear", "log", "bounded", "log_bounded")
LOW, HIGH = np.array([2.0, 0.5, 0.0, np.log(0.2)]), np.array([3.0, 2.0, 0.95, np.log(10.0)])


def test_values_of_hand():
    values = values_of(np.array([1.0, -0.25, 0.0, 0.0]), LOW, HIGH, kinds=KINDS)
    # 2 + 3; exp(0.5 - 0.5); the middle of 0 and 0.95; the geometric middle of 0.2 and 10
    np.testing.assert_allclose(values, [5.0, 1.0, 0.475, np.sqrt(2.0)])


@given(st.lists(st.floats(-3.0, 3.0), min_size=4, max_size=4))
def test_z_comes_back(z):
    values = values_of(np.array(z), LOW, HIGH, kinds=KINDS)
    for i, kind in enumerate(KINDS):
        found = z_of(float(values[i]), kind=kind, low=LOW[i], high=HIGH[i])
        assert found == pytest.approx(z[i], abs=1e-6)


@given(st.floats(-1e3, 1e3))
def test_bounded_values_never_leave_their_range(z):
    _, _, ellip, index = values_of(np.array([0.0, 0.0, z, z]), LOW, HIGH, kinds=KINDS)
    assert 0 <= ellip <= 0.95
    assert 0.2 - 1e-12 <= index <= 10 + 1e-12


def test_a_large_flux_does_not_overflow_in_the_exponential():
    with np.errstate(all="raise"):
        assert values_of(np.array([1e6]), 0.0, 1.0, kinds=("linear",))[0] == 1e6


def test_a_value_beyond_its_bounds_has_a_finite_z():
    assert z_of(0.0, kind="bounded", low=0.0, high=0.95) == pytest.approx(-3.09, abs=0.01)


def test_jax_agrees_with_numpy():
    pytest.importorskip("jax")
    from pxdask.morphology.compiled import double_precision

    with double_precision():
        import jax.numpy as jnp
        from jax.scipy.special import ndtr

        z = np.random.default_rng(1).normal(size=(5, 4))
        found = values_of(jnp.asarray(z), LOW, HIGH, kinds=KINDS, xp=jnp, probability=ndtr)
        np.testing.assert_allclose(found, values_of(z, LOW, HIGH, kinds=KINDS), rtol=1e-12)
