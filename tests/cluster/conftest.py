"""A queue of one's own, and a survey whose bytes are known, for all files of tests beside this."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import pxdask
from tests.cluster.slurm import local_slurm
from tests.components import need
from tests.survey.mini import make_survey, outputs

N_GALAXY = 20


@dataclass
class Survey:
    """A small survey: what it is of, the outputs of an undisturbed run, and its number of tasks."""

    catalog: Path
    config: Path
    root: Path
    wanted: dict[str, bytes]
    n_task: int

    def words(self, store):
        """Return the arguments of ``pxdask run``."""
        paths = {"--store": store, "--data-root": self.root}
        options = [str(word) for pair in paths.items() for word in pair]
        return [str(self.catalog), str(self.config), *options]


@pytest.fixture(scope="session")
def survey(tmp_path_factory):
    """Give 20 galaxies, and what one process makes of them."""
    need("slurmctld")
    root = tmp_path_factory.mktemp("survey")
    binning = {"snr": 60.0, "min_diameter": 5.0}
    catalog, config = make_survey(root, N_GALAXY, binning=binning)
    store = root / "serial"
    run = pxdask.submit(catalog, config, store, root=root, serial=True, progress=False)
    assert len(run.finished()) == N_GALAXY
    n_task = sum(row["outcome"] == "done" for row in run.manifest())
    return Survey(catalog, config, root, outputs(store), n_task)


@pytest.fixture(scope="module")
def slurm():
    with (
        local_slurm(nodes=2, cores=2, memory_mb=8192) as queue,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLURM_CONF", str(queue.conf))
        yield queue


@pytest.fixture
def options(slurm):
    return {
        "memory": "1GB",
        "interface": "lo",
        "shared": str(slurm.folder / "shared"),
        "dashboard_port": 0,
        "death_timeout": 20,
    }


@pytest.fixture
def no_jobs(slurm):
    """Give a function that waits until the queue is empty, and tells whether it is."""

    def wait(patience_s=30.0):
        end = time.monotonic() + patience_s
        while slurm.jobs() and time.monotonic() < end:
            time.sleep(0.1)
        return not slurm.jobs()

    return wait
