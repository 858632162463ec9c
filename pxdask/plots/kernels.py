"""Figure that shows how well a matching kernel does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.colors import SymLogNorm

from pxdask.plots.panels import INK, thin_lines
from pxdask.plots.picture import Picture, write_png

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_DPI = 130
_STYLES = {
    "before": ("#4477aa", "-", 1.2),
    "target": ("#222222", "-", 3.0),
    "after": ("#ee6677", "--", 1.4),
}
"""Colour, line and width of each profile."""
_DEPTH = 1e-4
"""Faintest surface brightness shown, over the brightest."""
_TOLERANCE = 2.0
"""Difference of profiles that counts as matched [percent of the target's peak]."""


def kernel_figure(check: xr.Dataset, *, title: str = "") -> Figure:
    """Return a figure of a PSF before and after its kernel, and of the target.

    Parameters
    ----------
    check : xarray.Dataset
        Schema kernel-check/1.
    title : str
        What is matched to what.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Above: surface brightness, difference of profiles, enclosed flux, figures; widths are with
        the pixel. Below: images of the PSFs, the kernel and the difference, red above zero
        and blue below, on a scale that is logarithmic from 0.1 % of the peak. Independent of
        pyplot.
    """
    figure = Picture(figsize=(13, 6.4), dpi=_DPI, layout="constrained")
    if title:
        figure.suptitle(title, fontsize=11, color=INK)
    cells = figure.add_gridspec(2, 20, height_ratios=(1.25, 1))
    profile, difference, energy, words = (
        figure.add_subplot(cells[0, 5 * i : 5 * i + 5]) for i in range(4)
    )
    _draw_profiles(profile, check)
    _draw_difference(difference, check)
    _draw_energy(energy, check)
    _write_figures(words, check)
    peak = float(check.psf_target.max())
    panels = {
        "before": (check.psf_before, float(check.psf_before.max())),
        "kernel": (check.kernel, float(abs(check.kernel).max())),
        "after": (check.psf_after, peak),
        "target": (check.psf_target, peak),
        "after − target": (check.psf_after - check.psf_target, peak),
    }
    for i, (name, (image, top_value)) in enumerate(panels.items()):
        axes = figure.add_subplot(cells[1, 4 * i : 4 * i + 4])
        _draw_image(axes, image.values, top_value, scale=float(check.attrs["pixel_scale"]))
        axes.set_title(name, fontsize=9, color=INK)
    return figure


def write_kernel_figure(path: str | Path, check: xr.Dataset, *, title: str = "") -> None:
    """Write `kernel_figure` as a PNG file: whole or not at all, equal bytes for equal input.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    figure = kernel_figure(check, title=title)
    write_png(path, figure, dpi=_DPI)


def _draw_profiles(axes: Axes, check: xr.Dataset) -> None:
    """Draw the surface brightness of the three PSFs against radius."""
    peak = max(float(check[f"profile_{name}"].max()) for name in _STYLES)
    for name, (colour, line, width) in _STYLES.items():
        label = f"{name}: {float(check[f'fwhm_{name}']):.3g}″"
        values = check[f"profile_{name}"].where(check[f"profile_{name}"] > 0)
        axes.plot(check.radius, values, line, color=colour, lw=width, label=label)
    faintest = _DEPTH * min(peak, float(check.profile_target.max()))
    axes.set_yscale("log")
    axes.set_ylim(faintest, 2 * peak)
    seen = check.radius.where(check.profile_target > faintest, drop=True)
    axes.set_xlim(0, 1.1 * float(seen.max()))
    axes.legend(fontsize=8, frameon=False, title="FWHM", title_fontsize=8, loc="upper right")
    _label(axes, "surface brightness [arcsec$^{-2}$]")


def _draw_difference(axes: Axes, check: xr.Dataset) -> None:
    """Draw the difference between the profiles after and wanted, and the tolerance."""
    peak = float(check.profile_target[0])
    percent = 100 * (check.profile_after - check.profile_target) / peak
    limit = max(1.2 * _TOLERANCE, 1.2 * float(abs(percent).max()))
    axes.axhspan(-_TOLERANCE, _TOLERANCE, color="#222222", alpha=0.08, lw=0)
    axes.axhline(0, color=INK, lw=0.5)
    axes.plot(check.radius, percent, "-", color=_STYLES["after"][0], lw=1.4)
    axes.set_ylim(-limit, limit)
    axes.set_xlim(0, float(check.radius.max()))
    _label(axes, "after − target [% of the target's peak]")


def _draw_energy(axes: Axes, check: xr.Dataset) -> None:
    """Draw the flux enclosed by circles."""
    for name, (colour, line, width) in _STYLES.items():
        axes.plot(check.radius, check[f"energy_{name}"], line, color=colour, lw=width)
    axes.set_ylim(0, 1.05)
    axes.set_xlim(0, float(check.radius.max()))
    _label(axes, "enclosed flux")


def _write_figures(axes: Axes, check: xr.Dataset) -> None:
    """Write the numbers beside the curves."""
    axes.set_axis_off()
    rows = {
        "largest difference": "",
        "  of profiles": f"{100 * float(check.profile_residual):.2g} %",
        "  in a pixel": f"{100 * float(check.pixel_residual):.2g} %",
        "  of enclosed flux": f"{100 * float(check.curve_residual):.2g} %",
        "sum of |difference|": f"{float(check.absolute_residual):.2g}",
        "energy of difference": f"{float(check.energy_residual):.2g}",
        "kernel": "",
        "  sum": f"{float(check.flux):.5f}",
        "  negative part": f"{float(check.negative):.2g}",
        "  noise × ": f"{float(check.noise_factor):.3g}",
    }
    for i, (name, value) in enumerate(rows.items()):
        height = 0.97 - 0.095 * i
        axes.text(0, height, name, fontsize=8.5, color=INK, va="top", transform=axes.transAxes)
        axes.text(1, height, value, fontsize=8.5, color=INK, va="top", ha="right",
                  transform=axes.transAxes)  # fmt: skip


def _draw_image(axes: Axes, image: NDArray[np.float64], peak: float, *, scale: float) -> None:
    """Draw one image, its peak and the opposite at the ends of the colours."""
    half = image.shape[0] / 2 * scale
    norm = SymLogNorm(linthresh=1e-3 * peak, vmin=-peak, vmax=peak)
    axes.imshow(
        image,
        origin="lower",
        cmap="RdBu_r",
        norm=norm,
        extent=(-half, half, -half, half),
        interpolation="nearest",
    )
    thin_lines(axes, labelsize=7)
    axes.set_xlabel("arcsec", fontsize=8, color=INK)


def _label(axes: Axes, text: str) -> None:
    """Give a panel of curves its labels and lines."""
    axes.set_xlabel("radius [arcsec]", fontsize=9, color=INK)
    axes.set_ylabel(text, fontsize=9, color=INK)
    thin_lines(axes, is_open=True)
