"""Broad-band fluxes of spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import UJY_CGS
from pxdask.core.errors import DataError
from pxdask.kernels.bandpass import bin_weights
from pxdask.sps.observed import UNIT, bin_edges_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter

    Floats = NDArray[np.float64]

_GAP = 3.0
"""Step of wavelength, over the smaller one beside it, from which it is a gap without data."""

_BLOCK = 2**20
"""Pixels times wavelengths that are float64 at one time: 8 MiB an array."""


@dataclass(frozen=True, eq=False)
class BandFluxes:
    """What bands would see of spectra.

    Attributes
    ----------
    bands : tuple of str
        Their names.
    flux, flux_err : (n_band, ny, nx) float64
        Mean flux density and its 1-sigma error, noise taken as independent between wavelengths
        [uJy]; NaN where the spectrum does not cover the band.
    coverage : (n_band, ny, nx) float64
        Part of the band's weight at wavelengths with a good value [1].
    """

    bands: tuple[str, ...]
    flux: Floats
    flux_err: Floats
    coverage: Floats


def band_fluxes(
    cube: xr.Dataset, filters: Sequence[Filter], *, min_coverage: float = 0.95
) -> BandFluxes:
    """Return the fluxes of a cube's spectra in some bands.

    Parameters
    ----------
    cube : Dataset
        ``cube/1``. A value is good where flux and error are finite and the error is positive.
    filters : sequence of Filter
        Bands.
    min_coverage : float
        Least part of a band's weight that must be good, in (0, 1]. What is missing counts as
        the mean of the rest.

    Returns
    -------
    fluxes : BandFluxes
        The AB definition; see `pxdask.kernels.bandpass.bin_weights`. Gaps between wavelengths
        are not covered.

    Raises
    ------
    DataError
        If ``min_coverage`` is out of its range, or wavelengths do not increase.
    """
    if not 0 < min_coverage <= 1:
        raise DataError(f"min_coverage is {min_coverage}; wanted more than 0 and at most 1")
    wave = cube["wave"].values.astype(np.float64)
    edges = _edges(wave)
    weights = np.array([bin_weights(band, edges)[::2] for band in filters])
    weights = weights.reshape(-1, wave.size)
    whole = np.array([bin_weights(band, band.wave[[0, -1]])[0] for band in filters])
    ny, nx = cube["flux"].shape[1:]
    flux, error = (cube[name].values.reshape(wave.size, -1) for name in ("flux", "flux_err"))
    shape = (len(filters), ny * nx)
    total, variance, part = np.empty(shape), np.empty(shape), np.empty(shape)
    step = max(1, _BLOCK // wave.size)
    for start in range(0, ny * nx, step):
        some = slice(start, start + step)
        good = np.isfinite(flux[:, some]) & np.isfinite(error[:, some]) & (error[:, some] > 0)
        total[:, some] = weights @ np.where(good, flux[:, some], 0.0)
        variance[:, some] = weights**2 @ np.where(good, error[:, some], 0.0).astype(float) ** 2
        part[:, some] = (weights @ good) / whole[:, None]
    to_microjansky = UNIT / UJY_CGS / np.where(part >= min_coverage, part, np.nan)
    planes = (total * to_microjansky, np.sqrt(variance) * to_microjansky, part)
    return BandFluxes(tuple(b.name for b in filters), *(p.reshape(-1, ny, nx) for p in planes))


def _edges(wave: Floats) -> Floats:
    """Return lower and upper edge of the bin of each wavelength, in turn, (2 n_wave,).

    Bins meet half way, but at a gap: there they are as wide as on their other side.
    """
    edges = bin_edges_of(wave)
    step = np.diff(wave)
    own = np.minimum(np.append(step, step[-1]), np.insert(step, 0, step[0]))
    widest, usual = 0.5 * _GAP * own, 0.5 * own
    lower = np.where(wave - edges[:-1] > widest, wave - usual, edges[:-1])
    upper = np.where(edges[1:] - wave > widest, wave + usual, edges[1:])
    return np.column_stack([lower, upper]).ravel()
