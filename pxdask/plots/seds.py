"""Figures of SEDs: of bins, of single pixels, and of the models that fit a bin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from pxdask.core.flags import Flag
from pxdask.core.schema import BINS, FIT, IMAGE
from pxdask.plots.bin_maps import by_distance, require_bin
from pxdask.plots.panels import (
    ACCENTS,
    INK,
    NEUTRAL,
    Window,
    bins_view,
    draw_sed,
    frame,
    say_no_values,
)
from pxdask.plots.style import PALETTE, canvas, shades

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MOST_PIXELS = 30
"""Pixels of a bin that are drawn at most."""
_OTHERS = "0.78"
"""Grey of bins that are not the figure's."""
_LIMIT_SIGMA = 2.0
"""Fluxes below their error are drawn as limits of so many of it [sigma]."""
_PARTS: Mapping[str, tuple[str, str, float]] = {
    "stellar": ("stars", PALETTE[4], 0.8),
    "nebular": ("gas", PALETTE[2], 0.5),
    "dust": ("dust emission", PALETTE[3], 1.0),
    "agn": ("AGN torus", PALETTE[5], 1.0),
}
"""Name, colour and width of the line of each component of a model."""
_FLUX = r"flux density [$\mu$Jy]"


def fit_figure(
    bins: xr.Dataset,
    fit: xr.Dataset,
    *,
    number: int,
    title: str,
    model: xr.Dataset | None = None,
) -> Figure:
    """Return the figure of a bin's best fit: photometry, models, their parts, residuals.

    Parameters
    ----------
    bins, fit : xarray.Dataset
        Schemas bins/1 and fit/2. Fluxes below their error are drawn as 2-sigma limits;
        residuals are of the best model, over the error of the fit.
    number : int
        The bin.
    title : str
        Text above the figure.
    model : xarray.Dataset, optional
        Schema model-sed/1 of the bin: the posterior's spectra as median and band, the medians
        of stars, gas, dust and torus, and starlight were there no dust. Without it there is the
        best model's photometry alone.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    SchemaError
        If a dataset is another.
    DataError
        If there is no such bin.
    """
    BINS.validate(bins)
    FIT.validate(fit)
    require_bin(bins, number)
    figure = canvas(width=10.4, height=5.8, title=title)
    cells = figure.add_gridspec(2, 2, width_ratios=(3, 1), height_ratios=(3, 1), hspace=0.02)
    side = cells[:, 1].subgridspec(3, 1, height_ratios=(2.0, 1.3, 1.2))
    axes, residuals = figure.add_subplot(cells[0, 0]), figure.add_subplot(cells[1, 0])
    draw_sed(axes, residuals, bins, fit, number=number, joined=model is None)
    if model is not None:
        _draw_model(axes, model)
    locate(figure.add_subplot(side[0]), bins, {number: ACCENTS[0]})
    key, words = figure.add_subplot(side[1]), figure.add_subplot(side[2])
    key.set_axis_off()
    words.set_axis_off()
    key.legend(*axes.get_legend_handles_labels(), loc="center left", borderpad=0.0)
    lines = describe(bins, fit, number=number)
    if model is None:
        lines.append("no samples, no spectra")
    words.text(0.0, 1.0, "\n".join(lines), va="top", fontsize=9.5, linespacing=1.45)
    return figure


def seds_figure(
    bins: xr.Dataset,
    fit: xr.Dataset | None,
    *,
    numbers: Sequence[int],
    title: str,
) -> Figure:
    """Return the figure of the SEDs of some bins, per area, and where the bins are.

    Parameters
    ----------
    bins : xarray.Dataset
        Schema bins/1. Fluxes below their error are drawn as 2-sigma limits.
    fit : xarray.Dataset, optional
        Schema fit/2: photometry of the best models, as lines.
    numbers : sequence of int
        The bins.
    title : str
        Text above the figure.

    Returns, Raises : see `fit_figure`.
    """
    BINS.validate(bins)
    require_bin(bins, *numbers)
    figure = canvas(width=10.0, height=5.0, title=title)
    cells = figure.add_gridspec(1, 2, width_ratios=(2.2, 1))
    axes = figure.add_subplot(cells[0, 0])
    colours = dict(zip(numbers, shades(len(numbers)), strict=True))
    scale, unit = _area_scale(bins)
    order = np.argsort(bins["pivot_wave"].values, kind="stable")
    wave = bins["pivot_wave"].values[order] / 1e4
    for number, colour in colours.items():
        area = max(int(bins["n_pix"].values[number]), 1) * scale
        flux, error = (bins[n].values[number, order] / area for n in ("flux", "flux_err"))
        _draw_points(axes, wave, flux, error, colour=colour, label=f"bin {number}")
        if fit is not None:
            axes.plot(wave, fit["model_flux"].values[number, order] / area, color=colour, lw=0.9)
    _frame(axes, wave, rf"surface brightness [$\mu$Jy {unit}]", models=True)
    axes.legend(loc="best", ncols=2)
    if fit is not None:
        axes.set_title("lines: best models", loc="left", fontsize=9)
    locate(figure.add_subplot(cells[0, 1]), bins, colours)
    return figure


def pixels_figure(
    cube: xr.Dataset,
    bins: xr.Dataset,
    *,
    number: int,
    title: str,
    pixel: tuple[int, int] | None = None,
) -> Figure:
    """Return the figure of the SEDs of a bin's pixels, or of one pixel, and of the bin's mean.

    Lines of pixels are the brighter the more light the pixel has; a second map, of the bin alone,
    has each pixel in the colour of its line, and those that are not drawn in white.

    Parameters
    ----------
    cube, bins : xarray.Dataset
        Schemas image/1 and bins/1. Pixels' fluxes below their error are left out; of one pixel,
        and of the bin, they are drawn as 2-sigma limits.
    number : int
        The bin; of more than 30 pixels, 30 are drawn, evenly in the order of their light.
    title : str
        Text above the figure.
    pixel : (y, x), optional
        Only this pixel, with its errors.

    Returns, Raises : see `fit_figure`.
    """
    IMAGE.validate(cube)
    require_bin(BINS.validate(bins), number)
    figure = canvas(width=10.0, height=5.0, title=title)
    cells = figure.add_gridspec(1, 2, width_ratios=(2.2, 1))
    axes = figure.add_subplot(cells[0, 0])
    order = np.argsort(cube["pivot_wave"].values, kind="stable")
    wave = cube["pivot_wave"].values[order] / 1e4
    inside = bins["bin_map"].values == number
    n_pix = max(int(bins["n_pix"].values[number]), 1)
    mean, error = (bins[n].values[number] / n_pix for n in ("flux", "flux_err"))
    bin_order = np.argsort(bins["pivot_wave"].values, kind="stable")
    half = cells[0, 1].subgridspec(2, 1)
    where = figure.add_subplot(half[0] if pixel is None else cells[0, 1])
    view = locate(where, bins, {number: ACCENTS[1]})
    if pixel is None:
        shown = _draw_pixels(axes, cube, inside)
        axes.set_title("lines: pixels, dark to bright by their light", loc="left", fontsize=9)
        near = figure.add_subplot(half[1])
        _locate_pixels(near, bins["bin_map"].values, view, number, shown)
        near.set(xlabel=where.get_xlabel(), ylabel=where.get_ylabel())
    else:
        y, x = pixel
        flux, sigma = (cube[n].values[order, y, x].astype(float) for n in ("flux", "flux_err"))
        _draw_points(axes, wave, flux, sigma, colour=ACCENTS[0], label=f"pixel (y, x) = {y}, {x}")
        _mark(where, view, pixel)
    bin_wave = bins["pivot_wave"].values[bin_order] / 1e4
    _draw_points(
        axes, bin_wave, mean[bin_order], error[bin_order], colour=ACCENTS[1],
        label=f"mean of bin {number}",
    )  # fmt: skip
    _frame(axes, wave, r"flux density [$\mu$Jy pix$^{-1}$]")
    axes.legend(loc="best")
    return figure


def spread_bins(
    bins: xr.Dataset, n: int, *, candidates: NDArray[np.bool_] | None = None
) -> list[int]:
    """Return some bins, from the brightest outwards.

    Parameters
    ----------
    bins : xarray.Dataset
        Schema bins/1.
    n : int
        How many at most.
    candidates : (n_bin,) bool, optional
        Those to choose from; default: all with pixels.
    """
    n_pix = bins["n_pix"].values
    good = np.flatnonzero((n_pix > 0) & (True if candidates is None else candidates))
    if not good.size:
        good = np.flatnonzero(n_pix > 0)
    density = np.nan_to_num(bins["flux"].values, nan=0.0) / np.maximum(n_pix, 1)[:, None]
    light = density / np.maximum(np.abs(density).sum(axis=0), np.finfo(float).tiny)
    centre = int(good[np.argmax(light.sum(axis=1)[good])])
    order = by_distance(bins["bin_map"].values, centre=centre, among=good)
    return [int(i) for i in _spread(order, n)]


def describe(bins: xr.Dataset, fit: xr.Dataset, *, number: int) -> list[str]:
    """Return a bin's name and results, a line each."""
    lines = [f"bin {number}, {bins['n_pix'].values[number]} pixels"]
    for name, label in (("log_mass", r"$\log\,M_*$"), ("log_sfr", r"$\log\,\mathrm{SFR}$")):
        if name in fit and np.all(np.isfinite(fit[name].values[number])):
            low, median, high = fit[name].values[number]
            lines.append(
                rf"{label} = ${median:.2f}_{{-{median - low:.2f}}}^{{+{high - median:.2f}}}$"
            )
    chi2 = fit["chi2"].values[number]
    if np.isfinite(chi2):
        lines.append(rf"$\chi^2$ = {chi2:.1f}")
    if "flags" in fit and int(fit["flags"].values[number]) & Flag.FEW_MODELS:
        lines.append("few models")
    return lines


def locate(axes: Axes, bins: xr.Dataset, colours: Mapping[int, str]) -> Window:
    """Draw where some bins are, in their colours, among the others in grey; return the view."""
    bin_map = bins["bin_map"].values
    view = bins_view(bins)
    code = np.where(bin_map >= 0, 0.0, np.nan)
    for i, number in enumerate(colours, 1):
        code[bin_map == number] = i
    _show_codes(axes, code, view, [_OTHERS, *colours.values()])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3, symmetric=True))
    unit = "arcsec" if "wcs" in bins.attrs else "pix"
    axes.set_xlabel(f"offset [{unit}]")
    axes.set_ylabel(f"offset [{unit}]")
    return view


def _spread(items: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Return at most n items, the first and the last and some evenly between."""
    if items.size <= n:
        return items
    return items[np.unique(np.rint(np.linspace(0, items.size - 1, n)).astype(np.intp))]


def _area_scale(bins: xr.Dataset) -> tuple[float, str]:
    """Return the area of a pixel, and what brightness is per."""
    if "wcs" in bins.attrs:
        return bins_view(bins).pixel ** 2, r"arcsec$^{-2}$"
    return 1.0, r"pix$^{-1}$"


def _draw_points(
    axes: Axes, wave: Floats, flux: Floats, error: Floats, *, colour: str, label: str
) -> None:
    """Draw an SED, limits where its flux is below its error."""
    usable = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    seen = usable & (flux > error)
    limit = usable & ~seen
    axes.errorbar(
        wave[seen], flux[seen], error[seen], fmt="o", color=colour, ms=4.5, elinewidth=1.0,
        label=label, zorder=4,
    )  # fmt: skip
    top = np.maximum(flux[limit], 0) + _LIMIT_SIGMA * error[limit]
    axes.plot(wave[limit], top, "v", color=colour, mfc="white", ms=5, zorder=4)


def _draw_pixels(axes: Axes, cube: xr.Dataset, inside: NDArray[np.bool_]) -> dict[int, str]:
    """Draw the SEDs of a bin's pixels, and return the colours of those drawn.

    Keys are places among the pixels of ``inside`` (ny, nx).
    """
    order = np.argsort(cube["pivot_wave"].values, kind="stable")
    wave = cube["pivot_wave"].values[order] / 1e4
    flux = cube["flux"].values[order][:, inside].T.astype(np.float64)
    sigmas = cube["flux_err"].values[order][:, inside].T
    shown = _spread(np.argsort(np.nansum(flux, axis=1)), _MOST_PIXELS)
    colours = shades(shown.size, cmap="cividis")
    for row, sigma, colour in zip(flux[shown], sigmas[shown], colours, strict=True):
        axes.plot(wave, np.where(row > sigma, row, np.nan), color=colour, lw=0.7)
    axes.plot([], [], color="0.5", lw=0.7, label=f"{shown.size} of {inside.sum()} pixels, S/N > 1")
    return dict(zip(shown.tolist(), colours, strict=True))


def _locate_pixels(
    axes: Axes,
    bin_map: NDArray[np.integer],
    view: Window,
    number: int,
    colours: Mapping[int, str],
) -> None:
    """Draw a bin alone, its pixels in the colours of their lines, white where they have none.

    Offsets are those of the map of all bins, in its ``view``.
    """
    inside = bin_map == number
    code = np.where(bin_map >= 0, 0.0, np.nan)
    of_pixels = np.ones(int(inside.sum()))
    for i, place in enumerate(colours, 2):
        of_pixels[place] = i
    code[inside] = of_pixels
    _show_codes(axes, code, view, [_OTHERS, "white", *colours.values()])
    rest = "; white: no line" if inside.sum() > len(colours) else ""
    axes.set_title(f"colours of the lines{rest}", loc="left", fontsize=9)
    if not inside.any():
        return
    y, x = np.nonzero(inside)
    left, _, bottom, _ = view.extent
    side = (max(np.ptp(y), np.ptp(x)) + 3) * view.pixel  # a pixel around it
    at_x = left + (0.5 * (x.min() + x.max() + 1) - view.columns.start) * view.pixel
    at_y = bottom + (0.5 * (y.min() + y.max() + 1) - view.rows.start) * view.pixel
    axes.set(xlim=(at_x - side / 2, at_x + side / 2), ylim=(at_y - side / 2, at_y + side / 2))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3))


def _show_codes(axes: Axes, code: Floats, view: Window, colours: Sequence[str]) -> None:
    """Draw a map (ny, nx) of places in a list of colours; NaN is neutral grey."""
    axes.imshow(
        np.ma.masked_invalid(view.cut(code)),
        extent=view.extent,
        cmap=ListedColormap(list(colours)).with_extremes(bad=NEUTRAL),
        vmin=-0.5,
        vmax=len(colours) - 0.5,
        origin="lower",
        interpolation="nearest",
    )
    frame(axes, view)


def _draw_model(axes: Axes, model: xr.Dataset) -> None:
    """Draw the spectra of the models, within the axes' limits."""
    limits = axes.get_xlim(), axes.get_ylim()
    wave = model["wave"].values / 1e4
    inside = (wave > 0.95 * limits[0][0]) & (wave < 1.05 * limits[0][1])
    wave = wave[inside]
    spectrum = model["spectrum"].values[:, inside]
    low, middle, high = spectrum[0], spectrum[len(spectrum) // 2], spectrum[-1]
    axes.fill_between(wave, low, high, color=ACCENTS[1], alpha=0.25, lw=0, zorder=1.5)
    part = [f"{100 * float(q):.0f}" for q in model["quantile"].values[[0, -1]]]
    axes.plot(
        wave, middle, color=ACCENTS[1], lw=0.8, zorder=1.6,
        label=f"models, {part[0]}–{part[1]} %",
    )  # fmt: skip
    bare = model["without_dust"].values[inside]
    axes.plot(wave, bare, color="0.45", lw=0.7, ls=(0, (4, 2)), zorder=1.2, label="without dust")
    for name, values in zip(model["component"].values, model["parts"].values, strict=True):
        label, colour, width = _PARTS.get(str(name), (str(name), INK, 0.8))
        shown = np.where(values[inside] > 0, values[inside], np.nan)
        axes.plot(wave, shown, color=colour, lw=width, zorder=1.4, label=label)
    axes.set(xlim=limits[0], ylim=limits[1])


def _frame(axes: Axes, wave: Floats, label: str, *, models: bool = False) -> None:
    """Give the axes of SEDs their scales, limits and names.

    Where lines are of ``models``, which may vanish in a band, limits are those of the points.
    """
    axes.set_xscale("log")
    marked = [line for line in axes.lines if line.get_marker() not in {"None", None, ""}]
    counted = marked if models and marked else axes.lines
    drawn = [np.asarray(line.get_ydata(), np.float64) for line in counted]
    values = np.concatenate([*drawn, np.empty(0)])
    values = values[np.isfinite(values) & (values > 0)]
    if values.size:
        axes.set_yscale("log")
        axes.set_ylim(0.5 * values.min(), 2.5 * values.max())
    else:
        say_no_values(axes)
    axes.set_xlim(0.8 * wave.min(), 1.25 * wave.max())
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(r"observed wavelength [$\mu$m]")
    axes.set_ylabel(label)


def _mark(axes: Axes, view: Window, pixel: tuple[int, int]) -> None:
    """Mark a pixel on a map."""
    left, _, bottom, _ = view.extent
    x = left + (pixel[1] - view.columns.start + 0.5) * view.pixel
    y = bottom + (pixel[0] - view.rows.start + 0.5) * view.pixel
    axes.plot([x], [y], "o", ms=9, mfc="none", mec=ACCENTS[0], mew=1.6)
