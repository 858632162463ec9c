"""What the survey engine itself costs: a run of 20 tiny galaxies, less the work in their tasks."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pxdask
from benchmarks.harness import Row, row
from tests.survey.mini import make_survey

N_GALAXY = 20


def measure() -> list[Row]:
    """Time a whole run, and a resumed one that finds everything done."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        catalog, config = make_survey(root, N_GALAXY)

        def run() -> pxdask.Run:
            return pxdask.submit(
                catalog, config, root / "run", root=root, serial=True, progress=False
            )

        run()
        start = time.process_time()
        done = run()
        again = 1e3 * (time.process_time() - start) / N_GALAXY
        work = 1e3 * float(done.manifest()["seconds"].sum()) / N_GALAXY
        return [row("survey_resume_ms_per_galaxy", again, "ms", baseline=work)]
