"""Every file tells what made it, and the run tells whether it still would."""

import json
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table

import pxdask
from pxdask.core import provenance
from pxdask.core.errors import ConfigError
from pxdask.io.provenance import read_provenance
from pxdask.io.stores import checksum
from pxdask.survey.care.explain import other_versions
from tests.survey.mini import make_survey, settings


def submit(root, catalog, config, **choices):
    choices = {"serial": True, "progress": False, **choices}
    return pxdask.submit(catalog, config, root / "run", root=root, **choices)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("explain")
    return root, submit(root, *make_survey(root, 1))


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """Return a run before and after a change of its settings."""
    root = tmp_path_factory.mktemp("changed")
    catalog, config = make_survey(root, 1)
    runs = [submit(root, catalog, config)]
    config.write_text(yaml.safe_dump(settings(binning={"snr": 10.0, "min_diameter": 3.0})))
    runs.append(submit(root, catalog, config, update=True))
    return root, catalog, config, runs


def by_stage(explanation):
    return {(o.stage, o.part, o.state): o for o in explanation.outputs}


def test_every_output_tells_what_made_it(finished):
    root, run = finished
    row = {"id": "g00", "ra": 150.0, "dec": 2.0, "redshift": 0.05}
    digest = checksum(root / "images" / "g00" / "r_err.fits")
    for stage, part in [("image", "r"), ("cube", ""), ("bins", ""), ("fit", ""), ("maps", "")]:
        attrs = run.dataset("g00", stage, part).attrs
        assert (attrs["galaxy"], attrs["stage"]) == ("g00", stage)
        assert attrs["recipe"]["row"] == row
        assert attrs["checksums"]["r uncertainty"] == digest
        assert attrs["versions"]["numpy"] == np.__version__
        assert attrs["code"] == provenance.code_state()
        assert len(attrs["config_key"]) == 16
    assert run.dataset("g00", "fit").attrs["seeds"] == {"models.seed": 1}
    assert run.dataset("g00", "bins").attrs["recipe"]["settings"]["snr"] == 20.0
    assert set(run.dataset("g00", "image", "r").attrs["checksums"]) == {"r image", "r uncertainty"}


def test_fits_and_png_tell_it_too(finished):
    _, run = finished
    paths = run.product_paths("g00")
    told = read_provenance(paths["maps"])
    assert told["key"] == fits.getheader(paths["maps"])["PXDKEY"]
    assert told["recipe"]["outputs"]["fit"] == run.dataset("g00", "fit").attrs["key"]
    assert len(told["checksums"]) == 6
    assert f'"key":"{told["key"]}"'.encode() in paths["summary"].read_bytes()


def test_nothing_tells_when_or_where(finished):
    root, run = finished
    paths = [run.product_paths("g00")["maps"]]
    paths += sorted(paths[0].parent.glob("*.zarr.zip"))
    assert len(paths) == 8
    for path in paths:
        told = {k: v for k, v in read_provenance(path).items() if k not in ("wcs", "schema")}
        told.get("recipe", {}).get("settings", {}).pop("grid", None)
        assert str(root) not in json.dumps(told)
        assert platform.node() not in json.dumps(told["recipe"])


def test_the_chain_is_closed(finished):
    _, run = finished
    outputs = run.explain("g00").outputs
    assert [o.stage for o in outputs] == ["image"] * 3 + ["cube", "bins", "fit", "maps", "products"]
    assert {o.state for o in outputs} == {"current"}
    keys = {o.key for o in outputs}
    for output in outputs:
        assert set(output.recipe["outputs"].values()) <= keys
        assert output.record["outcome"] == "done"
        assert output.record["seconds"] > 0
        assert output.record["config"] == run.config.key()
        assert all((run.store / file).is_file() for file in output.files)
        assert other_versions(output) == {}
        for role, path in output.sources.items():
            assert checksum(Path(path)) == output.recipe["files"][role]


def test_one_stage(finished):
    _, run = finished
    assert [o.part for o in run.explain("g00", stage="image").outputs] == ["g", "i", "r"]
    with pytest.raises(ConfigError, match="no stage 'nonsense'"):
        run.explain("g00", stage="nonsense")
    with pytest.raises(ConfigError, match="no galaxy 'g99'"):
        run.explain("g99")


def test_it_says_which_setting_changed(changed):
    _, _, _, (_, run) = changed
    found = by_stage(run.explain("g00"))
    assert found["bins", "", "outdated"].why == ("setting snr: 20.0 when it was made, 10.0 now",)
    old, new = (found["bins", "", state].key for state in ("outdated", "current"))
    assert found["fit", "", "outdated"].why == (
        f"made from bins: {old!r} when it was made, {new!r} now",
    )
    assert ("cube", "", "outdated") not in found


def test_it_says_which_file_changed(changed):
    root, _, _, (_, run) = changed
    path = root / "images" / "g00" / "g.fits"
    content = path.read_bytes()
    try:
        path.write_bytes(content + b"\0" * 2880)
        found = by_stage(run.explain("g00"))
    finally:
        path.write_bytes(content)
    assert "input file image" in found["image", "g", "outdated"].why[0]
    assert found["image", "g", "missing"].why == ("it has not been made",)
    assert ("image", "r", "current") in found
    assert found["cube", "", "outdated"].why[0].startswith("made from image g:")


@pytest.mark.slow
def test_it_says_what_changed_in_the_catalogue(tmp_path):
    catalog, config = make_survey(tmp_path, 2)
    submit(tmp_path, catalog, config)
    table = Table.read(catalog)
    table["redshift"][0] = 0.06
    table[:1].write(catalog, overwrite=True)
    run = submit(tmp_path, catalog, config, update=True, galaxies=["g00"])
    why = by_stage(run.explain("g00"))["bins", "", "outdated"].why
    assert why[0] == "catalogue column redshift: 0.05 when it was made, 0.06 now"
    gone = run.explain("g01").outputs
    assert {(o.state, o.why) for o in gone} == {("unknown", ("it is not in the catalogue",))}
    (tmp_path / "images" / "g00" / "g.fits").unlink()
    lost = run.explain("g00").outputs
    assert {o.state for o in lost} == {"unknown"}
    assert "g.fits" in lost[0].why[0]


def test_a_failure_is_told(tmp_path):
    catalog, config = make_survey(tmp_path, 1)
    config.write_text(yaml.safe_dump(settings(binning={"max_memory": 1e-9})))
    run = submit(tmp_path, catalog, config)
    found = by_stage(run.explain("g00"))
    failed = [o for o in found.values() if o.record.get("outcome") == "failed"]
    assert len(failed) == 1
    assert failed[0].state == "missing"
    assert failed[0].why == (str(run.failures()["error"][0]),)


def test_a_damaged_file_is_told(finished):
    _, run = finished
    path = run.store / run.explain("g00", stage="maps").outputs[0].files[0]
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-100])
        assert run.explain("g00", stage="maps").outputs[0].state == "damaged"
    finally:
        path.write_bytes(content)


def test_other_versions_are_named(finished, monkeypatch):
    _, run = finished
    now = provenance.package_versions()
    monkeypatch.setattr(
        "pxdask.survey.care.explain.package_versions", lambda: {**now, "numpy": "99", "new": "1"}
    )
    output = run.explain("g00", stage="cube").outputs[0]
    assert other_versions(output) == {"numpy": (now["numpy"], "99"), "new": ("absent", "1")}
    assert output.state == "current"


def test_the_state_of_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / "package" / "core"
    package.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    look = provenance.code_state.__wrapped__
    assert look() == {}  # installed, not a checkout

    def git(*words):
        author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        command = [shutil.which("git"), "-C", tmp_path, *author, *words]
        subprocess.run(command, check=True, capture_output=True)

    git("init")
    assert look() == {}  # no commit
    (package / "provenance.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    first = look()
    assert len(first["commit"]) == 40
    assert first["modified"] is False
    (tmp_path / "README").write_text("a document\n")
    git("add", ".")
    git("commit", "-m", "second")
    assert look() == first  # the package is the same
    (package / "provenance.py").write_text("x = 2\n")
    assert look() == {**first, "modified": True}
    monkeypatch.setenv("PATH", "")
    assert look() == {}  # no git
