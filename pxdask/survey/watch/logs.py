"""What workers say about each galaxy, as JSON lines in a file of its own.

The lines of all tasks of a galaxy go to ``logs/<shard>/<galaxy>.jsonl`` of the run, each written
whole at once by the worker that says it, so that a killed worker's last words are there.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pxdask.core.errors import StoreError
from pxdask.core.files import growing
from pxdask.core.remote import far
from pxdask.survey.plan import galaxy_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pxdask.core.files import Lines

LOGS = "logs"
"""Folder of a run that holds the files."""

MAX_BYTES = 256 * 1024
"""Size after which a galaxy's file becomes its old one, whose predecessor goes [bytes]."""

MAX_LINES = 500
"""Lines of one task; what it says after that is counted, not kept, warnings excepted."""

MAX_WARNINGS = 500
"""Warnings and errors of one task beyond `MAX_LINES`."""

MAX_LENGTH = 4000
"""Characters of one message; the last ones are kept too, as a traceback ends with its reason."""

PACKAGE = "pxdask"

_OF_TASK = "~"
"""Stands between galaxy and task in the names of objects; no galaxy's name has one."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: when, how grave, about what, by whom. ``time`` is UTC, in ISO 8601."""

    time: str
    level: str
    stage: str
    part: str
    message: str
    logger: str = ""
    host: str = ""
    pid: int = 0


_NAMES = tuple(field.name for field in fields(Line))


def log_path(root: Path, galaxy_id: str) -> Path:
    """Return the file of a galaxy's log."""
    folder = galaxy_folder(root, galaxy_id)
    return root / LOGS / folder.parent.name / f"{galaxy_id}.jsonl"


def read_log(root: Path, galaxy_id: str) -> Iterator[Line]:
    """Yield the lines of a galaxy's log, oldest first; a line cut short is passed over."""
    path = log_path(root, galaxy_id)
    objects = sorted(path.parent.glob(f"{galaxy_id}{_OF_TASK}*.jsonl")) if far(root) else []
    for file in (_old(path), path, *objects):
        if not file.is_file():
            continue
        with file.open(encoding="utf-8", errors="replace") as lines:
            for text in lines:
                try:
                    values = json.loads(text)
                    yield Line(**{name: values[name] for name in _NAMES if name in values})
                except (json.JSONDecodeError, TypeError):
                    continue


@contextmanager
def galaxy_log(root: Path, galaxy_id: str, stage: str, part: str = "") -> Iterator[None]:
    """Write what pxdask logs in this thread, from level INFO on, to a galaxy's file.

    An exception that leaves the block is written with its traceback. A log that cannot be
    written is lost: that must not fail a galaxy whose outputs can.
    """
    sink = _Sink(log_path(root, galaxy_id), stage, part)
    token = _SINK.set(sink)
    _HANDLER.listen()
    try:
        yield
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        sink.write(logging.getLevelName(logging.ERROR), text, logger=__name__)
        raise
    finally:
        _HANDLER.leave()
        _SINK.reset(token)
        sink.close()


class _Sink:
    """The file of one galaxy, for the time of one task."""

    def __init__(self, path: Path, stage: str, part: str) -> None:
        self._path = path
        self._line = Line("", "", stage, part, "", host=platform.node(), pid=os.getpid())
        self._file: Lines | None = None
        self._written = 0
        self._left_out = 0

    def write(self, level: str, message: str, *, logger: str) -> None:
        """Write one line, at once and whole."""
        grave = level not in ("INFO", "DEBUG")
        if self._written >= MAX_LINES + grave * MAX_WARNINGS:
            self._left_out += 1
            return
        self._written += 1
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = replace(
            self._line, time=moment, level=level, message=_shortened(message), logger=logger
        )
        text = json.dumps(asdict(line), ensure_ascii=False, separators=(",", ":")) + "\n"
        try:
            if self._file is None:
                self._file = _opened(self._path)
            self._file.write(text)
        except (OSError, StoreError):
            return

    def close(self) -> None:
        """Say how much was left out, and close the file."""
        if self._left_out:
            left_out, self._left_out, self._written = self._left_out, 0, 0
            self.write("WARNING", f"{left_out} more lines of this task left out", logger=__name__)
        if self._file is not None:
            with suppress(OSError, StoreError):
                self._file.close()
            self._file = None


class _Appended:
    """A file to which several processes append, each line at once and whole."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, line: str) -> None:
        """Append a line."""
        os.write(self._descriptor, line.encode("utf-8", errors="replace"))

    def flush(self) -> None:
        """Do nothing: what was written is written."""

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


_SINK: ContextVar[_Sink | None] = ContextVar("galaxy_log", default=None)


class _Handler(logging.Handler):
    """Gives records of pxdask to the galaxy that is being worked on.

    While it is held, the package's logger lets INFO through; what the program's own handlers
    see stays what it was.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._held = 0
        self._guard = threading.Lock()
        self._before = (logging.NOTSET, True)

    def listen(self) -> None:
        """Begin to listen, unless another thread has."""
        package = logging.getLogger(PACKAGE)
        with self._guard:
            self._held += 1
            if self._held == 1:
                self._before = (package.level, package.propagate)
                package.addHandler(self)
                if package.getEffectiveLevel() > logging.INFO:
                    package.setLevel(logging.INFO)
                    package.propagate = False

    def leave(self) -> None:
        """Leave the logger as it was found, once no thread listens."""
        package = logging.getLogger(PACKAGE)
        with self._guard:
            self._held -= 1
            if self._held == 0:
                package.removeHandler(self)
                package.level, package.propagate = logging.NOTSET, self._before[1]
                package.setLevel(self._before[0])

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to the galaxy's file, and pass on what would have been seen without."""
        sink = _SINK.get()
        if sink is not None:
            try:
                message = record.getMessage()
                if record.exc_info:
                    message += "\n" + logging.Formatter().formatException(record.exc_info)
                sink.write(record.levelname, message, logger=record.name)
            except Exception:  # noqa: BLE001  a message that cannot be formatted: logging's own way
                self.handleError(record)
        parent = logging.getLogger(PACKAGE).parent
        level, propagate = self._before
        if parent is None or not propagate or logging.getLogger(PACKAGE).propagate:
            return
        if record.levelno >= (level or parent.getEffectiveLevel()):
            parent.callHandlers(record)


_HANDLER = _Handler()


def _opened(path: Path) -> Lines:
    """Return a galaxy's file, to append to; one that is too long becomes the old one.

    Two workers that find it too long at the same moment may lose the older lines. In an object
    store nothing can be appended to: there a task has objects of its own.
    """
    if far(path):
        name = f"{path.stem}{_OF_TASK}{time.time_ns():020d}-{os.getpid()}{path.suffix}"
        return growing(path.with_name(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_BYTES:
        path.replace(_old(path))
    return _Appended(path)


def _old(path: Path) -> Path:
    """Return where the earlier lines of a long log are; no galaxy's name begins with a dot."""
    return path.with_name(f".{path.name}.old")


def _shortened(message: str) -> str:
    """Return a message without its middle, if it is long."""
    if len(message) <= MAX_LENGTH:
        return message
    half = MAX_LENGTH // 2
    return f"{message[:half]} [... {len(message) - 2 * half} characters ...] {message[-half:]}"
