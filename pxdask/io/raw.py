"""One band as it is on disk: image, uncertainty and PSF around one galaxy, as raw/1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from astropy.wcs import WCS

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.schema import RAW
from pxdask.io.fits import image_shape, native, read_cutout, read_kernel, read_section, wcs_cards
from pxdask.io.sdss import frame_planes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.core.config import BandConfig, PsfConfig, UncertaintyConfig
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
        Schema raw/1. attrs: wcs (of the cutout), bunit or zero_point, keywords (of the
        header, that recipes use), uncertainty_kind (``sky`` or ``recipe`` where there is no
        image of it), uncertainty_scale (the uncertainty in the image's unit is the variable
        times this; 1 unless float32 could not hold it), psf_kind, psf_fwhm [arcsec], psf_shape
        and its numbers where given, path. SDSS frames without an uncertainty come with
        ``calibration`` and ``sky``.

    Raises
    ------
    ConfigError
        If the band has neither a survey nor a unit or zero point, and the header no BUNIT.
    DataError
        If a file cannot be used, or the uncertainty's shape is not the image's.
    """
    rows, columns = footprint or (slice(0, header.shape[0]), slice(0, header.shape[1]))
    part = {"rows": rows, "columns": columns}
    planes: dict[str, Any] = {"image": read_cutout(header.path, header.hdu, **part)}
    attrs: dict[str, Any] = {"uncertainty_kind": "recipe"}
    if band.uncertainty is not None:
        attrs = {"uncertainty_kind": band.uncertainty.kind}
        if band.uncertainty.path:
            planes["uncertainty"], scale = _uncertainty(band.uncertainty, header, band.name, **part)
            attrs["uncertainty_scale"] = scale
    elif band.survey == "sdss":
        planes |= frame_planes(header.path, **part)
    if band.exposure is not None:
        _require_shape(band.exposure, 0, header, f"band {band.name!r}: the exposure map")
        planes["exposure"] = read_cutout(band.exposure, 0, **part)
    variables: dict[str, Any] = {name: (("y", "x"), plane) for name, plane in planes.items()}
    psf = band.needed_psf
    if (psf_path := psf.image or psf.kernel) is not None:
        variables["psf"] = (("psf_y", "psf_x"), read_kernel(psf_path))
    attrs |= {
        "schema": RAW.tag,
        "wcs": wcs_cards(WCS(header.wcs, fix=False)[rows, columns]),
        **_brightness_scale(band, header),
        "keywords": dict(header.keywords),
        **_psf_attrs(psf),
        "path": header.path,
    }
    raw = xr.Dataset(
        {name: (*value, RAW.attrs(name)) for name, value in variables.items()}, attrs=attrs
    )
    return RAW.validate(raw)


def _uncertainty(
    given: UncertaintyConfig, header: ImageHeader, name: str, *, rows: slice, columns: slice
) -> tuple[NDArray[np.float32], float]:
    """Return the uncertainty image divided by a scale, and the scale."""
    _require_shape(given.path, given.hdu, header, f"band {name!r}: the uncertainty image")
    values = read_section(given.path, given.hdu, rows, columns).astype(np.float64)
    scale = _storage_scale(values)
    return native(values / scale, np.float32), scale


def _require_shape(path: str, hdu: int | str, header: ImageHeader, what: str) -> None:
    """Raise `DataError` unless an image has the shape of the science image."""
    if (shape := image_shape(path, hdu)) != header.shape:
        raise DataError(
            f"{what} {path} has shape {shape}, but the image {header.path} has {header.shape}; "
            "they must share one pixel grid"
        )


def _storage_scale(values: NDArray[np.float64]) -> float:
    """Return a power of ten that brings values to where float32 is precise, or 1."""
    used = np.abs(values[np.isfinite(values) & (values != 0)])
    if used.size == 0:
        return 1.0
    decade = float(np.floor(np.log10(np.median(used))))
    return 1.0 if abs(decade) < _SAFE_DECADES else float(10.0**decade)


def _brightness_scale(band: BandConfig, header: ImageHeader) -> dict[str, Any]:
    """Return the attributes that say what one unit of the image is worth.

    Images of a known survey may have neither: their keywords tell.
    """
    if band.zero_point is not None:
        return {"zero_point": band.zero_point}
    unit = band.unit or header.bunit
    if unit is not None:
        return {"bunit": unit}
    if band.survey is not None:
        return {}
    raise ConfigError(
        f"band {band.name!r}: {header.path} has no BUNIT; give the band a unit or zero_point"
    )


def _psf_attrs(psf: PsfConfig) -> dict[str, Any]:
    """Return the attributes that tell what is known of the band's PSF."""
    if psf.fwhm is None:
        kind = "image" if psf.image is not None else "kernel"
        scale = {} if psf.pixel_scale is None else {"psf_pixel_scale": psf.pixel_scale}
        return {"psf_kind": kind, **scale}
    names = ("second_fwhm", "second_weight", "beta")
    further = {name: getattr(psf, name) for name in names if getattr(psf, name) is not None}
    return {"psf_kind": "fwhm", "psf_fwhm": psf.fwhm, "psf_shape": psf.shape, **further}
