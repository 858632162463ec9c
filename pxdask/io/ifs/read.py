"""Slices of a cube in physical units, with errors and flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from astropy.wcs import WCS

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import IFS
from pxdask.io.fits import opened_hdus, wcs_cards

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.io.ifs.header import IfsHeader
    from pxdask.io.ifs.layout import ErrorKind, Layout

    Floats = NDArray[np.float64]
    Part = tuple[slice, slice, slice]

_ALL = slice(None)


def read_ifs(
    header: IfsHeader, start: int, stop: int, *, rows: slice = _ALL, columns: slice = _ALL
) -> xr.Dataset:
    """Return some slices of a cube; no others are read.

    Parameters
    ----------
    header : IfsHeader
        Of the cube.
    start, stop : int
        Wavelengths, as numbers in ``header.wave``.
    rows, columns : slice
        Zero-based pixels, step 1; default: all.

    Returns
    -------
    slices : xarray.Dataset
        Schema ifs/1, ``flux`` and ``flux_err`` in (wave, y, x) [1e-17 erg s-1 cm-2 Angstrom-1 per
        pixel]. Flux is NaN where the file has none (`Flag.NO_DATA`) and where its mask says not to
        use it (`Flag.MASKED`); the error there, and where it is missing, zero, negative or infinite
        (`Flag.NO_ERROR`). attrs: wcs (of the part), kind, ebv (None: the file does not state it),
        noise_area, bunit, air_converted, psf, path.

    Raises
    ------
    DataError
        If the part is empty or reaches outside the cube, or the file is damaged.
    StoreError
        If the file system fails.
    """
    n_wave, ny, nx = header.shape
    rows, columns = _within(rows, ny), _within(columns, nx)
    if not (0 <= start < stop <= n_wave and _inside(rows, ny) and _inside(columns, nx)):
        raise DataError(
            f"slices {start}:{stop}, rows {rows.start}:{rows.stop}, columns {columns.start}:"
            f"{columns.stop} of {header.path} are empty or reach outside its shape {header.shape}"
        )
    part = (slice(header.first + start, header.first + stop), rows, columns)
    with opened_hdus(header.path) as hdus:
        try:
            planes = _planes(hdus, header.layout, part)
        except (ValueError, IndexError) as error:
            raise DataError(f"{header.path} is damaged, or not what it was: {error}") from error
    flux, sigma, flags = planes
    factor = header.factor[start:stop, None, None]
    with np.errstate(over="ignore"):
        variables: dict[str, Any] = {
            "flux": (flux * factor).astype(np.float32),
            "flux_err": (sigma * factor).astype(np.float32),
            "flags": flags,
        }
    slices = xr.Dataset(
        {name: (("wave", "y", "x"), values, IFS.attrs(name)) for name, values in variables.items()}
        | {
            name: ("wave", getattr(header, name)[start:stop], IFS.attrs(name))
            for name in ("lsf_fwhm", "psf_fwhm")
        },
        coords={"wave": ("wave", header.wave[start:stop], IFS.attrs("wave"))},
        attrs=_attrs(header, rows, columns),
    )
    slices["flags"].attrs |= flag_attrs()
    return IFS.validate(slices)


def _attrs(header: IfsHeader, rows: slice, columns: slice) -> dict[str, Any]:
    """Return the attributes of a part of a cube."""
    return {
        "schema": IFS.tag,
        "wcs": wcs_cards(WCS(header.wcs, fix=False)[rows, columns]),
        "kind": header.kind,
        "ebv": header.ebv,
        "noise_area": header.noise_area,
        "bunit": header.bunit,
        "air_converted": int(header.air_converted),
        "psf": header.psf,
        "path": header.path,
    }


def _planes(
    hdus: Any,  # noqa: ANN401  astropy is untyped
    layout: Layout,
    part: Part,
) -> tuple[Floats, Floats, NDArray[np.uint16]]:
    """Return flux and its error in the file's unit, and flags, of part of a cube."""
    flux = np.array(hdus[layout.flux].section[part], dtype=np.float64)
    masked, empty = np.zeros(flux.shape, bool), ~np.isfinite(flux)
    if layout.mask is not None:
        bits = _bits(np.asarray(hdus[layout.mask].section[part]))
        masked = (bits & layout.bad_bits) != 0
        empty |= (bits & layout.empty_bits) != 0
    if layout.error is None:
        sigma = np.full(flux.shape, np.nan)
    else:
        sigma = _sigma(np.array(hdus[layout.error].section[part], np.float64), layout.error_kind)
    without = ~np.isfinite(sigma)
    flags = np.zeros(flux.shape, np.uint16)
    for flag, where in ((Flag.NO_DATA, empty), (Flag.NO_ERROR, without), (Flag.MASKED, masked)):
        flags[where] |= np.uint16(flag)
    unusable = empty | masked
    flux[unusable] = np.nan
    sigma[unusable] = np.nan
    return flux, sigma, flags


def _bits(mask: NDArray[Any]) -> NDArray[np.int64]:
    """Return a mask as whole numbers, whatever it is stored as; NaN is all bits."""
    if np.issubdtype(mask.dtype, np.floating):
        return np.where(np.isfinite(mask), mask, -1).astype(np.int64)
    return mask.astype(np.int64)


def _sigma(values: Floats, kind: ErrorKind) -> Floats:
    """Return standard deviations; NaN for values that are not positive and finite."""
    good = np.isfinite(values) & (values > 0)
    safe = np.where(good, values, 1.0)
    if kind == "ivar":
        safe = 1 / np.sqrt(safe)
    elif kind == "variance":
        safe = np.sqrt(safe)
    return np.where(good, safe, np.nan)


def _within(part: slice, n: int) -> slice:
    """Return a slice with both ends stated."""
    start = 0 if part.start is None else int(part.start)
    return slice(start, n if part.stop is None else int(part.stop))


def _inside(part: slice, n: int) -> bool:
    """Return whether a slice holds something, and nothing outside."""
    return bool(0 <= part.start < part.stop <= n)
