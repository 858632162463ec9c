"""Mocks of 19 bands as JADES has them, a network, and what is to be compared with it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.config import FitConfig
from pxdask.core.fits import NpeConfig
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.core.random import stream
from pxdask.fitting.npe import NpeFitter
from pxdask.fitting.npe_limits import with_limits
from pxdask.fitting.rdsps import RdspsFitter
from pxdask.io.filters import load_filters
from pxdask.io.stores import publish, read
from pxdask.npe.calibration import ranks
from pxdask.npe.mocks import Mocks, at_redshift, make_mocks
from pxdask.npe.network import Network
from pxdask.npe.noise import NoiseModel
from pxdask.npe.redshift_training import with_redshift_check
from pxdask.npe.training import train
from pxdask.sps.libraries import make_library
from pxdask.sps.simulator import Simulator
from pxdask.survey.products import ssp_dataset
from pxdask.testing import seds_of

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.fitting.seds import Seds
    from pxdask.npe.network import Draws
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

SEED, TEST_SEED = 1, 11
RANGE = (1.0, 6.0)
"""Redshifts that networks are trained for."""

DEPTHS = {
    "acs_wfc_f435w": 1.2e-4, "acs_wfc_f606w": 8.8e-5, "acs_wfc_f775w": 2.0e-4,
    "acs_wfc_f814w": 1.1e-4, "acs_wfc_f850lp": 2.1e-4, "jwst_f090w": 5.6e-5,
    "jwst_f115w": 5.1e-5, "jwst_f150w": 4.9e-5, "jwst_f162m": 5.6e-5, "jwst_f182m": 3.3e-5,
    "jwst_f200w": 4.8e-5, "jwst_f210m": 4.0e-5, "jwst_f250m": 2.8e-5, "jwst_f277w": 1.7e-5,
    "jwst_f300m": 1.9e-5, "jwst_f335m": 1.9e-5, "jwst_f356w": 1.7e-5, "jwst_f410m": 2.5e-5,
    "jwst_f444w": 2.3e-5,
}  # fmt: skip
"""Errors of pixels of 0.03 arcsec in the JADES cut-outs of catalogs/jades-jof.yaml [uJy]: the
median of the sigma images or the scatter of empty sky, the greater; of ACS the latter, as the
sigma images of ACS are 15 times too large."""

PHOTON = 0.012
"""Variance over flux of NIRCam's sigma images there, in units of the depth [1]."""

WITHOUT_ACS, WITHOUT_MEDIUM = 0.15, 0.25
"""Parts of the mocks without ACS, or without half of the medium bands, as at a survey's edge."""

LEARNT = NpeConfig().n_mocks
"""Mocks that a training passes through, those that come again counted again."""

EXACT_AT = (1.5, 2.5, 3.5, 4.5, 5.5)
"""Redshifts of the mocks that are fitted by dense libraries."""

N_DENSE = 1 << 18
"""Models of each of these."""

BINS = ((2.0, 5.0), (5.0, 10.0), (10.0, 30.0))
"""Of S/N: the median of the bands that an SED has."""

STAR_KELVIN = (2500.0, 12000.0)
"""Temperatures of stars, which are black bodies here."""


def fit_settings(n_mocks: int, **npe: object) -> FitConfig:
    """Return settings of the study; few mocks are learnt from again, up to eight times."""
    epochs = int(np.clip(LEARNT // n_mocks, 1, 8))
    given = {"n_mocks": n_mocks, "max_epochs": epochs, "redshift": RANGE, **npe}
    return FitConfig(method="npe", npe=given)


def jades_noise(bands: tuple[str, ...]) -> NoiseModel:
    """Return the noise of JADES: real depths, exposures that differ by a fifth, missing bands."""
    n_band = len(bands)
    depth = np.array(list(DEPTHS.values()))
    acs = np.array([name.startswith("acs") for name in DEPTHS])
    medium = np.array([name.endswith("m") for name in DEPTHS])
    patterns = np.stack([np.ones(n_band, bool), ~acs, ~(medium & (np.arange(n_band) % 2 == 0))])
    shares = np.array([1 - WITHOUT_ACS - WITHOUT_MEDIUM, WITHOUT_ACS, WITHOUT_MEDIUM])
    covariance = 0.2**2 * np.ones((n_band, n_band)) + 0.08**2 * np.eye(n_band)
    return NoiseModel(bands, depth, covariance, PHOTON * depth, 0.0, patterns, shares)


@dataclass(frozen=True, eq=False)
class Problem:
    """Models of one form of history, and data like JADES.

    Attributes
    ----------
    model_library : ModelLibrary
        Of all redshifts.
    noise : NoiseModel
        Of pixels.
    settings : FitConfig
        Of fit and training.
    """

    model_library: ModelLibrary
    noise: NoiseModel
    settings: FitConfig

    def at(self, redshift: float, network: Network, *, n_models: int = N_DENSE) -> ModelLibrary:
        """Return the models of one redshift, with a network."""
        settings = self.model_library.settings.model_copy(update={"n_models": n_models})
        library = at_redshift(replace(self.model_library, settings=settings), redshift)
        return replace(library, network=network.to_dataset)


def problem(sfh: str, settings: FitConfig, **models: object) -> Problem:
    """Return the models of a form of history, with redshifts in the range of the settings."""
    low, high = settings.npe.redshift or RANGE
    priors = {"redshift": {"low": low, "high": high}}
    config = ModelConfig(sfh=sfh, priors=priors, **models)
    filters = load_filters(tuple(DEPTHS))
    library = make_library(ssp_dataset("bc03"), filters, settings=config, redshift=None, seed=SEED)
    return Problem(library, jades_noise(library.bands), settings)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network, and the seconds that its training took: of the clock, and of the CPU.

    They are NaN where it was trained before.
    """

    network: Network
    seconds: float
    cpu_seconds: float


def trained(chosen: Problem, *, kept: Path | None = None) -> Trained:
    """Return the network of a problem, that in a file where it is, which is written where not.

    A training that was broken off goes on from the states beside the file.
    """
    if kept is not None and kept.exists():
        return Trained(Network.from_dataset(read(kept)), np.nan, np.nan)
    cpu, start = time.process_time(), time.perf_counter()
    network = train(
        chosen.model_library, noise=chosen.noise, settings=chosen.settings, seed=SEED,
        checkpoint=kept,
        progress=lambda at: print(f"  {at.done} {at.loss:.3f} {at.held_loss:.3f}", flush=True),
    )  # fmt: skip
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - start
    network = with_limits(with_redshift_check(network, chosen.model_library), chosen.model_library)
    if kept is not None:
        publish(network.to_dataset(), kept)
    return Trained(network, seconds, cpu)


def test_mocks(chosen: Problem, n: int) -> Mocks:
    """Return mocks that the network has not seen."""
    return make_mocks(
        chosen.model_library, chosen.noise, n=n, seed=TEST_SEED, settings=chosen.settings,
        points="random",
    )  # fmt: skip


def draws_of(
    network: Network, mocks: Mocks, *, n_draws: int, redshift: float = 0.0, first: int = 0
) -> Draws:
    """Return draws of mocks, the first of which has a number in a longer row."""
    rngs = [stream(TEST_SEED, "draws", first + k) for k in range(len(mocks))]
    z = np.full(len(mocks), redshift) if mocks.redshift is None else mocks.redshift
    return network.draw(mocks.flux, mocks.error, redshift=z, rngs=rngs, n_draws=n_draws)


def truth_of(mocks: Mocks) -> Floats:
    """Return what mocks were made of (n, n_dim + 1): points of the cube, and log mass formed."""
    return np.column_stack([mocks.unit, mocks.log_mass])


def joined(draws: Draws) -> Floats:
    """Return draws (n, n_draws, n_dim + 1) in the order of `truth_of`."""
    return np.concatenate([draws.unit, draws.log_mass[..., None]], axis=-1)


def snr_of(mocks: Mocks) -> Floats:
    """Return the median S/N of the bands that an SED has."""
    return np.asarray(np.nanmedian(mocks.flux / mocks.error, axis=1))


def seds_from(mocks: Mocks, settings: FitConfig, *, flux: Floats | None = None) -> Seds:
    """Return mocks as they are fitted: errors without the systematic part that a fit adds."""
    variance = mocks.error**2 - (settings.systematic_error * mocks.flux) ** 2
    return seds_of(mocks.flux if flux is None else flux, np.sqrt(variance))


@dataclass(frozen=True, eq=False)
class Fits:
    """Mocks of one redshift, fitted.

    Attributes
    ----------
    mocks : Mocks
        Without SEDs beyond the S/N compared.
    truth : dict of (n,) float64
        Of the results' names.
    plain, weighed, exact : Dataset
        By the network alone, its draws weighed by the likelihood, and a dense library.
    outliers : dict of Dataset
        Weighed fits of mocks that were spoilt.
    seconds : dict of float
        CPU seconds of an SED.
    """

    mocks: Mocks
    truth: dict[str, Floats]
    plain: xr.Dataset
    weighed: xr.Dataset
    exact: xr.Dataset
    outliers: dict[str, xr.Dataset]
    seconds: dict[str, float]


def mocks_at(chosen: Problem, redshift: float, *, n: int, seed: int | None = None) -> Mocks:
    """Return mocks of one redshift that are within the S/N compared."""
    made = make_mocks(
        at_redshift(chosen.model_library, redshift), chosen.noise, n=4 * n,
        seed=TEST_SEED + round(100 * redshift) if seed is None else seed,
        settings=chosen.settings, points="random",
    )  # fmt: skip
    snr = snr_of(made)
    return made.rows(np.flatnonzero((snr >= BINS[0][0]) & (snr < BINS[-1][1]))[:n])


def fits_at(
    chosen: Problem, network: Network, redshift: float, *, n: int, n_models: int = N_DENSE
) -> Fits:
    """Return fits of mocks at one redshift by the network and by a dense library."""
    settings = chosen.settings
    library = chosen.at(redshift, network, n_models=n_models)
    mocks = mocks_at(chosen, redshift, n=n)
    models = Simulator(library).simulate(mocks.unit)
    truth = {**models.parameters, **models.derived}
    truth["log_mass"] = mocks.log_mass + np.log10(models.derived["surviving"])
    seds, seconds = seds_from(mocks, settings), {}
    fits = {}
    for name, fitter in fitters(settings).items():
        prepared = fitter.prepare(library)
        prepared.fit(seds.rows(0, 2))  # compiles
        start = time.process_time()
        fits[name] = prepared.fit(seds)
        seconds[name] = (time.process_time() - start) / len(mocks)
        if name == "weighed":
            spoilt = spoil(mocks, chosen)
            outliers = {kind: prepared.fit(each) for kind, each in spoilt.items()}
    wrong = redshift + (1 if redshift + 1 < RANGE[1] else -1)
    other = fitters(settings)["weighed"].prepare(chosen.at(wrong, network, n_models=n_models))
    outliers["redshift off by 1"] = other.fit(seds)
    return Fits(mocks, truth, fits["plain"], fits["weighed"], fits["exact"], outliers, seconds)


def fitters(settings: FitConfig, *, min_n_eff: float = 300.0) -> dict[str, NpeFitter | RdspsFitter]:
    """Return the network alone, with weights, and a dense library with more models where few."""
    none = {"hand_over": "none"}
    plain = settings.npe.model_copy(update={**none, "reweight": False})
    weighed = settings.npe.model_copy(update={**none, "reweight": True})
    refine = settings.refine.model_copy(update={"min_n_eff": min_n_eff})
    return {
        "plain": NpeFitter(settings.model_copy(update={"npe": plain})),
        "weighed": NpeFitter(settings.model_copy(update={"npe": weighed})),
        "exact": RdspsFitter(settings.model_copy(update={"method": "rdsps", "refine": refine})),
    }


def spoil(mocks: Mocks, chosen: Problem) -> dict[str, Seds]:
    """Return SEDs that no model is: stars, and one band that is wrong by ten."""
    rng = stream(TEST_SEED, "spoil")
    settings = chosen.settings
    snr = np.nan_to_num(mocks.flux / mocks.error)
    # one of the bands that see something
    seen = snr > np.minimum(5.0, snr.max(axis=1, keepdims=True) - 1e-9)
    band = np.argmax(np.where(seen, rng.random(snr.shape), -1.0), axis=1)
    factor = np.ones(snr.shape)
    factor[np.arange(len(band)), band] = 10.0 ** rng.choice([-1.0, 1.0], len(band))
    return {
        "star": _stars(mocks, chosen, rng),
        "band off by 10": seds_from(mocks, settings, flux=factor * mocks.flux),
    }


def _stars(mocks: Mocks, chosen: Problem, rng: np.random.Generator) -> Seds:
    """Return black bodies as bright as mocks, with their errors before systematic ones."""
    wave = np.array(
        [np.average(f.wave, weights=f.transmission) for f in chosen.model_library.filters]
    )
    coldest, hottest = STAR_KELVIN
    kelvin = coldest * (hottest / coldest) ** rng.random((len(mocks), 1))
    # Planck's law; 1.4388e8 Angstrom K is h c / k (CODATA 2018)
    shape = wave**-3.0 / np.expm1(1.4388e8 / (wave * kelvin))
    shape *= np.nanmedian(mocks.flux / shape, axis=1, keepdims=True)
    error = np.asarray(seds_from(mocks, chosen.settings).flux_err)
    return seds_of(shape + error * rng.standard_normal(shape.shape), error)


def flagged(fit: xr.Dataset) -> Floats:
    """Return which SEDs are called outliers, or were not fitted."""
    bits = int(Flag.OUT_OF_DISTRIBUTION)
    return (np.asarray(fit["flags"].values) & bits > 0).astype(np.float64)


def rank_of(draws: Draws, mocks: Mocks) -> Floats:
    """Return ranks of the truths of mocks (n, n_dim + 1)."""
    return ranks(joined(draws), truth_of(mocks))
