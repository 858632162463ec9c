"""One band as it is on disk: image, uncertainty and PSF around one galaxy, as raw/1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from astropy.wcs import WCS

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.schema import RAW
from pxdask.io.fits import image_shape, native, read_cutout, read_kernel, read_section, wcs_cards

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.core.config import BandConfig
    from pxdask.io.fits import ImageHeader

_SAFE_DECADES = 25
"""Uncertainties beyond 10^+-25 are scaled before they are stored in float32 (10^+-38)."""


def read_raw(
    band: BandConfig, header: ImageHeader, *, footprint: tuple[slice, slice] | None = None
) -> xr.Dataset:
    """Return what is on disk for one band around one galaxy: image, uncertainty, PSF.

    Parameters
    ----------
    band : BandConfig
        The band, its path templates already filled in.
    header : ImageHeader
        Of the band's science image.
    footprint : tuple of slice, optional
        Rows and columns to read; default: all.

    Returns
    -------
    raw : xarray.Dataset
        Schema raw/1. attrs: wcs (of the cutout), bunit or zero_point, uncertainty_kind,
        uncertainty_scale (the uncertainty in the image's unit is the variable times this; 1
        unless float32 could not hold it), psf_kind, psf_fwhm [arcsec] where given, path.

    Raises
    ------
    ConfigError
        If neither the band nor the header names a unit or zero point.
    DataError
        If a file cannot be used, or the uncertainty's shape is not the image's.
    """
    given = band.uncertainty
    shape = image_shape(given.path, given.hdu)
    if shape != header.shape:
        raise DataError(
            f"band {band.name!r}: the uncertainty image {given.path} has shape {shape}, but the "
            f"image {header.path} has {header.shape}; they must share one pixel grid"
        )
    rows, columns = footprint or (slice(0, shape[0]), slice(0, shape[1]))
    uncertainty = read_section(given.path, given.hdu, rows, columns).astype(np.float64)
    scale = _storage_scale(uncertainty)
    variables: dict[str, Any] = {
        "image": (("y", "x"), read_cutout(header.path, header.hdu, rows=rows, columns=columns)),
        "uncertainty": (("y", "x"), native(uncertainty / scale, np.float32)),
    }
    if (psf_path := band.psf.image or band.psf.kernel) is not None:
        variables["psf"] = (("psf_y", "psf_x"), read_kernel(psf_path))
    wcs = WCS(header.wcs, fix=False)[rows, columns]
    attrs = {
        "schema": RAW.tag,
        "wcs": wcs_cards(wcs),
        **_brightness_scale(band, header),
        "uncertainty_kind": given.kind,
        "uncertainty_scale": scale,
        **_psf_attrs(band),
        "path": header.path,
    }
    raw = xr.Dataset(
        {name: (*value, RAW.attrs(name)) for name, value in variables.items()}, attrs=attrs
    )
    return RAW.validate(raw)


def _storage_scale(values: NDArray[np.float64]) -> float:
    """Return a power of ten that brings values to where float32 is precise, or 1."""
    used = np.abs(values[np.isfinite(values) & (values != 0)])
    if used.size == 0:
        return 1.0
    decade = float(np.floor(np.log10(np.median(used))))
    return 1.0 if abs(decade) < _SAFE_DECADES else float(10.0**decade)


def _brightness_scale(band: BandConfig, header: ImageHeader) -> dict[str, Any]:
    """Return the attribute that says what one unit of the image is worth."""
    if band.zero_point is not None:
        return {"zero_point": band.zero_point}
    unit = band.unit or header.bunit
    if unit is None:
        raise ConfigError(
            f"band {band.name!r}: {header.path} has no BUNIT; give the band a unit or zero_point"
        )
    return {"bunit": unit}


def _psf_attrs(band: BandConfig) -> dict[str, Any]:
    """Return the attributes that tell what is known of the band's PSF."""
    psf = band.psf
    if psf.fwhm is not None:
        return {"psf_kind": "fwhm", "psf_fwhm": psf.fwhm}
    return {"psf_kind": "image" if psf.image is not None else "kernel"}
