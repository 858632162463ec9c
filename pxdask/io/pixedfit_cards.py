"""What the FITS files of piXedfit have in common, written and read: HDUs, keys and units."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.units import Unit
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.io.extensions import card_text, write_hdus
from pxdask.io.filters import load_filters
from pxdask.io.fits import read_wcs, wcs_cards
from pxdask.kernels.bandpass import flux_per_frequency, flux_per_wavelength, pivot_wave

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

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


def filters_to_write(bands: Sequence[str], filters: Sequence[str] | None) -> list[str]:
    """Return the filters of bands: those given, else named as the bands; `ConfigError` if fewer."""
    names = list(bands) if filters is None else list(filters)
    if len(names) != len(bands):
        raise ConfigError(f"{len(names)} filters for {len(bands)} bands; wanted one for each")
    return names


def write_planes(
    path: Path,
    planes: Mapping[str, NDArray[Any]],
    cards: fits.Header,
    *,
    wcs: object,
    keys_alone: bool,
) -> None:
    """Write arrays as images of a file, which appears whole or not at all.

    Parameters
    ----------
    path : Path
        Name of the file; what is there is replaced.
    planes : mapping
        Arrays by the names of their HDUs, in order.
    cards : Header
        Keys of the file as a whole.
    wcs : str or None
        FITS header of the pixels; goes to all images of two axes.
    keys_alone : bool
        Whether the keys are in a primary HDU without an image, else in that of the first.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    on_sky = fits.Header() if wcs is None else fits.Header.fromstring(str(wcs))
    hdus = [fits.PrimaryHDU(header=cards)] if keys_alone else []
    for name, plane in planes.items():
        hdu = fits.ImageHDU(plane) if hdus else fits.PrimaryHDU(plane, header=cards)
        if plane.ndim == 2:
            hdu.header.update(on_sky)
        hdu.name = name
        hdus.append(hdu)
    write_hdus(hdus, path)


def hdus_of(hdus: fits.HDUList) -> dict[str, Any]:
    """Return the HDUs of a file by name, in upper case; of several of one name the first."""
    found: dict[str, Any] = {}
    for hdu in hdus:
        found.setdefault(str(hdu.name).upper(), hdu)
    return found


def keys_of(hdus: fits.HDUList) -> dict[str, Any]:
    """Return the keys of a file, which are its first HDU's, in lower case."""
    return {str(key).lower(): value for key, value in hdus[0].header.items() if key}


class OtherKindError(DataError):
    """A file has not the HDUs of the kind that it is read as."""


def lacking(path: str | Path, wanted: str, *, kind: str, found: Iterable[str]) -> OtherKindError:
    """Return the error of a file that has not the HDUs of its kind."""
    there = ", ".join(name or "no name" for name in found)
    return OtherKindError(
        f"{path} has no HDU {wanted}; wanted a {kind} file of piXedfit, got the HDUs {there}"
    )


def wcs_of(path: str | Path, headers: Iterable[fits.Header]) -> str | None:
    """Return the first celestial coordinates of headers of images, as FITS cards, if any.

    Raises
    ------
    DataError
        If coordinates cannot be read.
    """
    found = (read_wcs(header, path, naxis=2) for header in headers)
    return next((wcs_cards(wcs.celestial) for wcs in found if wcs.has_celestial), None)


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
    cards["object"] = card_text(galaxy.get("id", ""))[:60]
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


def check_planes(path: str | Path, hdu: str, cube: NDArray[Any], n_wanted: int, what: str) -> None:
    """Raise `DataError` unless a cube has as many planes as there are filters or wavelengths."""
    if cube.ndim != 3 or len(cube) != n_wanted:
        raise DataError(
            f"{path}: there are {n_wanted} {what}, and {hdu} has the shape {cube.shape};"
            " wanted one plane for each"
        )


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
    """Return flux densities in uJy; ``waves`` are pivot wavelengths that broadcast with them."""
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


def from_ujy(values: Floats, waves: Floats) -> Floats:
    """Return flux densities [1e-17 erg s-1 cm-2 Angstrom-1] of those in uJy; see `to_ujy`."""
    return flux_per_wavelength(values, pivot=waves) / UNIT


def psf_width(header: Mapping[str, Any]) -> float:
    """Return the width of the PSF that a file tells [arcsec]; NaN where it tells none."""
    width = header.get("psffwhm")
    return float(width) if isinstance(width, float | int) else math.nan


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
