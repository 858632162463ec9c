"""Models that were built before: whether they are those that a run wants, and reading them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pxdask.core.errors import ConfigError, DataError, brief
from pxdask.core.provenance import content_key
from pxdask.core.schema import MODEL_GRID, MODELS
from pxdask.io.model_store import opened_models, read_models
from pxdask.sps.model_grid import at_redshift, interval_of
from pxdask.sps.model_set import FREE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import xarray as xr

    from pxdask.core.bandpass import Filter
    from pxdask.core.models import ModelConfig

SAME_REDSHIFT = 1e-4
"""Relative difference of redshifts that are taken as one: 1e-4 in mass."""

SINGLE_FROM = 4_000_000
"""Number of models from which on what is known of each is read in single precision: of fifteen
parameters or derived quantities, 10 million models then take 0.6 GB, not 1.2."""

_OWN = ("stored", "redshift_step", "n_models", "sampling", "ssp")
"""Settings of a run that a library need not share: it has its own number of models, and what
counts of an SSP product is what it holds."""


def curve_key(curve: Filter) -> str:
    """Return a content key of a filter's curve, whatever its name."""
    return content_key([curve.wave.tolist(), curve.transmission.tolist(), curve.detector])


def library_attrs(curves: Iterable[Filter]) -> dict[str, Any]:
    """Return what a library tells of its filters."""
    return {"filters": {curve.name: curve_key(curve) for curve in curves}}


def check_library(
    path: Path, settings: ModelConfig, ssp: xr.Dataset, curves: Sequence[Filter]
) -> str:
    """Return the content key of a library that has what a run wants.

    Parameters
    ----------
    path : Path
        Folder that `pxdask models build` made.
    settings : ModelConfig
        Of the run.
    ssp : Dataset
        Of the run.
    curves : sequence of Filter
        Of the run; the library may have more.

    Raises
    ------
    ConfigError
        Naming all that the library was made with and the run has otherwise.
    """
    with opened_models(path) as library:
        attrs, schema = dict(library.attrs), library.attrs.get("schema")
    faults = []
    if schema not in (MODELS.tag, MODEL_GRID.tag):
        faults.append(f"it holds {schema!r}; wanted {MODELS.tag} or {MODEL_GRID.tag}")
    there = attrs.get("filters", {})
    for curve in curves:
        if curve.name not in there:
            faults.append(f"it has no filter {curve.name!r}; it has {', '.join(there)}")
        elif there[curve.name] != curve_key(curve):
            faults.append(f"its curve of filter {curve.name!r} is another than the run's")
    own, wanted = attrs.get("settings", {}), settings.model_dump(mode="json")
    faults += [
        f"models.{name} is {brief(own.get(name))} there, {brief(wanted[name])} in the run"
        for name in wanted
        if name not in _OWN and own.get(name) != wanted[name]
    ]
    origin = {name: value for name, value in ssp.attrs.items() if name != "schema"}
    if attrs.get("ssp") != origin:
        faults.append(f"its populations are {brief(attrs.get('ssp'))}, the run's {brief(origin)}")
    if faults:
        raise ConfigError(f"models.stored {path} cannot be used:\n  - " + "\n  - ".join(faults))
    return content_key(attrs)


def library_models(path: Path, names: Sequence[str], redshift: float | None) -> xr.Dataset:
    """Return a library's models in some filters.

    Parameters
    ----------
    path : Path
        A library that passed `check_library`.
    names : sequence of str
        Filters, in the order wanted.
    redshift : float or None
        Of the galaxy; None where it is free.

    Returns
    -------
    models : Dataset
        Schema models/1; of `SINGLE_FROM` models or more, in single precision.

    Raises
    ------
    DataError
        If the library has no models at this redshift, or lacks a filter.
    """
    with opened_models(path) as library:
        there = [str(name) for name in library["band"].values]
        if missing := [name for name in names if name not in there]:
            raise DataError(f"the models of {path} have no filter {', '.join(missing)}")
        nodes = library["redshift"].values if library.attrs["schema"] == MODEL_GRID.tag else None
        at = library.attrs.get("redshift")
        single = library.sizes["model"] >= SINGLE_FROM
    # chosen as they are read: fluxes of a large library are not to be in memory twice
    bands = [there.index(name) for name in names]
    read = partial(read_models, path, bands=bands, single=single)
    if nodes is not None and redshift is not None:
        first = interval_of(nodes, redshift)
        between = read(redshifts=slice(first, first + 2))
        return at_redshift(between, redshift)
    if at == FREE or _same(at, redshift):
        return read()
    raise DataError(
        f"the models of {path} are for redshift {at}, the galaxy is at {redshift}: build"
        " models at its redshift, or at a range of them"
    )


def _same(at: object, redshift: float | None) -> bool:
    """Return whether models are at a galaxy's redshift."""
    if redshift is None or not isinstance(at, int | float):
        return False
    return abs(at - redshift) <= SAME_REDSHIFT * redshift
