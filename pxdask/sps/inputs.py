"""Parameters by name, checked, as the plain arrays that the kernels take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.kernels.dust import tied_bump
from pxdask.kernels.ingredients import CompositeModels
from pxdask.sps.histories import histories
from pxdask.sps.parameters import fixed_parameters, free_parameters, model_parameters, parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig
    from pxdask.sps.populations import Populations

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """Turns parameters into arrays of the kernels.

    Attributes
    ----------
    settings : ModelConfig
        Which parameters there are, and the values of fixed ones.
    stars : Populations
        The nodes, and with them the range of some parameters.
    universe : float
        Age of the universe, which no model may exceed [Gyr].
    """

    settings: ModelConfig
    stars: Populations
    universe: float

    def models(self, parameters: Mapping[str, Floats]) -> tuple[str, CompositeModels]:
        """Return the kind of star formation history and the models.

        Parameters
        ----------
        parameters : mapping
            One array (n_model,) for each free parameter, in the registry's units.

        Raises
        ------
        ConfigError
            Naming every parameter that is missing, unknown or out of range.
        """
        values = self._checked(parameters)
        history = histories(self.settings, values, universe=self.universe)
        nothing = np.zeros(history.age.size)
        index = values.get("dust_index", nothing)
        tied = tied_bump(index) if self.settings.dust == "kriek_conroy" else nothing
        gas_z = np.clip(values.get("gas_logz", values["logzsol"]), *self._ends("log_zgas"))
        log_u = values.get("gas_logu", nothing)
        models = CompositeModels(
            age=history.age,
            shape=history.shape,
            metallicity=self._position("log_z", values["logzsol"]),
            birth_depth=values.get("dust1", nothing),
            depth=values["dust2"],
            slope=index,
            bump=values.get("dust_bump", tied),
            gas_u=self._position("log_u", log_u) if self.stars.nebular.shape[0] > 1 else nothing,
            gas_z=self._position("log_zgas", gas_z),
            q_pah=self._position("q_pah", 10 ** values.get("log_qpah", nothing)),
            u_min=self._position("u_min", 10 ** values.get("log_umin", nothing)),
            gamma=10 ** values["log_gamma"] if "log_gamma" in values else nothing,
            agn=10 ** values["log_fagn"] if "log_fagn" in values else nothing,
            tau_agn=self._position("tau_agn", 10 ** values.get("log_tauagn", nothing)),
        )
        return history.kind, models

    def limits(self, name: str) -> tuple[float, float]:
        """Return the least and greatest value of a parameter."""
        low, high = parameter(name).limits
        if name == "log_age":
            return low, min(high, float(np.log10(self.universe)))
        own_low, own_high = self.stars.ranges().get(name, (low, high))
        return max(low, own_low), min(high, own_high)

    def _ends(self, name: str) -> tuple[float, float]:
        """Return the first and last node of an axis."""
        nodes = getattr(self.stars, name)
        return float(nodes[0]), float(nodes[-1])

    def _position(self, name: str, values: Floats) -> Floats:
        """Return positions among the nodes of an axis; values beyond get the last node."""
        nodes = getattr(self.stars, name)
        return np.interp(values, nodes, np.arange(nodes.size, dtype=np.float64))

    def _checked(self, parameters: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the values of all parameters, or name all that are not usable."""
        free = [name for name in free_parameters(self.settings) if name != "redshift"]
        given = {name: value for name, value in parameters.items() if name != "redshift"}
        faults = [f"{name}: {self._why_not(name, free)}" for name in given if name not in free]
        faults += [f"{name}: missing" for name in free if name not in given]
        values = {name: np.asarray(given[name], dtype=np.float64) for name in free if name in given}
        for name, value in values.items():
            low, high = self.limits(name)
            bad = value[~((value >= low) & (value <= high))]
            if bad.size:
                faults.append(
                    f"{name}: {bad.flat[0]} ({bad.size} such values) is not within"
                    f" [{low:.6g}, {high:.6g}] {parameter(name).unit}"
                )
        shapes = {value.shape for value in values.values()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            sizes = ", ".join(f"{name} {value.shape}" for name, value in values.items())
            faults.append(f"arrays must have one dimension and equal length; got {sizes}")
        if faults:
            raise ConfigError("models cannot be computed:\n  - " + "\n  - ".join(faults))
        n_model = next(iter(shapes), (1,))[0]
        fixed = {
            name: np.full(n_model, value)
            for name, value in fixed_parameters(self.settings).items()
            if name != "redshift"
        }
        return {**values, **fixed}

    def _why_not(self, name: str, free: list[str]) -> str:
        """Return why a parameter may not be given."""
        if name in model_parameters(self.settings):
            fixed = fixed_parameters(self.settings)
            follows = f"fixed at {fixed[name]}" if name in fixed else parameter(name).tied
            return f"not free ({follows}): give it a prior in models.priors"
        return f"not a parameter of these models; they have {', '.join(free)}"
