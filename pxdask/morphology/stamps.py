"""Stamps of a galaxy in all its bands: as large as its region tells, other sources masked.

What is another source is decided in the band that sees the galaxy best (of the greatest S/N in its
segment), and in each band for what only that band sees. Within the galaxy's segment in the best
band no other band has a say: the ultraviolet light of a disc is in clumps, which are segments of
their own and yet the galaxy's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs.utils import pixel_to_pixel, pixel_to_skycoord
from scipy.ndimage import binary_closing, binary_fill_holes

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.images.grid import Grid, position
from pxdask.images.masks import GROWTH_WIDTHS, neighbour_mask, star_mask
from pxdask.images.own_stamp import cut_stamp, own_psf, own_stamp, psf_on_stamp
from pxdask.images.psf import Psf
from pxdask.images.psf_images import image_fwhm
from pxdask.images.region import Segments, galaxy_segments
from pxdask.morphology.scene import Neighbour

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bands import RegionConfig
    from pxdask.core.morphology import MorphologyConfig
    from pxdask.images.stage import ImageStage

    Stars = Sequence[tuple[float, float, float]]
    Mask = NDArray[np.bool_]

THRESHOLD = 3.0
"""Least S/N of a pixel of a source on a band's own pixels, whose noise is white or nearly so. The
threshold of the settings is for matched images, and lower ones mask bumps of noise that delivery
has correlated, which would bias the sky."""

SHARED = 0.2
"""Part of another segment inside the galaxy's, in the band that sees it best, that makes it the
galaxy's too."""

_BLOCKS = 5
"""Least number of blocks of pixels, each as wide as the PSF, of a galaxy whose size is sought."""

MIN_WIDTHS = 3.0
"""Least half-side of a stamp [PSF FWHM]."""


@dataclass(frozen=True)
class Stamps:
    """A galaxy, ready to be fitted.

    Attributes
    ----------
    bands : mapping
        Schema stamp/1 of each band, in the order of the fit.
    neighbours : tuple of Neighbour
        Sources that are not masked, since they are to be modelled; brightest first.
    """

    bands: Mapping[str, xr.Dataset]
    neighbours: tuple[Neighbour, ...] = ()


def make_stamps(
    images: Mapping[str, ImageStage],
    galaxy: Mapping[str, object],
    raws: Mapping[str, xr.Dataset],
    *,
    radius: float,
    config: MorphologyConfig,
    region: RegionConfig,
    stars: Stars = (),
) -> Stamps:
    """Return a galaxy in bands on their own pixels.

    Parameters
    ----------
    images : mapping
        The stage of each band, which calibrates it.
    galaxy : mapping
        The catalogue row: id, ra, dec [deg].
    raws : mapping
        Schema raw/1 of each band.
    radius : float
        Of the galaxy's region; see `region_radius` [arcsec].
    config, region
        Settings: sizes and neighbours; least area and deblending of sources.
    stars : sequence of (float, float, float)
        ra, dec [deg], radius [arcsec] of what is masked.

    Raises
    ------
    DataError
        If a band has no pixel with flux and error, or all that it has is masked.
    ConfigError
        If a band has a kernel in place of a PSF.
    """
    stamps = {}
    for name, stage in images.items():
        half_side = max(config.stamp * radius, MIN_WIDTHS * own_psf(raws[name], band=name).width)
        stamps[name] = own_stamp(
            stage, galaxy, raws[name], half_side=half_side, max_side=config.max_side
        )
    return without_others(stamps, galaxy, config=config, region=region, stars=stars)


def stamps_of_cube(
    cube: xr.Dataset,
    galaxy: Mapping[str, object],
    *,
    bands: Sequence[str],
    radius: float,
    config: MorphologyConfig,
    region: RegionConfig,
    stars: Stars = (),
    psf: Psf | None = None,
) -> Stamps:
    """Return a galaxy in bands of its cube of matched images.

    Errors are those that sums over many pixels have (``flux_err`` times the root of the noise
    area), since a fit takes pixels as independent: reduced chi-squares are then below one.

    Parameters
    ----------
    cube : xarray.Dataset
        Schema image/1. Pixels flagged MASKED are masked.
    galaxy, radius, config, region, stars
        As of `make_stamps`.
    bands : sequence of str
        Which of the cube's.
    psf : Psf, optional
        That of all bands; default: Gaussians of their ``psf_fwhm``.

    Raises
    ------
    DataError
        If a band's PSF is not known, or it has no pixel that is not masked.
    """
    grid = Grid(cube.attrs["wcs"], (cube.sizes["y"], cube.sizes["x"]))
    names = [str(name) for name in cube["band"].values]
    stamps, areas = {}, {}
    for name in bands:
        one = cube.isel(band=names.index(name))
        width, areas[name] = float(one["psf_fwhm"]), float(one["noise_area"])
        if psf is None and not width > 0:
            raise DataError(
                f"galaxy {galaxy.get('id')!r}, band {name!r}: the width of its PSF is not known;"
                " set morphology.data to own, or give its PSF as fwhm or image"
            )
        stamp = cut_stamp(
            *_unmasked(one),
            grid,
            psf=psf_on_stamp(psf or Psf(fwhm=width), grid.pixel_scale),
            at=_place(galaxy),
            band=name,
            pivot_wave=float(one["pivot_wave"]),
            half_side=max(config.stamp * radius, MIN_WIDTHS * width if width > 0 else 0.0),
            max_side=config.max_side,
        )
        stamps[name] = stamp
    found = without_others(
        stamps, galaxy, config=config, region=region, stars=stars, noise_areas=areas
    )
    wider = {
        name: stamp.assign(flux_err=stamp["flux_err"] * np.float32(np.sqrt(areas[name])))
        for name, stamp in found.bands.items()
    }
    for name, stamp in wider.items():
        stamp["flux_err"].attrs = found.bands[name]["flux_err"].attrs
    return Stamps(wider, found.neighbours)


def region_radius(cube: xr.Dataset, *, ra: float, dec: float) -> float:
    """Return the distance of the region's farthest pixel from a position [deg, arcsec].

    Raises
    ------
    DataError
        If the region is empty.
    """
    grid = Grid(cube.attrs["wcs"], (cube.sizes["y"], cube.sizes["x"]))
    rows, columns = np.nonzero(cube["region"].values)
    if not rows.size:
        raise DataError("the galaxy's region has no pixel")
    x, y = position(grid.to_wcs(), ra=ra, dec=dec)
    return float(grid.pixel_scale * (np.max(np.hypot(rows - y, columns - x)) + 0.5))


def segment_radius(
    stage: ImageStage, galaxy: Mapping[str, object], raw: xr.Dataset, *, region: RegionConfig
) -> float:
    """Return the radius of a galaxy's segment in a band [arcsec].

    Pixels are summed to blocks as wide as the PSF, which show more of its faint parts.

    Raises
    ------
    DataError
        If the band does not show it.
    """
    stamp = own_stamp(stage, galaxy, raw)
    size = max(1, round(_fwhm_pix(stamp)))
    flux, error = (stamp[name].values.astype(np.float64) for name in ("flux", "flux_err"))
    ra, dec = _place(galaxy)
    x, y = ((at + 0.5) / size - 0.5 for at in position(_grid(stamp).to_wcs(), ra=ra, dec=dec))
    segments = galaxy_segments(
        block_sums(flux, size)[None],
        np.sqrt(block_sums(error**2, size))[None],
        x=x,
        y=y,
        psf_fwhm=np.ones(1),
        noise_area=np.ones(1),
        threshold=THRESHOLD,
        min_area=min(region.min_area, _BLOCKS),
        deblend_contrast=region.deblend_contrast,
        names=[stage.band.name],
        must_find=False,
    )
    own = segments.own[0]
    if not own.any():
        raise DataError(
            f"galaxy {galaxy.get('id')!r}: band {stage.band.name!r} does not show it: no"
            f" {_BLOCKS} connected blocks of {size} x {size} pixels at its position are above"
            f" {THRESHOLD:g} sigma"
        )
    rows, columns = np.nonzero(own)
    far = float(np.max(np.hypot(rows - y, columns - x))) + 0.5
    return far * size * float(stamp.attrs["pixel_scale"])


def block_sums(plane: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return sums over blocks of ``size`` pixels a side, NaN where one is; the rest is cut off."""
    ny, nx = (n // size for n in plane.shape)
    blocks = plane[: ny * size, : nx * size].reshape(ny, size, nx, size)
    return np.asarray(blocks.sum(axis=(1, 3)))


def without_others(
    stamps: Mapping[str, xr.Dataset],
    galaxy: Mapping[str, object],
    *,
    config: MorphologyConfig,
    region: RegionConfig,
    stars: Stars = (),
    noise_areas: Mapping[str, float] | None = None,
) -> Stamps:
    """Return stamps in which stars and other sources are masked, but for those to be modelled.

    Parameters
    ----------
    stamps : mapping
        Schema stamp/1 of each band.
    galaxy, config, region, stars
        As of `make_stamps`.
    noise_areas : mapping, optional
        Pixels over which the noise of each band is correlated; default: 1.

    Raises
    ------
    DataError
        If all of a band is masked.
    """
    areas = noise_areas or {}
    found = {
        name: _segments(stamp, galaxy, region=region, noise_area=areas.get(name, 1.0))
        for name, stamp in stamps.items()
    }
    best = max(stamps, key=lambda name: _snr(stamps[name], found[name].own[0]))
    known = _Known.of(stamps[best], found[best], config=config)
    masked = {}
    for name, stamp in stamps.items():
        grid = _grid(stamp)
        others = known.foreign(found[name], grid)
        mask = _grown(known.on(grid, known.free), others, stamp) | known.on(grid, known.masked)
        mask |= star_mask(grid.to_wcs(), grid.shape, stars=stars) | stamp["masked"].values
        if mask.all():
            raise DataError(
                f"galaxy {galaxy.get('id')!r}, band {name!r}: all {mask.size} pixels of its stamp"
                " are masked or without data; look at the image there, and at the star table"
            )
        masked[name] = stamp.assign(masked=(("y", "x"), mask, stamp["masked"].attrs))
    return Stamps(masked, known.neighbours)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the band that sees most tells the others: of the galaxy, and of sources beside it."""

    grid: Grid
    free: Mask
    masked: Mask
    neighbours: tuple[Neighbour, ...]

    @classmethod
    def of(cls, stamp: xr.Dataset, segments: Segments, *, config: MorphologyConfig) -> _Known:
        """Return what a band tells; its sources to be modelled are as free as the galaxy."""
        own, others, numbers = segments.own[0], segments.others[0], segments.numbers[0]
        modelled = _brightest(stamp, numbers, others, config) if _models(config) else []
        seen = np.isin(numbers, modelled)
        # noise leaves holes in faint parts, which are the galaxy's no less
        free = binary_fill_holes(binary_closing(own, structure=np.ones((3, 3)))) & ~others | seen
        masked = _grown(free, others & ~seen, stamp)
        beside = np.zeros_like(own)
        if seen.any():
            beside = _grown(masked | own, seen, stamp)
        neighbours = tuple(_neighbour(stamp, numbers == number) for number in modelled)
        return cls(_grid(stamp), free | beside, masked, neighbours)

    def foreign(self, segments: Segments, grid: Grid) -> Mask:
        """Return the segments of another band that are not of the galaxy or modelled, (ny, nx).

        Arms end in pieces: a segment of which more than `SHARED` is where light is free stays.
        """
        numbers = np.where(segments.others[0], segments.numbers[0], 0)
        inside = np.bincount(numbers.ravel(), weights=self.on(grid, self.free).ravel())
        size = np.bincount(numbers.ravel())
        apart = (inside <= SHARED * size) & (size > 0)
        apart[0] = False
        return np.asarray(apart[numbers])

    def on(self, grid: Grid, mask: Mask) -> Mask:
        """Return a mask on the pixels of another band, (ny, nx): nearest; False where unknown."""
        if not mask.any():
            return np.zeros(grid.shape, dtype=bool)
        y, x = np.indices(grid.shape, dtype=np.float64)
        there = pixel_to_pixel(grid.to_wcs(), self.grid.to_wcs(), x, y)
        columns, rows = (np.rint(np.nan_to_num(axis, nan=-1.0)).astype(int) for axis in there)
        ny, nx = self.grid.shape
        inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
        found = np.zeros(grid.shape, dtype=bool)
        found[inside] = mask[rows[inside], columns[inside]]
        return found


def _models(config: MorphologyConfig) -> bool:
    """Return whether sources beside the galaxy are modelled."""
    return config.neighbours == "model" and config.max_neighbours > 0


def _brightest(
    stamp: xr.Dataset, numbers: NDArray[np.int32], others: Mask, config: MorphologyConfig
) -> list[int]:
    """Return the numbers of the brightest other segments, whose light is positive."""
    flux = np.nan_to_num(stamp["flux"].values.astype(np.float64))
    sums = np.bincount(numbers[others], weights=flux[others])
    order = np.argsort(-sums, kind="stable")
    return [int(number) for number in order if sums[number] > 0][: config.max_neighbours]


def _neighbour(stamp: xr.Dataset, segment: Mask) -> Neighbour:
    """Return a source by its segment: the middle of its light, and how far it reaches."""
    flux = np.nan_to_num(stamp["flux"].values.astype(np.float64))[segment]
    weight = np.maximum(flux, 0.0) / np.maximum(flux, 0.0).sum()
    rows, columns = np.nonzero(segment)
    x, y = weight @ columns, weight @ rows
    sky = pixel_to_skycoord(x, y, _grid(stamp).to_wcs()).icrs
    reach = float(np.max(np.hypot(columns - x, rows - y))) + 0.5
    radius = reach * float(stamp.attrs["pixel_scale"])
    return Neighbour(ra=float(sky.ra.deg), dec=float(sky.dec.deg), radius=radius)


def _segments(
    stamp: xr.Dataset,
    galaxy: Mapping[str, object],
    *,
    region: RegionConfig,
    noise_area: float = 1.0,
) -> Segments:
    """Return the galaxy's and others' segments in one band, as (1, ny, nx)."""
    ra, dec = _place(galaxy)
    x, y = position(_grid(stamp).to_wcs(), ra=ra, dec=dec)
    return galaxy_segments(
        stamp["flux"].values[None],
        stamp["flux_err"].values[None],
        x=x,
        y=y,
        psf_fwhm=np.array([_fwhm_pix(stamp)]),
        noise_area=np.array([noise_area]),
        threshold=THRESHOLD,
        min_area=region.min_area,
        deblend_contrast=region.deblend_contrast,
        names=[str(stamp.attrs["band"])],
        must_find=False,
    )


def _snr(stamp: xr.Dataset, own: Mask) -> float:
    """Return the S/N of the galaxy in its segment; 0 where there is none."""
    if not own.any():
        return 0.0
    flux, error = (stamp[name].values[own].astype(np.float64) for name in ("flux", "flux_err"))
    return float(np.nansum(flux) / np.sqrt(np.nansum(error**2)))


def _grown(own: Mask, others: Mask, stamp: xr.Dataset) -> Mask:
    """Return other sources, grown by half the PSF's width but not into the galaxy's segment."""
    growth = np.array([GROWTH_WIDTHS * _fwhm_pix(stamp)])
    return neighbour_mask(own[None], others[None], growth=growth)


def _fwhm_pix(stamp: xr.Dataset) -> float:
    """Return the width of a stamp's PSF [pix]."""
    return image_fwhm(stamp["psf"].values)


def _unmasked(band: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return flux and error of a band of a cube, NaN where masked."""
    masked = (band["flags"].values & int(Flag.MASKED)) != 0
    flux, error = (band[name].values.astype(np.float64) for name in ("flux", "flux_err"))
    return np.where(masked, np.nan, flux), np.where(masked, np.nan, error)


def _grid(stamp: xr.Dataset) -> Grid:
    """Return the pixels of a stamp."""
    return Grid(stamp.attrs["wcs"], (stamp.sizes["y"], stamp.sizes["x"]))


def _place(galaxy: Mapping[str, object]) -> tuple[float, float]:
    """Return ra, dec of a galaxy [deg]."""
    return float(str(galaxy["ra"])), float(str(galaxy["dec"]))
