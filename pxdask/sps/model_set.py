"""Sets of models drawn from the priors, to be compared with data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pxdask.core.errors import ConfigError
from pxdask.core.schema import MODELS
from pxdask.kernels.bandpass import pivot_wave
from pxdask.sps.derived import derived_attrs
from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.parameters import parameter
from pxdask.sps.priors import draw, ends_of, resolve_priors
from pxdask.sps.sampling import unit_points
from pxdask.sps.simulator import RedshiftEngines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.models import ModelConfig
    from pxdask.sps.priors import FreePrior

    Floats = NDArray[np.float64]

_NEARBY = 1e-4
"""Redshift at which settings are checked."""

_SLICE = 2**20
"""Models made at a time: what lies between priors and fluxes takes memory of no more."""

FREE = "free"
"""``attrs["redshift"]`` of models whose redshifts differ."""


def make_model_set(
    ssp: xr.Dataset,
    filters: Sequence[Filter],
    *,
    redshift: float | None = None,
    settings: ModelConfig,
    seed: int,
    start: int = 0,
    stop: int | None = None,
) -> xr.Dataset:
    """Return models that fill the priors.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    filters : sequence of Filter
        Bands.
    redshift : float, optional
        > 0. Not used where the settings have a prior for it, needed where they have none.
    settings : ModelConfig
        Ingredients, priors, number of models and how they are drawn.
    seed : int
        Of the draws. They are the same points of the priors at any redshift.
    start, stop : int
        First model of the set that is wanted, and the one after the last; default: all. A
        model is the same, to the last bit, in whatever slice.

    Returns
    -------
    models : Dataset
        Schema ``models/1``: fluxes, free parameters and derived quantities, per solar mass
        formed. Attributes: ``redshift`` (or "free"), ``sfh``, ``settings``, ``seed``,
        ``parameters``, ``priors``, and the populations' origin, as JSON values.

    Raises
    ------
    ConfigError, DataError, SchemaError
        As `resolve_priors` and `PhotometryEngine`; ConfigError if the slice is not one.

    Notes
    -----
    Where redshift is free, fluxes are interpolated between the redshifts of `redshift_nodes`.
    """
    priors = resolve_priors(settings, redshift=redshift)
    if "redshift" in priors:
        engine: PhotometryEngine | RedshiftEngines = RedshiftEngines(
            ssp, filters, prior=priors["redshift"], settings=settings
        )
    else:
        # resolve_priors has made sure that there is one
        engine = PhotometryEngine(ssp, filters, redshift=redshift or 0.0, settings=settings)
    end = settings.n_models if stop is None else stop
    flux = np.empty((max(end - start, 0), len(filters)), np.float32)
    values: dict[str, Floats] = {}
    # at least one slice, of no models where none are wanted
    for first in range(start, max(end, start + 1), _SLICE):
        last = min(first + _SLICE, end)
        parameters = drawn_rows(priors, settings, seed=seed, start=first, stop=last)
        rows = slice(first - start, last - start)
        flux[rows] = engine.flux(parameters)
        for name, value in {**parameters, **engine.derived(parameters)}.items():
            values.setdefault(name, np.empty(len(flux)))[rows] = value
    return model_dataset(
        filters,
        flux,
        values,
        attrs={
            **set_attrs(ssp, settings, priors, seed=seed),
            "redshift": FREE if "redshift" in priors else redshift,
        },
    )


def check_models(ssp: xr.Dataset, settings: ModelConfig) -> None:
    """Raise what `make_model_set` would, before any galaxy or filter is known.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    settings : ModelConfig
        Ingredients, priors, derived quantities.

    Raises
    ------
    ConfigError
        Naming every prior that is not one of these models, or goes beyond the populations.
    DataError
        If the universe is younger than every model, even nearby or at the end of a prior of
        redshift.
    """
    priors = resolve_priors(settings, redshift=_NEARBY)
    nearest = ends_of(priors["redshift"])[0] if "redshift" in priors else _NEARBY
    engine = PhotometryEngine(ssp, (), redshift=nearest, settings=settings)
    faults = []
    for name in engine.parameters:
        (low, high), (least, most) = ends_of(priors[name]), engine.limits(name)
        if low < least or high > most:
            beyond = f"goes beyond the populations' [{least:.6g}, {most:.6g}]"
            faults.append(f"{name}: [{low:.6g}, {high:.6g}] {beyond} {parameter(name).unit}")
    if faults:
        raise ConfigError("models.priors has faults:\n  - " + "\n  - ".join(faults))


def drawn_rows(
    priors: Mapping[str, FreePrior],
    settings: ModelConfig,
    *,
    seed: int,
    start: int,
    stop: int | None,
) -> dict[str, Floats]:
    """Return the parameters of the models ``start`` to ``stop`` of a set."""
    end = settings.n_models if stop is None else stop
    if not 0 <= start <= end:
        raise ConfigError(f"models [{start}, {end}); wanted 0 <= start <= stop")
    points = unit_points(settings.sampling, n_dim=len(priors), seed=seed, start=start, stop=end)
    return draw(priors, points, settings=settings)


def model_dataset(
    filters: Sequence[Filter],
    flux: NDArray[np.float32],
    values: Mapping[str, Floats],
    *,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Return models as schema ``models/1``.

    Parameters
    ----------
    filters : sequence of Filter
        Bands.
    flux : (n_model, n_band) float32
        Per solar mass formed [uJy Msun-1].
    values : mapping
        Parameters and derived quantities by name, (n_model,) float64.
    attrs : mapping
        Attributes of the set.
    """
    return MODELS.validate(
        xr.Dataset(
            {"flux": (("model", "band"), flux, MODELS.attrs("flux")), **model_variables(values)},
            coords=band_coords(filters),
            attrs={**attrs, "schema": MODELS.tag},
        )
    )


def model_variables(values: Mapping[str, Floats]) -> dict[str, tuple[str, Floats, dict[str, str]]]:
    """Return one-dimensional variables of parameters and derived quantities."""
    return {name: ("model", value, derived_attrs(name)) for name, value in values.items()}


def band_coords(filters: Sequence[Filter]) -> dict[str, tuple[str, NDArray[Any], dict[str, str]]]:
    """Return the coordinates of bands."""
    names = np.array([band.name for band in filters], dtype=object)
    pivots = np.array([pivot_wave(band) for band in filters], dtype=np.float64)
    return {
        "band": ("band", names, MODELS.attrs("band")),
        "pivot_wave": ("band", pivots, MODELS.attrs("pivot_wave")),
    }


def set_attrs(
    ssp: xr.Dataset, settings: ModelConfig, priors: Mapping[str, FreePrior], *, seed: int
) -> dict[str, Any]:
    """Return what tells of a set how it was made, as JSON values."""
    return {
        "sfh": settings.sfh,
        "settings": settings.model_dump(mode="json"),
        "seed": int(seed),
        "parameters": list(priors),
        "priors": {name: prior.model_dump(mode="json") for name, prior in priors.items()},
        "ssp": {name: value for name, value in ssp.attrs.items() if name != "schema"},
    }
