"""The sky under the sources of an image: its level, slowly varying, and its scatter.

A first plane through the medians of small boxes, of which those above it are left out step by
step, shows where the sources are. Then, in rounds: sources are found with sep on the image less
its level, as it is and smoothed (which shows the faint outskirts), and masked with a margin in
proportion to their size; the level is measured in boxes (photutils' Background2D) around a plane
through all sky pixels. The plane is exact at the frame's borders, where the median filter and the
interpolation of boxes flatten a gradient. Boxes under sources are filled from their neighbours.

Images of few photons have medians that jump from one count to the next: where many pixels have
one and the same value, the mean is used. Where half of them have, as where most hold no photon,
clipping would take the photons for outliers, and is not done.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sep
from astropy.stats import SigmaClip
from photutils.background import (
    Background2D,
    MADStdBackgroundRMS,
    MeanBackground,
    MedianBackground,
    StdBackgroundRMS,
)
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

from pxdask.core.errors import ConfigError, DataError
from pxdask.images.sky_plane import (
    MAD_TO_SIGMA,
    SAMPLE,
    densest,
    lower_plane,
    lower_scatter,
    plane_image,
    plane_terms,
)
from pxdask.kernels.noise import aperture_growth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

logger = logging.getLogger(__name__)

LEAST_PIXELS = 20
"""Pixels without which there is no background to measure."""

_SMOOTHING = 3.0
"""Sigma of the Gaussian that shows faint outskirts [pix]."""
_LEAST_AREA = 5
"""Least area of a source on the image as it is [pix]."""
_MARGIN = 0.5
"""Margin around a source, in units of the radius of a circle of its area."""
_OUTSKIRTS = 1.0
"""Distance, in the same unit, up to which what is seen on the smoothed image alone is taken for a
source's outskirts; beyond it only if smaller than half a box a side, else it is sky."""
_LEAST_MARGIN = 3.0
"""Margin around the smallest sources [pix]."""
_LEAST_SKY = 0.1
"""Fraction of the pixels that must remain as sky; margins shrink, then vanish, to keep it."""
_ROUNDS = 3
"""Rounds of masking and measuring; in tests the level moves by less than 0.005 rms after two."""
_FEW_PHOTONS, _HARDLY_ANY = 0.02, 0.1
"""Shares of pixels at the median from which on the mean is used, and no clipping: in Poisson
noise, fewer than 400 photons a pixel, and fewer than 16. No clipping either for a share of zeros
above the first: fewer than 4 photons, even if each pixel was scaled by its own exposure."""
_MOST_BLANK = 0.3
"""Share of zeros from which on they are taken for counts [1]; a frame blank to a third and more
needs a mask."""
_PHOTONS = 30.0
"""Least photons in the area over which an image of few photons is smoothed: enough for its
noise to be nearly Gaussian."""


@dataclass(frozen=True, slots=True)
class Background:
    """An image less its background, and the background.

    Attributes
    ----------
    flux : (ny, nx) float64
        The image less ``level``; NaN where the image is not finite.
    level : (ny, nx) float64
        Finite everywhere, under sources and missing pixels too.
    rms : (ny, nx) float64
        Scatter of single pixels of sky; > 0 unless the sky is constant.
    sources : (ny, nx) bool
        Pixels that did not count as sky because of a source.
    """

    flux: Floats
    level: Floats
    rms: Floats
    sources: Mask


def subtract_background(
    flux: NDArray[np.floating],
    *,
    bad: Mask | None = None,
    box: int = 64,
    filter_size: int = 3,
    sigma: float = 3.0,
    mask_threshold: float = 2.0,
) -> Background:
    """Return an image less its background.

    Parameters
    ----------
    flux : (ny, nx) array
        In any unit. Pixels that are not finite do not count, nor do zeros that fill 2 to 30 %
        of the frame, unless they look like pixels without a photon.
    bad : (ny, nx) bool, optional
        Further pixels that do not count.
    box : int
        Side of the boxes [pix]: structure larger than this counts as background. In frames
        of less than two boxes a side the level is a constant.
    filter_size : int
        Boxes, an odd number, over which a median smooths the level; 1 for no smoothing.
    sigma : float
        Pixels of a box further than so many of its sigma from the median do not count.
    mask_threshold : float
        Sources are where the image is above so many sigma; see the module's head. Sky that is
        curved by more than this counts as a source: raise it to 5 or so for such images.

    Returns
    -------
    background : Background
        In the unit of the image.

    Raises
    ------
    ConfigError
        If the box is less than 4 pixels, or ``filter_size`` not odd.
    DataError
        If fewer than 20 pixels count.

    Notes
    -----
    Boxes and filter as in Bertin & Arnouts (1996, A&AS 117, 393, section 3), with the median
    of the masked and clipped pixels, 1.4826 times their median absolute deviation as rms, and
    cubic interpolation. A galaxy's light below the threshold raises the level around it.
    """
    if box < 4 or filter_size < 1 or filter_size % 2 == 0:
        raise ConfigError(
            f"background: box = {box} and filter_size = {filter_size}; wanted a box of 4 pixels "
            "or more and an odd filter_size"
        )
    values = np.asarray(flux, dtype=np.float64)
    good = np.isfinite(values) if bad is None else np.isfinite(values) & ~bad
    if np.any(good) and _blank_zeros(values[good]):
        good &= values != 0
    n_good = int(np.count_nonzero(good))
    if n_good < LEAST_PIXELS:
        raise DataError(
            f"a background needs {LEAST_PIXELS} pixels or more; of {values.size} {n_good} are good"
        )
    filled = np.where(good, values, 0.0)
    way = _way(filled[good], sigma=sigma)
    level, rms = _first_guess(filled, good=good, box=box, way=way)
    sources = np.zeros_like(good)
    for _ in range(_ROUNDS):
        sources = _sources(
            filled - level, rms, good=good, threshold=mask_threshold, box=box, way=way
        )
        sky = good & ~sources
        if np.count_nonzero(sky) < max(LEAST_PIXELS, _LEAST_SKY * n_good):
            logger.info("sources fill the frame: a first guess stands for the background")
            break
        level, rms = _measure(filled, sky=sky, box=box, filter_size=filter_size, way=way)
    return Background(
        flux=np.where(np.isfinite(values), values - level, np.nan),
        level=level,
        rms=rms,
        sources=sources,
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """How the pixels of sky are averaged.

    Attributes
    ----------
    mean : bool
        Mean and standard deviation rather than median and median absolute deviation.
    clip : SigmaClip or None
        What leaves out outliers.
    smoothing : float
        Sigma of the Gaussian that shows faint sources [pix].
    """

    mean: bool
    clip: SigmaClip | None
    smoothing: float

    def average(self, values: Floats) -> tuple[float, float]:
        """Return level and scatter of some pixels."""
        kept = values if self.clip is None else self.clip(values, masked=False)
        if self.mean:
            return float(np.mean(kept)), float(np.std(kept))
        level = float(np.median(kept))
        return level, MAD_TO_SIGMA * float(np.median(np.abs(kept - level)))


def _way(values: Floats, *, sigma: float) -> _Way:
    """Return how to average an image with these good pixels."""
    zeros = float(np.mean(values == 0)) if np.min(values) >= 0 else 0.0
    share = float(np.mean(values == np.median(values)))
    clip = SigmaClip(sigma=sigma, maxiters=10)
    if zeros < _FEW_PHOTONS and share < _HARDLY_ANY:
        return _Way(mean=share >= _FEW_PHOTONS, clip=clip, smoothing=_SMOOTHING)
    # Poisson: of a mean m, exp(-m) of the pixels are zero and 1 / sqrt(2 pi m) are at the median
    photons = -np.log(zeros) if zeros >= _FEW_PHOTONS else 1 / (2 * np.pi * share**2)
    smoothing = float(np.sqrt(_PHOTONS / (4 * np.pi * max(photons, 1e-4))))
    return _Way(mean=True, clip=None, smoothing=max(_SMOOTHING, smoothing))


def _blank_zeros(values: Floats) -> bool:
    """Return whether zeros are parts of the frame without data, not pixels without a photon."""
    zeros = float(np.mean(values == 0))
    if not _FEW_PHOTONS <= zeros < _MOST_BLANK:
        return False
    rest = values[values != 0]
    least, middle = np.quantile(rest, [0.01, 0.5])
    if least > 0:  # in Poisson noise with so many zeros, one photon where there are two to four
        return bool(least > 0.75 * middle)
    return bool(np.mean(rest == middle) < _FEW_PHOTONS)


def _measure(
    values: Floats, *, sky: Mask, box: int, filter_size: int, way: _Way
) -> tuple[Floats, Floats]:
    """Return level and rms of the pixels of sky, everywhere."""
    constant = way.average(values[sky])
    if min(values.shape) < 2 * box or constant[1] == 0:
        return np.full(values.shape, constant[0]), np.full(values.shape, constant[1])
    plane = _sky_plane(values, sky=sky, constant=constant)
    for most in (50.0, 90.0):  # percentage of a box that may be masked
        try:
            found = Background2D(
                np.where(sky, values - plane, 0.0),
                box,
                mask=~sky,
                exclude_percentile=most,
                filter_size=filter_size,
                sigma_clip=way.clip,
                bkg_estimator=(MeanBackground if way.mean else MedianBackground)(sigma_clip=None),
                bkg_rms_estimator=(StdBackgroundRMS if way.mean else MADStdBackgroundRMS)(
                    sigma_clip=None
                ),
            )
        except ValueError:  # all boxes are masked by more than that
            continue
        return plane + found.background, np.asarray(found.background_rms, dtype=np.float64)
    return plane, np.full(values.shape, constant[1])


def _sky_plane(values: Floats, *, sky: Mask, constant: tuple[float, float]) -> Floats:
    """Return the plane through the pixels of sky; flat where a quadrant has hardly any."""
    half_y, half_x = (size // 2 for size in values.shape)
    quadrants = [
        sky[y, x]
        for y in (slice(half_y), slice(half_y, None))
        for x in (slice(half_x), slice(half_x, None))
    ]
    if min(float(np.mean(quadrant)) for quadrant in quadrants) < 0.5 * _LEAST_SKY:
        return np.full(values.shape, constant[0])
    rows, columns = np.nonzero(sky)
    step = -(-rows.size // SAMPLE)
    rows, columns = rows[::step], columns[::step]
    sample = values[rows, columns]
    terms = plane_terms(rows, columns, values.shape)
    kept = np.ones(sample.shape, dtype=bool)
    for _ in range(3):
        plane, *_ = np.linalg.lstsq(terms[kept], sample[kept])
        away = np.abs(sample - terms @ plane)
        kept = away <= 4 * max(float(np.std(away)), constant[1])
    return plane_image(np.asarray(plane, dtype=np.float64), values.shape)


def _first_guess(values: Floats, *, good: Mask, box: int, way: _Way) -> tuple[Floats, Floats]:
    """Return level and rms before any source is known.

    The level is a plane in frames of two boxes or more a side, else a constant.
    """
    sample = values[good]
    sample = np.sort(sample[:: -(-sample.size // SAMPLE)])
    level = float(np.mean(sample)) if way.mean else densest(sample)
    plane = np.array([level, 0.0, 0.0])
    if min(values.shape) >= 2 * box and not way.mean:
        plane = lower_plane(values, good=good, side=max(4, min(box, min(values.shape) // 8)))
    guess = plane_image(plane, values.shape)
    residual = (values - guess)[good]
    rms = float(np.std(residual)) if way.mean else lower_scatter(residual)
    return guess, np.full(values.shape, rms)


def _sources(
    residual: Floats, rms: Floats, *, good: Mask, threshold: float, box: int, way: _Way
) -> Mask:
    """Return the pixels of sources and of their margins."""
    ratio = np.where(good & (rms > 0), residual / np.where(rms > 0, rms, 1.0), 0.0)
    area = round(4 * np.pi * way.smoothing**2)
    # Over this area smoothed noise is correlated. Of white noise's excursions above 2 sigma,
    # 0.21 of the area each on average, about 1 % are as large.
    weight = np.maximum(gaussian_filter(good.astype(np.float64), way.smoothing), 0.5)
    smooth = gaussian_filter(ratio, way.smoothing) / weight
    scatter = lower_scatter(smooth[good])
    # Where the noise is correlated, it comes in bumps that many pixels above a threshold meant for
    # single ones would take for sources: the noise area is 1 for white noise.
    noise_area = max(1.0, scatter**2 * area)
    faint = _segments(smooth, threshold * scatter, good=good, area=area + round(noise_area) - 1)
    if way.clip is None:  # single photons are above the threshold
        return _with_margin(faint > 0, good=good)
    raised = threshold * float(np.sqrt(aperture_growth(_LEAST_AREA, noise_area)))
    bright = _segments(ratio, raised, good=good, area=_LEAST_AREA) > 0
    large = np.bincount(faint.ravel()) > box**2 / 4
    outskirts = (faint > 0) & _around(bright, margin=_OUTSKIRTS)
    return _with_margin(bright | outskirts | ((faint > 0) & ~large[faint]), good=good)


def _segments(image: Floats, threshold: float, *, good: Mask, area: int) -> NDArray[np.int32]:
    """Return the sources above a threshold, not deblended, numbered from 1."""
    if threshold <= 0:
        return np.zeros(image.shape, dtype=np.int32)
    sep.set_extract_pixstack(max(300_000, image.size))
    try:
        _, segments = sep.extract(
            np.ascontiguousarray(image),
            threshold,
            mask=~good,
            minarea=area,
            filter_kernel=None,
            deblend_nthresh=1,
            deblend_cont=1.0,
            clean=False,
            segmentation_map=True,
        )
    except Exception as fault:  # (sep raises bare Exceptions)
        raise DataError(f"sources of the background's mask: {fault}") from fault
    return np.asarray(segments, dtype=np.int32)


def _with_margin(found: Mask, *, good: Mask) -> Mask:
    """Return sources with margins, less of these where little sky would be left."""
    for factor in (1.0, 0.5, 0.25):
        grown = _around(found, margin=factor * _MARGIN)
        if np.count_nonzero(good & ~grown) >= 2 * _LEAST_SKY * np.count_nonzero(good):
            return grown
    return found


def _around(found: Mask, *, margin: float) -> Mask:
    """Return sources and what is near them, in units of the radius of a circle of their area."""
    if not np.any(found):
        return found
    segments, _ = label(found, structure=np.ones((3, 3)))
    areas = np.bincount(segments.ravel())
    distance, (rows, columns) = distance_transform_edt(~found, return_indices=True)
    radius = np.sqrt(areas[segments[rows, columns]] / np.pi)
    reach = margin * np.maximum(_LEAST_MARGIN / _MARGIN, radius)
    return np.asarray(distance <= reach)
