"""Binning that repeats piXedfit's program, to compare with bin maps made by it.

The program differs from the published algorithm in three ways: negative fluxes are replaced,
errors are inflated for the similarity test, and binning stops at the total of what is left.
None of them is recommended for science: the first leaks into the sums of bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.kernels.binning import sed_similarity_bins

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_TARGET_CHI2 = 2.0
"""Median reduced chi-square around the brightest pixel at which the search stops."""

_STEP = 0.01
"""Step of the systematic error, a fraction of flux."""

_OFFSETS = (-2, -1, 1)
"""Rows and columns, from the brightest pixel, of the nine pixels it is compared with."""


@dataclass(frozen=True, slots=True)
class PixedfitInputs:
    """What piXedfit's program bins.

    Attributes
    ----------
    flux : (n_band, ny, nx) float64
        Flux with negatives in the region replaced by the band's smallest positive flux there
        [the input's unit].
    systematic_error : float
        Fraction of flux that its similarity test adds to errors in quadrature.
    """

    flux: NDArray[np.float64]
    systematic_error: float


def pixedfit_inputs(
    flux: NDArray[np.float64],
    flux_err: NDArray[np.float64],
    region: NDArray[np.bool_],
    *,
    reference: int,
) -> PixedfitInputs:
    """Return fluxes and the systematic error as piXedfit's program derives them.

    Parameters
    ----------
    flux, flux_err : (n_band, ny, nx) float64
        Flux per pixel and its 1-sigma error [any unit]; bands that are not finite, or without a
        positive error, are left out of comparisons.
    region : (ny, nx) bool
        The galaxy's pixels.
    reference : int
        Band of the brightest pixel.

    Returns
    -------
    inputs : PixedfitInputs
        The systematic error is one step beyond the smallest multiple of 0.01 that brings the
        median reduced chi-square between the brightest pixel and nine neighbours to 2.

    Raises
    ------
    DataError
        If the region is empty or has no finite flux in the reference band.

    Notes
    -----
    Facts of piXedfit 1.0. The search always ends: with an error of a fraction F of the flux
    the best reduced chi-square is at most 1 / F^2. Neighbours outside the region are left out.
    """
    values = np.array(flux, dtype=float)
    for band in values:
        positive = band[region & (band > 0)]
        if positive.size:
            band[region & (band < 0)] = positive.min()
    brightness = np.where(region & np.isfinite(values[reference]), values[reference], -np.inf)
    row, col = np.unravel_index(np.argmax(brightness), region.shape)
    if not np.isfinite(brightness[row, col]):
        raise DataError(
            f"none of the region's {int(region.sum())} pixels has a finite flux in band number"
            f" {reference}; choose another reference band or another region"
        )
    near = [
        (y, x)
        for y in (row + offset for offset in _OFFSETS)
        for x in (col + offset for offset in _OFFSETS)
        if 0 <= y < region.shape[0] and 0 <= x < region.shape[1] and region[y, x]
    ]
    seed = (values[:, row, col], flux_err[:, row, col])
    others = [(values[:, y, x], flux_err[:, y, x]) for y, x in near]
    steps = 1
    while steps * _STEP < 1 and others:
        chi2 = [_reduced_chi2(seed, other, steps * _STEP) for other in others]
        if np.median(chi2) <= _TARGET_CHI2:
            break
        steps += 1
    return PixedfitInputs(values, (steps + 1) * _STEP)


def pixedfit_bins(
    flux: NDArray[np.float64],
    flux_err: NDArray[np.float64],
    region: NDArray[np.bool_],
    *,
    reference: int,
    min_snr: ArrayLike,
    min_diameter: float,
    max_chi2: float,
    ring_width: float = 2.0,
) -> NDArray[np.int32]:
    """Return the bin map that piXedfit's program makes, numbered from 0.

    Parameters are those of `pxdask.kernels.binning.sed_similarity_bins`, which documents them
    and the errors raised. Sum the bins over `pixedfit_inputs(...).flux` to repeat its fluxes.

    Notes
    -----
    Where a seed cannot make a bin although the total could, the program never ends; this does.
    """
    inputs = pixedfit_inputs(flux, flux_err, region, reference=reference)
    return sed_similarity_bins(
        inputs.flux,
        flux_err,
        region,
        reference=reference,
        min_snr=min_snr,
        min_diameter=min_diameter,
        max_chi2=max_chi2,
        ring_width=ring_width,
        systematic_error=inputs.systematic_error,
        stop_at_total=True,
    )


def _reduced_chi2(
    seed: tuple[NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64]],
    fraction: float,
) -> float:
    """Return the reduced chi-square of two (flux, error) SEDs; infinity if no band is shared."""
    var = sum(error**2 + (fraction * value) ** 2 for value, error in (seed, other))
    usable = np.isfinite(var) & (seed[1] > 0) & (other[1] > 0)
    if not usable.any():
        return np.inf
    a, b, weight = seed[0][usable], other[0][usable], 1.0 / np.asarray(var)[usable]
    norm = np.sum(a * a * weight)
    scale = np.sum(a * b * weight) / norm if norm > 0 else 0.0
    return float(np.mean((b - scale * a) ** 2 * weight))
