"""Which pixels belong to a galaxy: segmentation of its bands, merged.

Sources are found with sep on the flux as it is, pixel by pixel against its own error, without
the usual smoothing filter: matched images are smoothed already, and the filter's noise estimate
assumes white noise, which would turn 1.5 sigma into about 0.6 (its 3 x 3 weights have sum 16 and
root square sum 6).

Matched noise comes in bumps as large as the noise area A, which a threshold meant for single
pixels and a least area of fewer than A pixels would take for sources. So errors are raised for
detection by the growth of `pxdask.kernels.noise` for the least area n: a source of n pixels at
the threshold is then as significant as it would be in white noise.

Images are expected sky-subtracted. Only where the median of the stamp's border is itself above
the threshold (which would make the whole stamp one source) is that median taken off, for
detection alone, and a warning logged; fluxes are never changed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sep
from scipy.ndimage import label

from pxdask.core.errors import DataError
from pxdask.kernels.noise import aperture_growth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

SEARCH_WIDTHS = 2.0
"""Distance up to which a source counts as the galaxy [PSF FWHM]."""

MIN_SEARCH_PIX = 3.0
"""Least of that distance, where the PSF is unknown or undersampled [pix]."""

_BORDER = 0.05
"""Width of the stamp's border, as a fraction of its side."""

_PIXEL_STACK = 300_000
"""Pixels above threshold that sep holds by default."""


@dataclass(frozen=True, slots=True)
class Segments:
    """What each band gives to the galaxy and to others.

    Attributes
    ----------
    own : (n_band, ny, nx) bool
        The galaxy's segment; empty in bands in which it is not found.
    others : (n_band, ny, nx) bool
        All other segments.
    limit : (n_band, ny, nx) float64
        Flux at which sources end [uJy]; NaN where the error is missing.
    numbers : (n_band, ny, nx) int32
        Number of each pixel's segment in its band, from 1; 0 where there is none.
    """

    own: NDArray[np.bool_]
    others: NDArray[np.bool_]
    limit: NDArray[np.float64]
    numbers: NDArray[np.int32]


def galaxy_segments(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    *,
    x: float,
    y: float,
    psf_fwhm: NDArray[np.float64],
    noise_area: NDArray[np.float64],
    threshold: float,
    min_area: int,
    deblend_contrast: float,
    names: Sequence[str],
    must_find: bool = True,
) -> Segments:
    """Return the pixels of the galaxy at a position, and of its neighbours, in each band.

    In each band the segment under the position is the galaxy, or the nearest within two PSF
    widths.

    Parameters
    ----------
    flux, flux_err : (n_band, ny, nx) array
        NaN where missing [uJy].
    x, y : float
        Zero-based position of the galaxy [pix].
    psf_fwhm : (n_band,) float64
        PSF widths, NaN where unknown [pix].
    noise_area : (n_band,) float64
        Pixels over which the noise is correlated [pix].
    threshold : float
        A pixel's least signal-to-noise ratio, for white noise; see the module's head.
    min_area : int
        Least number of pixels of a source.
    deblend_contrast : float
        Flux fraction that makes a peak a source of its own; 1 for no deblending.
    names : sequence of str
        The bands, for messages.
    must_find : bool
        Whether a galaxy that no band shows is an error.

    Raises
    ------
    DataError
        If the position is outside, or the galaxy is found in no band though it must be.
    """
    ny, nx = flux.shape[1:]
    if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        raise DataError(f"its position, pixel x = {x:.1f}, y = {y:.1f}, is outside {nx} x {ny}")
    growth = np.sqrt(aperture_growth(min_area, noise_area))
    detection_err = flux_err * growth[:, None, None]
    own, others = np.zeros((2, *flux.shape), dtype=bool)
    numbers = np.zeros(flux.shape, dtype=np.int32)
    for band, name in enumerate(names):
        segments = segmentation(
            flux[band],
            detection_err[band],
            threshold=threshold,
            min_area=min_area,
            deblend_contrast=deblend_contrast,
            name=name,
        )
        numbers[band] = segments
        reach = np.nanmax([MIN_SEARCH_PIX, SEARCH_WIDTHS * psf_fwhm[band]])
        number = _nearest(segments, x=x, y=y, reach=float(reach))
        own[band] = (segments == number) & (segments > 0)
        others[band] = (segments > 0) & ~own[band]
    if must_find and not np.any(own):
        raise DataError(_undetected(flux, detection_err, threshold, min_area, names))
    return Segments(own, others, threshold * detection_err.astype(np.float64), numbers)


def merged_region(
    own: NDArray[np.bool_],
    *,
    neighbours: NDArray[np.bool_],
    stars: NDArray[np.bool_],
    x: float,
    y: float,
) -> NDArray[np.bool_]:
    """Return the union of a galaxy's segments (n_band, ny, nx), less what is masked (ny, nx).

    It is cut to the connected part (diagonals count) at the position: what neighbours separate
    from the galaxy are their fringes, but what a foreground star separates stays part of it.

    Raises
    ------
    DataError
        If all of it is masked.
    """
    parts, _ = label(own.any(axis=0) & ~neighbours, structure=np.ones((3, 3)))
    nearest = _nearest(parts, x=x, y=y, reach=np.inf)
    return require_pixels((parts == nearest) & (parts > 0) & ~stars, masked=neighbours | stars)


def require_pixels(region: NDArray[np.bool_], *, masked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a region that has pixels, or raise `DataError`."""
    if not np.any(region):
        raise DataError(
            f"its region has no pixel: {int(masked.sum())} of the stamp's {masked.size} are masked "
            "as neighbours or stars; look at the star table's positions and radii and at the "
            "geometry in images.region"
        )
    return np.asarray(region)


def segmentation(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    *,
    threshold: float,
    min_area: int,
    deblend_contrast: float,
    name: str = "",
) -> NDArray[np.int32]:
    """Return the sources of one band, numbered from 1; 0 where there is none.

    Parameters
    ----------
    flux, flux_err : (ny, nx) array
        NaN pixels belong to no source [uJy].
    threshold, min_area, deblend_contrast
        As for `galaxy_segments`.
    name : str
        The band, for messages.

    Raises
    ------
    DataError
        If sep gives up.
    """
    # Native byte order and contiguous rows are all that sep takes, of masks too.
    good = np.ascontiguousarray(np.isfinite(flux) & np.isfinite(flux_err))
    values = np.ascontiguousarray(np.where(good, flux, 0.0), dtype=np.float64)
    error = np.ascontiguousarray(np.where(good, flux_err, 1.0), dtype=np.float64)
    sky = _border_level(values, error, good=good, threshold=threshold, name=name)
    sep.set_extract_pixstack(max(_PIXEL_STACK, values.size))
    try:
        _, segments = sep.extract(
            values - sky,
            threshold,
            err=error,
            mask=~good,
            minarea=min_area,
            filter_kernel=None,
            deblend_cont=deblend_contrast,
            segmentation_map=True,
        )
    except Exception as fault:  # (sep raises bare Exceptions)
        raise DataError(f"band {name!r}: source extraction failed: {fault}") from fault
    return np.asarray(segments, dtype=np.int32)


def _border_level(
    flux: NDArray[np.float64],
    error: NDArray[np.float64],
    *,
    good: NDArray[np.bool_],
    threshold: float,
    name: str,
) -> float:
    """Return the level to take off before detection: zero but for unsubtracted sky [uJy]."""
    width = max(1, round(_BORDER * min(flux.shape)))
    border = good.copy()
    border[width:-width, width:-width] = False
    if not np.any(border):
        return 0.0
    level = float(np.median(flux[border]))
    ratio = level / float(np.median(error[border]))
    if ratio < threshold:
        return 0.0
    logger.info(
        "band %s: the stamp's border is %.1f sigma above zero: its sky is not subtracted or the "
        "galaxy is larger than the stamp; the level is taken off for detection only",
        name,
        ratio,
    )
    return level


def _nearest(segments: NDArray[np.int32], *, x: float, y: float, reach: float) -> int | None:
    """Return the number of the segment at a position, or the nearest within reach [pix]."""
    under = int(segments[round(y), round(x)])
    if under > 0:
        return under
    rows, columns = np.nonzero(segments)
    if rows.size == 0:
        return None
    distance = np.hypot(rows - y, columns - x)
    best = int(np.argmin(distance))
    return int(segments[rows[best], columns[best]]) if distance[best] <= reach else None


def _undetected(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    threshold: float,
    min_area: int,
    names: Sequence[str],
) -> str:
    """Return what to say of a galaxy that no band shows."""
    ratio = np.where(np.isfinite(flux) & (flux_err > 0), flux / flux_err, -np.inf)
    peaks = ", ".join(f"{n} {p:.2g}" for n, p in zip(names, ratio.max(axis=(1, 2)), strict=True))
    return (
        f"nothing detected at its position: no {min_area} connected pixels there are above the "
        f"threshold of {threshold} sigma; the stamp's peak signal-to-noise ratios are {peaks}; "
        "lower images.region.threshold or min_area, or name other images.region.bands"
    )
