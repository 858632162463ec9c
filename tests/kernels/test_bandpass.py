"""Integrals over passbands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.constants import C_ANGSTROM_S
from pxdask.kernels.bandpass import bin_weights, pivot_wave

BOX = {"wave": np.array([4000.0, 5000.0]), "transmission": np.array([1.0, 1.0])}


@pytest.mark.parametrize(
    ("detector", "pivot"),
    [
        # int lambda / int 1/lambda = 4.5e6 / ln(5/4); int 1 / int 1/lambda**2 = 4000 * 5000
        ("photon", np.sqrt(4.5e6 / np.log(1.25))),
        ("energy", np.sqrt(2e7)),
    ],
)
def test_pivot_of_a_box_is_the_closed_form(detector, pivot):
    # one segment of 25 per cent: 4-point quadrature of 1 / lambda is good to 1e-9
    assert pivot_wave(Filter("box", **BOX, detector=detector)) == pytest.approx(pivot, rel=1e-8)


def test_weights_of_a_box_are_worked_by_hand():
    weights = bin_weights(Filter("box", **BOX), np.array([3500.0, 4500.0, 4600.0, 6000.0]))
    signal = np.array([4500**2 - 4000**2, 4600**2 - 4500**2, 5000**2 - 4600**2]) / 2
    np.testing.assert_allclose(weights, signal / (C_ANGSTROM_S * np.log(1.25)), rtol=1e-8)


@st.composite
def _filters(draw):
    """Curves of random shape between 3000 and 9000 Angstrom."""
    n_point = draw(st.integers(2, 12))
    seed = draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    wave = np.sort(rng.uniform(3000, 9000, n_point))
    detector = draw(st.sampled_from(["photon", "energy"]))
    return Filter("random", wave, rng.uniform(0.1, 1, n_point), detector)


@given(band=_filters())
def test_flat_spectrum_in_frequency_has_its_own_flux(band):
    edges = np.geomspace(2900, 9100, 4001)
    flux = C_ANGSTROM_S / (edges[1:] * edges[:-1])  # mean of c / lambda**2 over a bin
    # within a bin of R = 3500 the filter's own slope is neglected, and its abrupt ends, which may
    # fall anywhere in a bin: 1.7e-4 was seen
    assert bin_weights(band, edges) @ flux == pytest.approx(1, rel=1e-3)


@given(band=_filters(), pieces=st.integers(1, 50))
def test_splitting_bins_changes_nothing(band, pieces):
    coarse = np.array([2000.0, 5000.0, 9500.0])
    fine = np.concatenate([np.linspace(2000, 5000, pieces + 1), [9500.0]])
    whole, split = bin_weights(band, coarse), bin_weights(band, fine)
    assert np.sum(split[:-1]) == pytest.approx(whole[0], rel=1e-9, abs=1e-30)


@given(band=_filters())
def test_pivot_relates_the_two_means(band):
    # a spectrum flat in wavelength: <f_nu> = pivot**2 / c
    mean = np.sum(bin_weights(band, np.array([2000.0, 9500.0])))
    assert mean == pytest.approx(pivot_wave(band) ** 2 / C_ANGSTROM_S, rel=1e-9)


def test_filter_outside_the_bins_weighs_nothing():
    assert bin_weights(Filter("box", **BOX), np.array([6000.0, 7000.0])) == 0
