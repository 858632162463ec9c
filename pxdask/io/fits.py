"""FITS images: headers without pixels, cutouts without whole mosaics, atomic writing.

Images may be plain, compressed as a whole or by tiles (``.fits``, ``.fits.gz``, ``.fits.bz2``,
``.fits.fz``), of any BITPIX, scaled (BSCALE, BZERO, BLANK) or not. What leaves this module is
native float32, or float64 for kernels.
"""

from __future__ import annotations

import gzip
import io
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, FITSFixedWarning

from pxdask.core.errors import DataError, StoreError
from pxdask.core.files import replacing
from pxdask.io.packed import content_size, expanded, is_gzip
from pxdask.io.tiles import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.io.tiles import Tile


_MATRIX_TOLERANCE = 1e-4
"""Difference between PC and CD, as a fraction of a pixel's step, that is worth a warning."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What is known of an image before its pixels are read.

    Attributes
    ----------
    path : str
        The file.
    hdu : int
        Number of the HDU that holds the image.
    wcs : str
        Celestial world coordinates as FITS cards, in one canonical form.
    shape : tuple of int
        (ny, nx).
    bunit : str or None
        The header's BUNIT.
    note : str
        What is odd about the header and how it was read; empty if nothing is.
    keywords : mapping
        Further keywords that were asked for and are there: numbers and text.
    """

    path: str
    hdu: int
    wcs: str
    shape: tuple[int, int]
    bunit: str | None = None
    note: str = ""
    keywords: Mapping[str, float | str] = field(default_factory=dict)


def read_header(
    path: str | Path, hdu: int | str = 0, *, keywords: Sequence[str] = ()
) -> ImageHeader:
    """Return the header of one image; no pixel is read.

    Parameters
    ----------
    path : str or Path
        A FITS file, plain, gzipped or tile-compressed.
    hdu : int or str
        Number or name of the HDU. Where it is 0 and the primary HDU holds no pixels, the
        first HDU that does is taken.
    keywords : sequence of str
        What else to read: from the image's HDU or, where that has not the keyword, from the
        primary.

    Returns
    -------
    header : ImageHeader

    Raises
    ------
    DataError
        If the file is absent, not FITS or cut short; if the HDU is absent, not an image or
        not two-dimensional; if it has no celestial coordinates.
    StoreError
        If the file system fails.

    Notes
    -----
    A header with both PC and CD matrices is read as astropy reads it: PC (with CDELT) wins.
    The header's note says so where the two disagree.
    """
    with _opened(path) as tile:
        index = _image_index(tile.hdus, hdu, path)
        header = tile.hdus[index].header.copy()
        _require_plane(header, index, path)
        found = _keywords((header, tile.hdus[0].header), keywords)
        _require_whole(tile, index, path)
    unit = str(header.get("BUNIT", "")).strip()
    return ImageHeader(
        path=str(path),
        hdu=index,
        wcs=_celestial(header, path),
        shape=(int(header["NAXIS2"]), int(header["NAXIS1"])),
        bunit=unit or None,
        note=_note_of_two_matrices(header),
        keywords=found,
    )


def _keywords(headers: Sequence[fits.Header], names: Sequence[str]) -> dict[str, float | str]:
    """Return the values of keywords, each from the first header that has it."""
    found: dict[str, float | str] = {}
    for name in names:
        value = next((header[name] for header in headers if name in header), None)
        if isinstance(value, bool | int | float | str):
            found[name] = value
    return found


def read_cutout(
    path: str | Path, hdu: int | str = 0, *, rows: slice, columns: slice
) -> NDArray[np.float32]:
    """Return part of an image; no more of the file is read than its format asks for.

    Parameters
    ----------
    path, hdu
        As for `read_header`.
    rows, columns : slice
        Zero-based pixels, both within the image, step 1.

    Returns
    -------
    cutout : (ny, nx) float32
        Scaled by BSCALE and BZERO; BLANK pixels are NaN.

    Raises
    ------
    DataError
        As `read_header`, or if the cutout is empty or reaches outside the image.
    """
    return native(read_section(path, hdu, rows, columns), np.float32)


def read_kernel(path: str | Path, hdu: int | str = 0) -> NDArray[np.float64]:
    """Return a PSF image or convolution kernel, as stored (not normalised).

    Returns
    -------
    kernel : (ny, nx) float64

    Raises
    ------
    DataError
        If the file is absent, not FITS, cut short, or not a two-dimensional image.
    """
    whole = slice(None)
    return native(read_section(path, hdu, whole, whole), np.float64)


def write_image(path: str | Path, data: NDArray[Any], header: Mapping[str, Any]) -> None:
    """Write an image as the primary HDU; readers see all of it or none of it.

    Equal arguments give equal bytes. A path that ends in ``.gz`` is gzipped.

    Parameters
    ----------
    path : str or Path
        The file, replaced if there.
    data : (ny, nx) array
        Pixels, in any dtype FITS knows.
    header : mapping
        Further cards, such as those of a WCS.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    hdu = fits.PrimaryHDU(np.asarray(data))
    for name, value in header.items():
        hdu.header[name] = value
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    content = buffer.getvalue()
    if str(path).endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    with replacing(Path(path)) as part:
        part.write_bytes(content)


@contextmanager
def opened_hdus(path: str | Path) -> Iterator[fits.HDUList]:
    """Give the HDUs of a file, to read pixels and tables from.

    The file stays open, but astropy's copies of what was read are let go at the end.

    Raises
    ------
    DataError
        If the file is absent, not FITS or cut short.
    StoreError
        If the file system fails.
    """
    with _opened(path) as tile:
        hdus = tile.pixels
        try:
            yield hdus
        finally:
            for hdu in list.__iter__(hdus):  # its own iteration would look for further HDUs
                if "data" in vars(hdu):
                    del hdu.data


@contextmanager
def _opened(path: str | Path) -> Iterator[Tile]:
    """Give the open file, with errors as `opened_hdus` raises them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # cut files: we check ourselves
            with opened(path) as tile:
                yield tile
    except FileNotFoundError as error:
        raise DataError(f"no such file: {path}") from error
    except EOFError as error:
        raise DataError(f"{path} is truncated: its compressed data end early") from error
    except OSError as error:
        if error.errno is not None:
            raise StoreError(f"cannot read {path}: {error}") from error
        if is_gzip(Path(path)) and not (content := expanded(Path(path))).whole:
            raise DataError(
                f"{path} is truncated: its gzip stream breaks off after {content.n_bytes} bytes"
            ) from error
        raise DataError(f"{path} is not a FITS file, or damaged: {error}") from error


def _image_index(hdus: fits.HDUList, hdu: int | str, path: str | Path) -> int:
    """Return the number of the HDU that is asked for, falling from an empty primary."""
    try:
        index = int(hdus.index_of(hdu))
        chosen = hdus[index]
    except (KeyError, IndexError) as error:
        present = ", ".join(f"{i} ({h.name or 'no name'})" for i, h in enumerate(hdus))
        raise DataError(f"{path} has no HDU {hdu!r}; it has {present}") from error
    if index == 0 and chosen.header["NAXIS"] == 0:
        for other in range(1, len(hdus)):
            if hdus[other].is_image and hdus[other].header["NAXIS"] > 0:
                return other
        raise DataError(
            f"{path} holds no image in the {len(hdus)} HDUs that can be read; it may be cut short"
        )
    if not chosen.is_image:
        raise DataError(f"HDU {hdu!r} of {path} is a table, not an image")
    return index


def _require_plane(header: fits.Header, index: int, path: str | Path) -> None:
    """Raise `DataError` unless the HDU has two axes of at least one pixel."""
    axes = [int(header[f"NAXIS{i + 1}"]) for i in range(header["NAXIS"])]
    if len(axes) != 2 or min(axes) < 1:
        shape = tuple(reversed(axes))
        raise DataError(f"HDU {index} of {path} has shape {shape}, not that of an image (ny, nx)")


def _require_whole(tile: Tile, index: int, path: str | Path) -> None:
    """Raise `DataError` if the file ends before the HDU's data do; asked once a tile."""
    if index in tile.whole:
        return
    hdu = tile.tables[index]
    promised = int(hdu.fileinfo()["datLoc"]) + int(hdu.size)
    found = content_size(Path(path), at_least=promised)
    if found < promised:
        raise DataError(
            f"{path} is truncated: HDU {index} ends at byte {promised} by its header, "
            f"but the file holds {found} bytes; copy it again"
        )
    tile.whole.add(index)


def _celestial(header: fits.Header, path: str | Path) -> str:
    """Return the header's celestial coordinates as canonical cards."""
    wcs = read_wcs(header, path)
    if not wcs.has_celestial or wcs.naxis != 2:
        types = [str(header.get(f"CTYPE{i}", "absent")) for i in (1, 2)]
        raise DataError(f"{path} has no celestial WCS: its CTYPE1, CTYPE2 are {types}")
    return wcs_cards(wcs)


def read_wcs(header: fits.Header, path: str | Path, *, naxis: int | None = None) -> WCS:
    """Return the world coordinates of a header, of its first ``naxis`` axes if that is given.

    Raises
    ------
    DataError
        If they cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # old but unambiguous spellings
        try:
            return WCS(header, naxis=naxis)
        except (ValueError, KeyError, AssertionError, MemoryError) as error:
            raise DataError(f"the WCS of {path} cannot be read: {error}") from error


def wcs_cards(wcs: WCS) -> str:
    """Return a WCS as FITS cards, 80 characters each."""
    text: str = wcs.to_header(relax=True).tostring(sep="", endcard=False, padding=False)
    return text


def _note_of_two_matrices(header: fits.Header) -> str:
    """Return a note if PC (times CDELT) and CD are both given and disagree."""
    pc = _matrix(header, "PC", np.eye(2))
    cd = _matrix(header, "CD", np.zeros((2, 2)))
    if pc is None or cd is None:
        return ""
    steps = np.array([float(header.get(f"CDELT{i}", 1.0)) for i in (1, 2)])
    scaled = steps[:, None] * pc
    if np.max(np.abs(scaled - cd)) <= _MATRIX_TOLERANCE * np.max(np.abs(scaled)):
        return ""
    return "both PC and CD matrices are given, and disagree; PC is used"


def _matrix(
    header: fits.Header, name: str, default: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return a 2 x 2 matrix of a header; None if no element is given."""
    keys = [[f"{name}{i}_{j}" for j in (1, 2)] for i in (1, 2)]
    if not any(key in header for row in keys for key in row):
        return None
    return np.array([[header.get(keys[i][j], default[i, j]) for j in (0, 1)] for i in (0, 1)])


def image_shape(path: str | Path, hdu: int | str = 0) -> tuple[int, int]:
    """Return (ny, nx) of an image, which need have no WCS.

    Raises
    ------
    DataError
        If the file is absent, not FITS or cut short, or holds no two-dimensional image there.
    """
    with _opened(path) as tile:
        index = _image_index(tile.hdus, hdu, path)
        header = tile.hdus[index].header
        _require_plane(header, index, path)
        _require_whole(tile, index, path)
        return int(header["NAXIS2"]), int(header["NAXIS1"])


def read_section(
    path: str | Path, hdu: int | str, rows: slice, columns: slice
) -> NDArray[np.floating[Any]]:
    """Return part of an image in the dtype its scaling gives; else as `read_cutout`."""
    shape = image_shape(path, hdu)
    rows, columns = _within(rows, shape[0]), _within(columns, shape[1])
    if rows.stop > shape[0] or columns.stop > shape[1]:
        raise DataError(
            f"rows {rows.start}:{rows.stop}, columns {columns.start}:{columns.stop} reach outside "
            f"{path}, whose shape is {shape}"
        )
    if rows.stop <= rows.start or columns.stop <= columns.start:
        raise DataError(f"empty cutout of {path}: rows {rows}, columns {columns}")
    with opened_hdus(path) as hdus:
        section = hdus[_image_index(hdus, hdu, path)].section[rows, columns]
        return np.array(section)


def _within(part: slice, n: int) -> slice:
    """Return a slice with both ends stated."""
    start = 0 if part.start is None else int(part.start)
    return slice(max(start, 0), n if part.stop is None else int(part.stop))


def native(values: NDArray[Any], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Return contiguous values in the machine's byte order; what overflows is infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=dtype)
