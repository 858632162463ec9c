"""Start a run, or go on with one."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from operator import eq
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pxdask.cluster import connect
from pxdask.core.config import SurveyConfig, data_root
from pxdask.core.errors import ConfigError, brief
from pxdask.core.files import write_text, write_with
from pxdask.core.provenance import canonical_json, differences, package_versions
from pxdask.core.remote import location
from pxdask.core.rows import column_units
from pxdask.io.catalog_file import CatalogFile, write_catalog
from pxdask.io.stores import checksum
from pxdask.survey.context import save_products, save_settings
from pxdask.survey.dask_executor import DaskExecutor
from pxdask.survey.executors import SerialExecutor
from pxdask.survey.manifest import MANIFEST, Manifest
from pxdask.survey.networks.given import survey_network
from pxdask.survey.plan import GALAXIES, from_stage_on
from pxdask.survey.preflight import preflight
from pxdask.survey.products import store_products, used_filters
from pxdask.survey.results import CATALOG, CONFIG, RUN, Run, open_run
from pxdask.survey.stages import STAGES
from pxdask.survey.watch.watching import reported, watched
from pxdask.survey.work import RunContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table
    from distributed import Client

logger = logging.getLogger(__name__)

CHECKED_AT_MOST = 500
"""Galaxies whose files are checked before a run starts; the others tell when their turn comes."""

BEGINNINGS = {CONFIG, CATALOG}
"""What a run killed at its very start leaves; a new start may write over it."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a call may choose about how a run is carried out; none of it changes results.

    Attributes
    ----------
    galaxies : sequence of str
        Identifiers of the galaxies to work on; empty: all.
    from_stage : str or None
        Make this stage and all after it again, even where their outputs exist.
    retry_failed : bool
        Try again what failed for good.
    update : bool
        Let the settings or the catalogue of an existing run change. Outputs that do not
        depend on what changed are kept.
    serial : bool
        Work in this process, without a cluster.
    workers : int or None
        Worker processes of the local cluster; None: one a core.
    check : bool
        Check the files before anything runs: those of all galaxies, or of some hundreds spread
        over a large catalogue.
    progress : bool
        Show progress.
    report : Path or None
        HTML file for Dask's performance report.
    """

    galaxies: Sequence[str] = field(default_factory=tuple)
    from_stage: str | None = None
    retry_failed: bool = False
    update: bool = False
    serial: bool = False
    workers: int | None = None
    check: bool = True
    progress: bool = True
    report: Path | None = None


def submit(
    catalog: str | Path | Table,
    config: str | Path | SurveyConfig,
    store: str | Path,
    client: Client | None = None,
    *,
    root: str | Path | None = None,
    **choices: Any,  # noqa: ANN401  the fields of Choices
) -> Run:
    """Carry out a survey and return its results; call again to go on with what is missing.

    Parameters
    ----------
    catalog : path or Table
        Galaxies; see `pxdask.read_catalog`. Columns that the settings name are converted to the
        settings' units.
    config : path or SurveyConfig
        Settings.
    store : path
        Folder of the run, made if absent; or a place in an object store, as ``s3://bucket/run``,
        which has to exist.
    client : distributed.Client, optional
        Cluster to work on; default: worker processes on this machine.
    root : path, optional
        What ``{data_root}`` in path templates stands for; default: the environment variable
        PXDASK_DATA_ROOT, else the current folder.
    **choices
        How to carry out the run: the fields of `Choices`, such as ``workers=4``.

    Returns
    -------
    run : Run
        The results, and what failed.

    Raises
    ------
    ConfigError
        If the run cannot start: every fault that the pre-flight check finds in the settings
        is named. Faults of single galaxies do not stop the run: they are in the manifest.
    """
    settings = config if isinstance(config, SurveyConfig) else SurveyConfig.load(config)
    folder = location(store)
    base = str(Path(data_root(root)).resolve())
    chosen = Choices(**choices)
    with TemporaryDirectory(prefix="pxdask-") as scratch:
        rows = write_catalog(catalog, Path(scratch) / CATALOG, units=column_units(settings))
        _freeze(folder, rows, settings, base, update=chosen.update)
    return _carry_out(CatalogFile(folder / CATALOG), settings, base, client, chosen)


def resume(
    store: str | Path,
    client: Client | None = None,
    **choices: Any,  # noqa: ANN401  the fields of Choices
) -> Run:
    """Go on with a run from its own copy of the settings and catalogue; see `submit`."""
    run = open_run(store)
    return _carry_out(run.catalog_file, run.config, run.data_root, client, Choices(**choices))


def _carry_out(
    catalog: CatalogFile,
    config: SurveyConfig,
    base: str,
    client: Client | None,
    choices: Choices,
) -> Run:
    """Check, start a cluster if none is given, and drive the run."""
    from pxdask.survey.run import Driver  # noqa: PLC0415  loads the whole pipeline

    folder = catalog.path.parent
    galaxies = catalog.chosen(choices.galaxies) if choices.galaxies else catalog
    if choices.from_stage is not None and choices.from_stage not in STAGES:
        raise ConfigError(
            f"there is no stage {choices.from_stage!r}; the stages are {', '.join(STAGES)}"
        )
    if choices.check:
        _check(galaxies, config, base, folder)
    filters = used_filters(galaxies, config, root=base)
    products = store_products(folder, config.models, filters)
    products = survey_network(products, catalog, config, base=base, shown=choices.progress)
    save_products(folder, config, products)
    run = RunContext(
        root=folder,
        config=config,
        products=products,
        data_root=base,
        redo=from_stage_on(choices.from_stage),
    )
    manifest = Manifest(folder / MANIFEST)
    with ExitStack() as stack:
        stack.callback(manifest.close)
        client = _cluster(stack, client, choices)
        executor = SerialExecutor() if client is None else DaskExecutor(client)
        stack.enter_context(reported(client, choices.report))
        watcher = stack.enter_context(
            watched(
                client, name=config.name, place=folder, total=len(galaxies), shown=choices.progress
            )
        )
        driver = Driver(run, executor, manifest, watcher, retry_failed=choices.retry_failed)
        driver.drive(galaxies.rows())
    return open_run(folder)


def _check(galaxies: CatalogFile, config: SurveyConfig, base: str, folder: Path) -> None:
    """Refuse to start a run that cannot succeed; warn of the galaxies that will fail."""
    found = preflight(galaxies, config, root=base, store=folder, at_most=CHECKED_AT_MOST)
    if found.fatal:
        raise ConfigError("\n  - ".join(["the run cannot start:", *map(str, found.fatal)]))
    for note in found.notes:
        logger.info("%s", note)
    for message in (*found.warnings, *found.problems):
        logger.warning("%s", message)


def _cluster(stack: ExitStack, client: Client | None, choices: Choices) -> Client | None:
    """Return the cluster that carries out the tasks, given or local; None: this process does."""
    if choices.serial:
        return None
    return client or stack.enter_context(connect("local", workers=choices.workers))


def _freeze(
    folder: Path, catalog: CatalogFile, config: SurveyConfig, base: str, *, update: bool
) -> None:
    """Write the settings and the catalogue into the run, or check that they are the same.

    A run of which nothing was tried, as its settings were refused, takes others.

    Raises
    ------
    ConfigError
        If the run exists with other settings or galaxies and ``update`` is not given.
    """
    there = (folder / RUN).exists()
    if there and any((folder / name).exists() for name in (MANIFEST, GALAXIES)):
        run = open_run(folder)
        changes = _changes(run, catalog, config, base)
        if not changes:
            return
        if not update:
            raise ConfigError(
                "\n  - ".join([f"{folder} is a run with other settings:", *changes])
                + "\nTake another --store, or --update to go on here; outputs that do not depend"
                " on the changes are kept."
            )
        save_settings(folder, run.config)
    elif not there and folder.exists() and _strange(folder):
        raise ConfigError(f"{folder} is not empty and not a run; take another --store")
    write_text(config.dump(), folder / CONFIG)
    write_with(partial(copyfile, catalog.path), folder / CATALOG)
    facts = {
        "name": config.name,
        "data_root": base,
        "versions": package_versions(),
        "checksums": {CONFIG: checksum(folder / CONFIG), CATALOG: checksum(catalog.path)},
    }
    write_text(json.dumps(facts, indent=2) + "\n", folder / RUN)


def _strange(folder: Path) -> bool:
    """Tell whether a folder holds what no run that began has left."""
    return any(path.name not in BEGINNINGS for path in folder.iterdir())


def _changes(run: Run, catalog: CatalogFile, config: SurveyConfig, base: str) -> list[str]:
    """Return how settings, catalogue and data root differ from those of a run."""
    old, new = (settings.model_dump(mode="json") for settings in (run.config, config))
    was, now = ({band["name"]: band for band in values.pop("bands")} for values in (old, new))
    found = differences(old, new) + differences(was, now, of="bands.")
    if was.keys() == now.keys() and list(was) != list(now):
        found.append(("order of bands", list(was), list(now)))
    changes = [
        f"{name}: {brief(there)} there, {brief(given)} given" for name, there, given in found
    ]
    if base != run.data_root:
        changes.append(f"data root: {run.data_root} there, {base} given")
    there = run.catalog_file
    if len(there) == len(catalog) and all(map(eq, there.rows(), catalog.rows())):
        return changes
    rows_there, rows_given = _digests(there), _digests(catalog)
    differ = [
        name
        for name in rows_there.keys() | rows_given.keys()
        if rows_there.get(name) != rows_given.get(name)
    ]
    if differ:
        changes.append(f"catalogue: {len(differ)} galaxies differ, such as {min(differ)}")
    return changes


def _digests(catalog: CatalogFile) -> dict[str, bytes]:
    """Return a short digest of each galaxy's row: a million of them take 200 MB."""
    return {
        str(row["id"]): blake2b(canonical_json(row).encode(), digest_size=8).digest()
        for row in catalog.rows()
    }
