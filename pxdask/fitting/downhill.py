"""The models nearest to SEDs, found by steps downhill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from pxdask.kernels.closest import closeness, downhill_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pxdask.fitting.npe_draws import InUnits

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]
    Models = Callable[[Floats], NDArray[np.float32]]

_STEP = 0.01
"""By which coordinates are moved for slopes, in units of the prior's standard deviation; models
are single precision, so that a smaller one would lose digits."""

_FARTHEST = 4.0
"""Ends of the coordinates in the same units: 3e-5 of a prior is beyond."""

_N_STEPS = 15
"""Steps downhill. Of 120 mocks of JADES bands at a median S/N above 10, 97 % are then within 1 of
the least chi-square that 60 steps reach from there or from the truth."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest models found.

    Attributes
    ----------
    unit : (n_sed, n_dim) float64
        Points of the cube.
    scale, chi2 : (n_sed,) float64
        Best amplitude [Msun] and chi-square; infinite where no amplitude is positive.
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
