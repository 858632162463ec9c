"""Spectra at other redshifts, in given bins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Spectra = NDArray[np.float32]


def stretched_means(
    spectra: Spectra, edges: Floats, out_edges: Floats, *, stretch: Floats, scale: Floats
) -> Spectra:
    """Return means over bins of spectra whose wavelengths are stretched, each by its own factor.

    Parameters
    ----------
    spectra : (n_model, n_in) float32
        Constant in each bin.
    edges : (n_in + 1,) float64
        Edges of those bins, increasing [Angstrom].
    out_edges : (n_out + 1,) float64
        Edges of the bins wanted, increasing [Angstrom]; divided by any factor, within
        ``edges``.
    stretch : (n_model,) float64
        Factors of wavelength, > 0 [1].
    scale : (n_model,) float64
        What each spectrum is multiplied with.

    Returns
    -------
    means : (n_model, n_out) float32
        ``scale`` times the mean of ``spectra`` over the bin divided by ``stretch``: integrals
        are kept, to rounding of float64.
    """
    means = np.empty((spectra.shape[0], out_edges.size - 1), np.float32)
    _fill(spectra, edges, out_edges, stretch, scale, means)
    return means


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    spectra: Spectra, edges: Floats, out_edges: Floats, stretch: Floats, scale: Floats, out: Spectra
) -> None:
    """Fill ``out``; see `stretched_means`."""
    n_in = edges.size - 1
    total = np.empty(n_in + 1)
    for i in range(spectra.shape[0]):
        total[0] = 0.0
        for k in range(n_in):
            total[k + 1] = total[k] + spectra[i, k] * (edges[k + 1] - edges[k])
        k, before = 0, 0.0
        for j in range(out_edges.size):
            # What lies below the edge where the spectrum was made.
            at = out_edges[j] / stretch[i]
            while k < n_in - 1 and edges[k + 1] <= at:
                k += 1
            reached = total[k] + (at - edges[k]) * spectra[i, k]
            if j > 0:
                width = (out_edges[j] - out_edges[j - 1]) / stretch[i]
                out[i, j - 1] = scale[i] * (reached - before) / width
            before = reached
