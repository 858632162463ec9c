"""Amortised posteriors of pixels of 19 bands on one core: 500 draws of 7 parameters.

`npe_pixels_per_s_core`: draws and their densities, many pixels in one call; the baseline is what
the published code (SBIPIX, sbi's masked autoregressive flow) logs, 31.9 pixels a second.
`npe_plain_pixels_per_s_core` and `npe_fit_pixels_per_s_core`: whole fits, with derived quantities,
quantiles and the score of outliers; the second weighs draws by the exact likelihood.
`npe_rdsps_pixels_per_s_core`: RDSPS with 65,536 models on the same pixels. `npe_train_wall_s`: the
training with its mocks, on this machine's cores; the baseline is CPU seconds of sbi's flow (5
layers of 128, 652 s for 90,000 mocks). `npe_mocks_cpu_s`: as many mocks once; the baseline is a
second for 100,000. The rest is accuracy of the same fits at S/N 5 to 30: `npe_*_sigma_mass` is the
robust scatter of log mass [dex], `npe_*_coverage` the part of true masses within 68 % intervals;
their baselines are RDSPS's.

``python -m benchmarks npe`` trains with `N_MOCK` mocks that come again eight times;
``python -m benchmarks.npe 1000000`` prints the same with a million, and 32000000 that of a survey.
"""

from __future__ import annotations

import sys
from time import process_time
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.harness import Row, cpu_seconds, row
from benchmarks.npe_study import draws_of, fit_settings, fitters, problem, seds_from, trained
from pxdask.npe.calibration import scatter
from pxdask.npe.mocks import make_mocks
from pxdask.sps.simulator import Simulator

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.config import FitConfig
    from pxdask.npe.mocks import Mocks
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

N_MOCK, N_SED, N_DRAWS = 100_000, 512, 500
N_MODEL = 65536
REDSHIFT = 3.0
PUBLISHED = 31.9
"""Pixels a second with 500 samples."""

PUBLISHED_TRAINING = 652 / 90_000
"""CPU seconds of the training of a flow like the published one, for each of 90,000 mocks."""


def measure(n_mocks: int = N_MOCK) -> list[Row]:
    """Time training, draws and fits; compare with RDSPS."""
    settings = fit_settings(n_mocks, snr=(5.0, 30.0), n_draws=N_DRAWS)
    chosen = problem("delayed_tau", settings, dust="charlot_fall")
    made = trained(chosen)
    begin = process_time()
    make_mocks(chosen.model_library, chosen.noise, n=n_mocks, seed=4, settings=settings)
    mock_seconds = process_time() - begin
    library = chosen.at(REDSHIFT, made.network, n_models=N_MODEL)
    mocks = make_mocks(
        library, chosen.noise, n=2 * N_SED, seed=3, settings=settings,
        points="random",
    )  # fmt: skip
    mocks = mocks.rows(slice(N_SED))
    time = cpu_seconds(lambda: draws_of(made.network, mocks, n_draws=N_DRAWS, redshift=REDSHIFT))
    rows = [
        row("npe_pixels_per_s_core", N_SED / time, "1/s", baseline=PUBLISHED, goal=">= 1000"),
        row("npe_train_wall_s", made.seconds, "s", baseline=PUBLISHED_TRAINING * n_mocks),
        row("npe_mocks_cpu_s", mock_seconds, "s", baseline=n_mocks / 1e5),
        row("npe_targets", len(made.network.names) + 1, "1", baseline=7.0, goal=">= 7"),
    ]
    return [*rows, *_fits(library, mocks, chosen.settings)]


def _fits(library: ModelLibrary, mocks: Mocks, settings: FitConfig) -> list[Row]:
    """Return speed and accuracy of fits by the network and by RDSPS."""
    surviving = Simulator(library).simulate(mocks.unit).derived["surviving"]
    truth = mocks.log_mass + np.log10(surviving)
    seds, figures = seds_from(mocks, settings), {}
    for name, fitter in fitters(settings, min_n_eff=0.0).items():
        prepared = fitter.prepare(library)
        prepared.fit(seds.rows(0, 2))  # compiles
        start = process_time()
        fit = prepared.fit(seds)
        figures[name] = (N_SED / (process_time() - start), *_accuracy(fit, truth))
    rate, sigma, covered = figures["exact"]
    rows = [row("npe_rdsps_pixels_per_s_core", rate, "1/s", baseline=rate)]
    for name, label in (("plain", "npe_plain"), ("weighed", "npe_fit")):
        own = figures[name]
        rows += [
            row(f"{label}_pixels_per_s_core", own[0], "1/s", baseline=rate),
            row(f"{label}_sigma_mass", own[1], "dex", baseline=sigma),
            row(f"{label}_coverage", own[2], "1", baseline=covered),
        ]
    return rows


def _accuracy(fit: xr.Dataset, truth: Floats) -> tuple[float, float]:
    """Return scatter of log mass, and the part of truths within 68 % intervals."""
    low, middle, high = fit["log_mass"].transpose("quantile", ...).values
    return float(scatter(middle, truth)), float(np.mean((truth >= low) & (truth <= high)))


if __name__ == "__main__":
    for each in measure(int(sys.argv[1]) if sys.argv[1:] else N_MOCK):
        print(f"{each.name:32} {each.value:10.4g} {each.unit:4} baseline {each.baseline:.4g}")
