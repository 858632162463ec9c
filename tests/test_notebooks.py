"""The notebooks run from top to bottom."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.paths import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
EXECUTE = """
import sys
from nbclient import NotebookClient
from nbformat import read

book = read(sys.argv[1], as_version=4)
NotebookClient(book, timeout=600, kernel_name="python3").execute(cwd=sys.argv[2])
print([output.output_type for cell in book.cells for output in cell.get("outputs", [])])
"""


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_stored(path):
    cells = json.loads(path.read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    for folder in ("catalogs", "notebooks"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    words = [sys.executable, "-W", "ignore", "-c", EXECUTE, str(path), str(tmp_path / "notebooks")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "display_data" in done.stdout
    assert "'error'" not in done.stdout
