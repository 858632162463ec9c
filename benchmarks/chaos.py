"""Whether anything is lost when workers are killed and disks break, again and again.

``python -m benchmarks.chaos 200 200`` goes through so many runs on a cluster, then so many in
this process, where nothing is killed. It prints how often each fault struck, and fails if an
output is lost, torn, left over or told of twice, or if a fault never struck. Interrupted, it tells
what came of the runs until then.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pxdask
from benchmarks import synthetic
from pxdask.cluster.supervisor import Supervision
from pxdask.survey.dask_executor import DaskExecutor
from pxdask.survey.executors import SerialExecutor
from tests.survey.chaos import DISKS, FAULTS, Chaos, drive_to_the_end, outputs, struck, told_twice

if TYPE_CHECKING:
    from collections.abc import Callable

    from pxdask.survey.executors import Executor

N_GALAXY = 3
RATE = 0.12
"""Part of the tasks that are hit."""
N_WORKER = 4
"""Some are always being started again, which takes seconds."""

QUICK = Supervision(period_s=1.0)
"""The cluster is looked at more often than in earnest, as these runs take seconds."""


@dataclass(slots=True)
class Toll:
    """What struck, and what came of it."""

    n_run: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    starts: Counter[int] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """Tell it in a few lines."""
        bad = +self.bad
        faults = ", ".join(f"{n} {fault}" for fault, n in sorted(self.faults.items()))
        starts = ", ".join(f"{n} runs with {k}" for k, n in sorted(self.starts.items()))
        found = ", ".join(f"{n} {what}" for what, n in bad.items()) or "all there, all whole"
        return (
            f"{self.n_run} runs of {N_GALAXY} galaxies in {self.seconds:.0f} s,"
            f" the slowest {self.slowest:.0f} s\n"
            f"  faults: {faults}\n  starts until complete: {starts}\n  outputs: {found}"
        )


def main(n_dask: int, n_serial: int) -> int:
    """Carry out many surveys; return 1 if anything is lost, or some fault never struck."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    logging.getLogger("pxdask").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthetic.write_inputs(folder / "images", N_GALAXY)
        with pxdask.connect("local", workers=N_WORKER) as client:
            dask = _strike(folder, n_dask, lambda: DaskExecutor(client, QUICK))
        serial = _strike(folder, n_serial, SerialExecutor)
    print(f"{N_WORKER} workers: {dask}\nthis process: {serial}")
    missed = {*FAULTS} - {*dask.faults} if n_dask else {*DISKS} - {*serial.faults}
    if missed:
        print(f"never struck: {', '.join(sorted(missed))}; more runs are needed")
    return int(bool(+dask.bad or +serial.bad or missed))


def _strike(folder: Path, n_run: int, executor: Callable[[], Executor]) -> Toll:
    """Carry out surveys, each with other faults; return what came of them."""
    expected = _calm(folder)
    toll = Toll()
    with suppress(KeyboardInterrupt):
        for seed in range(n_run):
            _strike_once(folder, seed, executor(), expected, toll)
            print(f"run {seed + 1} of {n_run} at {toll.seconds:.0f} s", file=sys.stderr)
    return toll


def _strike_once(
    folder: Path, seed: int, executor: Executor, expected: dict[str, bytes], toll: Toll
) -> None:
    """Carry out a survey with the faults of a seed; add what came of it."""
    begun = time.monotonic()
    root = folder / f"{seed:04d}"
    hits = root / "hits"
    hits.mkdir(parents=True)
    run = synthetic.context(root / "run", folder / "images")
    chaos = Chaos(seed, RATE, hits, os.getpid())
    toll.starts[drive_to_the_end(run, executor, chaos.calls, N_GALAXY)] += 1
    toll.faults.update(struck(hits))
    toll.bad.update(_wrong(outputs(run), expected))
    toll.bad["told of twice"] += len(told_twice(run))
    shutil.rmtree(root)
    took = time.monotonic() - begun
    toll.n_run, toll.seconds = toll.n_run + 1, toll.seconds + took
    toll.slowest = max(toll.slowest, took)


def _calm(folder: Path) -> dict[str, bytes]:
    """Return the outputs of an undisturbed run."""
    run = synthetic.context(folder / "calm", folder / "images")
    drive_to_the_end(run, SerialExecutor(), Chaos(0, 0.0, folder, os.getpid()).calls, N_GALAXY)
    return outputs(run)


def _wrong(found: dict[str, bytes], expected: dict[str, bytes]) -> dict[str, int]:
    """Return numbers of outputs that are not what they should be."""
    torn = [name for name in found.keys() & expected.keys() if found[name] != expected[name]]
    return {
        "lost": len(expected.keys() - found.keys()),
        "left over": len(found.keys() - expected.keys()),
        "torn": len(torn),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of worker processes that end in the middle of something
    counts = [int(word) for word in sys.argv[1:]] or [200, 200]
    sys.exit(main(*counts, *[0] * (2 - len(counts))))
