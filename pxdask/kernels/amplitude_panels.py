"""Quadrature of Student's t likelihoods in ln amplitude, which may have as many maxima as bands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.pair_likelihood import fill_ratio, ln_phi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.kernels.pair_likelihood import InErrors

    Floats = NDArray[np.float64]

_STEP = 1.2
"""Length of a panel, in units of the length over which the density may change at its start. ln of
the mean is then right to 3e-4 in 600 cases of 1 to 12 bands, S/N 0.3 to 1,000, dof 1 to 30, with
limits; 1.7 has errors of 0.1 [1]."""

_CLOSER = 5.0
"""Square of the inverse length of a panel where a band is one error away, but for `_STEP`: so that
a panel is never longer than half the way to the amplitude that a band asks for [1]."""

_SHORTEST = 1e-9
"""Least length of a panel, reached where a band has a S/N of a billion [1]."""

_AT = (0.5 - 0.5 * math.sqrt(0.6), 0.5, 0.5 + 0.5 * math.sqrt(0.6))
_PART = (5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0)
"""Gauss & Legendre's nodes and weights on a panel from 0 to 1."""

_NEGLECTED = 1e-7
"""Part of the integral so far that what is left may be, at most, where the sum ends [1]."""


@njit(cache=True, nogil=True, error_model="numpy")
def panel_means(
    seen: InErrors,
    model: NDArray[np.float32],
    sed: NDArray[np.intp],
    low: Floats,
    width: float,
    dof: float,
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the ln mean likelihood of models over ln amplitude, and the nodes that it takes.

    Parameters
    ----------
    seen : InErrors
        SEDs.
    model, sed, low, width, dof
        As for `pxdask.kernels.amplitude.amplitude_nodes`.

    Returns
    -------
    ln_mean : (n_model,) float64
    n_node : (n_model,) int64
        Some 130 of 12 bands that agree, 200 of ones that do not.

    Notes
    -----
    Panels of three nodes each, from the least amplitude up, so short that the density cannot change
    much: the ln likelihood of a band of residual r changes over ``sqrt(dof + r^2)`` errors, that
    of an upper limit z errors above the model over z, and the squares of inverse lengths add up.
    So panels shorten towards every amplitude that a band asks for, and none is passed unseen.
    Above the largest of these the likelihood only falls; the sum ends where what is left of it is
    less than 1e-7.
    """
    data, inverse, limit, constant = seen
    ln_mean, n_node = np.empty(model.shape[0]), np.empty(model.shape[0], np.int64)
    ratio, nowhere = np.empty(model.shape[1]), np.empty(0)
    for i in range(model.shape[0]):
        j = sed[i]
        fill_ratio(model[i], inverse[j], low[j], width, ratio)
        top, total, n_node[i] = _panels(
            data[j], ratio, limit[j], -0.5 * width, 0.5 * width, dof, nowhere, nowhere
        )
        ln_mean[i] = constant[j] + top + math.log(total / width)
    return ln_mean, n_node


@njit(cache=True, nogil=True, error_model="numpy")
def panel_nodes(
    seen: InErrors,
    model: NDArray[np.float32],
    sed: NDArray[np.intp],
    low: Floats,
    width: float,
    dof: float,
    most: int,
) -> tuple[Floats, Floats, Floats]:
    """Return the members of `pxdask.kernels.amplitude.AmplitudeNodes`.

    Parameters
    ----------
    seen, model, sed, low, width, dof
        As for `panel_means`.
    most : int
        Largest number of nodes that a model takes, by `panel_means`. A model that takes fewer
        has its last one again, of no weight.
    """
    data, inverse, limit, constant = seen
    n_model = model.shape[0]
    ln_scale, weight = np.empty((n_model, most)), np.empty((n_model, most))
    ln_top, ratio = np.empty(n_model), np.empty(model.shape[1])
    for i in range(n_model):
        j = sed[i]
        middle = fill_ratio(model[i], inverse[j], low[j], width, ratio)
        top, _, n = _panels(
            data[j], ratio, limit[j], -0.5 * width, 0.5 * width, dof, ln_scale[i], weight[i]
        )
        for m in range(n):
            weight[i, m] = math.exp(weight[i, m] - top) / width
            ln_scale[i, m] += middle
        ln_scale[i, n:] = ln_scale[i, n - 1]
        weight[i, n:] = 0.0
        ln_top[i] = constant[j] + top
    return ln_scale, weight, ln_top


@njit(cache=True, error_model="numpy")
def _panels(
    data: Floats,
    ratio: Floats,
    limit: NDArray[np.bool_],
    low: float,
    high: float,
    dof: float,
    ln_scale: Floats,
    ln_part: Floats,
) -> tuple[float, float, int]:
    """Return the largest ln likelihood, the integral over its exponential, the number of nodes.

    Nodes, and ln of the likelihood times what they stand for, are put where there is room for them.
    """
    last = 0.0
    for k in range(ratio.size):
        if ratio[k] > 0.0 and not limit[k]:
            last = max(last, data[k] / ratio[k])
    kept = ln_scale.size > 0
    n, here, top, total = 0, low, -math.inf, 0.0
    while here < high:
        scale = math.exp(here)
        step = max(_STEP * _length(data, ratio, limit, scale, dof), _SHORTEST)
        step = min(step, high - here)
        found = 0.0
        for g in range(3):
            at = here + _AT[g] * step
            found = ln_student(data, ratio, limit, math.exp(at), dof)
            if found > top:
                total *= math.exp(top - found)
                top = found
            total += _PART[g] * step * math.exp(found - top)
            if kept:
                ln_scale[n], ln_part[n] = at, found + math.log(_PART[g] * step)
            n += 1
        here += step
        if scale > last and math.exp(found - top) * (high - here) < _NEGLECTED * total:
            break
    return top, total, n


@njit(cache=True, error_model="numpy")
def _length(
    data: Floats, ratio: Floats, limit: NDArray[np.bool_], scale: float, dof: float
) -> float:
    """Return over what of ln amplitude the density may change."""
    inverse_square = 1.0
    for k in range(ratio.size):
        apart = data[k] - scale * ratio[k]
        slope = (scale * ratio[k]) ** 2
        if not limit[k]:
            inverse_square += (_CLOSER + dof) * slope / (dof + apart * apart)
        else:
            inverse_square += _CLOSER * slope / (1.0 + max(apart, 0.0) ** 2)
    return 1.0 / math.sqrt(inverse_square)


@njit(cache=True, error_model="numpy")
def ln_student(
    data: Floats, ratio: Floats, limit: NDArray[np.bool_], scale: float, dof: float
) -> float:
    """Return the ln likelihood of an amplitude under Student's t, but for its constant."""
    total, bounds, product = 0.0, 0.0, 1.0
    for k in range(ratio.size):
        apart = data[k] - scale * ratio[k]
        if not limit[k]:
            product *= 1.0 + apart * apart / dof
            # before it overflows
            if product > 1e100:
                total += math.log(product)
                product = 1.0
        elif ratio[k] > 0.0:
            bounds += ln_phi(apart)
    return bounds - 0.5 * (dof + 1.0) * (total + math.log(product))
