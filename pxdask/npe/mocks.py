"""Mock SEDs with known parameters, as many as a training needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.random import stream
from pxdask.sps.libraries import make_library
from pxdask.sps.sampling import unit_points
from pxdask.sps.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.npe.noise import NoiseModel
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

FAINTER = 3.0
"""Mocks are made this much fainter than the least S/N, and those kept that turn out brighter: what
looks faint may be fainter still."""

_CHUNK = 4096
"""Mocks that share a random stream."""

_PIECE = 65536
"""Models computed by one call, in order of redshift: few engines are then at work at a time."""

FEWEST = 3
"""Bands that are left to a mock, if it had so many, where some are taken away at random."""

_N_REACH, _REACH = 10_000, 0.99
"""Errors drawn to learn what S/N mocks reach, and the part of these that reach less."""

_OWN_NOISE = 3.0
"""Deviations of a band's noise, and of its systematic error, that make no brighter source."""

_MOST_SYSTEMATIC = 0.9
"""Largest systematic error times deviate: beyond, there is no flux that is so far from its model in
units of its own error."""


@dataclass(frozen=True, eq=False)
class Mocks:
    """SEDs, and the parameters that they were made of.

    Attributes
    ----------
    unit : (n, d) float64
        Targets in [0, 1], where the prior is flat: the free parameters, without the redshift where
        that is given.
    log_mass : (n,) float64
        log10 of mass formed [dex(Msun)].
    flux, error : (n, n_band) float64
        Flux density with noise and its whole uncertainty, as the likelihood takes them (as
        `pxdask.fitting.target.observed` returns them) [uJy]; NaN where a band is missing.
    redshift : (n,) float64 or None
        Where it is given.
    names : tuple of str
        Targets.
    """

    unit: Floats
    log_mass: Floats
    flux: Floats
    error: Floats
    redshift: Floats | None
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.log_mass)

    def rows(self, chosen: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Mocks:
        """Return some of the mocks."""
        return Mocks(
            self.unit[chosen],
            self.log_mass[chosen],
            self.flux[chosen],
            self.error[chosen],
            None if self.redshift is None else self.redshift[chosen],
            self.names,
        )


def make_mocks(
    library: ModelLibrary,
    noise: NoiseModel,
    *,
    n: int,
    seed: int,
    settings: FitConfig,
    first: int = 0,
    redshift_given: bool = True,
    points: Literal["sobol", "random"] = "sobol",
) -> Mocks:
    """Return mock SEDs of models drawn from their priors.

    Parameters
    ----------
    library : ModelLibrary
        Models. Where the redshift has a prior, that is its range.
    noise : NoiseModel
        Errors and missing bands, in the library's bands.
    n : int
        Mocks drawn; fewer are returned, as those are left out whose mean flux, weighted by
        inverse variances, is below ``settings.npe.snr[0]`` times its error.
    seed : int
        Of all mocks.
    settings : FitConfig
        Likelihood and systematic errors; of ``npe`` the S/N and the share that lacks bands.
    first : int
        Number of the first mock in the endless sequence of a seed. A mock is the same in
        whatever slice.
    redshift_given : bool
        A redshift with a prior is given to the network, not a target.
    points : {"sobol", "random"}
        How priors are drawn from: evenly, to learn from, or independently, for whatever tests are
        made of mocks. Those take each truth for one draw; even ones pass too easily.

    Returns
    -------
    mocks : Mocks
        Their S/N in the best band, the systematic error apart, is even in the logarithm, so
        that the prior of log mass is flat whatever model and noise.

    Raises
    ------
    ConfigError
        If noise and library have different bands.

    Notes
    -----
    The likelihood takes a systematic error as a part of the *observed* flux and photon noise as it
    is given. So the noise here: it is ``deviate total_error(flux)``, solved for the flux. As that
    stretches the density of fluxes by ``1 / (1 - k deviate)``, with ``k`` the growth of the error
    with flux, a deviate's sign is positive with probability ``(1 + k |deviate|) / 2``. What
    remains is of the order of k squared: a mock's exact posterior is then the likelihood's.

    Selection looks at data only, so it changes no posterior.
    """
    if noise.bands != library.bands:
        raise ConfigError(
            f"the noise model is of the bands {', '.join(noise.bands)};"
            f" the models have {', '.join(library.bands)}"
        )
    simulator = Simulator(library)
    start, stop = first // _CHUNK * _CHUNK, -(-(first + n) // _CHUNK) * _CHUNK
    drawn = unit_points(
        points, n_dim=simulator.n_dim + 1, seed=_own_seed(seed), start=start, stop=stop
    )
    unit, level = drawn[:, :-1], drawn[:, -1]
    model, redshift = _models(simulator, unit)
    parts = []
    for low in range(0, stop - start, _CHUNK):
        rows = slice(low, low + _CHUNK)
        rng = stream(seed, "mocks", (start + low) // _CHUNK)
        parts.append(_observe(model[rows], level[rows], noise, settings=settings, rng=rng))
    log_mass, flux, error = (np.concatenate(each) for each in zip(*parts, strict=True))
    given = redshift is not None and redshift_given
    targets = [k for k, name in enumerate(simulator.names) if name != "redshift" or not given]
    names = tuple(simulator.names[k] for k in targets)
    mocks = Mocks(unit[:, targets], log_mass, flux, error, redshift if given else None, names)
    mocks = mocks.rows(slice(first - start, first - start + n))
    return mocks.rows(mean_snr(mocks.flux, mocks.error) >= settings.npe.snr[0])


def greatest_snr(
    noise: NoiseModel, snr: float, *, systematic_error: float, systematic_sigma: float
) -> float:
    """Return the S/N of the best band that the brightest mocks reach, the systematic error apart.

    Not one mock in a thousand is beyond.

    Parameters
    ----------
    noise : NoiseModel
        Of the mocks.
    snr : float
        Greatest S/N asked for, ``npe.snr[1]``: that of typical photon noise. Where it scatters,
        some mocks have more.
    systematic_error, systematic_sigma : float
        Errors as a part of the flux, and of the error itself [1].
    """
    rng = stream(0, "greatest S/N")
    high = _background_snr(noise, snr) * (1 + _OWN_NOISE * systematic_error)
    wider = math.hypot(1.0, systematic_sigma)
    background = noise.background(_N_REACH, rng)
    photons = wider * high * noise.photons(_N_REACH, rng) / background
    least = np.min(np.where(np.isnan(photons), np.inf, photons), axis=1)
    return high / math.sqrt(1 + float(np.quantile(least, 1 - _REACH))) + _OWN_NOISE


def at_redshift(library: ModelLibrary, redshift: float) -> ModelLibrary:
    """Return the models of one redshift of a library of a range of them; not its drawn set."""
    priors = {name: each for name, each in library.settings.priors.items() if name != "redshift"}
    settings = library.settings.model_copy(update={"priors": priors})
    return make_library(
        library.ssp, library.filters, settings=settings, redshift=redshift, seed=library.seed
    )


def mean_snr(flux: Floats, error: Floats) -> Floats:
    """Return the mean flux over its error (n,), weighted by inverse variances.

    Parameters
    ----------
    flux, error : (n, n_band)
        Flux density and its uncertainty [uJy], NaN where a band is missing.

    Returns
    -------
    snr : (n,)
        Minus infinity where every band is missing.
    """
    weight = np.nan_to_num(error**-2.0)
    total = weight.sum(axis=1)
    summed = (weight * np.nan_to_num(flux)).sum(axis=1)
    found = np.full(len(flux), -np.inf)
    np.divide(summed, np.sqrt(total), out=found, where=total > 0)
    return found


def _own_seed(seed: int) -> int:
    """Return a seed whose points are not those of the run's libraries."""
    return int(stream(seed, "mocks").integers(2**62))


def _models(simulator: Simulator, unit: Floats) -> tuple[NDArray[np.float32], Floats | None]:
    """Return fluxes (n, n_band) [uJy Msun-1] and, where free, redshifts of models."""
    n_band = len(simulator.simulate(unit[:1]).flux[0])
    flux = np.empty((len(unit), n_band), np.float32)
    free = "redshift" in simulator.names
    redshift = np.empty(len(unit)) if free else None
    order = np.arange(len(unit))
    if free:
        order = np.argsort(unit[:, simulator.names.index("redshift")], kind="stable")
    for rows in np.split(order, range(_PIECE, len(order), _PIECE)):
        models = simulator.simulate(unit[rows])
        flux[rows] = models.flux
        if redshift is not None:
            redshift[rows] = models.parameters["redshift"]
    return flux, redshift


def _observe(
    model: NDArray[np.float32],
    level: Floats,
    noise: NoiseModel,
    *,
    settings: FitConfig,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    """Return log mass formed, fluxes and whole errors of models.

    Parameters
    ----------
    model : (n, n_band)
        Fluxes [uJy Msun-1].
    level : (n,)
        In [0, 1): from the least S/N to the greatest.
    """
    wider = math.hypot(1.0, settings.systematic_sigma)
    background = wider * _drop(noise.background(len(model), rng), settings.npe.missing, rng)
    photon = wider**2 * noise.photons(len(model), rng)
    low, high = settings.npe.snr[0] / FAINTER, _background_snr(noise, settings.npe.snr[1])
    best = np.nanmax(np.where(np.isnan(background), -np.inf, model / background), axis=1)
    snr = low * (high / low) ** level
    mass = np.divide(snr, best, out=np.full(len(model), np.nan), where=best > 0)
    truth = mass[:, None] * model
    deviate = _deviates(settings, truth.shape, rng)
    flux, error = noisy(
        truth,
        background=background,
        photon=photon,
        systematic_error=settings.systematic_error,
        deviate=deviate,
        uniform=rng.random(truth.shape),
    )
    return np.log10(mass), flux, error


def noisy(
    truth: Floats,
    *,
    background: Floats,
    photon: Floats,
    systematic_error: float,
    deviate: Floats,
    uniform: Floats,
) -> tuple[Floats, Floats]:
    """Return fluxes with noise, and their whole errors, of which the noise is a multiple.

    Parameters
    ----------
    truth : (n, n_band)
        Flux densities, not negative [uJy].
    background : (n, n_band)
        Error where there is no flux [uJy]; NaN where a band is missing.
    photon : (n, n_band)
        Variance over flux [uJy].
    systematic_error : float
        Error as a part of the observed flux [1].
    deviate : (n, n_band)
        Noise over error [1]; its sign does not count.
    uniform : (n, n_band)
        In [0, 1): decides the sign.

    Returns
    -------
    flux, error : (n, n_band)
        Where ``flux - truth`` is plus or minus ``deviate error`` and
        ``error^2 = background^2 + photon max(flux, 0) + (systematic_error flux)^2`` [uJy].
    """
    s2 = systematic_error**2
    size = np.abs(deviate)
    if systematic_error > 0:
        size = np.minimum(size, _MOST_SYSTEMATIC / systematic_error)
    around = np.sqrt(background**2 + photon * truth + s2 * truth**2)
    growth = (0.5 * photon + s2 * truth) / around
    up = uniform < 0.5 * (1 + np.minimum(growth * size, 1.0))
    # roots of (flux - truth)^2 = size^2 error^2, written so that no digits cancel
    square = size**2
    a, c = 1 - square * s2, truth**2 - square * background**2
    lit = truth + 0.5 * square * photon
    upper = lit + np.sqrt(np.maximum(lit**2 - a * c, 0.0))
    half = np.where(c > 0, lit, truth)  # without photon noise where flux is negative
    lower = half + np.sqrt(np.maximum(half**2 - a * c, 0.0))
    flux = np.where(up, upper / a, np.divide(c, lower, out=np.zeros_like(c), where=lower > 0))
    flux = np.where(np.isnan(background), np.nan, flux)
    error = np.sqrt(background**2 + photon * np.maximum(flux, 0.0) + s2 * flux**2)
    return flux, error


def _deviates(settings: FitConfig, shape: Sequence[int], rng: np.random.Generator) -> Floats:
    """Return noise over error, of the likelihood's form."""
    if settings.likelihood == "student_t":
        return rng.standard_t(settings.dof, size=tuple(shape))
    return rng.standard_normal(tuple(shape))


def _drop(background: Floats, share: float, rng: np.random.Generator) -> Floats:
    """Return errors without some bands, in a share of the SEDs; any number down to three."""
    has = np.isfinite(background)
    n_has = has.sum(axis=1)
    fewest = np.minimum(FEWEST, n_has)
    n_left = rng.integers(fewest, np.maximum(n_has, fewest + 1))
    n_left = np.where(rng.random(len(n_has)) < share, n_left, n_has)
    place = np.where(has, rng.random(has.shape), np.inf)
    rank = np.argsort(np.argsort(place, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(rank < n_left[:, None], background, np.nan)


def _background_snr(noise: NoiseModel, snr: float) -> float:
    """Return the flux over the background's error at which a band has an S/N, photons included.

    Of a band with typical photon noise. One number for all mocks, so that the density of masses
    does not depend on the model.
    """
    photons = snr**2 * float(np.median(noise.photon / noise.depth))
    return 0.5 * (photons + math.hypot(photons, 2 * snr))
