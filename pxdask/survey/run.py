"""The driver: galaxies enter a sliding window, each as a small graph of tasks.

A galaxy's graph is submitted in two parts, because the number of bins is known only after
the binning: first its bands, cube and bins, then the fit of each block of bins and what
follows. Only a few galaxies per worker are in flight, so the scheduler's memory does not grow
with the catalogue, and galaxies that entered first are finished first.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pxdask.core.errors import ClusterError
from pxdask.survey.manifest import Record
from pxdask.survey.share import SMALL_S, Calls, Pace, Share, carry_galaxies
from pxdask.survey.stages import HARMLESS, READS
from pxdask.survey.work import GalaxyPlan, RunContext, fit_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pxdask.survey.calls import Handle
    from pxdask.survey.executors import Executor
    from pxdask.survey.manifest import Manifest
    from pxdask.survey.plan import Task

logger = logging.getLogger(__name__)

GALAXIES_PER_THREAD = 2
"""Galaxies in flight for every thread of the cluster."""

GALAXIES_PER_PROBE = 100
"""Galaxies that one call looks for seals of, when a run goes on: about 0.1 s of work."""

WIDTH_EVERY_S = 5.0
"""Time after which the number of threads of the cluster is asked for again [s]."""

END_STAGES = ("integrated", "lines", "maps", "radial", "products")
"""What follows the fit, expected as soon as a galaxy is planned."""

FRONT_STAGES = ("image", "cube", "morphology", "spectra", "bins")
"""What comes before the fit, or needs none; expected when it is submitted."""

Step = Literal["probe", "share", "plan", "front", "bins", "back", "end"]


class Watcher(Protocol):
    """Told of the progress of a run."""

    def expect(self, stage: str, count: int) -> None:
        """Expect ``count`` more tasks of a stage."""
        ...

    def done(self, record: Record) -> None:
        """See one task end."""
        ...


@dataclass(eq=False, slots=True)
class _Galaxy:
    """A galaxy in flight."""

    index: int
    row: Mapping[str, object]
    plan: GalaxyPlan | None = None
    source: Handle | None = None
    parts: dict[str, list[Handle]] = field(default_factory=lambda: {"image": [], "ifs": []})
    cube: list[Handle] = field(default_factory=list)
    shapes: list[Handle] = field(default_factory=list)
    maps: list[Handle] = field(default_factory=list)
    pending: set[int] = field(default_factory=set)
    earlier: dict[tuple[str, str, str], Record] = field(default_factory=dict)
    fitted: bool = False
    ended: bool = False
    whole: bool = True
    seconds: float = 0.0
    noted: set[tuple[str, str, str]] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Identifier of the galaxy."""
        return str(self.row["id"])


@dataclass(slots=True)
class _Batch:
    """Galaxies in one call, which looks for seals or does all the work."""

    galaxies: list[_Galaxy]


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
    calls : Calls
        What workers are asked to do.
    """

    def __init__(
        self,
        run: RunContext,
        executor: Executor,
        manifest: Manifest,
        watcher: Watcher,
        *,
        retry_failed: bool = False,
        calls: Calls | None = None,
    ) -> None:
        self._run = run
        self._executor = executor
        self._manifest = manifest
        self._watcher = watcher
        self._retry_failed = retry_failed
        self._functions = calls or Calls()
        self._earlier = manifest.index()
        self._probes = self._earlier.n_row > 0 and not run.redo
        self._calls: dict[int, tuple[_Galaxy | _Batch, Step, Task | None]] = {}
        self._waiting: deque[_Galaxy] = deque()
        self._alone: deque[_Galaxy] = deque()
        self._pace = Pace()
        self._n_active = 0
        self._n_probe = 0
        self._submitted = 0
        self._width, self._width_asked = 0, 0.0
        self.outcomes: Counter[tuple[str, str]] = Counter()

    def drive(self, galaxies: Iterable[Mapping[str, object]]) -> Counter[tuple[str, str]]:
        """Carry out the work on all galaxies; return counts of (stage, outcome).

        Raises
        ------
        ClusterError
            If the cluster is gone; the manifest tells what was done until then.
        """
        try:
            return self._drive(_Galaxy(index, row) for index, row in enumerate(galaxies))
        except ClusterError as error:
            advice = f"what is published is kept; go on with `pxdask resume {self._run.root}`"
            raise ClusterError(f"{error}: {advice}") from error

    def _drive(self, todo: Iterator[_Galaxy]) -> Counter[tuple[str, str]]:
        """Carry out the work on all galaxies; see `drive`."""
        self._admit(todo)
        for handle in self._executor.completed():
            of, step, task = self._calls.pop(id(handle))
            if isinstance(of, _Batch):
                take = self._take_sealed if step == "probe" else self._take_shares
                take(of, handle)
            else:
                of.pending.discard(id(handle))
                self._advance(of, step, task, handle)
                if not of.pending:
                    self._finish(of)
            self._admit(todo)
        return self.outcomes

    def _admit(self, todo: Iterator[_Galaxy]) -> None:
        """Let galaxies in until the window is full: one by one, or small ones together.

        When a run goes on, galaxies first pass a probe, many in one call, and only those without
        a valid seal are worked on; a few probes are under way at any time.
        """
        window = GALAXIES_PER_THREAD * self._threads()
        source = todo
        if self._probes:
            while self._n_probe < window and len(self._waiting) < window:
                if not (galaxies := list(islice(todo, GALAXIES_PER_PROBE))):
                    break
                self._n_probe += 1
                self._submit_batch(galaxies, "probe", self._functions.probe)
            source = _drained(self._waiting)
        while self._n_active < window:
            if self._alone:
                self._begin(self._alone.popleft())
            elif not self._enter(source):
                return

    def _enter(self, source: Iterator[_Galaxy]) -> bool:
        """Let in the next galaxy, or the next ones that share a call; return whether any came."""
        n_shared = self._pace.galaxies_per_call
        galaxies = list(islice(source, max(1, n_shared)))
        for galaxy in galaxies:
            galaxy.earlier = self._earlier.of(galaxy.name)
        shared = [one for one in galaxies if n_shared and all(r.ok for r in one.earlier.values())]
        self._alone.extend(one for one in galaxies if one not in shared)
        if shared:
            self._n_active += 1
            self._submit_batch(shared, "share", carry_galaxies, self._functions)
        return bool(galaxies)

    def _submit_batch(
        self, galaxies: list[_Galaxy], step: Step, function: Callable[..., Any], *args: object
    ) -> None:
        """Submit one call for several galaxies, named by the first."""
        self._submitted += 1
        first, rows = galaxies[0], tuple(galaxy.row for galaxy in galaxies)
        name = (step, first.name, f"{len(galaxies)} galaxies", str(self._submitted))
        handle = self._executor.submit(
            function, rows, self._run, *args, name=name, priority=-first.index
        )
        self._calls[id(handle)] = (_Batch(galaxies), step, None)

    def _take_sealed(self, batch: _Batch, handle: Handle) -> None:
        """Note the galaxies that are finished; let the others wait for their turn."""
        self._n_probe -= 1
        found = handle.result or [None] * len(batch.galaxies)
        for galaxy, tasks in zip(batch.galaxies, found, strict=True):
            if tasks is None:
                self._waiting.append(galaxy)
                continue
            for task in tasks:
                record = Record.of(task, "existed")
                self.outcomes[record.stage, record.outcome] += 1
                self._watcher.done(record)

    def _take_shares(self, batch: _Batch, handle: Handle) -> None:
        """Note what came of galaxies that shared a call; those not finished go on alone.

        If the call broke, all do, so that the one to blame is found.
        """
        self._n_active -= 1
        for galaxy, share in zip(
            batch.galaxies, handle.result or [Share()] * len(batch.galaxies), strict=True
        ):
            for record in share.records:
                if record.outcome != "existed" and record.stage != "inputs":
                    self._watcher.expect(record.stage, 1)
                self._note(galaxy, record)
                galaxy.noted.add(record.task)
            if share.finished:
                self._pace.note(galaxy.seconds)
            else:
                self._alone.append(galaxy)
                self._pace.note(SMALL_S if share.records else galaxy.seconds)

    def _threads(self) -> int:
        """Return the number of threads of the cluster, which may grow and shrink."""
        if not self._width or time.monotonic() - self._width_asked > WIDTH_EVERY_S:
            self._width, self._width_asked = self._executor.width, time.monotonic()
        return self._width

    def _begin(self, galaxy: _Galaxy) -> None:
        """Begin the work on a galaxy with its plan."""
        self._n_active += 1
        function = self._functions.plan
        galaxy.source = self._submit(galaxy, "plan", None, function, galaxy.row, self._run)

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
        kind, part = (task.stage, task.part) if task else (step, "")
        name = (kind, galaxy.name, part, str(self._submitted))
        memory = galaxy.plan.needs(task) if galaxy.plan and task else 0.0
        handle = self._executor.submit(
            function, *args, name=name, priority=-galaxy.index, memory=memory
        )
        if task is not None and (task.stage in FRONT_STAGES or task.part):
            self._watcher.expect(task.stage, 1)
        self._calls[id(handle)] = (galaxy, step, task)
        galaxy.pending.add(id(handle))
        return handle

    def _submit_task(self, galaxy: _Galaxy, step: Step, task: Task, after: list[Handle]) -> Handle:
        """Submit a task that waits for others."""
        function = self._functions.task
        return self._submit(galaxy, step, task, function, task, galaxy.source, self._run, after)

    def _advance(self, galaxy: _Galaxy, step: Step, task: Task | None, handle: Handle) -> None:
        """Note what a call gave, and submit what follows from it."""
        if step == "end":
            if handle.error:
                logger.warning("%s is not tidied up: %s", galaxy.name, handle.error)
            return
        result = handle.result
        if handle.blocked and task is not None and self._goes_without(galaxy, task):
            return
        if handle.error:
            name, stage = galaxy.name, task.stage if task else "inputs"
            result = Record(
                name,
                stage,
                task.part if task else "",
                task.key if task else "",
                "blocked" if handle.blocked else "failed",
                error=handle.error,
                permanent=handle.permanent,
            )
        if isinstance(result, Record):
            self._note(galaxy, result)
            if step == "bins" and result.ok and galaxy.plan is not None:
                self._submit_back(galaxy, galaxy.plan, result.n_bin)
        else:
            galaxy.plan = result
            self._submit_front(galaxy, result)

    def _submit_front(self, galaxy: _Galaxy, plan: GalaxyPlan) -> None:
        """Submit bands, slices, cube, profiles, spectra, bins; or what is missing after them."""
        self._note_existing(galaxy, plan)
        plan = galaxy.plan = self._worth_trying(galaxy, plan)
        for task in plan.missing:
            if task.stage in ("image", "ifs"):
                galaxy.parts[task.stage].append(self._submit_task(galaxy, "front", task, []))
            elif task.stage == "cube":
                after = galaxy.parts["image"]
                galaxy.cube = [self._submit_task(galaxy, "front", task, after)]
            elif task.stage == "morphology":
                galaxy.shapes = [self._submit_task(galaxy, "front", task, galaxy.cube)]
            elif task.stage == "spectra":
                after = [*galaxy.cube, *galaxy.parts["ifs"]]
                galaxy.cube = [self._submit_task(galaxy, "front", task, after)]
            elif task.stage == "bins":
                self._submit_task(galaxy, "bins", task, galaxy.cube)
            elif task.stage in END_STAGES:
                self._watcher.expect(task.stage, 1)
        if plan.n_bin >= 0:
            self._submit_back(galaxy, plan, plan.n_bin)

    def _worth_trying(self, galaxy: _Galaxy, plan: GalaxyPlan) -> GalaxyPlan:
        """Return the plan without what failed for good, and what would follow from that.

        That is all, save where nothing needs what failed.
        """
        records = self._failed_before(galaxy, plan.missing)
        if not records:
            return plan
        galaxy.whole = False
        self.outcomes.update((record.stage, "failed before") for record in records)
        failed = {record.stage for record in records}
        left = [task for task in plan.missing if task.stage not in failed]
        return replace(plan, missing=tuple(left) if failed.issubset(HARMLESS) else ())

    def _submit_back(self, galaxy: _Galaxy, plan: GalaxyPlan, n_bin: int) -> None:
        """Submit the fit of each block of bins, and what follows."""
        galaxy.fitted = True
        after: list[Handle] = []
        for task in plan.missing:
            if task.stage == "fit":
                blocks = fit_blocks(plan, self._run, n_bin=n_bin)
                after = [self._submit_task(galaxy, "back", block, []) for block in blocks]
            if task.stage in HARMLESS and task.stage in END_STAGES:
                before = [*galaxy.cube, *after]
                if "morphology" in READS[task.stage]:
                    galaxy.maps, before = before, [*before, *galaxy.shapes]
                self._submit_task(galaxy, "back", task, before)
            if task.stage in ("fit", "maps", "products"):
                after = [self._submit_task(galaxy, "back", task, [*galaxy.cube, *after])]

    def _goes_without(self, galaxy: _Galaxy, task: Task) -> bool:
        """Submit a task again without Sersic profiles, if their call broke; return whether so."""
        broken = any(handle.error for handle in galaxy.shapes)
        if not broken or "morphology" not in READS[task.stage]:
            return False
        galaxy.shapes = []
        self._submit_task(galaxy, "back", task, galaxy.maps)
        return True

    def _finish(self, galaxy: _Galaxy) -> None:
        """End a galaxy whose calls are all done: a last call tidies up after it and seals it."""
        if galaxy.plan is None or galaxy.ended:
            self._n_active -= 1
            if galaxy.seconds:
                self._pace.note(galaxy.seconds)
            return
        galaxy.ended = True
        self._submit(
            galaxy, "end", None, self._functions.end, galaxy.source, self._run, galaxy.whole
        )
        if not galaxy.fitted:
            for task in galaxy.plan.missing:
                self._watcher.expect(task.stage, -(task.stage in END_STAGES))

    def _note_existing(self, galaxy: _Galaxy, plan: GalaxyPlan) -> None:
        """Note the outputs that are there, and that the galaxy's files are right by now."""
        before = galaxy.earlier.get((plan.galaxy_id, "inputs", ""))
        if before is not None and not before.ok:
            self._note(galaxy, Record(plan.galaxy_id, "inputs", "", "", "done"))
        for task in plan.existing:
            if (task.galaxy_id, task.stage, task.part) in galaxy.noted:
                continue
            self._note(galaxy, Record.of(task, "existed"))

    def _failed_before(self, galaxy: _Galaxy, tasks: Iterable[Task]) -> list[Record]:
        """Return the records of tasks that failed for good, with the same key."""
        if self._retry_failed:
            return []
        earlier = [galaxy.earlier.get((task.galaxy_id, task.stage, task.part)) for task in tasks]
        return [
            record
            for task, record in zip(tasks, earlier, strict=True)
            if record and record.outcome == "failed" and record.permanent and record.key == task.key
        ]

    def _note(self, galaxy: _Galaxy, record: Record) -> None:
        """Count a record, and write it to the manifest if it tells something new.

        That an output exists is news only if no row says so; that a galaxy's files are still
        wrong is none at all.
        """
        self.outcomes[record.stage, record.outcome] += 1
        self._watcher.done(record)
        galaxy.whole = galaxy.whole and record.ok
        galaxy.seconds += record.seconds
        before = galaxy.earlier.get(record.task)
        if record.outcome == "blocked":
            return
        if before is not None and before.key == record.key:
            if record.outcome == "existed" and before.ok:
                return
            if record.stage == "inputs" and record.error == before.error:
                return
        galaxy.earlier[record.task] = record
        self._manifest.append(record)


def _drained(waiting: deque[_Galaxy]) -> Iterator[_Galaxy]:
    """Yield galaxies from the left of a queue, as long as there are any."""
    while waiting:
        yield waiting.popleft()
