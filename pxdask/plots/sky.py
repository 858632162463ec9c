"""Figures of images: every band on the sky, its signal-to-noise ratio, a colour composite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import AsinhNorm, LogNorm
from matplotlib.ticker import (
    NullLocator,
)

from pxdask.core.errors import DataError
from pxdask.core.schema import IMAGE
from pxdask.plots.panels import (
    INK,
    NEUTRAL,
    Window,
    colour_image,
    draw_compass,
    draw_map,
    draw_scale_bar,
    frame,
    plain_log_ticks,
    say_no_values,
    window,
)
from pxdask.plots.style import canvas, grid_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_FAINTEST = 1.0
"""Signal-to-noise ratio below which maps of it are all of one colour [1]."""
_SOFTENING = 1.5
"""Flux at which the colours of flux maps turn from linear to logarithmic [sigma of a pixel]."""


def flux_figure(
    cube: xr.Dataset,
    *,
    title: str,
    region: NDArray[np.bool_] | None = None,
    bands: Sequence[str] | None = None,
) -> Figure:
    """Return the figure of a galaxy's flux in each band, blue to red.

    Colours follow an inverse hyperbolic sine: linear within the noise, logarithmic above.

    Parameters
    ----------
    cube : xarray.Dataset
        Schema image/1, ``attrs`` wcs. NaN is neutral grey.
    title : str
        Text above the figure.
    region : (ny, nx) bool, optional
        Outlined, and the part of the sky that is shown; default: the whole image.
    bands : sequence of str, optional
        Default: all.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot; save it, or show it in a notebook.

    Raises
    ------
    SchemaError
        If the dataset is another.
    DataError
        If there is no such band.
    """
    numbers = _numbers(IMAGE.validate(cube), bands)
    view = _view(cube, region)
    figure, panels = _panels(len(numbers), view, title=title)
    for axes, number in zip(panels, numbers, strict=True):
        _draw_flux(axes, cube, number, view)
        _outline(axes, region, view)
        axes.set_title(_band_name(cube, number))
    return figure


def snr_figure(
    cube: xr.Dataset,
    *,
    title: str,
    region: NDArray[np.bool_] | None = None,
    bands: Sequence[str] | None = None,
) -> Figure:
    """Return the figure of the signal-to-noise ratio of each pixel in each band.

    All bands have the same colours, so that they can be compared; below 1 all is dark.

    Parameters, Returns and Raises are those of `flux_figure`.
    """
    numbers = _numbers(IMAGE.validate(cube), bands)
    view = _view(cube, region)
    figure, panels = _panels(len(numbers), view, title=title, bars=False)
    snr = snr_of(cube)
    shown = {number: view.cut(snr[number]) for number in numbers}
    inside = np.concatenate([image[image > _FAINTEST] for image in shown.values()])
    most = float(np.percentile(inside, 99.5)) if inside.size else 10.0
    norm = LogNorm(_FAINTEST, max(most, 2 * _FAINTEST))
    for axes, number in zip(panels, numbers, strict=True):
        # all below the faintest has the darkest colour, which LogNorm would leave out
        image = np.ma.masked_invalid(np.maximum(shown[number], 0.5 * _FAINTEST))
        drawn = axes.imshow(
            image,
            extent=view.extent,
            norm=norm,
            cmap=colormaps["viridis"].with_extremes(bad=NEUTRAL),
            origin="lower",
            interpolation="nearest",
        )
        frame(axes, view)
        _outline(axes, region, view, colour="white")
        median = _median(snr[number][_inside(cube, region)])
        axes.set_title(f"{_band_name(cube, number)}   median {median:.3g}")
    bar = figure.colorbar(drawn, ax=panels, fraction=0.03, pad=0.01, aspect=40, extend="min")
    bar.set_label("S/N per pixel")
    bar.outline.set_visible(False)
    plain_log_ticks(bar.ax, far=(1.0, 3.0))
    return figure


def colour_figure(
    cube: xr.Dataset,
    *,
    title: str,
    region: NDArray[np.bool_],
    kpc_per_pixel: float,
) -> Figure:
    """Return the figure of a colour composite, with a scale bar and the directions of the sky.

    Red, green and blue are the reddest, the middle and the bluest band that is well seen; where
    fewer than three are, one band is shown in grey.

    Parameters
    ----------
    cube : xarray.Dataset
        Schema image/1, ``attrs`` wcs.
    title : str
        Text above the figure.
    region : (ny, nx) bool
        The galaxy's pixels.
    kpc_per_pixel : float
        Scale of the bar.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    SchemaError
        If the dataset is another.
    """
    view = window(str(IMAGE.validate(cube).attrs["wcs"]), region)
    figure = canvas(width=6.2, height=6.2, title=title)
    axes = figure.add_subplot()
    draw_image(axes, cube, region, view, kpc_per_pixel=kpc_per_pixel)
    _label(axes)
    return figure


def snr_of(cube: xr.Dataset) -> Floats:
    """Return S/N of each pixel in each band, NaN where either is missing."""
    flux, flux_err = (cube[name].values.astype(np.float64) for name in ("flux", "flux_err"))
    usable = np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0)
    snr: Floats = np.divide(flux, flux_err, out=np.full(flux.shape, np.nan), where=usable)
    return snr


def middle_band(cube: xr.Dataset) -> int:
    """Return the number of the band in the middle of the wavelengths."""
    order = np.argsort(cube["pivot_wave"].values, kind="stable")
    return int(order[(len(order) - 1) // 2])


def composite_bands(cube: xr.Dataset, region: NDArray[np.bool_]) -> list[int]:
    """Return red, green and blue band, of those well seen; fewer than three if there are none."""
    seen = snr_of(cube)[:, region]
    medians = [_median(row) for row in seen]
    # bands that are seen but poorly would lay coloured noise over the image
    well, least = ([i for i, value in enumerate(medians) if value > level] for level in (5, 2))
    good = well if len(well) >= 3 else least
    order = sorted(good, key=lambda i: float(cube["pivot_wave"].values[i]))
    if len(order) < 3:
        return order
    return [order[-1], order[(len(order) - 1) // 2], order[0]]


def composite(
    cube: xr.Dataset, region: NDArray[np.bool_], view: Window, *, bands: Sequence[int]
) -> Floats | None:
    """Return the colour image (y, x, 3) of what is shown; None of other than three bands.

    Parameters
    ----------
    cube : xarray.Dataset
        Schema image/1.
    region : (ny, nx) bool
        The galaxy's pixels.
    view : Window
        What is shown.
    bands : sequence of int
        See `composite_bands`.
    """
    if len(bands) != 3:
        return None
    flux, flux_err = (view.cut(cube[name].values[list(bands)]) for name in ("flux", "flux_err"))
    return colour_image(flux, flux_err, region[view.rows, view.columns])


def _median(values: Floats) -> float:
    """Return the median of the finite values; NaN where there is none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def draw_image(
    axes: Axes, cube: xr.Dataset, region: NDArray[np.bool_], view: Window, *, kpc_per_pixel: float
) -> None:
    """Draw the galaxy: in colour where three bands are well seen, else one band."""
    bands = composite_bands(cube, region)
    image = composite(cube, region, view, bands=bands)
    if image is None:
        band = middle_band(cube)
        draw_map(
            axes, cube["flux"].values[band], view, label=r"flux [$\mu$Jy]", cmap="gray", log=True
        )
        names = f"{cube['band'].values[band]}"
    else:
        axes.imshow(image, origin="lower", extent=view.extent, interpolation="nearest")
        frame(axes, view)
        names = " / ".join(str(cube["band"].values[i]) for i in bands)
    axes.set_title(names, fontsize=10, color=INK)
    draw_scale_bar(axes, view, kpc_per_pixel=kpc_per_pixel)
    draw_compass(axes, view)


def _numbers(cube: xr.Dataset, bands: Sequence[str] | None) -> list[int]:
    """Return the numbers of bands, blue to red."""
    names = [str(name) for name in cube["band"].values]
    if missing := sorted(set(bands or ()) - set(names)):
        raise DataError(f"there is no band {missing[0]!r}; wanted some of {', '.join(names)}")
    order = [int(i) for i in np.argsort(cube["pivot_wave"].values, kind="stable")]
    return [i for i in order if bands is None or names[i] in bands]


def _band_name(cube: xr.Dataset, number: int) -> str:
    """Return what a panel calls a band."""
    return f"{cube['band'].values[number]}  ({cube['pivot_wave'].values[number] / 1e4:.3g} µm)"


def _view(cube: xr.Dataset, region: NDArray[np.bool_] | None) -> Window:
    """Return the part of the sky to show."""
    shape = (cube.sizes["y"], cube.sizes["x"])
    return window(str(cube.attrs["wcs"]), np.ones(shape, bool) if region is None else region)


def _inside(cube: xr.Dataset, region: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return the pixels to be judged by: the region, or all."""
    shape = (cube.sizes["y"], cube.sizes["x"])
    return np.ones(shape, bool) if region is None or not region.any() else region


def _panels(n: int, view: Window, *, title: str, bars: bool = True) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each band, offsets named at its left and its foot."""
    n_row, n_column = grid_of(n)
    left, right, bottom, top = view.extent
    side = 5.2 if n == 1 else 2.5
    tall = side * min(max((top - bottom) / (right - left), 0.4), 2.5)
    wide = n_column * side * (1.28 if bars else 1.05) + 0.5
    figure = canvas(
        width=wide + (0.0 if bars else 0.7), height=n_row * (tall + 0.35) + 0.8, title=title
    )
    grid = figure.subplots(n_row, n_column, squeeze=False, sharex=True, sharey=True)
    panels = list(grid.ravel())
    for axes in panels[n:]:
        axes.set_visible(False)
    for number, axes in enumerate(panels[:n]):
        last = number + n_column >= n
        axes.tick_params(labelbottom=last, labelleft=number % n_column == 0)
        if last:
            axes.set_xlabel("offset [arcsec]")
        if number % n_column == 0:
            axes.set_ylabel("offset [arcsec]")
    return figure, panels[:n]


def _draw_flux(axes: Axes, cube: xr.Dataset, number: int, view: Window) -> None:
    """Draw the flux of a band, with its colour bar."""
    flux, error = (view.cut(cube[name].values[number]) for name in ("flux", "flux_err"))
    noise = _median(error[error > 0])
    values = flux[np.isfinite(flux)]
    high = float(np.percentile(values, 99.8)) if values.size else 1.0
    if not np.isfinite(noise):
        noise = abs(high) / 10 or 1.0
    high = max(high, 3 * _SOFTENING * noise)
    drawn = axes.imshow(
        np.ma.masked_invalid(flux),
        extent=view.extent,
        norm=AsinhNorm(_SOFTENING * noise, vmin=-2 * noise, vmax=high),
        cmap=colormaps["inferno"].with_extremes(bad=NEUTRAL),
        origin="lower",
        interpolation="nearest",
    )
    frame(axes, view)
    bar = axes.figure.colorbar(drawn, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(r"flux [$\mu$Jy pix$^{-1}$]", fontsize=8.5)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5)
    decades = 10.0 ** np.arange(np.ceil(np.log10(3 * noise)), np.log10(high) + 0.01)
    bar.set_ticks([0.0, *decades[-3:]], labels=["0", *(f"{value:g}" for value in decades[-3:])])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    if not values.size:
        bar.set_ticks([])
        say_no_values(axes)


def _outline(
    axes: Axes, region: NDArray[np.bool_] | None, view: Window, *, colour: str = "white"
) -> None:
    """Draw the border of the region."""
    if region is None:
        return
    shown = region[view.rows, view.columns]
    if not shown.any() or shown.all():
        return
    left, right, bottom, top = view.extent
    x = left + view.pixel * (np.arange(shown.shape[1]) + 0.5)
    y = bottom + view.pixel * (np.arange(shown.shape[0]) + 0.5)
    axes.contour(x, y, shown.astype(float), levels=[0.5], colors=[colour], linewidths=0.7)
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _label(axes: Axes) -> None:
    """Name the axes of a sky panel."""
    axes.set_xlabel("offset [arcsec]")
    axes.set_ylabel("offset [arcsec]")
