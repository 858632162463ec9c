"""Names, units and ranges of model parameters: the one registry, and what is free in a run."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.models import FixedPrior, StudentTPrior, TablePrior, UniformPrior

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pxdask.core.models import ModelConfig, PriorConfig


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
    fixed : float or None
        Value where no prior is given; None: free.
    tied : str
        What the value follows where no prior is given, in words; empty: nothing.
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
    fixed: float | None = None
    tied: str = ""
    derived: bool = False


_DRAWN = (
    Parameter(
        "redshift",
        "",
        0.001,
        1.0,
        "redshift; the catalogue's unless it has a prior",
        r"$z$",
        limits=(1e-5, 20.0),
        tied="the catalogue's redshift",
    ),
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
        "duration of star formation: tau of the history's equation",
        r"$\log(\tau\,/\,\mathrm{Gyr})$",
        limits=(-1.5, 4.0),
    ),
    Parameter(
        "log_t0",
        "dex(Gyr)",
        -1.0,
        1.14,
        "T0 of the history's equation: peak time (gaussian), or mean of ln(t / Gyr) (lognormal)",
        r"$\log(T_0\,/\,\mathrm{Gyr})$",
        limits=(-4.0, 1.5),
    ),
    Parameter(
        "log_alpha",
        "dex",
        -2.0,
        2.0,
        "falling slope of the double power law",
        r"$\log\,\alpha$",
        limits=(-3.0, 3.0),
    ),
    Parameter(
        "log_beta",
        "dex",
        -2.0,
        2.0,
        "rising slope of the double power law",
        r"$\log\,\beta$",
        limits=(-3.0, 3.0),
    ),
    Parameter(
        "logzsol",
        "dex",
        -2.0,
        0.2,
        "metallicity of stars, and of gas unless gas_logz has a prior, in solar units",
        r"$\log(Z\,/\,Z_\odot)$",
    ),
    Parameter(
        "dust1",
        "",
        0.0,
        4.0,
        "optical depth at 5500 Angstrom of birth clouds, for stars up to 10 Myr",
        r"$\hat\tau_1$",
        limits=(0.0, 50.0),
    ),
    Parameter(
        "dust2",
        "",
        0.0,
        3.0,
        "optical depth of diffuse dust in the V band",
        r"$\hat\tau_2$",
        limits=(0.0, 50.0),
    ),
    Parameter(
        "dust_index",
        "",
        -2.2,
        0.4,
        "power-law slope of the diffuse dust's attenuation; of its ratio to Calzetti's law"
        " in kriek_conroy",
        r"$n$",
        limits=(-4.0, 2.0),
    ),
    Parameter(
        "dust_bump",
        "",
        0.0,
        6.0,
        "strength of the attenuation's bump at 2175 Angstrom (3 in the Milky Way)",
        r"$E_b$",
        limits=(-10.0, 20.0),
        tied="0.85 - 1.9 dust_index",
    ),
    Parameter(
        "gas_logu",
        "dex",
        -4.0,
        -1.0,
        "ionisation parameter of the gas",
        r"$\log\,U$",
        fixed=-3.0,
    ),
    Parameter(
        "gas_logz",
        "dex",
        -2.0,
        0.5,
        "metallicity of the gas in solar units",
        r"$\log(Z_\mathrm{gas}\,/\,Z_\odot)$",
        tied="logzsol",
    ),
    Parameter(
        "log_umin",
        "dex",
        -1.0,
        1.39,
        "least starlight on the dust, in units of the local one",
        r"$\log\,U_\mathrm{min}$",
    ),
    Parameter(
        "log_gamma",
        "dex",
        -4.0,
        0.0,
        "fraction of the dust that is lit by more than the least starlight",
        r"$\log\,\gamma_e$",
        limits=(-10.0, 0.0),
    ),
    Parameter(
        "log_qpah",
        "dex(percent)",
        -0.32,
        0.66,
        "mass fraction of the dust in PAHs",
        r"$\log(Q_\mathrm{PAH}\,/\,\%)$",
    ),
    Parameter(
        "log_fagn",
        "dex",
        -5.0,
        0.48,
        "luminosity of the AGN torus in units of the stars' bolometric one",
        r"$\log\,f_\mathrm{AGN}$",
        limits=(-20.0, 3.0),
    ),
    Parameter(
        "log_tauagn",
        "dex",
        0.7,
        2.17,
        "optical depth of a cloud of the AGN torus",
        r"$\log\,\tau_\mathrm{AGN}$",
    ),
)
_LOOKBACK = tuple(
    Parameter(
        f"lookback_{percent}",
        "Gyr",
        0.0,
        14.0,
        f"time since {percent} % of the stars had formed, by mass formed",
        rf"$t_{{{percent}}}\,/\,\mathrm{{Gyr}}$",
        derived=True,
    )
    for percent in (20, 30, 50, 70, 80, 90)
)
_DERIVED = (
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
        "log_mass_formed",
        "dex(Msun)",
        2.0,
        13.0,
        "mass of all stars ever formed",
        r"$\log(M_\mathrm{formed}\,/\,\mathrm{M}_\odot)$",
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
    *_LOOKBACK,
    Parameter(
        "av",
        "mag",
        0.0,
        3.26,
        "attenuation of the diffuse dust in the V band",
        r"$A_V$",
        derived=True,
    ),
    Parameter(
        "log_dustmass",
        "dex(Msun)",
        -2.0,
        10.0,
        "mass of the dust that emits",
        r"$\log(M_\mathrm{dust}\,/\,\mathrm{M}_\odot)$",
        derived=True,
    ),
    Parameter(
        "log_dust_luminosity",
        "dex(Lsun)",
        2.0,
        14.0,
        "luminosity that dust absorbs and emits",
        r"$\log(L_\mathrm{dust}\,/\,\mathrm{L}_\odot)$",
        derived=True,
    ),
    Parameter(
        "log_fagn_bol",
        "dex",
        -5.0,
        0.0,
        "luminosity of the AGN torus in units of stars and torus together",
        r"$\log\,f_\mathrm{AGN,bol}$",
        derived=True,
    ),
)

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {parameter.name: parameter for parameter in (*_DRAWN, *_DERIVED)}
)
"""Every parameter and derived quantity of fixed name; see `parameter` for the others."""

_RATIO = Parameter(
    "logsfr_ratio_",
    "dex",
    -5.0,
    5.0,
    "SFR of a time bin in units of the next older one's",
    r"$\log(\mathrm{SFR}_{%d}/\mathrm{SFR}_{%d})$",
    limits=(-20.0, 20.0),
)
_STICK = Parameter(
    "sfr_stick_",
    "",
    0.0,
    1.0,
    "share of the SFR left over by younger bins that is older than this bin's",
    r"$z_{%d}$",
    limits=(0.0, 1.0),
)
_RECENT = re.compile(r"^log_sfr_(\d+)myr$")
_NUMBERED = re.compile(r"^(logsfr_ratio_|sfr_stick_)([1-9]\d*)$")

_OF_SFH = {
    "tau": ("log_age", "log_tau"),
    "delayed_tau": ("log_age", "log_tau"),
    "lognormal": ("log_age", "log_tau", "log_t0"),
    "gaussian": ("log_age", "log_tau", "log_t0"),
    "double_power_law": ("log_age", "log_tau", "log_alpha", "log_beta"),
}
"""Parameters of each form of star formation history that has an equation."""

_OF_DUST = {
    "calzetti": ("dust2",),
    "charlot_fall": ("dust1", "dust2", "dust_index"),
    "kriek_conroy": ("dust2", "dust_index", "dust_bump"),
}
"""Parameters of each attenuation law."""


def parameter(name: str) -> Parameter:
    """Return the registry's entry, also of names with a number in them.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name in PARAMETERS:
        return PARAMETERS[name]
    if match := _RECENT.match(name):
        meaning = f"star formation rate, mean of the last {match[1]} Myr"
        label = (
            rf"$\log(\mathrm{{SFR}}_{{{match[1]}}}\,/\,\mathrm{{M}}_\odot\,\mathrm{{yr}}^{{-1}})$"
        )
        return replace(PARAMETERS["log_sfr"], name=name, meaning=meaning, label=label)
    if match := _NUMBERED.match(name):
        family, number = (_RATIO if match[1] == _RATIO.name else _STICK), int(match[2])
        label = family.label % ((number, number + 1) if family is _RATIO else number)
        return replace(family, name=name, label=label)
    raise ConfigError(
        f"{name!r} is not a parameter; there are {', '.join(PARAMETERS)}, log_sfr_<n>myr,"
        f" {_RATIO.name}<n>, {_STICK.name}<n>"
    )


def model_parameters(settings: ModelConfig) -> tuple[str, ...]:
    """Return the names of all parameters that models with these settings have."""
    names: list[str] = []
    if settings.sfh in _OF_SFH:
        names += _OF_SFH[settings.sfh]
    else:
        family = _RATIO if settings.sfh == "continuity" else _STICK
        names += [f"{family.name}{i}" for i in range(1, settings.sfh_bins)]
    names += ["logzsol", *_OF_DUST[settings.dust]]
    if settings.nebular:
        names += ["gas_logu", "gas_logz"]
    if settings.dust_emission:
        names += ["log_umin", "log_gamma", "log_qpah"]
    if settings.agn:
        names += ["log_fagn", "log_tauagn"]
    return ("redshift", *names)


def default_prior(name: str, settings: ModelConfig) -> PriorConfig | None:
    """Return the prior of a parameter that the settings do not mention; None: it is tied."""
    entry = parameter(name)
    if entry.tied:
        return None
    if entry.fixed is not None:
        return FixedPrior(value=entry.fixed)
    if name.startswith(_RATIO.name):
        # Leja et al. (2019, ApJ 876, 3), section 2.2.4: the continuity prior
        return StudentTPrior(
            kind="student_t", mean=0.0, scale=0.3, dof=2.0, low=entry.low, high=entry.high
        )
    if name.startswith(_STICK.name):
        # a flat Dirichlet: sticks are Beta(n - i, 1), Leja et al. (2017, ApJ 837, 170)
        power = settings.sfh_bins - int(name.removeprefix(_STICK.name)) - 1
        values = np.linspace(0.0, 1.0, 129)
        return TablePrior(
            kind="table", values=tuple(values), density=tuple(values**power), low=0.0, high=1.0
        )
    return UniformPrior(low=entry.low, high=entry.high)


def prior_configs(settings: ModelConfig) -> dict[str, PriorConfig]:
    """Return the prior of every parameter that is not tied, as configured or by default."""
    found = {}
    for name in model_parameters(settings):
        given = settings.priors.get(name, default_prior(name, settings))
        if given is not None:
            found[name] = given
    return found


def fixed_parameters(settings: ModelConfig) -> dict[str, float]:
    """Return the values of the parameters that are the same in all models."""
    return {
        name: prior.value
        for name, prior in prior_configs(settings).items()
        if isinstance(prior, FixedPrior)
    }


def free_parameters(settings: ModelConfig) -> tuple[str, ...]:
    """Return the names of the parameters in which models with these settings differ."""
    return tuple(
        name for name, prior in prior_configs(settings).items() if not isinstance(prior, FixedPrior)
    )
