"""RDSPS of 12-band SEDs with 100,000 models, all quantiles, on one core.

Baseline: the two matrix products that chi-square needs at the least, in float32.
"""

from __future__ import annotations

from benchmarks.harness import Row, cpu_seconds, row
from benchmarks.models import FILTERS
from pxdask.core.config import FitConfig
from pxdask.core.models import ModelConfig
from pxdask.core.random import stream
from pxdask.fitting import RdspsFitter
from pxdask.io.filters import load_filters
from pxdask.sps import make_model_set
from pxdask.survey.products import ssp_dataset
from pxdask.testing import library_of, seds_of

N_MODEL, N_SED = 100_000, 50


def measure() -> list[Row]:
    """Time both likelihoods."""
    settings = ModelConfig(n_models=N_MODEL)
    models = make_model_set(
        ssp_dataset("bc03"),
        load_filters(FILTERS),
        redshift=0.1,
        settings=settings,
        seed=1,
    )
    library = models["flux"].values
    rng = stream(1, "noise")
    flux = 1e10 * library[rng.integers(0, N_MODEL, N_SED)].astype(float)
    error = 0.05 * flux
    flux += error * rng.normal(size=flux.shape)
    weights, squares = (flux / error**2).astype("f4"), library.astype("f4").T
    floor = cpu_seconds(lambda: (weights @ squares, weights @ squares)) / N_SED * 1e3
    rows = []
    for likelihood in ("gaussian", "student_t"):
        fitter = RdspsFitter(FitConfig(likelihood=likelihood)).prepare(library_of(models))
        time = cpu_seconds(lambda fit=fitter: fit.fit(seds_of(flux, error))) / N_SED * 1e3
        rows.append(row(f"rdsps_{likelihood}_ms_per_sed", time, "ms", baseline=floor))
    return rows
