"""Likelihood of models of any amplitude: its mean over a prior that is even in ln amplitude."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.pair_likelihood import in_errors, ln_phi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.kernels.pair_likelihood import InErrors

    Floats = NDArray[np.float64]

_N_GAUSS, _N_STUDENT = 24, 48
"""Nodes. The mean of a Gaussian is then right to 1e-5, relative, with upper limits to 1e-3; that of
Student's t to 1e-3, unless bands disagree so much that it has two maxima, of which the nodes are
dense about one (3e-3 with 12 bands, 0.05 with 5; with two bands far apart it may fail) [1]."""

_REACH = math.asinh(9.0)
"""Where nodes of a Gaussian likelihood end, in asinh of widths: beyond, it has fallen by e^-30."""

_NARROW = 0.12
"""Width in ln amplitude below which a Gaussian likelihood is nothing at small amplitudes: those
are then more than 8 sigma away."""

_ROUNDS = 12
"""Rounds in which weights of bands under Student's t, or halvings of a step, settle."""

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
    n_node: int | None = None,
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
    n_node : int, optional
        Nodes. Default: 24 of a Gaussian, 48 of Student's t.

    Returns
    -------
    nodes : AmplitudeNodes
        Each model's depend on it and its SED alone, to the last bit.

    Notes
    -----
    Gauss & Legendre's nodes in t, where ``ln s = c + w sinh(t)``: dense about the maximum of the
    density in ln s, c, whose curvature gives w, and reaching far tails, such as that to small
    amplitudes where nothing is detected. For a Gaussian ``(s - s0) / sigma`` the maximum is
    at ``s^2 - s0 s = sigma^2``. Student's t is a Gaussian whose bands have the weights ``(dof + 1)
    / (dof + r^2)`` of residuals r, found in rounds (Lange, Little & Taylor 1989, JASA 84, 881)
    from the weighted median of the ratios of data and model.
    """
    seen = in_errors(flux, error, limit, dof=dof)
    n_default = _N_GAUSS if math.isinf(dof) else _N_STUDENT
    x, of_node = np.polynomial.legendre.leggauss(n_node or n_default)
    return AmplitudeNodes(
        *_nodes(
            seen,
            model,
            sed,
            np.asarray(low, np.float64),
            float(width),
            float(dof),
            0.5 * (1 + x),
            0.5 * of_node,
        )
    )


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
    dof: float,
    x: Floats,
    of_node: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return the members of `AmplitudeNodes`."""
    data, inverse, limit, constant = seen
    n_model, n_node = model.shape[0], x.size
    ln_scale, weight = np.empty((n_model, n_node)), np.empty((n_model, n_node))
    ln_top, ratio = np.empty(n_model), np.empty(model.shape[1])
    gaussian = math.isinf(dof)
    for i in range(n_model):
        j = sed[i]
        for k in range(ratio.size):
            ratio[k] = model[i, k] * inverse[j, k]
        best, square = _least_squares(data[j], ratio, limit[j])
        if not gaussian:
            best, square = _robust(data[j], ratio, limit[j], best, dof)
        high = low[j] + width
        centre, scatter, limited = _maximum(data[j], ratio, limit[j], best, square, low[j], high)
        first = math.asinh((low[j] - centre) / scatter)
        last = math.asinh((high - centre) / scatter)
        if gaussian:
            last = min(last, _REACH)
            if scatter < _NARROW and not limited:
                first = max(first, -_REACH)
        ln_top[i] = -math.inf
        for n in range(n_node):
            t = first + (last - first) * x[n]
            grown = math.exp(t)
            y = centre + scatter * 0.5 * (grown - 1.0 / grown)
            ln_scale[i, n] = y
            found = _ln_density(data[j], ratio, limit[j], math.exp(y), dof, limited)
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
def _robust(
    data: Floats, ratio: Floats, limit: NDArray[np.bool_], best: float, dof: float
) -> tuple[float, float]:
    """Return a likely amplitude under Student's t, and the inverse variance of its Gaussian."""
    best = _median(data, ratio, limit, best)
    square = 0.0
    for _ in range(_ROUNDS):
        cross = square = 0.0
        for k in range(ratio.size):
            if not limit[k]:
                apart = data[k] - best * ratio[k]
                share = (dof + 1.0) / (dof + apart * apart)
                cross += share * data[k] * ratio[k]
                square += share * ratio[k] * ratio[k]
        if square > 0.0:
            best = cross / square
    return best, square


@njit(cache=True, error_model="numpy")
def _median(data: Floats, ratio: Floats, limit: NDArray[np.bool_], otherwise: float) -> float:
    """Return the amplitude of the least sum of absolute residuals: a weighted median."""
    least, found = math.inf, otherwise
    for m in range(ratio.size):
        if limit[m] or ratio[m] <= 0.0:
            continue
        scale, total = data[m] / ratio[m], 0.0
        for k in range(ratio.size):
            if not limit[k]:
                total += abs(data[k] - scale * ratio[k])
        if total < least:
            least, found = total, scale
    return found


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
    dof: float,
    limited: bool,  # noqa: FBT001  numba takes no keywords
) -> float:
    """Return the ln likelihood of an amplitude, but for its constant."""
    total = 0.0
    if math.isinf(dof):
        for k in range(ratio.size):
            if not limit[k]:
                apart = data[k] - scale * ratio[k]
                total += apart * apart
        total *= -0.5
    else:
        product = 1.0
        for k in range(ratio.size):
            if not limit[k]:
                apart = data[k] - scale * ratio[k]
                product *= 1.0 + apart * apart / dof
                # before it overflows
                if product > 1e100:
                    total += math.log(product)
                    product = 1.0
        total = -0.5 * (dof + 1.0) * (total + math.log(product))
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
