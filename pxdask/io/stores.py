"""One file per output: written once, published by rename, equal bytes for equal content.

A published file is whole: its name appears only after its last byte is on disk. A file cut
short afterwards (a full disk, a bad copy) is noticed by its missing zip directory.
"""

from __future__ import annotations

import hashlib
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
import zarr

from pxdask.core.errors import DamagedError, StoreError
from pxdask.core.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zarr.core.buffer import Buffer

_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20


def publish(ds: xr.Dataset, path: Path) -> None:
    """Write ``ds`` as one zipped zarr file; readers see all of it or none of it.

    Parameters
    ----------
    ds : xarray.Dataset
        Loaded data; text variables are stored with variable length.
    path : Path
        Name of the file, ending in ``.zarr.zip``.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    chunks: dict[str, Buffer] = {}
    store = zarr.storage.MemoryStore(store_dict=chunks)
    _variable_length_text(ds).to_zarr(store, zarr_format=3, consolidated=False)
    with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for key in sorted(chunks):
            archive.writestr(zipfile.ZipInfo(key, _EPOCH), chunks[key].to_bytes())


@contextmanager
def opened(path: Path) -> Iterator[xr.Dataset]:
    """Give the dataset at ``path``, lazily, for as long as the block lasts.

    Raises
    ------
    StoreError
        If the file is absent or cannot be read.
    DamagedError
        If it is cut short or not a dataset.
    """
    try:
        store = zarr.storage.ZipStore(path, mode="r")
        ds = xr.open_zarr(store, chunks=None, consolidated=False)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error
    with store:
        yield ds


def read(path: Path) -> xr.Dataset:
    """Return the dataset at ``path``, loaded; every byte is checked (CRC); see `opened`."""
    with opened(path) as ds:
        try:
            return ds.load()
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error}") from error
        except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError) as error:
            raise DamagedError(f"{path} is damaged: {error}") from error


def is_published(path: Path) -> bool:
    """Return whether the file exists and is whole (for archives: has its directory)."""
    if path.suffix == ".zip":
        return zipfile.is_zipfile(path)
    return path.is_file()


def checksum(path: Path) -> str:
    """Return the blake2b digest of a file's bytes, 32 hexadecimal characters."""
    digest = hashlib.blake2b(digest_size=16)
    with Path(path).open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _variable_length_text(ds: xr.Dataset) -> xr.Dataset:
    """Return ``ds`` with text as variable-length strings, which zarr can store for good."""
    fixed = {
        name: variable.astype(np.dtypes.StringDType())
        for name, variable in ds.variables.items()
        if variable.dtype.kind in "UO"
    }
    return ds.assign({name: (var.dims, var.values, var.attrs) for name, var in fixed.items()})
