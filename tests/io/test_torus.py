"""The AGN torus."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.io.torus import torus_spectra

C = 2.99792458e18
"""Speed of light [Angstrom s-1]."""


@given(st.integers(40, 3000), st.floats(10, 5000), st.floats(2e6, 1e9))
def test_luminosity_is_one_in_any_bins(n_bin, low, high):
    edges = np.geomspace(low, high, n_bin)
    torus = torus_spectra(edges)
    assert np.all(torus.spectra >= 0)
    np.testing.assert_allclose(np.sum(torus.spectra * np.diff(edges), axis=1), 1, rtol=1e-12)


def test_values_are_those_published():
    # at 10 micron FSPS's table has 1.634e-14 (tau = 5), 1.162e-14 (20), 1.387e-14 (150) per Hz,
    # normalised to a luminosity of 1, which it reaches within 1.2 per cent
    edges = np.geomspace(91.0, 1e7, 20001)
    torus = torus_spectra(edges)
    np.testing.assert_array_equal(torus.tau, [5, 10, 20, 30, 40, 60, 80, 100, 150])
    where = np.searchsorted(edges, 1e5) - 1
    per_hz = torus.spectra[:, where] * 1e10 / C
    np.testing.assert_allclose(per_hz[[0, 2, 8]], [1.634e-14, 1.162e-14, 1.387e-14], rtol=0.015)
    # silicate at 10 micron: emission of clouds that are thin, absorption by those that are thick
    near = [np.searchsorted(edges, wave) - 1 for wave in (8.2e4, 9.5e4, 12e4)]
    nu_f = torus.spectra[:, near] * np.square(edges[near])
    assert nu_f[0, 1] > 1.05 * np.sqrt(nu_f[0, 0] * nu_f[0, 2])
    assert nu_f[4, 1] < 0.95 * nu_f[4, 2]


def test_no_digit_of_the_table_is_off():
    # luminosities of the table as given, trapezia in frequency: 0.9993 for each depth. One wrong
    # digit near the peak, or a line lost, moves one of them by more than 3e-4
    from importlib.resources import files

    text = files("pxdask.io").joinpath("data/nenkova08.txt").read_text(encoding="utf-8")
    table = np.loadtxt(text.split("\n"))
    assert table.shape == (126, 10)
    luminosity = -np.trapezoid(table[1:, 1:], C / table[1:, :1], axis=0)
    np.testing.assert_allclose(luminosity, 0.9993, atol=5e-5)
    assert np.all(np.diff(table[1:, 0]) > 0)


def test_one_bin_holds_the_mean():
    torus = torus_spectra(np.array([1000.0, 1e7]))
    np.testing.assert_allclose(torus.spectra, 1 / (1e7 - 1000))


def test_bins_that_miss_the_torus_are_an_error():
    with pytest.raises(ConfigError, match=r"from 1000 to 10000 Angstrom hold .* 90 %"):
        torus_spectra(np.geomspace(1000, 10000, 50))


def test_bins_that_the_message_names_will_do():
    # a per cent of the light is ultraviolet, scattered by the torus
    assert np.all(np.isfinite(torus_spectra(np.geomspace(1e4, 1e6, 50)).spectra))
