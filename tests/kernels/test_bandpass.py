"""Integrals over passbands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.constants import C_ANGSTROM_S
from pxdask.kernels.bandpass import (
    ab_flux,
    ab_magnitude,
    bin_weights,
    effective_wave,
    equivalent_width,
    flux_per_frequency,
    flux_per_wavelength,
    mean_flux,
    mean_wave,
    pivot_wave,
    rms_width,
    vega_like,
)

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
    assert pivot_wave(Filter("box", **BOX, detector=detector)) == pytest.approx(pivot, rel=1e-14)


def test_moments_of_a_triangle_are_the_closed_forms():
    # corners a = 4000, c = 5000, b = 7000: mean (a + b + c) / 3, variance
    # (a2 + b2 + c2 - ab - ac - bc) / 18, area (b - a) / 2; the height has no effect
    band = Filter("triangle", np.array([4000.0, 5000, 7000]), np.array([0, 0.3, 0]))
    assert mean_wave(band) == pytest.approx(16000 / 3, rel=1e-14)
    assert rms_width(band) == pytest.approx(np.sqrt(7e6 / 18), rel=1e-12)
    assert equivalent_width(band) == pytest.approx(1500, rel=1e-14)


def test_pivot_of_a_triangle_is_the_closed_form():
    # int T / lambda = b ln(b/c) / (b-c) - a ln(c/a) / (c-a), int T lambda as mean times area
    a, c, b = 4000.0, 5000.0, 12000.0  # one segment of a factor of 2.4
    band = Filter("triangle", np.array([a, c, b]), np.array([0, 1, 0]))
    below = b * np.log(b / c) / (b - c) - a * np.log(c / a) / (c - a)
    pivot = np.sqrt((a + b + c) / 3 * (b - a) / 2 / below)
    # cancellation in the closed form leaves 1e-15 of 1.1
    assert pivot_wave(band) == pytest.approx(pivot, rel=1e-13)


@pytest.mark.parametrize(
    ("detector", "effective"),
    [
        # int 1 / int 1/lambda; int 1/lambda / int 1/lambda**2
        ("photon", 1000 / np.log(1.25)),
        ("energy", np.log(1.25) / (1 / 4000 - 1 / 5000)),
    ],
)
def test_effective_wavelength_of_a_box_is_the_closed_form(detector, effective):
    band = Filter("box", **BOX, detector=detector)
    assert effective_wave(band) == pytest.approx(effective, rel=1e-13)


def test_vega_like_spectrum_obeys_the_laws_of_radiation():
    # Wien: the peak is at 2.897771955e7 / 9550 = 3034.3 Angstrom; Rayleigh & Jeans: lambda**-4
    wave = np.linspace(2900, 3200, 30001)
    assert wave[np.argmax(vega_like(wave))] == pytest.approx(3034.3, abs=0.05)
    far = vega_like(np.array([1e9, 2e9]))
    assert far[0] / far[1] == pytest.approx(16, rel=1e-4)


def test_magnitudes_by_hand():
    # 3631 Jy is magnitude zero as far as 48.60 is rounded (3630.78 Jy: 7e-5 mag), and a factor of
    # 100 is 5 magnitudes
    assert ab_magnitude(3631e6) == pytest.approx(0, abs=7e-5)
    np.testing.assert_allclose(ab_magnitude([1, 100, 1e-2]), [23.9, 18.9, 28.9], rtol=1e-14)
    np.testing.assert_allclose(ab_flux([23.9, 18.9]), [1, 100], rtol=1e-14)


def test_fluxes_without_a_magnitude():
    np.testing.assert_array_equal(ab_magnitude([0, -1, np.nan]), [np.nan] * 3)
    assert np.isnan(ab_flux(np.nan))
    assert np.isnan(flux_per_wavelength(np.nan, pivot=5000))


def test_flux_per_wavelength_by_hand():
    # 1 uJy at 5000 Angstrom: 1e-29 * 2.99792458e18 / 25e6
    assert flux_per_wavelength(1, pivot=5000) == pytest.approx(1.199169832e-18, rel=1e-14)


@given(flux=st.floats(1e-12, 1e12), pivot=st.floats(1e2, 1e8))
def test_conversions_and_their_inverses(flux, pivot):
    # a magnitude of 50 has a rounding error of 7e-15, of which a flux suffers 0.92
    assert ab_flux(ab_magnitude(flux)) == pytest.approx(flux, rel=2e-14)
    back = flux_per_frequency(flux_per_wavelength(flux, pivot=pivot), pivot=pivot)
    assert back == pytest.approx(flux, rel=1e-14)


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


@given(band=_filters())
def test_every_filter_sees_the_same_of_a_flat_spectrum(band):
    # by definition of AB; one uJy is of magnitude 23.9 in any band
    flux = mean_flux(band, spectrum=lambda wave: 1e-29 * C_ANGSTROM_S / wave**2)
    assert ab_magnitude(flux / 1e-29) == pytest.approx(23.9, abs=1e-13)


@given(band=_filters(), factor=st.floats(1e-3, 1e3))
def test_normalisation_has_no_effect(band, factor):
    scaled = Filter("scaled", band.wave, factor * band.transmission, band.detector)
    for quantity in (pivot_wave, mean_wave, effective_wave, equivalent_width, rms_width):
        assert quantity(scaled) == pytest.approx(quantity(band), rel=1e-9)


@given(band=_filters(), where=st.floats(0.01, 0.99))
def test_a_point_on_the_curve_changes_nothing(band, where):
    wave = np.sort([*band.wave, band.wave[0] + where * (band.wave[-1] - band.wave[0])])
    more = Filter("more", wave, np.interp(wave, band.wave, band.transmission), band.detector)
    # the width of a band of 1 Angstrom at 9000 is known to four digits less than its wavelength
    for quantity in (pivot_wave, mean_wave, effective_wave, equivalent_width, rms_width):
        assert quantity(more) == pytest.approx(quantity(band), rel=1e-9)


@given(band=_filters())
def test_wavelengths_of_photon_counters_are_in_order(band):
    # with M the moments of T: M(1) / M(-1) = M(1) / M(0) * M(0) / M(-1)
    band = Filter(band.name, band.wave, band.transmission)
    pivot, effective, mean = pivot_wave(band), effective_wave(band), mean_wave(band)
    assert pivot == pytest.approx(np.sqrt(effective * mean), rel=1e-13)
    assert band.wave[0] < effective < pivot < mean < band.wave[-1]
    assert 0 < rms_width(band) < 0.5 * (band.wave[-1] - band.wave[0])


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
