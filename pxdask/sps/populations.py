"""Stars, gas, dust and torus of an SSP product as plain arrays, ready to be weighted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.schema import SSP
from pxdask.kernels.dust import BIRTH_CLOUD_LOG_AGE
from pxdask.sps.parameters import fixed_parameters, model_parameters

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig

_IONISING = 912.0
"""Wavelength below which gas takes up light [Angstrom]; the round number of FSPS and bagpipes, so
that what they count as ionising photons is what goes."""

_TOLERANCE = 1e-6
"""Difference below which two log ages are the same [dex]."""


@dataclass(frozen=True, slots=True)
class Populations:
    """Everything that shines, on one set of wavelength bins.

    Attributes
    ----------
    log_z : (n_met,) float64
        log10 of metallicity in solar units.
    log_age : (n_age,) float64
        log10 of age [yr].
    wave, wave_edges : (n_wave,), (n_wave + 1,) float64
        Centres and edges of the wavelength bins, rest frame, vacuum [Angstrom].
    stars : (n_met, n_age, n_wave) float32
        [Lsun Angstrom-1 Msun-1], per mass formed; without ionising light where gas takes
        it up.
    surviving, luminosity : (n_met, n_age) float64
        Mass of living stars and remnants, bolometric luminosity [Lsun], per mass formed.
    n_birth, n_lit : int
        Numbers of ages in birth clouds, and of ages with nebulae.
    ionising : (n_met, n_lit) float64
        [1e46 s-1 Msun-1].
    log_u, log_zgas : (n_u,), (n_gas,) float64
        Ionisation parameters and metallicities of the gas.
    young, young_share : (n_lit,) int64, float64
        Nebular age before each lit age, and the share of the next one.
    nebular : (n_u, n_gas, n_young, n_wave) float32
        [1e-46 Lsun s Angstrom-1]; one row where the ionisation parameter is fixed, none
        without nebulae.
    q_pah, u_min : (n_qpah,), (n_umin,) float64
        [percent] and [1].
    dust : (2, n_qpah, n_umin, n_wave) float32
        [Lsun Angstrom-1 Msun-1], per dust mass; no rows without dust emission.
    dust_power : (2, n_qpah, n_umin) float64
        [Lsun Msun-1].
    tau_agn : (n_tau,) float64
    torus : (n_tau, n_wave) float32
        [Angstrom-1]; no rows without an AGN.
    """

    log_z: NDArray[np.float64]
    log_age: NDArray[np.float64]
    wave: NDArray[np.float64]
    wave_edges: NDArray[np.float64]
    stars: NDArray[np.float32]
    surviving: NDArray[np.float64]
    luminosity: NDArray[np.float64]
    n_birth: int
    n_lit: int
    ionising: NDArray[np.float64]
    log_u: NDArray[np.float64]
    log_zgas: NDArray[np.float64]
    young: NDArray[np.int64]
    young_share: NDArray[np.float64]
    nebular: NDArray[np.float32]
    q_pah: NDArray[np.float64]
    u_min: NDArray[np.float64]
    dust: NDArray[np.float32]
    dust_power: NDArray[np.float64]
    tau_agn: NDArray[np.float64]
    torus: NDArray[np.float32]

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return the least and greatest value of each parameter that the product limits."""
        logarithm = {
            "log_umin": np.log10(self.u_min),
            "log_qpah": np.log10(self.q_pah),
            "log_tauagn": np.log10(self.tau_agn),
        }
        nodes = {
            "logzsol": self.log_z,
            "gas_logu": self.log_u,
            "gas_logz": self.log_zgas,
            **logarithm,
        }
        return {name: (float(node[0]), float(node[-1])) for name, node in nodes.items()}


def populations(ssp: xr.Dataset, settings: ModelConfig) -> Populations:
    """Return what a product holds of the ingredients that the settings ask for.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    settings : ModelConfig
        Ingredients, and values of fixed parameters.

    Returns
    -------
    populations : Populations
        With nebulae, populations up to the oldest nebular age lose their flux below the
        Lyman limit, which the gas takes up.

    Raises
    ------
    ConfigError
        If a fixed parameter lies outside the product's range.
    SchemaError
        If ``ssp`` is not of its schema.
    """
    SSP.validate(ssp)
    values = {name: ssp[name].values for name in SSP.variables}
    log_age, nodes = values["log_age"], values["log_age_young"]
    n_lit = int(np.sum(log_age <= nodes[-1] + _TOLERANCE)) if settings.nebular else 0
    stars = values["flux"]
    if n_lit:
        stars = stars.copy()
        stars[:, :n_lit, : np.searchsorted(values["wave"], _IONISING)] = 0
    position = np.interp(log_age[:n_lit], nodes, np.arange(nodes.size))
    young = np.minimum(position.astype(np.int64), max(nodes.size - 2, 0))
    found = Populations(
        stars=stars,
        n_birth=int(np.sum(log_age <= BIRTH_CLOUD_LOG_AGE + _TOLERANCE)),
        n_lit=n_lit,
        ionising=np.ascontiguousarray(values["ionising"][:, :n_lit]),
        young=young,
        young_share=position - young,
        dust=values["dust"] if settings.dust_emission else values["dust"][:0],
        torus=values["torus"] if settings.agn else values["torus"][:0],
        nebular=_nebular(values["nebular"], values["log_u"], settings),
        **{
            name: values[name]
            for name in (
                "log_z", "log_age", "wave", "wave_edges", "surviving", "luminosity", "log_u",
                "log_zgas", "q_pah", "u_min", "dust_power", "tau_agn",
            )
        },
    )  # fmt: skip
    _check_fixed(found, settings)
    return found


def _nebular(
    grid: NDArray[np.float32], log_u: NDArray[np.float64], settings: ModelConfig
) -> NDArray[np.float32]:
    """Return the nebulae that models may have."""
    if not settings.nebular:
        return grid[:0]
    fixed = fixed_parameters(settings)
    if "gas_logu" not in fixed:
        return grid
    position = float(np.interp(fixed["gas_logu"], log_u, np.arange(log_u.size)))
    low = min(int(position), max(log_u.size - 2, 0))
    share = np.float32(position - low)
    high = min(low + 1, log_u.size - 1)
    result: NDArray[np.float32] = grid[low] * (1 - share) + grid[high] * share
    return result[None]


def _check_fixed(found: Populations, settings: ModelConfig) -> None:
    """Raise `ConfigError` naming the fixed parameters that are out of the product's range."""
    fixed, in_play = fixed_parameters(settings), model_parameters(settings)
    faults = [
        f"{name}: {fixed[name]} is not within [{low:.6g}, {high:.6g}]"
        for name, (low, high) in found.ranges().items()
        if name in fixed and name in in_play and not low <= fixed[name] <= high
    ]
    if faults:
        text = "\n  - ".join(["models.priors has values outside the SSP product's:", *faults])
        raise ConfigError(text)
