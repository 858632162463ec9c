"""Mock galaxies whose images owe nothing to pxdask's own renderer: summed over fine pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from astropy.modeling.models import Sersic2D
from scipy.signal import fftconvolve

from pxdask.core.schema import STAMP
from pxdask.images.grid import gnomonic_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RA, DEC = 150.1, 2.2
BANDS = {"g": 4810.0, "r": 6170.0, "i": 7520.0, "z": 8660.0, "y": 9620.0}
"""Pivot wavelengths of the bands [Angstrom]."""

RADIUS = (0.6, 2.0)
"""r_eff of mock galaxies [arcsec]."""

_MIDDLE, _CUSP = (3, 7), (0.4, 75)
"""Distances from the centre [pix] within which fine pixels are summed from finer ones, and how many
of these on a side."""


@dataclass(frozen=True)
class Truth:
    """A galaxy in one band; lengths in arcsec, theta from north to east [rad]."""

    flux: float
    xc: float
    yc: float
    r_eff: float
    n: float
    ellip: float
    theta: float


@dataclass(frozen=True)
class Camera:
    """Pixels and PSF of one band: side of a pixel, FWHM of a Moffat profile [arcsec], its beta.

    ``over`` is how many fine pixels images are made of, along a side of a pixel: with 5, fits of
    n = 4 and r_eff = 1.5 pixels have n 0.7 % too low; with 21, 0.07 %.
    """

    pixel_scale: float
    fwhm: float
    beta: float = 3.5
    over: int = 5


def fine_image(truth: Truth, camera: Camera, *, side: int) -> Floats:
    """Return what pixels (side, side) see of a galaxy, before noise [uJy].

    The profile, by astropy, and the Moffat PSF are sampled finer than pixels, on a field
    half as wide again, convolved, and summed over each pixel. Angles are for images with
    north up and east to the left, whose middle is the galaxy's position.
    """
    wide, over = side + 2 * (side // 4), camera.over
    step = camera.pixel_scale / over
    place = (np.arange(wide * over) - (wide * over - 1) / 2) * step
    profile = _profile(truth)
    x, y = np.meshgrid(place, place)  # x to the west
    image = profile(x, y)
    row, column = (int(np.argmin(np.abs(place - at))) for at in (truth.yc, -truth.xc))
    for distance, n_sub in (_MIDDLE, _CUSP):
        reach = max(1, round(distance * over))
        finer = ((np.arange((2 * reach + 1) * n_sub) + 0.5) / n_sub - 0.5 - reach) * step
        inner = profile(*np.meshgrid(place[column] + finer, place[row] + finer))
        means = inner.reshape(2 * reach + 1, n_sub, 2 * reach + 1, n_sub).mean(axis=(1, 3))
        image[row - reach : row + reach + 1, column - reach : column + reach + 1] = means
    seen = fftconvolve(image * step**2, _fine_psf(camera, 31), mode="same")
    pixels = seen.reshape(wide, over, wide, over).sum(axis=(1, 3))
    edge = side // 4
    return np.asarray(truth.flux * pixels[edge:-edge, edge:-edge], dtype=np.float64)


def pixel_psf(camera: Camera, *, side: int = 31) -> Floats:
    """Return the PSF on whole pixels, their own response in it, of sum one."""
    fine = _fine_psf(camera, side)
    seen = fine.reshape(side, camera.over, side, camera.over).sum(axis=(1, 3))
    return np.asarray(seen / seen.sum(), dtype=np.float64)


def _fine_psf(camera: Camera, side: int) -> Floats:
    """Return the Moffat PSF on fine pixels, cut at a square of whole pixels."""
    width = camera.fwhm / camera.pixel_scale / (2 * np.sqrt(2 ** (1 / camera.beta) - 1))
    n_fine = side * camera.over
    place = (np.arange(n_fine) - (n_fine - 1) / 2) / camera.over
    square = (place[:, None] ** 2 + place**2) / width**2
    psf = (1 + square) ** -camera.beta
    return np.asarray(psf / psf.sum(), dtype=np.float64)


def _profile(truth: Truth) -> Sersic2D:
    """Return astropy's profile of unit flux; its x is to the west."""
    shape = {
        "r_eff": truth.r_eff,
        "n": truth.n,
        "x_0": -truth.xc,
        "y_0": truth.yc,
        "ellip": truth.ellip,
        "theta": truth.theta + np.pi / 2,
    }
    radius = np.exp(np.linspace(np.log(1e-8), np.log(1e6), 20001))
    round_one = Sersic2D(amplitude=1.0, r_eff=1.0, n=truth.n)
    flux = np.trapezoid(2 * np.pi * radius**2 * round_one(radius, 0 * radius), np.log(radius))
    area = flux * truth.r_eff**2 * (1 - truth.ellip)
    return Sersic2D(amplitude=1 / area, **shape)


def make_stamp(
    band: str, image: Floats, camera: Camera, *, noise: float, rng: np.random.Generator
) -> xr.Dataset:
    """Return a stamp (schema STAMP) of an image with noise and a little sky [uJy]."""
    side = len(image)
    grid = gnomonic_grid(
        ra=RA, dec=DEC, pixel_scale=camera.pixel_scale, size=side * camera.pixel_scale
    )
    flux = image + 0.3 * noise + rng.normal(0.0, noise, image.shape)
    planes = {
        "flux": (("y", "x"), flux.astype(np.float32)),
        "flux_err": (("y", "x"), np.full(image.shape, noise, np.float32)),
        "masked": (("y", "x"), np.zeros(image.shape, dtype=bool)),
        "psf": (("psf_y", "psf_x"), pixel_psf(camera)),
    }
    stamp = xr.Dataset(
        {name: (*each, STAMP.attrs(name)) for name, each in planes.items()},
        attrs={
            "schema": STAMP.tag,
            "band": band,
            "pivot_wave": BANDS[band],
            "wcs": grid.wcs,
            "pixel_scale": camera.pixel_scale,
        },
    )
    return STAMP.validate(stamp)


def draw_galaxy(
    rng: np.random.Generator, bands: Sequence[str], *, radius: tuple[float, float] = RADIUS
) -> dict[str, Truth]:
    """Return a galaxy whose shape changes smoothly with wavelength, in each band.

    r_eff from a range [arcsec], n from 0.6 to 4.5, axis ratio from 0.3 to 0.9.
    """
    size, index = np.exp(rng.uniform(np.log([radius[0], 0.6]), np.log([radius[1], 4.5])))
    ratio, angle = rng.uniform(0.3, 0.9), rng.uniform(0, np.pi)
    xc, yc = rng.normal(0.0, 0.1, 2)
    slopes = rng.normal(0.0, 0.15, 3)
    colour = rng.uniform(0.0, 1.5)
    found = {}
    for band in bands:
        ln_wave = np.log(BANDS[band] / 7000.0)
        found[band] = Truth(
            flux=float(10 * np.exp(colour * ln_wave)),
            xc=float(xc),
            yc=float(yc),
            r_eff=float(size * np.exp(slopes[0] * ln_wave)),
            n=float(np.clip(index * np.exp(slopes[1] * ln_wave), 0.5, 5.0)),
            ellip=float(1 - np.clip(ratio * np.exp(slopes[2] * ln_wave), 0.25, 0.95)),
            theta=float(angle),
        )
    return found


def observe(
    galaxy: dict[str, Truth],
    cameras: dict[str, Camera],
    *,
    snr: float,
    rng: np.random.Generator,
    half_side: float = 6.0,
) -> dict[str, xr.Dataset]:
    """Return the stamps of a galaxy.

    Parameters
    ----------
    galaxy, cameras : dict
        By band.
    snr : float
        Of the galaxy in each band, if its shape were known.
    rng : numpy.random.Generator
        Source of noise.
    half_side : float
        Of the stamps [largest r_eff].
    """
    reach = half_side * max(truth.r_eff for truth in galaxy.values())
    found = {}
    for band, truth in galaxy.items():
        camera = cameras[band]
        side = 2 * max(12, round(reach / camera.pixel_scale))
        image = fine_image(truth, camera, side=side)
        noise = float(np.sqrt(np.sum(image**2))) / snr
        found[band] = make_stamp(band, image, camera, noise=noise, rng=rng)
    return found
