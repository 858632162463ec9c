"""Star formation histories as weights on the ages of simple stellar populations.

Times are in Gyr; t is the time since the start of star formation. The forms, and the columns
of ``shape`` (n_model, n_shape) that hold their parameters (Abdurro'uf et al. 2021, ApJS 254,
15, section 4.1; bins: Leja et al. 2019, ApJ 876, 3):

- ``tau``: exp(-t / tau); 1 / tau
- ``delayed_tau``: t exp(-t / tau); 1 / tau
- ``lognormal``: exp(-(ln t - T0)^2 / (2 tau^2)) / t; T0, 1 / tau
- ``gaussian``: exp(-(t - T0)^2 / (2 tau^2)); T0, 1 / tau
- ``double_power_law``: 1 / ((t / tau)^alpha + (t / tau)^-beta); ln tau, alpha, beta
- ``piecewise``: constant in bins of lookback time; share of the mass in each, youngest first

Where the steps between ages are short in terms of a history's own times, which means at most
ages of most histories, points are taken at the same ages for all; the others are divided.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp, log
from pxdask.kernels.history import (
    DOUBLE_POWER_LAW,
    N_RULE,
    PIECEWISE,
    SFH_KINDS,
    History,
    coordinate,
    fill_density,
    history_of,
    next_edge,
    panel,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_N_POINT = 3
"""Gauss-Legendre points at fixed ages in each interval between ages."""
_PANEL_SIZE = 2 * N_RULE + 2
"""Numbers kept for a panel: points, ages, length, interval."""
_FIXED_SHARE = 0.4
"""Longest interval between ages, in panels, that the points at fixed ages integrate [1]."""


class AgeQuadrature(NamedTuple):
    """Points and bins at which histories are integrated over the ages of SSPs.

    Attributes
    ----------
    node : (n_age,) float64
        Ages of the SSPs, increasing [Gyr].
    point : (n_point, n_age) float64
        Fixed ages of Gauss-Legendre points [Gyr]; column j lies between nodes j - 1 and j,
        column 0 between age zero and node 0.
    younger, older : (n_point, n_age) float64
        Time that a point stands for [Gyr], split between the node before and after it.
    width : (n_age,) float64
        Greatest distance of neighbouring nodes up to each node [Gyr].
    ln_node, per_step : (n_age + 1,) float64
        ln of the node before each interval, and the inverse of its length in ln(age); zero
        before the first and after the last node, where spectra are constant.
    abscissa, weight : (n_rule,) float64
        The rule of a panel, from 0 to 1.
    bin_edges : (n_bin + 1,) float64
        Lookback times of the edges of time bins [Gyr]; empty: none.
    bin_weights : (n_bin, n_age) float64
        Age weights of constant star formation within each bin.
    """

    node: NDArray[np.float64]
    point: NDArray[np.float64]
    younger: NDArray[np.float64]
    older: NDArray[np.float64]
    width: NDArray[np.float64]
    ln_node: NDArray[np.float64]
    per_step: NDArray[np.float64]
    abscissa: NDArray[np.float64]
    weight: NDArray[np.float64]
    bin_edges: NDArray[np.float64]
    bin_weights: NDArray[np.float64]


def age_quadrature(
    log_age: NDArray[np.float64], *, bin_edges: NDArray[np.float64] | None = None
) -> AgeQuadrature:
    """Return the points at which star formation histories are integrated.

    Parameters
    ----------
    log_age : (n_age,) float64
        log10 of the SSP ages, increasing [yr].
    bin_edges : (n_bin + 1,) float64, optional
        Edges of the bins of ``piecewise``, from 0 upwards [Gyr].

    Returns
    -------
    quadrature : AgeQuadrature

    Notes
    -----
    The scheme of FSPS (Conroy et al. 2009, ApJ 699, 486; its manual, "SFH integration"):
    spectra are linear in log age between nodes, and constant before the first one. After
    the last one they are constant, too. Photometry of BC03 populations (850 Angstrom to
    3.6 micron, 107 ages 0.05 dex apart) agrees with fine integration to 0.01 per cent for
    1,500 draws of each form from the registry's ranges, and from its limits.
    """
    abscissa, weight = _rule(_N_POINT)
    node = 10.0 ** (np.asarray(log_age, dtype=np.float64) - 9)
    step = np.log(node[1:] / node[:-1])
    point = np.empty((_N_POINT, node.size))
    point[:, 0] = node[0] * abscissa
    point[:, 1:] = node[:-1] * np.exp(step * abscissa[:, None])
    older = np.empty_like(point)
    older[:, 0] = node[0] * weight
    older[:, 1:] = point[:, 1:] * step * (weight * abscissa)[:, None]
    younger = np.zeros_like(point)
    younger[:, 1:] = point[:, 1:] * step * (weight * (1 - abscissa))[:, None]
    edges = np.empty(0) if bin_edges is None else np.asarray(bin_edges, dtype=np.float64)
    return AgeQuadrature(
        node=node,
        point=point,
        younger=younger,
        older=older,
        width=np.maximum.accumulate(np.diff(node, prepend=0.0)),
        ln_node=np.log(np.concatenate([node[:1], node])),
        per_step=np.concatenate([[0.0], 1 / step, [0.0]]),
        abscissa=_rule(N_RULE)[0],
        weight=_rule(N_RULE)[1],
        bin_edges=edges,
        bin_weights=_bin_weights(node, edges),
    )


def _rule(n_point: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the abscissae and weights of Gauss-Legendre's rule from 0 to 1."""
    x, weight = np.polynomial.legendre.leggauss(n_point)
    return (1 + x) / 2, weight / 2


def _bin_weights(node: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return age weights (n_bin, n_age) of constant star formation in bins, in closed form.

    The share of the later node, linear in ln(age), has the integral t ln(t) - t.
    """
    weights = np.zeros((max(edges.size - 1, 0), node.size))
    for b, (young, old) in enumerate(pairwise(edges)):
        inside = node[(node > young) & (node < old)]
        cut = np.concatenate([[young], inside, [old]])
        for low, high in pairwise(cut):
            j = int(np.searchsorted(node, (low + high) / 2))
            before, after = max(j - 1, 0), min(j, node.size - 1)
            later = 0.0
            if before < after:
                integral = high * np.log(high / node[before]) - low * np.log(low / node[before])
                later = (integral - (high - low)) / np.log(node[after] / node[before])
            weights[b, after] += later
            weights[b, before] += (high - low) - later
        weights[b] /= old - young
    return weights


@njit(cache=True, error_model="numpy")
def _first_divided(
    history: History, node: NDArray[np.float64], width: NDArray[np.float64], n_full: int
) -> int:
    """Return the first of the intervals that are longer than points at fixed ages allow."""
    low, high = history.start, min(history.end, history.now)
    length = min(panel(history, low), panel(history, high))
    if history.kind == DOUBLE_POWER_LAW:
        length = min(length, panel(history, min(max(history.first, low), high)))
    length *= _FIXED_SHARE
    j = n_full
    while j > 0:
        allowed = length
        if history.logarithmic:
            allowed *= max(history.age - node[j - 1], 0.0)
        if width[j - 1] <= allowed:
            break
        j -= 1
    return j


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_fixed_points(
    history: History,
    n_interval: int,
    point: NDArray[np.float64],
    younger: NDArray[np.float64],
    older: NDArray[np.float64],
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Add what forms at the fixed points of the first intervals to the nodes beside them."""
    age, n_point = history.age, point.shape[0]
    x = scratch[: n_point * n_interval]
    for q in range(n_point):
        for j in range(n_interval):
            x[q * n_interval + j] = age - point[q, j]
    if history.logarithmic:
        time = scratch[x.size : 2 * x.size]
        for j in range(x.shape[0]):
            time[j] = x[j]
            x[j] = log(x[j])
        fill_density(history, x)
        for j in range(x.shape[0]):
            x[j] /= time[j]
    else:
        fill_density(history, x)
    for q in range(n_point):
        formed = x[q * n_interval : (q + 1) * n_interval]
        for j in range(n_interval):
            out[j] += older[q, j] * formed[j]
        for j in range(1, n_interval):
            out[j - 1] += younger[q, j] * formed[j]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_panels(
    history: History,
    n_panel: int,
    interpolation: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Add what forms in panels to the nodes beside them.

    ``scratch`` holds the points of all panels, as many numbers that are written, the panels'
    lengths, and the intervals between ages that they lie in.
    """
    weight, ln_node, per_step = interpolation
    n_age, most = out.shape[0], scratch.size // _PANEL_SIZE
    x = scratch[: n_panel * N_RULE]
    ln_age = scratch[most * N_RULE : most * N_RULE + x.size]
    if history.logarithmic:
        for k in range(x.shape[0]):
            ln_age[k] = log(max(history.age - exp(x[k]), 1e-300))
    else:
        for k in range(x.shape[0]):
            ln_age[k] = log(max(history.age - x[k], 1e-300))
    fill_density(history, x)
    for p in range(n_panel):
        length = scratch[2 * most * N_RULE + p]
        j = int(scratch[(2 * N_RULE + 1) * most + p])
        mass = later = 0.0
        for q in range(N_RULE):
            formed = x[p * N_RULE + q] * weight[q]
            mass += formed
            later += formed * (ln_age[p * N_RULE + q] - ln_node[j])
        # rounding must not make a weight negative
        later = min(max(later * per_step[j], 0.0), mass)
        out[min(j, n_age - 1)] += later * length
        out[max(j - 1, 0)] += (mass - later) * length


@njit(cache=True, error_model="numpy")
def _add_divided(
    history: History,
    intervals: tuple[int, int],
    node: NDArray[np.float64],
    abscissa: NDArray[np.float64],
    interpolation: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Add what forms in intervals that are divided into panels, and in the one cut by the start."""
    age = history.age
    n_panel, most = 0, scratch.size // _PANEL_SIZE
    high = age if intervals[0] == 0 else age - node[intervals[0] - 1]
    right = coordinate(history, high)
    for j in range(intervals[0], intervals[1] + 1):
        if right <= history.start:
            break
        low = age - node[j] if j < intervals[1] else 0.0
        left = coordinate(history, low)
        x, stop = max(left, history.start), min(right, history.end)
        while x < stop:
            edge = next_edge(history, x, stop, 1.0)
            if n_panel == most:
                _add_panels(history, n_panel, interpolation, scratch, out)
                n_panel = 0
            for q in range(N_RULE):
                scratch[n_panel * N_RULE + q] = x + abscissa[q] * (edge - x)
            scratch[2 * most * N_RULE + n_panel] = edge - x
            scratch[(2 * N_RULE + 1) * most + n_panel] = j
            n_panel += 1
            x = edge
        right = left
    _add_panels(history, n_panel, interpolation, scratch, out)


@njit(cache=True, error_model="numpy", fastmath={"reassoc"})
def _normalise(out: NDArray[np.float64]) -> None:
    """Divide by the sum."""
    total = 0.0
    for j in range(out.shape[0]):
        total += out[j]
    per_total = 1 / total
    for j in range(out.shape[0]):
        out[j] *= per_total


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def fill_age_weights(
    kind: int,
    age: float,
    shape: NDArray[np.float64],
    quadrature: AgeQuadrature,
    rate: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Write the weights of one history to ``out`` (n_age,); return how many can be non-zero.

    ``rate`` (n_rule + 1, n_age or more) is scratch. Rates are relative to the peak within the
    history's age, so that no history, however steep, loses all its mass to underflow.
    """
    n_age = quadrature.node.shape[0]
    out[:] = 0.0
    if kind == PIECEWISE:
        age = quadrature.bin_edges[-1]
        for b in range(quadrature.bin_weights.shape[0]):
            for j in range(n_age):
                out[j] += shape[b] * quadrature.bin_weights[b, j]
    n_full = int(np.searchsorted(quadrature.node, age, side="right"))
    if kind != PIECEWISE:
        history = history_of(kind, age, shape)
        scratch = rate.reshape(rate.size)
        divided = _first_divided(history, quadrature.node, quadrature.width, n_full)
        _add_fixed_points(
            history,
            divided,
            quadrature.point,
            quadrature.younger,
            quadrature.older,
            scratch,
            out,
        )
        _add_divided(
            history,
            (divided, n_full),
            quadrature.node,
            quadrature.abscissa,
            (quadrature.weight, quadrature.ln_node, quadrature.per_step),
            scratch,
            out,
        )
    n_used = int(min(n_full + 1, n_age))
    _normalise(out[:n_used])
    return n_used


@njit(cache=True, error_model="numpy")
def _fill_all(
    kind: int,
    age: NDArray[np.float64],
    shape: NDArray[np.float64],
    quadrature: AgeQuadrature,
    out: NDArray[np.float64],
) -> None:
    """Write the weights of every history to ``out`` (n_model, n_age)."""
    n_rule, n_age = quadrature.abscissa.size, quadrature.node.size
    rate = np.empty((n_rule + 1, max(n_age, n_rule)))
    for i in range(age.shape[0]):
        fill_age_weights(kind, age[i], shape[i], quadrature, rate, out[i])


def age_weights(
    sfh: str,
    age: NDArray[np.float64],
    shape: NDArray[np.float64],
    *,
    quadrature: AgeQuadrature,
) -> NDArray[np.float64]:
    """Return the fraction of the mass formed that each SSP stands for.

    Parameters
    ----------
    sfh : str
        Key of `SFH_KINDS`.
    age : (n_model,) float64
        Time since the start of star formation, > 0 [Gyr]; ``piecewise`` has that of its bins.
    shape : (n_model, n_shape) float64
        See the module's docstring.
    quadrature : AgeQuadrature
        Of the SSP ages; a history older than the last is held to it.

    Returns
    -------
    weights : (n_model, n_age) float64
        Rows sum to one.
    """
    out = np.empty((age.size, quadrature.node.size))
    _fill_all(SFH_KINDS[sfh], age, shape, quadrature, out)
    return out
