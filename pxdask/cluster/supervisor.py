"""What Dask leaves open in a run of days: who is lost, who hangs, who is to blame, who comes back.

A supervisor stands beside the executor, which asks it now and then. It looks at the scheduler,
and keeps the cluster at the size that was asked for; what becomes of tasks is the executor's
business.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from distributed import Status

from pxdask.cluster.admission import TOPIC, Stranger, admission, own_versions
from pxdask.cluster.arrivals import Arrivals, is_of_job
from pxdask.core.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from distributed import Client, Scheduler

logger = logging.getLogger(__name__)

T = TypeVar("T")

ALLOWED_DEATHS = 1
"""Workers that may die on a task before it is suspected; the next death is reported."""

RESTART_S = 15.0
"""Time that a worker may take to be started again [s]; the run goes on then in any case."""

RESTARTED_S = 120.0
"""Time that a nanny may take to start its worker again [s]: imports are slow on a busy machine, and
one that is given up too early begins anew."""

ANSWER_S = 30.0
"""Time in which a scheduler answers a question, and jobs end that are to end [s]."""

GIVEN_UP = ("closing", "closed")
"""States of a client that has lost its scheduler for good; all it is asked then breaks somehow."""

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
    alone_s : float
        A run that has had no worker for so long says so; again after twice as long, and so on.
    gone_s : float
        A run whose workers have all been gone for so long, and none of them awaited from a
        queue, ends with an error.
    silent_s : float
        A driver that has seen nothing for so long tells where it is.
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
    alone_s: float = 30.0
    gone_s: float = 900.0
    silent_s: float = 300.0
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
    strangers : tuple of Stranger
        Workers that came with other versions of packages, since the scheduler began.
    """

    running: tuple[Running, ...]
    typical: dict[str, float]
    states: dict[str, int]
    unknown: frozenset[Any]
    workers: tuple[WorkerSight, ...]
    strangers: tuple[Stranger, ...] = ()


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
    strangers = tuple(Stranger(**told) for _, told in dask_scheduler.get_events(TOPIC))
    return Sight(tuple(running), typical, dict(states), unknown, tuple(workers), strangers)


def _suspect_early(dask_scheduler: Scheduler) -> int:
    """Let a scheduler report a task as soon as it is suspect: innocents are cleared, not blamed.

    Return the number of strangers that it knows: they are no concern of a run that begins now.
    """
    dask_scheduler.allowed_failures = ALLOWED_DEATHS
    return len(dask_scheduler.get_events(TOPIC))


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
    _address: str = field(init=False)
    _arrivals: Arrivals = field(init=False)
    _n_before: int = 0
    _progress: float = 0.0
    _explained: float = 0.0

    def __post_init__(self) -> None:
        """Prepare scheduler and workers."""
        known = getattr(self.client.scheduler, "address", "")  # a client that gave up knows none
        self._address = str(known) or "of this run"
        self._arrivals = Arrivals(
            self.client,
            own_versions(),
            alone_s=self.settings.alone_s,
            gone_s=self.settings.gone_s,
            clock=self.clock,
        )
        self.progressed()
        if not self.prepare():
            raise ClusterError(f"the scheduler {self._address} does not answer")
        self.top_up()  # who is here now shall not be missed later

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Call the loss of the scheduler by its name, whatever the client makes of it.

        Raises
        ------
        ClusterError
            If anything fails as the client has given up its scheduler.
        """
        try:
            yield
        except ClusterError:
            raise
        except Exception as error:
            if self.client.status in GIVEN_UP:
                raise self._gone() from error
            raise

    def _gone(self) -> ClusterError:
        """Return the error that tells of the scheduler's loss."""
        return ClusterError(f"the scheduler {self._address} is gone")

    def ask(self, question: Callable[[], T]) -> T | None:
        """Return the answer of the scheduler; None if it does not answer now.

        Raises
        ------
        ClusterError
            If the client has given it up.
        """
        with self.asking():
            try:
                return question()
            except (OSError, TimeoutError) as error:
                if self.client.status in GIVEN_UP:
                    raise
                logger.warning("the scheduler does not answer: %s", error)
                return None

    def prepare(self) -> bool:
        """Tell the scheduler, and all workers now and later, what a supervised run needs.

        Return whether it was heard.

        Raises
        ------
        ClusterError
            If the scheduler cannot import this package.
        """
        try:
            n_before = self.ask(self._told)
        except ImportError as error:
            raise ClusterError(
                f"the scheduler at {self._address} cannot import what it needs ({error}):"
                " start it in the same environment as this program"
            ) from error
        self._n_before = n_before or 0
        return n_before is not None

    def _told(self) -> int:
        """Tell scheduler and workers; return how many strangers have come before."""
        n_before = self.client.run_on_scheduler(_suspect_early)
        self.client.register_plugin(admission(self._arrivals.wanted))
        return n_before or 0

    def look(self, keys: Collection[Any]) -> Sight | None:
        """Return what the scheduler knows of some tasks; None if it does not answer.

        Raises
        ------
        ClusterError
            If there is no worker, and none that comes may work.
        """
        sight: Sight | None = self.ask(
            lambda: self.client.run_on_scheduler(look, list(keys), callback_timeout=ANSWER_S)
        )
        if sight is None:
            return None
        self._arrivals.see(replace(sight, strangers=sight.strangers[self._n_before :]))
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
        while self.clock() < end and self.client.status not in GIVEN_UP:
            if self.client.status == "running" and self.prepare():
                logger.warning("the scheduler was lost and is there again: all is submitted anew")
                return
            time.sleep(0.1)
        raise self._gone()

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
            try:
                cluster.sync(_drop, cluster, dead, callback_timeout=ANSWER_S)
            except TimeoutError:
                logger.warning("not all of them have ended in %.0f s", ANSWER_S)
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
        if self._arrivals.was_sent_away(name):
            return False
        if any(is_of_job(worker, name) for worker in here):
            known.arrived, known.gone_since = True, None
            return False
        failed = job.status in (Status.failed, Status.closed)
        if not (known.arrived or failed):
            return False  # it waits in the queue
        if known.gone_since is None:
            known.gone_since = now
        if getattr(job, "job_id", None) is None:  # a nanny starts its worker again by itself
            return failed or now - known.gone_since >= RESTARTED_S
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
