"""Figures of maps of properties: side by side, and against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import Normalize

from pxdask.core.errors import DataError
from pxdask.core.schema import BINS, MAPS
from pxdask.plots.bin_maps import mean_radius
from pxdask.plots.panels import draw_map, draw_scale_bar, say_no_values, window
from pxdask.plots.style import TWINS, canvas, grid_of, label_of, map_grid
from pxdask.plots.summary import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_TOTALS = ("log_mass", "log_sfr", "log_mass_formed", "log_dustmass", "log_dust_luminosity")
"""Maps per pixel, which tell no more than those per area."""
_CMAPS = {name: cmap for name, _, cmap in PROPERTIES}
"""Colours of maps; of others viridis."""
FIRST = tuple(_CMAPS)
"""Maps that come first."""
_SSFR = (-8.0, -9.0, -10.0, -11.0, -12.0)
"""Specific star formation rates of the lines that guide the eye [log yr-1]."""


def property_names(maps: xr.Dataset) -> list[str]:
    """Return the maps of a galaxy that are worth a panel, the most used ones first."""
    names = [str(name) for name in maps.data_vars if maps[name].dims == ("quantile", "y", "x")]
    return ordered(names)


def ordered(names: Sequence[str]) -> list[str]:
    """Return properties without those that others tell, the most used ones first.

    Those that tell no more are totals per pixel, and one of two names of the same; if there are
    none but these, all are returned.
    """
    told = {*FIRST, *_TOTALS, *(name for name, twin in TWINS.items() if twin in names)}
    others = sorted(name for name in names if name not in told)
    return [*(name for name in FIRST if name in names), *others] or sorted(names)


def maps_figure(maps: xr.Dataset, *, title: str, names: Sequence[str] | None = None) -> Figure:
    """Return the figure of a galaxy's maps: medians, and below each half the 68 % interval.

    Parameters
    ----------
    maps : xarray.Dataset
        Schema maps/1, ``attrs`` wcs, kpc_per_pixel. NaN is neutral grey.
    title : str
        Text above the figure.
    names : sequence of str, optional
        Default: all but totals per pixel.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    SchemaError
        If the dataset is another.
    DataError
        If there is no such map.
    """
    shown = shown_names(MAPS.validate(maps), names)
    inside = np.any([np.isfinite(maps[name].values).any(axis=0) for name in shown], axis=0)
    view = window(str(maps.attrs["wcs"]), inside)
    n_row, n_column = grid_of(len(shown))
    figure, grid = map_grid(2 * n_row, n_column, title=title)
    for i in range(n_row * n_column):
        row, column = divmod(i, n_column)
        top, foot = grid[2 * row][column], grid[2 * row + 1][column]
        if i >= len(shown):
            top.set_visible(False)
            foot.set_visible(False)
            continue
        name = shown[i]
        low, median, high = maps[name].values.astype(np.float64)
        label = label_of(name, maps[name].attrs)
        draw_map(top, median, view, label=label, cmap=_CMAPS.get(name, "viridis"))
        unit = _deviation_unit(maps[name].attrs)
        draw_map(foot, 0.5 * (high - low), view, label=f"uncertainty{unit}", cmap="cividis")
        for axes in (top, foot):
            axes.tick_params(labelleft=column == 0, labelbottom=axes is foot)
            axes.set_ylabel("offset [arcsec]" if column == 0 else "")
        # the last of a column, where there is no row below it to say so
        if i + n_column >= len(shown):
            foot.set_xlabel("offset [arcsec]")
        else:
            foot.tick_params(labelbottom=False)
    draw_scale_bar(grid[0][0], view, kpc_per_pixel=float(maps.attrs["kpc_per_pixel"]))
    return figure


def main_sequence_figure(
    maps: xr.Dataset,
    bins: xr.Dataset,
    fit: xr.Dataset,
    radius: NDArray[np.float64],
    *,
    title: str,
) -> Figure:
    """Return the figure of star formation against mass, both per area, of a galaxy's bins.

    Colours tell the radius, sizes the number of pixels; bars are 68 % intervals. Lines are of
    equal specific star formation rate.

    Parameters
    ----------
    maps, bins, fit : xarray.Dataset
        Schemas maps/1, with log_mass_density and log_sfr_density, bins/1 and fit/2.
    radius : (ny, nx) float64
        Semi-major axis of the ellipse through each pixel [arcsec].
    title : str
        Text above the figure.

    Returns, Raises : see `maps_figure`.
    """
    mass, sfr = shown_names(MAPS.validate(maps), ("log_mass_density", "log_sfr_density"))
    bin_map = BINS.validate(bins)["bin_map"].values
    x, y = (of_bins(name, maps=maps, bins=bins, fit=fit) for name in (mass, sfr))
    known = np.isfinite(x[1]) & np.isfinite(y[1])
    figure = canvas(width=6.6, height=5.2, title=title)
    axes = figure.add_subplot()
    if known.any():
        _draw_sequence(axes, x[:, known], y[:, known], mean_radius(bin_map, radius)[known],
                       point_sizes(bins["n_pix"].values)[known])  # fmt: skip
    else:
        say_no_values(axes)
    axes.set_xlabel(label_of(mass, maps[mass].attrs))
    axes.set_ylabel(label_of(sfr, maps[sfr].attrs))
    return figure


def of_bins(name: str, *, maps: xr.Dataset, bins: xr.Dataset, fit: xr.Dataset) -> Floats:
    """Return the posterior quantiles (n_quantile, n_bin) of a property of each bin.

    Densities are the bin's total over its area. They are not taken from the pixels: in a map
    that follows a band's light, pixels of negative flux have none, and the others too much.

    Parameters
    ----------
    name : str
        Of a map.
    maps, bins, fit : xarray.Dataset
        Schemas maps/1, bins/1 and fit/2 of one galaxy.

    Raises
    ------
    DataError
        If the fit has no such property.
    """
    if name in fit:
        return np.asarray(fit[name].values.T, np.float64)
    total = name.removesuffix("_density")
    if total == name or total not in fit or total not in maps:
        raise DataError(f"the fit has no {name!r}, or what it is made of")
    with np.errstate(divide="ignore"):
        log_n_pix = np.log10(bins["n_pix"].values)
    # the area of a pixel, on the galaxy's disc if that is inclined
    per_pixel = maps[name].values[1].astype(np.float64) - maps[total].values[1]
    finite = per_pixel[np.isfinite(per_pixel)]
    offset = float(np.median(finite)) if finite.size else np.nan
    values = fit[total].values.T - log_n_pix + offset
    return np.asarray(np.where(np.isfinite(values), values, np.nan), np.float64)


def shown_names(maps: xr.Dataset, names: Sequence[str] | None) -> list[str]:
    """Return the maps to show: those named, by default `property_names`.

    Raises
    ------
    DataError
        If one is not there, or there are none.
    """
    known = [str(name) for name in maps.data_vars]
    if missing := [name for name in names or () if name not in known]:
        raise DataError(
            f"there is no map {missing[0]!r}; wanted some of {', '.join(sorted(known))}"
        )
    if not known:
        raise DataError("there are no maps of properties; wanted at least one")
    return list(names or property_names(maps))


def point_sizes(n_pix: NDArray[np.integer]) -> Floats:
    """Return the area (n_bin,) of each bin's point [pt2]: the larger the more pixels, up to 90."""
    return np.asarray(np.clip(6.0 * np.sqrt(n_pix), 8.0, 90.0), np.float64)


def _deviation_unit(attrs: dict[str, object]) -> str:
    """Return the unit of a difference of two values: of a logarithm dex."""
    unit = str(attrs.get("units", ""))
    if unit.startswith("dex"):
        return " [dex]"
    return label_of("", attrs).strip() and f" {label_of('', attrs).strip()}"


def _draw_sequence(axes: Axes, x: Floats, y: Floats, far: Floats, sizes: Floats) -> None:
    """Draw bins by mass and star formation, coloured by radius, and lines of equal specific rate.

    ``x`` and ``y`` are quantiles (3, n_bin).
    """
    bars = {"xerr": np.abs(x[[0, 2]] - x[1]), "yerr": np.abs(y[[0, 2]] - y[1])}
    axes.errorbar(x[1], y[1], **bars, fmt="none", ecolor="0.75", elinewidth=0.7)
    norm = Normalize(0.0, float(np.nanmax(far)) or 1.0)
    drawn = axes.scatter(
        x[1], y[1], c=far, s=sizes, cmap="viridis", norm=norm, edgecolor="white", linewidth=0.3,
        zorder=3,
    )  # fmt: skip
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.02)
    bar.set_label("semi-major axis [arcsec]")
    bar.outline.set_visible(False)
    (left, right), (low, high) = (
        (at.min() - max(0.15, 0.08 * np.ptp(at)), at.max() + max(0.15, 0.08 * np.ptp(at)))
        for at in (x[1], y[1])
    )
    for rate in _SSFR:
        axes.plot([left, right], [left + rate, right + rate], color="0.6", lw=0.7, ls=":", zorder=0)
        at = min(right, high - rate)
        if at - left > 0.15 * (right - left) and at + rate - low > 0.1 * (high - low):
            axes.annotate(
                rf"$10^{{{rate:.0f}}}$ yr$^{{-1}}$", (at, at + rate), (-3, -9),
                textcoords="offset points", ha="right", fontsize=8, color="0.4",
            )  # fmt: skip
    axes.set(xlim=(left, right), ylim=(low, high))
