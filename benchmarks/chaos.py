"""Whether anything is lost when workers are killed and disks break, again and again.

``python -m benchmarks.chaos 200`` prints counts, and fails if an output is lost, torn, or told of
twice.
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
from pathlib import Path

import pxdask
from benchmarks import synthetic
from pxdask.survey.executors import DaskExecutor, SerialExecutor
from tests.survey.chaos import Chaos, drive_to_the_end, outputs, struck, told_twice

N_GALAXY = 6
RATE = 0.15
"""Part of the tasks that are hit."""


def main(n_run: int) -> int:
    """Carry out many surveys; return 1 if anything is lost."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    logging.getLogger("pxdask").setLevel(logging.ERROR)
    begun, faults, starts, bad = time.monotonic(), Counter[str](), Counter[int](), Counter[str]()
    with tempfile.TemporaryDirectory() as name, pxdask.connect("local", workers=2) as client:
        folder = Path(name)
        synthetic.write_inputs(folder / "images", N_GALAXY)
        expected = _calm(folder)
        for seed in range(n_run):
            root = folder / f"{seed:04d}"
            hits = root / "hits"
            hits.mkdir(parents=True)
            run = synthetic.context(root / "run", folder / "images")
            chaos = Chaos(seed, RATE, hits, os.getpid())
            starts[drive_to_the_end(run, DaskExecutor(client), chaos.calls, N_GALAXY)] += 1
            faults.update(struck(hits))
            bad.update(_wrong(outputs(run), expected))
            bad["told of twice"] += len(told_twice(run))
            shutil.rmtree(root)
            print(f"run {seed + 1} at {time.monotonic() - begun:.0f} s", file=sys.stderr)
    bad = +bad
    print(f"{n_run} runs of {N_GALAXY} galaxies in {time.monotonic() - begun:.0f} s")
    print("faults:", ", ".join(f"{n} {fault}" for fault, n in sorted(faults.items())))
    counts = ", ".join(f"{n} runs with {k}" for k, n in sorted(starts.items()))
    print("starts until complete:", counts)
    print("outputs:", ", ".join(f"{n} {what}" for what, n in bad.items()) or "all there, all whole")
    return int(bool(bad))


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
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
