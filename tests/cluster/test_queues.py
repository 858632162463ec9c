"""Job scripts of all queues, and queues that are played by a few lines of shell."""

import os
import re
import shlex
import subprocess
import time
from contextlib import contextmanager

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.cluster.files import read_cluster_file
from pxdask.cluster.queue_settings import QueueSettings, seconds_of
from pxdask.cluster.queues import QUEUES, job_script
from pxdask.core.errors import ConfigError
from tests.components import need
from tests.paths import REPOSITORY

DEPLOY = REPOSITORY / "deploy"

HEADS = {
    "slurm": ["-p long", "-A me", "--cpus-per-task=4", "--mem=8G", "-t 36:00:00", "--exclusive"],
    "pbs": ["-q long", "-A me", "-l select=1:ncpus=4:mem=7630MB", "-l walltime=36:00:00"],
    "moab": ["-q long", "-A me", "-l select=1:ncpus=4:mem=7630MB", "-l walltime=36:00:00"],
    "lsf": ["-q long", '-P "me"', "-n 4", "-M 8000000", "-W 36:00", '-R "span[hosts=1]"'],
    "sge": ["-q long", "-P me", "-l h_rt=36:00:00", "--exclusive"],
    "oar": ["-q long", "--project me", "-l /nodes=1/core=4,walltime=36:00:00"],
}
"""What each queue must be told, in the words of its manual."""

MARKS = {"slurm": "SBATCH", "pbs": "PBS", "moab": "PBS", "lsf": "BSUB", "sge": "$", "oar": "OAR"}


@pytest.fixture(autouse=True)
def _jobqueue(tmp_path, monkeypatch):
    need("dask_jobqueue")
    monkeypatch.setenv("PXDASK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LSF_ENVDIR", raising=False)
    monkeypatch.delenv("PBS_ACCOUNT", raising=False)


class TestScripts:
    @pytest.mark.parametrize("kind", HEADS)
    def test_head(self, kind):
        script = job_script(
            kind,
            {
                "cores": 4,
                "memory": "8GB",
                "walltime": "1-12:00:00",
                "queue": "long",
                "project": "me",
                "directives": ["--exclusive"],
            },
        )
        head = [line for line in script.splitlines() if line.startswith(f"#{MARKS[kind]} ")]
        told = {line.split(" ", 1)[1] for line in head}
        assert {*HEADS[kind], "--exclusive"} <= told

    def test_condor(self):
        script = job_script(
            "htcondor",
            {"cores": 4, "memory": "8GB", "disk": "3GB", "directives": ["+Project = me"]},
        )
        lines = script.splitlines()
        assert {"MY.DaskWorkerCores = 4", "MY.DaskWorkerMemory = 8000000000"} <= set(lines)
        assert {"MY.DaskWorkerDisk = 3000000000", "+Project = me", "Queue"} <= set(lines)

    @pytest.mark.parametrize("kind", QUEUES)
    def test_worker(self, kind):
        script = job_script(
            kind,
            {
                "cores": 2,
                "memory": "8GB",
                "walltime": 3600,
                "scratch": "$TMPDIR/mine",
                "prologue": ["module load python"],
                "interface": "lo",
                "python": "/opt/python",
            },
        )
        assert script.index("module load python") < script.index("/opt/python -m distributed")
        command = script[script.index("/opt/python") :].splitlines()[0].replace('""', '"')
        words = shlex.split(command.rstrip("\"'"))
        after = {word: words[i + 1] for i, word in enumerate(words[:-1]) if word[:2] == "--"}
        assert after["--nworkers"] == "2"
        assert after["--nthreads"] == "1"
        assert after["--memory-limit"] == "3.73GiB"
        assert after["--local-directory"] == "$TMPDIR/mine"
        assert after["--interface"] == "lo"
        assert after["--protocol"] == "tls"
        assert {"--tls-ca-file", "--tls-cert", "--tls-key"} <= set(after)
        assert after["--dashboard-address"] == "127.0.0.1:0"
        # 3600 s less 300 for the last tasks and 180 for differences, which are 180 either way
        assert (after["--lifetime"], after["--lifetime-stagger"]) == ("3120s", "180s")

    def test_without_tls(self):
        script = job_script("slurm", {"tls": False})
        assert "tcp://SCHEDULER:PORT" in script
        assert "--tls" not in script

    def test_a_line_is_left_out(self):
        assert "--mem" not in job_script("slurm", {"directives_skip": ["--mem"]}).split("python")[0]

    @pytest.mark.parametrize("kind", sorted(set(QUEUES) - {"htcondor"}))
    def test_what_jobs_print_has_a_place(self, kind, tmp_path):
        script = job_script(kind, {"logs": str(tmp_path / "said")})
        head = [line for line in script.splitlines() if line.startswith(f"#{MARKS[kind]} ")]
        places = {line.split()[1].lower() for line in head if str(tmp_path / "said") in line}
        assert places == {"-o", "-e"}

    def test_oar_is_not_told_twice_where_to_print(self):
        script = job_script("oar", {"directives": ["-O mine.out"]})
        assert script.count("#OAR -O ") == script.count("#OAR -E ") == 1
        assert "#OAR -O mine.out" in script

    def test_oar_is_told_the_memory_where_it_has_a_word_for_it(self):
        script = job_script("oar", {"cores": 2, "memory": "8GiB", "memory_property": "memcore"})
        assert "#OAR -p memcore>=4096" in script


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("12:00:00", 43200), ("01:30", 5400), ("2-00:00:30", 172830), ("100:00:00", 360000)],
    )
    def test_walltimes(self, text, seconds):
        assert QueueSettings.parse({"walltime": text}).walltime == seconds

    def test_an_unquoted_walltime_is_what_it_says(self):
        """YAML 1.1 reads it as a number to the base 60."""
        values = yaml.safe_load("walltime: 12:34:56")
        assert QueueSettings.parse(values).walltime == seconds_of("12:34:56")

    @given(st.integers(60, 10**6), st.integers(1, 64))
    def test_workers_end_before_their_job(self, walltime, cores):
        settings = QueueSettings.parse({"walltime": walltime, "cores": cores, "memory": "64GB"})
        assert settings.lifetime - settings.stagger > 0
        assert settings.lifetime + settings.stagger + settings.drain_s <= walltime + 1e-6

    @pytest.mark.parametrize(
        ("given", "jobs"),
        [({}, 1), ({"jobs": 7}, 7), ({"workers": 9}, 3), ({"workers": 2, "workers_per_job": 1}, 2)],
    )
    def test_workers_and_jobs(self, given, jobs):
        assert QueueSettings.parse({"cores": 4, **given}).n_job == jobs

    def test_a_block_of_text_is_its_lines(self):
        settings = QueueSettings.parse({"prologue": "module load a\nmodule load b\n"})
        assert settings.prologue == ("module load a", "module load b")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"coers": 4}, "coers"),
            ({"cores": 0}, "cores.*greater than 0"),
            ({"walltime": "tomorrow"}, "a walltime is"),
            ({"walltime": 59}, "walltime"),
            ({"memory": "8"}, "has a unit"),
            ({"memory": "8 elephants"}, "memory"),
            ({"cores": 4, "memory": "3GB"}, "4 workers share 3GB; wanted 1 GB"),
            ({"jobs": 2, "workers": 2}, "jobs or workers"),
            ({"cores": 4, "workers_per_job": 3}, "evenly"),
            ({"walltime": 600, "drain": 600}, "leaves no time"),
            ({"queue": "a\n#SBATCH --uid=0"}, "single line"),
        ],
    )
    def test_faults(self, options, message):
        with pytest.raises(ConfigError, match=message):
            job_script("slurm", options)

    @pytest.mark.parametrize(
        ("kind", "options"),
        [
            ("slurm", {"resources": "nodes=1"}),
            ("htcondor", {"queue": "long"}),
            ("pbs", {"memory_property": "mem"}),
        ],
    )
    def test_words_that_a_queue_does_not_know(self, kind, options):
        with pytest.raises(ConfigError, match=f"{kind} has no {next(iter(options))}; it has"):
            job_script(kind, options)

    def test_condor_wants_assignments(self):
        with pytest.raises(ConfigError, match="found 'WantFlocking'"):
            job_script("htcondor", {"directives": ["WantFlocking"]})

    def test_a_folder_that_cannot_be(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(ConfigError, match="cannot make the folder"):
            job_script("slurm", {"shared": str(tmp_path / "file" / "folder")})


class TestShow:
    @pytest.mark.parametrize("kind", QUEUES)
    def test_files_to_deploy(self, kind):
        done = CliRunner().invoke(app, ["cluster", "show", str(DEPLOY / f"{kind}.yaml")])
        assert done.exit_code == 0, done.output
        assert "distributed.cli.dask_worker" in done.output
        assert "--nworkers 16" in done.output
        # what is commented out there is understood too
        text = (DEPLOY / f"{kind}.yaml").read_text()
        commented = "\n".join(re.findall(r"^# ?(\w+: .*)$", text, flags=re.MULTILINE))
        more = yaml.safe_load(commented) or {}
        options = {**read_cluster_file(DEPLOY / f"{kind}.yaml"), **more}
        options.pop("kind")
        job_script(kind, {**options, "shared": None})

    @pytest.mark.parametrize("kind", ["local", "address", "mpi"])
    def test_kinds_without_a_script(self, kind):
        done = CliRunner().invoke(app, ["cluster", "show", kind])
        assert "no job script" in done.output


class Client:
    """A cluster of one worker, which has another version of something or never comes."""

    def __init__(self, versions, *, comes=True):
        self._versions, self._comes = versions, comes

    def wait_for_workers(self, n, timeout):
        if not self._comes:
            raise TimeoutError(f"no {n} workers in {timeout} s")

    def submit(self, function):
        facts = function()
        changed = {**facts["versions"], **self._versions}

        class Answer:
            def result(self, timeout):
                assert timeout > 0
                return {**facts, "versions": changed}

        return Answer()


class TestCheck:
    @staticmethod
    def invoke(monkeypatch, client):
        asked = []

        @contextmanager
        def connect(**options):
            asked.append(options)
            yield client

        monkeypatch.setattr("pxdask.cluster.connect", connect)
        words = ["cluster", "check", str(DEPLOY / "slurm.yaml"), "--patience", "5"]
        return CliRunner().invoke(app, words), asked[0]["jobs"]

    def test_the_same_versions(self, monkeypatch):
        done, jobs = self.invoke(monkeypatch, Client({}))
        assert done.exit_code == 0
        assert "answered after" in done.output
        assert jobs == 1

    def test_another_version(self, monkeypatch):
        done, _ = self.invoke(monkeypatch, Client({"numpy": "1.0"}))
        assert isinstance(done.exception, ConfigError)
        assert re.search(r"versions differ.*\n.*numpy \S+ here, 1.0 there", str(done.exception))

    def test_nobody_comes(self, monkeypatch):
        done, _ = self.invoke(monkeypatch, Client({}, comes=False))
        assert isinstance(done.exception, ConfigError)
        assert "no worker came in 5 s" in str(done.exception)


FAKES = {
    "qsub": "script=$FOLDER/script.$$; cp $1 $script; bash $script >$script.log 2>&1 &"
    " echo $!; echo $! >>$JOBS",
    "msub": "script=$FOLDER/script.$$; cp $1 $script; bash $script >$script.log 2>&1 &"
    " echo $!; echo $! >>$JOBS",
    "bsub": "script=$(mktemp -p $FOLDER); cat >$script; bash $script >$script.log 2>&1 &"
    ' echo "Job <$!> is submitted to queue <long>."; echo $! >>$JOBS',
    "oarsub": 'bash -c "${@: -1}" >/dev/null 2>&1 & echo "OAR_JOB_ID=$!"; echo $! >>$JOBS',
}
"""Queues that run at once what they are given, and number jobs by their processes."""

COMMANDS = {
    "pbs": "qsub qdel",
    "moab": "msub canceljob",
    "lsf": "bsub bkill",
    "oar": "oarsub oardel",
}


def play(folder, monkeypatch, kind, submit=None):
    """Put commands of a queue on the path; return the file that lists its jobs."""
    submit_name, cancel_name = COMMANDS[kind].split()
    jobs = folder / "jobs"
    jobs.touch()
    head = f"#!/bin/bash\nFOLDER={folder} JOBS={jobs}\nset -m\n"
    programs = {submit_name: submit or FAKES[submit_name], cancel_name: "kill -- -$1 2>/dev/null"}
    for name, text in programs.items():
        (folder / name).write_text(head + text + "\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return jobs


@pytest.mark.cluster
class TestPlayed:
    @pytest.mark.parametrize("kind", COMMANDS)
    def test_work_is_done_and_jobs_end(self, kind, tmp_path, monkeypatch):
        jobs = play(tmp_path, monkeypatch, kind)
        with pxdask.connect(
            kind, jobs=1, interface="lo", dashboard_port=0, death_timeout=20
        ) as client:
            client.wait_for_workers(1, timeout=30)
            assert client.submit(sum, [1, 2]).result() == 3
            numbers = [int(word) for word in jobs.read_text().split()]
            assert client.cluster.submissions.taken == [str(number) for number in numbers]
        end = time.monotonic() + 10
        while any(alive(number) for number in numbers) and time.monotonic() < end:
            time.sleep(0.1)
        assert not any(alive(number) for number in numbers)

    @pytest.mark.parametrize("kind", COMMANDS)
    def test_its_own_words(self, kind, tmp_path, monkeypatch):
        play(tmp_path, monkeypatch, kind, submit="echo 'your account is empty' >&2; exit 3")
        with (
            pytest.raises(ConfigError, match=r"the queue refuses a job: your account is empty$"),
            pxdask.connect(kind, jobs=3, interface="lo", dashboard_port=0),
        ):
            pass

    def test_many_jobs_are_not_submitted_all_at_once(self, tmp_path, monkeypatch):
        """The queue notes how many of its commands run at the same time."""
        submit = (
            "mkdir $FOLDER/here.$$; ls -d $FOLDER/here.* | wc -l >>$FOLDER/counts;"
            " sleep 0.2; rmdir $FOLDER/here.$$; sleep 30 >/dev/null 2>&1 & echo $!"
        )
        play(tmp_path, monkeypatch, "pbs", submit=submit)
        with pxdask.connect("pbs", jobs=20, interface="lo", dashboard_port=0) as client:
            assert len(client.cluster.submissions.taken) == 20
        counts = [int(word) for word in (tmp_path / "counts").read_text().split()]
        assert len(counts) == 20
        assert 2 <= max(counts) <= 8


@pytest.mark.parametrize(("kind", "program"), [("slurm", "sbatch"), ("pbs", "qsub")])
def test_there_is_no_such_queue(kind, program, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ConfigError, match=f"no {program} on this machine"),
        pxdask.connect(kind, interface="lo", dashboard_port=0),
    ):
        pass


def alive(number):
    """Return whether a process group has living members."""
    words = ["ps", "-o", "stat=", "-g", str(number)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return any(not state.startswith("Z") for state in done.stdout.split())
