"""Tests of matching kernels: the PSF before and after, against the target's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.signal import fftconvolve

from pxdask.core.schema import Schema, Var
from pxdask.images.psf_images import image_fwhm, padded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.images.psf import Psf

_PLANE = ("y", "x")
_PSFS = ("before", "after", "target")

KERNEL_CHECK = Schema(
    "kernel-check",
    1,
    {
        "radius": Var(("radius",), "float64", "arcsec", "mean distance from the centre"),
        **{
            f"profile_{name}": Var(
                ("radius",), "float64", "arcsec-2", f"mean surface brightness of the PSF {name}"
            )
            for name in _PSFS
        },
        **{
            f"energy_{name}": Var(
                ("radius",), "float64", "", f"part of the flux within the radius, {name}"
            )
            for name in _PSFS
        },
        **{
            f"psf_{name}": Var(_PLANE, "float64", "", f"image of the PSF, {name}") for name in _PSFS
        },
        "kernel": Var(_PLANE, "float64", "", "the kernel"),
        **{
            f"fwhm_{name}": Var((), "float64", "arcsec", f"full width at half maximum, {name}")
            for name in _PSFS
        },
        "profile_residual": Var(
            (), "float64", "", "largest difference of profiles, after - target, / target's peak"
        ),
        "pixel_residual": Var(
            (), "float64", "", "largest difference in a pixel, after - target, / target's peak"
        ),
        "absolute_residual": Var((), "float64", "", "sum of absolute differences"),
        "energy_residual": Var((), "float64", "", "sum of squared differences / of the target's"),
        "curve_residual": Var((), "float64", "", "largest difference of enclosed flux"),
        "flux": Var((), "float64", "", "sum of the kernel"),
        "negative": Var((), "float64", "", "sum of the kernel's negative values, without sign"),
        "noise_factor": Var((), "float64", "", "root of the sum of the kernel's squares"),
    },
)
"""What `check_kernel` returns."""


@dataclass(frozen=True, slots=True)
class KernelFigures:
    """How well a kernel turns one PSF into another.

    Attributes
    ----------
    profile_residual : float
        Largest difference between the radial profiles of source * K and of the target, as a
        fraction of the target's peak.
    pixel_residual : float
        The same for single pixels.
    absolute_residual : float
        sum |source * K - target|: D of Aniano et al. 2011 (PASP 123, 1218).
    energy_residual : float
        sum (source * K - target)^2 / sum target^2 (Boucaud et al. 2016, A&A 596, A63).
    curve_residual : float
        Largest difference between the fluxes enclosed by circles.
    flux : float
        Sum of the kernel: the factor it changes fluxes by.
    negative : float
        Sum of (|K| - K) / 2: W_- of Aniano et al. 2011, who call kernels up to about 0.3 safe.
    noise_factor : float
        What the kernel multiplies the sigma of uniform white noise by.
    """

    profile_residual: float
    pixel_residual: float
    absolute_residual: float
    energy_residual: float
    curve_residual: float
    flux: float
    negative: float
    noise_factor: float


def kernel_figures(
    kernel: NDArray[np.float64], *, source: NDArray[np.float64], target: NDArray[np.float64]
) -> KernelFigures:
    """Return how well a kernel turns one PSF image into another.

    Parameters
    ----------
    kernel, source, target : (n, n) float64
        Odd-sized, on the same pixels; the PSFs of unit sum.
    """
    after = convolved(source, kernel)
    n = max(*after.shape, *target.shape)
    after, wanted = padded(after, n), padded(target, n)
    difference = after - wanted
    profiles = [radial_profile(image) for image in (after, wanted)]
    curves = [enclosed_flux(image) for image in (after, wanted)]
    return KernelFigures(
        profile_residual=float(np.max(np.abs(profiles[0] - profiles[1])) / profiles[1][0]),
        pixel_residual=float(np.max(np.abs(difference)) / wanted.max()),
        absolute_residual=float(np.sum(np.abs(difference))),
        energy_residual=float(np.sum(difference**2) / np.sum(wanted**2)),
        curve_residual=float(np.max(np.abs(curves[0] - curves[1]))),
        flux=float(kernel.sum()),
        negative=float(np.sum(np.abs(kernel) - kernel) / 2),
        noise_factor=float(np.sqrt(np.sum(kernel**2))),
    )


def check_kernel(
    kernel: NDArray[np.float64] | None, *, source: Psf, target: Psf, pixel_scale: float
) -> xr.Dataset:
    """Return profiles, images and figures of a PSF before and after a kernel, and of the target.

    Parameters
    ----------
    kernel : (n, n) float64 or None
        On pixels of the given side, odd-sized; None: no convolution.
    source, target : Psf
        What the kernel is applied to, and what it should lead to.
    pixel_scale : float
        Side of the pixels [arcsec].

    Returns
    -------
    check : xarray.Dataset
        `KERNEL_CHECK`: profiles and enclosed flux by radius, images, widths and the numbers
        of `KernelFigures`.
    """
    used = np.ones((1, 1)) if kernel is None else kernel
    images = {"before": source.on_pixels(pixel_scale), "target": target.on_pixels(pixel_scale)}
    figures = kernel_figures(used, source=images["before"], target=images["target"])
    images["after"] = convolved(images["before"], used)
    n = max(max(image.shape) for image in images.values())
    images = {name: padded(image, n) for name, image in images.items()}
    values: dict[str, tuple[tuple[str, ...], Any]] = {"kernel": (_PLANE, padded(used, n))}
    for name in _PSFS:
        image = images[name]
        values[f"psf_{name}"] = _PLANE, image
        values[f"profile_{name}"] = ("radius",), radial_profile(image) / pixel_scale**2
        values[f"energy_{name}"] = ("radius",), enclosed_flux(image)
        values[f"fwhm_{name}"] = (), image_fwhm(image) * pixel_scale
    for name in KernelFigures.__dataclass_fields__:
        values[name] = (), getattr(figures, name)
    check = xr.Dataset(
        {name: (*value, KERNEL_CHECK.attrs(name)) for name, value in values.items()},
        coords={
            "radius": ("radius", _ring_radii(n) * pixel_scale, KERNEL_CHECK.attrs("radius")),
        },
        attrs={"schema": KERNEL_CHECK.tag, "pixel_scale": pixel_scale},
    )
    return KERNEL_CHECK.validate(check)


def convolved(source: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return all of the convolution of two odd-sized images, on a square."""
    full = fftconvolve(source, kernel, mode="full")
    return padded(np.asarray(full, dtype=np.float64), max(full.shape))


def radial_profile(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of rings one pixel wide around the centre of an odd-sized image.

    Rings begin with the central pixel and end where they would leave the image; `_ring_radii`
    are their mean radii.
    """
    rings = _rings(image.shape[0])
    counts = np.bincount(rings)[: image.shape[0] // 2 + 1]
    sums = np.bincount(rings, weights=image.ravel())[: counts.size]
    return np.asarray(sums / counts, dtype=np.float64)


def enclosed_flux(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the flux within each ring of `radial_profile`, the ring included."""
    n_ring = image.shape[0] // 2 + 1
    return np.cumsum(np.bincount(_rings(image.shape[0]), weights=image.ravel())[:n_ring])


def _rings(n: int) -> NDArray[np.intp]:
    """Return the ring of each pixel of an n x n image, in one row."""
    return np.rint(_distances(n)).astype(np.intp).ravel()


def _ring_radii(n: int) -> NDArray[np.float64]:
    """Return the mean distance of each ring's pixels from the centre [pix]."""
    rings = _rings(n)
    counts = np.bincount(rings)[: n // 2 + 1]
    sums = np.bincount(rings, weights=_distances(n).ravel())[: counts.size]
    return np.asarray(sums / counts, dtype=np.float64)


def _distances(n: int) -> NDArray[np.float64]:
    """Return the distance of each pixel of an n x n image from its centre [pix]."""
    offset = np.arange(n) - n // 2
    return np.hypot(offset[:, None], offset)
