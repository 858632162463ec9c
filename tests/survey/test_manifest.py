"""The manifest and its index tell the same, however much there is."""

import json
import tracemalloc
from collections import Counter
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.survey.manifest import INDEXED, Manifest, ManifestIndex, Record

OUTCOMES = st.sampled_from(["done", "existed", "failed", "blocked", "removed"])
ROWS = st.builds(
    Record,
    id=st.sampled_from(["a", "b", "1"]),
    stage=st.sampled_from(["image", "bins"]),
    part=st.sampled_from(["", "r"]),
    key=st.sampled_from(["k1", "k2"]),
    outcome=OUTCOMES,
    error=st.sampled_from(["", "no 'quotes\" matter"]),
    permanent=st.booleans(),
)
N_GALAXY = 20_000


def told(records):
    return {
        task: tuple(getattr(record, name) for name in INDEXED) for task, record in records.items()
    }


def written(folder, records):
    manifest = Manifest(folder)
    for record in records:
        manifest.append(record)
    manifest.close()
    return manifest


@given(st.lists(ROWS, max_size=30))
def test_index_and_latest_agree(tmp_path_factory, records):
    manifest = written(tmp_path_factory.mktemp("manifest"), records)
    index, latest = manifest.index(), manifest.latest()
    assert index.n_row == len(records)
    for name in ("a", "b", "1", "nobody"):
        expected = {task: record for task, record in latest.items() if task[0] == name}
        assert told(index.of(name)) == told(expected)


@given(st.lists(ROWS, max_size=30))
def test_counts_failures_and_one_galaxy_are_those_of_all_rows(tmp_path_factory, records):
    manifest = written(tmp_path_factory.mktemp("manifest"), records)
    index, latest = manifest.index(), manifest.latest()
    counts = Counter((record.stage, record.outcome) for record in latest.values())
    assert {(stage, outcome): n for stage, outcome, n, _ in index.counts()} == counts
    assert index.made("bins") == {
        record.id for record in latest.values() if record.task[1:] == ("bins", "") and record.ok
    }
    failed = [record for record in latest.values() if record.outcome == "failed"]
    assert manifest.failures() == failed
    for name in ("a", "b", "1", "nobody"):
        assert list(manifest.records(name)) == [one for one in records if one.id == name]


@pytest.mark.parametrize("name", ["a b", '"', "\u00e9", "\\", 'x", "stage": "bins'])
def test_a_galaxy_of_any_name_is_found_among_others(tmp_path, name):
    others = [Record(other, "bins", "", "k", "done") for other in (name + "1", "1" + name, "x")]
    manifest = written(tmp_path, [*others, Record(name, "bins", "", "k", "failed", error=name)])
    assert [record.error for record in manifest.records(name)] == [name]
    assert list(manifest.latest(name)) == [(name, "bins", "")]


def test_times_are_added_and_a_cut_line_is_passed_over(tmp_path):
    made = [Record(n, "fit", "", "k", "done", seconds=s) for n, s in (("a", 1.5), ("b", 2.0))]
    manifest = written(tmp_path, [*made, Record("c", "fit", "", "k", "done", seconds=9.0)])
    file = next(tmp_path.glob("*.jsonl"))
    text = file.read_text()
    file.write_text(text[:-20])
    assert json.loads(text.splitlines()[0])["seconds"] == 1.5
    assert manifest.index().counts() == [("fit", "done", 2, 3.5)]


def test_no_rows(tmp_path):
    index = Manifest(tmp_path / "none").index()
    assert index.n_row == 0
    assert index.of("a") == {}
    assert index.counts() == []
    assert Manifest(tmp_path / "none").failures() == []


def test_memory_does_not_grow_with_the_rows():
    """Twenty thousand galaxies would take 10 MB as records."""
    tracemalloc.start()
    index = ManifestIndex(
        asdict(Record(f"g{n:07d}", "products", "", "0123456789abcdef", "done"))
        for n in range(N_GALAXY)
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.n_row == N_GALAXY
    assert index.of("g0000123")["g0000123", "products", ""].ok
    assert (
        peak < 1e6
    )  # [byte]; the rows are SQLite's, which keeps 2 MB of them and the rest on disk
