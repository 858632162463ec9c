"""Model sets of any size on disk, written by many writers, each with whole files of its own.

A set is a zarr folder. Its models are cut into blocks; every array has one file (a shard) for
each block and redshift, and a file has one writer: two writers in one file would lose data
without a word. The folder has another name until its last block is written, so that a set that
has its name is whole. Equal sets have equal files, whoever writes them in whatever order.
"""

from __future__ import annotations

import math
import os
import shutil
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from pxdask.core.errors import ConfigError, DamagedError, StoreError
from pxdask.core.schema import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 65536
"""Models in a block."""

_CHUNK = 8192
"""Models in the least piece that can be read."""

_METADATA = "zarr.json"


def blocks(n_models: int) -> list[tuple[int, int]]:
    """Return the first model of each block of a set, and the one after its last."""
    return [(start, min(start + BLOCK, n_models)) for start in range(0, n_models, BLOCK)]


def create_store(template: xr.Dataset, path: Path, *, n_models: int) -> Path:
    """Begin a set, and return the folder that its blocks are written to.

    Parameters
    ----------
    template : Dataset
        The set without models (dimension ``model`` of length 0): its names, units, other
        coordinates and attributes. Schema models/1, model-grid/1 or spectra/1.
    path : Path
        Where the set is to be.
    n_models : int
        Models that it will have.

    Returns
    -------
    part : Path
        A folder beside ``path``, for `write_block` and `publish_store`.

    Raises
    ------
    ConfigError
        If ``path`` exists.
    StoreError
        If the folder cannot be written.
    """
    _refuse_existing(path)
    SCHEMAS[template.attrs["schema"]].validate(template)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    per_model = [str(name) for name, var in template.variables.items() if "model" in var.dims]
    shared = template.drop_vars(per_model)
    text = {name: var for name, var in shared.variables.items() if var.dtype.kind in "UO"}
    shared = shared.assign(
        {
            name: (v.dims, v.values.astype(np.dtypes.StringDType()), v.attrs)
            for name, v in text.items()
        }
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shared.to_zarr(part, mode="w-", zarr_format=3, consolidated=False)
        group = zarr.open_group(part, mode="r+", zarr_format=3, use_consolidated=False)
        for name in per_model:
            _create_array(group, name, template.variables[name], n_models)
    except OSError as error:
        raise StoreError(f"cannot write {part}: {error}") from error
    return part


def write_block(block: xr.Dataset, part: Path, *, start: int) -> None:
    """Write one block of models; blocks may be written at once, and in any order.

    Parameters
    ----------
    block : Dataset
        The models from ``start`` on.
    part : Path
        Folder from `create_store`.
    start : int
        First model.

    Raises
    ------
    ConfigError
        If the models are not exactly one of `blocks`.
    StoreError
        If the folder cannot be written.
    """
    stop = start + block.sizes["model"]
    try:
        group = zarr.open_group(part, mode="r+", zarr_format=3, use_consolidated=False)
        for name, variable in block.variables.items():
            if "model" not in variable.dims:
                continue
            array = cast("zarr.Array[Any]", group[str(name)])
            axis = variable.dims.index("model")
            n_models = array.shape[axis]
            if start % BLOCK or stop != min(start + BLOCK, n_models):
                raise ConfigError(
                    f"models [{start}, {stop}) of {n_models} are not a block; a block has"
                    f" {BLOCK} models, or those that remain"
                )
            where = [slice(None)] * variable.ndim
            where[axis] = slice(start, stop)
            array[tuple(where)] = variable.values
    except OSError as error:
        raise StoreError(f"cannot write {part}: {error}") from error


def publish_store(part: Path, path: Path) -> None:
    """Give a set, all of whose blocks are written, its name.

    Raises
    ------
    ConfigError
        If ``path`` exists.
    StoreError
        If a block is missing, or the folder cannot be renamed.
    """
    if missing := _missing(part):
        raise StoreError(f"{part} lacks blocks: {', '.join(missing)}")
    _refuse_existing(path)
    try:
        for file in part.rglob("*"):
            if file.is_file():
                _sync(file)
        part.rename(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}") from error


def discard_store(part: Path) -> None:
    """Remove an unfinished set."""
    shutil.rmtree(part, ignore_errors=True)


def is_complete(path: Path) -> bool:
    """Return whether there is a set at ``path`` and no block of it is missing."""
    return (path / _METADATA).is_file() and not _missing(path)


@contextmanager
def opened_models(path: Path) -> Iterator[xr.Dataset]:
    """Give a set, lazily, for as long as the block lasts.

    Raises
    ------
    ConfigError
        If there is no set at ``path``.
    DamagedError
        If a block of it is missing.
    """
    if not (path / _METADATA).is_file():
        raise ConfigError(f"{path} is not a set of models; `pxdask models build` makes one")
    if missing := _missing(path):
        raise DamagedError(f"{path} lacks blocks: {', '.join(missing)}; build it again")
    with _reading(path):
        ds = xr.open_zarr(path, chunks=None, consolidated=False, zarr_format=3)
    yield ds


def read_models(
    path: Path,
    *,
    start: int = 0,
    stop: int | None = None,
    redshifts: slice | None = None,
    bands: list[int] | None = None,
    single: bool = False,
) -> xr.Dataset:
    """Return some models of a set, loaded.

    Parameters
    ----------
    path : Path
        The set.
    start, stop : int
        First model, and the one after the last; default: all.
    redshifts : slice, optional
        Which redshifts of a grid; default: all.
    bands : list of int, optional
        Which bands, in the order wanted; default: all, as they are.
    single : bool
        Whether what is known of every model is rounded to single precision, one after the other,
        so that it is never in memory whole in double.

    Raises
    ------
    ConfigError, DamagedError
        As `opened_models`; DamagedError if what is read is not what was written (checksums).
    """
    with opened_models(path) as ds:
        chosen = ds.isel(model=slice(start, stop))
        if redshifts is not None:
            chosen = chosen.isel(redshift=redshifts)
        if bands is not None and bands != list(range(ds.sizes["band"])):
            chosen = chosen.isel(band=bands)
        with _reading(path):
            return (_rounded(chosen) if single else chosen).load()


def _rounded(models: xr.Dataset) -> xr.Dataset:
    """Return a lazy set with its parameters in memory, in single precision."""
    columns = [name for name in models.data_vars if models[name].dims == ("model",)]
    # of copies: what is read stays with the variable that was asked for it
    return models.assign(
        {name: models[name].copy().astype(np.float32, keep_attrs=True) for name in columns}
    )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell files that cannot be read from files that are damaged."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    except (KeyError, ValueError, RuntimeError) as error:
        raise DamagedError(f"{path} is damaged: {error}; build it again") from error


def _refuse_existing(path: Path) -> None:
    """Raise where something is already at ``path``."""
    if path.exists():
        raise ConfigError(
            f"{path} exists; models are never overwritten: remove it, or name another"
        )


def _create_array(group: zarr.Group, name: str, variable: xr.Variable, n_models: int) -> None:
    """Make an array for all models: chunks that are read alone, in shards of one block."""
    sizes = dict(zip(variable.dims, variable.shape, strict=True))
    lengths = {"model": (n_models, _CHUNK, BLOCK), "redshift": (sizes.get("redshift", 0), 1, 1)}
    shape, chunks, shards = zip(
        *(lengths.get(str(dim), (sizes[dim],) * 3) for dim in variable.dims), strict=True
    )
    group.create_array(
        name,
        shape=shape,
        dtype=variable.dtype,
        chunks=chunks,
        shards=shards,
        compressors=ZstdCodec(level=1, checksum=True),
        fill_value=math.nan,
        attributes=dict(variable.attrs),
        dimension_names=[str(dim) for dim in variable.dims],
    )


def _missing(path: Path) -> list[str]:
    """Return which arrays lack files, and how many."""
    try:
        group = zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
        found = []
        for name, array in sorted(group.arrays()):
            if array.shards is None:
                continue
            pairs = zip(array.shape, array.shards, strict=True)
            wanted = math.prod(math.ceil(length / shard) for length, shard in pairs)
            there = sum(file.is_file() for file in (path / name / "c").rglob("*"))
            if there < wanted:
                found.append(f"{name} has {there} of {wanted}")
    except (OSError, KeyError, ValueError) as error:
        raise DamagedError(f"{path} is damaged: {error}; build it again") from error
    return found


def _sync(file: Path) -> None:
    """Wait until a file is on disk."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
