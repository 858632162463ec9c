"""The driver: galaxies enter a sliding window, each as a small graph of tasks.

A galaxy's graph is submitted in two parts, because the number of bins is known only after
the binning: first its bands, cube and bins, then the fit of each block of bins and what
follows. Only a few galaxies per worker are in flight, so the scheduler's memory does not grow
with the catalogue, and galaxies that entered first are finished first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pxdask.survey.manifest import Record
from pxdask.survey.work import (
    GalaxyPlan,
    RunContext,
    fit_blocks,
    plan_galaxy,
    run_task,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pxdask.survey.executors import Executor, Handle
    from pxdask.survey.manifest import Manifest
    from pxdask.survey.plan import Task

GALAXIES_PER_THREAD = 2
"""Galaxies in flight for every thread of the cluster."""

END_STAGES = ("lines", "maps", "products")
"""What follows the fit, expected as soon as a galaxy is planned."""

Step = Literal["plan", "front", "bins", "back"]


class Watcher(Protocol):
    """Told of the progress of a run."""

    def expect(self, stage: str, count: int) -> None:
        """Expect ``count`` more tasks of a stage."""
        ...

    def done(self, record: Record) -> None:
        """See one task end."""
        ...


@dataclass(slots=True)
class _Galaxy:
    """A galaxy in flight."""

    index: int
    row: Mapping[str, object]
    plan: GalaxyPlan | None = None
    source: Handle | None = None
    parts: dict[str, list[Handle]] = field(default_factory=lambda: {"image": [], "ifs": []})
    cube: list[Handle] = field(default_factory=list)
    pending: set[int] = field(default_factory=set)
    fitted: bool = False


class Driver:
    """Carries out a run on an executor.

    Parameters
    ----------
    run : RunContext
        The run.
    executor : Executor
        What carries out the tasks.
    manifest : Manifest
        Where records go.
    watcher : Watcher
        Told of the progress.
    retry_failed : bool
        Try again what failed for good, with the same inputs and settings.
    """

    def __init__(
        self,
        run: RunContext,
        executor: Executor,
        manifest: Manifest,
        watcher: Watcher,
        *,
        retry_failed: bool = False,
    ) -> None:
        self._run = run
        self._executor = executor
        self._manifest = manifest
        self._watcher = watcher
        self._retry_failed = retry_failed
        self._earlier = manifest.latest()
        self._calls: dict[int, tuple[_Galaxy, Step, Task | None]] = {}
        self._submitted = 0
        self.outcomes: Counter[tuple[str, str]] = Counter()

    def drive(self, galaxies: Iterable[Mapping[str, object]]) -> Counter[tuple[str, str]]:
        """Carry out the work on all galaxies; return counts of (stage, outcome)."""
        todo = enumerate(galaxies)
        for _ in range(GALAXIES_PER_THREAD * self._executor.width):
            self._admit(todo)
        for handle in self._executor.completed():
            galaxy, step, task = self._calls.pop(id(handle))
            galaxy.pending.discard(id(handle))
            self._advance(galaxy, step, task, handle)
            if not galaxy.pending:
                self._finish(galaxy)
                self._admit(todo)
        return self.outcomes

    def _admit(self, todo: Iterator[tuple[int, Mapping[str, object]]]) -> None:
        """Let the next galaxy in."""
        for index, row in todo:
            galaxy = _Galaxy(index, row)
            galaxy.source = self._submit(galaxy, "plan", None, plan_galaxy, row, self._run)
            return

    def _submit(
        self,
        galaxy: _Galaxy,
        step: Step,
        task: Task | None,
        function: Callable[..., Any],
        *args: object,
    ) -> Handle:
        """Submit one call for a galaxy; its name tells stage, galaxy and band or block."""
        self._submitted += 1
        kind, part = (task.stage, task.part) if task else ("plan", "")
        name = (kind, str(galaxy.row["id"]), part, str(self._submitted))
        handle = self._executor.submit(function, *args, name=name, priority=-galaxy.index)
        if task is not None and (task.stage in ("image", "cube", "spectra", "bins") or task.part):
            self._watcher.expect(task.stage, 1)
        self._calls[id(handle)] = (galaxy, step, task)
        galaxy.pending.add(id(handle))
        return handle

    def _submit_task(self, galaxy: _Galaxy, step: Step, task: Task, after: list[Handle]) -> Handle:
        """Submit a task that waits for others."""
        return self._submit(galaxy, step, task, run_task, task, galaxy.source, self._run, after)

    def _advance(self, galaxy: _Galaxy, step: Step, task: Task | None, handle: Handle) -> None:
        """Note what a call gave, and submit what follows from it."""
        result = handle.result
        if handle.error:
            name, stage = str(galaxy.row["id"]), task.stage if task else "inputs"
            result = Record(
                name,
                stage,
                task.part if task else "",
                task.key if task else "",
                "failed",
                error=handle.error,
            )
        if isinstance(result, Record):
            self._note(result)
            if step == "bins" and result.ok and galaxy.plan is not None:
                self._submit_back(galaxy, galaxy.plan, result.n_bin)
        else:
            galaxy.plan = result
            self._submit_front(galaxy, result)

    def _submit_front(self, galaxy: _Galaxy, plan: GalaxyPlan) -> None:
        """Submit bands and slices, cube, spectra and bins; or what is missing after them."""
        self._note_existing(plan)
        if failed := self._failed_before(plan.missing):
            self.outcomes.update((record.stage, "failed before") for record in failed)
            return
        for task in plan.missing:
            if task.stage in ("image", "ifs"):
                galaxy.parts[task.stage].append(self._submit_task(galaxy, "front", task, []))
            elif task.stage == "cube":
                after = galaxy.parts["image"]
                galaxy.cube = [self._submit_task(galaxy, "front", task, after)]
            elif task.stage == "spectra":
                after = [*galaxy.cube, *galaxy.parts["ifs"]]
                galaxy.cube = [self._submit_task(galaxy, "front", task, after)]
            elif task.stage == "bins":
                self._submit_task(galaxy, "bins", task, galaxy.cube)
            elif task.stage in END_STAGES:
                self._watcher.expect(task.stage, 1)
        if plan.n_bin >= 0:
            self._submit_back(galaxy, plan, plan.n_bin)

    def _submit_back(self, galaxy: _Galaxy, plan: GalaxyPlan, n_bin: int) -> None:
        """Submit the fit of each block of bins, and what follows."""
        galaxy.fitted = True
        after: list[Handle] = []
        for task in plan.missing:
            if task.stage == "fit":
                blocks = fit_blocks(plan, self._run, n_bin=n_bin)
                after = [self._submit_task(galaxy, "back", block, []) for block in blocks]
            if task.stage == "lines":  # whose failure keeps nothing from being made
                self._submit_task(galaxy, "back", task, [*galaxy.cube, *after])
            if task.stage in ("fit", "maps", "products"):
                after = [self._submit_task(galaxy, "back", task, [*galaxy.cube, *after])]

    def _finish(self, galaxy: _Galaxy) -> None:
        """Tidy up after a galaxy whose calls are all done."""
        if galaxy.plan is not None:
            tidy(galaxy.plan, self._run)
            if not galaxy.fitted:
                for task in galaxy.plan.missing:
                    self._watcher.expect(task.stage, -(task.stage in END_STAGES))

    def _note_existing(self, plan: GalaxyPlan) -> None:
        """Note the outputs that are there, and that the galaxy's files are right by now."""
        before = self._earlier.get((plan.galaxy_id, "inputs", ""))
        if before is not None and not before.ok:
            self._note(Record(plan.galaxy_id, "inputs", "", "", "done"))
        for task in plan.existing:
            self._note(Record(task.galaxy_id, task.stage, task.part, task.key, "existed"))

    def _failed_before(self, tasks: Iterable[Task]) -> list[Record]:
        """Return the records of tasks that failed for good, with the same key."""
        if self._retry_failed:
            return []
        earlier = [self._earlier.get((task.galaxy_id, task.stage, task.part)) for task in tasks]
        return [
            record
            for task, record in zip(tasks, earlier, strict=True)
            if record and record.outcome == "failed" and record.permanent and record.key == task.key
        ]

    def _note(self, record: Record) -> None:
        """Count a record, and write it to the manifest if it tells something new.

        That an output exists is news only if no row says so; that a galaxy's files are still
        wrong is none at all.
        """
        self.outcomes[record.stage, record.outcome] += 1
        self._watcher.done(record)
        before = self._earlier.get(record.task)
        if record.outcome == "blocked":
            return
        if before is not None and before.key == record.key:
            if record.outcome == "existed" and before.ok:
                return
            if record.stage == "inputs" and record.error == before.error:
                return
        self._earlier[record.task] = record
        self._manifest.append(record)
