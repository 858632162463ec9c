"""The ellipse on which a galaxy's profiles and sizes are measured, and its rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.binning.annuli import light_shape
from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.images.grid import ARCSEC_PER_RADIAN, Grid
from pxdask.images.photometry import aperture_weights
from pxdask.images.shapes import Ellipse, sky_ellipse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

MIN_SNR = 10.0
"""Signal-to-noise ratio of the whole flux in a band whose ellipse is taken unasked."""

MIN_AXIS_RATIO = 0.05
"""Least axis ratio of ellipses [1]; thinner ones are seen of no galaxy."""

_ROUNDING = 1e-9
"""Part of a pixel below which it is the rounding of two apertures."""

UNBELIEVED = Flag.OFF_CENTRE | Flag.NO_DATA | Flag.NOT_FITTED
"""Flags of a fit whose ellipse is not that of the galaxy."""

MIN_DISC = 0.1
"""Part of the light that a disc must have for its ellipse to be known [1]."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """What radii are measured on.

    Attributes
    ----------
    ellipse : Ellipse
        Its semi-major axis is R_eff where ``source`` is "morphology". With the source "moments"
        it has the area of the region and the form of its light.
    band : str
        Band that it is from.
    """

    ellipse: Ellipse
    band: str

    @property
    def fitted(self) -> bool:
        """Whether it is that of a Sersic fit."""
        return self.ellipse.source == "morphology"


def geometry_of(
    cube: xr.Dataset,
    morphology: xr.Dataset | None,
    *,
    ra: float,
    dec: float,
    band: str | None = None,
) -> Geometry:
    """Return the ellipse of a galaxy, of its Sersic fit or else of its light's moments.

    Parameters
    ----------
    cube : xarray.Dataset
        Schema image/1 with ``region`` and ``attrs['wcs']``.
    morphology : xarray.Dataset or None
        Schema morphology/1, whose first source is the galaxy.
    ra, dec : float
        The position that the fit's centre is counted from [deg].
    band : str, optional
        The band; default, and where the fit has none of this name or it is NaN there: the reddest
        whose flux is known to `MIN_SNR`, or that of the greatest S/N.

    Returns
    -------
    geometry : Geometry
        Of the disc, where one with at least `MIN_DISC` of the light was fitted beside a bulge: a
        bulge is rounder, and smaller than the galaxy. Of moments where there is no fit, none of
        its bands is finite, or its flags are of `UNBELIEVED`.

    Raises
    ------
    DataError
        If moments are needed and the region is empty.
    """
    if morphology is not None:
        fitted = _of_fit(morphology, ra=ra, dec=dec, band=band)
        if fitted is not None:
            return fitted
    return _of_moments(cube, band=band)


def ring_weights(grid: Grid, ellipse: Ellipse, radii: Floats) -> Iterator[Floats]:
    """Yield the part of each pixel (ny, nx) that is in each of some elliptical rings.

    Parameters
    ----------
    grid : Grid
        The pixels.
    ellipse : Ellipse
        Its centre, angle and axis ratio are used.
    radii : (n_ring,) float64
        Outer semi-major axes, increasing [arcsec]; the first ring begins at the centre.

    Notes
    -----
    Apertures are those of `pxdask.images.photometry`, exact to the rounding of photutils, so that
    rings thinner than a pixel make sense.
    """
    inner = np.zeros(grid.shape)
    for radius in radii.tolist():
        outer = aperture_weights(grid, ellipse.resized(radius))
        part = outer - inner
        yield np.where(part > _ROUNDING, part, 0.0)
        inner = outer


def _of_fit(morphology: xr.Dataset, *, ra: float, dec: float, band: str | None) -> Geometry | None:
    """Return the ellipse of the galaxy's Sersic fit; None where there is none to believe."""
    one = morphology.isel(source=0)
    if "r_eff" not in one or int(one["flags"]) & int(UNBELIEVED):  # a point has no form
        return None
    middle = one.sel(quantile=0.5)
    shape = {name: middle[name].values for name in ("r_eff", "ellip", "theta", "xc", "yc")}
    shape |= _of_disc(shape, middle)
    known: Mask = np.isfinite(np.stack(list(shape.values()))).all(axis=0) & (shape["r_eff"] > 0)
    if not known.any():
        return None
    names = [str(name) for name in one["band"].values]
    k = _chosen(names, known, one["snr"].values, one["pivot_wave"].values, wanted=band)
    ratio = max(1.0 - float(shape["ellip"][k]), MIN_AXIS_RATIO)
    r_eff, angle = float(shape["r_eff"][k]), float(shape["theta"][k]) % 180.0
    there = _shifted(ra, dec, east=float(shape["xc"][k]), north=float(shape["yc"][k]))
    return Geometry(Ellipse(*there, r_eff, ratio * r_eff, angle, "morphology"), names[k])


def _of_disc(shape: Mapping[str, Floats], middle: xr.Dataset) -> dict[str, Floats]:
    """Return the form of the disc in each band (band,); that of ``shape`` where it is not known."""
    form = ("r_eff", "ellip", "theta")
    if "disc_r_eff" not in middle:
        return {}
    disc = {name: middle[f"disc_{name}"].values for name in form}
    known = np.isfinite(np.stack(list(disc.values()))).all(axis=0) & (disc["r_eff"] > 0)
    known &= middle["bulge_fraction"].values <= 1.0 - MIN_DISC
    return {name: np.where(known, disc[name], shape[name]) for name in form}


def _chosen(names: list[str], known: Mask, snr: Floats, wave: Floats, *, wanted: str | None) -> int:
    """Return which band's ellipse is taken; see `geometry_of`."""
    if wanted in names and known[names.index(wanted)]:
        return names.index(wanted)
    significance = np.where(known, np.nan_to_num(snr, nan=-1.0), -np.inf)
    clear = significance >= MIN_SNR
    return int(np.argmax(np.where(clear, wave, -np.inf) if clear.any() else significance))


def _shifted(ra: float, dec: float, *, east: float, north: float) -> tuple[float, float]:
    """Return the position at offsets [arcsec] on the tangent plane at another [deg].

    Undoes `pxdask.images.shapes.offsets_at`: Calabretta & Greisen 2002, A&A 395, 1077, eq. 54.
    """
    xi, eta = east / ARCSEC_PER_RADIAN, north / ARCSEC_PER_RADIAN
    sin, cos = np.sin(np.radians(dec)), np.cos(np.radians(dec))
    ahead = cos - eta * sin
    away = np.degrees(np.arctan2(xi, ahead))
    return float((ra + away) % 360.0), float(
        np.degrees(np.arctan2(sin + eta * cos, np.hypot(xi, ahead)))
    )


def _of_moments(cube: xr.Dataset, *, band: str | None) -> Geometry:
    """Return the ellipse of the region's light."""
    region = np.asarray(cube["region"].values, dtype=bool)
    if not region.any():
        raise DataError("the region has no pixel: no ellipse can be measured in it")
    flux = cube["flux"].values[:, region].astype(np.float64)
    error = cube["flux_err"].values[:, region].astype(np.float64)
    good = np.isfinite(flux) & (error > 0) & np.isfinite(error)
    noise = np.sqrt(np.where(good, error**2, 0.0).sum(axis=1))
    light = np.where(good, flux, 0.0).sum(axis=1)
    snr = np.divide(light, noise, out=np.zeros_like(light), where=noise > 0)
    names = [str(name) for name in cube["band"].values]
    wave = cube["pivot_wave"].values
    k = _chosen(names, np.atleast_1d(np.any(good, axis=1)), snr, wave, wanted=band)
    shape = light_shape(cube["flux"].values[k], region)
    # of unit area; scaled to that of the region so that it is a size on the sky
    area = float(region.sum()) / np.pi
    wcs = Grid(str(cube.attrs["wcs"]), region.shape).to_wcs()
    ellipse = sky_ellipse(
        wcs, x=shape.x, y=shape.y, covariance=area * shape.covariance, source="moments"
    )
    return Geometry(ellipse, names[k])
