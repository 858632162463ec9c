"""Images of analytic point spread functions, integrated over pixels.

All are round, odd-sized, centred on the middle pixel and of unit sum. Widths are those of the
profile before the integration, which adds 1/12 pix^2 to the variance along each axis.
"""

from __future__ import annotations

from math import exp2
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf, erfc

from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shape = Literal["gaussian", "double_gaussian", "moffat"]

N_SIGMA = 5.0
"""Radius at which Gaussians end [sigma]; 4e-6 of the weight is beyond."""

SECOND_WIDTH = 2.0
"""FWHM of a double Gaussian's second component over that of the first; Aniano et al. 2011 (PASP
123, 1218), as piXedfit found to describe SDSS."""

SECOND_WEIGHT = 0.1
"""Part of a double Gaussian's flux that is in its second component; same source."""

BETA = 4.765
"""Exponent of a Moffat profile that atmospheric turbulence gives; Trujillo et al. 2001 (MNRAS 328,
977). Telescopes and detectors add wings: measured values go down to 2.5."""

MOFFAT_WINGS = 1e-3
"""Part of a Moffat profile's flux that is cut off."""

MAX_MOFFAT_REACH = 25.0
"""Radius at which any Moffat profile ends [FWHM], however flat its wings."""


def gaussian_image(fwhm_pix: float, *, radius: int | None = None) -> NDArray[np.float64]:
    """Return a Gaussian integrated over each pixel.

    Parameters
    ----------
    fwhm_pix : float
        Full width at half maximum, > 0 [pix].
    radius : int, optional
        Pixels on each side of the middle one; default: to 5 sigma.

    Returns
    -------
    image : (2 radius + 1, 2 radius + 1) float64
    """
    sigma = fwhm_pix / FWHM_PER_SIGMA
    radius = _whole(N_SIGMA * sigma) if radius is None else radius
    # edges of the positive side only: differences of erf lose all digits where it is near one
    edges = (np.arange(radius + 1) + 0.5) / (np.sqrt(2) * sigma)
    tail = -np.diff(erfc(edges))
    side = np.concatenate([tail[::-1], [erf(edges[0]) * 2], tail])
    side /= side.sum()
    image: NDArray[np.float64] = np.outer(side, side)
    return image


def double_gaussian_image(
    fwhm_pix: float,
    *,
    second_fwhm_pix: float | None = None,
    second_weight: float = SECOND_WEIGHT,
    radius: int | None = None,
) -> NDArray[np.float64]:
    """Return the sum of two concentric Gaussians integrated over each pixel.

    Parameters
    ----------
    fwhm_pix, second_fwhm_pix : float
        Full widths at half maximum of the components [pix]; default of the second: twice the
        first.
    second_weight : float
        Part of the flux in the second component, 0 to 1.
    radius : int, optional
        Pixels on each side of the middle one; default: to 5 sigma of the wider component.

    Returns
    -------
    image : (2 radius + 1, 2 radius + 1) float64

    Notes
    -----
    Aniano et al. 2011 (PASP 123, 1218): weights 0.9 and 0.1, widths as 1 to 2.
    """
    second = SECOND_WIDTH * fwhm_pix if second_fwhm_pix is None else second_fwhm_pix
    if radius is None:
        radius = _whole(N_SIGMA * max(fwhm_pix, second) / FWHM_PER_SIGMA)
    first_image, second_image = (gaussian_image(w, radius=radius) for w in (fwhm_pix, second))
    return (1 - second_weight) * first_image + second_weight * second_image


def moffat_image(
    fwhm_pix: float, *, beta: float = BETA, radius: int | None = None
) -> NDArray[np.float64]:
    """Return a Moffat profile integrated over each pixel.

    Parameters
    ----------
    fwhm_pix : float
        Full width at half maximum, > 0 [pix].
    beta : float
        Exponent, > 1.
    radius : int, optional
        Pixels on each side of the middle one; default: as `moffat_reach`.

    Returns
    -------
    image : (2 radius + 1, 2 radius + 1) float64

    Notes
    -----
    (1 + (r / a)^2)^-beta with a = FWHM / (2 sqrt(2^(1 / beta) - 1)) (Moffat 1969, A&A 3, 455),
    integrated by Gauss-Legendre quadrature with at least nine nodes per FWHM.
    """
    core = _moffat_core(fwhm_pix, beta)
    radius = _whole(moffat_reach(fwhm_pix, beta=beta)) if radius is None else radius
    nodes, weights = np.polynomial.legendre.leggauss(4 + int(np.ceil(9.0 / fwhm_pix)))
    offset = np.arange(-radius, radius + 1.0)
    squared = [(offset + node / 2) ** 2 / core**2 for node in nodes]
    image = np.zeros((offset.size, offset.size))
    for y2, wy in zip(squared, weights, strict=True):
        for x2, wx in zip(squared, weights, strict=True):
            image += wy * wx * (1 + y2[:, None] + x2) ** -beta
    return np.asarray(image / image.sum(), dtype=np.float64)


def moffat_reach(fwhm: float, *, beta: float = BETA) -> float:
    """Return the radius that holds 99.9 % of a Moffat profile's flux, in the unit of the FWHM.

    Notes
    -----
    The flux beyond r is (1 + (r / a)^2)^(1 - beta) of all.
    """
    radius = _moffat_core(fwhm, beta) * np.sqrt(MOFFAT_WINGS ** (1 / (1 - beta)) - 1)
    return float(min(radius, MAX_MOFFAT_REACH * fwhm))


def double_gaussian_width(
    fwhm: float, *, second_fwhm: float | None = None, second_weight: float = SECOND_WEIGHT
) -> float:
    """Return the full width at half maximum of a double Gaussian as a whole, in the unit given.

    With a tenth of the flux in a second component twice as wide, 1.4 % more than the first's.
    """
    ratio = SECOND_WIDTH if second_fwhm is None else second_fwhm / fwhm
    wide = second_weight / ratio**2

    def above_half(diameter: float) -> float:
        narrow_part = (1 - second_weight) * (exp2(-(diameter**2)) - 0.5)
        return narrow_part + wide * (exp2(-((diameter / ratio) ** 2)) - 0.5)

    widest = brentq(above_half, 0.9 * min(1.0, ratio), 1.1 * max(1.0, ratio))
    return float(widest) * fwhm


def require_shape(
    shape: str,
    *,
    fwhm: float,
    second_fwhm: float | None = None,
    second_weight: float | None = None,
    beta: float | None = None,
) -> None:
    """Raise `ConfigError` where numbers cannot describe a PSF, or belong to another shape."""
    if shape not in get_args(Shape):
        raise ConfigError(f"no PSF has the shape {shape!r}; there are {', '.join(get_args(Shape))}")
    if not fwhm > 0:
        raise ConfigError(f"a PSF's fwhm must be positive, got {fwhm} arcsec")
    if shape != "double_gaussian" and (second_fwhm is not None or second_weight is not None):
        raise ConfigError(f"second_fwhm and second_weight are of double Gaussians, not a {shape}")
    if shape != "moffat" and beta is not None:
        raise ConfigError(f"beta is of Moffat profiles, not a {shape}")
    if second_fwhm is not None and not second_fwhm > 0:
        raise ConfigError(f"a PSF's second_fwhm must be positive, got {second_fwhm} arcsec")
    if second_weight is not None and not 0 <= second_weight <= 1:
        raise ConfigError(f"a PSF's second_weight must be from 0 to 1, got {second_weight}")
    if beta is not None and not beta > 1:
        raise ConfigError(
            f"a Moffat PSF's beta must be above 1, or its flux is infinite; got {beta}"
        )


def _moffat_core(fwhm: float, beta: float) -> float:
    """Return the core radius of a Moffat profile."""
    return float(fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1)))


def _whole(radius: float) -> int:
    """Return the number of pixels that hold a radius, at least one."""
    return max(1, int(np.ceil(radius)))
