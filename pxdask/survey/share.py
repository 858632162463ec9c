"""Small galaxies share a call: where the work on one is no longer than the talk about it.

A galaxy is a dozen calls, each of which costs scheduler and driver a few milliseconds. Where all
stages of a galaxy together take a fraction of a second, a worker carries out several galaxies
from beginning to end in one call, up to a limit of time. A galaxy that proves large is given
back, with what is made of it by then, and goes on as a graph of its own.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from pxdask.survey.care.seals import end_galaxy, probe_galaxies
from pxdask.survey.manifest import Record
from pxdask.survey.stages import READS
from pxdask.survey.tasks import run_task
from pxdask.survey.work import fit_blocks, plan_galaxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pxdask.survey.plan import Task
    from pxdask.survey.work import GalaxyPlan, RunContext

SMALL_S = 0.3
"""Work on a galaxy below which several share a call [s]."""

CALL_S = 0.5
"""Work that a call for several galaxies is given [s]."""

BUDGET_S = 2.0
"""Time after which a call for several galaxies begins nothing more [s]."""

N_REMEMBERED = 20
"""Galaxies from whose work that on the next is foretold."""

N_ENOUGH = 5
"""Galaxies of which the work must be known before any share a call."""

MOST = 100
"""Galaxies that share a call at most."""


@dataclass(frozen=True, slots=True)
class Calls:
    """What workers are asked to do.

    A survey has the default; a benchmark or test of the driver gives others, of the same form.
    """

    probe: Callable[..., list[tuple[Task, ...] | None]] = probe_galaxies
    plan: Callable[..., GalaxyPlan | Record] = plan_galaxy
    task: Callable[..., Record] = run_task
    end: Callable[..., None] = end_galaxy


@dataclass(frozen=True, slots=True)
class Share:
    """What came of one galaxy in a call for several.

    If it is not ``finished``, it was not begun, or proved large: it is to have calls of its own.
    """

    records: tuple[Record, ...] = ()
    finished: bool = False


class Pace:
    """Foretells how many galaxies may share a call, from the work on the newest ones."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=N_REMEMBERED)

    def note(self, seconds: float) -> None:
        """Note the work on one galaxy [s]."""
        self._seconds.append(seconds)

    @property
    def galaxies_per_call(self) -> int:
        """How many galaxies may share a call; 0 where each has many of its own."""
        if len(self._seconds) < N_ENOUGH:
            return 0
        typical = median(self._seconds)
        return 0 if typical > SMALL_S else min(MOST, max(1, int(CALL_S / max(typical, 1e-6))))


def carry_galaxies(
    galaxies: Sequence[Mapping[str, object]],
    run: RunContext,
    calls: Calls,
    budget_s: float = BUDGET_S,
) -> list[Share]:
    """Carry out the whole work on some galaxies, one after the other; return what came of each.

    Parameters
    ----------
    galaxies : sequence of mapping
        Rows of the catalogue.
    run : RunContext
        The run.
    calls : Calls
        What makes the plan and the outputs.
    budget_s : float
        Time after which nothing more is begun [s].
    """
    deadline = time.monotonic() + budget_s
    return [_carry(galaxy, run, calls, deadline) for galaxy in galaxies]


def _carry(galaxy: Mapping[str, object], run: RunContext, calls: Calls, deadline: float) -> Share:
    """Carry out the work on one galaxy, unless the deadline passes."""
    if time.monotonic() > deadline:
        return Share()
    plan = calls.plan(galaxy, run)
    if isinstance(plan, Record):
        return Share((plan,), finished=True)
    records = [Record.of(task, "existed") for task in plan.existing]
    made: list[Record] = []
    for task in _steps(plan, run, made):
        if time.monotonic() > deadline:
            return Share((*records, *made))
        read = READS[task.stage] if task.part or task.stage != "fit" else ("fit",)
        made.append(calls.task(task, plan, run, [one for one in made if one.stage in read]))
    calls.end(plan, run, all(record.ok for record in made))
    return Share((*records, *made), finished=True)


def _steps(plan: GalaxyPlan, run: RunContext, made: Sequence[Record]) -> Iterator[Task]:
    """Yield the tasks of a plan in their order; blocks of bins when it is known how many there are.

    Nothing follows bins that could not be made. ``made`` grows while the tasks are carried out.
    """
    n_bin = plan.n_bin
    for task in plan.missing:
        if task.stage == "fit":
            yield from fit_blocks(plan, run, n_bin=n_bin)
        yield task
        if task.stage == "bins":
            if not made[-1].ok:
                return
            n_bin = made[-1].n_bin
