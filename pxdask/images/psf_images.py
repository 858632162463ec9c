"""Images of PSFs and of kernels: normalised, measured, brought to other pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import map_coordinates, shift

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPLINE_REACH = 8
"""Pixels over which a cubic spline's response to one pixel dies down to 3e-5."""

_FINE = 8
"""Points per pixel side when the area above half maximum is measured."""


def unit_sum(kernel: NDArray[Any], *, what: str = "kernel") -> NDArray[np.float64]:
    """Return a kernel with odd sides and unit sum.

    A side of even length n is padded by one zero. Its centre is taken to be pixel n // 2, as
    Fourier codes have it, unless the centroid says that it is between two pixels: then the
    kernel is framed by zeros and shifted by half a pixel with a cubic spline. Other offsets may
    be meant, and stay.

    Raises
    ------
    DataError
        If a value is not finite, or the sum is not positive.
    """
    values = _finite(kernel, what=what)
    for axis in (0, 1):
        n = values.shape[axis]
        if n % 2 == 0:
            centroid = float(np.moveaxis(values, axis, 0).sum(axis=1) @ np.arange(n))
            values = np.pad(values, [(0, int(axis == i)) for i in (0, 1)])
            if centroid - n // 2 < -0.25:
                # a frame of zeros for the spline to ring in: cut off, it would move the centroid
                values = np.pad(values, [(_SPLINE_REACH * (axis == i),) * 2 for i in (0, 1)])
                offset = [0.5 * (axis == i) for i in (0, 1)]
                values = shift(values, offset, order=3, mode="grid-constant")
    return np.asarray(values / values.sum(), dtype=np.float64)


def image_fwhm(image: NDArray[np.float64]) -> float:
    """Return the diameter of a circle as large as the area above half maximum [pix].

    The image is interpolated by a cubic spline; it should hold one peak.
    """
    ny, nx = image.shape
    peak_y, peak_x = np.unravel_index(int(np.nanargmax(image)), image.shape)
    radius = int(min(max(ny, nx), 2 * np.sqrt(np.sum(image > 0.3 * np.nanmax(image))) + 3))
    steps = np.arange(-radius * _FINE, radius * _FINE + 1) / _FINE
    y, x = np.meshgrid(peak_y + steps, peak_x + steps, indexing="ij")
    fine = map_coordinates(np.asarray(image, dtype=np.float64), [y, x], order=3, mode="constant")
    area = np.sum(fine > 0.5 * fine.max()) / _FINE**2
    return float(2 * np.sqrt(area / np.pi))


def kernel_on_pixels(
    kernel: NDArray[Any], *, kernel_scale: float, pixel_scale: float, tolerance: float = 1e-4
) -> NDArray[np.float64]:
    """Return a kernel on pixels of another size: odd-sized, of unit sum, trimmed.

    Parameters
    ----------
    kernel : (ny, nx) array
        Of any size and normalisation; centres of even sides are found as `unit_sum` says.
    kernel_scale, pixel_scale : float
        Sides of the kernel's pixels and of those wanted [arcsec].
    tolerance : float
        Part of the sum of absolute values that may be trimmed off.

    Returns
    -------
    kernel : (n, m) float64
        What multiplies each spatial frequency as the given kernel does, up to the Nyquist
        frequency of the wanted pixels. Kernels finer than these ring by what is beyond.

    Raises
    ------
    DataError
        If the kernel has values that are not finite, or its sum is not positive.

    Notes
    -----
    Means over the new pixels, right for an image of a point source, would convolve the sky with
    a pixel twice: an image's own pixels are in it already. So the kernel is taken as the
    band-limited function through its pixels, cut at the new pixels' Nyquist frequency, and
    sampled at their centres (Shannon 1949). Its width, the curvature of the transform at zero
    frequency, stays the same.
    """
    own, centre = _with_centre(kernel, what="kernel")
    if abs(pixel_scale / kernel_scale - 1) < 1e-3 and all(c % 1 == 0 for c in centre):
        return trimmed(unit_sum(kernel), tolerance=tolerance)
    ratio = pixel_scale / kernel_scale
    n_new = [2 * int(np.ceil(n / ratio / 2 + 2)) + 1 for n in own.shape]
    matrices = [
        _resampling(n, centre=c, n_new=m, ratio=ratio)
        for n, c, m in zip(own.shape, centre, n_new, strict=True)
    ]
    resampled = matrices[0] @ own @ matrices[1].T
    return trimmed(resampled / resampled.sum(), tolerance=tolerance)


def trimmed(kernel: NDArray[np.float64], *, tolerance: float = 1e-4) -> NDArray[np.float64]:
    """Return the middle of an odd-sized kernel that has all but ``tolerance`` of its weight.

    Sides are cut by equal numbers of pixels; what is left gets the sum of the whole.

    Parameters
    ----------
    kernel : (ny, nx) float64
        Odd-sized.
    tolerance : float
        Largest part of the sum of absolute values to cut off.
    """
    weight, half = np.abs(kernel), [n // 2 for n in kernel.shape]
    frame = np.maximum.outer(
        np.abs(np.arange(kernel.shape[0]) - half[0]), np.zeros(kernel.shape[1], dtype=int)
    )
    frame = np.maximum(frame, np.abs(np.arange(kernel.shape[1]) - half[1]))
    within = np.cumsum(np.bincount(frame.ravel(), weights=weight.ravel()))
    radius = int(np.searchsorted(within, (1 - tolerance) * within[-1]))
    rows, columns = (slice(max(h - radius, 0), h + radius + 1) for h in half)
    cut = kernel[rows, columns]
    return np.asarray(cut * (kernel.sum() / cut.sum()), dtype=np.float64)


def padded(image: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return an odd-sized image in the middle of n x n pixels, n odd: cut, or framed by zeros."""
    half = n // 2
    for axis, size in enumerate(image.shape):
        own = size // 2
        if own > half:
            image = np.take(image, np.arange(own - half, own + half + 1), axis=axis)
        else:
            image = np.pad(image, [((half - own) * (axis == i),) * 2 for i in (0, 1)])
    return image


def rescaled(image: NDArray[np.float64], ratio: float) -> NDArray[np.float64]:
    """Return an image on pixels ``ratio`` times as large, about its centre, of unit sum."""
    n_sub = max(1, int(np.ceil(ratio)))
    half = [max(1, int(np.floor((size // 2) / ratio))) for size in image.shape]
    within = (np.arange(n_sub) + 0.5) / n_sub - 0.5
    axes = [
        ((np.arange(-h, h + 1)[:, None] + within) * ratio).ravel() + size // 2
        for h, size in zip(half, image.shape, strict=True)
    ]
    fine = map_coordinates(image, np.meshgrid(*axes, indexing="ij"), order=3, mode="constant")
    shape = (2 * half[0] + 1, n_sub, 2 * half[1] + 1, n_sub)
    coarse = fine.reshape(shape).mean(axis=(1, 3))
    return np.asarray(coarse / coarse.sum(), dtype=np.float64)


def _finite(kernel: NDArray[Any], *, what: str) -> NDArray[np.float64]:
    """Return a kernel of unit sum, of the size given."""
    values = np.asarray(kernel, dtype=np.float64)
    if values.ndim != 2 or not np.all(np.isfinite(values)):
        raise DataError(f"the {what} of shape {values.shape} must be finite and two-dimensional")
    if not values.sum() > 0:
        raise DataError(f"the {what} sums to {values.sum():.4g}; it must be positive")
    return np.asarray(values / values.sum(), dtype=np.float64)


def _with_centre(
    kernel: NDArray[Any], *, what: str
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Return a kernel of unit sum, of the size given, and where its centre is [pix]."""
    values = _finite(kernel, what=what)
    centre = []
    for axis in (0, 1):
        n = values.shape[axis]
        centroid = float(values.sum(axis=1 - axis) @ np.arange(n))
        between = n % 2 == 0 and centroid - n // 2 < -0.25
        centre.append(n // 2 - 0.5 if between else float(n // 2))
    return values, (centre[0], centre[1])


def _resampling(n: int, *, centre: float, n_new: int, ratio: float) -> NDArray[np.float64]:
    """Return the matrix (n_new, n) that brings one axis to pixels ``ratio`` times as large.

    Rows are cardinal sines: frequencies beyond the Nyquist frequency of either are left out.
    """
    band = min(1.0, ratio)
    lags = (np.arange(n_new) - n_new // 2)[:, None] - (np.arange(n) - centre) / ratio
    return np.asarray(band * np.sinc(band * lags), dtype=np.float64)
