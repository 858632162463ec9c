"""Spectra on bins, and interpolation columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.spectra import air_to_vacuum, interpolation_columns, rebin


def test_lines_in_air_and_vacuum():
    # NIST: H alpha, H beta, [O III]
    air = np.array([6562.79, 4861.35, 5006.843])
    np.testing.assert_allclose(air_to_vacuum(air), [6564.60, 4862.71, 5008.240], atol=0.01)


def test_rebinning_a_ramp_gives_bin_centres():
    wave = np.linspace(0, 10, 7)
    edges = np.array([1.0, 1.5, 4.0, 9.0])
    np.testing.assert_allclose(rebin(wave, 2 * wave, edges), [2.5, 5.5, 13.0], rtol=1e-14)


@given(seed=st.integers(0, 10**6), n_bin=st.integers(1, 60))
def test_rebinning_keeps_energy(seed, n_bin):
    rng = np.random.default_rng(seed)
    wave = np.sort(rng.uniform(1000, 2000, 30))
    flux = rng.uniform(0, 1, (2, 30))
    edges = np.concatenate(
        [wave[:1], np.sort(rng.uniform(wave[0], wave[-1], n_bin - 1)), wave[-1:]]
    )
    energy = np.sum(rebin(wave, flux, edges) * np.diff(edges), axis=1)
    np.testing.assert_allclose(energy, np.trapezoid(flux, wave, axis=1), rtol=1e-11)


def test_interpolation_is_exact_for_polynomials_in_the_log():
    wave, weights = np.geomspace(4000, 5000, 300), np.hanning(300)
    node, projection = interpolation_columns(wave, weights, n_node=6)
    x, x_node = np.log(wave / 4500), np.log(node / 4500)
    np.testing.assert_allclose(projection.sum(axis=1), weights, atol=1e-12)
    for power in range(6):
        # only the wings, 1e-5 of the weight on either side, are not polynomial
        got = np.sum(projection @ x_node**power)
        assert got == pytest.approx(np.sum(weights * x**power), abs=3e-5 * np.sum(weights))


def test_few_wavelengths_are_their_own_nodes():
    wave, weights = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    node, projection = interpolation_columns(wave, weights, n_node=6)
    np.testing.assert_array_equal(node, wave)
    np.testing.assert_array_equal(projection, np.diag(weights))
