"""What Dask leaves open in a run of days: who is lost, who hangs, who is to blame, who comes back.

A supervisor stands beside the executor, which asks it now and then. It looks at the scheduler,
and keeps the cluster at the size that was asked for; what becomes of tasks is the executor's
business.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]  # it has no types
from distributed import Status, WorkerPlugin

from pxdask.core.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from distributed import Client, Scheduler, Worker

logger = logging.getLogger(__name__)

ALLOWED_DEATHS = 1
"""Workers that may die on a task before it is suspected; the next death is reported."""

DRAIN_PART, MOST_DRAIN_S = 0.2, 240.0
"""Share of its lifetime, and time, that a worker may take to end what it does [s]."""

EARLY_S = 1.0
"""So long before its lifetime ends a worker begins to drain [s]: before Dask closes it."""

RESTART_S = 15.0
"""Time that a worker may take to be started again [s]; the run goes on then in any case."""

MOST_EXPLAINED = 20
"""Tasks that an explanation names."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """When a supervisor acts; all times in seconds.

    Attributes
    ----------
    period_s : float
        Between two looks.
    slow_factor, slow_s : float
        A task is slow if it runs longer than both ``slow_s`` and ``slow_factor`` times what is
        typical of its kind.
    wedged_s : float
        A run in which nothing ends for so long is explained.
    lost_s : float
        A job whose workers are gone for so long is replaced.
    refused_s : float
        A job that the queue refused is asked for again after so long.
    reconnect_s : float
        Patience with a scheduler that does not answer.
    tries : int
        Times that a task is tried again because workers died.
    """

    period_s: float = 5.0
    slow_factor: float = 10.0
    slow_s: float = 600.0
    wedged_s: float = 1800.0
    lost_s: float = 15.0
    refused_s: float = 60.0
    reconnect_s: float = 60.0
    tries: int = 3


@dataclass(frozen=True, slots=True)
class Running:
    """A task that a worker carries out, of what kind, and for how long [s]."""

    key: Any
    kind: str
    worker: str
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerSight:
    """A worker as the scheduler sees it; memory in byte."""

    address: str
    name: str
    status: str
    memory: int
    memory_limit: int
    n_task: int
    silent_s: float


@dataclass(frozen=True, slots=True)
class Sight:
    """What the scheduler knows at one moment.

    Attributes
    ----------
    running : tuple of Running
        Tasks that workers said they carry out.
    typical : dict
        Mean time of the tasks of each kind [s], in which the last ones count most; the scheduler
        forgets a kind when it has no task of it.
    states : dict
        Number of tasks asked about in each of the scheduler's states.
    unknown : frozenset
        Keys asked about that the scheduler has never heard of, or has forgotten.
    workers : tuple of WorkerSight
        All workers.
    """

    running: tuple[Running, ...]
    typical: dict[str, float]
    states: dict[str, int]
    unknown: frozenset[Any]
    workers: tuple[WorkerSight, ...]


def look(keys: Collection[Any], dask_scheduler: Scheduler) -> Sight:
    """Return what a scheduler knows of some tasks; runs in its process."""
    now = time.time()
    running, workers = [], []
    for worker in dask_scheduler.workers.values():
        for task, seconds in worker.executing.items():
            running.append(Running(task.key, task.prefix.name, worker.address, float(seconds)))
        workers.append(
            WorkerSight(
                address=worker.address,
                name=str(worker.name),
                status=worker.status.name,
                memory=int(worker.metrics.get("memory", 0)),
                memory_limit=int(worker.memory_limit or 0),
                n_task=len(worker.processing),
                silent_s=max(0.0, now - worker.last_seen),
            )
        )
    tasks = dask_scheduler.tasks
    states = Counter(str(tasks[key].state) for key in keys if key in tasks)
    unknown = frozenset(key for key in keys if key not in tasks)
    typical = {
        name: float(kind.duration_average)
        for name, kind in dask_scheduler.task_prefixes.items()
        if kind.duration_average >= 0
    }
    return Sight(tuple(running), typical, dict(states), unknown, tuple(workers))


def _suspect_early(dask_scheduler: Scheduler) -> None:
    """Let a scheduler report a task as soon as it is suspect: innocents are cleared, not blamed."""
    dask_scheduler.allowed_failures = ALLOWED_DEATHS


class Draining(WorkerPlugin):
    """Lets a worker end its tasks before its lifetime ends; Dask would drop them.

    Its own close gives running tasks to others, who begin from the start.
    """

    name = "pxdask-draining"

    def setup(self, worker: Worker) -> None:
        """Note when to begin."""
        if lifetime := worker.lifetime:
            wait = max(0.0, lifetime - EARLY_S - (time.time() - psutil.Process().create_time()))
            worker.loop.call_later(wait, self._drain, worker, lifetime)

    async def _drain(self, worker: Worker, lifetime: float) -> None:
        """Take nothing new, wait for what runs, then close."""
        if worker.status not in (Status.running, Status.paused):
            return
        logger.info("%s ends: it takes no new task", worker.address)
        worker.status = Status.closing_gracefully  # which the scheduler is told
        end = time.monotonic() + min(MOST_DRAIN_S, DRAIN_PART * lifetime)
        while worker.state.executing_count and time.monotonic() < end:  # noqa: ASYNC110  no event
            await asyncio.sleep(0.1)
        await worker.scheduler.retire_workers(
            workers=[worker.address], close_workers=False, remove=True
        )
        await worker.close(nanny=True, reason="lifetime")


@dataclass(slots=True)
class _Job:
    """A job of the queue: the object that is it, and since when its workers are gone."""

    job: Any
    arrived: bool = False
    gone_since: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Watches over a cluster.

    Parameters
    ----------
    client : distributed.Client
        Client of the cluster. Its scheduler is told to suspect early, its workers to drain.
    settings : Supervision
        When to act.
    clock : callable
        Time [s]; for tests.
    """

    client: Client
    settings: Supervision = field(default_factory=Supervision)
    clock: Callable[[], float] = time.monotonic
    replaced: int = 0
    typical: dict[str, float] = field(default_factory=dict)
    _jobs: dict[Any, _Job] = field(default_factory=dict)
    _progress: float = 0.0
    _explained: float = 0.0

    def __post_init__(self) -> None:
        """Prepare scheduler and workers."""
        self.progressed()
        self.prepare()
        self.top_up()  # who is here now shall not be missed later

    def prepare(self) -> None:
        """Tell the scheduler, and all workers now and later, what a supervised run needs."""
        self.client.run_on_scheduler(_suspect_early)
        self.client.register_plugin(Draining())

    def look(self, keys: Collection[Any]) -> Sight | None:
        """Return what the scheduler knows of some tasks; None if it does not answer."""
        try:
            sight: Sight = self.client.run_on_scheduler(look, list(keys))
        except (OSError, TimeoutError) as error:
            logger.warning("the scheduler does not answer: %s", error)
            return None
        return sight

    def slow(self, sight: Sight) -> list[Running]:
        """Return the tasks that run far longer than is typical of their kind, if that is known."""
        least, factor = self.settings.slow_s, self.settings.slow_factor
        self.typical |= sight.typical
        return [
            task
            for task in sight.running
            if task.kind in self.typical
            and task.seconds > max(least, factor * self.typical[task.kind])
        ]

    def progressed(self) -> None:
        """Hear that a task ended."""
        self._progress = self._explained = self.clock()

    def explain_if_wedged(self, sight: Sight, waiting: Collection[Any]) -> str:
        """Return, and log, why nothing ends, if nothing did for long; again after as long."""
        now = self.clock()
        if not waiting or now - self._explained < self.settings.wedged_s:
            return ""
        self._explained = now
        sight = replace(sight, typical={**self.typical, **sight.typical})
        text = explained(sight, waiting, still_s=now - self._progress, jobs=len(self._jobs))
        logger.warning("%s", text)
        return text

    def restart(self, address: str) -> None:
        """Start a worker again whose thread is taken by a task that nobody waits for any more."""
        logger.warning("worker %s hangs and is started again", address)
        try:
            self.client.restart_workers([address], timeout=RESTART_S, raise_for_error=False)
        except (OSError, TimeoutError, ValueError) as error:
            logger.warning("worker %s is not started again: %s", address, error)

    def await_scheduler(self) -> None:
        """Wait until the scheduler answers again.

        Raises
        ------
        ClusterError
            If it does not come back.
        """
        end = self.clock() + self.settings.reconnect_s
        while self.client.status == "connecting" and self.clock() < end:
            time.sleep(0.1)
        if self.client.status != "running":
            address = getattr(self.client.scheduler, "address", "") or "of this run"
            raise ClusterError(f"the scheduler {address} is gone")
        logger.warning("the scheduler was lost and is there again: its tasks are submitted anew")
        self.prepare()

    def top_up(self) -> int:
        """Replace jobs whose workers are gone, and nannies that have given up; return how many.

        dask-jobqueue replaces neither jobs of several workers nor those that were refused, and a
        local cluster no worker that dies while it starts.
        """
        cluster: Any = self.client.cluster
        if not hasattr(cluster, "worker_spec") or cluster.status != Status.running:
            return 0
        here = {str(worker["name"]) for worker in cluster.scheduler_info["workers"].values()}
        dead = [
            name for name, job in list(cluster.workers.items()) if self._is_dead(name, job, here)
        ]
        if dead:
            logger.warning("replacing what has no workers any more: %s", ", ".join(map(str, dead)))
            cluster.sync(_drop, cluster, dead)
            self.replaced += len(dead)
        wanted = len(cluster.worker_spec)
        if len(cluster.workers) < wanted:
            cluster.scale(**{"jobs" if hasattr(cluster, "job_script") else "n": wanted})
        return len(dead)

    def _is_dead(self, name: object, job: Any, here: set[str]) -> bool:  # noqa: ANN401  untyped
        """Return whether a job will bring no more workers."""
        known = self._jobs.get(name)
        if known is None or known.job is not job:
            known = self._jobs[name] = _Job(job)
        now = self.clock()
        if any(worker == str(name) or worker.startswith(f"{name}-") for worker in here):
            known.arrived, known.gone_since = True, None
            return False
        failed = job.status in (Status.failed, Status.closed)
        if not (known.arrived or failed):
            return False  # it waits in the queue
        if known.gone_since is None:
            known.gone_since = now
        patience = self.settings.lost_s if known.arrived else self.settings.refused_s
        return now - known.gone_since >= patience


async def _drop(cluster: Any, names: list[Any]) -> None:  # noqa: ANN401  untyped
    """Forget jobs, and take them out of the queue should they be there; in the cluster's loop."""
    for name in names:
        job = cluster.workers.pop(name, None)
        if job is None or job.status in (Status.failed, Status.closed):
            continue
        try:
            await job.close()
        except (RuntimeError, OSError) as error:  # the queue knows it no more
            logger.info("job %s: %s", name, error)


def explained(sight: Sight, waiting: Collection[Any], *, still_s: float, jobs: int = 0) -> str:
    """Return what a run waits for: its tasks, and the workers with their memory."""
    lines = [f"no task has ended for {still_s / 60:.1f} minutes; {len(waiting)} wait or run:"]
    if not sight.workers:
        asked = f" of {jobs} jobs" if jobs else ""
        lines.append(f"there is no worker{asked}: look at the queue, and at what its jobs printed")
    if sight.unknown:
        lines.append(f"{len(sight.unknown)} unknown to the scheduler")
    lines += [f"{count} are {state}" for state, count in sorted(sight.states.items())]
    slowest = sorted(sight.running, key=lambda task: -task.seconds)
    lines += [
        f"{' '.join(map(str, task.key)) if isinstance(task.key, tuple) else task.key} runs for"
        f" {task.seconds:.0f} s on {task.worker}"
        + (f", typical are {sight.typical[task.kind]:.1f} s" if task.kind in sight.typical else "")
        for task in slowest[:MOST_EXPLAINED]
    ]
    lines += [
        f"worker {worker.name} ({worker.address}): {worker.status}, {worker.n_task} tasks,"
        f" {worker.memory / 1e9:.2f} of {worker.memory_limit / 1e9:.2f} GB,"
        f" last heard {worker.silent_s:.0f} s ago"
        for worker in sight.workers[:MOST_EXPLAINED]
    ]
    return "\n  - ".join(lines)
