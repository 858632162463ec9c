"""Priors with definite ends: what models are drawn from, and what their densities are."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from scipy.interpolate import CubicSpline
from scipy.special import log_ndtr

from pxdask.core.cosmology import age_of_universe
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.models import (
    FixedPrior,
    GammaPrior,
    GaussianPrior,
    MassPrior,
    ModelConfig,
    StudentTPrior,
    TablePrior,
    UniformPrior,
)
from pxdask.sps.parameters import model_parameters, parameter, prior_configs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from scipy.stats.distributions import rv_frozen

    Floats = NDArray[np.float64]

FreePrior = UniformPrior | GaussianPrior | StudentTPrior | GammaPrior | TablePrior | MassPrior
"""The prior of a parameter in which models differ."""

_N_AGE_NODE = 129
"""Redshifts between which the age of the universe is a cubic spline: good to 1e-8."""


def resolve_priors(settings: ModelConfig, *, redshift: float | None = None) -> dict[str, FreePrior]:
    """Return the prior of every free parameter, with both of its ends.

    Parameters
    ----------
    settings : ModelConfig
        Its ``priors`` replace the registry's.
    redshift : float, optional
        Of the galaxy, > 0. Not used where redshift has a prior, needed where it has none.

    Returns
    -------
    priors : dict
        By name, in the order of `free_parameters`. ``log_age`` ends at the age of the
        universe at the redshift; where that is free, at its low end.

    Raises
    ------
    ConfigError
        Naming every prior whose parameter is unknown, whose values go beyond what models can
        have, or that leaves no value.
    DataError
        If the redshift is not positive, or the universe is younger than every model.

    Notes
    -----
    What a range owes to the SSP product (metallicities, gas, dust, torus) is checked by the
    engine that computes the models.
    """
    priors: dict[str, FreePrior] = {}
    known = model_parameters(settings)
    faults = [
        f"{name!r} is not a parameter of these models; they have {', '.join(known)}"
        for name in settings.priors
        if name not in known
    ]
    for name, prior in prior_configs(settings).items():
        if isinstance(prior, FixedPrior):
            faults += _value_faults(name, prior.value)
        else:
            priors[name] = _with_ends(name, prior)
            faults += _range_faults(name, priors[name])
    if not priors:
        faults.append("no parameter is free: give at least one a range")
    if faults:
        raise ConfigError("models.priors has faults:\n  - " + "\n  - ".join(faults))
    return _cut_at_universe(priors, settings, redshift)


def draw(
    priors: Mapping[str, FreePrior], unit_cube: Floats, *, settings: ModelConfig | None = None
) -> dict[str, Floats]:
    """Return parameters whose densities are the priors.

    Parameters
    ----------
    priors : mapping
        From `resolve_priors`.
    unit_cube : (n_model, n_parameter) float64
        Numbers in [0, 1), a column for each prior in order; a parameter is the inverse of
        its cumulative distribution at the number.
    settings : ModelConfig, optional
        Gives the cosmology; needed where redshift is free: no model is then older than the
        universe at its own redshift.

    Returns
    -------
    parameters : dict of (n_model,) float64
        Parameters whose prior depends on mass are drawn evenly; see `joint_ln_density`.

    Raises
    ------
    ConfigError
        If the columns are not as many as the priors.
    """
    if unit_cube.ndim != 2 or unit_cube.shape[1] != len(priors):
        raise ConfigError(
            f"random numbers have shape {unit_cube.shape}; wanted (n_model, {len(priors)}), a"
            f" column for each of {', '.join(priors)}"
        )
    found: dict[str, Floats] = {}
    for (name, prior), unit in zip(priors.items(), unit_cube.T, strict=True):
        high: float | Floats = ends_of(prior)[1]
        if name == "log_age" and "redshift" in found:
            if settings is None:
                raise ConfigError("redshift is free: ages need settings, for the cosmology")
            oldest = _log_ages(settings, ends_of(priors["redshift"]), found["redshift"])
            high = np.minimum(high, oldest)
        found[name] = _quantile(prior, unit, high)
    return found


def ln_density(prior: FreePrior, value: Floats) -> Floats:
    """Return the natural log of the density that models are drawn with.

    Parameters
    ----------
    prior : FreePrior
        From `resolve_priors`.
    value : (n_model,) float64
        In the parameter's unit.

    Returns
    -------
    ln_density : (n_model,) float64
        Its exponential integrates to one between the ends; -inf beyond them.
    """
    low, high = ends_of(prior)
    if isinstance(prior, TablePrior):
        nodes, density, cumulative = _table(prior)
        with np.errstate(divide="ignore"):
            inside = np.log(np.interp(value, nodes, density)) - np.log(cumulative[-1])
    elif isinstance(prior, UniformPrior | MassPrior):
        inside = np.full(np.shape(value), -np.log(high - low))
    else:
        inside = _distribution(prior).logpdf(value) - np.log(_probability(prior, high))
    return np.where((value >= low) & (value <= high), inside, -np.inf)


def joint_ln_density(prior: MassPrior, value: Floats, log_mass: Floats) -> Floats:
    """Return the natural log of the density of a parameter at a given stellar mass.

    Parameters
    ----------
    prior : MassPrior
        From `resolve_priors`.
    value : (n_model,) float64
        In the parameter's unit.
    log_mass : (n_model,) float64
        log10 of stellar mass [dex(Msun)]; NaN gives NaN.

    Returns
    -------
    ln_density : (n_model,) float64
        A Gaussian, cut at the ends; its exponential integrates to one between them at every
        mass. Mean and width are linear in ``log_mass`` between the given masses, constant
        beyond; -inf for values beyond the ends.
    """
    low, high = ends_of(prior)
    mean = np.interp(log_mass, prior.log_mass, prior.mean)
    sigma = np.interp(log_mass, prior.log_mass, prior.sigma)
    first, last = (low - mean) / sigma, (high - mean) / sigma
    # the same area seen from the side of the nearer tail, where logarithms keep their digits
    upper = first > 0
    ln_long = log_ndtr(np.where(upper, -first, last))
    ln_short = log_ndtr(np.where(upper, -last, first))
    ln_area = ln_long + np.log1p(-np.exp(ln_short - ln_long))
    inside = -0.5 * ((value - mean) / sigma) ** 2 - np.log(sigma * np.sqrt(2 * np.pi)) - ln_area
    return np.where((value >= low) & (value <= high), inside, -np.inf)


def ends_of(prior: FreePrior) -> tuple[float, float]:
    """Return the ends of a prior.

    Raises
    ------
    ConfigError
        If it has none: it is not of `resolve_priors`.
    """
    if prior.low is None or prior.high is None:
        raise ConfigError(f"{prior!r} has no ends; take it from resolve_priors")
    return prior.low, prior.high


def _with_ends(name: str, prior: FreePrior) -> FreePrior:
    """Return a prior with the registry's ends where it has none, and a table with its own."""
    entry = parameter(name)
    low = entry.low if prior.low is None else prior.low
    high = entry.high if prior.high is None else prior.high
    if isinstance(prior, TablePrior):
        low, high = max(low, prior.values[0]), min(high, prior.values[-1])
    return prior.model_copy(update={"low": low, "high": high})


def _value_faults(name: str, value: float) -> list[str]:
    """Return what is wrong with a fixed value."""
    entry = parameter(name)
    if name == "redshift":
        return [f"redshift: {value} is one value for all galaxies; write it in the catalogue"]
    if entry.limits[0] <= value <= entry.limits[1]:
        return []
    return [f"{name}: {value} is not within [{entry.limits[0]}, {entry.limits[1]}] {entry.unit}"]


def _range_faults(name: str, prior: FreePrior) -> list[str]:
    """Return what is wrong with a prior."""
    entry, (low, high) = parameter(name), ends_of(prior)
    least, most = entry.limits
    if not low < high:
        return [f"{name}: no value is left between {low} and {high} {entry.unit}"]
    if low < least or high > most:
        beyond = f"goes beyond the models' range [{least}, {most}] {entry.unit}"
        return [f"{name}: [{low}, {high}] {beyond}"]
    if not np.all(_probability(prior, high) > 0):
        return [f"{name}: the prior is zero everywhere in [{low}, {high}] {entry.unit}"]
    return []


def _cut_at_universe(
    priors: dict[str, FreePrior], settings: ModelConfig, redshift: float | None
) -> dict[str, FreePrior]:
    """Return the priors with none of the ages above the age of the universe."""
    free = priors.get("redshift")
    if free is None and redshift is None:
        raise ConfigError("the models need a redshift: give one, or a prior for it")
    nearest, farthest = ends_of(free) if free else (float(redshift or 0), float(redshift or 0))
    oldest, youngest_limit = (
        float(np.log10(age_of_universe(settings, redshift=z))) for z in (nearest, farthest)
    )
    given = prior_configs(settings).get("log_age")
    if given is None:
        return priors
    low = given.value if isinstance(given, FixedPrior) else ends_of(priors["log_age"])[0]
    if not low < youngest_limit:
        raise DataError(
            f"at redshift {farthest} the universe is {10**youngest_limit:.3g} Gyr old, younger"
            f" than the youngest models (log_age = {low}): lower models.priors.log_age.low below"
            f" {youngest_limit:.3f} or check the redshift"
        )
    if "log_age" not in priors:
        return priors
    prior = priors["log_age"]
    cut = prior.model_copy(update={"high": min(ends_of(prior)[1], oldest)})
    if not np.all(_probability(cut, min(ends_of(cut)[1], youngest_limit)) > 0):
        raise DataError(
            f"at redshift {farthest} the prior of log_age is zero everywhere in"
            f" [{low}, {youngest_limit:.4g}], up to the age of the universe"
        )
    return {**priors, "log_age": cut}


def _log_ages(settings: ModelConfig, ends: tuple[float, float], redshift: Floats) -> Floats:
    """Return log10 of the age of the universe [Gyr] at redshifts between two ends."""
    chosen = ModelConfig(
        cosmology=settings.cosmology, hubble=settings.hubble, omega_m=settings.omega_m
    )
    spline = _age_spline(chosen.model_dump_json(), *ends)
    return np.asarray(spline(np.log1p(redshift)), dtype=np.float64)


@cache
def _age_spline(cosmology: str, low: float, high: float) -> CubicSpline:
    """Return log10 of the age of the universe [Gyr] as a function of ln(1 + z)."""
    settings = ModelConfig.model_validate_json(cosmology)
    nodes = np.linspace(np.log1p(low), np.log1p(high), _N_AGE_NODE)
    ages = [age_of_universe(settings, redshift=float(z)) for z in np.expm1(nodes)]
    return CubicSpline(nodes, np.log10(ages))


def _quantile(prior: FreePrior, unit: Floats, high: float | Floats) -> Floats:
    """Return the values below which lies a share ``unit`` of the prior up to ``high``."""
    low = ends_of(prior)[0]
    if isinstance(prior, UniformPrior | MassPrior):
        value = low + (high - low) * unit
    elif isinstance(prior, TablePrior):
        value = _table_quantile(prior, unit * _probability(prior, high))
    else:
        distribution = _distribution(prior)
        if low > distribution.median():  # shares of the upper tail keep their digits
            first, last = distribution.sf(low), distribution.sf(high)
            value = distribution.isf(first + unit * (last - first))
        else:
            first, last = distribution.cdf(low), distribution.cdf(high)
            value = distribution.ppf(first + unit * (last - first))
    return np.clip(value, low, high)


def _probability(prior: FreePrior, high: float | Floats) -> Floats:
    """Return the share of a prior, not scaled to its ends, from its low end up to ``high``."""
    low = ends_of(prior)[0]
    if isinstance(prior, UniformPrior | MassPrior):
        return np.asarray(high - low)
    if isinstance(prior, TablePrior):
        nodes, density, cumulative = _table(prior)
        k = np.clip(np.searchsorted(nodes, high, side="right") - 1, 0, nodes.size - 2)
        step = np.asarray(high) - nodes[k]
        slope = np.diff(density)[k] / np.diff(nodes)[k]
        return np.asarray(cumulative[k] + step * (density[k] + 0.5 * slope * step))
    distribution = _distribution(prior)
    if low > distribution.median():
        return np.asarray(distribution.sf(low) - distribution.sf(high))
    return np.asarray(distribution.cdf(high) - distribution.cdf(low))


def _distribution(prior: GaussianPrior | StudentTPrior | GammaPrior) -> rv_frozen:
    """Return the distribution before it is cut."""
    if isinstance(prior, GaussianPrior):
        return stats.norm(prior.mean, prior.sigma)
    if isinstance(prior, StudentTPrior):
        return stats.t(prior.dof, prior.mean, prior.scale)
    return stats.gamma(prior.shape, prior.start, prior.scale)


def _table(prior: TablePrior) -> tuple[Floats, Floats, Floats]:
    """Return nodes between the ends, density there, and the integral up to each."""
    low, high = ends_of(prior)
    values = np.array(prior.values)
    nodes = np.concatenate([[low], values[(values > low) & (values < high)], [high]])
    density = np.interp(nodes, values, prior.density)
    areas = 0.5 * (density[1:] + density[:-1]) * np.diff(nodes)
    return nodes, density, np.concatenate([[0.0], np.cumsum(areas)])


def _table_quantile(prior: TablePrior, area: Floats) -> Floats:
    """Return the values up to which a table has an area.

    Between nodes the area is quadratic; the root is written so that no digits cancel.
    """
    nodes, density, cumulative = _table(prior)
    k = np.clip(np.searchsorted(cumulative, area, side="right") - 1, 0, nodes.size - 2)
    rest = area - cumulative[k]
    slope = np.diff(density)[k] / np.diff(nodes)[k]
    root = density[k] + np.sqrt(np.maximum(density[k] ** 2 + 2 * slope * rest, 0.0))
    step = np.divide(2 * rest, root, out=np.zeros_like(rest), where=root > 0)
    return np.asarray(nodes[k] + np.clip(step, 0.0, np.diff(nodes)[k]))
