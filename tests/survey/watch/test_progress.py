"""Progress is seen on a screen, in a log and in a notebook."""

import io
import re
import subprocess
import sys
import textwrap

import pytest
from rich.console import Console

from pxdask.survey.manifest import Record
from pxdask.survey.watch import progress as progress_module
from pxdask.survey.watch.progress import ProgressBars, SilentWatcher
from tests.survey.mini import make_survey


def record(stage, outcome="done"):
    return Record("g", stage, "", "k", outcome)


def shown(*, screen, monkeypatch=None):
    if monkeypatch is not None:
        monkeypatch.setattr(progress_module, "LOG_EVERY_S", 0.0)
    text = io.StringIO()
    console = Console(file=text, force_terminal=screen, width=120, legacy_windows=False)
    with ProgressBars(console) as bars:
        bars.expect("image", 3)
        for outcome in ("done", "failed", "blocked"):
            bars.done(record("image", outcome))
        bars.done(record("cube", "existed"))
    return text.getvalue()


def test_a_screen_has_bars():
    text = shown(screen=True)
    assert "3/3" in text
    assert "1 failed" in text
    assert "━" in text


def test_a_log_has_lines(monkeypatch):
    lines = shown(screen=False, monkeypatch=monkeypatch).splitlines()
    assert lines[0] == "image 1/3"
    assert lines[-1] == "image 3/3 (1 failed)  cube 1/1"


def test_what_expects_less_again_is_complete():
    text = io.StringIO()
    with ProgressBars(Console(file=text, force_terminal=False)) as bars:
        bars.expect("maps", 2)
        bars.expect("maps", -1)
        bars.done(record("maps"))
    assert text.getvalue().splitlines() == ["maps 1/1"]


def test_silence(capsys):
    watcher = SilentWatcher()
    watcher.expect("image", 3)
    watcher.done(record("image"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.cluster
def test_a_notebook_has_the_link_and_the_bars(tmp_path):
    catalog, config = make_survey(tmp_path, 1)
    store = str(tmp_path / "run")
    cell = (
        f"import pxdask; pxdask.submit({str(catalog)!r}, {str(config)!r}, {store!r},"
        f" root={str(tmp_path)!r}, workers=1).status()"
    )
    code = textwrap.dedent(f"""
        import nbformat
        from nbclient import NotebookClient

        book = nbformat.v4.new_notebook()
        book.cells = [nbformat.v4.new_code_cell({cell!r})]
        NotebookClient(book, timeout=300, kernel_name="python3").execute()
        print([output.get("data", output) for output in book.cells[0].outputs])
    """)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"dashboard: .*http://127\.0\.0\.1:\d+/status", done.stdout)
    assert "widget-view" in done.stdout
    assert "products" in done.stdout
