"""Axes of a cube: wavelengths of its slices, celestial coordinates of its pixels."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.units import Unit, UnitsWarning

from pxdask.core.errors import DataError
from pxdask.io.fits import read_wcs

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from pxdask.io.ifs.layout import CubeFile

    Floats = NDArray[np.float64]

_CELESTIAL = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CUNIT|CDELT|CROTA)[12]|(CD|PC)[12]_[12]|PV[12]_\d+"
    r"|RADESYS|RADECSYS|EQUINOX|LONPOLE|LATPOLE"
)
"""Cards of the two celestial axes; others of a cube confuse readers, as SAMI's PLATEID does."""

_NOT_WAVE = ("FREQ", "ENER", "WAVN", "VRAD", "VOPT", "VELO", "ZOPT", "BETA", "FELO")
"""Spectral coordinates of FITS paper III (Greisen et al. 2006) that are not wavelengths."""


def axis_wave(cube: CubeFile, hdu: int, *, default_unit: str = "") -> Floats:
    """Return the wavelengths of a cube's slices by its third axis, as they are in the file.

    Parameters
    ----------
    cube : CubeFile
        The file.
    hdu : int
        HDU whose header has the axis.
    default_unit : str
        Unit where CUNIT3 is absent; empty: it must be there.

    Returns
    -------
    wave : (n_wave,) float64
        In air where CTYPE3 begins with AWAV (`in_air`) [Angstrom].

    Raises
    ------
    DataError
        If the axis is not of wavelengths, is not parallel to the third, or its unit is not a
        length.

    Notes
    -----
    Linear axes, logarithmic ones (-LOG: Greisen et al. 2006, eq. 5; DC-FLAG 1: powers of ten,
    as IRAF has them) and tables (-TAB, of one dimension).
    """
    header = cube.header(hdu)
    kind = str(header.get("CTYPE3", "")).strip().upper()
    if kind.startswith(_NOT_WAVE):
        raise DataError(
            f"{cube.path}: CTYPE3 is {kind!r}; wanted an axis of wavelengths, WAVE or AWAV"
        )
    scale = length_unit(cube, header.get("CUNIT3"), default=default_unit, key="CUNIT3")
    if kind.endswith("-TAB"):
        return _table_wave(cube, hdu) * scale
    step, n_wave = _axis_step(cube, hdu), int(header["NAXIS3"])
    start, reference = float(header.get("CRVAL3", 0.0)), float(header.get("CRPIX3", 1.0))
    offset = step * (np.arange(n_wave) + 1 - reference)
    if kind.endswith("-LOG"):
        if start <= 0:
            raise DataError(f"{cube.path}: CRVAL3 is {start}; wanted a wavelength above zero")
        logarithmic: Floats = start * np.exp(offset / start) * scale
        return logarithmic
    wave = start + offset
    if header.get("DC-FLAG") == 1:
        wave = np.asarray(10.0**wave, dtype=np.float64)
    return np.asarray(wave * scale, dtype=np.float64)


def in_air(cube: CubeFile, hdu: int, *, default: bool) -> bool:
    """Return whether a cube's wavelengths are in air, by CTYPE3 where it says so.

    A plain WAVE is taken at its word only where the survey is not known for air: pipelines
    write it for either.
    """
    kind = str(cube.header(hdu).get("CTYPE3", "")).strip().upper()
    return kind.startswith("AWAV") or default


def length_unit(cube: CubeFile, text: object, *, default: str, key: str) -> float:
    """Return the Angstroms in a stated unit of length, or raise `DataError` naming the key."""
    stated = "" if text is None else str(text).strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnitsWarning)
            return float(Unit(_spelled(stated or default)).to("Angstrom"))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{cube.path}: {key} is {stated or 'absent'!r}; wanted a unit of length, such as "
            "Angstrom, nm or um; correct the header"
        ) from error


def _spelled(text: str) -> str:
    """Return a unit of length as astropy spells it."""
    known = {"a": "Angstrom", "ang": "Angstrom", "angstroms": "Angstrom", "angstrom": "Angstrom"}
    known |= {"micrometer": "um", "microns": "um", "nanometer": "nm", "": "none"}
    return known.get(text.lower(), text)


def _axis_step(cube: CubeFile, hdu: int) -> float:
    """Return the step of the third axis, which must not be mixed with the others."""
    header = cube.header(hdu)
    mixed = [f"{m}{i}" for m in ("CD", "PC") for i in ("1_3", "2_3", "3_1", "3_2")]
    if odd := [key for key in mixed if float(header.get(key, 0.0)) != 0]:
        raise DataError(
            f"{cube.path}: {odd[0]} is {header[odd[0]]}; wanted 0: wavelength must not change "
            "across a slice"
        )
    step = header.get("CD3_3")
    if step is None and "CDELT3" in header:
        step = float(header["CDELT3"]) * float(header.get("PC3_3", 1.0))
    if step is None or not float(step):
        raise DataError(
            f"{cube.path}: HDU {hdu} has neither CD3_3 nor CDELT3, or they are 0; wanted the step "
            "of its wavelengths"
        )
    return float(step)


def _table_wave(cube: CubeFile, hdu: int) -> Floats:
    """Return the wavelengths of a -TAB axis, in the axis's unit."""
    header = cube.header(hdu)
    table, column = str(header.get("PS3_0", "WCS-TABLE")), str(header.get("PS3_1", "wavelength"))
    index = cube.need(table.strip().upper())
    try:
        values = np.array(cube.hdus[index].data[column.strip()], dtype=np.float64).ravel()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{cube.path}: HDU {table!r} has no column {column!r}, which PS3_1 names"
        ) from error
    return values


def require_wave(
    cube: CubeFile, wave: Floats, *, n_wave: int, between: tuple[float, float]
) -> None:
    """Raise `DataError` unless wavelengths increase and are what such a cube can have."""
    if wave.shape != (n_wave,):
        raise DataError(f"{cube.path} has {n_wave} slices, but {wave.size} wavelengths")
    if not np.all(np.isfinite(wave)) or np.any(np.diff(wave) <= 0):
        raise DataError(f"{cube.path}: wavelengths do not increase from slice to slice")
    if wave[0] < between[0] or wave[-1] > between[1]:
        raise DataError(
            f"{cube.path}: its wavelengths are {wave[0]:.6g} to {wave[-1]:.6g} Angstrom by CRVAL3 "
            f"and CUNIT3 or by its table; wanted within {between[0]:g} to {between[1]:g} Angstrom; "
            "is CUNIT3 right?"
        )


def celestial(cube: CubeFile, hdu: int) -> WCS:
    """Return the celestial coordinates of a cube's pixels.

    Raises
    ------
    DataError
        If its first two axes are not celestial.
    """
    header = fits.Header()
    for card in cube.header(hdu).cards:
        if _CELESTIAL.fullmatch(card.keyword):
            header[card.keyword] = card.value
    if any(f"CD{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
        header.remove("CDELT1", ignore_missing=True)  # CD has the steps; older files state both
        header.remove("CDELT2", ignore_missing=True)
    wcs = read_wcs(header, cube.path, naxis=2)
    if not wcs.has_celestial:
        types = [str(header.get(f"CTYPE{i}", "absent")) for i in (1, 2)]
        raise DataError(
            f"{cube.path} has no celestial WCS: CTYPE1, CTYPE2 of HDU {hdu} are {types}; wanted "
            "RA---TAN and DEC--TAN or the like"
        )
    return wcs


def pixel_side(cube: CubeFile, hdu: int) -> float:
    """Return the side of an HDU's pixels, the root of their area [arcsec]."""
    area = celestial(cube, hdu).proj_plane_pixel_area()
    return float(np.sqrt(area.to_value("arcsec2")))
