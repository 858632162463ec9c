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

from pxdask.kernels.nearest import (
    WIDE,
    Found,
    add_near,
    drop_tail,
    keep_near,
    least_cost,
    make_found,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

BLOCK = 1024
"""Models worked on at a time: their sums stay in the first-level cache, their fluxes in the
second while the SEDs of a group pass by."""

_GROUP = 4
"""Bands read in one pass over a block, so that sums are loaded and stored once for four."""

_ROUNDOFF = 2.0**-24
"""Unit roundoff of single precision."""

_FAINT, _BRIGHT = np.float32(1e-20), np.float32(1e30)
"""Sums of squares between which nothing under- or overflows; a usual model's is near one."""

MOST = 1e20
"""Sum of (S/N)^2 beyond which single precision is of no use: costs are -inf there [1]."""

_LN2 = np.float32(0.6931472)
_MANTISSA, _ONE_BITS = np.int32(0x007FFFFF), np.int32(0x3F800000)
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_FAST = {"contract", "reassoc", "nsz"}
"""Freedom to fuse and to reorder sums; NaN and infinity keep their meaning."""


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
    n_slot = -(-max(n_band, 1) // _GROUP) * _GROUP
    shape = (n_sed, n_slot)
    data, inverse = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    band, slots = np.zeros(shape, np.int64), np.zeros(n_sed, np.int64)
    norm, unit = np.zeros(n_sed), np.ones(n_sed)
    usable = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    for i in range(n_sed):
        used = np.flatnonzero(usable[i])
        if used.size == 0:
            continue
        ratio, least = flux[i, used] / error[i, used], error[i, used].min()
        data[i, : used.size] = ratio
        inverse[i, : used.size] = least / error[i, used] / unit_flux
        band[i, : used.size] = used
        slots[i] = -(-used.size // _GROUP) * _GROUP
        norm[i], unit[i] = ratio @ ratio, least / unit_flux
    return Search(data, inverse, band, slots, norm, unit)


def search(
    models: Singles,
    seds: Search,
    *,
    dof: float,
    reach: Floats | None = None,
    most: NDArray[np.int64] | None = None,
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
        How many models to list; where more are within reach, they are not listed. Default: all.
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
    form = np.float32(dof), math.isinf(dof)
    _search(models, seds, form, near.astype(np.float32), listed, found)
    if neglected is not None:
        bound = rounding_bound(seds.norm, n_used=seds.n_slot, dof=dof)
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
    reach: Singles,
    most: NDArray[np.int64],
    found: Found,
) -> None:
    """Fill ``found``; see `search`."""
    dof, gaussian = form
    n_model = models.shape[1]
    cross, square = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    cost, power = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.int32)
    near, low = np.zeros(BLOCK, np.uint8), np.empty(WIDE, np.float32)
    block = np.empty((models.shape[0], BLOCK), np.float32)
    found.best[:] = np.inf
    found.n_near[:] = 0
    found.n_unknown[:] = 0
    for start in range(0, n_model, BLOCK):
        n = min(BLOCK, n_model - start)
        copy_block(models, start, n, block)
        for i in range(reach.size):
            out = cost[:n]
            if seds.norm[i] > MOST:
                out[:] = -np.inf
            else:
                sums(block, seds, i, n, cross, square)
                if gaussian:
                    chi_squares(cross, square, np.float32(seds.norm[i]), out)
                else:
                    student_costs(block, seds, i, cross, square, dof, power, out)
                found.best[i] = min(found.best[i], least_cost(cost, n, low))
            add_near(cost, start, n, np.float32(found.best[i] + reach[i]), most[i], near, found, i)
    for i in range(reach.size):
        if found.n_near[i] <= most[i]:
            limit = np.float32(found.best[i] + reach[i])
            found.n_near[i] = keep_near(found.model[i], found.cost[i], found.n_near[i], limit)


@njit(cache=True, nogil=True, error_model="numpy")
def copy_block(models: Singles, start: int, n: int, block: Singles) -> None:
    """Copy ``n`` models into a block that the compiler knows to be contiguous."""
    for b in range(block.shape[0]):
        row = models[b]
        for j in range(n):
            block[b, j] = row[start + j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def sums(models: Singles, seds: Search, i: int, n: int, cross: Singles, square: Singles) -> None:
    """Fill sums over bands of data times model and of model squared, of ``n`` models."""
    for j in range(n):
        cross[j] = np.float32(0)
        square[j] = np.float32(0)
    for k in range(0, seds.n_slot[i], _GROUP):
        x0, x1, x2, x3 = seds.data[i, k : k + 4]
        u0, u1, u2, u3 = seds.inverse[i, k : k + 4]
        m0 = models[seds.band[i, k], :n]
        m1 = models[seds.band[i, k + 1], :n]
        m2 = models[seds.band[i, k + 2], :n]
        m3 = models[seds.band[i, k + 3], :n]
        for j in range(n):
            y0, y1, y2, y3 = u0 * m0[j], u1 * m1[j], u2 * m2[j], u3 * m3[j]
            cross[j] += x0 * y0 + x1 * y1 + x2 * y2 + x3 * y3
            square[j] += y0 * y0 + y1 * y1 + y2 * y2 + y3 * y3


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def chi_squares(cross: Singles, square: Singles, norm: np.float32, out: Singles) -> None:
    """Fill chi-square at the best amplitude that is not negative."""
    for j in range(out.size):
        a = max(cross[j], np.float32(0))
        least = norm - (a / square[j]) * a
        known = (square[j] > _FAINT) & (square[j] < _BRIGHT)
        out[j] = least if known else np.float32(-np.inf)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def student_costs(
    models: Singles,
    seds: Search,
    i: int,
    cross: Singles,
    square: Singles,
    dof: np.float32,
    power: NDArray[np.int32],
    out: Singles,
) -> None:
    """Fill -2 ln of Student's t; ``cross`` is left as it is."""
    n = out.size
    per_dof = np.float32(1) / dof
    for j in range(n):
        out[j] = np.float32(1)
        power[j] = np.int32(0)
    for k in range(0, seds.n_slot[i], _GROUP):
        x0, x1, x2, x3 = seds.data[i, k : k + 4]
        u0, u1, u2, u3 = seds.inverse[i, k : k + 4]
        m0 = models[seds.band[i, k], :n]
        m1 = models[seds.band[i, k + 1], :n]
        m2 = models[seds.band[i, k + 2], :n]
        m3 = models[seds.band[i, k + 3], :n]
        for j in range(n):
            s = max(cross[j], np.float32(0)) / square[j]
            r0, r1 = x0 - s * (u0 * m0[j]), x1 - s * (u1 * m1[j])
            r2, r3 = x2 - s * (u2 * m2[j]), x3 - s * (u3 * m3[j])
            # a product of two fits single precision up to residuals of 4e9 sigma; powers of two
            # are counted apart, so that any number of bands does
            first = (np.float32(1) + per_dof * (r0 * r0)) * (np.float32(1) + per_dof * (r1 * r1))
            bits = np.float32(out[j] * first).view(np.int32)
            powers = bits >> np.int32(23)
            rest = np.int32((bits & _MANTISSA) | _ONE_BITS).view(np.float32)
            second = (np.float32(1) + per_dof * (r2 * r2)) * (np.float32(1) + per_dof * (r3 * r3))
            bits = np.float32(rest * second).view(np.int32)
            power[j] += powers + (bits >> np.int32(23)) - np.int32(254)
            out[j] = np.int32((bits & _MANTISSA) | _ONE_BITS).view(np.float32)
    for j in range(n):
        value = (dof + np.float32(1)) * (np.float32(power[j]) * _LN2 + log_single(out[j]))
        known = (square[j] > _FAINT) & (square[j] < _BRIGHT)
        out[j] = value if known else np.float32(-np.inf)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def log_single(x: np.float32) -> np.float32:
    """Return ln(x) to 2e-7, absolute near one, for normal positive x; no meaning elsewhere.

    Notes
    -----
    ``x = 2**n m`` with m between sqrt(1/2) and sqrt(2), and ``ln m = 2 artanh((m - 1) / (m + 1))``
    by its series to the ninth power, whose first omitted term is 2e-9.
    """
    bits = np.float32(x).view(np.int32)
    shifted = bits - _SQRT_HALF_BITS
    n = np.float32(shifted >> np.int32(23))
    m = np.int32((shifted & _MANTISSA) + _SQRT_HALF_BITS).view(np.float32)
    s = (m - np.float32(1)) / (m + np.float32(1))
    q = s * s
    series = np.float32(1 / 7) + q * np.float32(1 / 9)
    series = np.float32(1 / 5) + q * series
    series = np.float32(1 / 3) + q * series
    return n * _LN2 + np.float32(2) * s * (np.float32(1) + q * series)
