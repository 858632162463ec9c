"""A run seen from its manifest alone, as it grows: no scheduler is asked, nothing is locked."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from pxdask.survey.manifest import MANIFEST, Record
from pxdask.survey.stages import STAGES
from pxdask.survey.watch.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pxdask.survey.results import Run
    from pxdask.survey.watch.tally import Summary

BLOCKS = "fit blocks"
"""Stands for the stage of a fit's blocks, whose number is known only at their end."""

QUIET_S = 600.0
"""Time after the last row from which a run counts as stopped, and its rate stays [s]."""

_NAMES = tuple(field.name for field in fields(Record))


class ManifestTail:
    """Reads what is new in a manifest.

    Parameters
    ----------
    folder : Path
        Folder of the manifest's files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}
        self.started = 0.0
        """When the newest driver began: Unix time [s]; 0 before there is one."""

    def new(self) -> Iterator[Record]:
        """Yield the rows written since the last call, oldest first; a torn row is passed over."""
        for path in sorted(self._folder.glob("*.jsonl")):
            start = self._read.get(path.name, 0)
            if path.stat().st_size <= start:
                continue
            with path.open("rb") as file:
                file.seek(start)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[path.name] = start + len(whole)
            began = path.name.split("-")[0]
            self.started = max(self.started, int(began) / 1e9 if began.isdigit() else 0.0)
            yield from _records(whole)


def _records(text: bytes) -> Iterator[Record]:
    """Yield the rows in whole lines of a manifest."""
    for line in text.splitlines():
        try:
            values = json.loads(line)
            yield Record(**{name: values[name] for name in _NAMES if name in values})
        except (ValueError, TypeError):
            continue


class RunTally:
    """Counts the newest outcome of each task of a run; call `update` now and then.

    A task that was tried again counts once. Of each galaxy a few bits are kept.

    Parameters
    ----------
    run : Run
        The run.
    """

    def __init__(self, run: Run) -> None:
        n_galaxy, n_band = len(run.catalog_file), len(run.config.bands)
        self._tail = ManifestTail(run.store / MANIFEST)
        stages = list(STAGES)
        stages.insert(stages.index("fit"), BLOCKS)
        self._tally = Tally(total=n_galaxy, started=0.0, stages=stages)
        self._tally.expect("image", n_galaxy * n_band)
        for stage in ("cube", "bins", "fit", "maps", "products"):
            self._tally.expect(stage, n_galaxy)
        self._bits: dict[tuple[str, str], int] = {}
        self._ok: dict[str, int] = {}
        self._failed: dict[tuple[str, str, str], Record] = {}
        self.newest = 0.0
        """When the newest row was written: Unix time [s]; 0 before there is one."""

    def update(self, *, now: float) -> Summary:
        """Read what is new; return how far the run is at a Unix time [s]."""
        for record in self._tail.new():
            self._tally.restart(self._tail.started)
            if record.outcome != "blocked":
                self._note(record)
        return self._tally.summary(now=min(now, self.newest + QUIET_S) if self.newest else now)

    def _note(self, record: Record) -> None:
        """Count a row in the place of an earlier one of the same task."""
        if record.stage == "fit" and record.part:
            record = replace(record, stage=BLOCKS)
        self.newest = max(self.newest, record.ended)
        bit = 1 << self._bits.setdefault((record.stage, record.part), len(self._bits))
        before = self._failed.pop(record.task, None)
        if before is None and self._ok.get(record.id, 0) & bit:
            before = replace(record, outcome="done", error="")
        if before is not None:
            self._tally.withdraw(before)
        if record.ok:
            self._ok[record.id] = self._ok.get(record.id, 0) | bit
        else:
            self._ok[record.id] = self._ok.get(record.id, 0) & ~bit
            self._failed[record.task] = record
        self._tally.note(record, now=record.ended)
