"""Spectra of spaxels brought to one line spread function, wavelengths chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import ndtr

from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.images.noise import MIN_COVERAGE
from pxdask.kernels.smoothing import REACH, broadening
from pxdask.sps.observed import bin_edges_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NEIGHBOURS = 2
"""Wavelengths read beyond a Gaussian's reach, so that bins there have the edges they have in the
whole spectrum."""

_NARROW = np.linspace(0.0, 1.0, 201)
_REACH_NARROW = 8
"""Widths of Gaussians for which the bins matter, and how far these reach [bins]."""

_WIDE = 0.9
"""Second moment from which it is the Gaussian's own and 1/6, to 1e-6 [bins2]."""


class Slices(NamedTuple):
    """Some wavelengths of a cube.

    ``flux`` and ``variance`` (n_wave, ny, nx) float64 are NaN unless both are known;
    ``lsf_fwhm`` is (n_wave,) [Angstrom].
    """

    flux: Floats
    variance: Floats
    lsf_fwhm: Floats


def wave_margin(
    wave: Floats, lsf_fwhm: Floats, *, smooth_to: float | None, start: int, stop: int
) -> tuple[int, int]:
    """Return which wavelengths must be read so that some can be smoothed.

    Parameters
    ----------
    wave, lsf_fwhm : (n_wave,) float64
        Of the whole cube [Angstrom].
    smooth_to : float or None
        FWHM of lines that is wanted [Angstrom]; None: no smoothing, thus no margin.
    start, stop : int
        The wavelengths wanted.

    Returns
    -------
    first, last : int
        The wavelengths to read: those within 6 sigma of the widest Gaussian among those
        wanted, and two more on either side. ``(start - first, stop - first)`` is the
        `pxdask.ifs.IfsStage`'s ``keep``.
    """
    if smooth_to is None or start >= stop:
        return start, stop
    edges = bin_edges_of(wave)
    width = np.diff(edges)[start:stop]
    reach = REACH * float(np.max(_sigma(lsf_fwhm[start:stop], smooth_to, width=width)))
    first = int(np.searchsorted(edges, edges[start] - reach, side="right")) - 1
    last = int(np.searchsorted(edges, edges[stop] + reach))
    return max(first - _NEIGHBOURS, 0), min(last + _NEIGHBOURS, wave.size)


def smoothed(cube: Slices, *, wave: Floats, smooth_to: float, keep: tuple[int, int]) -> Slices:
    """Return some wavelengths with wider lines.

    Parameters
    ----------
    cube : Slices
        With a margin on either side, see `wave_margin`.
    wave : (n_wave,) float64
        [Angstrom].
    smooth_to : float
        FWHM of lines that is wanted; where they are as wide already, they stay [Angstrom].
    keep : (int, int)
        First and last + 1 of the wavelengths to return.

    Returns
    -------
    smoothed : Slices
        NaN where less than half of a Gaussian's weight is on known pixels. Variances are
        those of single wavelengths; neighbours' errors are correlated over the Gaussian.
    """
    kept = slice(*keep)
    edges = bin_edges_of(wave)
    lsf = cube.lsf_fwhm[kept]
    sigma = _sigma(lsf, smooth_to, width=np.diff(edges)[kept])
    matrix = broadening(edges, edges[keep[0] : keep[1] + 1], sigma)
    shape = (lsf.size, *cube.flux.shape[1:])
    good = np.isfinite(cube.flux)
    flux, variance = (
        np.where(good, plane, 0.0).reshape(wave.size, -1) for plane in (cube.flux, cube.variance)
    )
    weight = matrix @ good.reshape(wave.size, -1).astype(np.float64)
    weight = np.where(weight >= MIN_COVERAGE, weight, np.nan)
    return Slices(
        flux=(matrix @ flux / weight).reshape(shape),
        variance=((matrix * matrix) @ variance / weight**2).reshape(shape),
        lsf_fwhm=np.fmax(lsf, smooth_to),
    )


def _sigma(lsf_fwhm: Floats, smooth_to: float, *, width: Floats) -> Floats:
    """Return the Gaussians that widen lines [Angstrom]; 0 where a width is not known.

    ``width`` (n_wave,) are those of the bins [Angstrom]. Lines are as wide as measured on bins,
    and putting a Gaussian between bins widens them by up to a sixth of a bin's square, so that
    narrower Gaussians are needed: those whose weights have the second moment that is missing.
    """
    missing = np.nan_to_num(smooth_to**2 - lsf_fwhm**2, nan=0.0) / FWHM_PER_SIGMA**2
    wanted = np.maximum(missing, 0.0) / width**2
    wide = wanted > _WIDE
    table = np.interp(wanted, _second_moment(_NARROW), _NARROW)
    return np.asarray(width * np.where(wide, np.sqrt(np.where(wide, wanted - 1 / 6, 0.0)), table))


def _second_moment(sigma: Floats) -> Floats:
    """Return the second moments of `broadening`'s weights of equal bins, all in bins."""
    step = np.arange(-_REACH_NARROW - 1.0, _REACH_NARROW + 2.0)
    x = step / np.where(sigma > 0, sigma, 1e-9)[:, None]
    height = step * ndtr(x) + sigma[:, None] * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    weights = np.diff(height, n=2, axis=1)
    return np.asarray(weights @ step[1:-1] ** 2)
