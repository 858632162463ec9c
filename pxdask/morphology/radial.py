"""Profiles of a galaxy's maps on ellipses.

What a ring holds is a sum over bins of what they hold times the part of them that is in the ring,
so that a draw from the bins' posteriors gives a draw of the profile:

* of what grows with a bin (masses, luminosities, star formation rates), the surface density: the
  sum over the ring, by the pixels' shares of their bins, over the ring's area;
* of all else (ages, metallicities, attenuation), the mean weighted by the draw's stellar mass in
  the ring or, by choice, by area. What is known by its logarithm (a unit ``dex``) is averaged as
  what it is the logarithm of: the value of log_mw_age is that of the mean age.

Sizes are those of `pxdask.morphology.sizes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import RADIAL
from pxdask.images.noise import FULL_COVERAGE, MIN_COVERAGE
from pxdask.morphology.bin_draws import bin_draws
from pxdask.morphology.ring_sums import AREA, bin_pixels
from pxdask.morphology.sizes import MASS, SFR, half_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.core.morphology import RadialConfig
    from pxdask.images.shapes import Ellipse
    from pxdask.morphology.ellipses import Geometry
    from pxdask.morphology.ring_sums import BinPixels
    from pxdask.morphology.sizes import Sizes

    Floats = NDArray[np.float64]

_DENSITY = "_density"
"""End of the names of maps per area; all that have such a map grow with bins."""


def radial_profiles(
    maps: xr.Dataset,
    cube: xr.Dataset,
    geometry: Geometry,
    *,
    bins: xr.Dataset,
    fit: xr.Dataset,
    config: RadialConfig,
    rng: np.random.Generator,
) -> xr.Dataset:
    """Return the profiles of all maps, and the sizes of mass, star formation and light.

    Parameters
    ----------
    maps, cube, bins, fit : xarray.Dataset
        Schemas maps/1, image/1, bins/1, fit/2 of one galaxy.
    geometry : Geometry
        Its ellipse. Where that is of moments, R_eff is the half-light radius in its band.
    config : RadialConfig
        Rings, weights, number of draws.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    radial : xarray.Dataset
        Schema radial/1. A ring of which less than half has a posterior is NaN. Flagged EDGE where
        less than 95 % of the ellipse that holds half the mass has one.

    Raises
    ------
    DataError
        If no bin has a posterior, or R_eff is to come from a band without enough light.
    """
    extensive = [str(name) for name in maps if f"{name}{_DENSITY}" in maps]
    pixels = bin_pixels(maps, bins, fit, mass=MASS, extensive=extensive)
    names = sorted(str(name) for name in maps.data_vars if str(name) in fit)
    source = bin_draws(fit, n_draws=config.n_draws, rng=rng)
    draws = {name: source.of(name) for name in (MASS, SFR)}
    quantiles = fit["quantile"].values
    medians = fit[MASS].values[:, int(np.argmin(np.abs(quantiles - 0.5)))]
    sizes = half_sizes(pixels, cube, geometry.ellipse, draws=draws, medians=medians, rng=rng)
    ellipse = _in_r_eff(geometry, cube, sizes)
    edges = ellipse.semi_major * _edges(config)
    sums = pixels.ring_sums(ellipse, edges[1:])
    covered = _covered(pixels, ellipse, edges, sums[AREA])
    weighing = _Weighing(config.weight, sums, 10.0 ** draws[MASS])
    found = xr.Dataset()
    for name in names:
        values = draws[name] if name in draws else source.of(name)
        label, profile, attrs = _profile(name, maps, values, weighing)
        profile = np.where((covered >= MIN_COVERAGE)[:, None], profile, np.nan)
        rows = np.quantile(profile, quantiles, axis=1).T
        found[label] = ("ring", "quantile"), rows, attrs
    kpc = float(maps.attrs["kpc_per_pixel"]) / pixels.grid.pixel_scale
    found = found.assign(_ring_variables(config, ellipse.semi_major, kpc))
    found["covered"] = ("ring", covered, RADIAL.attrs("covered"))
    found["n_bin"] = ("ring", _effective(sums[AREA]), RADIAL.attrs("n_bin"))
    found = found.assign(_size_variables(sizes, quantiles))
    found = found.assign_coords({name: cube[name].variable for name in ("band", "pivot_wave")})
    found = found.assign_coords(quantile=fit["quantile"].variable)
    found["psf_fwhm"] = ("band", cube["psf_fwhm"].values, RADIAL.attrs("psf_fwhm"))
    found["flags"] = _flags(pixels, ellipse, float(np.median(sizes.mass)))
    about = _attrs(geometry, ellipse, config) | {"kpc_per_arcsec": kpc}
    return RADIAL.validate(found.assign_attrs(about))


def _edges(config: RadialConfig) -> Floats:
    """Return the edges of rings, from 0 [R_eff]."""
    n_ring = max(1, round(config.reach / config.step))
    return config.step * np.arange(n_ring + 1, dtype=np.float64)


def _in_r_eff(geometry: Geometry, cube: xr.Dataset, sizes: Sizes) -> Ellipse:
    """Return the ellipse with R_eff as its semi-major axis."""
    ellipse = geometry.ellipse
    if geometry.fitted:
        return ellipse
    k = [str(name) for name in cube["band"].values].index(geometry.band)
    size = float(np.median(sizes.light[k]))
    if not np.isfinite(size):
        raise DataError(
            f"band {geometry.band}, which R_eff is to be taken from, lacks pixels of the galaxy or"
            " shows no light of it: name another as radial.band"
        )
    return ellipse.resized(size)


@dataclass(frozen=True, slots=True)
class _Weighing:
    """How means over rings are weighted.

    Attributes
    ----------
    weight : {"mass", "area"}
        By what.
    sums : mapping of (n_ring, n_bin) float64
        Parts of bins in rings, by share.
    mass : (n_bin, n_draws) float64
        Draws of the bins' masses.
    """

    weight: str
    sums: Mapping[str, Floats]
    mass: Floats

    def mean(self, values: Floats, *, log: bool) -> Floats:
        """Return means (n_ring, n_draws) of values of bins (n_bin, n_draws), or of their powers.

        With ``log`` the values are logarithms, and the result is the logarithm of the mean. Bins
        whose value is NaN are left out.
        """
        known = ~np.isnan(values + self.mass).any(axis=1)
        by_mass = self.weight == "mass"
        parts = self.sums[MASS if by_mass else AREA][:, known]
        weights = self.mass[known] if by_mass else np.ones_like(values[known])
        inside = 10.0 ** values[known] if log else values[known]
        total, under = parts @ (weights * inside), parts @ weights
        mean = np.divide(total, under, out=np.full(total.shape, np.nan), where=under > 0)
        return _log(mean) if log else mean

    def density(self, values: Floats, name: str) -> Floats:
        """Return log10 of means over area (n_ring, n_draws) [pix-1] of what grows with bins.

        Bins without a value (n_bin, n_draws) count neither for the sum nor for the area.
        """
        known = ~np.isnan(values).any(axis=1)
        total = self.sums[name][:, known] @ 10.0 ** values[known]
        area = np.broadcast_to(self.sums[AREA][:, known].sum(axis=1)[:, None], total.shape)
        return _log(np.divide(total, area, out=np.full(total.shape, np.nan), where=area > 0))


def _profile(
    name: str, maps: xr.Dataset, values: Floats, weighing: _Weighing
) -> tuple[str, Floats, dict[str, str]]:
    """Return name, draws (n_ring, n_draws) and attributes of the profile of a result."""
    density = f"{name}{_DENSITY}"
    if density in maps:
        profile = weighing.density(values, name) - _log_pixel_area(maps)
        return density, profile, _meaning(maps[density], "mean over the ring's area")
    log = str(maps[name].attrs["units"]).startswith("dex")
    how = f"mean over the ring, weighted by {weighing.weight}"
    return name, weighing.mean(values, log=log), _meaning(maps[name], how)


def _log(values: Floats) -> Floats:
    """Return log10; NaN where there is none."""
    return np.log10(values, out=np.full(values.shape, np.nan), where=values > 0)


def _log_pixel_area(maps: xr.Dataset) -> float:
    """Return log10 of the area [kpc2] of a pixel that the maps' densities are per."""
    cosine = float(maps.attrs.get("cos_inclination", 1.0))
    log_area = 2.0 * float(np.log10(maps.attrs["kpc_per_pixel"]))
    return log_area - float(np.log10(cosine)) if cosine > 0 else np.nan


def _meaning(source: xr.DataArray, how: str) -> dict[str, str]:
    """Return a profile's unit and meaning, of its map's."""
    meaning = f"{source.attrs.get('long_name', source.name)}, {how}"
    return {"units": str(source.attrs["units"]), "long_name": meaning}


def _covered(pixels: BinPixels, ellipse: Ellipse, edges: Floats, area: Floats) -> Floats:
    """Return the part of each ring that bins with a posterior make up."""
    whole = np.pi * ellipse.axis_ratio * np.diff(edges**2) / pixels.grid.pixel_area
    return np.asarray(np.clip(area.sum(axis=1) / whole, 0.0, 1.0))


def _effective(area: Floats) -> Floats:
    """Return the effective number of bins, of their areas (n_ring, n_bin); 0 without any."""
    squared = (area**2).sum(axis=1)
    total = area.sum(axis=1) ** 2
    return np.asarray(np.divide(total, squared, out=np.zeros_like(total), where=squared > 0))


def _ring_variables(config: RadialConfig, r_eff: float, kpc: float) -> dict[str, xr.Variable]:
    """Return where rings are."""
    edges = _edges(config)
    middle = 0.5 * (edges[1:] + edges[:-1])
    values = {
        "radius": middle,
        "radius_arcsec": middle * r_eff,
        "radius_kpc": middle * r_eff * kpc,
        "width": np.diff(edges),
    }
    return {name: xr.Variable("ring", value, RADIAL.attrs(name)) for name, value in values.items()}


def _size_variables(sizes: Sizes, quantiles: Floats) -> dict[str, xr.Variable]:
    """Return quantiles of sizes; NaN where a draw has none."""
    values = {
        "half_light": sizes.light,
        "half_mass": sizes.mass,
        "half_sfr": sizes.sfr,
        "mass_to_light": sizes.mass / sizes.light,
    }
    found = {
        name: xr.Variable(
            ("band", "quantile")[-draws.ndim :],
            np.moveaxis(np.quantile(draws, quantiles, axis=-1), 0, -1),
            RADIAL.attrs(name),
        )
        for name, draws in values.items()
    }
    name = "half_mass_of_medians"
    return found | {name: xr.Variable((), sizes.mass_of_medians, RADIAL.attrs(name))}


def _flags(pixels: BinPixels, ellipse: Ellipse, half_mass: float) -> xr.Variable:
    """Return EDGE where the inner half of the mass is not all seen."""
    edges = np.array([0.0, half_mass])
    sums = pixels.ring_sums(ellipse, edges[1:])
    (covered,) = _covered(pixels, ellipse, edges, sums[AREA])
    flag = int(Flag.EDGE) if covered < FULL_COVERAGE else 0
    return xr.Variable((), np.uint16(flag), {**RADIAL.attrs("flags"), **flag_attrs()})


def _attrs(geometry: Geometry, ellipse: Ellipse, config: RadialConfig) -> dict[str, object]:
    """Return what the profiles are on."""
    return {
        "schema": RADIAL.tag,
        "ra": ellipse.ra,
        "dec": ellipse.dec,
        "angle": ellipse.angle,
        "axis_ratio": ellipse.axis_ratio,
        "r_eff": ellipse.semi_major,
        "r_eff_band": geometry.band,
        "r_eff_source": ellipse.source,
        "weight": config.weight,
    }
