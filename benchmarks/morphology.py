"""Joint Sersic fits of three bands of 120 x 120 pixels on one core, linked by parabolas.

`sersic_map_per_hour`: stamps to best fit and covariance; `sersic_posterior_per_hour`: to 500 draws
and the Dataset; medians of the last hundred of 1,000 galaxies, in CPU time. Their baseline is
`pysersic_per_hour`: plain pysersic 0.1.5 in a loop (autoprior, FitSingle, FitMultiBandPoly, its
Laplace posterior), on three of the same galaxies, the first not counted; its own baseline is the
140 of the design. `sersic_first_s` and `sersic_first_kept_s`: the first galaxy of a new process,
without and with programs on disk, JAX's import included (baseline: pysersic's first);
`sersic_thousandth_s`: the thousandth. `sersic_memory_mb`: growth of the process from the
twentieth to the 520th fit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import psutil

from benchmarks.harness import Row, row
from benchmarks.morphology_mocks import BANDS, DEC, RA, Camera, draw_galaxy, observe
from pxdask.core.morphology import MorphologyConfig

if TYPE_CHECKING:
    import xarray as xr

N_GALAXY, N_LATE, N_FORM = 1000, 100, 6
MARK = 140.0
"""Galaxies an hour and core of plain pysersic, by the design's trials."""

_SIDE = 120
_CAMERAS = {"g": Camera(0.2, 0.85), "r": Camera(0.2, 0.75), "z": Camera(0.2, 0.68)}

_PYSERSIC = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import jax, numpy as np
from pysersic import FitSingle
from pysersic.loss import student_t_loss
from pysersic.multiband import FitMultiBandPoly
from pysersic.priors import autoprior
seconds = []
for path in sys.argv[1:]:
    begin = time.process_time()
    given = np.load(path)
    bands, fitters = list(given["bands"]), []
    for i in range(len(bands)):
        image, error, psf = (given[name][i].astype(np.float32) for name in ("flux", "error", "psf"))
        mask = np.zeros(image.shape)
        prior = autoprior(image, "sersic", mask, sky_type="flat")
        fitters.append(FitSingle(data=image, rms=error, psf=psf, prior=prior, mask=mask,
                                 loss_func=student_t_loss))
    wave = given["wave"]
    joint = FitMultiBandPoly(fitter_list=fitters, wavelengths=wave, band_names=bands,
                             linked_params=["n", "ellip", "r_eff"],
                             const_params=["xc", "yc", "theta"], poly_order=2,
                             wv_to_save=np.linspace(wave[0], wave[-1], 50))
    joint.estimate_posterior(method="laplace", rkey=jax.random.PRNGKey(1))
    seconds.append(time.process_time() - begin)
print(json.dumps(seconds))
"""


def measure(n_galaxy: int = N_GALAXY) -> list[Row]:
    """Time fits of the own engine and of pysersic."""
    config = MorphologyConfig()
    forms = [_galaxy(i) for i in range(N_FORM)]
    theirs = pysersic_seconds(forms[:3])
    per_hour = 3600 / median(theirs[1:])
    with tempfile.TemporaryDirectory() as cache:
        first = [_first(cache), _first(cache)]
    fits, datasets, growth = _loop(forms, config, n_galaxy)
    fit_rate, full_rate = (3600 / median(each[-N_LATE:]) for each in (fits, datasets))
    return [
        row("sersic_map_per_hour", fit_rate, "1/h", baseline=per_hour, goal=">= 4000"),
        row("sersic_posterior_per_hour", full_rate, "1/h", baseline=per_hour),
        row("sersic_first_s", first[0], "s", baseline=theirs[0]),
        row("sersic_first_kept_s", first[1], "s", baseline=theirs[0]),
        row("sersic_thousandth_s", datasets[-1], "s", baseline=median(theirs[1:])),
        row("sersic_memory_mb", growth, "MB", baseline=200.0, goal="<= 200"),
        row("pysersic_per_hour", per_hour, "1/h", baseline=MARK),
    ]


def pysersic_seconds(galaxies: list[dict[str, xr.Dataset]]) -> list[float]:
    """Return what plain pysersic takes for each galaxy, in a process of its own [CPU s]."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i, stamps in enumerate(galaxies):
            paths.append(f"{folder}/{i}.npz")
            planes = {
                name: np.stack([each[source].values for each in stamps.values()])
                for name, source in (("flux", "flux"), ("error", "flux_err"), ("psf", "psf"))
            }
            wave = np.array([BANDS[band] for band in stamps]) / 1e4
            np.savez(paths[-1], bands=list(stamps), wave=wave, **planes)
        told = subprocess.run(  # noqa: S603  our own script
            [sys.executable, "-W", "ignore", "-c", _PYSERSIC, *paths],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    seconds: list[float] = json.loads(told.stdout.splitlines()[-1])
    return seconds


def _galaxy(number: int) -> dict[str, xr.Dataset]:
    """Return the stamps of a mock galaxy."""
    rng = np.random.default_rng([11, number])
    truths = draw_galaxy(rng, list(_CAMERAS), radius=(1.0, 2.0))
    largest = max(each.r_eff for each in truths.values())
    reach = _SIDE * 0.2 / 2 / largest
    return observe(truths, _CAMERAS, snr=100.0, rng=rng, half_side=reach)


def _loop(
    forms: list[dict[str, xr.Dataset]], config: MorphologyConfig, n_galaxy: int
) -> tuple[list[float], list[float], float]:
    """Return CPU seconds to the fit and to the Dataset, and the growth of memory [MB]."""
    from pxdask.morphology.fit import fit_scenes  # noqa: PLC0415  after the thread settings
    from pxdask.morphology.posterior import sample_posterior  # noqa: PLC0415
    from pxdask.morphology.results import to_dataset  # noqa: PLC0415
    from pxdask.morphology.scene import make_scene  # noqa: PLC0415

    fits, datasets, memory = [], [], []
    for i in range(n_galaxy):
        rng = np.random.default_rng(i)
        stamps = {band: _noisier(each, rng) for band, each in forms[i % len(forms)].items()}
        begin = time.process_time()
        scene = make_scene(stamps, ra=RA, dec=DEC, config=config, galaxy={"id": str(i)})
        found = fit_scenes([scene], config=config, rngs=[rng])[0]
        fits.append(time.process_time() - begin)
        posterior = sample_posterior(scene, found, config=config, rng=rng)
        to_dataset(found, posterior, scene, config)
        datasets.append(time.process_time() - begin)
        memory.append(psutil.Process().memory_info().rss / 1e6)
    return fits, datasets, memory[min(519, n_galaxy - 1)] - memory[min(19, n_galaxy - 1)]


def _noisier(stamp: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Return a stamp with other noise: a tenth more of it."""
    error = stamp["flux_err"].values
    flux = stamp["flux"].values + rng.normal(0.0, 0.45 * error)
    return stamp.assign(
        flux=stamp["flux"].copy(data=flux.astype(np.float32)),
        flux_err=stamp["flux_err"].copy(data=(1.1 * error).astype(np.float32)),
    )


def _first(cache: str) -> float:
    """Return the CPU seconds to the first galaxy's Dataset in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.morphology", "first"],
        capture_output=True, text=True, check=True, env={**os.environ, "PXDASK_CACHE": cache},
    )  # fmt: skip
    return float(told.stdout.splitlines()[-1])


def _report_first() -> None:
    """Print the CPU seconds of the first galaxy."""
    print(_loop([_galaxy(0)], MorphologyConfig(), 1)[1][0])


if __name__ == "__main__":
    if sys.argv[1:] == ["first"]:
        _report_first()
    else:
        for each in measure(int(sys.argv[1]) if sys.argv[1:] else N_GALAXY):
            print(f"{each.name:28} {each.value:10.4g} {each.unit:4} baseline {each.baseline:.4g}")
