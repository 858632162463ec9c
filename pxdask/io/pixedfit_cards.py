"""Keys that the FITS files of piXedfit have in common, written and read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.units import Unit
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

from pxdask.core.errors import ConfigError, DataError
from pxdask.io.filters import load_filters
from pxdask.kernels.bandpass import flux_per_frequency, pivot_wave

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import xarray as xr
    from astropy.io import fits
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

UNIT = 1e-17
"""What fluxes are written in [erg s-1 cm-2 Angstrom-1]; that of our spectra too."""

BUNIT = "erg/s/cm^2/A"


def add_cards(
    cards: fits.Header,
    galaxy: Mapping[str, object],
    *,
    wcs: object,
    psf_fwhm: float,
    with_spectra: bool,
) -> None:
    """Add what describes the galaxy and its cubes.

    Parameters
    ----------
    cards : Header
        Is added to.
    galaxy : mapping
        Catalogue row: ``id``, ``ra``, ``dec`` [deg], ``redshift`` and, if known, ``ebv``.
    wcs : str or None
        FITS header of the pixels.
    psf_fwhm : float
        [arcsec]; NaN where not known.
    with_spectra : bool
        Whether the file has spectra.
    """
    for key, column in (("RA", "ra"), ("DEC", "dec"), ("z", "redshift"), ("GalEBV", "ebv")):
        value = galaxy.get(column)
        if isinstance(value, int | float | np.number) and math.isfinite(value):
            cards[key] = float(value)
    cards["object"] = str(galaxy.get("id", "")).encode("ascii", "backslashreplace").decode()[:60]
    cards["unit"], cards["bunit"] = UNIT, BUNIT
    structures = (("structph", "(band,y,x)"), ("structsp", "(wavelength,y,x)"))
    cards.update(structures if with_spectra else (("struct", "(band,y,x)"),))
    if wcs is not None:
        area = proj_plane_pixel_area(WCS(str(wcs)).celestial)
        cards["pixsize"] = (3600 * math.sqrt(float(area)), "[arcsec]")
    if math.isfinite(psf_fwhm):
        cards["psffwhm"] = (psf_fwhm, "[arcsec]")
    cards["specphot"] = int(with_spectra)


def add_bands(cards: fits.Header, ds: xr.Dataset, filters: Sequence[str]) -> None:
    """Add names of filters, of bands and their pivot wavelengths; piXedfit reads the first."""
    bands = zip(filters, ds["band"].values, ds["pivot_wave"].values, strict=True)
    for i, (name, band, wave) in enumerate(bands):
        cards[f"fil{i}"], cards[f"band{i}"] = str(name), str(band)
        cards[f"pivot{i}"] = (float(wave), "[Angstrom]")


def bands_of(
    path: str | Path, header: Mapping[str, Any], pivot: Mapping[str, float]
) -> tuple[list[str], Floats]:
    """Return names of filters and their pivot wavelengths: given, in the file, or of curves."""
    try:
        filters = [str(header[f"fil{i}"]).strip() for i in range(int(header["nfilters"]))]
    except KeyError as error:
        raise DataError(f"{path} has no key {error} in its first header") from error
    waves, unknown = np.full(len(filters), np.nan), []
    for i, name in enumerate(filters):
        known = pivot.get(name, header.get(f"pivot{i}"))
        try:
            waves[i] = float(known) if known is not None else pivot_wave(load_filters([name])[0])
        except ConfigError:
            unknown.append(name)
    if unknown:
        raise ConfigError(
            f"{path}: no curves of the filters {', '.join(unknown)}; give their pivot wavelengths,"
            " or add their curves with `pxdask filters add`"
        )
    return filters, waves


def scale_of(path: str | Path, header: Mapping[str, Any]) -> float:
    """Return what the file's numbers are in, in their unit."""
    try:
        return float(header["unit"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: the key UNIT is {header.get('unit')!r}, wanted a number such as 1e-17; files"
            " made from images alone do not tell their unit: only their map can be used"
        ) from error


def to_ujy(path: str | Path, values: Floats, header: Mapping[str, Any], waves: Floats) -> Floats:
    """Return flux densities in uJy."""
    text = str(header.get("bunit", BUNIT)).strip()
    scaled = values * scale_of(path, header)
    if text.lower().replace(" ", "") == BUNIT.lower():  # astropy reads their A as ampere
        return flux_per_frequency(scaled, pivot=waves)
    try:
        factor = float(Unit(text).to("uJy"))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{path}: fluxes are in {text!r}; wanted {BUNIT!r} or a unit of flux density per"
            " frequency"
        ) from error
    return scaled * factor
