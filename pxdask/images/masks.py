"""Pixels that are not the galaxy's though they may lie in its region: neighbours and stars.

They are flagged `MASKED` and leave the region; their fluxes stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs.utils import pixel_to_skycoord
from scipy.ndimage import binary_dilation

from pxdask.core.errors import DataError
from pxdask.images.grid import ARCSEC_PER_RADIAN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.wcs import WCS
    from numpy.typing import NDArray

GROWTH_WIDTHS = 0.5
"""Distance by which neighbours are grown, for the light below the threshold [PSF FWHM]."""


def star_mask(
    wcs: WCS, shape: tuple[int, int], *, stars: Sequence[tuple[float, float, float]]
) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie within circles on the sky.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial coordinates, in any frame.
    shape : tuple of int
        (ny, nx).
    stars : sequence of (float, float, float)
        ra, dec, ICRS [deg], and radius [arcsec]; also of stars far from the image.

    Returns
    -------
    mask : (ny, nx) bool

    Raises
    ------
    DataError
        If a position or radius is not finite, or a radius negative.
    """
    table = np.asarray(stars, dtype=np.float64).reshape(-1, 3)
    if wrong := [i for i, row in enumerate(table) if not _usable(row)]:
        raise DataError(
            f"star number {wrong[0]} has ra, dec, radius {table[wrong[0]].tolist()}: wanted finite "
            f"degrees and an angle of 0 arcsec or more ({len(wrong)} such stars of {len(table)})"
        )
    mask = np.zeros(shape, dtype=bool)
    if len(table) == 0:
        return mask
    y, x = np.indices(shape, dtype=np.float64)
    pixels = pixel_to_skycoord(x, y, wcs).icrs.cartesian.xyz.value
    middle = np.nanmean(pixels, axis=(1, 2))
    extent = np.nanmax(np.linalg.norm(pixels - middle[:, None, None], axis=0))
    # Distances are chords: exact at any separation and declination.
    chords = 2.0 * np.sin(np.clip(table[:, 2] / ARCSEC_PER_RADIAN, 0.0, np.pi) / 2.0)
    points = _unit_vectors(table[:, 0], table[:, 1])
    near = np.linalg.norm(points - middle, axis=1) <= extent + chords
    for point, chord in zip(points[near], chords[near], strict=True):
        mask |= np.linalg.norm(pixels - point[:, None, None], axis=0) <= chord
    return mask


def neighbour_mask(
    own: NDArray[np.bool_], others: NDArray[np.bool_], *, growth: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the pixels that belong to other sources.

    Bands may disagree: knots of a galaxy are sources of their own in one band and part of it in
    the next. So a pixel is a neighbour's where at least as many bands give it to one as to the
    galaxy; where they tie, those that tell the two apart know more.
    What a band's neighbours are grown by counts only where no band sees the galaxy.

    Parameters
    ----------
    own, others : (n_band, ny, nx) bool
        Pixels of the galaxy's segment, and those of all others, in each band.
    growth : (n_band,) float64
        Radius by which neighbours are grown [pix]; none below 1.

    Returns
    -------
    mask : (ny, nx) bool
    """
    claims = others.sum(axis=0)
    votes = (claims > 0) & (claims >= own.sum(axis=0))
    seen = own.any(axis=0)
    grown = np.zeros(votes.shape, dtype=bool)
    for radius in np.unique(np.floor(growth[growth >= 1])):
        bands = np.floor(growth) == radius
        claimed = (others[bands] & votes).any(axis=0)
        grown |= binary_dilation(claimed, structure=_disc(int(radius)))
    return np.asarray(votes | (grown & ~seen))


def _disc(radius: int) -> NDArray[np.bool_]:
    """Return a disc of odd side, to grow masks by."""
    y, x = np.indices((2 * radius + 1, 2 * radius + 1)) - radius
    return np.asarray(np.hypot(y, x) <= radius)


def _usable(row: NDArray[np.float64]) -> bool:
    """Return whether a star's position and radius are such."""
    return bool(np.all(np.isfinite(row)) and abs(row[1]) <= 90.0 and row[2] >= 0.0)


def _unit_vectors(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions [deg] as points (n, 3) of the unit sphere."""
    a, d = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=1)
