"""The notebooks run from top to bottom."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import pxdask
from tests.cluster.slurm import local_slurm
from tests.paths import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
ON_A_CLUSTER = REPOSITORY / "notebooks" / "03_scaling_out.ipynb"
EXECUTE = """
import sys
from nbclient import NotebookClient
from nbformat import read
from nbformat.v4 import new_code_cell

book = read(sys.argv[1], as_version=4)
if more := sys.argv[3:]:
    tags = [cell.metadata.get("tags", []) for cell in book.cells]
    place = next(n for n, found in enumerate(tags) if "parameters" in found)
    book.cells.insert(place + 1, new_code_cell("\\n".join(more)))
NotebookClient(book, timeout=600, kernel_name="python3").execute(cwd=sys.argv[2])
print([output.output_type for cell in book.cells for output in cell.get("outputs", [])])
"""
"""Executes a notebook in a folder; further arguments are lines after its parameters."""

PATIENCE_S = 600.0


def environment():
    """Return that of a user with an active virtual environment, where ``pxdask`` is a command."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def words(path, folder, *lines):
    """Return the command that executes a notebook."""
    return [sys.executable, "-W", "ignore", "-c", EXECUTE, str(path), str(folder), *lines]


def executed(command):
    """Return a command that has run to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment())


@pytest.fixture
def folder(tmp_path):
    """Give a folder for notebooks, beside the catalogues that they read."""
    for name in ("catalogs", "notebooks"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    return tmp_path / "notebooks"


def test_there_are_notebooks():
    assert ON_A_CLUSTER in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_stored(path):
    cells = json.loads(path.read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path != ON_A_CLUSTER], ids=lambda path: path.stem
)
def test_notebook_runs(path, folder):
    done = executed(words(path, folder))
    assert done.returncode == 0, done.stderr
    assert "display_data" in done.stdout
    assert "'error'" not in done.stdout


@pytest.fixture
def slurm(monkeypatch):
    with local_slurm(nodes=2, cores=2, memory_mb=8192) as queue:
        monkeypatch.setenv("SLURM_CONF", str(queue.conf))
        yield queue


def until(true, what, process=None):
    """Wait until something is true, while a process goes on."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        if process is not None and process.poll() is not None:
            pytest.fail(f"{what}: ended before\n{process.communicate()[1]}")
        assert time.monotonic() < end, what
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.cluster
def test_a_notebook_is_closed_in_mid_run_and_opened_again(slurm, folder):
    """The first kernel is killed; its jobs end; the second finds the run and goes on with it."""
    here = {"jobs": 3, "memory": "1GB", "interface": "lo", "dashboard_port": 0, "death_timeout": 20}
    here["shared"] = str(slurm.folder / "shared")
    command = words(ON_A_CLUSTER, folder, f"cluster |= {here}", "catalog = catalog[2:3]")
    store = folder.parent / "demo" / "cluster" / "run"

    first = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
    )
    until(lambda: any(store.rglob("fit-0*.zarr.zip")), "no block of bins is fitted", first)
    assert slurm.jobs()
    (kernel,) = psutil.Process(first.pid).children()
    assert "ipykernel" in " ".join(kernel.cmdline())
    kernel.kill()
    assert "DeadKernelError" in first.communicate(timeout=PATIENCE_S)[1]
    until(lambda: not slurm.jobs(), "the jobs outlive their notebook")
    left = pxdask.open_run(store)
    assert left.finished() == []
    before = noted(left)
    assert before

    second = executed(command)
    assert second.returncode == 0, second.stderr
    assert "display_data" in second.stdout
    assert "'error'" not in second.stdout
    run = pxdask.open_run(store)
    assert run.finished() == ["lenticular"]
    assert len(run.failures()) == 0
    after = noted(run)
    assert after[: len(before)] == before
    assert len(set(after)) == len(after), "something was made twice"
    assert slurm.jobs() == []


def noted(run):
    """Return the tasks that were made, as the manifest notes them."""
    rows = run.manifest()
    rows = rows[rows["outcome"] == "done"]
    return [(row["id"], row["stage"], row["part"]) for row in rows]
