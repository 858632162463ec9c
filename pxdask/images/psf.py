"""Point spread functions and the kernels that turn one into another.

Widths and images describe the PSF as seen in the image, so with its pixels. A matching kernel
lives on the pixels of the band it is for. Resampling to coarser pixels of side ``S`` afterwards
adds a box of variance ``S^2 / 12``, which is not undone here: it widens a PSF of FWHM 3, 4 or
5 coarse pixels by 2.5, 1.4 or 0.9 %.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.signal import fftconvolve

from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.core.errors import ConfigError
from pxdask.images.psf_images import image_fwhm, padded, rescaled, unit_sum
from pxdask.images.psf_kernels import (
    NOISELESS_REGULARISATION,
    REGULARISATION,
    gaussian_matching_kernel,
    image_matching_kernel,
    regularised_kernel,
)
from pxdask.images.psf_shapes import (
    BETA,
    N_SIGMA,
    SECOND_WEIGHT,
    SECOND_WIDTH,
    Shape,
    double_gaussian_image,
    double_gaussian_width,
    gaussian_image,
    moffat_image,
    moffat_reach,
    require_shape,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "KernelMethod",
    "Psf",
    "gaussian_kernel",
    "gaussian_matching_kernel",
    "image_fwhm",
    "image_matching_kernel",
    "kernel_radius",
    "matching_kernel",
    "regularised_kernel",
    "unit_sum",
]

WIDTH_TOLERANCE = 0.02
"""Fraction by which a band's PSF may be wider than the target's and still count as matched."""

KernelMethod = Literal["auto", "window", "regularised"]
"""How kernels are made: by a windowed ratio of Fourier transforms or a regularised solution.

auto: between two Gaussians a Gaussian, where that matches to 1 % of the peak; between other shapes,
and Gaussians on coarse pixels, regularised, but hardly; for images, which are noisy, by the window.
Its taper costs nothing where the target is three pixels wide or more; below that it cuts into the
PSF (2 % of the peak from 2 to 2.8 pixels, 9 % from 2 to 2.2), and the regularised is taken."""

_SIMPLE_RESIDUAL = 0.01
"""Difference that a Gaussian kernel may leave, for it is positive and short [target's peak]."""

_SAMPLED = 3.0
"""FWHM of a target from which the window's taper lies beyond its frequencies [pix]."""

gaussian_kernel = gaussian_image


@dataclass(frozen=True, eq=False)
class Psf:
    """A point spread function: an analytic shape, or an image.

    Attributes
    ----------
    fwhm : float or None
        Full width at half maximum of the shape [arcsec]; of a double Gaussian, of its first
        component.
    image : (ny, nx) float64 or None
        Image of a point source, of any normalisation and size.
    pixel_scale : float or None
        Side of the image's pixels [arcsec].
    shape : {"gaussian", "double_gaussian", "moffat"}
        The analytic shape.
    second_fwhm : float or None
        FWHM of a double Gaussian's second component [arcsec]; None: twice the first's.
    second_weight : float or None
        Part of a double Gaussian's flux in its second component; None: 0.1.
    beta : float or None
        Exponent of a Moffat profile; None: 4.765.

    Raises
    ------
    ConfigError
        Unless exactly one of a positive fwhm and an image with its pixel scale is given, with
        numbers that fit the shape.
    """

    fwhm: float | None = None
    image: NDArray[np.float64] | None = None
    pixel_scale: float | None = None
    shape: Shape = "gaussian"
    second_fwhm: float | None = None
    second_weight: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        if (self.fwhm is None) == (self.image is None):
            raise ConfigError("a PSF is either a fwhm or an image")
        if self.image is not None and (self.pixel_scale is None or self.pixel_scale <= 0):
            raise ConfigError(f"a PSF image needs its pixel scale, got {self.pixel_scale}")
        if self.fwhm is not None:
            require_shape(
                self.shape,
                fwhm=self.fwhm,
                second_fwhm=self.second_fwhm,
                second_weight=self.second_weight,
                beta=self.beta,
            )

    @property
    def width(self) -> float:
        """Full width at half maximum [arcsec]; of an image, see `image_fwhm`."""
        if self.fwhm is None:
            return image_fwhm(self._given_image()) * float(self.pixel_scale or np.nan)
        if self.shape == "double_gaussian":
            first, second, weight = self._components
            return double_gaussian_width(first, second_fwhm=second, second_weight=weight)
        return self.fwhm

    @property
    def reach(self) -> float:
        """Radius beyond which there is nothing [arcsec]; of an image, half its longer side."""
        if self.fwhm is None:
            return float(max(self._given_image().shape) * (self.pixel_scale or np.nan) / 2)
        if self.shape == "moffat":
            return moffat_reach(self.fwhm, beta=self._beta)
        widest = max(self._components[:2]) if self.shape == "double_gaussian" else self.fwhm
        return N_SIGMA * widest / FWHM_PER_SIGMA

    @property
    def is_gaussian(self) -> bool:
        """Whether it is a single Gaussian of known width."""
        return self.fwhm is not None and self.shape == "gaussian"

    def on_pixels(self, pixel_scale: float, *, radius: float | None = None) -> NDArray[np.float64]:
        """Return the PSF on pixels of a given side: odd-sized, of unit sum.

        Shapes are integrated over each pixel. Where the given pixels are larger than an
        image's, each is the mean over its area.

        Parameters
        ----------
        pixel_scale : float
            Side of the pixels [arcsec].
        radius : float, optional
            How far a shape is drawn [arcsec]; default: `reach`. Images end where they end.
        """
        if self.fwhm is None:
            own = unit_sum(self._given_image(), what="PSF image")
            ratio = pixel_scale / float(self.pixel_scale or np.nan)
            return own if abs(ratio - 1) < 1e-3 else rescaled(own, ratio)
        far = max(1, int(np.ceil((self.reach if radius is None else radius) / pixel_scale)))
        if self.shape == "double_gaussian":
            first, second, weight = self._components
            return double_gaussian_image(
                first / pixel_scale,
                second_fwhm_pix=second / pixel_scale,
                second_weight=weight,
                radius=far,
            )
        if self.shape == "moffat":
            return moffat_image(self.fwhm / pixel_scale, beta=self._beta, radius=far)
        return gaussian_image(self.fwhm / pixel_scale, radius=far)

    def settings(self) -> dict[str, Any]:
        """Return JSON values equal exactly when the PSFs are."""
        if self.image is None:
            if self.shape == "double_gaussian":
                first, second, weight = self._components
                described = {"fwhm": first, "second_fwhm": second, "second_weight": weight}
                return {"shape": self.shape, **described}
            if self.shape == "moffat":
                return {"shape": self.shape, "fwhm": self.fwhm, "beta": self._beta}
            return {"fwhm": self.fwhm}
        pixels = np.ascontiguousarray(self.image, dtype="<f8")
        digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()
        return {"image": digest, "shape": list(pixels.shape), "pixel_scale": self.pixel_scale}

    @property
    def _components(self) -> tuple[float, float, float]:
        """Widths of a double Gaussian's components [arcsec] and the weight of the second."""
        first = float(self.fwhm or np.nan)
        second = SECOND_WIDTH * first if self.second_fwhm is None else self.second_fwhm
        return first, second, SECOND_WEIGHT if self.second_weight is None else self.second_weight

    @property
    def _beta(self) -> float:
        """Exponent of a Moffat profile."""
        return BETA if self.beta is None else self.beta

    def _given_image(self) -> NDArray[np.float64]:
        """Return the image of a PSF that has one."""
        if self.image is None:
            raise ConfigError(f"the PSF is a {self.shape} of {self.fwhm} arcsec, not an image")
        return np.asarray(self.image, dtype=np.float64)


def refuse_wider(source: Psf, target: Psf, *, band: str) -> None:
    """Raise `ConfigError` if a band's PSF is wider than the target's by more than 2 %."""
    own, wanted = source.width, target.width
    if own > wanted * (1 + WIDTH_TOLERANCE):
        raise ConfigError(
            f"band {band!r}: its PSF is {own:.4g} arcsec wide, more than the target's "
            f"{wanted:.4g} arcsec; images are only ever smoothed: choose it as images.target_psf "
            "or leave it out"
        )


def matching_kernel(
    source: Psf,
    target: Psf,
    *,
    pixel_scale: float,
    band: str = "",
    method: KernelMethod = "auto",
    regularisation: float = REGULARISATION,
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
    method : {"auto", "window", "regularised"}
        See `KernelMethod`.
    regularisation : float
        Of method regularised, and of images where auto chooses it; see `regularised_kernel`.

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
    refuse_wider(source, target, band=band)
    own, wanted = source.width, target.width
    if source.is_gaussian and target.is_gaussian:
        if own >= wanted:
            return None
        if method == "auto" and (simple := _simple_kernel(source, target, pixel_scale)) is not None:
            return simple
    # shapes are drawn as far as the wider of them: what ends early has wings in Fourier space
    radius = max(source.reach, target.reach)
    mine, theirs = (psf.on_pixels(pixel_scale, radius=radius) for psf in (source, target))
    if mine.shape == theirs.shape and np.allclose(mine, theirs, rtol=0, atol=1e-6 * mine.max()):
        return None
    both_shapes = source.fwhm is not None and target.fwhm is not None
    if method == "auto" and both_shapes:
        regularisation = NOISELESS_REGULARISATION
    elif method == "auto":
        method = "window" if wanted >= _SAMPLED * pixel_scale else "regularised"
    if method == "window":
        kernel = image_matching_kernel(mine, theirs)
    else:
        kernel = regularised_kernel(mine, theirs, regularisation=regularisation)
    if not both_shapes:
        return kernel
    cut = padded(kernel, 2 * int(np.ceil(target.reach / pixel_scale)) + 1)
    return np.asarray(cut / cut.sum(), dtype=np.float64)


def _simple_kernel(source: Psf, target: Psf, pixel_scale: float) -> NDArray[np.float64] | None:
    """Return the Gaussian kernel between two Gaussians, or None where pixels are too coarse.

    Variances add exactly, but neither pixels nor kernels of less than a pixel are Gaussian.
    """
    kernel = gaussian_matching_kernel(source.width / pixel_scale, target.width / pixel_scale)
    images = (psf.on_pixels(pixel_scale, radius=target.reach) for psf in (source, target))
    mine, theirs = images
    after = padded(fftconvolve(mine, kernel, mode="full"), theirs.shape[0])
    residual = np.max(np.abs(after - theirs)) / theirs.max()
    return kernel if residual <= _SIMPLE_RESIDUAL else None


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
    if target is not None:
        reach = max(reach, int(np.ceil(target.reach / pixel_scale)))
    return reach + 2
