"""All datasets of a galaxy in one file for Python: ASDF, or a zarr folder."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pxdask.core.errors import ConfigError
from pxdask.core.files import write_with
from pxdask.io.survey_store import replacing_store, write_group

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_asdf(
    path: Path, parts: Mapping[str, xr.Dataset], *, galaxy: Mapping[str, object]
) -> None:
    """Write datasets as one ASDF file: plain arrays, which need no package of ours to be read.

    The tree has ``galaxy``, a row of the catalogue, and ``datasets``: of each ``attrs`` and
    ``variables``, and of each of these ``dims``, ``units``, ``long_name`` and ``values``; text is
    a list.

    Parameters
    ----------
    path : Path
        Name of the file; it appears whole or not at all.
    parts : mapping
        Datasets by name.
    galaxy : mapping
        Catalogue row.

    Raises
    ------
    ConfigError
        If asdf is not installed.
    StoreError
        If the file cannot be written.
    """
    try:
        asdf: Any = import_module("asdf")
    except ImportError as error:
        raise ConfigError(
            'ASDF files need asdf, which is not installed: `pip install "pxdask[asdf]"`'
        ) from error
    tree = {
        "galaxy": {key: _plain(value) for key, value in galaxy.items()},
        "datasets": {name: _tree(ds) for name, ds in parts.items()},
    }
    file = asdf.AsdfFile(tree)
    write_with(lambda part: file.write_to(part, all_array_compression="zlib"), path)


def write_zarr(
    path: Path, parts: Mapping[str, xr.Dataset], *, galaxy: Mapping[str, object]
) -> None:
    """Write datasets as the groups of one zarr v3 folder; ``galaxy`` is in its own attributes.

    Open one by ``xarray.open_zarr(path, group="maps", consolidated=False)``, all by
    ``xarray.open_datatree(path, engine="zarr", consolidated=False)``.

    Parameters
    ----------
    path : Path
        Name of the folder, which is replaced if it is there.
    parts : mapping
        Datasets by name.
    galaxy : mapping
        Catalogue row.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    row = {key: _plain(value) for key, value in galaxy.items()}
    with replacing_store(path) as part:
        write_group(xr.Dataset(attrs=row), part, "/")
        for name, ds in parts.items():
            write_group(ds, part, name)


def _tree(ds: xr.Dataset) -> dict[str, object]:
    """Return a dataset as dictionaries and arrays."""
    variables = {}
    for key in ds.variables:
        values = ds[key].values
        text = values.dtype.kind in "OTU"
        variables[str(key)] = {
            "dims": [str(dim) for dim in ds[key].dims],
            **{name: _plain(value) for name, value in ds[key].attrs.items()},
            "values": [str(word) for word in values] if text else np.ascontiguousarray(values),
        }
    return {"attrs": {key: _plain(v) for key, v in ds.attrs.items()}, "variables": variables}


def _plain(value: object) -> Any:  # noqa: ANN401  whatever a header may hold
    """Return a value of Python alone."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
