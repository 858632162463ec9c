"""How a benchmark is timed, and the form of its result."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure.

    ``ratio`` is value / baseline; ``goal`` the bound that ``met`` is about: "<= 4", ">= 100",
    or empty where none is set.
    """

    name: str
    value: float
    unit: str
    baseline: float
    ratio: float
    goal: str
    met: bool


def row(name: str, value: float, unit: str, *, baseline: float, goal: str = "") -> Row:
    """Return a result; the goal is compared with the value."""
    met = True
    if goal:
        sign, bound = goal.split()
        met = value <= float(bound) if sign == "<=" else value >= float(bound)
    return Row(name, value, unit, baseline, value / baseline, goal, met)


def cpu_seconds(work: Callable[[], object], *, repeats: int = 3) -> float:
    """Return the median CPU time of some work [s], after one uncounted call."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return median(times)


def machine() -> str:
    """Return a line about this machine."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="ascii") as file:  # noqa: PTH123  not a project file
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
            model = names[0] if names else model
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def as_dict(result: Row) -> dict[str, object]:
    """Return a result as JSON values."""
    return asdict(result)
