"""Whatever befalls workers and disks: nothing is lost, nothing torn, nothing told twice."""

import os
import re

import pytest

import pxdask
from benchmarks import synthetic
from pxdask.survey.executors import DaskExecutor, SerialExecutor
from pxdask.survey.manifest import Manifest
from tests.survey.chaos import (
    DISKS,
    FAULTS,
    Chaos,
    drive_to_the_end,
    outputs,
    struck,
    told_twice,
)

pytestmark = pytest.mark.cluster

N_GALAXY = 6


def chaos(folder, *, seed, rate, faults=FAULTS):
    hits = folder / "hits"
    hits.mkdir(parents=True, exist_ok=True)
    return Chaos(seed, rate, hits, os.getpid(), faults)


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    root = tmp_path_factory.mktemp("calm")
    run = synthetic.context(root / "run", root)
    synthetic.write_inputs(root, N_GALAXY)
    assert (
        drive_to_the_end(run, SerialExecutor(), chaos(root, seed=0, rate=0.0).calls, N_GALAXY) == 1
    )
    found = outputs(run)
    assert len(found) == N_GALAXY * (synthetic.N_TASK + 1)  # the last one writes two files
    return found


@pytest.mark.parametrize("seed", range(4))
def test_broken_disks(calm, tmp_path, seed):
    synthetic.write_inputs(tmp_path, N_GALAXY)
    run = synthetic.context(tmp_path / "run", tmp_path)
    faults = chaos(tmp_path, seed=seed, rate=0.5, faults=DISKS)
    drive_to_the_end(run, SerialExecutor(), faults.calls, N_GALAXY)
    assert outputs(run) == calm
    assert not told_twice(run)
    seen = struck(faults.hits)
    assert set(seen) == set(DISKS)
    failed = [r for r in Manifest(run.root / "manifest").records() if r.outcome == "failed"]
    assert len(failed) == seen["ENOSPC"]
    assert all(re.search("No space left", record.error) for record in failed)


@pytest.mark.slow
def test_killed_workers_and_broken_disks(calm, tmp_path):
    synthetic.write_inputs(tmp_path, N_GALAXY)
    run = synthetic.context(tmp_path / "run", tmp_path)
    with pxdask.connect("local", workers=2) as client:
        faults = chaos(tmp_path, seed=16, rate=0.15)  # each fault strikes, kills once
        drive_to_the_end(run, DaskExecutor(client), faults.calls, N_GALAXY)
    assert outputs(run) == calm
    assert not told_twice(run)
    assert set(struck(faults.hits)) == set(FAULTS)
