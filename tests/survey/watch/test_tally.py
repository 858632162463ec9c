"""Counting what a run has done: by hand, as it is taken back, and in bounded memory."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.survey.manifest import Manifest, Record
from pxdask.survey.watch.tail import ManifestTail
from pxdask.survey.watch.tally import (
    FAILURES_KEPT,
    IN_FLIGHT_KEPT,
    NEWEST_KEPT,
    OTHER_REASONS,
    REASONS_KEPT,
    WINDOW,
    Summary,
    Tally,
    reason_of,
)


def record(galaxy, stage="products", outcome="done", **values):
    return Record(galaxy, stage, values.pop("part", ""), "k", outcome, **values)


def stage_of(summary, name):
    return next(one for one in summary.stages if one.stage == name)


def test_by_hand():
    tally = Tally(total=10, started=1000.0)
    tally.expect("image", 6)
    for n, galaxy in enumerate(("a", "b")):
        tally.note(record(galaxy, "image", part="g", cpu_s=2.0, seconds=3.0), now=0.0)
        tally.note(record(galaxy, cpu_s=4.0, ended=1010.0 + n), now=0.0)
    tally.note(record("c", "cube", "failed", error="no cube"), now=1012.0)
    tally.note(record("c", "bins", "blocked"), now=1012.0)
    tally.note(record("d", outcome="existed"), now=1012.0)
    found = tally.summary(now=1020.0)
    assert (found.finished, found.failed) == (3, 1)
    assert found.rate == pytest.approx(2 / 20.0 * 3600)  # made in 20 s; what existed is no rate
    assert found.left_s == pytest.approx(6 / (2 / 20.0))
    assert found.cpu_s == pytest.approx(6.0)
    assert [one.id for one in found.newest] == ["b", "a"]
    assert stage_of(found, "image").expected == 6
    assert stage_of(found, "image").cpu_s == 4.0
    assert stage_of(found, "image").seconds == 6.0
    assert stage_of(found, "bins").blocked == 1
    assert found.reasons == (("cube: no cube", 1),)
    assert found.failures[0].ended == 1012.0


def test_nothing_known_yet():
    found = Tally(total=5, started=0.0).summary(now=10.0)
    assert (found.rate, found.left_s, found.cpu_s, found.stages) == (0.0, None, None, ())
    assert Tally(total=0, started=0.0).summary(now=10.0).left_s == 0.0


def test_the_rate_is_that_of_the_newest_galaxies():
    tally = Tally(total=10 * WINDOW, started=0.0)
    for n in range(WINDOW):  # slow first: one in 100 s
        tally.note(record(f"s{n}", ended=100.0 * n), now=0.0)
    start = 100.0 * WINDOW
    for n in range(WINDOW):  # then one a second
        tally.note(record(f"f{n}", ended=start + n), now=0.0)
    assert tally.summary(now=start + WINDOW - 1).rate == pytest.approx(3600.0)
    tally.restart(start + 2 * WINDOW)
    assert tally.summary(now=start + 3 * WINDOW).rate == 0.0


def test_lines_that_fail_keep_no_galaxy_from_its_maps():
    tally = Tally(total=1, started=0.0)
    tally.note(record("a", "lines", "failed", error="no lines"), now=1.0)
    assert tally.summary(now=2.0).failed == 0
    assert tally.summary(now=2.0).reasons == (("lines: no lines", 1),)


OUTCOMES = st.sampled_from(["done", "existed", "failed"])
TASKS = st.tuples(st.sampled_from("abc"), st.sampled_from(["image", "cube", "products"]), OUTCOMES)


@given(st.lists(TASKS, max_size=30))
def test_law_what_is_taken_back_leaves_no_trace(tasks):
    tally = Tally(total=3, started=0.0)
    records = [record(name, stage, outcome, error="why") for name, stage, outcome in tasks]
    for one in records:
        tally.note(one, now=1.0)
    for one in records:
        tally.withdraw(one)
    found = tally.summary(now=2.0)
    assert (found.finished, found.failures, found.reasons) == (0, (), ())
    counts = [(one.done, one.existed, one.failed, one.blocked) for one in found.stages]
    assert set(counts) <= {(0, 0, 0, 0)}


@given(st.lists(TASKS, max_size=10))
def test_law_a_summary_survives_its_journey(tasks):
    tally = Tally(total=3, started=0.0)
    for name, stage, outcome in tasks:
        tally.note(record(name, stage, outcome, error="why", cpu_s=1.5), now=1.0)
    found = tally.summary(now=2.0)
    assert Summary.of(json.loads(json.dumps(found.values()))) == found


def test_memory_is_bounded():
    tally = Tally(total=10**6, started=0.0)
    for n in range(IN_FLIGHT_KEPT + 500):
        word = "".join(chr(97 + int(digit)) for digit in str(n))
        tally.note(record(f"g{n}", "cube", "failed", error=word), now=1.0)
        tally.note(record(f"h{n}"), now=1.0)
    found = tally.summary(now=2.0)
    assert len(found.failures) == FAILURES_KEPT
    assert len(found.newest) == NEWEST_KEPT
    assert len(found.reasons) == REASONS_KEPT + 1
    assert dict(found.reasons)[OTHER_REASONS] == IN_FLIGHT_KEPT + 500 - REASONS_KEPT
    assert len(tally._cpu_s) <= IN_FLIGHT_KEPT
    assert len(json.dumps(found.values())) < 50_000  # what the scheduler is sent each second


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("band r: /data/g7/r.fits is damaged", "cube: band r: PATH is damaged"),
        ("band r: s3://bucket/g7/r.fits is damaged", "cube: band r: PATH is damaged"),
        ("galaxy 'g7': peak is 3.5e-2", "cube: galaxy 'GALAXY': peak is #"),
        ("filter sdss_r2 unknown", "cube: filter sdss_r2 unknown"),
    ],
)
def test_equal_faults_have_one_reason(error, reason):
    assert reason_of(record("g7", "cube", "failed", error=error)) == reason


def test_a_tail_reads_each_row_once(tmp_path):
    manifest, tail = Manifest(tmp_path / "manifest"), ManifestTail(tmp_path / "manifest")
    assert list(tail.new()) == []
    manifest.append(record("a"))
    assert [one.id for one in tail.new()] == ["a"]
    assert tail.started > 1e9
    manifest.append(record("b"))
    path = next((tmp_path / "manifest").glob("*.jsonl"))
    with path.open("a") as file:
        file.write('{"id": "torn')
    assert [one.id for one in tail.new()] == ["b"]
    assert list(tail.new()) == []
    with path.open("a") as file:
        file.write("\n" + json.dumps({"id": "c", "stage": "cube", "part": "", "key": "k"}) + "\n")
    manifest.append(replace(record("d"), error="x"))
    assert [one.id for one in tail.new()] == ["d"]
    manifest.close()
