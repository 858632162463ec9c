"""How near models can come to SEDs: at their best amplitude, and by small steps downhill."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.small_systems import solved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]


class Closeness(NamedTuple):
    """Models at the amplitude that fits each best.

    Attributes
    ----------
    scale : (n_model,) float64
        Amplitude, positive or not [Msun]; NaN where no band is usable or the model is dark.
    weight : (n_model,) float64
        Inverse variance of it [Msun-2].
    chi2 : (n_model,) float64
        Chi-square there; at another amplitude s it is ``chi2 + weight (s - scale)^2``.
    """

    scale: Floats
    weight: Floats
    chi2: Floats

    @property
    def positive(self) -> Floats:
        """Chi-square (n_model,); infinite where the best amplitude is not positive."""
        return np.where(self.scale > 0, self.chi2, np.inf)

    def at(self, scale: Floats) -> Floats:
        """Return chi-square (n_model,) at given amplitudes."""
        return np.asarray(self.chi2 + self.weight * (scale - self.scale) ** 2)


def closeness(data: Floats, inverse: Floats, model: Singles, *, sed: NDArray[np.intp]) -> Closeness:
    """Return how near each model comes to its own SED.

    Parameters
    ----------
    data, inverse : (n_sed, n_band) float64
        Flux density over its error [1], and one over the error [uJy-1]; 0 where left out.
    model : (n_model, n_band) float32
        Per mass formed [uJy Msun-1].
    sed : (n_model,) int
        Which SED each is held against.

    Notes
    -----
    Abdurro'uf et al. 2021 (ApJS 254, 15), equations 5 and 6. Each value depends on its own model
    and SED alone, to the last bit.
    """
    found = Closeness(np.empty(sed.size), np.empty(sed.size), np.empty(sed.size))
    _closeness(data, inverse, model, sed, found)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _closeness(
    data: Floats, inverse: Floats, model: Singles, sed: NDArray[np.intp], found: Closeness
) -> None:
    """Fill amplitudes and chi-squares."""
    n_band = data.shape[1]
    for i in range(sed.size):
        j = sed[i]
        cross, square = 0.0, 0.0
        for k in range(n_band):
            ratio = model[i, k] * inverse[j, k]
            cross += data[j, k] * ratio
            square += ratio * ratio
        best, total = cross / square, 0.0
        for k in range(n_band):
            residual = data[j, k] - best * (model[i, k] * inverse[j, k])
            total += residual * residual
        found.scale[i], found.weight[i], found.chi2[i] = best, square, total


def downhill_steps(
    data: Floats,
    inverse: Floats,
    model: Singles,
    *,
    scale: Floats,
    step: float,
    damping: Floats,
) -> Floats:
    """Return the steps of Levenberg and Marquardt towards smaller chi-square, one of each SED.

    Parameters
    ----------
    data, inverse : (n_sed, n_band) float64
        As of `closeness`.
    model : (n_sed, 1 + n_dim, n_band) float32
        Each SED's model, and that with each coordinate moved by ``step`` [uJy Msun-1].
    scale : (n_sed,) float64
        Best amplitude of each SED's model [Msun].
    step : float
        By which coordinates were moved.
    damping : (n_sed,) float64
        Parts of the diagonal that are added to it; large: short steps down the gradient.

    Returns
    -------
    steps : (n_sed, n_dim) float64
        The amplitude, which is best again at the new place, is not among the coordinates.

    Notes
    -----
    Marquardt 1963 (J. SIAM 11, 431).
    """
    steps = np.empty((len(data), model.shape[1] - 1))
    _downhill_steps(data, inverse, model, scale, step, damping, steps)
    return steps


@njit(cache=True, nogil=True, error_model="numpy")
def _downhill_steps(
    data: Floats,
    inverse: Floats,
    model: Singles,
    scale: Floats,
    step: float,
    damping: Floats,
    steps: Floats,
) -> None:
    """Fill the steps."""
    n_band, n_dim = data.shape[1], model.shape[1] - 1
    slope = np.empty((n_dim + 1, n_band))
    square, gradient = np.empty((n_dim + 1, n_dim + 1)), np.empty(n_dim + 1)
    for i in range(len(data)):
        gradient[:] = 0.0
        for k in range(n_band):
            unit = scale[i] * inverse[i, k]
            for a in range(n_dim):
                slope[a, k] = unit * (np.float64(model[i, a + 1, k]) - model[i, 0, k]) / step
            slope[n_dim, k] = unit * model[i, 0, k]
            residual = data[i, k] - slope[n_dim, k]
            for a in range(n_dim + 1):
                gradient[a] += slope[a, k] * residual
        for a in range(n_dim + 1):
            for b in range(n_dim + 1):
                total = 0.0
                for k in range(n_band):
                    total += slope[a, k] * slope[b, k]
                square[a, b] = total
        for a in range(n_dim):
            # what data do not tell must not run away
            square[a, a] += damping[i] * (square[a, a] + 1.0)
        steps[i] = solved(square, gradient)[:n_dim]
