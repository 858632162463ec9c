"""Group pixels of similar SED until every group is bright enough to fit.

The algorithm is Abdurro'uf et al. 2021 (ApJS 254, 15), section 3.3. Its cost here grows with
the number of pixels, not with pixels times bins: seeds come from one sort, and free pixels are
found by jumping along the rows of the grid, over whatever is binned already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.noise import growth

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_FAR_FAILURES = 64
"""Failed seeds that may each search the whole region; later ones search near by only."""

_NEAR_STEPS = 1024
"""Pixels tested and row pieces scanned by one seed once `_FAR_FAILURES` seeds have failed."""


class _Pixels(NamedTuple):
    """Pixels of the region in row-major order; an unusable band has flux 0, variance inf."""

    flux: NDArray[np.float64]  # (n_pix, n_band)
    var: NDArray[np.float64]  # (n_pix, n_band), for the signal-to-noise ratio
    test_var: NDArray[np.float64]  # (n_pix, n_band), for the similarity of SEDs
    row: NDArray[np.int64]  # (n_pix,)
    col: NDArray[np.int64]  # (n_pix,)
    number: NDArray[np.int64]  # (ny, nx): number of the pixel, -1 outside
    free: NDArray[np.int64]  # (ny, nx + 1): where to look for the next free pixel of the row


class _Demand(NamedTuple):
    """What a bin must be, and when to stop."""

    min_snr: NDArray[np.float64]  # (n_band,), 0: no demand
    noise_area: NDArray[np.float64]  # (n_band,)
    max_chi2: float
    radius: float
    ring_width: float
    stop_at_total: bool


class _Sums(NamedTuple):
    """Sums over a set of pixels."""

    flux: NDArray[np.float64]  # (n_band,)
    var: NDArray[np.float64]  # (n_band,)
    n_pix: NDArray[np.int64]  # (n_band,): usable pixels


def sed_similarity_bins(
    flux: NDArray[np.float64],
    flux_err: NDArray[np.float64],
    region: NDArray[np.bool_],
    *,
    reference: int,
    min_snr: ArrayLike,
    min_diameter: float,
    max_chi2: float,
    ring_width: float,
    noise_area: ArrayLike = 1.0,
    systematic_error: float = 0.0,
    stop_at_total: bool = False,
) -> NDArray[np.int32]:
    """Return the map of bins of neighbouring pixels with similar SEDs.

    The brightest free pixel of the reference band is the seed. Free pixels within half the
    smallest diameter join untested. While the summed S/N misses a demand, free pixels of the
    next ring join where the reduced chi-square of equation 1, with the scale of equation 2, is
    at most ``max_chi2``; each ring is tested once.

    Parameters
    ----------
    flux, flux_err : (n_band, ny, nx) float64
        Flux per pixel and its 1-sigma error [any unit]. Where the flux is not finite or the
        error not finite and positive, that band of that pixel is left out of sums and
        chi-squares. Negative fluxes count as they are.
    region : (ny, nx) bool
        Pixels to bin.
    reference : int
        Band in which seeds are brightest. Ties go to the first in row-major order; pixels
        without a usable flux in it are seeds only when no other is left.
    min_snr : (n_band,) array_like
        S/N every bin must reach [1]; 0 or NaN: no demand.
    min_diameter : float
        Smallest diameter of a bin [pix].
    max_chi2 : float
        Largest chi-square divided by the number of bands usable in both pixels. Without one
        such band a pixel is not similar.
    ring_width : float
        Growth of the radius at each step [pix].
    noise_area : (n_band,) array_like
        Pixels over which noise is correlated [pix]; see `pxdask.kernels.noise`. 1:
        plain quadrature, the published choice.
    systematic_error : float
        Fraction of flux added to errors in quadrature, in the similarity test only.
    stop_at_total : bool
        Put all that is free into one last bin as soon as a seed misses a demand after its
        first ring and the total of the free pixels misses one too.

    Returns
    -------
    bin_map : (ny, nx) int32
        Bin of each pixel, from 0 in order of making; -1 outside the region. Every bin but the
        last meets the demands; the last may hold all the pixels that could not.

    Raises
    ------
    ConfigError
        If a setting is out of its range.
    DataError
        If the shapes do not agree.

    Notes
    -----
    The paper goes on "until no more bins can be made with the remaining pixels" and leaves
    open what a seed that cannot make a bin means. Here such a seed is passed over: it and the
    similar pixels near it (within twice the smallest diameter) are no seeds any more but may
    join later bins, and the next brightest free pixel is tried. Binning ends when no seed is
    left, or when no subset of the free pixels could meet the demands: by the Cauchy-Schwarz
    inequality its S/N is at most ``sqrt(sum max(f, 0)^2 / sigma^2)``.

    Each seed ends after at most as many rings as the region is wide. The first 64 failing
    seeds may search the whole region, later ones (and the bins they would make) about 1024
    pixels around them, so failures cost at most about (64 + 1024) n_pix tests, and usually a few
    n_pix. A bin costs one test for each free pixel it reaches.
    """
    _check_settings(min_diameter, max_chi2, ring_width, systematic_error)
    if flux.ndim != 3 or flux.shape != flux_err.shape or flux.shape[1:] != region.shape:
        raise DataError(
            f"flux {flux.shape}, flux_err {flux_err.shape} and region {region.shape} do not"
            " agree; wanted (n_band, ny, nx) twice and (ny, nx)"
        )
    n_band = flux.shape[0]
    if not 0 <= reference < n_band:
        raise ConfigError(f"reference band {reference} is not one of the {n_band} bands")
    demand = _Demand(
        min_snr=np.fmax(np.broadcast_to(np.asarray(min_snr, dtype=float), n_band), 0.0),
        noise_area=np.fmax(np.broadcast_to(np.asarray(noise_area, dtype=float), n_band), 1.0),
        max_chi2=float(max_chi2),
        radius=0.5 * float(min_diameter),
        ring_width=float(ring_width),
        stop_at_total=bool(stop_at_total),
    )
    pixels = _pixels(flux, flux_err, region, systematic_error)
    bin_map = np.full(region.shape, -1, dtype=np.int32)
    if len(pixels.row):
        brightness = np.where(
            np.isfinite(pixels.var[:, reference]), pixels.flux[:, reference], -np.inf
        )
        seeds = np.argsort(-brightness, kind="stable")
        bin_map[pixels.row, pixels.col] = _make_bins(pixels, demand, seeds)
    return bin_map


def _check_settings(
    min_diameter: float, max_chi2: float, ring_width: float, systematic_error: float
) -> None:
    """Raise ConfigError unless the settings are in their ranges."""
    for name, value in (
        ("min_diameter", min_diameter),
        ("max_chi2", max_chi2),
        ("ring_width", ring_width),
    ):
        if not 0 < value < np.inf:
            raise ConfigError(f"{name} is {value}; it must be positive and finite")
    if not 0 <= systematic_error < np.inf:
        raise ConfigError(f"systematic_error is {systematic_error}; it must be 0 or a fraction")


def _pixels(
    flux: NDArray[np.float64],
    flux_err: NDArray[np.float64],
    region: NDArray[np.bool_],
    systematic_error: float,
) -> _Pixels:
    """Return the region's pixels with their bands side by side, and the grid to find them."""
    ny, nx = region.shape
    row, col = np.nonzero(region)
    values = np.asarray(flux[:, row, col].T, dtype=float)
    errors = np.asarray(flux_err[:, row, col].T, dtype=float)
    usable = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    clean = np.ascontiguousarray(np.where(usable, values, 0.0))
    var = np.ascontiguousarray(np.square(np.where(usable, errors, np.inf)))
    number = np.full((ny, nx), -1, dtype=np.int64)
    number[row, col] = np.arange(len(row))
    free = np.tile(np.arange(nx + 1), (ny, 1))
    free[:, :nx][~region] += 1
    test_var = var + (systematic_error * clean) ** 2 if systematic_error else var
    return _Pixels(clean, var, test_var, row, col, number, free)


@njit(cache=True)
def _make_bins(pixels: _Pixels, demand: _Demand, seeds: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the bin of each pixel; what makes no bin goes into the last one."""
    n_pix, n_band = pixels.flux.shape
    label = np.full(n_pix, -1, dtype=np.int32)
    passed_over = np.zeros(n_pix, dtype=np.bool_)
    members = np.empty(n_pix, dtype=np.int64)  # working space, used again by every seed
    sums = _Sums(np.zeros(n_band), np.zeros(n_band), np.zeros(n_band, dtype=np.int64))
    total = _Sums(np.zeros(n_band), np.zeros(n_band), np.zeros(n_band, dtype=np.int64))
    for pixel in range(n_pix):
        _add(pixels, pixel, total, 1)
    n_bin, n_failed, next_check = 0, 0, 0
    for seed in seeds:
        if label[seed] >= 0 or passed_over[seed]:
            continue
        if n_failed == next_check:  # at 0, 1, 2, 4, 8 ... failures: never the main cost
            if not _could_meet(pixels, demand, label):
                break
            next_check = max(1, 2 * n_failed)
        max_steps = 2**62 if n_failed < _FAR_FAILURES else _NEAR_STEPS
        hopeless = demand.stop_at_total and not _meets(demand, total)
        max_rings = 1 if hopeless else 2**62
        n_members, n_rings = _grow(pixels, demand, members, sums, seed, max_rings, max_steps)
        if _meets(demand, sums):
            for pixel in members[:n_members]:
                label[pixel] = n_bin
                pixels.free[pixels.row[pixel], pixels.col[pixel]] = pixels.col[pixel] + 1
                _add(pixels, pixel, total, -1)
            n_bin += 1
        elif hopeless and n_rings > 0:
            break
        else:
            n_failed += 1
            _pass_over(pixels, demand, members[:n_members], seed, passed_over)
    label[label < 0] = n_bin
    return label


@njit(cache=True)
def _grow(
    pixels: _Pixels,
    demand: _Demand,
    members: NDArray[np.int64],
    sums: _Sums,
    seed: int,
    max_rings: int,
    max_steps: int,
) -> tuple[int, int]:
    """Grow a bin from a seed until it meets the demands or cannot; return pixels and rings."""
    sums.flux[:] = 0.0
    sums.var[:] = 0.0
    sums.n_pix[:] = 0
    row, col = pixels.row[seed], pixels.col[seed]
    rows = max(row - pixels.row[0], pixels.row[-1] - row)
    cols = max(col, pixels.number.shape[1] - 1 - col)
    reach = rows * rows + cols * cols
    inner, outer, ring = -1, _squared(demand.radius), 0.0
    n_members, n_rings, steps = 0, 0, 0
    while True:
        n_members, work = _add_ring(pixels, demand, members, n_members, sums, seed, inner, outer)
        steps += work
        given_up = outer >= reach or n_rings >= max_rings or steps > max_steps
        if given_up or _meets(demand, sums):
            return n_members, n_rings
        inner = outer
        n_rings += 1
        ring += 1.0
        # A ring too thin to hold any pixel is skipped: on to the one that holds the next distance.
        following = (np.sqrt(inner + 1.0) * (1.0 - 1e-12) - demand.radius) / demand.ring_width
        ring = max(ring, np.ceil(following))
        radius = min(demand.radius + ring * demand.ring_width, np.sqrt(reach))
        outer = max(inner + 1, _squared(radius))


@njit(cache=True)
def _squared(radius: float) -> int:
    """Return the largest squared pixel distance inside a radius, safe against rounding."""
    return int(np.floor(radius * radius * (1.0 + 1e-12)))


@njit(cache=True)
def _add_ring(
    pixels: _Pixels,
    demand: _Demand,
    members: NDArray[np.int64],
    n_members: int,
    sums: _Sums,
    seed: int,
    inner: int,
    outer: int,
) -> tuple[int, int]:
    """Join free pixels with inner < squared distance <= outer; return members and work done.

    With ``inner`` = -1 the ring is the whole disc, whose pixels join untested.
    """
    row, col = pixels.row[seed], pixels.col[seed]
    n_row, n_col = pixels.number.shape
    half = _root(outer)
    work = 0
    for y in range(max(0, row - half), min(n_row, row + half + 1)):
        far = _root(outer - (y - row) ** 2)
        left = inner - (y - row) ** 2
        near = _root(left) if left >= 0 else -1
        for side in range(2 if near >= 0 else 1):
            first = col + near + 1 if side else col - far
            last = col - near - 1 if near >= 0 and not side else col + far
            last = min(last, n_col - 1)
            work += 1
            x = _next_free(pixels.free, y, max(first, 0)) if first <= last else n_col
            while x <= last:
                pixel = pixels.number[y, x]
                work += 1
                if inner < 0 or _similar(pixels, pixel, seed, demand.max_chi2):
                    members[n_members] = pixel
                    n_members += 1
                    _add(pixels, pixel, sums, 1)
                x = _next_free(pixels.free, y, x + 1)
    return n_members, work


@njit(cache=True)
def _root(square: int) -> int:
    """Return the integer square root."""
    root = int(np.sqrt(square))
    while root * root > square:
        root -= 1
    while (root + 1) * (root + 1) <= square:
        root += 1
    return root


@njit(cache=True)
def _next_free(free: NDArray[np.int64], y: int, x: int) -> int:
    """Return the first free column from x on, the row's length if none; shorten the way."""
    found = x
    while free[y, found] != found:
        found = free[y, found]
    while free[y, x] != found:
        following = free[y, x]
        free[y, x] = found
        x = following
    return found


@njit(cache=True)
def _similar(pixels: _Pixels, pixel: int, seed: int, max_chi2: float) -> bool:
    """Return whether two SEDs have one shape (equations 1 and 2)."""
    flux, var = pixels.flux, pixels.test_var
    cross, norm, n_usable = 0.0, 0.0, 0
    for band in range(flux.shape[1]):
        weight = 1.0 / (var[pixel, band] + var[seed, band])
        cross += flux[pixel, band] * flux[seed, band] * weight
        norm += flux[seed, band] ** 2 * weight
        n_usable += weight > 0.0
    scale = cross / norm if norm > 0.0 else 0.0
    chi2 = 0.0
    for band in range(flux.shape[1]):
        residual = flux[pixel, band] - scale * flux[seed, band]
        chi2 += residual**2 / (var[pixel, band] + var[seed, band])
    return n_usable > 0 and chi2 <= max_chi2 * n_usable


@njit(cache=True)
def _add(pixels: _Pixels, pixel: int, sums: _Sums, sign: int) -> None:
    """Add a pixel's usable bands to the sums (sign 1), or take them out (-1)."""
    for band in range(len(sums.flux)):
        if pixels.var[pixel, band] < np.inf:
            sums.flux[band] += sign * pixels.flux[pixel, band]
            sums.var[band] += sign * pixels.var[pixel, band]
            sums.n_pix[band] += sign


@njit(cache=True)
def _meets(demand: _Demand, sums: _Sums) -> bool:
    """Return whether sums reach the S/N in every band that has a demand."""
    for band in range(len(sums.flux)):
        if demand.min_snr[band] > 0.0:
            area, n = demand.noise_area[band], sums.n_pix[band]
            if n == 0:
                return False
            var = max(sums.var[band], 0.0) * growth(float(n), area)
            if not sums.flux[band] >= demand.min_snr[band] * np.sqrt(var):
                return False
    return True


@njit(cache=True)
def _could_meet(pixels: _Pixels, demand: _Demand, label: NDArray[np.int32]) -> bool:
    """Return False only if no subset of the free pixels can meet the demands."""
    for band in range(pixels.flux.shape[1]):
        best = 0.0
        for pixel in range(len(label)):
            if label[pixel] < 0 and pixels.flux[pixel, band] > 0.0:
                best += pixels.flux[pixel, band] ** 2 / pixels.var[pixel, band]
        if best * (1.0 + 1e-9) < demand.min_snr[band] ** 2:
            return False
    return True


@njit(cache=True)
def _pass_over(
    pixels: _Pixels,
    demand: _Demand,
    members: NDArray[np.int64],
    seed: int,
    passed_over: NDArray[np.bool_],
) -> None:
    """Mark a failed seed, and members near it with its SED, as seeds no more."""
    near = _squared(4.0 * demand.radius)
    for pixel in members:
        dy = pixels.row[pixel] - pixels.row[seed]
        dx = pixels.col[pixel] - pixels.col[seed]
        if dy * dy + dx * dx <= near and _similar(pixels, pixel, seed, demand.max_chi2):
            passed_over[pixel] = True
    passed_over[seed] = True
