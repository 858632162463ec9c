import numpy as np
import pytest
from scipy.special import ndtr

from pxdask.core.cosmology import luminosity_distance
from pxdask.core.models import ModelConfig
from pxdask.npe.targets import ln_mean, relative_scale, targets


def test_the_cube_becomes_normal_deviates():
    unit = np.array([[0.5, ndtr(1.0)], [0.0, 1.0]])
    found = targets(unit, np.array([0.3, -2.0]))
    np.testing.assert_allclose(found[0], [0.0, 1.0, 0.3], atol=1e-6)
    assert np.isfinite(found).all()
    assert found[1, 0] == pytest.approx(-found[1, 1], rel=1e-5)


def test_many_distances_are_those_of_each():
    settings = ModelConfig()
    redshift = np.random.default_rng(0).uniform(0.01, 12, 200)
    found = relative_scale(np.full(200, 100.0), redshift, settings)
    for row in (0, 77, 199):
        distance = luminosity_distance(settings, redshift=redshift[row])
        # 257 nodes from 0.01 to 12; networks are good to 1e-3 dex at best
        assert found[row] == pytest.approx(2 + 2 * np.log10(distance), abs=1e-7)
    few = relative_scale(np.full(3, 100.0), redshift[:3], settings)
    np.testing.assert_allclose(few, found[:3], atol=1e-7)


def test_without_a_redshift_there_is_no_distance():
    found = relative_scale(np.array([10.0, np.nan]), None, ModelConfig())
    np.testing.assert_array_equal(found, [1.0, np.nan])


def test_mean_of_densities():
    each = np.log(np.array([[1.0, 3.0], [3.0, 5.0], [2.0, 1.0]]))
    np.testing.assert_allclose(ln_mean(each), np.log([2.0, 3.0]), rtol=1e-14)
    np.testing.assert_array_equal(ln_mean(each[:1]), each[0])
