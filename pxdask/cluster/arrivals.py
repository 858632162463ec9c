"""Who came to work, who may not, and who is waited for."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxdask.core.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from distributed import Client

    from pxdask.cluster.admission import Stranger
    from pxdask.cluster.supervisor import Sight

logger = logging.getLogger(__name__)

MOST_NAMED = 8
"""Jobs that a message names."""

MOST_PRINTED = 2000
"""Bytes at the end of what a job printed in which its last line is looked for."""

ADVICE = "all machines need the same environment: see `python` and `prologue` of the cluster"


def is_of_job(worker: str, job: object) -> bool:
    """Return whether a worker is one of a job's, by their names."""
    return worker == str(job) or worker.startswith(f"{job}-")


@dataclass(slots=True)
class Arrivals:
    """Sees who is there, and speaks up where the user would wait for ever.

    Parameters
    ----------
    client : distributed.Client
        Client of the cluster.
    wanted : mapping
        Versions of packages that workers should have.
    alone_s : float
        Time without a worker after which it is told [s].
    gone_s : float
        Time after which workers that were there are not waited for any more, unless a queue has
        jobs that may bring others [s].
    clock : callable
        Time [s].
    """

    client: Client
    wanted: Mapping[str, str]
    alone_s: float
    gone_s: float
    clock: Callable[[], float]
    sent_away: dict[str, str] = field(default_factory=dict)
    _said: list[str] = field(default_factory=list)
    _known: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)
    _n_here: int = 0
    _alone_since: float | None = None
    _next_s: float = 0.0

    def see(self, sight: Sight) -> None:
        """Take note of strangers, and of there being nobody.

        Raises
        ------
        ClusterError
            If no worker is there that may work, and no job is left that may bring one; or if all
            have gone, and none came back for long.
        """
        for stranger in sight.strangers:
            self._greet(stranger)
        here = [one for one in sight.workers if one.address not in self.sent_away]
        if here:
            self._end_waiting(len(here))
        elif self.sent_away and not self._jobs():
            raise ClusterError(
                "\n  - ".join(["no worker has the right environment:", *self._said]) + f"\n{ADVICE}"
            )
        else:
            self._wait()

    def was_sent_away(self, job: object) -> bool:
        """Return whether a job brought a stranger: another like it would be no better."""
        return any(is_of_job(worker, job) for worker in self.sent_away.values())

    def _greet(self, stranger: Stranger) -> None:
        """Warn of a stranger, once for each machine."""
        text = stranger.text(self.wanted)
        leaves = stranger.is_sent_away(self.wanted)
        if leaves and stranger.address not in self.sent_away:
            self.sent_away[stranger.address] = stranger.name
            self._said.append(text)
        sort = (stranger.host, tuple(stranger.differs(self.wanted)))
        if sort in self._known:
            return
        self._known.add(sort)
        if leaves:
            logger.warning("%s: it may not work, and is not replaced; %s", text, ADVICE)
        else:
            logger.warning("%s: results may differ in their last digits", text)

    def _jobs(self) -> dict[Any, Any]:
        """Return the jobs of this cluster that may bring workers."""
        jobs = getattr(self.client.cluster, "workers", {})
        return {name: job for name, job in jobs.items() if not self.was_sent_away(name)}

    def _wait(self) -> None:
        """Say that nobody is there, now and then."""
        now = self.clock()
        if self._alone_since is None:
            self._alone_since, self._next_s = now, self.alone_s
        waited = now - self._alone_since
        if self._n_here and waited >= self.gone_s and not self._queued():
            raise ClusterError(
                f"all workers are gone ({self._n_here} were there), and for {waited / 60:.1f}"
                " minutes none came back"
            )
        if waited < self._next_s:
            return
        self._next_s *= 2.0
        logger.warning(
            "no worker for %.1f minutes: the run waits; %s", waited / 60, self._asked_for()
        )

    def _queued(self) -> list[Any]:
        """Return the jobs of a queue that may bring workers."""
        return [job for job in self._jobs().values() if getattr(job, "job_id", None)]

    def _asked_for(self) -> str:
        """Return what is known of the jobs that should bring workers."""
        jobs = self._queued()
        if not jobs:
            return "nobody is expected that this program knows of"
        numbers = ", ".join(str(job.job_id) for job in jobs[:MOST_NAMED])
        more = f" and {len(jobs) - MOST_NAMED} more" if len(jobs) > MOST_NAMED else ""
        printed = next(filter(None, map(_last_words, jobs)), "")
        if printed:
            return f"jobs {numbers}{more} are submitted, and one has printed: {printed}"
        return f"jobs {numbers}{more} are submitted and have printed nothing: ask the queue"

    def _end_waiting(self, n_worker: int) -> None:
        """Say that somebody came, if it was said that nobody was there."""
        if self._alone_since is not None and self._next_s > self.alone_s:
            waited = self.clock() - self._alone_since
            logger.warning("%d workers have come after %.1f minutes", n_worker, waited / 60)
        self._alone_since, self._n_here = None, n_worker


def _last_words(job: Any) -> str:  # noqa: ANN401  untyped
    """Return the last line that a job printed, and where: a job that breaks has no other voice."""
    folder = getattr(job, "log_directory", None)
    if folder is None:
        return ""
    for path in sorted(Path(folder).glob(f"*{job.job_id}*")):
        with suppress(OSError):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - MOST_PRINTED))
                lines = file.read().decode(errors="replace").split("\n")
            if found := [line.strip() for line in lines if line.strip()]:
                return f"{found[-1]} ({path})"
    return ""
