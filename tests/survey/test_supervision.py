"""Workers that die, hang and lose things: the rest goes on, and only who is guilty is blamed."""

import os
import signal
import threading
import time

import pytest
from distributed import Client, Nanny, Scheduler, SpecCluster, Worker

import pxdask
from pxdask.cluster.supervisor import (
    Running,
    Sight,
    Supervision,
    Supervisor,
    WorkerSight,
    explained,
)
from pxdask.core.errors import ClusterError
from pxdask.survey import dask_executor
from pxdask.survey.dask_executor import DaskExecutor
from pxdask.survey.executors import SerialExecutor
from tests.survey.hazards import (
    broken,
    count,
    hang_once,
    join,
    kill_twice_then_work,
    lone_scheduler,
    poison,
    work,
)

pytestmark = pytest.mark.cluster

QUICK = Supervision(period_s=0.2, slow_factor=3.0, slow_s=1.5, lost_s=8.0, reconnect_s=3.0)


@pytest.fixture(scope="module")
def cluster():
    with pxdask.connect("local", workers=2) as client:
        yield client


@pytest.fixture
def client(cluster):
    """Give the cluster once it has recovered from the test before."""
    cluster.wait_for_workers(2, timeout=60)
    return cluster


@pytest.fixture
def name(request):
    """Give names that no other test has given to calls of the same cluster."""
    return lambda *words: (words[0], request.node.name, *map(str, words[1:]))


@pytest.mark.parametrize("kind", ["serial", "dask"])
def test_what_takes_the_result_of_a_broken_call_is_blocked(kind, request, name, tmp_path):
    executor = (
        SerialExecutor() if kind == "serial" else DaskExecutor(request.getfixturevalue("client"))
    )
    bad = executor.submit(broken, 0, name=name("broken"))
    good = executor.submit(work, 1, name=name("work"))
    both = executor.submit(join, [bad, good], str(tmp_path), name=name("join"))
    after = executor.submit(join, [both], str(tmp_path), name=name("join", 2))
    assert len(list(executor.completed())) == 4
    assert (bad.blocked, good.blocked, both.blocked, after.blocked) == (False, False, True, True)
    assert good.result == 2
    assert "no good" in after.error
    assert not count(tmp_path, "join")


@pytest.mark.slow
def test_a_call_that_kills_its_worker_is_blamed_alone(client, name, tmp_path, caplog):
    """It takes two workers and one process of its own; all others end well."""
    executor = DaskExecutor(client, QUICK)
    works = [executor.submit(work, i, None, 0.05, name=name("work", i)) for i in range(20)]
    bad = executor.submit(poison, str(tmp_path), name=name("poison"), priority=1)
    blocked = executor.submit(join, [bad], name=name("join"))
    works += [executor.submit(work, i, name=name("work", i)) for i in range(20, 40)]
    caplog.set_level("CRITICAL", "distributed")
    list(executor.completed())
    assert [call.result for call in works] == [2 * i for i in range(40)]
    assert not any(call.error for call in works)
    assert "signal 9 (SIGKILL)" in bad.error
    assert (bad.permanent, blocked.blocked) == (True, True)
    assert count(tmp_path, "poison") == 3


@pytest.mark.slow
def test_an_unlucky_call_is_cleared(client, name, tmp_path):
    """Two workers died on it, by chance: alone it does its work, and what follows goes on."""
    executor = DaskExecutor(client, QUICK)
    first = executor.submit(work, 1, name=name("work"))
    unlucky = executor.submit(kill_twice_then_work, first, str(tmp_path), name=name("unlucky"))
    total = executor.submit(join, [first, unlucky], name=name("join"))
    list(executor.completed())
    assert (unlucky.result, total.result) == (4, 6)
    assert (unlucky.error, total.error) == ("", "")
    assert count(tmp_path, "unlucky") == 3


@pytest.mark.slow
@pytest.mark.slow
def test_results_that_are_here_are_not_made_again(client, name, tmp_path):
    """Both workers die after them, whose handles are kept: a few are begun before that is seen."""
    executor = DaskExecutor(client, QUICK)
    handles = [
        executor.submit(work, i, str(tmp_path), 1.0, name=name("work", i)) for i in range(12)
    ]
    assert len(list(executor.completed())) == len(handles)
    executor.submit(kill_twice_then_work, 1, str(tmp_path), name=name("unlucky"))
    (unlucky,) = executor.completed()
    assert unlucky.result == 2
    assert count(tmp_path, "work*") <= len(handles) + 4


def test_a_hanging_call_runs_again_elsewhere_and_its_worker_comes_back(client, name, tmp_path):
    executor = DaskExecutor(client, QUICK)
    quick = [executor.submit(work, i, None, 0.2, name=name("slow", i)) for i in range(8)]
    assert len(list(executor.completed())) == len(quick)
    pids = set(client.run(os.getpid).values())
    hanging = executor.submit(hang_once, str(tmp_path), name=("slow", "hang", str(tmp_path)))
    begin = time.monotonic()
    list(executor.completed())
    assert hanging.result == "done"
    assert time.monotonic() - begin < 60
    assert count(tmp_path, "hang") == 2
    client.wait_for_workers(2, timeout=30)
    assert len(pids & set(client.run(os.getpid).values())) == 1, "the hanging process is there"


@pytest.mark.slow
def test_kills_at_random_lose_nothing_and_repeat_little(client, name, tmp_path):
    """Four kills of workers among 120 calls: each costs what its worker had, at most."""
    executor = DaskExecutor(client, QUICK)
    works = [executor.submit(work, i, str(tmp_path), 0.2, name=name("work", i)) for i in range(120)]
    total = executor.submit(join, list(works), name=name("join"))

    def kill():
        for _ in range(4):
            time.sleep(0.5)
            client.wait_for_workers(2, timeout=60)
            # the nanny of one that is just starting gives up when that is killed
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    list(executor.completed())
    killer.join(timeout=60)
    assert total.result == sum(2 * i for i in range(120))
    # what was only in the memory of the dead is repeated: at most all, for each of them
    assert sum(count(tmp_path, f"work{i}") for i in range(120)) <= 120 * (1 + 4 / 2)


@pytest.mark.slow
def test_a_lost_scheduler_is_told(tmp_path, caplog):
    caplog.set_level("CRITICAL", "distributed")
    with (
        lone_scheduler(tmp_path, n_workers=1) as (address, group),
        Client(address, timeout=3) as client,
    ):
        executor = DaskExecutor(client, QUICK)
        for i in range(50):
            executor.submit(work, i, name=("work", str(i)))
        done = executor.completed()
        next(done)
        os.killpg(group, signal.SIGKILL)
        begin = time.monotonic()
        with pytest.raises(ClusterError, match=r"scheduler .* is gone"):
            list(done)
        assert time.monotonic() - begin < 30


def test_a_result_may_be_looked_for_often(client, name, monkeypatch):
    """A look that Dask stops before it begins spoils all later ones: about one in 300 would."""
    monkeypatch.setattr(dask_executor, "RESULT_LOOK_S", 5e-4)
    executor = DaskExecutor(client, QUICK)
    for i in range(600):
        executor.submit(work, i, None, 0.0, name=name("work", i))
    handles = list(executor.completed())
    assert not [handle.error for handle in handles if handle.error]
    assert sorted(handle.result for handle in handles) == [2 * i for i in range(600)]


class Told:
    """A client that a supervisor may tell things, and a clock that a test turns."""

    cluster = scheduler = None

    def __init__(self):
        self.status = "running"
        self.now = 0.0
        self.told = []

    def run_on_scheduler(self, function):
        self.told.append(function)

    def register_plugin(self, plugin):
        self.told.append(plugin)


class Lost(Told):
    """One whose scheduler is gone: it hopes for it first, and has given it up in the end."""

    def ncores(self):
        raise OSError("connection refused") if self.status == "connecting" else AttributeError

    def nthreads(self):
        if self.status == "running":
            return {"tcp://w1": 2, "tcp://w2": 1}
        return self.ncores()

    def run_on_scheduler(self, function, *_, **__):
        return super().run_on_scheduler(function) if self.status == "running" else self.ncores()

    def submit(self, *_, **__):
        self.ncores()


def test_whatever_is_asked_of_a_lost_scheduler_tells_of_its_loss():
    client = Lost()
    executor = DaskExecutor(client, QUICK)
    assert executor.width == 3
    client.status = "connecting"
    assert executor.width == 3, "it may come back"
    assert executor._supervisor.look([]) is None
    client.status = "closed"
    for ask in (
        lambda: executor.width,
        lambda: executor.submit(work, 1, name=("work", "1")),
        lambda: Supervisor(client),
        executor._supervisor.await_scheduler,
        lambda: executor._supervisor.look([]),
    ):
        with pytest.raises(ClusterError, match=r"the scheduler .* is gone"):
            ask()


def test_a_scheduler_that_does_not_answer_at_first_is_an_error():
    client = Lost()
    client.status = "connecting"
    with pytest.raises(ClusterError, match=r"the scheduler .* does not answer"):
        Supervisor(client)


def sight(*running, workers=()):
    typical = {"fit": 100.0, "image": 0.1}
    return Sight(tuple(running), typical, {"processing": len(running)}, frozenset(), tuple(workers))


def test_slow_is_far_longer_than_typical_and_than_the_least():
    """More than 10 x 100 s for one kind; more than 600 s for a quick one; never without a rule."""
    supervisor = Supervisor(Told())
    tasks = [
        Running("a", "fit", "w1", 1001.0),
        Running("b", "fit", "w1", 999.0),
        Running("c", "image", "w1", 601.0),
        Running("d", "image", "w1", 599.0),
        Running("e", "new", "w1", 1e6),
    ]
    assert [task.key for task in supervisor.slow(sight(*tasks))] == ["a", "c"]


def test_a_wedged_run_is_explained_once_in_a_while(caplog):
    client = Told()
    supervisor = Supervisor(client, Supervision(wedged_s=60.0), clock=lambda: client.now)
    worker = WorkerSight("tcp://w1", "w-1", "paused", 1_900_000_000, 2_000_000_000, 1, 3.0)
    seen = sight(Running(("fit", "g07", "000004", "12"), "fit", "tcp://w1", 70.0), workers=[worker])
    assert not supervisor.explain_if_wedged(seen, ["x"])
    client.now = 61.0
    assert not supervisor.explain_if_wedged(seen, [])
    text = supervisor.explain_if_wedged(seen, ["x"])
    for words in (
        "no task has ended for 1.0 minutes",
        "fit g07 000004",
        "70 s on tcp://w1, typical are 100.0 s",
    ):
        assert words in text
    assert "w-1 (tcp://w1): paused, 1 tasks, 1.90 of 2.00 GB" in text
    assert text in caplog.text
    client.now = 100.0
    assert not supervisor.explain_if_wedged(seen, ["x"]), "told a moment ago"
    client.now = 125.0
    assert "2.1 minutes" in supervisor.explain_if_wedged(seen, ["x"])
    supervisor.progressed()
    assert not supervisor.explain_if_wedged(seen, ["x"])


def test_without_workers_the_queue_is_named():
    text = explained(sight(), ["x"], still_s=120.0, jobs=4)
    assert "there is no worker of 4 jobs: look at the queue" in text


@pytest.mark.slow
def test_a_worker_ends_its_tasks_before_its_lifetime(tmp_path):
    """No task is begun twice as a worker leaves; Dask alone drops what runs at that moment."""
    options = {
        "nthreads": 1,
        "host": "127.0.0.1",
        "worker_class": Worker,
        "dashboard_address": "127.0.0.1:0",
    }
    cluster = SpecCluster(
        workers={
            "short": {"cls": Nanny, "options": {**options, "lifetime": "8s"}},
            "long": {"cls": Nanny, "options": options},
        },
        scheduler={
            "cls": Scheduler,
            "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"},
        },
    )
    with cluster, Client(cluster) as client:
        executor = DaskExecutor(client, QUICK)
        n_call = 20
        for i in range(n_call):
            executor.submit(work, i, str(tmp_path), 1.0, name=("drain", str(i)))
        handles = list(executor.completed())
    assert sorted(handle.result for handle in handles) == [2 * i for i in range(n_call)]
    assert sum(count(tmp_path, f"work{i}") for i in range(n_call)) == n_call
    pids = {path.name.split("-")[1] for path in tmp_path.glob("work*")}
    assert len(pids) >= 2
