"""SEDs that no model looks like, told from noise by how near the nearest model comes.

Of a good SED the least chi-square is that of noise, less what the parameters could fit of it: how
many bands' worth that is depends on S/N, and is measured on mocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc, chdtri, chdtriv, ndtr, ndtri

from pxdask.core.errors import DataError
from pxdask.kernels.closest import closeness, downhill_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pxdask.fitting.npe_draws import InUnits

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]
    Models = Callable[[Floats], NDArray[np.float32]]

N_CLASS = 6
"""Classes of S/N, of equal numbers of mocks, in each of which a limit is measured."""

_LEVELS = (1.0, 2.0, 4.0)
"""Multiples of the false alarms at which limits are measured."""

LEAST_MOCKS = 300
"""Good SEDs below which no limit is measured."""

_STEP = 0.01
"""By which coordinates are moved for slopes, in units of the prior's standard deviation; models
are single precision, so that a smaller one would lose digits."""

_FARTHEST = 4.0
"""Ends of the coordinates in the same units: 3e-5 of a prior is beyond."""

_N_STEPS = 15
"""Steps downhill. Of 120 mocks of JADES bands at a median S/N above 10, 97 % are then within 1 of
the least chi-square that 60 steps reach from there or from the truth."""

_LEAST_DOF = 0.2
"""Fewest degrees of freedom that a limit is made for: one band is always fitted."""


@dataclass(frozen=True)
class OutlierLimit:
    """How far from all models a good SED may be.

    Attributes
    ----------
    false_alarms : float
        Part of good SEDs beyond [1].
    log_snr : tuple of float
        log10 of the S/N of all bands together, increasing.
    n_fitted : tuple of float
        Degrees of freedom that parameters take there [1].
    """

    false_alarms: float
    log_snr: tuple[float, ...]
    n_fitted: tuple[float, ...]

    def __call__(self, n_band: NDArray[np.integer], snr: Floats) -> Floats:
        """Return the limit of chi-square of SEDs (n_sed,) of so many bands and that S/N."""
        with np.errstate(divide="ignore"):
            fitted = np.interp(np.log10(snr), self.log_snr, self.n_fitted)
        return np.asarray(chdtri(np.maximum(n_band - fitted, _LEAST_DOF), self.false_alarms))


def safe_limit(false_alarms: float) -> OutlierLimit:
    """Return a limit that needs no mocks, under which there are fewer false alarms than asked.

    The nearest model is nearer than the true one, whose chi-square is that of all bands.
    """
    return OutlierLimit(false_alarms, (0.0,), (0.0,))


def outlier_limit(
    chi2: Floats, n_band: NDArray[np.integer], snr: Floats, *, false_alarms: float
) -> OutlierLimit:
    """Return the limit that a given part of good SEDs are beyond.

    Parameters
    ----------
    chi2 : (n_sed,) float64
        Least chi-square of good SEDs, after `nearest`; others than finite are left out.
    n_band : (n_sed,) int
        Bands measured.
    snr : (n_sed,) float64
        S/N of all bands together.
    false_alarms : float
        In (0, 1).

    Raises
    ------
    DataError
        If there are fewer than `LEAST_MOCKS`.

    Notes
    -----
    Each SED has a number of fitted degrees of freedom at which it would be just at the limit; in
    a class of S/N, ``false_alarms`` of them are below the number that is sought. The mean of that
    number at once, twice and four times ``false_alarms`` is taken, which are more SEDs.
    """
    good = np.flatnonzero(np.isfinite(chi2) & (snr > 0) & (n_band > 1))
    if good.size < LEAST_MOCKS:
        raise DataError(f"{good.size} good SEDs to learn outliers from; wanted {LEAST_MOCKS}")
    order = good[np.argsort(snr[good], kind="stable")]
    classes = np.array_split(order, N_CLASS)
    centres = [float(np.median(np.log10(snr[part]))) for part in classes]
    fitted = [_n_fitted(chi2[part], n_band[part], false_alarms) for part in classes]
    return OutlierLimit(false_alarms, tuple(centres), tuple(fitted))


def loosest(false_alarms: float) -> float:
    """Return the greatest part of good SEDs that `outlier_limit` looks at."""
    return min(max(_LEVELS) * false_alarms, 0.5)


def _n_fitted(chi2: Floats, n_band: NDArray[np.integer], false_alarms: float) -> float:
    """Return how many degrees of freedom parameters take; the mean over some parts beyond."""
    found = []
    for level in _LEVELS:
        part = min(level * false_alarms, 0.5)
        just = n_band - chdtriv(1 - part, np.maximum(chi2, 1e-6))
        found.append(np.quantile(just, part))
    return float(np.mean(found))


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest models found.

    Attributes
    ----------
    unit : (n_sed, n_dim) float64
        Points of the cube.
    scale, chi2 : (n_sed,) float64
        Best amplitude [Msun] and chi-square.
    """

    unit: Floats
    scale: Floats
    chi2: Floats


def nearest(units: InUnits, models: Models, start: Floats, *, sed: Indices) -> Nearest:
    """Return the models nearest to SEDs, by steps downhill from some.

    Parameters
    ----------
    units : InUnits
        SEDs.
    models : callable
        Gives fluxes (n, n_band) float32 [uJy Msun-1] at points of the cube (n, n_dim).
    start : (n_start, n_dim) float64
        Points of the cube to start from.
    sed : (n_start,) int
        SED of each.

    Returns
    -------
    nearest : Nearest
        Of each start. Not farther than it; each depends on its own SED and start alone.

    Notes
    -----
    Levenberg-Marquardt, in coordinates where each parameter's prior is a standard normal; the
    amplitude is the best at each place. The number of steps is fixed.
    """
    data, inverse = units.data[sed], units.inverse[sed]
    own = np.arange(sed.size)
    place = np.clip(ndtri(start), -_FARTHEST, _FARTHEST)
    damping = np.full(sed.size, 1e-2)
    flux = models(ndtr(place))
    now = closeness(data, inverse, flux, sed=own)
    for _ in range(_N_STEPS):
        step = downhill_steps(
            data,
            inverse,
            _with_moved(models, place, flux),
            scale=now.scale,
            step=_STEP,
            damping=damping,
        )
        there = np.clip(place + np.nan_to_num(step), -_FARTHEST, _FARTHEST)
        flux_there = models(ndtr(there))
        then = closeness(data, inverse, flux_there, sed=own)
        better = then.positive < now.positive
        place = np.where(better[:, None], there, place)
        flux = np.where(better[:, None], flux_there, flux)
        now = type(now)(*(np.where(better, b, a) for a, b in zip(now, then, strict=True)))
        damping = np.where(better, 0.2 * damping, np.minimum(8 * damping, 1e8))
    return Nearest(ndtr(place), now.scale, now.positive)


def _with_moved(models: Models, place: Floats, flux: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return models (n, 1 + n_dim, n_band): at their places, and with each coordinate moved."""
    n, n_dim = place.shape
    moved = place[:, None, :] + _STEP * np.eye(n_dim)[None]
    found = models(ndtr(moved).reshape(-1, n_dim))
    return np.concatenate([flux[:, None], found.reshape(n, n_dim, -1)], axis=1)


def predictive_p(chi2: Floats, share: Floats, *, n_band: int) -> float:
    """Return how probable data as far from the models of the posterior as these are, or farther.

    Parameters
    ----------
    chi2 : (n,) float64
        Of draws from the posterior, each at its own amplitude.
    share : (n,) float64
        Their weights, which add up to 1.
    n_band : int
        Bands measured; NaN is returned where there is none.

    Notes
    -----
    Posterior predictive p-value (Gelman, Meng & Stern 1996, Statistica Sinica 6, 733) of
    chi-square; data that a draw predicts have a chi-square of ``n_band`` degrees of freedom, so
    that none need be made.
    """
    if n_band == 0:
        return math.nan
    return float(np.sum(share * chdtrc(n_band, chi2)))
