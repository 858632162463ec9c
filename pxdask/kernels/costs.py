"""How far the models of some tiles are from an SED, in single precision.

A cost is, at the best amplitude that is not negative, chi-square of the Gaussian, or
``(dof + 1) sum(ln(1 + residual^2 / dof))`` of Student's t; -inf where it is not known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import log_single
from pxdask.kernels.tile_sums import BRIGHT, FAINT, TILE, tile_products, tile_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.kernels.rdsps import Search

    Singles = NDArray[np.float32]

GROUP = 4
"""Bands of which Student's t is multiplied in one pass over a tile; slots of SEDs come in such."""

_MOST_LN = np.float32(87.0)
"""Logarithm of products up to which single precision holds them."""

_LARGEST = np.float32(3e38)
_LN2 = np.float32(0.6931472)
_MANTISSA, _ONE_BITS = np.int32(0x007FFFFF), np.int32(0x3F800000)
_FAST = {"contract", "reassoc", "nsz"}
"""Freedom to fuse and to reorder sums; NaN and infinity keep their meaning."""


class CostSpace(NamedTuple):
    """Memory to work in.

    Attributes
    ----------
    of_bands : (2, n) float32
        Sums over bands of data times model and of model squared; left as they were found.
    product : (n,) float32
        Products over bands of the terms of Student's t.
    scale, power : (`TILE`,)
        Amplitudes, and powers of two of products.
    """

    of_bands: Singles
    product: Singles
    scale: Singles
    power: NDArray[np.int32]


@njit(cache=True, nogil=True, error_model="numpy")
def cost_space(n: int) -> CostSpace:
    """Return memory for ``n`` models, a multiple of `TILE`."""
    return CostSpace(
        np.empty((2, n), np.float32),
        np.empty(n, np.float32),
        np.empty(TILE, np.float32),
        np.empty(TILE, np.int32),
    )


@njit(cache=True, error_model="numpy")
def by_products(form: tuple[np.float32, bool], limit: np.float32) -> bool:
    """Return whether costs up to a limit are those of products that single precision holds."""
    dof, gaussian = form
    return not gaussian and bool(limit < (dof + np.float32(1)) * _MOST_LN)


@njit(cache=True, error_model="numpy")
def greatest_product(form: tuple[np.float32, bool], limit: np.float32) -> np.float32:
    """Return the product of a cost."""
    return np.float32(math.exp(limit / (form[0] + np.float32(1))))


@njit(cache=True, nogil=True, error_model="numpy")
def all_costs(
    tiles: Singles,
    seds: Search,
    i: int,
    form: tuple[np.float32, bool],
    limit: np.float32,
    space: CostSpace,
    out: Singles,
) -> None:
    """Fill the costs of the models of some tiles.

    Parameters
    ----------
    tiles : (n_tile, n_band, `TILE`) float32
        Models.
    seds : Search
        SEDs, of which the ``i``-th is meant.
    form : (float32, bool)
        Degrees of freedom, and whether they are infinite: the Gaussian.
    limit : float32
        Costs above it may be wrong, but are above it.
    space : CostSpace
        Memory.
    out : (n,) float32
        Costs of the first ``n`` models.
    """
    per_dof, nothing = np.float32(1) / form[0], np.float32(0)
    for t in range((out.size + TILE - 1) // TILE):
        tile_sums(
            tiles, t, seds.data, seds.inverse, seds.band, i, seds.n_slot[i], nothing,
            space.of_bands,
        )  # fmt: skip
        if by_products(form, limit):
            tile_products(
                tiles, t, seds.data, seds.inverse, seds.band, i, seds.n_slot[i], per_dof, nothing,
                space.of_bands, space.product,
            )  # fmt: skip
    costs_of_sums(tiles, seds, i, form, limit, space, out)


@njit(cache=True, nogil=True, error_model="numpy")
def costs_of_sums(
    tiles: Singles,
    seds: Search,
    i: int,
    form: tuple[np.float32, bool],
    limit: np.float32,
    space: CostSpace,
    out: Singles,
) -> None:
    """Fill the costs of models whose sums, and products if these are wanted, are in ``space``.

    Arguments are those of `all_costs`.
    """
    dof, gaussian = form
    if gaussian:
        _chi_squares(np.float32(seds.norm[i]), space, out)
    elif by_products(form, limit):
        _product_costs(dof, space, out)
    else:
        _student_costs(tiles, seds, i, dof, space, out)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _chi_squares(norm: np.float32, space: CostSpace, out: Singles) -> None:
    """Fill chi-square."""
    cross, square = space.of_bands[0], space.of_bands[1]
    for j in range(out.size):
        a = max(cross[j], np.float32(0))
        least = norm - (a / square[j]) * a
        known = (square[j] > FAINT) & (square[j] < BRIGHT)
        out[j] = least if known else np.float32(-np.inf)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _product_costs(dof: np.float32, space: CostSpace, out: Singles) -> None:
    """Fill -2 ln of Student's t from products that may have overflown."""
    product, square = space.product, space.of_bands[1]
    for j in range(out.size):
        value = (dof + np.float32(1)) * log_single(min(product[j], _LARGEST))
        known = (square[j] > FAINT) & (square[j] < BRIGHT)
        out[j] = value if known else np.float32(-np.inf)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _student_costs(
    tiles: Singles, seds: Search, i: int, dof: np.float32, space: CostSpace, out: Singles
) -> None:
    """Fill -2 ln of Student's t whatever its size."""
    per_dof, of_bands = np.float32(1) / dof, space.of_bands
    for start in range(0, out.size, TILE):
        tile, cost = tiles[start // TILE], out[start : start + TILE]
        n = cost.size
        scale, power = space.scale[:n], space.power[:n]
        cross, square = of_bands[0, start : start + n], of_bands[1, start : start + n]
        for j in range(n):
            scale[j] = max(cross[j], np.float32(0)) / square[j]
            cost[j] = np.float32(1)
            power[j] = np.int32(0)
        for k in range(0, seds.n_slot[i], GROUP):
            x0, x1, x2, x3 = seds.data[i, k : k + 4]
            u0, u1, u2, u3 = seds.inverse[i, k : k + 4]
            m0 = tile[seds.band[i, k], :n]
            m1 = tile[seds.band[i, k + 1], :n]
            m2 = tile[seds.band[i, k + 2], :n]
            m3 = tile[seds.band[i, k + 3], :n]
            for j in range(n):
                s = scale[j]
                r0, r1 = x0 - s * (u0 * m0[j]), x1 - s * (u1 * m1[j])
                r2, r3 = x2 - s * (u2 * m2[j]), x3 - s * (u3 * m3[j])
                # a product of two fits single precision up to residuals of 4e9 sigma; powers of
                # two are counted apart, so that any number of bands does
                bits = np.float32(cost[j] * _pair(r0, r1, per_dof)).view(np.int32)
                powers = bits >> np.int32(23)
                rest = np.int32((bits & _MANTISSA) | _ONE_BITS).view(np.float32)
                bits = np.float32(rest * _pair(r2, r3, per_dof)).view(np.int32)
                power[j] += powers + (bits >> np.int32(23)) - np.int32(254)
                cost[j] = np.int32((bits & _MANTISSA) | _ONE_BITS).view(np.float32)
        for j in range(n):
            value = (dof + np.float32(1)) * (np.float32(power[j]) * _LN2 + log_single(cost[j]))
            known = (square[j] > FAINT) & (square[j] < BRIGHT)
            cost[j] = value if known else np.float32(-np.inf)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _pair(first: np.float32, second: np.float32, per_dof: np.float32) -> np.float32:
    """Return the product over two residuals of one plus their squares over dof."""
    one = np.float32(1)
    return np.float32((one + per_dof * (first * first)) * (one + per_dof * (second * second)))
