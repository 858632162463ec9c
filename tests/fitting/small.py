"""A library of synthetic populations with three free parameters, quick to sample."""

from functools import cache

import numpy as np

from pxdask.core.bandpass import Filter
from pxdask.core.config import FitConfig
from pxdask.core.models import ModelConfig
from pxdask.sps import synthetic_ssp
from pxdask.sps.libraries import make_library

CENTRES = {"nuv": 2300, "u": 3550, "r": 6200, "z": 9000, "k": 21600}
FIXED = {"log_tau": 0.5, "dust2": {"low": 0.0, "high": 2.0}}


@cache
def populations():
    """Return synthetic populations; made once."""
    return synthetic_ssp(n_wave=1000)


def filters():
    """Return triangular passbands from the ultraviolet to the near infrared."""
    shape = np.array([0.85, 0.98, 1.05, 1.2])
    return tuple(
        Filter(name, centre * shape, np.array([0.0, 1.0, 0.7, 0.0]), "photon")
        for name, centre in CENTRES.items()
    )


def small_library(*, n_models=64, redshift=0.1, seed=3, **priors):
    """Return a library of age, metallicity and dust, or of the priors given besides."""
    settings = ModelConfig(n_models=n_models, sfh="tau", priors={**FIXED, **priors})
    return make_library(populations(), filters(), settings=settings, redshift=redshift, seed=seed)


def fit_settings(**changed):
    """Return settings of a fit without systematic error."""
    return FitConfig(**{"systematic_error": 0.0, **changed})
