"""Credentials, and who listens where."""

import asyncio
import os
import socket
import subprocess
import sys

import dask
import psutil
import pytest
from distributed import Client, Scheduler, Security, Worker
from distributed.utils import format_dashboard_link

import pxdask
from pxdask.cluster.security import (
    dashboard_settings,
    free_port,
    loopback_interface,
    settings_of_dask,
    shared_credentials,
    stored_credentials,
    temporary_credentials,
)
from pxdask.core.errors import ConfigError
from tests.components import need


@pytest.fixture
def _tls():
    need("cryptography")


def test_loopback_is_loopback():
    addresses = psutil.net_if_addrs()[loopback_interface()]
    assert "127.0.0.1" in {one.address for one in addresses}


def test_a_taken_port_is_not_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) == 0
    assert free_port(0) == 0


def test_without_cryptography(monkeypatch):
    def absent():
        raise ImportError("no cryptography")

    monkeypatch.setattr(Security, "temporary", absent)
    with pytest.raises(ConfigError, match=r"pip install 'pxdask\[hpc\]'.*tls: false"):
        temporary_credentials()


def test_half_of_the_files_is_none():
    assert stored_credentials(None, None, None) is None
    with pytest.raises(ConfigError, match="absent: tls_client_key"):
        stored_credentials("ca.pem", "cert.pem", None)


def test_no_credentials_change_nothing():
    assert settings_of_dask(None) == {}


@pytest.mark.usefixtures("_tls")
class TestShared:
    def test_files_are_ours_alone_and_go(self, tmp_path):
        with shared_credentials(tmp_path) as made:
            (folder,) = tmp_path.iterdir()
            assert folder.stat().st_mode & 0o777 == 0o700
            for role in ("scheduler", "worker", "client"):
                found = made.get_tls_config_for_role(role)
                assert found["ca_file"] == str(folder / "ca.pem")
                assert found["cert"] == str(folder / "cert.pem")
                assert found["key"] == str(folder / "key.pem")
            assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
            assert made.require_encryption
        assert list(tmp_path.iterdir()) == []

    def test_two_clusters_have_two_keys(self, tmp_path):
        with shared_credentials(tmp_path), shared_credentials(tmp_path):
            keys = {path.read_text() for path in tmp_path.glob("*/key.pem")}
        assert len(keys) == 2

    def test_those_of_the_dead_are_swept(self, tmp_path):
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        begins = f"credentials-{socket.gethostname()}-"
        gone = tmp_path / f"{begins}{ended.pid}-a"
        kept = [
            tmp_path / f"{begins}{os.getpid()}-b",
            tmp_path / "credentials-elsewhere-1-c",
            tmp_path / f"{begins}mine",
        ]
        for folder in (gone, *kept):
            folder.mkdir()
            (folder / "key.pem").touch()
        with shared_credentials(tmp_path):
            assert not gone.exists()
        assert set(tmp_path.iterdir()) == set(kept)


@pytest.mark.cluster
@pytest.mark.usefixtures("_tls")
def test_only_holders_join_a_cluster_that_reads_its_credentials_from_settings():
    import dask

    async def talk():
        with dask.config.set(settings_of_dask(temporary_credentials())):
            where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
            async with (
                Scheduler(protocol="tls://", port=0, **where) as scheduler,
                Worker(scheduler.address, nthreads=1, **where),
                Client(scheduler.address, asynchronous=True) as client,
            ):
                answer = await client.submit(sum, [1, 2])
                with pytest.raises(OSError, match="TLS certificate does not match"):
                    await Client(
                        scheduler.address,
                        asynchronous=True,
                        timeout=1,
                        security=temporary_credentials(),
                    )
        return scheduler.address, answer

    address, answer = asyncio.run(talk())
    assert address.startswith("tls://127.0.0.1:")
    assert answer == 3


@pytest.mark.cluster
def test_a_local_cluster_listens_on_loopback_only():
    """Every port of every process: scheduler, nannies, workers, and their dashboards."""

    def listening():
        us = psutil.Process()
        return {
            connection.laddr
            for process in [us, *us.children(recursive=True)]
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }

    before = listening()  # a cluster of another test may be on its way out
    with pxdask.connect("local", workers=2):
        opened = listening() - before
    assert {address.ip for address in opened} == {"127.0.0.1"}


class TestDashboards:
    """They listen on loopback, wherever the scheduler is."""

    def test_links_lead_to_loopback(self):
        with dask.config.set(dashboard_settings()):
            assert format_dashboard_link("10.0.0.5", 8787) == "http://127.0.0.1:8787/status"

    def test_a_users_own_link_is_kept(self):
        proxy = "/user/me/proxy/{port}/status"
        with dask.config.set({"distributed.dashboard.link": proxy}):
            assert dashboard_settings() == {}
