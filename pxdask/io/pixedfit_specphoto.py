"""Images and spectra of pixels in the FITS layouts of piXedfit ("specphoto" files).

``specphoto``: after matching in space; ``corr_specphoto``: after matching in flux too, with the
factors and, where given, the models they are from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from pxdask.core.errors import DataError
from pxdask.core.files import refuse_existing
from pxdask.core.schema import CUBE, IMAGE
from pxdask.io.fits import opened_hdus
from pxdask.io.pixedfit_cards import (
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
    scale_of,
    to_ujy,
    wcs_of,
    write_planes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_HDUS = {
    "photo_flux": "PHOTO_FLUX",
    "photo_err": "PHOTO_FLUXERR",
    "wave": "WAVE",
    "spec_flux": "SPEC_FLUX",
    "spec_err": "SPEC_FLUXERR",
    "spec_region": "SPEC_REGION",
    "photo_region": "PHOTO_REGION",
    "model_wave": "MOD_WAVE",
    "model_flux": "MOD_FLUX",
    "factor": "CORR_FACTOR",
    "stamp": "STAMP_IMAGE",
    "lsf_fwhm": "LSF_FWHM",
    "psf_fwhm": "PSF_FWHM",
}
"""What HDUs are called, in their order in a file; the last two are our own addition."""

_NEEDED = tuple(_HDUS)[:7]


@dataclass(frozen=True, slots=True)
class Matching:
    """How spectra were matched to images in flux.

    Attributes
    ----------
    factor : (n_wave, ny, nx) float64
        What spectra were multiplied with [1]; NaN where there is none.
    model_wave : (n_model_wave,) float64 or None
        Wavelengths of the models, observed frame [Angstrom].
    model_flux : (n_model_wave, ny, nx) float64 or None
        Best models of the photometry [1e-17 erg s-1 cm-2 Angstrom-1].
    """

    factor: Floats
    model_wave: Floats | None = None
    model_flux: Floats | None = None


@dataclass(frozen=True, slots=True)
class PixedfitSpecphoto:
    """What a specphoto file holds.

    Attributes
    ----------
    images : Dataset
        ``image/1`` [uJy] with ``region``. ``noise_area`` is 1: the file does not tell.
    spectra : Dataset
        ``cube/1`` with ``region``. ``lsf_fwhm`` is NaN unless we wrote the file.
    matching : Matching or None
        None where spectra were not matched in flux.
    header : mapping
        Keys of the file, in lower case.
    """

    images: xr.Dataset
    spectra: xr.Dataset
    matching: Matching | None
    header: Mapping[str, Any]

    @property
    def filters(self) -> tuple[str, ...]:
        """Names of the bands' filters, as the file has them."""
        return filters_of(self.header)


def write_pixedfit_specphoto(
    path: str | Path,
    images: xr.Dataset,
    spectra: xr.Dataset,
    *,
    galaxy: Mapping[str, object],
    survey: str,
    matching: Matching | None = None,
    filters: Sequence[str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write images and spectra on one grid as piXedfit does, in float32.

    Parameters
    ----------
    path : Path
        Name of the file.
    images : Dataset
        ``image/1`` with ``region``.
    spectra : Dataset
        ``cube/1`` on the same grid.
    galaxy : mapping
        Catalogue row: ``id``, ``ra``, ``dec`` [deg], ``redshift`` and, if known, ``ebv``.
    survey : str
        Of the spectra, as piXedfit calls it: ``manga``, ``califa``.
    matching : Matching, optional
        Makes the file of the kind ``corr_specphoto``, without STAMP_IMAGE.
    filters : sequence of str, optional
        Names of the bands' filters in piXedfit's library; default: the names of the bands.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ConfigError
        If the file exists, or filters are not as many as bands.
    DataError
        If images and spectra, or factors, are not on one grid.
    SchemaError
        If a dataset is not of its schema.
    StoreError
        If the file cannot be written.

    Notes
    -----
    STAMP_IMAGE, which alone has the WCS in piXedfit's files, is the middle band. Ours have the WCS
    at the regions too, so that it is not lost with the stamp.
    """
    path = Path(path)
    IMAGE.validate(images)
    CUBE.validate(spectra)
    refuse_existing(path, overwrite=overwrite)
    names = filters_to_write([str(band) for band in images["band"].values], filters)
    planes = _planes(images, spectra, matching)
    cards = fits.Header()
    cards["nfilters"] = len(names)
    wcs = images.attrs.get("wcs")
    width = float(np.max(images["psf_fwhm"].values))
    add_cards(cards, galaxy, wcs=wcs, psf_fwhm=width, with_spectra=True)
    cards["ifssurve"] = survey
    add_bands(cards, images, names)
    by_name = {name: planes[role] for role, name in _HDUS.items() if role in planes}
    write_planes(path, by_name, cards, wcs=wcs, keys_alone=False)


def read_pixedfit_specphoto(
    path: str | Path, *, pivot: Mapping[str, float] | None = None
) -> PixedfitSpecphoto:
    """Return the images and spectra that piXedfit or `write_pixedfit_specphoto` wrote.

    Parameters
    ----------
    path : Path
        A specphoto or corr_specphoto file.
    pivot : mapping, optional
        Pivot wavelengths [Angstrom] by filter, for those that `load_filters` does not know.

    Returns
    -------
    found : PixedfitSpecphoto
        A flux that is not finite, and one whose error is not finite and positive, is NaN and
        flagged; so are spectra outside their region.

    Raises
    ------
    DataError
        If the file is absent, damaged or of another kind, or does not tell its unit.
    ConfigError
        If the pivot wavelength of a filter is not known.

    Notes
    -----
    Wavelengths are taken as they are: piXedfit does not convert those of a survey, in vacuum
    (MaNGA) or in air (CALIFA).
    """
    arrays, header, wcs = _read(path)
    filters, waves = bands_of(path, header, pivot or {})
    ratio = scale_of(path, header) / UNIT
    attrs = {} if wcs is None else {"wcs": wcs}
    n_band = len(filters)
    for role in ("photo_flux", "photo_err"):
        check_planes(path, f"HDU {_HDUS[role]}", arrays[role], n_band, "filters")
    flux, flux_err = (
        to_ujy(path, arrays[role], header, waves[:, None, None])
        for role in ("photo_flux", "photo_err")
    )
    images = pixel_dataset(
        IMAGE,
        {
            **measured(flux, flux_err, np.ones(flux.shape[1:], dtype=bool)),
            "band": band_names(header, filters),
            "pivot_wave": waves,
            "psf_fwhm": arrays.get("psf_fwhm", np.full(n_band, psf_width(header))),
            "noise_area": np.ones(n_band),
            "region": arrays["photo_region"] == 1,
        },
        attrs,
    )
    region = arrays["spec_region"] == 1
    spectra = pixel_dataset(
        CUBE,
        {
            **measured(arrays["spec_flux"] * ratio, arrays["spec_err"] * ratio, region),
            "wave": arrays["wave"],
            "lsf_fwhm": arrays.get("lsf_fwhm", np.full(arrays["wave"].shape, np.nan)),
            "region": region,
        },
        attrs,
    )
    matching = None
    if "factor" in arrays:
        model = arrays.get("model_flux")
        matching = Matching(
            np.where(region, arrays["factor"], np.nan),
            arrays.get("model_wave"),
            None if model is None else model * ratio,
        )
    return PixedfitSpecphoto(images, spectra, matching, header)


def _planes(
    images: xr.Dataset, spectra: xr.Dataset, matching: Matching | None
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by role."""
    grid, found = images["flux"].shape[1:], spectra["flux"].shape[1:]
    if grid != found:
        raise DataError(f"the images are on a grid of {grid}, the spectra on {found}")
    pivots = images["pivot_wave"].values[:, None, None]
    flux, flux_err = (
        from_ujy(images[name].values, pivots).astype(np.float32) for name in ("flux", "flux_err")
    )
    spectrum = spectra["flux"].values
    region = np.isfinite(spectrum).any(axis=0)
    inside = np.ones(grid, dtype=bool)
    planes: dict[str, NDArray[Any]] = {
        "photo_flux": flux,
        "photo_err": flux_err,
        "wave": spectra["wave"].values,
        "spec_flux": spectrum,
        "spec_err": spectra["flux_err"].values,
        "spec_region": (spectra["region"].values if "region" in spectra else region),
        "photo_region": (images["region"].values if "region" in images else inside),
        "lsf_fwhm": spectra["lsf_fwhm"].values,
        "psf_fwhm": images["psf_fwhm"].values,
    }
    for name in ("spec_region", "photo_region"):
        planes[name] = planes[name].astype(np.int16)
    if matching is None:
        return planes | {"stamp": images["flux"].values[len(flux) // 2]}
    if matching.factor.shape != spectrum.shape:
        raise DataError(f"factors have the shape {matching.factor.shape}, spectra {spectrum.shape}")
    planes["factor"] = matching.factor.astype(np.float32)
    if matching.model_wave is not None and matching.model_flux is not None:
        planes["model_wave"] = matching.model_wave
        planes["model_flux"] = matching.model_flux.astype(np.float32)
    return planes


def _read(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any], str | None]:
    """Return the arrays of a file by role, its keys in lower case, and its WCS if it has one."""
    with opened_hdus(path) as hdus:
        by_name = hdus_of(hdus)
        by_name.setdefault(_HDUS["photo_flux"], hdus[0])
        found = {
            role: by_name[name]
            for role, name in _HDUS.items()
            if name in by_name and by_name[name].data is not None
        }
        if missing := [_HDUS[role] for role in _NEEDED if role not in found]:
            raise lacking(path, ", ".join(missing), kind="specphoto", found=by_name)
        arrays = {role: np.array(hdu.data, dtype=np.float64) for role, hdu in found.items()}
        header = keys_of(hdus)
        cards = wcs_of(path, (found[role].header for role in found if arrays[role].ndim == 2))
    shape = arrays["photo_region"].shape
    wrong = {role: a.shape for role, a in arrays.items() if a.ndim > 1 and a.shape[-2:] != shape}
    if len(shape) != 2 or wrong:
        raise DataError(f"{path}: its region has the shape {shape}, and other HDUs have {wrong}")
    for role in ("spec_flux", "spec_err"):
        check_planes(path, f"HDU {_HDUS[role]}", arrays[role], arrays["wave"].size, "wavelengths")
    return arrays, header, cards
