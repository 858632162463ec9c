import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.closest import closeness, downhill_steps


def test_amplitude_and_chi2_by_hand():
    # fluxes 2, 3 with errors 1, 1; model 1, 1: amplitude 2.5, chi2 0.25 + 0.25
    found = closeness(
        np.array([[2.0, 3.0]]), np.ones((1, 2)), np.ones((1, 2), np.float32), sed=np.array([0])
    )
    assert (found.scale[0], found.weight[0], found.chi2[0]) == (2.5, 2.0, 0.5)
    # at amplitude 2: 0 + 1
    assert found.at(np.array([2.0]))[0] == 1.0


def test_what_has_no_positive_amplitude_is_infinitely_far():
    data = np.array([[-2.0, -3.0], [0.0, 0.0]])
    inverse = np.array([[1.0, 1.0], [0.0, 0.0]])
    found = closeness(data, inverse, np.ones((2, 2), np.float32), sed=np.array([0, 1]))
    np.testing.assert_array_equal(found.positive, np.inf)
    assert np.isnan(found.scale[1])


@given(st.integers(0, 500))
def test_no_amplitude_is_nearer(seed):
    rng = np.random.default_rng(seed)
    data, inverse = rng.standard_normal((3, 6)), rng.random((3, 6))
    model, sed = rng.random((10, 6)).astype(np.float32), rng.integers(0, 3, 10)
    found = closeness(data, inverse, model, sed=sed)
    scale = found.scale + rng.standard_normal(10)
    want = np.sum((data[sed] - scale[:, None] * model * inverse[sed]) ** 2, axis=1)
    np.testing.assert_allclose(found.at(scale), want, rtol=1e-9)
    assert np.all(want >= found.chi2)
    alone = closeness(data, inverse, model[3:4], sed=sed[3:4])
    np.testing.assert_array_equal(alone.chi2, found.chi2[3:4])


def test_a_linear_model_is_reached_in_one_step():
    # model 1 + x b, amplitude 1: the step to x = 0.3 is exact but for the amplitude's part
    base, slope = np.ones(4), np.array([0.0, 1.0, -1.0, 2.0])
    data = (base + 0.3 * slope)[None]
    model = np.stack([base, base + 0.01 * slope])[None].astype(np.float32)
    step = downhill_steps(
        data, np.ones((1, 4)), model, scale=np.ones(1), step=0.01, damping=np.zeros(1)
    )
    # single precision of the difference, 6e-8 / 0.01
    assert step[0, 0] == pytest.approx(0.3, abs=1e-4)


def test_what_no_band_tells_stays():
    data, flat = np.array([[1.0, 2.0]]), np.ones((1, 2, 2), np.float32)
    step = downhill_steps(
        data, np.ones((1, 2)), flat, scale=np.ones(1), step=0.01, damping=np.full(1, 1e-2)
    )
    assert step[0, 0] == 0
