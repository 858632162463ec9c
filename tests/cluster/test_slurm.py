"""Workers in the jobs of a real SLURM on this machine."""

import os
import socket
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from distributed import Client, Security
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.cluster import queues
from pxdask.core.errors import ConfigError
from tests.cluster.conftest import N_GALAXY
from tests.components import find_program, need
from tests.paths import REPOSITORY
from tests.survey.mini import outputs

pytestmark = pytest.mark.cluster


@pytest.mark.slow
class TestSurvey:
    def test_jobs_give_the_same_bytes_as_one_process(self, options, survey, no_jobs, tmp_path):
        with pxdask.connect("slurm", jobs=2, **options) as client:
            client.wait_for_workers(2, timeout=60)
            run = pxdask.submit(
                *(survey.catalog, survey.config, tmp_path / "run", client),
                root=survey.root,
                progress=False,
            )
            assert client.cluster.submissions.refused == []
        assert len(run.finished()) == N_GALAXY
        assert outputs(tmp_path / "run") == survey.wanted
        assert no_jobs()

    def test_one_allocation_gives_them_too(self, slurm, survey, no_jobs, tmp_path):
        """``sbatch deploy/slurm/survey.sbatch``: four ranks of MPI in a batch job."""
        need("dask_mpi")
        variables = {
            "PXDASK_PYTHON": sys.executable,
            "PXDASK_LAUNCH": f"{find_program('mpirun')} -n 4",
            "FI_TCP_IFACE": "lo",
        }
        given = ",".join(["ALL", *(f"{name}={value}" for name, value in variables.items())])
        said = tmp_path / "said"
        chosen = ["g03", "g11", "g17"]
        words = ["--nodes=2", "--ntasks=4", "--mem-per-cpu=3G", f"--export={given}"]
        slurm.call(
            "sbatch",
            *words,
            f"--output={said}",
            f"--chdir={tmp_path}",
            REPOSITORY / "deploy" / "slurm" / "survey.sbatch",
            survey.catalog,
            survey.config,
            tmp_path / "run",
            f"--data-root={survey.root}",
            *(f"--galaxy={name}" for name in chosen),
        )
        assert no_jobs(patience_s=300)
        assert f"{len(chosen)} of {N_GALAXY} galaxies have maps" in said.read_text()
        others = {f"g{i:02d}" for i in range(N_GALAXY)} - set(chosen)
        expected = {
            path: survey.wanted[path]
            for path in survey.wanted
            if not others & set(Path(path).parts)
        }
        assert outputs(tmp_path / "run") == expected


class TestRefusals:
    def test_a_script_is_tried_before_it_is_submitted(self, slurm, options):
        before = slurm.jobs()
        with (
            pytest.raises(ConfigError, match=r"invalid partition specified: nowhere(?s:.*)#SBATCH"),
            pxdask.connect("slurm", queue="nowhere", **options),
        ):
            pass
        assert slurm.jobs() == before

    def test_what_the_trial_lets_through_is_told_too(self, options, no_jobs, monkeypatch):
        untried = queues.Queue("SLURM", queues.QUEUES["slurm"].words)
        monkeypatch.setitem(queues.QUEUES, "slurm", untried)
        with (
            pytest.raises(ConfigError, match=r"refuses a job: .*invalid partition.*: nowhere"),
            pxdask.connect("slurm", queue="nowhere", **options),
        ):
            pass
        assert no_jobs()

    def test_more_than_a_node_has(self, options):
        with (
            pytest.raises(ConfigError, match="configuration is not available"),
            pxdask.connect("slurm", **{**options, "cores": 64, "memory": "64GB"}),
        ):
            pass


def test_a_cluster_is_checked(options, no_jobs, tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump({"kind": "slurm", "jobs": 50, **options}))
    done = CliRunner().invoke(app, ["cluster", "check", str(path), "--patience", "60"])
    assert done.exit_code == 0, done.output
    assert f"a worker on {socket.gethostname()} answered" in done.output
    assert no_jobs()


def listening(processes):
    """Return the addresses at which processes listen."""
    return {
        connection.laddr
        for process in processes
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.fixture(scope="class")
def opened_before():
    """What this process listens at anyway: the MPI of another test file does."""
    return listening([psutil.Process()])


@pytest.fixture(scope="class")
def client(slurm, opened_before):  # noqa: ARG001  which must look before this listens
    shared = slurm.folder / "shared-tls"
    with pxdask.connect(
        "slurm", memory="1GB", interface="lo", shared=str(shared), dashboard_port=0
    ) as client:
        client.wait_for_workers(1, timeout=60)
        yield client
    assert list(shared.glob("credentials-*")) == []


class TestSecurity:
    def test_all_speak_tls(self, client):
        addresses = [client.scheduler.address, *client.scheduler_info()["workers"]]
        assert len(addresses) == 2
        assert all(address.startswith("tls://127.0.0.1:") for address in addresses)

    def test_nothing_listens_beyond_loopback(self, client, opened_before):
        worker = psutil.Process(client.submit(os.getpid).result())
        nanny = worker.parent()
        assert "dask_worker" in " ".join(nanny.cmdline())
        assert {at.ip for at in listening([worker, nanny])} == {"127.0.0.1"}
        assert {at.ip for at in listening([psutil.Process()]) - opened_before} == {"127.0.0.1"}

    @pytest.mark.parametrize("security", [None, "other"])
    def test_strangers_are_kept_out(self, client, security):
        made = Security.temporary() if security else None
        with pytest.raises((OSError, TypeError)):
            Client(client.scheduler.address, security=made, timeout=3)

    def test_plain_speech_is_not_answered(self, client):
        address = client.scheduler.address.replace("tls://", "tcp://")
        with (
            pytest.raises(ConfigError, match="no Dask scheduler answers"),
            pxdask.connect("address", address=address, timeout_s=2),
        ):
            pass

    def test_who_holds_the_files_may_join(self, client, slurm):
        (folder,) = (slurm.folder / "shared-tls").glob("credentials-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        keys = {
            f"tls_{name}": str(folder / file)
            for name, file in (("ca_file", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem"))
        }
        with pxdask.connect("address", address=client.scheduler.address, **keys) as other:
            assert other.submit(sum, [1, 2]).result() == 3
