"""Networks of a small library, with weights at random or trained for seconds."""

from dataclasses import replace
from functools import cache

import numpy as np

from pxdask.core.fits import FitConfig, NpeConfig
from pxdask.core.models import ModelConfig
from pxdask.npe.agreement import filter_digest, ssp_origin
from pxdask.npe.density import Shape, make_density, weight_shapes
from pxdask.npe.features import n_inputs
from pxdask.npe.mocks import make_mocks
from pxdask.npe.network import Network
from pxdask.npe.noise import broad_noise
from pxdask.sps.libraries import make_library
from tests.fitting.small import CENTRES, FIXED, filters, populations

BANDS = tuple(CENTRES)
REDSHIFT = {"redshift": {"low": 0.1, "high": 0.2}}
NAMES = ("log_age", "logzsol", "dust2")


def library(*, redshift=None, given=None, **changed):
    """Return models at a redshift, or of a range of them."""
    free = REDSHIFT if redshift is None else {}
    priors = {"log_tau": 0.5, **FIXED, **free, **changed.pop("priors", {})}
    settings = ModelConfig(**{"sfh": "tau", "priors": priors, **changed})
    return make_library(
        populations(), given or filters(), settings=settings, redshift=redshift, seed=3
    )


def fit_settings(**npe):
    """Return settings of a training that takes a second, once it is compiled."""
    small = {"hidden": 32, "n_layers": 2, "n_components": 4, "head": 16, "max_epochs": 4}
    more = {"n_mocks": 4000, "batch_size": 256, "learning_rate": 2e-3}
    return FitConfig(method="npe", npe=NpeConfig(**{**small, **more, **npe}))


@cache
def mocks(n=4000, **npe):
    """Return mocks with a redshift that is given."""
    made = library()
    return make_mocks(made, broad_noise(BANDS), n=n, seed=7, settings=fit_settings(**npe))


def network(*, members=(0,), form="autoregressive", redshift=(0.1, 0.2)):
    """Return a network of weights at random, broad and of several humps."""
    made = library()
    given = redshift is not None and redshift[0] < redshift[1]
    shape = Shape(n_inputs(len(BANDS), redshift=given), len(NAMES) + 1, 16, 2, 3, 8)
    densities = []
    for seed in members:
        rng = np.random.default_rng(seed)
        weights = {
            name: rng.standard_normal(dims, np.float32) * 0.3 / np.sqrt(dims[-1])
            for name, dims in weight_shapes(form, shape).items()
        }
        densities.append(make_density(form, shape, weights))
    curve = np.array([[3.0, 2.0, np.nan]] * len(members))
    return Network(
        bands=BANDS,
        pivot_wave=np.array(list(CENTRES.values()), np.float64),
        filters=tuple(filter_digest(band) for band in filters()),
        names=NAMES,
        redshift=redshift,
        models=made.settings,
        settings=fit_settings().model_dump(mode="json"),
        noise_json=broad_noise(BANDS).to_json(),
        densities=tuple(densities),
        mass_centre=1.5,
        mass_width=0.7,
        loss=curve,
        held_loss=curve + 0.1,
        figures={"coverage_68": np.array([0.66, 0.68, 0.7, 0.67])},
        origin={"ssp": ssp_origin(made.ssp), "seed": 1},
    )


def member(whole, k):
    """Return a network of one member of another."""
    return replace(whole, densities=whole.densities[k : k + 1])
