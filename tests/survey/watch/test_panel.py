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
import yaml

from pxdask.survey.manifest import Record
from pxdask.survey.stages import STAGES
from pxdask.survey.watch.panel import HISTORY, RUNS_KEPT, SurveyPanel, WatchedRun
from pxdask.survey.watch.panel_page import SILENT_S, heading, stage_columns, table
from pxdask.survey.watch.tally import Tally
from pxdask.survey.watch.watching import reported
from tests.cluster.slurm import local_slurm
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
        found = stage_columns(summary(made=3, error="no"), {"image": 5, "cube": 9})
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

    from pxdask.survey.watch.panel import PanelWatcher

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
def running(folder, *words, before=()):
    """Run a small survey, one galaxy broken; give the panel's address and the process."""
    catalog, config = make_survey(folder, N_GALAXY)
    (folder / "images" / "g02" / "r.fits").write_bytes(b"junk")
    command = [*before, sys.executable, "-m", "pxdask", "run", str(catalog), str(config)]
    command += ["--store", str(folder / "run"), "--data-root", str(folder), *words, "--no-check"]
    process = subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    told = []
    rest = threading.Thread(target=lambda: told.extend(process.stderr), daemon=True)
    try:
        for line in process.stderr:
            told.append(line)
            if found := re.search(r"survey: (http://127\.0\.0\.1:\d+/pxdask)", line):
                break
        else:
            pytest.fail("".join(told))
        rest.start()
        yield found[1], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        with process:  # whose pipe is closed, and whose end is waited for
            if rest.ident:
                rest.join(60)


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
    with (
        running(tmp_path, "--workers", "2") as (link, process),
        sync_playwright() as playwright,
    ):
        origin = link.removesuffix("pxdask")
        browser, page = opened(playwright)
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


@pytest.fixture(params=["slurm", "mpi"])
def elsewhere(request, tmp_path, monkeypatch):
    """Give the words of a run on a queue or on ranks of MPI, and of what starts it."""
    if request.param == "mpi":
        need("dask_mpi")
        monkeypatch.setenv("FI_TCP_IFACE", "lo")
        path = tmp_path / "mpi.yaml"
        path.write_text(yaml.safe_dump({"kind": "mpi", "dashboard_port": 0}))
        yield ["--cluster", path], [find_program("mpirun"), "-iface", "lo", "-n", "4"]
        return
    with local_slurm(nodes=2, cores=1, memory_mb=4096) as queue:
        monkeypatch.setenv("SLURM_CONF", str(queue.conf))
        options = {"jobs": 2, "memory": "1GB", "interface": "lo", "dashboard_port": 0}
        options |= {"kind": "slurm", "shared": str(queue.folder / "shared")}
        path = tmp_path / "slurm.yaml"
        path.write_text(yaml.safe_dump(options))
        yield ["--cluster", path], []


@pytest.mark.slow
@pytest.mark.cluster
def test_a_browser_sees_a_run_elsewhere(elsewhere, request, tmp_path):
    """Workers in jobs of a queue, or all in ranks of MPI: the page is found, and moves."""
    need("chromium")
    from playwright.sync_api import sync_playwright

    words, before = elsewhere
    with (
        running(tmp_path, *words, before=before) as (link, process),
        sync_playwright() as playwright,
    ):
        browser, page = opened(playwright)
        page.goto(link)
        page.wait_for_function("() => window.Bokeh && Bokeh.documents.length")
        until(lambda: page.evaluate(SOURCE, "history")["finished"][-1] >= 1, process)
        workers = page.evaluate(TABLE, "workers")
        cards = page.locator(".card").nth(0).inner_text()
        screenshot(page, f"panel-{request.node.callspec.params['elsewhere']}.png")
        page.goto(f"{link.removesuffix('pxdask')}status")
        page.locator("canvas").first.wait_for()
        browser.close()
    assert f"/ {N_GALAXY}" in cards
    assert workers.count("<tr>") == 1 + 2


def opened(playwright):
    """Return a browser and an empty page of it."""
    browser = playwright.chromium.launch(
        executable_path=find_program("chromium"), args=["--no-sandbox"]
    )
    return browser, browser.new_page(viewport={"width": 1400, "height": 1050})


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
