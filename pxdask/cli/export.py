"""The command ``pxdask export``: a run's outputs as files that others' tools open."""

from __future__ import annotations

from typing import Annotated, cast

import typer
from rich.console import Console

out = Console()

MAX_SHOWN = 30


def export(
    store: Annotated[str, typer.Argument(help="folder of the run, or s3://bucket/run")],
    *,
    to: Annotated[
        str, typer.Option(help="fits, pixedfit, ecsv, parquet, votable, asdf or zarr")
    ] = "fits",
    folder: Annotated[str, typer.Option("--out", "-o", help="folder for the files")],
    galaxy: Annotated[
        list[str] | None, typer.Option(help="only this galaxy; may be repeated")
    ] = None,
    layout: Annotated[
        str, typer.Option(help="of piXedfit's files: current, or 1.0 for piXedfit 1.0")
    ] = "current",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace files that are there")
    ] = False,
) -> None:
    """Write maps, cubes and tables as files for DS9, TOPCAT, piXedfit, Python."""
    from pxdask.survey.exchange.exporting import Layout, Target  # noqa: PLC0415  commands load late
    from pxdask.survey.exchange.exporting import export as write  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415

    done = write(
        open_run(store),
        to=cast("Target", to),
        folder=folder,
        galaxies=tuple(galaxy or ()),
        layout=cast("Layout", layout),
        overwrite=overwrite,
    )
    for path in done.paths[:MAX_SHOWN]:
        _say(str(path))
    if len(done.paths) > MAX_SHOWN:
        _say(f"... and {len(done.paths) - MAX_SHOWN} more files")
    if done.left_out:
        _say(f"{len(done.left_out)} galaxies are not finished, and left out")


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
