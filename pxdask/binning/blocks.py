"""Bins of one form all over: single pixels, squares and hexagons.

Numbers run in row-major order of the first pixel of each bin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pixel_bins(region: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the map in which every pixel of the region is a bin.

    Parameters
    ----------
    region : (ny, nx) bool
        Pixels to bin.

    Returns
    -------
    bin_map : (ny, nx) int32
        -1 outside the region.
    """
    return numbered(np.arange(region.size).reshape(region.shape), region)


def square_bins(region: NDArray[np.bool_], *, size: float) -> NDArray[np.int32]:
    """Return the map of square blocks.

    Parameters
    ----------
    region : (ny, nx) bool
        Pixels to bin.
    size : float
        Side of the blocks [pix]; need not be whole.

    Returns
    -------
    bin_map : (ny, nx) int32
        -1 outside the region. As few rows and columns of blocks as cover the region's bounding
        box are centred on it, so the map moves with the region, whatever surrounds that. A block
        holds the region's pixels whose centres are in it.
    """
    row, col = np.nonzero(region)
    label = np.zeros(region.shape, dtype=np.int64)
    if row.size:
        down, along = (_block_number(index, size) for index in (row, col))
        label[row, col] = down * (along.max() + 1) + along
    return numbered(label, region)


def _block_number(index: NDArray[np.int64], size: float) -> NDArray[np.int64]:
    """Return the number of each pixel's block along one axis."""
    first, extent = index.min(), float(np.ptp(index)) + 1.0
    margin = (np.ceil(extent / size) * size - extent) / 2.0
    return np.asarray(np.floor((index - first + 0.5 + margin) / size), dtype=np.int64)


def hexagon_bins(region: NDArray[np.bool_], *, size: float) -> NDArray[np.int32]:
    """Return the map of regular hexagons.

    Parameters
    ----------
    region : (ny, nx) bool
        Pixels to bin.
    size : float
        Distance of opposite sides, two of which run along y, and so of the centres of
        neighbours [pix]; the area is ``sqrt(3) / 2 size^2``.

    Returns
    -------
    bin_map : (ny, nx) int32
        -1 outside the region. One hexagon is centred on the region's bounding box. A hexagon holds
        the region's pixels whose centres are in it; on an edge, those of its right neighbour's.

    Notes
    -----
    Hexagons are the points nearest to the nodes of a triangular lattice, and that is two
    rectangular lattices of sides ``size`` and ``sqrt(3) size``, the second at the centres of the
    cells of the first (Birch et al. 2007, Ecological Modelling 206, 347, figure 2).
    """
    row, col = np.nonzero(region)
    label = np.zeros(region.shape, dtype=np.int64)
    if row.size:
        y, x = (index - (index.min() + index.max()) / 2.0 for index in (row, col))
        tall = np.sqrt(3.0) * size
        down, along = np.floor(y / tall + 0.5), np.floor(x / size + 0.5)
        own = (y - down * tall) ** 2 + (x - along * size) ** 2
        down_2, along_2 = np.floor(y / tall), np.floor(x / size)
        other = (y - (down_2 + 0.5) * tall) ** 2 + (x - (along_2 + 0.5) * size) ** 2
        second = other < own
        line = np.where(second, 2 * down_2 + 1, 2 * down).astype(np.int64)
        node = np.where(second, along_2, along).astype(np.int64)
        line, node = line - line.min(), node - node.min()
        label[row, col] = line * (node.max() + 1) + node
    return numbered(label, region)


def numbered(label: NDArray[np.integer], region: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return labels as a bin map, numbered in row-major order of their first pixels.

    Parameters
    ----------
    label : (ny, nx) int
        Any numbers; those outside the region do not count.
    region : (ny, nx) bool
        Pixels to bin.

    Returns
    -------
    bin_map : (ny, nx) int32
        From 0 without gaps; -1 outside the region.
    """
    bin_map = np.full(region.shape, -1, dtype=np.int32)
    _, first, inverse = np.unique(label[region], return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int32)
    rank[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
    bin_map[region] = rank[inverse]
    return bin_map
