"""Connected pieces of the areas of a label map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


def count_pieces(label_map: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return how many pieces that do not touch each label of a map has.

    Parameters
    ----------
    label_map : (ny, nx) int
        Label of each pixel, from 0; negative where none.

    Returns
    -------
    n_pieces : (n_label,) int32
        Pieces whose pixels touch at a side or a corner (8-connected); 0 for a label without
        pixels. ``n_label`` is the largest label plus one.

    Notes
    -----
    Union-find (Hoshen & Kopelman 1976) in one pass over the map: the cost does not depend on the
    number of labels.
    """
    labels = np.ascontiguousarray(label_map, dtype=np.int64)
    n_label = int(labels.max(initial=-1)) + 1
    return np.asarray(_count(labels, np.zeros(n_label, dtype=np.int32)))


@njit(cache=True)
def _count(labels: NDArray[np.int64], n_pieces: NDArray[np.int32]) -> NDArray[np.int32]:
    """Add a piece for each pixel that begins one, and take one away for each union."""
    ny, nx = labels.shape
    parent = np.arange(ny * nx)
    for y in range(ny):
        for x in range(nx):
            label = labels[y, x]
            if label < 0:
                continue
            n_pieces[label] += 1
            for dy, dx in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
                if y + dy >= 0 and 0 <= x + dx < nx and labels[y + dy, x + dx] == label:
                    here = _root(parent, y * nx + x)
                    there = _root(parent, (y + dy) * nx + x + dx)
                    if here != there:
                        parent[here] = there
                        n_pieces[label] -= 1
    return n_pieces


@njit(cache=True)
def _root(parent: NDArray[np.int64], pixel: int) -> int:
    """Return the pixel that stands for a piece; halve the way to it."""
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel
