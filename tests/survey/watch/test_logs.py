"""Each galaxy has a log: whole lines, bounded, and nothing else of the program's logging moves."""

import json
import logging
import threading

import pytest
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.survey.watch import logs
from pxdask.survey.watch.logs import (
    MAX_BYTES,
    MAX_LENGTH,
    MAX_LINES,
    galaxy_log,
    log_path,
    read_log,
)
from tests.survey.mini import make_survey

logger = logging.getLogger("pxdask.survey.anything")


def said(root, galaxy="a"):
    return [line.message for line in read_log(root, galaxy)]


def test_a_task_is_heard(tmp_path):
    with galaxy_log(tmp_path, "a", "fit", "000004"):
        logger.info("at %s", "work")
        logger.debug("too quiet")
    logger.info("after")
    (line,) = read_log(tmp_path, "a")
    assert (line.level, line.stage, line.part, line.message) == ("INFO", "fit", "000004", "at work")
    assert line.time.endswith("+00:00")
    assert line.logger == logger.name
    assert log_path(tmp_path, "a").parent.parent == tmp_path / "logs"


def test_a_defect_leaves_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), galaxy_log(tmp_path, "a", "fit"):
        1 / 0  # noqa: B018  it is to fail
    (line,) = read_log(tmp_path, "a")
    assert line.level == "ERROR"
    assert "ZeroDivisionError: division by zero" in line.message
    assert "test_logs.py" in line.message


def test_the_programs_own_handlers_see_what_they_saw(tmp_path, monkeypatch):
    root, package = logging.getLogger(), logging.getLogger("pxdask")
    seen = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.getMessage())
    monkeypatch.setattr(root, "handlers", [handler])
    monkeypatch.setattr(root, "level", logging.WARNING)
    package.manager._clear_cache()
    before = (package.level, package.propagate, list(package.handlers))
    with galaxy_log(tmp_path, "a", "fit"):
        logger.info("quiet")
        logger.warning("loud")
    assert seen == ["loud"]
    assert said(tmp_path) == ["quiet", "loud"]
    assert (package.level, package.propagate, package.handlers) == before
    assert not logger.isEnabledFor(logging.INFO)


def test_threads_have_logs_of_their_own(tmp_path):
    gate = threading.Barrier(2, timeout=20)

    def work(name):
        with galaxy_log(tmp_path, name, "fit"):
            gate.wait()
            logger.info("I am %s", name)
            gate.wait()

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said(tmp_path, "a") == ["I am a"]
    assert said(tmp_path, "b") == ["I am b"]
    assert logging.getLogger("pxdask").handlers == []


def test_bounds(tmp_path):
    with galaxy_log(tmp_path, "a", "fit"):
        for n in range(MAX_LINES + 7):
            logger.info("%d", n)
        logger.warning("begin%send", "x" * 2 * MAX_LENGTH)
    lines = list(read_log(tmp_path, "a"))
    assert len(lines) == MAX_LINES + 2
    assert len(lines[-2].message) < MAX_LENGTH + 50
    assert lines[-2].message.startswith("begin")
    assert lines[-2].message.endswith("end")
    assert lines[-1].message == "7 more lines of this task left out"


def test_a_long_log_becomes_the_old_one(tmp_path):
    for turn in range(12):
        with galaxy_log(tmp_path, "a", "fit", str(turn)):
            for _ in range(30):
                logger.info("x" * 3000)
    folder = log_path(tmp_path, "a").parent
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) < MAX_BYTES + 30 * 3500  # one task may go over the limit
    parts = [line.part for line in read_log(tmp_path, "a")]
    assert parts == sorted(parts, key=int)
    assert parts[-1] == "11"


def test_torn_and_strange_lines_are_passed_over(tmp_path):
    with galaxy_log(tmp_path, "a", "fit"):
        logger.info("one")
    with log_path(tmp_path, "a").open("a") as file:
        file.write('{"time": "to\n[]\n{"level": "INFO"}\n')
    with galaxy_log(tmp_path, "a", "fit"):
        logger.info("two\nlines, ünïcode")
    assert said(tmp_path) == ["one", "two\nlines, ünïcode"]


def test_a_log_that_cannot_be_written_is_no_failure(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    with galaxy_log(tmp_path, "a", "fit"):
        logger.info("lost")
    assert said(tmp_path) == []


def test_in_an_object_store_each_task_has_an_object(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "far", lambda path: path)
    for part in "gr":
        with galaxy_log(tmp_path, "a", "image", part):
            logger.info("band %s", part)
    assert len(list(log_path(tmp_path, "a").parent.glob("a~*.jsonl"))) == 2
    assert said(tmp_path) == ["band g", "band r"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    catalog, config = make_survey(folder, 2, fit={"block_size": 64})
    (folder / "images" / "g01" / "r.fits").write_bytes(b"junk")
    return pxdask.submit(
        catalog, config, folder / "run", root=folder, serial=True, check=False, progress=False
    )


class TestRun:
    def test_every_task_has_its_lines(self, run):
        lines = list(read_log(run.store, "g00"))
        tasks = {(row["stage"], row["part"]) for row in run.manifest() if row["id"] == "g00"}
        assert {(line.stage, line.part) for line in lines} == tasks
        ends = [line.message for line in lines if " done after " in line.message]
        assert len(ends) == len(tasks)
        for line in log_path(run.store, "g00").read_text().splitlines():
            assert {"time", "level", "stage", "part", "message"} <= json.loads(line).keys()

    def test_the_manifest_tells_cpu_time_and_end(self, run):
        rows = run.manifest()
        assert all(rows["ended"] > 1.7e9)
        made = rows[rows["stage"] == "products"]
        assert 0 < made["cpu_s"][0] <= made["seconds"][0] + 0.05  # clocks of different grain

    def test_the_command(self, run):
        told = CliRunner().invoke(app, ["logs", str(run.store), "g01"])
        assert told.exit_code == 0
        assert "g01 has no plan: band r" in told.output
        told = CliRunner().invoke(app, ["logs", str(run.store), "g00", "--stage", "cube"])
        assert {line.split("  ")[2] for line in told.output.splitlines()} == {"cube"}
        told = CliRunner().invoke(app, ["logs", str(run.store), "g00", "--level", "error"])
        assert told.stdout == ""
        assert told.stderr == "nothing of ERROR or worse\n"

    @pytest.mark.parametrize("wrong", [["g99"], ["../g00"], ["g00", "--level", "loud"]])
    def test_what_is_not_there(self, run, wrong):
        told = CliRunner().invoke(app, ["logs", str(run.store), *wrong])
        assert isinstance(told.exception, pxdask.core.errors.ConfigError)
