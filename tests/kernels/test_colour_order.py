"""The order in which models of like colours are neighbours."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.kernels.colour_order import LEAF, colour_order


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 700), n_band=st.integers(1, 5), seed=st.integers(0, 1000))
def test_an_order_is_a_permutation_whatever_the_fluxes(n, n_band, seed):
    rng = np.random.default_rng(seed)
    # many ties, and models without any flux
    flux = rng.integers(0, 3, (n, n_band)).astype(np.float32)
    assert np.array_equal(np.sort(colour_order(flux)), np.arange(n))


def test_one_colour_is_halved_at_its_median_and_leaves_keep_their_order():
    rng = np.random.default_rng(2)
    colour = rng.permutation(4 * LEAF)
    flux = np.ones((4 * LEAF, 2), np.float32)
    flux[:, 1] = np.exp(-colour / 100)
    order = colour_order(flux)
    for k, leaf in enumerate(order.reshape(4, LEAF)):
        assert np.array_equal(np.sort(colour[leaf]) % LEAF, np.arange(LEAF))
        assert np.all(colour[leaf] // LEAF == 3 - k)  # the faintest first
        assert np.all(np.diff(leaf) > 0)


def test_brightness_does_not_matter():
    rng = np.random.default_rng(3)
    flux = 2.0 ** rng.integers(-8, 8, (500, 4))
    factor = 2.0 ** rng.integers(-30, 30, (500, 1))  # exact in binary
    one, other = (each.astype(np.float32) for each in (flux, factor * flux))
    assert np.array_equal(colour_order(one), colour_order(other))


def test_a_few_models_are_one_leaf():
    assert np.array_equal(colour_order(np.zeros((LEAF, 3), np.float32)), np.arange(LEAF))
