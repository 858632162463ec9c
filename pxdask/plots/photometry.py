"""Figures of photometry: curves of growth, radial profiles, SEDs of apertures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from pxdask.core.errors import SchemaError
from pxdask.core.schema import PHOTOMETRY, PROFILE
from pxdask.plots.panels import thin_lines
from pxdask.plots.picture import Picture, write_png
from pxdask.plots.style import band_colours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_DPI = 130
_MARKERS = "osD^vP"


def growth_figure(growth: xr.Dataset) -> Figure:
    """Return a figure of curves of growth, each in units of its largest flux.

    Bars are 1-sigma; apertures that are not wholly covered by data are drawn open.

    Parameters
    ----------
    growth : xarray.Dataset
        Schema photometry/1 with ``radius``.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot; save it, or show it in a notebook.

    Raises
    ------
    SchemaError
        If the dataset is another, or its apertures have no radius.
    """
    if "radius" not in PHOTOMETRY.validate(growth):
        raise SchemaError("a curve of growth needs apertures with a radius; got none")
    figure, axes = _canvas()
    radius = growth["radius"].values
    axes.axhline(1.0, color="0.8", lw=0.8, zorder=0)
    for band, colour in _bands(growth):
        flux, error = growth["flux"].values[:, band], growth["flux_err"].values[:, band]
        largest = np.nanmax(flux) if np.any(np.isfinite(flux)) else np.nan
        if not largest > 0:
            largest = np.nan
        whole = growth["flags"].values[:, band] == 0
        label = f"{growth['band'].values[band]}  {largest:.3g}"
        axes.errorbar(radius, flux / largest, error / largest, color=colour, lw=1.2, elinewidth=0.6)
        axes.plot(radius[whole], (flux / largest)[whole], "o", color=colour, ms=3, label=label)
        axes.plot(radius[~whole], (flux / largest)[~whole], "o", color=colour, ms=3, mfc="white")
    axes.set_xlim(0, 1.03 * float(radius.max()))
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), min(1.5, axes.get_ylim()[1]))
    axes.set_xlabel("semi-major axis [arcsec]")
    axes.set_ylabel("flux within / largest")
    _legend(figure, axes, title=r"band, largest flux [$\mu$Jy]")
    return figure


def profile_figure(profile: xr.Dataset) -> Figure:
    """Return a figure of brightness and of signal-to-noise ratio per pixel against radius.

    Rings of negative mean brightness are not on the logarithmic axis of brightness; those of
    negative signal-to-noise ratio are on the other, which is linear below 1.

    Parameters
    ----------
    profile : xarray.Dataset
        Schema profile/1.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    SchemaError
        If the dataset is another.
    """
    PROFILE.validate(profile)
    figure = Picture(figsize=(10, 4.2), dpi=_DPI, layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    radius = profile["radius"].values
    for i, (band, colour) in enumerate(_bands(profile)):
        value = profile["brightness"].values[:, band]
        line = f"{_MARKERS[i % len(_MARKERS)]}-"
        error = profile["brightness_err"].values[:, band]
        shown = value > 0
        low = np.minimum(error, 0.9 * np.abs(value))  # the axis has no zero
        bars = np.where(shown, np.stack([low, error]), np.nan)
        label = str(profile["band"].values[band])
        left.errorbar(
            radius, np.where(shown, value, np.nan), bars, fmt=line, color=colour, ms=3, lw=1.0,
            elinewidth=0.6,
        )  # fmt: skip
        right.plot(radius, profile["pixel_snr"].values[:, band], line, color=colour, ms=3, lw=1.0)
        right.lines[-1].set_label(label)
    if np.any(profile["brightness"].values > 0):
        left.set_yscale("log")
        if np.any(positive := profile["brightness_err"].values > 0):
            left.set_ylim(bottom=0.3 * float(profile["brightness_err"].values[positive].min()))
    right.set_yscale("symlog", linthresh=1.0)
    right.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    least = profile["pixel_snr"].min().item()
    right.set_ylim(bottom=min(-0.3, 1.3 * least) if np.isfinite(least) else -0.3)
    for level in (1.0, 5.0):
        right.axhline(level, color="0.8", lw=0.8, zorder=0)
    for axes in (left, right):
        thin_lines(axes, is_open=True)
        axes.set_xlabel("semi-major axis [arcsec]")
    left.set_xlim(0, 1.03 * float(radius.max()))
    left.set_ylabel(r"mean brightness [$\mu$Jy arcsec$^{-2}$]")
    right.set_ylabel("S/N of a pixel, median (lines: 1, 5)")
    _legend(figure, right, title="band")
    return figure


def sed_figure(photometry: xr.Dataset) -> Figure:
    """Return a figure of the SEDs of apertures.

    Fluxes below 2 sigma are drawn as upper limits, flux (or zero) plus 2 sigma.

    Parameters
    ----------
    photometry : xarray.Dataset
        Schema photometry/1.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    SchemaError
        If the dataset is another.
    """
    PHOTOMETRY.validate(photometry)
    figure, axes = _canvas()
    wave = photometry["pivot_wave"].values / 1e4
    order = np.argsort(wave)
    names = [str(name) for name in photometry["aperture"].values]
    places = np.linspace(0.05, 0.9, len(names)) if len(names) > 1 else [0.3]
    for number, (name, colour) in enumerate(zip(names, colormaps["viridis"](places), strict=True)):
        flux, error = (photometry[key].values[number][order] for key in ("flux", "flux_err"))
        seen = flux > 2 * error
        marker = _MARKERS[number % len(_MARKERS)]
        axes.plot(wave[order][seen], flux[seen], "-", color=colour, lw=0.6)
        axes.errorbar(
            wave[order][seen], flux[seen], error[seen], fmt=marker, color=colour, ms=5,
            elinewidth=0.8, label=name,
        )  # fmt: skip
        limit = (np.maximum(flux, 0) + 2 * error)[~seen]
        axes.plot(wave[order][~seen], limit, "v", color=colour, ms=6, mfc="white")
    axes.set_xscale("log")
    if axes.lines and any(np.any(np.asarray(line.get_ydata()) > 0) for line in axes.lines):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(wave.min() / 1.3, wave.max() * 1.3)
    axes.set_xlabel(r"observed wavelength [$\mu$m]")
    axes.set_ylabel(r"flux density [$\mu$Jy]")
    _legend(figure, axes, title="aperture")
    return figure


def write_photometry_figure(path: str | Path, figure: Figure) -> None:
    """Write one of these figures as a PNG file: whole or not at all, equal bytes for equal data.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    write_png(path, figure, dpi=_DPI)


def _canvas() -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes."""
    figure = Picture(figsize=(7.5, 4.2), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    thin_lines(axes, is_open=True)
    return figure, axes


def _bands(dataset: xr.Dataset) -> Iterator[tuple[int, str]]:
    """Yield bands, blue to red, and their colours."""
    order = np.argsort(dataset["pivot_wave"].values)
    yield from zip((int(i) for i in order), band_colours(order.size), strict=True)


def _legend(figure: Figure, axes: Axes, *, title: str) -> None:
    """Draw a legend to the right of all axes."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        title=title,
        title_fontsize=8,
        loc="outside right upper",
        fontsize=8,
        frameon=False,
    )
