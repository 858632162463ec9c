"""Figures that say how good bins are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.kernels.homogeneity import shape_chi2
from pxdask.kernels.pieces import count_pieces

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pxdask.binning.sums import BinSums

_PIXEL_MOMENT = 1 / 6
"""Mean squared distance of a unit square's points from its centre [pix2]; 2 x 1/12."""


@dataclass(frozen=True, slots=True)
class BinQuality:
    """How good bins are.

    Attributes
    ----------
    snr : (n_bin, n_band) float64
        Flux over its error [1]; NaN where a bin has no usable pixel in a band.
    limiting_band : (n_bin,) int32
        Number of the band whose S/N over the demand is least, the first of equals; a band with
        a demand and without a usable pixel comes before all. -1 where no band has a demand.
    compactness : (n_bin,) float64
        Pixels over those of a disc with the same mean squared distance from the centroid [1]:
        1 for a large disc, 3 / pi for a square, less for long, ragged or scattered bins; NaN for
        a bin without pixels.
    n_pieces : (n_bin,) int32
        Pieces that do not touch, not even at a corner.
    sed_chi2 : (n_bin,) float64
        Reduced chi-square of the pixels' SEDs against the bin's, each with a scale of its own:
        1 on average where only noise tells them apart. NaN where nothing is left to compare, as
        in bins of one pixel or surveys of one band.
    """

    snr: NDArray[np.float64]
    limiting_band: NDArray[np.int32]
    compactness: NDArray[np.float64]
    n_pieces: NDArray[np.int32]
    sed_chi2: NDArray[np.float64]


def bin_quality(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    bin_map: NDArray[np.integer],
    sums: BinSums,
    *,
    min_snr: ArrayLike,
) -> BinQuality:
    """Return how good the bins of a map are.

    Parameters
    ----------
    flux, flux_err : (n_band, ny, nx)
        Flux per pixel and its 1-sigma error [any unit]; unusable as for `bin_sums`.
    bin_map : (ny, nx) int
        Bin of each pixel, from 0; negative where none.
    sums : BinSums
        What `bin_sums` makes of these.
    min_snr : (n_band,) array_like
        S/N demanded [1]; 0 or NaN: no demand.

    Returns
    -------
    quality : BinQuality
        Its cost grows with the number of pixels, not of bins.

    Raises
    ------
    DataError
        If the sums are those of another map.

    Notes
    -----
    Chi-squares are those of `shape_chi2` (Abdurro'uf et al. 2021, equations 1 and 2). The bin's
    SED is the mean of its usable pixels, so in all ``n_pix n_band`` fluxes are described by
    ``n_pix`` scales and ``n_band - 1`` colours: ``(n_pix - 1)(n_band - 1)`` degrees of freedom
    where every band of every pixel is usable. The pixels' noise counts as independent.
    """
    n_bin, n_band = sums.flux.shape
    n_pix = np.bincount(bin_map[bin_map >= 0], minlength=n_bin)
    if not np.array_equal(n_pix, sums.n_pix) or flux.shape != (n_band, *bin_map.shape):
        raise DataError(
            f"the sums are of {n_bin} bins with {int(sums.n_pix.sum())} pixels in {n_band} bands,"
            f" the map has {len(n_pix)} with {int(n_pix.sum())} and the flux shape {flux.shape};"
            " wanted the sums of this map"
        )
    usable = sums.n_usable > 0
    mean = np.divide(sums.flux, sums.n_usable, out=np.full(usable.shape, np.nan), where=usable)
    chi2, dof = shape_chi2(flux, flux_err, bin_map, mean)
    dof = dof - np.maximum(usable.sum(axis=1) - 1, 0)
    snr = sums.flux / sums.flux_err
    return BinQuality(
        snr=snr,
        limiting_band=_limiting_band(snr, min_snr),
        compactness=_compactness(bin_map, n_pix),
        n_pieces=_padded(count_pieces(bin_map), n_bin),
        sed_chi2=np.divide(chi2, dof, out=np.full(n_bin, np.nan), where=dof > 0),
    )


def _limiting_band(snr: NDArray[np.float64], min_snr: ArrayLike) -> NDArray[np.int32]:
    """Return the number of the band of least S/N over demand."""
    n_bin, n_band = snr.shape
    demand = np.broadcast_to(np.asarray(min_snr, dtype=float), n_band)
    demanded = demand > 0
    if not demanded.any():
        return np.full(n_bin, -1, dtype=np.int32)
    ratio = np.where(np.isfinite(snr), snr, -np.inf) / np.where(demanded, demand, 1.0)
    least = np.argmin(np.where(demanded, ratio, np.inf), axis=1)
    return np.asarray(least, dtype=np.int32)


def _compactness(bin_map: NDArray[np.integer], n_pix: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return area over that of the disc of equal second moment."""
    n_bin, (y, x) = len(n_pix), np.nonzero(bin_map >= 0)
    label, filled = bin_map[y, x], np.maximum(n_pix, 1)
    moment = np.full(n_bin, _PIXEL_MOMENT)
    for axis in (y, x):
        centre = np.bincount(label, axis, n_bin) / filled
        moment += np.bincount(label, (axis - centre[label]) ** 2, n_bin) / filled
    return np.where(n_pix > 0, n_pix / (2 * math.pi * moment), np.nan)


def _padded(counts: NDArray[np.int32], n_bin: int) -> NDArray[np.int32]:
    """Return counts with zeros for empty bins after the last of the map."""
    return np.pad(counts, (0, n_bin - len(counts)))
