"""The registry of parameters as text, for documentation and for people who ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from pxdask.core.models import (
    FixedPrior,
    GammaPrior,
    GaussianPrior,
    MassPrior,
    ModelConfig,
    Sfh,
    StudentTPrior,
    TablePrior,
)
from pxdask.kernels.dust import LAWS
from pxdask.sps.parameters import (
    PARAMETERS,
    default_prior,
    model_parameters,
    parameter,
    prior_configs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pxdask.core.models import PriorConfig
    from pxdask.sps.parameters import Parameter
    from pxdask.sps.priors import FreePrior

_RATE = {
    "tau": "`exp(-t / tau)`",
    "delayed_tau": "`t exp(-t / tau)`",
    "lognormal": "`exp(-(ln t - T0)^2 / (2 tau^2)) / t`",
    "gaussian": "`exp(-(t - T0)^2 / (2 tau^2))`",
    "double_power_law": "`1 / ((t / tau)^alpha + (t / tau)^-beta)`",
    "continuity": "constant in time bins",
    "dirichlet": "constant in time bins",
}
"""Star formation rate of each form."""

_LAW = {
    "calzetti": "Calzetti et al. (2000)",
    "charlot_fall": "Charlot & Fall (2000): power law, and birth clouds of slope -1",
    "kriek_conroy": "Kriek & Conroy (2013): Calzetti's law times a power law, with a bump",
}
"""What each attenuation law is."""

_OPTIONS = ("nebular", "dust_emission", "agn")

_HEAD = """\
# Parameters

Made from the registry, `pxdask.sps.parameters`, by `pxdask.sps.tables.parameter_table`; a test
compares. Logarithms are to base 10. How models are made of them: [models.md](models.md).

A prior in the settings replaces the default; a bare number fixes a parameter:

    models:
      priors:
        log_tau: {low: -0.5, high: 1.0}
        logzsol: {kind: gaussian, mean: -0.3, sigma: 0.2}
        gas_logu: -2.5

Forms of priors: `uniform` (default), `gaussian`, `student_t`, `gamma`, `table`, `joint_with_mass`.
"""

_LIMITS = """\
Priors may not go beyond the limits; where there are none here, the SSP product has them. No model
is older than the universe at its redshift: the prior of `log_age` ends there.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the registry; what is code, such as names, is in backticks.

    Attributes
    ----------
    title, about : str
        What the table is of, and what is to be said of all of it; the latter may be empty.
    header : tuple of str
        Names of columns.
    rows : tuple of tuple of str
        Cells.
    """

    title: str
    about: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def parameter_table() -> str:
    """Return the registry as a Markdown page: parameters, forms and derived quantities."""
    parts = [_HEAD]
    for one in parameter_sections():
        parts += [f"## {one.title}\n", *([one.about] * bool(one.about))]
        parts.append(_table(one.header, one.rows))
    return "\n".join(parts)


def parameter_sections() -> tuple[Section, ...]:
    """Return the registry as tables: parameters, forms and derived quantities."""
    names = _all_parameters()
    rows = [
        (f"`{shown}`", entry.unit, _default(name), _limits(entry), entry.meaning)
        for shown, name in names.items()
        for entry in [parameter(name)]
    ]
    derived = [
        (name, entry.unit, entry.meaning) for name, entry in PARAMETERS.items() if entry.derived
    ]
    recent = parameter("log_sfr_10myr")
    derived.append(("log_sfr_<n>myr", recent.unit, recent.meaning.replace("10", "n")))
    return (
        Section(
            "Parameters that models are drawn from",
            _LIMITS,
            ("name", "unit", "default", "limits", "meaning"),
            tuple(rows),
        ),
        Section(
            "Forms of the star formation history, `models.sfh`",
            "t is the time since the start of star formation.\n",
            ("form", "rate", "parameters"),
            tuple(_sfh_row(form) for form in get_args(Sfh)),
        ),
        Section(
            "Attenuation laws, `models.dust`",
            "",
            ("law", "what it is", "parameters"),
            tuple(_dust_row(law) for law in LAWS),
        ),
        Section(
            "Ingredients that settings switch on",
            "",
            ("setting", "parameters"),
            tuple(_option_row(option) for option in _OPTIONS),
        ),
        Section(
            "Derived quantities, `models.derived`",
            "`log_mass` and `log_sfr` are always reported; n is a number of Myr.\n",
            ("name", "unit", "meaning"),
            tuple((f"`{name}`", *rest) for name, *rest in derived),
        ),
    )


def describe_models(settings: ModelConfig) -> str:
    """Return the parameters of models with these settings as a Markdown table.

    Parameters
    ----------
    settings : ModelConfig
        Ingredients and priors.

    Returns
    -------
    text : str
        One row a parameter: name, unit, prior or value or what it follows, meaning.

    Raises
    ------
    ConfigError
        If a prior is of a parameter that does not exist.
    """
    for name in settings.priors:
        parameter(name)
    priors = prior_configs(settings)
    rows = []
    for name in model_parameters(settings):
        entry = parameter(name)
        prior = describe_prior(priors[name], entry) if name in priors else f"is {entry.tied}"
        rows.append((name, entry.unit, prior, entry.meaning))
    return _table(("name", "unit", "prior", "meaning"), rows)


def describe_prior(prior: PriorConfig, entry: Parameter) -> str:
    """Return a prior in words; its ends are the registry's where it has none."""
    if isinstance(prior, FixedPrior):
        return f"{prior.value:g}"
    low = entry.low if prior.low is None else prior.low
    high = entry.high if prior.high is None else prior.high
    return f"{_form(prior)}, {low:g} to {high:g}"


def _form(prior: FreePrior) -> str:
    """Return the form of a prior in words, without its ends."""
    match prior:
        case GaussianPrior():
            return f"Gaussian at {prior.mean:g}, sigma {prior.sigma:g}"
        case StudentTPrior():
            return f"Student's t at {prior.mean:g}, width {prior.scale:g}, dof {prior.dof:g}"
        case GammaPrior():
            return f"gamma from {prior.start:g}, shape {prior.shape:g}, scale {prior.scale:g}"
        case TablePrior():
            return f"table of {len(prior.values)} values"
        case MassPrior():
            return f"with mass, {prior.mean[0]:g} to {prior.mean[-1]:g}"
        case _:
            return "uniform"


def _settings(**given: object) -> ModelConfig:
    """Return settings from values of open type."""
    return ModelConfig.model_validate(given)


def _all_parameters() -> dict[str, str]:
    """Return every parameter: how it is shown, and the name of one of its kind."""
    found = {name: name for name, entry in PARAMETERS.items() if not entry.derived}
    for form in ("continuity", "dirichlet"):
        for name in model_parameters(_settings(sfh=form)):
            if name.endswith("_1"):
                found[_shown(name)] = name
    return found


def _shown(name: str) -> str:
    """Return the name of a parameter, a letter in the place of a time bin's number."""
    stem, _, number = name.rpartition("_")
    return f"{stem}_<i>" if number.isdecimal() and name not in PARAMETERS else name


def _default(name: str) -> str:
    """Return the default of a parameter in words."""
    entry = parameter(name)
    if name.startswith("sfr_stick_"):
        return "all sticks: a flat Dirichlet of the SFRs"
    prior = default_prior(name, ModelConfig())
    return f"is {entry.tied}" if prior is None else describe_prior(prior, entry)


def _limits(entry: Parameter) -> str:
    """Return the limits of a parameter; empty where it has none of its own."""
    low, high = entry.limits
    return f"{low:g} to {high:g}" if np.isfinite(low) and np.isfinite(high) else ""


def _own(settings: ModelConfig, without: ModelConfig) -> str:
    """Return the parameters that one of two settings has and the other lacks."""
    others = model_parameters(without)
    names = [_shown(name) for name in model_parameters(settings) if name not in others]
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


def _sfh_row(form: str) -> tuple[str, ...]:
    """Return the row of one form of star formation history."""
    other = "tau" if form == "continuity" else "continuity"
    return f"`{form}`", _RATE[form], _own(_settings(sfh=form), _settings(sfh=other))


def _dust_row(law: str) -> tuple[str, ...]:
    """Return the row of one attenuation law."""
    names = model_parameters(_settings(dust=law))
    own = ", ".join(f"`{name}`" for name in names if name.startswith("dust"))
    return f"`{law}`", _LAW[law], own


def _option_row(option: str) -> tuple[str, ...]:
    """Return the row of one ingredient."""
    return f"`{option}`", _own(_settings(**{option: True}), _settings(**{option: False}))


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    header = tuple(header)
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
