"""Gaussian lines of one velocity and width."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.line_fit import C_KM_S, LineShapes, bin_widths, fit_gaussian_lines

WAVE = np.arange(6500.0, 6700.0, 0.5)
CENTRE, LSF = 6600.0, 1.2
ONE = LineShapes(np.array([CENTRE]), np.array([LSF**2]), np.array([0]), np.array([1.0]))


def gaussian(flux, centre, width):
    return flux * np.exp(-0.5 * ((WAVE - centre) / width) ** 2) / (math.sqrt(2 * math.pi) * width)


def fitted(spectrum, error=0.1, *, lines=ONE, min_gain=40.0):
    spectrum = np.atleast_2d(spectrum)
    error = np.broadcast_to(np.asarray(error, float), spectrum.shape)
    return fit_gaussian_lines(WAVE, spectrum, error, lines, min_gain=min_gain)


def test_flux_and_errors_by_hand():
    # Width s = sqrt(1.2^2 + (100 km/s)^2) = 2.50695 A at 6600.0 (1 + 50 / c) = 6601.10 A. Alone,
    # flux, place and width have sums of squares (per step 0.5 A, error 0.1): of the profile
    # 1 / (2 sqrt(pi) s), of its slope by the centre F^2 / (4 sqrt(pi) s^3), and by s
    # 3 F^2 / (8 sqrt(pi) s^3), with -F / (4 sqrt(pi) s^2) between flux and s.
    centre = CENTRE * (1 + 50 / C_KM_S)
    per_km = centre / C_KM_S
    width = math.hypot(LSF, 100 * per_km)
    found = fitted(gaussian(30.0, centre, width))
    assert found.flux[0, 0] == pytest.approx(30, rel=1e-6)
    assert found.velocity[0] == pytest.approx(50, abs=1e-2)
    assert found.sigma[0] == pytest.approx(100, abs=1e-2)
    assert found.chi2[0] == pytest.approx(0, abs=1e-5)
    weight, root = 1 / (0.1**2 * 0.5), math.sqrt(math.pi)
    aa, bb = 1 / (2 * root * width), 3 * 30**2 / (8 * root * width**3)
    ab = -30 / (4 * root * width**2)
    determinant = (aa * bb - ab**2) * weight
    assert found.flux_err[0, 0] == pytest.approx(math.sqrt(bb / determinant), rel=1e-3)
    width_err = math.sqrt(aa / determinant)
    # s^2 = LSF^2 + (sigma c)^2: d sigma = s ds / (sigma c^2).
    wanted = width_err * width / (100 * per_km**2)
    assert found.sigma_err[0] == pytest.approx(wanted, rel=2e-3)
    wanted = math.sqrt(4 * root * width**3 / 30**2 / weight) / per_km
    assert found.velocity_err[0] == pytest.approx(wanted, rel=2e-3)


def test_weak_lines_are_linear():
    # Below the gain, the flux at velocity 0 and 80 km/s is a weighted sum: that of sums is the sum.
    rng = np.random.default_rng(4)
    noise = 0.1 * rng.standard_normal((2, WAVE.size))
    found = fitted(np.vstack([noise, noise.sum(axis=0)]), min_gain=1e9)
    assert found.flux[2, 0] == pytest.approx(found.flux[0, 0] + found.flux[1, 0], abs=1e-12)
    width = math.hypot(LSF, 80 * CENTRE / C_KM_S)
    wanted = 0.1 * math.sqrt(0.5 * 2 * math.sqrt(math.pi) * width)
    np.testing.assert_allclose(found.flux_err, wanted, rtol=1e-6)
    assert np.all(np.isnan(found.sigma))


@given(st.floats(-300, 300), st.floats(5, 250), st.floats(-0.9, 3))
def test_two_groups_share_velocity_and_width(velocity, sigma, second):
    lines = LineShapes(
        np.array([6560.0, 6640.0, 6610.0]), np.full(3, LSF**2), np.array([0, 0, 1]),
        np.array([1.0, 1 / 3, 1.0]),
    )  # fmt: skip
    spectrum = np.zeros(WAVE.size)
    for rest, flux in ((6560.0, 60.0), (6640.0, 20.0), (6610.0, 20 * second)):
        centre = rest * (1 + velocity / C_KM_S)
        spectrum += gaussian(flux, centre, math.hypot(LSF, sigma * centre / C_KM_S))
    found = fitted(spectrum, lines=lines)
    np.testing.assert_allclose(found.flux[0], [60, 20 * second], atol=2e-3)
    assert found.velocity[0] == pytest.approx(velocity, abs=0.05)
    # Chi-square is flat in the square of a width far below the LSF's, 23 km/s in sigma.
    assert found.sigma[0] ** 2 == pytest.approx(sigma**2, abs=5.0 + 1e-3 * sigma**2)


def test_bad_values_and_edges():
    spectrum = np.tile(gaussian(30.0, CENTRE, 3.0), (4, 1))
    error = np.full(spectrum.shape, 0.1)
    spectrum[0] = np.nan
    error[1] = 0.0
    error[2, np.abs(WAVE - CENTRE) < 2] = -1.0
    spectrum[3, :5] = np.inf
    found = fitted(spectrum, error)
    assert np.all(np.isnan(found.flux[:3]))
    assert found.n_used.tolist()[:2] == [0, 0]
    assert found.flux[3, 0] == pytest.approx(30, rel=1e-5)
    assert found.n_used[3] == WAVE.size - 5
    # A step is no line: what leads to the end of velocities or widths is given up.
    step = np.where(WAVE > 6520, 1.0, 0.0)
    assert np.isnan(fitted(step).sigma[0])


def test_a_spectrum_does_not_depend_on_others():
    rng = np.random.default_rng(9)
    spectra = gaussian(3.0, CENTRE, 3.0) + 0.1 * rng.standard_normal((5, WAVE.size))
    together = fitted(spectra)
    for i in range(5):
        np.testing.assert_array_equal(fitted(spectra[i]).flux[0], together.flux[i])


def test_widths_of_bins():
    np.testing.assert_allclose(bin_widths(np.array([1.0, 2, 4, 6])), [1, 1.5, 2, 2])
    np.testing.assert_allclose(bin_widths(np.array([1.0, 2, 3, 103, 104])), [1, 1, 1, 1, 1])
    np.testing.assert_allclose(bin_widths(np.array([5.0])), [1])
