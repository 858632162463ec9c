"""Draws from, and densities of, targets that are each a mixture given those before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.dense_layers import LANES, activate, dense
from pxdask.kernels.fastmath import exp_single, log

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Singles = NDArray[np.float32]
    Floats = NDArray[np.float64]

LEAST_LN_WIDTH, MOST_LN_WIDTH = -6.0, 3.0
"""Natural log of the least and the greatest deviation of a Gaussian: a density has no spikes
that single precision does not resolve."""

_LEAST, _MOST = np.float32(LEAST_LN_WIDTH), np.float32(MOST_LN_WIDTH)
_HALF, _ZERO = np.float32(0.5), np.float32(0.0)
_LN_ROOT_2PI = 0.5 * math.log(2 * math.pi)
_NEVER_NONE = np.float32(1e-37)
"""Density in the frame that is left far from all Gaussians, so that its logarithm is finite."""
_OWN = {"contract"}


@njit(cache=True, nogil=True, error_model="numpy")
def chain_draw(
    outputs: Singles,
    before: Singles,
    component: Singles,
    component_bias: Singles,
    uniform: Singles,
    normal: Singles,
    y: Singles,
    ln_density: Floats,
) -> None:
    """Put draws of one SED and the natural logs of their densities into ``y`` and ``ln_density``.

    Parameters
    ----------
    outputs : (n_output,) float32
        What the network makes of the SED: mean (n_dim,), lower triangle of the root by rows, the
        diagonal's logarithms, and (n_dim, head) of each target's own layer.
    before : (n_dim, head, n_dim) float32
        What each target's layer makes of the targets before it; elements of others are not read.
    component, component_bias : (n_dim, 3 n_component, head), (n_dim, 3 n_component) float32
        What the layers make the ln weights, means and ln deviations of, one kind after another.
    uniform : (n_dim, n_draw) float32
        In [0, 1): choose the component.
    normal : (n_dim, n_draw) float32
        Standard normal.
    y : (n_draw, n_dim) float32
        Replaced.
    ln_density : (n_draw,) float64
        Replaced.
    """
    n_dim, head = before.shape[0], before.shape[1]
    root, ln_volume, own = _frame(outputs, n_dim, head)
    z, scratch = np.empty((n_dim, LANES), np.float32), _scratch(component)
    luck, total = np.zeros((2, LANES), np.float32), np.empty(LANES)
    for start in range(0, y.shape[0], LANES):
        size = min(LANES, y.shape[0] - start)
        total[:] = -ln_volume - n_dim * _LN_ROOT_2PI
        for i in range(n_dim):
            for p in range(size):
                luck[0, p], luck[1, p] = uniform[i, start + p], normal[i, start + p]
            _parameters(own[i], before[i], component[i], component_bias[i], z, i, scratch)
            _choose(scratch[1], luck, z[i])
            _add_ln_density(scratch[1], z[i], total)
        for p in range(size):
            for i in range(n_dim):
                value = outputs[i]
                for k in range(i + 1):
                    value += root[i, k] * z[k, p]
                y[start + p, i] = value
            ln_density[start + p] = total[p]


@njit(cache=True, nogil=True, error_model="numpy")
def chain_ln_density(
    outputs: Singles,
    before: Singles,
    component: Singles,
    component_bias: Singles,
    y: Singles,
    ln_density: Floats,
) -> None:
    """Put natural logs of the densities of targets of one SED into ``ln_density``.

    Parameters
    ----------
    outputs, before, component, component_bias
        As for `chain_draw`.
    y : (n_draw, n_dim) float32
        Targets.
    ln_density : (n_draw,) float64
        Replaced.
    """
    n_dim, head = before.shape[0], before.shape[1]
    root, ln_volume, own = _frame(outputs, n_dim, head)
    z, scratch = np.zeros((n_dim, LANES), np.float32), _scratch(component)
    total = np.empty(LANES)
    for start in range(0, y.shape[0], LANES):
        size = min(LANES, y.shape[0] - start)
        for p in range(size):
            for i in range(n_dim):
                value = y[start + p, i] - outputs[i]
                for k in range(i):
                    value -= root[i, k] * z[k, p]
                z[i, p] = value / root[i, i]
        total[:] = -ln_volume - n_dim * _LN_ROOT_2PI
        for i in range(n_dim):
            _parameters(own[i], before[i], component[i], component_bias[i], z, i, scratch)
            _add_ln_density(scratch[1], z[i], total)
        for p in range(size):
            ln_density[start + p] = total[p]


@njit(cache=True, error_model="numpy")
def _frame(outputs: Singles, n_dim: int, head: int) -> tuple[Singles, float, Singles]:
    """Return the root (n_dim, n_dim), ln of its determinant, what targets' layers are given."""
    root, ln_volume, at = np.zeros((n_dim, n_dim), np.float32), 0.0, n_dim
    for i in range(n_dim):
        for k in range(i):
            root[i, k] = outputs[at + k]
        ln_width = min(max(outputs[at + i], _LEAST), _MOST)
        root[i, i] = exp_single(ln_width)
        ln_volume += ln_width
        at += i + 1
    own = outputs[at : at + n_dim * head].copy().reshape((n_dim, head))
    return root, ln_volume, own


@njit(cache=True, error_model="numpy")
def _scratch(component: Singles) -> tuple[Singles, Singles]:
    """Return room for a target's layer and for its mixtures' parameters."""
    rows, head = component.shape[1], component.shape[2]
    return np.empty((head, LANES), np.float32), np.empty((rows, LANES), np.float32)


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def _parameters(
    own: Singles,
    before: Singles,
    component: Singles,
    component_bias: Singles,
    z: Singles,
    i: int,
    scratch: tuple[Singles, Singles],
) -> None:
    """Put weights, means and ln deviations of target ``i`` into the second of ``scratch``."""
    layer, mixture = scratch
    dense(before[:, :i], own, z, layer)
    activate(layer)
    dense(component, component_bias, layer, mixture)
    n = mixture.shape[0] // 3
    top = mixture[0].copy()
    for k in range(1, n):
        for p in range(LANES):
            top[p] = max(top[p], mixture[k, p])
    total = np.zeros(LANES, np.float32)
    for k in range(n):
        row, width = mixture[k], mixture[2 * n + k]
        for p in range(LANES):
            row[p] = exp_single(row[p] - top[p])
            total[p] += row[p]
            width[p] = min(max(width[p], _LEAST), _MOST)
    for k in range(n):
        row = mixture[k]
        for p in range(LANES):
            row[p] /= total[p]


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def _choose(mixture: Singles, luck: Singles, z: Singles) -> None:
    """Put a draw of each lane's mixture into ``z``."""
    n = mixture.shape[0] // 3
    left, mean, ln_width = luck[0].copy(), mixture[n].copy(), mixture[2 * n].copy()
    for k in range(1, n):
        share, row, width = mixture[k - 1], mixture[n + k], mixture[2 * n + k]
        for p in range(LANES):
            left[p] -= share[p]
            beyond = left[p] >= _ZERO
            mean[p] = row[p] if beyond else mean[p]
            ln_width[p] = width[p] if beyond else ln_width[p]
    for p in range(LANES):
        z[p] = mean[p] + exp_single(ln_width[p]) * luck[1, p]


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def _add_ln_density(mixture: Singles, z: Singles, total: Floats) -> None:
    """Add the log of each lane's density, but for a constant, to ``total``."""
    n = mixture.shape[0] // 3
    density = np.full(LANES, _NEVER_NONE)
    for k in range(n):
        share, mean, ln_width = mixture[k], mixture[n + k], mixture[2 * n + k]
        for p in range(LANES):
            inverse = exp_single(-ln_width[p])
            apart = (z[p] - mean[p]) * inverse
            density[p] += share[p] * inverse * exp_single(-_HALF * apart * apart)
    for p in range(LANES):
        total[p] += log(np.float64(density[p]))
