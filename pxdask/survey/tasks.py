"""What a worker does: one task of a galaxy, from files to a file; a failure is a record."""

from __future__ import annotations

import logging
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from typing import TYPE_CHECKING

from pxdask.core.errors import ConfigError, PxdaskError
from pxdask.core.provenance import canonical_json
from pxdask.fitting import join_blocks
from pxdask.ifs import join_slices, wave_margin
from pxdask.io.export import write_maps_fits
from pxdask.io.ifs import read_ifs
from pxdask.io.profiles import write_profiles_fits
from pxdask.io.provenance import CARD
from pxdask.io.stores import checksum, is_published, publish, publish_with, read
from pxdask.morphology.stage import RAW
from pxdask.plots import write_profiles, write_summary
from pxdask.survey.manifest import Record
from pxdask.survey.memory import within_memory
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.plan import SUFFIX, Task
from pxdask.survey.stages import HARMLESS, READS
from pxdask.survey.threads import one_thread
from pxdask.survey.watch.logs import galaxy_log
from pxdask.survey.work import (
    Start,
    attempt,
    fit_blocks,
    ifs_chunks,
    is_made,
    is_permanent,
    measured,
    n_bin_of,
    removed_if_damaged,
    task_paths,
    whole_task,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    import xarray as xr

    from pxdask.survey.stages import Stage
    from pxdask.survey.work import GalaxyPlan, RunContext

logger = logging.getLogger(__name__)


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
    record = Record.of(task, "done", config=run.config.key())
    # an executor has no record of a task that ended in a defect
    if not all(
        earlier is not None and (earlier.ok or earlier.stage in HARMLESS) for earlier in after
    ):
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
            with within_memory(plan.needs(task), _named(task)), one_thread():
                start = Start.now()  # of the work, not of waiting for memory
                written = attempt(partial(carry_out, task, plan, run))
            record = replace(record, checksum=written)
        if task.stage == "bins":
            record = replace(record, n_bin=n_bin_of(task, run))
    except PxdaskError as error:
        permanent = is_permanent(error)
        record = replace(record, outcome="failed", error=str(error), permanent=permanent)
    record = measured(record, start)
    why = f": {record.error}" if record.error else ""
    logger.info(
        "%s %s %s %s after %.2f s, key %s%s",
        *(task.galaxy_id, task.stage, task.part, record.outcome, record.seconds, task.key, why),
    )
    return record


def _named(task: Task) -> str:
    """Return a task as messages name it."""
    return " ".join(word for word in (task.stage, task.part, "of galaxy", task.galaxy_id) if word)


def carry_out(task: Task, plan: GalaxyPlan, run: RunContext) -> str:
    """Read the inputs of a task, run its stage, publish the output; return its checksum."""
    pipeline = Pipeline(plan.inputs, run.config, run.products)
    if task.stage == "products":
        return _write_products(task, plan, run)
    if task.stage == "morphology":
        return _write_profiles(task, plan, run, pipeline)
    if task.stage == "image":
        stage: Stage = pipeline.image_stage(task.part)
        output = stage.run(plan.inputs.galaxy, raw=pipeline.raw(task.part))
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
    """Return the datasets that a stage reads; those that may fail only where they are there."""
    if stage == "cube":
        images = (Task(plan.galaxy_id, "image", band, key) for band, key in plan.keys.image.items())
        return {task.part: _read_output(task, run) for task in images}
    if stage == "spectra":
        return {
            "cube": _read_output(whole_task("cube", plan), run),
            "ifs": _joined_slices(plan, run),
        }
    tasks = [whole_task(name, plan) for name in READS[stage] if getattr(plan.keys, name)]
    there = [
        task for task in tasks if task.stage not in HARMLESS or is_published(task.path(run.root))
    ]
    return {task.stage: _read_output(task, run) for task in there}


def _read_output(task: Task, run: RunContext) -> xr.Dataset:
    """Return an output that another task reads; if it is damaged, see `removed_if_damaged`."""
    path = task.path(run.root)
    with removed_if_damaged(path):
        return read(path)


def _join_fit(task: Task, plan: GalaxyPlan, run: RunContext) -> str:
    """Publish the fit of all bins from its blocks, which `tidy` removes; return its checksum."""
    n_bin = n_bin_of(whole_task("bins", plan), run)
    blocks = fit_blocks(plan, run, n_bin=n_bin)
    fit = join_blocks([_read_output(block, run) for block in blocks])
    pipeline = Pipeline(plan.inputs, run.config, run.products)
    return publish(_with_provenance(fit, task, plan, pipeline), task.path(run.root))


def _write_products(task: Task, plan: GalaxyPlan, run: RunContext) -> str:
    """Write the files a user opens, the maps as FITS and a picture; return their checksums."""
    datasets = _inputs("products", plan, run)
    pipeline = Pipeline(plan.inputs, run.config, run.products)
    header, title, made_of = _words(task, plan, run, pipeline)
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


def _write_profiles(task: Task, plan: GalaxyPlan, run: RunContext, pipeline: Pipeline) -> str:
    """Write a galaxy's Sersic profiles, and what of them a user opens; return their checksums."""
    path, fits_path, png_path = task_paths(task, run.root)
    again = task.stage in run.redo
    stage = pipeline.morphology_stage()
    if is_published(path) and not again:
        profiles = _read_output(task, run)
    else:
        raws = {
            f"{RAW}{band}": pipeline.raw(band) for band in stage.bands if stage.config.data == "own"
        }
        cube = _read_output(whole_task("cube", plan), run)
        output = stage.run(plan.inputs.galaxy, cube=cube, **raws)
        profiles = _with_provenance(stage.output.validate(output), task, plan, pipeline)
        _remove_made_without(task, plan, run)
        publish(profiles, path)
    header, title, made_of = _words(task, plan, run, pipeline)
    writers = {
        fits_path: partial(write_profiles_fits, profiles=profiles, header=header),
        png_path: partial(write_profiles, profiles=profiles, title=title, about=made_of),
    }
    for name, write in writers.items():
        if again or not is_published(name):
            publish_with(write, name)
    return " ".join(checksum(name) for name in (path, fits_path, png_path))


def _remove_made_without(task: Task, plan: GalaxyPlan, run: RunContext) -> None:
    """Remove outputs that were made while this one, which they read, had failed.

    Their keys are the same with and without it. They go before it comes, so that whoever is killed
    in between leaves nothing that is taken for what it is not.
    """
    for stage in HARMLESS:
        if task.stage in READS[stage] and getattr(plan.keys, stage):
            whole_task(stage, plan).path(run.root).unlink(missing_ok=True)


def _words(
    task: Task, plan: GalaxyPlan, run: RunContext, pipeline: Pipeline
) -> tuple[dict[str, object], str, str]:
    """Return header and title of files for people, and what they tell of their making."""
    galaxy, made_of = plan.inputs.galaxy, canonical_json(provenance(task, plan, pipeline))
    header = {
        "RUNNAME": run.config.name,
        "PXDKEY": task.key,
        CARD: made_of,
        **{key: galaxy[key] for key in ("id", "ra", "dec", "redshift")},
    }
    return header, f"{plan.galaxy_id}   z = {float(str(galaxy['redshift'])):.4f}", made_of


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


def tidy(plan: GalaxyPlan, run: RunContext) -> None:
    """Remove blocks of what is published whole, and what killed writers left.

    Those are blocks of bins of a fit, and chunks of wavelengths of spectra.

    Another driver that writes at this very moment would lose its unfinished file, and write
    it again.
    """
    fit = whole_task("fit", plan).path(run.root)
    there = list(fit.parent.glob("*"))  # once, since an object store may take long to tell
    leftovers = [path for path in there if fnmatch(path.name, ".*.part")]
    for part, whole in (("fit", "fit"), ("ifs", "spectra")):
        name = f"{part}-*-{getattr(plan.keys, part)}{SUFFIX}"
        parts = [path for path in there if fnmatch(path.name, name)]
        if parts and is_published(whole_task(whole, plan).path(run.root)):
            leftovers += parts
    for path in leftovers:
        path.unlink(missing_ok=True)
