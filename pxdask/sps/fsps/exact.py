"""Composite spectra by python-fsps itself, for the parameters of our models.

Far slower than models with a product, and the reference that these are checked against.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.constants import C_ANGSTROM_S
from pxdask.core.cosmology import age_of_universe
from pxdask.core.errors import ConfigError
from pxdask.sps.fsps.home import (
    NEBULAR_ISOCHRONES,
    gas_nodes,
    installed_libraries,
    nebular_file,
    usable_home,
)
from pxdask.sps.fsps.process import TIMEOUT, ask
from pxdask.sps.fsps.tables import tabulated
from pxdask.sps.histories import bin_edges, histories
from pxdask.sps.parameters import fixed_parameters, free_parameters, model_parameters, parameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig
    from pxdask.sps.fsps.home import Libraries

    Floats = NDArray[np.float64]

_SFH_NUMBERS = {"tau": 1, "delayed_tau": 4}
"""Histories of which FSPS has the equation."""
_TABLE = 3
"""FSPS's number of tabular histories."""
_DUST_NUMBERS = {"charlot_fall": 0, "calzetti": 2, "kriek_conroy": 4}
_LONGEST_TAU = 100.0
"""Longest tau [Gyr] that FSPS's own equation is used for; for longer ones it loses digits."""
_RANGES = {
    "log_umin": (-1.0, float(np.log10(25.0))),
    "log_qpah": (float(np.log10(0.47)), float(np.log10(4.58))),
    "log_tauagn": (float(np.log10(5.0)), float(np.log10(150.0))),
}
"""Ranges beyond which FSPS takes the last node without a word; those of gas are in its tables."""


@dataclass(frozen=True, slots=True)
class FspsModels:
    """What python-fsps gives for a set of models, per solar mass formed.

    Attributes
    ----------
    wave : (n_wave,) float64
        Vacuum, rest frame [Angstrom].
    spectrum : (n_model, n_wave) float64
        [Lsun Angstrom-1 Msun-1].
    surviving : (n_model,) float64
        Mass of living stars and remnants [Msun Msun-1].
    luminosity : (n_model,) float64
        Bolometric luminosity of the stars [Lsun Msun-1].
    dust_mass : (n_model,) float64
        Mass of the dust that emits [Msun Msun-1].
    """

    wave: Floats
    spectrum: Floats
    surviving: Floats
    luminosity: Floats
    dust_mass: Floats


@dataclass(frozen=True, slots=True)
class Run:
    """One model in FSPS's words.

    Attributes
    ----------
    age : float
        Time since the start of star formation [Gyr].
    parameters : dict
        By FSPS's names.
    table : (2, n_row) float64 or None
        Tabular history: time [Gyr], rate [Msun yr-1].
    """

    age: float
    parameters: dict[str, Any]
    table: Floats | None = field(default=None, repr=False)


class FspsEngine:
    """From parameters to spectra, by python-fsps in a process of its own.

    Parameters
    ----------
    settings : ModelConfig
        Ingredients, as for `pxdask.sps.SpectrumEngine`; ``ssp`` is not used.
    home : path, optional
        The folder of FSPS's data; default: that of the variable SPS_HOME.
    redshift : float, optional
        Where given, and ``settings.igm`` is not "none", spectra are absorbed by the
        intergalactic medium (Madau 1995, with FSPS's 17 Lyman lines). Histories in time bins
        need it for the age of the universe.
    imf_type : int
        FSPS's number of the initial mass function.
    options : mapping, optional
        Other arguments of ``fsps.StellarPopulation``, those that the product was made with.
    timeout : float
        Longest time to wait for FSPS [s].

    Raises
    ------
    ConfigError
        If the settings ask for what FSPS has not, or its data are missing.

    Notes
    -----
    Exponential and delayed histories are FSPS's own (``sfh`` 1 and 4); all others are given
    to it as tables (``sfh`` 3) of some thousand rows, dense where the rate bends. Each call
    starts a process and computes the stellar populations anew, which takes seconds.
    """

    def __init__(
        self,
        settings: ModelConfig,
        *,
        home: str | Path | None = None,
        redshift: float | None = None,
        imf_type: int = 1,
        options: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        libraries = installed_libraries()
        _refuse(settings, redshift, libraries)
        self.settings = settings
        self.redshift = redshift
        self.parameters = tuple(name for name in free_parameters(settings) if name != "redshift")
        self._home = usable_home(home, libraries)
        self._ranges = dict(_RANGES)
        if settings.nebular:
            log_z, _, log_u = gas_nodes(self._home, nebular_file(libraries))
            for name, nodes in (("gas_logz", log_z), ("gas_logu", log_u)):
                self._ranges[name] = (float(nodes[0]), float(nodes[-1]))
        self._imf_type, self._options = imf_type, dict(options or {})
        self._timeout = timeout

    def spectrum(self, parameters: Mapping[str, Floats]) -> Floats:
        """Return spectra (n_model, n_wave) [Lsun Angstrom-1 Msun-1]; see `models`."""
        return self.models(parameters).spectrum

    def models(self, parameters: Mapping[str, Floats]) -> FspsModels:
        """Return spectra and what else FSPS tells of the models.

        Parameters
        ----------
        parameters : mapping
            One array (n_model,) for each of ``self.parameters``, in the registry's units.

        Raises
        ------
        ConfigError
            Naming every parameter that is missing, unknown or beyond FSPS's nodes, or if
            FSPS gives no result.
        """
        return compute(
            self.runs(parameters),
            home=self._home,
            imf_type=self._imf_type,
            options=self._options,
            timeout=self._timeout,
        )

    def runs(self, parameters: Mapping[str, Floats]) -> list[Run]:
        """Return the models in FSPS's words; parameters and errors as for `models`."""
        values = self._checked(parameters)
        settings, universe = self.settings, self._universe()
        history = histories(settings, values, universe=universe)
        edges = bin_edges(settings, universe=universe)
        common = _common_parameters(settings, self.redshift)
        found = []
        for i, age in enumerate(history.age):
            own = _own_parameters(settings, {name: value[i] for name, value in values.items()})
            number = _SFH_NUMBERS.get(history.kind)
            tau = 1 / history.shape[i, 0] if number else np.inf
            if number and tau <= _LONGEST_TAU:
                run = Run(float(age), {**common, **own, "sfh": number, "tau": float(tau)})
            else:
                table = tabulated(history, i, edges)
                run = Run(float(age), {**common, **own, "sfh": _TABLE}, table)
            found.append(run)
        return found

    def _universe(self) -> float:
        """Return the age of the universe [Gyr]; that of today without a redshift."""
        return age_of_universe(self.settings, redshift=self.redshift or 1e-5)

    def _checked(self, parameters: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return values of all parameters, fixed and tied ones filled in."""
        names = [name for name in model_parameters(self.settings) if name != "redshift"]
        fixed = {k: v for k, v in fixed_parameters(self.settings).items() if k in names}
        faults = [
            f"{name}: not one of {', '.join(names)}" for name in parameters if name not in names
        ]
        faults += [f"{name}: missing" for name in self.parameters if name not in parameters]
        arrays = {name: np.atleast_1d(np.asarray(v, np.float64)) for name, v in parameters.items()}
        sizes = {value.size for value in arrays.values()}
        if len(sizes) > 1:
            faults.append(f"arrays must be of equal length; got {sorted(sizes)}")
        n_model = max(sizes, default=1)
        arrays = {**{name: np.full(n_model, value) for name, value in fixed.items()}, **arrays}
        for name in (name for name in names if name in arrays):
            low, high = self._ranges.get(name, parameter(name).limits)
            value = arrays[name]
            bad = value[~((value >= low - 1e-9) & (value <= high + 1e-9))]
            if bad.size:
                faults.append(f"{name}: {bad[0]} is not within [{low:.4g}, {high:.4g}]")
        if faults:
            raise ConfigError("FSPS cannot compute the models:\n  - " + "\n  - ".join(faults))
        if self.settings.nebular and "gas_logz" not in arrays:
            arrays["gas_logz"] = arrays["logzsol"]
        return arrays


def compute(
    runs: Sequence[Run],
    *,
    home: Path,
    imf_type: int = 1,
    options: Mapping[str, Any] | None = None,
    timeout: float = TIMEOUT,
) -> FspsModels:
    """Return what one process of python-fsps makes of some models, also of different engines.

    Raises
    ------
    ConfigError
        If FSPS gives no result.
    """
    arguments = {
        "imf_type": imf_type,
        "options": dict(options or {}),
        "runs": [
            {
                "age": run.age,
                "parameters": run.parameters,
                "table": None if run.table is None else str(i),
            }
            for i, run in enumerate(runs)
        ],
    }
    tables = {str(i): run.table for i, run in enumerate(runs) if run.table is not None}
    found = ask("spectra", home=home, arguments=arguments, tables=tables, timeout=timeout).arrays
    return FspsModels(
        wave=found["wave"],
        spectrum=found["flux"] * (C_ANGSTROM_S / found["wave"] ** 2),
        surviving=found["surviving"],
        luminosity=found["luminosity"],
        dust_mass=found["dust_mass"],
    )


def _refuse(settings: ModelConfig, redshift: float | None, libraries: Libraries) -> None:
    """Raise `ConfigError` naming what FSPS cannot do."""
    faults = []
    if settings.nebular and libraries.isochrones not in NEBULAR_ISOCHRONES:
        faults.append(f"nebular: FSPS has no nebulae for {libraries}")
    if settings.agn and libraries.layout == 3:
        faults.append("agn: FSPS 3 dims the torus by one optical depth, whatever dust2 is")
    if redshift is not None and settings.igm == "inoue14":
        faults.append("igm: inoue14; FSPS has Madau (1995) alone")
    if "dust_bump" in settings.priors:
        faults.append("dust_bump: FSPS ties the bump to dust_index (Kriek & Conroy 2013)")
    if settings.sfh in ("continuity", "dirichlet") and redshift is None:
        faults.append(f"sfh: {settings.sfh} ends at the age of the universe; give a redshift")
    if faults:
        raise ConfigError("FSPS cannot compute these models:\n  - " + "\n  - ".join(faults))


def _common_parameters(settings: ModelConfig, redshift: float | None) -> dict[str, Any]:
    """Return FSPS's parameters that all models with the settings share."""
    absorbed = redshift is not None and settings.igm != "none"
    return {
        "dust_type": _DUST_NUMBERS[settings.dust],
        "dust1_index": -1.0,
        "add_dust_emission": settings.dust_emission,
        "add_neb_emission": settings.nebular,
        "add_igm_absorption": absorbed,
        "zred": float(redshift) if absorbed and redshift is not None else 0.0,
    }


def _own_parameters(settings: ModelConfig, values: Mapping[str, float]) -> dict[str, float]:
    """Return FSPS's parameters of one model, all that any model sets."""
    own = {
        "logzsol": values["logzsol"],
        "dust1": values.get("dust1", 0.0),
        "dust2": values["dust2"],
        "dust_index": values.get("dust_index", 0.0),
        "gas_logu": values.get("gas_logu", -3.0),
        "gas_logz": values.get("gas_logz", 0.0),
        "duste_umin": 10 ** values.get("log_umin", 0.0),
        "duste_gamma": 10 ** values.get("log_gamma", -2.0),
        "duste_qpah": 10 ** values.get("log_qpah", 0.5),
        "fagn": 10 ** values["log_fagn"] if settings.agn else 0.0,
        "agn_tau": 10 ** values.get("log_tauagn", 1.0),
    }
    return {name: float(value) for name, value in own.items()}
