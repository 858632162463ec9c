"""What python-fsps and bagpipes take for models of the kind that `benchmarks.models` times."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from pxdask.io.filters import load_filters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pxdask.core.models import ModelConfig

FEW, MANY = 10, 410
"""Models of a short and of a long run: their difference is free of what starting costs."""

_BAGPIPES = """
import json, sys, time
import bagpipes, numpy as np
asked = json.load(sys.stdin)
case = {"redshift": 0.1, "t_bc": 0.01, "nebular": {"logU": -3.0},
        "delayed": {"age": 5.0, "tau": 1.0, "massformed": 0.0, "metallicity": 1.0},
        "dust": {"type": "Calzetti", "Av": 1.0, "eta": 1.0,
                 "qpah": 2.5, "umin": 1.0, "gamma": 0.01}}
made = bagpipes.model_galaxy(case, filt_list=asked)
start = time.process_time()
for i in range(100):
    case["delayed"]["age"] = 1 + 0.1 * i
    made.update(case)
print((time.process_time() - start) / 100)
"""


def fsps_seconds(settings: ModelConfig) -> float | None:
    """Return the time of one python-fsps spectrum, without photometry; None without FSPS.

    On data made up by the tests where there is no SPS_HOME: FSPS does the same work on any.
    """
    if find_spec("fsps") is None:
        return None
    from pxdask.sps.fsps import (  # noqa: PLC0415  optional
        FspsEngine,
        installed_libraries,
        missing_files,
    )
    from tests.sps.fsps.made_up_home import make_home  # noqa: PLC0415  optional

    with TemporaryDirectory() as folder:
        home = Path(folder) / "sps_home"
        make_home(home)
        if missing_files(home, installed_libraries()):
            return None
        engine = FspsEngine(settings, home=home)
        rng = np.random.default_rng(1)
        times = []
        for n_model in (FEW, MANY):
            drawn = {name: rng.uniform(0.0, 0.3, n_model) for name in engine.parameters}
            drawn["log_gamma"] = np.full(n_model, -2.0)
            start = time.perf_counter()
            engine.spectrum(drawn)
            times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / (MANY - FEW)


def bagpipes_seconds(filters: Sequence[str]) -> float | None:
    """Return the CPU time of one bagpipes SED; None without bagpipes.

    In a process of its own: bagpipes changes settings of the whole process.
    """
    if find_spec("bagpipes") is None:
        return None
    with TemporaryDirectory() as folder:
        paths = []
        for band in load_filters(filters):
            path = Path(folder) / f"{band.name}.txt"
            np.savetxt(path, np.transpose([band.wave, band.transmission]))
            paths.append(str(path))
        told = subprocess.run(  # noqa: S603  our own script
            [sys.executable, "-W", "ignore", "-c", _BAGPIPES],
            input=json.dumps(paths), capture_output=True, text=True, check=True,
        )  # fmt: skip
    return float(told.stdout.splitlines()[-1])
