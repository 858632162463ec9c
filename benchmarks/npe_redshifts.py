"""How well any test of one SED could tell a redshift that is wrong by 1.

``python -m benchmarks.npe_redshifts delayed_tau`` (or another form of history) computes the
evidences of mocks at the redshift said, at the two that are 1 apart, and of all redshifts
together, as sums over models drawn from the priors: nothing is learnt. Two ratios are tried: all
redshifts over the one said, which is best against any other one; and the mean of the two that are 1
apart over the one said, which is best against these alone (Neyman & Pearson 1933, Phil. Trans. A
231, 289). Not one of the timed benchmarks; some minutes.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from benchmarks.npe_study import (
    BINS,
    EXACT_AT,
    LEARNT,
    RANGE,
    TEST_SEED,
    fit_settings,
    problem,
    snr_of,
)
from pxdask.kernels.closest import closeness
from pxdask.npe.mocks import at_redshift, make_mocks
from pxdask.sps.sampling import unit_points
from pxdask.sps.simulator import Simulator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.npe_study import Problem
    from pxdask.npe.mocks import Mocks
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

N_ALL, N_ONE = 1 << 21, 1 << 17
"""Models of all redshifts, and of one."""

_PIECE = 1 << 16
"""Models made at a time."""

N_SED = 120
"""Mocks of each redshift."""

ALARMS = (0.03, 0.05)
"""Parts of the good SEDs that are called odd."""


@dataclass(frozen=True, eq=False)
class Ratios:
    """Logarithms of ratios of evidences (n_sed,): the greater, the odder the redshift said.

    Attributes
    ----------
    snr : (n_sed,) float64
        Median of the bands.
    others : (n_sed,) float64
        All redshifts over the one said.
    neighbours : (n_sed,) float64
        The two that are 1 apart, or the one that is in range, over the one said.
    """

    snr: Floats
    others: Floats
    neighbours: Floats


def models_of(library: ModelLibrary, n: int) -> NDArray[np.float32]:
    """Return fluxes (n, n_band) [uJy Msun-1] of models drawn from the priors."""
    simulator = Simulator(library)
    unit = unit_points("sobol", n_dim=simulator.n_dim, seed=TEST_SEED, start=0, stop=n)
    if "redshift" in simulator.names:
        unit = unit[np.argsort(unit[:, simulator.names.index("redshift")])]
    pieces = np.split(unit, range(_PIECE, n, _PIECE))
    return np.concatenate([simulator.simulate(piece).flux for piece in pieces])


def ln_evidence(mocks: Mocks, models: NDArray[np.float32]) -> Floats:
    """Return ln evidences (n_sed,), masses being even in the logarithm.

    But for what all redshifts share. Integrals over masses are those of the Gaussian in the
    amplitude at its best: good to a per cent where the SED's S/N of all bands is 10.
    """
    seen = np.isfinite(mocks.error)
    inverse = np.where(seen, 1 / np.where(seen, mocks.error, 1.0), 0.0)
    data = np.where(seen, mocks.flux, 0.0) * inverse
    sed, found = np.zeros(len(models), np.intp), np.empty(len(mocks))
    for k in range(len(mocks)):
        near = closeness(data[k : k + 1], inverse[k : k + 1], models, sed=sed)
        with np.errstate(divide="ignore", invalid="ignore"):
            width = np.log(2 * math.pi / (near.weight * near.scale**2))
        found[k] = logsumexp(np.where(near.scale > 0, 0.5 * (width - near.chi2), -np.inf))
    return found - math.log(len(models))


def ratios(chosen: Problem) -> tuple[list[Ratios], list[Ratios]]:
    """Return ratios of SEDs whose redshifts are right, and of the same where they are not."""
    every = models_of(chosen.model_library, N_ALL)
    one: dict[float, NDArray[np.float32]] = {}
    right: list[Ratios] = []
    wrong: list[Ratios] = []
    for truth in EXACT_AT:
        library = at_redshift(chosen.model_library, truth)
        made = make_mocks(
            library, chosen.noise, n=5 * N_SED, seed=TEST_SEED + round(1000 * truth),
            settings=chosen.settings, points="random",
        )  # fmt: skip
        snr = snr_of(made)
        inside = (snr >= BINS[0][0]) & (snr < BINS[-1][1])
        mocks = made.rows(np.flatnonzero(inside)[:N_SED])
        places = [z for z in truth + np.arange(-2.0, 3.0) if RANGE[0] <= z <= RANGE[1]]
        for z in places:
            if z not in one:
                one[z] = models_of(at_redshift(chosen.model_library, z), N_ONE)
        at = {z: ln_evidence(mocks, one[z]) for z in places}
        total = ln_evidence(mocks, every)
        for said in (z for z in places if abs(z - truth) <= 1):
            beside = np.array([at[z] for z in (said - 1, said + 1) if z in at])
            others = logsumexp(beside, axis=0) - math.log(len(beside))
            found = Ratios(snr_of(mocks), total - at[said], others - at[said])
            (right if said == truth else wrong).append(found)
    return right, wrong


def report(right: list[Ratios], wrong: list[Ratios]) -> str:
    """Return the parts of wrong redshifts that are called odd, in bins of S/N."""
    bins, lines = (*BINS, (BINS[0][0], BINS[-1][1])), []
    snr = np.concatenate([each.snr for each in wrong])
    for name in ("others", "neighbours"):
        good = np.concatenate([getattr(each, name) for each in right])
        bad = np.concatenate([getattr(each, name) for each in wrong])
        for part in ALARMS:
            odd = bad > np.quantile(good, 1 - part)
            cells = [
                f"S/N {low:.0f}-{high:.0f} {np.mean(odd[(snr >= low) & (snr < high)]):.3f}"
                for low, high in bins
            ]
            lines.append(f"{name:10} at {part:.0%} of false alarms: {', '.join(cells)}")
    return "\n".join(lines)


if __name__ == "__main__":
    for form in sys.argv[1:] or ["delayed_tau", "dirichlet"]:
        print(form, flush=True)
        print(report(*ratios(problem(form, fit_settings(LEARNT)))), flush=True)
