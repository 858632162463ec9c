"""What follows from the parameters of models: masses, rates, ages, energies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import AV_PER_OPTICAL_DEPTH
from pxdask.core.errors import ConfigError
from pxdask.kernels.age_means import age_means
from pxdask.kernels.assembly import summarise
from pxdask.sps.parameters import parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig
    from pxdask.kernels.ingredients import CompositeModels
    from pxdask.kernels.sfh import AgeQuadrature
    from pxdask.sps.populations import Populations

    Floats = NDArray[np.float64]

SFR_SPAN = 0.1
"""Interval over which ``sfr`` is a mean [Gyr]."""

_YR_PER_GYR = 1e9
_MYR_PER_GYR = 1e3

_PER_MASS = {
    "surviving": ("log_mass", ""),
    "formed": ("log_mass_formed", ""),
    "sfr": ("log_sfr", "1 / yr"),
    "dust_mass": ("log_dustmass", ""),
    "dust_luminosity": ("log_dust_luminosity", "Lsun / Msun"),
}
"""Variables per solar mass formed: what they are reported as, and their unit."""

_RECENT = re.compile(r"^(?:log_)?sfr_(\d+)myr$")
_LOOKBACK = re.compile(r"^lookback_(\d+)$")


def derived_names(settings: ModelConfig) -> tuple[str, ...]:
    """Return the names of the variables that a model set has besides its parameters.

    Raises
    ------
    ConfigError
        If ``settings.derived`` names something that these models do not have.
    """
    variables = {reported: name for name, (reported, _) in _PER_MASS.items()}
    names = ["surviving", "sfr"]
    for name in settings.derived:
        entry = parameter(name)
        if not entry.derived:
            raise ConfigError(f"models.derived: {name!r} is a parameter, which is always reported")
        lacks = {
            "log_dustmass": "" if settings.dust_emission else "dust_emission",
            "log_fagn_bol": "" if settings.agn else "agn",
        }.get(name)
        if lacks:
            raise ConfigError(f"models.derived: {name!r} needs models.{lacks}: true")
        own = variables.get(name, name.removeprefix("log_") if _RECENT.match(name) else name)
        if own not in names:
            names.append(own)
    return tuple(names)


def derived_attrs(name: str) -> dict[str, str]:
    """Return unit and meaning of a derived variable, and as what fits report it."""
    if name in _PER_MASS:
        reported, unit = _PER_MASS[name]
    elif _RECENT.match(name):
        reported, unit = f"log_{name}", "1 / yr"
    else:
        return {"units": parameter(name).unit, "long_name": parameter(name).meaning}
    meaning = f"{parameter(reported).meaning}, per mass formed"
    return {"units": unit, "long_name": meaning, "reported_as": reported}


def derive(
    names: Sequence[str],
    kind: str,
    models: CompositeModels,
    *,
    stars: Populations,
    quadrature: AgeQuadrature,
    energy: Floats | None,
) -> dict[str, Floats]:
    """Return derived variables, per solar mass formed, (n_model,) each.

    Parameters
    ----------
    names : sequence of str
        From `derived_names`.
    kind : str
        Key of `pxdask.kernels.sfh.SFH_KINDS`.
    models : CompositeModels
        Parameters.
    stars : Populations
        Surviving masses.
    quadrature : AgeQuadrature
        Of the SSP ages.
    energy : (n_model, 3) float64 or None
        Energies of `composite_fluxes`.
    """
    recent = {
        name: float(match[1]) / _MYR_PER_GYR for name in names if (match := _RECENT.match(name))
    }
    spans = {"sfr": SFR_SPAN, **recent}
    fractions = {name: int(match[1]) / 100 for name in names if (match := _LOOKBACK.match(name))}
    summary = summarise(
        kind,
        models.age,
        models.shape,
        quadrature=quadrature,
        spans=tuple(spans.values()),
        fractions=tuple(fractions.values()),
    )
    found = {
        "surviving": age_means(
            kind,
            models.age,
            models.shape,
            quadrature=quadrature,
            table=stars.surviving,
            position=models.metallicity,
        ),
        "formed": np.ones(models.age.size),
        "log_mw_age": np.log10(summary.mean_age),
        "av": AV_PER_OPTICAL_DEPTH * models.depth,
        "log_fagn_bol": np.log10(np.maximum(models.agn, 1e-30) / (1 + models.agn)),
    }
    for i, (name, span) in enumerate(spans.items()):
        found[name] = summary.recent[:, i] / (span * _YR_PER_GYR)
    for i, name in enumerate(fractions):
        found[name] = summary.lookback[:, i]
    if energy is not None:
        found["dust_luminosity"] = energy[:, 0]
        found["dust_mass"] = energy[:, 0] / np.where(energy[:, 1] > 0, energy[:, 1], np.inf)
    return {name: found[name] for name in names}
