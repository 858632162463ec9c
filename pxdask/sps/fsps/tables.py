"""Star formation histories as tables of time and rate, which FSPS joins by straight lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pxdask.sps.histories import Histories

    Floats = NDArray[np.float64]

TABLE_MASS = 1e10
"""Mass that tabular histories form [Msun]. FSPS lets dust absorb dust emission until less than
0.01 Lsun is left, whatever the mass: with this one nothing is left."""
_MAX_ROWS = 18000
"""Rows of a tabular history; FSPS has room for 20000."""
_ROW_ERROR = 1e-8
"""Share of all mass by which a step between rows may differ from the history's equation [1]."""
_TAIL_ERROR, _FAINTEST = 3e-5, 1e-12
"""Share of its own mass by which a step may differ, where the rate is above this share of its peak
[1]: young stars of an old galaxy are few and bright."""
_FIRST_INSTANT = 1e-250
"""Time at which histories begin [Gyr]; wide lognormal ones form a lot before any second."""
_SHORTEST = 1e-5
"""Shortest step between rows, as a share of its lookback time [1]. FSPS's weights are differences
of integrals: at 1e-6 they begin to be rounding errors."""


def ln_formation_rate(kind: str, time: Floats, shape: Floats) -> Floats:
    """Return the natural log of the star formation rate, up to a constant.

    Parameters
    ----------
    kind : str
        "tau", "delayed_tau", "lognormal", "gaussian" or "double_power_law".
    time : (n,) float64
        Since the start of star formation, > 0 [Gyr].
    shape : (n_shape,) float64
        As in `pxdask.kernels.sfh`.

    Notes
    -----
    The equations of piXedfit (Abdurro'uf et al. 2021, ApJS 254, 15, section 4.1), written
    here once more: `FspsEngine` is to be independent of what it checks.
    """
    ln_time = np.log(time)
    if kind == "tau":
        return np.asarray(-time * shape[0])
    if kind == "delayed_tau":
        return np.asarray(ln_time - time * shape[0])
    if kind == "lognormal":
        return np.asarray(-ln_time - ((ln_time - shape[0]) * shape[1]) ** 2 / 2)
    if kind == "gaussian":
        return np.asarray(-(((time - shape[0]) * shape[1]) ** 2) / 2)
    if kind == "double_power_law":
        ln_tau, alpha, beta = (float(value) for value in shape)
        return np.asarray(-np.logaddexp(alpha * (ln_time - ln_tau), -beta * (ln_time - ln_tau)))
    raise ConfigError(f"{kind!r} is not a star formation history with an equation")


def tabulated(history: Histories, i: int, edges: Floats | None) -> Floats:
    """Return a tabular history (2, n_row) that forms `TABLE_MASS`."""
    age, shape = float(history.age[i]), history.shape[i]
    if history.kind == "piecewise":
        if edges is None:
            raise ConfigError("histories in time bins need the bins' edges; got none")
        time, rate = _steps(age, shape / np.diff(edges), edges)
    else:
        time, rate = _rows(lambda t: ln_formation_rate(history.kind, t, shape), age)
    mass = np.trapezoid(rate, time) * 1e9
    return np.stack([time, rate * (TABLE_MASS / mass)])


def _steps(age: float, rates: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Return times and rates of a history of constant rate in bins of lookback time."""
    half = _SHORTEST * edges[1:-1] / 2
    lookback = np.repeat(edges, 2)[1:-1]
    lookback[1:-1:2] -= half
    lookback[2::2] += half
    return age - lookback[::-1], np.repeat(rates, 2)[::-1]


def _rows(ln_rate: Callable[[Floats], Floats], age: float) -> tuple[Floats, Floats]:
    """Return times between which straight lines follow a rate, and the rate there.

    Steps that a line follows badly are halved, those first that cost most mass, until the
    error or the number of rows is at its limit. No step is so short, as seen from today, that
    FSPS loses its digits.
    """
    first = _SHORTEST * age
    spread = np.geomspace(first, age, 300)
    time = np.unique(np.concatenate([spread, age - spread[:-1], np.linspace(first, age, 200)]))
    time = _thinned(time[time >= first], age)
    largest = float(np.max(ln_rate(time)))
    while True:
        rate = np.exp(ln_rate(time) - largest)
        middle, step = (time[1:] + time[:-1]) / 2, np.diff(time)
        error = np.abs(np.exp(ln_rate(middle) - largest) - (rate[1:] + rate[:-1]) / 2) * step
        bad = error > _ROW_ERROR * np.trapezoid(rate, time)
        bad |= (error > _TAIL_ERROR * rate[1:] * step) & (rate[1:] > _FAINTEST)
        bad &= step > 2 * _SHORTEST * (age - middle)
        n_new = min(int(np.sum(bad)), _MAX_ROWS - time.size)
        if n_new <= 0:
            break
        worst = np.argsort(np.where(bad, error, 0.0))[::-1][:n_new]
        time = np.union1d(time, middle[worst])
    time = np.concatenate([[0.0], time])
    return time, _rates(lambda t: ln_rate(t) - largest, time)


def _rates(ln_rate: Callable[[Floats], Floats], time: Floats) -> Floats:
    """Return rates at the times such that the lines between them form the history's mass.

    What forms in a step is shared between its ends as in linear interpolation. The first
    step, from time zero on, may hold most of the mass of a history that begins with a peak.
    """
    x, weight = np.polynomial.legendre.leggauss(8)
    x, weight = (1 + x) / 2, weight / 2
    step = np.diff(time)
    inside = time[1:-1, None] + step[1:, None] * x
    mass = np.exp(ln_rate(inside)) * step[1:, None] * weight
    instants = np.geomspace(_FIRST_INSTANT, time[1], 3000)
    ln_instants = np.log(instants)
    begun = np.exp(ln_rate(instants) + ln_instants)
    share = instants / time[1]
    before = np.concatenate([[np.trapezoid(begun * (1 - share), ln_instants)], mass @ (1 - x)])
    after = np.concatenate([[np.trapezoid(begun * share, ln_instants)], mass @ x])
    node = np.concatenate([before, [0.0]]) + np.concatenate([[0.0], after])
    width = np.concatenate([step, [0.0]]) + np.concatenate([[0.0], step])
    rates: Floats = 2 * node / width
    return rates


def _thinned(time: Floats, age: float) -> Floats:
    """Return the times, increasing, without those too near to the one kept before them."""
    kept = [float(time[0])]
    for value in time[1:-1]:
        if value - kept[-1] >= _SHORTEST * (age - kept[-1]):
            kept.append(float(value))
    return np.array([*kept, age])
