"""Faults for a run: workers killed, disks full or broken or slow, work done twice.

They happen where they would happen in earnest: in the functions through which outputs are
written and read, and in the worker's process. A seed and the name of a task decide about each
attempt, so that a run can be repeated; what is hit is written to a folder, since workers that are
killed cannot tell.
"""

from __future__ import annotations

import errno
import io
import os
import random
import signal
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

from benchmarks import synthetic
from pxdask.core.errors import StoreError
from pxdask.core.files import write_with
from pxdask.survey.manifest import Manifest, Record
from pxdask.survey.run import Driver
from pxdask.survey.share import Calls
from pxdask.survey.watch.progress import SilentWatcher
from pxdask.survey.work import attempt, is_made, task_paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pxdask.survey.executors import Executor
    from pxdask.survey.plan import Task
    from pxdask.survey.work import GalaxyPlan, RunContext

KILLS = ("kill", "kill while writing")
DISKS = ("ENOSPC", "EIO", "slow", "twice")
FAULTS = (*KILLS, *DISKS)

MOST_RUNS = 30
"""Starts after which a survey that is still not complete never will be."""

SLOW_S = 0.05
"""What a slow disk takes [s]."""


def content(task: Task) -> bytes:
    """Return what a task writes: an archive of a file that differs between tasks."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr(
            zipfile.ZipInfo("task"), f"{task.galaxy_id} {task.stage} {task.part} " * 200
        )
    return archive.getvalue()


@dataclass(frozen=True, slots=True)
class Chaos:
    """Faults of one run.

    Parameters
    ----------
    seed : int
        Decides which tasks are hit, and by what.
    rate : float
        Part of the tasks that are hit.
    hits : Path
        Folder for what was hit.
    driver : int
        The process that is not to be killed.
    faults : tuple of str
        Those that may strike.
    """

    seed: int
    rate: float
    hits: Path
    driver: int
    faults: tuple[str, ...] = FAULTS

    def fault(self, task: Task) -> str:
        """Return what hits a task, once; empty for nothing."""
        name = f"{task.galaxy_id}-{task.stage}-{task.part}"
        rng = random.Random(f"{self.seed} {name}")  # noqa: S311  faults, not secrets
        if rng.random() > self.rate:
            return ""
        fault = rng.choice(self.faults)
        if fault.startswith("kill") and os.getpid() == self.driver:
            return ""
        try:  # the first to make the file is hit, and no other
            (self.hits / f"{name}={fault.replace(' ', '_')}").touch(exist_ok=False)
        except FileExistsError:
            return ""
        return fault

    def carry_out(
        self, task: Task, _: GalaxyPlan, run: RunContext, after: list[Record | None]
    ) -> Record:
        """Do a task of a synthetic survey, with whatever befalls it."""
        record = Record(task.galaxy_id, task.stage, task.part, task.key, "done", n_bin=2)
        if not all(earlier is not None and earlier.ok for earlier in after):
            return Record(task.galaxy_id, task.stage, task.part, task.key, "blocked")
        if is_made(task, run):
            return Record(task.galaxy_id, task.stage, task.part, task.key, "existed", n_bin=2)
        fault = self.fault(task)
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            with broken(fault), self._somebody_else(task, run, fault == "twice"):
                attempt(lambda: self._write(task, run, fault))
        except StoreError as error:
            words = (task.galaxy_id, task.stage, task.part, task.key)
            return Record(*words, "failed", error=str(error), permanent=False)
        return record

    @contextmanager
    def _somebody_else(self, task: Task, run: RunContext, is_there: bool) -> Iterator[None]:  # noqa: FBT001  one word says it
        """Let another write the same meanwhile, as a worker that was given up for lost may do."""
        if not is_there:
            yield
            return
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(self._write, task, run, "slow")
            yield
            other.result()

    @staticmethod
    def _write(task: Task, run: RunContext, fault: str) -> None:
        """Write the files of a task; a kill strikes when half a file is there."""
        whole = content(task)

        def write(path: Path) -> None:
            with path.open("wb") as file:
                file.write(whole[: len(whole) // 2])
                file.flush()
                if fault == "kill while writing":
                    os.kill(os.getpid(), signal.SIGKILL)
                if fault in ("slow", "twice"):  # the two meet
                    time.sleep(SLOW_S)
                file.write(whole[len(whole) // 2 :])

        for path in task_paths(task, run.root):
            write_with(write, path)

    @property
    def calls(self) -> Calls:
        """What workers are asked to do."""
        return Calls(plan=synthetic.plan, task=self.carry_out)


@contextmanager
def broken(fault: str) -> Iterator[None]:
    """Let the disk of this process refuse what is written, in the first or in every attempt."""
    codes = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
    if fault not in codes:
        yield
        return

    def refuse(_: int) -> None:
        raise OSError(codes[fault], os.strerror(codes[fault]))

    # a full disk stays full for the task, another fault passes
    with mock.patch("pxdask.survey.work.PAUSE_S", 0.01):
        if fault == "ENOSPC":
            with mock.patch("os.fsync", refuse):
                yield
        else:
            with mock.patch("os.fsync", side_effect=[OSError(codes[fault], "EIO"), *[None] * 100]):
                yield


def drive(
    run: RunContext, executor: Executor, calls: Calls, n_galaxy: int
) -> Counter[tuple[str, str]]:
    """Carry out a synthetic survey; return counts of (stage, outcome)."""
    manifest = Manifest(run.root / "manifest")
    try:
        driver = Driver(run, executor, manifest, SilentWatcher(), calls=calls)
        return driver.drive(synthetic.galaxies(n_galaxy))
    finally:
        manifest.close()


def drive_to_the_end(run: RunContext, executor: Executor, calls: Calls, n_galaxy: int) -> int:
    """Go on with a survey until nothing fails; return how often it was started."""
    for n in range(1, MOST_RUNS):
        outcomes = drive(run, executor, calls, n_galaxy)
        if not any(outcome in ("failed", "blocked") for _, outcome in outcomes):
            return n
    raise RuntimeError(f"the survey is not complete after {MOST_RUNS} runs: {outcomes}")


def outputs(run: RunContext) -> dict[str, bytes]:
    """Return all files of the galaxies by their names."""
    folder = run.root / "galaxies"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def told_twice(run: RunContext) -> list[tuple[str, str, str]]:
    """Return the tasks of which more than one row says that their output was made.

    Blocks of a fit are left out: they are removed when the fit is there, and may be made again.
    """
    made = Counter(
        (record.task, record.key)
        for record in Manifest(run.root / "manifest").records()
        if record.outcome == "done" and not (record.stage == "fit" and record.part)
    )
    return [task for (task, _), n in made.items() if n > 1]


def struck(hits: Path) -> Counter[str]:
    """Return how often each fault struck."""
    return Counter(path.name.partition("=")[2].replace("_", " ") for path in hits.iterdir())
