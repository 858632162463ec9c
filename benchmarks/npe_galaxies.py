"""How well the SEDs of a galaxy together tell a redshift that is wrong by 1.

`pxdask.fitting.npe_redshift` sums what each SED tells. Galaxies here have 5 to 50 SEDs of one
redshift, of four kinds: of a different model each; all of one model, the extreme of what real ones
are, with the same bands; of different models, a fifth of them with one band that is wrong by 10,
all at S/N 2-30; and of different models below S/N 2. Half a minute, as nothing is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.npe_study import BINS, RANGE, mocks_at, snr_of, spoil
from pxdask.core.errors import ConfigError
from pxdask.core.random import stream
from pxdask.fitting.npe_redshift import LIMIT, shared_ratio
from pxdask.npe.mocks import at_redshift, make_mocks, noisy
from pxdask.sps.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from benchmarks.npe_study import Problem
    from pxdask.npe.network import Network
    from pxdask.npe.redshift_check import RedshiftCheck

    Floats = NDArray[np.float64]

SEED = 4711
"""Of galaxies, as of nothing else."""

SIZES = (5, 10, 20, 50)
"""SEDs of a galaxy."""

N_LARGEST, N_SED = 40, 100
"""Models of each redshift, and SEDs of each model where they share one: `SIZES` divide them."""

REDSHIFTS = tuple((RANGE[0] + 0.25 * (np.arange(20) + 0.5)).tolist())
"""Of galaxies."""

SPOILT = 0.2
"""Part of the SEDs that have a wrong band, of the galaxies that have any."""

KINDS = ("different models", "one model", "a fifth of the SEDs spoilt", "S/N below 2")


@dataclass(frozen=True, eq=False)
class Pool:
    """Ratios of SEDs of one redshift, ``(N_LARGEST, N_SED)``, those of a model in one row.

    Attributes
    ----------
    right : Floats
        At their redshift.
    wrong : tuple of Floats
        At those that are 1 off and within the range.
    """

    right: Floats
    wrong: tuple[Floats, ...]


def pool_of(check: RedshiftCheck, flux: Floats, error: Floats, *, redshift: float) -> Pool:
    """Return what SEDs (n, n_band) of a redshift tell of it and of those 1 off."""
    said = [z for z in (redshift - 1, redshift + 1) if RANGE[0] <= z <= RANGE[1]]
    right, *wrong = (
        check.ln_density(flux, error, redshift=np.full(len(flux), z)).reshape(N_LARGEST, N_SED)
        for z in (redshift, *said)
    )
    return Pool(right, tuple(wrong))


def seds_of_one_model(chosen: Problem, redshift: float) -> tuple[Floats, Floats]:
    """Return SEDs (n, n_band) of some models, `N_SED` of each, and their whole errors [uJy]."""
    rng = stream(SEED, "one model", round(1000 * redshift))
    simulator, noise = Simulator(at_redshift(chosen.model_library, redshift)), chosen.noise
    models = simulator.simulate(rng.random((N_LARGEST, simulator.n_dim))).flux
    has = np.isfinite(noise.background(N_LARGEST, rng))
    every = replace(noise, patterns=np.ones((1, has.shape[1]), np.bool_), shares=np.ones(1))
    low, high = BINS[0][0], BINS[-1][1]
    flux, error = [], []
    for model, seen in zip(models, has, strict=True):
        n = 4 * N_SED
        background = np.where(seen, every.background(n, rng), np.nan)
        snr = low * (high / low) ** rng.random((n, 1))
        truth = model * snr * np.nanmedian(background / model, axis=1, keepdims=True)
        one, sigma = noisy(
            truth,
            background=background,
            photon=noise.photons(n, rng),
            systematic_error=chosen.settings.systematic_error,
            deviate=rng.standard_normal(truth.shape),
            uniform=rng.random(truth.shape),
        )
        found = np.nanmedian(one / sigma, axis=1)
        inside = np.flatnonzero((found >= low) & (found < high))[:N_SED]
        flux.append(one[inside])
        error.append(sigma[inside])
    return np.concatenate(flux), np.concatenate(error)


def pools(chosen: Problem, network: Network) -> dict[str, list[Pool]]:
    """Return SEDs of each kind of galaxy, at each of `REDSHIFTS`.

    Raises
    ------
    ConfigError
        If the network has no check of redshifts.
    """
    check = network.redshift_check
    if check is None:
        raise ConfigError("the network has no check of redshifts; wanted one of a range of them")
    found: dict[str, list[Pool]] = {kind: [] for kind in KINDS}
    for redshift in REDSHIFTS:
        mocks = mocks_at(chosen, redshift, n=N_LARGEST * N_SED, seed=SEED + round(1000 * redshift))
        bad = spoil(mocks, chosen)["band off by 10"]
        chance = stream(SEED, "spoilt", round(1000 * redshift)).random((len(mocks), 1)) < SPOILT
        bad_error = np.hypot(bad.flux_err, chosen.settings.systematic_error * bad.flux)
        many = make_mocks(
            at_redshift(chosen.model_library, redshift), chosen.noise, n=4 * N_LARGEST * N_SED,
            seed=SEED + round(1000 * redshift), settings=chosen.settings, points="random",
        )  # fmt: skip
        faint = many.rows(np.flatnonzero(snr_of(many) < BINS[0][0])[: N_LARGEST * N_SED])
        seds = (
            (mocks.flux, mocks.error),
            seds_of_one_model(chosen, redshift),
            (np.where(chance, bad.flux, mocks.flux), np.where(chance, bad_error, mocks.error)),
            (faint.flux, faint.error),
        )
        for kind, (flux, error) in zip(KINDS, seds, strict=True):
            found[kind].append(pool_of(check, flux, error, redshift=redshift))
    return found


def called(ratios: Floats, *, n: int) -> float:
    """Return the part of galaxies of ``n`` SEDs whose redshift is called odd."""
    return float(np.mean([shared_ratio(one) < LIMIT for one in ratios.reshape(-1, n)]))


def called_of(some: Sequence[Pool], *, n: int) -> tuple[float, float]:
    """Return the parts of galaxies called odd whose redshift is 1 off, and of those with theirs."""
    wrong = np.concatenate([np.ravel(ratios) for pool in some for ratios in pool.wrong])
    right = np.concatenate([np.ravel(pool.right) for pool in some])
    return called(wrong, n=n), called(right, n=n)


def galaxy_table(found: Mapping[str, Mapping[str, Sequence[Pool]]]) -> str:
    """Return the parts of galaxies called odd, of forms of history and kinds of galaxies."""
    heads = [f"{form}, {which}" for form in found for which in ("1 off", "right")]
    lines = ["| galaxies of | SEDs | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for kind in KINDS:
        for n in SIZES:
            each = [called_of(some[kind], n=n) for some in found.values()]
            cells = [f"{part:.1%}" for pair in each for part in pair]
            lines.append(f"| {kind} | {n} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
