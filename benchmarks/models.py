"""Models per second, at a new redshift, on one core.

`models_1e6_cpu_s`: photometry of 1e6 models in 12 bands, FUV to W4, with nebulae, dust attenuation
(half Calzetti, half Charlot & Fall) and dust emission, a fifth of them of each of the five star
formation histories with an equation. Its baseline makes each model's whole spectrum and integrates
it through the filters. `spectra_*`: rest-frame spectra per second with all of these ingredients at
1,350, 5,436 and 13,216 wavelengths, against the matrix product that the stars alone cost.
`model_us`: microseconds of one model of the first row, against one spectrum of python-fsps and one
SED of bagpipes (at its default resolution), timed in the same run where they are installed.
`models_1e7_peak_mb`: peak memory of a process that writes a set of 1e7 such models to disk, against
the size of the set.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.harness import Row, cpu_seconds, row
from benchmarks.peers import bagpipes_seconds, fsps_seconds
from pxdask.core.models import ModelConfig
from pxdask.io.filters import load_filters
from pxdask.sps import PhotometryEngine, SpectrumEngine, parameter, synthetic_ssp
from pxdask.survey.products import ssp_dataset

FILTERS = (
    "galex_fuv", "galex_nuv", "sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z",
    "2mass_j", "2mass_h", "2mass_k", "wise_w1", "wise_w4",
)  # fmt: skip
FORMS = ("tau", "delayed_tau", "lognormal", "gaussian", "double_power_law")
LAWS = ("calzetti", "charlot_fall")
REDSHIFT = 0.1
N_MODEL = 1_000_000
N_FULL = 300
N_BIG = 10_000_000
SPECTRAL = (1350, 5436, 13216)


def settings_of(sfh: str, dust: str) -> ModelConfig:
    """Return models with nebulae, dust attenuation and dust emission."""
    return ModelConfig(sfh=sfh, dust=dust, dust_emission=True)


def draws(n: int, engine: PhotometryEngine) -> dict[str, np.ndarray]:
    """Return parameters drawn evenly from the registry's ranges."""
    rng = np.random.default_rng(1)
    values = {}
    for name in engine.parameters:
        least, most = engine.limits(name)
        low, high = max(parameter(name).low, least), min(parameter(name).high, most)
        values[name] = rng.uniform(low, high, n)
    return values


def photometry() -> list[Row]:
    """Time the fast path, its set-up, and full spectra through the filters."""
    ssp, filters = ssp_dataset("bc03"), load_filters(FILTERS)
    fast, full, setup = 0.0, 0.0, []
    share = 1 / (len(FORMS) * len(LAWS))
    for sfh in FORMS:
        for dust in LAWS:
            settings = settings_of(sfh, dust)

            def engine(settings: ModelConfig = settings) -> PhotometryEngine:
                return PhotometryEngine(ssp, filters, redshift=REDSHIFT, settings=settings)

            made = engine()
            setup.append(cpu_seconds(engine, repeats=1))
            many, few = draws(int(N_MODEL * share), made), draws(N_FULL, made)
            fast += cpu_seconds(lambda made=made, many=many: made.flux(many), repeats=1)
            slow = cpu_seconds(lambda made=made, few=few: made.exact_flux(few), repeats=1)
            full += slow * N_MODEL * share / N_FULL
    return [
        row("models_1e6_cpu_s", fast, "s", baseline=full, goal="<= 4"),
        row("models_setup_s", max(setup), "s", baseline=0.3, goal="<= 0.3"),
    ]


def spectra(n_wave: int) -> Row:
    """Return full spectra per second, against the matrix products of the stars alone."""
    ssp = synthetic_ssp(n_wave=n_wave)
    settings = settings_of("delayed_tau", "charlot_fall")
    made = SpectrumEngine(ssp, settings=settings)
    n_model = 2000
    drawn = draws(n_model, PhotometryEngine(ssp, (), redshift=REDSHIFT, settings=settings))
    seconds = cpu_seconds(lambda: made.spectrum(drawn), repeats=1)
    stars = np.ascontiguousarray(ssp["flux"].values[:2].reshape(-1, n_wave))
    weights = np.random.default_rng(0).random((256, stars.shape[0]), dtype=np.float32)
    floor = cpu_seconds(lambda: weights @ stars) / 256
    return row(f"spectra_{n_wave}_per_s", n_model / seconds, "1/s", baseline=1 / floor)


def against_peers(seconds: float) -> list[Row]:
    """Return one model's time against what other programs take for one."""
    peers = {
        "fsps": fsps_seconds(settings_of("delayed_tau", "calzetti")),
        "bagpipes": bagpipes_seconds(FILTERS),
    }
    return [
        row(f"model_us_to_{name}", 1e6 * seconds, "us", baseline=1e6 * theirs)
        for name, theirs in peers.items()
        if theirs is not None
    ]


def big_set() -> Row:
    """Return the peak memory of writing 1e7 models, in a process of its own."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "models.zarr"
        config = Path(__file__).parents[1] / "catalogs" / "demo.yaml"
        command = [sys.executable, "-m", "pxdask", "models", "build", config, "--out", out]
        choices = ["--redshift", REDSHIFT, "--n-models", N_BIG, "--workers", 1]
        run = [str(word) for word in (*command, *choices)]
        subprocess.run(run, check=True, capture_output=True)  # noqa: S603  our own program
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return row("models_1e7_peak_mb", peak, "MB", baseline=size / 2**20)


def measure() -> list[Row]:
    """Time photometry, spectra, and other programs; weigh a big set."""
    big = big_set()  # first: the peak is that of the largest child process so far
    fast, setup = photometry()
    peers = against_peers(fast.value / N_MODEL)
    return [fast, setup, *(spectra(n_wave) for n_wave in SPECTRAL), *peers, big]
