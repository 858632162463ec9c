"""A seal spares a plan, and never hides that something has changed."""

import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from benchmarks import synthetic
from pxdask.survey.care import seals
from pxdask.survey.care.seals import end_galaxy, probe_galaxies
from pxdask.survey.plan import seal_path
from pxdask.survey.work import task_paths

LONG_AGO = 10.0


@pytest.fixture
def sealed(tmp_path):
    """A finished galaxy, its run and its plan."""
    synthetic.write_inputs(tmp_path / "images", 1)
    run = synthetic.context(tmp_path / "run", tmp_path / "images")
    galaxy = next(synthetic.galaxies(1))
    plan = synthetic.plan(galaxy, run)
    for task in plan.missing:
        for path in task_paths(task, run.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(synthetic.EMPTY_ZIP)
    # as if the images had been there long before the plan
    end_galaxy(replace(plan, made=time.time() + LONG_AGO), run, complete=True)
    return galaxy, run, plan


def test_all_tasks_are_told(sealed):
    galaxy, run, plan = sealed
    assert probe_galaxies([galaxy], run) == [plan.missing]


def test_others_are_not(sealed):
    galaxy, run, plan = sealed
    other = {**galaxy, "id": "g0000001"}
    assert probe_galaxies([other, galaxy], run) == [None, plan.missing]


@pytest.mark.parametrize("column", ["ra", "redshift"])
def test_another_row(sealed, column):
    galaxy, run, _ = sealed
    assert probe_galaxies([{**galaxy, column: 1.0}], run) == [None]


def test_other_settings(sealed):
    galaxy, run, _ = sealed
    config = run.config.model_copy(update={"seed": run.config.seed + 1})
    assert probe_galaxies([galaxy], replace(run, config=config)) == [None]


def test_other_code(sealed, monkeypatch):
    galaxy, run, _ = sealed
    monkeypatch.setattr("pxdask.survey.care.seals.BinStage.version", 10**6)
    assert probe_galaxies([galaxy], run) == [None]


def test_a_changed_image(sealed):
    galaxy, run, plan = sealed
    image = plan.inputs.bands[0].image
    with open(image, "ab") as file:  # noqa: PTH123  a text from the settings
        file.write(b"more")
    assert probe_galaxies([galaxy], run) == [None]


def test_an_image_that_only_looks_as_old(sealed):
    """A file with its time set back is another one: the system's own time tells."""
    galaxy, run, plan = sealed
    image = plan.inputs.bands[0].image
    seen = os.stat(image)  # noqa: PTH116  a text from the settings
    time.sleep(0.02)
    os.utime(image, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert probe_galaxies([galaxy], run) == [None]


def test_a_lost_output(sealed):
    galaxy, run, plan = sealed
    plan.missing[0].path(run.root).unlink()
    assert probe_galaxies([galaxy], run) == [None]


def test_an_output_cut_short(sealed):
    galaxy, run, plan = sealed
    path = plan.missing[0].path(run.root)
    path.write_bytes(path.read_bytes()[:-1])
    assert probe_galaxies([galaxy], run) == [None]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"of": 1, "files": 2, "tasks": 3}'])
def test_a_damaged_seal(sealed, text):
    galaxy, run, _ = sealed
    seal_path(run.root, galaxy["id"]).write_text(text)
    assert probe_galaxies([galaxy], run) == [None]


def test_nothing_is_sealed_that_is_incomplete(sealed):
    galaxy, run, plan = sealed
    seal_path(run.root, galaxy["id"]).unlink()
    end_galaxy(replace(plan, made=time.time() + LONG_AGO), run, complete=False)
    assert not seal_path(run.root, galaxy["id"]).exists()


def test_nothing_is_sealed_whose_images_are_new(sealed):
    galaxy, run, plan = sealed
    seal_path(run.root, galaxy["id"]).unlink()
    end_galaxy(replace(plan, made=time.time()), run, complete=True)
    assert not seal_path(run.root, galaxy["id"]).exists()


def test_threads_probe_one_after_the_other(sealed, monkeypatch):
    galaxy, run, _ = sealed
    at_once, most = [], []

    def look(*_):
        at_once.append(0)
        most.append(len(at_once))
        time.sleep(0.02)
        at_once.pop()

    monkeypatch.setattr(seals, "_sealed_tasks", look)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: probe_galaxies([galaxy] * 2, run), range(4)))
    assert most == [1] * 8


def test_nobody_waits_for_slow_files(sealed, monkeypatch):
    """Nor is the turn given up by who did not have it."""
    galaxy, run, plan = sealed
    turn = threading.Lock()
    monkeypatch.setattr(seals, "_TURN", turn)
    monkeypatch.setattr(seals, "_PATIENCE_S", 0.01)
    with turn:
        assert probe_galaxies([galaxy], run) == [plan.missing]
        assert turn.locked()
    assert probe_galaxies([galaxy], run) == [plan.missing]
    assert not turn.locked()


def test_tasks_travel(sealed):
    _, _, plan = sealed
    assert pickle.loads(pickle.dumps(plan.missing)) == plan.missing  # noqa: S301  our own bytes
