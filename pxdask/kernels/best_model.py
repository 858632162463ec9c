"""The models of a library that are nearest to each of many SEDs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.likelihood import usable_bands
from pxdask.kernels.nearest import make_found
from pxdask.kernels.rdsps import make_search, rounding_bound, search

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

_GROUP = 64
"""SEDs that are searched together, at most."""

_COSTS = 2**23
"""Models times SEDs that are held at one time, at most: 64 MiB."""


class Best(NamedTuple):
    """The nearest models of each SED, from the nearest on.

    Attributes
    ----------
    model : (n_sed, n_best) int64
        Their numbers; -1 where there is none: no usable band, or no positive amplitude.
    scale : (n_sed, n_best) float64
        Their best amplitudes [Msun]; NaN where there is none.
    chi2 : (n_sed, n_best) float64
        Their chi-square [1]; NaN where there is none.
    """

    model: NDArray[np.int64]
    scale: Floats
    chi2: Floats

    def rows(self, chosen: NDArray[np.intp]) -> Best:
        """Return those of some SEDs."""
        return Best(self.model[chosen], self.scale[chosen], self.chi2[chosen])

    @property
    def weights(self) -> Floats:
        """Likelihoods (n_sed, n_best) whose sum is 1; 0 where there is no model."""
        ln = -0.5 * (self.chi2 - self.chi2[:, :1])
        found = np.where(self.model >= 0, np.exp(np.where(self.model >= 0, ln, 0.0)), 0.0)
        total = np.sum(found, axis=1, keepdims=True)
        return np.asarray(found / np.where(total > 0, total, 1.0), np.float64)


def best_models(
    flux: Floats, error: Floats, models: Singles, *, unit_flux: float, n_best: int = 1
) -> Best:
    """Return the models of least chi-square, at their best amplitudes, of each SED.

    Parameters
    ----------
    flux, error : (n_sed, n_band) float64
        Flux density and its total 1-sigma uncertainty [uJy]. A band is left out where either is
        not finite or the error is not positive.
    models : (n_band, n_model) float32
        Flux density per mass formed [uJy Msun-1], finite; any layout.
    unit_flux : float
        Usual flux density of a model [uJy Msun-1], > 0.
    n_best : int
        How many of each SED, >= 1.

    Returns
    -------
    best : Best
        The same for an SED whatever the others are. Of models that are equally near, the first.

    Notes
    -----
    Chi-square of Abdurro'uf et al. 2021 (ApJS 254, 15), equation 5. All models are searched in
    single precision; those that may be among the best, by the bound on its error, are compared
    in double.
    """
    n_sed, n_model = flux.shape[0], models.shape[1]
    shape = (n_sed, n_best)
    best = Best(np.full(shape, -1), np.full(shape, np.nan), np.full(shape, np.nan))
    group = max(1, min(_GROUP, _COSTS // max(n_model, 1)))
    memory = make_found(min(group, n_sed), n_model)
    for start in range(0, n_sed, group):
        rows = slice(start, min(start + group, n_sed))
        ready = make_search(flux[rows], error[rows], unit_flux=unit_flux)
        found = search(models, ready, dof=math.inf, out=memory.first(rows.stop - start))
        found.n_near[~np.any(usable_bands(flux[rows], error[rows]), axis=1)] = 0
        _compare(
            models, flux[rows], error[rows],
            (found.model, found.cost, found.n_near),
            rounding_bound(ready.norm, n_used=flux.shape[1], dof=math.inf),
            (best.model[rows], best.scale[rows], best.chi2[rows]),
        )  # fmt: skip
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _compare(
    models: Singles,
    flux: Floats,
    error: Floats,
    found: tuple[NDArray[np.int32], Singles, NDArray[np.int64]],
    bound: Floats,
    best: tuple[NDArray[np.int64], Floats, Floats],
) -> None:
    """Fill the best of the models whose costs are near the last of the least ones."""
    near, cost, n_near = found
    n_best = best[0].shape[1]
    least = np.empty(n_best, np.float32)
    for i in range(n_near.size):
        least[:] = np.inf
        for k in range(n_near[i]):
            # What is not known, -inf, may be the best but says nothing of the others.
            if -np.inf < cost[i, k] < least[n_best - 1]:
                place = _place(least, cost[i, k])
                least[place] = cost[i, k]
        limit = least[n_best - 1] + 2 * bound[i]
        for k in range(n_near[i]):
            if cost[i, k] > limit:
                continue
            scale, chi2 = _exact(models, flux[i], error[i], near[i, k])
            last = best[2][i, n_best - 1]
            if scale > 0 and (np.isnan(last) or chi2 < last):
                place = _place(best[2][i], chi2)
                for moved in range(n_best - 1, place, -1):
                    best[0][i, moved] = best[0][i, moved - 1]
                    best[1][i, moved] = best[1][i, moved - 1]
                best[0][i, place], best[1][i, place] = near[i, k], scale
                best[2][i, place] = chi2


@njit(cache=True, nogil=True, error_model="numpy")
def _place(values: NDArray[np.floating], value: float) -> int:
    """Return where a value belongs in a sorted list, and make room; NaN comes last."""
    place = values.size - 1
    while place > 0 and not values[place - 1] <= value:
        values[place] = values[place - 1]
        place -= 1
    return place


@njit(cache=True, nogil=True, error_model="numpy")
def _exact(models: Singles, flux: Floats, error: Floats, j: int) -> tuple[float, float]:
    """Return amplitude and chi-square of one model."""
    cross, square = 0.0, 0.0
    for b in range(flux.size):
        if np.isfinite(flux[b]) and np.isfinite(error[b]) and error[b] > 0:
            ratio = models[b, j] / error[b]
            cross += flux[b] / error[b] * ratio
            square += ratio * ratio
    scale, chi2 = cross / square, 0.0
    for b in range(flux.size):
        if np.isfinite(flux[b]) and np.isfinite(error[b]) and error[b] > 0:
            chi2 += ((flux[b] - scale * models[b, j]) / error[b]) ** 2
    return scale, chi2
