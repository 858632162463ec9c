"""Areas that pixels of one grid have in common with those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEVEL = 1e-8
"""Rise of an edge below which it counts as level [pix]; the error in area is smaller still."""


@njit(cache=True)
def _clipped_integral(y0: float, y1: float) -> float:
    """Return the mean over a straight line from y0 to y1 of its height clipped to 0 to 1."""
    low, high = min(y0, y1), max(y0, y1)
    if low >= 1.0:
        return 1.0
    if high <= 0.0:
        return 0.0
    if low >= 0.0 and high <= 1.0:
        return 0.5 * (low + high)
    rise = high - low
    if rise < _LEVEL:
        return min(max(0.5 * (low + high), 0.0), 1.0)
    bottom, top = max(low, 0.0), min(high, 1.0)
    return ((top - bottom) * 0.5 * (bottom + top) + (high - top)) / rise


@njit(cache=True)
def _under_edge(x0: float, y0: float, x1: float, y1: float) -> float:
    """Return the signed area within the unit square that lies under an edge."""
    left, right = min(x0, x1), max(x0, x1)
    if right <= 0.0 or left >= 1.0 or right == left:
        return 0.0
    start, stop = max(left, 0.0), min(right, 1.0)
    slope = (y1 - y0) / (x1 - x0)
    area = (stop - start) * _clipped_integral(y0 + slope * (start - x0), y0 + slope * (stop - x0))
    return area if x1 > x0 else -area


@njit(cache=True)
def overlap_area(
    x: NDArray[np.float64], y: NDArray[np.float64], left: float, bottom: float
) -> float:
    """Return the signed area that a polygon has in common with a unit square.

    Parameters
    ----------
    x, y : (n,) float64
        Corners in order; the last joins the first [side of the square].
    left, bottom : float
        Where the square begins.

    Returns
    -------
    area : float
        Positive where the corners go clockwise (y up), negative where they go the other way;
        at most 1e-8 wrong for corners within some thousand sides.

    Notes
    -----
    Green's theorem: the sum over the edges of the integral of the edge's height, both
    clipped to the square.
    """
    area = 0.0
    before = x.size - 1
    for i in range(x.size):
        area += _under_edge(x[before] - left, y[before] - bottom, x[i] - left, y[i] - bottom)
        before = i
    return float(area)


@njit(cache=True)
def _polygon_area(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the signed area of a four-cornered polygon, clockwise positive."""
    return float(0.5 * ((x[2] - x[0]) * (y[1] - y[3]) - (x[1] - x[3]) * (y[2] - y[0])))


@njit(cache=True)
def overlap_sums(
    corners_x: NDArray[np.float64],
    corners_y: NDArray[np.float64],
    planes: NDArray[np.float64],
    n_rows: int,
    n_columns: int,
) -> NDArray[np.float64]:
    """Return sums over old pixels, each weighted by what it shares with a new pixel.

    Parameters
    ----------
    corners_x, corners_y : (ny + 1, nx + 1) float64
        Where the corners of the old pixels fall on the new grid, whose first pixel reaches from
        -0.5 to 0.5 on both axes [pix]. An old pixel with a corner that is not finite is left out.
    planes : (3, ny, nx) float64
        Flux and variance of each pixel, and a weight such as its coverage. Old pixels of which
        one of these is NaN are left out.
    n_rows, n_columns : int
        Shape of the new grid.

    Returns
    -------
    sums : (5, n_rows, n_columns) float64
        With ``w`` the fraction of an old pixel that lies in the new one and ``o`` the fraction of
        the new one that it fills, sums of ``w flux``, ``w variance``, ``w^2 variance``, ``o`` and
        ``o weight``. All of an old pixel within the grid is shared out: sums of ``w`` over new
        pixels are 1.
    """
    sums = np.zeros((5, n_rows, n_columns))
    x, y = np.empty(4), np.empty(4)
    for row in range(planes.shape[1]):
        for column in range(planes.shape[2]):
            values = planes[:, row, column]
            if np.isnan(np.sum(values)):
                continue
            for corner in range(4):  # around the pixel: columns 0, 1, 1, 0 of rows 0, 0, 1, 1
                up, across = row + corner // 2, column + (corner + 1) // 2 % 2
                x[corner], y[corner] = corners_x[up, across], corners_y[up, across]
            _share_out(x, y, values, sums)
    return sums


@njit(cache=True)
def _share_out(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    values: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add one old pixel, its corners in order, to the sums over all new pixels it touches."""
    n_rows, n_columns = sums.shape[1:]
    area = _polygon_area(x, y)
    if not np.isfinite(area) or area == 0.0:
        return
    left, right = np.floor(x.min() + 0.5), np.floor(x.max() + 0.5)
    low, high = np.floor(y.min() + 0.5), np.floor(y.max() + 0.5)
    if right < 0 or high < 0 or left >= n_columns or low >= n_rows:
        return
    flux, variance, weight = values
    whole = left == right and low == high
    for j in range(max(int(low), 0), min(int(high), n_rows - 1) + 1):
        for i in range(max(int(left), 0), min(int(right), n_columns - 1) + 1):
            shared = 1.0 if whole else overlap_area(x, y, i - 0.5, j - 0.5) / area
            if shared > 0.0:
                filled = shared * abs(area)
                sums[0, j, i] += shared * flux
                sums[1, j, i] += shared * variance
                sums[2, j, i] += shared * shared * variance
                sums[3, j, i] += filled
                sums[4, j, i] += filled * weight
