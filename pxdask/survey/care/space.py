"""The space that a run takes: by stage, by galaxy, and what of it nothing wants any more."""

from __future__ import annotations

import logging
import re
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from astropy.table import Table

from pxdask.core.errors import PxdaskError
from pxdask.io.stores import files_under
from pxdask.survey.care.explain import MADE_FROM, explain
from pxdask.survey.context import has_settings, products_today
from pxdask.survey.inspect import inspect_galaxy
from pxdask.survey.manifest import MANIFEST, Manifest, Record
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.plan import FILES_BESIDE, PRODUCT_FILES, SUFFIX, Task, galaxy_folder
from pxdask.survey.products import MODELS
from pxdask.survey.stages import STAGES
from pxdask.survey.work import task_paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pxdask.io.stores import FoundFile
    from pxdask.survey.products import Products
    from pxdask.survey.results import Run

logger = logging.getLogger(__name__)

N_THREADS = 8

N_EXPLAINED = 3
"""Galaxies of which it is told what has changed since their outputs were made."""

UNFINISHED_S = 86400.0
"""Age at which an unfinished file is no longer anybody's [s]."""

_ENDINGS = "|".join(re.escape(ending) for ending in (SUFFIX, *PRODUCT_FILES.values()))
_OUTPUT = re.compile(
    rf"({'|'.join((*STAGES, *PRODUCT_FILES))})(-.+)?-(?P<key>[0-9a-f]{{16}})({_ENDINGS})"
)


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nothing reaches from a run's settings and catalogue.

    Attributes
    ----------
    files : tuple of FoundFile
        The files.
    n_kept : int
        Galaxies whose inputs cannot be looked at, so that all their files are kept.
    n_lost, n_stay : int
        Galaxies with end products among the files, and with end products that are not.
    why : tuple of str
        What has changed since outputs of some of the galaxies were made.
    """

    files: tuple[FoundFile, ...]
    n_kept: int = 0
    n_lost: int = 0
    n_stay: int = 0
    why: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether galaxies were finished, and without the files none would be."""
        return self.n_lost > 0 and self.n_stay == 0

    @property
    def n_bytes(self) -> int:
        """Space that the files take [byte]."""
        return sum(file.n_bytes for file in self.files)


def usage(run: Run, by: Literal["stage", "galaxy"] = "stage") -> Table:
    """Return number and size of a run's files, one row for each stage, or each galaxy.

    Rows of stages are in the order of the work, then what is not of a galaxy; rows of galaxies
    begin with the largest.
    """
    n_files: Counter[str] = Counter()
    n_bytes: Counter[str] = Counter()
    for file in files_under(run.store):
        parts = file.path.relative_to(run.store).parts
        of_galaxy = parts[0] == "galaxies" and len(parts) == 4
        if by == "galaxy" and not of_galaxy:
            continue
        name = parts[2] if by == "galaxy" else _stage(parts[3]) if of_galaxy else parts[0]
        n_files[name] += 1
        n_bytes[name] += file.n_bytes
    if by == "galaxy":
        names = sorted(n_bytes, key=lambda name: (-n_bytes[name], name))
    else:
        names = sorted(n_bytes, key=lambda name: (_order(name), name))
    columns = {by: names, "files": [n_files[name] for name in names]}
    table = Table({**columns, "size": [n_bytes[name] for name in names]}, dtype=(str, int, int))
    table["size"].unit = "byte"
    return table


def unreachable(run: Run) -> Garbage:
    """Return the files of a run that going on with it would neither read nor make.

    Those are outputs of galaxies that are not in the catalogue, outputs for settings, inputs
    or versions that are no longer the run's, models of which the same is true, and files
    that killed writers left more than `UNFINISHED_S` ago. Parts of what is published whole
    go with the driver, not here. A galaxy whose inputs cannot be looked at keeps all.

    Raises
    ------
    ConfigError
        If the settings' models or filters cannot be loaded.
    """
    with tempfile.TemporaryDirectory(prefix="pxdask-") as folder:
        products = products_today(run, Path(folder))
        galaxies = list(run.catalog_file.rows())
        with ThreadPoolExecutor(N_THREADS) as pool:
            found = pool.map(partial(_keys, run=run, products=products), galaxies)
            keys = {str(row["id"]): some for row, some in zip(galaxies, found, strict=True)}
    shared = {products.ssp.name, products.filters.name}
    shared |= {products.network.name} if products.network is not None else set()
    files: list[FoundFile] = []
    finished: tuple[set[str], set[str]] = (set(), set())
    for file in files_under(run.store / "galaxies"):
        reached = _is_reached(file, run, keys)
        if not reached:
            files.append(file)
        if _is_product(file.path):
            finished[reached].add(file.path.parent.name)
    files += [
        file
        for file in files_under(run.store / MODELS)
        if file.path.name not in shared and (file.path.name[0] != "." or _is_stale(file))
    ]
    files.sort(key=lambda file: str(file.path))
    lost, stay = finished
    some = sorted({file.path.parent.name for file in files} & keys.keys())[:N_EXPLAINED]
    return Garbage(
        tuple(files),
        n_kept=sum(wanted is None for wanted in keys.values()),
        n_lost=len(lost - stay),
        n_stay=len(stay),
        why=_why(run, some, products),
    )


def _why(run: Run, galaxies: list[str], products: Products) -> tuple[str, ...]:
    """Return what has changed since outputs of galaxies were made, each reason once.

    Where the run has the settings by which an output was made, other settings of its stage are the
    program's doing, as is another version of the stage.
    """
    found: dict[str, None] = {}
    for galaxy in galaxies:
        for output in explain(run, galaxy, products=products).outputs:
            if output.state != "outdated":
                continue
            same = has_settings(run, str(output.record.get("config", "")))
            for reason in output.why:
                of_program = reason.startswith("version") or (same and reason.startswith("setting"))
                if not reason.startswith(MADE_FROM):
                    who = "the program has changed" if of_program else "changed"
                    found[f"{who}: {output.stage}: {reason}"] = None
    return tuple(found)


def remove(run: Run, garbage: Garbage) -> None:
    """Remove files, and write into the manifest that outputs are gone."""
    gone = set()
    for file in garbage.files:
        file.path.unlink(missing_ok=True)
        gone.add(file.path)
    with closing(Manifest(run.store / MANIFEST)) as manifest:
        for record in run.records().values():
            task = Task(record.id, record.stage, record.part, record.key)
            if record.ok and gone.intersection(task_paths(task, run.store)):
                manifest.append(Record(*record.task, record.key, "removed"))


def _keys(galaxy: Mapping[str, object], *, run: Run, products: Products) -> frozenset[str] | None:
    """Return the keys of all that a galaxy's work makes; None if that cannot be told."""
    try:
        inputs = inspect_galaxy(galaxy, run.config, root=run.data_root)
        keys = Pipeline(inputs, run.config, products).keys()
    except (PxdaskError, OSError) as error:
        logger.warning("%s: all is kept: %s", galaxy["id"], error)
        return None
    single = (getattr(keys, stage) for stage in STAGES if stage != "image")
    return frozenset((*keys.image.values(), *single)) - {""}


def _is_reached(file: FoundFile, run: Run, keys: Mapping[str, frozenset[str] | None]) -> bool:
    """Return whether a galaxy's file is wanted, or none of ours."""
    path = file.path
    if path.parent != galaxy_folder(run.store, path.parent.name):
        return True  # a stranger's
    if path.name.startswith("."):
        return not (path.name.endswith(".part") and _is_stale(file))
    output = _OUTPUT.fullmatch(path.name)
    wanted = keys.get(path.parent.name, frozenset())
    return output is None or wanted is None or output["key"] in wanted


def _is_stale(file: FoundFile) -> bool:
    """Return whether an unfinished file is so old that nobody is writing it."""
    return time.time() - file.changed > UNFINISHED_S


def _is_product(path: Path) -> bool:
    """Return whether a file is an end product of a galaxy."""
    output = _OUTPUT.fullmatch(path.name)
    return output is not None and PRODUCT_FILES.get(output[1]) == output[4]


def _stage(name: str) -> str:
    """Return the stage that made a file of a galaxy, or ``unfinished``."""
    if name.startswith("."):
        return "unfinished"
    stage = name.partition("-")[0]
    return stage if name.endswith(SUFFIX) or stage in FILES_BESIDE else "products"


def _order(name: str) -> int:
    """Return where a stage stands among all."""
    return STAGES.index(name) if name in STAGES else len(STAGES)
