"""Nobody comes for long, or somebody who may not work: the user hears of it, the run goes on."""

import re
from functools import partial
from types import SimpleNamespace

import pytest

import pxdask
from pxdask.cluster.admission import Stranger, own_versions
from pxdask.cluster.arrivals import Arrivals, is_of_job
from pxdask.cluster.supervisor import Sight, Supervision, WorkerSight
from pxdask.core.errors import ClusterError
from pxdask.survey.dask_executor import DaskExecutor
from tests.cluster.disturbance import once
from tests.survey.hazards import work
from tests.survey.mini import outputs

WANTED = {"pxdask": "2.0", "numpy": "3.0"}
HERE = WorkerSight("tls://w1", "pxdask-1", "running", 0, 0, 0, 0.0)
OTHER_NUMPY = Stranger("pxdask-1", "tls://w1", "n1", {**WANTED, "numpy": "2.9"})
OLD = Stranger("pxdask-0", "tls://w0", "n0", {**WANTED, "pxdask": "1.9"})
BROKEN = Stranger("pxdask-0", "tls://w0", "n0", {}, "ImportError: libhdf5.so")
QUICK = Supervision(period_s=0.2, alone_s=1.0, lost_s=2.0)


def sight(*workers, strangers=()):
    return Sight((), {}, {}, frozenset(), workers, strangers)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def arrivals(**jobs):
    """Return arrivals at a cluster of some jobs, and the clock they look at."""
    clock = Clock()
    client = SimpleNamespace(cluster=SimpleNamespace(workers=jobs) if jobs else None)
    return Arrivals(client, WANTED, alone_s=30.0, gone_s=900.0, clock=clock), clock


def job(number, folder=None):
    return SimpleNamespace(job_id=str(number), log_directory=folder)


class TestWaiting:
    def test_it_is_told_now_and_then(self, caplog):
        """After 30 s, then after 60, 120 and so on; and once when somebody comes."""
        seen, clock = arrivals(a=job(17), b=job(18))
        told = {}
        for clock.now in range(0, 301, 10):
            caplog.clear()
            seen.see(sight())
            if caplog.text:
                told[clock.now] = caplog.text
        assert list(told) == [30, 60, 120, 240]
        assert "no worker for 2.0 minutes: the run waits; jobs 17, 18 are submitted" in told[120]
        clock.now = 330
        caplog.clear()
        seen.see(sight(HERE))
        assert "1 workers have come after 5.5 minutes" in caplog.text
        caplog.clear()
        seen.see(sight(HERE))
        seen.see(sight())
        assert not caplog.text

    def test_what_a_job_printed_is_passed_on(self, tmp_path, caplog):
        """A job whose program is broken comes and goes, and nobody else would tell."""
        (tmp_path / "pxdask-17.out").write_text("")
        (tmp_path / "pxdask-17.err").write_text("line 8:\n/opt/python: No such file\n\n")
        seen, clock = arrivals(a=job(17, tmp_path))
        seen.see(sight())
        clock.now = 31
        seen.see(sight())
        assert f"/opt/python: No such file ({tmp_path}/pxdask-17.err)" in caplog.text

    @pytest.mark.parametrize("queued", [True, False])
    def test_workers_that_left_for_good(self, queued):
        """A queue may bring others after any time; nobody else is waited for longer than this."""
        seen, clock = arrivals(**({"pxdask-1": job(17)} if queued else {}))
        seen.see(sight(HERE))
        seen.see(sight())
        clock.now = 899
        seen.see(sight())
        clock.now = 901
        if queued:
            seen.see(sight())
        else:
            with pytest.raises(ClusterError, match=r"all workers are gone .* for 15\.0 minutes"):
                seen.see(sight())

    def test_workers_of_a_job_have_its_name(self):
        assert is_of_job("pxdask-1", "pxdask-1")
        assert is_of_job("pxdask-1-0", "pxdask-1")
        assert not is_of_job("pxdask-10", "pxdask-1")


class TestStrangers:
    def test_another_version_of_another_package_is_a_warning(self, caplog):
        seen, _ = arrivals(a=job(1))
        for _ in range(3):
            seen.see(sight(HERE, strangers=(OTHER_NUMPY,)))
        assert caplog.text.count("on n1 (tls://w1) has numpy 2.9, this program 3.0") == 1
        assert not seen.sent_away

    @pytest.mark.parametrize(
        ("stranger", "words"),
        [
            (OLD, "worker pxdask-0 on n0 (tls://w0) has pxdask 1.9, this program 2.0"),
            (BROKEN, "cannot import pxdask, of which this program has 2.0: ImportError: libhdf5"),
        ],
    )
    def test_others_work_on(self, stranger, words, caplog):
        seen, _ = arrivals(**{"pxdask-0": job(1), "pxdask-1": job(2)})
        seen.see(sight(HERE, strangers=(stranger,)))
        assert words in caplog.text
        assert seen.was_sent_away("pxdask-0")
        assert not seen.was_sent_away("pxdask-1")

    def test_a_job_in_the_queue_may_do_better(self):
        seen, _ = arrivals(**{"pxdask-0": job(1), "pxdask-1": job(2)})
        seen.see(sight(strangers=(OLD,)))

    @pytest.mark.parametrize("jobs", [{}, {"pxdask-0": job(1)}])
    def test_nobody_else_is_expected(self, jobs):
        seen, _ = arrivals(**jobs)
        with pytest.raises(ClusterError, match=r"no worker has the right environment:\n.* 1\.9"):
            seen.see(sight(strangers=(OLD,)))


@pytest.fixture
def environments(tmp_path, repository_first):
    """Give shell commands after which pxdask is absent, or is old."""
    never = "    def find_spec(self, name, path=None, target=None):\n"
    never += "        if name.partition('.')[0] == 'pxdask':\n"
    never += "            raise ModuleNotFoundError(f'No module named {name!r}')\n"
    files = {
        "absent/sitecustomize.py": f"import sys\nclass Never:\n{never}"
        "sys.meta_path.insert(0, Never())\n",
        "old/pxdask/__init__.py": f"__version__ = '0.0.9'\n__path__.append({repository_first!r})\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    # a folder that python -m is started in comes before all others
    return {
        name: f"cd {tmp_path} && export PYTHONPATH={tmp_path / name}:$PYTHONPATH"
        for name in ("absent", "old")
    }


@pytest.fixture
def repository_first(monkeypatch):
    """Let jobs find the tests, wherever they start; give the folder of the package."""
    folder = pxdask.__path__[0]
    monkeypatch.setenv("PYTHONPATH", folder.removesuffix("/pxdask"))
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Let runs look at their cluster often, and soon say that nobody is there."""
    executor = partial(DaskExecutor, settings=QUICK)
    monkeypatch.setattr("pxdask.survey.submit.DaskExecutor", executor)


@pytest.mark.slow
@pytest.mark.cluster
class TestOnSlurm:
    @pytest.mark.usefixtures("quick")
    def test_a_run_waits_for_free_nodes(
        self, slurm, options, survey, caplog, monkeypatch, tmp_path
    ):
        """All nodes are drained, as in a maintenance: the window is not opened wide meanwhile."""
        monkeypatch.setattr(
            "pxdask.survey.submit.DaskExecutor", partial(DaskExecutor, settings=QUICK)
        )
        slurm.drain("n1", "n2")
        chosen = [f"g{i:02d}" for i in range(6)]
        seen = {}
        with pxdask.connect("slurm", jobs=2, **options) as client:
            jobs = slurm.jobs()
            assert {slurm.state(number) for number in jobs} == {"PENDING"}

            def resume():
                seen.update(tasks=client.run_on_scheduler(n_task), log=caplog.text)
                slurm.resume("n1", "n2")

            thread = once(lambda: "no worker for" in caplog.text, resume)
            run = pxdask.submit(
                *(survey.catalog, survey.config, tmp_path / "run", client),
                root=survey.root,
                galaxies=chosen,
                progress=False,
            )
            thread.join(30)
            assert slurm.jobs() == jobs
        assert "no node in service" in seen["log"]
        assert seen["tasks"] <= 2
        assert re.search(rf"the run waits; jobs {jobs[0]}, {jobs[1]} are submitted", seen["log"])
        assert "workers have come after" in caplog.text
        assert run.finished() == chosen
        made = outputs(tmp_path / "run")
        assert made == {path: survey.wanted[path] for path in made}

    @pytest.mark.parametrize("kind", ["absent", "old"])
    def test_all_jobs_have_the_wrong_environment(self, kind, environments, options, no_jobs):
        with (
            pxdask.connect("slurm", jobs=2, prologue=[environments[kind]], **options) as client,
            pytest.raises(ClusterError) as raised,
        ):
            run_some(client)
        text = str(raised.value)
        wanted = own_versions()["pxdask"]
        told = {
            "absent": f"cannot import pxdask, of which this program has {wanted}: ModuleNotFound",
            "old": f"has pxdask 0.0.9, this program {wanted}",
        }
        assert text.count(told[kind]) == 2
        assert re.search(r"worker pxdask-[01] on \S+ \(tls://127\.0\.0\.1:\d+\)", text)
        assert no_jobs()

    def test_one_machine_has_the_wrong_environment(self, environments, options, slurm, caplog):
        """No task fails of it, and its job is not asked for again."""
        only_there = f'if [ "$SLURMD_NODENAME" = n2 ]; then {environments["absent"]}; fi'
        with pxdask.connect("slurm", jobs=3, prologue=[only_there], **options) as client:
            first = slurm.jobs()
            handles = run_some(client)
            assert set(slurm.jobs()) < set(first)
        assert not any(handle.error for handle in handles)
        assert caplog.text.count("cannot import pxdask") == 1


def run_some(client):
    executor = DaskExecutor(client, QUICK)
    for i in range(40):
        executor.submit(work, i, None, 0.3, name=("work", str(i)))
    return list(executor.completed())


def n_task(dask_scheduler):
    return len(dask_scheduler.tasks)
