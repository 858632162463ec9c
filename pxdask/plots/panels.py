"""Parts of figures: sky images with offsets in arcsec, colour composites, SEDs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NEUTRAL = "0.93"
"""Grey of pixels without a value."""
INK = "0.15"
"""Near-black of text and lines."""
_WHITE = 0.3
"""Part of the mean intensity mixed into each channel of a colour image [1]."""
_FAINT = 0.05
"""Least model flux that axes of SEDs reach down to [faintest flux seen]."""
ACCENTS = ("#D55E00", "#0072B2")
"""Vermilion and blue of Okabe & Ito (2008), told apart in every form of colour vision."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the images that is shown.

    Attributes
    ----------
    rows, columns : slice
        The part, in pixels.
    pixel : float
        Side of a pixel [arcsec].
    north : (2,) float64
        Direction of north, as (x, y) of unit length; east is to its left on the sky.
    east : (2,) float64
        Direction of east, likewise.
    """

    rows: slice
    columns: slice
    pixel: float
    north: Floats
    east: Floats

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top offset from the middle of the part [arcsec]."""
        half_x = 0.5 * (self.columns.stop - self.columns.start) * self.pixel
        half_y = 0.5 * (self.rows.stop - self.rows.start) * self.pixel
        return -half_x, half_x, -half_y, half_y

    def cut(self, image: NDArray[np.generic]) -> Floats:
        """Return the shown part of ``(..., y, x)`` as float64."""
        return np.asarray(image[..., self.rows, self.columns], np.float64)


def window(wcs_text: str, region: NDArray[np.bool_]) -> Window:
    """Return the square around a region, with a margin, inside the image.

    Parameters
    ----------
    wcs_text : str
        FITS header.
    region : (y, x) bool
        Pixels to show; none: the whole image.
    """
    wcs = WCS(wcs_text).celestial
    n_y, n_x = region.shape
    rows, columns = slice(0, n_y), slice(0, n_x)
    if region.any():
        y, x = np.nonzero(region)
        side = math.ceil(1.12 * (max(np.ptp(y), np.ptp(x)) + 1)) + 2
        rows = _centred((y.min() + y.max()) // 2, side, n_y)
        columns = _centred((x.min() + x.max()) // 2, side, n_x)
    middle = np.array([(columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2])
    ra, dec = (float(axis) for axis in wcs.pixel_to_world_values(*middle))
    step = 1e-3
    towards = [(ra, dec + step), (ra + step / math.cos(math.radians(dec)), dec)]
    north, east = (np.array(wcs.world_to_pixel_values(*point)) - middle for point in towards)
    return Window(
        rows=rows,
        columns=columns,
        pixel=3600 * math.sqrt(float(proj_plane_pixel_area(wcs))),
        north=north / np.linalg.norm(north),
        east=east / np.linalg.norm(east),
    )


def bins_view(bins: xr.Dataset) -> Window:
    """Return the part of the sky around a galaxy's bins.

    Offsets are in arcsec if ``attrs`` have a ``wcs``, else in pixels.
    """
    inside = bins["bin_map"].values >= 0
    if "wcs" in bins.attrs:
        return window(str(bins.attrs["wcs"]), inside)
    plain = WCS(naxis=2)  # pixels of an arcsec, so that offsets are pixels
    plain.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    plain.wcs.cdelt = [-1 / 3600, 1 / 3600]
    return window(plain.to_header().tostring(), inside)


def _centred(middle: int, side: int, size: int) -> slice:
    """Return ``side`` pixels around one, moved and cut to lie inside the image."""
    side = min(side, size)
    start = min(max(int(middle) - side // 2, 0), size - side)
    return slice(start, start + side)


def draw_map(
    axes: Axes,
    image: Floats,
    view: Window,
    *,
    label: str,
    cmap: str,
    log: bool = False,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a quantity on the sky with its colour bar; NaN is neutral grey.

    Colours span the central 98 per cent of the values.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    image : (y, x)
        The whole image.
    view : Window
        Its part to show.
    label : str
        Name and unit, beside the colour bar.
    cmap : str
        A perceptually uniform colour map.
    log : bool
        Whether colours follow the logarithm; values <= 0 are then without colour.
    limits : (low, high), optional
        Values at the ends of the colours, instead of those of the central 98 per cent.
    """
    shown = view.cut(image)
    if log:
        shown = np.where(shown > 0, shown, np.nan)
    values = shown[np.isfinite(shown)]
    low, high = np.percentile(values, [1, 99]) if values.size else (1.0, 2.0)
    if high - low < 1e-6 * abs(high):
        low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
    low, high = (low, high) if limits is None else limits
    norm = LogNorm(low, high) if log else Normalize(low, high)
    drawn = axes.imshow(
        np.ma.masked_invalid(shown),
        origin="lower",
        extent=view.extent,
        norm=norm,
        cmap=colormaps[cmap].with_extremes(bad=NEUTRAL),
        interpolation="nearest",
    )
    bar_axes = axes.inset_axes((1.03, 0.0, 0.05, 1.0))
    bar = axes.figure.colorbar(drawn, cax=bar_axes)
    bar.set_label(label, fontsize=10, color=INK)
    bar.outline.set_visible(False)
    bar_axes.tick_params(labelsize=8, width=0.5, length=2.5, which="both", color=INK)
    if log:
        plain_log_ticks(bar_axes)
    else:
        bar.ax.yaxis.set_major_locator(MaxNLocator(6))
    if not values.size:
        bar.set_ticks([])
        say_no_values(axes)
    frame(axes, view)


def say_no_values(axes: Axes) -> None:
    """Write in the middle of a panel that there is nothing to draw."""
    axes.text(
        0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color="0.5", fontsize=10
    )


def thin_lines(axes: Axes, *, labelsize: float = 8.0, is_open: bool = False) -> None:
    """Give axes thin spines and ticks; open axes have none above and to the right."""
    axes.tick_params(labelsize=labelsize, width=0.5, length=2.5, which="both", color=INK)
    axes.spines[:].set(linewidth=0.5, color=INK)
    if is_open:
        axes.spines[["top", "right"]].set_visible(False)


def plain_log_ticks(axes: Axes, *, far: tuple[float, ...] = (1.0,)) -> None:
    """Label a logarithmic vertical axis with plain numbers at 1, 2, 5 of each decade.

    Where it spans more than a factor of 300, they are at the multiples ``far`` of each decade.
    """
    low, high = axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if high < 300 * low else far
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def frame(axes: Axes, view: Window) -> None:
    """Give sky axes their limits and ticks."""
    left, right, bottom, top = view.extent
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", facecolor=NEUTRAL)
    axes.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    thin_lines(axes)


def _outlined() -> list[withStroke]:
    """Return the dark outline that lets white marks be read on any image."""
    return [withStroke(linewidth=2.5, foreground="0.1")]


def draw_scale_bar(axes: Axes, view: Window, *, kpc_per_pixel: float) -> None:
    """Draw a bar of a round number of kpc, about a quarter of the panel long."""
    left, right, bottom, top = view.extent
    kpc_per_arcsec = kpc_per_pixel / view.pixel
    wanted = 0.28 * (right - left) * kpc_per_arcsec
    power = 10.0 ** math.floor(math.log10(wanted))
    length = power * max(step for step in (1, 2, 5) if step * power <= wanted)
    x, y = left + 0.07 * (right - left), bottom + 0.07 * (top - bottom)
    ends = [x, x + length / kpc_per_arcsec]
    axes.plot(ends, [y, y], color="0.1", lw=3.5, solid_capstyle="projecting")
    axes.plot(ends, [y, y], color="white", lw=2, solid_capstyle="butt")
    axes.text(
        x + 0.5 * length / kpc_per_arcsec,
        y + 0.02 * (top - bottom),
        f"{length:g} kpc",
        color="white",
        path_effects=_outlined(),
        fontsize=9,
        ha="center",
        va="bottom",
    )


def draw_compass(axes: Axes, view: Window) -> None:
    """Draw arrows to the north and to the east."""
    # In the corner that both arrows point away from, so that they stay inside.
    inward = view.north + view.east
    start = np.array([0.94 if inward[0] < 0 else 0.8, 0.8 if inward[1] > 0 else 0.94])
    for name, direction in (("N", view.north), ("E", view.east)):
        tip = start + 0.10 * direction
        axes.annotate(
            "",
            (float(tip[0]), float(tip[1])),
            (float(start[0]), float(start[1])),
            xycoords="axes fraction",
            arrowprops={
                "arrowstyle": "-|>",
                "color": "white",
                "lw": 1,
                "shrinkA": 0,
                "shrinkB": 0,
                "path_effects": _outlined(),
            },
        )
        at = start + 0.135 * direction
        axes.text(
            float(at[0]),
            float(at[1]),
            name,
            transform=axes.transAxes,
            color="white",
            path_effects=_outlined(),
            fontsize=8,
            ha="center",
            va="center",
        )


def colour_image(flux: Floats, flux_err: Floats, region: NDArray[np.bool_]) -> Floats | None:
    """Return a colour composite of three bands, in the manner of Lupton et al. 2004.

    Parameters
    ----------
    flux, flux_err : (3, y, x)
        Red, green and blue band and their uncertainties [uJy]; NaN is black.
    region : (y, x) bool
        Pixels whose summed light is made white.

    Returns
    -------
    image : (y, x, 3) or None
        Between 0 and 1; None where a band has no light in the region.

    Notes
    -----
    Source: Lupton et al. 2004 (PASP 116, 133): an inverse hyperbolic sine of the mean
    intensity, which keeps colours at every brightness.
    """
    light = np.array([np.nansum(band[region]) for band in flux])
    if not np.all(light > 0):
        return None
    balanced = np.nan_to_num(flux / light[:, None, None])
    noise = np.array(
        [np.median(band[np.isfinite(band)]) if np.isfinite(band).any() else 0 for band in flux_err]
    )
    mean = np.clip(balanced.mean(axis=0), 0, None)
    peak = float(np.percentile(mean[region], 99.7))
    softening = max(float(np.hypot.reduce(noise / light)), 0.03 * peak)
    stretched = np.arcsinh(mean / softening) / math.asinh(max(peak, softening) / softening)
    ratio = np.divide(stretched, mean, out=np.zeros_like(mean), where=mean > 0)
    # A part of the light in all three channels keeps noise from looking like coloured stars.
    image = np.clip(((1 - _WHITE) * balanced + _WHITE * mean) * ratio, 0, None)
    brightest = np.maximum(image.max(axis=0), 1.0)
    return np.asarray(np.moveaxis(image / brightest, 0, -1))


def draw_sed(
    axes: Axes,
    residuals: Axes,
    bins: xr.Dataset,
    fit: xr.Dataset,
    *,
    number: int,
    joined: bool = True,
) -> None:
    """Draw the observed SED of a bin, its best model, and their difference over the error.

    Parameters
    ----------
    axes, residuals : Axes
        Where to draw fluxes and residuals.
    bins, fit : xarray.Dataset
        Schemas bins/1 and fit/2.
    number : int
        The bin. A flux below its uncertainty is drawn as a 2-sigma upper limit. Bars show
        the observed error; residuals are over the error of the fit, which holds the
        systematic one (``attrs['systematic_error']`` of the fit).
    joined : bool
        Whether a line joins the model's fluxes.
    """
    order = np.argsort(bins["pivot_wave"].values, kind="stable")
    wave = bins["pivot_wave"].values[order] / 1e4
    flux, flux_err = (bins[name].values[number, order] for name in ("flux", "flux_err"))
    model = fit["model_flux"].values[number, order]
    usable = np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0)
    seen = usable & (flux > flux_err)
    limit = usable & ~seen
    line = "-s" if joined else "s"
    axes.plot(wave, model, line, color=ACCENTS[1], mfc="white", ms=7, lw=1, mew=1.2, label="model")
    axes.errorbar(
        wave[seen],
        flux[seen],
        flux_err[seen],
        fmt="o",
        label="observed",
        color=ACCENTS[0],
        ms=4.5,
        lw=1.2,
        capsize=2,
        zorder=3,
    )
    if limit.any():
        top = np.maximum(flux[limit], 0) + 2 * flux_err[limit]
        axes.plot(wave[limit], top, "v", color=ACCENTS[0], mfc="white", label=r"$2\sigma$ limit")
    shown = np.concatenate([flux[seen], model[model > 0]])
    axes.set_xscale("log")
    if shown.size:
        axes.set_yscale("log")
        # a model that vanishes in some band is not what the axis is for
        least = max(shown.min(), _FAINT * flux[seen].min()) if seen.any() else shown.min()
        axes.set_ylim(0.4 * least, 4 * shown.max())
        plain_log_ticks(axes)
    else:
        say_no_values(axes)
    error = np.hypot(flux_err, float(fit.attrs.get("systematic_error", 0)) * flux)
    residual = np.divide(flux - model, error, out=np.full(flux.shape, np.nan), where=usable)
    residuals.axhline(0, color=INK, lw=0.6)
    residuals.plot(wave, residual, "o", color=ACCENTS[0], ms=4)
    reach = 1.2 * max(3.0, float(np.max(np.abs(residual[np.isfinite(residual)]), initial=0)))
    residuals.set(xscale="log", ylim=(-reach, reach), xlim=(0.8 * wave.min(), 1.25 * wave.max()))
    axes.set_xlim(residuals.get_xlim())
    _label_waves(axes, residuals, wave)


def _label_waves(axes: Axes, residuals: Axes, wave: Floats) -> None:
    """Give the axes of an SED their ticks and names."""
    steps = np.array([0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50, 100, 200, 500])
    inside = steps[(steps > 0.8 * wave.min()) & (steps < 1.25 * wave.max())]
    residuals.set_xticks(inside, [f"{step:g}" for step in inside])
    for one in (axes, residuals):
        one.xaxis.set_minor_formatter(NullFormatter())
        thin_lines(one)
    axes.set_xticks(inside, [""] * inside.size)
    axes.set_ylabel(r"flux density [$\mu$Jy]", fontsize=10, color=INK)
    residuals.set_xlabel(r"observed wavelength [$\mu$m]", fontsize=10, color=INK)
    residuals.set_ylabel(r"residual [$\sigma$]", fontsize=9, color=INK)
