"""Photometry of composite populations: stars, gas, dust and an AGN's torus in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.kernels.fastmath import exp_single
from pxdask.kernels.sfh import AgeQuadrature, fill_age_weights

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
def _node(position: float, n_node: int) -> tuple[int, int, float]:
    """Return the nodes before and after a position, and the share of the second."""
    low = min(int(position), max(n_node - 2, 0))
    return low, min(low + 1, n_node - 1), position - low


@njit(cache=True, error_model="numpy", inline="always")
def _add_two_rows(
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
def _add_stars(
    weights: NDArray[np.float64],
    n_used: int,
    metallicity: float,
    columns: Columns,
    young: NDArray[np.float32],
    old: NDArray[np.float32],
) -> None:
    """Add the light of stars in birth clouds to ``young``, of all others to ``old``."""
    low, high, share = _node(metallicity, columns.stars.shape[0])
    poor, rich = columns.stars[low], columns.stars[high]
    n_birth = min(columns.n_birth, n_used)
    for k in range(n_birth):
        a, b = np.float32(weights[k] * (1 - share)), np.float32(weights[k] * share)
        _add_two_rows(a, poor[k], b, rich[k], young)
    for k in range(n_birth, n_used):
        a, b = np.float32(weights[k] * (1 - share)), np.float32(weights[k] * share)
        _add_two_rows(a, poor[k], b, rich[k], old)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_nebulae(
    photons: NDArray[np.float64],
    gas_u: float,
    gas_z: float,
    nebular: NDArray[np.float32],
    total: NDArray[np.float32],
) -> None:
    """Add the light of gas that takes up ``photons`` (n_young,) to the total."""
    u_low, u_high, u_share = _node(gas_u, nebular.shape[0])
    z_low, z_high, z_share = _node(gas_z, nebular.shape[1])
    for m in range(photons.shape[0]):
        if photons[m] > 0:
            dim, bright = photons[m] * (1 - u_share), photons[m] * u_share
            a, b = np.float32(dim * (1 - z_share)), np.float32(dim * z_share)
            _add_two_rows(a, nebular[u_low, z_low, m], b, nebular[u_low, z_high, m], total)
            if bright > 0:
                a, b = np.float32(bright * (1 - z_share)), np.float32(bright * z_share)
                _add_two_rows(a, nebular[u_high, z_low, m], b, nebular[u_high, z_high, m], total)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _ionising_photons(
    weights: NDArray[np.float64],
    ages: tuple[int, int],
    metallicity: float,
    columns: Columns,
    out: NDArray[np.float64],
) -> None:
    """Write the photons of ages [start, stop) that each nebular age stands for."""
    low, high, share = _node(metallicity, columns.ionising.shape[0])
    out[:] = 0.0
    for k in range(ages[0], ages[1]):
        rate = columns.ionising[low, k] * (1 - share) + columns.ionising[high, k] * share
        m, later = columns.young[k], columns.young_share[k]
        out[m] += weights[k] * rate * (1 - later)
        if later > 0:
            out[m + 1] += weights[k] * rate * later


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
        _ionising_photons(weights, (0, n_birth), z, columns, photons)
        _add_nebulae(photons, u, gas_z, columns.nebular, young)
    if n_birth < n_lit:
        _ionising_photons(weights, (n_birth, n_lit), z, columns, photons)
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
def _fill_transmission(
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
def _mix_dust(
    i: int, models: CompositeModels, columns: Columns, out: NDArray[np.float32]
) -> tuple[float, float]:
    """Write the emission of unit mass of mixed dust; return its power, and the unseen part."""
    q_low, q_high, q_share = _node(models.q_pah[i], columns.dust.shape[1])
    u_low, u_high, u_share = _node(models.u_min[i], columns.dust.shape[2])
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
    low, high, share = _node(metallicity, luminosity.shape[0])
    total = 0.0
    for k in range(n_used):
        total += weights[k] * (luminosity[low, k] * (1 - share) + luminosity[high, k] * share)
    return total


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _torus(
    i: int,
    models: CompositeModels,
    weights: NDArray[np.float64],
    n_used: int,
    columns: Columns,
    out: NDArray[np.float32],
) -> None:
    """Write the light of the AGN's torus."""
    low, high, share = _node(models.tau_agn[i], columns.torus.shape[0])
    stars = _stellar_luminosity(weights, n_used, models.metallicity[i], columns.luminosity)
    a, b = (
        np.float32(models.agn[i] * stars * (1 - share)),
        np.float32(models.agn[i] * stars * share),
    )
    out[:] = np.float32(0)
    _add_two_rows(a, columns.torus[low], b, columns.torus[high], out)


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
        _fill_transmission(i, models, columns, transmission)
        absorbed = _attenuate(
            np.float32(models.birth_depth[i]), columns.birth, transmission, young, old, end
        )
        energy[i, 0], energy[i, 1], energy[i, 2] = absorbed, 0.0, 0.0
        if columns.dust.shape[0] > 0:
            power, unseen = _mix_dust(i, models, columns, warm)
            for j in range(n_column):
                warm[j] *= transmission[j]
            energy[i, 1], energy[i, 2] = power, unseen + _sum(warm, end, n_column)
            mass = np.float32(absorbed / energy[i, 2])
            for j in range(n_column):
                old[j] += mass * warm[j]
        if columns.torus.shape[0] > 0:
            _torus(i, models, weights, n_used, columns, warm)
            for j in range(n_column):
                old[j] += warm[j] * transmission[j]
        _sum_bands(old, columns.first, out[i])


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
        u_low, u_high, u_share = _node(models.gas_u[i], n_u)
        z_low, z_high, z_share = _node(models.gas_z[i], n_gas)
        for part in range(2):
            ages = (0, n_birth) if part == 0 else (n_birth, n_lit)
            out = young[i] if part == 0 else old[i]
            _ionising_photons(weights[i], ages, models.metallicity[i], columns, photons)
            for m in range(n_young):
                out[u_low, z_low, m] += np.float32(photons[m] * (1 - u_share) * (1 - z_share))
                out[u_low, z_high, m] += np.float32(photons[m] * (1 - u_share) * z_share)
                out[u_high, z_low, m] += np.float32(photons[m] * u_share * (1 - z_share))
                out[u_high, z_high, m] += np.float32(photons[m] * u_share * z_share)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def fill_transmissions(models: CompositeModels, columns: Columns, out: NDArray[np.float32]) -> None:
    """Write the transmission of the diffuse dust, (n_model, n_column)."""
    for i in range(out.shape[0]):
        _fill_transmission(i, models, columns, out[i])


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
        power, _ = _mix_dust(i, models, columns, warm)
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
        _torus(i, models, weights[i], weights.shape[1], columns, out[i])
        for j in range(out.shape[1]):
            out[i, j] *= transmission[i, j]
