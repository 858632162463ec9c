"""Kernels that turn one PSF into another, from widths or images on the same pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft
from scipy.optimize import brentq

from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.core.errors import ConfigError
from pxdask.images.psf_images import padded
from pxdask.images.psf_shapes import gaussian_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW_RADIUS = 0.6
"""Fraction of the Nyquist frequency up to which a windowed ratio is untapered."""

REGULARISATION = 1e-4
"""Weight of a regularised kernel's roughness; what Boucaud et al. 2016 take for PSFs as good as
those of Herschel. PSFs from noisy stars want more: about their noise-to-signal power ratio."""

NOISELESS_REGULARISATION = 1e-6
"""The same for analytic PSFs, which hold no noise: of shapes 1.3 to 5 pixels wide, matched to any
1.4 times as wide, the profiles then agree to 1 % of the peak (1e-4: 3 %), with no larger negative
parts; less regularisation gains nothing but ringing."""


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
    return gaussian_image(sigma * FWHM_PER_SIGMA)


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
    n = max(*source.shape, *target.shape)
    make_kernel, window = _photutils_matching()
    kernel = make_kernel(padded(source, n), padded(target, n), window=window)
    return np.asarray(kernel, dtype=np.float64)


def regularised_kernel(
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    regularisation: float = REGULARISATION,
) -> NDArray[np.float64]:
    """Return the smooth kernel that nearly turns one PSF image into another.

    Parameters
    ----------
    source, target : (n, n) float64
        Odd-sized, of unit sum, on the same pixels; the smaller is padded with zeros.
    regularisation : float
        Weight of the kernel's roughness against the residual, > 0.

    Returns
    -------
    kernel : (m, m) float64
        Of unit sum; may be slightly negative in places.

    Raises
    ------
    ConfigError
        If the regularisation is not positive.

    Notes
    -----
    The least squares solution K of source * K = target under a penalty on its Laplacian L:
    B conj(A) / (|A|^2 + mu |L|^2) in Fourier space (Boucaud et al. 2016, A&A 596, A63, the
    Wiener filter of their section 2). L vanishes at zero frequency, so flux is conserved.
    """
    if not regularisation > 0:
        raise ConfigError(f"a kernel's regularisation must be positive, got {regularisation}")
    n = max(*source.shape, *target.shape)
    own, wanted = (fft.rfft2(fft.ifftshift(padded(image, n))) for image in (source, target))
    angle = 2 * np.pi * fft.fftfreq(n)
    half_angle = 2 * np.pi * fft.rfftfreq(n)
    laplacian = 4 - 2 * np.cos(angle)[:, None] - 2 * np.cos(half_angle)
    ratio = wanted * np.conj(own) / (np.abs(own) ** 2 + regularisation * laplacian**2)
    kernel = fft.fftshift(fft.irfft2(ratio, s=(n, n)))
    return np.asarray(kernel / kernel.sum(), dtype=np.float64)


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


def _second_moment(sigma: float) -> float:
    """Return the variance of the pixel-integrated Gaussian along an axis, as sampled [pix2]."""
    image = gaussian_image(sigma * FWHM_PER_SIGMA)
    offset = np.arange(image.shape[0]) - image.shape[0] // 2
    return float(image.sum(axis=0) @ offset**2)
