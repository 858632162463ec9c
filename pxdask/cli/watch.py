"""The commands ``pxdask status --watch`` and ``pxdask logs``: a run as it goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pxdask.core.errors import ConfigError
from pxdask.core.spans import span_of

if TYPE_CHECKING:
    from pxdask.survey.results import Run
    from pxdask.survey.watch.tail import RunTally
    from pxdask.survey.watch.tally import Summary

LINES_EVERY_S = 10.0
"""Time between the lines where no screen is [s]."""

MAX_REASONS = 8
MAX_NEWEST = 5
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

out = Console()
err = Console(stderr=True)


def watch_run(run: Run, *, every_s: float) -> None:
    """Show how far a run is until nothing is left to do, or the user stops looking."""
    from pxdask.survey.watch.tail import RunTally  # noqa: PLC0415  slow to import

    tally = RunTally(run)
    try:
        if out.is_terminal:
            _draw(run, tally, every_s)
        else:
            _write(tally, max(every_s, LINES_EVERY_S))
    except KeyboardInterrupt:
        return


def _draw(run: Run, tally: RunTally, every_s: float) -> None:
    """Draw the state on a screen."""
    with Live(console=out, auto_refresh=False) as live:
        while True:
            now = time.time()
            summary = tally.update(now=now)
            age = now - tally.newest if tally.newest else None
            view = screen(summary, name=run.config.name, place=str(run.store), age=age)
            live.update(view, refresh=True)
            if _is_over(summary):
                return
            time.sleep(every_s)


def _write(tally: RunTally, every_s: float) -> None:
    """Write a line with the state now and then."""
    while True:
        summary = tally.update(now=time.time())
        out.print(_line(summary), highlight=False, soft_wrap=True)
        if _is_over(summary):
            return
        time.sleep(every_s)


def _is_over(summary: Summary) -> bool:
    """Return whether every galaxy is finished or has failed."""
    return summary.finished + summary.failed >= summary.total


def _line(summary: Summary) -> str:
    """Return the state in words."""
    words = [f"{summary.finished} of {summary.total} galaxies"]
    words += [f"{summary.failed} failed"] if summary.failed else []
    words += [f"{summary.rate:.4g} an hour", f"{span_of(summary.left_s)} to go"]
    if summary.cpu_s is not None:
        words.append(f"{summary.cpu_s / 3600:.3g} CPU-hours a galaxy")
    return ", ".join(words)


def screen(summary: Summary, *, name: str, place: str, age: float | None) -> Group:
    """Return what `watch_run` draws: the state, a bar for each stage, reasons, newest galaxies.

    ``age`` is the time since anything was written [s]; None where nothing has been.
    """
    newest = "" if age is None else f", newest outcome {span_of(age)} ago"
    parts: list[Text | Table] = [
        Text.assemble((name, "bold"), f"  {place}"),
        Text(f"{_line(summary)}{newest}"),
        _stages(summary),
    ]
    if summary.reasons:
        parts.append(_reasons(summary))
    if summary.newest:
        parts.append(
            Text(
                "newest: "
                + ", ".join(f"{one.id} ({one.cpu_s:.1f} s)" for one in summary.newest[:MAX_NEWEST])
            )
        )
    return Group(*parts)


def _stages(summary: Summary) -> Table:
    """Return a bar for each stage."""
    shown = Table(box=None, pad_edge=False)
    for heading in ("stage", "", "done", "failed", "CPU [s]", "wall [s]"):
        shown.add_column(heading, justify="left" if heading in ("stage", "") else "right")
    for one in summary.stages:
        done = one.done + one.existed
        failed = Text(str(one.failed), style="red" if one.failed else "")
        shown.add_row(
            one.stage,
            ProgressBar(total=one.expected, completed=done, width=30),
            f"{done}/{one.expected}",
            failed,
            f"{one.cpu_s:.1f}",
            f"{one.seconds:.1f}",
        )
    return shown


def _reasons(summary: Summary) -> Table:
    """Return the most frequent reasons of failure."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("failed", justify="right", style="red")
    shown.add_column("why", overflow="fold")
    for reason, count in summary.reasons[:MAX_REASONS]:
        shown.add_row(str(count), Text(reason))
    return shown


def logs(
    store: Annotated[str, typer.Argument(help="folder of the run, or s3://bucket/run")],
    galaxy: Annotated[str, typer.Argument(help="identifier of the galaxy")],
    *,
    stage: Annotated[str | None, typer.Option(help="only this stage")] = None,
    level: Annotated[str, typer.Option(help=f"least level: {', '.join(LEVELS)}")] = "INFO",
) -> None:
    """Show what the workers said about a galaxy, oldest first."""
    from pxdask.survey.results import open_run  # noqa: PLC0415
    from pxdask.survey.watch.logs import read_log  # noqa: PLC0415

    if level.upper() not in LEVELS:
        raise ConfigError(f"level is {level!r}; known: {', '.join(LEVELS)}")
    run = open_run(store)
    if galaxy not in run.galaxies:
        raise ConfigError(f"there is no galaxy {galaxy!r} in the catalogue of {store}")
    least = LEVELS.index(level.upper())
    said = False
    for line in read_log(run.store, galaxy):
        if stage not in (None, line.stage) or least > LEVELS.index(line.level):
            continue
        words = (line.time, line.level, f"{line.stage} {line.part}".strip(), line.message)
        out.print("  ".join(words), markup=False, highlight=False, soft_wrap=True)
        said = True
    if not said:
        err.print(f"nothing of {level.upper()} or worse", highlight=False)
