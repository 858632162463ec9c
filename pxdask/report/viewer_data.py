"""What the interactive viewer of a galaxy shows: maps, and what is known of each bin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

FLOOR = 0.1
"""Least part of a flux that the lower end of its bar is drawn at: axes are logarithmic."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One map to choose.

    Attributes
    ----------
    label : str
        Name and unit.
    values : (y, x) or (bin,) float32
        Of pixels, or of bins; NaN where there is none.
    palette : str
        Name of a palette of bokeh, such as ``Inferno256``.
    """

    label: str
    values: Floats
    palette: str

    @property
    def limits(self) -> tuple[float, float]:
        """Values of the first and the last colour: the central 98 per cent."""
        known = self.values[np.isfinite(self.values)]
        low, high = map(float, np.percentile(known, [1, 99])) if known.size else (0.0, 1.0)
        return (low, high) if high - low > 1e-6 * abs(high) else (low - 0.5, high + 0.5)


@dataclass(frozen=True, eq=False)
class Seds:
    """Observed and model SEDs of bins, as they are drawn on logarithmic axes.

    Attributes
    ----------
    bands : tuple of str
        Names, by wavelength.
    wave : (band,) float64
        Pivot wavelengths [um].
    seen, lower, upper : (bin, band) float32
        Fluxes and the ends of their bars [uJy]; NaN where there is a limit, or nothing.
    limit : (bin, band) float32
        Upper limits [uJy]; NaN elsewhere.
    model : (bin, band) float32
        Best model [uJy]; NaN where it is not positive.
    residual : (bin, band) float32
        Observed less model over the error [sigma].
    low, high, reach : (bin,) float32
        Ends of the axes of fluxes [uJy], and of residuals, which end at minus that too.
    """

    bands: tuple[str, ...]
    wave: Floats
    seen: Floats
    lower: Floats
    upper: Floats
    limit: Floats
    model: Floats
    residual: Floats
    low: Floats
    high: Floats
    reach: Floats


@dataclass(frozen=True, eq=False)
class Histories:
    """Star formation histories of bins.

    Attributes
    ----------
    time : (time,) float64
        Lookback times [Gyr].
    rate : (bin, 3, time) float32
        16th, 50th, 84th percentile [Msun yr-1]; NaN where not known.
    note : str
        How they were made.
    """

    time: Floats
    rate: Floats
    note: str


@dataclass(frozen=True, eq=False)
class ViewerData:
    """All that the viewer of one galaxy shows.

    Attributes
    ----------
    galaxy : str
        Name.
    bin_map : (y, x) int32
        Bin of each pixel; -1 outside.
    extent : tuple of float
        Left, right, bottom, top of the maps [arcsec].
    layers : tuple of Layer
        Maps to choose, the first is shown.
    seds : Seds
        SEDs.
    results : tuple of (str, str)
        Short name and unit of each result.
    quantiles : (result, bin, 3) float32
        16th, 50th, 84th percentile of each.
    histories : Histories
        Star formation histories; without times where there are none.
    notes : tuple of str
        Of each bin: pixels, chi-square, flags.
    start : int
        The bin that is shown first.
    """

    galaxy: str
    bin_map: NDArray[np.int32]
    extent: tuple[float, float, float, float]
    layers: tuple[Layer, ...]
    seds: Seds
    results: tuple[tuple[str, str], ...]
    quantiles: Floats
    histories: Histories
    notes: tuple[str, ...]
    start: int

    @property
    def n_bin(self) -> int:
        """Number of bins."""
        return len(self.notes)


def drawn_seds(
    bands: tuple[str, ...],
    wave: Floats,
    *,
    flux: Floats,
    flux_err: Floats,
    model: Floats,
    is_limit: NDArray[np.bool_],
    systematic: float = 0.0,
) -> Seds:
    """Return SEDs as they are drawn.

    Parameters
    ----------
    bands : tuple of str
        Names.
    wave : (band,)
        Pivot wavelengths [um].
    flux, flux_err, model : (bin, band)
        Observed, its 1-sigma error, best model [uJy]; NaN or an error <= 0: not observed.
    is_limit : (bin, band) bool
        Whether the flux is an upper limit already. Another flux that is not above its error is
        shown as a limit of 2 sigma above it, or above zero.
    systematic : float
        Systematic error as a part of the flux, added to the error of residuals.
    """
    order = np.argsort(wave, kind="stable")
    flux, flux_err, model = (np.asarray(a, np.float64)[:, order] for a in (flux, flux_err, model))
    is_limit = is_limit[:, order]
    usable = np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0)
    bright = usable & ~is_limit & (flux > flux_err)
    top = np.where(is_limit, flux, np.maximum(flux, 0) + 2 * flux_err)
    seen = np.where(bright, flux, np.nan)
    limit = np.where(usable & ~bright & (top > 0), top, np.nan)
    model = np.where(model > 0, model, np.nan)
    error = np.hypot(flux_err, systematic * flux)
    residual = np.where(usable & ~is_limit, (flux - model) / np.where(usable, error, 1.0), np.nan)
    shown = np.stack([seen, limit, model])
    low, high = (
        end(np.where(np.isfinite(shown), shown, blank), axis=(0, 2))
        for end, blank in ((np.min, np.inf), (np.max, -np.inf))
    )
    some = np.isfinite(low)
    reach = np.max(np.abs(np.nan_to_num(residual)), axis=1, initial=3.0)
    return Seds(
        bands=tuple(bands[i] for i in order),
        wave=np.asarray(wave, np.float64)[order],
        seen=_single(seen),
        lower=_single(np.maximum(seen - flux_err, FLOOR * seen)),
        upper=_single(seen + flux_err),
        limit=_single(limit),
        model=_single(model),
        residual=_single(residual),
        low=_single(np.where(some, 0.5 * low, 0.1)),
        high=_single(np.where(some, 2.5 * high, 10.0)),
        reach=_single(1.2 * reach),
    )


def outlines(
    bin_map: NDArray[np.int32], *, n_bin: int, extent: tuple[float, float, float, float]
) -> tuple[Floats, NDArray[np.int32]]:
    """Return the edges of all bins.

    Parameters
    ----------
    bin_map : (y, x) int32
        Bin of each pixel; -1 outside.
    n_bin : int
        Number of bins.
    extent : tuple of float
        Left, right, bottom, top of the map.

    Returns
    -------
    edges : (n_edge, 4) float32
        x0, y0, x1, y1 of each side of a pixel that has another bin, or none, beyond it.
    first : (n_bin + 1,) int32
        Edges of a bin are those from its own number here to before the next one's.
    """
    wide = np.pad(bin_map, 1, constant_values=-1)
    pieces, owners = [], []
    for axis in (0, 1):
        before, after = (
            (wide[:-1, 1:-1], wide[1:, 1:-1]) if axis == 0 else (wide[1:-1, :-1], wide[1:-1, 1:])
        )
        row, column = np.nonzero(before != after)
        step = (0, 1) if axis == 0 else (1, 0)  # along the edge: (y, x)
        lines = np.stack([column, row, column + step[1], row + step[0]], axis=1)
        for side in (before, after):
            owner = side[row, column]
            pieces.append(lines[owner >= 0])
            owners.append(owner[owner >= 0])
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    n_y, n_x = bin_map.shape
    left, right, bottom, top = extent
    scale = np.array([(right - left) / n_x, (top - bottom) / n_y] * 2)
    edges = np.array([left, bottom] * 2) + np.concatenate(pieces)[order] * scale
    first = np.searchsorted(owner[order], np.arange(n_bin + 1))
    return _single(edges), first.astype(np.int32)


def _single(values: Floats) -> Floats:
    """Return values in single precision, whose zeros and ends are no warnings."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ascontiguousarray(values, np.float32)
