"""Names, units and ranges of model parameters, and the priors a run draws them from."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError, DataError
from pxdask.sps.cosmology import age_of_universe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pxdask.core.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Parameter:
    """One quantity of a model.

    Attributes
    ----------
    name : str
        As in piXedfit.
    unit : str
        Text that astropy parses; ``dex(...)`` for logarithms to base 10.
    low, high : float
        Ends of the prior, or for derived quantities of the range to expect.
    meaning : str
        In words.
    label : str
        For plots, in matplotlib's TeX.
    limits : (float, float)
        Values for which models are computed; a prior may not go beyond.
    derived : bool
        Whether it follows from the others.
    """

    name: str
    unit: str
    low: float
    high: float
    meaning: str
    label: str
    limits: tuple[float, float] = (-np.inf, np.inf)
    derived: bool = False


PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        parameter.name: parameter
        for parameter in (
            Parameter(
                "log_age",
                "dex(Gyr)",
                -1.0,
                1.14,
                "time since the start of star formation",
                r"$\log(\mathrm{age}\,/\,\mathrm{Gyr})$",
                limits=(-4.0, 1.3),
            ),
            Parameter(
                "log_tau",
                "dex(Gyr)",
                -1.0,
                1.5,
                "e-folding time of the star formation history",
                r"$\log(\tau\,/\,\mathrm{Gyr})$",
                limits=(-1.5, 4.0),
            ),
            Parameter(
                "logzsol",
                "dex",
                -2.0,
                0.2,
                "metallicity of stars and gas in solar units",
                r"$\log(Z\,/\,Z_\odot)$",
            ),
            Parameter(
                "dust2",
                "",
                0.0,
                3.0,
                "optical depth of dust in the V band",
                r"$\hat\tau_2$",
                limits=(0.0, 50.0),
            ),
            Parameter(
                "log_mass",
                "dex(Msun)",
                2.0,
                13.0,
                "mass of living stars and remnants",
                r"$\log(M_*\,/\,\mathrm{M}_\odot)$",
                derived=True,
            ),
            Parameter(
                "log_sfr",
                "dex(Msun / yr)",
                -10.0,
                4.0,
                "star formation rate, mean of the last 100 Myr",
                r"$\log(\mathrm{SFR}\,/\,\mathrm{M}_\odot\,\mathrm{yr}^{-1})$",
                derived=True,
            ),
            Parameter(
                "log_mw_age",
                "dex(Gyr)",
                -2.0,
                1.14,
                "mean age of the stars, weighted by mass formed",
                r"$\log(\langle\mathrm{age}\rangle_M\,/\,\mathrm{Gyr})$",
                derived=True,
            ),
            Parameter(
                "av",
                "mag",
                0.0,
                3.26,
                "attenuation in the V band",
                r"$A_V$",
                derived=True,
            ),
        )
    }
)
"""Every parameter and derived quantity by name."""

_OF_SFH = {"tau": ("log_age", "log_tau"), "delayed_tau": ("log_age", "log_tau")}
"""Parameters of each form of star formation history."""

_OF_DUST = {"calzetti": ("dust2",)}
"""Parameters of each attenuation law."""


def free_parameters(settings: ModelConfig) -> tuple[str, ...]:
    """Return the names of the parameters that models with these settings have."""
    return (*_OF_SFH[settings.sfh], "logzsol", *_OF_DUST[settings.dust])


def resolve_priors(settings: ModelConfig, *, redshift: float) -> dict[str, tuple[float, float]]:
    """Return the range of each free parameter.

    Parameters
    ----------
    settings : ModelConfig
        Its ``priors`` replace the registry's ranges.
    redshift : float
        Of the galaxy, > 0; no model is older than the universe at that time.

    Returns
    -------
    ranges : dict
        (low, high) by parameter name, in the order of `free_parameters`.

    Raises
    ------
    ConfigError
        Naming every prior whose parameter is unknown, not free, or cannot have its values.
    DataError
        If the redshift is not positive, or the universe is younger than the youngest age.
    """
    names = free_parameters(settings)
    faults = [
        f"{name!r} is not a free parameter; these are {', '.join(names)}"
        for name in settings.priors
        if name not in names
    ]
    ranges = {}
    for name in names:
        given, parameter = settings.priors.get(name), PARAMETERS[name]
        low, high = (given.low, given.high) if given else (parameter.low, parameter.high)
        if low < parameter.limits[0] or high > parameter.limits[1]:
            faults.append(
                f"{name}: [{low}, {high}] goes beyond the models' range"
                f" [{parameter.limits[0]}, {parameter.limits[1]}] {parameter.unit}"
            )
        ranges[name] = (low, high)
    if faults:
        raise ConfigError("models.priors has faults:\n  - " + "\n  - ".join(faults))
    low, high = ranges["log_age"]
    oldest = float(np.log10(age_of_universe(settings, redshift=redshift)))
    if not low < oldest:
        raise DataError(
            f"at redshift {redshift} the universe is {10**oldest:.3g} Gyr old, younger than the"
            f" youngest models (log_age = {low}): lower models.priors.log_age.low below"
            f" {oldest:.3f} or check the redshift"
        )
    return {**ranges, "log_age": (low, min(high, oldest))}
