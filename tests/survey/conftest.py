"""A finished run that many tests look at, and copies of it for those that change it."""

import shutil

import pytest

import pxdask
from tests.survey.mini import make_survey


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A run of three galaxies; nobody changes it, or its images."""
    root = tmp_path_factory.mktemp("finished-run")
    catalog, config = make_survey(root)
    return pxdask.submit(catalog, config, root / "run", root=root, serial=True, progress=False)


@pytest.fixture
def own_run(finished_run, tmp_path):
    """A copy of the run, with the same images."""
    shutil.copytree(finished_run.store, tmp_path / "run")
    return pxdask.open_run(tmp_path / "run")
