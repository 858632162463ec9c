"""How alike in shape the SEDs of the pixels of a bin are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True)
def shape_chi2(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    bin_map: NDArray[np.integer],
    mean_flux: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the chi-square of pixels against their bin's SED, each pixel with its own scale.

    Parameters
    ----------
    flux, flux_err : (n_band, ny, nx)
        Flux per pixel and its 1-sigma error [any unit]; a band of a pixel counts where the flux
        is finite and the error finite and positive.
    bin_map : (ny, nx) int
        Bin of each pixel, from 0; negative where none.
    mean_flux : (n_bin, n_band) float64
        SED of each bin, in the unit of ``flux`` up to one factor a bin; a band that is NaN
        does not count.

    Returns
    -------
    chi2 : (n_bin,) float64
        Sum over pixels and bands.
    dof : (n_bin,) int64
        Fluxes compared, less one for each pixel's scale.

    Notes
    -----
    Equations 1 and 2 of Abdurro'uf et al. 2021 with the bin in the place of the seed and the
    pixel's error alone: the error of the bin's SED is in part the pixel's own, and so lowers the
    scatter about it, which is for the caller's degrees of freedom.
    """
    n_bin, n_band = mean_flux.shape
    chi2, dof = np.zeros(n_bin), np.zeros(n_bin, dtype=np.int64)
    weight = np.empty(n_band)
    for y in range(bin_map.shape[0]):
        for x in range(bin_map.shape[1]):
            label = bin_map[y, x]
            if label < 0:
                continue
            cross, norm, n_usable = 0.0, 0.0, 0
            for band in range(n_band):
                value, error = np.float64(flux[band, y, x]), np.float64(flux_err[band, y, x])
                model = mean_flux[label, band]
                weight[band] = 0.0
                if np.isfinite(value) and np.isfinite(model) and 0.0 < error < np.inf:
                    weight[band] = 1.0 / (error * error)
                    cross += value * model * weight[band]
                    norm += model * model * weight[band]
                    n_usable += 1
            scale = cross / norm if norm > 0.0 else 0.0
            for band in range(n_band):
                if weight[band] > 0.0:
                    residual = flux[band, y, x] - scale * mean_flux[label, band]
                    chi2[label] += residual * residual * weight[band]
            dof[label] += max(n_usable - 1, 0)
    return chi2, dof
