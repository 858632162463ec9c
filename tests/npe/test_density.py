from functools import partial

import numpy as np
import pytest
from scipy.stats import kstest

from pxdask.core.errors import ConfigError
from pxdask.npe.density import Shape, flat_weights, make_density, unflat_weights, weight_shapes

FORMS = ("mixture", "autoregressive")
pytestmark = pytest.mark.parametrize("form", FORMS)


def density(form, *, n_dim=2, n_input=6, seed=0):
    """Return a density with weights at random, of several humps that inputs move."""
    shape = Shape(n_input, n_dim, hidden=16, n_layers=3, n_components=3, head=8)
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.standard_normal(dims, np.float32) * 0.7 / np.sqrt(max(dims[-1], 1))
        for name, dims in weight_shapes(form, shape).items()
    }
    return make_density(form, shape, weights)


def inputs(n_sed, *, n_input=6, seed=1):
    return np.random.default_rng(seed).standard_normal((n_sed, n_input), np.float32)


def generators(seds):
    return [np.random.default_rng([9, sed]) for sed in seds]


def test_integral_is_one_and_draws_follow_the_density(form):
    own, one = density(form), inputs(1)
    side = np.arange(-12, 12, 0.04)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(1, -1, 2)
    value = np.exp(own.ln_density(one, grid.astype(np.float32))).reshape(side.size, -1) * 0.04**2
    # deviations are above 0.1: sums over the grid are good to 1e-4, in single precision
    assert value.sum() == pytest.approx(1, abs=5e-4)
    y, _ = own.draw(one, generators([0]), n_draws=4000)
    for k in range(2):
        cumulative = np.cumsum(value.sum(axis=1 - k))
        found = kstest(y[0, :, k], lambda at, c=cumulative: np.interp(at, side + 0.02, c))
        assert found.pvalue > 1e-3


def test_densities_of_draws_are_those_asked_for(form):
    own, some = density(form, n_dim=5), inputs(7)
    y, ln_density = own.draw(some, generators(range(7)), n_draws=70)
    assert (y.dtype, ln_density.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(own.ln_density(some, y), ln_density, atol=1e-4)


def test_an_sed_is_the_same_in_any_company(form):
    own, some = density(form, n_dim=4), inputs(130)
    whole = own.draw(some, generators(range(130)), n_draws=100)
    for seds in ([77], [129, 3], range(60, 130)):
        part = own.draw(some[list(seds)], generators(seds), n_draws=100)
        for found, want in zip(part, whole, strict=True):
            np.testing.assert_array_equal(found, want[list(seds)])


def test_jax_has_the_same_density(form):
    jax = pytest.importorskip("jax")
    optimisation = pytest.importorskip("pxdask.npe.optimisation")
    own, some = density(form, n_dim=5), inputs(40)
    y, ln_density = own.draw(some, generators(range(40)), n_draws=1)
    compiled = jax.jit(partial(optimisation.ln_density, form=form, shape=own.shape))
    found = compiled(own.weights, some, y[:, 0])
    # sums in another order, in single precision
    np.testing.assert_allclose(found, ln_density[:, 0], rtol=1e-5, atol=1e-5)


def test_weights_end_to_end_and_back(form):
    own = density(form)
    back = unflat_weights(form, own.shape, flat_weights(own))
    assert list(back) == list(weight_shapes(form, own.shape))
    for name, value in back.items():
        np.testing.assert_array_equal(value, own.weights[name])


def test_other_weights_are_refused(form):
    own = density(form)
    with pytest.raises(ConfigError, match="weights; a"):
        unflat_weights(form, own.shape, flat_weights(own)[:-1])
    with pytest.raises(ConfigError, match="train the network again"):
        make_density(form, own.shape, {**own.weights, "last": np.zeros((2, 2), np.float32)})


def test_one_target_and_no_seds(form):
    own = density(form, n_dim=1)
    y, ln_density = own.draw(inputs(0), [], n_draws=3)
    assert y.shape == (0, 3, 1)
    assert ln_density.shape == (0, 3)
    y, ln_density = own.draw(inputs(2), generators([0, 1]), n_draws=3)
    assert np.isfinite(ln_density).all()


def test_inputs_of_another_version_are_refused(form):
    with pytest.raises(ConfigError, match="5 inputs, the network wants 6"):
        density(form).draw(inputs(2, n_input=5), generators(range(2)), n_draws=3)
