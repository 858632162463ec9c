"""How much of each bin is in elliptical rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.images.grid import Grid
from pxdask.morphology.bin_draws import pixel_shares
from pxdask.morphology.ellipses import ring_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.images.shapes import Ellipse

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

AREA = ""
"""Name of the share that is a pixel's area: one for all."""


@dataclass(frozen=True, slots=True)
class BinPixels:
    """Pixels of the bins that have a posterior.

    Attributes
    ----------
    grid : Grid
        All pixels of the maps.
    flat, members : (n_pixel,) int
        Their numbers in the flattened map, and their bins.
    shares : dict of (n_pixel,) float64
        By the result that grows with bins, their shares of it; `AREA`: one.
    n_bin : int
        Bins, with and without posterior.
    """

    grid: Grid
    flat: Indices
    members: Indices
    shares: dict[str, Floats]
    n_bin: int

    def by_bin(self, weights: Floats, name: str = AREA) -> Floats:
        """Return the parts (n_bin,) of bins that weights (n_pixel,) of their pixels make up."""
        parts = weights * self.shares[name]
        found = np.bincount(self.members, weights=parts, minlength=self.n_bin)
        return found.astype(np.float64, copy=False)

    def ring_sums(self, ellipse: Ellipse, radii: Floats) -> dict[str, Floats]:
        """Return the parts of bins (n_ring, n_bin) in rings, by share; of areas [pix].

        Outer semi-major axes ``radii`` [arcsec] as for `ring_weights`.
        """
        rows: dict[str, list[Floats]] = {name: [] for name in self.shares}
        for ring in ring_weights(self.grid, ellipse, radii):
            inside = ring.ravel()[self.flat]
            for name, row in rows.items():
                row.append(self.by_bin(inside, name))
        return {name: np.array(row) for name, row in rows.items()}


def bin_pixels(
    maps: xr.Dataset, bins: xr.Dataset, fit: xr.Dataset, *, mass: str, extensive: Sequence[str]
) -> BinPixels:
    """Return the pixels of bins with a mass, and their shares of what grows with bins.

    Parameters
    ----------
    maps, bins, fit : xarray.Dataset
        Schemas maps/1, bins/1, fit/2 of one galaxy.
    mass : str
        The result that says whether a bin has a posterior.
    extensive : sequence of str
        Results that grow with bins.

    Raises
    ------
    DataError
        If no bin has a posterior.
    """
    bin_map = bins["bin_map"].values
    known = np.isfinite(fit[mass].values).all(axis=1)
    # the last element is what -1, no bin, finds
    flat = np.flatnonzero(np.append(known, False)[bin_map])
    if flat.size == 0:
        raise DataError("no bin has a posterior: there is nothing to make a profile of")
    members = bin_map.ravel()[flat].astype(np.intp)
    shares = {AREA: np.ones(flat.size)}
    shares |= {
        name: pixel_shares(maps, fit, name, pixels=flat, members=members) for name in extensive
    }
    return BinPixels(Grid(str(maps.attrs["wcs"]), bin_map.shape), flat, members, shares, known.size)
