"""The command ``pxdask import``: a survey from files of piXedfit."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer evaluates annotations
from typing import Annotated

import typer
from rich.console import Console

from pxdask.cli.words import number_of

out = Console()


def import_files(
    files: Annotated[list[Path], typer.Argument(help="fluxmap or specphoto files of piXedfit")],
    *,
    folder: Annotated[
        Path, typer.Option("--out", "-o", help="folder for images, catalogue and settings")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace files that are there")
    ] = False,
) -> None:
    """Begin a survey from images that piXedfit has matched."""
    from pxdask.survey.exchange.importing import import_pixedfit  # noqa: PLC0415  commands load late

    done = import_pixedfit(files, folder, overwrite=overwrite)
    for path in (done.catalog, done.config):
        _say(str(path))
    _say(f"{number_of(len(done.galaxies), 'galaxy', 'galaxies')}; look at the settings, then:")
    _say(f"pxdask run {done.catalog} {done.config} --data-root {done.data_root} --store RUN")


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
