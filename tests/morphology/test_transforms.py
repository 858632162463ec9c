import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

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


def truncated(z, *, low, high, mean, std):
    numbers = (np.array([each]) for each in (low, high, mean, std))
    low, high, *normal = numbers
    z = np.asarray(z, float)[..., None]
    return values_of(z, low, high, kinds=("truncated",), given=tuple(normal))[..., 0]


@pytest.mark.parametrize(
    ("mean", "std", "low", "high"),
    [(0.0, 0.1, 0.0, 0.95), (0.02, 0.05, 0.0, 0.95), (10.0, 1.0, 0.2, 10.0), (4.0, 1.0, 0.2, 10.0)],
)
def test_truncated_values_have_the_quantiles_of_a_normal_between_its_ends(mean, std, low, high):
    law = stats.truncnorm((low - mean) / std, (high - mean) / std, mean, std)
    z = np.linspace(-6, 6, 61)
    wanted = np.where(z < 0, law.ppf(stats.norm.cdf(z)), law.isf(stats.norm.sf(z)))
    found = truncated(z, low=low, high=high, mean=mean, std=std)
    np.testing.assert_allclose(found, wanted, atol=1e-9 * std)


def test_the_middle_of_half_a_normal_by_hand():
    # the quartiles of a normal are at 0.67449 of its width
    assert truncated(0.0, low=0.0, high=9.0, mean=0.0, std=2.0) == pytest.approx(2 * 0.67449, 1e-5)


@given(st.floats(-1e3, 1e3), st.floats(0.0, 0.95), st.floats(1e-3, 1e3))
def test_truncated_values_never_leave_their_range(z, mean, std):
    value = truncated(z, low=0.0, high=0.95, mean=mean, std=std)
    assert -1e-12 * std <= value <= 0.95 + 1e-12 * std


def test_far_ends_leave_a_normal_as_it_is():
    found = truncated([-30.0, 0.0, 30.0], low=0.2, high=10.0, mean=4.0, std=1e-3)
    np.testing.assert_allclose(found, [3.97, 4.0, 4.03], rtol=1e-12)


def test_truncated_beside_others_in_jax_with_slopes():
    pytest.importorskip("jax")
    from pxdask.morphology.compiled import double_precision

    with double_precision():
        import jax
        import jax.numpy as jnp
        from jax.scipy.special import ndtr, ndtri

        kinds = ("linear", "truncated", "log_bounded")
        low, high = np.array([2.0, 0.0, np.log(0.2)]), np.array([3.0, 0.95, np.log(10.0)])
        given = np.array([0.0, 0.1, 0.0]), np.array([1.0, 0.05, 1.0])

        def values(z, xp, *functions):
            probability, quantile = functions or (stats.norm.cdf, stats.norm.ppf)
            return values_of(
                z, low, high, kinds=kinds, xp=xp, probability=probability, quantile=quantile,
                given=given,
            )  # fmt: skip

        here = jax.jit(lambda z: values(z, jnp, ndtr, ndtri))
        slopes = jax.jit(jax.jacfwd(here))
        for at in (-2.0, 0.0, 1.5, 36.0):
            z = np.full(3, at)
            slope = slopes(jnp.asarray(z))
            np.testing.assert_allclose(here(jnp.asarray(z)), values(z, np), rtol=1e-10)
            assert np.all(np.isfinite(slope))
            step = 1e-5
            numeric = (values(z + step, np) - values(z - step, np)) / (2 * step)
            np.testing.assert_allclose(np.diag(slope), numeric, rtol=1e-6, atol=1e-9)


def test_jax_agrees_with_numpy():
    pytest.importorskip("jax")
    from pxdask.morphology.compiled import double_precision

    with double_precision():
        import jax.numpy as jnp
        from jax.scipy.special import ndtr

        z = np.random.default_rng(1).normal(size=(5, 4))
        found = values_of(jnp.asarray(z), LOW, HIGH, kinds=KINDS, xp=jnp, probability=ndtr)
        np.testing.assert_allclose(found, values_of(z, LOW, HIGH, kinds=KINDS), rtol=1e-12)
