"""Likelihood of models of any amplitude: its mean over a prior that is even in ln amplitude."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.amplitude_panels import panel_means, panel_nodes
from pxdask.kernels.pair_likelihood import fill_ratio, in_errors, ln_phi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.kernels.pair_likelihood import InErrors

    Floats = NDArray[np.float64]

_N_GAUSS = 24
"""Nodes of a Gaussian. Its mean is then right to 1e-5, relative, with upper limits to 1e-3 [1]."""

_REACH = math.asinh(9.0)
"""Where nodes of a Gaussian likelihood end, in asinh of widths: beyond, it has fallen by e^-30."""

_NARROW = 0.12
"""Width in ln amplitude below which a Gaussian likelihood is nothing at small amplitudes: those
are then more than 8 sigma away."""

_HALVINGS = 22
"""Halvings of the range of ln amplitude, 14 wide, in which a maximum with limits is looked for."""


class AmplitudeNodes(NamedTuple):
    """Likelihood of each model at some amplitudes.

    Attributes
    ----------
    ln_scale : (n_model, n_node) float64
        Natural log of the amplitudes, increasing [ln Msun].
    weight : (n_model, n_node) float64
        Likelihood there times the part of the prior that a node stands for, in units of
        ``exp(ln_top)``.
    ln_top : (n_model,) float64
        Natural log of the largest likelihood at a node.
    """

    ln_scale: Floats
    weight: Floats
    ln_top: Floats


def amplitude_nodes(
    flux: Floats,
    error: Floats,
    limit: NDArray[np.bool_],
    model: NDArray[np.float32],
    *,
    sed: NDArray[np.intp],
    low: Floats,
    width: float,
    dof: float = math.inf,
    n_node: int = _N_GAUSS,
) -> AmplitudeNodes:
    """Return the likelihood of each model given its own SED, at amplitudes where it is large.

    Parameters
    ----------
    flux, error, limit, model, sed, dof
        As for `pxdask.kernels.pair_likelihood.pair_ln_likelihood`.
    low : (n_sed,) float64
        Natural log of the least amplitude [ln Msun].
    width : float
        Of the prior, even in ln amplitude [1].
    n_node : int
        Nodes of a Gaussian; Student's t has as many as it takes.

    Returns
    -------
    nodes : AmplitudeNodes
        Each model's depend on it and its SED alone, to the last bit.

    Notes
    -----
    Gauss & Legendre's nodes in t, where ``ln s = c + w sinh(t)``: dense about the maximum of the
    density in ln s, c, whose curvature gives w, and reaching far tails, such as that to small
    amplitudes where nothing is detected. For a Gaussian ``(s - s0) / sigma`` the maximum is
    at ``s^2 - s0 s = sigma^2``. Student's t may have as many maxima as bands: its nodes are those
    of `pxdask.kernels.amplitude_panels`.
    """
    seen = in_errors(flux, error, limit, dof=dof)
    low = np.asarray(low, np.float64)
    if math.isfinite(dof):
        of_student = (seen, model, sed, low, float(width), float(dof))
        _, taken = panel_means(*of_student)
        return AmplitudeNodes(*panel_nodes(*of_student, int(np.max(taken, initial=1))))
    x, of_node = _legendre(n_node)
    return AmplitudeNodes(
        *_nodes(seen, model, sed, low, float(width), 0.5 * (1 + x), 0.5 * of_node)
    )


def ln_mean_over_amplitude(
    flux: Floats,
    error: Floats,
    limit: NDArray[np.bool_],
    model: NDArray[np.float32],
    *,
    sed: NDArray[np.intp],
    low: Floats,
    width: float,
    dof: float = math.inf,
) -> Floats:
    """Return the natural log of the mean likelihood (n_model,) over a prior even in ln amplitude.

    It is that of `amplitude_nodes`, whose arguments it has, without the nodes.
    """
    if math.isinf(dof):
        return ln_mean_likelihood(
            amplitude_nodes(flux, error, limit, model, sed=sed, low=low, width=width)
        )
    seen = in_errors(flux, error, limit, dof=dof)
    low = np.asarray(low, np.float64)
    return np.asarray(panel_means(seen, model, sed, low, float(width), float(dof))[0])


@cache
def _legendre(n_node: int) -> tuple[Floats, Floats]:
    """Return Gauss & Legendre's nodes and weights, which take longer than their use."""
    x, of_node = np.polynomial.legendre.leggauss(n_node)
    return np.asarray(x), np.asarray(of_node)


def ln_mean_likelihood(nodes: AmplitudeNodes) -> Floats:
    """Return the natural log of the mean likelihood (n_model,) over the prior of the amplitude."""
    return np.asarray(_ln_sums(nodes.weight) + nodes.ln_top)


def draw_ln_scale(nodes: AmplitudeNodes, uniform: Floats) -> Floats:
    """Return an amplitude (n_model,) of each model, drawn by likelihood times prior [ln Msun].

    Parameters
    ----------
    nodes : AmplitudeNodes
        Of each model.
    uniform : (n_model,) float64
        In [0, 1): the part of the posterior below the amplitude.

    Notes
    -----
    Each node's part is spread evenly from half-way to the node before to half-way to the next,
    which widens a Gaussian by 4 per cent with 24 nodes, by 0.3 with 96.
    """
    return np.asarray(_draw(nodes.ln_scale, nodes.weight, uniform))


@njit(cache=True, nogil=True, error_model="numpy")
def _nodes(
    seen: InErrors,
    model: NDArray[np.float32],
    sed: NDArray[np.intp],
    low: Floats,
    width: float,
    x: Floats,
    of_node: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return the members of `AmplitudeNodes`."""
    data, inverse, limit, constant = seen
    n_model, n_node = model.shape[0], x.size
    ln_scale, weight = np.empty((n_model, n_node)), np.empty((n_model, n_node))
    ln_top, ratio = np.empty(n_model), np.empty(model.shape[1])
    for i in range(n_model):
        j = sed[i]
        middle = fill_ratio(model[i], inverse[j], low[j], width, ratio)
        best, square = _least_squares(data[j], ratio, limit[j])
        least, most = -0.5 * width, 0.5 * width
        centre, scatter, limited = _maximum(data[j], ratio, limit[j], best, square, least, most)
        first = math.asinh((least - centre) / scatter)
        last = min(math.asinh((most - centre) / scatter), _REACH)
        if scatter < _NARROW and not limited:
            first = max(first, -_REACH)
        ln_top[i] = -math.inf
        for n in range(n_node):
            t = first + (last - first) * x[n]
            grown = math.exp(t)
            y = centre + scatter * 0.5 * (grown - 1.0 / grown)
            ln_scale[i, n] = y + middle
            found = _ln_density(data[j], ratio, limit[j], math.exp(y), limited)
            weight[i, n] = found
            ln_top[i] = max(ln_top[i], found)
        for n in range(n_node):
            grown = math.exp(first + (last - first) * x[n])
            part = of_node[n] * (last - first) * scatter * 0.5 * (grown + 1.0 / grown) / width
            weight[i, n] = part * math.exp(weight[i, n] - ln_top[i])
        ln_top[i] += constant[j]
    return ln_scale, weight, ln_top


@njit(cache=True, error_model="numpy")
def _least_squares(data: Floats, ratio: Floats, limit: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the best amplitude, and its inverse variance."""
    cross = square = 0.0
    for k in range(ratio.size):
        if not limit[k]:
            cross += data[k] * ratio[k]
            square += ratio[k] * ratio[k]
    return (cross / square if square > 0.0 else 0.0), square


@njit(cache=True, error_model="numpy")
def _maximum(
    data: Floats,
    ratio: Floats,
    limit: NDArray[np.bool_],
    best: float,
    square: float,
    low: float,
    high: float,
) -> tuple[float, float, bool]:
    """Return where the density in ln amplitude is largest, its width, and if there are limits."""
    limited = False
    for k in range(ratio.size):
        limited = limited or (limit[k] and ratio[k] > 0.0)
    if square <= 0.0 and not limited:
        return 0.5 * (low + high), 0.5 * (high - low), False
    if limited:
        first, last = low, high
        for _ in range(_HALVINGS):
            middle = 0.5 * (first + last)
            slope, _ = _slope(data, ratio, limit, math.exp(middle), best, square)
            if slope > 0.0:
                first = middle
            else:
                last = middle
        centre = 0.5 * (first + last)
    else:
        root = math.sqrt(best * best + 4.0 / square)
        # of the two forms, that without a difference of like numbers
        scale = 0.5 * (best + root) if best > 0.0 else 2.0 / (square * (root - best))
        centre = min(max(math.log(scale), low), high)
    _, curve = _slope(data, ratio, limit, math.exp(centre), best, square)
    return centre, 1.0 / math.sqrt(curve), limited


@njit(cache=True, error_model="numpy")
def _slope(
    data: Floats,
    ratio: Floats,
    limit: NDArray[np.bool_],
    scale: float,
    best: float,
    square: float,
) -> tuple[float, float]:
    """Return slope, and minus curvature at the maximum, of the ln density in ln amplitude."""
    slope = 1.0 - scale * (scale - best) * square
    curve = 1.0 + scale * scale * square
    for k in range(ratio.size):
        if limit[k] and ratio[k] > 0.0:
            z = data[k] - scale * ratio[k]
            mills = math.exp(-0.5 * z * z - 0.5 * math.log(2 * math.pi) - ln_phi(z))
            slope -= scale * ratio[k] * mills
            curve += (scale * ratio[k]) ** 2 * mills * (mills + z)
    return slope, curve


@njit(cache=True, error_model="numpy")
def _ln_density(
    data: Floats,
    ratio: Floats,
    limit: NDArray[np.bool_],
    scale: float,
    limited: bool,  # noqa: FBT001  numba takes no keywords
) -> float:
    """Return the ln likelihood of an amplitude, but for its constant."""
    total = 0.0
    for k in range(ratio.size):
        if not limit[k]:
            apart = data[k] - scale * ratio[k]
            total += apart * apart
    total *= -0.5
    if limited:
        for k in range(ratio.size):
            if limit[k]:
                total += ln_phi(data[k] - scale * ratio[k])
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _ln_sums(weight: Floats) -> Floats:
    """Return ln of the sums of rows."""
    out = np.empty(weight.shape[0])
    for i in range(out.size):
        total = 0.0
        for n in range(weight.shape[1]):
            total += weight[i, n]
        out[i] = math.log(total)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(ln_scale: Floats, weight: Floats, uniform: Floats) -> Floats:
    """Return draws of histograms."""
    n_model, n_node = weight.shape
    out = np.empty(n_model)
    for i in range(n_model):
        left = uniform[i] * np.sum(weight[i])
        n = 0
        while n < n_node - 1 and left >= weight[i, n]:
            left -= weight[i, n]
            n += 1
        here = ln_scale[i, n]
        first = 0.5 * (ln_scale[i, n - 1] + here) if n > 0 else here
        last = 0.5 * (here + ln_scale[i, n + 1]) if n < n_node - 1 else here
        part = min(left / weight[i, n], 1.0) if weight[i, n] > 0.0 else 0.5
        out[i] = first + part * (last - first)
    return out
