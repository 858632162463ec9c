"""Figures of properties against radius: of bins and rings, and a run's radial profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.schema import BINS, MAPS, RADIAL
from pxdask.kernels.painting import painted
from pxdask.plots.bin_maps import mean_radius
from pxdask.plots.panels import ACCENTS, say_no_values
from pxdask.plots.properties import of_bins, ordered, point_sizes, shown_names
from pxdask.plots.style import canvas, grid_of, label_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LEAST_PIXELS = 3
"""Fewest pixels of which a ring's median is drawn."""


def profile_names(radial: xr.Dataset) -> list[str]:
    """Return the names of all radial profiles of a Dataset, schema radial/1."""
    form = ("ring", "quantile")
    return sorted(str(name) for name, values in radial.data_vars.items() if values.dims == form)


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
        Default: as of `pxdask.plots.properties.maps_figure`.

    Returns, Raises : see `pxdask.plots.properties.maps_figure`.
    """
    shown = shown_names(MAPS.validate(maps), names)
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
        Profiles; default: as of `pxdask.plots.properties.maps_figure`.

    Returns, Raises : see `pxdask.plots.properties.maps_figure`.
    """
    known = profile_names(RADIAL.validate(radial))
    if missing := [name for name in names or () if name not in known]:
        raise DataError(f"there is no profile {missing[0]!r}; wanted some of {', '.join(known)}")
    if not known:
        raise DataError("there are no radial profiles; wanted at least one")
    shown = list(names or ordered(known))
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
    at = mean_radius(bin_map, radius)
    n_pix = np.bincount(bin_map[bin_map >= 0], minlength=at.size)
    known = np.isfinite(median) & np.isfinite(at)
    bars = np.abs(np.stack([median - low, high - median]))[:, known]
    axes.errorbar(
        at[known], median[known], bars, fmt="none", ecolor="0.8", elinewidth=0.6,
        label="68 % of a bin's posterior",
    )  # fmt: skip
    axes.scatter(
        at[known], median[known], s=point_sizes(n_pix[known]), color="0.45", linewidth=0, alpha=0.7
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
