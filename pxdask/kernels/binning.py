"""Group pixels of similar SED until every group is bright enough to fit.

The algorithm is Abdurro'uf et al. 2021 (ApJS 254, 15), section 3.3. Its cost here grows with
the number of pixels, not with pixels times bins: seeds come from one sort, and free pixels are
found by jumping along the rows of the grid, over whatever is binned already. The SEDs of pixels
near one another are kept near in memory, as a bin reads them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.bin_growth import Demand, Pixels, make_bins

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_TILE = 8
"""Side of the squares of pixels whose SEDs follow one another in memory [pix]."""

_TILES = 8
"""Tiles packed together, so that what is written fits the processor's cache."""


def sed_similarity_bins(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
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
    flux, flux_err : (n_band, ny, nx) float32 or float64
        Flux per pixel and its 1-sigma error [any unit]. Where the flux is not finite or the
        error not finite and positive, that band of that pixel is left out of sums and
        chi-squares. Negative fluxes count as they are. Two float32 arrays are kept as such, in
        half the memory, while sums and chi-squares are in double precision all the same: the
        bins are those of the arrays converted. Any memory layout will do.
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

    A bin is connected in the paper's sense, proximity: it lies in a circle around its seed, all
    of whose free pixels of the seed's shape are in it. Its pixels need not touch.

    The first 64 failing seeds may search the whole region, later ones (and the bins they would
    make) about 1024 pixels around them. As soon as a search has taken more steps than there are
    free pixels, these are listed once and the rings taken from the list, so that a failure costs
    about two steps a free pixel at most: all failures together about 128 n_pix steps at worst,
    and usually, where little is free by then, nearly nothing. A bin costs one test for each free
    pixel it reaches. The result depends on neither empty margins nor the image's orientation,
    but for ties.
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
    bin_map = np.full(region.shape, -1, dtype=np.int32)
    if not region.any():
        return bin_map
    demand = Demand(
        min_snr=np.fmax(np.broadcast_to(np.asarray(min_snr, dtype=float), n_band), 0.0),
        noise_area=np.fmax(np.broadcast_to(np.asarray(noise_area, dtype=float), n_band), 1.0),
        max_chi2=float(max_chi2),
        radius=0.5 * float(min_diameter),
        ring_width=float(ring_width),
        systematic_error=float(systematic_error),
        stop_at_total=bool(stop_at_total),
    )
    box = _bounding_box(region)
    flux, flux_err, region = flux[:, *box], flux_err[:, *box], np.ascontiguousarray(region[box])
    seeds = _seeds(flux[reference], flux_err[reference], region)
    bin_map[box] = make_bins(_pixels(flux, flux_err, region), demand, seeds)
    return bin_map


def binning_bytes(n_pix: int, n_band: int, shape: tuple[int, int], *, itemsize: int = 8) -> int:
    """Return the memory that `sed_similarity_bins` takes at most, beside its inputs [byte].

    Parameters
    ----------
    n_pix : int
        Pixels of the region.
    n_band : int
        Bands.
    shape : (int, int)
        Rows and columns of the image.
    itemsize : int
        Bytes of a number: 4 if flux and flux_err are both float32, else 8.

    Returns
    -------
    n_bytes : int
        SEDs of the region (flux and error); for each of its pixels 64 bytes of seeds, members
        and the search for far ones; for each pixel of the image 24 of maps and of the way to
        free pixels. Inputs that are neither float32 nor float64, of two types or of foreign byte
        order are copied on top, to float64.
    """
    return n_pix * (2 * n_band * itemsize + 64) + shape[0] * shape[1] * 24


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


def _bounding_box(region: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns that hold the region, which has a pixel."""
    rows, cols = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def _seeds(
    flux: NDArray[np.floating], flux_err: NDArray[np.floating], region: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return positions of the region's pixels in the flattened grid, the brightest first."""
    position = np.flatnonzero(region)
    values, errors = flux[region], flux_err[region]
    usable = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    faintness = np.where(usable, -values, np.inf)
    # Several times as fast as a stable sort, whose only service is the order of ties.
    order = np.argsort(faintness)
    _sort_ties(faintness, order)
    return position[order]


@njit(cache=True)
def _sort_ties(values: NDArray[np.floating], order: NDArray[np.int64]) -> None:
    """Put indices of equal values in order, given an order that sorts the values."""
    first = 0
    for last in range(1, len(order) + 1):
        if last == len(order) or values[order[last]] != values[order[first]]:
            if last > first + 1:
                order[first:last] = np.sort(order[first:last])
            first = last


def _pixels(
    flux: NDArray[np.floating], flux_err: NDArray[np.floating], region: NDArray[np.bool_]
) -> Pixels:
    """Return the region's pixels with their bands side by side, and the grid to find them."""
    single = flux.dtype == flux_err.dtype == np.float32
    dtype: np.dtype[np.floating] = np.dtype(np.float32) if single else np.dtype(np.float64)
    n_band, (ny, nx) = len(flux), region.shape
    pixels = Pixels(
        sed=np.empty((np.count_nonzero(region), 2, n_band), dtype),
        number=np.full((ny, nx), -1, np.int32),
        free=np.empty((ny, nx + 1), np.int32),
    )
    pixels.free[:] = np.arange(nx + 1)
    pixels.free[:, :nx][~region] += 1
    # Copies only where an input is of another type or byte order.
    _pack(flux.astype(dtype, copy=False), flux_err.astype(dtype, copy=False), region, pixels)
    return pixels


@njit(cache=True)
def _pack(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    region: NDArray[np.bool_],
    pixels: Pixels,
) -> None:
    """Put the SEDs of the region's pixels in order of tiles."""
    ny, nx = region.shape
    width = _TILE * _TILES
    n_pix = 0
    for top in range(0, ny, _TILE):
        for left in range(0, nx, width):
            block = (slice(top, top + _TILE), slice(left, left + width))
            number = pixels.number[block]
            n_pix = _number_pixels(region[block], number, n_pix)
            for band in range(len(flux)):
                _put(flux[band][block], flux_err[band][block], number, pixels.sed[:, :, band])


@njit(cache=True)
def _put(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    number: NDArray[np.int32],
    sed: NDArray[np.floating],
) -> None:
    """Put one band of numbered pixels into (n_pix, 2) flux and error."""
    for y in range(number.shape[0]):
        for x in range(number.shape[1]):
            pixel = number[y, x]
            if pixel >= 0:
                value, error = flux[y, x], flux_err[y, x]
                usable = np.isfinite(value) and np.isfinite(error) and error > 0
                sed[pixel, 0] = value if usable else 0.0
                sed[pixel, 1] = error if usable else np.inf


@njit(cache=True)
def _number_pixels(region: NDArray[np.bool_], number: NDArray[np.int32], first: int) -> int:
    """Return the next number after numbering the region's pixels tile by tile from the first."""
    for left in range(0, region.shape[1], _TILE):
        for y in range(region.shape[0]):
            for x in range(left, min(left + _TILE, region.shape[1])):
                if region[y, x]:
                    number[y, x] = first
                    first += 1
    return first
