"""Object stores: paths that are not of this machine, and the few things done with them.

A far path (``s3://bucket/run``) is one of universal-pathlib, which has the methods of
`pathlib.Path` that the package uses; it passes as a Path. Where a library wants a file, it is
copied: down into a temporary folder (TMPDIR tells where), or up in one piece when it is whole.
Credentials and endpoints are fsspec's and the store's own business: nothing here knows them.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pxdask.core.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upath import UPath

_PREFIX = "pxdask-"
_PAUSE_S = 1.0
"""Least time between two objects of a growing file [s]."""
_PAUSE_PART = 0.01
"""Least time between two objects, as a part of the file's age."""


def location(place: str | Path) -> Path:
    """Return the place that text names: a folder here, or in an object store (``s3://...``).

    Raises
    ------
    ConfigError
        If the store's kind is not known, or what it needs is not installed.
    StoreError
        If the store does not answer, or not to these credentials.
    """
    scheme, separator, rest = str(place).partition("://")
    if far(place):
        return cast("Path", place)
    if not (isinstance(place, str) and separator):
        return Path(place).resolve()
    return Path(rest).resolve() if scheme == "file" else _far_path(place)


def _far_path(url: str) -> Path:
    """Return a path in an object store, whose listings are always fresh: others write there."""
    try:
        from upath import UPath  # noqa: PLC0415  optional, and slow

        found = UPath(url, use_listings_cache=False)
        found.fs.invalidate_cache()  # loads what speaks to the store
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"cannot use {url}: {error}; object stores need the extra `remote`"
            " (pip install 'pxdask[remote]')"
        ) from error
    try:
        found.exists()
    except Exception as error:  # stores' libraries raise errors of their own
        raise StoreError(f"cannot reach {url}: {_reason(error)}") from error
    return cast("Path", found)


def far(path: str | Path) -> UPath | None:
    """Return the path if it is one in an object store, else None."""
    place: object = path
    return None if isinstance(place, str | Path) else cast("UPath", place)


@contextmanager
def uploading(path: UPath) -> Iterator[Path]:
    """Give a temporary file that becomes the object ``path`` when the block succeeds.

    The store shows an object when the last byte has arrived, or never.

    Raises
    ------
    StoreError
        If the temporary file cannot be written, or the store does not take it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
            part = Path(folder) / path.name
            yield part
            upload(part, path)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}") from error


def upload(file: Path, path: Path | UPath) -> None:
    """Send a file to an object store.

    Raises
    ------
    StoreError
        If the store does not take it.
    """
    there = cast("UPath", path)
    try:
        there.fs.put_file(str(file), there.path)
    except Exception as error:  # stores' libraries raise errors of their own
        raise StoreError(f"cannot write {path}: {_reason(error)}") from error


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Give a file of this machine with the content of ``path``: itself, or a copy for a while.

    Raises
    ------
    StoreError
        If an object cannot be fetched.
    """
    source = far(path)
    if source is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        copy = Path(folder) / source.name
        try:
            source.fs.get_file(source.path, str(copy))
        except Exception as error:  # stores' libraries raise errors of their own
            raise StoreError(f"cannot read {path}: {_reason(error)}") from error
        yield copy


def tail(path: UPath, n_bytes: int) -> bytes | None:
    """Return the last bytes of an object; None if there is no object.

    Raises
    ------
    StoreError
        If the store does not answer.
    """
    try:
        found: bytes = path.fs.cat_file(path.path, start=-n_bytes)
    except FileNotFoundError:
        return None
    except Exception as error:  # stores' libraries raise errors of their own
        raise StoreError(f"cannot read {path}: {_reason(error)}") from error
    return found


def listing(folder: UPath) -> dict[str, dict[str, Any]]:
    """Return what the store tells of every object below ``folder``, by its name from there on.

    Raises
    ------
    StoreError
        If the store does not answer.
    """
    try:
        found = folder.fs.find(folder.path, detail=True)
    except FileNotFoundError:
        return {}
    except Exception as error:  # stores' libraries raise errors of their own
        raise StoreError(f"cannot list {folder}: {_reason(error)}") from error
    start = folder.path.rstrip("/") + "/"
    return {name.removeprefix(start): facts for name, facts in found.items()}


def _reason(error: Exception) -> str:
    """Return what went wrong; some errors have no words of their own."""
    return str(error) or type(error).__name__


class FarLines:
    """Lines that grow, in a store where no object can: numbered objects.

    The time between two is a part of the lines' age, so that a thousand or so hold the lines of
    a day: readers open each of them.

    Parameters
    ----------
    path : UPath
        Name of the lines; a number goes before its ending.
    """

    def __init__(self, path: UPath) -> None:
        self._path = path
        self._lines: list[str] = []
        self._count = 0
        self._begin = time.monotonic()
        self._last = self._begin - _PAUSE_S

    def write(self, line: str) -> None:
        """Take a line."""
        self._lines.append(line)

    def flush(self) -> None:
        """Send what has been taken, unless the last was sent a moment ago."""
        age, pause = time.monotonic() - self._begin, time.monotonic() - self._last
        if pause >= max(_PAUSE_S, _PAUSE_PART * age):
            self._send()

    def close(self) -> None:
        """Send what is left."""
        self._send()

    def _send(self) -> None:
        """Send the lines as the next object; keep them if that fails."""
        if not self._lines:
            return
        name = f"{self._path.stem}-{self._count:06d}{self._path.suffix}"
        with uploading(self._path.with_name(name)) as part:
            part.write_text("".join(self._lines), encoding="utf-8")
        self._lines.clear()
        self._count += 1
        self._last = time.monotonic()
