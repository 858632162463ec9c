"""A progress bar for each stage, in a terminal, a notebook or a log."""

from __future__ import annotations

import time
from collections import Counter
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pxdask.survey.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import TaskID

    from pxdask.survey.manifest import Record
    from pxdask.survey.run import Watcher

LOG_EVERY_S = 10.0
"""Time between the lines written where bars cannot be drawn [s]."""


class SilentWatcher:
    """Shows nothing."""

    def expect(self, stage: str, count: int) -> None:
        """Expect more tasks of a stage."""

    def done(self, record: Record) -> None:
        """See one task end."""


class Watchers:
    """Tells several watchers.

    Parameters
    ----------
    *watchers : Watcher
        Who is told.
    """

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def expect(self, stage: str, count: int) -> None:
        """Expect ``count`` more tasks of a stage."""
        for watcher in self._watchers:
            watcher.expect(stage, count)

    def done(self, record: Record) -> None:
        """See one task end."""
        for watcher in self._watchers:
            watcher.done(record)


class ProgressBars:
    """Draws a bar for each stage; where the output is not a screen, writes a line now and then.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to draw; default: standard error, or the notebook's cell.
    stages : sequence of str
        What has a bar.
    """

    def __init__(self, console: Console | None = None, *, stages: Sequence[str] = STAGES) -> None:
        self._stages = stages
        console = console or Console(stderr=True)
        self._console = console
        # in a notebook bars are widgets; without these rich would only warn
        widgets = console.is_jupyter and find_spec("ipywidgets") is not None
        self._live = console.is_terminal or widgets
        self._bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not self._live,
        )
        self._rows: dict[str, TaskID] = {}
        self._total: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bars.start()
        for stage in self._stages:
            self._rows[stage] = self._bars.add_task(stage, total=None, failed="")
        return self

    def __exit__(self, *_: object) -> None:
        """Draw for the last time."""
        self._bars.stop()
        if not self._live:
            self._write_line()

    def expect(self, stage: str, count: int) -> None:
        """Expect ``count`` more tasks of a stage."""
        self._total[stage] += count
        if stage in self._rows:
            self._bars.update(self._rows[stage], total=self._total[stage])

    def done(self, record: Record) -> None:
        """See one task end."""
        stage = record.stage
        if record.outcome == "failed":
            self._failed[stage] += 1
        if record.outcome == "existed" and self._ended[stage] >= self._total[stage]:
            self.expect(stage, 1)
        self._ended[stage] += 1
        if stage in self._rows:
            failed = f"{self._failed[stage]} failed" if self._failed[stage] else ""
            self._bars.update(self._rows[stage], completed=self._ended[stage], failed=failed)
        if not self._live and time.monotonic() - self._last_line > LOG_EVERY_S:
            self._write_line()

    def _write_line(self) -> None:
        """Write the counts of all stages on one line."""
        self._last_line = time.monotonic()
        words = [
            f"{stage} {self._ended[stage]}/{max(self._total[stage], self._ended[stage])}"
            + (f" ({self._failed[stage]} failed)" if self._failed[stage] else "")
            for stage in self._stages
            if self._total[stage] or self._ended[stage]
        ]
        if words:
            self._console.print("  ".join(words), highlight=False, soft_wrap=True)
