"""What composite populations are mixed from: parameters, columns, and each ingredient's part."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp_single

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CompositeModels(NamedTuple):
    """Parameters of composite populations, (n_model,) each, finite and within the nodes.

    Positions count nodes: 1.25 is a quarter of the way from node 1 to node 2.

    Attributes
    ----------
    age : float64
        Time since the start of star formation [Gyr].
    shape : (n_model, n_shape) float64
        Parameters of the star formation history, see `pxdask.kernels.sfh`.
    metallicity : float64
        Position among the metallicities.
    birth_depth, depth : float64
        Optical depth of birth clouds at 5500 Angstrom, and of diffuse dust in the V band.
    slope, bump : float64
        Power-law index and bump strength of the diffuse dust's law.
    gas_u, gas_z : float64
        Positions among the ionisation parameters and the gas metallicities.
    q_pah, u_min : float64
        Positions among the dust models.
    gamma : float64
        Share of the dust lit by more than the least starlight.
    agn, tau_agn : float64
        Torus luminosity per stellar luminosity, and position among the torus models.
    """

    age: NDArray[np.float64]
    shape: NDArray[np.float64]
    metallicity: NDArray[np.float64]
    birth_depth: NDArray[np.float64]
    depth: NDArray[np.float64]
    slope: NDArray[np.float64]
    bump: NDArray[np.float64]
    gas_u: NDArray[np.float64]
    gas_z: NDArray[np.float64]
    q_pah: NDArray[np.float64]
    u_min: NDArray[np.float64]
    gamma: NDArray[np.float64]
    agn: NDArray[np.float64]
    tau_agn: NDArray[np.float64]


class Columns(NamedTuple):
    """What shines, seen through bands and interpolation polynomials, before dust.

    Columns of the bands come first, then those that integrate over all wavelengths, which
    tell the energy that dust absorbs. What a recipe lacks has no rows.

    Attributes
    ----------
    stars : (n_met, n_age, n_column) float32
        Simple populations, with their nebulae where these do not vary.
    nebular : (n_u, n_gas, n_young, n_column) float32
        Nebulae per ionising photon.
    ionising : (n_met, n_lit) float64
        Ionising photons of the ages that have nebulae.
    young, young_share : (n_lit,) int64, float64
        Nebular age before each of these ages, and the share of the next one.
    n_birth : int
        Number of ages in birth clouds.
    luminosity : (n_met, n_age) float64
        Bolometric luminosity of stars.
    dust : (2, n_qpah, n_umin, n_column) float32
        Dust emission per dust mass.
    dust_power, dust_unseen : (2, n_qpah, n_umin) float64
        Its integral over wavelength, and what of it the energy columns do not see.
    torus : (n_tau, n_column) float32
        AGN torus of unit luminosity.
    base, bump, ln_wave, birth : (n_column,) float32
        Parts of the attenuation laws at each column's node: see `pxdask.kernels.dust`.
    first : (n_band + 1,) int64
        First column of each band, and of the energy columns. Dark columns at the end make
        their number one that vector instructions like.
    """

    stars: NDArray[np.float32]
    nebular: NDArray[np.float32]
    ionising: NDArray[np.float64]
    young: NDArray[np.int64]
    young_share: NDArray[np.float64]
    n_birth: int
    luminosity: NDArray[np.float64]
    dust: NDArray[np.float32]
    dust_power: NDArray[np.float64]
    dust_unseen: NDArray[np.float64]
    torus: NDArray[np.float32]
    base: NDArray[np.float32]
    bump: NDArray[np.float32]
    ln_wave: NDArray[np.float32]
    birth: NDArray[np.float32]
    first: NDArray[np.int64]


@njit(cache=True, error_model="numpy", inline="always")
def node(position: float, n_node: int) -> tuple[int, int, float]:
    """Return the nodes before and after a position, and the share of the second."""
    low = min(int(position), max(n_node - 2, 0))
    return low, min(low + 1, n_node - 1), position - low


@njit(cache=True, error_model="numpy", inline="always")
def add_two_rows(
    a: np.float32,
    first: NDArray[np.float32],
    b: np.float32,
    second: NDArray[np.float32],
    total: NDArray[np.float32],
) -> None:
    """Add ``a * first + b * second`` to the total."""
    for j in range(total.shape[0]):
        total[j] += a * first[j] + b * second[j]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def ionising_photons(
    weights: NDArray[np.float64],
    ages: tuple[int, int],
    metallicity: float,
    columns: Columns,
    out: NDArray[np.float64],
) -> None:
    """Write the photons of ages [start, stop) that each nebular age stands for."""
    low, high, share = node(metallicity, columns.ionising.shape[0])
    out[:] = 0.0
    for k in range(ages[0], ages[1]):
        rate = columns.ionising[low, k] * (1 - share) + columns.ionising[high, k] * share
        m, later = columns.young[k], columns.young_share[k]
        out[m] += weights[k] * rate * (1 - later)
        if later > 0:
            out[m + 1] += weights[k] * rate * later


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def fill_transmission(
    i: int, models: CompositeModels, columns: Columns, out: NDArray[np.float32]
) -> None:
    """Write the transmission of the diffuse dust at each column's node."""
    depth = np.float32(-models.depth[i])
    slope, bump = np.float32(models.slope[i]), np.float32(models.bump[i])
    base, drude, ln_wave = columns.base, columns.bump, columns.ln_wave
    if slope == 0 and bump == 0:
        for j in range(out.shape[0]):
            out[j] = exp_single(depth * base[j])
    else:
        for j in range(out.shape[0]):
            law = (base[j] + bump * drude[j]) * exp_single(slope * ln_wave[j])
            out[j] = exp_single(depth * law)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def mix_dust(
    i: int, models: CompositeModels, columns: Columns, out: NDArray[np.float32]
) -> tuple[float, float]:
    """Write the emission of unit mass of mixed dust; return its power, and the unseen part."""
    q_low, q_high, q_share = node(models.q_pah[i], columns.dust.shape[1])
    u_low, u_high, u_share = node(models.u_min[i], columns.dust.shape[2])
    out[:] = np.float32(0)
    power = unseen = 0.0
    for corner in range(8):
        share = models.gamma[i] if corner & 1 else 1 - models.gamma[i]
        share *= q_share if corner & 2 else 1 - q_share
        share *= u_share if corner & 4 else 1 - u_share
        q, u = q_high if corner & 2 else q_low, u_high if corner & 4 else u_low
        row = columns.dust[corner & 1, q, u]
        small = np.float32(share)
        for j in range(out.shape[0]):
            out[j] += small * row[j]
        power += share * columns.dust_power[corner & 1, q, u]
        unseen += share * columns.dust_unseen[corner & 1, q, u]
    return power, unseen


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _stellar_luminosity(
    weights: NDArray[np.float64], n_used: int, metallicity: float, luminosity: NDArray[np.float64]
) -> float:
    """Return the bolometric luminosity of the stars."""
    low, high, share = node(metallicity, luminosity.shape[0])
    total = 0.0
    for k in range(n_used):
        total += weights[k] * (luminosity[low, k] * (1 - share) + luminosity[high, k] * share)
    return total


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def fill_torus(
    i: int,
    models: CompositeModels,
    weights: NDArray[np.float64],
    n_used: int,
    columns: Columns,
    out: NDArray[np.float32],
) -> None:
    """Write the light of the AGN's torus."""
    low, high, share = node(models.tau_agn[i], columns.torus.shape[0])
    stars = _stellar_luminosity(weights, n_used, models.metallicity[i], columns.luminosity)
    a, b = (
        np.float32(models.agn[i] * stars * (1 - share)),
        np.float32(models.agn[i] * stars * share),
    )
    out[:] = np.float32(0)
    add_two_rows(a, columns.torus[low], b, columns.torus[high], out)
