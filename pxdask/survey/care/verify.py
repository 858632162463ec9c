"""Whether the files of a run are what was written."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from pxdask.core.errors import DamagedError, StoreError
from pxdask.io.stores import checksum, files_under, is_published, is_whole
from pxdask.survey.collected import STORE, TABLES, saved_collected
from pxdask.survey.context import products_path, shared_files
from pxdask.survey.manifest import MANIFEST, Manifest
from pxdask.survey.plan import SUFFIX, Task
from pxdask.survey.products import MODELS
from pxdask.survey.work import task_paths

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pxdask.survey.manifest import Record
    from pxdask.survey.results import Run

logger = logging.getLogger(__name__)

N_THREADS = 8
"""Files read at once; hashing leaves Python's lock alone."""

_NAMED_LENGTH = 16
"""Characters of its checksum that the name of a shared file holds."""

State = Literal["whole", "unrecorded", "damaged", "unreadable"]


@dataclass(frozen=True, slots=True)
class Verified:
    """What the files of a run are; names are relative to its folder, in order.

    Attributes
    ----------
    n_whole : int
        Files whose every byte is what was written.
    n_unrecorded : int
        How many of these have no recorded checksum (their driver was killed): their archive's
        own checksums hold.
    damaged : tuple of str
        Files that are not what was written.
    missing : tuple of str
        Files that were written, and should be there.
    extra : tuple of str
        Files that no record explains and nothing can check: what killed writers left, products
        whose record is lost, a stranger's files.
    unreadable : tuple of str
        Files that could not be read; they may be whole.
    """

    n_whole: int
    n_unrecorded: int
    damaged: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    unreadable: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged, missing or unreadable."""
        return not (self.damaged or self.missing or self.unreadable)


def verify(run: Run) -> Verified:
    """Return what the files of a run are; every byte of them is read.

    Those are the outputs of galaxies, the products that all share, what was collected, and the
    run's own settings and catalogue. What is left out can spoil no result: seals are a memory, logs
    are for people, a torn line of the manifest is passed over, and the history is written anew.

    Parameters
    ----------
    run : Run
        The run; nobody is writing there. Outputs of galaxies that are not in its catalogue may be
        absent, and so may its store of all bins, or a table, as a whole.
    """
    store = run.store
    recorded, wanted = _expected(store, frozenset(run.galaxies))
    there = {
        file.path.relative_to(store).as_posix(): file.path
        for folder in ("galaxies", MODELS, STORE)
        for file in files_under(store / folder)
    }
    collected = {name: file.checksum for name, file in saved_collected(store).items()}
    recorded |= run.checksums | collected
    wanted |= run.checksums.keys()
    if any(name.startswith(f"{STORE}/") for name in there):
        wanted |= {name for name in collected if name.startswith(f"{STORE}/")}
    single = (name for name in recorded if "/" not in name and (store / name).is_file())
    there |= {name: store / name for name in single}
    spoilt: list[str] = []
    try:
        wanted |= {path.relative_to(store).as_posix() for path in shared_files(run)}
    except DamagedError as error:
        logger.warning("%s", error)
        spoilt += [path.relative_to(store).as_posix() for path in [products_path(run)] if path]
    known = [name for name in there if name in recorded or _checks_itself(there[name])]
    with ThreadPoolExecutor(N_THREADS) as pool:
        state = partial(_state, recorded=recorded, there=there)
        states = dict(zip(known, pool.map(state, known), strict=True))

    def named(*which: State) -> tuple[str, ...]:
        return tuple(sorted(name for name, found in states.items() if found in which))

    return Verified(
        n_whole=len(named("whole", "unrecorded")),
        n_unrecorded=len(named("unrecorded")),
        damaged=tuple(sorted((*named("damaged"), *spoilt))),
        missing=tuple(sorted(wanted - there.keys())),
        extra=tuple(sorted(there.keys() - states.keys())),
        unreadable=named("unreadable"),
    )


def remove_damaged(store: Path, found: Verified) -> tuple[str, ...]:
    """Remove the damaged files that can be made again; return their names.

    The run's own settings and catalogue stay: nothing else tells what it is.
    """
    removed = tuple(filter(can_be_made, found.damaged))
    for name in removed:
        (store / name).unlink(missing_ok=True)
    return removed


def can_be_made(name: str) -> bool:
    """Return whether a file of a run can be made again: all but its own settings and catalogue."""
    return "/" in name or is_collected(name)


def is_collected(name: str) -> bool:
    """Return whether a file of a run is of what `pxdask collect` makes."""
    return name.startswith(f"{STORE}/") or name.rpartition(".")[0] in TABLES


def _expected(store: Path, galaxies: frozenset[str]) -> tuple[dict[str, str], set[str]]:
    """Return the recorded checksums by file name, and the names of files that should be there."""
    recorded: dict[str, str] = {}
    latest: dict[tuple[str, str, str], Record] = {}
    for record in Manifest(store / MANIFEST).records():
        if record.outcome == "blocked":
            continue
        latest[record.task] = record
        if record.checksum:
            names = _names(record, store)
            recorded |= dict(zip(names, record.checksum.split(), strict=True))
    wanted = {
        name
        for record in latest.values()
        if record.ok and record.id in galaxies and not _is_passing(record)
        for name in _names(record, store)
    }
    return recorded, wanted


def _names(record: Record, store: Path) -> list[str]:
    """Return the files of a record, relative to the run's folder."""
    task = Task(record.id, record.stage, record.part, record.key)
    return [path.relative_to(store).as_posix() for path in task_paths(task, store)]


def _is_passing(record: Record) -> bool:
    """Return whether there is no file, or one removed once the whole it is part of is there."""
    no_file = not record.key
    return no_file or record.stage == "ifs" or (record.stage == "fit" and bool(record.part))


def _checks_itself(path: Path) -> bool:
    """Return whether a file holds checksums of its own."""
    return path.name.endswith(SUFFIX) and not path.name.startswith(".")


def _state(name: str, *, recorded: Mapping[str, str], there: Mapping[str, Path]) -> State:
    """Return what one file is."""
    path = there[name]
    try:
        if name in recorded:
            return "whole" if checksum(path) == recorded[name] else "damaged"
        if path.parent.name == MODELS:
            stated = path.name.removesuffix(SUFFIX).rpartition("-")[2]
            return "whole" if checksum(path)[:_NAMED_LENGTH] == stated else "damaged"
        return "unrecorded" if is_published(path) and is_whole(path) else "damaged"
    except (OSError, StoreError) as error:
        logger.warning("cannot read %s: %s", path, error)
        return "unreadable"
