"""The command ``pxdask fit``: a catalogue of photometry in, a table of posteriors out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path  # noqa: TC003  typer reads annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pxdask.cli.cluster import ClusterOption, client_of

if TYPE_CHECKING:
    from pxdask.survey.seds.catalog_fit import CatalogRun

EXIT_FAILURES = 1
"""The run went through, but some SEDs could not be fitted."""

MAX_SHOWN = 30

out = Console()


def fit(
    catalog: Annotated[
        Path, typer.Argument(help="table of SEDs: ECSV, CSV, FITS, Parquet, VOTable")
    ],
    config: Annotated[Path, typer.Argument(help="settings: YAML, see docs/fitting.md")],
    folder: Annotated[str, typer.Argument(help="folder of the run, or s3://bucket/run")],
    *,
    workers: Annotated[
        int | None, typer.Option(help="worker processes [default: one a core]", min=1)
    ] = None,
    cluster: ClusterOption = None,
    serial: Annotated[
        bool, typer.Option("--serial", help="work in this process, without a cluster")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="try again what failed with the same input")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="let settings or catalogue of the run change")
    ] = False,
) -> None:
    """Fit a catalogue of photometry.

    Run it again to go on with what is missing.
    """
    from pxdask.survey.seds.catalog_fit import fit_catalog  # noqa: PLC0415  slow to import

    with ExitStack() as stack:
        done = fit_catalog(
            catalog,
            config,
            folder,
            client_of(stack, cluster),
            workers=workers,
            serial=serial,
            retry_failed=retry_failed,
            update=update,
        )
    _report(done)


def _report(done: CatalogRun) -> None:
    """Say where the table is, and what failed."""
    for path in done.table_paths():
        _say(str(path))
    failures = done.failures()
    for row in failures[:MAX_SHOWN]:
        _say(f"failed: {row['id']}: {row['error']}")
    if len(failures) > MAX_SHOWN:
        _say(f"... and {len(failures) - MAX_SHOWN} more failures")
    if len(failures):
        raise typer.Exit(EXIT_FAILURES)


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
