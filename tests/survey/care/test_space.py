"""What a run takes, and what of it nothing reaches."""

import os
import time

import numpy as np
import pytest
import yaml

import pxdask
from pxdask.core.errors import ConfigError
from pxdask.survey.care.space import remove, unreachable
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
