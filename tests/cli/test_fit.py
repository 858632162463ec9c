"""The command that fits a catalogue."""

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from pxdask.cli.app import EXIT_FAILURES, app
from pxdask.core.errors import ConfigError
from tests.survey.seds.test_catalog_fit import catalog, settings


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def files(tmp_path):
    table = catalog(6)
    table.write(tmp_path / "seds.ecsv")
    (tmp_path / "fit.yaml").write_text(settings().dump())
    return tmp_path / "seds.ecsv", tmp_path / "fit.yaml", tmp_path / "run"


def test_it_says_where_the_table_is(files):
    result = call("fit", *files, "--serial")
    assert result.exit_code == 0, result.output
    folder = files[2].resolve()
    for suffix in ("fits", "parquet", "ecsv"):
        assert f"{folder}/results.{suffix}" in result.output
        assert (folder / f"results.{suffix}").is_file()


def test_failures_have_reasons_and_an_exit_code(files):
    table = catalog(6)
    table["redshift"][0] = np.nan
    table.write(files[0], overwrite=True)
    result = call("fit", *files, "--serial")
    assert result.exit_code == EXIT_FAILURES
    assert "failed: s000: redshift is nan; wanted a positive number" in result.output


def test_wrong_settings_are_an_error(files):
    files[1].write_text(yaml.safe_dump({"bands": {"g": "sdss_g"}, "colour": "red"}))
    result = call("fit", *files, "--serial")
    assert isinstance(result.exception, ConfigError)
    assert "colour" in str(result.exception)
