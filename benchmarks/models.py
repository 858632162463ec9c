"""Photometry of 1e6 models in 12 bands, FUV to W2, at a new redshift, against full spectra.

The baseline of `models_1e6_cpu_s` makes each model's whole spectrum and integrates it through the
filters (timed on fewer models, scaled).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import Row, cpu_seconds, row
from pxdask.core.config import ModelConfig
from pxdask.core.random import stream
from pxdask.io.filters import load_filters
from pxdask.sps import PhotometryEngine, resolve_priors
from pxdask.survey.products import ssp_dataset

if TYPE_CHECKING:
    import numpy as np

FILTERS = (
    "galex_fuv", "galex_nuv", "sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z",
    "2mass_j", "2mass_h", "2mass_k", "wise_w1", "wise_w2",
)  # fmt: skip
N_MODEL = 1_000_000
N_FULL = 300


def draws(n: int, redshift: float, settings: ModelConfig) -> dict[str, np.ndarray]:
    """Return parameters drawn from the default priors."""
    rng = stream(1, "benchmark")
    priors = resolve_priors(settings, redshift=redshift)
    return {name: rng.uniform(low, high, n) for name, (low, high) in priors.items()}


def measure() -> list[Row]:
    """Time set-up, the fast path, and full spectra."""
    settings, redshift = ModelConfig(), 0.1
    ssp, filters = ssp_dataset("bc03"), load_filters(FILTERS)

    def engine() -> PhotometryEngine:
        return PhotometryEngine(ssp, filters, redshift=redshift, settings=settings)

    made = engine()
    many, few = draws(N_MODEL, redshift, settings), draws(N_FULL, redshift, settings)
    fast = cpu_seconds(lambda: made.flux(many), repeats=1)
    full = cpu_seconds(lambda: made.exact_flux(few), repeats=1) * N_MODEL / N_FULL
    return [
        row("models_1e6_cpu_s", fast, "s", baseline=full, goal="<= 4"),
        row("models_setup_s", cpu_seconds(engine), "s", baseline=0.3, goal="<= 0.3"),
    ]
