"""Figure of a bin's photometry and spectrum on one axis, with model and emission lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import blended_transform_factory

from pxdask.core.errors import SchemaError
from pxdask.core.schema import BINS, FIT
from pxdask.kernels.bandpass import flux_per_wavelength
from pxdask.kernels.emission_lines import EMISSION_LINES
from pxdask.plots.panels import ACCENTS, INK
from pxdask.plots.picture import Picture, write_png

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_DPI = 120
_UNIT = 1e-17
_LABELS = {
    "[O II] 3727": "[O II]",
    "H delta": r"H$\delta$",
    "H gamma": r"H$\gamma$",
    "H beta": r"H$\beta$",
    "[O III]": "[O III]",
    "[O I]": "[O I]",
    "[N II] and H alpha": r"H$\alpha$",
    "[S II]": "[S II]",
    "[S III]": "[S III]",
}
"""Lines that are marked, of `EMISSION_LINES`, and their names in the figure."""

_GREY = "0.55"
_TALLEST = 6.0
"""Top of the axis at most, in units of the flux that 95 % of wavelengths do not reach [1]."""


_LABEL_HEIGHTS = (1.015, 1.06)
"""Where names of lines stand: the second for one that is crowded by the one before [axes]."""

_LABEL_ROOM = 0.045
"""Distance of names that do not crowd each other [part of the axis]."""


def spectrum_figure(
    bins: xr.Dataset,
    *,
    number: int,
    redshift: float,
    title: str,
    fit: xr.Dataset | None = None,
) -> Figure:
    """Return the figure of one bin's photometry and spectrum.

    Left all bands and the spectrum; right the spectrum's own range, with the wavelengths of
    emission lines and, where there is a fit, its residual in units of the error below.

    Parameters
    ----------
    bins : Dataset
        Schema bins/1 with spectra.
    number : int
        The bin.
    redshift : float
        Of the lines.
    title : str
        Text above the figure.
    fit : Dataset, optional
        Schema fit/2 of the bins: the best model's photometry and, if it has it, spectrum.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    SchemaError
        If a dataset is another, the bins have no spectra, or there is no such bin.
    """
    BINS.validate(bins)
    if fit is not None:
        FIT.validate(fit)
    if "spectrum" not in bins or "wave" not in bins:
        raise SchemaError(
            "the bins have no spectra; wanted bins/1 with spectrum and wave: name a spectral cube"
            " under `ifs` of the settings"
        )
    if not 0 <= number < bins.sizes["bin"]:
        raise SchemaError(f"no bin {number}; wanted one from 0 to {bins.sizes['bin'] - 1}")
    figure = Picture(figsize=(15, 6), dpi=_DPI)
    figure.suptitle(title, x=0.06, y=0.965, ha="left", fontsize=14, color=INK, weight="bold")
    place = figure.add_gridspec(
        2, 2, left=0.06, right=0.985, top=0.87, bottom=0.095, wspace=0.12, hspace=0.0,
        width_ratios=(1, 1.7), height_ratios=(3.2, 1),
    )  # fmt: skip
    whole, near = figure.add_subplot(place[:, 0]), figure.add_subplot(place[0, 1])
    below = figure.add_subplot(place[1, 1], sharex=near)
    _draw_photometry(whole, bins, fit, number)
    _draw_photometry(near, bins, fit, number)
    model = _model_spectrum(bins, fit, number)
    for axes in (whole, near):
        _draw_spectrum(axes, bins, model, number)
    _frame_whole(whole, bins)
    _frame_near(near, bins, number)
    _mark_lines(near, redshift)
    _draw_residual(below, bins, model, number)
    whole.legend(loc="lower left", fontsize=9, frameon=False)
    return figure


def write_spectrum_figure(
    path: str | Path,
    bins: xr.Dataset,
    *,
    number: int,
    redshift: float,
    title: str,
    fit: xr.Dataset | None = None,
) -> None:
    """Write `spectrum_figure` as a PNG file: whole or not at all, equal bytes for equal content.

    Raises
    ------
    SchemaError
        As `spectrum_figure`.
    StoreError
        If the file cannot be written.
    """
    figure = spectrum_figure(bins, number=number, redshift=redshift, title=title, fit=fit)
    write_png(path, figure, dpi=_DPI)


def _per_angstrom(flux: Floats, pivot: Floats) -> Floats:
    """Return flux densities of bands [1e-17 erg s-1 cm-2 Angstrom-1] from those in uJy."""
    return flux_per_wavelength(flux, pivot=pivot) / _UNIT


def _draw_photometry(axes: Axes, bins: xr.Dataset, fit: xr.Dataset | None, number: int) -> None:
    """Draw bands and what the best model has in them."""
    pivot = bins["pivot_wave"].values
    flux, error = (_per_angstrom(bins[name].values[number], pivot) for name in ("flux", "flux_err"))
    shown = np.isfinite(flux) & (error > 0) & (flux > error)
    if fit is not None:
        model = _per_angstrom(fit["model_flux"].values[number], pivot)
        axes.plot(pivot, model, "s", color=ACCENTS[1], mfc="none", ms=9, mew=1.3, label="model",
                  zorder=4)  # fmt: skip
    axes.errorbar(pivot[shown], flux[shown], error[shown], fmt="o", color=ACCENTS[0], ms=5, lw=1.3,
                  capsize=2, zorder=5, label="photometry")  # fmt: skip


def _draw_spectrum(axes: Axes, bins: xr.Dataset, model: Floats | None, number: int) -> None:
    """Draw the spectrum, its error as a band, and the model's."""
    wave = bins["wave"].values
    flux, error = (bins[name].values[number] for name in ("spectrum", "spectrum_err"))
    axes.fill_between(wave, flux - error, flux + error, color="0.85", lw=0, zorder=1)
    axes.plot(wave, flux, color=_GREY, lw=0.7, label="spectrum", zorder=2)
    if model is not None:
        axes.plot(wave, model, color=ACCENTS[1], lw=0.9, label="model spectrum", zorder=3)


def _model_spectrum(bins: xr.Dataset, fit: xr.Dataset | None, number: int) -> Floats | None:
    """Return the spectrum of the best model, if the fit has one at the wavelengths of the data."""
    if fit is None or "model_spectrum" not in fit:
        return None
    model = np.asarray(fit["model_spectrum"].values[number], np.float64)
    return model if model.shape == bins["wave"].shape and np.any(np.isfinite(model)) else None


def _frame_whole(axes: Axes, bins: xr.Dataset) -> None:
    """Give the axes of all bands their scales."""
    pivot = bins["pivot_wave"].values
    axes.set(xscale="log", yscale="log", xlim=(0.8 * pivot.min(), 1.25 * pivot.max()))
    shown = [line.get_ydata() for line in axes.lines if line.get_marker() in {"o", "s"}]
    values = np.concatenate([np.asarray(each, np.float64) for each in shown])
    values = values[np.isfinite(values) & (values > 0)]
    if values.size:
        axes.set_ylim(0.3 * values.min(), 4 * values.max())
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(r"observed wavelength [$\mathrm{\AA}$]", fontsize=10, color=INK)
    axes.set_ylabel(
        r"$F_\lambda$ [$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ $\mathrm{\AA}^{-1}$]", fontsize=10,
        color=INK,
    )  # fmt: skip


def _frame_near(axes: Axes, bins: xr.Dataset, number: int) -> None:
    """Give the axes of the spectrum their range: all but noise and lines of great height."""
    wave = bins["wave"].values
    flux, error = (bins[name].values[number] for name in ("spectrum", "spectrum_err"))
    good = np.isfinite(flux) & (error > 0)
    if not np.any(good):
        axes.text(0.5, 0.5, "no spectrum", transform=axes.transAxes, ha="center", color="0.5")
        axes.set_xlim(wave[0], wave[-1])
        return
    low, usual = np.percentile(flux[good], (0.5, 95))
    sure = good & (error < 3 * np.median(error[good]))
    high = max(usual, min(float(np.max(flux[sure])), _TALLEST * abs(usual)))
    axes.set(xlim=(wave[good][0], wave[good][-1]))
    axes.set_ylim(min(0.0, 1.1 * low), 1.08 * high)
    axes.tick_params(labelbottom=False)


def _mark_lines(axes: Axes, redshift: float) -> None:
    """Draw the wavelengths of emission lines, and their names."""
    left, right = axes.get_xlim()
    along = blended_transform_factory(axes.transData, axes.transAxes)
    seen = {
        float(np.mean(EMISSION_LINES[name])) * (1 + redshift): (name, label)
        for name, label in _LABELS.items()
    }
    before, height = -np.inf, _LABEL_HEIGHTS[0]
    for middle, (name, label) in sorted(seen.items()):
        if not left < middle < right:
            continue
        for wave in np.array(EMISSION_LINES[name]) * (1 + redshift):
            axes.axvline(wave, color=ACCENTS[0], lw=0.6, ls=":", alpha=0.7, zorder=0)
        crowded = middle - before < _LABEL_ROOM * (right - left)
        low, high = _LABEL_HEIGHTS
        height = high if crowded and height == low else low
        axes.text(middle, height, label, transform=along, ha="center", fontsize=8.5, color=INK)
        before = middle


def _draw_residual(axes: Axes, bins: xr.Dataset, model: Floats | None, number: int) -> None:
    """Draw spectrum less model over the error; without a model the signal-to-noise ratio."""
    wave = bins["wave"].values
    flux, error = (bins[name].values[number] for name in ("spectrum", "spectrum_err"))
    usable = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    above = flux if model is None else flux - model
    values = np.divide(above, error, out=np.full(flux.shape, np.nan), where=usable)
    axes.plot(wave, values, color=_GREY, lw=0.6)
    axes.axhline(0, color=INK, lw=0.6)
    axes.set_ylabel("S/N" if model is None else r"residual [$\sigma$]", fontsize=10, color=INK)
    finite = values[np.isfinite(values)]
    if finite.size and model is not None:
        reach = 1.3 * max(3.0, float(np.percentile(np.abs(finite), 99)))
        axes.set_ylim(-reach, reach)
    # the panel above ends where this one begins: there its own label stands
    axes.yaxis.set_major_locator(MaxNLocator(4, prune="upper"))
    axes.set_xlabel(r"observed wavelength [$\mathrm{\AA}$]", fontsize=10, color=INK)
