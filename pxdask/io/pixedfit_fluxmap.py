"""Images of a galaxy in the FITS layouts of piXedfit ("fluxmap" files).

HDUs FLUX and FLUX_ERR (band, y, x), GALAXY_REGION (1: galaxy) and STAMP_IMAGE, the only one
that has the WCS in piXedfit's own files. The keys are in the primary header, which in the layout
of piXedfit 1.0 is that of FLUX. Outside the region fluxes are -99, over the header's ``unit``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from astropy.io import fits

from pxdask.core.errors import DataError
from pxdask.core.files import refuse_existing
from pxdask.core.schema import IMAGE
from pxdask.io.fits import opened_hdus
from pxdask.io.pixedfit_cards import (
    NOTHING,
    UNIT,
    add_bands,
    add_cards,
    band_names,
    bands_of,
    check_planes,
    filters_of,
    filters_to_write,
    from_ujy,
    hdus_of,
    keys_of,
    lacking,
    measured,
    pixel_dataset,
    psf_width,
    to_ujy,
    wcs_of,
    write_planes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

_NEEDED = ("FLUX", "FLUX_ERR", "GALAXY_REGION")


@dataclass(frozen=True, slots=True)
class PixedfitFluxmap:
    """What a fluxmap file holds.

    Attributes
    ----------
    images : Dataset
        ``image/1`` [uJy] with ``region``; ``attrs["wcs"]`` if the file has one. ``noise_area`` is
        1: the file does not tell.
    header : mapping
        Keys of the file, in lower case: ``ra``, ``dec``, ``z``, ``galebv`` and so on.
    """

    images: xr.Dataset
    header: Mapping[str, Any]

    @property
    def filters(self) -> tuple[str, ...]:
        """Names of the bands' filters, as the file has them."""
        return filters_of(self.header)

    def row(self, galaxy_id: str) -> dict[str, object]:
        """Return the galaxy as a row of a catalogue: what the file tells of it.

        Raises
        ------
        DataError
            If the file has no position or no positive redshift.
        """
        row: dict[str, object] = {"id": galaxy_id}
        for name, key in (("ra", "ra"), ("dec", "dec"), ("redshift", "z")):
            value = self.header.get(key)
            if not isinstance(value, int | float) or (name == "redshift" and value <= 0):
                raise DataError(
                    f"{galaxy_id}: HDU 0: the key {key.upper()} is {value!r}; wanted the galaxy's"
                    f" {name}: give it to the row yourself"
                )
            row[name] = float(value)
        if isinstance(ebv := self.header.get("galebv"), int | float):
            row["ebv"] = float(ebv)
        return row


def write_pixedfit_fluxmap(
    path: str | Path,
    images: xr.Dataset,
    *,
    galaxy: Mapping[str, object],
    filters: Sequence[str] | None = None,
    target: str | None = None,
    layout: Literal["current", "1.0"] = "current",
    overwrite: bool = False,
) -> None:
    """Write images as piXedfit does, in float32.

    Parameters
    ----------
    path : Path
        Name of the file.
    images : Dataset
        ``image/1`` with ``region``.
    galaxy : mapping
        Catalogue row: ``id``, ``ra``, ``dec`` [deg], ``redshift`` and, if known, ``ebv``.
    filters : sequence of str, optional
        Names of the bands' filters in piXedfit's library; default: the names of the bands.
    target : str, optional
        Band whose PSF the images have, where it is known; becomes FPSFMTCH.
    layout : {"current", "1.0"}
        Where the keys are: 1.0 has FLUX as its primary HDU.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ConfigError
        If the file exists, or filters are not as many as bands.
    DataError
        If the images have no region.
    SchemaError
        If the dataset is not of its schema.
    StoreError
        If the file cannot be written.

    Notes
    -----
    Pixels of the region without a flux in some band are NaN, and a warning counts them: piXedfit's
    binning does not come to an end with one. STAMP_IMAGE is the middle band; ours have the WCS at
    GALAXY_REGION too. What is outside the region is not in the file.
    """
    path = Path(path)
    IMAGE.validate(images)
    bands = [str(band) for band in images["band"].values]
    refuse_existing(path, overwrite=overwrite)
    names = filters_to_write(bands, filters)
    if "region" not in images:
        raise DataError(f"{path}: the images have no region, which a fluxmap file needs")
    planes = _planes(images, path)
    cards = fits.Header()
    cards["nfilters"] = len(names)
    wcs = images.attrs.get("wcs")
    width = float(np.max(images["psf_fwhm"].values))
    add_cards(cards, galaxy, wcs=wcs, psf_fwhm=width, with_spectra=False)
    cards["fsamp"] = ("none", "filter that gave the pixels")
    if target in bands:
        cards["fpsfmtch"] = (names[bands.index(target)], "filter whose PSF all have")
    add_bands(cards, images, names)
    write_planes(path, planes, cards, wcs=wcs, keys_alone=layout == "current")


def read_pixedfit_fluxmap(
    path: str | Path, *, pivot: Mapping[str, float] | None = None
) -> PixedfitFluxmap:
    """Return the images that piXedfit or `write_pixedfit_fluxmap` wrote.

    Parameters
    ----------
    path : Path
        A fluxmap file of piXedfit 1.0 or later.
    pivot : mapping, optional
        Pivot wavelengths [Angstrom] by filter, for those that `load_filters` does not know.

    Returns
    -------
    found : PixedfitFluxmap
        Fluxes outside the region, those that are not finite, and those whose error is not finite
        and positive are NaN and flagged.

    Raises
    ------
    DataError
        If the file is absent, damaged or of another kind, or does not tell its unit; the message
        names HDU and key.
    ConfigError
        If the pivot wavelength of a filter is not known.
    """
    arrays, header, wcs = _read(path)
    filters, waves = bands_of(path, header, pivot or {})
    region = arrays["GALAXY_REGION"] == 1
    for name in ("FLUX", "FLUX_ERR"):
        check_planes(path, f"HDU {name}", arrays[name], len(filters), "filters")
    flux, flux_err = (
        to_ujy(path, arrays[name], header, waves[:, None, None]) for name in ("FLUX", "FLUX_ERR")
    )
    images = pixel_dataset(
        IMAGE,
        {
            **measured(flux, flux_err, region),
            "band": band_names(header, filters),
            "pivot_wave": waves,
            "psf_fwhm": np.full(len(filters), psf_width(header)),
            "noise_area": np.ones(len(filters)),
            "region": region,
        },
        {} if wcs is None else {"wcs": wcs},
    )
    return PixedfitFluxmap(images, header)


def _planes(images: xr.Dataset, path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by the names of their HDUs, in order."""
    region = images["region"].values
    pivots = images["pivot_wave"].values[:, None, None]
    flux, flux_err = (
        np.where(region, from_ujy(images[name].values, pivots), NOTHING / UNIT).astype(np.float32)
        for name in ("flux", "flux_err")
    )
    absent = int((~np.isfinite(flux) | ~np.isfinite(flux_err)).any(axis=0).sum())
    if absent:
        logger.warning(
            "%s: %d of %d pixels of the region lack a flux in some band and are NaN there; the"
            " binning of piXedfit does not end with them",
            path,
            absent,
            int(region.sum()),
        )
    return {
        "FLUX": flux,
        "FLUX_ERR": flux_err,
        "GALAXY_REGION": region.astype(np.int16),
        "STAMP_IMAGE": images["flux"].values[len(flux) // 2],
    }


def _read(path: str | Path) -> tuple[dict[str, Floats], dict[str, Any], str | None]:
    """Return the arrays of a file by HDU, its keys in lower case, and its WCS if it has one."""
    with opened_hdus(path) as hdus:
        by_name = hdus_of(hdus)
        if hdus[0].data is not None and hdus[0].data.ndim == 3:
            by_name.setdefault("FLUX", hdus[0])
        if missing := [
            name for name in _NEEDED if name not in by_name or by_name[name].data is None
        ]:
            raise lacking(path, ", ".join(missing), kind="fluxmap", found=by_name)
        arrays = {name: np.array(by_name[name].data, dtype=np.float64) for name in _NEEDED}
        header = keys_of(hdus)
        flat = [by_name[name] for name in ("STAMP_IMAGE", "GALAXY_REGION") if name in by_name]
        cards = wcs_of(path, (hdu.header for hdu in flat if hdu.header["NAXIS"] == 2))
    shape = arrays["GALAXY_REGION"].shape
    wrong = {name: arrays[name].shape for name in _NEEDED[:2] if arrays[name].shape[1:] != shape}
    if len(shape) != 2 or wrong:
        raise DataError(f"{path}: GALAXY_REGION has the shape {shape}, and other HDUs have {wrong}")
    return arrays, header, cards
