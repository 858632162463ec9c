"""Stars and their nebulae as plain arrays, ready to be weighted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.schema import SSP
from pxdask.kernels.igm import LYMAN_LIMIT

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Populations:
    """Simple stellar populations with the light of the gas around them.

    Attributes
    ----------
    log_z : (n_met,) float64
        log10 of metallicity in solar units.
    log_age : (n_age,) float64
        log10 of age [yr].
    wave, wave_edges : (n_wave,), (n_wave + 1,) float64
        Centres and edges of the wavelength bins, rest frame, vacuum [Angstrom].
    flux : (n_met, n_age, n_wave) float32
        [Lsun Angstrom-1 Msun-1], per mass formed.
    surviving : (n_met, n_age) float64
        Mass of living stars and remnants per mass formed.
    """

    log_z: NDArray[np.float64]
    log_age: NDArray[np.float64]
    wave: NDArray[np.float64]
    wave_edges: NDArray[np.float64]
    flux: NDArray[np.float32]
    surviving: NDArray[np.float64]

    def at_metallicity(
        self, values: NDArray[np.floating], position: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return ``values`` (n_met, ...) between metallicities, linearly in log Z.

        ``position`` (n_model,) or () counts nodes: 1.25 is a quarter of the way from node 1
        to node 2. The result is (n_model, ...) or (...).
        """
        low = np.clip(np.floor(position).astype(int), 0, max(self.log_z.size - 2, 0))
        high = np.minimum(low + 1, self.log_z.size - 1)
        fraction = np.expand_dims(
            position - low, tuple(range(np.ndim(position), np.ndim(position) + values.ndim - 1))
        )
        result: NDArray[np.float64] = values[low] * (1 - fraction) + values[high] * fraction
        return result


def populations(ssp: xr.Dataset, settings: ModelConfig) -> Populations:
    """Return the populations of a product, with nebulae if the settings ask for them.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/1``.
    settings : ModelConfig
        ``nebular`` and ``log_u``.

    Returns
    -------
    populations : Populations
        With nebulae, populations up to the oldest nebular age (10 Myr) lose their flux
        below the Lyman limit, which the gas has taken up, and gain the gas's emission.

    Raises
    ------
    ConfigError
        If ``log_u`` lies outside the product's range.
    SchemaError
        If ``ssp`` is not of its schema.
    """
    SSP.validate(ssp)
    flux = np.array(ssp["flux"].values)
    log_age = ssp["log_age"].values
    if settings.nebular:
        nebular = _nebular(ssp, settings.log_u)
        nodes = ssp["log_age_young"].values
        young = np.flatnonzero(log_age <= nodes[-1] + 1e-6)
        flux[:, young, : np.searchsorted(ssp["wave"].values, LYMAN_LIMIT)] = 0
        position = np.interp(log_age[young], nodes, np.arange(nodes.size))
        for age, where in zip(young, position, strict=True):
            low = min(int(where), max(nodes.size - 2, 0))
            share = np.float32(where - low)
            high = min(low + 1, nodes.size - 1)
            flux[:, age] += nebular[:, low] * (1 - share) + nebular[:, high] * share
    return Populations(
        log_z=ssp["log_z"].values,
        log_age=log_age,
        wave=ssp["wave"].values,
        wave_edges=ssp["wave_edges"].values,
        flux=flux,
        surviving=ssp["surviving"].values,
    )


def _nebular(ssp: xr.Dataset, log_u: float) -> NDArray[np.float32]:
    """Return nebular spectra (met, young, wave) at an ionisation parameter, linear in log U."""
    nodes = ssp["log_u"].values
    if not nodes[0] <= log_u <= nodes[-1]:
        raise ConfigError(
            f"models.log_u = {log_u} is outside the SSP product's [{nodes[0]}, {nodes[-1]}]"
        )
    low = int(np.clip(np.searchsorted(nodes, log_u, side="right") - 1, 0, nodes.size - 2))
    share = np.float32((log_u - nodes[low]) / (nodes[low + 1] - nodes[low]))
    grid = ssp["nebular"].values
    result: NDArray[np.float32] = grid[low] * (1 - share) + grid[low + 1] * share
    return result
