"""Commands of ``pxdask models``: build, show, parameters."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pxdask.cli.words import number_of
from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr

    from pxdask.survey.generate import Report

BYTES_PER_MB = 1e6

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Sets of models for fits: build them on disk, look at them.",
)
out = Console()
err = Console(stderr=True)


ConfigFile = Annotated[Path, typer.Argument(help="settings of a survey: YAML")]
NewFolder = Annotated[Path, typer.Option("--out", help="folder to be, such as models.zarr")]
ModelFolder = Annotated[Path, typer.Argument(help="folder that `pxdask models build` made")]
OneRedshift = Annotated[float | None, typer.Option(help="redshift of the models")]
ManyRedshifts = Annotated[
    str | None,
    typer.Option(help="first:last:step, for models between; the step is in ln(1 + z)"),
]
NModels = Annotated[
    int | None, typer.Option(help="number of models [default: the settings']", min=1)
]
Filters = Annotated[
    str | None, typer.Option(help="filters, with commas between [default: the bands']")
]
Seed = Annotated[int | None, typer.Option(help="seed of the draws [default: the settings']", min=0)]
Workers = Annotated[int | None, typer.Option(help="worker processes [default: one a core]", min=1)]
Cluster = Annotated[Path | None, typer.Option(help="YAML file that describes the cluster")]
Serial = Annotated[bool, typer.Option("--serial", help="work in this process, without a cluster")]


@app.command()
def build(
    config: ConfigFile,
    path: NewFolder,
    *,
    redshift: OneRedshift = None,
    redshifts: ManyRedshifts = None,
    n_models: NModels = None,
    filters: Filters = None,
    seed: Seed = None,
    workers: Workers = None,
    cluster: Cluster = None,
    serial: Serial = False,
) -> None:
    """Build the models of a survey's settings, once for all its galaxies.

    Without a redshift, models.priors must have one. Under mpirun or srun the ranks share the
    work. The files are the same, to the last bit, however they are built.
    """
    from pxdask.cluster.mpi import mpi_world  # noqa: PLC0415
    from pxdask.core.config import SurveyConfig  # noqa: PLC0415
    from pxdask.survey.generate import build_models  # noqa: PLC0415

    world = mpi_world()
    if world is not None and (workers or cluster or serial):
        raise ConfigError("under MPI the ranks are the workers: leave --workers and such out")
    survey = SurveyConfig.load(config)
    settings = survey.models
    if n_models is not None:
        settings = settings.model_copy(update={"n_models": n_models})
    names = filters.split(",") if filters else [band.filter for band in survey.bands]
    chosen = _redshifts(redshift, redshifts)
    with ExitStack() as stack:
        client = None
        if world is None and not serial:
            client = _client(stack, settings.n_models, workers, cluster)
        quiet = world is not None and world.rank > 0
        build_models(
            settings,
            names,
            path,
            redshifts=chosen,
            seed=survey.seed if seed is None else seed,
            client=client,
            world=world,
            report=None if quiet else _progress(stack),
        )
    if not quiet:
        at = f"at {number_of(len(chosen), 'redshift')}" if chosen else "of free redshift"
        out.print(
            f"{path}: {settings.n_models} models in {number_of(len(names), 'band')} {at}",
            highlight=False,
            soft_wrap=True,
        )


@app.command()
def show(path: ModelFolder) -> None:
    """Show what a set of models holds and how it was made."""
    from pxdask.io.model_store import opened_models  # noqa: PLC0415

    with opened_models(path) as models:
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        facts = {
            "form": str(models.attrs["schema"]),
            "models": str(models.sizes["model"]),
            "size": f"{size / BYTES_PER_MB:.1f} MB",
            "redshift": _redshift_text(models),
            "bands": ", ".join(str(name) for name in models["band"].values),
            "seed": str(models.attrs["seed"]),
            "populations": ", ".join(f"{k} {v}" for k, v in models.attrs["ssp"].items()),
            "made with": ", ".join(f"{k} {v}" for k, v in models.attrs["versions"].items()),
        }
        facts |= {
            name: str(value)
            for name, value in models.attrs["settings"].items()
            if name not in ("priors", "stored", "redshift_step", "n_models")
        }
        for name, value in facts.items():
            out.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)
        out.print(_variables(models))


@app.command()
def parameters() -> None:
    """List every parameter: unit, default prior, range, meaning."""
    from pxdask.sps.tables import parameter_sections  # noqa: PLC0415  commands load what they need

    for section in parameter_sections():
        out.print(_plain(section.title), markup=False, highlight=False)
        shown = Table(box=SIMPLE, padding=(0, 1, 0, 0))
        for number, heading in enumerate(section.header):
            shown.add_column(heading, overflow="fold", no_wrap=number == 0)
        for row in section.rows:
            shown.add_row(*(escape(_plain(cell)) for cell in row))
        out.print(shown)
        if section.about:
            out.print(_plain(section.about), markup=False, highlight=False)


def _plain(text: str) -> str:
    """Return Markdown's words without the backticks about code."""
    return text.replace("`", "")


def _redshifts(redshift: float | None, redshifts: str | None) -> tuple[float, ...]:
    """Return the redshifts asked for; none: they are free.

    Raises
    ------
    ConfigError
        If both are given, or the range is not one.
    """
    if redshifts is None:
        return () if redshift is None else (redshift,)
    if redshift is not None:
        raise ConfigError("give --redshift or --redshifts, not both")
    try:
        first, last, step = (float(word) for word in redshifts.split(":"))
    except ValueError as error:
        raise ConfigError(
            f"--redshifts is {redshifts!r}; wanted first:last:step, such as 0.01:0.1:0.005"
        ) from error
    if not (0 < first < last < math.inf and 0 < step < math.inf):
        raise ConfigError(f"--redshifts is {redshifts!r}; wanted 0 < first < last and 0 < step")
    low, high = math.log1p(first), math.log1p(last)
    n_step = max(math.ceil((high - low) / step - 1e-9), 1)
    nodes = np.expm1(np.linspace(low, high, n_step + 1))
    return (first, *(float(z) for z in nodes[1:-1]), last)


def _client(stack: ExitStack, n_models: int, workers: int | None, cluster: Path | None) -> Any:  # noqa: ANN401
    """Return a client of the cluster in a file, or of local workers; None for a single block."""
    from pxdask.cluster import connect, read_cluster_file  # noqa: PLC0415
    from pxdask.io.model_store import blocks  # noqa: PLC0415

    if cluster is not None:
        return stack.enter_context(connect(**read_cluster_file(cluster)))
    if workers is None and len(blocks(n_models)) == 1:
        return None
    return stack.enter_context(connect("local", workers=workers))


def _progress(stack: ExitStack) -> Report:
    """Return what draws a bar of the blocks, on a terminal."""
    bar = Progress(
        TextColumn("blocks"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
    )
    stack.enter_context(bar)
    row = bar.add_task("blocks", total=None)

    def tell(done: int, total: int) -> None:
        bar.update(row, completed=done, total=total)

    return tell


def _redshift_text(models: xr.Dataset) -> str:
    """Return the redshift of a set, or the range of a grid."""
    if "redshift" in models.dims:
        nodes = models["redshift"].values
        return f"{nodes[0]:.6g} to {nodes[-1]:.6g}, {nodes.size} of them"
    return str(models.attrs["redshift"])


def _variables(models: xr.Dataset) -> Table:
    """Return a table of what is known of each model: priors of parameters, names of the rest."""
    table = Table(title="variables")
    for column in ("name", "unit", "prior", "low", "high", "meaning"):
        table.add_column(column)
    priors = models.attrs["priors"]
    names = list(models.attrs["parameters"])
    names += [str(name) for name in models.data_vars if name not in (*names, "flux")]
    for name in names:
        attrs, prior = models[name].attrs, priors.get(name, {})
        ends = (f"{prior[end]:.6g}" if end in prior else "" for end in ("low", "high"))
        table.add_row(name, attrs["units"], prior.get("kind", ""), *ends, attrs["long_name"])
    return table
