from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.core.schema import NETWORK
from pxdask.io.stores import publish, read
from pxdask.npe.density import Shape, make_classes, weight_shapes
from pxdask.npe.network import Network
from pxdask.npe.redshift_check import RedshiftCheck, class_of, n_classes, redshift_edges
from tests.npe.small import network

SPAN = (1.0, 7.0)
FLUX = np.array([[3.0, 4.0, 8.0], [0.1, np.nan, 0.9], [np.nan, np.nan, np.nan]])
ERROR = np.array([0.5, 0.4, 0.6]) * np.ones((3, 1))
SHAPE = Shape(n_input=12, n_dim=1, hidden=6, n_layers=2, n_components=5, head=1)


def check(seed=0, *, size=0.6, shape=SHAPE, **given_weights):
    """Return a check of weights at random, but for those given."""
    rng = np.random.default_rng(seed)
    weights = {
        name: size * rng.standard_normal(dims, np.float32)
        for name, dims in weight_shapes("classes", shape).items()
    }
    return RedshiftCheck(SPAN, make_classes(shape, {**weights, **given_weights}))


def test_two_classes_by_hand():
    # of 1 + z from 2 to 4 and from 4 to 8: a third and two thirds of the span
    two = replace(SHAPE, n_components=2)
    own = check(size=0, shape=two, last_bias=np.log([0.25, 0.75]).astype(np.float32))
    np.testing.assert_allclose(own.edges, [1, 3, 7])
    found = own.ln_density(FLUX[:2], ERROR[:2], redshift=np.array([2.9, 3.1]))
    np.testing.assert_allclose(np.exp(found), [0.25 * 3, 0.75 * 1.5], rtol=1e-6)


@given(seed=st.integers(0, 1000))
def test_the_density_is_one_over_the_span_on_average(seed):
    n = 6000
    redshift = 1 + 6 * (np.arange(n) + 0.5) / n
    flux, error = np.repeat(FLUX[:1], n, axis=0), np.repeat(ERROR[:1], n, axis=0)
    found = check(seed).ln_density(flux, error, redshift=redshift)
    # an edge between two points moves their thousandth part of a span
    assert np.mean(np.exp(found)) == pytest.approx(1, abs=5e-3)


def test_classes_of_a_span():
    # ln(7 / 2) = 1.2528 in steps of 0.00625; few of a narrow one
    found = [n_classes(s, n_mocks=10**6) for s in ((1.0, 6.0), (0.1, 0.11), (0.0, 30.0))]
    assert found == [200, 8, 400]
    # 250 mocks of each, but for the fewest
    assert [n_classes((1.0, 6.0), n_mocks=n) for n in (10_000, 100)] == [40, 8]
    edges = redshift_edges((1.0, 6.0), n=200)
    assert (edges[0], edges[-1]) == pytest.approx((1.0, 6.0))
    assert class_of(np.array([0.9, 1.0, edges[1], 6.0, 9.0]), edges).tolist() == [0, 0, 1, 199, 199]


def test_edges():
    own, redshift = check(), np.array([2.0, 3.0, 3.0])
    found = own.ln_density(FLUX, ERROR, redshift=redshift)
    assert np.isnan(found[2])
    alone = own.ln_density(FLUX[1:2], ERROR[1:2], redshift=redshift[1:2])
    np.testing.assert_array_equal(alone, found[1:2])
    # at the ends of the span, and beyond, the density is finite
    ends = own.ln_density(FLUX[[0] * 3], ERROR, redshift=np.array([1.0, 7.0, 7.1]))
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
    other = own.to_dataset().assign_attrs(redshift_check={"span": [1, 7], "shape": {}})
    with pytest.raises(ConfigError, match=r"another version, without classes.*pxdask npe train"):
        Network.from_dataset(other)
