"""Catalogues of photometry as surveys: blocks of rows as tasks, one table at the end.

A block is a file, named by the content of its rows and of the settings, that is written once: a
run goes on where it stopped, and gives the same files whatever carries it out.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.cluster import connect
from pxdask.core.catalogs import CatalogConfig
from pxdask.core.errors import ConfigError
from pxdask.core.files import write_text
from pxdask.core.provenance import package_versions
from pxdask.core.remote import local_copy, location
from pxdask.core.schema import SEDS
from pxdask.fitting.tables import gather
from pxdask.io.filters import load_filters
from pxdask.io.sed_tables import as_table, seds_of_table, write_sed_table
from pxdask.io.stores import is_published, publish, read
from pxdask.kernels.bandpass import pivot_wave
from pxdask.survey.dask_executor import DaskExecutor
from pxdask.survey.executors import SerialExecutor
from pxdask.survey.manifest import Manifest, Record, record_table
from pxdask.survey.networks.given import catalog_network
from pxdask.survey.posterior import ModelSource, Posterior
from pxdask.survey.products import store_products
from pxdask.survey.seds.blocks import Block, block_key, plan_blocks
from pxdask.survey.seds.fit import with_shared_redshifts
from pxdask.survey.seds.work import CatalogContext, block_path, run_block
from pxdask.survey.watch.watching import watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import xarray as xr
    from astropy.table import QTable, Table
    from distributed import Client

    from pxdask.survey.executors import Executor
    from pxdask.survey.run import Watcher

logger = logging.getLogger(__name__)

CONFIG, SEDS_FILE, FACTS, MANIFEST = "config.yaml", "seds.zarr.zip", "catalog.json", "manifest"
TABLE = "results"
BLOCKS_PER_THREAD = 2
"""Blocks in flight for every thread of the cluster."""

MAX_ECSV = 100_000
"""Rows above which the table is not written as text, which would take minutes."""


@dataclass(frozen=True)
class CatalogRun:
    """A catalogue that was fitted, on disk.

    Attributes
    ----------
    folder : Path
        Of the run.
    config : CatalogConfig
        Its settings, as resolved.
    keys : tuple of str
        Keys of its blocks.
    """

    folder: Path
    config: CatalogConfig
    keys: tuple[str, ...]

    def seds(self) -> xr.Dataset:
        """Return what is fitted, schema seds/1."""
        return SEDS.validate(read(self.folder / SEDS_FILE))

    def failures(self) -> Table:
        """Return a row for each SED, or block of them, that could not be fitted, and why."""
        latest = Manifest(self.folder / MANIFEST).latest().values()
        current = set(self.keys)
        return record_table([r for r in latest if r.outcome == "failed" and r.key in current])

    def table_paths(self) -> list[Path]:
        """Return the files of the table of results that are there."""
        paths = [self.folder / f"{TABLE}{suffix}" for suffix in (".fits", ".parquet", ".ecsv")]
        return [path for path in paths if path.is_file()]

    def table(self) -> QTable:
        """Return one row for each SED: see `pxdask.Posterior.summary`."""
        return self.posterior().summary()

    def posterior(self, ids: Sequence[str] | None = None) -> Posterior:
        """Return the posteriors of some SEDs, or of all that the memory must hold.

        Raises
        ------
        ConfigError
            If there is no such SED, or nothing was fitted.
        """
        seds = self.seds()
        row_of = {str(name): row for row, name in enumerate(seds["id"].values)}
        if unknown := sorted(set(ids or ()) - set(row_of)):
            raise ConfigError(f"not in the catalogue: {', '.join(unknown[:10])}")
        wanted = np.arange(len(row_of)) if ids is None else np.array([row_of[i] for i in ids])
        place = {int(row): k for k, row in enumerate(wanted)}
        parts = {}
        for block in plan_blocks(seds, self.config):
            inside = [k for k, row in enumerate(block.rows) if row in place]
            path = block_path(self.folder, self.keys[block.number])
            if inside and is_published(path):
                rows = tuple(place[block.rows[k]] for k in inside)
                parts[rows] = read(path).isel(bin=inside)
        if not parts:
            raise ConfigError(f"{self.folder}: no SED has been fitted; see failures()")
        curves = dict(
            zip(
                [band.name for band in self.config.bands],
                load_filters([band.filter for band in self.config.bands]),
                strict=True,
            )
        )
        return Posterior(
            fit=gather(parts, n_sed=wanted.size),
            seds=seds.isel(bin=wanted),
            model_library=ModelSource(self.config.models, curves, self.config.seed),
            seed=self.config.seed,
            free_redshift="redshift" in self.config.models.priors,
        )


def fit_catalog(
    catalog: object,
    config: str | Path | CatalogConfig,
    folder: str | Path,
    client: Client | None = None,
    *,
    workers: int | None = None,
    serial: bool = False,
    retry_failed: bool = False,
    update: bool = False,
    progress: bool = True,
) -> CatalogRun:
    """Fit a catalogue of photometry; call again to go on with what is missing.

    Parameters
    ----------
    catalog : path or table
        A row for each SED: see `pxdask.fit`.
    config : path or CatalogConfig
        Settings.
    folder : path
        Of the run, made if absent; or a place in an object store, as ``s3://bucket/run``.
    client : distributed.Client, optional
        Cluster to work on; default: worker processes on this machine.
    workers : int, optional
        Worker processes of the local cluster; default: one a core.
    serial : bool
        Work in this process, without a cluster.
    retry_failed : bool
        Try again what failed for good.
    update : bool
        Let settings or catalogue of an existing run change.
    progress : bool
        Show progress.

    Returns
    -------
    run : CatalogRun
        Its table is in the folder as results.fits, results.parquet and, up to 100,000 rows,
        results.ecsv.

    Raises
    ------
    ConfigError
        If settings, columns, units, filters or priors are wrong, or the folder holds another
        run.
    """
    given = config if isinstance(config, CatalogConfig) else CatalogConfig.load(config)
    seds = _catalog_seds(catalog, given)
    models = with_shared_redshifts(given.models, seds["redshift"].values)
    settings = given.model_copy(update={"models": models})
    root = location(folder)
    _freeze(root, seds, settings, update=update)
    products = store_products(root, models, [band.filter for band in settings.bands])
    products = catalog_network(products, root, settings, seds, shown=progress)
    context = CatalogContext(root, settings, products)
    blocks = list(plan_blocks(seds, settings))
    keys = tuple(block_key(seds, block, settings, products.fit_key) for block in blocks)
    facts = {"keys": keys, "versions": package_versions()}
    write_text(json.dumps(facts) + "\n", root / FACTS)
    manifest = Manifest(root / MANIFEST)
    with ExitStack() as stack:
        stack.callback(manifest.close)
        if not serial:
            client = client or stack.enter_context(connect("local", workers=workers))
        executor = SerialExecutor() if serial or client is None else DaskExecutor(client)
        watcher = stack.enter_context(
            watched(
                None if serial else client,
                name=root.name,
                place=root,
                total=len(blocks),
                stages=("fit",),
                end_stage="fit",
                shown=progress,
            )
        )
        watcher.expect("fit", len(blocks))
        driver = _Driver(context, executor, manifest, watcher, retry_failed=retry_failed)
        driver.drive(seds, zip(blocks, keys, strict=True))
    run = CatalogRun(root, settings, keys)
    _write_tables(run)
    return run


def open_catalog(folder: str | Path) -> CatalogRun:
    """Return the run in a folder.

    Raises
    ------
    ConfigError
        If it holds none.
    """
    root = location(folder)
    if not (root / FACTS).is_file():
        raise ConfigError(f"{root} is not a catalogue that was fitted: it has no {FACTS}")
    facts = json.loads((root / FACTS).read_text(encoding="utf-8"))
    return CatalogRun(root, _settings(root), tuple(facts["keys"]))


def _settings(root: Path) -> CatalogConfig:
    """Return the settings of a run."""
    with local_copy(root / CONFIG) as file:
        return CatalogConfig.load(file)


class _Driver:
    """Carries out the blocks of a run, a few for every thread at a time."""

    def __init__(
        self,
        context: CatalogContext,
        executor: Executor,
        manifest: Manifest,
        watcher: Watcher,
        *,
        retry_failed: bool,
    ) -> None:
        self._context = context
        self._executor = executor
        self._manifest = manifest
        self._watcher = watcher
        self._retry_failed = retry_failed
        self._earlier = manifest.index()
        self._keys: dict[int, tuple[str, str]] = {}

    def drive(self, seds: xr.Dataset, blocks: Iterator[tuple[Block, str]]) -> None:
        """Carry out all blocks."""
        for _ in range(BLOCKS_PER_THREAD * self._executor.width):
            self._admit(seds, blocks)
        for handle in self._executor.completed():
            name, key = self._keys.pop(id(handle))
            broken = [Record(name, "fit", "", key, "failed", error=handle.error)]
            records = broken if handle.error else handle.result
            self._watcher.done(records[0])
            for record in records:
                before = self._earlier.of(record.id).get(record.task)
                if not (record.outcome == "existed" and before is not None and before.ok):
                    self._manifest.append(record)
            self._admit(seds, blocks)

    def _admit(self, seds: xr.Dataset, blocks: Iterator[tuple[Block, str]]) -> None:
        """Submit the next block that is to be tried."""
        for block, key in blocks:
            name = f"block-{block.number:06d}"
            before = self._earlier.of(name).get((name, "fit", ""))
            failed = before is not None and before.outcome == "failed" and before.permanent
            if failed and before is not None and before.key == key and not self._retry_failed:
                self._watcher.done(before)
                continue
            some = seds.isel(bin=list(block.rows))
            handle = self._executor.submit(
                run_block,
                some,
                name,
                key,
                self._context,
                name=("fit", name),
                priority=-block.number,
            )
            self._keys[id(handle)] = (name, key)
            return


def _catalog_seds(catalog: object, config: CatalogConfig) -> xr.Dataset:
    """Return the SEDs of a catalogue."""
    curves = load_filters([band.filter for band in config.bands])
    free = "redshift" in config.models.priors
    return seds_of_table(
        as_table(catalog),
        bands=config.bands,
        pivot_wave=np.array([pivot_wave(curve) for curve in curves]),
        unit=config.unit,
        id_column=config.id,
        redshift=None if free else config.redshift,
    )


def _freeze(root: Path, seds: xr.Dataset, config: CatalogConfig, *, update: bool) -> None:
    """Write settings and SEDs into the run, or check that they are the same.

    Raises
    ------
    ConfigError
        If the folder holds another run, or something else.
    """
    there = root / CONFIG
    if there.is_file():
        changes = []
        if _settings(root).key() != config.key():
            changes.append("settings")
        if is_published(root / SEDS_FILE) and not read(root / SEDS_FILE).identical(seds):
            changes.append("catalogue")
        if changes and not update:
            raise ConfigError(
                f"{root} is a run with other {' and '.join(changes)}: take another folder, or"
                " --update to go on here; blocks that do not depend on the changes are kept"
            )
    elif root.exists() and any(root.iterdir()):
        raise ConfigError(f"{root} is not empty and not a run; take another folder")
    write_text(config.dump(), there)
    publish(seds, root / SEDS_FILE)


def _write_tables(run: CatalogRun) -> None:
    """Write the table of results; without a posterior there is none."""
    try:
        table = run.table()
    except ConfigError as error:
        logger.warning("%s", error)
        return
    suffixes = [".fits", ".parquet", *([".ecsv"] if len(table) <= MAX_ECSV else [])]
    for suffix in suffixes:
        write_sed_table(table, run.folder / f"{TABLE}{suffix}")
    counts = Counter(record["stage"] for record in run.failures())
    for stage, count in counts.items():
        logger.warning("%d failures of stage %s: see failures()", count, stage)
