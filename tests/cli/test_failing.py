"""How commands end that cannot do their work."""

import re
from pathlib import Path

import pytest

from pxdask.cli.app import app
from pxdask.cli.failing import EXIT_ERROR, EXIT_UNFORESEEN, guarded, resumable
from pxdask.core.errors import ConfigError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PXDASK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PXDASK_TRACEBACK", raising=False)
    return tmp_path / "cache"


def known(args, **_):
    raise ConfigError(f"no such thing: {' '.join(args)}")


def unforeseen(**_):
    raise ZeroDivisionError("division by zero\nmore words")


def end(app, *words):
    with pytest.raises(SystemExit) as ended:
        guarded(app, list(words))
    return ended.value.code


def test_usage_is_told_with_code_2(capfd):
    assert end(app, "status") == EXIT_ERROR
    assert "Missing argument" in capfd.readouterr().err


def test_a_known_error_is_its_message(capfd, cache):
    assert end(known, "status", "here") == EXIT_ERROR == 2
    assert capfd.readouterr() == ("", "error: no such thing: status here\n")
    assert not cache.exists()


@pytest.mark.parametrize("words", [("--traceback", "status"), ("status", "--traceback")])
def test_its_place_is_shown_to_who_asks(words, capfd):
    assert end(known, *words) == EXIT_ERROR
    said = capfd.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith("error: no such thing: status\n")  # the switch is not the command's


def test_the_variable_asks_too(monkeypatch, capfd):
    monkeypatch.setenv("PXDASK_TRACEBACK", "1")
    end(known)
    assert "Traceback" in capfd.readouterr().err


def test_what_follows_two_dashes_is_the_commands(capfd):
    end(known, "run", "--", "--traceback")
    assert capfd.readouterr().err == "error: no such thing: run -- --traceback\n"


def test_an_unforeseen_error_is_a_line_and_a_file(capfd):
    assert end(unforeseen, "run", "catalog.ecsv") == EXIT_UNFORESEEN == 3
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("unforeseen error: ZeroDivisionError: division by zero; ")
    log = Path(re.search(r"its traceback is in (\S+)$", line)[1])
    text = log.read_text()
    assert "pxdask run catalog.ecsv\nTraceback" in text
    assert "more words" in text


def test_where_no_file_can_be_written_the_line_says_how_to_see_it(monkeypatch, tmp_path, capfd):
    (tmp_path / "full").write_text("")
    monkeypatch.setenv("PXDASK_CACHE", str(tmp_path / "full"))
    assert end(unforeseen) == EXIT_UNFORESEEN
    assert "pxdask ... --traceback" in capfd.readouterr().err


def test_ctrl_c_has_a_code_of_its_own(monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pxdask.survey.results.open_run", interrupted)
    assert end(app, "maps", "my-run") == 130


@pytest.mark.parametrize(
    ("command", "module"), [("run", "submit"), ("resume", "resume")], ids=["run", "resume"]
)
def test_who_interrupts_a_run_is_told_how_to_go_on(command, module, monkeypatch, tmp_path, capfd):
    def interrupted(*_, **__):
        (tmp_path / "run.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(f"pxdask.survey.submit.{module}", interrupted)
    files = ("cat.ecsv", "settings.yaml", "--store") if command == "run" else ()
    assert end(app, command, *files, str(tmp_path)) == 130
    assert capfd.readouterr().err == f"interrupted; go on with `pxdask resume {tmp_path}`\n"


def test_what_was_not_begun_cannot_be_gone_on_with(tmp_path, capfd):
    with pytest.raises(KeyboardInterrupt), resumable(str(tmp_path)):
        raise KeyboardInterrupt
    assert capfd.readouterr().err == "interrupted\n"


def test_what_ends_by_itself_keeps_its_code():
    def leave(**_):
        raise SystemExit(1)

    assert end(leave) == 1
