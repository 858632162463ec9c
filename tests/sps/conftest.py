"""Populations, filters and draws that the tests share."""

import numpy as np
import pytest

from pxdask.core.bandpass import Filter
from pxdask.core.models import ModelConfig
from pxdask.sps import PhotometryEngine, synthetic_ssp
from pxdask.sps.parameters import parameter


@pytest.fixture(scope="session")
def ssp():
    """Synthetic populations at a resolution that filters do not notice."""
    return synthetic_ssp(n_wave=2000)


@pytest.fixture(scope="session")
def bands():
    """Triangular passbands, some across the breaks of the attenuation laws."""
    centres = {
        "fuv": 1530, "nuv": 2300, "u": 3550, "r": 6200, "z": 9000, "k": 21600, "w1": 33700,
        "w3": 1.2e5, "s250": 2.5e6,
    }  # fmt: skip
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
def make_engine(ssp, bands):
    """Return a function that makes engines of the shared populations and filters."""

    def made(*, redshift=0.5, **settings):
        return PhotometryEngine(ssp, bands, redshift=redshift, settings=ModelConfig(**settings))

    return made


def draw_evenly(engine, n_model, *, seed=11, **given):
    """Return parameters drawn evenly from the whole registry's range, or as given."""
    rng = np.random.default_rng(seed)
    values = {}
    for name in engine.parameters:
        entry, (least, most) = parameter(name), engine.limits(name)
        low, high = max(entry.low, least), min(entry.high, most)
        values[name] = rng.uniform(low, high, n_model)
    return values | {name: np.full(n_model, float(value)) for name, value in given.items()}
