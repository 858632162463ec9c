"""Spectra of composite populations: the parts that are not matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp_single
from pxdask.kernels.ingredients import (
    Columns,
    CompositeModels,
    fill_torus,
    fill_transmission,
    ionising_photons,
    mix_dust,
    node,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def nebular_weights(
    models: CompositeModels,
    weights: NDArray[np.float64],
    columns: Columns,
    young: NDArray[np.float32],
    old: NDArray[np.float32],
) -> None:
    """Write how much each nebular spectrum shines in birth clouds, and outside them.

    Parameters
    ----------
    models : CompositeModels
        Parameters.
    weights : (n_model, n_age) float64
        Age weights.
    columns : Columns
        Of which the shape of ``nebular`` is used.
    young, old : (n_model, n_u, n_gas, n_young) float32
        Zeros, written to.
    """
    n_u, n_gas, n_young = columns.nebular.shape[:3]
    n_lit = columns.young.shape[0]
    n_birth = min(columns.n_birth, n_lit)
    photons = np.empty(n_young)
    for i in range(weights.shape[0]):
        u_low, u_high, u_share = node(models.gas_u[i], n_u)
        z_low, z_high, z_share = node(models.gas_z[i], n_gas)
        for part in range(2):
            ages = (0, n_birth) if part == 0 else (n_birth, n_lit)
            out = young[i] if part == 0 else old[i]
            ionising_photons(weights[i], ages, models.metallicity[i], columns, photons)
            for m in range(n_young):
                out[u_low, z_low, m] += np.float32(photons[m] * (1 - u_share) * (1 - z_share))
                out[u_low, z_high, m] += np.float32(photons[m] * (1 - u_share) * z_share)
                out[u_high, z_low, m] += np.float32(photons[m] * u_share * (1 - z_share))
                out[u_high, z_high, m] += np.float32(photons[m] * u_share * z_share)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def fill_transmissions(models: CompositeModels, columns: Columns, out: NDArray[np.float32]) -> None:
    """Write the transmission of the diffuse dust, (n_model, n_column)."""
    for i in range(out.shape[0]):
        fill_transmission(i, models, columns, out[i])


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def dim_spectra(
    models: CompositeModels,
    columns: Columns,
    transmission: NDArray[np.float32],
    young: NDArray[np.float32],
    old: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Write spectra (n_model, n_column) of young and old stars behind their dust to ``out``."""
    n_column = out.shape[1]
    for i in range(out.shape[0]):
        depth, through = np.float32(models.birth_depth[i]), transmission[i]
        one, other, dimmed = young[i], old[i], out[i]
        if depth == 0:
            for j in range(n_column):
                dimmed[j] = (one[j] + other[j]) * through[j]
        else:
            for j in range(n_column):
                cloud = exp_single(-depth * columns.birth[j])
                dimmed[j] = (one[j] * cloud + other[j]) * through[j]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def dust_spectra(
    models: CompositeModels,
    columns: Columns,
    transmission: NDArray[np.float32],
    widths: NDArray[np.float64],
    energy: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Write what dust emits.

    Parameters
    ----------
    models : CompositeModels
        Parameters.
    columns : Columns
        One column a wavelength.
    transmission : (n_model, n_column) float32
        From `fill_transmissions`.
    widths : (n_column,) float64
        Widths of the wavelength bins, where these cover all wavelengths [Angstrom]; else
        empty.
    energy : (n_model, 3) float64
        As `composite_fluxes` gives them; the last two are written where there are widths.
    out : (n_model, n_column) float32
        Written.
    """
    for i in range(out.shape[0]):
        through, warm = transmission[i], out[i]
        power, _ = mix_dust(i, models, columns, warm)
        for j in range(warm.shape[0]):
            warm[j] *= through[j]
        if widths.shape[0] > 0:
            escaping = 0.0
            for j in range(widths.shape[0]):
                escaping += widths[j] * warm[j]
            energy[i, 1], energy[i, 2] = power, escaping
        mass = np.float32(energy[i, 0] / energy[i, 2])
        for j in range(warm.shape[0]):
            warm[j] *= mass


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def torus_spectra(
    models: CompositeModels,
    weights: NDArray[np.float64],
    columns: Columns,
    transmission: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Write the light of the AGN's torus behind the diffuse dust, (n_model, n_column)."""
    for i in range(out.shape[0]):
        fill_torus(i, models, weights[i], weights.shape[1], columns, out[i])
        for j in range(out.shape[1]):
            out[i, j] *= transmission[i, j]
