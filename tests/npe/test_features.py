import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.npe.features import HARMONIC_PERIOD, N_HARMONIC, inputs, n_inputs

FLUX = np.array([[3.0, 4.0, -1.0], [0.5, np.nan, 2.0]])
ERROR = np.array([[1.0, 2.0, 0.5], [0.1, 0.2, 0.4]])


def test_two_bands_by_hand():
    # weights 1 and 1/4: (3 + 1) / 1.25
    found = inputs(np.array([[3.0, 4.0]]), np.array([[1.0, 2.0]]), redshift=np.array([2.5]))
    assert found.scale == pytest.approx([3.2], rel=1e-14)
    want = [np.arcsinh(3), np.arcsinh(2), -np.log10(3.2), np.log10(2 / 3.2), 1, 1]
    want += [np.arcsinh(3 / 0.32), np.arcsinh(4 / 0.32), 2.5]
    np.testing.assert_allclose(found.values[:, :9], [want], rtol=1e-6)
    assert n_inputs(2, redshift=True) == found.values.shape[1]


def test_harmonics_of_the_redshift():
    quarter = np.expm1(HARMONIC_PERIOD / 4)
    own = inputs(FLUX, ERROR, redshift=np.array([quarter, 0.0])).values[:, -2 * N_HARMONIC :]
    # of a quarter of the longest period: 1, 0, -1, 0, ... and 0, -1, 0, 1, ...
    want = np.tile([1, 0, -1, 0], N_HARMONIC // 4)
    np.testing.assert_allclose(own[0, :N_HARMONIC], want, atol=1e-6)
    np.testing.assert_allclose(own[0, N_HARMONIC:], -np.roll(want, 1), atol=1e-6)
    np.testing.assert_array_equal(own[1], np.repeat([0, 1], N_HARMONIC))


@given(power=st.integers(-60, 60))
def test_brightness_is_in_the_scale_alone(power):
    # a power of two, by which no digit changes
    factor = 2.0**power
    one, other = inputs(FLUX, ERROR), inputs(factor * FLUX, factor * ERROR)
    np.testing.assert_array_equal(other.values, one.values)
    np.testing.assert_allclose(other.scale, factor * one.scale, rtol=1e-14)


@pytest.mark.parametrize(
    ("flux", "error"), [(np.nan, 1.0), (7.0, np.nan), (7.0, 0.0), (7.0, -1.0), (np.inf, 1.0)]
)
def test_what_is_written_in_a_missing_band_does_not_count(flux, error):
    other_flux, other_error = FLUX.copy(), ERROR.copy()
    other_flux[0, 1], other_error[0, 1] = flux, error
    found = inputs(other_flux, other_error)
    without = inputs(FLUX[:1, [0, 2]], ERROR[:1, [0, 2]])
    np.testing.assert_array_equal(found.values[0, [0, 2, 3, 5, 6, 8, 9, 11]], without.values[0])
    np.testing.assert_array_equal(found.values[0, [1, 4, 7, 10]], 0)
    np.testing.assert_array_equal(found.values[1], inputs(FLUX, ERROR).values[1])
    assert found.scale[0] == without.scale[0]


def test_the_scale_is_at_least_its_error():
    found = inputs(np.array([[-5.0, -3.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [1.0, np.inf]]))
    assert found.scale == pytest.approx([np.sqrt(2), 1.0], rel=1e-14)


def test_an_sed_without_bands_has_no_scale_and_finite_inputs():
    found = inputs(np.full((1, 3), np.nan), ERROR[:1])
    assert np.isnan(found.scale).all()
    np.testing.assert_array_equal(found.values, 0)


def test_no_seds():
    assert inputs(np.empty((0, 4)), np.empty((0, 4))).values.shape == (0, 16)
