"""The manifest: one row for everything that was tried, in append-only files.

Each driving process appends to a file of its own, so that no lock is needed and a killed
driver spoils at most its last line.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from astropy.table import Table

from pxdask.core.files import growing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pxdask.core.files import Lines
    from pxdask.survey.plan import Task

Outcome = Literal["done", "existed", "failed", "blocked", "removed"]

OK: tuple[Outcome, ...] = ("done", "existed")
"""Outcomes after which the output is there."""

MANIFEST = "manifest"
"""Folder of the manifest in that of a run."""

UNITS = {"seconds": "s", "cpu_s": "s", "ended": "s", "peak_mb": "MB"}


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one task.

    The outcome ``removed`` tells that the file is gone since. ``permanent`` tells a failure that
    would repeat from one that may pass (a lost worker, a full disk). ``n_bin`` is the number of
    bins that the bins stage made. ``checksum`` is that of the file (`pxdask.io.stores.checksum`),
    of several one after another with spaces between; empty for what existed. ``seconds`` is wall
    time, ``cpu_s`` CPU time of the thread that worked [s]; ``ended`` the Unix time [s] of the
    end, 0 where it is not known. ``config`` is the key of the run's whole settings at that time:
    those of today, or a file of the run's folder ``history``.
    """

    id: str
    stage: str
    part: str
    key: str
    outcome: Outcome
    seconds: float = 0.0
    peak_mb: float = 0.0
    host: str = ""
    error: str = ""
    permanent: bool = False
    n_bin: int = -1
    checksum: str = ""
    cpu_s: float = 0.0
    ended: float = 0.0
    config: str = ""

    @classmethod
    def of(cls, task: Task, outcome: Outcome, *, config: str = "") -> Record:
        """Return what became of a task of a plan."""
        return cls(task.galaxy_id, task.stage, task.part, task.key, outcome, config=config)

    @property
    def ok(self) -> bool:
        """Whether the output is there."""
        return self.outcome in OK

    @property
    def task(self) -> tuple[str, str, str]:
        """What was tried, whatever its settings: galaxy, stage and part."""
        return self.id, self.stage, self.part


_NAMES = tuple(one.name for one in fields(Record))

INDEXED = ("id", "stage", "part", "key", "outcome", "seconds", "error", "permanent")
"""What a run that goes on, or its status, needs to know of a row."""

_ABSENT = {
    one.name: None if one.default is MISSING else one.default
    for one in fields(Record)
    if one.name in INDEXED
}
"""What a row has that does not tell it: `INDEXED`, in the order of fields."""


class Manifest:
    """The manifest of one run.

    Parameters
    ----------
    folder : Path
        Folder that holds the files; made when the first row is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: Lines | None = None

    def append(self, record: Record) -> None:
        """Write one row through to the operating system."""
        if self._file is None:
            name = f"{time.time_ns():020d}-{os.getpid()}.jsonl"
            self._file = growing(self.folder / name)
        self._file.write(json.dumps(asdict(record)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close this process's file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def records(self, galaxy: str | None = None) -> Iterator[Record]:
        """Give all rows, or those of a galaxy, oldest first.

        A line cut short by a kill is passed over. Lines of other galaxies are not understood, only
        looked at: fifty times faster.
        """
        if galaxy is None:
            return self._records()
        mark = json.dumps({"id": galaxy})[1:-1]
        return (record for record in self._records(mark) if record.id == galaxy)

    def _records(self, mark: str = "") -> Iterator[Record]:
        """Yield the rows whose lines have some text in them."""
        for values in self._values(mark):
            yield Record(**{name: values[name] for name in _NAMES if name in values})

    def _values(self, mark: str = "") -> Iterator[dict[str, Any]]:
        """Yield what the lines tell that have some text in them."""
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open(encoding="utf-8") as file:
                for line in file:
                    if mark in line:
                        with suppress(json.JSONDecodeError):
                            yield json.loads(line)

    def index(self) -> ManifestIndex:
        """Return what the rows so far tell of each galaxy, held on disk."""
        return ManifestIndex(self._values())

    def latest(self, galaxy: str | None = None) -> dict[tuple[str, str, str], Record]:
        """Return the newest row of each task, or of those of a galaxy.

        A blocked task keeps what it had.
        """
        return _newest(self.records(galaxy))

    def failures(self) -> list[Record]:
        """Return the newest row of each task that has failed; the others are not kept."""
        with closing(self.index()) as index:
            found: dict[tuple[str, str, str], Record | None] = dict.fromkeys(index.failed())
        for record in self._records('"failed"'):
            if record.outcome == "failed" and record.task in found:
                found[record.task] = record
        return [record for record in found.values() if record is not None]


_NEWEST = (
    "SELECT coalesce(max(CASE WHEN outcome <> 'blocked' THEN rowid END), min(rowid)) AS newest,"
    " min(rowid) AS first FROM rows GROUP BY id, stage, part"
)
"""The newest row of each task; a blocked task keeps what it had: the same rule as `_newest`."""

_VIEW = f"CREATE TEMP VIEW tasks AS SELECT * FROM ({_NEWEST}) JOIN rows ON rows.rowid = newest"  # noqa: S608  constants
"""Each task once, as its newest row tells it."""


class ManifestIndex:
    """The newest row of each task of a galaxy, looked up when it is asked for.

    Rows are in a temporary database (in TMPDIR, removed by the system when the process ends), so
    memory does not grow with their number: a million galaxies take about a gigabyte of disk.

    Parameters
    ----------
    rows : iterable of mapping
        Values of rows, oldest first; only `INDEXED` is kept of each.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        names = ", ".join(INDEXED)
        self._select = f"SELECT {names} FROM rows WHERE id = ? ORDER BY rowid"  # noqa: S608  constants
        self._rows = sqlite3.connect("", isolation_level=None)
        self._rows.execute(f"CREATE TABLE rows ({names})")
        self._rows.execute("BEGIN")
        values = ([row.get(name, absent) for name, absent in _ABSENT.items()] for row in rows)
        marks = ", ".join("?" * len(INDEXED))
        cursor = self._rows.executemany(f"INSERT INTO rows VALUES ({marks})", values)  # noqa: S608  constants
        self.n_row = max(0, cursor.rowcount)
        self._rows.execute("CREATE INDEX by_id ON rows (id)")
        self._rows.execute("COMMIT")
        self._rows.execute(_VIEW)

    def of(self, galaxy_id: str) -> dict[tuple[str, str, str], Record]:
        """Return the newest row of each task of a galaxy; see `Manifest.latest`."""
        if not self.n_row:
            return {}
        found = self._rows.execute(self._select, [galaxy_id])
        return _newest(Record(**dict(zip(INDEXED, values, strict=True))) for values in found)

    def counts(self) -> list[tuple[str, Outcome, int, float]]:
        """Return stage, outcome, number and time [s] of the tasks, by their newest rows."""
        return self._rows.execute(
            "SELECT stage, outcome, count(*), sum(seconds) FROM tasks GROUP BY stage, outcome"
        ).fetchall()

    def made(self, stage: str) -> set[str]:
        """Return the galaxies whose output of a stage is there, by its newest row."""
        found = self._rows.execute(
            "SELECT id FROM tasks WHERE stage = ? AND part = '' AND outcome IN ('done', 'existed')",
            [stage],
        )
        return {name for (name,) in found}

    def failed(self) -> list[tuple[str, str, str]]:
        """Return the tasks that have failed by their newest rows, as they were first tried."""
        return self._rows.execute(
            "SELECT id, stage, part FROM tasks WHERE outcome = 'failed' ORDER BY first"
        ).fetchall()

    def close(self) -> None:
        """Forget all rows."""
        self._rows.close()


def _newest(records: Iterable[Record]) -> dict[tuple[str, str, str], Record]:
    """Return the newest row of each task; a blocked task keeps what it had."""
    found: dict[tuple[str, str, str], Record] = {}
    for record in records:
        if record.outcome != "blocked" or record.task not in found:
            found[record.task] = record
    return found


def record_table(records: list[Record]) -> Table:
    """Return rows as a table with units."""
    table = Table({name: [getattr(record, name) for record in records] for name in _NAMES})
    for name, unit in UNITS.items():
        table[name].unit = unit
    return table
