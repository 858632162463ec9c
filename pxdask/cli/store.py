"""Commands of ``pxdask`` on the files of a run: verify, collect, du, gc."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from pxdask.cli.words import number_of
from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from pxdask.survey.care.verify import Verified
    from pxdask.survey.results import Run

EXIT_DAMAGED = 1
"""Some file is damaged, missing or unreadable."""

MAX_SHOWN = 30

out = Console()

AsJson = Annotated[bool, typer.Option("--json", help="as JSON, for programs: docs/cli.md")]
RunFolder = Annotated[str, typer.Argument(help="folder of the run, or s3://bucket/run")]


def verify(
    store: RunFolder,
    *,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="remove damaged files, to be made by `resume` or `collect`"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read all outputs and products of a run and compare them with their checksums.

    So are what was collected, and the run's own settings and catalogue. Exit code 1 if one is
    damaged, missing or unreadable.
    """
    from pxdask.survey.care.verify import remove_damaged  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415  commands load what they need

    run = open_run(store)
    found = run.verify()
    removed = remove_damaged(run.store, found) if remove else ()
    if as_json:
        typer.echo(json.dumps({"ok": found.ok, **asdict(found), "removed": removed}, indent=2))
    else:
        _show_verified(run, found, removed)
    if not found.ok:
        raise typer.Exit(EXIT_DAMAGED)


def _show_verified(run: Run, found: Verified, removed: tuple[str, ...]) -> None:
    """Tell which files are not what was written, and what can be done."""
    from pxdask.survey.care.verify import can_be_made, is_collected  # noqa: PLC0415

    for word, names in (
        ("damaged", found.damaged),
        ("missing", found.missing),
        ("unreadable", found.unreadable),
        ("extra", found.extra),
    ):
        _list(word, names)
    _say(
        f"{found.n_whole} files are whole, {len(found.damaged)} damaged,"
        f" {len(found.missing)} missing, {len(found.unreadable)} unreadable,"
        f" {len(found.extra)} extra"
    )
    if found.n_unrecorded:
        _say(f"{found.n_unrecorded} have no recorded checksum; those inside them hold")
    if removed:
        _say(f"removed {len(removed)} damaged files")
    own = [name for name in found.damaged if not can_be_made(name)]
    if len(found.damaged) > len(removed) + len(own):
        _say(f"to remove damaged files: pxdask verify {run.store} --remove")
    for name in own:
        _say(f"{name} is not what the run was begun with: nothing can make it again")
    collected = [name for name in (*removed, *found.missing) if is_collected(name)]
    if len(collected) < len(removed) + len(found.missing):
        _say(f"to make what is not there: pxdask resume {run.store}")
    if collected:
        _say(f"to collect again: pxdask collect {run.store}")


def collect(
    store: RunFolder,
    *,
    table: Annotated[
        list[str] | None,
        typer.Option("--table", help="format of tables: fits, ecsv, parquet; may be repeated"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put all galaxies and bins into one store and tables.

    Collect again to add what is new.
    """
    from pxdask.survey.collect import FORMATS  # noqa: PLC0415  commands load what they need
    from pxdask.survey.results import open_run  # noqa: PLC0415

    done = open_run(store).collect(formats=tuple(table or FORMATS))
    if as_json:
        values = {
            "galaxies": done.n_galaxy,
            "bins": done.n_bin,
            "read": done.n_read,
            "store": str(done.store),
            "tables": [str(path) for path in done.tables],
        }
        typer.echo(json.dumps(values, indent=2))
        return
    galaxies = number_of(done.n_galaxy, "galaxy", "galaxies")
    _say(f"{number_of(done.n_bin, 'bin')} of {galaxies}, {done.n_read} of them read")
    for path in (done.store, *done.tables):
        _say(str(path))


def du(
    store: RunFolder,
    *,
    by: Annotated[str, typer.Option(help="a row for each: stage or galaxy")] = "stage",
    as_json: AsJson = False,
) -> None:
    """Show the space that a run takes, by stage or by galaxy."""
    from pxdask.survey.results import open_run  # noqa: PLC0415  commands load what they need

    if by not in ("stage", "galaxy"):
        raise ConfigError(f"--by is {by!r}; wanted stage or galaxy")
    kind: Literal["stage", "galaxy"] = "stage" if by == "stage" else "galaxy"
    table = open_run(store).usage(kind)
    if as_json:
        rows = [
            {kind: str(row[kind]), "files": int(row["files"]), "bytes": int(row["size"])}
            for row in table
        ]
        n_files, n_bytes = (sum(int(value) for value in table[name]) for name in ("files", "size"))
        typer.echo(json.dumps({"rows": rows, "files": n_files, "bytes": n_bytes}, indent=2))
        return
    for row in table[:MAX_SHOWN]:
        _say(f"{_size(row['size']):>10} {row['files']:8d}  {row[kind]}")
    if len(table) > MAX_SHOWN:
        _say(f"... and {len(table) - MAX_SHOWN} more")
    _say(f"{_size(table['size'].sum()):>10} {table['files'].sum():8d}  in all")


def gc(
    store: RunFolder,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="remove; without it, only tell")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="remove even if nothing finished would stay")
    ] = False,
) -> None:
    """Remove files that a run has no use for any more; first tell which.

    Those are what nothing reaches from its settings and its catalogue, by this version of pxdask;
    it is said what has changed. Where that is all that is finished, `--yes` does nothing without
    `--all`.
    """
    from pxdask.survey.care.space import remove, unreachable  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415  commands load what they need

    run = open_run(store)
    found = unreachable(run)
    _list("unreachable", [file.path.relative_to(run.store).as_posix() for file in found.files])
    for reason in found.why:
        _say(reason)
    if found.n_kept:
        _say(f"{found.n_kept} galaxies keep all: their inputs cannot be looked at")
    if not found.files:
        _say("nothing to remove")
        return
    amount = f"{number_of(len(found.files), 'file')}, {_size(found.n_bytes)}"
    galaxies = number_of(found.n_lost, "galaxy", "galaxies")
    if found.is_all and yes and not every:
        raise ConfigError(
            f"{amount} are not removed: among them is all that is finished, of {galaxies};"
            f" make it anew first (pxdask resume {run.store}), or add --all"
        )
    if not yes:
        words = " --yes --all" if found.is_all else " --yes"
        if found.is_all:
            _say(f"among them is all that is finished, of {galaxies}")
        _say(f"{amount} would be removed; to do so: pxdask gc {run.store}{words}")
        return
    remove(run, found)
    _say(f"removed {amount}")


def _list(word: str, names: list[str] | tuple[str, ...]) -> None:
    """Print names of files, not more than a screen."""
    for name in names[:MAX_SHOWN]:
        _say(f"{word}: {name}")
    if len(names) > MAX_SHOWN:
        _say(f"... and {len(names) - MAX_SHOWN} more {word}")


def _size(n_bytes: int) -> str:
    """Return a size for people."""
    size, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.4g} {units[0]}"


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
