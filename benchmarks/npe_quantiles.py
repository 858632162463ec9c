"""How closely re-weighted masses agree with a library's where neither lacks draws.

``python -m benchmarks.npe_quantiles FOLDER [delayed_tau ...]`` fits the mocks of docs/npe.md
again, by the networks in the folder that ``benchmarks.npe_page`` keeps there, with 3,000 effective
draws and models instead of 300, and holds the SEDs that still differ to what neither uses: the
likelihood of other models, integrated over masses. Not one of the timed benchmarks; three minutes
for a form of history.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.npe_study import (
    EXACT_AT,
    LEARNT,
    TEST_SEED,
    fit_settings,
    mocks_at,
    problem,
    seds_from,
    snr_of,
    trained,
)
from benchmarks.npe_tables import CLOSE, half_width
from pxdask.core.schema import QUANTILES
from pxdask.fitting.npe import NpeFitter
from pxdask.fitting.rdsps import RdspsFitter
from pxdask.npe.mocks import at_redshift
from pxdask.sps.sampling import unit_points
from pxdask.sps.simulator import Simulator

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from benchmarks.npe_study import Problem
    from pxdask.npe.mocks import Mocks
    from pxdask.npe.network import Network

    Floats = NDArray[np.float64]

N_EFF = 3000.0
"""Effective draws, and models, of each SED."""

N_MODELS, N_OTHER = 1 << 20, 1 << 18
"""Models of the library, and of the integrals."""

N_SED = 200
"""Mocks of each redshift, as of docs/npe.md."""

_ROUNDS, _N_DRAWS = 20, 2000
"""Rounds at most, and draws of each."""

_LN_SCALE = np.linspace(-6.9, 2.5, 189)
"""Masses over the best of a model, as logarithms: three dex down, and up as far as they count."""

_GRID = np.linspace(2.0, 14.0, 6001)
"""log10 of masses at whose ends probabilities are added up [dex(Msun)]."""


def both_fits(
    chosen: Problem, network: Network, mocks: Mocks, *, redshift: float
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return fits of mocks by the network, re-weighted, and by a library, with enough draws."""
    settings, seds = chosen.settings, seds_from(mocks, chosen.settings)
    library = chosen.at(redshift, network, n_models=N_MODELS)
    npe = settings.npe.model_copy(
        update={
            "hand_over": "none", "reweight": True, "min_n_eff": N_EFF, "n_draws": _N_DRAWS,
            "max_rounds": _ROUNDS,
        }
    )  # fmt: skip
    refine = settings.refine.model_copy(update={"min_n_eff": N_EFF, "max_rounds": _ROUNDS})
    weighed = settings.model_copy(update={"npe": npe, "max_memory": 4.0})
    exact = settings.model_copy(update={"method": "rdsps", "refine": refine, "max_memory": 6.0})
    return (
        NpeFitter(weighed).prepare(library).fit(seds),
        RdspsFitter(exact).prepare(library).fit(seds),
    )


def integrated(chosen: Problem, mocks: Mocks, *, redshift: float) -> Floats:
    """Return quantiles (n_sed, n_quantile) of log mass, each mass counting by its own likelihood.

    Masses are even in the logarithm, as they are to a network; RDSPS weighs a model by the
    likelihood at its best mass.
    """
    simulator = Simulator(at_redshift(chosen.model_library, redshift))
    unit = unit_points("sobol", n_dim=simulator.n_dim, seed=TEST_SEED, start=0, stop=N_OTHER)
    pieces = [simulator.simulate(part) for part in np.split(unit, 8)]
    models = np.concatenate([piece.flux for piece in pieces]).astype(np.float64)
    surviving = np.concatenate([piece.derived["surviving"] for piece in pieces])
    found = np.empty((len(mocks), len(QUANTILES)))
    for k in range(len(mocks)):
        seen = np.isfinite(mocks.flux[k])
        data = mocks.flux[k, seen] / mocks.error[k, seen]
        scaled = models[:, seen] / mocks.error[k, seen]
        power = np.sum(scaled**2, axis=1)
        best = scaled @ data / power
        positive = best > 0
        best, power = best[positive], power[positive]
        # chi-square is that at the best mass and that of the distance from it
        ln_best = 0.5 * power * best**2
        ln_best -= ln_best.max()
        total = np.zeros(len(_GRID) - 1)
        for ln_scale in _LN_SCALE:
            weight = np.exp(ln_best - 0.5 * power * best**2 * np.expm1(ln_scale) ** 2)
            log_mass = np.log10(best * surviving[positive]) + ln_scale / np.log(10)
            total += np.histogram(log_mass, _GRID, weights=weight)[0]
        found[k] = np.interp(QUANTILES, np.cumsum(total) / total.sum(), _GRID[1:])
    return found


def report(chosen: Problem, network: Network) -> str:
    """Return how many SEDs agree, and what those are that do not."""
    lines, apart, widths = [], [], []
    for redshift in EXACT_AT:
        mocks = mocks_at(chosen, redshift, n=N_SED)
        weighed, exact = both_fits(chosen, network, mocks, redshift=redshift)
        off = weighed["log_mass"].values - exact["log_mass"].values
        apart.append(off)
        widths.append(half_width(exact, "log_mass"))
        rows = np.flatnonzero(np.any(np.abs(off) > CLOSE, axis=1))
        want = integrated(chosen, mocks.rows(rows), redshift=redshift)
        for row, truth in zip(rows.tolist(), want, strict=True):
            own = [fit["log_mass"].values[row] - truth for fit in (weighed, exact)]
            lines.append(
                f"z = {redshift:g}, {np.count_nonzero(np.isfinite(mocks.flux[row]))} bands, S/N"
                f" {snr_of(mocks)[row]:.1f}, width {widths[-1][row]:.2f} dex: from the integral"
                f" {np.round(own[0], 3)} re-weighted, {np.round(own[1], 3)} the library"
            )
    every = np.concatenate(apart)
    close = np.mean(np.all(np.abs(every) <= CLOSE, axis=1))
    near = np.mean(np.abs(every) <= 0.1 * np.concatenate(widths)[:, None])
    rms = np.sqrt(np.mean(every**2))
    first = f"{close:.1%} within {CLOSE} dex, {near:.1%} within 0.1 sigma, rms {rms:.4f} dex"
    return "\n".join([first, *lines])


if __name__ == "__main__":
    for form in sys.argv[2:] or ["delayed_tau", "dirichlet"]:
        kept = Path(sys.argv[1]) / f"npe-{form}-{LEARNT}.zarr.zip"
        made = problem(form, fit_settings(LEARNT))
        print(form, report(made, trained(made, kept=kept).network), sep="\n", flush=True)
