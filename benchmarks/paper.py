"""The fitting test of Abdurro'uf et al. (2021), section 5 and appendix B, on mock galaxies.

``python -m benchmarks.paper [galaxies]`` writes docs/paper-test.md and its figures. Not one of
the timed benchmarks; about a quarter of an hour on one core.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.paper_page import N_CONTROL, N_PRIOR, SHOWN, recoveries, write
from pxdask.core.models import TablePrior, UniformPrior
from pxdask.core.random import stream
from pxdask.fitting.spectral import SpectralRdsps
from pxdask.fitting.stage import fitter_of
from pxdask.io.filters import load_filters
from pxdask.simulate.mock_seds import LOOKBACKS, MockSeds
from pxdask.simulate.recovery import (
    FILTERS,
    QUANTITIES,
    REDSHIFT,
    SNR,
    Recovery,
    estimates,
    paper_approaches,
    paper_mocks,
    paper_models,
)
from pxdask.sps.libraries import make_library
from pxdask.sps.model_set import make_model_set
from pxdask.survey.products import ssp_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.models import ModelConfig
    from pxdask.fitting.fitter import Fitter
    from pxdask.simulate.recovery import Approach
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

SEED = 1
SPECTRA_MEMORY = 8.0
"""Memory for spectra [GB]: with more of it they are made less often."""

TAU_TO_1_MYR = TablePrior(
    kind="table", values=(-1.5, -1.4, -1.399, 0.6), density=(16.0, 16.0, 1.0, 1.0)
)
"""The published prior of log tau, with all that is below 30 Myr put there."""


class Answer(NamedTuple):
    """What an approach finds: estimates and truth by name, CPU seconds of an SED, the fit."""

    found: Mapping[str, Floats]
    truth: Mapping[str, Floats]
    seconds: float
    fit: xr.Dataset


class Controls(NamedTuple):
    """Recoveries by what was changed; the mocks unchanged, and what was found of them."""

    found: Mapping[str, Mapping[str, Recovery]]
    mocks: MockSeds
    values: Mapping[str, Floats]


def answer(approach: Approach, mocks: MockSeds, library: ModelLibrary, *, fitter: Fitter) -> Answer:
    """Return what an approach finds of noisy mocks."""
    seds = mocks.observe(snr=SNR, rng=stream(SEED, "noise"))
    prepared = fitter.prepare(library)
    first = prepared.fit(seds.rows(0, 1))  # compiles
    if seds.spectrum is not None and "spectrum_chi2" not in first:
        return None
    start = time.process_time()
    fit = prepared.fit(seds)
    seconds = (time.process_time() - start) / len(seds)
    names = (*QUANTITIES, *(f"lookback_{percent}" for percent in LOOKBACKS))
    return Answer(
        estimates(fit, names=names, estimate=approach.estimate), mocks.truth, seconds, fit
    )


def prior_mocks(ssp: xr.Dataset, filters: Sequence[Filter], settings: ModelConfig) -> MockSeds:
    """Return galaxies that are models drawn from the prior, of 1e10 Msun formed."""
    drawn = make_model_set(
        ssp,
        filters,
        redshift=REDSHIFT,
        settings=settings.model_copy(update={"n_models": N_PRIOR}),
        seed=SEED + 100,
    )
    rate = np.maximum(drawn["sfr_50myr"].values, 1e-30)
    truth = {name: drawn[name].values for name in ("logzsol", "dust2", "log_mw_age")}
    truth["log_mass"] = 10 + np.log10(drawn["surviving"].values)
    truth["log_sfr_50myr"] = 10 + np.log10(rate)
    alive = truth["log_sfr_50myr"] - truth["log_mass"] > -12.5
    flux = 1e10 * drawn["flux"].values.astype(np.float64)
    return MockSeds(flux[alive], {name: value[alive] for name, value in truth.items()})


def in_bins(settings: ModelConfig) -> ModelConfig:
    """Return the same models with histories in time bins; Leja et al. (2019, ApJ 876, 3)."""
    kept = {name: settings.priors[name] for name in ("logzsol", "dust2")}
    more = {"sfh": "continuity", "priors": kept, "n_models": 4 * settings.n_models}
    return settings.model_copy(update=more)


def controls(ssp: xr.Dataset, filters: tuple[Filter, ...]) -> Controls:
    """Return recoveries by the Gaussian RDSPS of mocks and models that differ in one thing."""
    settings = paper_models(n_models=131072)
    approach = paper_approaches()["gauss"]

    def mocks(**given: object) -> MockSeds:
        return paper_mocks(ssp, filters, n_galaxy=N_CONTROL, seed=SEED, **given)

    def prior(name: str, form: object) -> ModelConfig:
        return settings.model_copy(update={"priors": {**settings.priors, name: form}})

    calm, full = (0.0, 0.0), mocks()
    cases = {
        "models drawn from the prior": (prior_mocks(ssp, filters, settings), settings),
        "mocks without bursts, of one metallicity each": (
            mocks(bursts=calm, enrichment=False),
            settings,
        ),
        "mocks without bursts": (mocks(bursts=calm), settings),
        "mocks with bursts of 0.1 to 0.3 dex": (mocks(bursts=(0.1, 0.3)), settings),
        "mocks of one metallicity each": (mocks(enrichment=False), settings),
        "mocks": (full, settings),
        "mocks; seven time bins (continuity)": (full, in_bins(settings)),
        "mocks; tau down to 1 Myr": (full, prior("log_tau", TAU_TO_1_MYR)),
        "mocks; ages from 2 Gyr": (full, prior("log_age", UniformPrior(low=0.3, high=1.14))),
        "mocks; ages from 12.6 Gyr": (full, prior("log_age", UniformPrior(low=1.1, high=1.14))),
    }
    found, of_full = {}, {}
    for name, (galaxies, models) in cases.items():
        library = make_library(ssp, filters, settings=models, redshift=REDSHIFT, seed=SEED)
        seds = galaxies.observe(snr=SNR, rng=stream(SEED, "noise"))
        fit = fitter_of(approach.fit).prepare(library).fit(seds)
        values = estimates(fit, estimate="mean")
        found[name] = recoveries(galaxies.truth, values)
        if name == "mocks":
            of_full = values
    return Controls(found, full, of_full)


def photometric_answers(n_galaxy: int, library: ModelLibrary) -> dict[str, Answer]:
    """Return what every approach finds of photometry alone."""
    mocks = paper_mocks(library.ssp, library.filters, n_galaxy=n_galaxy, seed=SEED)
    answers = {}
    for name, approach in paper_approaches().items():
        one = answer(approach, mocks, library, fitter=fitter_of(approach.fit))
        if one is not None:
            answers[name] = one
            print(f"{name}: {one.seconds:.3f} s an SED", flush=True)
    return answers


def spectral_answers(n_galaxy: int, library: ModelLibrary) -> dict[str, Answer]:
    """Return what some approaches find of photometry and a spectrum; those that fit spectra."""
    mocks = paper_mocks(library.ssp, library.filters, n_galaxy=n_galaxy, seed=SEED, spectra=True)
    answers = {}
    for name in SHOWN:
        approach = paper_approaches()[name]
        roomy = approach.fit.model_copy(update={"max_memory": SPECTRA_MEMORY})
        fitter = SpectralRdsps(roomy) if roomy.method == "rdsps" else fitter_of(roomy)
        one = answer(approach, mocks, library, fitter=fitter)
        if one is not None:
            answers[name] = one
        print(f"{name} with spectra: {'not fitted' if one is None else one.seconds}", flush=True)
    return answers


def main(arguments: list[str]) -> int:
    """Run the test; write the page and its figures."""
    n_galaxy = int(arguments[0]) if arguments else 300
    ssp, filters = ssp_dataset("bc03"), tuple(load_filters(FILTERS))
    library = make_library(ssp, filters, settings=paper_models(), redshift=REDSHIFT, seed=SEED)
    write(
        photometric_answers(n_galaxy, library),
        spectral_answers(n_galaxy, library),
        controls(ssp, filters),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
