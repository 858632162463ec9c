"""What commands print for programs: one object, with the keys that docs/cli.md names."""

import json
import re

import pytest
from typer.testing import CliRunner

from pxdask.cli.app import app
from tests.paths import REPOSITORY
from tests.survey.mini import make_survey


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in (*words, "--json")])
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    root = tmp_path_factory.mktemp("json")
    catalog, config = make_survey(root, 2)
    (root / "images" / "g01" / "r.fits").unlink()
    words = ["run", catalog, config, "--store", root / "run", "--data-root", root, "--serial"]
    assert CliRunner().invoke(app, [str(word) for word in words]).exit_code == 1
    return root, catalog, config


def documented(command):
    page = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{command}` \| (.*) \|$", page, re.MULTILINE)[1]
    return set(re.findall(r"`(\w+)`", row))


def keys(value):
    """Yield all keys of an object and of the first of its lists of objects."""
    for name, inner in value.items():
        yield name
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield from inner[0]


def test_status(survey):
    code, found = call("status", survey[0] / "run")
    assert code == 0
    assert (found["galaxies"], found["finished"]) == (2, 1)
    assert [row["done"] for row in found["stages"] if row["stage"] == "products"] == [1]
    (failure,) = found["failures"]
    assert failure["id"] == "g01"
    assert "no such file" in failure["error"]
    assert set(keys(found)) == documented("status")


def test_check(survey):
    root, catalog, config = survey
    code, found = call("check", catalog, config, "--data-root", root)
    assert code == 1
    assert (found["galaxies"], found["can_run"], found["bands"]) == (2, 1, 3)
    (problem,) = found["problems"]
    assert (problem["galaxy"], problem["band"]) == ("g01", "r")
    assert set(keys(found)) == documented("check")


def test_verify_and_its_exit_code(survey):
    store = survey[0] / "run"
    code, found = call("verify", store)
    assert code == 0
    assert found["ok"]
    assert set(found) == documented("verify")
    (fit,) = store.glob("galaxies/*/g00/fit-*.zip")
    kept = fit.read_bytes()
    fit.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    code, found = call("verify", store)
    fit.write_bytes(kept)
    assert code == 1
    assert not found["ok"]
    assert found["damaged"] == [fit.relative_to(store).as_posix()]


def test_du(survey):
    _, found = call("du", survey[0] / "run")
    assert found["bytes"] == sum(row["bytes"] for row in found["rows"])
    assert {"fit", "cube"} <= {row["stage"] for row in found["rows"]}
    _, galaxies = call("du", survey[0] / "run", "--by", "galaxy")
    assert galaxies["rows"][0]["galaxy"] == "g00"
    assert set(keys(found)) | set(keys(galaxies)) == documented("du")


def test_collect(survey):
    code, found = call("collect", survey[0] / "run", "--table", "parquet")
    assert code == 0
    assert (found["galaxies"], found["read"]) == (1, 1)
    assert len(found["tables"]) == 2
    assert set(found) == documented("collect")


def test_explain(survey):
    code, found = call("explain", survey[0] / "run", "g00")
    assert code == 0
    assert found["galaxy"] == "g00"
    assert set(keys(found)) == documented("explain")
