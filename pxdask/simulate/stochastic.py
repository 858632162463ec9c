"""Star formation and metal enrichment that no fitted family has: smooth growth, quenching, bursts.

A stand-in for histories of galaxies in a cosmological simulation, where none are at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FIRST_STARS = 0.3
"""Age of the universe at which star formation begins [Gyr]."""

_RECENT, _RECENT_STEP, _STEP = 1.0, 0.01, 0.05
"""Time resolved finely, and lengths of time bins in it and before it [Gyr]."""

PARTICLE_MASS = 1.4e6
"""Mass of a star particle of TNG100 [Msun]; Abdurro'uf et al. (2021), section 5.1."""

RATE_SPAN = 0.05
"""Interval over which true star formation rates are means [Gyr]; ibid., section 5.3."""

BURSTS = (0.2, 0.5)
"""Range of the standard deviation of log star formation about its smooth growth [dex]."""

_MAX_DRAWS = 1000
"""Draws after which a galaxy is given up."""


@dataclass(frozen=True, eq=False)
class Assembly:
    """When the stars of galaxies formed, and of what metallicity.

    Attributes
    ----------
    edges : (n_bin + 1,) float64
        Lookback times of the edges of time bins, from 0 up [Gyr].
    formed : (n_galaxy, n_bin) float64
        Share of all stars ever formed; rows sum to one.
    logzsol : (n_galaxy, n_bin) float64
        log10 of the median metallicity of stars formed then, in solar units.
    """

    edges: Floats
    formed: Floats
    logzsol: Floats


def time_bins(universe: float) -> Floats:
    """Return edges of time bins: lookback times from 0 to the first stars [Gyr].

    Parameters
    ----------
    universe : float
        Age of the universe [Gyr]; more than 1.35.

    Raises
    ------
    ConfigError
        If the universe is younger.
    """
    oldest = universe - FIRST_STARS
    if not oldest > _RECENT + _STEP:
        raise ConfigError(
            f"the universe is {universe} Gyr old; wanted more than {_RECENT + _STEP + FIRST_STARS}"
        )
    n_recent = round(_RECENT / _RECENT_STEP)
    n_old = int(np.ceil((oldest - _RECENT) / _STEP))
    recent = np.linspace(0.0, _RECENT, n_recent + 1)
    edges: Floats = np.concatenate([recent, np.linspace(_RECENT, oldest, n_old + 1)[1:]])
    return edges


def damped_walk(
    time: Floats, *, sigma: float, correlation_time: float, rng: np.random.Generator
) -> Floats:
    """Return a stationary damped random walk of mean zero.

    Parameters
    ----------
    time : (n_time,) float64
        Monotonic, in any direction.
    sigma : float
        Its standard deviation at any time.
    correlation_time : float
        Time over which its autocorrelation falls by e, in the unit of ``time``.
    rng : numpy.random.Generator
        Of the walk.

    Returns
    -------
    walk : (n_time,) float64

    Notes
    -----
    An Ornstein-Uhlenbeck process, sampled exactly at any spacing. Caplar & Tacchella (2019,
    MNRAS 487, 3845) so describe the logarithm of star formation about the main sequence.
    """
    memory = np.exp(-np.abs(np.diff(time)) / correlation_time)
    kicks = sigma * rng.normal(size=time.size)
    kicks[1:] *= np.sqrt(1 - memory**2)
    walk = np.empty(time.size)
    walk[0] = kicks[0]
    for i, share in enumerate(memory, start=1):
        walk[i] = share * walk[i - 1] + kicks[i]
    return walk


def draw_assembly(
    log_mass: Floats,
    *,
    universe: float,
    rng: np.random.Generator,
    bursts: tuple[float, float] = BURSTS,
) -> Assembly:
    """Return histories of galaxies, of each by its own random stream.

    Parameters
    ----------
    log_mass : (n_galaxy,) float64
        log10 of stellar mass [Msun], about 9 to 12.
    universe : float
        Age of the universe when they are observed [Gyr].
    rng : numpy.random.Generator
        Whose children the streams are.
    bursts : (float, float)
        Range of the random walk's standard deviation [dex]; zeros: smooth histories.

    Returns
    -------
    assembly : Assembly
        A galaxy's history does not depend on the other galaxies.

    Raises
    ------
    ConfigError
        If the universe is too young.

    Notes
    -----
    Smooth growth is the sum of two lognormals in cosmic time, which fit histories of the
    simulation Illustris (Diemer et al. 2017, ApJ 839, 26), of peaks that come earlier in
    more massive galaxies. A part of the galaxies, larger at high mass, then quenches within
    0.2 to 1 Gyr. Upon it goes a `damped_walk` of 100 to 500 Myr. Metals follow the
    stars formed before, to a power, and the relation of mass and metallicity.

    Galaxies that would have formed less than one star particle of TNG100 in the last 50 Myr
    have no star formation rate there; here they are drawn again.
    """
    edges = time_bins(universe)
    width = np.diff(edges)
    time = universe - (edges[1:] + edges[:-1]) / 2
    formed = np.empty((log_mass.size, time.size))
    logzsol = np.empty_like(formed)
    for i, own in enumerate(rng.spawn(log_mass.size)):
        mass = float(log_mass[i])
        formed[i] = _resolved(time, width, mass, universe, bursts, own)
        logzsol[i] = _enrichment(formed[i], mass, own)
    return Assembly(edges, formed, logzsol)


def _resolved(
    time: Floats,
    width: Floats,
    log_mass: float,
    universe: float,
    bursts: tuple[float, float],
    rng: np.random.Generator,
) -> Floats:
    """Return shares of the mass formed in each bin, with some of it lately."""
    recent = universe - time < RATE_SPAN
    for _ in range(_MAX_DRAWS):
        rate = _smooth_rate(time, log_mass, universe, rng)
        walk = damped_walk(
            time,
            sigma=rng.uniform(*bursts),
            correlation_time=rng.uniform(0.1, 0.5),
            rng=rng,
        )
        mass = rate * 10**walk * width
        mass /= np.sum(mass)
        if np.sum(mass[recent]) * 10**log_mass > PARTICLE_MASS:
            return mass
    raise ConfigError(
        f"no history of 10**{log_mass} Msun forms {PARTICLE_MASS:g} Msun in its last 50 Myr; "
        "wanted galaxies of 1e8 Msun or more"
    )


def _smooth_rate(
    time: Floats, log_mass: float, universe: float, rng: np.random.Generator
) -> Floats:
    """Return the star formation rate without its bursts, in any unit."""
    rate = np.zeros(time.size)
    share = rng.uniform(0.5, 1.0)
    for part in (share, 1 - share):
        peak = 10 ** (0.95 - 0.2 * (log_mass - 9) + 0.15 * rng.normal())
        spread = rng.uniform(0.35, 0.9)
        # a lognormal's mode is at exp(T0 - spread^2)
        shape = np.exp(-0.5 * ((np.log(time / peak) - spread**2) / spread) ** 2) / time
        rate += part * shape / np.sum(shape)
    quenched = rng.random() < 1 / (1 + np.exp(-(log_mass - 10.6) / 0.35)) + 0.1
    start, decay = rng.uniform(0.3, 0.98) * universe, 10 ** rng.uniform(-0.7, 0.0)
    if quenched:
        rate *= np.exp(-np.maximum(time - start, 0.0) / decay)
    return rate


def _enrichment(formed: Floats, log_mass: float, rng: np.random.Generator) -> Floats:
    """Return log10 of metallicity in each bin; the mean of the stars is that of their mass."""
    before = np.cumsum(formed[::-1])[::-1] - formed / 2
    growth = before ** rng.uniform(0.2, 0.6)
    wanted = 0.2 * (log_mass - 10) + 0.12 * rng.normal()
    mean = np.clip(wanted, -0.45, 0.3)
    logzsol: Floats = mean + np.log10(growth / np.sum(formed * growth))
    return logzsol
