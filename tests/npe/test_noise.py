"""Noise models: what is measured is what was made."""

import json

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError, DataError
from pxdask.npe.noise import NoiseModel, broad_noise, measured_noise
from tests.paths import real_data

BANDS = ("g", "r", "i")
DEPTH = np.array([1.0, 2.0, 0.5])
PHOTON = np.array([0.05, 0.0, 0.02])


def made(n_sed=20000, scatter=0.0, seed=1):
    """Return fluxes and errors of a known noise model; a tenth lack the last band."""
    rng = np.random.default_rng(seed)
    noise = NoiseModel(
        BANDS,
        DEPTH,
        scatter**2 * np.eye(3),
        PHOTON,
        0.0,
        np.array([[True, True, True], [True, True, False]]),
        np.array([0.9, 0.1]),
    )
    flux = 10 ** rng.uniform(-1, 3, (n_sed, 1)) * np.array([1.0, 1.5, 2.0])
    return noise, flux, noise.errors(flux, rng)


def test_noise_by_hand():
    """A depth of 2 and a variance of 0.5 per flux give sqrt(4 + 0.5 10) = 3 at flux 10."""
    noise = NoiseModel(
        ("r",), np.array([2.0]), np.zeros((1, 1)), np.array([0.5]), 0.0, np.ones((1, 1), bool),
        np.ones(1),
    )  # fmt: skip
    error = noise.errors(np.array([[10.0], [-3.0], [np.nan]]), np.random.default_rng(0))
    # a flux that is negative or missing leaves the background
    np.testing.assert_allclose(error[:, 0], [3.0, 2.0, 2.0], rtol=1e-15)


def test_measured_without_scatter_is_exact():
    """Without scatter the two parts of the variance are found to rounding."""
    noise, flux, error = made()
    found = measured_noise(flux, error, BANDS, widened=0.0)
    np.testing.assert_allclose(found.depth, noise.depth, rtol=1e-9)
    np.testing.assert_allclose(found.photon, noise.photon, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.covariance, 0.0, atol=1e-12)


@pytest.mark.statistical
def test_measured_with_scatter():
    """With 0.1 dex of scatter depths are good to 5 %, scatters to 10 %, shares to 4 sigma."""
    _, flux, error = made(scatter=0.1)
    found = measured_noise(flux, error, BANDS, widened=0.0)
    np.testing.assert_allclose(found.depth, DEPTH, rtol=0.05)
    np.testing.assert_allclose(found.photon, PHOTON, rtol=0.1, atol=2e-3)
    # where photon noise rules, what is left for the background scatters more
    assert np.sqrt(found.covariance[1, 1]) == pytest.approx(0.1, rel=0.1)
    assert found.patterns.tolist() == [[True, True, True], [True, True, False]]
    assert found.shares[1] == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / len(flux)))


def test_photon_noise_needs_bright_seds():
    """Where no SED is seen, errors that differ are differences of depth."""
    rng = np.random.default_rng(2)
    flux = rng.normal(0.2, 1.0, (500, 1))
    error = np.where(flux > 0, 1.3, 1.0)
    assert measured_noise(flux, error, ("r",)).photon[0] == 0.0


@given(factor=st.floats(1e-6, 1e6), seed=st.integers(0, 100))
def test_units_are_free(factor, seed):
    """Fluxes and errors in another unit give the same model in that unit."""
    _, flux, error = made(n_sed=50, scatter=0.2, seed=seed)
    one, other = (measured_noise(k * flux, k * error, BANDS) for k in (1.0, factor))
    np.testing.assert_allclose(other.depth, factor * one.depth, rtol=1e-9)
    np.testing.assert_allclose(other.photon, factor * one.photon, rtol=1e-6, atol=1e-9 * factor)
    np.testing.assert_allclose(other.covariance, one.covariance, rtol=1e-5, atol=1e-9)


def test_band_that_nobody_has():
    """Such a band is in no pattern, and has a depth that is a number."""
    _, flux, error = made(n_sed=100)
    error[:, 1] = np.nan
    found = measured_noise(flux, error, BANDS)
    assert not found.patterns[:, 1].any()
    assert np.isnan(found.background(50, np.random.default_rng(1))[:, 1]).all()
    assert np.all(np.isfinite(found.depth))


def test_no_usable_sed():
    """Nothing to measure is a fault of the data."""
    with pytest.raises(DataError, match="no noise to measure"):
        measured_noise(np.ones((4, 3)), np.zeros((4, 3)), BANDS)
    with pytest.raises(DataError, match=r"wanted \(n_sed, 3\)"):
        measured_noise(np.ones((4, 2)), np.ones((4, 2)), BANDS)


@pytest.mark.statistical
def test_background_has_the_covariance():
    """Draws have the median and the covariance asked for, to 5 sigma of 40,000."""
    noise = broad_noise(BANDS)
    log_error = np.log10(noise.background(40000, np.random.default_rng(3)))
    np.testing.assert_allclose(log_error.mean(axis=0), 0.0, atol=5 * 0.5 / 200)
    np.testing.assert_allclose(np.cov(log_error.T), noise.covariance, atol=5 * 0.36 / 200)


def test_json_keeps_all():
    """A model is the same after a round trip, and its draws are."""
    _, flux, error = made(n_sed=300, scatter=0.1)
    noise = measured_noise(flux, error, BANDS)
    back = NoiseModel.from_json(noise.to_json())
    assert back.to_json() == noise.to_json()
    draws = [each.errors(flux, np.random.default_rng(1)) for each in (noise, back)]
    np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"depth": [1.0]}, r"depth has shape \(1,\); wanted \(3,\)"),
        ({"depth": [1.0, 0.0, 1.0]}, "depth must be positive"),
        ({"photon": [-1.0, 0.0, 1.0]}, "photon must be zero or positive"),
        ({"shares": [0.7]}, "shares add up to 0.7"),
        ({"bands": None}, "not a noise model"),
    ],
)
def test_faults_of_a_file(change, says):
    """A file that is no noise model says what is wrong."""
    values = {**json.loads(broad_noise(BANDS).to_json()), **change}
    with pytest.raises(ConfigError, match=says):
        NoiseModel.from_json(json.dumps(values))


@pytest.mark.data
def test_pixels_of_jades():
    """Depth of F444W, and photon noise in all near-infrared bands.

    At a hundred times the depth the photons' variance is 0.4 to 1.6 times the background's.
    """
    folder = real_data("jades") / "jof_36"
    bands = ("f606w", "f090w", "f200w", "f444w")
    flux, error = (
        np.column_stack([np.ravel(fits.getdata(folder / f"{b}_{kind}.fits")) for b in bands])
        for kind in ("sci", "err")
    )
    noise = measured_noise(flux.astype(float), error.astype(float), bands)
    assert noise.depth[3] == pytest.approx(2.27e-5, rel=0.02)
    part = 100 * noise.photon / noise.depth
    assert part[0] == 0.0  # errors far above the fluxes
    assert np.all((part[1:] > 0.4) & (part[1:] < 1.6))
