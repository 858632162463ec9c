"""A survey through everything that clusters do to jobs: complete, and the same bytes each time."""

import os
import signal
import subprocess

import pytest
import yaml

import pxdask
from pxdask.cluster.supervisor import Supervision
from pxdask.core.errors import ClusterError
from pxdask.survey.dask_executor import DaskExecutor
from tests.cluster.conftest import N_GALAXY
from tests.cluster.disturbance import (
    N_DONE,
    check,
    command,
    held_cluster,
    made,
    n_finished,
    once_busy,
)
from tests.survey.hazards import work

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

JOBS = 4


@pytest.fixture
def store(tmp_path):
    return tmp_path / "run"


def test_scancel_of_a_job(slurm, options, survey, store):
    with pxdask.connect("slurm", jobs=JOBS, **options) as client:
        client.wait_for_workers(JOBS, timeout=60)
        victim = min(slurm.jobs())
        thread = once_busy(store, lambda: slurm.cancel(victim))
        pxdask.submit(
            survey.catalog, survey.config, store, client, root=survey.root, progress=False
        )
        thread.join(timeout=30)
        assert victim not in slurm.jobs()
    check(store, survey, lost=1)


def test_kill_9_of_a_worker(options, survey, store):
    with pxdask.connect("slurm", jobs=JOBS, **options) as client:
        client.wait_for_workers(JOBS, timeout=60)
        victim = next(iter(client.run(os.getpid).values()))
        thread = once_busy(store, lambda: os.kill(victim, signal.SIGKILL))
        pxdask.submit(
            survey.catalog, survey.config, store, client, root=survey.root, progress=False
        )
        thread.join(timeout=30)
    check(store, survey, lost=1)


def test_kill_9_of_the_scheduler(options, survey, store, no_jobs, caplog):
    """The driver ends at once and says how to go on; going on gives the same bytes."""
    caplog.set_level("CRITICAL", "distributed")
    with (
        held_cluster({"jobs": JOBS, **options}) as (how, scheduler),
        pxdask.connect("address", **how) as client,
    ):
        client.wait_for_workers(JOBS, timeout=60)
        once_busy(store, scheduler.kill)
        with pytest.raises(ClusterError, match=r"scheduler .* is gone: .* `pxdask resume "):
            pxdask.submit(
                survey.catalog, survey.config, store, client, root=survey.root, progress=False
            )
        assert scheduler.wait() == -signal.SIGKILL
    assert N_DONE <= n_finished(store) < N_GALAXY
    assert not any('"failed"' in path.read_text() for path in (store / "manifest").glob("*"))
    assert no_jobs(), "workers outlive their scheduler"
    with pxdask.connect("slurm", jobs=JOBS, **options) as client:
        pxdask.resume(store, client, progress=False)
    check(store, survey, lost=JOBS)


def test_kill_9_of_the_client(options, survey, store, tmp_path):
    """Its scheduler and workers live on, and serve the next one."""
    with held_cluster({"jobs": JOBS, **options}) as (how, _):
        cluster = tmp_path / "cluster.yaml"
        cluster.write_text(yaml.safe_dump({"kind": "address", **how}))
        killed(store, command("run", *survey.words(store), "--cluster", cluster))
        with pxdask.connect("address", **how) as client:
            assert len(client.scheduler_info(n_workers=-1)["workers"]) == JOBS
            pxdask.resume(store, client, progress=False)
    check(store, survey, lost=JOBS)


def test_kill_9_of_client_and_scheduler_in_one(options, survey, store, no_jobs, tmp_path):
    """The usual program is both: its jobs end by themselves, and it is started again."""
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text(yaml.safe_dump({"kind": "slurm", "jobs": JOBS, **options}))
    killed(store, command("run", *survey.words(store), "--cluster", cluster))
    assert no_jobs(), "jobs outlive their program"
    words = command("resume", store, "--cluster", cluster)
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"{N_GALAXY} of {N_GALAXY} galaxies have maps" in done.stdout
    check(store, survey, lost=JOBS)


def killed(store, words):
    """Start a run, and kill its process when it is busy."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    once_busy(store, process.kill)
    assert process.wait(timeout=300) == -signal.SIGKILL
    assert N_DONE <= n_finished(store) < N_GALAXY
    assert sum(made(store).values()) > 0


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
