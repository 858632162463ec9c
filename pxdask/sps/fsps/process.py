"""python-fsps in a process of its own.

FSPS ends its process with exit code 0 and no exception where a file is missing, and keeps its
state in globals. Whatever is asked of it is therefore asked of a new interpreter, and only a
whole result counts.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.sps.fsps import worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

TIMEOUT = 3600.0
"""Longest time that an answer may take [s]; the largest libraries need minutes."""
_MAX_HOME = 180
"""Longest SPS_HOME [characters]; FSPS keeps file names in 250."""
_LAST_LINES = 12
"""Lines of the process's output that an error quotes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process of python-fsps gives back.

    Attributes
    ----------
    facts : dict
        JSON values.
    arrays : dict of arrays
        By name.
    """

    facts: dict[str, Any]
    arrays: dict[str, NDArray[np.float64]]


def ask(
    task: str,
    *,
    home: Path | None,
    arguments: Mapping[str, Any] | None = None,
    tables: Mapping[str, NDArray[np.float64]] | None = None,
    timeout: float = TIMEOUT,
) -> Answer:
    """Return the answer of a new process of python-fsps.

    Parameters
    ----------
    task : str
        Key of `pxdask.sps.fsps.worker.TASKS`.
    home : Path or None
        The folder of FSPS's data; None for tasks that need none.
    arguments : mapping, optional
        JSON values that the task takes.
    tables : mapping, optional
        Arrays that it takes.
    timeout : float
        Longest time to wait [s].

    Returns
    -------
    answer : Answer

    Raises
    ------
    ConfigError
        If python-fsps is not installed, the path of ``home`` is too long for it, or there is
        no result in time; the error quotes what the process printed.
    """
    if find_spec("fsps") is None:
        raise ConfigError('python-fsps is not installed: `pip install "pxdask[fsps]"`')
    if home is not None and len(str(home)) > _MAX_HOME:
        raise ConfigError(
            f"SPS_HOME = {home} has {len(str(home))} characters; FSPS takes up to {_MAX_HOME}:"
            " give it a shorter name, such as a symbolic link"
        )
    with tempfile.TemporaryDirectory(prefix="pxdask-fsps-") as name:
        folder = Path(name)
        request = {
            "task": task,
            "home": None if home is None else str(home),
            "arguments": dict(arguments or {}),
        }
        (folder / worker.REQUEST).write_text(json.dumps(request))
        if tables:
            np.savez(folder / worker.ARRAYS, **dict(tables))  # type: ignore[arg-type]
        ended = _run(folder, task, timeout)
        if not (folder / worker.RESULT).exists():
            raise ConfigError(_no_result(task, home, ended))
        with np.load(folder / worker.RESULT) as result:
            arrays = dict(result)
    return Answer(json.loads(str(arrays.pop(worker.FACTS))), arrays)


def _run(folder: Path, task: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """Return how the process ended; raises `ConfigError` if it does not in time."""
    # -P: the folder of the script, which is named fsps, is not where modules are looked for
    command = [sys.executable, "-P", worker.__file__, str(folder)]
    try:
        ended = subprocess.run(  # noqa: S603  our own script
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"python-fsps gave no answer to {task!r} in {timeout:.0f} s; see `pxdask ssp doctor`"
        ) from error
    logger.debug("fsps %s: exit code %d\n%s", task, ended.returncode, ended.stdout)
    return ended


def _no_result(task: str, home: Path | None, ended: subprocess.CompletedProcess[str]) -> str:
    """Return what to tell the user about a process that left no result."""
    errors = ended.stderr.splitlines()
    if any(line.startswith("Traceback") for line in errors):
        errors = errors[-1:]
    said = [line.strip() for line in (*ended.stdout.splitlines(), *errors)]
    last = [line for line in said if line][-_LAST_LINES:] or ["(nothing)"]
    how = f"exit code {ended.returncode}"
    if ended.returncode < 0:
        how = f"signal {-ended.returncode}; 9 often means that memory was short"
    where = "" if home is None else f" with SPS_HOME = {home}"
    head = (
        f"python-fsps ended without a result for {task!r}{where} ({how});"
        " `pxdask ssp doctor` says which files it needs. It printed:"
    )
    return "\n  | ".join([head, *last])
