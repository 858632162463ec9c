"""The ellipse of a galaxy, measured: of the isophote at which it ends, or of its segment.

Isophotes are fitted about a fixed centre, the flux-weighted one of the galaxy's segment, for a
free one wanders off in clumpy galaxies. The semi-major axis at which the mean intensity of the
isophotes falls below the limit is interpolated; axis ratio and angle are those of the isophote
nearest to it. Where the fit fails or its answer is not of the size of the segment (faint, tiny or
broken galaxies) the ellipse with the second moments of the segment is given instead.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from photutils.isophote import Ellipse as EllipseFitter
from photutils.isophote import EllipseGeometry

from pxdask.core.errors import DataError
from pxdask.images.shapes import Ellipse, sky_ellipse

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray
    from photutils.isophote import Isophote

logger = logging.getLogger(__name__)

MAX_RATIO = 2.0
"""Factor by which an isophote's semi-major axis may differ from that of the segment."""

MIN_SEMI_MINOR = 0.5
"""Least semi-minor axis, that of a segment one pixel wide [pix]."""

_START = 0.6
"""Semi-major axis from which isophotes are fitted, in that of the segment."""

_ENOUGH = 3
"""Isophotes that must be fitted before the form of the last stands for those beyond."""

_STEP = 0.12
"""Growth of the semi-major axis from one isophote to the next, as a fraction."""

_MAX_SEMI_MAJOR = 40
"""Semi-major axis from which images are measured in blocks [pix]."""

_EFFORT = {"conver": 0.1, "minit": 5, "maxit": 20}
"""Convergence [largest harmonic, in the rms about the isophote] and iterations of a fit."""

_FITTED = (0, 1, 2)
"""Stop codes of photutils for fits: converged, with many pixels masked, out of iterations."""


@dataclass(frozen=True, slots=True)
class _Form:
    """An ellipse on pixels: centre and half axes [pix], angle of the major from x to y [rad]."""

    x: float
    y: float
    semi_major: float
    semi_minor: float
    angle: float

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Matrix (2, 2) in x and y with the squared half axes as eigenvalues [pix2]."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        return np.asarray(turn @ np.diag([self.semi_major**2, self.semi_minor**2]) @ turn.T)

    def in_blocks(self, side: int) -> _Form:
        """Return it on an image whose pixels are blocks of those of this one."""
        x, y = ((value + 0.5) / side - 0.5 for value in (self.x, self.y))
        return _Form(x, y, self.semi_major / side, self.semi_minor / side, self.angle)

    def in_pixels(self, side: int) -> _Form:
        """Return it on the pixels that make up blocks; undoes `in_blocks`."""
        x, y = ((value + 0.5) * side - 0.5 for value in (self.x, self.y))
        return _Form(x, y, self.semi_major * side, self.semi_minor * side, self.angle)


def measured_ellipse(
    flux: NDArray[np.floating],
    segment: NDArray[np.bool_],
    *,
    bad: NDArray[np.bool_],
    limit: float,
    wcs: WCS,
) -> Ellipse:
    """Return the ellipse in which a galaxy is brighter than a limit.

    Parameters
    ----------
    flux : (ny, nx) array
        One band, sky-subtracted [uJy].
    segment : (ny, nx) bool
        The galaxy's pixels in it.
    bad : (ny, nx) bool
        Pixels to leave out, such as neighbours'; those that are NaN are left out anyway.
    limit : float
        Intensity at which the galaxy ends [uJy per pixel].
    wcs : astropy.wcs.WCS
        Celestial coordinates.

    Returns
    -------
    ellipse : Ellipse
        Its ``source`` is "isophote", or "moments" where no isophote could be fitted.

    Raises
    ------
    DataError
        If the segment is empty.

    Notes
    -----
    Isophotes: Jedrzejewski 1987, MNRAS 226, 747, as in photutils.
    """
    if not np.any(segment):
        raise DataError("no ellipse can be measured: the galaxy's segment has no pixel")
    outline = _moments(flux, segment)
    values, side = _blocks(flux, bad, segment)
    small = outline.in_blocks(side)
    fitted = _at_limit(_walk(values, small, limit=limit), small, limit=limit)
    form, source = (outline, "moments") if fitted is None else (fitted.in_pixels(side), "isophote")
    return sky_ellipse(wcs, x=form.x, y=form.y, covariance=form.covariance, source=source)


def _moments(flux: NDArray[np.floating], segment: NDArray[np.bool_]) -> _Form:
    """Return the uniform ellipse with a segment's second moments, about its centre of flux.

    A uniform ellipse has variances of a quarter of its squared half axes; a pixel adds 1/12.
    """
    y, x = (a.astype(np.float64) for a in np.nonzero(segment))
    weight = np.nan_to_num(np.clip(np.asarray(flux[segment], dtype=np.float64), 0.0, None))
    if not np.sum(weight) > 0:
        weight = np.ones_like(weight)
    centre_x, centre_y = (float(np.average(a, weights=weight)) for a in (x, y))
    spread = np.cov(np.stack([x, y]), bias=True) + np.eye(2) / 12.0
    squares, axes = np.linalg.eigh(4.0 * spread)
    minor, major = (max(float(np.sqrt(value)), MIN_SEMI_MINOR) for value in squares)
    return _Form(centre_x, centre_y, major, minor, float(np.arctan2(axes[1, 1], axes[0, 1])))


def _walk(values: np.ma.MaskedArray, outline: _Form, *, limit: float) -> list[Isophote]:
    """Return isophotes from within the segment outwards, up to the first below the limit.

    Where the fitter gives up after a few, the form of the last one is kept outwards.
    """
    semi_major = _START * outline.semi_major
    geometry = EllipseGeometry(
        outline.x,
        outline.y,
        semi_major,
        eps=float(np.clip(1.0 - outline.semi_minor / outline.semi_major, 0.05, 0.9)),
        pa=outline.angle % np.pi,
        fix_center=True,
    )
    fitter = EllipseFitter(values, geometry=geometry)
    found: list[Isophote] = []
    gave_up = False
    with warnings.catch_warnings():
        # It warns of all that makes it fail, which is told by what it returns.
        warnings.simplefilter("ignore", AstropyUserWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        while semi_major <= MAX_RATIO * outline.semi_major:
            try:
                isophote = fitter.fit_isophote(
                    semi_major, step=_STEP, isophote_list=[*found], noniterate=gave_up, **_EFFORT
                )
            except (ValueError, IndexError, ArithmeticError, np.linalg.LinAlgError) as error:
                logger.debug("isophote %.1f cannot be fitted: %s", semi_major, error)
                break
            if isophote.stop_code not in _FITTED and not gave_up and len(found) >= _ENOUGH:
                gave_up = True
                continue
            if not (gave_up or isophote.stop_code in _FITTED) or not np.isfinite(isophote.intens):
                break
            found.append(isophote)
            if isophote.intens < limit:
                break
            semi_major *= 1.0 + _STEP
    return found


def _at_limit(isophotes: list[Isophote], outline: _Form, *, limit: float) -> _Form | None:
    """Return the isophote at the limit; None where none surrounds it or its size is absurd."""
    if len(isophotes) < 2 or isophotes[-1].intens >= limit:
        return None
    last, beyond = isophotes[-2:]
    part = float((last.intens - limit) / (last.intens - beyond.intens))
    semi_major = float(last.sma + part * (beyond.sma - last.sma))
    if semi_major < outline.semi_major / MAX_RATIO:
        return None
    semi_minor = max(semi_major * (1.0 - float(last.eps)), MIN_SEMI_MINOR)
    return _Form(outline.x, outline.y, semi_major, semi_minor, float(last.pa))


def _blocks(
    flux: NDArray[np.floating], bad: NDArray[np.bool_], segment: NDArray[np.bool_]
) -> tuple[np.ma.MaskedArray, int]:
    """Return the image in means of square blocks, masked where half is, and the blocks' side.

    The fitter's time grows with the length of the isophotes: half an axis need not be more than
    40 pixels long to be measured to a hundredth.
    """
    span = max(int(np.ptp(index)) + 1 for index in np.nonzero(segment))
    side = max(1, span // (2 * _MAX_SEMI_MAJOR))
    good = np.isfinite(flux) & ~bad
    rows, columns = (side * (n // side) for n in flux.shape)
    parts = (rows // side, side, columns // side, side)
    values = np.where(good, flux, 0.0).astype(np.float64)[:rows, :columns].reshape(parts)
    share = good[:rows, :columns].reshape(parts).mean(axis=(1, 3))
    means = values.mean(axis=(1, 3)) / np.where(share > 0, share, 1.0)
    return np.ma.masked_array(means, mask=share <= 0.5), side
