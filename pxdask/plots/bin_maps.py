"""What figures ask of a bin map: bins by their distance from one of them, their radii."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def by_distance(
    bin_map: NDArray[np.integer], *, centre: int, among: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Return bins in the order of the distance between their middle and that of one of them.

    Parameters
    ----------
    bin_map : (ny, nx) int
        Bin of each pixel, from 0; negative where none.
    centre : int
        The bin from which distances are.
    among : (n,) int
        Numbers of the bins to put in order.

    Returns
    -------
    order : (n,) int64
        The same numbers; of equal distances the first comes first. The middle of a bin is the
        mean place of its pixels, of one without any the origin.
    """
    y, x = np.nonzero(bin_map >= 0)
    members = bin_map[y, x]
    least = 1 + max(centre, int(np.max(among, initial=0)))  # the last bins may have no pixels
    n_pix = np.maximum(np.bincount(members, minlength=least), 1)
    middles = [np.bincount(members, weights=at, minlength=least) / n_pix for at in (y, x)]
    distance = np.hypot(*(at[among] - at[centre] for at in middles))
    return np.asarray(among[np.argsort(distance, kind="stable")], np.int64)


def outer_bin(bin_map: NDArray[np.integer], *, centre: int, among: NDArray[np.integer]) -> int:
    """Return the bin that is farther from a central one than three quarters of some bins.

    Parameters
    ----------
    bin_map : (ny, nx) int
        Bin of each pixel, from 0; negative where none.
    centre : int
        The central bin.
    among : (n,) int
        Numbers of the bins to choose from; of none, the central one is returned. A place between
        two bins is that of the farther one.
    """
    order = by_distance(bin_map, centre=centre, among=among)
    return int(order[int(0.75 * (order.size - 1) + 0.5)]) if order.size else centre


def mean_radius(bin_map: NDArray[np.integer], radius: Floats) -> Floats:
    """Return the mean radius (n_bin,) of the pixels of each bin; NaN where there are none.

    Parameters
    ----------
    bin_map : (ny, nx) int
        Bin of each pixel, from 0; negative where none.
    radius : (ny, nx) float64
        Of each pixel [any unit]; those without a finite one do not count.
    """
    inside = (bin_map >= 0) & np.isfinite(radius)
    n_bin = int(bin_map.max(initial=-1)) + 1
    n_pix = np.bincount(bin_map[inside], minlength=n_bin)
    total = np.bincount(bin_map[inside], weights=radius[inside], minlength=n_bin)
    mean: Floats = np.divide(total, n_pix, out=np.full(n_bin, np.nan), where=n_pix > 0)
    return mean


def require_bin(dataset: xr.Dataset, *numbers: int) -> None:
    """Raise `DataError` if a bin is not there."""
    for number in numbers:
        if not 0 <= number < dataset.sizes["bin"]:
            raise DataError(
                f"there is no bin {number}; wanted one of 0 to {dataset.sizes['bin'] - 1}"
            )
