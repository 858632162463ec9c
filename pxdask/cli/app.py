"""Commands of ``pxdask``: simulate, check, run, resume, status, maps; those of other modules.

Their order in ``--help``, and an example of each, are in `pxdask.cli.story`.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Table

from pxdask.cli import bins, filters, ifs, models, npe, psf, ssp
from pxdask.cli.cite import cite
from pxdask.cli.cluster import ClusterOption, client_of
from pxdask.cli.cluster import app as cluster_app
from pxdask.cli.explain import explain, task
from pxdask.cli.export import export
from pxdask.cli.failing import EXIT_ERROR, TRACEBACK, guarded, resumable
from pxdask.cli.fit import fit
from pxdask.cli.importing import import_files
from pxdask.cli.morphology import morphology
from pxdask.cli.plot import plot
from pxdask.cli.report import report as report_pages
from pxdask.cli.start import init
from pxdask.cli.store import collect, du, gc, verify
from pxdask.cli.story import Part, Story, exit_code_lines
from pxdask.cli.watch import logs, watch_run
from pxdask.cli.words import number_of
from pxdask.core.remote import location

if TYPE_CHECKING:
    from astropy.table import Table as AstropyTable

    from pxdask.survey.results import Run, RunRecords

EXIT_FAILURES = 1
"""The run went through, but some galaxies failed."""

MAX_SHOWN = 30

__all__ = ["EXIT_ERROR", "EXIT_FAILURES", "app", "main"]

app = typer.Typer(
    cls=Story,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
    help="Spatially resolved SED fitting of galaxies: catalogue and images in, maps out.",
    epilog=exit_code_lines(),
)
app.add_typer(models.app, name="models", cls=Part)
app.add_typer(ssp.app, name="ssp", cls=Part)
app.add_typer(filters.app, name="filters", cls=Part)
app.add_typer(psf.app, name="psf", cls=Part)
app.add_typer(bins.app, name="bins", cls=Part)
app.add_typer(ifs.app, name="ifs", cls=Part)
app.add_typer(npe.app, name="npe", cls=Part)
app.add_typer(cluster_app, name="cluster", cls=Part)
out = Console()
err = Console(stderr=True)

CatalogFile = Annotated[Path, typer.Argument(help="catalogue: ECSV, CSV, FITS, Parquet, VOTable")]
ConfigFile = Annotated[Path, typer.Argument(help="settings: YAML")]
StoreOption = Annotated[str, typer.Option("--store", help="folder of the run, or s3://bucket/run")]
StoreArgument = Annotated[str, typer.Argument(help="folder of the run, or s3://bucket/run")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="what {data_root} in path templates stands for [default: $PXDASK_DATA_ROOT]"),
]
Workers = Annotated[int | None, typer.Option(help="worker processes [default: one a core]", min=1)]
Serial = Annotated[bool, typer.Option("--serial", help="work in this process, without a cluster")]
Galaxy = Annotated[list[str] | None, typer.Option(help="only this galaxy; may be repeated")]
FromStage = Annotated[
    str | None, typer.Option("--from", help="make this stage and all after it again")
]
AsJson = Annotated[bool, typer.Option("--json", help="as JSON, for programs: docs/cli.md")]
Report = Annotated[Path | None, typer.Option(help="HTML file for Dask's performance report")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="try again what failed with the same input")
]


def main() -> None:
    """Run the command line; errors are a message and an exit code, not a traceback."""
    guarded(app, sys.argv[1:])


def _print_version(asked: bool) -> None:  # noqa: FBT001  as typer calls it
    """Print the version and end, if it was asked for."""
    if asked:
        typer.echo(f"pxdask {version_of('pxdask')}")
        raise typer.Exit


@app.callback()
def _setup(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="log every task")] = False,
    traceback: Annotated[  # noqa: ARG001  `guarded` has taken it; here it gets its help
        bool,
        typer.Option(TRACEBACK, help="show where an error comes from; also PXDASK_TRACEBACK=1"),
    ] = False,
    version: Annotated[  # noqa: ARG001  its callback has printed it
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="print the version"),
    ] = False,
) -> None:
    """Set up logging for all commands."""
    level = logging.INFO if verbose else logging.WARNING
    # the level is the handler's too: distributed sets its own loggers' levels
    handler = RichHandler(level, console=err, show_path=False, show_time=verbose, markup=False)
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler])


@app.command()
def simulate(
    catalog: CatalogFile,
    folder: Annotated[Path, typer.Option("--out", help="folder for the images")],
    seed: Annotated[int, typer.Option(help="seed of the noise", min=0)] = 1,
    ifu: Annotated[
        list[str] | None, typer.Option(help="spectral cubes too: manga, califa; may be repeated")
    ] = None,
) -> None:
    """Make mock images of a catalogue's galaxies, with their truth.

    Twelve bands, from GALEX to WISE.
    """
    from pxdask.survey.mock import make_mocks  # noqa: PLC0415

    made = make_mocks(catalog, folder, seed=seed, ifus=ifu or ())
    amount = number_of(len(made), "galaxy", "galaxies")
    out.print(f"{amount} in {folder}", highlight=False)


@app.command()
def check(
    catalog: CatalogFile,
    config: ConfigFile,
    data_root: DataRoot = None,
    store: StoreOption = ".",
    *,
    as_json: AsJson = False,
) -> None:
    """Find what would fail, before anything runs.

    Opens the headers of all images, and looks at filters, PSFs, units, positions and disk space.
    Exit code 1 if something is wrong.
    """
    from pxdask.core.config import SurveyConfig  # noqa: PLC0415
    from pxdask.core.config import data_root as root_of  # noqa: PLC0415
    from pxdask.core.rows import column_units  # noqa: PLC0415
    from pxdask.io.catalog import read_catalog  # noqa: PLC0415
    from pxdask.survey.preflight import preflight  # noqa: PLC0415

    settings = SurveyConfig.load(config)
    table = read_catalog(catalog, units=column_units(settings))
    root = str(Path(root_of(data_root)).resolve())
    found = preflight(table, settings, root=root, store=location(store))
    good = 0 if found.fatal else len(table) - len(found.bad_galaxies)
    if as_json:
        values = {
            "galaxies": len(table),
            "can_run": good,
            "bands": len(settings.bands),
            "bytes_needed": found.bytes_needed,
            "problems": [asdict(problem) for problem in found.problems],
            "warnings": list(found.warnings),
            "notes": list(found.notes),
        }
        typer.echo(json.dumps(values, indent=2))
    else:
        for message in (*found.notes, *found.warnings, *found.problems):
            out.print(str(message), markup=False, highlight=False, soft_wrap=True)
        out.print(
            f"{good} of {len(table)} galaxies can run, in {len(settings.bands)} bands;"
            f" about {found.bytes_needed / 1e6:.0f} MB",
            highlight=False,
        )
    if found.problems:
        raise typer.Exit(EXIT_FAILURES)


@app.command()
def run(
    catalog: CatalogFile,
    config: ConfigFile,
    store: StoreOption,
    *,
    data_root: DataRoot = None,
    workers: Workers = None,
    cluster: ClusterOption = None,
    serial: Serial = False,
    galaxy: Galaxy = None,
    from_stage: FromStage = None,
    retry_failed: RetryFailed = False,
    update: Annotated[
        bool, typer.Option("--update", help="let settings or catalogue of the run change")
    ] = False,
    check: Annotated[bool, typer.Option(help="check all files before anything runs")] = True,
    report: Report = None,
) -> None:
    """Make maps of a catalogue's galaxies.

    Run it again to go on with what is missing.
    """
    from pxdask.survey.submit import submit  # noqa: PLC0415

    with resumable(store), ExitStack() as stack:
        done = submit(
            catalog,
            config,
            store,
            client_of(stack, cluster),
            root=data_root,
            workers=workers,
            serial=serial,
            galaxies=tuple(galaxy or ()),
            from_stage=from_stage,
            retry_failed=retry_failed,
            update=update,
            check=check,
            report=report,
        )
    _report(done)


@app.command()
def resume(
    store: StoreArgument,
    *,
    workers: Workers = None,
    cluster: ClusterOption = None,
    serial: Serial = False,
    galaxy: Galaxy = None,
    from_stage: FromStage = None,
    retry_failed: RetryFailed = False,
    report: Report = None,
) -> None:
    """Go on with a run, by its own copy of settings and catalogue."""
    from pxdask.survey.submit import resume as go_on  # noqa: PLC0415

    with resumable(store), ExitStack() as stack:
        done = go_on(
            store,
            client_of(stack, cluster),
            workers=workers,
            serial=serial,
            galaxies=tuple(galaxy or ()),
            from_stage=from_stage,
            retry_failed=retry_failed,
            report=report,
        )
    _report(done)


app.command()(init)
app.command("import")(import_files)
app.command()(fit)
app.command()(plot)
app.command("report")(report_pages)
app.command()(morphology)
app.command()(cite)
app.command()(logs)
app.command()(explain)
app.command()(task)
app.command()(export)
for command in (verify, collect, du, gc):
    app.command()(command)


@app.command()
def status(
    store: StoreArgument,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="look on until the run is over")] = False,
    every: Annotated[float, typer.Option(help="time between two looks [s]", min=0.1)] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show what a run has done, and what failed with the reason.

    Where its settings cannot be read, so much as its manifest tells, and why they cannot.
    """
    from pxdask.core.errors import ConfigError  # noqa: PLC0415
    from pxdask.survey.results import open_records, open_run  # noqa: PLC0415

    try:
        done = open_run(store)
    except ConfigError:
        if not (watch or as_json) and (records := open_records(store)):
            _show_status(records)
        raise
    if watch:
        watch_run(done, every_s=every)
        return
    if as_json:
        typer.echo(json.dumps(_status_values(done), indent=2))
        return
    _show_status(done)


def _show_status(done: RunRecords) -> None:
    """Print what was done, and what failed."""
    out.print(_rich(done.status(), "stages"))
    _show_failures(done)
    n_done, n_all = len(done.finished()), len(done.galaxies)
    out.print(f"{n_done} of {n_all} galaxies have maps", highlight=False)


@app.command()
def maps(store: StoreArgument) -> None:
    """List the files of finished galaxies: maps as FITS, a picture."""
    from pxdask.survey.results import open_run  # noqa: PLC0415

    _list_maps(open_run(store))


def _report(done: Run) -> None:
    """Say where the maps are and what failed."""
    _list_maps(done)
    _show_failures(done)
    n_done, n_all = len(done.finished()), len(done.galaxies)
    out.print(
        f"{n_done} of {n_all} galaxies have maps; status: pxdask status {done.store}",
        highlight=False,
        soft_wrap=True,
    )
    if len(done.failures()):
        raise typer.Exit(EXIT_FAILURES)


def _list_maps(done: Run) -> None:
    """Print the paths of the end products."""
    finished = done.finished()
    for name in finished[:MAX_SHOWN]:
        for path in done.product_paths(name).values():
            out.print(str(path), markup=False, highlight=False, soft_wrap=True)
    if len(finished) > MAX_SHOWN:
        out.print(f"... and {len(finished) - MAX_SHOWN} more galaxies")


def _show_failures(done: RunRecords) -> None:
    """Print each failure with its reason."""
    failures = done.failures()
    for row in failures[:MAX_SHOWN]:
        words = [row["id"], row["stage"], row["part"]]
        where = " ".join(str(word) for word in words if word)
        out.print(f"failed: {where}: {row['error']}", markup=False, highlight=False, soft_wrap=True)
    if len(failures) > MAX_SHOWN:
        out.print(f"... and {len(failures) - MAX_SHOWN} more failures")


def _status_values(done: Run) -> dict[str, object]:
    """Return how far a run is, as JSON values."""
    failures = done.failures()
    return {
        "name": done.config.name,
        "store": str(done.store),
        "galaxies": len(done.galaxies),
        "finished": len(done.finished()),
        "stages": [
            {
                "stage": str(row["stage"]),
                "done": int(row["done"]),
                "failed": int(row["failed"]),
                "task_time_s": float(row["task_time"]),
            }
            for row in done.status()
        ],
        "failures": [
            {name: str(row[name]) for name in ("id", "stage", "part", "error")} for row in failures
        ],
    }


def _rich(table: AstropyTable, title: str) -> Table:
    """Return a table for the terminal, units in the header."""
    shown = Table(title=title)
    for name in table.colnames:
        unit = table[name].unit
        shown.add_column(escape(f"{name} [{unit}]") if unit else name)
    for row in table:
        shown.add_row(*(str(value) for value in row))
    return shown
