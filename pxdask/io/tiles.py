"""Mosaics that stay open: many galaxies are cut from one file, which is opened once.

Opening a FITS file and finding its HDUs takes a millisecond, and each band of a galaxy asks for
header, size and pixels several times. Here each process keeps the files that it used last open,
at most `MAX_OPEN` of them. A file whose size, time or inode has changed is opened anew.

No image is held in memory. Sections of plain files are read row by row, those of
tile-compressed files by their tiles. Files are not memory-mapped: pages that were ever touched
would count as the worker's memory, 300 MB after twenty cutouts from one mosaic, until Dask
pauses it. A gzip or bzip2 stream cannot be entered in the middle: where pixels are asked for it is
unpacked, once, to a nameless file in the folder for temporary files (TMPDIR); at most
`MAX_UNPACKED` bytes of these are kept.
"""

from __future__ import annotations

import atexit
import bz2
import gzip
import os
import tempfile
import threading
import warnings
import zlib
from collections import OrderedDict
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    _Opener = type[gzip.GzipFile | bz2.BZ2File]

MAX_OPEN = 96
"""Files that a process keeps open; a survey of 40 bands with uncertainties has 80."""

MAX_UNPACKED = 16 << 30
"""Size of the unpacked files that a process keeps, the one in use apart [bytes]."""

_OPENERS: Mapping[bytes, _Opener] = {b"\x1f\x8b": gzip.GzipFile, b"BZh": bz2.BZ2File}
"""How files are read that begin with these bytes."""

_BLOCK = 1 << 22


class Tile:
    """An open FITS file.

    Attributes
    ----------
    path : Path
        The file.
    whole : set of int
        HDUs known to be all there; kept for the reader, who checks.
    n_unpacked : int
        Size of the unpacked copy; 0 where there is none [bytes].
    lock : threading.RLock
        Held by the thread that reads: the reading position is one.
    n_users : int
        Threads that hold the tile or wait for it.
    dropped : bool
        Whether the last user is to close it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole: set[int] = set()
        self.n_unpacked = 0
        self.lock = threading.RLock()
        self.n_users = 0
        self.dropped = False
        self._unpack = _opener(path)
        self._hdus = _open(path)
        self._tables: fits.HDUList | None = None
        self._pixels: fits.HDUList | None = None

    @property
    def hdus(self) -> fits.HDUList:
        """HDUs to read headers from; no pixels are unpacked for it."""
        return self._pixels or self._hdus

    @property
    def tables(self) -> fits.HDUList:
        """The same, with tile-compressed images as the tables that they are on disk."""
        if not any(isinstance(hdu, fits.CompImageHDU) for hdu in self._hdus):
            return self._hdus
        if self._tables is None:
            self._tables = _open(self.path, disable_image_compression=True)
        return self._tables

    @property
    def pixels(self) -> fits.HDUList:
        """HDUs whose ``section`` reads no more than is asked for.

        Raises
        ------
        DataError
            If the compressed stream is damaged or breaks off.
        """
        if self._unpack is None:
            return self._hdus
        if self._pixels is None:
            self._pixels, self.n_unpacked = _unpacked(self.path, self._unpack)
        return self._pixels

    def close(self) -> None:
        """Close the file."""
        for hdus in (self._hdus, self._tables, self._pixels):
            if hdus is not None:
                hdus.close()


class _Shelf:
    """The tiles that one process keeps open, those used last at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tiles: OrderedDict[Path, tuple[tuple[int, ...], Tile]] = OrderedDict()

    def take(self, path: Path) -> Tile:
        """Return the open tile of a path, opening it where it is not, or not this file."""
        status = path.stat()
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        with self._lock:
            known = self._tiles.pop(path, None)
            if known is not None and known[0] != stamp:
                self._drop(known[1])
                known = None
            tile = known[1] if known is not None else Tile(path)
            self._tiles[path] = (stamp, tile)
            tile.n_users += 1
            return tile

    def give_back(self, tile: Tile) -> None:
        """End one use of a tile, and close those used longest ago, as the bounds ask."""
        with self._lock:
            tile.n_users -= 1
            if tile.dropped and tile.n_users == 0:
                tile.close()
            while len(self._tiles) > 1 and (
                len(self._tiles) > MAX_OPEN
                or sum(other.n_unpacked for _, other in self._tiles.values()) > MAX_UNPACKED
            ):
                self._drop(self._tiles.popitem(last=False)[1][1])

    def clear(self) -> None:
        """Close all tiles."""
        with self._lock:
            while self._tiles:
                self._drop(self._tiles.popitem()[1][1])

    def _drop(self, tile: Tile) -> None:
        """Close a tile now, or after its last use."""
        tile.dropped = True
        if tile.n_users == 0:
            tile.close()


@lru_cache(maxsize=1)
def _shelf_of(_process: int) -> _Shelf:
    """Return the shelf of one process: a fork must not share its parent's reading positions."""
    shelf = _Shelf()
    atexit.register(shelf.clear)
    return shelf


@contextmanager
def opened(path: str | Path) -> Iterator[Tile]:
    """Give the open tile of a path to one thread at a time.

    Raises
    ------
    FileNotFoundError, OSError
        As ``astropy.io.fits.open`` does.
    DataError
        If pixels are read from a compressed stream that is damaged.
    """
    shelf = _shelf_of(os.getpid())
    tile = shelf.take(Path(path).absolute())
    try:
        with tile.lock:
            yield tile
    finally:
        shelf.give_back(tile)


def close_tiles() -> None:
    """Close all files that this process keeps open, as before their folder is unmounted."""
    _shelf_of(os.getpid()).clear()


def _opener(path: Path) -> _Opener | None:
    """Return what reads a file that is compressed as a whole; None for other files."""
    with path.open("rb") as file:
        head = file.read(3)
    return next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)


def _open(path: Path, **options: bool) -> fits.HDUList:
    """Return the HDUs of a file, all found, none read, in spite of its being cut."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # cut files: readers check
        return fits.open(path, memmap=False, **options)


def _unpacked(path: Path, unpack: _Opener) -> tuple[fits.HDUList, int]:
    """Return the HDUs of a compressed file's content, and its size, in a file without a name."""
    handle, name = tempfile.mkstemp(prefix="pxdask-", suffix=".fits")
    n_bytes = 0
    try:
        with os.fdopen(handle, "wb") as content, unpack(path) as stream:
            try:
                while block := stream.read(_BLOCK):
                    content.write(block)
                    n_bytes += len(block)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise DataError(
                    f"{path} is truncated or damaged: its compressed stream fails after "
                    f"{n_bytes} bytes; copy it again"
                ) from error
        return _open(Path(name)), n_bytes
    finally:
        Path(name).unlink()
