"""``pxdask report`` as a user types it."""

import pytest
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.core.errors import ConfigError
from tests.survey.mini import make_survey

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli-report")
    catalog, config = make_survey(root, 1)
    return pxdask.submit(catalog, config, root / "run", root=root, serial=True, progress=False)


def test_report(made, tmp_path):
    words = ["report", str(made.store), "-o", str(tmp_path / "pages"), "--galaxy", "g00"]
    result = RUNNER.invoke(app, words)
    assert result.exit_code == 0, result.output
    assert f"1 page for 1 galaxy; open {tmp_path / 'pages' / 'index.html'}" in result.output
    assert (tmp_path / "pages" / "galaxies" / "g00.html").is_file()
    again = RUNNER.invoke(app, words)
    assert isinstance(again.exception, ConfigError)
    assert RUNNER.invoke(app, [*words, "--overwrite"]).exit_code == 0
