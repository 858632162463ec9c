"""The plan of one galaxy, made where its files are: headers, checksums, grid, keys."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs.utils import pixel_to_pixel

from pxdask.core.errors import ConfigError, DataError
from pxdask.images import Psf, common_grid
from pxdask.images.calibration import keyword_faults, read_keywords, with_survey_defaults
from pxdask.images.grid import parse_wcs
from pxdask.io.catalog import fill_template, sky_position
from pxdask.io.fits import image_shape, read_header
from pxdask.io.ifs import read_ifs_header
from pxdask.io.kernels import find_kernel
from pxdask.io.sdss import frame_planes
from pxdask.io.stars import read_stars
from pxdask.io.stores import checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pxdask.core.config import BandConfig, PsfConfig, SurveyConfig
    from pxdask.images import Grid
    from pxdask.io.fits import ImageHeader
    from pxdask.io.ifs import IfsHeader

logger = logging.getLogger(__name__)

_SAME_PIXELS = 0.5
"""Distance at which a pixel of one grid is another's [pix]."""


@dataclass(frozen=True, slots=True)
class GalaxyInputs:
    """A galaxy with its files found, opened and understood, but no pixel read.

    ``bands`` have their templates filled in, and what their surveys give; ``checksums`` hold,
    for each band, one digest of each of its files; ``stars`` are ra, dec [deg] and radius
    [arcsec] of what is masked, from ``stars_path``; ``bin_map`` is the file of given bins, with
    its digest; ``ifs`` the integral-field cube.
    """

    galaxy: Mapping[str, object]
    bands: tuple[BandConfig, ...]
    headers: Mapping[str, ImageHeader]
    grid: Grid
    checksums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stars: tuple[tuple[float, float, float], ...] = ()
    bin_map: BinMapFile | None = None
    ifs: IfsFile | None = None
    stars_path: Path | None = None


@dataclass(frozen=True, slots=True)
class IfsFile:
    """A galaxy's integral-field cube: what its header tells, and the file's digest."""

    header: IfsHeader
    checksum: str


@dataclass(frozen=True, slots=True)
class BinMapFile:
    """A map of bins that the user gives: the file, and the checksum of its content."""

    path: Path
    checksum: str


def resolved_bands(
    galaxy: Mapping[str, object], config: SurveyConfig, *, root: str
) -> tuple[BandConfig, ...]:
    """Return the bands with this galaxy's paths and filters, and their surveys' defaults.

    Raises
    ------
    ConfigError
        If a template needs a column that the galaxy does not have, or a band's survey does
        not give what the band leaves out.
    """
    bands = tuple(with_survey_defaults(_resolved(band, galaxy, root)) for band in config.bands)
    target = next((band for band in bands if band.name == config.images.target_psf), None)
    return tuple(_with_kernel(band, target) for band in bands)


def _with_kernel(band: BandConfig, target: BandConfig | None) -> BandConfig:
    """Return a band whose kernel is a file, found where the setting names a folder of them."""
    psf = band.psf
    if psf is None or psf.kernel is None or target is None or not Path(psf.kernel).is_dir():
        return band
    path = find_kernel(psf.kernel, band.filter, target.filter)
    return band.model_copy(update={"psf": psf.model_copy(update={"kernel": str(path)})})


def shape_psf(psf: PsfConfig) -> Psf:
    """Return a PSF that is given by its width."""
    return Psf(
        fwhm=psf.fwhm,
        shape=psf.shape,
        second_fwhm=psf.second_fwhm,
        second_weight=psf.second_weight,
        beta=psf.beta,
    )


def band_roles(band: BandConfig) -> dict[str, Path]:
    """Return the files that a resolved band is made from, by what they are for.

    A file with two uses goes by the first.
    """
    paths = {
        "image": band.image,
        "uncertainty": band.uncertainty.path if band.uncertainty is not None else None,
        "exposure": band.exposure,
        "psf": band.needed_psf.image,
        "kernel": band.needed_psf.kernel,
    }
    first = {path: role for role, path in reversed(paths.items()) if path}
    return {role: Path(path) for role, path in paths.items() if path and first[path] == role}


def band_files(band: BandConfig) -> tuple[Path, ...]:
    """Return the files that a resolved band is made from."""
    return tuple(band_roles(band).values())


def open_headers(
    galaxy: Mapping[str, object], bands: tuple[BandConfig, ...]
) -> tuple[dict[str, ImageHeader], list[tuple[str, str]]]:
    """Return the header of each band's image, and what is wrong, as (band, message)."""
    headers: dict[str, ImageHeader] = {}
    faults: list[tuple[str, str]] = []
    ra, dec = sky_position(galaxy)
    for band in bands:
        try:
            header = read_header(Path(band.image), band.hdu, keywords=read_keywords(band))
            common_grid([header], ra=ra, dec=dec)
            found = keyword_faults(band, header.keywords) + _plane_faults(band, header)
        except (DataError, ConfigError) as error:
            faults.append((band.name, str(error)))
            continue
        faults += [(band.name, message) for message in found]
        headers[band.name] = header
        if header.note:
            logger.info("%s: %s", band.image, header.note)
    return headers, faults


def _plane_faults(band: BandConfig, header: ImageHeader) -> list[str]:
    """Return what is wrong with the files beside the science image."""
    given = band.uncertainty
    planes = [(given.path, given.hdu)] if given is not None and given.path else []
    planes += [(band.exposure, 0)] if band.exposure is not None else []
    faults = []
    for path, hdu in planes:
        if (shape := image_shape(Path(path), hdu)) != header.shape:
            faults.append(f"{path} is {shape}, the image is {header.shape}")
    psf = band.needed_psf.image or band.needed_psf.kernel
    if psf is not None and not Path(psf).is_file():
        faults.append(f"no such file: {psf}")
    if band.survey == "sdss" and given is None:
        frame_planes(header.path, rows=slice(0, 1), columns=slice(0, 1))
    return faults


def stamp_grid(
    galaxy: Mapping[str, object], headers: Mapping[str, ImageHeader], config: SurveyConfig
) -> Grid:
    """Return the grid that a galaxy's bands are brought to; see `common_grid`."""
    ra, dec = sky_position(galaxy)
    return common_grid(
        list(headers.values()),
        ra=ra,
        dec=dec,
        stamp_size=config.images.stamp_size,
        pixel_scale=config.images.pixel_scale,
    )


def star_list(
    galaxy: Mapping[str, object], config: SurveyConfig, *, root: str
) -> tuple[tuple[float, float, float], ...]:
    """Return the stars to be masked for a galaxy: ra, dec [deg], radius [arcsec].

    Raises
    ------
    ConfigError
        If the template of the table needs a column that the galaxy does not have.
    DataError
        If the table cannot be read.
    """
    path = stars_file(galaxy, config, root=root)
    return () if path is None else read_stars(path)


def stars_file(galaxy: Mapping[str, object], config: SurveyConfig, *, root: str) -> Path | None:
    """Return the table of stars to be masked for a galaxy; None where none are; see `star_list`."""
    template = config.images.region.stars
    return None if template is None else Path(root) / fill_template(template, galaxy, root=root)


def open_ifs(galaxy: Mapping[str, object], config: SurveyConfig, *, root: str) -> IfsHeader | None:
    """Return the header of a galaxy's integral-field cube; None where the survey has none.

    Raises
    ------
    ConfigError
        If the template needs a column that the galaxy does not have.
    DataError
        If there is no such file, or it is no cube that can be read.
    """
    if config.ifs is None:
        return None
    path = Path(root) / fill_template(config.ifs.path, galaxy, root=root)
    return read_ifs_header(config.ifs.model_copy(update={"path": str(path)}))


def bin_map_path(galaxy: Mapping[str, object], config: SurveyConfig, *, root: str) -> Path | None:
    """Return the file of the bins given for a galaxy; None where bins are made.

    Raises
    ------
    ConfigError
        If the template needs a column that the galaxy does not have.
    """
    if config.binning.map is None:
        return None
    return Path(root) / fill_template(config.binning.map, galaxy, root=root)


def require_on_grid(path: Path, grid: Grid) -> None:
    """Raise `DataError` unless a map of bins lies on the galaxy's grid.

    A map without coordinates is believed if its shape is the grid's; one with celestial
    coordinates must have its pixels where the grid has, to half a pixel in the corners.
    """
    shape = image_shape(path)
    if shape != grid.shape:
        raise DataError(f"the map of bins {path} is {shape}, the galaxy's grid {grid.shape}")
    try:
        wcs = read_header(path).wcs
    except DataError:
        return  # no coordinates
    ny, nx = shape
    x, y = np.array([0.0, nx - 1, 0.0, nx - 1]), np.array([0.0, 0.0, ny - 1, ny - 1])
    there = pixel_to_pixel(parse_wcs(wcs), grid.to_wcs(), x, y)
    away = float(np.max(np.hypot(there[0] - x, there[1] - y)))
    if not away <= _SAME_PIXELS:
        raise DataError(
            f"the map of bins {path} is not on the galaxy's grid: by their coordinates its corners"
            f" are {away:.1f} pixels away; make it on the grid of the cube"
        )


def _given_map(
    galaxy: Mapping[str, object], config: SurveyConfig, *, root: str, grid: Grid
) -> BinMapFile | None:
    """Return the map of bins given for a galaxy, which must lie on its grid."""
    path = bin_map_path(galaxy, config, root=root)
    if path is None:
        return None
    require_on_grid(path, grid)
    return BinMapFile(path, _checksum(path))


def inspect_galaxy(
    galaxy: Mapping[str, object], config: SurveyConfig, *, root: str
) -> GalaxyInputs:
    """Return what is to be processed for a galaxy.

    Raises
    ------
    ConfigError, DataError
        Naming everything that is wrong with the galaxy's files at once.
    """
    bands = resolved_bands(galaxy, config, root=root)
    headers, faults = open_headers(galaxy, bands)
    stars: tuple[tuple[float, float, float], ...] = ()
    try:
        stars = star_list(galaxy, config, root=root)
    except (DataError, ConfigError) as error:
        faults.append(("", str(error)))
    grid: Grid | None = None
    given: BinMapFile | None = None
    try:
        if len(headers) == len(bands):
            grid = stamp_grid(galaxy, headers, config)
            given = _given_map(galaxy, config, root=root, grid=grid)
    except (DataError, ConfigError) as error:
        faults.append(("", str(error)))
    cube: IfsHeader | None = None
    try:
        cube = open_ifs(galaxy, config, root=root)
    except (DataError, ConfigError) as error:
        faults.append(("", str(error)))
    if faults or grid is None:
        raise DataError(
            "; ".join(f"band {band}: {message}" if band else message for band, message in faults)
        )
    checksums = {band.name: tuple(_checksum(path) for path in band_files(band)) for band in bands}
    ifs = None if cube is None else IfsFile(cube, _checksum(Path(cube.path)))
    table = stars_file(galaxy, config, root=root)
    return GalaxyInputs(galaxy, bands, headers, grid, checksums, stars, given, ifs, table)


def _resolved(band: BandConfig, galaxy: Mapping[str, object], root: str) -> BandConfig:
    """Return one band with its templates filled in; relative paths start at ``root``."""

    def path(template: str | None) -> str | None:
        if template is None:
            return None
        return str(Path(root) / fill_template(template, galaxy, root=root))

    curve = fill_template(band.filter, galaxy, root=root)
    return band.model_copy(
        update={
            "filter": path(band.filter) if "/" in curve else curve,
            "image": path(band.image),
            "exposure": path(band.exposure),
            "uncertainty": band.uncertainty
            and band.uncertainty.model_copy(
                update={"path": path(band.uncertainty.path or None) or ""}
            ),
            "psf": band.psf
            and band.psf.model_copy(
                update={"image": path(band.psf.image), "kernel": path(band.psf.kernel)}
            ),
        }
    )


def _checksum(path: Path) -> str:
    """Return a file's checksum, computed again only if its size or time has changed."""
    status = path.stat()
    return _checksum_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _checksum_of(path: Path, _size: int, _mtime_ns: int) -> str:
    return checksum(path)
