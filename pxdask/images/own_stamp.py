"""One band on its own pixels around a galaxy, with its PSF: nothing convolved or resampled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.schema import STAMP
from pxdask.images.grid import Grid, position, shifted_wcs, wcs_cards
from pxdask.images.psf_images import padded, trimmed
from pxdask.images.stage import band_psf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.images.psf import Psf
    from pxdask.images.stage import ImageStage

PSF_WINGS = 1e-3
"""Part of a PSF's weight that its image on a stamp may leave out."""

_ROUNDING = 1e-3
"""Part of a pixel for which a stamp does not grow."""


def own_stamp(
    stage: ImageStage,
    galaxy: Mapping[str, object],
    raw: xr.Dataset,
    *,
    half_side: float | None = None,
    max_side: int | None = None,
) -> xr.Dataset:
    """Return one band around a galaxy on its own pixels, calibrated as for the cube.

    Parameters
    ----------
    stage : ImageStage
        That of the band; its grid and target are not used.
    galaxy : mapping
        The catalogue row: id, ra, dec [deg].
    raw : xarray.Dataset
        Schema raw/1, a cutout around the galaxy.
    half_side : float, optional
        Half the side of the stamp [arcsec]; default, and at most: as far as the cutout reaches.
    max_side : int, optional
        Longest side of the stamp [pix].

    Returns
    -------
    stamp : xarray.Dataset
        Schema stamp/1, square about the position. Pixels without flux or error are NaN and
        masked, as are those beyond the cutout; nothing else is masked.

    Raises
    ------
    DataError
        If no pixel has both flux and error, or the position is outside the cutout.
    ConfigError
        If the band has a kernel in place of a PSF.
    """
    psf = own_psf(raw, band=stage.band.name)
    image = stage.calibrated(galaxy, raw=raw).image
    source = Grid(raw.attrs["wcs"], (raw.sizes["y"], raw.sizes["x"]))
    return cut_stamp(
        np.where(image.good, image.flux, np.nan),
        np.where(image.good, np.sqrt(image.variance), np.nan),
        source,
        psf=psf_on_stamp(psf, source.pixel_scale),
        at=(float(str(galaxy["ra"])), float(str(galaxy["dec"]))),
        band=stage.band.name,
        pivot_wave=stage.pivot_wave,
        half_side=half_side,
        max_side=max_side,
    )


def own_psf(raw: xr.Dataset, *, band: str) -> Psf:
    """Return the PSF of a band.

    Raises
    ------
    ConfigError
        If it is a kernel, which tells how a star changes, not what it looks like.
    """
    if raw.attrs["psf_kind"] == "kernel":
        raise ConfigError(
            f"band {band!r}: its psf is a kernel to the target's PSF, not a PSF; Sersic profiles on"
            " a band's own pixels need its fwhm or the image of a star: give one of these, leave"
            " the band out of morphology.bands, or set morphology.data to matched"
        )
    return band_psf(raw)


def psf_on_stamp(psf: Psf, pixel_scale: float) -> NDArray[np.float64]:
    """Return a PSF on pixels of a side [arcsec]: square, odd-sized, of unit sum, wings trimmed."""
    image = trimmed(psf.on_pixels(pixel_scale), tolerance=PSF_WINGS)
    image = padded(image, max(image.shape))
    return np.asarray(image / image.sum(), dtype=np.float64)


def cut_stamp(
    flux: NDArray[np.float64],
    flux_err: NDArray[np.float64],
    source: Grid,
    *,
    psf: NDArray[np.float64],
    at: tuple[float, float],
    band: str,
    pivot_wave: float,
    half_side: float | None = None,
    max_side: int | None = None,
) -> xr.Dataset:
    """Return the square of an image about a position.

    Parameters
    ----------
    flux, flux_err : (ny, nx) float64
        NaN where there is no data [uJy].
    source : Grid
        Their pixels.
    psf : (n, n) float64
        On these pixels.
    at : tuple of float
        ra, dec, ICRS [deg].
    band, pivot_wave
        Name, and pivot wavelength [Angstrom].
    half_side, max_side
        As of `own_stamp`.

    Raises
    ------
    DataError
        If the position is outside the image.
    """
    (ny, nx), wcs = source.shape, source.to_wcs()
    x, y = position(wcs, ra=at[0], dec=at[1])
    if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        raise DataError(
            f"band {band!r}: ra {at[0]:.6f}, dec {at[1]:.6f} [deg] is outside its image"
        )
    reach = max(x, y, nx - 1 - x, ny - 1 - y) + 0.5
    wanted = reach if half_side is None else min(half_side / source.pixel_scale, reach)
    side = math.ceil(2 * wanted - _ROUNDING)
    side = max(1, side if max_side is None else min(side, max_side))
    start = {"y": round(y - (side - 1) / 2), "x": round(x - (side - 1) / 2)}
    planes = [_square(plane, start, side) for plane in (flux, flux_err)]
    masked = ~(np.isfinite(planes[0]) & np.isfinite(planes[1]))
    return STAMP.validate(
        xr.Dataset(
            {
                "flux": (("y", "x"), planes[0].astype(np.float32), STAMP.attrs("flux")),
                "flux_err": (("y", "x"), planes[1].astype(np.float32), STAMP.attrs("flux_err")),
                "masked": (("y", "x"), masked, STAMP.attrs("masked")),
                "psf": (("psf_y", "psf_x"), psf, STAMP.attrs("psf")),
            },
            attrs={
                "schema": STAMP.tag,
                "band": band,
                "pivot_wave": float(pivot_wave),
                "wcs": wcs_cards(shifted_wcs(wcs, x=start["x"], y=start["y"])),
                "pixel_scale": source.pixel_scale,
            },
        )
    )


def _square(plane: NDArray[np.float64], start: Mapping[str, int], side: int) -> NDArray[np.float64]:
    """Return a square of an image, NaN beyond its edges."""
    square = np.full((side, side), np.nan)
    ny, nx = plane.shape
    rows, columns = (
        slice(max(start[axis], 0), min(start[axis] + side, n)) for axis, n in (("y", ny), ("x", nx))
    )
    into = tuple(
        slice(part.start - start[axis], part.stop - start[axis])
        for axis, part in (("y", rows), ("x", columns))
    )
    square[into] = plane[rows, columns]
    return square
