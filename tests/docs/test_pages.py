"""The pages are made of the program as it is, and quote what it says."""

import ast
import importlib.util
import os
import re
import subprocess
import sys

import pytest

from tests.paths import REPOSITORY

DOCS = REPOSITORY / "docs"
DOTS = "..."
WITHOUT_TEXT = {"few_models", "at_edge", "odd_flux"}


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("docs_pages", DOCS / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["parameters.md", "settings.md", "cli.md"])
def test_made_pages_are_current(pages, name):
    found = (DOCS / name).read_text(encoding="utf-8")
    assert found == pages.PAGES[name](), "write them anew: python docs/pages.py"


def test_every_setting_has_a_row_with_its_unit_and_meaning(pages):
    from pxdask.core.config import SurveyConfig
    from pxdask.core.settings import Settings

    page = pages.settings_page()
    names = {model.__name__ for model in Settings.__subclasses__()}
    assert len(names) > 10
    # by hand
    assert "| `min_diameter` | pix | 4 | above 0 | smallest diameter of a bin |" in page
    assert "| `snr` | dex" not in page
    fields = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)

    def declared(model):
        for name, field in model.model_fields.items():
            yield name
            for inner in pages._models_in(field.annotation):
                yield from declared(inner)

    assert set(declared(SurveyConfig)) - {"kind"} <= set(fields)


def test_tables_are_rectangular(pages):
    for make in pages.PAGES.values():
        for block in re.findall(r"(?:^\|.*\n)+", make(), re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(widths) == 1, block


class Texts(ast.NodeVisitor):
    """Every text of a module; what is filled in is a NUL."""

    def __init__(self):
        self.found = []

    def text(self, node):
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return "".join(self.text(part) for part in node.values)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self.text(node.left) + self.text(node.right)
        return "\0"

    def visit(self, node):
        if not isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
            self.generic_visit(node)
            return
        self.found.append(re.sub(r"%[-+.\d]*[sdgf]", "\0", self.text(node)))
        for part in ast.iter_child_nodes(node):
            if not isinstance(part, ast.Constant):
                self.visit(part)


@pytest.fixture(scope="module")
def said():
    """Give all texts of the program, in lines."""
    texts = Texts()
    for path in sorted((REPOSITORY / "pxdask").rglob("*.py")):
        texts.visit(ast.parse(path.read_text(encoding="utf-8")))
    return "\n".join(texts.found)


def quoted():
    """Return the messages that the page of troubleshooting quotes."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    heads = re.findall(r"^\*\*.*?&mdash;", page, re.MULTILINE | re.DOTALL)
    return [
        " ".join(message.split())
        for head in heads
        for message in re.findall(r"`([^`]+)`", head)
        if not message.startswith("pxdask ") and message not in {"flags", *WITHOUT_TEXT}
    ]


def is_said(message, said):
    parts = [part for part in message.split(DOTS) if part.strip(" :;,")]
    return bool(parts) and re.search(r"[^\n]*?".join(map(re.escape, parts)), said) is not None


def test_quoted_messages_are_said_by_the_program(said):
    messages = quoted()
    assert len(messages) >= 30
    assert [message for message in messages if not is_said(message, said)] == []
    assert not is_said("the moon is not full", said)


def test_quoted_flags_exist():
    from pxdask.core.flags import Flag

    assert {name.upper() for name in WITHOUT_TEXT} <= set(Flag.__members__)


@pytest.mark.parametrize(
    "page", sorted(DOCS.rglob("*.md")), ids=lambda path: str(path.relative_to(DOCS))
)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    """Without a network: proxies lead nowhere."""
    pytest.importorskip("sphinx")
    words = ["-q", "-W", "--keep-going", "-b", "html", "-c", "docs", "-d", tmp_path / "trees"]
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, ".", tmp_path / "site"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, env={**os.environ, **nowhere},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "site" / "docs" / "index.html").read_text()
    assert "how-it-works.html" in index
    api = (tmp_path / "site" / "docs" / "api" / "pxdask.html").read_text()
    assert 'id="pxdask.submit"' in api
    assert 'id="pxdask.Run.bin_table"' in api


FOREIGN = {
    "--depth": "git",
    "--force-reinstall": "pip",
    "--no-binary": "pip",
    "--mpi": "srun",
    "--install-completion": "click",
    "--show-completion": "click",
    "--help": "click",
}
"""Options of other programs that pages name."""


def options_of(command):
    """Yield the options of a command and of those under it."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for inner in getattr(command, "commands", {}).values():
        yield from options_of(inner)


def named_options(text):
    """Return the long options that a text names; comments of HTML and lines of tables are none."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))


def test_options_that_pages_name_exist():
    import typer

    from pxdask.cli.app import app

    known = {*options_of(typer.main.get_command(app)), *FOREIGN}
    assert named_options("`--galaxies` or --lifetime <!-- x --> | --- |") - known == {
        "--galaxies",
        "--lifetime",
    }
    pages = [*DOCS.glob("*.md"), *(REPOSITORY / "deploy").glob("*.md"), REPOSITORY / "README.md"]
    named = {page.name: named_options(page.read_text(encoding="utf-8")) for page in pages}
    assert len(set().union(*named.values())) > 40
    assert {name: found - known for name, found in named.items() if found - known} == {}
