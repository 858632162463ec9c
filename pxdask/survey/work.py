"""The work on a galaxy, planned where its files are; a failure is a record."""

from __future__ import annotations

import logging
import platform
import resource
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pxdask.core.errors import ClusterError, DamagedError, PxdaskError, StoreError
from pxdask.io.stores import is_published, opened
from pxdask.survey.inspect import GalaxyInputs, inspect_galaxy
from pxdask.survey.manifest import Record
from pxdask.survey.memory import SMALL, stage_memory
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.plan import FILES_BESIDE, PRODUCT_FILES, Keys, Task, block_tasks, slice_tasks
from pxdask.survey.stages import HARMLESS, READS
from pxdask.survey.watch.logs import galaxy_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pxdask.core.config import SurveyConfig
    from pxdask.survey.products import Products

logger = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 3
"""Times a task is tried when a file could not be read or written."""

PAUSE_S = 0.5
"""Pause before the second try [s]; doubled before the third."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What every task of a run needs to know."""

    root: Path
    config: SurveyConfig
    products: Products
    data_root: str
    redo: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GalaxyPlan:
    """The work on one galaxy: its inputs, keys, and the tasks whose outputs are missing.

    ``n_bin`` is the number of bins where the bins exist already, else -1; ``made`` the Unix time at
    which the plan was begun [s]; ``memory`` what tasks of each stage take at their peak [byte].
    """

    inputs: GalaxyInputs
    keys: Keys
    missing: tuple[Task, ...]
    existing: tuple[Task, ...]
    n_bin: int = -1
    made: float = field(default=0.0, compare=False)
    memory: Mapping[str, float] = field(default_factory=dict)

    @property
    def galaxy_id(self) -> str:
        """Identifier of the galaxy."""
        return str(self.inputs.galaxy["id"])

    def needs(self, task: Task) -> float:
        """Return the memory that a task takes at its peak [byte]; joining blocks takes little."""
        joins = task.stage == "fit" and not task.part
        return SMALL if joins else self.memory.get(task.stage, 0.0)


def plan_galaxy(galaxy: Mapping[str, object], run: RunContext) -> GalaxyPlan | Record:
    """Return the plan of a galaxy, or the record of why it has none."""
    start, name = Start.now(), str(galaxy["id"])
    with galaxy_log(run.root, name, "plan"):
        try:
            return attempt(partial(make_plan, galaxy, run))
        except PxdaskError as error:
            logger.info("%s has no plan: %s", name, error)
            failed = Record(name, "inputs", "", "", "failed")
            failed = replace(failed, error=str(error), permanent=is_permanent(error))
            return measured(failed, start)


def is_permanent(error: PxdaskError) -> bool:
    """Return whether a task that ended in an error would again: not of a store, or a cluster."""
    return not isinstance(error, StoreError | ClusterError)


def make_plan(galaxy: Mapping[str, object], run: RunContext) -> GalaxyPlan:
    """Return the plan of a galaxy whose files are as they should be."""
    begun = time.time()
    inputs = inspect_galaxy(galaxy, run.config, root=run.data_root)
    pipeline = Pipeline(inputs, run.config, run.products)
    keys = pipeline.keys()
    galaxy_id = str(galaxy["id"])
    stages = [stage for stage in pipeline.stages() if stage != "ifs"]
    tasks = [
        *(Task(galaxy_id, "image", band, key) for band, key in keys.image.items()),
        *ifs_chunks(galaxy_id, inputs, keys, run),
        *(Task(galaxy_id, stage, "", getattr(keys, stage)) for stage in stages),
    ]
    existing = _existing(tasks, run)
    missing = _needed(tasks, set(existing))
    bins = Task(galaxy_id, "bins", "", keys.bins)
    n_bin = n_bin_of(bins, run) if bins in existing and missing else -1
    memory = stage_memory(pipeline, {task.stage for task in missing})
    return GalaxyPlan(inputs, keys, missing, existing, n_bin, begun, memory)


def _existing(tasks: Sequence[Task], run: RunContext) -> tuple[Task, ...]:
    """Return the tasks whose outputs are there, and were made of all that they read.

    What does without an output that failed is looked at again when that one is to be made.
    """
    made = [task for task in tasks if is_made(task, run)]
    lost = {task.stage for task in tasks if task.stage in HARMLESS and task not in made}
    return tuple(task for task in made if lost.isdisjoint(READS[task.stage]))


def ifs_chunks(galaxy_id: str, inputs: GalaxyInputs, keys: Keys, run: RunContext) -> list[Task]:
    """Return the tasks of a galaxy's integral-field cube, one for each chunk of wavelengths."""
    if inputs.ifs is None or run.config.ifs is None:
        return []
    n_wave, chunk = inputs.ifs.header.shape[0], run.config.ifs.chunk
    return slice_tasks(galaxy_id, keys.ifs, n_wave=n_wave, chunk=chunk)


def is_made(task: Task, run: RunContext) -> bool:
    """Return whether the output of a task is published, and not to be made again."""
    return task.stage not in run.redo and all(
        is_published(path) for path in task_paths(task, run.root)
    )


def task_paths(task: Task, root: Path) -> list[Path]:
    """Return the files that a task writes."""
    if task.stage == "products":
        return [
            Task(task.galaxy_id, name, "", task.key).path(root, suffix)
            for name, suffix in PRODUCT_FILES.items()
        ]
    return [task.path(root), *(task.path(root, end) for end in FILES_BESIDE.get(task.stage, ()))]


def attempt(work: Callable[[], T]) -> T:
    """Do work again if a file could not be read or written, a few times."""
    for pause in [PAUSE_S * 2**n for n in range(ATTEMPTS - 1)]:
        try:
            return work()
        except DamagedError:
            raise
        except StoreError as error:
            logger.warning("trying again in %.1f s: %s", pause, error)
            time.sleep(pause)
    return work()


def fit_blocks(plan: GalaxyPlan, run: RunContext, *, n_bin: int) -> list[Task]:
    """Return the fit tasks of all blocks of a galaxy's bins."""
    size = run.config.fit.block_size
    return block_tasks(plan.galaxy_id, plan.keys.fit, n_bin=n_bin, block_size=size)


def _needed(tasks: Sequence[Task], existing: set[Task]) -> tuple[Task, ...]:
    """Return the tasks to run: missing ones that something missing, or the user, reads.

    Working back from the end, an output is wanted if it is an end product or is read by a
    missing one: images are not made again for a cube that exists.
    """
    wanted = {"products", *HARMLESS}
    needed = []
    for task in reversed(tasks):
        if task.stage in wanted and task not in existing:
            needed.append(task)
            wanted.update(READS[task.stage])
    return tuple(reversed(needed))


def whole_task(stage: str, plan: GalaxyPlan) -> Task:
    """Return the task that makes a stage's whole output."""
    return Task(plan.galaxy_id, stage, "", getattr(plan.keys, stage))


@contextmanager
def removed_if_damaged(path: Path) -> Iterator[None]:
    """Remove a damaged output, so that the run makes it again when it goes on.

    Raises
    ------
    DamagedError
        Saying so.
    """
    try:
        yield
    except DamagedError as error:
        path.unlink(missing_ok=True)
        raise DamagedError(f"{error}; it is removed, to be made when the run goes on") from error


def n_bin_of(task: Task, run: RunContext) -> int:
    """Return the number of bins in a published bins dataset."""
    path = task.path(run.root)
    with removed_if_damaged(path), opened(path) as bins:
        return int(bins.sizes["bin"])


@dataclass(frozen=True, slots=True)
class Start:
    """When a task began: on the wall's clock, and that of this thread's CPU time [s]."""

    wall_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> Start:
        """Return this moment."""
        return cls(time.perf_counter(), time.thread_time())


def measured(record: Record, start: Start) -> Record:
    """Return the record with the times since ``start``, its end, peak memory and host.

    The CPU time is this thread's: tasks compute in one thread (`one_thread`).
    """
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return replace(
        record,
        seconds=round(time.perf_counter() - start.wall_s, 4),
        cpu_s=round(time.thread_time() - start.cpu_s, 4),
        ended=round(time.time(), 3),
        peak_mb=round(peak_mb, 1),
        host=platform.node(),
    )
