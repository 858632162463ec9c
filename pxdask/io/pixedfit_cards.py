"""Keys that the FITS files of piXedfit have in common, written and read."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from astropy.units import Unit
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.io.filters import load_filters
from pxdask.kernels.bandpass import flux_per_frequency, pivot_wave

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io import fits
    from numpy.typing import NDArray

    from pxdask.core.schema import Schema

    Floats = NDArray[np.float64]

UNIT = 1e-17
"""What fluxes are written in [erg s-1 cm-2 Angstrom-1]; that of our spectra too."""

BUNIT = "erg/s/cm^2/A"

NOTHING = -99.0
"""What stands for no flux [erg s-1 cm-2 Angstrom-1], and for no value in maps of properties."""

_THEIR_NAMES = (
    (re.compile(r"^(?:2mass|twomass)_ks$"), "2mass_k"),
    (re.compile(r"^twomass_([jh])$"), r"2mass_\1"),
    (re.compile(r"^sdss_([ugriz])0$"), r"sdss_\1"),
    (re.compile(r"^acs_wfc_(f\d+\w+)$"), r"hst_acs_\1"),
    (re.compile(r"^(wfc3_(?:ir|uvis)_f\d+\w+)$"), r"hst_\1"),
    (re.compile(r"^jwst_(f[0-4]\d\d[mnw]2?)$"), r"jwst_nircam_\1"),
    (re.compile(r"^jwst_(f\d+w)$"), r"jwst_miri_\1"),
    (re.compile(r"^vista_vircam_(\w+)$"), r"vircam_\1"),
    (re.compile(r"^ukirt_wfcam_(\w+)$"), r"wfcam_\1"),
    (re.compile(r"^spitzer_irac_ch1$"), "spitzer_irac_36"),
    (re.compile(r"^spitzer_irac_ch2$"), "spitzer_irac_45"),
    (re.compile(r"^spitzer_irac_ch3$"), "spitzer_irac_58"),
    (re.compile(r"^spitzer_irac_ch4$"), "spitzer_irac_80"),
)
"""Patterns of our filters' names, in lower case, and what they are in piXedfit's library."""


def their_filter(name: str) -> str:
    """Return the name of a filter in piXedfit's library; ours where it may have none.

    Of files of curves, the name without folder and ending.
    """
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0] if "/" in name else name
    for pattern, replacement in _THEIR_NAMES:
        if pattern.match(stem.lower()):
            return pattern.sub(replacement, stem.lower())
    return stem


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
        filters = list(filters_of(header))
    except KeyError as error:
        raise DataError(
            f"{path}: HDU 0 has no key {str(error).strip(chr(39)).upper()}; files of piXedfit name"
            " their filters by NFILTERS and FIL0, FIL1, ..."
        ) from error
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
            f"{path}: HDU 0: the key UNIT is {header.get('unit')!r}, wanted a number such as 1e-17;"
            " files made from images alone do not tell their unit: only their map can be used"
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


def measured(flux: Floats, error: Floats, region: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return fluxes and errors of pixels as they are stored, with flags.

    NaN and flagged: outside the region, and where flux or error is not finite, the error not
    positive.
    """
    bad = ~(np.isfinite(flux) & np.isfinite(error) & (error > 0) & region)
    return {
        "flux": np.where(bad, np.nan, flux).astype(np.float32),
        "flux_err": np.where(bad, np.nan, error).astype(np.float32),
        "flags": np.where(bad, int(Flag.NO_DATA), 0).astype(np.uint16),
    }


def pixel_dataset(
    schema: Schema, values: Mapping[str, NDArray[Any]], attrs: Mapping[str, str]
) -> xr.Dataset:
    """Return a dataset of a schema that has flags."""
    ds = xr.Dataset(
        {name: (schema.variables[name].dims, v, schema.attrs(name)) for name, v in values.items()},
        attrs={"schema": schema.tag, **attrs},
    )
    ds["flags"].attrs.update(flag_attrs())
    coords = [name for name in ("band", "pivot_wave", "wave") if name in ds]
    return schema.validate(ds.set_coords(coords))


def filters_of(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of filters in a file's keys, which are in lower case."""
    return tuple(str(header[f"fil{i}"]).strip() for i in range(int(header["nfilters"])))


def band_names(header: Mapping[str, Any], filters: Sequence[str]) -> NDArray[np.object_]:
    """Return what bands are called: as we wrote, else as their filters."""
    return np.array([header.get(f"band{i}", name) for i, name in enumerate(filters)], object)
