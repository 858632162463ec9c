from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from pxdask.core.errors import ConfigError
from pxdask.core.schema import NETWORK
from pxdask.io.stores import publish, read
from pxdask.npe.density import Shape, make_density, weight_shapes
from pxdask.npe.network import Network
from pxdask.npe.redshift_check import RedshiftCheck, redshift_targets
from tests.npe.small import network

SPAN = (1.0, 5.0)
FLUX = np.array([[3.0, 4.0, 8.0], [0.1, np.nan, 0.9], [np.nan, np.nan, np.nan]])
ERROR = np.array([0.5, 0.4, 0.6]) * np.ones((3, 1))
SHAPE = Shape(n_input=12, n_dim=1, hidden=6, n_layers=2, n_components=3, head=1)


def check(seed=0, *, size=0.6, shape=SHAPE, **given_weights):
    """Return a check of weights at random, but for those given."""
    rng = np.random.default_rng(seed)
    weights = {
        name: size * rng.standard_normal(dims, np.float32)
        for name, dims in weight_shapes("mixture", shape).items()
    }
    return RedshiftCheck(SPAN, make_density("mixture", shape, {**weights, **given_weights}))


def test_one_gaussian_by_hand():
    # ln weight, mean, ln of one over the deviation: of half the prior's deviation, one above it
    one = replace(SHAPE, n_components=1)
    own = check(size=0, shape=one, last_bias=np.array([0.0, 1.0, np.log(2.0)], np.float32))
    deviate = np.array([0.0, 1.0])
    redshift = 1 + 4 * norm.cdf(deviate)
    np.testing.assert_allclose(redshift_targets(redshift, SPAN)[:, 0], deviate, atol=1e-6)
    found = own.ln_density(FLUX[:2], ERROR[:2], redshift=redshift)
    # at the prior's middle: two deviations off; at the mean: ln 2 denser, where the prior is not
    np.testing.assert_allclose(found, [np.log(2) - 2, np.log(2) + 0.5], atol=1e-5)


@given(seed=st.integers(0, 1000))
def test_the_density_is_one_over_the_span_on_average(seed):
    n = 2000
    deviate, step = np.linspace(-4.5, 4.5, n, retstep=True)
    flux, error = np.repeat(FLUX[:1], n, axis=0), np.repeat(ERROR[:1], n, axis=0)
    # three Gaussians of 0.4 of the prior's deviation, which fluxes change a little
    bias = np.array([0, 0, 0, -1, 0, 1, 0.9, 0.9, 0.9], np.float32)
    own = check(seed, size=0.1, last_bias=bias)
    found = own.ln_density(flux, error, redshift=1 + 4 * norm.cdf(deviate))
    share = step * norm.pdf(deviate)
    # single precision of deviates in the far ends
    assert np.sum(share * np.exp(found)) == pytest.approx(1, abs=2e-3)


def test_edges():
    own, redshift = check(), np.array([2.0, 3.0, 3.0])
    found = own.ln_density(FLUX, ERROR, redshift=redshift)
    assert np.isnan(found[2])
    alone = own.ln_density(FLUX[1:2], ERROR[1:2], redshift=redshift[1:2])
    np.testing.assert_array_equal(alone, found[1:2])
    # at the ends of the span, and beyond, the density is finite
    ends = own.ln_density(FLUX[[0] * 3], ERROR, redshift=np.array([1.0, 5.0, 5.1]))
    assert np.all(np.isfinite(ends))
    assert ends[1] == ends[2]


def test_a_network_keeps_its_check(tmp_path):
    own = replace(network(), redshift_check=check(4))
    publish(NETWORK.validate(own.to_dataset()), tmp_path / "network.zarr.zip")
    back = Network.from_dataset(read(tmp_path / "network.zarr.zip"))
    assert back.redshift_check.span == SPAN
    redshift = np.array([2.0, 3.0, 3.0])
    np.testing.assert_array_equal(
        back.redshift_check.ln_density(FLUX, ERROR, redshift=redshift),
        own.redshift_check.ln_density(FLUX, ERROR, redshift=redshift),
    )
    assert back.figures.keys() == own.figures.keys()
    assert Network.from_dataset(network().to_dataset()).redshift_check is None
    damaged = own.to_dataset().isel(redshift_weight=slice(10))
    with pytest.raises(ConfigError, match="10 weights"):
        Network.from_dataset(damaged)
