"""The manifest: one row for everything that was tried, in append-only files.

Each driving process appends to a file of its own, so that no lock is needed and a killed
driver spoils at most its last line.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Literal

from astropy.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

Outcome = Literal["done", "existed", "failed", "blocked"]

UNITS = {"seconds": "s", "peak_mb": "MB"}


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one task.

    ``permanent`` tells a failure that would repeat from one that may pass (a lost worker, a
    full disk). ``n_bin`` is the number of bins that the bins stage made.
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

    @property
    def ok(self) -> bool:
        """Whether the output is there."""
        return self.outcome in ("done", "existed")

    @property
    def task(self) -> tuple[str, str, str]:
        """What was tried, whatever its settings: galaxy, stage and part."""
        return self.id, self.stage, self.part


_NAMES = tuple(field.name for field in fields(Record))


class Manifest:
    """The manifest of one run.

    Parameters
    ----------
    folder : Path
        Folder that holds the files; made when the first row is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: TextIO | None = None

    def append(self, record: Record) -> None:
        """Write one row through to the operating system."""
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{time.time_ns():020d}-{os.getpid()}.jsonl"
            self._file = (self.folder / name).open("x", encoding="utf-8")
        self._file.write(json.dumps(asdict(record)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close this process's file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def records(self) -> Iterator[Record]:
        """Yield all rows, oldest first; a line cut short by a kill is passed over."""
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open(encoding="utf-8") as file:
                for line in file:
                    try:
                        values = json.loads(line)
                    except json.JSONDecodeError:
                        continue
                    yield Record(**{name: values[name] for name in _NAMES if name in values})

    def latest(self) -> dict[tuple[str, str, str], Record]:
        """Return the newest row of each task; a blocked task keeps what it had."""
        found: dict[tuple[str, str, str], Record] = {}
        for record in self.records():
            if record.outcome != "blocked" or record.task not in found:
                found[record.task] = record
        return found


def record_table(records: list[Record]) -> Table:
    """Return rows as a table with units."""
    table = Table({name: [getattr(record, name) for record in records] for name in _NAMES})
    for name, unit in UNITS.items():
        table[name].unit = unit
    return table
