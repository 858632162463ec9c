"""What a worker does: plan a galaxy, carry out one task; a failure is a record."""

from __future__ import annotations

import logging
import platform
import resource
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pxdask.core.errors import ConfigError, DamagedError, PxdaskError, StoreError
from pxdask.core.provenance import canonical_json
from pxdask.fitting import join_blocks
from pxdask.ifs import join_slices, wave_margin
from pxdask.images import footprint
from pxdask.io.export import write_maps_fits
from pxdask.io.ifs import read_ifs
from pxdask.io.provenance import CARD
from pxdask.io.raw import read_raw
from pxdask.io.stores import checksum, is_published, opened, publish, publish_with, read
from pxdask.plots import write_summary
from pxdask.survey.inspect import GalaxyInputs, inspect_galaxy
from pxdask.survey.logs import galaxy_log
from pxdask.survey.manifest import Record
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.plan import PRODUCT_FILES, SUFFIX, Keys, Task, block_tasks, slice_tasks
from pxdask.survey.stages import READS
from pxdask.survey.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import xarray as xr

    from pxdask.core.config import SurveyConfig
    from pxdask.survey.products import Products
    from pxdask.survey.stages import Stage

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
    which the plan was begun [s].
    """

    inputs: GalaxyInputs
    keys: Keys
    missing: tuple[Task, ...]
    existing: tuple[Task, ...]
    n_bin: int = -1
    made: float = field(default=0.0, compare=False)

    @property
    def galaxy_id(self) -> str:
        """Identifier of the galaxy."""
        return str(self.inputs.galaxy["id"])


def plan_galaxy(galaxy: Mapping[str, object], run: RunContext) -> GalaxyPlan | Record:
    """Return the plan of a galaxy, or the record of why it has none."""
    start, name = Start.now(), str(galaxy["id"])
    with galaxy_log(run.root, name, "plan"):
        try:
            return attempt(partial(make_plan, galaxy, run))
        except PxdaskError as error:
            logger.info("%s has no plan: %s", name, error)
            permanent = not isinstance(error, StoreError)
            failed = Record(name, "inputs", "", "", "failed", error=str(error), permanent=permanent)
            return measured(failed, start)


def make_plan(galaxy: Mapping[str, object], run: RunContext) -> GalaxyPlan:
    """Return the plan of a galaxy whose files are as they should be."""
    begun = time.time()
    inputs = inspect_galaxy(galaxy, run.config, root=run.data_root)
    pipeline = Pipeline(inputs, run.config, run.products)
    keys = pipeline.keys()
    galaxy_id = str(galaxy["id"])
    spectral = ("spectra",) if inputs.ifs is not None else ()
    lines = ("lines",) if pipeline.has_lines else ()
    stages = ("cube", *spectral, "bins", "fit", *lines, "maps", "products")
    tasks = [
        *(Task(galaxy_id, "image", band, key) for band, key in keys.image.items()),
        *ifs_chunks(galaxy_id, inputs, keys, run),
        *(Task(galaxy_id, stage, "", getattr(keys, stage)) for stage in stages),
    ]
    existing = tuple(task for task in tasks if is_made(task, run))
    missing = _needed(tasks, set(existing))
    bins = Task(galaxy_id, "bins", "", keys.bins)
    n_bin = _n_bin(bins, run) if bins in existing and missing else -1
    return GalaxyPlan(inputs, keys, missing, existing, n_bin, begun)


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
    return [task.path(root)]


def run_task(
    task: Task, plan: GalaxyPlan, run: RunContext, after: Sequence[Record | None] = ()
) -> Record:
    """Carry out one task.

    Parameters
    ----------
    task : Task
        What to do.
    plan : GalaxyPlan
        The galaxy's inputs and keys.
    run : RunContext
        The run.
    after : sequence of Record
        Records of the tasks whose outputs this one reads.

    Returns
    -------
    record : Record
        Never an exception for what is wrong with the galaxy: that is the record's error.
    """
    config = run.config.key()
    record = Record(task.galaxy_id, task.stage, task.part, task.key, "done", config=config)
    # an executor has no record of a task that ended in a defect
    if not all(earlier is not None and earlier.ok for earlier in after):
        return replace(record, outcome="blocked")
    with galaxy_log(run.root, task.galaxy_id, task.stage, task.part):
        return _tried(task, plan, run, record)


def _tried(task: Task, plan: GalaxyPlan, run: RunContext, record: Record) -> Record:
    """Carry out a task whose inputs are there, and say so; see `run_task`."""
    start = Start.now()
    logger.info("%s %s %s begins", task.galaxy_id, task.stage, task.part)
    try:
        if is_made(task, run):
            record = replace(record, outcome="existed")
        else:
            with one_thread():
                written = attempt(partial(carry_out, task, plan, run))
            record = replace(record, checksum=written)
        if task.stage == "bins":
            record = replace(record, n_bin=_n_bin(task, run))
    except PxdaskError as error:
        permanent = not isinstance(error, StoreError)
        record = replace(record, outcome="failed", error=str(error), permanent=permanent)
    record = measured(record, start)
    why = f": {record.error}" if record.error else ""
    logger.info(
        "%s %s %s %s after %.2f s, key %s%s",
        *(task.galaxy_id, task.stage, task.part, record.outcome, record.seconds, task.key, why),
    )
    return record


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


def carry_out(task: Task, plan: GalaxyPlan, run: RunContext) -> str:
    """Read the inputs of a task, run its stage, publish the output; return its checksum."""
    pipeline = Pipeline(plan.inputs, run.config, run.products)
    if task.stage == "products":
        return _write_products(task, plan, run)
    if task.stage == "image":
        stage: Stage = pipeline.image_stage(task.part)
        output = stage.run(plan.inputs.galaxy, raw=_raw(task.part, plan, pipeline))
    elif task.stage == "ifs":
        stage, slices = _slices(task.part, plan, run, pipeline)
        output = stage.run(plan.inputs.galaxy, slices=slices)
    elif task.stage == "fit" and not task.part:
        return _join_fit(task, plan, run)
    else:
        first = int(task.part) if task.part else 0
        stage = pipeline.stage(task.stage, first=first)
        output = stage.run(plan.inputs.galaxy, **_inputs(task.stage, plan, run))
    stage.output.validate(output)
    return publish(_with_provenance(output, task, plan, pipeline), task.path(run.root))


def _raw(band: str, plan: GalaxyPlan, pipeline: Pipeline) -> xr.Dataset:
    """Return the pixels of one band that the galaxy's grid and the kernels need."""
    header = plan.inputs.headers[band]
    margin = pipeline.margin_pix(band)
    return read_raw(
        pipeline.band(band),
        header,
        footprint=footprint(header, plan.inputs.grid, margin_pix=margin),
    )


def _slices(
    part: str, plan: GalaxyPlan, run: RunContext, pipeline: Pipeline
) -> tuple[Stage, xr.Dataset]:
    """Return the stage of a chunk of wavelengths, and the slices that it reads."""
    ifs, config = plan.inputs.ifs, run.config.ifs
    if ifs is None or config is None:
        raise ConfigError(f"{plan.galaxy_id}: the survey has no integral-field cubes")
    start, stop = (int(word) for word in part.split("-"))
    header = ifs.header
    first, last = wave_margin(
        header.wave, header.lsf_fwhm, smooth_to=config.smooth_to, start=start, stop=stop
    )
    stage = pipeline.ifs_stage((start - first, stop - first))
    return stage, read_ifs(header, first, last)


def _joined_slices(plan: GalaxyPlan, run: RunContext) -> xr.Dataset:
    """Return all wavelengths of a galaxy's spectra on its grid."""
    chunks = ifs_chunks(plan.galaxy_id, plan.inputs, plan.keys, run)
    return join_slices([_read_output(task, run) for task in chunks])


def _inputs(stage: str, plan: GalaxyPlan, run: RunContext) -> dict[str, xr.Dataset]:
    """Return the datasets that a stage reads."""
    if stage == "cube":
        images = (Task(plan.galaxy_id, "image", band, key) for band, key in plan.keys.image.items())
        return {task.part: _read_output(task, run) for task in images}
    if stage == "spectra":
        return {"cube": _read_output(_task("cube", plan), run), "ifs": _joined_slices(plan, run)}
    names = [name for name in READS[stage] if getattr(plan.keys, name)]
    return {name: _read_output(_task(name, plan), run) for name in names}


def _read_output(task: Task, run: RunContext) -> xr.Dataset:
    """Return an output that another task reads; if it is damaged, see `_removed_if_damaged`."""
    path = task.path(run.root)
    with _removed_if_damaged(path):
        return read(path)


@contextmanager
def _removed_if_damaged(path: Path) -> Iterator[None]:
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


def _join_fit(task: Task, plan: GalaxyPlan, run: RunContext) -> str:
    """Publish the fit of all bins from its blocks, which `tidy` removes; return its checksum."""
    n_bin = _n_bin(_task("bins", plan), run)
    blocks = fit_blocks(plan, run, n_bin=n_bin)
    fit = join_blocks([_read_output(block, run) for block in blocks])
    pipeline = Pipeline(plan.inputs, run.config, run.products)
    return publish(_with_provenance(fit, task, plan, pipeline), task.path(run.root))


def tidy(plan: GalaxyPlan, run: RunContext) -> None:
    """Remove blocks of what is published whole, and what killed writers left.

    Those are blocks of bins of a fit, and chunks of wavelengths of spectra.

    Another driver that writes at this very moment would lose its unfinished file, and write
    it again.
    """
    fit = _task("fit", plan).path(run.root)
    there = list(fit.parent.glob("*"))  # once, since an object store may take long to tell
    leftovers = [path for path in there if fnmatch(path.name, ".*.part")]
    for part, whole in (("fit", "fit"), ("ifs", "spectra")):
        name = f"{part}-*-{getattr(plan.keys, part)}{SUFFIX}"
        parts = [path for path in there if fnmatch(path.name, name)]
        if parts and is_published(_task(whole, plan).path(run.root)):
            leftovers += parts
    for path in leftovers:
        path.unlink(missing_ok=True)


def fit_blocks(plan: GalaxyPlan, run: RunContext, *, n_bin: int) -> list[Task]:
    """Return the fit tasks of all blocks of a galaxy's bins."""
    size = run.config.fit.block_size
    return block_tasks(plan.galaxy_id, plan.keys.fit, n_bin=n_bin, block_size=size)


def _write_products(task: Task, plan: GalaxyPlan, run: RunContext) -> str:
    """Write the files a user opens, the maps as FITS and a picture; return their checksums."""
    datasets = _inputs("products", plan, run)
    pipeline = Pipeline(plan.inputs, run.config, run.products)
    made_of = canonical_json(provenance(task, plan, pipeline))
    header = {
        "RUNNAME": run.config.name,
        "PXDKEY": task.key,
        CARD: made_of,
        **{key: plan.inputs.galaxy[key] for key in ("id", "ra", "dec", "redshift")},
    }
    title = f"{plan.galaxy_id}   z = {float(str(plan.inputs.galaxy['redshift'])):.4f}"
    fits_path, png_path = task_paths(task, run.root)

    def write_fits(path: Path) -> None:
        write_maps_fits(path, header=header, **datasets)

    def write_png(path: Path) -> None:
        write_summary(path, title=title, about=made_of, **datasets)

    found = []
    for path, write in ((fits_path, write_fits), (png_path, write_png)):
        # one of the two may be there: a task can be killed between them
        keep = task.stage not in run.redo and is_published(path)
        found.append(checksum(path) if keep else publish_with(write, path))
    return " ".join(found)


def _task(stage: str, plan: GalaxyPlan) -> Task:
    """Return the task that makes a stage's whole output."""
    return Task(plan.galaxy_id, stage, "", getattr(plan.keys, stage))


def _with_provenance(
    ds: xr.Dataset, task: Task, plan: GalaxyPlan, pipeline: Pipeline
) -> xr.Dataset:
    """Return a dataset that tells what made it; nothing of when or where."""
    return ds.assign_attrs(provenance(task, plan, pipeline))


def provenance(task: Task, plan: GalaxyPlan, pipeline: Pipeline) -> dict[str, Any]:
    """Return what an output tells of its making, as JSON values; see `Recipe`.

    Besides what the stage itself reads, ``checksums`` names all files of the galaxy that
    its inputs come from.
    """
    band = task.part if task.stage == "image" else ""
    recipe = pipeline.recipe(task.stage, band, keys=plan.keys)
    return {
        "galaxy": task.galaxy_id,
        "stage": task.stage,
        **recipe.attrs(),
        "checksums": pipeline.checksums(task.stage, band),
    }


def _needed(tasks: Sequence[Task], existing: set[Task]) -> tuple[Task, ...]:
    """Return the tasks to run: missing ones that something missing, or the user, reads.

    Working back from the end, an output is wanted if it is an end product or is read by a
    missing one: images are not made again for a cube that exists.
    """
    wanted = {"products", "lines"}
    needed = []
    for task in reversed(tasks):
        if task.stage in wanted and task not in existing:
            needed.append(task)
            wanted.update(READS[task.stage])
    return tuple(reversed(needed))


def _n_bin(task: Task, run: RunContext) -> int:
    """Return the number of bins in a published bins dataset."""
    path = task.path(run.root)
    with _removed_if_damaged(path), opened(path) as bins:
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
