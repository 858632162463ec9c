"""Ranks of MPI programs."""

import sys
import textwrap

import pytest

from pxdask.cluster.mpi import mpi_world
from pxdask.core.config import MPI_VARIABLES
from pxdask.core.errors import ConfigError
from tests.mpi import mpirun


@pytest.fixture(autouse=True)
def _not_under_mpi(monkeypatch):
    for name in MPI_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_a_launcher_there_are_no_ranks():
    assert mpi_world() is None


@pytest.mark.parametrize("name", MPI_VARIABLES)
def test_a_launcher_without_mpi4py_is_refused(monkeypatch, name):
    monkeypatch.setenv(name, "0")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ConfigError, match="pip install mpi4py"):
        mpi_world()


@pytest.mark.cluster
def test_ranks_know_one_another():
    code = """
        import sys
        from pxdask.cluster.mpi import mpi_world
        world = mpi_world()
        told = world.broadcast({"from": world.rank})
        world.barrier()
        sys.stdout.write(f"{world.rank} {world.size} {told['from']}\\n")
    """
    ended = mpirun(3, "-c", textwrap.dedent(code))
    assert ended.returncode == 0, ended.stderr
    assert sorted(ended.stdout.splitlines()) == ["0 3 0", "1 3 0", "2 3 0"]


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("ConfigError('no such filter')", "rank 1 of 3: no such filter"),
        ("ZeroDivisionError('defect')", "ZeroDivisionError: defect"),
    ],
)
def test_one_failure_ends_all(error, message):
    code = f"""
        from pxdask.cluster.mpi import mpi_world
        from pxdask.core.errors import ConfigError
        world = mpi_world()
        with world.together():
            if world.rank == 1:
                raise {error}
            world.barrier()
    """
    ended = mpirun(3, "-c", textwrap.dedent(code), timeout=60)
    assert ended.returncode != 0
    assert message in ended.stderr
    assert ("Traceback" in ended.stderr) == ("defect" in error)
