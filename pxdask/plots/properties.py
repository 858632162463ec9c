"""Figures of maps of properties: side by side, against radius, and against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import Normalize

from pxdask.core.errors import DataError
from pxdask.core.schema import BINS, MAPS, RADIAL
from pxdask.plots.bin_maps import painted
from pxdask.plots.panels import ACCENTS, draw_map, draw_scale_bar, say_no_values, window
from pxdask.plots.style import TWINS, canvas, grid_of, label_of, map_grid
from pxdask.plots.summary import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
_LEAST_PIXELS = 3
"""Fewest pixels of which a ring's median is drawn."""


def property_names(maps: xr.Dataset) -> list[str]:
    """Return the maps of a galaxy that are worth a panel, the most used ones first."""
    names = [str(name) for name in maps.data_vars if maps[name].dims == ("quantile", "y", "x")]
    return _ordered(names)


def profile_names(radial: xr.Dataset) -> list[str]:
    """Return the names of all radial profiles of a Dataset, schema radial/1."""
    form = ("ring", "quantile")
    return sorted(str(name) for name, values in radial.data_vars.items() if values.dims == form)


def _ordered(names: Sequence[str]) -> list[str]:
    """Return properties without those that others tell, the most used ones first."""
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
    shown = _names(MAPS.validate(maps), names)
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


def radial_figure(
    maps: xr.Dataset,
    bins: xr.Dataset,
    fit: xr.Dataset,
    radius: NDArray[np.float64],
    *,
    title: str,
    width: float,
    kpc_per_arcsec: float,
    names: Sequence[str] | None = None,
) -> Figure:
    """Return the figure of a galaxy's properties against radius.

    Points are bins, at the mean radius of their pixels, with the 68 % interval of the
    posterior, the larger the more pixels. Lines are medians of the bins in rings, by the
    pixels that these have there; hatched bands hold the middle 68 % of them: how much bins
    differ.

    Parameters
    ----------
    maps, bins, fit : xarray.Dataset
        Schemas maps/1, bins/1 and fit/2 of one galaxy.
    radius : (ny, nx) float64
        Semi-major axis of the ellipse through each pixel [arcsec].
    title : str
        Text above the figure.
    width : float
        Of the rings [arcsec].
    kpc_per_arcsec : float
        Scale.
    names : sequence of str, optional
        Default: as of `maps_figure`.

    Returns, Raises : see `maps_figure`.
    """
    shown = _names(MAPS.validate(maps), names)
    bin_map = BINS.validate(bins)["bin_map"].values
    figure, panels = _radial_grid(
        {name: label_of(name, maps[name].attrs) for name in shown},
        title=title,
        unit="arcsec",
        kpc=kpc_per_arcsec,
    )
    for name, axes in panels.items():
        values = of_bins(name, maps=maps, bins=bins, fit=fit)
        _draw_bins(axes, values, bin_map, radius)
        _draw_rings(axes, values[1], bin_map, radius, width=width)
    _add_legend(figure, panels.values())
    far = radius[(bin_map >= 0) & np.isfinite(radius)]
    panels[shown[0]].set_xlim(0.0, 1.03 * float(far.max()) if far.size else 1.0)
    return figure


def radial_profiles_figure(
    radial: xr.Dataset, *, title: str, names: Sequence[str] | None = None
) -> Figure:
    """Return the figure of a galaxy's radial profiles.

    Lines are medians of rings, bands the 68 % interval of the posterior; radii are in units of
    R_eff. Rings without enough posterior are left out. Within the grey strip, half of the widest
    PSF, profiles are flattened. The dashed line holds half of the mass.

    Parameters
    ----------
    radial : xarray.Dataset
        Schema radial/1.
    title : str
        Text above the figure.
    names : sequence of str, optional
        Profiles; default: as of `maps_figure`.

    Returns, Raises : see `maps_figure`.
    """
    known = profile_names(RADIAL.validate(radial))
    if missing := [name for name in names or () if name not in known]:
        raise DataError(f"there is no profile {missing[0]!r}; wanted some of {', '.join(known)}")
    if not known:
        raise DataError("there are no radial profiles; wanted at least one")
    shown = list(names or _ordered(known))
    kpc = float(radial.attrs["r_eff"]) * float(radial.attrs["kpc_per_arcsec"])
    figure, panels = _radial_grid(
        {name: label_of(name, radial[name].attrs) for name in shown},
        title=title,
        unit=r"$R_\mathrm{eff}$",
        kpc=kpc,
    )
    for name, axes in panels.items():
        _draw_profile(axes, radial, name)
    _add_legend(figure, panels.values())
    filled = np.isfinite(np.stack([radial[name].values[:, 1] for name in shown])).any(axis=0)
    ends = (radial["radius"] + 0.5 * radial["width"]).values[filled]
    panels[shown[0]].set_xlim(0.0, float(ends.max()) if ends.size else 1.0)
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
    mass, sfr = _names(MAPS.validate(maps), ("log_mass_density", "log_sfr_density"))
    bin_map = BINS.validate(bins)["bin_map"].values
    x, y = (of_bins(name, maps=maps, bins=bins, fit=fit) for name in (mass, sfr))
    known = np.isfinite(x[1]) & np.isfinite(y[1])
    figure = canvas(width=6.6, height=5.2, title=title)
    axes = figure.add_subplot()
    if known.any():
        _draw_sequence(axes, x[:, known], y[:, known], _mean_radius(bin_map, radius)[known],
                       _sizes(bins["n_pix"].values)[known])  # fmt: skip
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


def _names(maps: xr.Dataset, names: Sequence[str] | None) -> list[str]:
    """Return the maps to show."""
    known = [str(name) for name in maps.data_vars]
    if missing := [name for name in names or () if name not in known]:
        raise DataError(
            f"there is no map {missing[0]!r}; wanted some of {', '.join(sorted(known))}"
        )
    if not known:
        raise DataError("there are no maps of properties; wanted at least one")
    return list(names or property_names(maps))


def _deviation_unit(attrs: dict[str, object]) -> str:
    """Return the unit of a difference of two values: of a logarithm dex."""
    unit = str(attrs.get("units", ""))
    if unit.startswith("dex"):
        return " [dex]"
    return label_of("", attrs).strip() and f" {label_of('', attrs).strip()}"


def _sizes(n_pix: NDArray[np.integer]) -> Floats:
    """Return the area of each bin's point: the larger the more pixels, within reason."""
    return np.asarray(np.clip(6.0 * np.sqrt(n_pix), 8.0, 90.0), np.float64)


def _mean_radius(bin_map: NDArray[np.integer], radius: Floats) -> Floats:
    """Return the mean radius of the pixels of each bin; NaN where there are none."""
    inside = (bin_map >= 0) & np.isfinite(radius)
    n_bin = int(bin_map.max(initial=-1)) + 1
    n_pix = np.bincount(bin_map[inside], minlength=n_bin)
    total = np.bincount(bin_map[inside], weights=radius[inside], minlength=n_bin)
    mean: Floats = np.divide(total, n_pix, out=np.full(n_bin, np.nan), where=n_pix > 0)
    return mean


def _radial_grid(
    labels: Mapping[str, str], *, title: str, unit: str, kpc: float
) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure of panels that share their radii, and its axes by property.

    Parameters
    ----------
    labels : mapping
        What is written beside each property's panel.
    title : str
        Text above the figure.
    unit : str
        Of the radii.
    kpc : float
        So many are one of these units; they are on an axis above the first row.
    """
    n_row, n_column = grid_of(len(labels), widest=4)
    figure = canvas(width=3.4 * n_column + 0.3, height=2.9 * n_row + 0.7, title=title)
    grid = figure.subplots(n_row, n_column, squeeze=False, sharex=True).ravel()
    for axes in grid[len(labels) :]:
        axes.set_visible(False)
    panels = dict(zip(labels, grid, strict=False))
    for i, (name, axes) in enumerate(panels.items()):
        axes.set_ylabel(labels[name])
        if i + n_column >= len(labels):  # nothing is below
            axes.set_xlabel(f"semi-major axis [{unit}]")
            axes.tick_params(labelbottom=True)
        if i < n_column:
            _add_kpc(axes, kpc)
    return figure, panels


def _add_kpc(axes: Axes, kpc: float) -> None:
    """Add an axis in kpc above one whose unit is so many of them."""
    scales = (lambda r: r * kpc, lambda d: d / kpc)
    axes.secondary_xaxis("top", functions=scales).set_xlabel("semi-major axis [kpc]", fontsize=8)


def _add_legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """Say below the panels what lines and bands are; those of all panels are the same."""
    found = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if found:
        figure.legend(
            list(found.values()), list(found), loc="outside lower center", ncols=len(found),
            fontsize=8, frameon=False,
        )  # fmt: skip


def _draw_profile(axes: Axes, radial: xr.Dataset, name: str) -> None:
    """Draw a profile with its interval, where the PSF flattens it, and where half the mass is."""
    low, middle, high = radial[name].values.T
    at, r_eff = radial["radius"].values, float(radial.attrs["r_eff"])
    half_psf = 0.5 * float(np.nanmax(radial["psf_fwhm"].values)) / r_eff
    axes.axvspan(0.0, half_psf, color="0.92", lw=0, zorder=0)
    half_mass = float(radial["half_mass"].values[1]) / r_eff
    if np.isfinite(half_mass):
        axes.axvline(half_mass, color="0.6", lw=0.8, ls="--", zorder=1)
    if not np.isfinite(middle).any():
        say_no_values(axes)
        return
    label = "68 % of the posterior"
    axes.fill_between(at, low, high, color=ACCENTS[1], alpha=0.25, lw=0, label=label)
    axes.plot(at, middle, color=ACCENTS[1], lw=1.6, marker="o", ms=2.5, label="its median")


def _draw_bins(axes: Axes, values: Floats, bin_map: NDArray[np.integer], radius: Floats) -> None:
    """Draw the posterior of each bin at its mean radius."""
    low, median, high = values
    at = _mean_radius(bin_map, radius)
    n_pix = np.bincount(bin_map[bin_map >= 0], minlength=at.size)
    known = np.isfinite(median) & np.isfinite(at)
    bars = np.abs(np.stack([median - low, high - median]))[:, known]
    axes.errorbar(
        at[known], median[known], bars, fmt="none", ecolor="0.8", elinewidth=0.6,
        label="68 % of a bin's posterior",
    )  # fmt: skip
    axes.scatter(
        at[known], median[known], s=_sizes(n_pix[known]), color="0.45", linewidth=0, alpha=0.7
    )


def _draw_rings(
    axes: Axes,
    values: Floats,
    bin_map: NDArray[np.integer],
    radius: Floats,
    *,
    width: float,
) -> None:
    """Draw the median of the bins in rings by their pixels there, and the middle 68 per cent."""
    on_pixels = painted(values, bin_map)
    known = np.isfinite(on_pixels) & np.isfinite(radius)
    if not known.any():
        say_no_values(axes)
        return
    ring = np.floor(radius[known] / width).astype(np.int64)
    rows = [
        (
            radius[known][ring == i].mean(),
            *np.quantile(on_pixels[known][ring == i], (0.16, 0.5, 0.84)),
        )
        for i in np.unique(ring)
        if np.sum(ring == i) >= _LEAST_PIXELS
    ]
    if rows:
        at, low, middle, high = np.array(rows).T
        # hatched: how much bins differ, not how well they are known
        axes.fill_between(
            at, low, high, facecolor="none", edgecolor=ACCENTS[1], hatch="////", lw=0.4, alpha=0.5,
            label="68 % of the ring's pixels",
        )  # fmt: skip
        axes.plot(at, middle, color=ACCENTS[1], lw=1.6, label="their median")


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
