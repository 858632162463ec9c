import numpy as np
import pytest

from pxdask.morphology.compiled import double_precision

jax = pytest.importorskip("jax")
samplers = pytest.importorskip("pxdask.morphology.samplers")

N_DIM = 6
RNG = np.random.default_rng(0)
TILT = RNG.standard_normal((N_DIM, N_DIM))
COVARIANCE = TILT @ TILT.T + np.eye(N_DIM)
MEAN = 3.0 * RNG.standard_normal(N_DIM)
WIDTH = np.sqrt(np.diag(COVARIANCE))
DATA = {"mean": MEAN, "precision": np.linalg.inv(COVARIANCE)}
NUTS = samplers.NutsSizes(n_keep=250)
COMPILED = []


def normal(theta, data, static):
    """ln of a normal density; what is linear in its data ends in one."""
    COMPILED.append(static)
    away = theta - data["mean"]
    return -0.5 * away @ data["precision"] @ away


def funnel(theta, data, static):
    """A density whose second width is the exponential of the first, times a number."""
    del static
    return -0.5 * (theta[0] ** 2 + (theta[1] / jax.numpy.exp(data * theta[0])) ** 2) - (
        data * theta[0]
    )


def run(program, *, centre=MEAN, root=None, data=DATA, seed=1):
    root = np.linalg.cholesky(COVARIANCE) if root is None else root
    with double_precision():
        return jax.tree.map(np.asarray, program(jax.random.key(seed), centre, root, data))


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("wrong", [1.0, 1.6])
@pytest.mark.parametrize("method", ["nuts", "variational"])
def test_normals_are_found_from_right_and_wrong_beginnings(method, wrong):
    if method == "nuts":
        program = samplers.nuts_program(normal, "toy", NUTS)
    else:
        program = samplers.variational_program(
            normal, "toy", samplers.VariationalSizes(n_draws=1000)
        )
    centre = MEAN + (wrong - 1) * WIDTH
    found = run(program, centre=centre, root=wrong * np.linalg.cholesky(COVARIANCE))
    draws = found[0].reshape(-1, N_DIM)
    # 1000 draws, of which NUTS's are at worst every third independent: 0.055 and 4 %; 4 sigma
    np.testing.assert_allclose((draws.mean(axis=0) - MEAN) / WIDTH, 0.0, atol=0.22)
    np.testing.assert_allclose(draws.std(axis=0) / WIDTH, 1.0, atol=0.16)
    correlation = np.corrcoef(draws.T)
    np.testing.assert_allclose(correlation, COVARIANCE / np.outer(WIDTH, WIDTH), rtol=0, atol=0.22)


def test_a_normal_known_exactly_is_where_the_variational_fit_ends():
    # the gradient has no noise there: the bound stays where it is, at ln of the normalisation
    found = run(samplers.variational_program(normal, "toy", samplers.VariationalSizes(n_step=20)))
    np.testing.assert_allclose(found.loss, -0.5 * N_DIM * np.log(2 * np.pi), atol=1e-6)


def test_data_are_arguments_of_what_is_compiled():
    program = samplers.nuts_program(normal, "toy", NUTS)
    run(program)
    before = len(COMPILED)
    moved = run(program, centre=MEAN + 10, data=DATA | {"mean": MEAN + 10})
    assert len(COMPILED) == before  # not traced again
    assert abs(np.mean(moved.positions - MEAN - 10) / WIDTH.mean()) < 0.2
    assert samplers.nuts_program(normal, "toy", samplers.NutsSizes(n_keep=250)) is program


def test_equal_keys_give_equal_draws():
    program = samplers.nuts_program(normal, "toy", NUTS)
    first, again, other = (run(program, seed=seed).positions for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.slow
def test_a_narrow_funnel_makes_steps_diverge():
    found = run(
        samplers.nuts_program(funnel, None, NUTS),
        centre=np.zeros(2),
        root=np.eye(2),
        data=np.float64(4.0),
    )
    assert found.diverged.sum() > 0
    assert found.diverged.shape == (NUTS.n_keep, NUTS.n_chain)
