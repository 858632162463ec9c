"""Bins of nearly one signal-to-noise ratio and round, whatever their colours.

These are the Voronoi bins of Cappellari & Copin 2003 (MNRAS 342, 345) in their later form, cells of
a power diagram (Cappellari 2025, MNRAS 544, 1432). The author's package makes them; his
licence is for non-commercial use, so it is no part of what pxdask installs.
"""

from __future__ import annotations

import logging
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import QhullError

from pxdask.core.errors import ConfigError
from pxdask.kernels.noise import growth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

logger = logging.getLogger(__name__)

_LEAST_CAPACITY = 1e-9
"""What a set of pixels without signal holds of a bin's worth: the package divides by it."""

_MIN_PIX = 4
"""Pixels of which the package can make a triangulation; three may lie on one line."""


def voronoi_bins(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    region: NDArray[np.bool_],
    *,
    min_snr: ArrayLike,
    noise_area: ArrayLike = 1.0,
) -> NDArray[np.int32]:
    """Return the map of compact bins whose S/N scatters about a target.

    Parameters
    ----------
    flux, flux_err : (n_band, ny, nx)
        Flux per pixel and its 1-sigma error [any unit]. Where the flux is not finite or the error
        not finite and positive, that band of that pixel adds nothing.
    region : (ny, nx) bool
        Pixels to bin.
    min_snr : (n_band,) array_like
        S/N aimed at [1]; 0 or NaN: the band does not count. Of several bands, the one of least
        S/N over target counts, bin by bin.
    noise_area : (n_band,) array_like
        Pixels over which noise is correlated [pix]; see `pxdask.kernels.noise`.

    Returns
    -------
    bin_map : (ny, nx) int32
        From 0, roughly from bright to faint; -1 outside the region. One bin where the region
        cannot make two.

    Raises
    ------
    ConfigError
        If the package is not installed, or no band counts.

    Notes
    -----
    The capacity of the package is ``min over bands of (S/N / target)^2``, with the target 1; a
    negative S/N counts as 0. Bins are about the target, not above it: about half are below.
    """
    n_band = flux.shape[0]
    target = np.fmax(np.broadcast_to(np.asarray(min_snr, dtype=float), n_band), 0.0)
    counts = target > 0
    if not counts.any():
        raise ConfigError(
            f"binning.snr asks for {target.tolist()}; Voronoi bins need a positive S/N in a band"
        )
    values = np.asarray(flux[counts][:, region].T, dtype=np.float64)
    errors = np.asarray(flux_err[counts][:, region].T, dtype=np.float64)
    area = np.broadcast_to(np.asarray(noise_area, dtype=float), n_band)[counts]
    capacity = _capacity(values, errors, target=target[counts], noise_area=area)
    bin_map = np.full(region.shape, -1, dtype=np.int32)
    position = np.argwhere(region)[:, ::-1]
    # Counted from the region's corner, for the package's rounding depends on where zero is.
    bin_map[region] = _cells(position - position.min(axis=0, initial=region.size), capacity)
    return bin_map


def _capacity(
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    *,
    target: NDArray[np.float64],
    noise_area: NDArray[np.float64],
) -> Callable[[Sequence[int] | NDArray[np.int64]], float]:
    """Return the function that tells how many bins' worth of signal pixels hold together."""
    usable = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    signal = np.where(usable, values, 0.0) / target
    var = np.where(usable, errors, 0.0) ** 2

    def capacity(index: Sequence[int] | NDArray[np.int64]) -> float:
        noise = var[index].sum(axis=0) * growth(
            usable[index].sum(axis=0).astype(np.float64), noise_area
        )
        total = np.maximum(signal[index].sum(axis=0), 0.0)
        parts = np.divide(total**2, noise, out=np.zeros_like(total), where=noise > 0)
        return max(float(parts.min()), _LEAST_CAPACITY)

    return capacity


def _cells(
    position: NDArray[np.int64], capacity: Callable[[Sequence[int] | NDArray[np.int64]], float]
) -> NDArray[np.int32]:
    """Return the bin of each pixel, numbered without gaps in the package's order.

    What the package refuses is done here: pixels that are bright enough all by themselves, and
    pixels too few or too faint for it to make a first bin.
    """
    power_bin = _power_bin()
    n_pix = len(position)
    if all(capacity([pixel]) >= 1.0 for pixel in range(n_pix)):
        return np.arange(n_pix, dtype=np.int32)
    if n_pix < _MIN_PIX:
        return np.zeros(n_pix, dtype=np.int32)
    try:
        with warnings.catch_warnings():
            # Its scatter, which is not used here, is that of no bins where all are single pixels.
            warnings.simplefilter("ignore", RuntimeWarning)
            found = power_bin(
                position.astype(np.float64), capacity, 1.0, pixelsize=1.0, verbose=0
            ).bin_num
    except (ValueError, IndexError, QhullError) as error:
        # It looks for the nearest bin among none where no set of pixels reaches the target.
        logger.info("no two bins can be made of %d pixels: %s", n_pix, error)
        return np.zeros(n_pix, dtype=np.int32)
    return np.asarray(np.unique(found, return_inverse=True)[1], dtype=np.int32)


def _power_bin() -> Callable[..., Any]:
    """Return the package's class.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        package = import_module("powerbin")  # an extra, and slow to import
    except ImportError as error:
        raise ConfigError(
            "binning.method voronoi needs the package powerbin, which is not installed: "
            "pip install 'pxdask[voronoi]'"
        ) from error
    make: Callable[..., Any] = package.PowerBin
    return make
