"""What watches a run: bars, the panel on the dashboard, a report of its performance."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from pxdask.core.errors import ConfigError
from pxdask.core.files import replacing
from pxdask.survey.stages import STAGES
from pxdask.survey.watch.progress import ProgressBars, SilentWatcher, Watchers
from pxdask.survey.watch.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from distributed import Client

    from pxdask.survey.run import Watcher


@contextmanager
def watched(
    client: Client | None,
    *,
    name: str,
    place: Path,
    total: int,
    stages: Sequence[str] = STAGES,
    end_stage: str = STAGES[-1],
    shown: bool = True,
) -> Iterator[Watcher]:
    """Watch a run for as long as the block lasts; give who is to be told of its progress.

    Parameters
    ----------
    client : distributed.Client or None
        Client of the cluster, whose dashboard gets the survey panel; None: there is none.
    name, place : str, Path
        Of the run, and of its folder.
    total : int
        Galaxies to do.
    stages : sequence of str
        Stages that are shown.
    end_stage : str
        The stage after which a galaxy is finished.
    shown : bool
        Draw bars, and say where the dashboard is.
    """
    with ExitStack() as stack:
        watchers: list[Watcher] = []
        if client is not None:
            from pxdask.survey.watch.panel import PanelWatcher  # noqa: PLC0415  loads distributed

            tally = Tally(total=total, started=time.time(), stages=stages, end_stage=end_stage)
            panel = PanelWatcher(client, tally, name=name, place=str(place))
            watchers.append(stack.enter_context(panel))
            if shown:
                _say_where(client)
        if shown:
            watchers.append(stack.enter_context(ProgressBars(stages=stages)))
        yield Watchers(*watchers) if watchers else SilentWatcher()


def _say_where(client: Client) -> None:
    """Print the addresses of the dashboard and of the survey panel."""
    from pxdask.survey.watch.panel import PAGE  # noqa: PLC0415  loads distributed

    if link := client.dashboard_link:
        console = Console(stderr=True)
        console.print(f"dashboard: {link}", soft_wrap=True)
        console.print(f"survey: {link.removesuffix('status')}{PAGE}", soft_wrap=True)


@contextmanager
def reported(client: Client | None, path: Path | None) -> Iterator[None]:
    """Write Dask's performance report of the block to an HTML file that needs no network.

    Parameters
    ----------
    client : distributed.Client or None
        Client of the cluster.
    path : Path or None
        The file; None: no report is written.

    Raises
    ------
    ConfigError
        If there is no cluster to report on.
    """
    if path is None:
        yield
        return
    if client is None:
        raise ConfigError(f"no performance report {path}: a serial run has no cluster to report on")
    from distributed import performance_report  # noqa: PLC0415  slow, and rarely needed

    with (
        replacing(path) as part,
        client.as_current(),
        performance_report(filename=str(part), stacklevel=2, mode="inline"),
    ):
        yield
