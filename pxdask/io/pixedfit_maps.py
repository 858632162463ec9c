"""Maps of properties in the FITS layout of piXedfit ("maps_properties" files).

One image for each property and statistic: ``bin-{property}-{statistic}`` holds the value of its
bin at every pixel, ``pix-{property}-{statistic}`` masses and rates shared among the pixels of the
bin. Statistics are ``p16``, ``p50``, ``p84`` (of samplers) or ``mean``, ``mean_err`` (of RDSPS).
``HDU2``, ``HDU3``, ... of the primary header name the images, and ``nHDU`` counts all HDUs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from pxdask.core.errors import DataError, SchemaError
from pxdask.core.files import refuse_existing
from pxdask.core.schema import BINS, FIT, MAPS, QUANTILES
from pxdask.io.fits import opened_hdus
from pxdask.io.pixedfit_cards import NOTHING, hdus_of, keys_of, lacking, wcs_of, write_planes
from pxdask.kernels.painting import painted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SHARED = ("log_sfr", "log_mass", "log_dustmass")
"""Properties that piXedfit shares among the pixels of a bin."""

_STATISTICS = tuple(f"p{round(100 * value)}" for value in QUANTILES)
_NAME = re.compile(r"^(BIN|PIX)-(.+)-(P16|P50|P84|MEAN|MEAN_ERR)$")
_REGION = "GALAXY_REGION"


@dataclass(frozen=True, slots=True)
class PixedfitMaps:
    """What a maps_properties file holds.

    Attributes
    ----------
    region : (ny, nx) bool
        Pixels of the galaxy.
    bins, pixels : mapping
        Maps (ny, nx) by property and statistic, ``maps.bins["log_mass"]["p50"]``, in piXedfit's
        units (logarithms of solar masses, years and their ratios; ages in Gyr); NaN outside the
        region and where there is no value.
    header : mapping
        Keys of the file, in lower case: ``gal_z``, ``nbins`` and so on.
    wcs : str or None
        Celestial coordinates, if the file has any; piXedfit's own have none.
    """

    region: NDArray[np.bool_]
    bins: Mapping[str, Mapping[str, Floats]]
    pixels: Mapping[str, Mapping[str, Floats]]
    header: Mapping[str, Any] = field(default_factory=dict)
    wcs: str | None = None


def write_pixedfit_maps(
    path: str | Path,
    maps: xr.Dataset,
    bins: xr.Dataset,
    fit: xr.Dataset,
    *,
    filters: Sequence[str] = (),
    region: NDArray[np.bool_] | None = None,
    overwrite: bool = False,
) -> None:
    """Write maps of properties as piXedfit does for results of its samplers.

    Parameters
    ----------
    path : Path
        Name of the file.
    maps, bins, fit : Dataset
        Schemas maps/1, bins/1, fit/2, of one galaxy.
    filters : sequence of str
        Names of the bands' filters in piXedfit's library.
    region : (ny, nx) bool, optional
        Pixels of the galaxy; default: those in bins.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ConfigError
        If the file exists.
    SchemaError
        If a dataset is not of its schema, or they differ in their bins.
    StoreError
        If the file cannot be written.

    Notes
    -----
    Every result of the fit is written under its own name, which is piXedfit's where it has it.
    Of ``pix-...`` the values are our maps': shared as light in a band in which the bin is well
    measured (piXedfit: always the first or the last band). No value is -99, in bins and outside
    the region. Ours have the WCS at every image.
    """
    path = Path(path)
    for schema, ds in ((MAPS, maps), (BINS, bins), (FIT, fit)):
        schema.validate(ds)
    refuse_existing(path, overwrite=overwrite)
    if bins.sizes["bin"] != fit.sizes["bin"]:
        raise SchemaError(
            f"bins has {bins.sizes['bin']} bins, the fit {fit.sizes['bin']}; wanted one galaxy's"
        )
    planes = _planes(maps, bins["bin_map"].values, fit)
    cards = fits.Header()
    cards["gal_z"] = float(maps.attrs.get("redshift", NOTHING))
    cards["nbins"] = bins.sizes["bin"]
    cards["nfilters"] = len(filters)
    cards.update({f"fil{i}": name for i, name in enumerate(filters)})
    cards.update({f"HDU{i}": name for i, name in enumerate(planes, start=2)})
    cards["nHDU"] = len(planes) + 2
    pixels = bins["bin_map"].values >= 0 if region is None else region
    whole: dict[str, NDArray[Any]] = {_REGION: pixels.astype(np.int16), **planes}
    write_planes(path, whole, cards, wcs=maps.attrs.get("wcs"), keys_alone=True)


def read_pixedfit_maps(path: str | Path) -> PixedfitMaps:
    """Return the maps that piXedfit or `write_pixedfit_maps` wrote.

    Raises
    ------
    DataError
        If the file is absent, damaged or of another kind; the message names HDU and key.
    """
    with opened_hdus(path) as hdus:
        by_name = hdus_of(hdus)
        if _REGION not in by_name or by_name[_REGION].data is None:
            raise lacking(path, _REGION, kind="maps_properties", found=by_name)
        header = keys_of(hdus)
        if "nhdu" not in header:
            raise DataError(f"{path}: HDU 0 has no key NHDU, which counts the maps")
        listed = [header.get(f"hdu{i}") for i in range(2, int(header["nhdu"]))]
        if lost := [name for name in listed if str(name).upper() not in by_name]:
            raise DataError(f"{path}: the keys HDU2, HDU3, ... of HDU 0 name {lost}, not in it")
        region = np.asarray(by_name[_REGION].data == 1)
        wcs = wcs_of(path, [by_name[_REGION].header])
        found: dict[str, dict[str, dict[str, Floats]]] = {"BIN": {}, "PIX": {}}
        for name, hdu in by_name.items():
            if (match := _NAME.match(name)) is not None:
                values = np.array(hdu.data, dtype=np.float64)
                values[(values <= NOTHING) | ~region] = np.nan
                kind, result, statistic = match.groups()
                found[kind].setdefault(result.lower(), {})[statistic.lower()] = values
    return PixedfitMaps(
        region=region,
        bins=found["BIN"],
        pixels=found["PIX"],
        header=header,
        wcs=wcs,
    )


def _planes(
    maps: xr.Dataset, bin_map: NDArray[np.int32], fit: xr.Dataset
) -> dict[str, NDArray[np.float32]]:
    """Return the images of a file by name, in order; no value: -99."""
    found = {}
    names = sorted(str(key) for key in fit.data_vars if fit[key].dims == ("bin", "quantile"))
    for name in names:
        for i, statistic in enumerate(_STATISTICS):
            found[f"bin-{name}-{statistic}"] = painted(fit[name].values[:, i], bin_map)
    for name in SHARED:
        for i, statistic in enumerate(_STATISTICS):
            if name in maps:
                found[f"pix-{name}-{statistic}"] = maps[name].values[i]
    return {
        name: np.where(np.isfinite(plane), plane, NOTHING).astype(np.float32)
        for name, plane in found.items()
    }
