from functools import partial

import numpy as np
import pytest
from scipy.stats import kstest

from pxdask.core.errors import ConfigError
from pxdask.npe.density import (
    Shape,
    flat_weights,
    make_classes,
    make_density,
    unflat_weights,
    weight_shapes,
)

FORMS = ("mixture", "autoregressive")
of_each_form = pytest.mark.parametrize("form", FORMS)


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


@of_each_form
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


@of_each_form
def test_densities_of_draws_are_those_asked_for(form):
    own, some = density(form, n_dim=5), inputs(7)
    y, ln_density = own.draw(some, generators(range(7)), n_draws=70)
    assert (y.dtype, ln_density.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(own.ln_density(some, y), ln_density, atol=1e-4)


@of_each_form
def test_an_sed_is_the_same_in_any_company(form):
    own, some = density(form, n_dim=4), inputs(130)
    whole = own.draw(some, generators(range(130)), n_draws=100)
    for seds in ([77], [129, 3], range(60, 130)):
        part = own.draw(some[list(seds)], generators(seds), n_draws=100)
        for found, want in zip(part, whole, strict=True):
            np.testing.assert_array_equal(found, want[list(seds)])


@of_each_form
def test_jax_has_the_same_density(form):
    jax = pytest.importorskip("jax")
    optimisation = pytest.importorskip("pxdask.npe.optimisation")
    own, some = density(form, n_dim=5), inputs(40)
    y, ln_density = own.draw(some, generators(range(40)), n_draws=1)
    compiled = jax.jit(partial(optimisation.ln_density, form=form, shape=own.shape))
    found = compiled(own.weights, some, y[:, 0])
    # sums in another order, in single precision
    np.testing.assert_allclose(found, ln_density[:, 0], rtol=1e-5, atol=1e-5)


@of_each_form
def test_weights_end_to_end_and_back(form):
    own = density(form)
    back = unflat_weights(form, own.shape, flat_weights(own))
    assert list(back) == list(weight_shapes(form, own.shape))
    for name, value in back.items():
        np.testing.assert_array_equal(value, own.weights[name])


@of_each_form
def test_other_weights_are_refused(form):
    own = density(form)
    with pytest.raises(ConfigError, match="weights; a"):
        unflat_weights(form, own.shape, flat_weights(own)[:-1])
    with pytest.raises(ConfigError, match="train the network again"):
        make_density(form, own.shape, {**own.weights, "last": np.zeros((2, 2), np.float32)})


@of_each_form
def test_one_target_and_no_seds(form):
    own = density(form, n_dim=1)
    y, ln_density = own.draw(inputs(0), [], n_draws=3)
    assert y.shape == (0, 3, 1)
    assert ln_density.shape == (0, 3)
    y, ln_density = own.draw(inputs(2), generators([0, 1]), n_draws=3)
    assert np.isfinite(ln_density).all()


@of_each_form
def test_inputs_of_another_version_are_refused(form):
    with pytest.raises(ConfigError, match="5 inputs, the network wants 6"):
        density(form).draw(inputs(2, n_input=5), generators(range(2)), n_draws=3)


@of_each_form
def test_broadened_by_hand(form):
    """Of weights that are zero but for biases: one Gaussian, whose deviation is then two."""
    shape = Shape(4, 2, hidden=3, n_layers=2, n_components=1, head=2)
    weights = {k: np.zeros(dims, np.float32) for k, dims in weight_shapes(form, shape).items()}
    own = make_density(form, shape, weights).broadened(2.0)
    y = np.array([[[0.0, 0.0], [2.0, 0.0], [2.0, 4.0]]], np.float32)
    want = -np.log(2 * np.pi * 4) - np.array([0, 0.5, 2.5])
    np.testing.assert_allclose(own.ln_density(inputs(1, n_input=4), y)[0], want, atol=1e-5)


@of_each_form
def test_broadened_draws_follow_their_density(form):
    own, one = density(form).broadened(1.3), inputs(1)
    y, ln_density = own.draw(one, generators([0]), n_draws=20000)
    # the mean of one density over that of the draws is one
    ratio = np.exp(density(form).ln_density(one, y) - ln_density)
    # weights are below 1.3^2 and some, their deviation 0.6: 20,000 tell the mean to 0.004
    assert np.mean(ratio) == pytest.approx(1, abs=0.02)
    assert np.max(ratio) < 10
    assert np.all(
        np.std(y[0], axis=0)
        > np.std(density(form).draw(one, generators([0]), n_draws=20000)[0][0], axis=0)
    )


def classes(seed=0):
    """Return probabilities of seven classes."""
    shape = Shape(6, 1, hidden=16, n_layers=3, n_components=7, head=1)
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.standard_normal(dims, np.float32) / np.sqrt(dims[-1])
        for name, dims in weight_shapes("classes", shape).items()
    }
    return make_classes(shape, weights)


def test_classes_are_as_probable_as_jax_says():
    jax = pytest.importorskip("jax")
    optimisation = pytest.importorskip("pxdask.npe.optimisation")
    own, some = classes(), inputs(30)
    found = own.ln_shares(some)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-12)
    compiled = jax.jit(partial(optimisation.ln_density, form="classes", shape=own.shape))
    for k in range(7):
        there = compiled(own.weights, some, np.full((30, 1), k, np.float32))
        # sums in another order, in single precision
        np.testing.assert_allclose(there, found[:, k], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(own.ln_shares(some[4:5]), found[4:5])


def test_classes_by_hand_and_other_weights():
    shape = Shape(2, 1, hidden=3, n_layers=2, n_components=2, head=1)
    dims = weight_shapes("classes", shape)
    weights = {name: np.zeros(each, np.float32) for name, each in dims.items()}
    weights["last_bias"] = np.log([1, 3]).astype(np.float32)
    found = make_classes(shape, weights).ln_shares(np.ones((1, 2), np.float32))
    np.testing.assert_allclose(np.exp(found), [[0.25, 0.75]], rtol=1e-6)
    with pytest.raises(ConfigError, match="train the network again"):
        make_classes(shape, {**weights, "last_bias": np.zeros(3, np.float32)})
