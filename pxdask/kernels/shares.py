"""How pixels of one grid are shared out among those of another, as a table of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.overlap import overlap_area

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pixel_shares(
    corners_x: NDArray[np.float64],
    corners_y: NDArray[np.float64],
    *,
    shape: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return which old pixels overlap which new ones, and by how much.

    `pxdask.kernels.overlap.overlap_sums` with its geometry kept, for many images on one grid.

    Parameters
    ----------
    corners_x, corners_y : (ny + 1, nx + 1) float64
        Where the corners of the old pixels fall on the new grid, whose first pixel reaches from
        -0.5 to 0.5 on both axes [pix]. An old pixel with a corner that is not finite is left out.
    shape : (int, int)
        Rows and columns of the new grid.

    Returns
    -------
    new, old : (n,) int64
        Flat numbers of two pixels that overlap, in order of the old.
    shared : (n,) float64
        Fraction of the old pixel that lies in the new one.
    filled : (n,) float64
        Fraction of the new pixel that the old one fills.
    """
    return _shares(corners_x, corners_y, shape[0], shape[1])


@njit(cache=True)
def _shares(
    corners_x: NDArray[np.float64], corners_y: NDArray[np.float64], n_rows: int, n_columns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return what `pixel_shares` does; first count, then fill."""
    n = _walk(
        corners_x, corners_y, n_rows, n_columns,
        np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0),
    )  # fmt: skip
    new, old = np.empty(n, np.int64), np.empty(n, np.int64)
    shared, filled = np.empty(n), np.empty(n)
    _walk(corners_x, corners_y, n_rows, n_columns, new, old, shared, filled)
    return new, old, shared, filled


@njit(cache=True)
def _walk(
    corners_x: NDArray[np.float64],
    corners_y: NDArray[np.float64],
    n_rows: int,
    n_columns: int,
    new: NDArray[np.int64],
    old: NDArray[np.int64],
    shared: NDArray[np.float64],
    filled: NDArray[np.float64],
) -> int:
    """Write all overlaps where there is room, and return how many there are."""
    ny, nx = corners_x.shape[0] - 1, corners_x.shape[1] - 1
    x, y = np.empty(4), np.empty(4)
    n = 0
    for row in range(ny):
        for column in range(nx):
            for corner in range(4):  # around the pixel: columns 0, 1, 1, 0 of rows 0, 0, 1, 1
                up, across = row + corner // 2, column + (corner + 1) // 2 % 2
                x[corner], y[corner] = corners_x[up, across], corners_y[up, across]
            area = 0.5 * ((x[2] - x[0]) * (y[1] - y[3]) - (x[1] - x[3]) * (y[2] - y[0]))
            if not np.isfinite(area) or area == 0.0:
                continue
            left, right = np.floor(x.min() + 0.5), np.floor(x.max() + 0.5)
            low, high = np.floor(y.min() + 0.5), np.floor(y.max() + 0.5)
            if right < 0 or high < 0 or left >= n_columns or low >= n_rows:
                continue
            for j in range(max(int(low), 0), min(int(high), n_rows - 1) + 1):
                for i in range(max(int(left), 0), min(int(right), n_columns - 1) + 1):
                    part = overlap_area(x, y, i - 0.5, j - 0.5) / area
                    if part <= 0.0:
                        continue
                    if n < new.size:
                        new[n], old[n] = j * n_columns + i, row * nx + column
                        shared[n], filled[n] = part, part * abs(area)
                    n += 1
    return n
