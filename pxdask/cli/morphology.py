"""The command ``pxdask morphology``: a catalogue in, the same with Sersic profiles out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path  # noqa: TC003  typer reads annotations when it runs
from typing import Annotated

import typer
from rich.console import Console

from pxdask.cli.cluster import ClusterOption, client_of

EXIT_FAILURES = 1
"""The table is written, but some galaxies have no profile."""

MAX_SHOWN = 30

out = Console()


def morphology(
    catalog: Annotated[Path, typer.Argument(help="catalogue: ECSV, CSV, FITS, Parquet, VOTable")],
    config: Annotated[Path, typer.Argument(help="settings of the survey: YAML")],
    table: Annotated[
        Path, typer.Option("--out", "-o", help="table to write: .ecsv, .fits or .parquet")
    ],
    *,
    data_root: Annotated[
        Path | None, typer.Option(help="what {data_root} in path templates stands for")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="worker processes [default: one a core]", min=1)
    ] = None,
    cluster: ClusterOption = None,
    serial: Annotated[
        bool, typer.Option("--serial", help="work in this process, without a cluster")
    ] = False,
    band: Annotated[
        str | None, typer.Option(help="band whose shape is the galaxy's [default: the middle]")
    ] = None,
    semi_major: Annotated[
        float, typer.Option(help="half axis of regions over R_eff: sersic_semi_major")
    ] = 3.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace the table if it is there")
    ] = False,
) -> None:
    """Fit Sersic profiles to a catalogue's galaxies, without making maps."""
    from pxdask.core.errors import ConfigError  # noqa: PLC0415  commands load what they need
    from pxdask.io.sed_tables import write_sed_table  # noqa: PLC0415
    from pxdask.survey.profile_catalog import fit_profiles  # noqa: PLC0415

    if table.suffix not in (".ecsv", ".fits", ".parquet"):
        raise ConfigError(f"{table}: wanted a name that ends in .ecsv, .fits or .parquet")
    if table.exists() and not overwrite:
        raise ConfigError(f"{table} is there already; --overwrite replaces it")
    with ExitStack() as stack:
        status = stack.enter_context(out.status("galaxies done: 0"))
        n_done = 0

        def tick(n_galaxy: int) -> None:
            nonlocal n_done
            n_done += n_galaxy
            status.update(f"galaxies done: {n_done}")

        found = fit_profiles(
            catalog,
            config,
            client_of(stack, cluster),
            root=data_root,
            workers=workers,
            serial=serial,
            band=band,
            semi_major=semi_major,
            tick=tick,
        )
    write_sed_table(found, table)
    failed = [row for row in found if row["sersic_error"]]
    for row in failed[:MAX_SHOWN]:
        _say(f"failed: {row['id']}: {row['sersic_error']}")
    if len(failed) > MAX_SHOWN:
        _say(f"... and {len(failed) - MAX_SHOWN} more failures")
    _say(f"{table}: {len(found) - len(failed)} of {len(found)} galaxies have profiles")
    if failed:
        raise typer.Exit(EXIT_FAILURES)


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
