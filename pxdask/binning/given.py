"""Bins that somebody else made, from a map of their numbers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)


def given_bins(given: NDArray[Any], region: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return a given map as a bin map.

    Parameters
    ----------
    given : (ny, nx) array
        Number of each pixel's bin: whole, from 1. Zero, negative numbers and NaN are no bin.
    region : (ny, nx) bool
        Pixels to bin.

    Returns
    -------
    bin_map : (ny, nx) int32
        Bins in the order of their numbers, from 0 without gaps. Pixels outside the region are
        dropped and those without a number left out, -1 both; how many is logged.

    Raises
    ------
    DataError
        If the shapes differ, if numbers are not whole, or if no pixel of the region has one.
    """
    if given.shape != region.shape:
        raise DataError(
            f"the given map of bins is {given.shape}, the images are {region.shape}; it must be"
            " on the grid of the cube"
        )
    numbers = np.asarray(given, dtype=np.float64)
    numbers = np.where(np.isnan(numbers), 0.0, numbers)
    odd = numbers[~np.isfinite(numbers) | (numbers != np.floor(numbers))]
    if odd.size:
        raise DataError(
            f"the given map of bins holds {odd.size} pixels such as {odd[0]:g}; it must hold"
            " whole numbers, 0 where there is no bin"
        )
    taken = (numbers > 0) & region
    if not taken.any():
        raise DataError(
            f"the given map of bins has no number in any of the {int(region.sum())} pixels of the"
            f" region, and {int((numbers > 0).sum())} outside it; is it the map of this galaxy?"
        )
    left_out = int((region & ~taken).sum())
    dropped = int(((numbers > 0) & ~region).sum())
    if left_out or dropped:
        logger.info(
            "given map: %d of the region's %d pixels have no bin; %d pixels of bins are outside"
            " the region and dropped",
            left_out,
            int(region.sum()),
            dropped,
        )
    bin_map = np.full(region.shape, -1, dtype=np.int32)
    bin_map[taken] = np.unique(numbers[taken], return_inverse=True)[1]
    return bin_map
