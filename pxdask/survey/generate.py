"""Model sets of any size built on disk, by one process, a Dask cluster or an MPI program."""

from __future__ import annotations

import logging
import shutil
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pxdask.core.errors import ConfigError, PxdaskError, StoreError
from pxdask.core.provenance import package_versions
from pxdask.io.model_store import (
    blocks,
    create_store,
    discard_store,
    publish_store,
    write_block,
)
from pxdask.sps import make_model_set
from pxdask.sps.model_grid import make_model_grid
from pxdask.survey.dask_executor import DaskExecutor
from pxdask.survey.executors import SerialExecutor
from pxdask.survey.products import chosen_curves, load_ssp, store_products
from pxdask.survey.stored_models import library_attrs
from pxdask.survey.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import xarray as xr
    from distributed import Client

    from pxdask.cluster.mpi import World
    from pxdask.core.models import ModelConfig
    from pxdask.survey.executors import Executor
    from pxdask.survey.products import Products

logger = logging.getLogger(__name__)

BLOCKS_PER_THREAD = 2
"""Blocks in flight for every thread of a cluster."""


class Report(Protocol):
    """Told, after each block, how many are written and how many there are."""

    def __call__(self, done: int, total: int) -> None:
        """Take note."""
        ...


@dataclass(frozen=True, slots=True)
class ModelJob:
    """What a set of models is made from.

    Attributes
    ----------
    products : Products
        Files of the SSP product and of the filter curves.
    names : tuple of str
        Filters, in order.
    settings : ModelConfig
        Ingredients, priors, number of models.
    redshifts : tuple of float
        Two or more: of a grid. One: of a set. None: redshift is free.
    seed : int
        Of the draws.
    """

    products: Products
    names: tuple[str, ...]
    settings: ModelConfig
    redshifts: tuple[float, ...]
    seed: int

    def models(self, start: int, stop: int) -> xr.Dataset:
        """Return some models of the set; the same, to the last bit, in whatever slice."""
        ssp, filters = load_ssp(self.products.ssp), chosen_curves(self.products, self.names)
        common: dict[str, Any] = {
            "settings": self.settings,
            "seed": self.seed,
            "start": start,
            "stop": stop,
        }
        with one_thread():
            if len(self.redshifts) > 1:
                made = make_model_grid(ssp, filters, redshifts=self.redshifts, **common)
            else:
                redshift = next(iter(self.redshifts), None)
                made = make_model_set(ssp, filters, redshift=redshift, **common)
        return made.assign_attrs(**library_attrs(filters), versions=package_versions())


def build_models(
    settings: ModelConfig,
    filters: Sequence[str],
    out: Path,
    *,
    redshifts: Sequence[float] = (),
    seed: int,
    client: Client | None = None,
    world: World | None = None,
    report: Report | None = None,
) -> Path:
    """Build a set of models on disk; its files are the same whoever builds it.

    Parameters
    ----------
    settings : ModelConfig
        Ingredients, priors, number of models.
    filters : sequence of str
        Names of filters, in order.
    out : Path
        Folder to be; see `pxdask.io.model_store`.
    redshifts : sequence of float
        One: a set at this redshift. More: a grid, to interpolate between. None: the settings
        have a prior for it.
    seed : int
        Of the draws.
    client : distributed.Client, optional
        Cluster to build on: a block a task, a few blocks in flight for every thread.
    world : World, optional
        Ranks of an MPI program, each of which calls this: rank r builds the blocks r,
        r + size, and so on. If one fails, all end.
    report : Report, optional
        Told of the progress; of rank 0's own, under MPI.

    Returns
    -------
    out : Path
        Complete. No memory grows with the number of models: a block at a time is held.

    Raises
    ------
    ConfigError, DataError
        If the settings, filters or redshifts cannot be used, or ``out`` exists.
    StoreError
        If a file cannot be written.
    """
    tell = report or _silent
    if world is not None:
        with world.together():
            return _build_with_ranks(settings, filters, out, redshifts, seed, world, tell)
    executor = SerialExecutor() if client is None else DaskExecutor(client)
    inputs = _inputs_folder(out)
    try:
        job, part = _begin(settings, filters, out, redshifts, seed, inputs)
        try:
            _build_with_executor(job, part, executor, tell)
            publish_store(part, out)
        finally:
            discard_store(part)
    finally:
        shutil.rmtree(inputs, ignore_errors=True)
    return out


def _begin(
    settings: ModelConfig,
    filters: Sequence[str],
    out: Path,
    redshifts: Sequence[float],
    seed: int,
    inputs: Path,
) -> tuple[ModelJob, Path]:
    """Store what all builders read, and begin the set."""
    if out.exists():
        raise ConfigError(f"{out} exists; models are never overwritten: remove it, or name another")
    own = settings.model_copy(update={"stored": None, "redshift_step": None})
    products = store_products(inputs, own, filters)
    job = ModelJob(products, tuple(filters), own, tuple(map(float, redshifts)), seed)
    part = create_store(job.models(0, 0), out, n_models=settings.n_models)
    logger.info("%s begins: %d models", out, settings.n_models)
    return job, part


def _build_with_executor(job: ModelJob, part: Path, executor: Executor, tell: Report) -> None:
    """Build all blocks, a few in flight at a time."""
    todo = blocks(job.settings.n_models)
    waiting = iter(todo)

    def submit() -> None:
        if (block := next(waiting, None)) is not None:
            name = ("models", part.name, str(block[0]))
            executor.submit(build_block, job, part, *block, name=name)

    for _ in range(BLOCKS_PER_THREAD * executor.width):
        submit()
    for done, handle in enumerate(executor.completed(), start=1):
        if isinstance(handle.result, PxdaskError):
            raise handle.result
        if handle.error:
            raise StoreError(f"models could not be built: {handle.error}")
        tell(done, len(todo))
        submit()


def _build_with_ranks(
    settings: ModelConfig,
    filters: Sequence[str],
    out: Path,
    redshifts: Sequence[float],
    seed: int,
    world: World,
    tell: Report,
) -> Path:
    """Build this rank's blocks; rank 0 also begins and ends the set."""
    inputs = _inputs_folder(out)
    begun: tuple[ModelJob, Path] | None = None
    try:
        if world.rank == 0:
            begun = _begin(settings, filters, out, redshifts, seed, inputs)
        begun = world.broadcast(begun)
        if begun is None:
            raise ConfigError("rank 0 began no set of models")
        job, part = begun
        mine = blocks(settings.n_models)[world.rank :: world.size]
        for done, block in enumerate(mine, start=1):
            if error := build_block(job, part, *block):
                raise error
            if world.rank == 0:
                tell(done, len(mine))
        world.barrier()
        if world.rank == 0:
            publish_store(part, out)
        world.barrier()
    finally:
        if world.rank == 0:
            shutil.rmtree(inputs, ignore_errors=True)
        if begun is not None:
            discard_store(begun[1])
    return out


def build_block(job: ModelJob, part: Path, start: int, stop: int) -> PxdaskError | None:
    """Build and write one block of models; return what was wrong, if it is known."""
    try:
        write_block(job.models(start, stop), part, start=start)
    except PxdaskError as error:
        return error
    logger.info("models [%d, %d) written", start, stop)
    return None


def _inputs_folder(out: Path) -> Path:
    """Return the folder of what all builders read, beside the set."""
    return out.with_name(f".{out.name}.{uuid.uuid4().hex}.inputs")


def _silent(done: int, total: int) -> None:
    """Report nothing."""
