"""Likelihoods of some models of a library, wherever they are in it, in double precision."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import log
from pxdask.kernels.likelihood import Scale, ln_peak_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_TILE = 256
"""Models worked on at a time: their fluxes in all bands stay in the first-level cache."""

_PRODUCT = 8
"""Terms of Student's t multiplied before a logarithm is taken: their product cannot overflow
unless a residual exceeds 1e19 sigma."""

_LARGEST = 1e300

_LOG10_E = math.log10(math.e)


def chosen_likelihoods(
    flux: Floats,
    error: Floats,
    models: NDArray[np.float32],
    chosen: NDArray[np.int64],
    *,
    dof: float,
) -> tuple[Scale, Floats]:
    """Return amplitudes and ln likelihoods of some models against one SED.

    Parameters
    ----------
    flux, error : (n_band,)
        Observed flux density and its 1-sigma uncertainty [uJy]; a band is left out where either
        is not finite or the uncertainty is not positive.
    models : (n_band, n_model) float32
        Flux density of all models per mass formed [uJy Msun-1]. Any layout; best is one in
        which a model's bands lie together in memory.
    chosen : (n_chosen,)
        Which models. What is found of one does not depend, to the last bit, on the others.
    dof : float
        Degrees of freedom of Student's t; infinity: the Gaussian [1].

    Returns
    -------
    scale : Scale
        As of `pxdask.kernels.likelihood.best_scale`, (n_chosen,).
    ln_likelihood : (n_chosen,)
        As of `ln_likelihood_gaussian` or `ln_likelihood_student`, of models at ``scale``; NaN
        where no band is usable or a model has no flux in any, -inf where it overflows.
    """
    value, err, ln_likelihood = _likelihoods(flux, error, models, chosen, dof)
    return Scale(value, err), ln_likelihood


@njit(cache=True, nogil=True, error_model="numpy")
def _likelihoods(
    flux: Floats, error: Floats, models: NDArray[np.float32], chosen: NDArray[np.int64], dof: float
) -> Floats:
    """Return rows: amplitudes, their errors and ln likelihoods."""
    used = np.flatnonzero(np.isfinite(flux) & np.isfinite(error) & (error > 0))
    found, error = np.empty((3, chosen.size)), error[used]
    _compare(flux[used] / error, 1 / error, used, models, chosen, (dof, math.isinf(dof)), found)
    peak = ln_peak_of(error, dof) if used.size else np.nan
    for j in range(chosen.size):
        found[2, j] = peak - 0.5 * found[2, j]
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _compare(
    data: Floats,
    inverse: Floats,
    used: NDArray[np.int64],
    models: NDArray[np.float32],
    chosen: NDArray[np.int64],
    form: tuple[float, bool],
    found: Floats,
) -> None:
    """Fill rows: amplitudes, their errors and -2 ln likelihood but for a constant."""
    dof, gaussian = form
    tile = np.empty((used.size, _TILE))
    cross, square = np.empty(_TILE), np.empty(_TILE)
    for start in range(0, chosen.size, _TILE):
        n = min(_TILE, chosen.size - start)
        # a band at a time: the first waits for memory, for many models at once
        for k in range(used.size):
            row, per_error = models[used[k]], inverse[k]
            for j in range(n):
                tile[k, j] = per_error * row[chosen[start + j]]
        part = found[:, start : start + n]
        scales, errs, costs = part[0], part[1], part[2]
        _amplitudes(data, tile, cross, square, scales, errs)
        if gaussian:
            _chi_squares(data, tile, scales, costs)
        else:
            _student_costs(data, tile, scales, dof, cross, costs)


# Loops of one statement or two, each vectorised alone, and without any leave to reorder: a model's
# numbers are the same in the body and in the rest of a loop.
@njit(cache=True, nogil=True, error_model="numpy")
def _amplitudes(
    data: Floats, tile: Floats, cross: Floats, square: Floats, value: Floats, err: Floats
) -> None:
    """Fill amplitudes and their errors; 0 / 0 and 1 / 0 are NaN and infinity by IEEE 754."""
    cross[:] = 0.0
    square[:] = 0.0
    for k in range(data.size):
        x, row = data[k], tile[k]
        for j in range(value.size):
            cross[j] += x * row[j]
            square[j] += row[j] * row[j]
    for j in range(value.size):
        value[j] = cross[j] / square[j]
    for j in range(value.size):
        err[j] = 1.0 / math.sqrt(square[j])


@njit(cache=True, nogil=True, error_model="numpy")
def _chi_squares(data: Floats, tile: Floats, scale: Floats, cost: Floats) -> None:
    """Fill chi-square; residuals, not sums of squares, so nothing cancels."""
    cost[:] = 0.0
    for k in range(data.size):
        x, row = data[k], tile[k]
        for j in range(cost.size):
            residual = x - scale[j] * row[j]
            cost[j] += residual * residual


@njit(cache=True, nogil=True, error_model="numpy")
def _student_costs(
    data: Floats, tile: Floats, scale: Floats, dof: float, product: Floats, cost: Floats
) -> None:
    """Fill (dof + 1) times the sum of ln(1 + residual^2 / dof); ``product`` is overwritten."""
    n, per_dof = cost.size, 1.0 / dof
    cost[:] = 0.0
    for first in range(0, data.size, _PRODUCT):
        product[:n] = 1.0
        for k in range(first, min(first + _PRODUCT, data.size)):
            x, row = data[k], tile[k]
            for j in range(n):
                residual = x - scale[j] * row[j]
                product[j] *= 1.0 + residual * residual * per_dof
        for j in range(n):
            # NaN is not below the largest either
            cost[j] += (dof + 1) * log(product[j]) if product[j] < _LARGEST else np.inf


def logarithms(scale: Scale, *, node: float) -> tuple[Floats, Floats, Floats]:
    """Return relative errors of amplitudes, and what summaries want to know of both.

    Parameters
    ----------
    scale : Scale
        Positive amplitudes (n_chosen,) and their errors, in one unit.
    node : float
        Distance of an amplitude's outer nodes from it [sigma].

    Returns
    -------
    relative, log_scale, spread : (n_chosen,)
        Relative errors [1], log10 of amplitudes, and how far the outer nodes are from them [dex].
    """
    relative, log_scale, spread = _logarithms(scale.value, scale.err, node)
    return relative, log_scale, spread


@njit(cache=True, nogil=True, error_model="numpy")
def _logarithms(value: Floats, err: Floats, node: float) -> Floats:
    """Return the rows of `logarithms`."""
    found = np.empty((3, value.size))
    for j in range(value.size):
        relative = err[j] / value[j]
        found[0, j] = relative
        found[1, j] = _LOG10_E * log(value[j])
        found[2, j] = _LOG10_E * log(1.0 + node * relative)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def chosen_rows(table: Floats, chosen: NDArray[np.int64]) -> Floats:
    """Return some rows of a table (n_model, n_value) as columns, (n_value, n_chosen)."""
    found = np.empty((table.shape[1], chosen.size))
    for start in range(0, chosen.size, _TILE):
        n = min(_TILE, chosen.size - start)
        for k in range(table.shape[1]):
            for j in range(n):
                found[k, start + j] = table[chosen[start + j], k]
    return found
