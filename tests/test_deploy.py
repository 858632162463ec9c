"""Files to deploy are what their readers expect."""

import re
import shutil
import subprocess
import tomllib

import pytest

from pxdask.cluster import read_cluster_file
from pxdask.cluster.files import KINDS
from pxdask.cluster.mpi_cluster import MpiSettings
from tests.paths import REPOSITORY

DEPLOY = REPOSITORY / "deploy"

INSTRUCTIONS = {"FROM", "ENV", "COPY", "RUN", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
SECTIONS = {"help", "files", "post", "environment", "runscript", "test"}


def dockerfile():
    """Return instructions and their arguments, continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line]


def apptainer():
    """Return header and sections."""
    head, *parts = re.split(r"(?m)^%", (DEPLOY / "apptainer.def").read_text())
    return head, dict(part.split("\n", 1) for part in parts)


def extras(text):
    """Return the extras of pxdask that a text installs."""
    return set(re.search(r"\[([\w,]+)\]", text)[1].split(","))


@pytest.fixture(scope="module")
def known_extras():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    return set(project["project"]["optional-dependencies"])


def complaints(script, *, language="bash"):
    """Return what a shell has against a script."""
    words = [shutil.which(language), "-n"]
    return subprocess.run(words, input=script, capture_output=True, text=True, check=False).stderr


def test_every_kind_has_a_file_and_the_reverse():
    assert {path.stem for path in DEPLOY.glob("*.yaml")} == set(KINDS)
    assert all(read_cluster_file(path)["kind"] == path.stem for path in DEPLOY.glob("*.yaml"))


def test_mpi_file():
    text = (DEPLOY / "mpi.yaml").read_text()
    commented = dict(re.findall(r"^# (\w+): (\S+)", text, flags=re.MULTILINE))
    assert commented
    MpiSettings.parse(commented)


class TestDockerfile:
    def test_instructions(self):
        found = dockerfile()
        assert {name for name, _ in found} <= INSTRUCTIONS
        assert found[0][0] == "FROM"
        assert dict(found)["ENTRYPOINT"] == '["pxdask"]'

    def test_it_does_not_run_as_root(self):
        names = [name for name, _ in dockerfile()]
        assert dict(dockerfile())["USER"] != "root"
        assert names.index("USER") > names.index("RUN")

    def test_commands(self, known_extras):
        for command in (text for name, text in dockerfile() if name == "RUN"):
            assert complaints(command) == ""
            assert extras(command) <= known_extras


class TestApptainer:
    def test_sections(self):
        head, sections = apptainer()
        assert re.fullmatch(r"Bootstrap: docker\nFrom: python:3\.\d+-slim\n+", head)
        assert set(sections) <= SECTIONS
        assert {"files", "post", "runscript"} <= set(sections)

    def test_commands(self, known_extras):
        _, sections = apptainer()
        for name in ("post", "environment", "runscript", "test"):
            assert complaints(sections[name], language="sh") == ""
        assert extras(sections["post"]) <= known_extras


class TestBatchScript:
    path = DEPLOY / "slurm" / "survey.sbatch"

    def test_it_parses_and_its_directives_come_first(self):
        text = self.path.read_text()
        assert complaints(text) == ""
        commands = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert text.rindex("#SBATCH") < text.index(commands[0])

    def test_it_says_how_it_is_used(self):
        words = [shutil.which("bash"), str(self.path), "catalog.ecsv"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "CATALOG CONFIG STORE" in done.stderr


def test_links_of_the_readme():
    links = re.findall(r"\]\(([^)]+)\)", (DEPLOY / "README.md").read_text())
    assert links
    assert [link for link in links if not (DEPLOY / link).exists()] == []
