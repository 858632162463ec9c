"""``pxdask explain`` and ``pxdask task`` as a user meets them."""

import json

import pytest
import yaml
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.cli.explain import EXIT_DIFFERS
from pxdask.core.errors import ConfigError, DataError
from pxdask.io.stores import publish, read
from tests.survey.mini import make_survey, settings


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("explain-cli")
    catalog, config = make_survey(root, 1)
    config.write_text(yaml.safe_dump(settings(fit={"block_size": 1000})))
    return pxdask.submit(
        catalog, config, root / "run", root=root, serial=True, progress=False, check=False
    )


def test_explain_tells_the_chain(run):
    result = call("explain", run.store, "g00")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    heads = [line.split() for line in lines if not line.startswith(" ")]
    assert [head[0] for head in heads] == [
        *["image"] * 3,
        *("cube", "bins", "fit", "maps", "products"),
    ]
    assert {head[-1] for head in heads} == {"current"}
    bins = next(head[1] for head in heads if head[0] == "bins")
    assert f"  made from bins {bins}" in lines
    assert any(line.startswith("  input uncertainty ") for line in lines)
    assert "  seed 1" in lines
    assert any(line.startswith("  done in ") and run.config.key() in line for line in lines)
    assert not any(line.startswith("  setting ") for line in lines)


def test_explain_tells_the_settings_of_a_stage(run):
    lines = call("explain", run.store, "g00", "--stage", "fit").output.splitlines()
    assert "  setting models.sfh: 'delayed_tau'" in lines
    assert sum(line.startswith("fit") for line in lines) == 1


def test_explain_as_json(run):
    found = json.loads(call("explain", run.store, "g00", "--json").output)
    assert found == json.loads(json.dumps(run.explain("g00").values()))
    assert found["outputs"][0]["recipe"]["row"]["id"] == "g00"


def test_explain_refuses_what_is_not_there(run):
    for words in (["g99"], ["g00", "--stage", "nonsense"], ["../up"]):
        result = call("explain", run.store, *words)
        assert isinstance(result.exception, ConfigError)


def test_task_compares_bytes(run, tmp_path):
    result = call("task", run.store, "g00", "image", "r", "--out", tmp_path / "r.zarr.zip")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "g00 image r: the same bytes as published"
    made = read(tmp_path / "r.zarr.zip")
    assert made.identical(run.dataset("g00", "image", "r"))


def test_task_tells_what_differs(run):
    path = run.store / run.explain("g00", stage="cube").outputs[0].files[0]
    content = path.read_bytes()
    try:
        publish(read(path).assign_attrs(extra=1), path)
        result = call("task", run.store, "g00", "cube")
    finally:
        path.write_bytes(content)
    assert result.exit_code == EXIT_DIFFERS
    assert "attribute extra is 1 there, None here" in result.output


def test_task_opens_a_debugger_where_it_breaks(tmp_path, monkeypatch):
    catalog, config = make_survey(tmp_path, 1)
    config.write_text(yaml.safe_dump(settings(binning={"max_memory": 1e-9})))
    run = pxdask.submit(
        catalog, config, tmp_path / "run", root=tmp_path, serial=True, progress=False
    )
    seen = []
    monkeypatch.setattr("pdb.post_mortem", seen.append)
    result = call("task", run.store, "g00", "bins", "--pdb")
    assert isinstance(result.exception, DataError)
    assert len(seen) == 1
    assert call("task", run.store, "g00", "bins").exception is not None
    assert len(seen) == 1
