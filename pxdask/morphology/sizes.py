"""Semi-major axes that hold half of a galaxy's mass, star formation or light.

All come from one estimator: the curve of growth on the same ellipses over the same pixels, those
of bins with a posterior. None is corrected for the PSF, which is that of the matched images for
all of them: ratios of sizes are nearer to the truth than sizes are, and are drawn to one where
these are not well above half of the PSF's width. What is beyond the bins counts for none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.images.noise import FULL_COVERAGE
from pxdask.kernels.noise import aperture_growth
from pxdask.morphology.ellipses import ring_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.images.shapes import Ellipse
    from pxdask.morphology.ring_sums import BinPixels

    Floats = NDArray[np.float64]

MASS, SFR = "log_mass", "log_sfr"
"""Results that sizes are measured of."""

N_RADIUS = 96
"""Radii of a curve of growth."""

FIRST_RADIUS = 0.3
"""Least of them [pix]: within it sums are taken to grow as the area."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Semi-major axes that hold half [arcsec], draws of them.

    Attributes
    ----------
    mass, sfr : (n_draws,) float64
        Half the mass of living stars, half the star formation.
    light : (n_band, n_draws) float64
        Half the flux; NaN of a band that lacks more than a twentieth of the pixels, and of draws
        whose total is not positive.
    mass_of_medians : float
        Half of the masses that are the medians of their bins.
    """

    mass: Floats
    sfr: Floats
    light: Floats
    mass_of_medians: float


def half_sizes(
    pixels: BinPixels,
    cube: xr.Dataset,
    ellipse: Ellipse,
    *,
    draws: Mapping[str, Floats],
    medians: Floats,
    rng: np.random.Generator,
) -> Sizes:
    """Return the sizes of a galaxy in mass, star formation and light.

    Parameters
    ----------
    pixels : BinPixels
        What is measured, with shares of mass and star formation.
    cube : xarray.Dataset
        Schema image/1.
    ellipse : Ellipse
        Its centre, angle and axis ratio are used; their errors are not in those of the sizes.
    draws : mapping of (n_bin, n_draws) float64
        Of the logarithms of mass and star formation of bins.
    medians : (n_bin,) float64
        Of the logarithm of mass.
    rng : numpy.random.Generator
        Source of the noise of fluxes, which is drawn for each ring by itself.
    """
    grid, names = pixels.grid, (MASS, SFR)
    there = ellipse.radius(grid.to_wcs(), grid.shape).ravel()[pixels.flat]
    # a pixel reaches beyond its centre by less than its side, on the minor axis by more
    beyond = 2.0 * grid.pixel_scale * ellipse.semi_major / ellipse.semi_minor
    radii = growth_radii(last=float(np.nanmax(there)) + beyond, pixel_scale=grid.pixel_scale)
    flux, error = (
        cube[name].values.reshape(cube.sizes["band"], -1)[:, pixels.flat].astype(np.float64)
        for name in ("flux", "flux_err")
    )
    good = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    flux, variance = np.where(good, flux, 0.0), np.where(good, error, 0.0) ** 2
    parts: dict[str, list[Floats]] = {name: [] for name in names}
    light, noise = [], []
    for ring in ring_weights(grid, ellipse, radii):
        weights = ring.ravel()[pixels.flat]
        for name in names:
            parts[name].append(pixels.by_bin(weights, name))
        light.append(flux @ weights)
        noise.append(_noise(weights, good, variance, cube["noise_area"].values))
    n_draws = draws[MASS].shape[1]
    fluxes = np.array(light).T[:, None] + np.array(noise).T[:, None] * rng.standard_normal(
        (flux.shape[0], n_draws, radii.size)
    )
    fluxes[good.mean(axis=1) < FULL_COVERAGE] = np.nan
    amounts = {name: _total(np.array(parts[name]), draws[name]) for name in names}
    of_medians = _total(np.array(parts[MASS]), medians[:, None])
    return Sizes(
        mass=half_radius(radii, amounts[MASS].T),
        sfr=half_radius(radii, amounts[SFR].T),
        light=half_radius(radii, fluxes),
        mass_of_medians=float(half_radius(radii, of_medians.T)[0]),
    )


def growth_radii(*, last: float, pixel_scale: float) -> Floats:
    """Return radii for a curve of growth, in equal ratios.

    Parameters
    ----------
    last : float
        The largest [arcsec].
    pixel_scale : float
        Side of a pixel [arcsec].

    Returns
    -------
    radii : (n_radius,) float64
        From a part of a pixel [arcsec]. Neighbours differ by 7 % where the last is 200 pixels.
    """
    first = FIRST_RADIUS * pixel_scale
    return np.geomspace(first, max(last, 2.0 * first), N_RADIUS)


def half_radius(radii: Floats, sums: Floats) -> Floats:
    """Return the radius that holds half of a total.

    Parameters
    ----------
    radii : (n_ring,) float64
        Outer radii of the rings, increasing, the first above 0; the first ring is a disc.
    sums : (..., n_ring) float64
        Of each ring; noise may make some negative.

    Returns
    -------
    radius : (...) float64
        The smallest at which the curve of growth reaches half of all rings, in the unit of
        ``radii``. NaN where the total is not positive or a sum is NaN.

    Notes
    -----
    Between two radii the sum is taken to grow as the area, as for constant brightness: with
    radii 7 % apart this is right to 0.1 % for exponential and de Vaucouleurs profiles.
    """
    growth = np.cumsum(np.asarray(sums, dtype=np.float64), axis=-1)
    total = growth[..., -1:]
    known = np.isfinite(total) & (total > 0)
    share = np.divide(growth, total, out=np.zeros(growth.shape), where=known)
    after = np.argmax(share >= 0.5, axis=-1)[..., None]
    squares = np.concatenate([[0.0], np.asarray(radii, dtype=np.float64) ** 2])
    shares = np.concatenate([np.zeros((*share.shape[:-1], 1)), share], axis=-1)
    low, high = (np.take_along_axis(shares, after + step, axis=-1) for step in (0, 1))
    within = np.divide(0.5 - low, high - low, out=np.full(low.shape, np.nan), where=known)
    radius = np.sqrt(squares[after] + within * (squares[after + 1] - squares[after]))
    return np.asarray(radius[..., 0])


def _total(parts: Floats, log_values: Floats) -> Floats:
    """Return what rings hold (n_ring, n_draws) of bins whose logarithms are given; NaN is none."""
    return np.asarray(parts @ np.nan_to_num(10.0**log_values))


def _noise(
    weights: Floats, good: NDArray[np.bool_], variance: Floats, noise_area: Floats
) -> Floats:
    """Return the 1-sigma error (n_band,) of the flux in a ring, its correlation counted."""
    seen, squared = good @ weights, good @ weights**2
    n_pix = np.divide(seen**2, squared, out=np.ones_like(seen), where=squared > 0)
    return np.asarray(np.sqrt(variance @ weights**2 * aperture_growth(n_pix, noise_area)))
