"""Maps of a galaxy as one FITS file, complete by itself."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.units import Unit
from astropy.wcs import WCS

from pxdask.core.errors import SchemaError
from pxdask.core.flags import Flag
from pxdask.core.schema import BINS, FIT, IMAGE, LINE_MAPS, MAPS
from pxdask.io.extensions import card_text, write_hdus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

_NO_KEY = re.compile(r"[^ -<>-~]")
"""What names of keys cannot have [FITS 4.0, 4.2; ESO's HIERARCH convention]."""

_FIT_NUMBERS = ("chi2", "n_eff", "ln_evidence")


def write_maps_fits(
    path: Path,
    *,
    maps: xr.Dataset,
    bins: xr.Dataset,
    cube: xr.Dataset,
    fit: xr.Dataset,
    header: Mapping[str, object],
) -> None:
    """Write a galaxy's maps, bins and images as one multi-extension FITS file.

    The file appears whole or not at all, and equal content gives equal bytes: there is no
    date in it. HDUs: a primary header without data; one image per map, a plane for each
    quantile (``QUANTn`` gives its probability); ``BIN_MAP`` (-1: no bin); ``REGION`` (1:
    galaxy); ``FLUX``, ``FLUX_ERR`` and ``FLAGS`` with a plane for each band (``BANDn``,
    ``PIVOTn`` [Angstrom]); the table ``BINS``. Bit n of a flag is explained by the card
    ``FLAGn``. Logarithms carry the unit "dex(...)", which
    `astropy.units.Unit` reads and for which the FITS standard has no form that astropy reads.

    Parameters
    ----------
    path : Path
        Name of the file.
    maps, bins, cube, fit : xarray.Dataset
        Schemas maps/1 (with ``attrs['wcs']``), bins/1, image/1, fit/2, of one galaxy.
    header : mapping
        Keys of the primary header: ``id``, ``ra``, ``dec``, ``redshift`` and any others.
        Values that FITS cannot hold are written as text, letters that it cannot as escapes, in
        names of keys as underscores; None and NaN as undefined.

    Raises
    ------
    SchemaError
        If a dataset does not have its form, or they differ in their bins.
    StoreError
        If the file cannot be written.
    """
    for schema, ds in ((MAPS, maps), (BINS, bins), (IMAGE, cube), (FIT, fit)):
        schema.validate(ds)
    if bins.sizes["bin"] != fit.sizes["bin"]:
        raise SchemaError(
            f"bins has {bins.sizes['bin']} bins, the fit {fit.sizes['bin']}; wanted one galaxy's"
        )
    wcs = WCS(str(maps.attrs["wcs"])).celestial
    hdus = [
        fits.PrimaryHDU(header=primary_header(header, maps)),
        *_property_hdus(maps, wcs),
        *_pixel_hdus(cube, bins, wcs),
        _bin_table(bins, fit, wcs),
    ]
    write_hdus(hdus, path)


def write_line_maps(path: Path, maps: xr.Dataset) -> None:
    """Write maps of spectral products as one FITS file: an image each, by name.

    Parameters
    ----------
    path : Path
        Name of the file; it appears whole or not at all.
    maps : xarray.Dataset
        Schema line-maps/1, with ``attrs['wcs']``.

    Raises
    ------
    SchemaError
        If the dataset does not have its form.
    StoreError
        If the file cannot be written.
    """
    LINE_MAPS.validate(maps)
    wcs = WCS(str(maps.attrs["wcs"])).celestial
    facts = {key: maps.attrs[key] for key in ("redshift", "distance_mpc") if key in maps.attrs}
    hdus = [fits.PrimaryHDU(header=primary_header(facts, maps))]
    for name in sorted(str(key) for key in maps.data_vars):
        attrs = maps[name].attrs
        header = image_header(wcs, unit=attrs["units"], title=attrs.get("long_name", name))
        hdus.append(fits.ImageHDU(maps[name].values, header=header, name=name.upper()))
    write_hdus(hdus, path)


def fits_unit(unit: str) -> str:
    """Return a unit as FITS writes it; logarithmic ones as astropy reads them."""
    parsed = Unit(unit)
    try:
        return str(parsed.to_string("fits"))
    except ValueError:  # the FITS standard has no dex
        return str(parsed.to_string())


def set_flag_cards(cards: fits.Header) -> None:
    """Add what each bit of a flag means: ``FLAG0 = 'no_data' / bit 0, value 1`` and so on."""
    for flag in Flag:
        bit = flag.value.bit_length() - 1
        cards[f"FLAG{bit}"] = (str(flag.name).lower(), f"meaning of bit {bit}, value {flag.value}")


def set_band_cards(cards: fits.Header, ds: xr.Dataset) -> None:
    """Add the band of each plane and its pivot wavelength."""
    pairs = zip(ds["band"].values, ds["pivot_wave"].values, strict=True)
    for i, (band, pivot) in enumerate(pairs, start=1):
        cards[f"BAND{i}"] = (str(band), f"band of plane {i}")
        cards[f"PIVOT{i}"] = (float(pivot), "[Angstrom] its pivot wavelength")


def primary_header(header: Mapping[str, object], maps: xr.Dataset) -> fits.Header:
    """Return the header of the file as a whole."""
    cards = fits.Header()
    for key, value in header.items():
        _set(cards, key, value)
    for key, comment in (("kpc_per_pixel", "[kpc] side of a pixel"), ("redshift", "redshift")):
        if key in maps.attrs and key not in {name.lower() for name in header}:
            _set(cards, key, maps.attrs[key], comment)
    return cards


def _set(cards: fits.Header, key: str, value: object, comment: str = "") -> None:
    """Put a key and a value of any kind into a header."""
    key = _NO_KEY.sub("_", key)
    name = key.upper() if len(key) <= 8 and key.isidentifier() else f"HIERARCH {key}"
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        cards[name] = (None, comment)
        return
    if isinstance(value, bool | int | float):
        cards[name] = (value, comment)
        return
    text = card_text(str(value).replace("\n", " "))
    if name.startswith("HIERARCH"):
        # Such a card has no continuation: what does not fit in 80 characters is cut.
        room = 80 - len(f"{name} = ''") - text.count("'")
        text = text[: max(room, 0)]
        comment = ""
    cards[name] = (text, comment)


def image_header(wcs: WCS, *, unit: str, title: str, plane: str | None = None) -> fits.Header:
    """Return the header of an image, with a third axis that counts planes if one is named."""
    header = wcs.to_header()
    # A date of observation among the keys of the WCS belongs to one input image, not to maps.
    for key in ("DATE-OBS", "MJD-OBS", "DATE-BEG", "DATE-AVG", "DATE-END", "MJDREF"):
        header.remove(key, ignore_missing=True)
    if plane is not None:
        header["WCSAXES"] = 3
        header.update({"CTYPE3": plane, "CRPIX3": 1.0, "CRVAL3": 1.0, "CDELT3": 1.0})
    if unit:
        header["BUNIT"] = fits_unit(unit)
    header["LONGNAME"] = card_text(title)
    return header


def _property_hdus(maps: xr.Dataset, wcs: WCS) -> list[fits.ImageHDU]:
    """Return an image of every map, in alphabetical order."""
    hdus = []
    for name in sorted(str(key) for key in maps.data_vars):
        attrs = maps[name].attrs
        header = image_header(
            wcs, unit=attrs["units"], title=attrs.get("long_name", name), plane="QUANTILE"
        )
        for i, probability in enumerate(maps["quantile"].values, start=1):
            header[f"QUANT{i}"] = (float(probability), f"posterior probability of plane {i}")
        hdus.append(fits.ImageHDU(maps[name].values, header=header, name=name.upper()))
    return hdus


def _pixel_hdus(cube: xr.Dataset, bins: xr.Dataset, wcs: WCS) -> list[fits.ImageHDU]:
    """Return the bin map, the region, and the images."""
    bin_map = bins["bin_map"].values
    region = cube["region"].values if "region" in cube else bin_map >= 0
    hdus = [
        fits.ImageHDU(
            bin_map, header=image_header(wcs, unit="", title="bin; -1: none"), name="BIN_MAP"
        ),
        fits.ImageHDU(
            region.astype(np.uint8),
            header=image_header(wcs, unit="", title="1: pixel of the galaxy"),
            name="REGION",
        ),
    ]
    for name in ("flux", "flux_err", "flags"):
        attrs, values = cube[name].attrs, cube[name].values
        header = image_header(
            wcs, unit=attrs["units"], title=attrs.get("long_name", name), plane="BAND"
        )
        set_band_cards(header, cube)
        if name == "flags":
            set_flag_cards(header)
            values = values.astype(np.int32)
        hdus.append(fits.ImageHDU(values, header=header, name=name.upper()))
    return hdus


def _bin_table(bins: xr.Dataset, fit: xr.Dataset, wcs: WCS) -> fits.BinTableHDU:
    """Return the bins' fluxes and posteriors, a row for each bin."""
    n_pix = bins["n_pix"].values
    ra, dec = _centres(bins["bin_map"].values, len(n_pix), wcs)
    columns = [
        _column("bin", np.arange(len(n_pix), dtype=np.int32)),
        _column("n_pix", n_pix),
        _column("ra", ra, "deg"),
        _column("dec", dec, "deg"),
    ]
    for i, band in enumerate(bins["band"].values):
        columns += [
            _column(f"{name}_{band}", ds[name].values[:, i], ds[name].attrs["units"])
            for ds, name in ((bins, "flux"), (bins, "flux_err"), (fit, "model_flux"))
        ]
    for name in sorted(str(key) for key in fit.data_vars if "quantile" in fit[key].dims):
        for i, probability in enumerate(fit["quantile"].values):
            label = f"{name}_p{round(100 * float(probability)):02d}"
            columns.append(_column(label, fit[name].values[:, i], fit[name].attrs["units"]))
    columns += [_column(name, fit[name].values) for name in _FIT_NUMBERS]
    for i, band in enumerate(bins["band"].values):
        columns.append(_column(f"flags_{band}", bins["flags"].values[:, i].astype(np.int32)))
    if "flags" in fit:
        columns.append(_column("fit_flags", fit["flags"].values.astype(np.int32)))
    table = fits.BinTableHDU.from_columns(columns, name="BINS")
    set_flag_cards(table.header)
    return table


def _column(name: str, values: NDArray[np.generic], unit: str = "") -> fits.Column:
    """Return a column of integers or of double-precision numbers."""
    form = "J" if values.dtype.kind in "iu" else "D"
    return fits.Column(name=name, format=form, array=values, unit=fits_unit(unit) or None)


def _centres(
    bin_map: NDArray[np.int32], n_bin: int, wcs: WCS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ra and dec of the mean position of each bin's pixels [deg]; NaN: no pixel."""
    y, x = np.nonzero(bin_map >= 0)
    members = bin_map[y, x]
    count = np.bincount(members, minlength=n_bin)
    mean = [
        np.divide(
            np.bincount(members, weights=axis, minlength=n_bin),
            count,
            out=np.full(n_bin, np.nan),
            where=count > 0,
        )
        for axis in (x, y)
    ]
    ra, dec = wcs.pixel_to_world_values(*mean)
    return np.asarray(ra), np.asarray(dec)
