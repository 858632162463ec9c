"""Cubes of images and of spectra as FITS files that viewers of cubes open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from pxdask.core.errors import SchemaError
from pxdask.core.flags import Flag
from pxdask.core.schema import CUBE, IMAGE
from pxdask.io.export import (
    fits_unit,
    image_header,
    primary_header,
    set_band_cards,
    set_flag_cards,
)
from pxdask.io.extensions import write_hdus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TABLE = "WCS-TABLE"
"""Name of the HDU with the wavelengths of a cube whose steps are not even."""

_EVEN = 1e-3
"""Largest departure from even steps, in steps, of an axis that is written as even [1]."""

_PLANES = {"flux": "FLUX", "flux_err": "ERR", "flags": "DQ"}


def write_cube_fits(path: Path, cube: xr.Dataset, *, header: Mapping[str, object]) -> None:
    """Write a cube with a wavelength axis: HDUs FLUX, ERR (1 sigma), DQ (flags), REGION, BANDS.

    Parameters
    ----------
    path : Path
        Name of the file; it appears whole or not at all, and equal content gives equal bytes.
    cube : xarray.Dataset
        Schema image/1, whose bands are put at their pivot wavelengths, in increasing order, or
        cube/1; with ``attrs['wcs']``.
    header : mapping
        Keys of the primary header, as of `write_maps_fits`.

    Raises
    ------
    SchemaError
        If the dataset is of neither schema or has no WCS.
    StoreError
        If the file cannot be written.

    Notes
    -----
    The third axis of spectra is ``WAVE`` where wavelengths have even steps, ``WAVE-LOG`` where
    their logarithms have, to 0.1 per cent of a step (Greisen et al. 2006, A&A 446, 747, section 3).
    Else, and of images, it counts planes from 1, as ``PLANE`` or ``BAND``, and the wavelengths are
    those of a second description, ``A``, by a table in the same file (``WAVE-TAB``, section 6),
    since readers need the whole file for it: ``WCS(hdus["FLUX"].header, hdus, key="A")``. The
    first needs its header alone. BANDS, of images, tells bands, wavelengths and PSFs;
    WAVELENGTHS, of spectra, wavelengths and widths of the line spread function.
    """
    schema = CUBE if cube.attrs.get("schema") == CUBE.tag else IMAGE
    schema.validate(cube)
    if "wcs" not in cube.attrs:
        raise SchemaError(f"{path}: the cube has no attrs['wcs'], which its pixels' positions need")
    of_images = schema is IMAGE
    if of_images:  # viewers want wavelengths that increase
        cube = cube.sortby("pivot_wave")
    wave = cube["pivot_wave" if of_images else "wave"].values
    wcs = WCS(str(cube.attrs["wcs"])).celestial
    axis = None if of_images else wave_cards(wave)
    plane = ("BAND" if of_images else "PLANE") if axis is None else "WAVE"
    hdus: list[Any] = [fits.PrimaryHDU(header=primary_header(header, cube))]
    for name, own in _PLANES.items():
        attrs, values = cube[name].attrs, cube[name].values
        cards = image_header(
            wcs, unit=attrs["units"], title=attrs.get("long_name", name), plane=plane
        )
        cards.update(_table_cards(wcs) if axis is None else axis)
        if of_images:
            set_band_cards(cards, cube)
        if name == "flags":
            set_flag_cards(cards)
            values = values.astype(np.int16 if max(Flag) < 2**15 else np.int32)
        hdus.append(fits.ImageHDU(values, header=cards, name=own))
    if "region" in cube:
        cards = image_header(wcs, unit="", title="1: pixel of the galaxy")
        hdus.append(fits.ImageHDU(cube["region"].values.astype(np.uint8), cards, name="REGION"))
    hdus.append(_about_planes(cube, of_images=of_images))
    if axis is None:
        hdus.append(_wave_table(wave))
    write_hdus(hdus, path)


def wave_cards(wave: Floats) -> dict[str, str | float] | None:
    """Return the cards of a third axis of wavelengths (n_wave,) [Angstrom]; None if uneven.

    Linear or logarithmic, whichever tells them right; see `write_cube_fits`.
    """
    if wave.size < 2 or not np.all(np.diff(wave) > 0):
        return None
    cards: dict[str, str | float] = {"CUNIT3": "Angstrom", "CRPIX3": 1.0, "CRVAL3": float(wave[0])}
    number = np.arange(wave.size)
    step = (wave[-1] - wave[0]) / (wave.size - 1)
    if np.max(np.abs(wave - wave[0] - step * number)) <= _EVEN * step:
        return cards | {"CTYPE3": "WAVE", "CDELT3": float(step)}
    log_step = np.log(wave[-1] / wave[0]) / (wave.size - 1)
    if np.max(np.abs(np.log(wave / wave[0]) - log_step * number)) <= _EVEN * log_step:
        return cards | {"CTYPE3": "WAVE-LOG", "CDELT3": float(wave[0] * log_step)}
    return None


def _table_cards(wcs: WCS) -> fits.Header:
    """Return the cards of a second description of a cube, whose wavelengths are in a table."""
    cards = wcs.to_header(key="A")
    axis = {"CTYPE3A": "WAVE-TAB", "CUNIT3A": "Angstrom", "CRPIX3A": 1.0}
    axis |= {"CRVAL3A": 1.0, "CDELT3A": 1.0, "PS3_0A": TABLE, "PS3_1A": "WAVE"}
    cards.update({"WCSAXESA": 3, "WCSNAMEA": "wavelength", **axis})
    return cards


def _wave_table(wave: Floats) -> fits.BinTableHDU:
    """Return the lookup table of an axis: one row, one array."""
    column = fits.Column(
        name="WAVE",
        format=f"{wave.size}D",
        dim=f"(1,{wave.size})",
        unit="Angstrom",
        array=wave.reshape(1, -1, 1),
    )
    return fits.BinTableHDU.from_columns([column], name=TABLE)


def _about_planes(cube: xr.Dataset, *, of_images: bool) -> fits.BinTableHDU:
    """Return what there is to tell of each plane, a row each."""
    names = ("pivot_wave", "psf_fwhm", "noise_area") if of_images else ("wave", "lsf_fwhm")
    columns = []
    if of_images:
        bands = np.array([str(band) for band in cube["band"].values])
        columns.append(fits.Column(name="band", format=f"{bands.itemsize // 4}A", array=bands))
    columns += [
        fits.Column(
            name=name,
            format="D",
            unit=fits_unit(cube[name].attrs["units"]) or None,
            array=cube[name].values,
        )
        for name in names
    ]
    return fits.BinTableHDU.from_columns(columns, name="BANDS" if of_images else "WAVELENGTHS")
