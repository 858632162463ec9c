"""Sersic profiles of a galaxy as one FITS file: data, model and residual of each band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from pxdask.core.schema import MORPHOLOGY
from pxdask.io.export import fits_unit, image_header, primary_header
from pxdask.io.extensions import write_hdus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import xarray as xr

PLANES = ("DATA", "ERROR", "MODEL", "RESIDUAL")


def write_profiles_fits(path: Path, *, profiles: xr.Dataset, header: Mapping[str, object]) -> None:
    """Write what was fitted to a galaxy, and what is left of it, as one FITS file.

    It appears whole or not at all; equal content gives equal bytes. HDUs: a primary header without
    data; of each band ``DATA_band``, ``ERROR_band``, ``MODEL_band`` and ``RESIDUAL_band`` (data
    less model) on the band's own pixels, NaN where masked; the table ``PROFILES``, a row for each
    source and band.

    Parameters
    ----------
    path : Path
        Name of the file.
    profiles : xarray.Dataset
        Schema morphology/1.
    header : mapping
        Keys of the primary header.

    Raises
    ------
    SchemaError
        If the dataset does not have its form.
    StoreError
        If the file cannot be written.
    """
    MORPHOLOGY.validate(profiles)
    hdus: list[Any] = [fits.PrimaryHDU(header=primary_header(header, profiles))]
    for i, band in enumerate(profiles["band"].values):
        hdus.extend(_band_hdus(profiles.isel(band=i), str(band)))
    hdus.append(_table(profiles))
    write_hdus(hdus, path)


def _band_hdus(one: xr.Dataset, band: str) -> list[fits.ImageHDU]:
    """Return the images of one band, without the empty margins that bands of one shape need."""
    data, error, model = (one[name].values for name in ("data", "error", "model"))
    used = np.isfinite(error) | np.isfinite(data)
    rows, columns = (_span(used.any(axis=axis)) for axis in (1, 0))
    wcs = WCS(str(one["wcs"].values)).celestial[rows, columns]
    hdus = []
    for name, plane in zip(PLANES, (data, error, model, data - model), strict=True):
        title = f"{name.lower()} of band {band}"
        card = image_header(wcs, unit=one["data"].attrs["units"], title=title)
        card["BAND"] = band
        card["PIVOT"] = (float(one["pivot_wave"]), "[Angstrom] pivot wavelength")
        card["PIXSCALE"] = (float(one["pixel_scale"]), "[arcsec] side of a pixel")
        cut = np.ascontiguousarray(plane[rows, columns], dtype=np.float32)
        hdus.append(fits.ImageHDU(cut, header=card, name=f"{name}_{band}".upper()))
    return hdus


def _span(used: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> slice:
    """Return the smallest slice that holds all that is used; all, where nothing is."""
    places = np.flatnonzero(used)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, used.size)


def _table(profiles: xr.Dataset) -> fits.BinTableHDU:
    """Return parameters with their uncertainties, a row for each source and band."""
    n_source, n_band = profiles.sizes["source"], profiles.sizes["band"]

    def text(name: str, values: list[str]) -> fits.Column:
        width = max(1, *(len(word) for word in values))
        return fits.Column(name=name, format=f"{width}A", array=np.array(values))

    def number(
        name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], unit: str = ""
    ) -> fits.Column:
        return fits.Column(
            name=name, format="D", array=values.reshape(-1), unit=fits_unit(unit) or None
        )

    sources = [str(name) for name in profiles["source"].values]
    bands = [str(name) for name in profiles["band"].values]
    each = (n_source, n_band)
    columns = [
        text("source", [name for name in sources for _ in bands]),
        text("band", bands * n_source),
        number("pivot_wave", np.broadcast_to(profiles["pivot_wave"].values, each), "Angstrom"),
        number("chi2", np.broadcast_to(profiles["chi2"].values, each)),
        number("snr", profiles["snr"].values),
    ]
    form = ("source", "band", "quantile")
    for name in sorted(str(key) for key, one in profiles.data_vars.items() if one.dims == form):
        unit = str(profiles[name].attrs["units"])
        for i, probability in enumerate(profiles["quantile"].values):
            label = f"{name}_p{round(100 * float(probability)):02d}"
            columns.append(number(label, profiles[name].values[..., i], unit))
        columns += [
            number(f"{name}{end}", profiles[f"{name}{end}"].values, unit)
            for end in ("_std", "_best")
            if f"{name}{end}" in profiles
        ]
    flags = np.broadcast_to(profiles["flags"].values[:, None], each).astype(np.int32)
    columns.append(fits.Column(name="flags", format="J", array=flags.reshape(-1)))
    return fits.BinTableHDU.from_columns(columns, name="PROFILES")
