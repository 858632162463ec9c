"""All bins of a survey one under the other, in one zarr folder that xarray opens.

The folder has two groups: ``galaxies``, a row each, and ``bins``, in which a galaxy's rows are
together. Rows are written by one writer, in whole files (shards) in their order, and the folder
has its name when the last is written. Two writers in one file, or a writer that fills a file
in two goes, would lose rows without a word (measured with zarr 3.1).
"""

from __future__ import annotations

import math
import shutil
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from pxdask.core.errors import DamagedError, StoreError
from pxdask.core.remote import far, upload
from pxdask.io.stores import files_under, variable_length_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SHARD = 65536
"""Bins in a file."""

CHUNK = 4096
"""Bins in the least piece that can be read."""

ROWS = "bin"
"""Dimension along which rows follow one another."""

_METADATA = "zarr.json"

_N_SENDER = 16
"""Objects sent at once."""


class DamagedStoreError(DamagedError):
    """A store of all bins does not hold what was written; it is made anew from the outputs."""


@contextmanager
def replacing_store(path: Path) -> Iterator[Path]:
    """Give a folder to write a store in, that takes the place of ``path`` if the block succeeds.

    Here the old store is moved away first: for an instant there is none. In an object store the
    objects are sent one after another: whoever reads meanwhile sees some of both.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    try:
        if (there := far(path)) is not None:
            with tempfile.TemporaryDirectory(prefix="pxdask-") as folder:
                yield Path(folder)
                _send(Path(folder), path)
            return
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        part.mkdir(parents=True)
        try:
            yield part
            _replace(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except StoreError:
        raise  # of what is read to be written
    except OSError as error:
        raise StoreError(f"cannot write {there or path}: {error}") from error


def _replace(part: Path, path: Path) -> None:
    """Give a folder the name of another, which is removed, or keeps its name if that fails."""
    old = part.with_suffix(".old")
    if there := path.exists():
        path.rename(old)
    try:
        part.rename(path)
    except BaseException:
        if there:
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _send(folder: Path, path: Path) -> None:
    """Send a store to an object store, what describes it last; remove what it has no more."""
    names = {file.path.relative_to(folder).as_posix() for file in files_under(folder)}
    last = {name for name in names if name.endswith(_METADATA)}
    old = [file.path for file in files_under(path)]
    gone = [path_ for path_ in old if path_.relative_to(path).as_posix() not in names]
    with ThreadPoolExecutor(_N_SENDER) as pool:
        for some in (names - last, last):
            list(pool.map(lambda name: upload(folder / name, path / name), sorted(some)))
        list(pool.map(lambda path_: path_.unlink(missing_ok=True), gone))


def write_group(ds: xr.Dataset, folder: Path, group: str) -> None:
    """Write a dataset as a group; text has variable length."""
    variable_length_text(ds).to_zarr(
        folder, group=group, mode="w", zarr_format=3, consolidated=False
    )


class RowWriter:
    """Writes rows of bins, in their order, into a group that has its coordinates already.

    Parameters
    ----------
    folder : Path
        The store.
    group : str
        The group.
    shard, chunk : int
        Rows in a file and in the least piece that can be read; the first is a multiple of the
        second.
    """

    def __init__(self, folder: Path, group: str, *, shard: int = SHARD, chunk: int = CHUNK) -> None:
        self._group = zarr.open_group(folder / group, mode="a", zarr_format=3)
        self._shard, self._chunk = shard, chunk
        self._waiting: list[xr.Dataset] = []
        self._n_waiting = 0
        self._written = 0
        self._forms: dict[str, xr.Variable] = {}

    def append(self, rows: xr.Dataset) -> None:
        """Take rows: variables whose first dimension is `ROWS`. A variable may come late."""
        for name, variable in rows.data_vars.items():
            if str(name) not in self._forms:
                self._forms[str(name)] = variable.variable[:0].load()
        self._waiting.append(rows)
        self._n_waiting += rows.sizes[ROWS]
        while self._n_waiting >= self._shard:
            self._write(self._shard)

    def close(self) -> None:
        """Write what is left."""
        self._write(self._n_waiting)

    def _write(self, n_row: int) -> None:
        """Write the first waiting rows, which begin a file."""
        taken, rest, count = [], [], 0
        for rows in self._waiting:
            cut = min(rows.sizes[ROWS], n_row - count)
            taken.append(rows.isel({ROWS: slice(0, cut)}))
            count += cut
            if cut < rows.sizes[ROWS]:
                rest.append(rows.isel({ROWS: slice(cut, None)}))
        for name, form in self._forms.items():
            array = self._array(name, form)
            array.resize((self._written + n_row, *array.shape[1:]))
            parts = [_values(rows, name, form) for rows in taken]
            if n_row:
                array[self._written :] = np.concatenate(parts)
        self._waiting, self._n_waiting = rest, self._n_waiting - n_row
        self._written += n_row

    def _array(self, name: str, form: xr.Variable) -> zarr.Array[Any]:
        """Return an array, made at its first use; rows before are what `blank` says."""
        if name in self._group:
            found = self._group[name]
            if isinstance(found, zarr.Array):
                return found
        return self._group.create_array(
            name,
            shape=(self._written, *form.shape[1:]),
            dtype=form.dtype,
            chunks=(self._chunk, *form.shape[1:]),
            shards=(self._shard, *form.shape[1:]),
            compressors=ZstdCodec(level=1, checksum=True),
            fill_value=blank(form.dtype),
            attributes=dict(form.attrs),
            dimension_names=[str(dim) for dim in form.dims],
        )


def blank(dtype: np.dtype[Any]) -> Any:  # noqa: ANN401  as the type of the array
    """Return the value of a row without one: NaN, -1, or 0 where there is neither."""
    return {"f": math.nan, "i": -1}.get(dtype.kind, 0)


def _values(rows: xr.Dataset, name: str, form: xr.Variable) -> NDArray[Any]:
    """Return the values of a variable, blank where these rows lack it."""
    if name in rows:
        return np.asarray(rows[name].values, form.dtype)
    return np.full((rows.sizes[ROWS], *form.shape[1:]), blank(form.dtype), form.dtype)


class StoredRows:
    """Rows of a store, read a file at a time, and best in their order.

    Parameters
    ----------
    path : Path
        The store.
    group : str
        The group.
    """

    def __init__(self, path: Path, group: str, *, shard: int = SHARD) -> None:
        self._path, self._ds = path, open_group(path, group)
        self._shard = shard
        self._start = -1
        self._loaded: xr.Dataset | None = None

    @property
    def n_row(self) -> int:
        """Number of all rows."""
        return int(self._ds.sizes.get(ROWS, 0))

    def rows(self, start: int, stop: int) -> Iterator[xr.Dataset]:
        """Yield some rows, in pieces that do not go beyond a file."""
        while start < stop:
            first = start - start % self._shard
            end = min(stop, first + self._shard)
            yield self._file(first).isel({ROWS: slice(start - first, end - first)})
            start = end

    def _file(self, first: int) -> xr.Dataset:
        """Return all rows of a file."""
        if self._loaded is None or self._start != first:
            part = self._ds.isel({ROWS: slice(first, first + self._shard)})
            with _understood(self._path):
                self._loaded, self._start = part.load(), first
        return self._loaded


def open_group(path: Path, group: str) -> xr.Dataset:
    """Return a group of a store, lazily.

    Raises
    ------
    StoreError
        If there is none.
    DamagedStoreError
        If it cannot be understood.
    """
    with _understood(path):
        ds: xr.Dataset = xr.open_zarr(_source(path), group=group, chunks=None, consolidated=False)
    return ds


def load_group(path: Path, group: str) -> xr.Dataset:
    """Return a group of a store, in memory; errors are those of `open_group`."""
    ds = open_group(path, group)
    with _understood(path):
        return ds.load()


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Say that a store is damaged where what reads it does not understand it."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise DamagedStoreError(
            f"{path} is damaged: {error}; `pxdask collect` makes it anew"
        ) from error


def _source(path: Path) -> Path | zarr.storage.FsspecStore:
    """Return what zarr reads a store from."""
    if (there := far(path)) is None:
        return path
    options = dict(there.storage_options)
    return zarr.storage.FsspecStore.from_url(str(there), storage_options=options, read_only=True)
