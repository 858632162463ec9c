"""Which pixels belong to a galaxy: segmentation of its bands, merged.

Sources are found with sep on the flux as it is, pixel by pixel against its own error, without
the usual smoothing filter: matched images are smoothed already, and the filter's noise estimate
assumes white noise, which would turn 1.5 sigma into about 0.6 (its 3 x 3 weights have sum 16 and
root square sum 6).

Matched noise comes in bumps as large as the noise area A, which a threshold meant for single
pixels and a least area of fewer than A pixels would take for sources. So errors are raised for
detection by ``sqrt(A n / (n + A - 1))``, n the least area: a source of n pixels at the threshold
is then as significant as it would be in white noise.

Images are expected sky-subtracted. Only where the median of the stamp's border is itself above
the threshold (which would make the whole stamp one source) is that median taken off, for
detection alone, and a warning logged; fluxes are never changed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import sep
from scipy.ndimage import label

from pxdask.core.errors import DataError

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


def galaxy_region(
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
) -> NDArray[np.bool_]:
    """Return the pixels of the galaxy at a position.

    In each band the segment under the position is taken, or the nearest within two PSF widths;
    the union over bands is cut to the connected part (diagonals count) at the position.

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

    Returns
    -------
    region : (ny, nx) bool

    Raises
    ------
    DataError
        If the galaxy is found in no band.
    """
    ny, nx = flux.shape[1:]
    if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        raise DataError(f"its position, pixel x = {x:.1f}, y = {y:.1f}, is outside {nx} x {ny}")
    growth = np.sqrt(noise_area * min_area / (min_area + noise_area - 1))
    detection_err = flux_err * growth[:, None, None]
    union = np.zeros((ny, nx), dtype=bool)
    for band, name in enumerate(names):
        segments = segmentation(
            flux[band],
            detection_err[band],
            threshold=threshold,
            min_area=min_area,
            deblend_contrast=deblend_contrast,
            name=name,
        )
        reach = np.nanmax([MIN_SEARCH_PIX, SEARCH_WIDTHS * psf_fwhm[band]])
        if (number := _nearest(segments, x=x, y=y, reach=float(reach))) is not None:
            union |= segments == number
    if not np.any(union):
        raise DataError(_undetected(flux, detection_err, threshold, min_area, names))
    parts, _ = label(union, structure=np.ones((3, 3)))
    nearest = _nearest(parts, x=x, y=y, reach=np.inf)
    return np.asarray(parts == nearest)


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
        As for `galaxy_region`.
    name : str
        The band, for messages.

    Raises
    ------
    DataError
        If sep gives up.
    """
    good = np.isfinite(flux) & np.isfinite(flux_err)
    # Native byte order and contiguous rows are all that sep takes.
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
