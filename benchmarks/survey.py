"""The survey engine itself: what it costs beside the work, with many galaxies and a million.

Synthetic stages wait for 10 ms (one galaxy in 250 is fifty times as large) on 2 workers;
scheduler, client and driver are one process here, whose CPU time and memory are measured. A
million galaxies are checked, enumerated from a catalogue and found done, in a process of its own
without workers, whose CPU time and greatest memory are measured; their seals are not read, as
those of the others are. The baseline of the scaling is what two processes do that only compute.
``python -m benchmarks.survey mini|soak|million`` runs a part.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pxdask
from benchmarks import synthetic
from benchmarks.harness import Row, row
from pxdask.io.catalog_file import ROWS_AT_ONCE, write_catalog
from pxdask.survey.dask_executor import DaskExecutor
from pxdask.survey.executors import SerialExecutor
from pxdask.survey.manifest import Manifest, Record
from pxdask.survey.plan import Task
from pxdask.survey.run import Driver
from pxdask.survey.share import Calls
from pxdask.survey.watch.progress import SilentWatcher
from tests.survey.mini import make_survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from distributed import Client

    from pxdask.survey.work import RunContext

N_MINI = 24
"""Galaxies of a real, if tiny, survey."""
N_FIRST = 4
"""Galaxies before it that are not timed."""
N_SOAK = 10_000
N_MILLION = 1_000_000
BURN_S = 4.0
"""Wall time for which processes compute to tell what two cores can do [s]."""
THREADS = 8
"""Threads of a worker: synthetic stages wait, and many can do so at once."""
SETTLE_S = 2.1
"""Age of input files before a galaxy may be sealed [s]."""


def measure(parts: Sequence[str] = ("mini", "soak", "million")) -> list[Row]:
    """Measure overhead, growth, resumption and scaling."""
    of_part = {"mini": _mini, "soak": _soak, "million": _million}
    with tempfile.TemporaryDirectory() as folder:
        return [row for part in parts for row in of_part[part](Path(folder) / part)]


def _mini(root: Path) -> list[Row]:
    """Time a real survey on 1 and 2 workers, and one that finds everything done."""
    few, root = root / "few", root / "all"
    for folder in (few, root):
        folder.mkdir(parents=True)
    first = make_survey(few, N_FIRST)
    catalog, config = make_survey(root, N_MINI)
    walls: dict[int, float] = {}
    # twice each, as other work on the machine comes and goes
    for k, n_worker in enumerate((1, 2, 2, 1)):
        with pxdask.connect("local", workers=n_worker) as client:
            # the first galaxies compile, and make the models
            pxdask.submit(*first, few / f"run-{k}", client, root=few, progress=False)
            start = time.perf_counter()
            run = pxdask.submit(
                catalog, config, root / f"run-{k}", client, root=root, progress=False
            )
            wall = time.perf_counter() - start
            walls[n_worker] = min(wall, walls.get(n_worker, wall))
    limit = _two_cores()
    start = time.process_time()
    done = pxdask.submit(catalog, config, run.store, root=root, serial=True, progress=False)
    again = 1e3 * (time.process_time() - start) / N_MINI
    work = 1e3 * float(done.manifest()["seconds"].sum()) / N_MINI
    return [
        row("survey_resume_ms_per_galaxy", again, "ms", baseline=work),
        row("survey_scaling_2_workers", walls[1] / walls[2], "x", baseline=limit, goal=">= 1.8"),
    ]


def _two_cores() -> float:
    """Return how many times the work of one process two do that have nothing to share."""
    rates = {}
    for n in (1, 2):
        with ProcessPoolExecutor(n, mp_context=get_context("spawn")) as pool:
            list(pool.map(_sines_per_s, [0.1] * n))  # begins the processes
            rates[n] = sum(pool.map(_sines_per_s, [BURN_S] * n))
    return rates[2] / rates[1]


def _sines_per_s(wall: float) -> float:
    """Compute for some time [s]; return how often a second."""
    values, n, start = np.linspace(0, 1, 4096), 0, time.perf_counter()
    while time.perf_counter() - start < wall:
        np.sin(values)
        n += 1
    return n / (time.perf_counter() - start)


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
    """Begin a run of a million galaxies, all of which have seals, in a process of its own."""
    root.mkdir()
    _write_million(root / "given.parquet")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_resume_million, root).result()


def _write_million(path: Path) -> None:
    """Write a catalogue, some rows at a time."""
    types = {"id": pa.string(), "ra": pa.float64(), "dec": pa.float64(), "redshift": pa.float64()}
    with pq.ParquetWriter(path, pa.schema(list(types.items()))) as writer:
        for first in range(0, N_MILLION, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, N_MILLION - first)
            names = [f"g{first + n:07d}" for n in range(count)]
            values = (np.full(count, value) for value in (150.0, 2.0, 0.05))
            writer.write_table(pa.table([names, *values], schema=writer.schema))


def _resume_million(root: Path) -> list[Row]:
    """Check and copy the catalogue, then find all its galaxies done."""
    manifest = Manifest(root / "run" / "manifest")
    manifest.append(Record("g0000000", "products", "", synthetic.KEY, "done"))
    manifest.close()
    before = _peak_mb()
    start = time.process_time()
    catalog = write_catalog(root / "given.parquet", root / "run" / "catalog.parquet")
    checked = time.process_time() - start
    run = synthetic.context(root / "run", root)
    memory = _Memory(at=(N_MILLION // 10, N_MILLION - 1))
    start = time.process_time()
    galaxies = memory.watch(catalog.rows())
    found = _drive(run, SerialExecutor(), galaxies, calls=Calls(probe=_all_sealed))
    done = time.process_time() - start
    if found != N_MILLION * synthetic.N_TASK:
        raise RuntimeError(f"{found} tasks were found done, not {N_MILLION * synthetic.N_TASK}")
    return [
        row("survey_million_checked_cpu_s", checked, "s", baseline=N_MILLION / 1e6),
        row("survey_million_done_cpu_s", done, "s", baseline=N_MILLION / 1e6),
        row("survey_million_growth_mb", memory.growth_mb, "MB", baseline=1.0, goal="<= 50"),
        row("survey_million_peak_mb", _peak_mb(), "MB", baseline=before),
    ]


def _peak_mb() -> float:
    """Return the greatest memory that this process has had [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


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


if __name__ == "__main__":
    begun = time.perf_counter()
    for result in measure(sys.argv[1:] or ("mini", "soak", "million")):
        met = "" if not result.goal else "met" if result.met else "MISSED"
        print(f"{result.name}: {result.value:.4g} {result.unit}  {result.goal} {met}")
    print(f"{time.perf_counter() - begun:.0f} s, at a load of {os.getloadavg()[0]:.1f}")
