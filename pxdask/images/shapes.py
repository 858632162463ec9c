"""Circles, ellipses and rectangles on the sky, and the pixels of an image that are in them.

Everything is measured on the tangent plane at the shape's centre, so that a shape is the same
piece of sky on any pixels: turned, mirrored, distorted or in another frame. Angles are position
angles: from north (0) through east (90).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs.utils import pixel_to_skycoord

from pxdask.core.errors import ConfigError
from pxdask.images.grid import ARCSEC_PER_RADIAN

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SkyOffsets:
    """Where pixels are, as seen from a position: east and north (ny, nx) [arcsec].

    NaN where a pixel is not on the sky, or a quarter of the sky away and more.
    """

    east: NDArray[np.float64]
    north: NDArray[np.float64]

    def along(self, angle: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return offsets along a position angle [deg], and to the right angle beyond it."""
        sin, cos = np.sin(np.radians(angle)), np.cos(np.radians(angle))
        return self.north * cos + self.east * sin, self.east * cos - self.north * sin


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse on the sky.

    Attributes
    ----------
    ra, dec : float
        Its centre, ICRS [deg].
    semi_major, semi_minor : float
        Its half axes [arcsec].
    angle : float
        Position angle of its major axis, north through east [deg].
    source : {"given", "isophote", "moments", "morphology"}
        Where it is from: "moments" is what is left where no isophote could be fitted, "morphology"
        a Sersic fit.

    Raises
    ------
    ConfigError
        Unless ``semi_major >= semi_minor > 0``.
    """

    ra: float
    dec: float
    semi_major: float
    semi_minor: float
    angle: float
    source: str = "given"

    def __post_init__(self) -> None:
        if not self.semi_major >= self.semi_minor > 0:
            raise ConfigError(
                f"an ellipse's half axes are {self.semi_major} and {self.semi_minor} arcsec; they "
                "must be positive, the major axis first"
            )

    @property
    def axis_ratio(self) -> float:
        """Minor over major axis [1]."""
        return self.semi_minor / self.semi_major

    def resized(self, semi_major: float) -> Ellipse:
        """Return an ellipse of the same centre, axis ratio and angle, of another size [arcsec]."""
        return replace(self, semi_major=semi_major, semi_minor=semi_major * self.axis_ratio)

    def contains(self, wcs: WCS, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the pixels (ny, nx) whose centres are in it."""
        along, across = sky_offsets(wcs, shape, ra=self.ra, dec=self.dec).along(self.angle)
        return np.asarray(np.hypot(along / self.semi_major, across / self.semi_minor) <= 1.0)

    def radius(self, wcs: WCS, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return the semi-major axis of the like ellipse through each pixel's centre (ny, nx).

        That of its centre, axis ratio and angle [arcsec]; NaN where `SkyOffsets` are.
        """
        along, across = sky_offsets(wcs, shape, ra=self.ra, dec=self.dec).along(self.angle)
        return np.asarray(np.hypot(along, across * self.semi_major / self.semi_minor))


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle on the sky: centre [deg], whole sides [arcsec], angle of its length [deg]."""

    ra: float
    dec: float
    length: float
    width: float
    angle: float

    def __post_init__(self) -> None:
        if not min(self.length, self.width) > 0:
            raise ConfigError(
                f"a rectangle's sides are {self.length} and {self.width} arcsec; they must be "
                "positive"
            )

    def contains(self, wcs: WCS, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the pixels (ny, nx) whose centres are in it."""
        along, across = sky_offsets(wcs, shape, ra=self.ra, dec=self.dec).along(self.angle)
        return np.asarray((np.abs(along) <= self.length / 2) & (np.abs(across) <= self.width / 2))


def sky_offsets(wcs: WCS, shape: tuple[int, int], *, ra: float, dec: float) -> SkyOffsets:
    """Return the offsets of all pixels of an image from a position.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial coordinates, in any frame.
    shape : tuple of int
        (ny, nx).
    ra, dec : float
        The position, ICRS [deg].
    """
    y, x = np.indices(shape, dtype=np.float64)
    return offsets_at(wcs, x=x, y=y, ra=ra, dec=dec)


def offsets_at(
    wcs: WCS, *, x: NDArray[np.float64], y: NDArray[np.float64], ra: float, dec: float
) -> SkyOffsets:
    """Return the offsets of zero-based positions [pix] from a position on the sky [deg].

    Notes
    -----
    Gnomonic projection: Calabretta & Greisen 2002, A&A 395, 1077, equations 54 and 12-13.
    """
    sky = pixel_to_skycoord(x, y, wcs).icrs
    away, there = sky.ra.rad - np.radians(ra), sky.dec.rad
    here = np.radians(dec)
    towards = np.sin(here) * np.sin(there) + np.cos(here) * np.cos(there) * np.cos(away)
    scale = ARCSEC_PER_RADIAN / np.where(towards > 0, towards, np.nan)
    north = np.cos(here) * np.sin(there) - np.sin(here) * np.cos(there) * np.cos(away)
    return SkyOffsets(east=np.cos(there) * np.sin(away) * scale, north=north * scale)


def sky_jacobian(wcs: WCS, *, x: float, y: float, ra: float, dec: float) -> NDArray[np.float64]:
    """Return the derivatives of offsets from a position on the sky by x and y [arcsec pix-1].

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial coordinates.
    x, y : float
        Where on the image, zero-based [pix]; differences are over the pixel about it.
    ra, dec : float
        The position that offsets are from, ICRS [deg].

    Returns
    -------
    jacobian : (2, 2) float64
        Rows are east and north, columns x and y.
    """
    at = np.array([-0.5, 0.5, 0.0, 0.0])
    around = offsets_at(wcs, x=x + at, y=y + at[[2, 3, 0, 1]], ra=ra, dec=dec)
    return np.array([[a[1] - a[0], a[3] - a[2]] for a in (around.east, around.north)])


def sky_ellipse(
    wcs: WCS, *, x: float, y: float, covariance: NDArray[np.float64], source: str
) -> Ellipse:
    """Return an ellipse of the image as one of the sky.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial coordinates.
    x, y : float
        Its centre, zero-based [pix].
    covariance : (2, 2) float64
        In x and y, with its squared half axes as eigenvalues [pix2].
    source : str
        As `Ellipse`.

    Notes
    -----
    Under the local linear map ``J`` from pixels to the sky, covariances become ``J C J^T``.
    """
    centre = pixel_to_skycoord(x, y, wcs).icrs
    ra, dec = float(centre.ra.deg), float(centre.dec.deg)
    jacobian = sky_jacobian(wcs, x=x, y=y, ra=ra, dec=dec)
    squares, axes = np.linalg.eigh(jacobian @ covariance @ jacobian.T)
    minor, major = np.sqrt(squares)
    angle = float(np.degrees(np.arctan2(axes[0, 1], axes[1, 1]))) % 180.0
    return Ellipse(ra, dec, float(major), float(minor), angle, source)
