"""Spectra broadened and put into other bins."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr

from pxdask.core.errors import ConfigError
from pxdask.kernels.smoothing import broadening, total_sigma
from pxdask.kernels.spectra import rebin

SEEDS = st.integers(0, 2**32 - 1)


def bins(rng, low, high, n_bin):
    """Return edges of bins of very unequal width, none thinner than 1e-3 Angstrom."""
    inner = low + (high - low) * np.cumsum(rng.uniform(0.01, 1, n_bin))
    inner = low + (inner - low) / (inner[-1] - low) * (high - low)
    return np.concatenate([[low], inner])


def test_a_step_halfway_through_a_bin_by_hand():
    # the mean over (-1, 1) of a step at 0 seen through sigma = 1 is (H(1) - H(-1)) / 2 with
    # H(t) = t Phi(t) + phi(t): H(1) = 0.841345 + 0.241971, H(-1) = -0.158655 + 0.241971
    edges = np.array([-30.0, 0.0, 30.0]) + 5000
    got = broadening(edges, np.array([-1.0, 1.0]) + 5000, np.ones(1)) @ np.array([0.0, 1.0])
    assert got[0] == pytest.approx(0.5, abs=1e-12)
    got = broadening(edges, np.array([0.0, 1.0]) + 5000, np.ones(1)) @ np.array([0.0, 1.0])
    # H(1) - H(0) = 1.083316 - 0.398942
    assert got[0] == pytest.approx(0.684374, abs=2e-6)


@given(seed=SEEDS, sigma=st.floats(0.05, 5))
def test_means_of_the_convolution(seed, sigma):
    rng = np.random.default_rng(seed)
    edges, flux = bins(rng, 5000, 5100, 40), rng.uniform(0, 1, 40)
    wanted = bins(rng, 5035, 5065, 3)

    def convolved(x):
        return np.sum(flux * -np.diff(ndtr((x - edges) / sigma)))

    got = broadening(edges, wanted, np.full(3, sigma)) @ flux
    for i, (low, high) in enumerate(pairwise(wanted)):
        inside = [edge for edge in edges if low < edge < high]
        area, _ = quad(convolved, low, high, points=inside or None, epsabs=1e-10, limit=400)
        # truncation at six sigma loses and makes up 2e-9
        assert got[i] == pytest.approx(area / (high - low), abs=1e-8)


@given(seed=SEEDS)
def test_no_width_is_plain_rebinning(seed):
    rng = np.random.default_rng(seed)
    edges, wanted = bins(rng, 5000, 5100, 60), bins(rng, 5010, 5090, 15)
    flux = rng.uniform(0, 1, 60)
    matrix = broadening(edges, wanted, np.zeros(15))
    # steps, drawn as slopes of 1e-6 Angstrom in bins of 0.1 or more
    wave = np.stack([edges[:-1] + 5e-7, edges[1:] - 5e-7], axis=1).ravel()
    expected = rebin(wave, np.repeat(flux, 2), wanted)
    np.testing.assert_allclose(matrix @ flux, expected, atol=1e-4)
    one_to_one = broadening(edges, edges, np.zeros(60))
    np.testing.assert_array_equal(one_to_one.toarray(), np.eye(60))


@given(seed=SEEDS, widest=st.floats(0, 30))
def test_flat_stays_flat(seed, widest):
    rng = np.random.default_rng(seed)
    edges, wanted = bins(rng, 5000, 5100, 50), bins(rng, 5000, 5100, 30)
    matrix = broadening(edges, wanted, rng.uniform(0, 1, 30) * widest)
    assert matrix.data.min() >= 0
    np.testing.assert_allclose(matrix @ np.full(50, 3.7), 3.7, rtol=1e-12)


@given(seed=SEEDS, sigma=st.floats(0, 3))
def test_energy_and_width_of_a_line(seed, sigma):
    rng = np.random.default_rng(seed)
    edges, wanted = bins(rng, 5000, 5100, 50), np.linspace(5000, 5100, 401)
    line = np.argmin(np.abs(edges[:-1] - 5050))
    flux = np.zeros(50)
    flux[line] = 1 / (edges[line + 1] - edges[line])
    matrix = broadening(edges, wanted, np.full(400, sigma))
    wave, energy = (wanted[1:] + wanted[:-1]) / 2, (matrix @ flux) * np.diff(wanted)
    assert energy.sum() == pytest.approx(1, abs=1e-8)
    centre = energy @ wave
    # energy counts at the centres of the bins wanted, half a bin away at most
    assert centre == pytest.approx((edges[line] + edges[line + 1]) / 2, abs=0.25 / 2)
    # variances add: of the Gaussian and of the line's own bin
    own = np.diff(edges)[line] ** 2 / 12
    assert energy @ (wave - centre) ** 2 == pytest.approx(sigma**2 + own, abs=0.25**2)


def test_each_bin_wanted_has_its_own_width():
    edges = np.linspace(5000, 5100, 1001)
    flux = np.zeros(1000)
    flux[500] = 10.0
    wanted = np.array([5044.0, 5045.0, 5055.0, 5056.0])
    got = broadening(edges, wanted, np.array([0.1, 0.1, 5.0])) @ flux
    assert got[0] == 0
    # a line of unit energy at 5050.05, five Angstrom away, one sigma of the last bin
    assert got[2] == pytest.approx(np.diff(ndtr((wanted[2:] - 5050.05) / 5))[0], rel=1e-4)


def test_near_the_ends_what_is_inside_stands_for_all():
    edges = np.array([5000.0, 5010.0, 5020.0])
    got = broadening(edges, edges, np.full(2, 1e4))
    np.testing.assert_allclose(got.toarray(), 0.5, atol=1e-3)


def test_one_bin():
    got = broadening(np.array([1.0, 2.0]), np.array([1.2, 1.3]), np.array([0.5]))
    np.testing.assert_array_equal(got.toarray(), [[1.0]])


def test_rounding_at_the_ends_is_forgiven():
    edges = np.array([1000.0, 2000.0])
    got = broadening(edges, edges * (1 + np.array([-1e-12, 1e-12])), np.zeros(1))
    assert got.toarray() == pytest.approx(1)


@pytest.mark.parametrize(
    ("wanted", "sigma", "message"),
    [
        ([900, 1100], 1.0, "900-1100 Angstrom, reach beyond the spectrum's, 1000-2000"),
        ([1900, 2001], 1.0, "1900-2001 Angstrom, reach beyond"),
        ([1100, 1100], 1.0, "increase"),
        ([1100], 1.0, "two or more"),
        ([1100, np.nan], 1.0, "increase"),
        ([1100, 1200], -1.0, "sigma: -1.0 is not a width"),
        ([1100, 1200], np.nan, "sigma: nan is not a width"),
    ],
)
def test_what_cannot_be_seen_is_an_error(wanted, sigma, message):
    with pytest.raises(ConfigError, match=message):
        broadening(np.array([1000.0, 2000.0]), np.array(wanted, float), np.array([sigma]))


def test_widths_add_in_quadrature():
    # 300 km/s at 5995.849 Angstrom is 6 Angstrom; with an instrument's 2.5: 6.5
    got = total_sigma(
        np.array([5995.84916]),
        velocity=300.0,
        lsf_wave=np.array([5000.0, 6991.69832]),
        lsf_sigma=np.array([2.0, 3.0]),
    )
    assert got == pytest.approx(6.5, rel=1e-9)


def test_the_instrument_beyond_its_table():
    lsf = {"lsf_wave": np.array([4000.0, 5000.0]), "lsf_sigma": np.array([1.0, 2.0])}
    np.testing.assert_array_equal(total_sigma(np.array([3000.0, 9000.0]), **lsf), [1.0, 2.0])


@given(
    velocity=st.floats(0, 1000), instrument=st.floats(0, 20), library=st.floats(0, 20),
    wave=st.floats(1000, 1e5),
)  # fmt: skip
def test_the_library_counts(velocity, instrument, library, wave):
    wave = np.array([wave])
    lsf = {"lsf_wave": wave, "lsf_sigma": np.array([instrument])}
    wanted = total_sigma(wave, velocity=velocity, **lsf)
    more = total_sigma(wave, velocity=velocity, library_sigma=library, **lsf)
    if library < wanted:
        assert np.hypot(more, library) == pytest.approx(wanted, rel=1e-9)
    else:
        assert more == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"velocity": -5.0}, "velocity dispersion: -5.0"),
        ({"library_sigma": np.nan}, "library: nan"),
        ({"lsf_wave": np.array([1.0])}, "got one of them"),
        ({"lsf_wave": np.array([1.0, 2.0]), "lsf_sigma": np.ones(1)}, "1 widths at 2"),
        ({"lsf_wave": np.array([2.0, 1.0]), "lsf_sigma": np.ones(2)}, "increasing"),
        ({"lsf_wave": np.array([1.0]), "lsf_sigma": -np.ones(1)}, "function: -1.0"),
    ],
)
def test_widths_that_cannot_be(wrong, message):
    with pytest.raises(ConfigError, match=message):
        total_sigma(np.array([5000.0]), **wrong)
