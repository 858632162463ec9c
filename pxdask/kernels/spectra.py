"""Spectra on wavelength bins, and the photometry of composite populations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp
from pxdask.kernels.sfh import AgeQuadrature, fill_age_weights

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


class CompositeModels(NamedTuple):
    """Parameters of composite populations.

    Attributes
    ----------
    age : (n_model,) float64
        Time since the start of star formation [Gyr].
    shape : (n_model, n_shape) float64
        Parameters of the star formation history, see `pxdask.kernels.sfh`.
    metallicity : (n_model,) float64
        Position among the metallicity nodes: 1.25 is a quarter of the way from node 1 to 2.
    depth : (n_model,) float64
        Optical depth of the dust where the attenuation law is 1.
    """

    age: NDArray[np.float64]
    shape: NDArray[np.float64]
    metallicity: NDArray[np.float64]
    depth: NDArray[np.float64]


class BandColumns(NamedTuple):
    """Simple populations seen through bands, before dust.

    Attributes
    ----------
    flux : (n_met, n_age, n_column) float32
        Spectra times filter times interpolation polynomial, integrated.
    law : (n_column,) float64
        Attenuation law at each column's node.
    first : (n_band + 1,) int64
        First column of each band, and the number of columns.
    """

    flux: NDArray[np.float32]
    law: NDArray[np.float64]
    first: NDArray[np.int64]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def composite_fluxes(
    kind: int,
    models: CompositeModels,
    quadrature: AgeQuadrature,
    columns: BandColumns,
    out: NDArray[np.float32],
) -> None:
    """Write band fluxes of composite populations behind a dust screen.

    Each model is computed on its own, in a fixed order of operations: the same parameters
    give the same bits in any batch.

    Parameters
    ----------
    kind : int
        Form of the star formation history, see `pxdask.kernels.sfh.SFH_KINDS`.
    models : CompositeModels
        Parameters, finite and within the nodes.
    quadrature : AgeQuadrature
        Of the SSP ages.
    columns : BandColumns
        From `interpolation_columns` of every band.
    out : (n_model, n_band) float32
        Written, in the unit of ``columns.flux``.
    """
    n_met, n_age, n_column = columns.flux.shape
    law, first = columns.law, columns.first
    n_point = quadrature.abscissa.size
    rate = np.empty((n_point + 1, max(n_age, n_point)))
    weights = np.empty(n_age)
    total = np.empty(n_column, np.float32)
    for i in range(models.age.shape[0]):
        n_used = fill_age_weights(kind, models.age[i], models.shape[i], quadrature, rate, weights)
        low = min(int(models.metallicity[i]), max(n_met - 2, 0))
        fraction = models.metallicity[i] - low
        poor, rich = columns.flux[low], columns.flux[min(low + 1, n_met - 1)]
        total[:] = np.float32(0)
        for k in range(n_used):
            a = np.float32(weights[k] * (1 - fraction))
            b = np.float32(weights[k] * fraction)
            poor_row, rich_row = poor[k], rich[k]
            for j in range(n_column):
                total[j] += a * poor_row[j] + b * rich_row[j]
        for j in range(n_column):
            total[j] *= np.float32(exp(-models.depth[i] * law[j]))
        for band in range(out.shape[1]):
            flux = np.float32(0)
            for j in range(first[band], first[band + 1]):
                flux += total[j]
            out[i, band] = flux
