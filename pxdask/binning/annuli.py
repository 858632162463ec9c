"""Bins that are elliptical rings about the centre of a galaxy's light."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_skycoord

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_WEIGHT_AREA = 1.0 / (3.0**2 * np.pi)
"""Product of the axes' standard deviations of the weight, in the region's area: a round region
ends at 3 of them."""

_MAX_STEPS = 100
"""Times the weight is given the light's new form."""

_TOLERANCE = 1e-6
"""Change of the form, of its parts [1] and of its centre in widths of the weight, at its end."""

_MIN_AXIS_RATIO = 0.05
"""Least axis ratio that is believed; a line of pixels has 0."""

_ROUNDING = 1e-9
"""Distance from an edge at which a pixel is on it, in widths."""

_NORTH_UP = np.array([[-1.0, 0.0], [0.0, 1.0]])
"""From (x, y) to (east, north) where no coordinates are known."""


@dataclass(frozen=True, slots=True)
class LightShape:
    """The form of a galaxy's light on the image.

    Attributes
    ----------
    x, y : float
        Its centre, zero-based [pix].
    covariance : (2, 2) float64
        In x and y, scaled to determinant 1: the squared half axes of an ellipse of area pi.
    """

    x: float
    y: float
    covariance: NDArray[np.float64]


def annulus_bins(
    flux: NDArray[np.floating],
    region: NDArray[np.bool_],
    *,
    width: float,
    axis_ratio: float | None = None,
    angle: float | None = None,
    wcs: str | None = None,
) -> NDArray[np.int32]:
    """Return the map of elliptical annuli about the light's centre.

    Parameters
    ----------
    flux : (ny, nx)
        Flux of one band per pixel [any unit]. NaN and infinities do not count.
    region : (ny, nx) bool
        Pixels to bin.
    width : float
        Width of the annuli on the major axis [pix]; on the minor axis it is ``axis_ratio`` of it.
    axis_ratio, angle : float, optional
        Minor over major axis, and angle of the major axis, from north through east [deg].
        Default, each: that of the light, see `light_shape`.
    wcs : str, optional
        FITS cards of the celestial coordinates; without them north is up and east left.

    Returns
    -------
    bin_map : (ny, nx) int32
        From the centre outwards, rings without pixels left out; -1 outside the region.

    Raises
    ------
    DataError
        If the coordinates are not celestial.

    Notes
    -----
    The ellipses are those of the sky: pixels need be neither square nor north up. An inner edge
    belongs to its annulus.
    """
    bin_map = np.full(region.shape, -1, dtype=np.int32)
    if not region.any():
        return bin_map
    shape = light_shape(flux, region)
    to_sky = _NORTH_UP if wcs is None else _pixels_to_sky(wcs, x=shape.x, y=shape.y)
    light = sky_form(shape, to_sky)
    ratio = light.axis_ratio if axis_ratio is None else axis_ratio
    position = np.radians(light.angle if angle is None else angle)
    row, col = np.nonzero(region)
    east, north = to_sky @ np.stack([col - shape.x, row - shape.y])
    along = north * np.cos(position) + east * np.sin(position)
    across = east * np.cos(position) - north * np.sin(position)
    ring = np.floor(np.hypot(along, across / ratio) / width + _ROUNDING)
    bin_map[row, col] = np.unique(ring, return_inverse=True)[1]
    return bin_map


@dataclass(frozen=True, slots=True)
class SkyForm:
    """The form of light on the sky: minor over major axis, angle from north through east [deg]."""

    axis_ratio: float
    angle: float


def sky_form(shape: LightShape, to_sky: NDArray[np.float64]) -> SkyForm:
    """Return axis ratio and position angle of light.

    Parameters
    ----------
    shape : LightShape
        Its form on the image.
    to_sky : (2, 2) float64
        From offsets in (x, y) to those in (east, north).
    """
    squares, axes = np.linalg.eigh(to_sky @ shape.covariance @ to_sky.T)
    ratio = float(np.sqrt(max(squares[0], 0.0) / squares[1]))
    angle = float(np.degrees(np.arctan2(axes[0, 1], axes[1, 1]))) % 180.0
    return SkyForm(max(ratio, _MIN_AXIS_RATIO), angle)


def light_shape(flux: NDArray[np.floating], region: NDArray[np.bool_]) -> LightShape:
    """Return centre and form of the light in a region.

    Parameters
    ----------
    flux : (ny, nx)
        Flux per pixel [any unit], negatives as they are; NaN and infinities do not count.
    region : (ny, nx) bool
        The galaxy's pixels, at least one.

    Returns
    -------
    shape : LightShape
        Right for light whose isophotes are similar ellipses, whatever its profile; where the
        region cuts off ellipses of axis ratio 0.5 by a circle, it is rounder by up to 4 % (that
        for a de Vaucouleurs profile). Not corrected for the PSF. The form of the region itself,
        logged, where the light has no centre or no form, as in noise.

    Notes
    -----
    Adaptive second moments (Bernstein & Jarvis 2002, AJ 123, 583, section 3.1): light is weighted
    with a Gaussian that is given the centre and the form found, until they stay. Theirs finds its
    size too; here the size is fixed by the region's area, so that discs count and not only
    nuclei.
    """
    row, col = (index.astype(np.float64) for index in np.nonzero(region))
    light = np.asarray(flux[region], dtype=np.float64)
    light = np.where(np.isfinite(light), light, 0.0)
    peak = np.max(np.abs(light), initial=0.0)
    start = _unit_moments(np.ones_like(light), col, row)
    if start is None:  # a line of pixels, or one
        return LightShape(float(col.mean()), float(row.mean()), np.eye(2))
    found = _adapted(light / peak, col, row) if peak > 0 else None
    if found is None:
        logger.info("the light has no form; that of the region's %d pixels is taken", len(row))
    return start if found is None else found


def _adapted(
    light: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> LightShape | None:
    """Return the form that a weight of the same form finds; None if there is none."""
    area = _WEIGHT_AREA * len(light)
    shape = _unit_moments(np.maximum(light, 0.0), x, y)
    for _ in range(_MAX_STEPS):
        if shape is None or not x.min() <= shape.x <= x.max() or not y.min() <= shape.y <= y.max():
            return None
        inverse = np.linalg.inv(shape.covariance) / area
        dx, dy = x - shape.x, y - shape.y
        square = inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2
        new = _unit_moments(light * np.exp(-0.5 * square), x, y)
        if new is not None:
            moved = np.hypot(new.x - shape.x, new.y - shape.y) / np.sqrt(area)
            turned = np.abs(new.covariance - shape.covariance).max()
            if max(moved, turned) < _TOLERANCE:
                return new
        shape = new
    return shape


def _unit_moments(
    weight: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> LightShape | None:
    """Return centre and second moments scaled to determinant 1; None where they are no ellipse."""
    total = weight.sum()
    if not total > 0:
        return None
    centre_x, centre_y = float(weight @ x / total), float(weight @ y / total)
    dx, dy = x - centre_x, y - centre_y
    xx, yy, xy = (float(weight @ product / total) for product in (dx * dx, dy * dy, dx * dy))
    determinant = xx * yy - xy * xy
    if not (xx > 0 and yy > 0 and determinant > (_MIN_AXIS_RATIO * (xx + yy)) ** 2 / 4):
        return None
    covariance = np.array([[xx, xy], [xy, yy]]) / np.sqrt(determinant)
    return LightShape(centre_x, centre_y, covariance)


def _pixels_to_sky(cards: str, *, x: float, y: float) -> NDArray[np.float64]:
    """Return the local map from (x, y) to (east, north), scaled to keep areas.

    Raises
    ------
    DataError
        If the coordinates are not celestial.
    """
    wcs = WCS(cards, fix=False)
    if not wcs.has_celestial or wcs.naxis != 2:
        raise DataError(
            f"annuli need celestial coordinates, the WCS has {list(wcs.wcs.ctype)}; give none to"
            " have angles counted from up through left"
        )
    centre = pixel_to_skycoord(x, y, wcs).icrs
    around = pixel_to_skycoord(
        x + np.array([-0.5, 0.5, 0.0, 0.0]), y + np.array([0.0, 0.0, -0.5, 0.5]), wcs
    ).icrs
    offsets = (offset.to_value("arcsec") for offset in centre.spherical_offsets_to(around))
    matrix = np.array([[o[1] - o[0], o[3] - o[2]] for o in offsets])
    return np.asarray(matrix / np.sqrt(abs(np.linalg.det(matrix))))
