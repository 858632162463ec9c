"""Seals: what lets a run that goes on pass over a finished galaxy without opening its images.

To plan a galaxy its files are opened and digested. When all its outputs are made, a small file
says so: the settings, the row and the code that made them, size and time of every input file, and
the tasks. If all of that still holds and the outputs are there, so would the plan find it. A seal
is a memory of something slow, never needed: without it, or with a damaged one, the galaxy is
planned again.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import pxdask
from pxdask.binning import BinStage
from pxdask.core.errors import StoreError
from pxdask.core.files import write_text
from pxdask.core.provenance import canonical_json
from pxdask.fitting import FitStage, IntegratedStage, MapStage
from pxdask.ifs import IfsStage, LinesStage, SpectraStage
from pxdask.images import CubeStage, ImageStage
from pxdask.morphology.radial_stage import RadialStage
from pxdask.morphology.stage import MorphologyStage
from pxdask.survey.inspect import band_files
from pxdask.survey.pipeline import PRODUCTS_VERSION
from pxdask.survey.plan import Task, seal_path
from pxdask.survey.recipes import plain_row
from pxdask.survey.tasks import tidy
from pxdask.survey.work import is_made

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pxdask.survey.inspect import GalaxyInputs
    from pxdask.survey.work import GalaxyPlan, RunContext

_STAGES = (
    *(ImageStage, CubeStage, IfsStage, SpectraStage, BinStage),
    *(FitStage, IntegratedStage, LinesStage, MapStage, MorphologyStage, RadialStage),
)
_SETTLED_S = 2.0
"""Least age of an input file when its galaxy is planned [s]: a younger one may change without its
time telling, since file systems' clocks are coarse."""
_PASSING = "ifs"
"""The stage whose outputs are removed when what is made of them is there."""
_TURN = Lock()
"""Held by the thread of this process that probes."""
_PATIENCE_S = 0.5
"""Longest wait for other threads' probes [s]: on a local disk, one takes 0.03 s."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """What tells that a file is still the one that was read: size [byte] and time [ns]."""

    path: str
    n_bytes: int
    changed_ns: int

    @classmethod
    def now(cls, path: Path) -> InputFile:
        """Return what the file is at this moment; raise `OSError` if there is none."""
        seen = path.stat()
        return cls(str(path), seen.st_size, max(seen.st_mtime_ns, seen.st_ctime_ns))


def run_digest(run: RunContext) -> str:
    """Return a digest of all that decides the outputs of a run and is the same for all galaxies."""
    versions = {stage.__name__: stage.version for stage in _STAGES}
    facts = {
        "config": run.config.key(),
        "products": list(run.products.fit_key),
        "data_root": run.data_root,
        "versions": {**versions, "products": PRODUCTS_VERSION, "pxdask": pxdask.__version__},
    }
    return _digest(canonical_json(facts))


def probe_galaxies(
    galaxies: Sequence[Mapping[str, object]], run: RunContext
) -> list[tuple[Task, ...] | None]:
    """Return, for each galaxy, the tasks of which a valid seal tells; None where there is none.

    Parameters
    ----------
    galaxies : sequence of mapping
        Rows of the catalogue.
    run : RunContext
        The run.
    """
    of_run = run_digest(run)
    with _turn():
        return [_sealed_tasks(galaxy, run, of_run) for galaxy in galaxies]


@contextmanager
def _turn() -> Iterator[None]:
    """Let threads of a process probe one after the other, unless their files are slow to come.

    A probe asks the system for little, but often. Threads that do so at once hand Python's lock to
    each other at every question, which takes longer than the answer. Where answers come from afar,
    waiting can be shared: who has waited for `_PATIENCE_S` begins as well.
    """
    alone = _TURN.acquire(timeout=_PATIENCE_S)
    try:
        yield
    finally:
        if alone:
            _TURN.release()


def end_galaxy(plan: GalaxyPlan, run: RunContext, complete: bool) -> None:  # noqa: FBT001  an executor passes no keywords
    """Tidy up after a galaxy whose calls are all done; if its outputs are all there, seal it.

    Raises
    ------
    StoreError
        If the seal cannot be written.
    """
    tidy(plan, run)
    if not complete:
        return
    try:
        files = [InputFile.now(path) for path in input_files(plan.inputs)]
    except OSError:
        return
    if any(file.changed_ns > 1e9 * (plan.made - _SETTLED_S) for file in files):
        return
    tasks = [*plan.existing, *plan.missing]
    facts = {
        "of": _galaxy_digest(plan.inputs.galaxy, run_digest(run)),
        "files": [[file.path, file.n_bytes, file.changed_ns] for file in files],
        "tasks": [[task.stage, task.part, task.key] for task in tasks if task.stage != _PASSING],
        "sealed": round(time.time(), 3),
    }
    write_text(json.dumps(facts) + "\n", seal_path(run.root, plan.galaxy_id))


def input_files(inputs: GalaxyInputs) -> list[Path]:
    """Return all files of a galaxy that its plan reads."""
    files = {path for band in inputs.bands for path in band_files(band)}
    if inputs.bin_map is not None:
        files.add(inputs.bin_map.path)
    if inputs.ifs is not None:
        files.add(Path(inputs.ifs.header.path))
    if inputs.stars_path is not None:
        files.add(inputs.stars_path)
    return sorted(files)


def _sealed_tasks(
    galaxy: Mapping[str, object], run: RunContext, of_run: str
) -> tuple[Task, ...] | None:
    """Return the tasks of a galaxy's seal, if it is valid and their outputs are there."""
    name = str(galaxy["id"])
    try:
        facts = json.loads(seal_path(run.root, name).read_bytes())
        if facts["of"] != _galaxy_digest(galaxy, of_run):
            return None
        if not _unchanged(InputFile(*values) for values in facts["files"]):
            return None
        tasks = tuple(Task(name, *words) for words in facts["tasks"])
        return tasks if all(is_made(task, run) for task in tasks) else None
    except (OSError, StoreError, ValueError, KeyError, TypeError):
        return None  # whatever is wrong with a seal or its files, the plan will tell


def _unchanged(files: Iterable[InputFile]) -> bool:
    """Return whether files are those that were read."""
    return all(InputFile.now(Path(file.path)) == file for file in files)


def _galaxy_digest(galaxy: Mapping[str, object], of_run: str) -> str:
    """Return a digest of a run and a galaxy's row."""
    return _digest(of_run + canonical_json(plain_row(galaxy)))


def _digest(text: str) -> str:
    """Return the blake2b digest of a text, 32 hexadecimal characters."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
