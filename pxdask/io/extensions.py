"""FITS files of several HDUs."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from astropy.io import fits

from pxdask.core.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray


class ExtensionLike(Protocol):
    """One HDU to write: its name, pixels or None, and further cards."""

    @property
    def name(self) -> str:
        """EXTNAME; empty for none."""
        ...

    @property
    def data(self) -> NDArray[Any] | None:
        """Pixels, in any dtype FITS knows."""
        ...

    @property
    def header(self) -> Mapping[str, Any]:
        """Further cards."""
        ...


def write_hdus(hdus: Iterable[Any], path: Path) -> None:
    """Write HDUs of astropy as one file, by the standard; readers see all of it or none of it.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    whole = fits.HDUList(list(hdus))
    with replacing(path) as part:
        whole.writeto(part, output_verify="exception")


def card_text(value: object) -> str:
    """Return text as cards may have it: letters beyond ASCII and control characters as escapes."""
    escaped = str(value).encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in escaped)


def write_extensions(path: str | Path, extensions: Iterable[ExtensionLike]) -> None:
    """Write images as the HDUs of one file, the first the primary; all of it or nothing.

    One is held in memory at a time. Equal arguments give equal bytes. A path that ends in
    ``.gz`` is gzipped.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    with replacing(Path(path)) as part:
        plain = part.with_name(f"{part.name}.plain") if str(path).endswith(".gz") else part
        try:
            for i, extension in enumerate(extensions):
                hdu = _hdu(extension, primary=i == 0)
                if i == 0:
                    hdu.writeto(plain)
                else:
                    with fits.open(plain, mode="append") as file:
                        file.append(hdu)
            if plain != part:
                with (
                    plain.open("rb") as source,
                    part.open("wb") as target,
                    gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as packed,
                ):
                    shutil.copyfileobj(source, packed)
        finally:
            if plain != part:
                plain.unlink(missing_ok=True)


def _hdu(extension: ExtensionLike, *, primary: bool) -> Any:  # noqa: ANN401  astropy is untyped
    """Return an HDU of astropy."""
    data = None if extension.data is None else np.asarray(extension.data)
    hdu = fits.PrimaryHDU(data) if primary else fits.ImageHDU(data)
    if extension.name:
        hdu.header["EXTNAME"] = extension.name
    for name, value in extension.header.items():
        hdu.header[name] = value
    return hdu
