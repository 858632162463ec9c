"""Bringing an image to another pixel grid, with its flux and its noise.

Pixels hold flux. Three methods bring it to new pixels.

* ``exact``: each old pixel's flux is shared out by area, so sums over regions stay what they were
  to rounding, on distorted images too. Areas are of polygons in the plane of the new grid
  (`pxdask.kernels.overlap`): ``reproject_exact``, the reference in the tests, gives the same to
  1e-6 and better and, being for whole skies, takes ten times as long.
* ``adaptive``: means of surface brightness under a Hann window as wide as two new pixels
  (DeForest 2004, ``reproject_adaptive``), times the new pixel's area: smoother.
* ``interpolation``: surface brightness at the new pixel's centre, interpolated linearly
  (``reproject_interp``), times the new pixel's area. Flux is kept only where the image is
  smooth over a new pixel, as when all pixels are small beside the PSF.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs.utils import pixel_to_pixel
from reproject import reproject_adaptive, reproject_interp

from pxdask.images.grid import corner_positions, mirrored_wcs, shifted_wcs
from pxdask.images.noise import FULL_COVERAGE, MIN_COVERAGE, NoisyImage, response_variance
from pxdask.kernels.overlap import overlap_sums

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from pxdask.images.grid import Grid

ALIGNMENT_TOLERANCE = 1e-3
"""Distance between pixel centres up to which grids count as the same [pix]."""

N_PHASES = 5
"""Output pixels per axis whose position among input pixels is sampled for the noise."""

_MARGIN = 2
"""Input pixels kept around the output grid's outline."""

_FRAME = 9
"""Width of the frame of zeros by which the adaptive method learns of the image's border."""


@dataclass(frozen=True, slots=True)
class _Map:
    """Where the pixels of one grid fall on another.

    ``x``, ``y``, ``area`` (ny, nx) are of the pixels' centres [pix] and areas [pix2] there,
    ``jacobian`` is the middle's d(x, y) by d(x, y).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    area: NDArray[np.float64]
    jacobian: NDArray[np.float64]

    @property
    def stretch(self) -> float:
        """Area of the middle pixel [pix2]."""
        return abs(float(np.linalg.det(self.jacobian)))

    def phases(self) -> NDArray[np.float64]:
        """Return x, y of a sample of pixels, (n, 2)."""
        step = max(1, min(self.x.shape) // N_PHASES)
        return np.stack([a[::step, ::step].ravel() for a in (self.x, self.y)], axis=1)

    def shifted(self, parts: tuple[slice, slice]) -> _Map:
        """Return where the pixels fall on a part of the other grid."""
        return _Map(self.x - parts[1].start, self.y - parts[0].start, self.area, self.jacobian)


def whole_offset(source: Grid, target: Grid) -> tuple[int, int] | None:
    """Return (rows, columns) from the source's first pixel to the target's, if grids agree.

    Returns
    -------
    offset : tuple of int or None
        None unless all pixel centres coincide to 1e-3 pixels.
    """
    ny, nx = target.shape
    y, x = (a.ravel() for a in np.meshgrid(*(np.linspace(0, n - 1, 3) for n in (ny, nx))))
    y, x = np.minimum(y, ny - 1), np.minimum(x, nx - 1)
    on_x, on_y = pixel_to_pixel(target.to_wcs(), source.to_wcs(), x, y)
    shifts = np.stack([on_y - y, on_x - x])
    if not np.all(np.isfinite(shifts)):
        return None
    offset = np.rint(shifts[:, 0])
    if np.max(np.abs(shifts - offset[:, None])) > ALIGNMENT_TOLERANCE:
        return None
    return int(offset[0]), int(offset[1])


def to_grid(
    image: NoisyImage,
    source: Grid,
    target: Grid,
    *,
    method: str,
    kernel: NDArray[np.float64] | None,
) -> NoisyImage:
    """Return an image on another grid; flux, not surface brightness, is conserved.

    Parameters
    ----------
    image : NoisyImage
        On ``source``.
    source, target : Grid
        From where to where.
    method : {"exact", "adaptive", "interpolation"}
        As the module's head tells. None is used where the grids agree: pixels are then copied.
    kernel : (n, n) float64 or None
        What the image was convolved with, for its noise.

    Returns
    -------
    resampled : NoisyImage
        NaN where less than half of a pixel is covered by good pixels; otherwise scaled up to
        the whole pixel.
    """
    offset = whole_offset(source, target)
    if offset is not None:
        return _copied(image, offset, target.shape)
    wcs = source.to_wcs()
    mapped = _mapping(wcs, target)
    parts = _needed(mapped, source.shape)
    cut = NoisyImage(
        image.flux[parts], image.variance[parts], image.coverage[parts], image.noise_area
    )
    if cut.flux.size == 0 or min(cut.flux.shape) < 2:
        return _copied(cut, (cut.flux.shape[0], 0), target.shape)
    wcs, mapped = wcs[parts], mapped.shifted(parts)
    if method == "exact":
        return _shared_out(cut, wcs, target, mapped=mapped, kernel=kernel)
    return _sampled(cut, wcs, target, mapped=mapped, method=method, kernel=kernel)


def _shared_out(
    image: NoisyImage,
    wcs: WCS,
    target: Grid,
    *,
    mapped: _Map,
    kernel: NDArray[np.float64] | None,
) -> NoisyImage:
    """Return the image shared out to new pixels by area.

    White noise is propagated exactly, by the squares of the shares. What a kernel has
    correlated is taken to be so alike over a new pixel: the mean variance times the response.
    """
    corners = corner_positions(wcs, target.to_wcs(), image.flux.shape)
    planes = np.stack([np.where(image.good, image.flux, np.nan), image.variance, image.coverage])
    flux, summed, white, filled, coverage = overlap_sums(*corners, planes, *target.shape)
    enough = coverage >= MIN_COVERAGE
    per_filled = np.where(enough, 1.0 / np.where(enough, filled, 1.0), np.nan)
    if kernel is None:
        variance = white * per_filled**2
        area = image.noise_area * _typical(
            summed * per_filled, variance, enough & (coverage >= FULL_COVERAGE)
        )
    else:
        response = response_variance(
            mapped.jacobian, phases=mapped.phases(), method="exact", kernel=kernel
        ) / float(np.sum(kernel**2))
        variance = summed * per_filled * mapped.area / mapped.stretch**2 * response
        area = image.noise_area * mapped.stretch / response
    return NoisyImage(
        flux=flux * per_filled,
        variance=np.where(variance > 0, variance, np.nan),
        coverage=np.where(enough, np.clip(coverage, 0.0, 1.0), 0.0),
        noise_area=max(1.0, area),
    )


def _typical(
    over: NDArray[np.float64], under: NDArray[np.float64], seen: NDArray[np.bool_]
) -> float:
    """Return the median ratio of two planes where the second is positive, first where seen."""
    used = seen & (under > 0)
    if not np.any(used):
        used = under > 0
    return float(np.median(over[used] / under[used])) if np.any(used) else 1.0


def _sampled(
    image: NoisyImage,
    wcs: WCS,
    target: Grid,
    *,
    mapped: _Map,
    method: str,
    kernel: NDArray[np.float64] | None,
) -> NoisyImage:
    """Return means of the image's surface brightness, times the new pixels' areas."""
    good = image.good
    planes = np.stack(
        [
            np.where(good, plane, 0.0)
            for plane in (image.flux, image.variance, image.coverage, np.ones(good.shape))
        ]
    )
    if method == "adaptive":
        means = _hann_means(planes, wcs, target, mirrored=np.linalg.det(mapped.jacobian) < 0)
    else:
        means = _interpolated(planes, wcs, target)
    flux, variance, coverage, inside = means
    per_good = np.where(inside > 0, 1.0 / np.where(inside > 0, inside, 1.0), 0.0)
    response = response_variance(
        mapped.jacobian, phases=mapped.phases(), method=method, kernel=kernel
    )
    each: float | NDArray[np.float64] = response
    if method == "interpolation" and kernel is None:
        each = mapped.stretch**2 * _squared_weights(mapped)
    fine = 1.0 if kernel is None else float(np.sum(kernel**2))
    enough = coverage >= MIN_COVERAGE
    relative = mapped.area / mapped.stretch
    variance = np.where(enough, variance * per_good * relative**2 * each / fine, np.nan)
    return NoisyImage(
        flux=np.where(enough, flux * per_good * mapped.area, np.nan),
        variance=np.where(variance > 0, variance, np.nan),
        coverage=np.where(enough, np.clip(coverage, 0.0, 1.0), 0.0),
        noise_area=max(1.0, image.noise_area * fine * mapped.stretch / response),
    )


def _interpolated(planes: NDArray[np.float64], wcs: WCS, target: Grid) -> NDArray[np.float64]:
    """Return planes interpolated linearly at the new pixels' centres; zero beyond the image."""
    values = reproject_interp(
        (planes, wcs),
        target.to_wcs(),
        shape_out=(len(planes), *target.shape),
        order="bilinear",
        roundtrip_coords=False,
        return_footprint=False,
    )
    return np.nan_to_num(np.asarray(values, dtype=np.float64))


def _squared_weights(mapped: _Map) -> NDArray[np.float64]:
    """Return the sum of the squared weights of linear interpolation, (ny, nx)."""
    parts = [np.mod(a, 1.0) for a in (mapped.x, mapped.y)]
    along_x, along_y = (part**2 + (1.0 - part) ** 2 for part in parts)
    return np.asarray(along_x * along_y, dtype=np.float64)


def _hann_means(
    planes: NDArray[np.float64], wcs: WCS, target: Grid, *, mirrored: bool
) -> NDArray[np.float64]:
    """Return means under a Hann window as wide as two target pixels; zero beyond the image.

    ``reproject_adaptive`` (seen in 0.21) misplaces its window where one grid is a mirror image of
    the other, so images are mirrored first where they must.
    """
    if mirrored:
        wcs = mirrored_wcs(wcs, n_columns=planes.shape[2])
        planes = planes[:, :, ::-1]
    padded = np.pad(planes, [(0, 0), *[(_FRAME, _FRAME)] * 2])
    means = reproject_adaptive(
        (padded, shifted_wcs(wcs, x=-_FRAME, y=-_FRAME)),
        target.to_wcs(),
        shape_out=(len(planes), *target.shape),
        kernel="Hann",
        conserve_flux=False,
        boundary_mode="ignore",
        return_footprint=False,
    )
    return np.nan_to_num(np.asarray(means, dtype=np.float64))


def _mapping(wcs: WCS, target: Grid) -> _Map:
    """Return where the target's pixels fall on an image, and the area of each there."""
    on_x, on_y = corner_positions(target.to_wcs(), wcs, target.shape)
    across, up = (
        {
            name: _mean_of_pairs(np.diff(a, axis=axis), axis=1 - axis)
            for name, a in (("x", on_x), ("y", on_y))
        }
        for axis in (1, 0)
    )
    middle = (target.shape[0] // 2, target.shape[1] // 2)
    jacobian = np.array([[across[name][middle], up[name][middle]] for name in ("x", "y")])
    return _Map(
        x=_mean_of_pairs(_mean_of_pairs(on_x, axis=0), axis=1),
        y=_mean_of_pairs(_mean_of_pairs(on_y, axis=0), axis=1),
        area=np.abs(across["x"] * up["y"] - across["y"] * up["x"]),
        jacobian=jacobian,
    )


def _mean_of_pairs(values: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    """Return the means of neighbours along an axis, one fewer."""
    n = values.shape[axis]
    first, second = (np.take(values, range(i, n - 1 + i), axis=axis) for i in (0, 1))
    return np.asarray(0.5 * (first + second), dtype=np.float64)


def _needed(mapped: _Map, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of an image under the target, and a few around them."""
    reach = int(np.ceil(2 * np.abs(mapped.jacobian).sum(axis=1).max())) + _MARGIN
    spans = []
    for values, n in ((mapped.y, shape[0]), (mapped.x, shape[1])):
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        start = min(max(int(np.floor(low)) - reach, 0), n)
        spans.append(slice(start, max(start, min(int(np.ceil(high)) + reach + 1, n))))
    return spans[0], spans[1]


def _copied(image: NoisyImage, offset: tuple[int, int], shape: tuple[int, int]) -> NoisyImage:
    """Return the image from an offset on, NaN where it does not reach."""
    take, put = [], []
    for start, size, n in zip(offset, shape, image.flux.shape, strict=True):
        low, high = max(start, 0), max(min(start + size, n), start, 0)
        take.append(slice(low, high))
        put.append(slice(low - start, high - start))
    planes = []
    for plane, blank in ((image.flux, np.nan), (image.variance, np.nan), (image.coverage, 0.0)):
        full = np.full(shape, blank)
        if take[0].stop > take[0].start and take[1].stop > take[1].start:
            full[tuple(put)] = plane[tuple(take)]
        planes.append(full)
    return NoisyImage(planes[0], planes[1], planes[2], image.noise_area)
