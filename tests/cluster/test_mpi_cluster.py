"""A survey on the ranks of one MPI program."""

import sys
import textwrap

import pytest

import pxdask
from pxdask.core.config import MPI_VARIABLES
from pxdask.core.errors import ConfigError
from tests.components import need
from tests.mpi import mpirun
from tests.survey.mini import make_survey, outputs

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def _not_under_mpi(monkeypatch):
    need("dask_mpi")
    for name in MPI_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def run(n_rank, code):
    return mpirun(n_rank, "-c", textwrap.dedent(code), timeout=60)


def test_without_a_launcher():
    with pytest.raises(ConfigError, match="found 1: start with `mpirun"), pxdask.connect("mpi"):
        pass


def test_two_ranks_are_too_few():
    ended = run(2, "import pxdask\nwith pxdask.connect('mpi'): pass")
    assert ended.returncode != 0
    assert "needs 3 ranks or more" in ended.stderr
    assert "found 2" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True])
def test_one_rank_goes_on_and_all_listen_on_loopback(tls):
    """Ports that MPI opened before are its own affair."""
    code = f"""
        import psutil, sys
        from mpi4py import MPI
        import pxdask

        def listening():
            found = psutil.Process().net_connections(kind="inet")
            return {{tuple(one.laddr) for one in found if one.status == psutil.CONN_LISTEN}}

        def opened():
            return listening() - sys.opened_by_mpi

        sys.opened_by_mpi = listening()
        with pxdask.connect("mpi", tls={tls}, dashboard_port=0) as client:
            client.wait_for_workers(2, timeout=30)
            protocol = client.scheduler.address.split(":")[0]
            ports = set().union(*client.run(opened).values(), opened())
            ports |= client.run_on_scheduler(opened)
            hosts, n_port = {{host for host, _ in ports}}, len(ports)
            sys.stdout.write(f"{{protocol}} {{hosts}} {{n_port}} {{len(client.nthreads())}}\\n")
        sys.stdout.write("went on\\n")
    """
    ended = run(4, code)
    assert ended.returncode == 0, ended.stderr
    protocol = "tls" if tls else "tcp"
    # scheduler and two workers have two ports each: for work and for the dashboard
    assert ended.stdout.splitlines() == [f"{protocol} {{'127.0.0.1'}} 6 2", "went on"]


def test_a_failure_ends_all():
    code = """
        import pxdask
        with pxdask.connect("mpi", dashboard_port=0) as client:
            client.wait_for_workers(1, timeout=30)
            raise KeyError("defect")
    """
    ended = run(3, code)
    assert ended.returncode != 0
    assert "KeyError: 'defect'" in ended.stderr


def test_too_little_memory_is_refused_by_all():
    ended = run(3, "import pxdask\nwith pxdask.connect('mpi', memory_limit='0.5GB'): pass")
    assert ended.returncode != 0
    assert "a worker would have 0.50 GB" in ended.stderr


def test_ranks_that_were_not_asked_for(tmp_path):
    """Each would be a run of its own, in the same folder."""
    store = tmp_path / "run"
    words = ["run", "catalog.ecsv", "survey.yaml", "--store", store]
    ended = mpirun(2, "-m", "pxdask", *words, timeout=60)
    assert ended.returncode != 0
    assert "2 ranks were started" in ended.stderr
    assert "--cluster mpi" in ended.stderr
    assert not store.exists()


@pytest.mark.slow
def test_the_same_bytes_as_in_one_process(tmp_path):
    binning = {"snr": 60.0, "min_diameter": 5.0}
    catalog, config = make_survey(tmp_path, 3, binning=binning)
    pxdask.submit(catalog, config, tmp_path / "serial", root=tmp_path, serial=True, progress=False)
    words = ["--store", tmp_path / "mpi", "--data-root", tmp_path, "--cluster", "mpi"]
    ended = mpirun(4, "-m", "pxdask", "run", catalog, config, *words, timeout=200)
    assert ended.returncode == 0, ended.stderr
    assert "3 of 3 galaxies have maps" in ended.stdout
    assert outputs(tmp_path / "mpi") == outputs(tmp_path / "serial")


def test_without_dask_mpi(monkeypatch):
    class Comm:
        def allgather(self, value):
            return [value]

    class World:
        rank, size, comm = 0, 3, Comm()

    monkeypatch.setattr("pxdask.cluster.mpi_cluster.mpi_world", World)
    monkeypatch.setitem(sys.modules, "dask_mpi", None)
    with pytest.raises(ConfigError, match=r"pip install 'pxdask\[hpc\]'"), pxdask.connect("mpi"):
        pass
