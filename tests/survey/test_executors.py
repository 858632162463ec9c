"""The same bytes whoever does the work, and however often it is killed."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

import pxdask
from pxdask.survey.dask_executor import DaskExecutor
from pxdask.survey.executors import SerialExecutor
from tests.survey.mini import make_survey, outputs

pytestmark = pytest.mark.cluster

N_GALAXY = 6
N_KILLS = 5


def double(x):
    return 2 * x


def broken(_):
    raise ValueError("no good")


@pytest.fixture(scope="module")
def client():
    with pxdask.connect("local", workers=2) as client:
        yield client


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    catalog, config = make_survey(root, N_GALAXY)
    run = pxdask.submit(catalog, config, root / "run", root=root, serial=True, progress=False)
    assert len(run.finished()) == N_GALAXY
    return root, catalog, config, outputs(run.store)


@pytest.mark.parametrize("kind", ["serial", "dask"])
class TestEveryExecutor:
    """The contract of an executor."""

    @pytest.fixture
    def executor(self, kind, request):
        if kind == "serial":
            return SerialExecutor()
        return DaskExecutor(request.getfixturevalue("client"))

    def test_results_and_chains(self, executor, kind):
        first = executor.submit(double, 1, name=("first", kind))
        second = executor.submit(double, first, name=("second", kind))
        total = executor.submit(sum, [first, second, 10], name=("total", kind))
        done = list(executor.completed())
        assert set(map(id, done)) == {id(first), id(second), id(total)}
        assert (first.result, second.result, total.result) == (2, 4, 16)

    def test_a_defect_is_told_and_ends_nothing(self, executor, kind):
        bad = executor.submit(broken, 0, name=("bad", kind))
        good = executor.submit(double, 3, name=("good", kind))
        list(executor.completed())
        assert re.match("unexpected ValueError: no good.*broken", bad.error)
        assert (good.result, good.error) == (6, "")

    def test_calls_may_be_added_while_others_complete(self, executor, kind):
        executor.submit(double, 1, name=("n", kind, "0"))
        seen = []
        for handle in executor.completed():
            seen.append(handle.result)
            if len(seen) < 4:
                executor.submit(double, handle.result, name=("n", kind, str(len(seen))))
        assert seen == [2, 4, 8, 16]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_write_the_same_bytes_as_one_process(undisturbed, workers):
    root, catalog, config, expected = undisturbed
    store = root / f"run-{workers}"
    run = pxdask.submit(catalog, config, store, root=root, workers=workers, progress=False)
    assert outputs(run.store) == expected


def start(root, catalog, config, store):
    """Start a run in a process group of its own."""
    words = ["run", catalog, config, "--store", store, "--data-root", root, "--workers", "2"]
    return subprocess.Popen(
        [sys.executable, "-m", "pxdask", *map(str, words)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def sessions(store):
    """Return, for each driver that wrote to the manifest, the keys of what it made."""
    return [
        set(
            re.findall(r'"id": "(\w+)", "stage": "(\w+)", "part": "(\w*)".*"outcome": "done"', text)
        )
        for text in (path.read_text() for path in sorted((store / "manifest").iterdir()))
    ]


@pytest.mark.slow
def test_kill_9_at_random_moments(undisturbed):
    """Five kills of everything at once; what was published is never made again."""
    root, catalog, config, expected = undisturbed
    store = root / "killed"
    rng = random.Random(20261121)  # noqa: S311  moments, not secrets
    begin = time.monotonic()
    alive = start(root, catalog, config, root / "timed")
    assert alive.wait() == 0, alive.stderr.read()
    whole = time.monotonic() - begin
    alive.stderr.close()
    published = []
    for _ in range(N_KILLS):
        published.append(set(store.rglob("galaxies/*/*/*-*.*")) if store.exists() else set())
        running = start(root, catalog, config, store)
        time.sleep(rng.uniform(0.3, 1.0) * whole)
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    before = {path: path.stat().st_mtime_ns for path in store.rglob("galaxies/*/*/[!.]*")}
    last = start(root, catalog, config, store)
    assert last.wait() == 0, last.stderr.read()
    last.stderr.close()
    assert outputs(store) == expected
    kept = {path: when for path, when in before.items() if path.exists()}
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    made = [task for session in sessions(store) for task in session]
    assert len(made) == len(set(made)), "a published output was made twice"


def kill_once_busy(pid, store):
    """Kill a process when the first cube is there: in the middle of the work."""
    while not any(store.rglob("cube-*.zarr.zip")):
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_kill_9_of_a_worker(undisturbed):
    root, catalog, config, expected = undisturbed
    store = root / "worker-killed"
    with pxdask.connect("local", workers=2) as client:
        victim = next(iter(client.run(os.getpid).values()))
        killer = threading.Thread(target=kill_once_busy, args=(victim, store), daemon=True)
        killer.start()
        run = pxdask.submit(catalog, config, store, client, root=root, progress=False)
        killer.join(timeout=10)
        assert victim not in client.run(os.getpid).values()
    assert len(run.finished()) == N_GALAXY
    assert outputs(store) == expected
