"""Empirical PSFs: from the stars in an image to one image of a point source."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sep
from astropy.utils.exceptions import AstropyUserWarning

from pxdask.core.errors import DataError
from pxdask.images.psf import Psf

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SNR = 50.0
"""Signal-to-noise ratio from which a star tells of the PSF more than of the noise."""

MIN_AXIS_RATIO = 0.8
"""Sources flatter than this are taken for galaxies, or for stars that are not alone."""

LOCUS_WIDTH = 0.1
"""Fraction by which a star's half-light radius may differ from that of most stars."""

NEIGHBOUR_FLUX = 0.01
"""Flux of another source on the stamp, relative to the star's, from which the star is left out."""

MAX_STARS = 200
"""The brightest so many are used; more add little but time."""

MIN_STARS = 3
"""Fewer stars cannot tell a PSF from the neighbours of one."""

_PLATEAU = 0.02
"""Pixels within this fraction of the peak count as its plateau."""


@dataclass(frozen=True, slots=True, eq=False)
class StarList:
    """Positions of stars on an image, brightest first.

    Attributes
    ----------
    x, y : (n_star,) float64
        Zero-based pixel coordinates [pix].
    flux : (n_star,) float64
        In the image's unit; NaN where not known.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EmpiricalPsf:
    """A PSF measured on stars.

    Attributes
    ----------
    psf : Psf
        On the image's own pixels, odd-sized, of unit sum.
    stars : StarList
        The stars that made it.
    scatter : float
        Median over the stars of the largest difference between a star and the PSF, both of unit
        sum and as found at the star's own position, as a fraction of the PSF's peak.
    """

    psf: Psf
    stars: StarList
    scatter: float


def find_stars(
    image: NDArray[np.floating[Any]],
    *,
    size: int,
    sigma: NDArray[np.floating[Any]] | None = None,
    saturation: float | None = None,
    min_snr: float = MIN_SNR,
) -> StarList:
    """Return unsaturated, isolated point sources of an image.

    Parameters
    ----------
    image : (ny, nx) array
        In any linear unit; NaN where there is no data.
    size : int
        Side of the stamp that must be free of other sources, odd [pix].
    sigma : (ny, nx) array, optional
        1-sigma uncertainties; default: the sky's rms.
    saturation : float, optional
        Pixel value from which a detector no longer answers; stars that reach it are left out,
        and without it those whose peak is flat.
    min_snr : float
        Least signal-to-noise ratio of a star.

    Returns
    -------
    stars : StarList
        May be empty.

    Notes
    -----
    Sources are detected by sep (Barbary 2016, JOSS 1, 58; Bertin & Arnouts 1996). Point sources
    all have one half-light radius, the least that any real source can have: of the candidates'
    radii, the smallest around which at least half as many lie within 10 % as around any other.
    """
    found = _detect(image, sigma)
    if found.x.size == 0:
        return _listed(found, np.zeros(0, dtype=np.intp))
    candidates = (
        (found.snr >= min_snr)
        & (found.axis_ratio >= MIN_AXIS_RATIO)
        & (found.flags == 0)
        & np.isfinite(found.radius)
        & (found.radius > 0)
        & _whole_stamp(image, found, size)
        & ~_saturated(image, found, saturation)
    )
    candidates &= _alone(found, size)
    if not np.any(candidates):
        return _listed(found, np.zeros(0, dtype=np.intp))
    ln_radius = np.log(np.where(candidates, found.radius, 1.0))
    locus = _locus(ln_radius[candidates])
    chosen = np.flatnonzero(candidates & (np.abs(ln_radius - locus) <= LOCUS_WIDTH))
    return _listed(found, chosen)


def empirical_psf(
    image: NDArray[np.floating[Any]],
    stars: StarList,
    *,
    pixel_scale: float,
    size: int,
    oversampling: int = 4,
    iterations: int = 10,
) -> EmpiricalPsf:
    """Return the PSF that stars of an image have in common.

    Parameters
    ----------
    image : (ny, nx) array
        In any linear unit.
    stars : StarList
        See `find_stars`; or a list of one's own.
    pixel_scale : float
        Side of the image's pixels [arcsec].
    size : int
        Side of the PSF, odd [pix].
    oversampling : int
        Grid points per pixel on which the PSF is built; 2 where stars are few.
    iterations : int
        Times that PSF and positions of the stars are improved in turn.

    Returns
    -------
    empirical : EmpiricalPsf

    Raises
    ------
    DataError
        If fewer than three stars have their whole stamp on the image.

    Notes
    -----
    The effective PSF of Anderson & King 2000 (PASP 112, 1360), built by photutils: pixels are in
    it. It is given on the image's own pixels, centred on one, after each star's sky, the median
    along its stamp's border, is taken off.
    """
    if size % 2 == 0 or size < 5:
        raise DataError(f"the side of a PSF must be odd and at least 5 pixels, got {size}")
    cutouts, used = _cutouts(image, stars, size)
    if len(used) < MIN_STARS:
        raise DataError(
            f"{len(used)} of {stars.x.size} stars have their whole stamp of {size} pixels on good"
            f" data; a PSF needs at least {MIN_STARS}: use a smaller stamp, a lower min_snr, or"
            " give a list of stars"
        )
    model, fitted = _build(cutouts, oversampling=oversampling, iterations=iterations)
    native = _on_image_pixels(np.asarray(model.data, dtype=np.float64), oversampling, size)
    native = native / native.sum()
    kept = StarList(stars.x[used], stars.y[used], stars.flux[used])
    psf = Psf(image=native, pixel_scale=pixel_scale)
    return EmpiricalPsf(psf=psf, stars=kept, scatter=_scatter(model, fitted, native.max()))


@dataclass(frozen=True, slots=True, eq=False)
class _Sources:
    """What was detected; all (n_source,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    snr: NDArray[np.float64]
    radius: NDArray[np.float64]
    axis_ratio: NDArray[np.float64]
    flags: NDArray[np.intp]


def _detect(image: NDArray[np.floating[Any]], sigma: NDArray[np.floating[Any]] | None) -> _Sources:
    """Return the sources of an image with their sizes."""
    bad = ~np.isfinite(image)
    if sigma is not None:
        bad |= ~np.isfinite(sigma) | (sigma <= 0)
    if np.all(bad):
        raise DataError("the image has no finite pixel to find stars on")
    values = np.ascontiguousarray(np.where(bad, 0.0, image), dtype=np.float64)
    sky = sep.Background(values, mask=bad)
    values = values - sky.back()
    noise = sky.rms() if sigma is None else np.where(bad, 1.0, sigma).astype(np.float64)
    catalogue = sep.extract(values, 5.0, err=noise, mask=bad)
    x, y = (np.asarray(catalogue[name], dtype=np.float64) for name in ("x", "y"))
    if x.size == 0:
        none = np.zeros(0)
        return _Sources(x, y, none, none, none, none, np.zeros(0, dtype=np.intp))
    reach = 6.0 * catalogue["a"]
    radius, _ = sep.flux_radius(values, x, y, reach, 0.5, mask=bad, subpix=5)
    within = np.maximum(2.5 * radius, 2.0)
    flux, flux_err, _ = sep.sum_circle(values, x, y, within, err=noise, mask=bad, subpix=5)
    return _Sources(
        x=x,
        y=y,
        flux=flux,
        snr=flux / flux_err,
        radius=radius,
        axis_ratio=catalogue["b"] / catalogue["a"],
        flags=catalogue["flag"].astype(np.intp),
    )


def _whole_stamp(image: NDArray[np.floating[Any]], found: _Sources, size: int) -> NDArray[np.bool_]:
    """Return which sources have their whole stamp on finite pixels, (n_source,)."""
    stamps = (_stamp(image, x, y, size) for x, y in zip(found.x, found.y, strict=True))
    whole = [stamp is not None and bool(np.all(np.isfinite(stamp))) for stamp in stamps]
    return np.array(whole, dtype=np.bool_)


def _saturated(
    image: NDArray[np.floating[Any]], found: _Sources, saturation: float | None
) -> NDArray[np.bool_]:
    """Return which sources reach saturation, or have a flat peak where it is not known.

    A Gaussian of half-light radius h is within 2 % of its peak over 0.09 h^2 pixels; three more
    make a plateau.
    """
    answer = np.zeros(found.x.size, dtype=np.bool_)
    foot = np.nanmedian(image)
    for i, (x, y) in enumerate(zip(found.x, found.y, strict=True)):
        core = _stamp(image, x, y, 2 * int(np.ceil(found.radius[i])) + 3)
        if core is None:
            continue
        if saturation is not None:
            answer[i] = np.nanmax(core) >= saturation
        else:
            peak = np.nanmax(core)
            n_flat = np.sum(core - foot >= (1 - _PLATEAU) * (peak - foot))
            answer[i] = n_flat > 3 + 0.09 * found.radius[i] ** 2
    return answer


def _alone(found: _Sources, size: int) -> NDArray[np.bool_]:
    """Return which sources have no other of 1 % of their flux on their stamp, (n_source,)."""
    near = (np.abs(found.x[:, None] - found.x) <= size / 2 + 1) & (
        np.abs(found.y[:, None] - found.y) <= size / 2 + 1
    )
    bright = found.flux > NEIGHBOUR_FLUX * found.flux[:, None]
    np.fill_diagonal(near, val=False)
    return np.asarray(~np.any(near & bright, axis=1), dtype=np.bool_)


def _locus(ln_radius: NDArray[np.float64]) -> float:
    """Return the smallest radius (its logarithm) about which many candidates lie."""
    close = np.abs(ln_radius[:, None] - ln_radius) <= LOCUS_WIDTH
    counts = close.sum(axis=1)
    crowded = np.flatnonzero(counts >= 0.5 * counts.max())
    first = crowded[np.argmin(ln_radius[crowded])]
    return float(np.median(ln_radius[close[first]]))


def _listed(found: _Sources, chosen: NDArray[np.intp]) -> StarList:
    """Return chosen sources, brightest first."""
    order = chosen[np.argsort(-found.flux[chosen], kind="stable")][:MAX_STARS]
    return StarList(found.x[order], found.y[order], found.flux[order])


def _stamp(
    image: NDArray[np.floating[Any]], x: float, y: float, size: int
) -> NDArray[np.floating[Any]] | None:
    """Return the odd-sized square around a position, or None where it leaves the image."""
    column, row, half = int(np.rint(x)), int(np.rint(y)), size // 2
    if min(column, row) < half:
        return None
    stamp = image[row - half : row + half + 1, column - half : column + half + 1]
    return stamp if stamp.shape == (2 * half + 1, 2 * half + 1) else None


def _cutouts(image: NDArray[np.floating[Any]], stars: StarList, size: int) -> tuple[Any, list[int]]:
    """Return the stars' stamps, sky taken off, as photutils wants them, and which they are."""
    from photutils.psf import EPSFStar, EPSFStars  # noqa: PLC0415  slow to import

    cutouts, used = [], []
    for i, (x, y) in enumerate(zip(stars.x, stars.y, strict=True)):
        stamp = _stamp(image, float(x), float(y), size)
        if stamp is None or not np.all(np.isfinite(stamp)):
            continue
        border = np.ones(stamp.shape, dtype=np.bool_)
        border[1:-1, 1:-1] = False
        values = np.asarray(stamp - np.median(stamp[border]), dtype=np.float64)
        if values.sum() <= 0:
            continue
        origin = int(np.rint(x)) - size // 2, int(np.rint(y)) - size // 2
        centre = float(x) - origin[0], float(y) - origin[1]
        cutouts.append(EPSFStar(values, cutout_center=centre, origin=origin))
        used.append(i)
    return (EPSFStars(cutouts) if cutouts else None), used


def _build(stars: Any, *, oversampling: int, iterations: int) -> tuple[Any, Any]:  # noqa: ANN401  photutils'
    """Return photutils' model of the PSF, and the stars with the positions it found."""
    from photutils.psf import EPSFBuilder  # noqa: PLC0415  slow to import

    builder = EPSFBuilder(oversampling=oversampling, maxiters=iterations, progress_bar=False)
    with warnings.catch_warnings():
        # of single stars that could not be fitted: they are left out
        warnings.simplefilter("ignore", AstropyUserWarning)
        try:
            model, fitted = builder(stars)
        except ValueError as error:
            raise DataError(f"no PSF can be made of these {len(stars)} stars: {error}") from error
    if not np.all(np.isfinite(model.data)) or not np.sum(model.data) > 0:
        raise DataError(
            f"{len(stars)} stars do not fill a PSF of {oversampling} points per pixel; use a"
            " smaller oversampling"
        )
    return model, fitted


def _on_image_pixels(
    grid: NDArray[np.float64], oversampling: int, size: int
) -> NDArray[np.float64]:
    """Return the values of an oversampled PSF at whole pixels from its centre, (size, size)."""
    offset = oversampling * (np.arange(size) - size // 2)
    middle = [n // 2 for n in grid.shape]
    inside = [np.flatnonzero(np.abs(offset) <= m) for m in middle]
    native = np.zeros((size, size))
    rows, columns = (m + offset[i] for m, i in zip(middle, inside, strict=True))
    native[np.ix_(*inside)] = grid[np.ix_(rows, columns)]
    return native


def _scatter(model: Any, stars: Any, peak: float) -> float:  # noqa: ANN401  photutils'
    """Return the median over stars of the largest residual, as a fraction of the PSF's peak."""
    largest = [
        float(np.max(np.abs(star.compute_residual_image(model)))) / star.flux
        for star in stars.all_good_stars
        if star.flux > 0
    ]
    return float(np.median(largest) / peak) if largest else np.nan
