"""A report of a run: a page of the survey, and a page of each galaxy that was worked on."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from pxdask.core.errors import ConfigError
from pxdask.core.files import refuse_existing, replacing, write_text
from pxdask.core.names import file_name
from pxdask.core.provenance import package_versions
from pxdask.core.remote import far
from pxdask.io.filters import load_filters
from pxdask.kernels.bandpass import pivot_wave
from pxdask.report import galaxy_html, survey_html
from pxdask.report.labels import DASH, number
from pxdask.report.pages import (
    ASSETS,
    PAGES,
    THUMBNAILS,
    GalaxyRow,
    SurveyPage,
    Table,
)
from pxdask.report.viewer import SCRIPT, viewer_script
from pxdask.survey.looking.plotting import GalaxyData
from pxdask.survey.looking.report_galaxy import COLUMNS, STATES, catalog_values, gather
from pxdask.survey.manifest import MANIFEST, Manifest
from pxdask.survey.watch.tally import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from pxdask.survey.manifest import ManifestIndex
    from pxdask.survey.results import Run

logger = logging.getLogger(__name__)

INDEX = "index.html"
PER_WORKER = 20
"""Galaxies for which one more process is worth its start."""
AHEAD = 4
"""Pages that are asked of each process ahead of time."""
REASONS = 50
"""Kinds of failures that are told; the most frequent."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was written.

    Attributes
    ----------
    index : Path
        The page of the survey.
    n_galaxy, n_page : int
        Galaxies in the table, and those that have a page.
    """

    index: Path
    n_galaxy: int
    n_page: int


@dataclass(frozen=True, slots=True)
class _Job:
    """A page to be written."""

    run: Run
    folder: Path
    galaxy: str
    previous: str
    following: str


def write_report(
    run: Run,
    folder: str | Path | None = None,
    *,
    galaxies: Sequence[str] = (),
    overwrite: bool = False,
    workers: int | None = None,
) -> Report:
    """Write a report of a run: static pages that open without a server or a network.

    Parameters
    ----------
    run : Run
        The run; others may be working on it.
    folder : path, optional
        Where to; default: ``report`` in the run's folder.
    galaxies : sequence of str
        Only these; default: all. Those that nothing was done for have a row, but no page.
    overwrite : bool
        Whether a report that is there may be replaced.
    workers : int, optional
        Processes; default: one for every 20 galaxies, up to one a core. A galaxy takes
        some seconds, and no more than one is in a process's memory.

    Raises
    ------
    ConfigError
        If there is a report already, there is no such galaxy, or no folder is given for a run
        in an object store.
    StoreError
        If a page cannot be written.
    """
    if folder is None and far(run.store) is not None:
        raise ConfigError(f"{run.store} is in an object store: name a folder for the report")
    to = Path(folder) if folder is not None else run.store / "report"
    refuse_existing(to / INDEX, overwrite=overwrite)
    wanted = set(galaxies)
    if missing := sorted(wanted - set(run.catalog_file.ids()))[:5]:
        raise ConfigError(f"{run.store}: there is no galaxy {', '.join(missing)} in the catalogue")
    _index.cache_clear()  # the run may have gone on since another report
    write_text(viewer_script(), to / ASSETS / SCRIPT)
    with closing(Manifest(run.store / MANIFEST).index()) as index, ExitStack() as stack:
        names = (name for name in run.catalog_file.ids() if not wanted or name in wanted)
        tried = [name for name in names if index.of(name)]
        made = _made(_jobs(run, to, tried), workers or _workers(len(tried)), stack)
        kept = stack.enter_context(TemporaryFile("w+", encoding="utf-8"))
        counts: Counter[str] = Counter()
        there = set(tried)
        for galaxy in run.catalog_file.rows():
            name = str(galaxy["id"])
            if wanted and name not in wanted:
                continue
            state, text = next(made) if name in there else ("unfinished", _bare_row(galaxy))
            counts[state] += 1
            kept.write(f"{text}\n")
        kept.seek(0)
        page = _survey_page(run, counts)
        with replacing(to / INDEX) as part, part.open("w", encoding="utf-8") as file:
            file.writelines(survey_html(page, (line.rstrip("\n") for line in kept)))
    return Report(to / INDEX, n_galaxy=sum(counts.values()), n_page=len(tried))


def _jobs(run: Run, to: Path, names: Sequence[str]) -> Iterator[_Job]:
    """Yield the pages to be written."""
    around = zip(["", *names], names, [*names[1:], ""], strict=False)
    for previous, name, following in around:
        yield _Job(run, to, name, previous, following)


def _workers(n_page: int) -> int:
    """Return the number of processes for some pages."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, n_page // PER_WORKER))


def _made(jobs: Iterator[_Job], workers: int, stack: ExitStack) -> Iterator[tuple[str, str]]:
    """Yield state and row of each galaxy whose page was written, in order."""
    if workers == 1:
        yield from map(_write_page, jobs)
        return
    context = multiprocessing.get_context("spawn")  # threads may be running here
    pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=context))
    waiting: deque[Future[tuple[str, str]]] = deque()
    for job in jobs:
        waiting.append(pool.submit(_write_page, job))
        if len(waiting) >= AHEAD * workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _write_page(job: _Job) -> tuple[str, str]:
    """Write the page of a galaxy and its small picture; return its state, and its row as text."""
    index = _index(job.run.store / MANIFEST)
    records = index.of(job.galaxy)
    name = file_name(job.galaxy)
    data = GalaxyData(replace(job.run, index=index), job.galaxy)
    found = gather(data, records, previous=job.previous, following=job.following)
    write_text(galaxy_html(found.page), job.folder / PAGES / f"{name}.html")
    if found.thumbnail:
        with replacing(job.folder / THUMBNAILS / f"{name}.png") as part:
            part.write_bytes(found.thumbnail)
    logger.info("%s: page written, %s", job.galaxy, found.page.state)
    row = GalaxyRow(
        job.galaxy,
        found.page.state,
        has_page=True,
        has_picture=bool(found.thumbnail),
        values=found.values,
    )
    return found.page.state, row.json()


@lru_cache(maxsize=1)
def _index(folder: Path) -> ManifestIndex:
    """Return a manifest, read once a process and report."""
    return Manifest(folder).index()


def _bare_row(galaxy: Mapping[str, object]) -> str:
    """Return the row of a galaxy that nothing was done for, as text."""
    values = catalog_values(galaxy)
    return GalaxyRow(
        str(galaxy["id"]), "unfinished", has_page=False, has_picture=False, values=values
    ).json()


def _survey_page(run: Run, counts: Counter[str]) -> SurveyPage:
    """Return what the page of the survey tells besides its galaxies."""
    reasons: Counter[str] = Counter()
    for record in Manifest(run.store / MANIFEST).failures():
        reasons[reason_of(record)] += 1
    return SurveyPage(
        name=run.config.name,
        place=str(run.store),
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC with pxdask {package_versions()['pxdask']}",
        counts={state: counts[state] for state in STATES if counts[state]},
        tables=(_stage_table(run), _band_table(run), _version_table(run)),
        reasons=tuple((n, text) for text, n in reasons.most_common(REASONS)),
        columns=COLUMNS,
        settings=run.config.dump(),
    )


def _stage_table(run: Run) -> Table:
    """Return the counts of tasks by stage."""
    rows = tuple(
        (str(row["stage"]), str(row["done"]), str(row["failed"]), number(float(row["task_time"])))
        for row in run.status()
    )
    return Table("Tasks by stage", ("stage", "done", "failed", "time in all [s]"), rows)


def _band_table(run: Run) -> Table:
    """Return the bands with their filters; those that depend on the galaxy have no wavelength."""
    rows = []
    for band in run.config.bands:
        name = band.filter.replace("{data_root}", run.data_root)
        try:
            wave = DASH if "{" in name else number(pivot_wave(load_filters([name])[0]) / 1e4)
        except ConfigError:
            wave = DASH
        fwhm = band.psf.fwhm if band.psf is not None else None
        psf = number(fwhm) if isinstance(fwhm, float) else DASH
        rows.append((band.name, band.filter, wave, band.survey or DASH, psf))
    return Table(
        "Bands",
        ("band", "filter", "pivot [µm]", "survey", "PSF FWHM [arcsec]"),
        tuple(rows),
        words=("filter", "survey"),
    )


def _version_table(run: Run) -> Table:
    """Return the versions that the run was begun with, and those that made the report."""
    then, now = run.versions, package_versions()
    rows = tuple(
        (name, str(then.get(name, DASH)), str(now.get(name, DASH))) for name in {**then, **now}
    )
    return Table(
        "Software",
        ("package", "of the run", "of the report"),
        rows,
        words=("of the run", "of the report"),
    )
