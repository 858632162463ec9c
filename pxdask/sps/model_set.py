"""Sets of models drawn from the priors, to be compared with data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.stats import qmc

from pxdask.core.schema import MODELS
from pxdask.kernels.bandpass import pivot_wave
from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.parameters import PARAMETERS, resolve_priors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.config import ModelConfig

_UNITS = {
    "surviving": ("", "mass of living stars and remnants per mass formed"),
    "sfr": ("1 / yr", "star formation rate per mass formed, mean of the last 100 Myr"),
}
"""Units and meanings of derived quantities that are per mass formed."""


def make_model_set(
    ssp: xr.Dataset,
    filters: Sequence[Filter],
    *,
    redshift: float,
    settings: ModelConfig,
    rng: np.random.Generator,
) -> xr.Dataset:
    """Return models that fill the priors evenly.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/1``.
    filters : sequence of Filter
        Bands.
    redshift : float
        > 0.
    settings : ModelConfig
        Forms, priors, number of models.
    rng : numpy.random.Generator
        Scrambles the Sobol sequence.

    Returns
    -------
    models : Dataset
        Schema ``models/1``: fluxes, free parameters and derived quantities, per solar mass
        formed; priors and the populations' origin in attrs.

    Raises
    ------
    ConfigError, DataError, SchemaError
        As `resolve_priors` and `PhotometryEngine`.
    """
    priors = resolve_priors(settings, redshift=redshift)
    engine = PhotometryEngine(ssp, filters, redshift=redshift, settings=settings)
    parameters = _draw(priors, n_models=settings.n_models, rng=rng)
    values = {**parameters, **engine.derived(parameters)}
    ds = xr.Dataset(
        {
            "flux": (("model", "band"), engine.flux(parameters), MODELS.attrs("flux")),
            **{name: ("model", value, _attrs(name)) for name, value in values.items()},
        },
        coords={
            "band": ("band", np.array(engine.bands, dtype=object), MODELS.attrs("band")),
            "pivot_wave": (
                "band",
                np.array([pivot_wave(band) for band in filters]),
                MODELS.attrs("pivot_wave"),
            ),
        },
        attrs={
            "schema": MODELS.tag,
            "redshift": float(redshift),
            "sfh": settings.sfh,
            "priors": {name: list(ends) for name, ends in priors.items()},
            "parameters": list(priors),
            "ssp": {name: value for name, value in ssp.attrs.items() if name != "schema"},
        },
    )
    return MODELS.validate(ds)


def _draw(
    priors: dict[str, tuple[float, float]], *, n_models: int, rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Return uniform draws of each parameter, (n_models,), jointly spread (Sobol 1967).

    The first ``n_models`` points of the sequence; balanced when that is a power of two.
    """
    sequence = qmc.Sobol(len(priors), scramble=True, rng=rng)
    points = sequence.random_base2(int(np.ceil(np.log2(n_models))))[:n_models]
    return {
        name: low + (high - low) * points[:, i]
        for i, (name, (low, high)) in enumerate(priors.items())
    }


def _attrs(name: str) -> dict[str, str]:
    """Return the attributes of a parameter's or derived quantity's variable."""
    if name in _UNITS:
        unit, meaning = _UNITS[name]
    else:
        unit, meaning = PARAMETERS[name].unit, PARAMETERS[name].meaning
    return {"units": unit, "long_name": meaning}
