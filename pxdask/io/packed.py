"""Files compressed as a whole, by gzip or bzip2: how much is in them, and whether all of it."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"
_BZIP2_MAGIC = b"BZh"
_BLOCK = 1 << 20
_GZIP_LEEWAY = 1 << 22
"""Bytes that may follow an HDU for a gzip file's stated size to be trusted unread."""


def content_size(path: Path, *, at_least: int) -> int:
    """Return the size of a file's content, decompressed [bytes].

    The last four bytes of a gzip file state its content's size (RFC 1952): only where these
    contradict ``at_least`` is the file decompressed, for several members may follow one
    another and a cut file ends in anything. bzip2 states none, but checks its blocks itself.
    """
    if _begins_with(path, _BZIP2_MAGIC):
        return expanded(path).n_bytes
    if not is_gzip(path):
        return path.stat().st_size
    with path.open("rb") as file:
        file.seek(-4, io.SEEK_END)
        stated = int.from_bytes(file.read(4), "little")
    if at_least <= stated < at_least + _GZIP_LEEWAY:
        return stated
    return expanded(path).n_bytes


def is_gzip(path: Path) -> bool:
    """Return whether a file begins as gzip files do."""
    return _begins_with(path, _GZIP_MAGIC)


def _begins_with(path: Path, magic: bytes) -> bool:
    """Return whether a file begins with these bytes."""
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


@dataclass(frozen=True, slots=True)
class Expanded:
    """Size of a compressed file's content, and whether it is all there."""

    n_bytes: int
    whole: bool


def expanded(path: Path) -> Expanded:
    """Return what decompressing the whole file shows; nothing is kept."""
    n_bytes = 0
    opener = bz2.open if _begins_with(path, _BZIP2_MAGIC) else gzip.open
    with opener(path) as stream:
        try:
            while block := stream.read(_BLOCK):
                n_bytes += len(block)
        except (EOFError, OSError, zlib.error):
            return Expanded(n_bytes, whole=False)
    return Expanded(n_bytes, whole=True)
