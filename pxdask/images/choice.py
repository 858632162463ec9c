"""The galaxy's pixels in a cube, as the settings choose: its segments, or a shape on the sky."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.settings import value_of
from pxdask.images.grid import Grid, position
from pxdask.images.isophotes import measured_ellipse
from pxdask.images.masks import GROWTH_WIDTHS, neighbour_mask, star_mask
from pxdask.images.region import Segments, galaxy_segments, merged_region, require_pixels
from pxdask.images.shapes import Ellipse, Rectangle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.config import RegionConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GalaxyRegion:
    """Which pixels are the galaxy's.

    Attributes
    ----------
    pixels : (ny, nx) bool
        The galaxy's.
    masked : (ny, nx) bool
        Neighbours' and stars', in the region or not.
    geometry : mapping
        Attributes for the cube: ``region_kind``; of shapes also ``region_source`` ("given",
        "isophote" or, where no isophote could be fitted, "moments"), ``region_ra``,
        ``region_dec`` [deg], the sides or half axes [arcsec] and ``region_angle`` [deg].
    """

    pixels: NDArray[np.bool_]
    masked: NDArray[np.bool_]
    geometry: Mapping[str, str | float] = field(default_factory=dict)


def find_region(
    cube: xr.Dataset,
    galaxy: Mapping[str, object],
    *,
    config: RegionConfig,
    stars: Sequence[tuple[float, float, float]] = (),
) -> GalaxyRegion:
    """Return the pixels of a galaxy.

    Parameters
    ----------
    cube : xarray.Dataset
        Schema image/1 with all bands.
    galaxy : mapping
        The catalogue row: ra, dec [deg], and the columns that the settings name.
    config : RegionConfig
        What the region is.
    stars : sequence of (float, float, float)
        ra, dec [deg], radius [arcsec] of what is masked.

    Raises
    ------
    DataError
        If the galaxy is outside or not detected where it must be, if a column is absent or its
        value impossible, or if nothing is left of the region.
    """
    grid = Grid(cube.attrs["wcs"], (cube.sizes["y"], cube.sizes["x"]))
    ra, dec = _degrees(galaxy, "ra"), _degrees(galaxy, "dec")
    x, y = position(grid.to_wcs(), ra=ra, dec=dec)
    used = _bands(cube, config)
    on_stars = star_mask(grid.to_wcs(), grid.shape, stars=stars)
    on_neighbours, segments = np.zeros(grid.shape, dtype=bool), None
    if config.kind == "segmentation" or config.measured or config.mask_neighbours:
        segments = _segments(cube, used, config=config, x=x, y=y)
        if config.mask_neighbours:
            growth = GROWTH_WIDTHS * np.nan_to_num(cube["psf_fwhm"].values[used])
            growth /= grid.pixel_scale
            on_neighbours = neighbour_mask(segments.own, segments.others, growth=growth)
    masked = on_stars | on_neighbours
    _tell_if_masked(masked, x=x, y=y, galaxy=galaxy)
    if segments is not None and config.kind == "segmentation":
        pixels = merged_region(segments.own, neighbours=on_neighbours, stars=on_stars, x=x, y=y)
        return GalaxyRegion(pixels, masked, {"region_kind": config.kind})
    if segments is not None and config.measured:
        shape: Ellipse | Rectangle = _measured(
            cube, segments, used, galaxy, config=config, masked=masked
        )
    else:
        shape = _given(galaxy, config, ra=ra, dec=dec)
    known = np.isfinite(cube["flux"].values[used]).any(axis=0)
    bounds = shape.contains(grid.to_wcs(), grid.shape)
    _tell_if_cut(bounds, galaxy=galaxy)
    inside = bounds & known & ~masked
    return GalaxyRegion(
        require_pixels(inside, masked=masked), masked, _attributes(config.kind, shape)
    )


def _bands(cube: xr.Dataset, config: RegionConfig) -> list[int]:
    """Return the numbers of the bands that decide the region."""
    names = [str(name) for name in cube["band"].values]
    wanted = list(config.bands or names)
    if config.measured and config.measure_band is not None and config.measure_band not in wanted:
        wanted.append(config.measure_band)
    if absent := [name for name in wanted if name not in names]:
        raise DataError(f"images.region names bands {absent}; the cube has {names}")
    return [names.index(name) for name in wanted]


def _segments(
    cube: xr.Dataset, used: list[int], *, config: RegionConfig, x: float, y: float
) -> Segments:
    """Return the galaxy's and its neighbours' segments in the bands that are used."""
    scale = Grid(cube.attrs["wcs"], (cube.sizes["y"], cube.sizes["x"])).pixel_scale
    return galaxy_segments(
        cube["flux"].values[used],
        cube["flux_err"].values[used],
        x=x,
        y=y,
        psf_fwhm=cube["psf_fwhm"].values[used] / scale,
        noise_area=cube["noise_area"].values[used],
        threshold=config.threshold,
        min_area=config.min_area,
        deblend_contrast=config.deblend_contrast,
        names=[str(name) for name in cube["band"].values[used]],
        must_find=config.kind == "segmentation" or config.measured,
    )


def _measured(
    cube: xr.Dataset,
    segments: Segments,
    used: list[int],
    galaxy: Mapping[str, object],
    *,
    config: RegionConfig,
    masked: NDArray[np.bool_],
) -> Ellipse:
    """Return the ellipse measured on one band, of the size that is given, if one is.

    Where that band does not show the galaxy, its outline in the other bands is what is measured.
    """
    band = _measure_band(cube, used, config)
    seen = segments.own[used.index(band)]
    own: NDArray[np.bool_] = np.asarray(seen if np.any(seen) else segments.own.any(axis=0))
    limit = segments.limit[used.index(band)]
    if not np.any(np.isfinite(limit[own])):
        raise DataError(
            f"no ellipse can be measured on band {cube['band'].values[band]!r}: it has no data at "
            "the galaxy; name another images.region.measure_band"
        )
    free = own & ~masked
    ellipse = measured_ellipse(
        cube["flux"].values[band],
        free if np.any(free) else own,
        bad=masked | (segments.others[used.index(band)] & ~own),
        limit=float(np.nanmedian(limit[own])),
        wcs=Grid(cube.attrs["wcs"], own.shape).to_wcs(),
    )
    if ellipse.source == "moments":
        logger.info(
            "galaxy %s: no isophote could be fitted; the region is the ellipse with its segment's "
            "second moments",
            galaxy.get("id"),
        )
    if config.semi_major is None:
        return ellipse
    return ellipse.resized(_positive(config, "semi_major", galaxy))


def _measure_band(cube: xr.Dataset, used: list[int], config: RegionConfig) -> int:
    """Return the band that is measured: the one named, or the middle in wavelength."""
    if config.measure_band is not None:
        return [str(name) for name in cube["band"].values].index(config.measure_band)
    ordered = sorted(used, key=lambda band: float(cube["pivot_wave"].values[band]))
    return ordered[len(ordered) // 2]


def _given(
    galaxy: Mapping[str, object], config: RegionConfig, *, ra: float, dec: float
) -> Ellipse | Rectangle:
    """Return the shape whose geometry the settings or the catalogue give."""
    if config.kind == "circle":
        radius = _positive(config, "radius", galaxy)
        return Ellipse(ra, dec, radius, radius, 0.0)
    angle = value_of(config.angle, galaxy)
    if config.kind == "rectangle":
        length, width = (_positive(config, name, galaxy) for name in ("length", "width"))
        return Rectangle(ra, dec, length, width, angle)
    semi_major, ratio = (_positive(config, name, galaxy) for name in ("semi_major", "axis_ratio"))
    if ratio > 1:
        raise DataError(f"its axis_ratio is {ratio:g}; minor by major axis is at most 1")
    return Ellipse(ra, dec, semi_major, ratio * semi_major, angle)


def _positive(config: RegionConfig, name: str, galaxy: Mapping[str, object]) -> float:
    """Return a size of the settings, which may be a column of the catalogue."""
    setting = getattr(config, name)
    value = value_of(setting, galaxy)
    if not value > 0:
        raise DataError(f"images.region.{name} is {setting!r}: {value:g}, wanted above 0")
    return value


def _attributes(kind: str, shape: Ellipse | Rectangle) -> dict[str, str | float]:
    """Return the attributes that tell a shape's geometry."""
    if isinstance(shape, Rectangle):
        sides = {"region_length": shape.length, "region_width": shape.width}
        source = "given"
    else:
        sides = {"region_semi_major": shape.semi_major, "region_semi_minor": shape.semi_minor}
        source = shape.source
    place = {"region_ra": shape.ra, "region_dec": shape.dec, "region_angle": shape.angle}
    return {"region_kind": kind, "region_source": source, **place, **sides}


def _tell_if_masked(
    masked: NDArray[np.bool_], *, x: float, y: float, galaxy: Mapping[str, object]
) -> None:
    """Log that the galaxy's own position is masked: star tables may list a nucleus as a star."""
    row, column = np.rint([y, x]).astype(int) if np.isfinite([x, y]).all() else (-1, -1)
    inside = 0 <= row < masked.shape[0] and 0 <= column < masked.shape[1]
    if inside and masked[row, column]:
        logger.warning(
            "galaxy %s: its own position is masked as a star or neighbour; is its nucleus in the "
            "star table?",
            galaxy.get("id"),
        )


def _tell_if_cut(bounds: NDArray[np.bool_], *, galaxy: Mapping[str, object]) -> None:
    """Log that a shape reaches the stamp's border, beyond which it is cut off."""
    if bounds[[0, -1]].any() or bounds[:, [0, -1]].any():
        logger.warning(
            "galaxy %s: its region reaches the border of the stamp and may be cut off there; is "
            "images.stamp_size large enough?",
            galaxy.get("id"),
        )


def _degrees(galaxy: Mapping[str, object], name: str) -> float:
    """Return a coordinate of the catalogue row [deg]."""
    value = galaxy.get(name)
    try:
        return float(str(value))
    except ValueError as error:
        raise DataError(f"{name} is {value!r}, not degrees") from error
