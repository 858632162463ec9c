"""What a run takes, and what of it nothing reaches."""

import os
import time

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import pxdask
from pxdask.binning import BinStage
from pxdask.cli.app import app
from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError
from pxdask.survey.care.retask import retask
from pxdask.survey.care.space import remove, unreachable
from pxdask.survey.context import config_of
from tests.survey.mini import make_survey, outputs, settings


def test_usage_is_all_of_it(finished_run):
    total = sum(path.stat().st_size for path in finished_run.store.rglob("*") if path.is_file())
    by_stage = finished_run.usage()
    assert by_stage["size"].sum() == total
    assert str(by_stage["size"].unit) == "byte"
    assert list(by_stage["stage"][:6]) == ["image", "cube", "bins", "fit", "maps", "products"]
    assert list(by_stage["files"][:6]) == [9, 3, 3, 3, 3, 6]
    by_galaxy = finished_run.usage("galaxy")
    assert sorted(by_galaxy["galaxy"]) == ["g00", "g01", "g02"]
    assert by_galaxy["size"].sum() == by_stage["size"][:6].sum()
    assert (np.diff(by_galaxy["size"]) <= 0).all()


def test_nothing_of_a_current_run_is_unreachable(finished_run):
    before = outputs(finished_run.store)
    garbage = unreachable(finished_run)
    assert garbage.files == ()
    assert garbage.n_kept == 0
    assert outputs(finished_run.store) == before


def test_what_writers_left_and_what_is_not_ours(own_run):
    folder = next((own_run.store / "galaxies").glob("*/g00"))
    old, new, mine = (folder / n for n in (".a.zarr.zip.1.part", ".b.zarr.zip.2.part", "notes.txt"))
    for path in (old, new, mine):
        path.write_text("x")
    long_ago = time.time() - 2 * 86400
    os.utime(old, (long_ago, long_ago))
    assert [file.path for file in unreachable(own_run).files] == [old]


def test_without_its_images_a_galaxy_keeps_all(own_run, tmp_path):
    facts = (own_run.store / "run.json").read_text()
    root = own_run.data_root
    (own_run.store / "run.json").write_text(facts.replace(root, str(tmp_path / "elsewhere")))
    garbage = unreachable(pxdask.open_run(own_run.store))
    assert garbage.files == ()
    assert garbage.n_kept == 3


OLD = "0123456789abcdef"
"""The key that an older version gave to the settings of the run."""


@pytest.fixture
def of_older_version(own_run, monkeypatch):
    """A run that a version carried out which kept no settings, and made bins differently."""
    key, history = own_run.config.key(), own_run.store / "history"
    assert SurveyConfig.load(history / f"{key}.yaml") == own_run.config
    (history / f"{key}.yaml").unlink()
    (history / f"{key}.json").rename(history / f"{OLD}.json")
    for path in (own_run.store / "manifest").iterdir():
        path.write_text(path.read_text().replace(key, OLD))
    monkeypatch.setattr(BinStage, "version", BinStage.version + 1)
    return own_run


def test_what_the_program_changed_is_told_from_other_settings(of_older_version):
    run, now = of_older_version, BinStage.version
    garbage = unreachable(run)
    words = f"bins: version of the stage: {now - 1} when it was made, {now} now"
    assert garbage.why == (f"the program has changed: {words}",)
    assert (garbage.n_lost, garbage.n_stay, garbage.is_all) == (3, 0, True)
    assert {file.path.parent.name for file in garbage.files} == set(run.galaxies)  # no models
    assert run.verify().ok


def test_where_nothing_finished_would_stay_one_word_is_not_enough(of_older_version):
    run = of_older_version
    before = outputs(run.store)
    said = CliRunner().invoke(app, ["gc", str(run.store)])
    assert said.exit_code == 0
    assert said.output.splitlines()[-1].endswith("--yes --all")
    refused = CliRunner().invoke(app, ["gc", str(run.store), "--yes"])
    assert isinstance(refused.exception, ConfigError)
    assert "of 3 galaxies; make it anew first (pxdask resume" in str(refused.exception)
    assert outputs(run.store) == before
    assert CliRunner().invoke(app, ["gc", str(run.store), "--yes", "--all"]).exit_code == 0
    assert len(outputs(run.store)) < len(before)


def test_outputs_of_an_older_version_are_explained(of_older_version):
    """A task that is as it was is done again; of another it is said what has changed."""
    run, now = of_older_version, BinStage.version
    assert config_of(run, OLD) == run.config
    states = {output.stage: output.state for output in run.explain("g00", stage="image").outputs}
    assert states == {"image": "current"}
    with retask(run, "g00", "image", "r") as again:
        assert again.carry_out().same
    words = f"version of the stage: {now - 1} when it was made, {now} now"
    with pytest.raises(ConfigError, match=words), retask(run, "g00", "bins"):
        pass


def test_settings_that_were_not_kept_are_said_to_be_so(of_older_version):
    run = of_older_version
    other = run.config.model_copy(update={"seed": 77})
    (run.store / "history" / f"{other.key()}.yaml").write_text(other.dump())
    with pytest.raises(ConfigError, match=r"were not kept: there is 0123456789abcdef\.json"):
        config_of(run, OLD)
    with pytest.raises(ConfigError, match="has no settings fedcba"):
        config_of(run, "fedcba")
    assert config_of(run, other.key()) == other


@pytest.mark.slow
def test_outputs_of_other_settings_and_galaxies(tmp_path):
    catalog, config = make_survey(tmp_path, 2)

    def submit(**choices):
        return pxdask.submit(
            catalog, config, tmp_path / "run", root=tmp_path, serial=True, progress=False, **choices
        )

    first = submit()
    old = set(outputs(first.store))
    lines = catalog.read_text().splitlines()
    catalog.write_text("\n".join(line for line in lines if not line.startswith("g01")) + "\n")
    config.write_text(yaml.safe_dump(settings(fit={"block_size": 4, "systematic_error": 0.1})))
    run = submit(update=True)
    expected = {name for name in old if "/g01/" in name}
    of_g00 = {
        n for n in old if "/g00/" in n and n.split("/")[-1].startswith(("fit", "maps", "summary"))
    }
    garbage = unreachable(run)
    found = {file.path.relative_to(run.store).as_posix() for file in garbage.files}
    assert found == expected | of_g00
    assert garbage.n_bytes == sum(file.path.stat().st_size for file in garbage.files)
    remove(run, garbage)
    assert unreachable(run).files == ()
    assert run.verify().ok
    assert run.finished() == ["g00"]
    with pytest.raises(ConfigError, match="'g01': it was removed"):
        run.maps("g01")
    assert submit().finished() == ["g00"]
    config.write_text(yaml.safe_dump(settings()))
    assert set(outputs(submit(update=True).store)) >= of_g00
