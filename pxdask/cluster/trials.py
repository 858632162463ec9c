"""What a queue says of a job script before it is submitted."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from dask.utils import parse_bytes, tmpfile

from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pxdask.cluster.queue_settings import QueueSettings
    from pxdask.cluster.queues import Queue

logger = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""Time that a queue may take to answer a command [s]."""


def try_script(queue: Queue, settings: QueueSettings, script: str) -> None:
    """Let the queue judge a job script, without submitting it, where it can.

    Raises
    ------
    ConfigError
        If it refuses, with what it says, or there is no such queue here.
    """
    if not queue.dry_run:
        return
    with tmpfile(extension="sh") as name:
        Path(name).write_text(script, encoding="utf-8")
        done = _asked([*queue.dry_run, name])
    said = (done.stderr + done.stdout).strip()
    if not done.returncode and not (queue.refusal and queue.refusal in said):
        return
    if queue.doubtful and queue.doubtful in said and _has_such_nodes(queue, settings):
        logger.warning("the queue has no node in service for such jobs now; they will wait")
        return
    raise ConfigError(f"the queue refuses the job script:\n{said}\nThe script:\n{script}")


def _asked(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Return what a command of the queue answers.

    Raises
    ------
    ConfigError
        If it is not there, or does not answer.
    """
    try:
        return subprocess.run(  # noqa: S603  the queue's own command, and words of ours
            words, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except FileNotFoundError as error:
        raise ConfigError(absent(words[0])) from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{words[0]} does not answer in {PATIENCE_S:g} s") from error


def _has_such_nodes(queue: Queue, settings: QueueSettings) -> bool:
    """Return whether some node, in service or not, has the cores and the memory of a job."""
    partition = ["-p", settings.queue] if settings.queue else []
    wanted_mib = parse_bytes(settings.memory) / 2**20
    nodes = [line.split() for line in _asked([*queue.nodes, *partition]).stdout.splitlines()]
    return any(int(cores) >= settings.cores and int(mib) >= wanted_mib for cores, mib in nodes)


def absent(program: str) -> str:
    """Return what to do about a command that is not there."""
    return f"there is no {program} on this machine: start from where jobs can be submitted"
