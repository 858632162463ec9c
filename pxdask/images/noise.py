"""Images with variances: convolution, and the noise that it leaves correlated.

Three quantities describe the noise of a processed image.

* The marginal variance of a pixel, what its own flux scatters by: for a kernel ``k`` of unit sum,
  ``conv(var, k^2)``. This is what ``flux_err`` is the root of.
* The white equivalent, the variance per pixel that sums over large apertures need:
  ``conv(var, k)``. Convolution moves noise about but does not remove it from a sum.
* Their ratio, the noise area ``A >= 1`` [pix]: the number of pixels over which the noise is
  correlated. For uniform white noise ``A = 1 / sum(k^2)``; of unprocessed images it is 1. (Noise
  correlated on delivery and background structure are not known here: in the emptier parts of
  three JADES stamps matched to F444W the sky scatters by 1.0 to 1.9 times the marginal errors
  at 0.9 to 2.1 um, and by 2.3 to 6 times at 2.5 to 4.1 um.)

A sum over ``n`` neighbouring pixels has variance ``sum(sigma^2) g(sqrt n)^2``, with ``g`` the sum
of the noise's autocorrelation along one axis, taken to be Gaussian, weighted by how often each
distance occurs in a square (`aperture_growth`): one for one pixel, ``A`` for very many. For squares
and Gaussian kernels it is right to 0.2 % in sigma; regions that are not compact scatter less.

A coarse pixel of weights ``w`` over fine pixels (fractions of each fine pixel's flux) has marginal
variance ``e . e`` for unit white noise, where ``e`` is ``w`` convolved with the kernel. This is
worked out from the two autocorrelations (`response_variance`) for the actual phases of a sample
of pixels, and scales the resampled map of marginal variances. (For large coarse pixels of m fine
ones it tends to ``sum(w^2 var) a m / (m + a - 1)`` with fine noise area ``a``.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.signal import correlate, fftconvolve

from pxdask.kernels.noise import aperture_growth

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_COVERAGE = 0.5
"""Least fraction of a pixel's weight that must come from good pixels; below, flux is NaN."""

FULL_COVERAGE = 0.95
"""Fraction of weight on good pixels below which a pixel is flagged EDGE."""


@dataclass(frozen=True, slots=True)
class NoisyImage:
    """An image and what is known of its noise.

    Attributes
    ----------
    flux : (ny, nx) float64
        NaN where there is no data [uJy].
    variance : (ny, nx) float64
        Marginal, per pixel; NaN where unknown [uJy2].
    coverage : (ny, nx) float64
        Fraction of the pixel's weight that came from good pixels.
    noise_area : float
        Pixels over which the noise is correlated, >= 1 [pix].
    """

    flux: NDArray[np.float64]
    variance: NDArray[np.float64]
    coverage: NDArray[np.float64]
    noise_area: float

    @property
    def good(self) -> NDArray[np.bool_]:
        """Pixels with both flux and variance, (ny, nx)."""
        return np.isfinite(self.flux) & np.isfinite(self.variance)


def unprocessed(flux: NDArray[np.float64], sigma: NDArray[np.float64]) -> NoisyImage:
    """Return an image as delivered, whose noise is taken to be white."""
    coverage = np.isfinite(flux).astype(np.float64)
    return NoisyImage(flux=flux, variance=sigma**2, coverage=coverage, noise_area=1.0)


def convolve(image: NoisyImage, kernel: NDArray[np.float64]) -> NoisyImage:
    """Return an image convolved with a kernel; pixels that are not good count as missing.

    Parameters
    ----------
    image : NoisyImage
        With white noise.
    kernel : (n, n) float64
        Odd-sized, of unit sum.

    Returns
    -------
    convolved : NoisyImage
        flux = conv(flux good, k) / conv(good, k), so that missing pixels, and all beyond the
        border, stand for the mean of what is present; NaN where the good pixels have less than
        half of the kernel's weight. Variance and noise area as the module's head tells.
    """
    good = image.good
    flux = np.where(good, image.flux, 0.0)
    variance = np.where(good, image.variance, 0.0)
    coverage, smooth, white = _same((good.astype(np.float64), flux, variance), kernel)
    (marginal,) = _same((variance,), kernel**2)
    enough = coverage >= MIN_COVERAGE
    weight = np.where(enough, coverage, 1.0)
    marginal = np.maximum(marginal, 0.0) / weight**2
    white = np.maximum(white, 0.0) / weight
    seen = enough & (coverage >= FULL_COVERAGE) & (marginal > 0)
    if not np.any(seen):
        seen = enough & (marginal > 0)
    area = float(np.median(white[seen] / marginal[seen])) if np.any(seen) else 1.0
    return NoisyImage(
        flux=np.where(enough, smooth / weight, np.nan),
        variance=np.where(enough & (marginal > 0), marginal, np.nan),
        coverage=np.where(enough, np.clip(coverage, 0.0, 1.0), 0.0),
        noise_area=max(1.0, area),
    )


def aperture_variance(variance: NDArray[np.float64], *, noise_area: float) -> NDArray[np.float64]:
    """Return the variance of sums over neighbouring pixels, the last axis [the unit given].

    Parameters
    ----------
    variance : (..., n_pix) float64
        Marginal variances.
    noise_area : float
        Pixels over which the noise is correlated [pix].
    """
    growth = aperture_growth(variance.shape[-1], noise_area)
    return np.asarray(np.sum(variance, axis=-1) * growth, dtype=np.float64)


def response_variance(
    jacobian: NDArray[np.float64],
    *,
    phases: NDArray[np.float64],
    method: str,
    kernel: NDArray[np.float64] | None,
) -> float:
    """Return the variance of a resampled pixel for white noise of unit variance per pixel.

    Parameters
    ----------
    jacobian : (2, 2) float64
        d(x, y) of the old pixels by d(x, y) of the new.
    phases : (n, 2) float64
        Centres of new pixels on the old, x, y; their average is returned.
    method : {"exact", "adaptive", "interpolation"}
        New pixels are areas on the old ones, sums weighted by a Hann window, or their area
        times the linear interpolation at their centres.
    kernel : (m, m) float64 or None
        What the white noise was convolved with before.

    Returns
    -------
    variance : float
        Of flux per pixel, so the new pixel's area in old pixels where there is no kernel and
        new pixels are large.
    """
    weigh = {"exact": _area_weights, "adaptive": _hann_weights, "interpolation": _linear_weights}[
        method
    ]
    weights = [weigh(jacobian, phase - np.floor(phase)) for phase in phases]
    lags = np.mean([correlate(w, w, mode="full", method="direct") for w in weights], axis=0)
    if kernel is None:
        return float(lags[lags.shape[0] // 2, lags.shape[1] // 2])
    own = fftconvolve(kernel, kernel[::-1, ::-1], mode="full")
    return float(np.sum(_central(lags, own.shape) * _central(own, lags.shape)))


def _same(
    images: tuple[NDArray[np.float64], ...], kernel: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Return the convolutions on the pixels of the images, which may be smaller than the kernel.

    In float64: rounding spreads over the whole image at the level of the brightest pixel, in
    float32 about 1e-7 of it, which is as much as the sky's noise beside a saturated star; and
    variances in float32 may be denormal. The kernel is transformed once for all images.
    """
    ny, nx = images[0].shape
    size = [
        next_fast_len(n + side - 1, real=True)
        for n, side in zip((ny, nx), kernel.shape, strict=True)
    ]
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    response = rfft2(kernel, s=size)
    return [
        irfft2(rfft2(image, s=size) * response, s=size)[top : top + ny, left : left + nx]
        for image in images
    ]


def _central(values: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the middle of an odd-sized array, no larger than ``shape`` (odd)."""
    parts = []
    for size, limit in zip(values.shape, shape, strict=True):
        cut = max(0, (size - limit) // 2)
        parts.append(slice(cut, size - cut))
    return values[tuple(parts)]


def _area_weights(jacobian: NDArray[np.float64], phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fraction of each old pixel that lies in a new one, by fine subdivision."""
    radius = _radius(jacobian, 0.5)
    n_sub = max(24, 8 * radius)
    u = (np.arange(n_sub) + 0.5) / n_sub - 0.5
    points = np.stack(np.meshgrid(u, u, indexing="ij")).reshape(2, -1)
    x, y = jacobian @ points + phase[:, None]
    edges = np.arange(-radius - 0.5, radius + 1.5)
    counts, _, _ = np.histogram2d(y, x, bins=(edges, edges))
    return np.asarray(counts * abs(np.linalg.det(jacobian)) / n_sub**2, dtype=np.float64)


def _hann_weights(jacobian: NDArray[np.float64], phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of old pixels under a Hann window as wide as two new pixels.

    Windows are never narrower than two old pixels (DeForest 2004, section 4.2).
    """
    left, scale, right = np.linalg.svd(jacobian)
    window = left @ np.diag(np.maximum(scale, 1.0)) @ right
    radius = _radius(window, 1.0)
    offset = np.arange(-radius, radius + 1.0)
    x, y = np.meshgrid(offset, offset)
    u = np.linalg.solve(window, np.stack([x.ravel() - phase[0], y.ravel() - phase[1]]))
    inside = np.all(np.abs(u) < 1, axis=0)
    weights = np.where(inside, np.prod(0.5 + 0.5 * np.cos(np.pi * u), axis=0), 0.0)
    weights *= abs(np.linalg.det(jacobian)) / weights.sum()
    return np.asarray(weights.reshape(x.shape), dtype=np.float64)


def _linear_weights(
    jacobian: NDArray[np.float64], phase: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weights of the 3 x 3 old pixels around under linear interpolation."""
    x, y = (np.array([0.0, 1.0 - part, part]) for part in phase)
    return np.asarray(np.outer(y, x) * abs(np.linalg.det(jacobian)), dtype=np.float64)


def _radius(jacobian: NDArray[np.float64], half: float) -> int:
    """Return how many old pixels a new one of half-side ``half`` reaches, with its phase."""
    return int(np.ceil(half * np.abs(jacobian).sum(axis=1).max() + 1.0)) + 1
