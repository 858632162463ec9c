"""Star formation histories from the parameters' names and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig

_FIRST_EDGES = (0.03, 0.1)
"""Ends of the two youngest time bins [Gyr]; Leja et al. (2019, ApJ 876, 3), section 2.2."""
_LAST_EDGE = 0.85
"""Start of the oldest time bin, as lookback time in units of the universe's age [1]; ibid."""


@dataclass(frozen=True)
class Histories:
    """Star formation histories in the form that `pxdask.kernels.sfh` computes with.

    Attributes
    ----------
    kind : str
        Key of `pxdask.kernels.sfh.SFH_KINDS`.
    age : (n_model,) float64
        Time since the start of star formation [Gyr].
    shape : (n_model, n_shape) float64
        Its parameters; columns as in `pxdask.kernels.sfh`.
    """

    kind: str
    age: NDArray[np.float64]
    shape: NDArray[np.float64]


def histories(
    settings: ModelConfig, values: Mapping[str, NDArray[np.float64]], *, universe: float
) -> Histories:
    """Return the histories that parameters describe.

    Parameters
    ----------
    settings : ModelConfig
        Form of the history and number of time bins.
    values : mapping of (n_model,) float64
        At least the parameters of this form, by their names in the registry, within its
        limits; the others are not looked at.
    universe : float
        Age of the universe at the redshift of the models [Gyr].

    Returns
    -------
    histories : Histories
        Forms with time bins reach back to the start of the universe.
    """
    if settings.sfh in ("continuity", "dirichlet"):
        numbers = range(1, settings.sfh_bins)
        if settings.sfh == "continuity":
            rates = _continuity([values[f"logsfr_ratio_{i}"] for i in numbers])
        else:
            rates = _dirichlet([values[f"sfr_stick_{i}"] for i in numbers])
        mass = rates * np.diff(_edges(settings.sfh_bins, universe))
        shape = mass / np.sum(mass, axis=1, keepdims=True)
        return Histories("piecewise", np.full(shape.shape[0], universe), shape)
    age, tau = 10 ** values["log_age"], 10 ** values["log_tau"]
    if settings.sfh in ("lognormal", "gaussian"):
        columns = [10 ** values["log_t0"], 1 / tau]
    elif settings.sfh == "double_power_law":
        columns = [np.log(tau), 10 ** values["log_alpha"], 10 ** values["log_beta"]]
    else:
        columns = [1 / tau]
    return Histories(settings.sfh, age, np.stack(columns, axis=1))


def bin_edges(settings: ModelConfig, *, universe: float) -> NDArray[np.float64] | None:
    """Return the edges of the time bins of non-parametric histories.

    Parameters
    ----------
    settings : ModelConfig
        Form of the history and number of time bins.
    universe : float
        Age of the universe at the redshift of the models [Gyr].

    Returns
    -------
    edges : (n_bin + 1,) float64 or None
        Lookback times [Gyr], increasing from 0 to ``universe``; None for forms that have no
        bins.

    Notes
    -----
    Leja et al. (2019), section 2.2: 30 and 100 Myr, then even steps in log time up to 0.85 of
    the universe's age. Three bins end at 30 Myr, 100 Myr and the universe's age. Where 100 Myr
    is more than half of 0.85 of that age (it is below 0.235 Gyr, redshift above about 18), the
    first two edges shrink in proportion to it.
    """
    if settings.sfh not in ("continuity", "dirichlet"):
        return None
    return _edges(settings.sfh_bins, universe)


def _edges(n_bin: int, universe: float) -> NDArray[np.float64]:
    """Return the edges (n_bin + 1,) of the time bins [Gyr]."""
    last = _LAST_EDGE * universe
    shrink = min(1.0, last / (2 * _FIRST_EDGES[1]))
    first, second = shrink * _FIRST_EDGES[0], shrink * _FIRST_EDGES[1]
    between = np.geomspace(second, last, n_bin - 2)
    return np.concatenate([[0.0, first], between, [universe]])


def _continuity(ratios: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return rates (n_model, n_bin) from log10 of each bin's rate in units of the next's.

    The largest is one: thirty ratios of 20 dex would not fit into a number.
    """
    steps = np.stack([np.zeros_like(ratios[0]), *ratios], axis=1)
    log_rate = -np.cumsum(steps, axis=1)
    rates: NDArray[np.float64] = 10 ** (log_rate - np.max(log_rate, axis=1, keepdims=True))
    return rates


def _dirichlet(sticks: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return rates (n_model, n_bin) that sum to one, by breaking sticks.

    Leja et al. (2017, ApJ 837, 170), section 3.1, after Betancourt (2010, arXiv:1010.3436).
    """
    ones = np.ones_like(sticks[0])
    left = np.cumprod(np.stack([ones, *sticks], axis=1), axis=1)
    taken = 1 - np.stack([*sticks, 0 * ones], axis=1)
    rates: NDArray[np.float64] = left * taken
    return rates
