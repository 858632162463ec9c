"""RDSPS on one core: 1,000 SEDs of 12 bands against 100,000 models, every statistic of 8 results.

Baseline of the ratios: the two matrix products in float32 that the Gaussian case cannot do
without (flux over variance times models, inverse variance times models squared), output buffers
warm. SEDs are models of the library at S/N 20 in every band, noise added; the fit adds 5 % in
quadrature. `rdsps_numpy_over_sgemm` is the same posterior, mean, deviation and quantiles by plain
numpy. `jades_2m_pixels_cpu_h`: 2 million pixels of 15 bands; S/N falls exponentially with radius
from 50 to 1 in the middle band, as in the disc of a galaxy down to an isophote, so that half of
the pixels are below 3.2; the noise of a band is the same for all pixels of one S/N.
"""

from __future__ import annotations

import numpy as np

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

N_MODEL, N_SED, N_NUMPY, N_PIXEL = 100_000, 1_000, 20, 2_000
SNR = 20.0
JADES = (
    "acs_wfc_f435w", "acs_wfc_f606w", "acs_wfc_f775w", "acs_wfc_f814w", "acs_wfc_f850lp",
    "jwst_f090w", "jwst_f115w", "jwst_f150w", "jwst_f182m", "jwst_f200w", "jwst_f210m",
    "jwst_f277w", "jwst_f335m", "jwst_f356w", "jwst_f444w",
)  # fmt: skip
DERIVED = ("log_mw_age", "av")


def measure() -> list[Row]:
    """Time both likelihoods, plain numpy, and faint pixels."""
    rng = stream(1, "noise")
    settings = ModelConfig(n_models=N_MODEL, derived=DERIVED)
    ssp = ssp_dataset("bc03")
    models = make_model_set(ssp, load_filters(FILTERS), redshift=0.1, settings=settings, seed=1)
    library = models["flux"].values
    flux = 1e10 * library[rng.integers(0, N_MODEL, N_SED)].astype(float)
    error = flux / SNR
    flux += error * rng.normal(size=flux.shape)
    floor = _products(flux, error, library)
    rows = []
    for likelihood, name, goal in (
        ("gaussian", "gauss", "<= 4"),
        ("student_t", "student", "<= 12"),
    ):
        fitter = RdspsFitter(FitConfig(likelihood=likelihood)).prepare(library_of(models))
        time = cpu_seconds(lambda fit=fitter: fit.fit(seds_of(flux, error)))
        rows.append(row(f"rdsps_{name}_over_sgemm", time / floor, "1", baseline=1.0, goal=goal))
        if name == "gauss":
            per_second = N_MODEL * N_SED / time
            baseline = N_MODEL * N_SED / floor
            rows.append(
                row(
                    "rdsps_comparisons_per_s", per_second, "1/s", baseline=baseline, goal=">= 2.5e8"
                )
            )
    names = [str(name) for name in models.variables if models[name].dims == ("model",)]
    values = np.array([models[name].values for name in names])
    part = slice(N_NUMPY)
    plain = cpu_seconds(lambda: _numpy(flux[part], error[part], library, values)) / N_NUMPY
    rows.append(row("rdsps_numpy_over_sgemm", plain * N_SED / floor, "1", baseline=1.0))
    return [*rows, _pixels(ssp, settings)]


def _products(flux: np.ndarray, error: np.ndarray, library: np.ndarray) -> float:
    """Return the CPU time of the two matrix products [s]."""
    cross, square = (flux / error**2).astype("f4"), (1 / error**2).astype("f4")
    models, squares = library.T.copy(), library.T**2
    outs = [np.zeros((N_SED, N_MODEL), "f4") for _ in range(2)]

    def work() -> None:
        np.matmul(cross, models, out=outs[0])
        np.matmul(square, squares, out=outs[1])

    return cpu_seconds(work)


def _numpy(
    flux: np.ndarray, error: np.ndarray, library: np.ndarray, values: np.ndarray
) -> list[np.ndarray]:
    """Return mean, deviation and quantiles of all values by weighing and sorting everything."""
    found = []
    for f, e in zip(flux, np.hypot(error, 0.05 * flux), strict=True):
        scaled = library / e
        scale = scaled @ (f / e) / np.sum(scaled**2, axis=1)
        chi2 = np.sum((f / e - scale[:, None] * scaled) ** 2, axis=1)
        weight = np.exp(-0.5 * (chi2 - chi2.min()))
        weight /= weight.sum()
        mean = values @ weight
        found += [mean, np.sqrt((values - mean[:, None]) ** 2 @ weight)]
        for row_of in values:
            order = np.argsort(row_of)
            reached = np.cumsum(weight[order])
            found.append(row_of[order][np.searchsorted(reached, (0.16, 0.5, 0.84))])
    return found


def _pixels(ssp: object, settings: ModelConfig) -> Row:
    """Time faint pixels of 15 bands."""
    rng = stream(1, "pixels")
    models = make_model_set(ssp, load_filters(JADES), redshift=2.0, settings=settings, seed=1)
    library = models["flux"].values
    flux = library[rng.integers(0, N_MODEL, N_PIXEL)].astype(float)
    flux *= 1e7 / np.median(flux, axis=1, keepdims=True) * np.median(library)
    # pixels at radius r in scale lengths are as many as r, out to ln(50)
    radius = np.log(50) * np.sqrt(rng.random((N_PIXEL, 1)))
    error = np.median(flux) * np.ones_like(flux) / (50 * np.exp(-radius))
    flux += error * rng.normal(size=flux.shape)
    fitter = RdspsFitter(FitConfig()).prepare(library_of(models))
    time = cpu_seconds(lambda: fitter.fit(seds_of(flux, error)))
    hours = time / N_PIXEL * 2e6 / 3600
    return row("jades_2m_pixels_cpu_h", hours, "h", baseline=1.0, goal="<= 0.5")
