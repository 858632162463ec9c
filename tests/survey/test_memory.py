"""A worker runs as many tasks at once as its memory holds, and says what it can never hold."""

import os
import re
import signal
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from distributed import Client, LocalCluster, Nanny, Scheduler, SpecCluster
from hypothesis import given
from hypothesis import strategies as st

import pxdask
from pxdask.cluster.supervisor import Supervision
from pxdask.core.config import FitConfig
from pxdask.core.errors import ClusterError
from pxdask.io.catalog_file import CatalogFile
from pxdask.survey.context import open_context
from pxdask.survey.dask_executor import DaskExecutor
from pxdask.survey.memory import (
    BASE,
    FULL_PART,
    KILLED_PART,
    SMALL,
    Budget,
    bears,
    fit_memory,
    within_memory,
)
from pxdask.survey.work import plan_galaxy
from tests.survey.mini import SIDE, make_survey, outputs

LIMIT = 2e9


def carry(budget, needs, *, hold_s=0.002):
    """Let threads take some of a budget each; return the most that was taken, and the order."""
    taken, most, order = [], [0.0], []
    lock = threading.Lock()

    def work(number, need):
        with budget.share(need):
            with lock:
                taken.append(need)
                order.append(number)
                most[0] = max(most[0], sum(taken) if len(taken) > 1 else 0.0)
            time.sleep(hold_s)
            with lock:
                taken.remove(need)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(needs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    return most[0], order


@given(st.lists(st.floats(1e6, 3e9), max_size=8))
def test_tasks_together_never_take_more_than_there_is(needs):
    most, order = carry(Budget(LIMIT, used=lambda: BASE), needs)
    assert most <= FULL_PART * LIMIT - BASE
    assert sorted(order) == list(range(len(needs)))


def test_what_the_process_holds_already_is_not_there_for_tasks():
    room = FULL_PART * LIMIT - BASE
    assert carry(Budget(LIMIT, used=lambda: BASE), [room / 2] * 2, hold_s=0.2)[0] == room
    assert carry(Budget(LIMIT, used=lambda: 2 * BASE), [room / 2] * 2, hold_s=0.2)[0] == 0


def test_a_large_task_is_not_passed_by_small_ones_for_ever():
    """It asks second, and comes second, though the third would fit beside the first."""
    budget, order = Budget(LIMIT, used=lambda: BASE), []
    begun = threading.Event()

    def work(name, need):
        with budget.share(need):
            order.append(name)
            begun.set()
            time.sleep(0.2)

    first = threading.Thread(target=work, args=("first", 0.5e9))
    first.start()
    assert begun.wait(timeout=10)
    others = [("large", 1e9), ("small", 0.1e9)]
    threads = [threading.Thread(target=work, args=pair) for pair in others]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in [first, *threads]:
        thread.join(timeout=10)
    assert order == ["first", "large", "small"]


def test_limits_by_hand():
    assert bears(0, 1e15)  # without limit
    most = KILLED_PART * LIMIT - BASE
    assert bears(LIMIT, most)
    assert not bears(LIMIT, 1.001 * most)
    with pytest.raises(ClusterError, match=r"the cube takes about 1\.6 GB .* may use 2 GB: give"):
        Budget(LIMIT).refuse(1.6e9, "the cube")
    # (150 + 40 * 10 bands) bytes for each of 500,000 models: 267 MB were measured
    assert fit_memory(FitConfig(), n_model=500_000, n_band=10) == pytest.approx(275e6)


def test_outside_a_worker_nothing_waits_or_is_refused():
    with within_memory(1e15, "anything"):
        pass


def test_a_plan_foretells_what_is_to_be_done(finished_run, tmp_path):
    context = open_context(finished_run)
    galaxy = next(CatalogFile(finished_run.store / "catalog.parquet").rows())
    assert plan_galaxy(galaxy, context).memory == {}  # all is done
    empty = type(context)(tmp_path, context.config, context.products, context.data_root)
    memory = plan_galaxy(galaxy, empty).memory
    assert set(memory) == {"image", "cube", "bins", "fit", "maps", "products"}
    assert memory["cube"] == SMALL + 65 * 3 * SIDE**2
    assert memory["image"] == SMALL + 150 * SIDE**2  # the image is no larger than the stamp


def hold(n_byte, _number):
    """Really take so much memory for a moment; say when, and in which process."""
    with within_memory(n_byte, "a test"):
        begin = time.time()
        block = np.ones(int(n_byte) // 8)
        time.sleep(0.3)
        return os.getpid(), begin, time.time(), float(block[-1])


@pytest.fixture(scope="module")
def four_threads():
    """One worker of 1.6 GB with four threads, as a queue's job may have."""
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=4,
            memory_limit=1.6e9,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.mark.cluster
@pytest.mark.slow
def test_a_worker_of_four_threads_survives_what_four_at_once_would_not_fit(four_threads):
    """4 * 0.45 GB is more than its limit, above which it would be killed."""
    pid = four_threads.submit(os.getpid, pure=False).result()
    found = [four_threads.submit(hold, 0.45e9, n, pure=False) for n in range(4)]
    ended = sorted(future.result(timeout=60)[:3] for future in found)
    assert {process for process, _, _ in ended} == {pid}
    assert all(one[2] <= after[1] for one, after in pairwise(ended))
    # and small ones run side by side
    found = [four_threads.submit(hold, 0.05e9, n, pure=False) for n in range(4)]
    ended = sorted(future.result(timeout=60)[:3] for future in found)
    assert any(one[2] > after[1] for one, after in pairwise(ended))


@pytest.mark.cluster
@pytest.mark.slow
def test_a_galaxy_that_fits_no_worker_is_a_clear_failure(tmp_path, four_threads):
    models = {"ssp": "synthetic", "n_models": 10_000_000}
    catalog, config = make_survey(tmp_path, 1, models=models)
    place = tmp_path / "run"
    pid = four_threads.submit(os.getpid, pure=False).result()
    run = pxdask.submit(catalog, config, place, four_threads, root=tmp_path, progress=False)
    failed = list(run.failures())
    assert {row["stage"] for row in failed} == {"fit"}
    words = r"fit 000000 of galaxy g00 takes about 2\.74 GB of memory.*a worker may use 1\.6 GB"
    assert re.match(words, failed[0]["error"])
    assert not failed[0]["permanent"]  # a larger worker will do it
    assert four_threads.submit(os.getpid, pure=False).result() == pid
    assert run.dataset("g00", "bins").sizes["bin"] > 1


@pytest.mark.cluster
@pytest.mark.slow
def test_four_threads_write_the_same_bytes(finished_run, tmp_path, four_threads):
    root = finished_run.store.parent
    again = pxdask.submit(
        *(root / "catalog.ecsv", root / "survey.yaml", tmp_path / "run", four_threads),
        root=root,
        progress=False,
    )
    assert outputs(again.store) == outputs(finished_run.store)


def where(_number):
    return os.getpid()


def end_here(folder):
    """Kill the first process that comes here; return the next one."""
    if not any(folder.iterdir()):
        (folder / "was-here").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


@pytest.mark.cluster
@pytest.mark.slow
def test_what_fits_only_some_workers_goes_to_these(tmp_path):
    """The scheduler knows nothing of memory: both workers are idle, and equal to it."""
    nanny = {"cls": Nanny}
    with (
        SpecCluster(
            workers={
                n: {**nanny, "options": {"nthreads": 1, "memory_limit": limit}}
                for n, limit in enumerate((1e9, 3e9))
            },
            scheduler={
                "cls": Scheduler,
                "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"},
            },
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        executor = DaskExecutor(client, Supervision(period_s=0.5))
        for n in range(8):
            executor.submit(where, n, name=("where", str(n)), memory=1e9)
        large = next(
            client.run(os.getpid)[address]
            for address, one in client.scheduler_info(n_workers=-1)["workers"].items()
            if one["memory_limit"] > 2e9
        )
        assert {handle.result for handle in executor.completed()} == {large}
        kill = executor.submit(end_here, tmp_path, name=("kill", ""), memory=1e9)
        waits = executor.submit(where, 9, name=("where", "9"), memory=1e9)
        list(executor.completed())
        assert kill.result not in (large, None)  # in the large one's next process
        assert waits.result == kill.result
