"""Commands of ``pxdask bins``: show, plot, export, import."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  typer evaluates annotations
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import xarray as xr

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Bins of pixels: how good they are, and exchange with piXedfit.",
)
out = Console()

QUANTILES = (0.0, 0.16, 0.5, 0.84, 1.0)
"""Parts of the bins whose S/N is below the figures shown."""
_PARTS = " (least, 16 %, median, 84 %, most)"

RunFolder = Annotated[str, typer.Argument(help="folder of the run")]
Galaxy = Annotated[str, typer.Argument(help="identifier of the galaxy")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the file if it is there")]


@app.command()
def show(
    store: RunFolder,
    galaxy: Galaxy,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON, for programs")] = False,
) -> None:
    """Show how good a galaxy's bins are: S/N by band, bands that limit, shapes, SEDs."""
    from pxdask.survey.results import open_run  # noqa: PLC0415  commands load what they need

    figures = _figures(open_run(store).dataset(galaxy, "bins"))
    if as_json:
        _say(json.dumps({"galaxy": galaxy, **figures}, allow_nan=False))
        return
    n_bin, n_pix = figures["n_bin"], figures["n_pix"]
    _say(f"{galaxy}: {n_bin} bins of {n_pix['total']} pixels ({n_pix['least']} to {n_pix['most']})")
    _say(f"reference band: {figures['reference_band']}")
    _say(f"bins that miss a demand: {figures['n_below']}")
    _say(f"bins in more than one piece: {figures['n_scattered']}")
    for name, label in (
        ("compactness", "compactness (1: disc)"),
        ("sed_chi2", "SED chi2 (1: noise)"),
    ):
        _say(f"{label}: {', '.join(_number(value) for value in figures[name])}{_PARTS}")
    table = Table(title="S/N of bins")
    for column in ("band", "least", "16 %", "median", "84 %", "most", "missed", "limited"):
        table.add_column(column)
    for band in figures["bands"]:
        cells = (_number(value) for value in band["snr"])
        table.add_row(band["band"], *cells, str(band["n_below"]), str(band["n_limited"]))
    out.print(table)


@app.command()
def plot(
    store: RunFolder,
    galaxy: Galaxy,
    file: Annotated[Path, typer.Argument(help="PNG file to write")],
) -> None:
    """Draw a galaxy's bins and their quality."""
    from pxdask.plots.bins import write_bins_figure  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415

    write_bins_figure(file, open_run(store).dataset(galaxy, "bins"), title=galaxy)
    _say(str(file))


@app.command()
def export(
    store: RunFolder,
    galaxy: Galaxy,
    file: Annotated[Path, typer.Argument(help="FITS file to write")],
    *,
    layout: Annotated[
        str, typer.Option(help="names of HDUs: current, or 1.0 for piXedfit 1.0")
    ] = "current",
    overwrite: Overwrite = False,
) -> None:
    """Write a galaxy's bins as a pixbin file of piXedfit."""
    from pxdask.core.errors import ConfigError  # noqa: PLC0415
    from pxdask.core.files import refuse_existing  # noqa: PLC0415
    from pxdask.survey.exchange.exporting import write_pixbin  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415

    if layout not in ("current", "1.0"):
        raise ConfigError(f"the layout is {layout!r}; wanted current or 1.0")
    run = open_run(store)
    bins = run.dataset(galaxy, "bins")
    refuse_existing(file, overwrite=overwrite)
    write_pixbin(run, galaxy, file, layout="1.0" if layout == "1.0" else "current")
    _say(f"{file}: {bins.sizes['bin']} bins in {bins.sizes['band']} bands")


@app.command("import")
def import_map(
    source: Annotated[Path, typer.Argument(help="pixbin file of piXedfit")],
    file: Annotated[Path, typer.Argument(help="FITS image to write")],
    *,
    overwrite: Overwrite = False,
) -> None:
    """Take the map of a pixbin file, for the settings `binning: {method: map}`."""
    from astropy.wcs import WCS  # noqa: PLC0415

    from pxdask.core.files import refuse_existing  # noqa: PLC0415
    from pxdask.io.fits import write_image  # noqa: PLC0415
    from pxdask.io.pixedfit_bins import read_pixedfit_map  # noqa: PLC0415

    refuse_existing(file, overwrite=overwrite)
    bin_map, wcs = read_pixedfit_map(source)
    header = {} if wcs is None else dict(WCS(wcs).to_header(relax=True))
    write_image(file, (bin_map + 1).astype(np.int32), header)
    ny, nx = bin_map.shape
    _say(f"{file}: {int(bin_map.max()) + 1} bins on {ny} x {nx} pixels, 0 where none")


def _figures(bins: xr.Dataset) -> dict[str, Any]:
    """Return the figures of quality as JSON values; None for what is not a number."""
    from pxdask.core.errors import ConfigError  # noqa: PLC0415
    from pxdask.core.flags import Flag  # noqa: PLC0415

    if missing := [name for name in ("snr", "limiting_band", "n_pieces") if name not in bins]:
        raise ConfigError(
            f"these bins have no {', '.join(missing)}: an older version made them; make them"
            " again with `pxdask run ... --from bins`"
        )
    low = (bins["flags"].values & np.uint16(Flag.LOW_SNR)) > 0
    limits = bins["limiting_band"].values
    n_pix = bins["n_pix"].values
    return {
        "n_bin": int(n_pix.size),
        "n_pix": {"total": int(n_pix.sum()), "least": int(n_pix.min()), "most": int(n_pix.max())},
        "reference_band": str(bins.attrs.get("reference_band", "")),
        "n_below": int(low.any(axis=1).sum()),
        "n_scattered": int(np.sum(bins["n_pieces"].values > 1)),
        "compactness": _quantiles(bins["compactness"].values),
        "sed_chi2": _quantiles(bins["sed_chi2"].values),
        "bands": [
            {
                "band": str(band),
                "snr": _quantiles(bins["snr"].values[:, i]),
                "n_below": int(low[:, i].sum()),
                "n_limited": int(np.sum(limits == i)),
            }
            for i, band in enumerate(bins["band"].values)
        ],
    }


def _quantiles(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[float | None]:
    """Return `QUANTILES` of the finite values; None where there is none."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return [None] * len(QUANTILES)
    return [float(value) for value in np.quantile(finite, QUANTILES)]


def _number(value: float | None) -> str:
    """Return a figure to three digits."""
    return "-" if value is None else f"{value:.3g}"


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
