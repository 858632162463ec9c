"""The pages that are made of the program: parameters, settings, command line.

``python docs/pages.py`` writes them anew; a test compares.
"""
# ruff: noqa: INP001  a script of the documentation, not a package

from __future__ import annotations

from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.main import get_command

from pxdask.cli.app import app
from pxdask.cli.story import EXAMPLES, EXIT_CODES, Part, by_section, first_line
from pxdask.core import models
from pxdask.core.catalogs import CatalogConfig
from pxdask.core.config import SurveyConfig
from pxdask.sps.tables import parameter_table

FOLDER = Path(__file__).parent

SETTINGS_HEAD = """\
# Settings

Made from the declarations in `pxdask.core` by `docs/pages.py`; a test compares. Numbers may be
given bare, in the unit of the table, or as text with a unit (`"0.1 arcmin"`). A key that is not
here is an error that names it. `pxdask init` writes a file to begin with; a run's whole settings,
defaults filled in, are in its `config.yaml`.

Which outputs a change makes anew: `pxdask explain`, and [provenance.md](provenance.md).
"""

PRIORS = (
    models.UniformPrior,
    models.GaussianPrior,
    models.StudentTPrior,
    models.GammaPrior,
    models.TablePrior,
    models.MassPrior,
    models.FixedPrior,
)

CLI_HEAD = """\
# Command line

Made from the commands by `docs/pages.py`; a test compares. `pxdask COMMAND --help` says the same.
Completion by the Tab key, in bash, zsh, fish or PowerShell: `pxdask --install-completion`.

## Exit codes

| code | meaning |
| --- | --- |
{codes}

Errors are one line on the standard error. Where it came from is shown with `--traceback`, anywhere
on the line, or `PXDASK_TRACEBACK=1`; of code 3 it is also kept in the file that the line names.

## Output for programs

With `--json` these print one JSON object on the standard output, and the exit code is the same.
Keys are kept from version to version; there may be more.

| command | keys |
| --- | --- |
{keys}

## Environment

| variable | what it is |
| --- | --- |
{variables}
"""

JSON_KEYS = {
    "status": "`name`, `store`, `galaxies`, `finished` (numbers of galaxies); `stages`: those"
    " of the run's settings, list of `stage`, `done`, `failed`, `task_time_s`; `failures`: list of"
    " `id`, `stage`, `part`, `error`",
    "check": "`galaxies`, `can_run`, `bands`, `bytes_needed`; `problems`: list of `galaxy` (empty:"
    " all), `band`, `message`; `warnings`, `notes`",
    "verify": "`ok`, `n_whole`, `n_unrecorded`; `damaged`, `missing`, `extra`, `unreadable`,"
    " `removed`: lists of files",
    "du": "`rows`: list of `stage` or `galaxy`, `files`, `bytes`; `files`, `bytes` in all",
    "collect": "`galaxies`, `bins`, `read` (numbers), `store`, `tables`",
    "explain": "`galaxy`; `outputs`: list of `stage`, `part`, `key`, `files`, `state`, `why`,"
    " `recipe`, `told`, `record`, `sources`",
    "bins show": "`galaxy`, `n_bin`, `n_pix`, `reference_band`, `bands` and more",
}
"""Keys of what commands print with ``--json``."""

VARIABLES = {
    "PXDASK_DATA_ROOT": "what `{data_root}` stands for, unless `--data-root` is given",
    "PXDASK_CACHE": "folder of products that runs share, such as stellar populations"
    " [default: `~/.cache/pxdask`]",
    "PXDASK_HOME": "folder of your own filter curves [default: `~/.local/share/pxdask`]",
    "SPS_HOME": "folder of FSPS's data",
    "PXDASK_TRACEBACK": "1: show where errors come from",
}
"""What the program reads of the environment."""


def settings_page() -> str:
    """Return the page of all settings."""
    parts = [SETTINGS_HEAD, "## Of a survey: `pxdask run`\n"]
    seen: list[type[BaseModel]] = []
    parts += _model(SurveyConfig, "", seen)
    parts.append("## Of a catalogue of photometry: `pxdask fit`\n")
    parts += _model(CatalogConfig, "", seen)
    parts.append("## Priors: `models.priors.NAME`\n")
    parts.append("`kind` says which form it is; a bare number fixes the parameter.\n")
    for prior in PRIORS:
        parts += _model(prior, "models.priors.NAME", [])
    return "\n".join(parts)


def _model(model: type[BaseModel], path: str, seen: list[type[BaseModel]]) -> list[str]:
    """Return the section of a model, and those of the models in it that were not shown yet."""
    seen.append(model)
    said = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    kind = model.model_fields["kind"] if model in PRIORS else None
    title = f"`{path}`" if path else "At the top"
    if kind is not None:
        title = f"`kind: {get_args(kind.annotation)[0]}`"
    lines = [f"### {title}\n", f"{said}\n", "| setting | unit | default | values | meaning |"]
    lines.append("| --- | --- | --- | --- | --- |")
    inner: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        if kind is not None and name == "kind":
            continue
        found = _models_in(field.annotation)
        inner += [(f"{path}.{name}" if path else name, one) for one in found]
        lines.append(_row(name, field, found))
    lines.append("")
    for place, one in inner:
        if one not in seen and one not in PRIORS:
            lines += _model(one, place, seen)
    return lines


def _row(name: str, field: Any, inner: list[type[BaseModel]]) -> str:  # noqa: ANN401  pydantic's
    """Return the row of a setting."""
    extra = field.json_schema_extra or {}
    cells = (
        f"`{name}`",
        str(extra.get("unit", "")) or "",
        _default(field, inner),
        _values(field, inner),
        field.description or "",
    )
    return "| " + " | ".join(cell.replace("|", "or") for cell in cells) + " |"


def _default(field: Any, inner: list[type[BaseModel]]) -> str:  # noqa: ANN401  pydantic's
    """Return a default as YAML has it."""
    value = field.default
    if value is PydanticUndefined:
        return "needed"
    if inner and isinstance(value, BaseModel):
        return "see there"
    if value is None or value in ((), {}, ""):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(str(one) for one in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _values(field: Any, inner: list[type[BaseModel]]) -> str:  # noqa: ANN401  pydantic's
    """Return what a setting may be: its words, or its limits."""
    if inner and not _words(field.annotation):
        return ""
    words = _words(field.annotation)
    if words:
        return ", ".join(f"`{word}`" for word in words)
    signs = {"gt": "above", "ge": "from", "lt": "below", "le": "to"}
    limits = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in signs.items()
        if isinstance(getattr(rule, name, None), (int, float))
    ]
    return ", ".join(limits)


def _words(annotation: Any) -> tuple[str, ...]:  # noqa: ANN401  any annotation
    """Return the words that an annotation allows."""
    if get_origin(annotation) is Literal:
        return tuple(str(word) for word in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return tuple(word for part in get_args(annotation) for word in _words(part))
    return ()


def _models_in(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401  any annotation
    """Return the models that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if annotation is NoneType or get_origin(annotation) is Literal:
        return []
    found = [one for part in get_args(annotation) for one in _models_in(part)]
    return list(dict.fromkeys(found))


def cli_page() -> str:
    """Return the page of all commands."""
    group: Any = get_command(app)
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES)
    keys = "\n".join(f"| `{name}` | {text} |" for name, text in JSON_KEYS.items())
    variables = "\n".join(f"| `{name}` | {text} |" for name, text in VARIABLES.items())
    parts = [CLI_HEAD.format(codes=codes, keys=keys, variables=variables)]
    for title, names in by_section(list(group.commands)):
        parts.append(f"## {title}\n")
        for name in names:
            command = group.commands[name]
            if isinstance(command, Part):
                parts.append(f"### `pxdask {name}`\n\n{command.help}\n")
                parts += [
                    _command(f"{name} {inner}", found, "####")
                    for inner, found in command.commands.items()
                ]
            else:
                parts.append(_command(name, command, "###"))
    return "\n".join(parts)


def _command(name: str, command: Any, level: str) -> str:  # noqa: ANN401  typer's
    """Return the section of a command."""
    paragraphs = (command.help or "").split("\n\n")
    more = [" ".join(text.split()) for text in paragraphs[1:]]
    shown = [param for param in command.params if param.name != "help" and not param.hidden]
    lines = [f"{level} `pxdask {name}`", first_line(command), *more]
    if name in EXAMPLES:
        lines.append(f"    {EXAMPLES[name]}")
    if shown:
        rows = "\n".join(_parameter(param) for param in shown)
        lines.append(f"| argument | meaning |\n| --- | --- |\n{rows}")
    return "\n\n".join(lines) + "\n"


def _parameter(param: Any) -> str:  # noqa: ANN401  typer's
    """Return the row of an argument or an option."""
    if param.param_type_name == "argument":
        name = f"`{param.name.upper()}`" + ("" if param.required else " (may be left out)")
    else:
        name = " ".join(f"`{word}`" for word in (*param.opts, *param.secondary_opts))
        name += " (needed)" if param.required else ""
    default = param.default
    said = (param.help or "").replace("|", "or")
    shown = default is not None and not isinstance(default, (bool, tuple)) and not callable(default)
    if shown and not param.required:
        said += f" [default: {getattr(default, 'value', default)}]"
    return f"| {name} | {said} |"


PAGES = {
    "parameters.md": parameter_table,
    "settings.md": settings_page,
    "cli.md": cli_page,
}
"""The pages and what makes them."""


def main() -> None:
    """Write the pages."""
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
