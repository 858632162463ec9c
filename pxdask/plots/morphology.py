"""A galaxy's Sersic profiles in one figure: data, model, residual, and shapes by wavelength."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.ticker import MaxNLocator

from pxdask.core.flags import Flag
from pxdask.plots.panels import ACCENTS, INK, NEUTRAL, thin_lines
from pxdask.plots.picture import Picture, write_png

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PER_ROW = 6
"""Bands side by side."""

SHAPES = (
    ("r_eff", r"$R_\mathrm{eff}$ [arcsec]"),
    ("n", "Sérsic index $n$"),
    ("ellip", "ellipticity $1 - b/a$"),
    ("theta", "angle, N to E [deg]"),
)
"""Parameters that are drawn against wavelength."""

_DISC = "#009E73"
"""Bluish green of Okabe & Ito (2008)."""

MOST_SIGMA = 5.0
"""End of the colours of residuals [sigma]."""

_DPI = 100
_PANEL = 1.75
_ROWS = ("data", "model", r"residual / $\sigma$")


def profiles_figure(profiles: xr.Dataset, *, title: str) -> Figure:
    """Return the figure of a galaxy's profiles.

    Parameters
    ----------
    profiles : xarray.Dataset
        Schema morphology/1. Of the sources only the galaxy's shapes are drawn.
    title : str
        Text above the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.
    """
    n_band = profiles.sizes["band"]
    n_block, n_column = math.ceil(n_band / PER_ROW), min(max(n_band, 4), PER_ROW)
    shapes = [pair for pair in SHAPES if pair[0] in profiles]
    heights = [*([3 * _PANEL + 0.45] * n_block), 2.6 if shapes else 0.0]
    size = (n_column * _PANEL + 1.2, sum(heights) + 1.0)
    figure = Picture(figsize=size, dpi=_DPI)
    figure.suptitle(title, x=0.6 / size[0], y=1 - 0.2 / size[1], ha="left", fontsize=13, color=INK,
                    weight="bold")  # fmt: skip
    words = _summary(profiles)
    figure.text(0.6 / size[0], 1 - 0.62 / size[1], words, ha="left", fontsize=9, color=INK)
    top = 1 - 0.95 / size[1]
    for block in range(n_block):
        height = heights[block] / size[1]
        grid = figure.add_gridspec(
            3, n_column, left=0.6 / size[0], right=1 - 0.2 / size[0], top=top,
            bottom=top - height + 0.3 / size[1], wspace=0.04, hspace=0.04,
        )  # fmt: skip
        first = block * PER_ROW
        for column, band in enumerate(range(first, min(first + PER_ROW, n_band))):
            _draw_band(figure, grid, column, profiles.isel(band=band))
        top -= height
    if shapes:
        under = figure.add_gridspec(
            1, len(shapes), left=0.75 / size[0], right=1 - 0.2 / size[0], top=top - 0.2 / size[1],
            bottom=0.5 / size[1], wspace=0.3,
        )  # fmt: skip
        for i, (name, label) in enumerate(shapes):
            _draw_shape(figure.add_subplot(under[0, i]), profiles, name, label)
    return figure


def write_profiles(
    path: str | Path, *, profiles: xr.Dataset, title: str, about: str | None = None
) -> None:
    """Write `profiles_figure` as a PNG file: whole or not at all, equal bytes for equal content.

    ``about`` becomes the file's text named Description.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    figure = profiles_figure(profiles, title=title)
    write_png(path, figure, dpi=_DPI, about=about)


def _summary(profiles: xr.Dataset) -> str:
    """Return a line on the fit: steps, chi-squares, flags."""
    chi2 = profiles["chi2"].values
    chi2 = chi2[np.isfinite(chi2)]
    flags = Flag(int(profiles["flags"].values[0]))
    raised = ", ".join(str(flag.name).lower() for flag in Flag if flag in flags)
    parts = [f"{int(profiles['n_steps'])} steps"]
    if chi2.size:
        parts.append(rf"reduced $\chi^2$ {chi2.min():.2f} to {chi2.max():.2f}")
    return ",   ".join([*parts, f"flags: {raised or 'none'}"])


def _draw_band(figure: Figure, grid: GridSpec, column: int, one: xr.Dataset) -> None:
    """Draw data, model and residual of one band, one under the other."""
    data, error, model = (
        np.asarray(one[name].values, np.float64) for name in ("data", "error", "model")
    )
    used = np.isfinite(data) & np.isfinite(error)
    rows, columns = (_span(np.asarray(used.any(axis=axis))) for axis in (1, 0))
    data, error, model = (plane[rows, columns] for plane in (data, error, model))
    scale = float(one["pixel_scale"])
    half = [0.5 * scale * n for n in data.shape]
    extent = (-half[1], half[1], -half[0], half[0])
    noise = float(np.nanmedian(error)) if np.isfinite(error).any() else 1.0
    peak = float(np.nanmax(data)) if np.isfinite(data).any() else 1.0
    light = AsinhNorm(linear_width=2 * noise, vmin=-3 * noise, vmax=max(peak, 5 * noise))
    norms = (light, light, Normalize(-MOST_SIGMA, MOST_SIGMA))
    residual = np.divide(data - model, error, out=np.full(data.shape, np.nan), where=error > 0)
    for row, (plane, norm) in enumerate(zip((data, model, residual), norms, strict=True)):
        axes = figure.add_subplot(grid[row, column])
        cmap = colormaps["RdBu_r" if row == 2 else "cividis"].with_extremes(bad=NEUTRAL)
        axes.imshow(
            np.ma.masked_invalid(plane), origin="lower", extent=extent, norm=norm, cmap=cmap,
            interpolation="nearest", aspect="equal",
        )  # fmt: skip
        thin_lines(axes)
        axes.set(yticks=[], xticks=[])
        if column == 0:
            axes.set_ylabel(_ROWS[row], fontsize=9, color=INK)
        if row == 0:
            axes.set_title(str(one["band"].values), fontsize=9, color=INK, pad=3)
        if row == 2:
            axes.set_xlabel(
                rf'{2 * half[1]:.3g}",  $\chi^2$ {float(one["chi2"]):.2f}', fontsize=8, color=INK,
                labelpad=2,
            )  # fmt: skip


def _draw_shape(axes: Axes, profiles: xr.Dataset, name: str, label: str) -> None:
    """Draw a parameter of the galaxy against wavelength: its bands, and the smooth function."""
    one = profiles.isel(source=0)
    micron = one["pivot_wave"].values / 1e4
    if (disc := f"disc_{name}") in one:
        _draw_points(axes, one, disc, marker="s", colour=_DISC)
    _draw_points(axes, one, name, marker="o", colour=ACCENTS[0])
    if name == "n":
        axes.axhline(1.0, color="0.7", lw=0.6, ls=":", zorder=0)
    if name == "r_eff" and disc in one:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.legend(loc="best", fontsize=8, frameon=False)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    if micron.size > 1 and micron.max() > 3 * micron.min():
        axes.set_xscale("log")
        axes.set_xticks([t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if
                         0.8 * micron.min() <= t <= 1.2 * micron.max()])  # fmt: skip
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    axes.set_title(label, fontsize=9, color=INK, pad=4)
    axes.set_xlabel(r"wavelength [$\mu$m]", fontsize=9, color=INK)
    thin_lines(axes)


def _draw_points(axes: Axes, one: xr.Dataset, name: str, *, marker: str, colour: str) -> None:
    """Draw a parameter's quantiles in each band, and its smooth function where it has one."""
    micron = one["pivot_wave"].values / 1e4
    low, middle, high = np.moveaxis(one[name].values, -1, 0)
    if (curve := f"{name}_curve") in one:
        wave = one["wave"].values / 1e4
        order = np.argsort(wave)
        ends = one[curve].values[order]
        tint = _DISC if name.startswith("disc_") else ACCENTS[1]
        axes.fill_between(wave[order], ends[:, 0], ends[:, 2], color=tint, alpha=0.2, lw=0)
        axes.plot(wave[order], ends[:, 1], color=tint, lw=1.2)
    known = np.isfinite(middle)
    spread = np.maximum(np.stack([middle - low, high - middle]), 0.0)[:, known]
    axes.errorbar(
        micron[known], middle[known], yerr=spread, fmt=marker, ms=4, color=colour, lw=1, capsize=2,
        zorder=3, label="disc" if name.startswith("disc_") else "Sérsic",
    )  # fmt: skip


def _span(used: NDArray[np.bool_]) -> slice:
    """Return the smallest slice that holds all that is used; all, where nothing is."""
    places = np.flatnonzero(used)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, used.size)
