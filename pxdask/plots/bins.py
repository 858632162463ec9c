"""Figure of a galaxy's bins: the map, what limits them, how good they are."""

from __future__ import annotations

import json
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, to_hex

from pxdask.core.errors import SchemaError
from pxdask.core.flags import Flag
from pxdask.core.schema import BINS
from pxdask.kernels.painting import painted
from pxdask.plots.panels import ACCENTS, INK, NEUTRAL, Window, bins_view, draw_map, frame
from pxdask.plots.picture import Picture, write_png

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
"""Okabe & Ito (2008) without black, told apart in every form of colour vision."""

_DPI = 110
_NEEDED = ("snr", "limiting_band", "compactness", "sed_chi2")


def bins_figure(bins: xr.Dataset, *, title: str) -> Figure:
    """Return the figure of one galaxy's bins.

    On the sky: bins in colours that differ between neighbours; the band that limits each
    bin; compactness; chi-square of SED shapes (grey: nothing to compare). Below: S/N of every
    bin in every band, where a demand is missed in vermilion; how many bins each band limits.

    Parameters
    ----------
    bins : xarray.Dataset
        Schema bins/1 with the variables of quality. Offsets are in arcsec if ``attrs`` have a
        ``wcs``, else in pixels.
    title : str
        Text above the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot; save it, or show it in a notebook.

    Raises
    ------
    SchemaError
        If the dataset is another, or lacks the variables of quality.
    """
    BINS.validate(bins)
    if missing := [name for name in _NEEDED if name not in bins]:
        raise SchemaError(
            f"the bins lack {', '.join(missing)}; make them anew, with --from bins if they are a"
            " run's"
        )
    figure = Picture(figsize=(17, 9.6), dpi=_DPI)
    figure.suptitle(title, x=0.045, y=0.975, ha="left", fontsize=16, color=INK, weight="bold")
    sky = figure.add_gridspec(1, 4, left=0.045, right=0.945, top=0.93, bottom=0.53, wspace=0.38)
    panels = [figure.add_subplot(sky[0, i]) for i in range(4)]
    bin_map = bins["bin_map"].values
    view, unit = bins_view(bins), "arcsec" if "wcs" in bins.attrs else "pix"
    order = np.argsort(bins["pivot_wave"].values, kind="stable")
    _draw_bins(panels[0], bin_map, view)
    _draw_limits(panels[1], bins, view, order)
    compactness, chi2 = (painted(bins[name].values, bin_map) for name in _NEEDED[2:])
    draw_map(panels[2], compactness, view, label="compactness (disc: 1)", cmap="cividis")
    label = r"reduced $\chi^2$ of SED shapes"
    draw_map(panels[3], chi2, view, label=label, cmap="magma", log=True)
    for axes in panels:
        axes.set_xlabel(f"offset [{unit}]", fontsize=10, color=INK)
    panels[0].set_ylabel(f"offset [{unit}]", fontsize=10, color=INK)
    below = figure.add_gridspec(
        1, 2, left=0.09, right=0.965, top=0.435, bottom=0.075, wspace=0.12, width_ratios=(3, 1)
    )
    table = figure.add_subplot(below[0, 0])
    _draw_snr(table, bins, order)
    _draw_counts(figure.add_subplot(below[0, 1], sharey=table), bins, order)
    return figure


def write_bins_figure(path: str | Path, bins: xr.Dataset, *, title: str) -> None:
    """Write `bins_figure` as a PNG file: whole or not at all, equal bytes for equal content.

    Raises
    ------
    SchemaError
        As `bins_figure`.
    StoreError
        If the file cannot be written.
    """
    figure = bins_figure(bins, title=title)
    write_png(path, figure, dpi=_DPI)


def neighbour_colours(bin_map: NDArray[np.integer], *, n_colour: int) -> NDArray[np.int64]:
    """Return the number of a colour for each bin, different for bins that touch.

    Parameters
    ----------
    bin_map : (ny, nx) int
        Bin of each pixel, from 0; negative where none. Pixels touch at sides and corners.
    n_colour : int
        Colours. Where they do not suffice, a bin gets the one that is rarest around it.

    Returns
    -------
    colour : (n_bin,) int64
        From 0.

    Notes
    -----
    Greedy, those with fewest neighbours last, again and again (Matula & Beck 1983): six colours
    suffice for areas of one piece that touch at sides. Of the colours that are free the one used
    least is taken, so that all are seen.
    """
    n_bin = int(bin_map.max(initial=-1)) + 1
    pairs = _touching(bin_map)
    start = np.searchsorted(pairs[:, 0], np.arange(n_bin + 1))
    colour = np.full(n_bin, -1, dtype=np.int64)
    used = np.zeros(n_colour, dtype=np.int64)
    for number in _fewest_last(pairs[:, 1], start):
        around = colour[pairs[start[number] : start[number + 1], 1]]
        near = np.bincount(around[around >= 0], minlength=n_colour)
        colour[number] = np.lexsort((used, near))[0]
        used[colour[number]] += 1
    return colour


def _touching(bin_map: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the pairs of bins that touch, in both orders, sorted."""
    ny, nx = bin_map.shape
    found = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = bin_map[: ny - dy, max(0, -dx) : nx - max(0, dx)]
        other = bin_map[dy:, max(0, dx) : nx - max(0, -dx)]
        apart = (one != other) & (one >= 0) & (other >= 0)
        found.append(np.stack([one[apart], other[apart]], axis=1).astype(np.int64))
    pairs = np.concatenate(found)
    return np.asarray(np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0))


def _fewest_last(other: NDArray[np.int64], start: NDArray[np.intp]) -> list[int]:
    """Return bins such that each has few neighbours among those before it.

    The neighbours of bin i are ``other[start[i]:start[i + 1]]``.
    """
    degree = np.diff(start).tolist()
    waiting = [(count, number) for number, count in enumerate(degree)]
    heapify(waiting)
    taken = [False] * len(degree)
    order = []
    while waiting:
        count, number = heappop(waiting)
        if taken[number] or count != degree[number]:
            continue  # out of date: the bin is in the heap with its present count too
        taken[number] = True
        order.append(number)
        for near in other[start[number] : start[number + 1]].tolist():
            degree[near] -= 1
            heappush(waiting, (degree[near], near))
    return order[::-1]


def _show(axes: Axes, numbers: Floats, view: Window, colours: list[str]) -> None:
    """Draw a map of numbers, each in its colour."""
    axes.imshow(
        np.ma.masked_invalid(view.cut(numbers)),
        origin="lower",
        extent=view.extent,
        cmap=ListedColormap(colours).with_extremes(bad=NEUTRAL),
        norm=BoundaryNorm(np.arange(len(colours) + 1) - 0.5, len(colours)),
        interpolation="nearest",
    )
    frame(axes, view)


def _draw_bins(axes: Axes, bin_map: NDArray[np.integer], view: Window) -> None:
    """Draw the bins."""
    colour = neighbour_colours(bin_map, n_colour=len(COLOURS))
    _show(axes, painted(colour.astype(np.float64), bin_map), view, list(COLOURS))
    axes.set_title(f"{len(colour)} bin{'s' if len(colour) != 1 else ''}", fontsize=10, color=INK)


def _limiting(bins: xr.Dataset, order: NDArray[np.intp]) -> tuple[Floats, list[str]]:
    """Return each bin's limiting band as a place in ``order`` (NaN: none), and bands' colours."""
    place = np.append(np.argsort(order).astype(float), np.nan)  # a limiting band of -1 is none
    found = place[bins["limiting_band"].values]
    # The colours are spread over the bands that limit any bin: a few, often next to each other.
    limiting = np.unique(found[np.isfinite(found)]).astype(int)
    colours = [NEUTRAL] * len(order)
    for i, shade in zip(limiting, np.linspace(0.0, 1.0, limiting.size), strict=True):
        colours[i] = to_hex(colormaps["viridis"](shade))
    return found, colours


def _draw_limits(axes: Axes, bins: xr.Dataset, view: Window, order: NDArray[np.intp]) -> None:
    """Draw the band that limits each bin, in the colours of the counts."""
    place, shades = _limiting(bins, order)
    _show(axes, painted(place, bins["bin_map"].values), view, shades)
    axes.set_title("limiting band (colours below)", fontsize=10, color=INK)


def _demands(bins: xr.Dataset) -> dict[str, float]:
    """Return the S/N demanded by band, as far as the attributes tell."""
    snr = json.loads(str(bins.attrs.get("settings", "{}"))).get("snr", {})
    if isinstance(snr, dict):
        return {str(band): float(value) for band, value in snr.items()}
    return {str(band): float(snr) for band in bins["band"].values}


def _draw_snr(axes: Axes, bins: xr.Dataset, order: NDArray[np.intp]) -> None:
    """Draw S/N of all bins and bands."""
    snr = bins["snr"].values[:, order].T
    low = (bins["flags"].values[:, order].T & np.uint16(Flag.LOW_SNR)) > 0
    seen = snr[np.isfinite(snr) & (snr > 0)]
    least, most = (max(float(seen.min()), 0.3), float(seen.max())) if seen.size else (0.3, 1.0)
    drawn = axes.imshow(
        np.ma.masked_invalid(np.where(snr > 0, snr, np.where(np.isfinite(snr), least, np.nan))),
        norm=LogNorm(least, max(most, 1.01 * least)),
        cmap=colormaps["cividis"].with_extremes(bad=NEUTRAL),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    if low.any():
        axes.imshow(
            np.ma.masked_array(low, mask=~low),
            cmap=ListedColormap([ACCENTS[0]]),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
        )
    demands = _demands(bins)
    names = [str(bins["band"].values[i]) for i in order]
    labels = [f"{n}  ≥ {demands[n]:g}" if demands.get(n, 0) > 0 else n for n in names]
    axes.set_yticks(np.arange(len(order)), labels, fontsize=8)
    axes.set_xlabel("bin", fontsize=10, color=INK)
    n_low = int(low.any(axis=0).sum())
    axes.set_title(
        f"S/N; vermilion: demand missed ({n_low} of {low.shape[1]} bins)",
        fontsize=10,
        color=INK,
        loc="left",
    )
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.01, fraction=0.03)
    bar.set_label("S/N", fontsize=10, color=INK)
    bar.outline.set_visible(False)
    axes.tick_params(width=0.5, length=2.5, color=INK)


def _draw_counts(axes: Axes, bins: xr.Dataset, order: NDArray[np.intp]) -> None:
    """Draw how many bins each band limits."""
    place, shades = _limiting(bins, order)
    counts = np.bincount(place[np.isfinite(place)].astype(int), minlength=len(order))
    axes.barh(np.arange(len(order)), counts, color=shades, edgecolor=INK, linewidth=0.4)
    for i, count in enumerate(counts):
        if count:
            axes.text(count, i, f" {count}", va="center", fontsize=8, color=INK)
    axes.set_xlim(0, 1.12 * max(int(counts.max(initial=0)), 1))
    axes.tick_params(labelleft=False, labelsize=8, width=0.5, length=2.5, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("bins limited by band", fontsize=10, color=INK, loc="left")
    axes.set_xlabel("bins", fontsize=10, color=INK)
