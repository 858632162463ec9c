"""The manifest and its index tell the same, however much there is."""

import tracemalloc

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


@given(st.lists(ROWS, max_size=30))
def test_index_and_latest_agree(tmp_path_factory, records):
    manifest = Manifest(tmp_path_factory.mktemp("manifest"))
    for record in records:
        manifest.append(record)
    manifest.close()
    index, latest = manifest.index(), manifest.latest()
    assert index.n_row == len(records)
    for name in ("a", "b", "1", "nobody"):
        expected = {task: record for task, record in latest.items() if task[0] == name}
        assert told(index.of(name)) == told(expected)


def test_no_rows(tmp_path):
    index = Manifest(tmp_path / "none").index()
    assert index.n_row == 0
    assert index.of("a") == {}


def test_memory_does_not_grow_with_the_rows():
    """Twenty thousand galaxies would take 10 MB as records."""
    tracemalloc.start()
    index = ManifestIndex(
        Record(f"g{n:07d}", "products", "", "0123456789abcdef", "done") for n in range(N_GALAXY)
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.n_row == N_GALAXY
    assert index.of("g0000123")["g0000123", "products", ""].ok
    assert (
        peak < 1e6
    )  # [byte]; the rows are SQLite's, which keeps 2 MB of them and the rest on disk
