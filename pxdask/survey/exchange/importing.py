"""A survey that begins from what piXedfit made: fluxmap or specphoto files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from astropy.table import Table
from astropy.wcs import WCS

from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.files import refuse_existing, write_text, write_with
from pxdask.core.names import file_name
from pxdask.io.fits import write_image
from pxdask.io.pixedfit_cards import OtherKindError, psf_width
from pxdask.io.pixedfit_fluxmap import PixedfitFluxmap, read_pixedfit_fluxmap
from pxdask.io.pixedfit_specphoto import read_pixedfit_specphoto

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

CATALOG, CONFIG, IMAGES = "catalog.ecsv", "survey.yaml", "images"

_KIND = r"(?:corr_)?(?:specphoto|fluxmap)"
_ENDINGS = re.compile(rf"(?i)^{_KIND}[_-]|[_-]{_KIND}$")
"""What names of files have besides the galaxy's."""

_COMMENT = """\
# Images that piXedfit has matched: they stay as they are. What is not here has its default:
# give binning, models and fit as you want them (docs/parameters.md).
"""

_COLUMNS = {
    "id": (None, "name of the galaxy, {id} in paths"),
    "ra": ("deg", "right ascension, ICRS"),
    "dec": ("deg", "declination, ICRS"),
    "redshift": (None, "redshift"),
    "region_length": ("arcsec", "side of a box around the galaxy's pixels, along declination"),
    "region_width": ("arcsec", "side of a box around the galaxy's pixels, along right ascension"),
    "pixel_scale": ("arcsec", "side of the images' pixels"),
}
"""Columns of the catalogue: units and descriptions."""

_WIDE = 3.0
"""Width of a PSF where no file tells one [pixels]: nothing is matched by it."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written.

    Attributes
    ----------
    catalog, config : Path
        What `pxdask run` takes.
    data_root : Path
        Folder of the images.
    galaxies : tuple of str
        Identifiers.
    """

    catalog: Path
    config: Path
    data_root: Path
    galaxies: tuple[str, ...]


def import_pixedfit(
    files: Sequence[str | Path] | Mapping[str, str | Path],
    folder: str | Path,
    *,
    pivot: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> Imported:
    """Write images, catalogue and settings of a survey whose images piXedfit has matched.

    The survey's stage of images then changes nothing: images are on one grid and of one PSF, and
    what is outside the galaxy's region is empty, so that the region is theirs. Noise counts as
    uncorrelated, as in piXedfit. Settings are the defaults: look at them before the run.

    Parameters
    ----------
    files : sequence of Path, or mapping
        Fluxmap or specphoto files, whose spectra are left out; a mapping tells the galaxies'
        identifiers, else they are the names of the files without ``fluxmap_`` and the like.
    folder : path
        Where ``images/ID/band.fits``, ``catalog.ecsv`` and ``survey.yaml`` go.
    pivot : mapping, optional
        Pivot wavelengths [Angstrom] by filter, for those that `load_filters` does not know.
    overwrite : bool
        Whether existing files may be replaced.

    Raises
    ------
    ConfigError
        If there are no files, two of one name, files of other filters than the first, or files
        that would be replaced.
    DataError
        If a file is damaged, of another kind, or lacks position, redshift or WCS.

    Notes
    -----
    Bands are called as the filters. A pixbin file gives a map of bins: `pxdask bins import`.
    """
    place = Path(folder)
    by_name: Mapping[str, str | Path] = (
        files if isinstance(files, Mapping) else _named([Path(file) for file in files])
    )
    if not by_name:
        raise ConfigError("no files are given; wanted fluxmap or specphoto files of piXedfit")
    targets = (place / CATALOG, place / CONFIG, *(place / IMAGES / name for name in by_name))
    for path in targets:
        refuse_existing(path, overwrite=overwrite)
    rows, widths, filters = [], [], None
    for name, file in by_name.items():
        found = _read(file, pivot)
        own = list(found.filters)
        filters = own if filters is None else filters
        if own != filters:
            raise ConfigError(
                f"{file} has the filters {', '.join(own)}; wanted those of the first file,"
                f" {', '.join(filters)}: import files of other filters into a folder of their own"
            )
        rows.append(_row(name, found, file))
        widths.append(psf_width(found.header))
    for name, file in by_name.items():  # read again: nothing is written where a file has a fault
        _write_images(place / IMAGES / file_name(name), _read(file, pivot).images, filters or [])
    scale = max(row["pixel_scale"] for row in rows)
    width = max((one for one in widths if one > 0), default=_WIDE * scale)
    config = _config(filters or [], width=width)
    given = yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True), sort_keys=False)
    write_text(_COMMENT + given, place / CONFIG)
    table = _table(rows)
    write_with(lambda part: table.write(part, format="ascii.ecsv"), place / CATALOG)
    return Imported(place / CATALOG, place / CONFIG, place / IMAGES, tuple(by_name))


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """Return files by the identifiers of their galaxies."""
    found: dict[str, Path] = {}
    for file in files:
        stem = file.name.removesuffix(".gz").removesuffix(".fits")
        name = _ENDINGS.sub("", stem) or stem
        if name in found:
            raise ConfigError(
                f"{file} and {found[name]} would both be galaxy {name!r}; give identifiers: "
                "import_pixedfit({'one': FILE, 'other': FILE}, FOLDER)"
            )
        found[name] = file
    return found


def _read(file: str | Path, pivot: Mapping[str, float] | None) -> PixedfitFluxmap:
    """Return the images of a file of either kind."""
    try:
        return read_pixedfit_fluxmap(file, pivot=pivot)
    except OtherKindError as error:
        try:
            found = read_pixedfit_specphoto(file, pivot=pivot)
        except DataError as other:
            raise DataError(f"{error}; nor is it a specphoto file: {other}") from other
        return PixedfitFluxmap(found.images, found.header)


def _row(name: str, found: PixedfitFluxmap, file: str | Path) -> dict[str, Any]:
    """Return a galaxy's row of the catalogue, with the box around its region [arcsec]."""
    images = found.images
    if "wcs" not in images.attrs:
        raise DataError(f"{file}: no HDU has a WCS, neither STAMP_IMAGE nor a region")
    row = {**found.row(name)}
    row.pop("ebv", None)  # its effect on the fluxes is corrected already
    wcs = WCS(str(images.attrs["wcs"])).celestial
    y, x = np.nonzero(images["region"].values)
    if not y.size:
        raise DataError(f"{file}: the galaxy's region has no pixel of value 1")
    ra, dec = wcs.pixel_to_world_values(x, y)
    scale = 3600 * math.sqrt(abs(float(np.linalg.det(wcs.pixel_scale_matrix))))
    centre_dec = float(str(row["dec"]))
    east = (np.asarray(ra) - float(str(row["ra"])) + 180) % 360 - 180
    sides = (
        2 * 3600 * float(np.max(np.abs(offset))) + 2 * scale
        for offset in (np.asarray(dec) - centre_dec, east * math.cos(math.radians(centre_dec)))
    )
    row["region_length"], row["region_width"] = sides
    row["pixel_scale"] = scale
    return row


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the catalogue."""
    table = Table({name: [row[name] for row in rows] for name in _COLUMNS})
    for name, (unit, meaning) in _COLUMNS.items():
        table[name].unit, table[name].description = unit, meaning
    return table


def _write_images(folder: Path, images: xr.Dataset, filters: Sequence[str]) -> None:
    """Write flux and error of each band [uJy]; NaN outside the region, which runs go by."""
    cards = dict(WCS(str(images.attrs["wcs"])).to_header(relax=True)) | {"BUNIT": "uJy"}
    inside = images["region"].values
    for variable, ending in (("flux", ""), ("flux_err", "err")):
        planes = np.where(inside, images[variable].values, np.float32(np.nan))
        for name, plane in zip(filters, planes, strict=True):
            write_image(folder / f"{file_name(name, ending)}.fits", plane, cards)


def _config(filters: Sequence[str], *, width: float) -> SurveyConfig:
    """Return settings with which the images stay as they are."""
    bands = [
        {
            "name": name,
            "filter": name,
            "image": f"{{data_root}}/{{id}}/{file_name(name)}.fits",
            "uncertainty": {
                "path": f"{{data_root}}/{{id}}/{file_name(name, 'err')}.fits",
                "kind": "sigma",
            },
            "unit": "uJy",
            "psf": {"fwhm": width},
        }
        for name in filters
    ]
    region = {"kind": "rectangle", "length": "region_length", "width": "region_width"}
    return SurveyConfig.parse(
        {
            "name": "pixedfit",
            "bands": bands,
            "images": {"match_psf": False, "region": region},
        }
    )
