"""Photometry of composite populations: stars, gas, dust and an AGN's torus in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp_single
from pxdask.kernels.ingredients import (
    Columns,
    CompositeModels,
    add_two_rows,
    fill_torus,
    fill_transmission,
    ionising_photons,
    mix_dust,
    node,
)
from pxdask.kernels.sfh import AgeQuadrature, fill_age_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_stars(
    weights: NDArray[np.float64],
    n_used: int,
    metallicity: float,
    columns: Columns,
    young: NDArray[np.float32],
    old: NDArray[np.float32],
) -> None:
    """Add the light of stars in birth clouds to ``young``, of all others to ``old``."""
    low, high, share = node(metallicity, columns.stars.shape[0])
    poor, rich = columns.stars[low], columns.stars[high]
    n_birth = min(columns.n_birth, n_used)
    for k in range(n_birth):
        a, b = np.float32(weights[k] * (1 - share)), np.float32(weights[k] * share)
        add_two_rows(a, poor[k], b, rich[k], young)
    for k in range(n_birth, n_used):
        a, b = np.float32(weights[k] * (1 - share)), np.float32(weights[k] * share)
        add_two_rows(a, poor[k], b, rich[k], old)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_nebulae(
    photons: NDArray[np.float64],
    gas_u: float,
    gas_z: float,
    nebular: NDArray[np.float32],
    total: NDArray[np.float32],
) -> None:
    """Add the light of gas that takes up ``photons`` (n_young,) to the total."""
    u_low, u_high, u_share = node(gas_u, nebular.shape[0])
    z_low, z_high, z_share = node(gas_z, nebular.shape[1])
    for m in range(photons.shape[0]):
        if photons[m] > 0:
            dim, bright = photons[m] * (1 - u_share), photons[m] * u_share
            a, b = np.float32(dim * (1 - z_share)), np.float32(dim * z_share)
            add_two_rows(a, nebular[u_low, z_low, m], b, nebular[u_low, z_high, m], total)
            if bright > 0:
                a, b = np.float32(bright * (1 - z_share)), np.float32(bright * z_share)
                add_two_rows(a, nebular[u_high, z_low, m], b, nebular[u_high, z_high, m], total)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_gas(
    i: int,
    models: CompositeModels,
    weights: NDArray[np.float64],
    columns: Columns,
    photons: NDArray[np.float64],
    young: NDArray[np.float32],
    old: NDArray[np.float32],
) -> None:
    """Add the light of gas in birth clouds to ``young``, of other gas to ``old``."""
    if columns.nebular.shape[0] == 0:
        return
    n_lit = columns.young.shape[0]
    n_birth = min(columns.n_birth, n_lit)
    z, u, gas_z = models.metallicity[i], models.gas_u[i], models.gas_z[i]
    if n_birth > 0:
        ionising_photons(weights, (0, n_birth), z, columns, photons)
        _add_nebulae(photons, u, gas_z, columns.nebular, young)
    if n_birth < n_lit:
        ionising_photons(weights, (n_birth, n_lit), z, columns, photons)
        _add_nebulae(photons, u, gas_z, columns.nebular, old)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _sum(values: NDArray[np.float32], start: int, stop: int) -> float:
    """Return the sum of a range of values, four at a time: the same order on any machine."""
    a = b = c = d = 0.0
    whole = start + (stop - start) // 4 * 4
    for j in range(start, whole, 4):
        a += values[j]
        b += values[j + 1]
        c += values[j + 2]
        d += values[j + 3]
    for j in range(whole, stop):
        a += values[j]
    return (a + b) + (c + d)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _sum_bands(
    light: NDArray[np.float32], first: NDArray[np.int64], out: NDArray[np.float32]
) -> None:
    """Write the sum of each band's columns."""
    for band in range(out.shape[0]):
        out[band] = _sum(light, first[band], first[band + 1])


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _attenuate(
    birth_depth: np.float32,
    birth: NDArray[np.float32],
    transmission: NDArray[np.float32],
    young: NDArray[np.float32],
    old: NDArray[np.float32],
    n_band_column: int,
) -> float:
    """Dim the light, gather it in ``old`` and what is lost in ``young``; return the energy lost."""
    n_column = old.shape[0]
    if birth_depth == 0:
        for j in range(n_column):
            light = old[j] + young[j]
            old[j] = light * transmission[j]
            young[j] = light - old[j]
    else:
        for j in range(n_column):
            cloud = exp_single(-birth_depth * birth[j])
            light = old[j] + young[j]
            old[j] = (old[j] + young[j] * cloud) * transmission[j]
            young[j] = light - old[j]
    return _sum(young, n_band_column, n_column)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def composite_fluxes(
    kind: int,
    models: CompositeModels,
    quadrature: AgeQuadrature,
    columns: Columns,
    out: NDArray[np.float32],
    energy: NDArray[np.float64],
) -> None:
    """Write band fluxes of composite populations with gas, dust and an AGN's torus.

    Each model is computed on its own, in a fixed order of operations: the same parameters
    give the same bits in any batch.

    Parameters
    ----------
    kind : int
        Form of the star formation history, see `pxdask.kernels.sfh.SFH_KINDS`.
    models : CompositeModels
        Parameters.
    quadrature : AgeQuadrature
        Of the SSP ages.
    columns : Columns
        From `interpolation_columns` of every band, and of all wavelengths.
    out : (n_model, n_band) float32
        Written, in the unit of the columns.
    energy : (n_model, 3) float64
        Written: luminosity that dust absorbs, power of unit mass of the dust that emits, and
        what of this power gets out of it; zero where the columns do not tell.

    Notes
    -----
    Energy balance (da Cunha et al. 2008, MNRAS 388, 1595): dust emits what it absorbs. Diffuse
    dust absorbs its own emission again and again, a geometric series: of a spectrum D behind
    the transmission T, ``D T L / integral of D T`` gets out.
    """
    n_age, n_column = columns.stars.shape[1], columns.stars.shape[2]
    n_point, n_band = quadrature.abscissa.size, out.shape[1]
    end = int(columns.first[n_band])
    rate = np.empty((n_point + 1, max(n_age, n_point)))
    weights = np.empty(n_age)
    photons = np.empty(columns.nebular.shape[2])
    young, old = np.empty(n_column, np.float32), np.empty(n_column, np.float32)
    transmission, warm = np.empty(n_column, np.float32), np.empty(n_column, np.float32)
    for i in range(models.age.shape[0]):
        n_used = fill_age_weights(kind, models.age[i], models.shape[i], quadrature, rate, weights)
        young[:] = np.float32(0)
        old[:] = np.float32(0)
        _add_stars(weights, n_used, models.metallicity[i], columns, young, old)
        _add_gas(i, models, weights, columns, photons, young, old)
        fill_transmission(i, models, columns, transmission)
        absorbed = _attenuate(
            np.float32(models.birth_depth[i]), columns.birth, transmission, young, old, end
        )
        energy[i, 0], energy[i, 1], energy[i, 2] = absorbed, 0.0, 0.0
        if columns.dust.shape[0] > 0:
            power, unseen = mix_dust(i, models, columns, warm)
            for j in range(n_column):
                warm[j] *= transmission[j]
            energy[i, 1], energy[i, 2] = power, unseen + _sum(warm, end, n_column)
            mass = np.float32(absorbed / energy[i, 2])
            for j in range(n_column):
                old[j] += mass * warm[j]
        if columns.torus.shape[0] > 0:
            fill_torus(i, models, weights, n_used, columns, warm)
            for j in range(n_column):
                old[j] += warm[j] * transmission[j]
        _sum_bands(old, columns.first, out[i])
