"""Commands of ``pxdask cluster``: show a job script, check a cluster."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from contextlib import ExitStack

    from distributed import Client

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Clusters: what would be submitted, and whether it works.",
)
out = Console()

ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|KIND",
        help="YAML file that describes the cluster, or a kind, such as mpi"
        " [default: worker processes on this machine]",
    ),
]

FileOrKind = Annotated[
    str,
    typer.Argument(
        metavar="FILE|KIND",
        help="YAML file that describes the cluster, or a kind: local, slurm, pbs, lsf, sge, oar,"
        " moab, htcondor, mpi",
    ),
]


def client_of(stack: ExitStack, cluster: str | None) -> Client | None:
    """Return a client of the cluster in a file or of a kind; None for None.

    Raises
    ------
    ConfigError
        If there is no such cluster, or an MPI launcher started many of us for a cluster that
        is not made of them: each would do the whole work.
    """
    from pxdask.cluster import cluster_options, connect  # noqa: PLC0415
    from pxdask.cluster.mpi import mpi_world  # noqa: PLC0415
    from pxdask.core.errors import ConfigError  # noqa: PLC0415

    options = {} if cluster is None else cluster_options(cluster)
    if options.get("kind") != "mpi" and (world := mpi_world()) and world.size > 1:
        raise ConfigError(
            f"{world.size} ranks were started, and each would do the whole work: add --cluster mpi"
        )
    return stack.enter_context(connect(**options)) if options else None


@app.command()
def show(cluster: FileOrKind) -> None:
    """Print the job script of a queue's workers; the queue need not be there."""
    from pxdask.cluster import cluster_options  # noqa: PLC0415
    from pxdask.cluster.queues import QUEUES, job_script  # noqa: PLC0415

    options = cluster_options(cluster)
    kind = options.pop("kind")
    text = job_script(kind, options) if kind in QUEUES else _without_script(kind)
    out.print(text.rstrip(), markup=False, highlight=False, soft_wrap=True)


@app.command()
def check(
    cluster: FileOrKind,
    patience: Annotated[
        float, typer.Option(help="seconds to wait for the first worker", min=1)
    ] = 600.0,
) -> None:
    """Start one job, run a task in it, compare versions, and stop."""
    from pxdask.cluster import cluster_options, connect  # noqa: PLC0415
    from pxdask.cluster.queues import QUEUES  # noqa: PLC0415
    from pxdask.core.errors import ConfigError  # noqa: PLC0415
    from pxdask.core.provenance import package_versions  # noqa: PLC0415

    options = cluster_options(cluster)
    if options["kind"] in QUEUES:
        options.pop("workers", None)
        options["jobs"] = 1
    start = time.perf_counter()
    with connect(**options) as client:
        try:
            client.wait_for_workers(1, timeout=patience)
        except TimeoutError as error:
            raise ConfigError(
                f"no worker came in {patience:g} s: ask the queue what it does with the job, and"
                " read what the job printed (the folder is in `pxdask cluster show`)"
            ) from error
        waited = time.perf_counter() - start
        found: dict[str, Any] = client.submit(_facts).result(timeout=patience)
    here = {"python": platform.python_version(), **package_versions()}
    out.print(
        f"a worker on {found['host']} answered after {waited:.1f} s", highlight=False, markup=False
    )
    if differ := [name for name, version in here.items() if found["versions"].get(name) != version]:
        pairs = [
            f"{name} {here[name]} here, {found['versions'].get(name)} there" for name in differ
        ]
        raise ConfigError("\n  - ".join(["versions differ, and so may results:", *pairs]))


def _facts() -> dict[str, Any]:
    """Return what a worker is and has."""
    from pxdask.core.provenance import package_versions  # noqa: PLC0415

    versions = {"python": platform.python_version(), **package_versions()}
    return {"host": platform.node(), "versions": versions}


def _without_script(kind: str) -> str:
    """Return how a cluster without jobs of its own starts."""
    texts = {
        "local": "no job script: worker processes on this machine",
        "address": "no job script: the workers of a scheduler that runs already",
        "mpi": "no job script: start all ranks yourself, such as\n"
        "  srun pxdask run CATALOG CONFIG --store STORE --cluster mpi\n"
        "in an allocation (see deploy/slurm/survey.sbatch), or `mpirun -n 4 pxdask run ...`",
    }
    from pxdask.core.errors import ConfigError  # noqa: PLC0415

    if kind not in texts:
        raise ConfigError(f"cluster kind is {kind!r}; known: {', '.join(texts)}, and the queues")
    return texts[kind]
