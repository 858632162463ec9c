"""One task again, beside the run: the same bytes, or what differs."""

import shutil

import pytest
import yaml

import pxdask
from pxdask.core.errors import ConfigError, DataError
from pxdask.io.stores import publish, read
from pxdask.survey.care.retask import retask, save
from tests.survey.mini import make_survey, outputs, settings


def submit(root, catalog, config, **choices):
    choices = {"serial": True, "progress": False, **choices}
    return pxdask.submit(catalog, config, root / "run", root=root, **choices)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("retask")
    catalog, config = make_survey(root, 1)
    submit(root, catalog, config)
    # settings that keep images and cube: the manifest has rows of two configurations
    config.write_text(yaml.safe_dump(settings(binning={"snr": 10.0, "min_diameter": 3.0})))
    return root, submit(root, catalog, config, update=True)


@pytest.mark.parametrize(
    ("stage", "part"),
    [
        *[("image", "g"), ("cube", ""), ("bins", "")],
        *[("fit", ""), ("maps", ""), ("products", "")],
    ],
)
def test_every_stage_again_gives_the_same_bytes(finished, stage, part):
    _, run = finished
    before = outputs(run.store)
    with retask(run, "g00", stage, part) as again:
        remade = again.carry_out()
        there = {path.name: path.read_bytes() for path in remade.files}
        folder = again.scratch.root
    assert remade.differ == ()
    assert remade.same is True
    published = {name.split("/")[-1]: content for name, content in before.items()}
    assert {name: published[name] for name in there} == there
    assert outputs(run.store) == before
    assert not folder.exists()


def test_a_block_of_a_fit_has_nothing_to_be_compared_with(finished):
    _, run = finished
    with retask(run, "g00", "fit", "000004") as again:
        remade = again.carry_out()
        block = read(remade.files[0])
    assert remade.same is None
    whole = run.dataset("g00", "fit").isel(bin=slice(4, 8))
    assert (block["chi2"].values == whole["chi2"].values).all()


@pytest.mark.slow
def test_inputs_that_are_gone_are_made_again(finished, tmp_path):
    _, run = finished
    copy = tmp_path / "run"
    shutil.copytree(run.store, copy)
    for path in copy.glob("galaxies/*/g00/[icb]*.zarr.zip"):
        path.unlink()
    with retask(pxdask.open_run(copy), "g00", "fit") as again:
        assert again.carry_out().same
    assert not list(copy.glob("galaxies/*/g00/[icb]*.zarr.zip"))


def test_what_differs_is_named(finished, tmp_path):
    _, run = finished
    copy = tmp_path / "run"
    shutil.copytree(run.store, copy)
    path = next(
        copy / file
        for output in run.explain("g00", stage="bins").outputs
        for file in output.files
        if output.state == "current"
    )
    bins = read(path)
    bins["flux"][2, 1] += 0.5
    publish(bins.assign_attrs(extra=1), path)
    with retask(pxdask.open_run(copy), "g00", "bins") as again:
        remade = again.carry_out()
    assert remade.same is False
    assert remade.differ == (
        f"{path.name}: 1 of {bins['flux'].size} values of flux differ, by up to 0.5",
        f"{path.name}: attribute extra is 1 there, None here",
    )


def test_a_task_of_earlier_settings_is_done_with_these(finished, tmp_path):
    root, run = finished
    copy = tmp_path / "run"
    shutil.copytree(run.store, copy)
    # now settings change again, for which nothing has been made
    catalog, config = copy / "catalog.parquet", tmp_path / "other.yaml"
    config.write_text(yaml.safe_dump(settings(binning={"snr": 5.0, "min_diameter": 3.0})))
    with pytest.raises(ConfigError, match="not in the catalogue: g77"):
        pxdask.submit(catalog, config, copy, root=root, serial=True, update=True, galaxies=["g77"])
    with retask(pxdask.open_run(copy), "g00", "bins") as again:
        assert again.run.config.binning.snr == 10.0
        assert again.carry_out().same


def test_what_failed_fails_again_in_the_open(tmp_path):
    catalog, config = make_survey(tmp_path, 1)
    config.write_text(yaml.safe_dump(settings(binning={"max_memory": 1e-9})))
    run = submit(tmp_path, catalog, config)
    stage, words = str(run.failures()["stage"][0]), str(run.failures()["error"][0])
    with retask(run, "g00", stage) as again, pytest.raises(DataError) as caught:
        again.carry_out()
    assert str(caught.value) == words


def test_a_task_whose_inputs_changed_is_refused(finished):
    root, run = finished
    path = root / "images" / "g00" / "g.fits"
    content = path.read_bytes()
    try:
        path.write_bytes(content + b"\0" * 2880)
        with (
            pytest.raises(ConfigError, match=r"key was .* input file image"),
            retask(run, "g00", "image", "g"),
        ):
            pass
    finally:
        path.write_bytes(content)


def test_tasks_that_never_were(finished):
    _, run = finished
    for words, match in {
        ("g00", "nonsense"): "no stage 'nonsense'",
        ("g00", "image", "z"): "parts of image that were tried: 'g', 'i', 'r'",
        ("g99", "cube"): "no task cube '' of galaxy 'g99'",
    }.items():
        with pytest.raises(ConfigError, match=match), retask(run, *words):
            pass


def test_outputs_are_kept_where_the_user_says(finished, tmp_path):
    _, run = finished
    with retask(run, "g00", "products") as again:
        remade = again.carry_out()
        kept = save(remade, tmp_path / "kept")
        with pytest.raises(ConfigError, match="exists"):
            save(remade, tmp_path / "kept")
    assert sorted(path.suffix for path in kept) == [".fits", ".png"]
    assert {path.name for path in kept} == {p.name for p in run.product_paths("g00").values()}
