"""Sets of rest-frame spectra, and their photometry at any redshift."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from pxdask.core.errors import ConfigError
from pxdask.core.schema import SPECTRA
from pxdask.sps.columns import band_weights
from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.model_set import drawn_rows, model_dataset, model_variables, set_attrs
from pxdask.sps.priors import resolve_priors
from pxdask.sps.spectrum import BLOCK, SpectrumEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.models import ModelConfig

TODAY = 1e-5
"""Redshift whose universe limits ages where no other is given."""

_ROWS = 1024
"""Spectra whose photometry is made at a time."""


class Bins(NamedTuple):
    """Centres and edges of wavelength bins, rest frame, vacuum [Angstrom]."""

    wave: NDArray[np.float64]
    wave_edges: NDArray[np.float64]


def make_spectra_set(
    ssp: xr.Dataset,
    *,
    settings: ModelConfig,
    seed: int,
    redshift: float = TODAY,
    start: int = 0,
    stop: int | None = None,
) -> xr.Dataset:
    """Return rest-frame spectra of models that fill the priors.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``; its wavelength bins are those of the spectra.
    settings, seed, start, stop
        As of `make_model_set`; redshift is not free.
    redshift : float
        No model is older than the universe then; default: now.

    Returns
    -------
    spectra : Dataset
        Schema ``spectra/1``, not absorbed by the intergalactic medium; attributes as of
        `make_model_set`.

    Raises
    ------
    ConfigError, DataError, SchemaError
        As `make_model_set`.
    """
    if "redshift" in settings.priors:
        raise ConfigError("models.priors has a redshift: spectra in the rest frame have none")
    priors = resolve_priors(settings, redshift=redshift)
    end = settings.n_models if stop is None else stop
    # blocks begin at multiples of their length, and are whole: the last bits of a spectrum are
    # those of its block
    first, last = BLOCK * (start // BLOCK), BLOCK * -(-end // BLOCK)
    drawn = drawn_rows(priors, settings, seed=seed, start=first, stop=max(first, last))
    engine = SpectrumEngine(ssp, settings=settings, redshift=redshift)
    n_model = next(iter(drawn.values())).size
    spectra = np.empty((n_model, engine.wave.size), dtype=np.float32)
    for begin in range(0, n_model, BLOCK):
        rows = slice(begin, begin + BLOCK)
        spectra[rows] = engine.spectrum({name: value[rows] for name, value in drawn.items()})
    wanted = slice(start - first, end - first)
    parameters = {name: value[wanted] for name, value in drawn.items()}
    derived = PhotometryEngine(ssp, (), redshift=redshift, settings=settings).derived(parameters)
    return SPECTRA.validate(
        xr.Dataset(
            {
                "flux": (("model", "wave"), spectra[wanted], SPECTRA.attrs("flux")),
                "wave_edges": ("edge", engine.wave_edges, SPECTRA.attrs("wave_edges")),
                **model_variables({**parameters, **derived}),
            },
            coords={"wave": ("wave", ssp["wave"].values, SPECTRA.attrs("wave"))},
            attrs={"schema": SPECTRA.tag, **set_attrs(ssp, settings, priors, seed=seed)},
        )
    )


def photometry_of(
    spectra: xr.Dataset, filters: Sequence[Filter], *, redshift: float, settings: ModelConfig
) -> xr.Dataset:
    """Return the photometry of rest-frame spectra.

    Parameters
    ----------
    spectra : Dataset
        Schema ``spectra/1``: of `make_spectra_set`, or a library of another program.
    filters : sequence of Filter
        Bands.
    redshift : float
        > 0.
    settings : ModelConfig
        Cosmology and intergalactic absorption.

    Returns
    -------
    models : Dataset
        Schema ``models/1``, with the spectra's parameters, derived quantities and attributes.

    Raises
    ------
    ConfigError
        If a filter sees wavelengths that the spectra do not cover.
    DataError
        If the redshift is not positive.
    SchemaError
        If ``spectra`` is not of its schema.
    """
    SPECTRA.validate(spectra)
    bins = Bins(spectra["wave"].values, spectra["wave_edges"].values)
    weights = band_weights(bins, filters, settings, redshift=redshift)
    n_model = spectra.sizes["model"]
    flux = np.empty((n_model, len(filters)), dtype=np.float32)
    for begin in range(0, n_model, _ROWS):
        rows = spectra["flux"][begin : begin + _ROWS].values
        flux[begin : begin + _ROWS] = rows @ weights.T
    values = {
        str(name): variable.values
        for name, variable in spectra.data_vars.items()
        if variable.dims == ("model",)
    }
    models = model_dataset(filters, flux, values, attrs={**spectra.attrs, "redshift": redshift})
    for name in values:
        models[name].attrs = dict(spectra[name].attrs)
    return models
