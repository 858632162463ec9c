"""Draws from, and densities of, a mixture of Gaussians that a network gives for an SED."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.dense_layers import LANES
from pxdask.kernels.fastmath import exp_single, log

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Singles = NDArray[np.float32]
    Floats = NDArray[np.float64]

LEAST_LN_ROOT, MOST_LN_ROOT = -4.0, 8.0
"""Natural log of the least and the greatest element of a precision root's diagonal."""

_LEAST, _MOST = np.float32(LEAST_LN_ROOT), np.float32(MOST_LN_ROOT)
_HALF, _ZERO = np.float32(0.5), np.float32(0.0)
_LN_ROOT_2PI = 0.5 * math.log(2 * math.pi)
_OWN = {"contract"}


@njit(cache=True, nogil=True, error_model="numpy")
def mixture_draw(
    outputs: Singles,
    n_component: int,
    uniform: Singles,
    normal: Singles,
    y: Singles,
    ln_density: Floats,
) -> None:
    """Put draws of one SED and the natural logs of their densities into ``y`` and ``ln_density``.

    Parameters
    ----------
    outputs : (n_output,) float32
        What the network makes of the SED: ln weights (n_component,), means (n_component, n_dim),
        lower triangles of the roots R of precisions ``R^T R`` by rows, with logarithms in their
        diagonals.
    n_component : int
        Gaussians.
    uniform : (n_draw,) float32
        In [0, 1): choose the component.
    normal : (n_draw, n_dim) float32
        Standard normal.
    y : (n_draw, n_dim) float32
        Replaced.
    ln_density : (n_draw,) float64
        Replaced.
    """
    n_dim = y.shape[1]
    share, mean, root, _ = _components(outputs, n_component, n_dim)
    for p in range(y.shape[0]):
        k, left = 0, uniform[p] - share[0]
        while k < n_component - 1 and left >= _ZERO:
            k += 1
            left -= share[k]
        # root (y - mean) = normal, from the top
        for i in range(n_dim):
            value = normal[p, i]
            for j in range(i):
                value -= root[k, i, j] * (y[p, j] - mean[k, j])
            y[p, i] = mean[k, i] + value / root[k, i, i]
    mixture_ln_density(outputs, n_component, y, ln_density)


@njit(cache=True, nogil=True, error_model="numpy")
def mixture_ln_density(outputs: Singles, n_component: int, y: Singles, ln_density: Floats) -> None:
    """Put natural logs of the densities of targets of one SED into ``ln_density``.

    Parameters
    ----------
    outputs : (n_output,) float32
        As for `mixture_draw`.
    n_component : int
        Gaussians.
    y : (n_draw, n_dim) float32
        Targets.
    ln_density : (n_draw,) float64
        Replaced.
    """
    n_dim = y.shape[1]
    _, mean, root, ln_norm = _components(outputs, n_component, n_dim)
    block = np.zeros((n_dim, LANES), np.float32)
    each = np.empty((n_component, LANES), np.float32)
    total = np.empty(LANES)
    for start in range(0, y.shape[0], LANES):
        size = min(LANES, y.shape[0] - start)
        for p in range(size):
            for i in range(n_dim):
                block[i, p] = y[start + p, i]
        for k in range(n_component):
            _exponents(block, mean[k], root[k], ln_norm[k], each[k])
        _ln_sum(each, total)
        for p in range(size):
            ln_density[start + p] = total[p] - n_dim * _LN_ROOT_2PI


@njit(cache=True, error_model="numpy")
def _components(
    outputs: Singles, n_component: int, n_dim: int
) -> tuple[Singles, Singles, Singles, Singles]:
    """Return weights, means, roots, and ln norms (n_component,)."""
    share, ln_norm = outputs[:n_component].copy(), np.empty(n_component, np.float32)
    at = n_component * (1 + n_dim)
    mean = outputs[n_component:at].copy().reshape((n_component, n_dim))
    root = np.zeros((n_component, n_dim, n_dim), np.float32)
    top, total = np.max(share), 0.0
    for k in range(n_component):
        total += math.exp(share[k] - top)
    for k in range(n_component):
        ln_share = share[k] - top - math.log(total)
        share[k], ln_volume = math.exp(ln_share), 0.0
        for i in range(n_dim):
            for j in range(i):
                root[k, i, j] = outputs[at + j]
            ln_root = min(max(outputs[at + i], _LEAST), _MOST)
            root[k, i, i] = exp_single(ln_root)
            ln_volume += ln_root
            at += i + 1
        ln_norm[k] = ln_share + ln_volume
    return share, mean, root, ln_norm


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def _exponents(
    block: Singles, mean: Singles, root: Singles, ln_norm: float, exponent: Singles
) -> None:
    """Put the log of a component's density, but for a constant, into ``exponent``."""
    apart = np.empty(LANES, np.float32)
    exponent[:] = ln_norm
    for i in range(block.shape[0]):
        apart[:] = _ZERO
        for j in range(i + 1):
            factor, centre, row = root[i, j], mean[j], block[j]
            for p in range(LANES):
                apart[p] += factor * (row[p] - centre)
        for p in range(LANES):
            exponent[p] -= _HALF * apart[p] * apart[p]


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def _ln_sum(each: Singles, total: Floats) -> None:
    """Put the logs of sums of exponentials over components into ``total``."""
    top = each[0].copy()
    for k in range(1, each.shape[0]):
        for p in range(LANES):
            top[p] = max(top[p], each[k, p])
    added = np.zeros(LANES, np.float32)
    for k in range(each.shape[0]):
        for p in range(LANES):
            added[p] += exp_single(each[k, p] - top[p])
    for p in range(LANES):
        total[p] = top[p] + log(np.float64(added[p]))
