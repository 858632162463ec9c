"""The interactive viewer of a galaxy of a run: in a notebook, or as a page on disk."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.files import refuse_existing, write_text
from pxdask.core.flags import Flag
from pxdask.fitting.draws import star_formation_rates
from pxdask.fitting.tables import flag_words, results_of
from pxdask.plots.panels import window
from pxdask.report.labels import label, name_of, number, unit_text
from pxdask.report.pages import viewer_html
from pxdask.report.viewer_data import Histories, Layer, Seds, ViewerData, drawn_seds
from pxdask.survey.looking.plotting import brightest_bin, data_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.plots.panels import Window
    from pxdask.survey.looking.plotting import GalaxyData
    from pxdask.survey.results import Run

    Floats = NDArray[np.floating]

MAX_SIDE = 160
"""Pixels on a side of the viewer's maps; larger ones are shown by every second, third, ... pixel,
so that a page stays below some megabytes."""

N_HISTORY = 200
"""Bins whose star formation histories are made: those of most mass."""

N_DRAW = 60
"""Posterior samples of which a bin's history is made."""

N_TIME = 30
"""Intervals of lookback time."""

_PALETTES = {
    "log_mass_density": "Inferno256",
    "log_sfr_density": "Viridis256",
    "log_mw_age": "Plasma256",
    "logzsol": "Cividis256",
    "av": "Magma256",
}
_FIRST = ("log_mass_density", "log_sfr_density", "log_mw_age", "av", "logzsol")
"""Maps in the order in which they are offered; then follow other results, chi2, bands."""

_SHARED = ("log_mass", "log_sfr")
"""Sums over a bin's pixels: their maps are those of their surface densities."""


@dataclass(frozen=True, eq=False, repr=False)
class Viewer:
    """The interactive viewer of a galaxy: shows itself in a notebook, or goes to a file.

    A click on the map, or the number of a bin, shows the bin's SED with its best model, its
    results and its history. It needs neither a network nor a running kernel.

    Attributes
    ----------
    data : ViewerData
        What it shows.
    height : int
        Height in a notebook [pixel].
    """

    data: ViewerData
    height: int = 800

    def __repr__(self) -> str:
        """Return a line for where HTML is not shown."""
        return f"<viewer of {self.data.galaxy!r}, {self.data.n_bin} bins: .save(path) writes it>"

    def html(self) -> str:
        """Return the whole page, which needs nothing else."""
        return viewer_html(self.data)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the page, about 2 MB.

        Raises
        ------
        ConfigError
            If the file exists and is not to be overwritten.
        StoreError
            If it cannot be written.
        """
        to = Path(path)
        refuse_existing(to, overwrite=overwrite)
        write_text(self.html(), to)
        return to

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, so that no notebook's style or script meets it."""
        return (
            f'<iframe title="viewer of {escape(self.data.galaxy)}" srcdoc="{escape(self.html())}"'
            f' style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )


def view(run: Run, galaxy: str, *, max_side: int = MAX_SIDE) -> Viewer:
    """Return the interactive viewer of a galaxy.

    Parameters
    ----------
    run : Run
        The run.
    galaxy : str
        Identifier.
    max_side : int
        Largest number of pixels on a side of the maps; see `MAX_SIDE`.

    Raises
    ------
    ConfigError
        If there is no such galaxy.
    DataError
        If it has no maps yet.
    """
    return Viewer(viewer_data(data_of(run, galaxy), max_side=max_side))


def viewer_data(data: GalaxyData, *, max_side: int = MAX_SIDE) -> ViewerData:
    """Return what the viewer of a galaxy shows.

    Raises
    ------
    DataError
        If the galaxy has no maps, or no bin.
    """
    data.require("maps", "fit", "bins", "cube")
    bins, fit = data.bins, data.fit
    if bins.sizes["bin"] == 0:
        raise DataError(f"galaxy {data.galaxy!r} has no bin to view")
    bin_map = bins["bin_map"].values
    shown = window(str(data.maps.attrs["wcs"]), bin_map >= 0)
    side = max(shown.rows.stop - shown.rows.start, shown.columns.stop - shown.columns.start)
    step = -(-side // max_side)
    names = results_of(fit)
    quantiles = np.stack([fit[name].values for name in names]).astype(np.float32)
    return ViewerData(
        galaxy=data.galaxy,
        bin_map=np.ascontiguousarray(_sampled(bin_map, shown, step), np.int32),
        extent=_extent(shown, step),
        layers=tuple(_layers(data, shown, step)),
        seds=_seds(bins, fit),
        results=tuple((name_of(name), _unit(fit[name])) for name in names),
        quantiles=quantiles,
        histories=histories_of(data),
        notes=tuple(_notes(bins, fit)),
        start=brightest_bin(data),
    )


def _sampled(image: NDArray[np.generic], shown: Window, step: int) -> NDArray[np.generic]:
    """Return the shown part of ``(y, x)``, every ``step``-th pixel."""
    return image[shown.rows, shown.columns][::step, ::step]


def _extent(shown: Window, step: int) -> tuple[float, float, float, float]:
    """Return the ends of the shown part [arcsec], as wide as the sampled pixels are together."""
    left, _, bottom, _ = shown.extent
    n_x = -(-(shown.columns.stop - shown.columns.start) // step)
    n_y = -(-(shown.rows.stop - shown.rows.start) // step)
    side = step * shown.pixel
    return left, left + n_x * side, bottom, bottom + n_y * side


def _layers(data: GalaxyData, shown: Window, step: int) -> list[Layer]:
    """Return the maps to choose: properties, their errors, chi-square, bands."""
    layers = []
    maps, fit, cube = data.maps, data.fit, data.cube
    names = results_of(fit)
    of_maps = [str(name) for name in maps.data_vars]
    others = [name for name in names if name not in (*_FIRST, *_SHARED)]
    for name in [*(name for name in _FIRST if name in of_maps), *others]:
        of_bins = name in names
        source = fit[name] if of_bins else maps[name]
        values = source.sel(quantile=0.5).values
        values = values if of_bins else _sampled(values, shown, step)
        layers.append(_layer(label(name, _raw_unit(source)), values, _PALETTES.get(name)))
    for name in names:
        low, _, high = np.moveaxis(fit[name].values, 1, 0)
        unit = "dex" if _raw_unit(fit[name]).startswith("dex") else _unit(fit[name])
        text = f"error of {name_of(name)}" + (f" [{unit}]" if unit else "")
        layers.append(_layer(text, 0.5 * (high - low), "Cividis256"))
    layers.append(_layer(name_of("chi2"), fit["chi2"].values, "Viridis256"))
    for i in np.argsort(cube["pivot_wave"].values, kind="stable"):
        flux = _sampled(cube["flux"].values[i], shown, step).astype(np.float64)
        light = np.log10(flux, out=np.full(flux.shape, np.nan), where=flux > 0)
        layers.append(_layer(f"log flux, {cube['band'].values[i]} [µJy]", light, "Greys256"))
    return layers


def _layer(text: str, values: NDArray[np.generic], palette: str | None) -> Layer:
    """Return a map to choose."""
    return Layer(text, np.ascontiguousarray(values, np.float32), palette or "Viridis256")


def _raw_unit(variable: xr.DataArray) -> str:
    """Return the unit of a variable as it is stored."""
    return str(variable.attrs.get("units", ""))


def _unit(variable: xr.DataArray) -> str:
    """Return the unit of a variable as people write it."""
    return unit_text(_raw_unit(variable))


def _seds(bins: xr.Dataset, fit: xr.Dataset) -> Seds:
    """Return the SEDs of all bins as they are drawn."""
    return drawn_seds(
        tuple(str(name) for name in bins["band"].values),
        bins["pivot_wave"].values / 1e4,
        flux=bins["flux"].values,
        flux_err=bins["flux_err"].values,
        model=fit["model_flux"].values,
        is_limit=(bins["flags"].values & int(Flag.UPPER_LIMIT)) != 0,
        systematic=float(fit.attrs.get("systematic_error", 0.0)),
    )


def _notes(bins: xr.Dataset, fit: xr.Dataset) -> list[str]:
    """Return what is to be said of each bin."""
    flags = fit["flags"].values if "flags" in fit else np.zeros(bins.sizes["bin"], np.uint16)
    return [
        f"{n_pix} pixels, χ² = {number(float(chi2), digits=1)} for {n_used} bands"
        + (f", flags: {words}" if (words := flag_words(bits)) else "")
        for n_pix, chi2, n_used, bits in zip(
            bins["n_pix"].values, fit["chi2"].values, fit["n_used"].values, flags, strict=True
        )
    ]


def histories_of(data: GalaxyData, *, n_bin: int = N_HISTORY, n_draw: int = N_DRAW) -> Histories:
    """Return the star formation histories of the bins of most mass.

    Parameters
    ----------
    data : GalaxyData
        The galaxy.
    n_bin : int
        Bins to make them of; those of others are NaN.
    n_draw : int
        Posterior samples of each, of those that were kept. Where none were, the history is that
        of the parameters' medians, without an interval, and the note says so.
    """
    fit = data.fit
    mass = fit["log_mass"].sel(quantile=0.5).values
    known = np.flatnonzero(np.isfinite(mass))
    chosen = np.sort(known[np.argsort(-mass[known], kind="stable")][:n_bin])
    blank = Histories(
        np.empty(0), np.empty((fit.sizes["bin"], 3, 0), np.float32), "no bin has a history"
    )
    if not chosen.size:
        return blank
    posterior = data.posterior
    draws: dict[str, Floats]
    if data.has_samples:
        n_draw = min(n_draw, posterior.sample().sizes["sample"])
        samples = posterior.sample(n_draw).isel(bin=chosen)
        draws = {str(name): samples[name].values for name in samples.data_vars}
        note = f"median and 68 % of {n_draw} posterior samples"
    else:
        draws = {name: fit[name].sel(quantile=[0.5]).values[chosen] for name in results_of(fit)}
        note = "of the parameters' medians, since the run kept no samples (fit.n_samples)"
    whole = np.all([np.all(np.isfinite(values), axis=1) for values in draws.values()], axis=0)
    chosen = chosen[whole]
    flat = {name: values[whole].astype(np.float64).ravel() for name, values in draws.items()}
    if not chosen.size:
        return blank
    library = posterior.model_library(None if posterior.free_redshift else data.redshift)
    edges, rates = star_formation_rates(library, flat, n_time=N_TIME)
    spread = np.quantile(rates.reshape(chosen.size, -1, N_TIME), (0.16, 0.5, 0.84), axis=1)
    rate = np.full((fit.sizes["bin"], 3, N_TIME), np.nan, np.float32)
    rate[chosen] = np.moveaxis(spread, 0, 1)
    if chosen.size < known.size:
        note += f"; of the {chosen.size} bins of most mass"
    return Histories(0.5 * (edges[1:] + edges[:-1]), rate, note)
