"""A survey without science: calls that wait instead of computing, and write outputs of no content.

The driver, the executor and the scheduler do for it what they do for a real one: the same tasks
in the same order, one record for each.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pxdask.core.config import SurveyConfig
from pxdask.core.files import write_with
from pxdask.images import Grid
from pxdask.survey.inspect import GalaxyInputs, resolved_bands
from pxdask.survey.manifest import Record
from pxdask.survey.plan import Keys, Task
from pxdask.survey.products import Products
from pxdask.survey.share import Calls
from pxdask.survey.work import GalaxyPlan, RunContext, is_made, task_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

N_BAND = 5
STAGE_S = 0.01
"""What a stage takes [s]."""
LARGE_EVERY = 250
"""One galaxy in so many is large."""
LARGE = 50
"""What a stage of a large galaxy takes, as a multiple."""
KEY = "0123456789abcdef"
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
"""A whole archive of no members [PKWARE APPNOTE 4.3.16]."""

N_TASK = N_BAND + 5
"""Outputs of a galaxy: its bands, cube, bins, fit, maps and products."""
N_CALL = N_TASK + 3
"""Calls for a galaxy: its outputs, one block of bins, its plan and its end."""


def galaxies(n_galaxy: int) -> Iterator[dict[str, object]]:
    """Yield rows of a catalogue."""
    for index in range(n_galaxy):
        yield {"id": f"g{index:07d}", "ra": 150.0, "dec": 2.0, "redshift": 0.05}


def context(store: Path, root: Path) -> RunContext:
    """Return a run in ``store``, whose images are in ``root``."""
    bands = [
        {
            "name": f"b{n}",
            "filter": "sdss_r",
            "image": "{data_root}/{id}" + f"-b{n}.fits",
            "psf": {"fwhm": 1.0},
            "uncertainty": {"path": "{data_root}/{id}" + f"-b{n}.fits", "hdu": 1},
        }
        for n in range(N_BAND)
    ]
    config = SurveyConfig.parse(
        {"name": "synthetic", "bands": bands, "models": {"ssp": "synthetic", "n_models": 512}}
    )
    return RunContext(store, config, Products(store / "ssp", store / "filters"), str(root))


def write_inputs(root: Path, n_galaxy: int) -> None:
    """Write the images of a survey, of no content."""
    root.mkdir(parents=True, exist_ok=True)
    for galaxy in galaxies(n_galaxy):
        for n in range(N_BAND):
            (root / f"{galaxy['id']}-b{n}.fits").touch()


def plan(galaxy: Mapping[str, object], run: RunContext) -> GalaxyPlan:
    """Return the plan of a galaxy, none of whose files is opened."""
    begun, name = time.time(), str(galaxy["id"])
    bands = resolved_bands(galaxy, run.config, root=run.data_root)
    inputs = GalaxyInputs(galaxy, bands, {}, Grid("", (1, 1)))
    keys = Keys({f"b{n}": KEY for n in range(N_BAND)}, KEY, "", "", *[KEY] * 2, "", *[KEY] * 2)
    tasks = [Task(name, "image", f"b{n}", KEY) for n in range(N_BAND)]
    tasks += [Task(name, stage, "", KEY) for stage in ("cube", "bins", "fit", "maps", "products")]
    existing = tuple(task for task in tasks if is_made(task, run))
    missing = tuple(task for task in tasks if task not in existing)
    n_bin = 1 if any(task.stage == "bins" for task in existing) and missing else -1
    return GalaxyPlan(inputs, keys, missing, existing, n_bin, begun)


def task(
    task: Task, plan: GalaxyPlan, run: RunContext, after: Sequence[Record | None] = ()
) -> Record:
    """Wait, and write the task's files."""
    record = Record(task.galaxy_id, task.stage, task.part, task.key, "done", n_bin=1)
    if not all(earlier is not None and earlier.ok for earlier in after):
        return replace(record, outcome="blocked")
    large = int(plan.galaxy_id[1:]) % LARGE_EVERY == LARGE_EVERY // 2
    seconds = STAGE_S * (LARGE if large else 1)
    time.sleep(seconds)
    for path in task_paths(task, run.root):
        write_with(_write_nothing, path)
    return replace(record, seconds=seconds, host="here")


def _write_nothing(path: Path) -> None:
    path.write_bytes(EMPTY_ZIP)


CALLS = Calls(plan=plan, task=task)
"""What a synthetic survey asks of workers; seals are the real ones."""
