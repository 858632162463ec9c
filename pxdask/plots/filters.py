"""Figure of transmission curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullFormatter

from pxdask.kernels.bandpass import pivot_wave
from pxdask.plots.panels import INK, thin_lines
from pxdask.plots.picture import Picture, write_png
from pxdask.plots.style import band_colours

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pxdask.core.bandpass import Filter

_DPI = 130
_DIM = 0.002
"""Ends of a curve below this part of its peak are not shown: leaks far from a band would squeeze
it to a line."""
_NARROW = 1.6
"""Ratio of the last to the first wavelength up to which the axis is linear."""
_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
"""Labels within a factor of ten of a logarithmic axis."""
_IN_LEGEND = 12
"""Up to so many curves there is a legend in one column."""


def filter_figure(filters: Sequence[Filter]) -> Figure:
    """Return a figure of transmission curves, each with its peak at one, blue to red.

    Colours follow the order of the pivot wavelengths, which are marked under the curves; curves
    per unit energy are dashed.

    Parameters
    ----------
    filters : sequence of Filter
        At least one.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot; save it, or show it in a notebook.
    """
    bands = sorted(filters, key=pivot_wave)
    figure = Picture(figsize=(10, 4.2), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    for band, colour in zip(bands, band_colours(len(bands)), strict=True):
        _draw(axes, band, colour)
    _scale(axes, bands)
    axes.set_ylim(-0.06, 1.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xlabel(r"observed wavelength [$\mu$m]", fontsize=10, color=INK)
    axes.set_ylabel("response / peak", fontsize=10, color=INK)
    thin_lines(axes, is_open=True)
    columns = 1 + (len(bands) - 1) // _IN_LEGEND
    figure.legend(
        title=r"filter, pivot [$\mu$m]",
        title_fontsize=8,
        loc="outside right upper",
        fontsize=8,
        frameon=False,
        ncols=columns,
    )
    return figure


def write_filter_figure(path: str | Path, filters: Sequence[Filter]) -> None:
    """Write `filter_figure` as a PNG file: whole or not at all, equal bytes for equal curves.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    figure = filter_figure(filters)
    write_png(path, figure, dpi=_DPI)


def _draw(axes: Axes, band: Filter, colour: object) -> None:
    """Draw one curve, filled, and a mark at its pivot wavelength."""
    shown = _shown(band)
    wave, response = band.wave[shown] / 1e4, band.transmission[shown] / band.transmission.max()
    style = "-" if band.detector == "photon" else "--"
    axes.fill_between(wave, response, color=colour, alpha=0.18, lw=0)
    label = f"{band.name}  {pivot_wave(band) / 1e4:.4g}"
    axes.plot(wave, response, style, color=colour, lw=1.2, label=label)
    axes.plot(pivot_wave(band) / 1e4, -0.03, "^", color=colour, ms=5, clip_on=False)


def _scale(axes: Axes, bands: Sequence[Filter]) -> None:
    """Give the axis of wavelengths its limits, logarithmic where the curves span far."""
    waves = [band.wave[_shown(band)] / 1e4 for band in bands]
    low, high = min(float(wave[0]) for wave in waves), max(float(wave[-1]) for wave in waves)
    if high < _NARROW * low:
        margin = 0.05 * (high - low)
        axes.set_xlim(low - margin, high + margin)
        return
    axes.set_xscale("log")
    axes.set_xlim(low / (high / low) ** 0.03, high * (high / low) ** 0.03)
    decades = np.arange(np.floor(np.log10(low)) - 1, np.ceil(np.log10(high)) + 1)
    steps = _STEPS if high < 30 * low else (1.0, 2.0, 5.0)
    ticks = np.multiply.outer(10.0**decades, steps).ravel()
    inside = ticks[(ticks >= axes.get_xlim()[0]) & (ticks <= axes.get_xlim()[1])]
    axes.set_xticks(inside, [f"{tick:g}" for tick in inside])
    axes.xaxis.set_minor_formatter(NullFormatter())


def _shown(band: Filter) -> slice:
    """Return the part of a curve with a response to speak of, and a point at either side."""
    seen = np.flatnonzero(band.transmission > _DIM * band.transmission.max())
    return slice(max(int(seen[0]) - 1, 0), int(seen[-1]) + 2)
