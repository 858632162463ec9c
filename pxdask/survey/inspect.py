"""The plan of one galaxy, made where its files are: headers, checksums, grid, keys."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pxdask.core.errors import ConfigError, DataError
from pxdask.images import common_grid
from pxdask.io.catalog import fill_template, sky_position
from pxdask.io.fits import image_shape, read_header
from pxdask.io.stores import checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pxdask.core.config import BandConfig, SurveyConfig
    from pxdask.images import Grid
    from pxdask.io.fits import ImageHeader

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GalaxyInputs:
    """A galaxy with its files found, opened and understood, but no pixel read.

    ``bands`` have their templates filled in; ``checksums`` hold, for each band, one digest of
    each of its files.
    """

    galaxy: Mapping[str, object]
    bands: tuple[BandConfig, ...]
    headers: Mapping[str, ImageHeader]
    grid: Grid
    checksums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def resolved_bands(
    galaxy: Mapping[str, object], config: SurveyConfig, *, root: str
) -> tuple[BandConfig, ...]:
    """Return the bands with this galaxy's paths and filters.

    Raises
    ------
    ConfigError
        If a template needs a column that the galaxy does not have.
    """
    return tuple(_resolved(band, galaxy, root) for band in config.bands)


def band_files(band: BandConfig) -> tuple[Path, ...]:
    """Return the files that a resolved band is made from."""
    psf = band.psf.image or band.psf.kernel
    paths = [band.image, band.uncertainty.path, *([psf] if psf else [])]
    return tuple(Path(path) for path in paths)


def open_headers(
    galaxy: Mapping[str, object], bands: tuple[BandConfig, ...]
) -> tuple[dict[str, ImageHeader], list[tuple[str, str]]]:
    """Return the header of each band's image, and what is wrong, as (band, message)."""
    headers, faults = {}, []
    ra, dec = sky_position(galaxy)
    for band in bands:
        try:
            header = read_header(Path(band.image), band.hdu)
            shape = image_shape(Path(band.uncertainty.path), band.uncertainty.hdu)
            common_grid([header], ra=ra, dec=dec)
        except (DataError, ConfigError) as error:
            faults.append((band.name, str(error)))
            continue
        if shape != header.shape:
            faults.append(
                (band.name, f"{band.uncertainty.path} is {shape}, the image is {header.shape}")
            )
        faults += [
            (band.name, f"no such file: {path}")
            for path in band_files(band)[2:]
            if not path.is_file()
        ]
        headers[band.name] = header
        if header.note:
            logger.info("%s: %s", band.image, header.note)
    return headers, faults


def stamp_grid(
    galaxy: Mapping[str, object], headers: Mapping[str, ImageHeader], config: SurveyConfig
) -> Grid:
    """Return the grid that a galaxy's bands are brought to; see `common_grid`."""
    ra, dec = sky_position(galaxy)
    return common_grid(list(headers.values()), ra=ra, dec=dec, stamp_size=config.images.stamp_size)


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
    if faults:
        raise DataError("; ".join(f"band {band}: {message}" for band, message in faults))
    grid = stamp_grid(galaxy, headers, config)
    checksums = {band.name: tuple(_checksum(path) for path in band_files(band)) for band in bands}
    return GalaxyInputs(galaxy, bands, headers, grid, checksums)


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
            "uncertainty": band.uncertainty.model_copy(
                update={"path": path(band.uncertainty.path)}
            ),
            "psf": band.psf.model_copy(
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
