"""What ``--help`` tells a newcomer, and what the Tab key completes."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from pxdask.cli.app import app
from pxdask.cli.story import EXAMPLES, EXIT_CODES, OTHERS, SECTIONS, Part, commands_of, first_line

GROUP = typer.main.get_command(app)
COMMANDS = dict(commands_of(GROUP))


def call(*words):
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "80"}).output


def test_sections_are_in_the_order_of_a_surveys_life():
    text = call("--help")
    places = [text.index(f"\n{title}:") for title in SECTIONS]
    assert places == sorted(places)
    assert text.index("\n  init ") < text.index("\n  check ") < text.index("\n  run ")


def test_every_command_has_its_section():
    assert f"\n{OTHERS}:" not in call("--help")
    listed = [name for names in SECTIONS.values() for name in names]
    assert len(listed) == len(set(listed))


def test_nothing_is_cut():
    for words in ((), *((name,) for name, one in GROUP.commands.items() if isinstance(one, Part))):
        shown = call(*words, "--help")
        assert "..." not in shown.split("Options:")[1], words
        assert max(map(len, shown.splitlines())) <= 80, words


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_in_a_line_what_it_does(name):
    assert 10 < len(first_line(COMMANDS[name])) <= 80


def test_each_group_of_commands_does_too():
    groups = {name: one for name, one in GROUP.commands.items() if isinstance(one, Part)}
    assert len(groups) >= 8
    assert not [name for name, one in groups.items() if not 10 < len(first_line(one)) <= 80]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_that_can_be_typed(name):
    program, *words = shlex.split(EXAMPLES[name].split(" > ")[0])
    assert program == "pxdask"
    assert " ".join(words).startswith(name)
    path = name.split()
    context = None
    command = GROUP
    for word in path:
        context = typer.Context(command, info_name=word, parent=context)
        command = command.commands[word]
    command.make_context(path[-1], words[len(path) :], parent=context)  # fails if it is not right
    assert f"  {EXAMPLES[name]}" in call(*path, "--help")


def test_examples_are_of_commands_that_exist():
    to_come = {"plot", "report", "export"} - set(COMMANDS)
    assert set(EXAMPLES) - to_come <= set(COMMANDS)


def test_exit_codes_are_told():
    text = call("--help")
    for code, meaning in EXIT_CODES:
        assert f"{code}  {meaning}" in text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path):
    """The script that bash is given completes commands, subcommands and options."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    program = bin_folder / "pxdask"
    program.write_text(f"#!{sys.executable}\nfrom pxdask.cli import main\nmain()\n")
    program.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    shown = subprocess.run(
        [program, "--show-completion", "bash"], capture_output=True, text=True, check=True, env=env
    )
    script = tmp_path / "completion.sh"
    script.write_text(
        f"{shown.stdout}\n"
        'try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=();'
        ' _pxdask_completion pxdask; echo "${COMPREPLY[@]}"; }\n'
        "try pxdask ver\ntry pxdask ssp b\ntry pxdask status --jso\n"
    )
    done = subprocess.run(
        [shutil.which("bash"), script],
        capture_output=True,
        text=True,
        check=True,
        env=env,
    )
    assert done.stdout.split("\n")[:3] == ["verify", "build", "--json"]
