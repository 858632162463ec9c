"""One task of a run again, alone and in this process, to look for what is wrong with it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.errors import ConfigError, brief
from pxdask.core.provenance import differences
from pxdask.core.remote import far, local_copy
from pxdask.io.provenance import read_provenance
from pxdask.io.stores import is_published, opened, read
from pxdask.survey.care.explain import explain
from pxdask.survey.context import config_of, open_context
from pxdask.survey.plan import Task, galaxy_folder
from pxdask.survey.stages import HARMLESS, READS, STAGES
from pxdask.survey.tasks import carry_out
from pxdask.survey.threads import one_thread
from pxdask.survey.work import fit_blocks, ifs_chunks, make_plan, task_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr

    from pxdask.survey.manifest import Record
    from pxdask.survey.results import Run
    from pxdask.survey.work import GalaxyPlan, RunContext


@dataclass(frozen=True, slots=True)
class Remade:
    """What came of a task that was done again.

    Attributes
    ----------
    task : Task
        The task.
    files : tuple of Path
        What it wrote.
    same : bool or None
        Whether all its bytes are those of the published files; None where there are none.
    differ : tuple of str
        What differs, in words.
    """

    task: Task
    files: tuple[Path, ...]
    same: bool | None
    differ: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retask:
    """A task of a run, ready to be done again beside the run, in which nothing is written.

    Attributes
    ----------
    task : Task
        The task; its key is the manifest row's.
    plan : GalaxyPlan
        The galaxy's inputs and keys.
    run : RunContext
        The run as the row's settings have it.
    scratch : RunContext
        The same run in an empty folder, which has the outputs that the task reads.
    """

    task: Task
    plan: GalaxyPlan
    run: RunContext
    scratch: RunContext

    def carry_out(self) -> Remade:
        """Do the task in this process, with no net: whatever is wrong is raised.

        Of what the task reads, outputs that are not in the run are made first: blocks of a fit and
        slices of spectra are removed when they have been joined. What had failed is left out.
        """
        with one_thread():
            self._do(self.task)
        files = tuple(task_paths(self.task, self.scratch.root))
        there = task_paths(self.task, self.run.root)
        if not all(is_published(path) for path in there):
            return Remade(self.task, files, None)
        differ = [
            words for pair in zip(there, files, strict=True) for words in _file_differences(*pair)
        ]
        return Remade(self.task, files, not differ, tuple(differ))

    def _do(self, task: Task) -> None:
        """Do a task, after those whose outputs it reads and that are not there."""
        for before in self._reads(task):
            if before.stage not in HARMLESS and not _is_there(before, self.scratch):
                self._do(before)
        carry_out(task, self.plan, self.scratch)

    def _reads(self, task: Task) -> Iterator[Task]:
        """Yield the tasks whose outputs a task reads.

        The bins come before the blocks of a fit, whose number is that of the bins.
        """
        name, keys = self.plan.galaxy_id, self.plan.keys
        for stage in READS[task.stage]:
            if stage == "image":
                yield from (Task(name, stage, band, key) for band, key in keys.image.items())
            elif stage == "ifs":
                yield from ifs_chunks(name, self.plan.inputs, keys, self.run)
            elif key := getattr(keys, stage):
                yield Task(name, stage, "", key)
        if task.stage == "fit" and not task.part:
            with opened(Task(name, "bins", "", keys.bins).path(self.scratch.root)) as bins:
                n_bin = int(bins.sizes["bin"])
            yield from fit_blocks(self.plan, self.run, n_bin=n_bin)


@contextmanager
def retask(run: Run, galaxy: str, stage: str, part: str = "") -> Iterator[Retask]:
    """Give a task of a run to be done again, from its manifest row.

    Parameters
    ----------
    run : Run
        The run; nothing in it is changed.
    galaxy, stage, part : str
        The task, as the manifest has it: the part is a band, the first bin of a block, or
        the wavelengths of a chunk.

    Raises
    ------
    ConfigError
        If the manifest has no such task, or its settings, catalogue row, input files or the
        program are not those of then any more, saying what has changed.
    """
    record = _record(run, galaxy, stage, part)
    context = open_context(run, config_of(run, record.config), key=record.config)
    row = run.catalog_file.row(galaxy)
    if row is None:
        raise ConfigError(f"{run.store}: galaxy {galaxy!r} is not in the catalogue any more")
    plan = make_plan(row, context)
    task = Task(galaxy, stage, part, record.key)
    now = plan.keys.image.get(part, "") if stage == "image" else getattr(plan.keys, stage)
    if now != record.key:
        _refuse(run, task, now)
    with TemporaryDirectory(prefix="pxdask-") as folder:
        scratch = replace(context, root=Path(folder), redo=frozenset())
        _link(galaxy_folder(context.root, galaxy), galaxy_folder(scratch.root, galaxy), task)
        yield Retask(task, plan, context, scratch)


def _record(run: Run, galaxy: str, stage: str, part: str) -> Record:
    """Return the newest row of a task that was tried."""
    if stage not in STAGES:
        raise ConfigError(f"there is no stage {stage!r}; the stages are {', '.join(STAGES)}")
    found: dict[str, Record] = {}
    for record in run.tried(galaxy):
        if record.stage == stage and record.outcome in ("done", "failed"):
            found[record.part] = record
    if part not in found:
        parts = ", ".join(repr(name) for name in sorted(found)) or "none"
        raise ConfigError(
            f"{run.store}: the manifest has no task {stage} {part!r} of galaxy {galaxy!r};"
            f" parts of {stage} that were tried: {parts}"
        )
    return found[part]


def _refuse(run: Run, task: Task, now: str) -> None:
    """Raise `ConfigError`: a task cannot be done as it was; say what has changed."""
    outputs = explain(run, task.galaxy_id, stage=task.stage).outputs
    made = next((output for output in outputs if output.key == task.key), None)
    why = "; ".join(made.why) if made is not None and made.why else "its file is gone"
    what = " ".join(word for word in (task.stage, task.part) if word)
    raise ConfigError(
        f"{what} of galaxy {task.galaxy_id!r} cannot be done again as it was:"
        f" its key was {task.key}, now it would be {now or 'none'}: {why}"
    )


def _link(source: Path, target: Path, task: Task) -> None:
    """Put a galaxy's outputs into a scratch folder, those of the task left out."""
    target.mkdir(parents=True)
    own = {path.name for path in task_paths(task, Path())}
    for path in source.glob("*"):
        if path.name in own or path.name.startswith("."):
            continue
        if far(path) is None:
            (target / path.name).symlink_to(path)
        else:
            with local_copy(path) as copy:
                shutil.copyfile(copy, target / path.name)


def _is_there(task: Task, run: RunContext) -> bool:
    return all(is_published(path) for path in task_paths(task, run.root))


def _file_differences(there: Path, here: Path) -> list[str]:
    """Return what differs between a published file and the same one made again, in words."""
    with local_copy(there) as file:
        if file.stat().st_size == here.stat().st_size and file.read_bytes() == here.read_bytes():
            return []
    if here.suffix == ".png":
        return [f"{here.name}: the bytes differ"]
    if here.suffix == ".zip":
        words = _dataset_differences(read(there), read(here))
    else:
        words = _attribute_differences(read_provenance(there), read_provenance(here))
    found = [f"{here.name}: {text}" for text in words]
    return found or [f"{here.name}: the bytes differ"]


def _dataset_differences(there: xr.Dataset, here: xr.Dataset) -> Iterator[str]:
    """Yield what differs between two datasets: variables by how much, attributes by name."""
    for name in sorted({*there.variables, *here.variables}, key=str):
        if name not in there.variables or name not in here.variables:
            yield f"{name} is only in the {'new' if name in here.variables else 'published'} file"
            continue
        old, new = there[name].values, here[name].values
        if old.shape != new.shape or old.dtype != new.dtype:
            yield f"{name} is {old.dtype} {old.shape} there, {new.dtype} {new.shape} here"
            continue
        numeric = old.dtype.kind in "fiu"
        equal = (old == new) | ((old != old) & (new != new)) if numeric else old == new  # noqa: PLR0124  NaN
        if not np.all(equal):
            some = f"{np.sum(~equal)} of {old.size} values of {name} differ"
            yield f"{some}, by up to {_largest(old, new):.3g}" if numeric else some
    yield from _attribute_differences(there.attrs, here.attrs)


def _attribute_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between what two files tell of themselves."""
    for name, old, new in differences(there, here):
        yield f"attribute {name} is {brief(old)} there, {brief(new)} here"


def _largest(old: np.ndarray, new: np.ndarray) -> float:
    """Return the largest difference of finite values; NaN where there is none."""
    away = np.abs(old.astype(np.float64) - new.astype(np.float64))
    away = away[np.isfinite(away)]
    return float(away.max()) if away.size else float("nan")


def save(remade: Remade, out: Path) -> tuple[Path, ...]:
    """Copy what a task wrote to a place of one's own: a file, or for products a folder.

    Raises
    ------
    ConfigError
        If something is there already.
    """
    targets = (out,) if len(remade.files) == 1 else tuple(out / path.name for path in remade.files)
    if taken := [path for path in targets if os.path.lexists(path)]:
        raise ConfigError(f"{taken[0]} exists; name another --out")
    for source, target in zip(remade.files, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return targets
