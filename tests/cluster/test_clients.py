"""Clusters on this machine: they work, stay on loopback, and refuse what they do not know."""

import logging
import os
import signal
import socket
import time
import urllib.request

import pytest
from distributed import WorkerPlugin

import pxdask
from pxdask.cluster import cluster_options, read_cluster_file
from pxdask.core.errors import ConfigError
from tests.paths import REPOSITORY


class Complaint(WorkerPlugin):
    """A worker that finds its scheduler gone when it ends, as on a busy machine."""

    def teardown(self, worker):  # noqa: ARG002  as Dask calls it
        logging.getLogger("distributed.worker").error("stream is closed")


@pytest.fixture(scope="module")
def client():
    with pxdask.connect("local", workers=1) as client:
        yield client


@pytest.mark.cluster
class TestLocal:
    def test_one_thread_a_worker(self, client):
        assert list(client.nthreads().values()) == [1]

    def test_dashboard_answers(self, client):
        with urllib.request.urlopen(client.dashboard_link, timeout=20) as page:  # noqa: S310  our own
            assert page.status == 200
            assert b"Dask" in page.read()

    def test_listens_on_loopback_only(self, client):
        hosts = [client.scheduler.address, *client.scheduler_info()["workers"]]
        assert all("//127.0.0.1:" in host for host in hosts)

    def test_a_running_scheduler_is_joined(self, client):
        with pxdask.connect("address", address=client.scheduler.address) as other:
            assert other.submit(sum, [1, 2]).result() == 3

    def test_a_second_cluster_finds_another_port(self, client, monkeypatch):
        taken = int(client.dashboard_link.split(":")[2].split("/")[0])
        monkeypatch.setattr("pxdask.cluster.clients.DASHBOARD_PORT", taken)
        with pxdask.connect("local", workers=1) as other:
            assert other.dashboard_link != client.dashboard_link

    def test_its_end_is_silent(self, capfd, caplog):
        level = logging.getLogger("distributed").level
        with pxdask.connect("local", workers=1) as other:
            other.register_plugin(Complaint())
        logging.getLogger("distributed.worker").warning("heard again")
        assert "stream is closed" not in capfd.readouterr().err
        loud = [entry.message for entry in caplog.records if entry.levelno >= logging.WARNING]
        assert loud == ["heard again"]
        assert logging.getLogger("distributed").level == level

    def test_so_is_an_interrupt_that_all_processes_hear(self, capfd, caplog):
        def interrupted():
            with pxdask.connect("local", workers=1) as other:
                (pid,) = other.run(os.getpid).values()
                working = other.submit(time.sleep, 0.5)
                os.kill(pid, signal.SIGINT)
                assert working.result() is None  # the worker is deaf to it
                other.submit(time.sleep, 0.5, pure=False)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert capfd.readouterr().err == ""
        assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


def test_unknown_kind_and_option():
    with (
        pytest.raises(ConfigError, match=r"'cloud'; known: local, address, slurm"),
        pxdask.connect("cloud"),
    ):
        pass
    with pytest.raises(ConfigError, match="wokers"), pxdask.connect("local", wokers=2):
        pass


def test_nobody_answers():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    with (
        pytest.raises(ConfigError, match="no Dask scheduler answers"),
        pxdask.connect("address", address=address, timeout_s=1.0),
    ):
        pass


def test_cluster_file(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text("kind: local\nworkers: 3\n")
    assert read_cluster_file(path) == {"kind": "local", "workers": 3}
    path.write_text("workers: 3\n")
    with pytest.raises(ConfigError, match="'kind'"):
        read_cluster_file(path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_cluster_file(tmp_path / "absent.yaml")


def test_a_kind_will_do_for_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cluster_options("mpi") == {"kind": "mpi"}
    with pytest.raises(ConfigError, match="no cluster file 'cloud', and no such kind"):
        cluster_options("cloud")
    (tmp_path / "mpi").write_text("kind: local\n")
    assert cluster_options("mpi") == {"kind": "local"}


def test_a_file_cannot_make_objects(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text("kind: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match="could not determine a constructor"):
        read_cluster_file(path)
    path.write_text("kind: local\n3: workers\n")
    with pytest.raises(ConfigError, match="options are named by text; found 3"):
        read_cluster_file(path)


@pytest.mark.parametrize("kind", ["address", "local"])
def test_files_to_deploy_are_understood(kind):
    options = read_cluster_file(REPOSITORY / "deploy" / f"{kind}.yaml")
    assert options.pop("kind") == kind
    assert options
    assert set(options) <= {"workers", "memory_limit", "address"}
