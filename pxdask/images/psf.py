"""Point spread functions and the kernels that turn one into another.

Widths and images describe the PSF as seen in the image, so with its pixels. A matching kernel
lives on the pixels of the band it is for. Resampling to coarser pixels of side ``S`` afterwards
adds a box of variance ``S^2 / 12``, which is not undone here: it widens a PSF of FWHM 3, 4 or
5 coarse pixels by 2.5, 1.4 or 0.9 %.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import map_coordinates, shift
from scipy.optimize import brentq
from scipy.special import erf

from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH_TOLERANCE = 0.02
"""Fraction by which a band's PSF may be wider than the target's and still count as matched."""

N_SIGMA = 5.0
"""Radius at which Gaussian kernels end [sigma]; 4e-6 of the weight is beyond."""

WINDOW_RADIUS = 0.6
"""Fraction of the Nyquist frequency up to which a matching kernel is untapered."""

_SPLINE_REACH = 8
"""Pixels over which a cubic spline's response to one pixel dies down to 3e-5."""

_FINE = 8
"""Points per pixel side when the area above half maximum is measured."""


@dataclass(frozen=True, eq=False)
class Psf:
    """A point spread function: a Gaussian's width, or an image.

    Attributes
    ----------
    fwhm : float or None
        Full width at half maximum of a Gaussian [arcsec].
    image : (ny, nx) float64 or None
        Image of a point source, of any normalisation and size.
    pixel_scale : float or None
        Side of the image's pixels [arcsec].

    Raises
    ------
    ConfigError
        Unless exactly one of a positive fwhm and an image with its pixel scale is given.
    """

    fwhm: float | None = None
    image: NDArray[np.float64] | None = None
    pixel_scale: float | None = None

    def __post_init__(self) -> None:
        if (self.fwhm is None) == (self.image is None):
            raise ConfigError("a PSF is either a fwhm or an image")
        if self.image is not None and (self.pixel_scale is None or self.pixel_scale <= 0):
            raise ConfigError(f"a PSF image needs its pixel scale, got {self.pixel_scale}")
        if self.fwhm is not None and not self.fwhm > 0:
            raise ConfigError(f"a PSF's fwhm must be positive, got {self.fwhm} arcsec")

    @property
    def width(self) -> float:
        """Full width at half maximum [arcsec]; of an image, see `image_fwhm`."""
        if self.fwhm is not None:
            return self.fwhm
        return image_fwhm(self._given_image()) * float(self.pixel_scale or np.nan)

    def on_pixels(self, pixel_scale: float) -> NDArray[np.float64]:
        """Return the PSF on pixels of a given side [arcsec]: odd-sized, of unit sum.

        Where the given pixels are larger than the image's, each is the mean over its area.
        """
        if self.fwhm is not None:
            return gaussian_kernel(self.fwhm / pixel_scale)
        own = unit_sum(self._given_image(), what="PSF image")
        ratio = pixel_scale / float(self.pixel_scale or np.nan)
        return own if abs(ratio - 1) < 1e-3 else _rescaled(own, ratio)

    def settings(self) -> dict[str, Any]:
        """Return JSON values equal exactly when the PSFs are."""
        if self.image is None:
            return {"fwhm": self.fwhm}
        pixels = np.ascontiguousarray(self.image, dtype="<f8")
        digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()
        return {"image": digest, "shape": list(pixels.shape), "pixel_scale": self.pixel_scale}

    def _given_image(self) -> NDArray[np.float64]:
        """Return the image of a PSF that has one."""
        if self.image is None:
            raise ConfigError(f"the PSF is a Gaussian of {self.fwhm} arcsec, not an image")
        return np.asarray(self.image, dtype=np.float64)


def gaussian_kernel(fwhm_pix: float) -> NDArray[np.float64]:
    """Return a round Gaussian integrated over each pixel: odd-sized, of unit sum.

    Parameters
    ----------
    fwhm_pix : float
        Full width at half maximum of the Gaussian before integration, > 0 [pix].

    Returns
    -------
    kernel : (n, n) float64
        n reaches to 5 sigma on each side.
    """
    side = _gaussian_side(fwhm_pix / FWHM_PER_SIGMA)
    kernel: NDArray[np.float64] = np.outer(side, side)
    return kernel


def gaussian_matching_kernel(source_pix: float, target_pix: float) -> NDArray[np.float64]:
    """Return the kernel that widens one Gaussian PSF to another.

    Parameters
    ----------
    source_pix, target_pix : float
        Full widths at half maximum, source < target [pix].

    Returns
    -------
    kernel : (n, n) float64
        A pixel-integrated Gaussian, of unit sum, whose second moment as sampled is exactly the
        difference of the two variances.

    Notes
    -----
    Variances add under convolution. Integration over pixels adds 1/12 pix^2 to a wide
    Gaussian's variance, so the plain quadrature difference would leave too wide a PSF.
    """
    wanted = (target_pix**2 - source_pix**2) / FWHM_PER_SIGMA**2
    if wanted <= 0:
        raise ConfigError(f"a PSF of {source_pix:.4g} pix cannot be narrowed to {target_pix:.4g}")
    sigma = float(brentq(lambda s: _second_moment(s) - wanted, 0.02, np.sqrt(wanted) + 1.0))
    return gaussian_kernel(sigma * FWHM_PER_SIGMA)


def image_matching_kernel(
    source: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the kernel that turns one PSF image into another, on the same pixels.

    Parameters
    ----------
    source, target : (n, n) float64
        Odd-sized, of unit sum; the smaller is padded with zeros.

    Returns
    -------
    kernel : (m, m) float64
        Of unit sum; may be slightly negative in places.

    Notes
    -----
    Ratio of the Fourier transforms under a Tukey window that falls from one at 0.6 of the Nyquist
    frequency to zero at the Nyquist frequency (photutils).
    """
    ny, nx = np.maximum(source.shape, target.shape)
    n = int(max(ny, nx))
    make_kernel, window = _photutils_matching()
    kernel = make_kernel(_padded(source, n), _padded(target, n), window=window)
    return np.asarray(kernel, dtype=np.float64)


def matching_kernel(
    source: Psf, target: Psf, *, pixel_scale: float, band: str = ""
) -> NDArray[np.float64] | None:
    """Return the kernel that matches a band to the target, or None where it already is.

    Parameters
    ----------
    source, target : Psf
        The band's and the target's.
    pixel_scale : float
        Side of the band's pixels [arcsec].
    band : str
        Name, for messages.

    Returns
    -------
    kernel : (n, n) float64 or None
        On the band's pixels, of unit sum. None if the PSFs are equal, or if both are Gaussians
        and the band's is wider by up to 2 %.

    Raises
    ------
    ConfigError
        If the band's PSF is wider than the target's by more than 2 %.
    """
    own, wanted = source.width, target.width
    if own > wanted * (1 + WIDTH_TOLERANCE):
        raise ConfigError(
            f"band {band!r}: its PSF is {own:.4g} arcsec wide, more than the target's "
            f"{wanted:.4g} arcsec; images are only ever smoothed: choose it as images.target_psf "
            "or leave it out"
        )
    if source.fwhm is not None and target.fwhm is not None:
        if own >= wanted:
            return None
        return gaussian_matching_kernel(own / pixel_scale, wanted / pixel_scale)
    mine, theirs = source.on_pixels(pixel_scale), target.on_pixels(pixel_scale)
    if mine.shape == theirs.shape and np.allclose(mine, theirs, rtol=0, atol=1e-6 * mine.max()):
        return None
    return image_matching_kernel(mine, theirs)


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
    values = np.asarray(kernel, dtype=np.float64)
    if values.ndim != 2 or not np.all(np.isfinite(values)):
        raise DataError(f"the {what} of shape {values.shape} must be finite and two-dimensional")
    if not values.sum() > 0:
        raise DataError(f"the {what} sums to {values.sum():.4g}; it must be positive")
    values = values / values.sum()
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


def kernel_radius(target: Psf | None, *, pixel_scale: float, kernel: int = 0) -> int:
    """Return how many pixels around a stamp its convolution may draw on.

    Parameters
    ----------
    target : Psf or None
        What the band is matched to; None for no matching.
    pixel_scale : float
        Side of the band's pixels [arcsec].
    kernel : int
        Side of the band's own PSF image or kernel, if it has one [pix].

    Returns
    -------
    radius : int
        Margin for `pxdask.images.grid.footprint`; includes two pixels for resampling [pix].
    """
    reach = kernel // 2
    if target is not None and target.fwhm is not None:
        reach = max(reach, int(np.ceil(N_SIGMA * target.fwhm / FWHM_PER_SIGMA / pixel_scale)))
    elif target is not None:
        side = max(target._given_image().shape) * float(target.pixel_scale or np.nan)  # noqa: SLF001
        reach = max(reach, int(np.ceil(side / pixel_scale / 2)))
    return reach + 2


def _photutils_matching() -> tuple[Any, Any]:
    """Return photutils' kernel maker and a window, whichever its version calls them.

    ``make_kernel`` of photutils 3 is ``create_matching_kernel`` of photutils 2 with a floor
    under the source's transform, which leaves out frequencies beyond the source's reach.
    """
    try:
        from photutils.psf_matching import TukeyWindow, make_kernel  # noqa: PLC0415 (version 3)
    except ImportError:
        from photutils.psf.matching import (  # noqa: PLC0415 (version 2)
            TukeyWindow,
            create_matching_kernel,
        )

        return create_matching_kernel, TukeyWindow(alpha=1 - WINDOW_RADIUS)
    return make_kernel, TukeyWindow(alpha=1 - WINDOW_RADIUS)


def _gaussian_side(sigma: float) -> NDArray[np.float64]:
    """Return a one-dimensional Gaussian integrated over pixels, of unit sum."""
    radius = max(1, int(np.ceil(N_SIGMA * sigma)))
    edges = (np.arange(-radius, radius + 2) - 0.5) / (np.sqrt(2) * sigma)
    weights: NDArray[np.float64] = np.diff(erf(edges))
    weights /= weights.sum()
    return weights


def _second_moment(sigma: float) -> float:
    """Return the variance of the pixel-integrated Gaussian, as sampled [pix2]."""
    side = _gaussian_side(sigma)
    offset = np.arange(side.size) - side.size // 2
    return float(side @ offset**2)


def _padded(image: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return an odd-sized image in the middle of n x n zeros, n odd."""
    sides = [((n - size) // 2, (n - size) // 2) for size in image.shape]
    return np.pad(image, sides)


def _rescaled(image: NDArray[np.float64], ratio: float) -> NDArray[np.float64]:
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
