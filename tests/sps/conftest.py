"""Populations and filters that the tests share."""

import numpy as np
import pytest

from pxdask.core.bandpass import Filter
from pxdask.sps import synthetic_ssp


@pytest.fixture(scope="session")
def ssp():
    """Synthetic populations at a resolution that filters do not notice."""
    return synthetic_ssp(n_wave=2000)


@pytest.fixture(scope="session")
def bands():
    """Triangular passbands, some across the breaks of the attenuation law."""
    centres = {"fuv": 1530, "u": 3550, "r": 6200, "z": 9000, "k": 21600, "w1": 33700}
    return tuple(
        Filter(
            name,
            centre * np.array([0.85, 0.98, 1.05, 1.2]),
            np.array([0.0, 1.0, 0.7, 0.0]),
            "energy" if name == "w1" else "photon",
        )
        for name, centre in centres.items()
    )


@pytest.fixture
def draw():
    """Return a function that draws parameters, inside the priors, with its own seed."""

    def drawn(n_model, *, oldest=0.3, seed=11, dust2=3.0):
        rng = np.random.default_rng(seed)
        return {
            "log_age": rng.uniform(-1, oldest, n_model),
            "log_tau": rng.uniform(-1, 1.5, n_model),
            "logzsol": rng.uniform(-2, 0.2, n_model),
            "dust2": rng.uniform(0, dust2, n_model),
        }

    return drawn
