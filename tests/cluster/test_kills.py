"""A survey through everything that clusters do to jobs: complete, and the same bytes each time."""

import os
import re
import signal
import threading
import time

import pytest
from distributed import Client

import pxdask
from pxdask.cluster.supervisor import Supervision
from pxdask.core.errors import ClusterError
from pxdask.survey.executors import DaskExecutor
from tests.cluster.slurm import local_slurm
from tests.survey.hazards import count, lone_scheduler, work
from tests.survey.mini import make_survey, outputs

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

N_GALAXY = 5


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Return catalogue, settings, and the outputs of an undisturbed run in one process."""
    root = tmp_path_factory.mktemp("survey")
    binning = {"snr": 60.0, "min_diameter": 5.0}
    catalog, config = make_survey(root, N_GALAXY, binning=binning)
    store = root / "serial"
    pxdask.submit(catalog, config, store, root=root, serial=True, progress=False)
    return catalog, config, root, outputs(store)


@pytest.fixture(scope="module")
def slurm():
    with (
        local_slurm(nodes=2, cores=2, memory_mb=8192) as queue,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLURM_CONF", str(queue.conf))
        yield queue


@pytest.fixture
def options(slurm):
    shared = str(slurm.folder / "shared")
    return {"memory": "1GB", "interface": "lo", "shared": shared, "dashboard_port": 0}


def once_busy(store, disturb):
    """Do something to the run when its first cube is there: in the middle of the work."""

    def wait():
        while not any(store.rglob("cube-*.zarr.zip")):
            time.sleep(0.01)
        disturb()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def made(store):
    """Return for each task how often the manifest says that it was made."""
    text = "".join(path.read_text() for path in sorted((store / "manifest").iterdir()))
    tasks = re.findall(r'"id": "(\w+)", "stage": "(\w+)", "part": "(\w*)".*"outcome": "done"', text)
    return {task: tasks.count(task) for task in tasks}


def begun_in_vain(store):
    """Return how often a task was begun and not ended, by the logs of the galaxies."""
    text = "".join(path.read_text() for path in sorted((store / "logs").rglob("*.jsonl")))
    return len(re.findall(r" begins\"", text)) - len(re.findall(r" after [0-9.]+ s, key", text))


def check(store, wanted, *, lost):
    """Check that a run is complete, made nothing twice, and lost little: tasks in mid-work."""
    assert outputs(store) == wanted
    assert set(made(store).values()) == {1}
    assert 0 <= begun_in_vain(store) <= lost


def test_scancel_of_a_job(slurm, options, survey, tmp_path):
    catalog, config, root, wanted = survey
    store = tmp_path / "run"
    with pxdask.connect("slurm", jobs=2, **options) as client:
        client.wait_for_workers(2, timeout=60)
        victim = min(slurm.jobs())
        thread = once_busy(store, lambda: slurm.cancel(victim))
        pxdask.submit(catalog, config, store, client, root=root, progress=False)
        thread.join(timeout=30)
        assert victim not in slurm.jobs()
    check(store, wanted, lost=1)


def test_kill_9_of_a_process_in_a_job(options, survey, tmp_path):
    catalog, config, root, wanted = survey
    store = tmp_path / "run"
    with pxdask.connect("slurm", jobs=2, **options) as client:
        client.wait_for_workers(2, timeout=60)
        victim = next(iter(client.run(os.getpid).values()))
        thread = once_busy(store, lambda: os.kill(victim, signal.SIGKILL))
        pxdask.submit(catalog, config, store, client, root=root, progress=False)
        thread.join(timeout=30)
    check(store, wanted, lost=1)


def test_jobs_are_topped_up(slurm, options, tmp_path):
    """A job of two workers that was cancelled comes back; dask-jobqueue leaves it away."""
    wide = {**options, "workers_per_job": 2, "cores": 2, "memory": "2GB"}
    with pxdask.connect("slurm", jobs=2, **wide) as client:
        client.wait_for_workers(4, timeout=60)
        executor = DaskExecutor(client, Supervision(period_s=0.5, lost_s=2.0))
        before = set(slurm.jobs())
        slurm.cancel(min(before))
        for i in range(80):
            executor.submit(work, i, str(tmp_path), 0.5, name=("work", str(i)))
        handles = list(executor.completed())
        assert len(set(slurm.jobs()) - before) == 1
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 4
    assert sorted(handle.result for handle in handles) == [2 * i for i in range(80)]


def test_the_walltime_of_jobs(slurm, options, tmp_path):
    """Workers end their tasks before their job does, and another job takes over."""
    short = {**options, "walltime": 60}
    n_call = 60
    with pxdask.connect("slurm", jobs=1, **short) as client:
        client.wait_for_workers(1, timeout=60)
        (first,) = slurm.jobs()
        executor = DaskExecutor(client, Supervision(period_s=0.5, lost_s=2.0))
        for i in range(n_call):
            executor.submit(work, i, str(tmp_path), 1.0, name=("work", str(i)))
        handles = list(executor.completed())
        assert slurm.jobs() != [first]
    assert sorted(handle.result for handle in handles) == [2 * i for i in range(n_call)]
    assert sum(count(tmp_path, f"work{i}") for i in range(n_call)) <= n_call + 1


def test_kill_9_of_the_scheduler(survey, tmp_path, caplog):
    """The driver ends at once and says how to go on; going on gives the same bytes."""
    catalog, config, root, wanted = survey
    store = tmp_path / "run"
    caplog.set_level("CRITICAL", "distributed")
    with (
        lone_scheduler(tmp_path, n_workers=2) as (address, group),
        Client(address, timeout=3) as client,
    ):
        once_busy(store, lambda: os.killpg(group, signal.SIGKILL))
        with pytest.raises(ClusterError, match=r"scheduler .* is gone: .* `pxdask resume "):
            pxdask.submit(catalog, config, store, client, root=root, progress=False)
    assert outputs(store) != wanted
    assert not any('"failed"' in path.read_text() for path in (store / "manifest").glob("*"))
    with pxdask.connect("local", workers=2) as client:
        pxdask.resume(store, client, progress=False)
    check(store, wanted, lost=2)
