"""A call in a process of its own, whose death tells on nobody else.

A worker that dies takes with it all that was queued there, and the scheduler cannot know what
killed it. Who is suspected is carried out here: it has its result, or is guilty of this
process's death.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import cloudpickle  # type: ignore[import-untyped]  # it has no types
import psutil  # type: ignore[import-untyped]  # it has no types

from pxdask.core.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_EVERY_S = 0.05
"""Time between two looks at the process [s]."""

_LENGTH = struct.Struct("<Q")


class DiedAloneError(ClusterError):
    """A call killed the process that carried it out, and nothing else was there."""


def run_alone(function: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401  the call's own
    """Return what a call returns, carried out in a new process, for which this one waits.

    Parameters
    ----------
    function : callable
        What to call; it and its arguments must be such as Dask can send.
    *args
        Its arguments.

    Raises
    ------
    DiedAloneError
        If the process died of it, or used more memory than this worker may.
    Exception
        Whatever the call itself raises.
    """
    call = cloudpickle.dumps((function, args))
    paths = cloudpickle.dumps(sys.path)
    with TemporaryFile() as answer:
        process = subprocess.Popen(  # noqa: S603  this Python, this module
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=answer
        )
        try:
            _send(process, paths, call)
            why = _watch(process, limit=_memory_limit())
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        answer.seek(0)
        said = answer.read()
    if why or process.returncode != 0:
        raise DiedAloneError(
            "it kills the process that works on it, even in one of its own:"
            f" {why or _cause(process.returncode)}"
        )
    value, error = cloudpickle.loads(said)  # of our own child
    if error is not None:
        raise error
    return value


def _send(process: subprocess.Popen[bytes], *parts: bytes) -> None:
    """Send what the child reads; the pipe stays open, as its end tells the child that we died."""
    if process.stdin is None:
        raise ValueError("the process has no pipe to read from")
    try:
        for part in parts:
            process.stdin.write(_LENGTH.pack(len(part)) + part)
        process.stdin.flush()
    except BrokenPipeError:
        return  # it died: its exit code tells


def _watch(process: subprocess.Popen[bytes], *, limit: int | None) -> str:
    """Wait for the end of a process; return why it had to be ended, if so."""
    seen = psutil.Process(process.pid)
    while process.poll() is None:
        time.sleep(LOOK_EVERY_S)
        try:
            used = seen.memory_info().rss
        except psutil.Error:
            continue  # it has just ended
        if limit and used > limit:
            return f"it used {used / 1e9:.3g} GB of memory, a worker may use {limit / 1e9:.3g} GB"
    return ""


def _memory_limit() -> int | None:
    """Return the memory that this worker may use [byte]; None outside a worker, or without one."""
    from distributed import get_worker  # noqa: PLC0415  slow, and not needed by the child

    try:
        limit = get_worker().memory_manager.memory_limit
    except ValueError:
        return None
    return int(limit) if limit else None


def _cause(code: int) -> str:
    """Return what an exit code tells."""
    if code >= 0:
        return f"it ended with exit code {code}"
    hint = ", as when memory runs out" if -code == signal.SIGKILL else ""
    return f"signal {-code} ({signal.Signals(-code).name}){hint}"


def _read(count: int) -> bytes:
    """Return so many bytes of what the parent sends."""
    parts = b""
    while len(parts) < count:
        part = os.read(0, count - len(parts))
        if not part:
            raise EOFError("the parent is gone")
        parts += part
    return parts


def _end_with_parent() -> None:
    """End this process once the parent is gone."""
    os.read(0, 1)
    os._exit(1)


def _main() -> None:
    """Carry out the call that the parent sends."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what the call prints is not the answer
    sys.path[:] = cloudpickle.loads(_read(_LENGTH.unpack(_read(_LENGTH.size))[0]))
    call = _read(_LENGTH.unpack(_read(_LENGTH.size))[0])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    outcome: tuple[Any, Exception | None]
    try:
        function, args = cloudpickle.loads(call)
        outcome = function(*args), None
    except Exception as error:  # noqa: BLE001  the parent raises it
        outcome = None, error
    try:
        said = cloudpickle.dumps(outcome)
    except Exception as error:  # noqa: BLE001  whatever a strange object raises
        said = cloudpickle.dumps((None, TypeError(f"cannot be sent: {outcome!r}: {error}")))
    with os.fdopen(answer, "wb") as file:
        file.write(said)


if __name__ == "__main__":
    _main()
