"""Where a fit starts, and what its priors are about: position, size and shape from the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.morphology.border import border_sky

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.morphology.border import Border

    Floats = NDArray[np.float64]

_N_RING = 24
_ROUNDS = 6
_LEAST_ELLIP, _MOST_ELLIP = 0.05, 0.8
_DISC_RINGS, _LEAST_RINGS = 3.0, 3
"""Radius to which rings tell a disc [r_eff], and how many do."""
_RADIUS_PER_SCALE = 1.678
"""Half-light radius of an exponential disc [scale lengths]."""


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
    flux, flux_err : (n_band,) float64
        Total, and its error [uJy].
    disc_r_eff : float
        Half-light radius of an exponential disc that declines as the outer rings do [arcsec].
    borders : tuple of Border
        What is left of the sky in each band.
    """

    xc: float
    yc: float
    r_eff: float
    ellip: float
    theta: float
    flux: Floats
    flux_err: Floats
    disc_r_eff: float
    borders: tuple[Border, ...]

    @property
    def sky(self) -> Floats:
        """What is left of the sky in each band (n_band,) [uJy per pixel]."""
        return np.array([each.level for each in self.borders])


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
    borders = tuple(sky_of(band) for band in bands)
    sky = np.array([each.level for each in borders])
    grown = [
        _growth(band, at=at, reach=reach, sky=level) for band, level in zip(bands, sky, strict=True)
    ]
    flux, error, half = (np.array([each[k] for each in grown]) for k in range(3))
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
        flux=flux, flux_err=error, borders=borders,
        disc_r_eff=_disc_radius([each[3] for each in grown], r_eff=r_eff, weight=weight),
    )  # fmt: skip


def sky_of(band: Pixels) -> Border:
    """Return what the border of a band's stamp tells of its sky."""
    return border_sky(band.flux, band.flux_err, band.good, radius=np.hypot(band.east, band.north))


def _disc_radius(rings: Sequence[Floats], *, r_eff: float, weight: Floats) -> float:
    """Return the half-light radius of a disc by rings from 1 to 3 r_eff [arcsec].

    Of each band's rings (radius, mean, error) the slope of ln(mean); the mean over bands, and no
    less than r_eff nor more than three times it.
    """
    found, parts = [], []
    for (radius, mean, error), part in zip(rings, weight, strict=True):
        used = (radius > r_eff) & (radius < _DISC_RINGS * r_eff) & (mean > 2 * error)
        if used.sum() >= _LEAST_RINGS and part > 0:
            slope = np.polyfit(radius[used], np.log(mean[used]), 1, w=(mean / error)[used])[0]
            found.append(np.clip(-slope * r_eff / _RADIUS_PER_SCALE, 1 / 3, 1.0))
            parts.append(part)
    return float(r_eff / np.average(found, weights=parts)) if found else 1.2 * r_eff


def psf_half_radius(psf: Floats, *, pixel_scale: float) -> float:
    """Return the radius of half the light of a PSF image [arcsec]."""
    y, x = np.indices(psf.shape)
    radius = np.hypot(y - (psf.shape[0] - 1) / 2, x - (psf.shape[1] - 1) / 2).ravel()
    order = np.argsort(radius)
    part = np.cumsum(psf.ravel()[order])
    inside = min(int(np.searchsorted(part, 0.5 * part[-1])), len(part) - 1)
    return float(max(radius[order][inside], 0.5) * pixel_scale)


def _growth(
    band: Pixels, *, at: tuple[float, float], reach: float | None, sky: float
) -> tuple[float, float, float, Floats]:
    """Return flux, its error, half-light radius [arcsec] and rings about a position.

    A ring's light is the mean of its good pixels times its area: masked ones are filled in so.
    Rings are radius [arcsec], mean and its error [uJy per pixel] (3, n_ring).
    """
    radius = np.hypot(band.east - at[0], band.north - at[1])
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
    rings = np.stack([0.5 * (edges[1:] + edges[:-1]), mean, mean_err])[:, :last]
    growth = np.cumsum((mean * area)[:last])
    error = float(np.sqrt(np.sum((mean_err * area)[:last] ** 2)))
    error = error if error > 0 else 1.0
    if growth[-1] <= 0:
        return float(growth[-1]), error, band.psf_radius, rings
    # rings are coarse: radius from the area that holds half of the light, from the middle outwards
    half = float(np.interp(0.5 * growth[-1], np.r_[0.0, growth], edges[: last + 1] ** 2)) ** 0.5
    return float(growth[-1]), error, half, rings


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
