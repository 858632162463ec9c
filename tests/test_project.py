"""The project's own files agree with one another."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from tests.paths import REPOSITORY

CONDA_NAMES = {"dask": "dask-core", "matplotlib": "matplotlib-base"}
PIP_ONLY = {"astro-sedpy"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def split(requirement):
    name, bound = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
    return name, bound


def test_conda_environment_has_the_same_packages(project):
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    conda = {entry for entry in environment if isinstance(entry, str)} - {"pip"}
    pip = next(entry["pip"] for entry in environment if isinstance(entry, dict))
    wanted = {f"python{project['project']['requires-python']}"}
    wanted_pip = {"-e .[bc03]"}
    for requirement in project["project"]["dependencies"]:
        name, bound = split(requirement)
        if name in PIP_ONLY:
            wanted_pip.add(requirement)
        else:
            wanted.add(CONDA_NAMES.get(name, name) + bound)
    assert conda == wanted
    assert set(pip) == wanted_pip


def test_versions_agree(project):
    import pxdask

    version = project["project"]["version"]
    assert pxdask.__version__ == version
    assert f"version: {version}\n" in (REPOSITORY / "CITATION.cff").read_text()
    assert f"## {version}" in (REPOSITORY / "CHANGES.md").read_text()


def test_import_is_quick_and_quiet():
    """Importing does no work: nothing heavy is loaded, nothing is configured."""
    code = (
        "import sys, pxdask; "
        "print([m for m in ('dask', 'xarray', 'astropy', 'numba', 'zarr') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_public_names_can_be_had():
    import pxdask

    assert all(getattr(pxdask, name) is not None for name in pxdask.__all__)
    assert set(dir(pxdask)) == set(pxdask.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fit_everything'"):
        pxdask.fit_everything  # noqa: B018


def test_files_named_in_the_readme_exist():
    text = (REPOSITORY / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links
    assert not [link for link in links if not (REPOSITORY / link).exists()]
