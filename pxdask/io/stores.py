"""One file per output: written once, published by rename, equal bytes for equal content.

A published file is whole: its name appears only after its last byte is on disk, or in the
object store. A file cut short afterwards (a full disk, a bad copy) is noticed by its missing
zip directory, any other change by the checksums of its parts.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
import zarr

from pxdask.core.errors import DamagedError, StoreError
from pxdask.core.files import replacing
from pxdask.core.remote import far, listing, local_copy, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zarr.core.buffer import Buffer

_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20
_END = b"PK\x05\x06"
"""How the last record of a zip archive begins [PKWARE APPNOTE 4.3.16]."""
_END_SIZE = 22
"""Its length without a comment [byte]; ours have none."""


def publish(ds: xr.Dataset, path: Path) -> str:
    """Write ``ds`` as one zipped zarr file; readers see all of it or none of it.

    Parameters
    ----------
    ds : xarray.Dataset
        Loaded data; text variables are stored with variable length.
    path : Path
        Name of the file, ending in ``.zarr.zip``.

    Returns
    -------
    checksum : str
        Of the file's bytes; see `checksum`.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    chunks: dict[str, Buffer] = {}
    store = zarr.storage.MemoryStore(store_dict=chunks)
    variable_length_text(ds).to_zarr(store, zarr_format=3, consolidated=False)

    def write(part: Path) -> None:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for key in sorted(chunks):
                archive.writestr(zipfile.ZipInfo(key, _EPOCH), chunks[key].to_bytes())

    return publish_with(write, path)


def publish_with(writer: Callable[[Path], None], path: Path) -> str:
    """Let ``writer`` write a file of any kind, give it its name, and return its checksum."""
    with replacing(path) as part:
        writer(part)
        return checksum(part)


@contextmanager
def opened(path: Path) -> Iterator[xr.Dataset]:
    """Give the dataset at ``path``, lazily, for as long as the block lasts.

    Of an object store, the whole file is fetched first.

    Raises
    ------
    StoreError
        If the file is absent or cannot be read.
    DamagedError
        If it is cut short or not a dataset.
    """
    with local_copy(path) as file:
        with _reading(path):
            store = zarr.storage.ZipStore(file, mode="r")
            ds = xr.open_zarr(store, chunks=None, consolidated=False, zarr_format=3)
        with store:
            yield ds


def read(path: Path) -> xr.Dataset:
    """Return the dataset at ``path``, loaded; every byte is checked (CRC); see `opened`."""
    with opened(path) as ds, _reading(path):
        return ds.load()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell a file that cannot be read from one that is damaged."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error


def is_published(path: Path) -> bool:
    """Return whether the file exists and is whole (for archives: has its directory)."""
    if path.suffix != ".zip":
        return path.is_file()
    there = far(path)
    end = _end_of(path) if there is None else tail(there, _END_SIZE) or b""
    return end.startswith(_END)


def _end_of(path: Path) -> bytes:
    """Return the last record of an archive of this machine; nothing of what is absent or shorter.

    A run that goes on looks at every output; `zipfile.is_zipfile` asks the system twice as often.
    """
    try:
        with FileIO(path) as file:
            file.seek(-_END_SIZE, os.SEEK_END)
            return file.read(_END_SIZE)
    except OSError:
        return b""


def is_whole(path: Path) -> bool:
    """Return whether an archive's every byte is what was written, by the checksums in it (CRC).

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    with local_copy(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return archive.testzip() is None
        except (zipfile.BadZipFile, ValueError, RuntimeError):
            return False
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error}") from error


def checksum(path: Path) -> str:
    """Return the blake2b digest of a file's bytes, 32 hexadecimal characters."""
    digest = hashlib.blake2b(digest_size=16)
    with local_copy(path) as here, here.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file: its size [byte], and the Unix time of its last change [s]; 0 if not known."""

    path: Path
    n_bytes: int
    changed: float = 0.0


def files_under(folder: Path) -> Iterator[FoundFile]:
    """Yield all files in a folder and its folders, in no order; none if there is no folder.

    Raises
    ------
    StoreError
        If an object store does not answer.
    """
    if (there := far(folder)) is not None:
        for name, facts in listing(there).items():
            path = folder / name
            yield FoundFile(path, int(facts["size"]), _unix_time(facts.get("LastModified")))
        return
    for parent, _, names in os.walk(folder):
        for name in names:
            path = folder / parent / name
            with suppress(FileNotFoundError):  # somebody has just removed it
                seen = path.lstat()
                yield FoundFile(path, seen.st_size, seen.st_mtime)


def _unix_time(moment: object) -> float:
    """Return when an object was changed; stores tell by a datetime, or not at all."""
    return moment.timestamp() if isinstance(moment, datetime) else 0.0


def variable_length_text(ds: xr.Dataset) -> xr.Dataset:
    """Return ``ds`` with text as variable-length strings, which zarr can store for good."""
    fixed = {
        name: variable.astype(np.dtypes.StringDType())
        for name, variable in ds.variables.items()
        if variable.dtype.kind in "UO"
    }
    return ds.assign({name: (var.dims, var.values, var.attrs) for name, var in fixed.items()})
