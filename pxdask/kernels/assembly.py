"""Summaries of star formation histories: mean ages, recent star formation, mass assembly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp
from pxdask.kernels.history import (
    N_RULE,
    PIECEWISE,
    SFH_KINDS,
    History,
    coordinate,
    density,
    history_of,
    next_edge,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.kernels.sfh import AgeQuadrature

_FINE = 0.6
"""Panels of summaries, in units of those of weights: a hundredth of their error [1]."""
_N_PANEL = 128
"""Most panels of a summary; about 40 are used at the edges of the parameters' limits."""


@dataclass(frozen=True)
class HistorySummary:
    """What star formation histories say in a few numbers, by mass formed.

    Attributes
    ----------
    mean_age : (n_model,) float64
        Mean age of the stars [Gyr].
    recent : (n_model, n_span) float64
        Share of the mass that formed in each of the last spans of time; 1 where star
        formation began later.
    lookback : (n_model, n_fraction) float64
        Time since each fraction of the mass had formed [Gyr].
    """

    mean_age: NDArray[np.float64]
    recent: NDArray[np.float64]
    lookback: NDArray[np.float64]


def summarise(
    sfh: str,
    age: NDArray[np.float64],
    shape: NDArray[np.float64],
    *,
    quadrature: AgeQuadrature,
    spans: Sequence[float],
    fractions: Sequence[float],
) -> HistorySummary:
    """Return mean ages, shares of recent star formation and the times of mass assembly.

    Parameters
    ----------
    sfh, age, shape, quadrature
        As for `age_weights`.
    spans : sequence of float
        Lengths of intervals that end now, > 0 [Gyr].
    fractions : sequence of float
        Between 0 and 1.

    Returns
    -------
    summary : HistorySummary
        Of the continuous history, not of its age weights. Shares below about 1e-300 of the
        peak are not told apart.
    """
    until, of = np.asarray(spans, dtype=np.float64), np.asarray(fractions, dtype=np.float64)
    if SFH_KINDS[sfh] == PIECEWISE:
        return _summarise_bins(shape, quadrature.bin_edges, until, of)
    mean_age = np.empty(age.size)
    recent, lookback = np.empty((age.size, until.size)), np.empty((age.size, of.size))
    rule = (quadrature.abscissa, quadrature.weight)
    _summarise_all(SFH_KINDS[sfh], age, shape, rule, (until, of), mean_age, recent, lookback)
    return HistorySummary(mean_age, recent, lookback)


def _summarise_bins(
    shape: NDArray[np.float64],
    edges: NDArray[np.float64],
    spans: NDArray[np.float64],
    fractions: NDArray[np.float64],
) -> HistorySummary:
    """Return the summary of histories that are constant in bins."""
    width = np.diff(edges)
    covered = np.clip(spans[:, None] - edges[:-1], 0, width) / width
    older = np.cumsum(shape[:, ::-1], axis=1)
    model = np.arange(shape.shape[0])
    lookback = np.empty((shape.shape[0], fractions.size))
    for i, fraction in enumerate(fractions):
        # bins counted from the oldest: in this one the fraction is reached
        reached = np.minimum(np.sum(older < fraction, axis=1), width.size - 1)
        bin_ = width.size - 1 - reached
        mass = shape[model, bin_]
        missing = fraction - (older[model, reached] - mass)
        share = np.clip(missing / np.where(mass > 0, mass, 1.0), 0.0, 1.0)
        lookback[:, i] = edges[bin_ + 1] - share * width[bin_]
    return HistorySummary(
        mean_age=shape @ ((edges[1:] + edges[:-1]) / 2),
        recent=np.minimum(shape @ covered.T, 1.0),
        lookback=lookback,
    )


@njit(cache=True, error_model="numpy")
def _summarise_all(
    kind: int,
    age: NDArray[np.float64],
    shape: NDArray[np.float64],
    rule: tuple[NDArray[np.float64], NDArray[np.float64]],
    asked: tuple[NDArray[np.float64], NDArray[np.float64]],
    mean_age: NDArray[np.float64],
    recent: NDArray[np.float64],
    lookback: NDArray[np.float64],
) -> None:
    """Write the summary of every history."""
    edges, formed = np.empty(_N_PANEL + 1), np.empty(_N_PANEL + 1)
    spans, fractions = asked
    for i in range(age.shape[0]):
        history = history_of(kind, age[i], shape[i])
        n_panel, moment = _fill_formed(history, rule, edges, formed)
        total = formed[n_panel]
        mean_age[i] = moment / total
        for s in range(spans.shape[0]):
            share = 1.0
            if spans[s] < history.age:
                share = min(_mass_since(history, spans[s], rule) / total, 1.0)
            recent[i, s] = share
        for f in range(fractions.shape[0]):
            wanted = fractions[f] * total
            p = 0
            while p < n_panel - 1 and formed[p + 1] < wanted:
                p += 1
            mass = formed[p + 1] - formed[p]
            at = _where_formed(history, edges[p], edges[p + 1], mass, wanted - formed[p], rule)
            time = exp(at) if history.logarithmic else at
            lookback[i, f] = min(max(history.age - time, 0.0), history.age)


@njit(cache=True, error_model="numpy")
def _mass(
    history: History,
    left: float,
    right: float,
    rule: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> float:
    """Return the mass that forms in a panel."""
    abscissa, weight = rule
    total = 0.0
    for q in range(N_RULE):
        total += weight[q] * density(history, left + abscissa[q] * (right - left))
    return total * (right - left)


@njit(cache=True, error_model="numpy")
def _fill_formed(
    history: History,
    rule: tuple[NDArray[np.float64], NDArray[np.float64]],
    edges: NDArray[np.float64],
    formed: NDArray[np.float64],
) -> tuple[int, float]:
    """Write edges of panels and mass formed up to them; return their number and mass times age."""
    abscissa, weight = rule
    stop = min(history.end, history.now)
    edges[0], formed[0] = history.start, 0.0
    n_panel, moment = 0, 0.0
    while edges[n_panel] < stop:
        left = edges[n_panel]
        right = next_edge(history, left, stop, _FINE)
        if n_panel + 2 == edges.shape[0]:
            right = stop
        mass = 0.0
        for q in range(N_RULE):
            at = left + abscissa[q] * (right - left)
            part = weight[q] * density(history, at) * (right - left)
            mass += part
            moment += part * (history.age - (exp(at) if history.logarithmic else at))
        n_panel += 1
        edges[n_panel], formed[n_panel] = right, formed[n_panel - 1] + mass
    return n_panel, moment


@njit(cache=True, error_model="numpy")
def _mass_since(
    history: History, span: float, rule: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> float:
    """Return the mass formed in the last ``span`` Gyr, also long after the peak."""
    left = max(coordinate(history, history.age - span), history.start)
    total = 0.0
    while left < history.now:
        right = next_edge(history, left, history.now, _FINE)
        mass = _mass(history, left, right, rule)
        total += mass
        # past the peak each panel adds less
        if mass < 1e-14 * total:
            break
        left = right
    return total


@njit(cache=True, error_model="numpy")
def _where_formed(
    history: History,
    left: float,
    right: float,
    mass: float,
    wanted: float,
    rule: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> float:
    """Return up to where in a panel, of known mass, the mass wanted has formed.

    Newton's method, kept inside the panel by bisection.
    """
    low, high, length = left, right, right - left
    at = left + length * (wanted / mass)
    for _ in range(60):
        excess = _mass(history, left, at, rule) - wanted
        if excess > 0:
            high = at
        else:
            low = at
        better = at - excess / density(history, at)
        if not low <= better <= high:
            better = 0.5 * (low + high)
        if abs(better - at) <= 1e-10 * length:
            return better
        at = better
    return at
