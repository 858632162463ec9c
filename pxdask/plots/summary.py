"""One figure that tells a galaxy's results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap

from pxdask.plots.bin_maps import outer_bin
from pxdask.plots.panels import INK, NEUTRAL, Window, draw_map, draw_sed, frame, window
from pxdask.plots.picture import Picture, write_png
from pxdask.plots.seds import describe
from pxdask.plots.sky import draw_image, middle_band, snr_of

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PROPERTIES = (
    ("log_mass_density", r"$\log\,\Sigma_\star\ [\mathrm{M}_\odot\,\mathrm{kpc}^{-2}]$", "inferno"),
    (
        "log_sfr_density",
        r"$\log\,\Sigma_\mathrm{SFR}\ [\mathrm{M}_\odot\,\mathrm{yr}^{-1}\,\mathrm{kpc}^{-2}]$",
        "viridis",
    ),
    ("log_mw_age", r"$\log$ mass-weighted age [Gyr]", "plasma"),
    ("logzsol", r"$\log\,Z/\mathrm{Z}_\odot$", "cividis"),
    ("av", r"$A_V$ [mag]", "magma"),
)
"""Maps that are shown, with their labels and colour maps."""

_DPI = 110


def summary_figure(
    *, maps: xr.Dataset, cube: xr.Dataset, bins: xr.Dataset, fit: xr.Dataset, title: str
) -> Figure:
    """Return the summary of one galaxy: its image, S/N, bins, property maps and two SEDs.

    Maps show medians of the posterior. Offsets are from the middle of the panel.

    Parameters
    ----------
    maps, cube, bins, fit : xarray.Dataset
        Schemas maps/1 (``attrs`` wcs, kpc_per_pixel), image/1, bins/1, fit/2 of one galaxy.
        Maps that are absent, and those without a finite value, are shown as such.
    title : str
        Text above the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot; save it, or show it in a notebook.
    """
    figure = Picture(figsize=(17, 12.2), dpi=_DPI)
    figure.suptitle(title, x=0.05, y=0.975, ha="left", fontsize=17, color=INK, weight="bold")
    sky = figure.add_gridspec(
        2, 4, left=0.05, right=0.945, top=0.925, bottom=0.385, wspace=0.4, hspace=0.16
    )
    bin_map = bins["bin_map"].values
    view = window(str(maps.attrs["wcs"]), bin_map >= 0)
    panels = [figure.add_subplot(sky[i // 4, i % 4]) for i in range(8)]
    draw_image(panels[0], cube, bin_map >= 0, view, kpc_per_pixel=maps.attrs["kpc_per_pixel"])
    _draw_snr(panels[1], cube, view)
    chosen = _two_bins(cube, bins, fit)
    _draw_bins(panels[2], bin_map, view, chosen)
    for axes, (name, label, cmap) in zip(panels[3:], PROPERTIES, strict=True):
        blank = np.full(bin_map.shape, np.nan)
        median = maps[name].sel(quantile=0.5).values if name in maps else blank
        draw_map(axes, median, view, label=label, cmap=cmap)
    for i, axes in enumerate(panels):
        if i % 4 == 0:
            axes.set_ylabel("offset [arcsec]", fontsize=10, color=INK)
        if i // 4 == 1:
            axes.set_xlabel("offset [arcsec]", fontsize=10, color=INK)
    seds = figure.add_gridspec(
        2, 2, left=0.05, right=0.965, top=0.315, bottom=0.05, wspace=0.12, hspace=0.0,
        height_ratios=(3, 1),
    )  # fmt: skip
    for column, (number, letter) in enumerate(zip(chosen, "AB", strict=False)):
        axes = figure.add_subplot(seds[0, column])
        draw_sed(axes, figure.add_subplot(seds[1, column]), bins, fit, number=number)
        words = ",   ".join(describe(bins, fit, number=number))
        axes.set_title(f"{letter}: {words}", fontsize=10, color=INK, loc="left")
        axes.legend(loc="lower right", fontsize=9, frameon=False)
    return figure


def write_summary(
    path: str | Path,
    *,
    maps: xr.Dataset,
    cube: xr.Dataset,
    bins: xr.Dataset,
    fit: xr.Dataset,
    title: str,
    about: str | None = None,
) -> None:
    """Write `summary_figure` as a PNG file: whole or not at all, equal bytes for equal content.

    ``about`` becomes the file's text named Description.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    figure = summary_figure(maps=maps, cube=cube, bins=bins, fit=fit, title=title)
    write_png(path, figure, dpi=_DPI, about=about)


def _draw_snr(axes: Axes, cube: xr.Dataset, view: Window) -> None:
    """Draw S/N per pixel in the middle band."""
    band = middle_band(cube)
    draw_map(axes, snr_of(cube)[band], view, label="S/N per pixel", cmap="cividis", log=True)
    axes.set_title(f"{cube['band'].values[band]}", fontsize=10, color=INK)


def _draw_bins(axes: Axes, bin_map: NDArray[np.int32], view: Window, chosen: list[int]) -> None:
    """Draw the bins in colours that differ between neighbours, and outline two of them."""
    shown = bin_map[view.rows, view.columns]
    # Multiples of the golden ratio, modulo one, keep consecutive bins far apart in colour.
    place = np.where(shown >= 0, 0.08 + 0.84 * ((shown * 0.6180339887498949) % 1), np.nan)
    cmap = ListedColormap(colormaps["viridis"](np.linspace(0, 1, 256))).with_extremes(bad=NEUTRAL)
    axes.imshow(
        np.ma.masked_invalid(place),
        origin="lower",
        extent=view.extent,
        cmap=cmap,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    frame(axes, view)
    n_bin = int(bin_map.max(initial=-1)) + 1
    axes.set_title(f"{n_bin} bin{'s' if n_bin != 1 else ''}", fontsize=10, color=INK)
    left, _, bottom, _ = view.extent
    for number, letter in zip(chosen, "AB", strict=False):
        y, x = np.nonzero(shown == number)
        if not y.size:
            continue
        nearest = np.argmin(np.hypot(y - y.mean(), x - x.mean()))
        at = (left + (x[nearest] + 0.5) * view.pixel, bottom + (y[nearest] + 0.5) * view.pixel)
        axes.text(
            *at,
            letter,
            fontsize=10,
            weight="bold",
            ha="center",
            va="center",
            color=INK,
            bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": INK, "lw": 0.6},
        )


def _two_bins(cube: xr.Dataset, bins: xr.Dataset, fit: xr.Dataset) -> list[int]:
    """Return a central and an outer bin, of those that were fitted; one if there is but one.

    The central bin has the greatest flux per pixel in the middle band; the outer one is
    farther from it than three quarters of the bins.
    """
    n_pix = bins["n_pix"].values
    density = bins["flux"].values[:, middle_band(cube)] / np.maximum(n_pix, 1)
    candidates = np.flatnonzero((n_pix > 0) & np.isfinite(fit["chi2"].values))
    if not candidates.size:
        candidates = np.flatnonzero(n_pix > 0)
    if not candidates.size:
        return []
    central = int(candidates[np.argmax(np.nan_to_num(density[candidates], nan=-np.inf))])
    outer = outer_bin(bins["bin_map"].values, centre=central, among=candidates)
    return [central] if outer == central else [central, outer]
