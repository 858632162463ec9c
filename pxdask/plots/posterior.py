"""Figures of a bin's posterior: samples of its parameters, its star formation history."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, StrMethodFormatter

from pxdask.core.errors import DataError
from pxdask.core.schema import FIT
from pxdask.plots.bin_maps import require_bin
from pxdask.plots.panels import ACCENTS, INK, thin_lines
from pxdask.plots.picture import Picture
from pxdask.plots.style import DPI, TWINS, canvas, label_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEVELS = (0.393, 0.865)
"""Parts of the samples inside the contours: 1 and 2 sigma of a Gaussian in two dimensions."""
_SIDE = 1.45
"""Size of a panel of the corner figure [inch]."""
_MIN_SAMPLES = 20
"""Fewest different samples of which contours are drawn."""


def corner_figure(
    fit: xr.Dataset,
    *,
    number: int,
    title: str,
    names: Sequence[str] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> Figure:
    """Return the corner figure of a bin: samples of each pair of parameters, and of each alone.

    Contours hold 39 and 86 per cent of the samples; dashed lines are the 16, 50 and 84 per
    cent quantiles of the samples, which titles tell.

    Parameters
    ----------
    fit : xarray.Dataset
        Schema fit/2 with samples.
    number : int
        The bin.
    title : str
        Text above the figure.
    names : sequence of str, optional
        Parameters and derived quantities, in this order; default: all that vary, but those that are
        multiples of another.
    weights : (n_sample,) float64, optional
        Of the samples; default: all equal.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    SchemaError
        If the dataset is another.
    DataError
        If there is no such bin, a quantity has no samples, or the bin's samples are not finite
        or of too few models for a figure.

    Notes
    -----
    Drawn by corner: Foreman-Mackey 2016 (JOSS 1, 24).
    """
    chosen, samples = varying_samples(fit, number=number, names=names)
    corner = _corner()
    n = len(chosen)
    figure = Picture(figsize=(n * _SIDE + 0.9, n * _SIDE + 1.1), dpi=DPI)
    corner.corner(
        samples,
        weights=weights,
        fig=figure,
        labels=[label_of(name, fit[name].attrs) for name in chosen],
        bins=24,
        smooth=1.0,
        levels=LEVELS,
        color=ACCENTS[1],
        quantiles=(0.16, 0.5, 0.84),
        show_titles=True,
        title_fmt=".2f",
        title_kwargs={"fontsize": 9},
        label_kwargs={"fontsize": 10},
        max_n_ticks=4,
        plot_datapoints=True,
        data_kwargs={"ms": 2.0, "alpha": 0.35},
        fill_contours=True,
        plot_density=False,
    )
    _tidy(figure, n, title=title)
    return figure


def varying_samples(
    fit: xr.Dataset, *, number: int, names: Sequence[str] | None = None
) -> tuple[list[str], Floats]:
    """Return the quantities of a bin that vary over its samples, and these (n_sample, n_name).

    Parameters and Raises are those of `corner_figure`.
    """
    FIT.validate(fit)
    require_bin(fit, number)
    kept = [str(name)[: -len("_samples")] for name in fit.data_vars if "sample" in fit[name].dims]
    if not kept:
        raise DataError("no posterior samples were kept; set `fit: {n_samples: 300}`")
    if missing := [name for name in names or () if name not in kept]:
        raise DataError(f"there are no samples of {missing[0]!r}; wanted some of {', '.join(kept)}")
    first = [name for name in ("log_mass", "log_sfr") if name in kept]
    twins = {name for name, twin in TWINS.items() if twin in kept}
    wanted = list(names or [*first, *sorted(set(kept) - {*first, *twins})])
    columns = {n: fit[f"{n}_samples"].values[number].astype(np.float64) for n in wanted}
    if not all(np.all(np.isfinite(column)) for column in columns.values()):
        raise DataError(f"bin {number} has no posterior: its samples are not finite")
    count = {name: np.unique(column).size for name, column in columns.items()}
    varying = [name for name in wanted if count[name] > 1]
    most = max(count.values(), default=0)
    if not varying or most < _MIN_SAMPLES:
        raise DataError(
            f"the samples of bin {number} are of {most} different models; a corner figure wants"
            f" {_MIN_SAMPLES}: raise models.n_models, or fit.systematic_error if such precision is"
            " not believed"
        )
    return varying, np.column_stack([columns[name] for name in varying])


def history_figure(history: xr.Dataset, *, title: str) -> Figure:
    """Return the figure of a star formation history: rate, and mass formed, against lookback time.

    Lines are medians; bands hold 68 per cent, and 95 where there are such quantiles. The past is
    at the right, as in the viewer.

    Parameters
    ----------
    history : xarray.Dataset
        ``rate`` (quantile, time) [Msun yr-1] and ``formed`` (quantile, time), the part of the
        stars formed by the younger end of each interval; ``edge`` (edge) [Gyr], the intervals'
        ends; coordinate ``quantile``, symmetric about one half.
    title : str
        Text above the figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    DataError
        If no rate is finite.
    """
    rate, formed = history["rate"].values, history["formed"].values
    if not np.any(np.isfinite(rate)):
        raise DataError("the star formation history has no finite rate")
    edges = history["edge"].values
    figure = canvas(width=9.0, height=4.2, title=title)
    left, right = figure.subplots(1, 2)
    _draw_bands(left, edges, rate, history["quantile"].values)
    _draw_bands(right, edges, formed, history["quantile"].values)
    for axes in (left, right):
        # from the first interval's end: the logarithm of its beginning, now, is none
        axes.set_xscale("log")
        axes.set_xlim(0.7 * edges[1], edges[-1])
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(FormatStrFormatter(""))
        axes.set_xlabel("lookback time [Gyr]")
    left.set_ylim(bottom=0.0)
    right.set_ylim(0.0, 1.03)
    left.set_ylabel(r"star formation rate [$\mathrm{M_{\odot}\,yr^{-1}}$]")
    right.set_ylabel("part of the stars formed until then")
    left.legend(loc="best")
    return figure


def _draw_bands(axes: Axes, edges: Floats, values: Floats, quantiles: Floats) -> None:
    """Draw the median of a quantity that is constant in intervals, and its bands."""
    middle = int(np.argmin(np.abs(quantiles - 0.5)))
    starts = np.concatenate([[0.5 * edges[1]], edges[1:]])  # the axis has no zero
    n_pair = len(quantiles) // 2
    for pair in range(n_pair):
        low, high = values[pair], values[-1 - pair]
        part = 100 * (quantiles[-1 - pair] - quantiles[pair])
        axes.stairs(
            high, starts, baseline=low, fill=True, color=ACCENTS[1],
            alpha=0.18 + 0.14 * pair, lw=0, label=f"{part:.0f} % of the posterior",
        )  # fmt: skip
    axes.stairs(values[middle], starts, baseline=None, color=ACCENTS[1], lw=1.6, label="median")


def _tidy(figure: Figure, n: int, *, title: str) -> None:
    """Give the panels of a corner figure our lines, and room for labels and titles."""
    grid = np.array(figure.axes).reshape(n, n)
    for row in range(n):
        for column in range(row + 1):
            axes: Axes = grid[row, column]
            thin_lines(axes, labelsize=7.5)
            for one in (axes.xaxis, axes.yaxis):
                one.set_major_locator(MaxNLocator(3, prune="both"))
            if row == column:
                axes.set_yticks([])
                _shorten(axes)
    wide, high = figure.get_size_inches()
    figure.subplots_adjust(
        left=0.75 / wide, right=1 - 0.15 / wide, bottom=0.75 / high, top=1 - 0.6 / high,
        wspace=0.07, hspace=0.07,
    )  # fmt: skip
    for row in range(n):
        if row:
            grid[row, 0].yaxis.set_label_coords(-0.42, 0.5)
        grid[-1, row].xaxis.set_label_coords(0.5, -0.42)
    figure.suptitle(
        title, x=0.01, y=1 - 0.05 / high, ha="left", va="top", fontsize=12, color=INK, weight="bold"
    )


def _shorten(axes: Axes) -> None:
    """Leave a panel's title its numbers: the symbol is on the axis."""
    axes.set_title(axes.get_title().rpartition(" = ")[2], fontsize=9, color=INK)


def _corner() -> Any:  # noqa: ANN401  a module without types
    """Return the package corner."""
    with warnings.catch_warnings():
        # it imports arviz, if that is there, which tells every user of its next major version
        warnings.simplefilter("ignore", FutureWarning)
        return import_module("corner")
