"""A browser opens the dashboard and the survey panel in mid-run, and sees numbers move."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from pxdask.survey.manifest import Record
from pxdask.survey.panel import HISTORY, RUNS_KEPT, SurveyPanel, WatchedRun
from pxdask.survey.panel_page import SILENT_S, heading, stage_columns, table
from pxdask.survey.stages import STAGES
from pxdask.survey.tally import Tally
from pxdask.survey.watching import reported
from tests.components import find_program, need
from tests.survey.mini import make_survey

N_GALAXY = 8
LIMIT_S = 90.0

MODEL = "name => Bokeh.documents[0].get_model_by_name(name)"
TABLE = f"name => ({MODEL})(name).text"
SOURCE = f"""name => Object.fromEntries(
    Object.entries(({MODEL})(name).data).map(([key, values]) => [key, Array.from(values)]))"""


def summary(*, total=4, made=1, started=1000.0, now=1060.0, error=""):
    tally = Tally(total=total, started=started)
    tally.expect("image", 12)
    for n in range(made):
        tally.note(Record(f"g{n}", "image", "g", "k", "done", cpu_s=36.0), now=now)
        tally.note(Record(f"g{n}", "products", "", "k", "done"), now=now)
    if error:
        tally.note(Record("<b>bad</b>", "cube", "", "k", "failed", error=error), now=now)
    return tally.summary(now=now)


class TestPage:
    def test_the_top_has_the_numbers(self):
        run = WatchedRun("mini", "/run", summary(), heard=1061.0)
        text = heading(run, 2, 4, 1062.0)
        for words in ("1 / 4", "2 / 4", "0:03:00", "0:01:00", "<b>60</b>", "0.01", "running"):
            assert words in text

    def test_a_silent_driver_is_seen(self):
        run = WatchedRun("mini", "/run", summary(), heard=1000.0)
        assert "silent for 0:00:16" in heading(run, 0, 0, 1000.0 + SILENT_S + 1)
        run.ended = True
        assert "ended" in heading(run, 0, 0, 1000.0 + SILENT_S + 1)

    def test_no_run(self):
        assert "no run yet" in heading(None, 1, 1, 0.0)

    def test_what_comes_from_files_is_escaped(self):
        evil = "<img src=x onerror=alert(1)>"
        run = WatchedRun(evil, evil, summary(error=evil), heard=0.0)
        shown = heading(run, 1, 1, 0.0) + table("failures", [("1", evil, "cube", evil)])
        assert "<img" not in shown
        assert shown.count("&lt;img") == 4

    def test_bars_add_up(self):
        found = stage_columns(summary(made=3, error="no"), {"image": (5, 2), "cube": (9, 0)})
        at = found["stage"].index("image")
        assert found["words"][at] == "3 / 12,  5 running"
        assert found["done"][at] == pytest.approx(3 / 12)
        assert found["running"][at] == pytest.approx(5 / 12)
        assert found["waiting"][at] == pytest.approx(4 / 12)
        for row in zip(
            *(
                found[name]
                for name in ("done", "existed", "failed", "blocked", "running", "waiting")
            ),
            strict=True,
        ):
            assert sum(row) == pytest.approx(1.0)


class TestPlugin:
    def test_it_keeps_the_newest_runs(self):
        panel = SurveyPanel()
        for n in range(RUNS_KEPT + 5):
            panel.take("mini", f"/run{n}", summary().values())
        panel.take("mini", "/run7", summary().values(), ended=True)
        assert len(panel.runs) == RUNS_KEPT
        assert next(reversed(panel.runs)) == "/run7"
        assert panel.runs["/run7"].ended

    def test_the_curve_is_bounded_and_begins_anew(self):
        run = WatchedRun("mini", "/run", summary(), heard=0.0)
        for n in range(3 * HISTORY):
            run.take(summary(now=1001.0 + n), heard=0.0, ended=False)
        assert len(run.history) <= HISTORY
        assert [run.history[0][0], run.history[-1][0]] == [1001.0, 1000.0 + 3 * HISTORY]
        run.take(summary(started=9000.0, now=9001.0), heard=0.0, ended=False)
        assert run.history == [(9001.0, 1)]


@pytest.mark.cluster
def test_a_scheduler_without_a_dashboard_is_told_and_reported_on(tmp_path, caplog):
    from distributed import Client, LocalCluster

    from pxdask.survey.panel import PanelWatcher

    options = {
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",
        "scheduler_kwargs": {"dashboard": False},
        "protocol": "tcp",
    }
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **options) as cluster,
        Client(cluster) as client,
    ):
        tally = Tally(total=1, started=time.time())
        with PanelWatcher(client, tally, name="mini", place=str(tmp_path)) as watcher:
            watcher.expect("image", 3)
            watcher.done(Record("a", "products", "", "k", "done"))
        path = tmp_path / "report.html"
        with reported(client, path):
            assert client.submit(sum, [1, 2]).result() == 3
        report = path.read_text()
        assert "Dask Performance Report" in report
        assert not re.search(r'<script[^>]+src="http', report)  # it can be opened anywhere
        runs = cluster.scheduler.plugins["pxdask-panel"].runs
        assert runs[str(tmp_path)].ended
        assert runs[str(tmp_path)].summary.finished == 1
    assert "no survey panel on the dashboard" not in caplog.text


@contextmanager
def running(folder):
    """Run a small survey with two workers, one galaxy broken; give the panel's address."""
    catalog, config = make_survey(folder, N_GALAXY)
    (folder / "images" / "g02" / "r.fits").write_bytes(b"junk")
    command = [sys.executable, "-m", "pxdask", "run", str(catalog), str(config)]
    command += ["--store", str(folder / "run"), "--data-root", str(folder), "--workers", "2"]
    command += ["--no-check"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    told = []
    try:
        for line in process.stderr:
            told.append(line)
            if found := re.search(r"survey: (http://127\.0\.0\.1:\d+/pxdask)", line):
                break
        else:
            pytest.fail("".join(told))
        rest = threading.Thread(target=lambda: told.extend(process.stderr), daemon=True)
        rest.start()
        yield found[1], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(30)
        rest.join(10)
        process.stderr.close()


def until(condition, process):
    """Wait for a condition, while the run goes on."""
    limit = time.monotonic() + LIMIT_S
    while not (found := condition()):
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < limit
        time.sleep(0.2)
    return found


@pytest.mark.slow
@pytest.mark.cluster
def test_a_browser_sees_the_run(tmp_path):
    need("chromium")
    from playwright.sync_api import sync_playwright

    faults, outside = [], []
    with running(tmp_path) as (link, process), sync_playwright() as playwright:
        origin = link.removesuffix("pxdask")
        browser = playwright.chromium.launch(
            executable_path=find_program("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1050})
        page.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("requestfailed", lambda request: faults.append(request.url))
        page.on("request", lambda request: outside.append(request.url))

        page.goto(f"{origin}individual-progress")
        page.wait_for_function("() => window.Bokeh && Bokeh.documents.length")
        until(lambda: "fit" in page.evaluate(NAMES), process)
        names = set(page.evaluate(NAMES))
        assert {"image", "cube", "bins", "fit"} <= names
        assert names <= {"plan", *STAGES, "end"}

        page.goto(f"{origin}status")
        page.wait_for_function("() => window.Bokeh && Bokeh.documents.length")
        page.locator("canvas").first.wait_for()
        page.wait_for_timeout(1000)
        screenshot(page, "dashboard.png")
        menu = page.locator("#myTopnav a", has_text="Pxdask")
        assert menu.count() == 1
        menu.click()
        page.wait_for_url("**/pxdask")
        page.wait_for_function("() => window.Bokeh && Bokeh.documents.length")
        first = page.evaluate(SOURCE, "stages")
        until(lambda: page.evaluate(SOURCE, "stages")["words"] != first["words"], process)
        until(lambda: page.evaluate(SOURCE, "history")["finished"][-1] >= 1, process)
        tables = {name: page.evaluate(TABLE, name) for name in ("failures", "workers", "newest")}
        cards = page.locator(".card").nth(0).inner_text()
        assert page.get_by_text("Why tasks failed").is_visible()
        screenshot(page, "panel.png")
        browser.close()
    assert f"/ {N_GALAXY}" in cards
    assert "g02" in tables["failures"]
    assert "not a FITS file" in tables["failures"]
    assert tables["workers"].count("<tr>") == 1 + 2
    assert re.search(r"<td>g0\d</td><td>\d+\.\d\d</td>", tables["newest"])
    assert faults == []
    assert [url for url in outside if not url.startswith((origin, "data:"))] == []


NAMES = """() => {
    for (const model of Bokeh.documents[0]._all_models.values()) {
        if (model.type == "ColumnDataSource" && model.data.name) return Array.from(model.data.name);
    }
    return [];
}"""
"""The groups of tasks on Dask's own progress page."""


def screenshot(page, name):
    """Keep a picture for people, where the environment says where."""
    if folder := os.environ.get("PXDASK_TEST_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}")
