"""Small galaxies share calls, with the outcome that each would have by itself."""

from collections import Counter

import pytest

from benchmarks import synthetic
from pxdask.survey.executors import SerialExecutor
from pxdask.survey.manifest import Manifest, Record
from pxdask.survey.run import Driver
from pxdask.survey.share import CALL_S, MOST, N_ENOUGH, SMALL_S, Calls, Pace, carry_galaxies
from pxdask.survey.watch.progress import SilentWatcher

N_GALAXY = 30


def failing(task, plan, run, after=()):
    """Fail for good in one band of some galaxies, and in the bins of others."""
    record = synthetic.task(task, plan, run, after)
    number = int(plan.galaxy_id[1:])
    bad = (number % 7 == 3 and task.part == "b1") or (number % 7 == 5 and task.stage == "bins")
    if bad and record.outcome == "done":
        words = (task.galaxy_id, task.stage, task.part, task.key)
        return Record(*words, "failed", error="no good", permanent=True)
    return record


def breaking(task, plan, run, after=()):
    """Have a defect that one galaxy brings out."""
    if int(plan.galaxy_id[1:]) == 11 and task.stage == "maps":
        raise ValueError("a defect")
    return synthetic.task(task, plan, run, after)


class Counting(SerialExecutor):
    """Counts calls by their kind."""

    def __init__(self):
        super().__init__()
        self.kinds = Counter()

    def submit(self, function, *args, name, priority=0, memory=0.0):
        self.kinds[name[0]] += 1
        return super().submit(function, *args, name=name, priority=priority, memory=memory)


@pytest.fixture
def survey(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "STAGE_S", 0.0)
    synthetic.write_inputs(tmp_path / "images", N_GALAXY)

    def drive(name, task=synthetic.task, seconds=0.0):
        monkeypatch.setattr(synthetic, "STAGE_S", seconds)
        run = synthetic.context(tmp_path / name, tmp_path / "images")
        manifest, executor = Manifest(run.root / "manifest"), Counting()
        calls = Calls(plan=synthetic.plan, task=task)
        driver = Driver(run, executor, manifest, SilentWatcher(), calls=calls)
        outcomes = driver.drive(synthetic.galaxies(N_GALAXY))
        manifest.close()
        return outcomes, executor.kinds, manifest.latest()

    return drive


def facts(records):
    return {task: (record.outcome, record.error) for task, record in records.items()}


class TestPace:
    def test_nobody_shares_before_enough_is_known(self):
        pace = Pace()
        for n in range(N_ENOUGH):
            assert pace.galaxies_per_call == 0, n
            pace.note(CALL_S / 4)
        assert pace.galaxies_per_call == 4

    def test_large_galaxies_never_share(self):
        pace = Pace()
        for _ in range(N_ENOUGH):
            pace.note(1.01 * SMALL_S)
        assert pace.galaxies_per_call == 0

    def test_one_large_galaxy_does_not_matter(self):
        pace = Pace()
        for seconds in (0.01, 0.01, 0.01, 0.01, 1e4):
            pace.note(seconds)
        assert pace.galaxies_per_call == int(CALL_S / 0.01)

    def test_there_is_a_limit(self):
        pace = Pace()
        for _ in range(N_ENOUGH):
            pace.note(0.0)
        assert pace.galaxies_per_call == MOST


def alone(monkeypatch):
    monkeypatch.setattr(Pace, "galaxies_per_call", 0)


@pytest.mark.parametrize("task", [synthetic.task, failing])
def test_shared_calls_tell_what_single_ones_do(survey, monkeypatch, task):
    shared = survey("shared", task, seconds=1e-4)
    alone(monkeypatch)
    single = survey("single", task, seconds=1e-4)
    assert shared[0] == single[0]
    assert facts(shared[2]) == facts(single[2])
    assert single[1]["share"] == 0
    assert shared[1]["share"] >= 1
    assert shared[1].total() < single[1].total() / 2


def test_a_defect_is_told_of_the_galaxy_that_has_it(survey):
    _, kinds, latest = survey("run", breaking, seconds=1e-4)
    assert kinds["share"]
    bad = [record for record in latest.values() if not record.ok]
    assert [(record.id, record.stage) for record in bad] == [("g0000011", "maps")]
    assert "a defect" in bad[0].error
    done = {record.id for record in latest.values() if record.stage == "products" and record.ok}
    assert len(done) == N_GALAXY - 1


def test_a_galaxy_that_proves_large_is_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "STAGE_S", 0.02)
    run = synthetic.context(tmp_path / "run", tmp_path)
    rows = list(synthetic.galaxies(3))
    calls = Calls(plan=synthetic.plan, task=synthetic.task)
    n_call = synthetic.N_TASK + 1
    first, second, third = carry_galaxies(rows, run, calls, 0.02 * n_call * 1.5)
    assert first.finished
    assert len(first.records) == n_call
    assert not second.finished
    assert 0 < len(second.records) < n_call
    assert not third.finished
    assert not third.records
    again = carry_galaxies(rows, run, calls, 60.0)
    existed = [sum(record.outcome == "existed" for record in share.records) for share in again]
    assert [share.finished for share in again] == [True] * 3
    assert existed[0] == synthetic.N_TASK
    assert existed[1] == len(second.records)


def test_a_run_that_goes_on_probes_and_makes_nothing_again(survey):
    made, _, _ = survey("run", seconds=1e-4)
    found, kinds, _ = survey("run", seconds=1e-4)
    assert kinds["probe"] == 1
    stages = {stage for stage, _ in made}
    assert {outcome for _, outcome in found} == {"existed"}
    for stage in stages - {"fit"}:
        assert found[stage, "existed"] == made[stage, "done"]
    assert found["fit", "existed"] == N_GALAXY
