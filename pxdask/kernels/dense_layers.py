"""Layers of a small network for blocks of points, whose bits do not depend on the block.

Points lie side by side in the last axis, as many as a block has: each is a lane that the same
instructions pass over, and rows of weights are read once a block. A matrix product of a library
chooses the order of its sums by the size of the matrix; here it is fixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Singles = NDArray[np.float32]

LANES = 64
"""Points of a block: a whole number of vector registers, so that none is left over."""

_OWN = {"contract"}
_HALF, _ONE = np.float32(0.5), np.float32(1.0)


def trunk_outputs(
    values: Singles,
    first: Singles,
    first_bias: Singles,
    trunk: Singles,
    trunk_bias: Singles,
    last: Singles,
    last_bias: Singles,
) -> Singles:
    """Return the outputs (n_point, n_output) of a network of residual layers.

    Parameters
    ----------
    values : (n_point, n_input) float32
        Inputs.
    first, first_bias : (hidden, n_input), (hidden,) float32
        Weights of the first layer.
    trunk, trunk_bias : (n_layer, hidden, hidden), (n_layer, hidden) float32
        Weights of those that follow, each of which adds to what came before (He et al. 2016,
        arXiv:1512.03385).
    last, last_bias : (n_output, hidden), (n_output,) float32
        Weights of the outputs, which are linear.
    """
    out = np.empty((len(values), len(last)), np.float32)
    _trunk(values, first, first_bias, trunk, trunk_bias, last, last_bias, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_OWN)
def _trunk(
    values: Singles,
    first: Singles,
    first_bias: Singles,
    trunk: Singles,
    trunk_bias: Singles,
    last: Singles,
    last_bias: Singles,
    out: Singles,
) -> None:
    """Put outputs into ``out``, block after block."""
    n_point, n_input = values.shape
    block = np.zeros((n_input, LANES), np.float32)
    state = np.empty((first.shape[0], LANES), np.float32)
    added = np.empty((first.shape[0], LANES), np.float32)
    end = np.empty((last.shape[0], LANES), np.float32)
    for start in range(0, n_point, LANES):
        size = min(LANES, n_point - start)
        for p in range(size):
            for i in range(n_input):
                block[i, p] = values[start + p, i]
        dense(first, first_bias, block, state)
        activate(state)
        for layer in range(trunk.shape[0]):
            dense(trunk[layer], trunk_bias[layer], state, added)
            activate(added)
            for j in range(state.shape[0]):
                for p in range(LANES):
                    state[j, p] += added[j, p]
        dense(last, last_bias, state, end)
        for p in range(size):
            for j in range(end.shape[0]):
                out[start + p, j] = end[j, p]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_OWN)
def dense(weight: Singles, bias: Singles, values: Singles, out: Singles) -> None:
    """Put ``weight @ values + bias`` into ``out``.

    Parameters
    ----------
    weight, bias : (n_out, n_in), (n_out,) float32
        Of a linear layer.
    values : (n_in, LANES) float32
        Points, in the last axis.
    out : (n_out, LANES) float32
        Replaced.
    """
    n_out, n_in = weight.shape
    for j in range(n_out):
        for p in range(LANES):
            out[j, p] = bias[j]
    whole_out, whole_in = n_out - n_out % 4, n_in - n_in % 4
    for j in range(0, whole_out, 4):
        for i in range(0, whole_in, 4):
            _four_by_four(weight, values, out, j, i)
        for i in range(whole_in, n_in):
            for k in range(j, j + 4):
                _one_by_one(weight, values, out, k, i)
    for j in range(whole_out, n_out):
        for i in range(n_in):
            _one_by_one(weight, values, out, j, i)


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def _four_by_four(weight: Singles, values: Singles, out: Singles, j: int, i: int) -> None:
    """Add four inputs to four outputs: every number that is fetched is used four times."""
    a0, a1, a2, a3 = weight[j, i], weight[j, i + 1], weight[j, i + 2], weight[j, i + 3]
    k = j + 1
    b0, b1, b2, b3 = weight[k, i], weight[k, i + 1], weight[k, i + 2], weight[k, i + 3]
    k = j + 2
    c0, c1, c2, c3 = weight[k, i], weight[k, i + 1], weight[k, i + 2], weight[k, i + 3]
    k = j + 3
    d0, d1, d2, d3 = weight[k, i], weight[k, i + 1], weight[k, i + 2], weight[k, i + 3]
    x0, x1, x2, x3 = values[i], values[i + 1], values[i + 2], values[i + 3]
    one, two, three, four = out[j], out[j + 1], out[j + 2], out[k]
    for p in range(LANES):
        v0, v1, v2, v3 = x0[p], x1[p], x2[p], x3[p]
        one[p] = one[p] + a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3
        two[p] = two[p] + b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3
        three[p] = three[p] + c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3
        four[p] = four[p] + d0 * v0 + d1 * v1 + d2 * v2 + d3 * v3


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def _one_by_one(weight: Singles, values: Singles, out: Singles, j: int, i: int) -> None:
    """Add an input to an output."""
    a, x, one = weight[j, i], values[i], out[j]
    for p in range(LANES):
        one[p] = one[p] + a * x[p]


@njit(cache=True, error_model="numpy", fastmath=_OWN)
def activate(values: Singles) -> None:
    """Replace values by what a neuron makes of them: ``x (1 + x / (1 + |x|)) / 2``.

    Notes
    -----
    Smooth, rising, linear far above zero and -1/2 far below, like the exponential linear unit
    (Clevert et al. 2016, arXiv:1511.07289), by one division instead of an exponential.
    """
    for j in range(values.shape[0]):
        row = values[j]
        for p in range(LANES):
            x = row[p]
            size = abs(x)
            # in this order nothing cancels far below zero
            row[p] = _HALF * x * (_ONE + (size + x)) / (_ONE + size)
