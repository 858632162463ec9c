"""Whatever befalls workers and disks: nothing is lost, nothing torn, nothing told twice."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
from distributed import Client

import pxdask
from benchmarks import synthetic
from pxdask.cluster.heartbeat import Heartbeat
from pxdask.cluster.supervisor import Supervision
from pxdask.core.errors import ClusterError
from pxdask.survey.dask_executor import RESULT_S, DaskExecutor
from pxdask.survey.executors import SerialExecutor
from pxdask.survey.manifest import Manifest
from tests.survey.chaos import (
    DISKS,
    FAULTS,
    Chaos,
    drive_to_the_end,
    outputs,
    struck,
    told_twice,
)
from tests.survey.hazards import count, join, lone_scheduler, work

pytestmark = pytest.mark.cluster

N_GALAXY = 6


def chaos(folder, *, seed, rate, faults=FAULTS):
    hits = folder / "hits"
    hits.mkdir(parents=True, exist_ok=True)
    return Chaos(seed, rate, hits, os.getpid(), faults)


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    root = tmp_path_factory.mktemp("calm")
    run = synthetic.context(root / "run", root)
    synthetic.write_inputs(root, N_GALAXY)
    assert (
        drive_to_the_end(run, SerialExecutor(), chaos(root, seed=0, rate=0.0).calls, N_GALAXY) == 1
    )
    found = outputs(run)
    assert len(found) == N_GALAXY * (synthetic.N_TASK + 1)  # the last one writes two files
    return found


@pytest.mark.parametrize("seed", range(4))
def test_broken_disks(calm, tmp_path, seed):
    synthetic.write_inputs(tmp_path, N_GALAXY)
    run = synthetic.context(tmp_path / "run", tmp_path)
    faults = chaos(tmp_path, seed=seed, rate=0.5, faults=DISKS)
    drive_to_the_end(run, SerialExecutor(), faults.calls, N_GALAXY)
    assert outputs(run) == calm
    assert not told_twice(run)
    seen = struck(faults.hits)
    assert set(seen) == set(DISKS)
    failed = [r for r in Manifest(run.root / "manifest").records() if r.outcome == "failed"]
    assert len(failed) == seen["ENOSPC"]
    assert all(re.search("No space left", record.error) for record in failed)


@pytest.mark.slow
def test_killed_workers_and_broken_disks(calm, tmp_path):
    synthetic.write_inputs(tmp_path, N_GALAXY)
    run = synthetic.context(tmp_path / "run", tmp_path)
    with pxdask.connect("local", workers=2) as client:
        faults = chaos(tmp_path, seed=16, rate=0.15)  # each fault strikes, kills once
        drive_to_the_end(run, DaskExecutor(client), faults.calls, N_GALAXY)
    assert outputs(run) == calm
    assert not told_twice(run)
    assert set(struck(faults.hits)) == set(FAULTS)


QUICK = Supervision(period_s=0.2, alone_s=0.5, gone_s=3.0)


def lose_workers(client):
    """Let a local cluster lose its workers, as it drops those that are slow to come back."""
    cluster = client.cluster
    for name, nanny in list(cluster.workers.items()):
        cluster.sync(nanny.close)
        del cluster.workers[name]


def test_a_driver_that_is_stuck_tells_where(caplog):
    def wait_for_a_broken_disk():
        time.sleep(1.5)

    begun = time.monotonic()
    with Heartbeat(silent_s=0.2):
        wait_for_a_broken_disk()
    passed = time.monotonic() - begun
    told = [r.getMessage() for r in caplog.records if "the run has been stuck" in r.getMessage()]
    # after 0.2, 0.4 and 0.8 s, and 1.6 s where the machine is slow
    assert 1 <= len(told) <= 1 + math.log2(passed / 0.2)
    assert all("wait_for_a_broken_disk" in text for text in told)


def test_a_driver_that_goes_on_is_left_in_peace(caplog):
    with Heartbeat(silent_s=1.0) as heart:
        for _ in range(15):
            time.sleep(0.1)
            heart.beat()
    assert not caplog.text


def kill_worker(client):
    """Kill the process of a worker, and wait until the scheduler knows."""
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.workers)):
        time.sleep(0.05)


@contextmanager
def lone_worker(folder, address):
    """Give the process group of a worker that nobody starts again."""
    words = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    process = subprocess.Popen(
        [sys.executable, "-m", *words, "--local-directory", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_results_that_are_lost_with_all_workers_are_made_again(tmp_path, caplog):
    """Dask waits for such results until a worker is there; the waiting one has to see to that.

    Without it, each result is waited for in silence for a minute, and nobody asks for workers.
    """
    caplog.set_level("CRITICAL", "distributed")
    with pxdask.connect("local", workers=2) as client:
        executor = DaskExecutor(client, QUICK)
        works = [executor.submit(work, i, name=("work", str(i))) for i in range(6)]
        total = executor.submit(join, list(works), str(tmp_path), name=("join", ""))
        while not count(tmp_path, "join"):
            time.sleep(0.05)
        lose_workers(client)
        begun = time.monotonic()
        list(executor.completed())
        assert time.monotonic() - begun < RESULT_S
    assert [call.result for call in works] == [2 * i for i in range(6)]
    assert total.result == 30
    assert not any(call.error for call in [*works, total])


@pytest.mark.slow
def test_a_result_is_lost_between_the_news_of_it_and_the_asking(tmp_path, caplog, monkeypatch):
    """The client believes that it is there, and asks a worker that has just died."""
    caplog.set_level("CRITICAL", "distributed")
    with pxdask.connect("local", workers=1) as client:
        executor = DaskExecutor(client, QUICK)
        call = executor.submit(work, 1, str(tmp_path), name=("work", ""))
        fetched = executor._fetched

        def fetched_too_late(future):
            monkeypatch.undo()
            lose_workers(client)
            future._state.finish()  # nobody has told it yet
            return fetched(future)

        monkeypatch.setattr(executor, "_fetched", fetched_too_late)
        begun = time.monotonic()
        list(executor.completed())
        assert time.monotonic() - begun < RESULT_S
    assert (call.result, call.error) == (2, "")
    assert count(tmp_path, "work1") >= 2


@pytest.mark.slow
def test_a_run_whose_workers_do_not_come_back_ends_and_says_so(tmp_path, caplog):
    caplog.set_level("CRITICAL", "distributed")
    caplog.handler.setLevel("WARNING")
    with (
        lone_scheduler(tmp_path, n_workers=0) as (address, _),
        Client(address, timeout=30) as client,
        lone_worker(tmp_path, address) as worker,
    ):
        client.wait_for_workers(1, timeout=60)
        executor = DaskExecutor(client, QUICK)
        first = executor.submit(work, 1, None, 5 * QUICK.period_s, name=("work", "first"))
        executor.submit(work, 2, None, 5 * QUICK.period_s, name=("work", "second"))
        done = executor.completed()
        assert next(done) is first
        os.killpg(worker, signal.SIGKILL)
        executor.submit(work, 3, name=("work", "third"))
        begun = time.monotonic()
        with pytest.raises(ClusterError, match=r"all workers are gone \(1 were there\)"):
            list(done)
        assert time.monotonic() - begun < RESULT_S
    assert re.search("no worker for .* minutes: the run waits", caplog.text)


@pytest.mark.slow
def test_calls_of_the_same_name_are_not_mistaken_for_those_of_another_run():
    """Dask takes a call whose key it knows for the one that it knows, whatever it is to do."""
    with pxdask.connect("local", workers=1) as client:
        one, other = DaskExecutor(client), DaskExecutor(client)
        first = one.submit(work, 1, name=("work", "same"))
        second = other.submit(work, 5, name=("work", "same"))
        list(other.completed())
        list(one.completed())
    assert (first.result, second.result) == (2, 10)


@pytest.mark.slow
def test_calls_of_a_run_that_was_left_are_not_carried_out(tmp_path):
    """A run that is broken off leaves nothing to a cluster that goes on."""
    with pxdask.connect("local", workers=1) as client:
        executor = DaskExecutor(client)
        for i in range(20):
            executor.submit(work, i, str(tmp_path), 0.2, name=("work", str(i)))
        done = executor.completed()
        next(done)
        done.close()
        time.sleep(1.0)
        begun = sum(count(tmp_path, f"work{i}") for i in range(20))
        assert begun <= 5
        assert not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        time.sleep(0.5)
        assert sum(count(tmp_path, f"work{i}") for i in range(20)) == begun


@pytest.mark.slow
def test_a_second_loss_is_not_taken_for_the_first(caplog):
    """Dask closes what should bring a worker back 15 s after a loss, if one is lost just then."""
    caplog.set_level("CRITICAL", "distributed")
    with pxdask.connect("local", workers=1) as client:
        (nanny,) = client.cluster.workers.values()
        begun = time.monotonic()
        kill_worker(client)
        client.wait_for_workers(1, timeout=60)
        time.sleep(max(0.0, 14.5 - (time.monotonic() - begun)))
        kill_worker(client)  # and it takes longer than half a second to come back
        time.sleep(2.0)
        assert list(client.cluster.workers.values()) == [nanny]
        client.wait_for_workers(1, timeout=60)


_TWICE = """
import sys
import pxdask
if __name__ == "__main__":
    assert "distributed" not in sys.modules
    for _ in range(2):
        with pxdask.connect("local", workers=1) as client:
            print(len(client.nthreads()))
"""


@pytest.mark.slow
def test_a_program_connects_twice(tmp_path):
    """What is set for the first cluster alone leaves the settings of the second whole."""
    script = tmp_path / "twice.py"
    script.write_text(_TWICE)
    done = subprocess.run(
        [sys.executable, script], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["1", "1"]
