"""Commands of ``pxdask filters``: list, show, add, remove, plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from pxdask.core.bandpass import Filter

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Filter curves: those that come with pxdask, and your own.",
)
out = Console()

Names = Annotated[list[str], typer.Argument(help="names of filters, or files of curves")]


@app.command("list")
def list_filters(
    pattern: Annotated[str, typer.Argument(help="part of a name, or a pattern: 'jwst_*'")] = "*",
) -> None:
    """List the filters by name, with pivot wavelength and width."""
    from pxdask.io.filters import filter_names, find_curve, load_filters  # noqa: PLC0415
    from pxdask.kernels.bandpass import equivalent_width, pivot_wave  # noqa: PLC0415

    names = filter_names(pattern)
    shown = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    shown.add_column("name", overflow="fold")
    for heading in ("pivot\n[Angstrom]", "width\n[Angstrom]"):
        shown.add_column(escape(heading), justify="right", no_wrap=True)
    shown.add_column("detector", no_wrap=True)
    shown.add_column("source", overflow="fold")
    for name, band in zip(names, load_filters(names), strict=True):
        source = find_curve(name)
        alias = f" {source.curve}" if source.curve != name else ""
        pivot, width = f"{pivot_wave(band):.1f}", f"{equivalent_width(band):.1f}"
        shown.add_row(escape(name), pivot, width, band.detector, f"{source.collection}{alias}")
    if not names:
        out.print(f"no name matches {pattern!r}", markup=False, highlight=False)
        raise typer.Exit(1)
    out.print(shown)
    out.print(f"{len(names)} names", highlight=False)


@app.command()
def show(names: Names) -> None:
    """Show all that is known of filters, one column for each."""
    from pxdask.io.filters import find_curve, load_filters  # noqa: PLC0415

    bands = load_filters(names)
    columns = [_describe(band) for band in bands]
    sources = [find_curve(name) for name in names]
    for column, source in zip(columns, sources, strict=True):
        column["source"] = f"{source.collection} {source.curve}"
    shown = Table(box=SIMPLE)
    shown.add_column("quantity", no_wrap=True)
    for name in names:
        shown.add_column(escape(name), overflow="fold")
    for quantity in columns[0]:
        shown.add_row(escape(quantity), *(escape(column[quantity]) for column in columns))
    out.print(shown)
    for name, source in zip(names, sources, strict=True):
        out.print(f"{name}: {source.path}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="what the filter shall be called")],
    file: Annotated[
        Path,
        typer.Argument(
            help="curve: text of two columns, VOTable (.xml) of the SVO, ECSV, or the folder of"
            " piXedfit's filters_w.hdf5 and filters_t.hdf5"
        ),
    ],
    *,
    detector: Annotated[
        str | None,
        typer.Option(help="photon or energy [default: what the file says, else photon]"),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="of a text file: Angstrom, nm or micron [default: Angstrom]"),
    ] = None,
    curve: Annotated[
        str | None, typer.Option(help="name in piXedfit's files [default: NAME]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a curve")] = False,
) -> None:
    """Keep a curve under a name that every survey knows."""
    from pxdask.io.filter_library import add_filter  # noqa: PLC0415
    from pxdask.io.filters import find_curve  # noqa: PLC0415
    from pxdask.kernels.bandpass import pivot_wave  # noqa: PLC0415

    band = add_filter(name, file, curve=curve, detector=detector, unit=unit, overwrite=overwrite)
    out.print(
        f"{name}: pivot {pivot_wave(band):.1f} Angstrom, per {band.detector},"
        f" in {find_curve(name).path}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def remove(name: Annotated[str, typer.Argument(help="name of a curve of your own")]) -> None:
    """Remove a curve of your own; runs that used it keep their copies."""
    from pxdask.io.filter_library import remove_filter  # noqa: PLC0415

    path = remove_filter(name)
    out.print(f"removed {path}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def plot(
    names: Names,
    file: Annotated[Path, typer.Option("--out", help="PNG file to write")] = Path("filters.png"),
) -> None:
    """Draw transmission curves."""
    from pxdask.io.filters import load_filters  # noqa: PLC0415
    from pxdask.plots.filters import write_filter_figure  # noqa: PLC0415

    write_filter_figure(file, load_filters(names))
    out.print(str(file), markup=False, highlight=False, soft_wrap=True)


def _describe(band: Filter) -> dict[str, str]:
    """Return the quantities of a filter as text."""
    from pxdask.kernels import bandpass  # noqa: PLC0415

    numbers = {
        "pivot [Angstrom]": bandpass.pivot_wave(band),
        "mean [Angstrom]": bandpass.mean_wave(band),
        "effective, AB source [Angstrom]": bandpass.effective_wave(band),
        "effective, Vega-like [Angstrom]": bandpass.effective_wave(
            band, spectrum=bandpass.vega_like
        ),
        "equivalent width [Angstrom]": bandpass.equivalent_width(band),
        "rms width [Angstrom]": bandpass.rms_width(band),
        "first [Angstrom]": float(band.wave[0]),
        "last [Angstrom]": float(band.wave[-1]),
        "peak response": float(band.transmission.max()),
    }
    text = {quantity: f"{number:.6g}" for quantity, number in numbers.items()}
    return {**text, "points": str(band.wave.size), "detector": band.detector}
