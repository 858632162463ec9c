"""What is asked of a job queue, in the same words for every queue."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Self

from dask.utils import parse_bytes
from pydantic import BeforeValidator, model_validator

from pxdask.cluster.security import DASHBOARD_PORT
from pxdask.core.settings import TEXT, FileSettings, setting

LEAST_MEMORY = 10**9
"""Memory of a worker [byte]: libraries take 0.4 GB, and at 80% it waits for ever to have less."""

MOST_DRAIN_S = 300.0
"""Time before the end of a job in which its workers finish what they do, at most [s]."""


def seconds_of(walltime: object) -> object:
    """Return the seconds in ``[days-]hours:minutes[:seconds]``; anything else as it is.

    An unquoted ``12:00:00`` is read by YAML as a number to the base 60: the seconds.
    """
    if not isinstance(walltime, str):
        return walltime
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):([0-5]?\d)(?::([0-5]?\d))?", walltime.strip())
    if found is None:
        raise ValueError("a walltime is [days-]hours:minutes:seconds, such as 12:00:00")
    days, hours, minutes, seconds = (int(word or 0) for word in found.groups())
    return ((24 * days + hours) * 60 + minutes) * 60 + seconds


def _bytes(value: object) -> object:
    """Return text if it is an amount of memory with its unit."""
    if not isinstance(value, str) or not re.search(r"[A-Za-z]", value):
        raise ValueError("an amount of memory has a unit, such as 8GB")
    parse_bytes(value)
    return value


def _one_line(value: object) -> object:
    """Return text that stays within its line of a job script."""
    if isinstance(value, str) and "\n" in value:
        raise ValueError("must be a single line")
    return value


Seconds = Annotated[int, BeforeValidator(seconds_of)]
Bytes = Annotated[str, BeforeValidator(_bytes)]
Line = Annotated[str, BeforeValidator(_one_line)]


class QueueSettings(FileSettings):
    """Jobs of a queue, and the workers in them."""

    jobs: int | None = setting(None, unit=TEXT, about="jobs to keep in the queue", gt=0)
    workers: int | None = setting(
        None, unit=TEXT, about="workers to keep: instead of jobs; default: one job", gt=0
    )
    cores: int = setting(1, unit=TEXT, about="cores of a job", gt=0)
    workers_per_job: int | None = setting(
        None, unit=TEXT, about="worker processes of a job; default: one a core", gt=0
    )
    memory: Bytes = setting("4GB", unit="byte", about="memory of a job, of all its workers")
    walltime: Seconds = setting(
        3600, unit="s", about="[days-]hours:minutes:seconds of a job", ge=60
    )
    drain: float | None = setting(
        None, unit="s", about="workers take no new task so long before the end of their job", gt=0
    )
    queue: Line | None = setting(None, unit=TEXT, about="queue or partition")
    project: Line | None = setting(None, unit=TEXT, about="project or account that pays")
    resources: Line | None = setting(
        None, unit=TEXT, about="PBS, Moab, SGE, OAR: what a job asks for, in the queue's own words"
    )
    memory_property: Line | None = setting(
        None, unit=TEXT, about="OAR: name of its property that is the memory of a core"
    )
    disk: Bytes = setting("2GB", unit="byte", about="HTCondor: disk of a job")
    directives: tuple[Line, ...] = setting(
        (), unit=TEXT, about="more lines for the head of the job script, without their mark"
    )
    directives_skip: tuple[Line, ...] = setting(
        (), unit=TEXT, about="lines of the head that hold one of these are left out"
    )
    prologue: tuple[Line, ...] = setting(
        (), unit=TEXT, about="shell commands before the workers start: modules, variables"
    )
    scratch: Line | None = setting(
        None, unit=TEXT, about="folder of the node for workers' files; may hold $TMPDIR"
    )
    shared: str | None = setting(
        None,
        unit=TEXT,
        about="folder that this machine and all nodes see, for credentials; default: the cache's",
    )
    logs: str | None = setting(
        None, unit=TEXT, about="folder for what jobs print; default: in the shared folder"
    )
    interface: Line | None = setting(
        None, unit=TEXT, about="network of scheduler and workers, such as ib0; lo on one machine"
    )
    tls: bool = setting(default=True, unit=TEXT, about="encrypt, and let nobody else in")
    dashboard_port: int = setting(
        DASHBOARD_PORT,
        unit=TEXT,
        about="port of the dashboard, on loopback; another if taken",
        ge=0,
        le=65535,
    )
    python: Line | None = setting(
        None, unit=TEXT, about="Python of the nodes; default: the one that runs here"
    )
    death_timeout: float = setting(
        120.0, unit="s", about="a worker gives up after so long without its scheduler", gt=0
    )

    @model_validator(mode="before")
    @classmethod
    def _texts(cls, values: Any) -> Any:  # noqa: ANN401  whatever the user gave
        """Let a block of text stand for a list of its lines."""
        if isinstance(values, dict):
            lists = ("prologue", "directives", "directives_skip")
            blocks = {key: values[key] for key in lists if isinstance(values.get(key), str)}
            lines = {key: [s for s in text.splitlines() if s] for key, text in blocks.items()}
            return {**values, **lines}
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse what no job can be."""
        if self.jobs is not None and self.workers is not None:
            raise ValueError("give jobs or workers, not both")
        if self.cores % self.n_process:
            raise ValueError(f"{self.n_process} workers do not share {self.cores} cores evenly")
        if parse_bytes(self.memory) < LEAST_MEMORY * self.n_process:
            raise ValueError(
                f"{self.n_process} workers share {self.memory}; wanted 1 GB or more for each"
            )
        if self.lifetime <= 0:
            raise ValueError(
                f"a walltime of {self.walltime} s leaves no time to work: {self.drain} s are"
                " for the end"
            )
        return self

    @property
    def n_process(self) -> int:
        """Worker processes of a job."""
        return self.workers_per_job or self.cores

    @property
    def n_job(self) -> int:
        """Jobs to keep in the queue."""
        return self.jobs or math.ceil((self.workers or 1) / self.n_process)

    @property
    def drain_s(self) -> float:
        """Time for the last tasks of a worker [s]: given, or a sixth of the walltime, if short."""
        return self.drain or min(MOST_DRAIN_S, self.walltime / 6)

    @property
    def stagger(self) -> float:
        """Lifetimes differ by up to so much either way, lest all workers end at once [s]."""
        return min(MOST_DRAIN_S, self.walltime / 20)

    @property
    def lifetime(self) -> float:
        """Mean time after which a worker takes no new task [s]."""
        return self.walltime - self.drain_s - self.stagger
