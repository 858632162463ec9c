"""Means over the ages of stars of what is tabulated for populations of one age."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.history import PIECEWISE, SFH_KINDS
from pxdask.kernels.ingredients import node
from pxdask.kernels.sfh import AgeQuadrature, fill_age_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def age_means(
    sfh: str,
    age: Floats,
    shape: Floats,
    *,
    quadrature: AgeQuadrature,
    table: Floats,
    position: Floats,
) -> Floats:
    """Return the means of a tabulated quantity by mass formed.

    Parameters
    ----------
    sfh, age, shape, quadrature
        As for `pxdask.kernels.sfh.age_weights`.
    table : (n_row, n_age) float64
        The quantity, of the ages of the quadrature.
    position : (n_model,) float64
        Where between rows each model is, in [0, n_row - 1]; linear between them.

    Returns
    -------
    mean : (n_model,) float64
        What the sum of `age_weights` times the table is, to rounding; each depends on its own
        model alone, to the last bit.
    """
    mean = np.empty(age.size)
    if SFH_KINDS[sfh] == PIECEWISE:
        # the weights are a sum over bins, and each bin's means are the same for all models
        of_bins = np.einsum("ba,ra->br", quadrature.bin_weights, table)
        of_bins /= quadrature.bin_weights.sum(axis=1)[:, None]
        _mean_bins(shape, of_bins, position, mean)
    else:
        _mean_all(SFH_KINDS[sfh], age, shape, quadrature, table, position, mean)
    return mean


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_bins(shape: Floats, of_bins: Floats, position: Floats, mean: Floats) -> None:
    """Write the means of histories that are constant in bins (n_bin, n_row)."""
    for i in range(position.size):
        low, high, share = node(position[i], of_bins.shape[1])
        total, mass = 0.0, 0.0
        for b in range(of_bins.shape[0]):
            total += shape[i, b] * ((1 - share) * of_bins[b, low] + share * of_bins[b, high])
            mass += shape[i, b]
        mean[i] = total / mass


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_all(
    kind: int,
    age: Floats,
    shape: Floats,
    quadrature: AgeQuadrature,
    table: Floats,
    position: Floats,
    mean: Floats,
) -> None:
    """Write the means of all other histories."""
    n_rule, n_age = quadrature.abscissa.size, quadrature.node.size
    rate = np.empty((n_rule + 1, max(n_age, n_rule)))
    weights = np.empty(n_age)
    for i in range(age.size):
        n_used = fill_age_weights(kind, age[i], shape[i], quadrature, rate, weights)
        low, high, share = node(position[i], table.shape[0])
        poor = rich = 0.0
        for k in range(n_used):
            poor += weights[k] * table[low, k]
            rich += weights[k] * table[high, k]
        mean[i] = (1 - share) * poor + share * rich
