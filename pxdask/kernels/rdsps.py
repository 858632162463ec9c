"""Every model of a library against an SED, in single precision, to find those that matter.

The search says of each model how far it is from an SED; `rounding_bound` says how wrong that
can be. Models that are further than the best by more than both cannot hold any of the posterior
that counts, so what is computed of the others in double precision is what would be computed of
all. An SED's numbers do not depend on the SEDs that are searched beside it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.costs import GROUP, by_products, cost_space, costs_of_sums, greatest_product
from pxdask.kernels.nearest import (
    WIDE,
    Found,
    add_near,
    drop_tail,
    keep_near,
    least_cost,
    make_found,
)
from pxdask.kernels.tile_sums import TILE, fill_tiles, tile_products, tile_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

_ROUNDOFF = 2.0**-24
"""Unit roundoff of single precision."""

MOST = 1e20
"""Sum of (S/N)^2 beyond which single precision is of no use: costs are -inf there [1]."""


class Search(NamedTuple):
    """SEDs in single precision, with only their usable bands, in units of their errors.

    Attributes
    ----------
    data : (n_sed, n_slot) float32
        Flux over error; zero where an SED has fewer bands than slots.
    inverse : (n_sed, n_slot) float32
        One over error, in units that bring usual models near one; zero likewise.
    band : (n_sed, n_slot) int64
        Row of the models that each slot is about.
    n_slot : (n_sed,) int64
        Slots in use, in fours.
    norm : (n_sed,) float64
        Sum of ``data`` squared: chi-square of a model without flux [1].
    unit : (n_sed,) float64
        Factor from amplitudes of the search to those of the data.
    """

    data: Singles
    inverse: Singles
    band: NDArray[np.int64]
    n_slot: NDArray[np.int64]
    norm: Floats
    unit: Floats

    def of(self, chosen: NDArray[np.intp]) -> Search:
        """Return some of the SEDs."""
        return Search(
            self.data[chosen],
            self.inverse[chosen],
            self.band[chosen],
            self.n_slot[chosen],
            self.norm[chosen],
            self.unit[chosen],
        )


def make_search(flux: Floats, error: Floats, *, unit_flux: float) -> Search:
    """Return SEDs made ready for `search`.

    Parameters
    ----------
    flux, error : (n_sed, n_band)
        Flux density and total 1-sigma uncertainty [uJy]. A band is left out where either is
        not finite or the error is not positive.
    unit_flux : float
        Usual flux density of a model [uJy Msun-1], > 0.
    """
    n_sed, n_band = flux.shape
    n_slot = -(-max(n_band, 1) // GROUP) * GROUP
    shape = (n_sed, n_slot)
    data, inverse = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    band, slots = np.zeros(shape, np.int64), np.zeros(n_sed, np.int64)
    norm, unit = np.zeros(n_sed), np.ones(n_sed)
    ready = Search(data, inverse, band, slots, norm, unit)
    _make_ready(flux, error, unit_flux, ready)
    return ready


@njit(cache=True, nogil=True, error_model="numpy")
def _make_ready(flux: Floats, error: Floats, unit_flux: float, ready: Search) -> None:
    """Fill ``ready``, which is empty; see `make_search`."""
    for i in range(flux.shape[0]):
        usable = np.isfinite(flux[i]) & np.isfinite(error[i]) & (error[i] > 0)
        used = np.flatnonzero(usable)
        if used.size == 0:
            continue
        least = error[i][used].min()
        for k in range(used.size):
            b = used[k]
            ratio = flux[i, b] / error[i, b]
            ready.data[i, k] = ratio
            ready.inverse[i, k] = least / error[i, b] / unit_flux
            ready.band[i, k] = b
            ready.norm[i] += ratio * ratio
        ready.n_slot[i] = (used.size + GROUP - 1) // GROUP * GROUP
        ready.unit[i] = least / unit_flux


def search(
    models: Singles,
    seds: Search,
    *,
    dof: float,
    reach: Floats | None = None,
    most: NDArray[np.int64] | None = None,
    best: Singles | None = None,
    neglected: Floats | None = None,
    out: Found | None = None,
) -> Found:
    """Return how far models are from each SED.

    Parameters
    ----------
    models : (n_band, n_model) float32
        Flux density per mass formed [uJy Msun-1]; any layout, none is copied whole.
    seds : Search
        From `make_search`.
    dof : float
        Degrees of freedom of Student's t [1]; infinity: the Gaussian.
    reach : (n_sed,), optional
        How much further than the best a model may be and yet be returned [1]. Default:
        infinity, all models.
    most : (n_sed,), optional
        How many models to list; where more are within reach of the best that had been met, or is
        known, by then, they are not listed. Default: all.
    best : (n_sed,) float32, optional
        Cost of some model of each, if it is known: tiles without a better one, or one within reach
        of it, are passed by [1]. Default: infinity.
    neglected : (n_sed,), optional
        Share of the weight, which is ``exp(-cost / 2)``, that models of least weight may have
        together and not be listed, `rounding_bound` allowed for [1]. Default: none.
    out : Found, optional
        Memory to fill and to return.

    Returns
    -------
    found : Found
        A model's cost is, at the best amplitude, chi-square of the Gaussian, or
        ``(dof + 1) sum(ln(1 + residual^2 / dof))``: -2 ln likelihood but for a constant. It is
        right to `rounding_bound`; -inf where it is not known, and always within reach. Where the
        best amplitude is not positive it is that of a model without flux.
    """
    n_sed = seds.norm.size
    found = make_found(n_sed, models.shape[1]) if out is None else out
    near = np.full(n_sed, np.inf) if reach is None else reach
    listed = np.full(n_sed, models.shape[1]) if most is None else most
    found.best[:] = np.inf if best is None else best
    form = np.float32(dof), math.isinf(dof)
    bound = rounding_bound(seds.norm, n_used=seds.n_slot, dof=dof)
    # a first look at a tile may be as wrong as a second is
    limits = near.astype(np.float32), np.minimum(2 * bound, MOST).astype(np.float32)
    _search(models, seds, form, limits, listed, found)
    if neglected is not None:
        # a cost is wrong by the bound, hence a share of weights by e^bound; a model that is less
        # far than no model at all has a positive amplitude
        sure = _cost_of_nothing(seds, dof) - bound
        _drop_tails(found, listed, neglected * np.exp(-bound), sure)
    return found


def _cost_of_nothing(seds: Search, dof: float) -> Floats:
    """Return the cost of a model without flux, (n_sed,)."""
    if math.isinf(dof):
        return seds.norm
    return np.asarray((dof + 1) * np.log1p(seds.data.astype(np.float64) ** 2 / dof).sum(axis=1))


@njit(cache=True, nogil=True, error_model="numpy")
def _drop_tails(found: Found, most: NDArray[np.int64], share: Floats, sure: Floats) -> None:
    """Drop listed models that hold less than a share of the weight."""
    for i in range(share.size):
        if share[i] > 0 and found.n_near[i] <= most[i]:
            found.n_near[i] = drop_tail(
                found.model[i], found.cost[i], found.n_near[i], found.best[i], share[i], sure[i]
            )


def rounding_bound(norm: Floats, *, n_used: int | NDArray[np.intp], dof: float) -> Floats:
    """Return by how much `search` may be wrong.

    Parameters
    ----------
    norm : array
        Sum of squares of flux over error, C [1].
    n_used : int or array
        Bands, n.
    dof : float
        Degrees of freedom; infinity: the Gaussian [1].

    Returns
    -------
    bound : array
        In the unit of ``cost`` [1].

    Notes
    -----
    To first order in the unit roundoff u (Higham 2002, Accuracy and Stability of Numerical
    Algorithms, chapter 3), by Cauchy and Schwarz: the sum a of n products x y is wrong by
    ``(n + 3) u sqrt(C d)``, the sum d of squares by ``(n + 5) u d``, hence ``C - a^2 / d`` by
    ``(3 n + 16) u C``. Residuals x - s y are wrong by
    ``u sqrt(C) ((2 n + 10) |y| / sqrt(d) + 4 |s y| / sqrt(C) + 2)``, the slope of ln(1 + r^2 / dof)
    is at most ``dof^-1/2``, and the logarithm of the product of n terms is wrong by (4 n + 64) u.
    One per cent is added for the second order.
    """
    if math.isinf(dof):
        return np.asarray(1.01 * (3 * n_used + 16) * _ROUNDOFF * norm)
    root = np.sqrt(n_used)
    residuals = np.sqrt(norm) * ((2 * n_used + 14) * root + 2 * n_used) / math.sqrt(dof)
    return np.asarray(1.01 * (dof + 1) * _ROUNDOFF * (residuals + 4 * n_used + 64))


@njit(cache=True, nogil=True, error_model="numpy")
def columns(models: Singles, chosen: NDArray[np.int64]) -> Singles:
    """Return some models, (n_band, n_chosen) and C-contiguous, whatever the layout of all."""
    found = np.empty((models.shape[0], chosen.size), np.float32)
    if models.strides[0] < models.strides[1]:  # a model's bands lie together
        for j in range(chosen.size):
            for b in range(models.shape[0]):
                found[b, j] = models[b, chosen[j]]
        return found
    for b in range(models.shape[0]):
        row = models[b]
        for j in range(chosen.size):
            found[b, j] = row[chosen[j]]
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _search(
    models: Singles,
    seds: Search,
    form: tuple[np.float32, bool],
    limits: tuple[Singles, Singles],
    most: NDArray[np.int64],
    found: Found,
) -> None:
    """Fill ``found``, of which ``best`` is known already; see `search`.

    ``limits`` are the reach, and by how much more a tile's models may be passed by.
    """
    (reach, doubt), n_model = limits, models.shape[1]
    gaussian, per_dof = form[1], np.float32(1) / form[0]
    tiles = np.zeros((1, models.shape[0], TILE), np.float32)
    cost, space = np.empty(TILE, np.float32), cost_space(TILE)
    near, low = np.zeros(TILE, np.uint8), np.empty(WIDE, np.float32)
    found.n_near[:] = 0
    found.n_unknown[:] = 0
    for start in range(0, n_model, TILE):
        n = min(TILE, n_model - start)
        fill_tiles(models, start, n, tiles)
        for i in range(reach.size):
            if seds.norm[i] > MOST:
                cost[:n] = -np.inf
            else:
                # no function is called of tiles without a near model, which most are
                limit = found.best[i] + reach[i] + doubt[i]
                lack = np.float32(seds.norm[i]) - limit
                some = tile_sums(
                    tiles, 0, seds.data, seds.inverse, seds.band, i, seds.n_slot[i], lack,
                    space.of_bands,
                )  # fmt: skip
                if gaussian & (some == 0):
                    continue
                if by_products(form, limit):
                    most_of_all = greatest_product(form, limit)
                    some = tile_products(
                        tiles, 0, seds.data, seds.inverse, seds.band, i, seds.n_slot[i], per_dof,
                        most_of_all, space.of_bands, space.product,
                    )  # fmt: skip
                    if some == 0:
                        continue
                costs_of_sums(tiles, seds, i, form, limit, space, cost[:n])
                found.best[i] = min(found.best[i], least_cost(cost, n, low))
            add_near(cost, start, n, np.float32(found.best[i] + reach[i]), most[i], near, found, i)
    for i in range(reach.size):
        if found.n_near[i] <= most[i]:
            limit = np.float32(found.best[i] + reach[i])
            found.n_near[i] = keep_near(found.model[i], found.cost[i], found.n_near[i], limit)
