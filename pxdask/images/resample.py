"""Bringing an image to another pixel grid, with its flux and its noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs.utils import pixel_to_pixel
from reproject import reproject_adaptive, reproject_exact

from pxdask.images.grid import mirrored_wcs, shifted_wcs
from pxdask.images.noise import MIN_COVERAGE, NoisyImage, response_variance

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
    """Where the pixels of one grid fall on another: x, y (ny, nx) [pix], and the middle's d/d."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    area: NDArray[np.float64]
    jacobian: NDArray[np.float64]


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
    method : {"exact", "adaptive"}
        ``reproject_exact`` weighs by the overlap of pixels on the sky; ``reproject_adaptive``
        by a Hann window (DeForest 2004). Neither is used where the grids agree: pixels are
        then copied.
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
    parts = _needed(source, target)
    cut = NoisyImage(
        image.flux[parts], image.variance[parts], image.coverage[parts], image.noise_area
    )
    wcs = source.to_wcs()[parts]
    if cut.flux.size == 0 or min(cut.flux.shape) < 2:
        return _copied(cut, (cut.flux.shape[0], 0), target.shape)
    return _resampled(cut, wcs, target, method=method, kernel=kernel)


def _resampled(
    image: NoisyImage,
    wcs: WCS,
    target: Grid,
    *,
    method: str,
    kernel: NDArray[np.float64] | None,
) -> NoisyImage:
    """Return the image on another grid that does not agree with its own."""
    means = _means(image, wcs, target, method=method)
    mapped = _mapping(wcs, target)
    step = max(1, min(target.shape) // N_PHASES)
    phases = np.stack([mapped.x[::step, ::step].ravel(), mapped.y[::step, ::step].ravel()], axis=1)
    response = response_variance(mapped.jacobian, phases=phases, method=method, kernel=kernel)
    fine = 1.0 if kernel is None else float(np.sum(kernel**2))
    stretch = mapped.area / abs(float(np.linalg.det(mapped.jacobian)))
    enough = means.coverage >= MIN_COVERAGE
    variance = np.where(enough, means.variance * stretch**2 * response / fine, np.nan)
    area = image.noise_area * fine * abs(float(np.linalg.det(mapped.jacobian))) / response
    return NoisyImage(
        flux=np.where(enough, means.flux * mapped.area, np.nan),
        variance=np.where(variance > 0, variance, np.nan),
        coverage=np.where(enough, np.clip(means.coverage, 0.0, 1.0), 0.0),
        noise_area=max(1.0, area),
    )


def _means(image: NoisyImage, wcs: WCS, target: Grid, *, method: str) -> NoisyImage:
    """Return the means of an image's planes over the good part of each target pixel.

    ``coverage`` is the good part times its own mean coverage. In either method variance and
    coverage are means under a Hann window, for they are smooth and exact overlaps are slow.
    """
    good = image.good
    planes = [
        np.where(good, plane, 0.0)
        for plane in (image.flux, image.variance, image.coverage, np.ones(good.shape))
    ]
    flux, variance, coverage, inside = _hann_means(np.stack(planes), wcs, target)
    per_good = np.where(inside > 0, 1.0 / np.where(inside > 0, inside, 1.0), 0.0)
    if method == "adaptive":
        flux = flux * per_good
    else:
        flux, share = _exact_mean(planes[0], good, wcs, target)
        coverage = coverage * per_good * share
    return NoisyImage(flux, variance * per_good, coverage, image.noise_area)


def _exact_mean(
    flux: NDArray[np.float64], good: NDArray[np.bool_], wcs: WCS, target: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean over the good part of each target pixel's area, and how large that part is.

    A plane of weights is resampled only where some pixel is bad: each plane costs as much as
    the first.
    """
    planes = flux[None] if np.all(good) else np.stack([flux, good.astype(np.float64)])
    shape = (len(planes), *target.shape)
    means, inside = reproject_exact((planes, wcs), target.to_wcs(), shape_out=shape)
    inside = np.nan_to_num(inside[0])
    means = np.where(inside > 1e-9, np.nan_to_num(means), 0.0)
    if len(planes) == 1:
        return means[0], inside
    return means[0] / np.where(means[1] > 0, means[1], 1.0), inside * means[1]


def _hann_means(planes: NDArray[np.float64], wcs: WCS, target: Grid) -> NDArray[np.float64]:
    """Return means under a Hann window as wide as two target pixels; zero beyond the image.

    ``reproject_adaptive`` (seen in 0.21) misplaces its window where one grid is a mirror image of
    the other, so images are mirrored first where they must.
    """
    if np.linalg.det(_mapping(wcs, target).jacobian) < 0:
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
    ny, nx = target.shape
    y, x = np.meshgrid(np.arange(ny + 1) - 0.5, np.arange(nx + 1) - 0.5, indexing="ij")
    on_x, on_y = (np.asarray(a) for a in pixel_to_pixel(target.to_wcs(), wcs, x, y))
    along = {
        name: (0.5 * (np.diff(a, axis=1)[1:] + np.diff(a, axis=1)[:-1]))
        for name, a in (("x", on_x), ("y", on_y))
    }
    up = {
        name: (0.5 * (np.diff(a, axis=0)[:, 1:] + np.diff(a, axis=0)[:, :-1]))
        for name, a in (("x", on_x), ("y", on_y))
    }
    middle = (ny // 2, nx // 2)
    jacobian = np.array(
        [[along["x"][middle], up["x"][middle]], [along["y"][middle], up["y"][middle]]]
    )

    def centres(a: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(0.25 * (a[1:, 1:] + a[1:, :-1] + a[:-1, 1:] + a[:-1, :-1]))

    return _Map(
        x=centres(on_x),
        y=centres(on_y),
        area=np.abs(along["x"] * up["y"] - along["y"] * up["x"]),
        jacobian=jacobian,
    )


def _needed(source: Grid, target: Grid) -> tuple[slice, slice]:
    """Return the rows and columns of the source under the target, and a few around them."""
    mapped = _mapping(source.to_wcs(), target)
    spans = []
    for values, n in ((mapped.y, source.shape[0]), (mapped.x, source.shape[1])):
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        reach = int(np.ceil(2 * np.abs(mapped.jacobian).sum(axis=1).max())) + _MARGIN
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
