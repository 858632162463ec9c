"""Summed SEDs of bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.kernels.noise import aperture_growth

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class BinSums:
    """SEDs of bins.

    Attributes
    ----------
    flux, flux_err : (n_bin, n_band) float64
        Sum over the usable pixels and its 1-sigma error [the pixels' unit]; NaN where a bin has
        no usable pixel in a band.
    n_pix : (n_bin,) int32
        Pixels in the bin, usable or not.
    n_usable : (n_bin, n_band) int64
        Pixels summed.
    flags : (n_bin, n_band) uint16
        Flags that any pixel of the bin has.
    """

    flux: NDArray[np.float64]
    flux_err: NDArray[np.float64]
    n_pix: NDArray[np.int32]
    n_usable: NDArray[np.int64]
    flags: NDArray[np.uint16]


def bin_sums(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    bin_map: NDArray[np.integer],
    *,
    noise_area: ArrayLike = 1.0,
    flags: NDArray[np.uint16] | None = None,
) -> BinSums:
    """Return the summed SED of every bin.

    Parameters
    ----------
    flux, flux_err : (n_band, ny, nx)
        Flux per pixel and its 1-sigma error [any unit]. Pixels whose flux is not finite or
        whose error is not finite and positive are left out, band by band.
    bin_map : (ny, nx) int
        Bin of each pixel, from 0; negative where none. Numbers without pixels are empty bins.
    noise_area : (n_band,) array_like
        Pixels over which noise is correlated [pix]; see `pxdask.kernels.noise.aperture_growth`.
    flags : (n_band, ny, nx) uint16, optional
        Quality flags of pixels; default: none set.

    Returns
    -------
    sums : BinSums
        Errors are quadrature sums times the square root of the noise growth.

    Raises
    ------
    DataError
        If the shapes do not agree.
    """
    if flux.ndim != 3 or flux.shape != flux_err.shape or flux.shape[1:] != bin_map.shape:
        raise DataError(
            f"flux {flux.shape}, flux_err {flux_err.shape} and bin_map {bin_map.shape} do not"
            " agree; wanted (n_band, ny, nx) twice and (ny, nx)"
        )
    if flags is not None and flags.shape != flux.shape:
        raise DataError(f"flags {flags.shape} do not have the shape of flux {flux.shape}")
    inside = bin_map >= 0
    label = bin_map[inside].astype(np.int64)
    n_bin, n_band = int(label.max(initial=-1)) + 1, flux.shape[0]
    total, var = np.zeros((n_bin, n_band)), np.zeros((n_bin, n_band))
    n_usable = np.zeros((n_bin, n_band), dtype=np.int64)
    any_flag = np.zeros((n_bin, n_band), dtype=np.uint16)
    for band in range(n_band):
        value, error = flux[band][inside].astype(float), flux_err[band][inside].astype(float)
        usable = np.isfinite(value) & np.isfinite(error) & (error > 0)
        chosen = label[usable]
        total[:, band] = np.bincount(chosen, value[usable], n_bin)
        var[:, band] = np.bincount(chosen, error[usable] ** 2, n_bin)
        n_usable[:, band] = np.bincount(chosen, minlength=n_bin)
        if flags is not None:
            np.bitwise_or.at(any_flag[:, band], label, flags[band][inside])
    empty = n_usable == 0
    return BinSums(
        flux=np.where(empty, np.nan, total),
        flux_err=np.where(empty, np.nan, np.sqrt(var * aperture_growth(n_usable, noise_area))),
        n_pix=np.bincount(label, minlength=n_bin).astype(np.int32),
        n_usable=n_usable,
        flags=any_flag,
    )
