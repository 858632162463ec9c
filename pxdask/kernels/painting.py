"""Values of bins on the pixels of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Real = TypeVar("_Real", np.float32, np.float64)


def painted(
    values: NDArray[_Real], bin_map: NDArray[np.integer], *, empty: float = np.nan
) -> NDArray[_Real]:
    """Return maps of bins' values, of the same precision.

    Parameters
    ----------
    values : (..., n_bin) float32 or float64
        A number of each bin [any unit]; NaN is painted as it is.
    bin_map : (ny, nx) int
        Bin of each pixel, from 0; negative where none.
    empty : float
        Value of pixels of no bin, in the unit of ``values``.

    Returns
    -------
    maps : (..., ny, nx) float32 or float64
        All pixels of a bin hold its value.
    """
    inside = bin_map >= 0
    maps = np.full((*values.shape[:-1], *bin_map.shape), empty, values.dtype)
    maps[..., inside] = values[..., bin_map[inside]]
    return maps
