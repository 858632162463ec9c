"""Files that appear whole or not at all, whatever their format."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pxdask.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its name when the block succeeds.

    Raises
    ------
    StoreError
        If the folder or the file cannot be written.
    """
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
