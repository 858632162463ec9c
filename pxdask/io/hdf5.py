"""HDF5 files, as piXedfit has them; h5py is an extra."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def opened_hdf5(path: Path, mode: Literal["r", "w"] = "r") -> Iterator[Any]:
    """Give an open HDF5 file.

    Raises
    ------
    ConfigError
        If h5py is not installed, or a file to be read is absent or of another kind.
    OSError
        If a file to be written cannot be.
    """
    try:
        h5py = import_module("h5py")
    except ImportError as error:
        verb = "read" if mode == "r" else "write"
        raise ConfigError(f'to {verb} {path} install h5py: `pip install "pxdask[hdf5]"`') from error
    if mode == "r" and not path.is_file():
        raise ConfigError(f"there is no file {path}")
    try:
        file = h5py.File(path, mode)
    except OSError as error:
        if mode == "r":
            raise ConfigError(f"{path} is not an HDF5 file: {error}") from error
        raise
    with file:
        yield file
