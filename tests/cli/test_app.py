"""The command line as a user meets it."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from pxdask.cli.app import EXIT_FAILURES, app
from pxdask.core.errors import ConfigError
from tests.survey.mini import make_survey


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli")
    return root, *make_survey(root, 2)


@pytest.fixture(scope="module")
def finished(survey):
    root, catalog, config = survey
    words = ["run", catalog, config, "--store", root / "run", "--data-root", root, "--serial"]
    return root / "run", call(*words)


def test_help_names_the_commands_in_order():
    text = call("--help").output
    places = [text.index(f" {word} ") for word in ("simulate", "check", "run", "resume", "status")]
    assert places == sorted(places)


def test_the_version_is_that_of_the_package():
    result = call("--version")
    assert result.exit_code == 0
    assert result.output == f"pxdask {version('pxdask')}\n"


def test_run_says_where_the_maps_are(finished):
    store, result = finished
    assert result.exit_code == 0, result.output
    found = re.findall(r"^/.*\.(?:fits|png)$", result.output, re.MULTILINE)
    assert len(found) == 4
    assert "2 of 2 galaxies have maps" in result.output
    assert call("maps", store).output.splitlines() == found


@pytest.mark.slow
@pytest.mark.cluster
def test_a_cluster_is_described_in_a_file(survey, tmp_path):
    root, catalog, config = survey
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text("kind: local\nworkers: 1\n")
    words = ["run", catalog, config, "--store", tmp_path / "run", "--data-root", root]
    result = call(*words, "--cluster", cluster, "--galaxy", "g01")
    assert result.exit_code == 0, result.output
    assert "1 of 2 galaxies have maps" in result.output


def test_status(finished):
    store, _ = finished
    text = call("status", store).output
    assert re.search(r"products\s*│\s*2\s*│\s*0", text)
    assert "task_time [s]" in text
    assert "morphology" not in text


def test_settings_that_cannot_be_read_leave_the_manifest(finished, tmp_path):
    store = shutil.copytree(finished[0], tmp_path / "run")
    with (store / "config.yaml").open("a") as file:
        file.write("bogus: 1\n")
    result = call("status", store)
    assert re.search(r"products\s*│\s*2\s*│\s*0", result.output)
    assert "2 of 2 galaxies have maps" in result.output
    assert isinstance(result.exception, ConfigError)
    assert "bogus: Extra inputs" in str(result.exception)
    assert call("status", store, "--json").output == ""
    assert "is not a run" in str(call("status", tmp_path).exception)


def test_status_loads_no_more_than_it_needs(finished):
    """Models and fits take seconds to import."""
    code = (
        "import sys; from pxdask.cli.app import app;"
        f"app(['status', {str(finished[0])!r}], standalone_mode=False);"
        "print([name for name in sys.modules if name.split('.')[0] == 'numba'"
        " or name.startswith(('pxdask.fitting', 'pxdask.sps', 'pxdask.images'))])"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "2 of 2 galaxies have maps" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_check(survey):
    root, catalog, config = survey
    result = call("check", catalog, config, "--data-root", root, "--store", root / "other")
    assert result.exit_code == 0
    assert "2 of 2 galaxies can run, in 3 bands" in result.output
    result = call("check", catalog, config, "--data-root", root / "nowhere")
    assert result.exit_code == EXIT_FAILURES
    assert "no such folder" in result.output
    assert "0 of 2 galaxies can run" in result.output


def test_failures_have_reasons_and_an_exit_code(survey, tmp_path):
    root, catalog, config = survey
    words = ["run", catalog, config, "--store", tmp_path / "run", "--data-root", root / "nowhere"]
    result = call(*words, "--serial", "--no-check")
    assert result.exit_code == EXIT_FAILURES
    assert "failed: g00 inputs: band g: no such file" in result.output
    assert "failed" in call("status", tmp_path / "run").output


def test_resume_of_a_finished_run(finished):
    store, _ = finished
    result = call("resume", store, "--serial")
    assert result.exit_code == 0
    assert "2 of 2 galaxies have maps" in result.output


def test_errors_are_a_message_without_a_traceback(tmp_path):
    words = [sys.executable, "-m", "pxdask", "status", str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "is not a run" in ended.stderr
    assert "Traceback" not in ended.stderr
