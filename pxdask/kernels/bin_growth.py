"""The compiled part of SED-similarity binning: grow bins from seeds over a grid of pixels.

The method and its source are in `pxdask.kernels.binning`, which prepares what is used here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.noise import growth

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FAR_FAILURES = 64
"""Failed seeds that may each search the whole region; later ones search near by only."""

_NEAR_STEPS = 1024
"""Pixels tested and row pieces scanned by one seed once `_FAR_FAILURES` seeds have failed."""

_NO_LIMIT = 2**62


class Pixels(NamedTuple):
    """Pixels of the region, near ones near in memory; an unusable band has flux 0, error inf."""

    sed: NDArray[np.floating]  # (n_pix, 2, n_band): flux and error
    number: NDArray[np.int32]  # (ny, nx): number of the pixel in ``sed``, -1 outside
    free: NDArray[np.int32]  # (ny, nx + 1): where to look for the next free pixel of the row


class Demand(NamedTuple):
    """What a bin must be, and when to stop."""

    min_snr: NDArray[np.float64]  # (n_band,), 0: no demand
    noise_area: NDArray[np.float64]  # (n_band,)
    max_chi2: float
    radius: float
    ring_width: float
    systematic_error: float
    stop_at_total: bool


class _Sums(NamedTuple):
    """Sums over a set of pixels."""

    flux: NDArray[np.float64]  # (n_band,)
    var: NDArray[np.float64]  # (n_band,)
    n_pix: NDArray[np.int64]  # (n_band,): usable pixels


class _Seed(NamedTuple):
    """The pixel that a bin grows from."""

    row: int
    col: int
    flux: NDArray[np.float64]  # (n_band,)
    var: NDArray[np.float64]  # (n_band,), for the similarity of SEDs
    weight: NDArray[np.float64]  # (n_band,), working space of the comparison


class _Limits(NamedTuple):
    """How far one seed may search."""

    n_rings: int
    n_steps: int  # pixels tested and row pieces scanned
    n_steps_by_ring: int  # beyond, all free pixels are listed at once, which is then cheaper
    n_free: int  # free pixels, that list's length


@njit(cache=True)
def make_bins(pixels: Pixels, demand: Demand, seeds: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the map of bins; what makes no bin goes into the last one.

    Parameters
    ----------
    pixels : Pixels
        ``free`` is used up.
    demand : Demand
        What a bin must be.
    seeds : (n_pix,) int64
        Positions in the flattened grid, the brightest first.

    Returns
    -------
    bin_map : (ny, nx) int32
        Bin of each pixel, from 0 in order of making; -1 outside the region.
    """
    n_row, n_col = pixels.number.shape
    bin_map = np.full((n_row, n_col), -1, dtype=np.int32)
    passed_over = np.zeros((n_row, n_col), dtype=np.bool_)
    members = np.empty(len(seeds), dtype=np.int64)  # positions; used again by every seed
    scratch = np.empty((3, pixels.sed.shape[2]))
    sums, total = _no_sums(pixels), _no_sums(pixels)
    if demand.stop_at_total:
        _add_all(pixels, np.sort(seeds), total, 1)
    n_free, n_bin, n_failed, next_check = len(seeds), 0, 0, 1
    for position in seeds:
        row, col = position // n_col, position % n_col
        if bin_map[row, col] >= 0 or passed_over[row, col]:
            continue
        if n_failed == next_check:  # at 1, 2, 4, 8 ... failures: never the main cost
            if not _could_meet(pixels, demand, bin_map):
                break
            next_check = 2 * n_failed
        hopeless = demand.stop_at_total and not _meets(demand, total)
        limits = _limits(hopeless, n_failed, n_free, n_row)
        seed = _seed(pixels, demand, row, col, scratch)
        n_members, n_rings = _grow(pixels, demand, members, sums, seed, limits)
        if _meets(demand, sums):
            _take_out(pixels, members[:n_members], bin_map, n_bin)
            if demand.stop_at_total:
                _add_all(pixels, members[:n_members], total, -1)
            n_bin += 1
            n_free -= n_members
        elif hopeless and n_rings > 0:
            break
        else:
            n_failed += 1
            _pass_over(pixels, demand, members[:n_members], seed, passed_over)
    _fill(pixels, bin_map, n_bin)
    return bin_map


@njit(cache=True)
def _no_sums(pixels: Pixels) -> _Sums:
    """Return sums over no pixel."""
    n_band = pixels.sed.shape[2]
    return _Sums(np.zeros(n_band), np.zeros(n_band), np.zeros(n_band, dtype=np.int64))


@njit(cache=True)
def _limits(hopeless: bool, n_failed: int, n_free: int, n_row: int) -> _Limits:  # noqa: FBT001  numba
    """Return how far the next seed may search."""
    n_rings = 1 if hopeless else _NO_LIMIT
    if n_failed < _FAR_FAILURES:
        return _Limits(n_rings, _NO_LIMIT, n_free + n_row, n_free)
    return _Limits(n_rings, _NEAR_STEPS, _NO_LIMIT, n_free)


@njit(cache=True)
def _take_out(
    pixels: Pixels, members: NDArray[np.int64], bin_map: NDArray[np.int32], number: int
) -> None:
    """Write a bin's number on its members, which are free no more."""
    n_col = bin_map.shape[1]
    for member in members:
        y, x = member // n_col, member % n_col
        bin_map[y, x] = number
        pixels.free[y, x] = x + 1


@njit(cache=True)
def _fill(pixels: Pixels, bin_map: NDArray[np.int32], number: int) -> None:
    """Write the last bin's number on the region's pixels that have none."""
    for row in range(bin_map.shape[0]):
        for col in range(bin_map.shape[1]):
            if pixels.number[row, col] >= 0 and bin_map[row, col] < 0:
                bin_map[row, col] = number


@njit(cache=True)
def _grow(
    pixels: Pixels,
    demand: Demand,
    members: NDArray[np.int64],
    sums: _Sums,
    seed: _Seed,
    limits: _Limits,
) -> tuple[int, int]:
    """Grow a bin from a seed until it meets the demands or cannot; return pixels and rings."""
    sums.flux[:] = 0.0
    sums.var[:] = 0.0
    sums.n_pix[:] = 0
    n_row, n_col = pixels.number.shape
    row, col = seed.row, seed.col
    reach = max(row, n_row - 1 - row) ** 2 + max(col, n_col - 1 - col) ** 2
    inner, outer, ring = -1, _squared(demand.radius), 0.0
    n_members, n_rings, steps = 0, 0, 0
    far, distance, n_taken = members[:0], members[:0], -1
    while True:
        if n_taken < 0 and steps > limits.n_steps_by_ring:
            far, distance = _similar_beyond(pixels, demand, seed, limits.n_free, inner)
            n_taken = 0
        if n_taken >= 0:
            last = int(np.searchsorted(distance, outer, side="right"))
            members[n_members : n_members + last - n_taken] = far[n_taken:last]
            _add_all(pixels, far[n_taken:last], sums, 1)
            n_members += last - n_taken
            n_taken = last
        else:
            n_members, work = _add_ring(
                pixels, demand, members, n_members, sums, seed, inner, outer
            )
            steps += work
        given_up = outer >= reach or n_rings >= limits.n_rings or steps > limits.n_steps
        if given_up or n_taken == len(far) or _meets(demand, sums):
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
def _similar_beyond(
    pixels: Pixels, demand: Demand, seed: _Seed, n_free: int, inner: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return similar free pixels of squared distance > inner, and those distances, ascending."""
    n_row, n_col = pixels.number.shape
    row, col = seed.row, seed.col
    position, distance = np.empty(n_free, np.int64), np.empty(n_free, np.int64)
    n = 0
    for y in range(n_row):
        x = _next_free(pixels.free, y, 0)
        while x < n_col:
            away = (y - row) ** 2 + (x - col) ** 2
            if away > inner and _similar(pixels, demand, pixels.number[y, x], seed):
                position[n], distance[n] = y * n_col + x, away
                n += 1
            x = _next_free(pixels.free, y, x + 1)
    order = np.argsort(distance[:n], kind="mergesort")
    return position[:n][order], distance[:n][order]


@njit(cache=True)
def _squared(radius: float) -> int:
    """Return the largest squared pixel distance inside a radius, safe against rounding."""
    return int(np.floor(radius * radius * (1.0 + 1e-12)))


@njit(cache=True)
def _add_ring(
    pixels: Pixels,
    demand: Demand,
    members: NDArray[np.int64],
    n_members: int,
    sums: _Sums,
    seed: _Seed,
    inner: int,
    outer: int,
) -> tuple[int, int]:
    """Join free pixels with inner < squared distance <= outer; return members and work done.

    With ``inner`` = -1 the ring is the whole disc, whose pixels join untested.
    """
    n_row, n_col = pixels.number.shape
    row, col = seed.row, seed.col
    half = _root(outer)
    work = 4 * half  # row pieces of a full ring: the same at the edge and for the image turned
    for y in range(max(0, row - half), min(n_row, row + half + 1)):
        far = _root(outer - (y - row) ** 2)
        left = inner - (y - row) ** 2
        near = _root(left) if left >= 0 else -1
        for side in range(2 if near >= 0 else 1):
            first = col + near + 1 if side else col - far
            last = col - near - 1 if near >= 0 and not side else col + far
            last = min(last, n_col - 1)
            x = _next_free(pixels.free, y, max(first, 0)) if first <= last else n_col
            while x <= last:
                pixel = pixels.number[y, x]
                work += 1
                if inner < 0 or _similar(pixels, demand, pixel, seed):
                    members[n_members] = y * n_col + x
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
def _next_free(free: NDArray[np.int32], y: int, x: int) -> int:
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
def _seed(
    pixels: Pixels, demand: Demand, row: int, col: int, scratch: NDArray[np.float64]
) -> _Seed:
    """Return the seed at a place; its arrays are rows of the (3, n_band) working space."""
    seed = _Seed(row, col, scratch[0], scratch[1], scratch[2])
    sed = pixels.sed[pixels.number[row, col]]
    for band in range(len(seed.flux)):
        flux, error = float(sed[0, band]), float(sed[1, band])
        seed.flux[band] = flux
        seed.var[band] = error * error + (demand.systematic_error * flux) ** 2
    return seed


@njit(cache=True)
def _similar(pixels: Pixels, demand: Demand, pixel: int, seed: _Seed) -> bool:
    """Return whether a pixel's SED has the shape of the seed's (equations 1 and 2)."""
    n_band = len(seed.flux)
    weight = seed.weight
    for band in range(n_band):
        flux, error = float(pixels.sed[pixel, 0, band]), float(pixels.sed[pixel, 1, band])
        var = error * error + (demand.systematic_error * flux) ** 2
        weight[band] = 1.0 / (var + seed.var[band])
    cross, norm, n_usable = 0.0, 0.0, 0
    for band in range(n_band):
        cross += float(pixels.sed[pixel, 0, band]) * seed.flux[band] * weight[band]
        norm += seed.flux[band] ** 2 * weight[band]
        n_usable += weight[band] > 0.0
    scale = cross / norm if norm > 0.0 else 0.0
    chi2 = 0.0
    for band in range(n_band):
        residual = float(pixels.sed[pixel, 0, band]) - scale * seed.flux[band]
        chi2 += residual * residual * weight[band]
    return n_usable > 0 and chi2 <= demand.max_chi2 * n_usable


@njit(cache=True)
def _add(pixels: Pixels, pixel: int | np.int32, sums: _Sums, sign: int) -> None:
    """Add a pixel's usable bands to the sums (sign 1), or take them out (-1)."""
    for band in range(len(sums.flux)):
        error = float(pixels.sed[pixel, 1, band])
        usable = error < np.inf
        sums.flux[band] += sign * float(pixels.sed[pixel, 0, band])
        sums.var[band] += sign * error * error if usable else 0.0
        sums.n_pix[band] += sign if usable else 0


@njit(cache=True)
def _add_all(pixels: Pixels, positions: NDArray[np.int64], sums: _Sums, sign: int) -> None:
    """Add pixels at positions of the flattened grid to the sums, or take them out."""
    n_col = pixels.number.shape[1]
    for position in positions:
        _add(pixels, pixels.number[position // n_col, position % n_col], sums, sign)


@njit(cache=True)
def _meets(demand: Demand, sums: _Sums) -> bool:
    """Return whether sums reach the S/N in every band that has a demand."""
    for band in range(len(sums.flux)):
        if demand.min_snr[band] > 0.0:
            area, n = demand.noise_area[band], sums.n_pix[band]
            if n == 0:
                return False
            var = max(sums.var[band], 0.0)
            if not sums.flux[band] >= demand.min_snr[band] * np.sqrt(var):
                return False  # growth, which takes long to work out, would only raise it
            var *= growth(float(n), area)
            if not sums.flux[band] >= demand.min_snr[band] * np.sqrt(var):
                return False
    return True


@njit(cache=True)
def _could_meet(pixels: Pixels, demand: Demand, bin_map: NDArray[np.int32]) -> bool:
    """Return False only if no subset of the free pixels can meet the demands."""
    best = np.zeros(len(demand.min_snr))
    for row in range(bin_map.shape[0]):
        for col in range(bin_map.shape[1]):
            pixel = pixels.number[row, col]
            if pixel >= 0 and bin_map[row, col] < 0:
                for band in range(len(best)):
                    snr = max(pixels.sed[pixel, 0, band], 0.0) / pixels.sed[pixel, 1, band]
                    best[band] += snr * snr
    return bool(np.all(best * (1.0 + 1e-9) >= demand.min_snr**2))


@njit(cache=True)
def _pass_over(
    pixels: Pixels,
    demand: Demand,
    members: NDArray[np.int64],
    seed: _Seed,
    passed_over: NDArray[np.bool_],
) -> None:
    """Mark a failed seed, and members near it with its SED, as seeds no more."""
    n_col = passed_over.shape[1]
    row, col = seed.row, seed.col
    near = _squared(4.0 * demand.radius)
    for member in members:
        y, x = member // n_col, member % n_col
        if (y - row) ** 2 + (x - col) ** 2 <= near and _similar(
            pixels, demand, pixels.number[y, x], seed
        ):
            passed_over[y, x] = True
    passed_over[row, col] = True
