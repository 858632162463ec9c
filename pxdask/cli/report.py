"""``pxdask report``: pages of a survey and its galaxies."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads it
from typing import Annotated

import typer
from rich.console import Console

from pxdask.cli.words import number_of

out = Console()


def report(
    store: Annotated[str, typer.Argument(help="folder of the run, or s3://bucket/run")],
    *,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder of the report [default: RUN/report]")
    ] = None,
    galaxy: Annotated[
        list[str] | None, typer.Option(help="only this galaxy; may be repeated")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace a report that is there")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(help="processes [default: one for 20 galaxies, up to one a core]", min=1),
    ] = None,
) -> None:
    """Write an HTML report: a page of the survey, and one of each galaxy."""
    from pxdask.survey.looking.reporting import write_report  # noqa: PLC0415  commands load what they need
    from pxdask.survey.results import open_run  # noqa: PLC0415

    made = write_report(
        open_run(store),
        folder,
        galaxies=tuple(galaxy or ()),
        overwrite=overwrite,
        workers=workers,
    )
    pages = number_of(made.n_page, "page")
    galaxies = number_of(made.n_galaxy, "galaxy", "galaxies")
    out.print(
        f"{pages} for {galaxies}; open {made.index}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
