"""The command ``pxdask init``: settings and a catalogue to begin a survey with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console()


def init(
    survey: Annotated[
        list[str],
        typer.Option(help="known survey, or some of its bands, as sdss:gri; may be repeated"),
    ],
    config: Annotated[
        Path, typer.Option("--out", "-o", help="settings to be written: YAML")
    ] = Path("survey.yaml"),
    catalog: Annotated[
        Path | None, typer.Option(help="catalogue to be written [default: beside it, .ecsv]")
    ] = None,
    *,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace files")] = False,
) -> None:
    """Write settings with comments, and a catalogue, to begin a survey.

    Known surveys: galex, sdss, 2mass, wise, irac, mips, pacs, spire, hst, jwst, legacy, hsc,
    kids, vircam, euclid; generic for others.
    """
    from pxdask.survey.starting import write_start  # noqa: PLC0415  commands load what they need

    written = write_start(
        survey, config, catalog or config.with_suffix(".ecsv"), overwrite=overwrite
    )
    for line in written.notes:
        _say(f"note: {line}")
    _say(str(written.config))
    _say(str(written.catalog))
    _say("give paths and galaxies, then:")
    for name in written.absent:
        _say(f"pxdask filters add {name} FILE-OF-CURVE # which is not in the library")
    _say(f"pxdask check {written.catalog} {written.config} --data-root FOLDER-OF-IMAGES")


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
