"""Files that appear whole or not at all, whatever their format and wherever they are."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from pxdask.core.errors import ConfigError, StoreError
from pxdask.core.remote import FarLines, far, uploading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Lines(Protocol):
    """A file of lines that grows."""

    def write(self, line: str, /) -> object:
        """Take a line, with its newline."""
        ...

    def flush(self) -> None:
        """Let others see what was taken, at once or soon."""
        ...

    def close(self) -> None:
        """Let others see all that was taken."""
        ...


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise `ConfigError` where a file is there and may not be replaced."""
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists; remove it, or say --overwrite")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path that takes the name ``path`` when the block succeeds.

    It is beside ``path``, or, where that is in an object store, in this machine's temporary
    folder.

    Raises
    ------
    StoreError
        If the folder or the file cannot be written.
    """
    if (there := far(path)) is not None:
        with uploading(there) as part:
            yield part
        return
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {path}: cannot make the folder: {error}") from error
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except StoreError:
        raise  # of what is read to be written
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write a small text file; readers see all of it or none of it."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_with(writer: Callable[[Path], None], path: Path) -> None:
    """Let ``writer`` write a file at a temporary path, then give it its name."""
    with replacing(path) as part:
        writer(part)


def growing(path: Path) -> Lines:
    """Return a new file of lines that grows; in an object store, several objects.

    Raises
    ------
    FileExistsError
        If there is one at ``path``.
    """
    if (there := far(path)) is not None:
        return FarLines(there)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("x", encoding="utf-8")
