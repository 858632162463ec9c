"""The writer of bins in the FITS layouts of piXedfit; see `pxdask.io.pixedfit_bins`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from astropy.io import fits

from pxdask.core.errors import ConfigError
from pxdask.core.files import refuse_existing
from pxdask.core.schema import BINS, CUBE, IMAGE
from pxdask.io.pixedfit_cards import (
    add_bands,
    add_cards,
    filters_to_write,
    from_ujy,
    write_planes,
)
from pxdask.kernels.painting import painted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Layout = Literal["current", "1.0"]

_WRITTEN: dict[tuple[Layout, bool], dict[str, str]] = {
    ("current", False): {
        "flux": "FLUX",
        "flux_err": "FLUX_ERR",
        "region": "GALAXY_REGION",
        "bin_map": "PHOTO_BIN_MAP",
    },
    ("current", True): {
        "flux": "PHOTO_FLUX",
        "flux_err": "PHOTO_FLUXERR",
        "wave": "WAVE",
        "spectrum": "SPEC_FLUX",
        "spectrum_err": "SPEC_FLUXERR",
        "spec_region": "SPEC_REGION",
        "region": "PHOTO_REGION",
        "bin_map": "PHOTO_BIN_MAP",
        "spec_map": "SPEC_BIN_MAP",
        "lsf_fwhm": "LSF_FWHM",
    },
    ("1.0", False): {"bin_map": "BIN_MAP", "flux": "BIN_FLUX", "flux_err": "BIN_FLUXERR"},
    ("1.0", True): {
        "bin_map": "PHOTO_BIN_MAP",
        "spec_region": "SPEC_REGION",
        "spec_map": "SPEC_BIN_MAP",
        "flux": "BIN_PHOTO_FLUX",
        "flux_err": "BIN_PHOTO_FLUXERR",
        "wave": "SPEC_WAVE",
        "spectrum": "BIN_SPEC_FLUX",
        "spectrum_err": "BIN_SPEC_FLUXERR",
    },
}
"""HDUs in order, by layout and whether there are spectra. Those of 1.0 begin with the map."""


def write_pixedfit_bins(
    path: str | Path,
    bins: xr.Dataset,
    cube: xr.Dataset,
    *,
    galaxy: Mapping[str, object],
    reference_band: str,
    spectra: xr.Dataset | None = None,
    filters: Sequence[str] | None = None,
    layout: Layout = "current",
    overwrite: bool = False,
) -> None:
    """Write bins as piXedfit does, in float32.

    Parameters
    ----------
    path : Path
        Name of the file.
    bins : Dataset
        ``bins/1``. With ``spectrum`` the file is of the spectrophotometric kind.
    cube : Dataset
        ``image/1``, what was binned: gives the region, the widths of PSFs and the WCS.
    galaxy : mapping
        Catalogue row: ``id``, ``ra``, ``dec`` [deg], ``redshift`` and, if known, ``ebv``.
    reference_band : str
        Band of the seeds.
    spectra : Dataset, optional
        ``cube/1``: gives the region that has spectra; default: the bins that have one.
    filters : sequence of str, optional
        Names of the bands' filters in piXedfit's library; default: the names of the bands.
    layout : {"current", "1.0"}
        Whose names of HDUs are used. 1.0 has no place for the region.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ConfigError
        If the file exists, the reference band is none of the bands, or filters are not as many.
    SchemaError
        If a dataset is not of its schema.
    StoreError
        If the file cannot be written.

    Notes
    -----
    Pixels outside bins hold 0, as in piXedfit's files. Bins without a flux in a band hold NaN
    there, and those without a spectrum are no bins of ``SPEC_BIN_MAP``. Pivot wavelengths and
    names of bands are written too (``pivot0``, ``band0``, ...): piXedfit does not look at them.
    """
    path = Path(path)
    BINS.validate(bins)
    IMAGE.validate(cube)
    if spectra is not None:
        CUBE.validate(spectra)
    bands = [str(band) for band in bins["band"].values]
    refuse_existing(path, overwrite=overwrite)
    if reference_band not in bands:
        raise ConfigError(f"the reference band is {reference_band!r}; the bands are {bands}")
    names = filters_to_write(bands, filters)
    planes = _planes(bins, cube, spectra)
    header = _header(bins, cube, galaxy, bands.index(reference_band), names)
    wcs = bins.attrs.get("wcs", cube.attrs.get("wcs"))
    roles = _WRITTEN[layout, "spectrum" in planes]
    by_name = {name: planes[role] for role, name in roles.items() if role in planes}
    write_planes(path, by_name, header, wcs=wcs, keys_alone=layout == "current")


def _planes(
    bins: xr.Dataset, cube: xr.Dataset, spectra: xr.Dataset | None
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by role."""
    bin_map = bins["bin_map"].values
    flux, flux_err = (
        from_ujy(bins[name].values, bins["pivot_wave"].values) for name in ("flux", "flux_err")
    )
    planes: dict[str, NDArray[Any]] = {
        "bin_map": (bin_map + 1).astype(np.int32),
        "flux": _on_pixels(flux, bin_map),
        "flux_err": _on_pixels(flux_err, bin_map),
        "region": (cube["region"].values if "region" in cube else bin_map >= 0).astype(np.int16),
    }
    if "spectrum" not in bins:
        return planes
    has = np.isfinite(bins["spectrum"].values).any(axis=1)
    spec_map = np.where((bin_map >= 0) & has[bin_map], bin_map, -1)
    region = spec_map >= 0
    if spectra is not None and "region" in spectra:
        region = spectra["region"].values
    return planes | {
        "spec_map": (spec_map + 1).astype(np.int32),
        "spec_region": region.astype(np.int16),
        "wave": bins["wave"].values,
        **({"lsf_fwhm": bins["lsf_fwhm"].values} if "lsf_fwhm" in bins else {}),
        "spectrum": _on_pixels(bins["spectrum"].values, spec_map),
        "spectrum_err": _on_pixels(bins["spectrum_err"].values, spec_map),
    }


def _on_pixels(values: Floats, bin_map: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the cube (n, ny, nx) of bins' values (n_bin, n); 0 where there is no bin."""
    return painted(values.T.astype(np.float32), bin_map, empty=0.0)


def _header(
    bins: xr.Dataset,
    cube: xr.Dataset,
    galaxy: Mapping[str, object],
    reference: int,
    filters: Sequence[str],
) -> fits.Header:
    """Return the keys of the file as a whole."""
    with_spectra = "spectrum" in bins
    cards = fits.Header()
    cards["nfilters"] = len(filters)
    cards["refband"] = (reference, "number of the reference band, from 0")
    n_bin = bins.sizes["bin"]
    cards["nbins"], cards["nbinsph"] = n_bin, n_bin
    if with_spectra:
        cards["nbinssp"] = int(np.isfinite(bins["spectrum"].values).any(axis=1).sum())
    add_cards(
        cards,
        galaxy,
        wcs=bins.attrs.get("wcs", cube.attrs.get("wcs")),
        psf_fwhm=float(cube["psf_fwhm"].values[reference]),
        with_spectra=with_spectra,
    )
    add_bands(cards, bins, filters)
    return cards
