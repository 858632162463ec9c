"""Spectra on wavelength bins, and the columns that let dust be applied after integration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WING = 1e-5
"""Share of a band's response, on either side, outside the interpolation nodes [1]."""


def air_to_vacuum(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vacuum wavelengths [Angstrom] of air wavelengths above 2000 Angstrom.

    Notes
    -----
    Inverse of Ciddor (1996) by N. Piskunov, as documented by the VALD line database.
    """
    s2 = (1e4 / np.asarray(wave, dtype=np.float64)) ** 2
    index = (
        1
        + 8.336624212083e-5
        + 2.408926869968e-2 / (130.1065924522 - s2)
        + 1.599740894897e-4 / (38.92568793293 - s2)
    )
    return wave * index


def rebin(
    wave: NDArray[np.float64], flux: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of sampled spectra in bins; the energy in each bin is kept.

    Parameters
    ----------
    wave : (n_wave,) float64
        Wavelengths of the samples, increasing [Angstrom].
    flux : (..., n_wave) float64
        Flux density per unit wavelength, linear between samples.
    edges : (n_bin + 1,) float64
        Edges of the bins, increasing, within the range of ``wave`` [Angstrom].

    Returns
    -------
    mean : (..., n_bin) float64
        In the unit of ``flux``.
    """
    fine = np.union1d(wave, edges)
    fine = fine[(fine >= edges[0]) & (fine <= edges[-1])]
    left = np.clip(np.searchsorted(wave, fine, side="right") - 1, 0, wave.size - 2)
    fraction = (fine - wave[left]) / (wave[left + 1] - wave[left])
    sampled = flux[..., left] * (1 - fraction) + flux[..., left + 1] * fraction
    energy = (sampled[..., 1:] + sampled[..., :-1]) / 2 * np.diff(fine)
    bins = np.add.reduceat(energy, np.searchsorted(fine, edges[:-1]), axis=-1)
    mean: NDArray[np.float64] = bins / np.diff(edges)
    return mean


def interpolation_columns(
    wave: NDArray[np.float64], weights: NDArray[np.float64], *, n_node: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights that let a smooth factor be applied after integration.

    For any factor ``T`` smooth in ln(wave),
    ``sum_i weights_i T(wave_i) f_i ~ sum_k T(node_k) (projection.T @ f)_k``.

    Parameters
    ----------
    wave : (n_wave,) float64
        Increasing [Angstrom].
    weights : (n_wave,) float64
        Weights of the band, >= 0.
    n_node : int
        Number of nodes; fewer are used where there are fewer wavelengths.

    Returns
    -------
    node : (n_node,) float64
        Chebyshev nodes in ln(wave), over the range that holds all but the faintest wings
        [Angstrom].
    projection : (n_wave, n_node) float64
        ``weights`` times the Lagrange polynomials of the nodes; rows sum to ``weights``.
        In the wings the polynomials keep their value at the range's end.
    """
    if wave.size <= n_node:
        return wave, np.diag(weights)
    share = np.cumsum(weights) / np.sum(weights)
    low, high = np.log(np.interp([_WING, 1 - _WING], share, wave))
    angle = (2 * np.arange(n_node) + 1) * np.pi / (2 * n_node)
    node = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    x = np.clip(np.log(wave), low, high)[:, None]
    projection = np.empty((wave.size, n_node))
    for k in range(n_node):
        others = np.delete(node, k)
        projection[:, k] = weights * np.prod((x - others) / (node[k] - others), axis=1)
    return np.exp(node), projection
