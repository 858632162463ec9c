"""The survey engine itself: what it costs beside the work, with many galaxies and a million.

Synthetic stages wait for 10 ms (one galaxy in 250 is fifty times as large) on 2 workers;
scheduler, client and driver are one process here, whose CPU time and memory are measured. A
million galaxies are enumerated from a catalogue and found done, without workers.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import pxdask
from benchmarks import synthetic
from benchmarks.harness import Row, row
from pxdask.io.catalog import read_catalog, rows
from pxdask.survey.executors import DaskExecutor, SerialExecutor
from pxdask.survey.manifest import Manifest, Record
from pxdask.survey.plan import Task
from pxdask.survey.progress import SilentWatcher
from pxdask.survey.run import Driver
from pxdask.survey.share import Calls
from tests.survey.mini import make_survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from distributed import Client

    from pxdask.survey.work import RunContext

N_MINI = 24
"""Galaxies of a real, if tiny, survey."""
N_SOAK = 10_000
N_MILLION = 1_000_000
THREADS = 8
"""Threads of a worker: synthetic stages wait, and many can do so at once."""
SETTLE_S = 2.1
"""Age of input files before a galaxy may be sealed [s]."""


def measure() -> list[Row]:
    """Measure overhead, growth, resumption and scaling."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        return [*_mini(root / "mini"), *_soak(root / "soak"), *_million(root / "million")]


def _mini(root: Path) -> list[Row]:
    """Time a real survey on 1 and 2 workers, and one that finds everything done."""
    root.mkdir()
    catalog, config = make_survey(root, N_MINI)
    walls = []
    for n_worker in (1, 2):
        with pxdask.connect("local", workers=n_worker) as client:
            options = {"root": root, "progress": False}
            # the first galaxies compile, and make the models
            pxdask.submit(catalog, config, root / f"warm-{n_worker}", client, **options)
            start = time.perf_counter()
            run = pxdask.submit(catalog, config, root / f"run-{n_worker}", client, **options)
            walls.append(time.perf_counter() - start)
    start = time.process_time()
    done = pxdask.submit(catalog, config, run.store, root=root, serial=True, progress=False)
    again = 1e3 * (time.process_time() - start) / N_MINI
    work = 1e3 * float(done.manifest()["seconds"].sum()) / N_MINI
    return [
        row("survey_resume_ms_per_galaxy", again, "ms", baseline=work),
        row("survey_scaling_2_workers", walls[0] / walls[1], "x", baseline=1.0, goal=">= 1.8"),
    ]


def _soak(root: Path) -> list[Row]:
    """Run synthetic galaxies on two workers, then go on with the run, which finds them done."""
    synthetic.write_inputs(root / "images", N_SOAK)
    time.sleep(SETTLE_S)
    run = synthetic.context(root / "run", root / "images")
    memory = _Memory(at=(1_000, N_SOAK - 1))
    with _two_workers() as client:
        start = time.process_time()
        made = _drive(run, DaskExecutor(client), memory.watch(synthetic.galaxies(N_SOAK)))
        overhead = 1e3 * (time.process_time() - start) / N_SOAK
        begun = time.perf_counter()
        found = _drive(run, DaskExecutor(client), synthetic.galaxies(N_SOAK))
        resume = time.perf_counter() - begun
    n_task = N_SOAK * synthetic.N_TASK
    if (made, found) != (n_task + N_SOAK, n_task):  # each galaxy has a block of bins besides
        raise RuntimeError(f"{made} tasks were done and {found} found, not {n_task}")
    work = 1e3 * synthetic.STAGE_S * (synthetic.N_TASK + 1)
    return [
        row("survey_overhead_ms", overhead, "ms", baseline=work, goal="<= 10"),
        row("scheduler_growth_mb", memory.growth_mb, "MB", baseline=N_SOAK, goal="<= 50"),
        row("survey_find_100k_done_s", resume, "s", baseline=n_task / 1e5, goal="<= 20"),
    ]


def _million(root: Path) -> list[Row]:
    """Enumerate a catalogue of a million galaxies, all of which have seals."""
    root.mkdir()
    table = {"id": [f"g{n:07d}" for n in range(N_MILLION)], "ra": np.full(N_MILLION, 150.0)}
    frame = pd.DataFrame({**table, "dec": 2.0, "redshift": 0.05})
    frame.to_parquet(root / "catalog.parquet", index=False)
    del frame, table
    manifest = Manifest(root / "run" / "manifest")
    manifest.append(Record("g0000000", "products", "", synthetic.KEY, "done"))
    manifest.close()
    run = synthetic.context(root / "run", root)
    memory = _Memory(at=(N_MILLION // 10, N_MILLION - 1))
    start = time.perf_counter()
    galaxies = memory.watch(rows(read_catalog(root / "catalog.parquet")))
    _drive(run, SerialExecutor(), galaxies, calls=Calls(probe=_all_sealed))
    wall = time.perf_counter() - start
    return [
        row("survey_million_done_s", wall, "s", baseline=N_MILLION / 1e6),
        row("survey_million_growth_mb", memory.growth_mb, "MB", baseline=1.0, goal="<= 50"),
    ]


def _all_sealed(galaxies: Sequence[Mapping[str, object]], _: RunContext) -> list[tuple[Task, ...]]:
    """Return the tasks of galaxies without looking for their files."""
    stages = [("image", f"b{n}") for n in range(synthetic.N_BAND)]
    stages += [(name, "") for name in ("cube", "bins", "fit", "maps", "products")]
    return [
        tuple(Task(str(galaxy["id"]), *words, synthetic.KEY) for words in stages)
        for galaxy in galaxies
    ]


def _drive(
    run: RunContext,
    executor: DaskExecutor | SerialExecutor,
    galaxies: Iterable[Mapping[str, object]],
    *,
    calls: Calls = synthetic.CALLS,
) -> int:
    """Carry out a synthetic survey; return the number of outputs made or found."""
    manifest = Manifest(run.root / "manifest")
    try:
        outcomes = Driver(run, executor, manifest, SilentWatcher(), calls=calls).drive(galaxies)
    finally:
        manifest.close()
    return sum(n for (_, outcome), n in outcomes.items() if outcome in ("done", "existed"))


@contextmanager
def _two_workers() -> Iterator[Client]:
    """Give a client of two worker processes of several threads."""
    from distributed import Client, LocalCluster  # noqa: PLC0415  slow

    options = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=2, threads_per_worker=THREADS, host="127.0.0.1", **options) as made,
        Client(made) as client,
    ):
        yield client


class _Memory:
    """Memory of this process when the galaxies of two numbers are taken [MB]."""

    def __init__(self, *, at: tuple[int, int]) -> None:
        self._at = at
        self._seen: list[float] = []

    @property
    def growth_mb(self) -> float:
        """The second less the first."""
        return self._seen[1] - self._seen[0]

    def watch(self, galaxies: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
        """Yield galaxies, and look at the memory on the way."""
        for index, galaxy in enumerate(galaxies):
            if index in self._at:
                pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
                self._seen.append(pages * 4096 / 1e6)
            yield galaxy
