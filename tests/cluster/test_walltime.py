"""Jobs whose time is over: workers that know it end their tasks, others are cut off."""

import time

import pytest

import pxdask
from pxdask.cluster.supervisor import Supervision
from pxdask.survey.dask_executor import DaskExecutor
from tests.cluster.conftest import N_GALAXY
from tests.cluster.disturbance import check, n_finished, once
from tests.survey.hazards import count, work

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

WALLTIME_S = 60.0
"""The least that SLURM knows."""

EVERY_S = 30.0
"""SLURM looks so often which jobs are over their time."""


def test_workers_end_before_their_job(slurm, options, tmp_path):
    """They end their tasks in time, and another job takes over."""
    short = {**options, "walltime": WALLTIME_S}
    n_call = 60
    with pxdask.connect("slurm", jobs=1, **short) as client:
        client.wait_for_workers(1, timeout=60)
        (first,) = slurm.jobs()
        executor = DaskExecutor(client, Supervision(period_s=0.5, lost_s=2.0))
        for i in range(n_call):
            executor.submit(work, i, str(tmp_path), 1.0, name=("work", str(i)))
        handles = list(executor.completed())
        assert slurm.jobs() != [first]
        assert slurm.state(first) != "TIMEOUT"
    assert sorted(handle.result for handle in handles) == [2 * i for i in range(n_call)]
    assert sum(count(tmp_path, f"work{i}") for i in range(n_call)) <= n_call + 1


def test_a_job_that_does_not_know_its_walltime(slurm, options, survey, tmp_path):
    """The limit of the queue is shorter than the settings say: the only job is cut off.

    The survey begins when the job's time is nearly over, and is longer than SLURM can be late. On a
    slow machine the jobs that follow are cut off as well.
    """
    store = tmp_path / "run"
    options |= {"walltime": 3600, "directives": ["-t 1"]}
    n_earlier = slurm.n_cut_off()
    with pxdask.connect("slurm", jobs=1, **options) as client:
        client.wait_for_workers(1, timeout=60)
        (first,) = slurm.jobs()
        time.sleep(max(0.0, WALLTIME_S - slurm.age_s(first)))
        cut_off = {}
        thread = once(
            lambda: slurm.state(first) == "TIMEOUT",
            lambda: cut_off.update(done=n_finished(store)),
        )
        pxdask.submit(
            survey.catalog, survey.config, store, client, root=survey.root, progress=False
        )
        thread.join(timeout=2 * EVERY_S)
        assert slurm.jobs() != [first]
    assert cut_off["done"] < N_GALAXY
    check(store, survey, lost=slurm.n_cut_off() - n_earlier)
