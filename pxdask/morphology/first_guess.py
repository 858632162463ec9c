"""Where a fit starts, and what its priors are about: position, size and shape from the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_N_RING = 24
_ROUNDS = 6
_LEAST_ELLIP, _MOST_ELLIP = 0.05, 0.8


@dataclass(frozen=True, eq=False)
class Pixels:
    """One band's pixels on the sky.

    Attributes
    ----------
    east, north : (ny, nx) float64
        Offsets from the catalogue's position [arcsec].
    flux, flux_err : (ny, nx) float64
        Per pixel [uJy]; anything where not good.
    good : (ny, nx) bool
        Pixels that count.
    pixel_scale : float
        Side of a pixel [arcsec].
    psf_radius : float
        Radius of half the PSF's light [arcsec].
    """

    east: Floats
    north: Floats
    flux: Floats
    flux_err: Floats
    good: NDArray[np.bool_]
    pixel_scale: float
    psf_radius: float


@dataclass(frozen=True, eq=False)
class Guess:
    """What pixels tell of a source without a fit.

    Attributes
    ----------
    xc, yc, r_eff : float
        Centre east and north of the catalogue's position, half-light radius [arcsec].
    ellip, theta : float
        1 - axis ratio, and the angle of the major axis from north to east [rad].
    flux, flux_err, sky : (n_band,) float64
        Total, its error, and what is left of the sky per pixel [uJy].
    """

    xc: float
    yc: float
    r_eff: float
    ellip: float
    theta: float
    flux: Floats
    flux_err: Floats
    sky: Floats


def guess_source(
    bands: Sequence[Pixels], *, at: tuple[float, float] = (0.0, 0.0), reach: float | None = None
) -> Guess:
    """Return the first guess of one source.

    Parameters
    ----------
    bands : sequence of Pixels
        All bands.
    at : (float, float)
        Where to look, east and north [arcsec].
    reach : float, optional
        Radius within which light is the source's [arcsec]; default: to the stamp's edge.

    Returns
    -------
    guess : Guess
        Sizes are freed of the PSF's in quadrature. Bands weigh by their squared signal-to-noise
        ratio; where none has any, the source is as small as the PSF.
    """
    finest = min(band.psf_radius for band in bands)
    grown = [_growth(band, at=at, reach=reach) for band in bands]
    flux, error, half, sky = (np.array(each) for each in zip(*grown, strict=True))
    psf = np.array([band.psf_radius for band in bands])
    snr = np.clip(flux / error, 1e-3, None)
    weight = snr**2 / np.sum(snr**2)
    intrinsic = np.sqrt(np.maximum(half**2 - psf**2, (0.3 * psf) ** 2))
    r_eff = float(np.exp(np.sum(weight * np.log(intrinsic))))
    window = max(float(np.sum(weight * half)) / 1.177, finest)
    centre, moments = _moments(bands, sky=sky, weight=weight, at=at, window=window)
    ellip, theta = _ellipse_of(moments)
    return Guess(
        xc=centre[0], yc=centre[1], r_eff=r_eff, ellip=ellip, theta=theta,
        flux=flux, flux_err=error, sky=sky,
    )  # fmt: skip


def psf_half_radius(psf: Floats, *, pixel_scale: float) -> float:
    """Return the radius of half the light of a PSF image [arcsec]."""
    y, x = np.indices(psf.shape)
    radius = np.hypot(y - (psf.shape[0] - 1) / 2, x - (psf.shape[1] - 1) / 2).ravel()
    order = np.argsort(radius)
    part = np.cumsum(psf.ravel()[order])
    inside = min(int(np.searchsorted(part, 0.5 * part[-1])), len(part) - 1)
    return float(max(radius[order][inside], 0.5) * pixel_scale)


def _growth(
    band: Pixels, *, at: tuple[float, float], reach: float | None
) -> tuple[float, float, float, float]:
    """Return flux, its error, half-light radius [arcsec] and sky of rings about a position.

    A ring's light is the mean of its good pixels times its area: masked ones are filled in so.
    """
    radius = np.hypot(band.east - at[0], band.north - at[1])
    sky = _sky_level(band)
    most = reach if reach is not None else float(np.max(radius)) / np.sqrt(2)
    edges = np.linspace(0.0, max(most, 3 * band.pixel_scale), _N_RING + 1)
    ring = np.clip(np.digitize(radius, edges) - 1, 0, _N_RING)
    good = band.good & (ring < _N_RING)
    count = np.bincount(ring[good], minlength=_N_RING)[:_N_RING]
    total = np.bincount(ring[good], weights=(band.flux - sky)[good], minlength=_N_RING)[:_N_RING]
    variance = np.bincount(ring[good], weights=band.flux_err[good] ** 2, minlength=_N_RING)
    mean = np.where(count > 0, total / np.maximum(count, 1), 0.0)
    mean_err = np.sqrt(variance[:_N_RING]) / np.maximum(count, 1)
    area = np.pi * np.diff((edges / band.pixel_scale) ** 2)
    seen = (mean > mean_err) & (count > 0)
    last = int(np.argmin(seen)) if not seen.all() else _N_RING
    last = max(last, 2)
    growth = np.cumsum((mean * area)[:last])
    error = float(np.sqrt(np.sum((mean_err * area)[:last] ** 2)))
    error = error if error > 0 else 1.0
    if growth[-1] <= 0:
        return float(growth[-1]), error, band.psf_radius, sky
    # rings are coarse: radius from the area that holds half of the light, from the middle outwards
    half = float(np.interp(0.5 * growth[-1], np.r_[0.0, growth], edges[: last + 1] ** 2)) ** 0.5
    return float(growth[-1]), error, half, sky


def _sky_level(band: Pixels) -> float:
    """Return the clipped median of the good pixels in the outer part of the stamp [uJy]."""
    ny, nx = band.flux.shape
    edge = max(2, min(ny, nx) // 10)
    outer = np.ones(band.flux.shape, dtype=bool)
    outer[edge:-edge, edge:-edge] = False
    values = band.flux[outer & band.good]
    if values.size < 20:
        return 0.0
    for _ in range(3):
        middle = np.median(values)
        spread = 1.4826 * np.median(np.abs(values - middle))
        kept = values[np.abs(values - middle) <= 3 * spread]
        values = kept if kept.size else values
    return float(np.median(values))


def _moments(
    bands: Sequence[Pixels],
    *,
    sky: Floats,
    weight: Floats,
    at: tuple[float, float],
    window: float,
) -> tuple[tuple[float, float], Floats]:
    """Return the centre and the second moments [arcsec2] in a Gaussian window that follows it.

    Of the moments, what the window took off is put back, and the PSF's are taken off.
    """
    xc, yc = at
    moments = np.eye(2) * window**2
    for _ in range(_ROUNDS):
        sums = np.zeros(6)
        for band, level, part in zip(bands, sky, weight, strict=True):
            if part < 0.01:
                continue
            dx, dy = band.east - xc, band.north - yc
            near = band.good & (dx**2 + dy**2 < (4 * window) ** 2)
            light = (band.flux[near] - level) * np.exp(
                -0.5 * (dx[near] ** 2 + dy[near] ** 2) / window**2
            )
            x, y = dx[near], dy[near]
            own = [np.sum(light * t) for t in (np.ones_like(x), x, y, x * x, x * y, y * y)]
            scale = part / max(abs(own[0]), np.finfo(float).tiny)
            sums += scale * np.array(own)
        if sums[0] <= 0:
            return at, np.eye(2) * window**2
        step = 2 * sums[1:3] / sums[0]
        moments = np.array([[sums[3], sums[4]], [sums[4], sums[5]]]) / sums[0]
        moments -= np.outer(step, step) / 4
        if np.hypot(xc + step[0] - at[0], yc + step[1] - at[1]) > 2 * window:
            return at, np.eye(2) * window**2
        xc, yc = float(xc + step[0]), float(yc + step[1])
        if np.hypot(*step) < 1e-3 * window:
            break
    values, axes = np.linalg.eigh(moments)
    wide = 1 / np.maximum(1 / np.maximum(values, 1e-12) - 1 / window**2, 1 / (5 * window) ** 2)
    psf = float(np.sum(weight * [band.psf_radius for band in bands])) / 1.177
    free = np.maximum(wide - psf**2, (0.2 * psf) ** 2)
    return (xc, yc), axes @ np.diag(free) @ axes.T


def _ellipse_of(moments: Floats) -> tuple[float, float]:
    """Return ellipticity and angle from north to east [rad] of moments in east and north."""
    values, axes = np.linalg.eigh(moments)
    ratio = np.sqrt(values[0] / values[1])
    east, north = axes[:, 1]
    angle = float(np.arctan2(east, north)) % np.pi
    return float(np.clip(1 - ratio, _LEAST_ELLIP, _MOST_ELLIP)), angle
