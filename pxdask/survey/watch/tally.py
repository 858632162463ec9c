"""How far a run is: counts, rate, time to go and failures by reason, in bounded memory."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pxdask.survey.stages import HARMLESS, STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pxdask.survey.manifest import Record

FAILURES_KEPT = 50
"""Failures that are shown one by one: the newest."""

NEWEST_KEPT = 20
"""Finished galaxies that are shown one by one: the newest."""

REASONS_KEPT = 100
"""Different reasons of failure that are counted one by one."""

OTHER_REASONS = "other reasons"

WINDOW = 200
"""Finished galaxies over which the rate is taken."""

IN_FLIGHT_KEPT = 10_000
"""Galaxies whose CPU time is summed at a time; far more than a run has in flight."""

ERROR_LENGTH = 500
"""Characters of an error that are shown."""

_NUMBER = re.compile(r"(?<![A-Za-z_])[+-]?\d[\d.]*(?:e[+-]?\d+)?")
_PATH = re.compile(r"(?:[a-z0-9]+://|/)[^\s:,;'\"]+")


@dataclass(frozen=True, slots=True)
class StageSummary:
    """Numbers of tasks of one stage, and what they took.

    ``expected`` is what is known so far: a fit's blocks are counted only after the bins.
    """

    stage: str
    expected: int
    done: int
    existed: int
    failed: int
    blocked: int
    seconds: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed task; ``ended`` is the Unix time [s]."""

    id: str
    stage: str
    part: str
    error: str
    ended: float


@dataclass(frozen=True, slots=True)
class Finished:
    """One galaxy whose end products are there; ``ended`` is the Unix time [s]."""

    id: str
    ended: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Summary:
    """How far a run is.

    Attributes
    ----------
    total, finished, failed : int
        Galaxies: to do in all, with end products, and failed on the way.
    started, now : float
        Unix times [s].
    rate : float
        Galaxies an hour, over the newest `WINDOW` ones.
    left_s : float or None
        Time to go at this rate [s]; None where no rate is known yet.
    cpu_s : float or None
        CPU time of a galaxy [s], the mean of those made; None before the first.
    stages, failures, newest : tuple
        Per stage; newest failures and galaxies, newest first.
    reasons : tuple of (str, int)
        Kinds of failures with their numbers, most frequent first; see `reason_of`.
    """

    total: int
    finished: int
    failed: int
    started: float
    now: float
    rate: float
    left_s: float | None
    cpu_s: float | None
    stages: tuple[StageSummary, ...]
    failures: tuple[Failure, ...]
    newest: tuple[Finished, ...]
    reasons: tuple[tuple[str, int], ...]

    def values(self) -> dict[str, Any]:
        """Return the summary as plain values, to be sent elsewhere."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Summary:
        """Return the summary of which these are the `values`."""
        return cls(
            **{
                **values,
                "stages": tuple(StageSummary(**one) for one in values["stages"]),
                "failures": tuple(Failure(**one) for one in values["failures"]),
                "newest": tuple(Finished(**one) for one in values["newest"]),
                "reasons": tuple((str(text), int(n)) for text, n in values["reasons"]),
            }
        )


@dataclass(slots=True)
class _Count:
    """Counts of one stage."""

    expected: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_s: float = 0.0


class Tally:
    """Counts the records of a run.

    Parameters
    ----------
    total : int
        Galaxies to do.
    started : float
        Unix time from which the rate counts [s].
    stages : sequence of str
        Stages in their order; others, such as ``inputs``, follow where they have records.
    end_stage : str
        The stage after which a galaxy is finished.
    """

    def __init__(
        self,
        *,
        total: int,
        started: float,
        stages: Sequence[str] = STAGES,
        end_stage: str = "products",
    ) -> None:
        self.total = total
        self.started = started
        self._end_stage = end_stage
        self._counts: dict[str, _Count] = {stage: _Count() for stage in stages}
        self._finished = 0
        self._made = 0
        self._made_cpu_s = 0.0
        self._failed: set[str] = set()
        self._cpu_s: OrderedDict[str, float] = OrderedDict()
        self._ends: deque[float] = deque(maxlen=WINDOW)
        self._newest: deque[Finished] = deque(maxlen=NEWEST_KEPT)
        self._failures: deque[Failure] = deque(maxlen=FAILURES_KEPT)
        self._reasons: Counter[str] = Counter()

    def expect(self, stage: str, count: int) -> None:
        """Expect ``count`` more tasks of a stage."""
        self._count(stage).expected += count

    def note(self, record: Record, *, now: float) -> None:
        """Count one record; ``now`` is its Unix time [s] where it tells none itself."""
        ended = record.ended or now
        count = self._count(record.stage)
        count.outcomes[record.outcome] += 1
        count.seconds += record.seconds
        count.cpu_s += record.cpu_s
        count.expected = max(count.expected, count.outcomes.total())
        self._cpu_s[record.id] = self._cpu_s.pop(record.id, 0.0) + record.cpu_s
        if len(self._cpu_s) > IN_FLIGHT_KEPT:
            self._cpu_s.popitem(last=False)
        if record.outcome == "failed":
            self._note_failure(record, ended)
        if record.stage == self._end_stage and record.ok:
            self._note_finished(record, ended)

    def withdraw(self, record: Record) -> None:
        """Take back what an earlier record said of a task, because a newer one tells more.

        Its time stays counted: it was spent.
        """
        self._count(record.stage).outcomes[record.outcome] -= 1
        if record.stage == self._end_stage and record.ok:
            self._finished -= 1
        if record.outcome == "failed":
            self._failed.discard(record.id)
            kept = [one for one in self._failures if (one.id, one.stage, one.part) != record.task]
            self._failures = deque(kept, maxlen=FAILURES_KEPT)
            reason = self._known_reason(record)
            self._reasons[reason] -= 1
            if self._reasons[reason] <= 0:
                del self._reasons[reason]

    def restart(self, started: float) -> None:
        """Count the rate anew, if a later driver began at a Unix time [s]."""
        if started > self.started:
            self.started = started
            self._ends.clear()

    def summary(self, *, now: float) -> Summary:
        """Return how far the run is at a Unix time [s]."""
        rate_s = self._rate(now)
        left = max(0, self.total - self._finished - len(self._failed))
        return Summary(
            total=self.total,
            finished=self._finished,
            failed=len(self._failed),
            started=self.started,
            now=now,
            rate=3600.0 * rate_s,
            left_s=left / rate_s if rate_s else None if left else 0.0,
            cpu_s=self._made_cpu_s / self._made if self._made else None,
            stages=tuple(
                _stage_summary(stage, count)
                for stage, count in self._counts.items()
                if count.expected
            ),
            failures=tuple(reversed(self._failures)),
            newest=tuple(reversed(self._newest)),
            reasons=tuple(self._reasons.most_common()),
        )

    def _count(self, stage: str) -> _Count:
        """Return the counts of a stage."""
        return self._counts.setdefault(stage, _Count())

    def _rate(self, now: float) -> float:
        """Return finished galaxies a second, the time since the last one included."""
        if not self._ends:
            return 0.0
        full = len(self._ends) == WINDOW
        since, n = (self._ends[0], WINDOW - 1) if full else (self.started, len(self._ends))
        return n / max(now - since, 1e-3)

    def _note_failure(self, record: Record, ended: float) -> None:
        """Keep a failure, and count its reason."""
        if record.stage not in HARMLESS:
            self._failed.add(record.id)
        error = record.error[:ERROR_LENGTH]
        self._failures.append(Failure(record.id, record.stage, record.part, error, ended))
        self._reasons[self._known_reason(record)] += 1

    def _known_reason(self, record: Record) -> str:
        """Return the reason under which a failure is counted."""
        reason = reason_of(record)
        known = reason in self._reasons or len(self._reasons) < REASONS_KEPT
        return reason if known else OTHER_REASONS

    def _note_finished(self, record: Record, ended: float) -> None:
        """Count a galaxy whose end products are there."""
        self._finished += 1
        self._failed.discard(record.id)
        cpu_s = self._cpu_s.pop(record.id, 0.0)
        if record.outcome == "done":
            self._made += 1
            self._made_cpu_s += cpu_s
            self._ends.append(ended)
            self._newest.append(Finished(record.id, ended, round(cpu_s, 3)))


def reason_of(record: Record) -> str:
    """Return why a task failed, without what differs between galaxies.

    The galaxy's name, paths and numbers give way to signs, so that equal faults count together.
    """
    text = record.error[:ERROR_LENGTH]
    if record.id:
        text = re.sub(rf"(?<!\w){re.escape(record.id)}(?!\w)", "GALAXY", text)
    text = _NUMBER.sub("#", _PATH.sub("PATH", text))
    return f"{record.stage}: {text}"


def _stage_summary(stage: str, count: _Count) -> StageSummary:
    """Return the counts of a stage as values."""
    return StageSummary(
        stage=stage,
        expected=count.expected,
        done=count.outcomes["done"],
        existed=count.outcomes["existed"],
        failed=count.outcomes["failed"],
        blocked=count.outcomes["blocked"],
        seconds=round(count.seconds, 2),
        cpu_s=round(count.cpu_s, 2),
    )
