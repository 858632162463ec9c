"""Bins in the FITS layouts of piXedfit ("pixbin" files), of photometry and of spectra.

Their cubes hold the sums of bins, painted on every pixel of the bin; bins are numbered from
1, and 0 is no bin. Fluxes are per wavelength, in units of the header's ``unit``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import BINS
from pxdask.io.fits import opened_hdus
from pxdask.io.pixedfit_bins_writer import write_pixedfit_bins
from pxdask.io.pixedfit_cards import (
    UNIT,
    band_names,
    bands_of,
    check_planes,
    filters_of,
    hdus_of,
    keys_of,
    lacking,
    scale_of,
    to_ujy,
    wcs_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["PixedfitBins", "read_pixedfit_bins", "read_pixedfit_map", "write_pixedfit_bins"]

logger = logging.getLogger(__name__)

_HDUS: dict[str, tuple[str, ...]] = {
    "bin_map": ("PHOTO_BIN_MAP", "BIN_MAP"),
    "flux": ("PHOTO_FLUX", "FLUX", "BIN_PHOTO_FLUX", "BIN_FLUX"),
    "flux_err": ("PHOTO_FLUXERR", "FLUX_ERR", "BIN_PHOTO_FLUXERR", "BIN_FLUXERR"),
    "region": ("PHOTO_REGION", "GALAXY_REGION"),
    "spec_map": ("SPEC_BIN_MAP",),
    "spec_region": ("SPEC_REGION",),
    "wave": ("WAVE", "SPEC_WAVE"),
    "spectrum": ("SPEC_FLUX", "BIN_SPEC_FLUX"),
    "spectrum_err": ("SPEC_FLUXERR", "BIN_SPEC_FLUXERR"),
    "lsf_fwhm": ("LSF_FWHM",),
}
"""What HDUs are called, in all versions; the last is our own addition."""


@dataclass(frozen=True, slots=True)
class PixedfitBins:
    """What a pixbin file holds.

    Attributes
    ----------
    bins : Dataset
        ``bins/1`` [uJy], numbered from 0, with ``spectrum`` and its like where the file has them.
        ``attrs`` have ``reference_band``, and ``wcs`` if the file has one. Line spread functions
        are NaN unless we wrote the file.
    region : (ny, nx) bool
        Pixels of the galaxy; those in bins, where the file does not tell.
    spec_region : (ny, nx) bool or None
        Pixels that have a spectrum; None where there are none.
    header : mapping
        Keys of the file, in lower case: ``ra``, ``dec``, ``z``, ``galebv``, ``psffwhm`` and so on.
    """

    bins: xr.Dataset
    region: NDArray[np.bool_]
    spec_region: NDArray[np.bool_] | None
    header: Mapping[str, Any]

    @property
    def filters(self) -> tuple[str, ...]:
        """Names of the bands' filters, as the file has them."""
        return filters_of(self.header)


def read_pixedfit_bins(
    path: str | Path, *, pivot: Mapping[str, float] | None = None
) -> PixedfitBins:
    """Return the bins that piXedfit or `write_pixedfit_bins` wrote.

    Parameters
    ----------
    path : Path
        A pixbin file of piXedfit 1.0 or later, with or without spectra.
    pivot : mapping, optional
        Pivot wavelengths [Angstrom] by filter, for those that `load_filters` does not know.

    Returns
    -------
    found : PixedfitBins
        Fluxes are converted with the pivot wavelength of each filter. A flux that is not finite,
        and one whose error is not finite and positive, is NaN and flagged.

    Raises
    ------
    DataError
        If the file is absent, damaged or no pixbin file, or does not tell its unit.
    ConfigError
        If the pivot wavelength of a filter is not known.

    Notes
    -----
    Wavelengths of spectra are taken as they are: piXedfit does not convert those of a survey,
    in vacuum (MaNGA, NIRSpec) or in air (CALIFA).
    """
    arrays, header, wcs = _read(path)
    spectral = ("spectrum", "spectrum_err", "wave") if "spectrum" in arrays else ()
    for role in ("flux", "flux_err", *spectral):
        if role not in arrays:
            raise DataError(
                f"{path} has none of the HDUs {', '.join(_HDUS[role])}; wanted a pixbin file of"
                " piXedfit"
            )
    filters, waves = bands_of(path, header, pivot or {})
    for role in ("flux", "flux_err"):
        check_planes(path, f"its HDU of {role}", arrays[role], len(filters), "filters")
    for role in spectral[:2]:
        check_planes(path, f"its HDU of {role}", arrays[role], arrays["wave"].size, "wavelengths")
    bin_map = _renumbered(path, arrays["bin_map"])
    first = _first_pixels(bin_map)
    values: dict[str, NDArray[Any]] = {
        name: to_ujy(path, _at(arrays[name], first), header, waves) for name in ("flux", "flux_err")
    }
    unusable = ~(np.isfinite(values["flux"]) & (values["flux_err"] > 0))
    unusable |= ~np.isfinite(values["flux_err"])
    for name in ("flux", "flux_err"):
        values[name] = np.where(unusable, np.nan, values[name])
    values["flags"] = np.where(unusable, Flag.NO_DATA, 0).astype(np.uint16)
    values["bin_map"] = bin_map
    values["n_pix"] = np.bincount(bin_map[bin_map >= 0], minlength=len(first)).astype(np.int32)
    values["band"] = band_names(header, filters)
    values["pivot_wave"] = waves
    spec_region = None
    if "spectrum" in arrays:
        spec_region = _spec_region(arrays)
        values |= _spectral(arrays, bin_map, spec_region, scale_of(path, header) / UNIT)
    return PixedfitBins(
        bins=_dataset(values, reference=header.get("refband"), wcs=wcs),
        region=arrays["region"] == 1 if "region" in arrays else bin_map >= 0,
        spec_region=spec_region,
        header=header,
    )


def read_pixedfit_map(path: str | Path) -> tuple[NDArray[np.int32], str | None]:
    """Return the map of a pixbin file, from 0 with -1 for no bin, and its WCS if it has one.

    Units and filters need not be known.

    Raises
    ------
    DataError
        If the file is absent, damaged or no pixbin file.
    """
    arrays, _, wcs = _read(path, roles=("bin_map",))
    return _renumbered(path, arrays["bin_map"]), wcs


def _read(
    path: str | Path, *, roles: Sequence[str] = tuple(_HDUS)
) -> tuple[dict[str, NDArray[Any]], dict[str, Any], str | None]:
    """Return the arrays of a file by role, its keys in lower case, and the WCS of its map."""
    with opened_hdus(path) as hdus:
        by_name = hdus_of(hdus)
        found = {
            role: by_name[name]
            for role in roles
            for name in reversed(_HDUS[role])
            if name in by_name and by_name[name].data is not None
        }
        if "bin_map" not in found:
            raise lacking(path, " or ".join(_HDUS["bin_map"]), kind="pixbin", found=by_name)
        arrays = {role: np.array(hdu.data) for role, hdu in found.items()}
        header = keys_of(hdus)
        cards = wcs_of(path, [found["bin_map"].header])
    shape = arrays["bin_map"].shape
    wrong = {role: a.shape for role, a in arrays.items() if a.ndim > 1 and a.shape[-2:] != shape}
    if len(shape) != 2 or wrong:
        raise DataError(f"{path}: its map has the shape {shape}, and other HDUs have {wrong}")
    return arrays, header, cards


def _renumbered(path: str | Path, number: NDArray[Any]) -> NDArray[np.int32]:
    """Return a map whose bins 1 to n (not finite or below 1: none) are 0 to n - 1, without gaps."""
    rounded = np.where(np.isfinite(number), np.rint(number), 0)
    labels, bin_map = np.unique(np.maximum(rounded, 0), return_inverse=True)
    bin_map = bin_map.reshape(number.shape) - int(labels[0] == 0)
    if len(labels) == int(labels[0] == 0):
        raise DataError(f"{path} has no bin: its map has no number above 0")
    if labels[-1] > bin_map.max() + 1:
        logger.info("%s: numbers of bins have gaps; bins are numbered anew", path)
    return np.asarray(bin_map, dtype=np.int32)


def _first_pixels(bin_map: NDArray[np.int32]) -> NDArray[np.intp]:
    """Return the first pixel of each bin, as a number in row-major order."""
    labels, first = np.unique(bin_map, return_index=True)
    return np.asarray(first[labels >= 0])


def _at(cube: NDArray[Any], first: NDArray[np.intp]) -> Floats:
    """Return what is painted on pixels, (n_bin, n)."""
    return np.asarray(cube.reshape(len(cube), -1)[:, first].T, dtype=np.float64)


def _spec_region(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Return the pixels that have a spectrum."""
    if "spec_region" in arrays:
        return np.asarray(arrays["spec_region"] == 1)
    return np.asarray(arrays.get("spec_map", arrays["bin_map"]) > 0)


def _spectral(
    arrays: Mapping[str, NDArray[Any]],
    bin_map: NDArray[np.int32],
    region: NDArray[np.bool_],
    factor: float,
) -> dict[str, NDArray[Any]]:
    """Return the spectral variables of bins."""
    first = _first_pixels(bin_map)
    n_pix = np.bincount(bin_map[bin_map >= 0], minlength=len(first))
    covered = np.bincount(bin_map[region & (bin_map >= 0)], minlength=len(first)) / n_pix
    has = np.ravel(arrays.get("spec_map", arrays["bin_map"]))[first] > 0
    spectrum, error = (_at(arrays[name], first) * factor for name in ("spectrum", "spectrum_err"))
    good = has[:, None] & np.isfinite(spectrum) & np.isfinite(error) & (error > 0)
    wave = arrays["wave"].astype(np.float64)
    return {
        "wave": wave,
        "lsf_fwhm": arrays.get("lsf_fwhm", np.full(len(wave), np.nan)).astype(np.float64),
        "spectrum": np.where(good, spectrum, np.nan),
        "spectrum_err": np.where(good, error, np.nan),
        "coverage": covered,
    }


def _dataset(
    values: Mapping[str, NDArray[Any]], *, reference: object, wcs: str | None
) -> xr.Dataset:
    """Return bins/1 of its variables."""
    names = [str(name) for name in values["band"]]
    attrs: dict[str, object] = {"schema": BINS.tag, "n_bin": len(values["n_pix"])}
    if isinstance(reference, int) and 0 <= reference < len(names):
        attrs["reference_band"] = names[reference]
    if wcs is not None:
        attrs["wcs"] = wcs
    variables = {
        name: (BINS.variables[name].dims, value, BINS.attrs(name)) for name, value in values.items()
    }
    ds = xr.Dataset(variables, attrs=attrs).set_coords(["band", "pivot_wave"])
    ds["flags"].attrs.update(flag_attrs())
    return BINS.validate(ds.set_coords("wave") if "wave" in ds else ds)
