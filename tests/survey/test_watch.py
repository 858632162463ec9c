"""A run is watched from its manifest, while it goes and when tasks are tried again."""

import io
import shutil
import time
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

import pxdask
from pxdask.cli import watch
from pxdask.cli.app import app
from pxdask.core.errors import ConfigError
from pxdask.survey.manifest import MANIFEST, Manifest, Record
from pxdask.survey.results import CATALOG
from pxdask.survey.watch.tail import BLOCKS, QUIET_S, RunTally
from tests.survey.mini import make_survey


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watch")
    catalog, config = make_survey(folder, 2, fit={"block_size": 16})
    (folder / "images" / "g01" / "r.fits").write_bytes(b"junk")
    return pxdask.submit(
        catalog, config, folder / "run", root=folder, serial=True, check=False, progress=False
    )


def counts(summary, name):
    one = next(one for one in summary.stages if one.stage == name)
    return one.done, one.failed, one.expected


def test_it_counts_what_the_run_counts(run):
    found = RunTally(run).update(now=time.time())
    assert (found.finished, found.failed, found.total) == (1, 1, 2)
    assert counts(found, "image") == (3, 0, 6)
    assert counts(found, "cube") == counts(found, "products") == (1, 0, 2)
    assert counts(found, "inputs") == (0, 1, 1)
    n_block = sum(1 for row in run.manifest() if row["stage"] == "fit" and row["part"])
    assert counts(found, BLOCKS) == (n_block, 0, n_block)
    total = sum(run.manifest()["cpu_s"][run.manifest()["id"] == "g00"])
    assert found.cpu_s == pytest.approx(total, rel=1e-6)  # sums of the same numbers
    assert found.rate > 0
    assert found.left_s == 0.0


def test_a_task_tried_again_counts_once(run, tmp_path):
    shutil.copy(run.store / CATALOG, tmp_path / CATALOG)
    tally = RunTally(replace(run, store=tmp_path))
    manifest = Manifest(tmp_path / MANIFEST)
    cube = Record("g00", "cube", "", "k", "failed", error="full disk", ended=time.time())
    manifest.append(cube)
    found = tally.update(now=time.time())
    assert (counts(found, "cube"), found.failed) == ((0, 1, 2), 1)
    for outcome in ("done", "existed", "done"):
        manifest.append(replace(cube, outcome=outcome, error=""))
    found = tally.update(now=time.time())
    one = next(one for one in found.stages if one.stage == "cube")
    assert (one.done + one.existed, one.failed, found.failed) == (1, 0, 0)
    assert (found.failures, found.reasons) == ((), ())
    manifest.append(replace(cube, outcome="blocked"))
    assert counts(tally.update(now=time.time()), "cube")[1] == 0
    manifest.close()


def test_a_run_that_stopped_keeps_its_rate(run):
    tally = RunTally(run)
    tally.update(now=time.time())
    soon = tally.update(now=tally.newest + QUIET_S)
    assert tally.update(now=tally.newest + 1e6).rate == soon.rate


def test_a_screen_shows_it_all(run):
    tally = RunTally(run)
    text = io.StringIO()
    console = Console(file=text, width=100, force_terminal=True, legacy_windows=False)
    found = tally.update(now=time.time())
    console.print(watch.screen(found, name="[mini]", place="/run", age=3.0))
    shown = text.getvalue()
    for words in ("[mini]", "1 of 2 galaxies", "1 failed", "CPU-hours", "image", "━", "3/6"):
        assert words in shown
    assert "not a FITS file" in shown
    assert "0:00:03 ago" in shown


def test_the_command_ends_with_the_run(run):
    told = CliRunner().invoke(app, ["status", str(run.store), "--watch"])
    assert told.exit_code == 0
    assert told.output.startswith("1 of 2 galaxies, 1 failed, ")


def test_on_a_screen(run, monkeypatch):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100, legacy_windows=False)
    monkeypatch.setattr(watch, "out", console)
    watch.watch_run(run, every_s=0.1)
    assert "products" in text.getvalue()


def test_it_can_be_left_at_any_time(run, tmp_path, monkeypatch, capsys):
    def leave(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", leave)
    shutil.copy(run.store / CATALOG, tmp_path / CATALOG)
    watch.watch_run(replace(run, store=tmp_path), every_s=0.1)
    assert "0 of 2 galaxies" in capsys.readouterr().out


def test_a_serial_run_has_no_performance_report(run, tmp_path):
    with pytest.raises(ConfigError, match="no cluster to report on"):
        pxdask.resume(run.store, serial=True, report=tmp_path / "r.html", progress=False)
    assert not (tmp_path / "r.html").exists()
