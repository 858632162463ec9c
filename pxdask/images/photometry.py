"""Fluxes of regions and apertures, curves of growth, radial profiles, units and scales.

A sum over pixels of weights ``w`` (the part of each that is inside) has the variance
``sum(w^2 sigma^2)``, grown for the noise's correlation by `pxdask.kernels.noise` for
``n = sum(w)^2 / sum(w^2)`` pixels: for whole pixels, as errors of bins are.

Missing pixels add nothing: they are neither filled nor scaled for. How much of an aperture is
covered is told, flagged where it is less than 95 %, and below half the flux is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from photutils.aperture import EllipticalAperture

from pxdask.core.constants import AV_PER_OPTICAL_DEPTH
from pxdask.core.cosmology import kpc_per_arcsec
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import PHOTOMETRY, PROFILE
from pxdask.images.grid import Grid, position
from pxdask.images.noise import FULL_COVERAGE, MIN_COVERAGE
from pxdask.images.shapes import sky_jacobian
from pxdask.images.units import NANOMAGGY_UJY
from pxdask.kernels.bandpass import ab_magnitude, flux_per_wavelength
from pxdask.kernels.noise import aperture_growth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from pxdask.core.models import ModelConfig
    from pxdask.core.schema import Schema
    from pxdask.images.shapes import Ellipse

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

PER_MICROJANSKY: Mapping[str, float] = {
    "uJy": 1.0,
    "nJy": 1e3,
    "mJy": 1e-3,
    "Jy": 1e-6,
    "nmgy": 1 / NANOMAGGY_UJY,
}
"""Units of flux density per frequency, by what 1 uJy is in them."""
PER_WAVELENGTH = "erg s-1 cm-2 Angstrom-1"
MAGNITUDE = "mag(AB)"
_ROUNDING = 1e-6
_SUBPIXELS = 64
"""Parts of a pixel's side; areas are right to 4e-3 even of the smallest apertures."""


@dataclass(frozen=True, slots=True)
class Converted:
    """Fluxes in another unit, with errors, of the shape given; NaN stays NaN."""

    value: Floats
    error: Floats
    unit: str


def integrated_sed(cube: xr.Dataset, *, region: Mask | None = None) -> xr.Dataset:
    """Return the flux of a region of the cube in each band.

    Parameters
    ----------
    cube : xarray.Dataset
        Schema image/1.
    region : (ny, nx) bool, optional
        Default: the cube's own region.

    Returns
    -------
    sed : xarray.Dataset
        Schema photometry/1 with one aperture, ``region``.

    Raises
    ------
    DataError
        If there is no region, or no pixel in it.
    """
    if region is None:
        if "region" not in cube:
            raise DataError("the cube has no region; give one")
        region = np.asarray(cube["region"].values, dtype=bool)
    if not np.any(region):
        raise DataError("the region has no pixel")
    return _photometry(cube, region[None].astype(np.float64), names=["region"])


def aperture_photometry(
    cube: xr.Dataset, *, apertures: Mapping[str, Ellipse], exclude: Mask | None = None
) -> xr.Dataset:
    """Return the fluxes in ellipses on the sky, pixels at the border counted by their part.

    Parameters
    ----------
    cube : xarray.Dataset
        Schema image/1.
    apertures : mapping of str to Ellipse
        By name; a circle has equal half axes.
    exclude : (ny, nx) bool, optional
        Pixels that count as missing, such as neighbours.

    Returns
    -------
    photometry : xarray.Dataset
        Schema photometry/1, apertures in the order given.

    Raises
    ------
    DataError
        If an aperture's centre cannot be placed on the image.
    """
    grid = _grid(cube)
    weights = [aperture_weights(grid, ellipse) for ellipse in apertures.values()]
    areas = [_pixel_ellipse(grid, ellipse).area for ellipse in apertures.values()]
    radii = [ellipse.semi_major for ellipse in apertures.values()]
    return _photometry(
        cube, np.array(weights), names=list(apertures), areas=areas, radii=radii, exclude=exclude
    )


def curve_of_growth(
    cube: xr.Dataset, *, ellipse: Ellipse, radii: ArrayLike, exclude: Mask | None = None
) -> xr.Dataset:
    """Return the fluxes within ever larger copies of an ellipse.

    Parameters
    ----------
    cube, exclude
        As for `aperture_photometry`.
    ellipse : Ellipse
        Its centre, axis ratio and angle are used.
    radii : (n_aperture,) float64
        Semi-major axes, > 0, increasing [arcsec].

    Returns
    -------
    growth : xarray.Dataset
        Schema photometry/1 with ``radius``.

    Raises
    ------
    ConfigError
        If the radii are not positive and increasing.
    """
    apertures = {
        f"r={radius:.6g}": ellipse.resized(radius)
        for radius in _increasing(radii, least=0.0).tolist()
    }
    return aperture_photometry(cube, apertures=apertures, exclude=exclude)


def radial_profile(
    cube: xr.Dataset, *, ellipse: Ellipse, edges: ArrayLike, exclude: Mask | None = None
) -> xr.Dataset:
    """Return brightness and signal-to-noise ratios in elliptical rings.

    Parameters
    ----------
    cube, exclude, ellipse
        As for `curve_of_growth`.
    edges : (n_ring + 1,) float64
        Semi-major axes between the rings, >= 0, increasing [arcsec]. A pixel belongs to the
        ring that holds its centre.

    Returns
    -------
    profile : xarray.Dataset
        Schema profile/1. A ring without good pixels has NaN and ``n_pix`` 0.

    Raises
    ------
    ConfigError
        If the edges do not increase from zero or more.
    """
    limits = _increasing(edges, least=-np.finfo(np.float64).tiny)
    grid = _grid(cube)
    radius = ellipse.radius(grid.to_wcs(), grid.shape)
    ring = np.digitize(radius, limits) - 1  # NaN falls behind the last edge
    weights = np.array([ring == number for number in range(limits.size - 1)], dtype=np.float64)
    total = _photometry(
        cube, weights, names=[str(i) for i in range(len(weights))], exclude=exclude, partial=True
    )
    good = _good(cube, exclude)
    ratio = np.where(good, cube["flux"].values / np.where(good, cube["flux_err"].values, 1), np.nan)
    n_pix = np.rint(total["covered"].values * total["area"].values[:, None]).astype(np.int32)
    solid = np.where(n_pix > 0, n_pix, np.nan) * grid.pixel_area
    flux, error = total["flux"].values, total["flux_err"].values
    with np.errstate(invalid="ignore"):
        middle = np.sum(weights * np.nan_to_num(radius), axis=(1, 2)) / weights.sum(axis=(1, 2))
    empty = ~np.isfinite(middle)
    middle[empty] = (0.5 * (limits[:-1] + limits[1:]))[empty]
    members = [_median(ratio[:, inside > 0]) for inside in weights]
    values = {
        "brightness": flux / solid,
        "brightness_err": error / solid,
        "snr": flux / error,
        "pixel_snr": np.array(members),
    }
    variables: dict[str, object] = {
        name: (("ring", "band"), value, PROFILE.attrs(name)) for name, value in values.items()
    }
    variables["n_pix"] = (("ring", "band"), n_pix, PROFILE.attrs("n_pix"))
    variables["radius"] = (("ring",), middle, PROFILE.attrs("radius"))
    return PROFILE.validate(_dataset(cube, PROFILE, variables))


def aperture_weights(grid: Grid, ellipse: Ellipse) -> Floats:
    """Return the part of each pixel (ny, nx) that is inside an ellipse on the sky.

    Exact for an ellipse on the image, whose shape is the sky's at the aperture's centre.

    Raises
    ------
    DataError
        If the ellipse's centre has no place on the image's plane.
    """
    aperture = _pixel_ellipse(grid, ellipse)
    mask = aperture.to_mask(method="exact")
    if abs(np.sum(mask.data) / aperture.area - 1) > _ROUNDING:
        # photutils 3.0 loses a half of a circle that all but touches the sides of its pixel
        mask = aperture.to_mask(method="subpixel", subpixels=_SUBPIXELS)
    image = mask.to_image(grid.shape)
    return np.zeros(grid.shape) if image is None else np.asarray(image, dtype=np.float64)


def convert_flux(
    flux: ArrayLike, flux_err: ArrayLike, *, unit: str, pivot: ArrayLike | None = None
) -> Converted:
    """Return flux densities and their errors in another unit.

    Parameters
    ----------
    flux, flux_err : (..., n_band) array
        [uJy]
    unit : str
        One of `PER_MICROJANSKY`, ``erg s-1 cm-2 Angstrom-1`` or ``mag(AB)``.
    pivot : (n_band,) array, optional
        Pivot wavelengths, which fluxes per wavelength need [Angstrom].

    Returns
    -------
    converted : Converted
        Magnitudes of fluxes that are not positive are NaN; their errors are those of a small
        relative error, ``2.5 / ln(10) flux_err / flux``.

    Raises
    ------
    ConfigError
        If the unit is unknown, or the pivot wavelengths are absent.
    """
    value, error = np.asarray(flux, np.float64), np.asarray(flux_err, np.float64)
    if unit in PER_MICROJANSKY:
        factor = PER_MICROJANSKY[unit]
        return Converted(value * factor, error * factor, unit)
    if unit == MAGNITUDE:
        magnitude = ab_magnitude(value)
        positive = np.where(value > 0, value, np.nan)
        return Converted(magnitude, AV_PER_OPTICAL_DEPTH * error / positive, unit)
    if unit == PER_WAVELENGTH:
        if pivot is None:
            raise ConfigError(f"fluxes in {unit} need the pivot wavelengths of their bands")
        return Converted(
            flux_per_wavelength(value, pivot=pivot), flux_per_wavelength(error, pivot=pivot), unit
        )
    raise ConfigError(
        f"unit {unit!r} is unknown; wanted {', '.join(PER_MICROJANSKY)}, {PER_WAVELENGTH} or "
        f"{MAGNITUDE}"
    )


def kpc_per_pixel(settings: ModelConfig, *, redshift: float, pixel_scale: float) -> float:
    """Return the proper transverse size of a pixel [kpc].

    Parameters
    ----------
    settings : ModelConfig
        Its cosmology; the default has H0 = 70 km/s/Mpc and a matter density of 0.3.
    redshift : float
        Above 0.
    pixel_scale : float
        Side of a pixel [arcsec].
    """
    return kpc_per_arcsec(settings, redshift=redshift) * pixel_scale


def _grid(cube: xr.Dataset) -> Grid:
    """Return the pixels of a cube."""
    return Grid(cube.attrs["wcs"], (cube.sizes["y"], cube.sizes["x"]))


def _increasing(values: ArrayLike, *, least: float) -> Floats:
    """Return values that increase from above the least, or complain."""
    found = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if found.size == 0 or not (found[0] > least and np.all(np.diff(found) > 0)):
        raise ConfigError(f"radii must be positive and increase; got {found}")
    return found


def _pixel_ellipse(grid: Grid, ellipse: Ellipse) -> EllipticalAperture:
    """Return an ellipse of the sky as one of the image, for pixels of any form."""
    wcs = grid.to_wcs()
    x, y = position(wcs, ra=ellipse.ra, dec=ellipse.dec)
    if not (np.isfinite(x) and np.isfinite(y)):
        raise DataError(f"ra = {ellipse.ra}, dec = {ellipse.dec} has no place on the image")
    jacobian = sky_jacobian(wcs, x=x, y=y, ra=ellipse.ra, dec=ellipse.dec)
    sin, cos = np.sin(np.radians(ellipse.angle)), np.cos(np.radians(ellipse.angle))
    axes = np.array([[sin, cos], [cos, -sin]]) @ np.diag([ellipse.semi_major, ellipse.semi_minor])
    turned, half_axes, _ = np.linalg.svd(np.linalg.solve(jacobian, axes))
    angle = float(np.arctan2(turned[1, 0], turned[0, 0]))
    return EllipticalAperture((x, y), float(half_axes[0]), float(half_axes[1]), theta=angle)


def _good(cube: xr.Dataset, exclude: Mask | None) -> Mask:
    """Return pixels with flux and error, (n_band, ny, nx)."""
    error = cube["flux_err"].values
    good: Mask = np.isfinite(cube["flux"].values) & np.isfinite(error) & (error > 0)
    return good if exclude is None else good & ~exclude


def _median(values: Floats) -> Floats:
    """Return the median along the last axis of the finite values; NaN where there is none."""
    found = np.full(values.shape[0], np.nan)
    for row, one in enumerate(values):
        if np.any(finite := np.isfinite(one)):
            found[row] = np.median(one[finite])
    return found


def _photometry(
    cube: xr.Dataset,
    weights: Floats,
    *,
    names: Sequence[str],
    areas: Sequence[float] | None = None,
    radii: Sequence[float] | None = None,
    exclude: Mask | None = None,
    partial: bool = False,
) -> xr.Dataset:
    """Return the sums over apertures of weights (n_aperture, ny, nx).

    With ``partial`` sums are kept whatever part of the aperture is covered.
    """
    flat = weights.reshape(len(names), -1)
    good = _good(cube, exclude).reshape(cube.sizes["band"], -1)
    flux = np.where(good, cube["flux"].values.reshape(good.shape), 0.0).astype(np.float64)
    error = np.where(good, cube["flux_err"].values.reshape(good.shape), 0.0).astype(np.float64)
    area = flat.sum(axis=1) if areas is None else np.asarray(areas, dtype=np.float64)
    seen, seen_squared = flat @ good.T.astype(np.float64), flat**2 @ good.T.astype(np.float64)
    with np.errstate(invalid="ignore"):
        n_pix = np.where(seen > 0, seen**2 / seen_squared, 1.0)
        covered = np.nan_to_num(np.clip(seen / area[:, None], 0.0, 1.0))
    noise_area = cube["noise_area"].values
    variance = flat**2 @ (error**2).T * aperture_growth(n_pix, noise_area)
    known = seen > 0 if partial else covered >= MIN_COVERAGE
    flags = np.where(covered < FULL_COVERAGE, int(Flag.EDGE), 0)
    flags |= np.where(known, 0, int(Flag.NO_DATA) | int(Flag.NO_ERROR))
    planes = {
        "flux": np.where(known, flat @ flux.T, np.nan),
        "flux_err": np.where(known, np.sqrt(variance), np.nan),
        "covered": covered,
    }
    variables: dict[str, object] = {
        name: (("aperture", "band"), plane, PHOTOMETRY.attrs(name))
        for name, plane in planes.items()
    }
    text = {**PHOTOMETRY.attrs("flags"), **flag_attrs()}
    variables["flags"] = (("aperture", "band"), flags.astype(np.uint16), text)
    variables["area"] = (("aperture",), area, PHOTOMETRY.attrs("area"))
    label = ("aperture", np.array(names, dtype=object), PHOTOMETRY.attrs("aperture"))
    dataset = _dataset(cube, PHOTOMETRY, variables).assign_coords(aperture=label)
    if radii is not None:
        radius = ("aperture", np.asarray(radii, dtype=np.float64), PHOTOMETRY.attrs("radius"))
        dataset = dataset.assign_coords(radius=radius)
    return PHOTOMETRY.validate(dataset)


def _dataset(cube: xr.Dataset, schema: Schema, variables: Mapping[str, object]) -> xr.Dataset:
    """Return variables with the cube's bands."""
    coords = {
        "band": ("band", np.asarray(cube["band"].values, dtype=object), schema.attrs("band")),
        "pivot_wave": ("band", cube["pivot_wave"].values, schema.attrs("pivot_wave")),
    }
    attrs = {"schema": schema.tag, "pixel_scale": _grid(cube).pixel_scale}
    return xr.Dataset(dict(variables), coords=coords, attrs=attrs)
