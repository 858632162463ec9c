"""MCMC of 12-band SEDs, 7 parameters, 100 walkers, 1,000 steps, on one core.

`mcmc_cpu_s_per_bin`: 200 SEDs advanced together, the whole fit: start, half of the steps' worth of
draws by which mixtures are learnt, a test of convergence, which none is allowed to pass, and
results. Its baseline is emcee alone, one SED at a time, with the same likelihood for all walkers of
a half-step at once and its own stretch move (measured on two SEDs). `mcmc_model_share`: part of
the former that computing the models takes.
"""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

import emcee
import numpy as np
from scipy.special import ndtri

from benchmarks.harness import Row, row
from benchmarks.models import FILTERS
from pxdask.core.config import FitConfig
from pxdask.core.models import ModelConfig
from pxdask.core.random import stream
from pxdask.fitting.chains import NormalDensity
from pxdask.fitting.mcmc import McmcFitter
from pxdask.fitting.target import Sampled
from pxdask.io.filters import load_filters
from pxdask.sps.libraries import make_library
from pxdask.survey.products import ssp_dataset
from pxdask.testing import seds_of

if TYPE_CHECKING:
    from pxdask.fitting.seds import Seds
    from pxdask.sps.libraries import ModelLibrary

N_SED, N_ALONE = 200, 2
N_WALKER, N_STEP = 100, 1000


def measure() -> list[Row]:
    """Time many SEDs together, and each alone."""
    models = ModelConfig(sfh="delayed_tau", dust="charlot_fall", n_models=N_SED)
    library = make_library(
        ssp_dataset("bc03"), load_filters(FILTERS), settings=models, redshift=0.1, seed=1
    )
    rng = stream(1, "noise")
    flux = 1e9 * library.draw()["flux"].values.astype(float)
    error = 0.05 * flux
    seds = seds_of(flux + error * rng.standard_normal(flux.shape), error)
    settings = FitConfig(
        method="mcmc",
        systematic_error=0.0,
        mcmc={"n_walkers": N_WALKER, "max_steps": N_STEP, "min_taus": 1e9},
    )
    prepared = McmcFitter(settings).prepare(library)
    prepared.fit(seds.rows(0, 1))  # compiles
    start = process_time()
    prepared.fit(seds)
    time = (process_time() - start) / N_SED
    alone = _alone(library, settings, seds)
    share = _models(prepared.sampled) / time
    return [
        row("mcmc_cpu_s_per_bin", time, "s", baseline=alone, goal="<= 2"),
        row("mcmc_model_share", share, "1", baseline=1.0),
    ]


def _alone(library: ModelLibrary, settings: FitConfig, seds: Seds) -> float:
    """Return the CPU time of emcee alone for one SED [s]."""
    sampled = Sampled(settings, library)
    target = sampled.target(seds.rows(0, N_ALONE))
    begin = process_time()
    for sed in range(N_ALONE):
        density = NormalDensity(target, np.array([sed]))
        sampler = emcee.EnsembleSampler(
            N_WALKER,
            sampled.simulator.n_dim,
            lambda at, of=density: of(at, np.zeros(len(at), np.intp)),
            vectorize=True,
        )
        start = ndtri(target.start(sed, N_WALKER, stream(2, sed))[:, :-1])
        sampler.run_mcmc(start, N_STEP)
    return (process_time() - begin) / N_ALONE


def _models(sampled: Sampled) -> float:
    """Return the CPU time of as many models as a chain has steps [s]."""
    unit = np.random.default_rng(1).random((N_SED * N_WALKER // 2, sampled.simulator.n_dim))
    begin = process_time()
    for _ in range(10):
        sampled.simulator.simulate(unit)
    return (process_time() - begin) / (10 * len(unit)) * N_WALKER * N_STEP
