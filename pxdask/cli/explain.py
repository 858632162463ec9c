"""``pxdask explain`` and ``pxdask task``: what made a file, and one task again."""

from __future__ import annotations

import json
import pdb  # noqa: T100  the user asks for it
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003  typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pxdask.core.errors import brief

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pxdask.survey.care.explain import Output

EXIT_DIFFERS = 1
"""The task gave other bytes than the published ones."""

out = Console()

Store = Annotated[str, typer.Argument(help="folder of the run")]
Galaxy = Annotated[str, typer.Argument(help="galaxy")]


def explain(
    store: Store,
    galaxy: Galaxy,
    *,
    stage: Annotated[str | None, typer.Option(help="only this stage, with its settings")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="everything, as JSON")] = False,
) -> None:
    """Tell what made each file of a galaxy, and whether today's settings still would."""
    from pxdask.survey.care.explain import explain as explained  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415

    found = explained(open_run(store), galaxy, stage=stage)
    if as_json:
        typer.echo(json.dumps(found.values(), indent=2))
        return
    for output in found.outputs:
        for line in _lines(output, full=stage is not None):
            _say(line)


def task(
    store: Store,
    galaxy: Galaxy,
    stage: Annotated[str, typer.Argument(help="stage")],
    part: Annotated[str, typer.Argument(help="band, first bin of a block, or wavelengths")] = "",
    *,
    debug: Annotated[bool, typer.Option("--pdb", help="where it breaks, open a debugger")] = False,
    to: Annotated[
        Path | None, typer.Option("--out", help="keep the output: a file, a folder for products")
    ] = None,
) -> None:
    """Do one task of a run again in this process, and compare its bytes.

    Nothing in the run is changed.
    """
    from pxdask.survey.care.retask import retask, save  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415

    with retask(open_run(store), galaxy, stage, part) as again:
        with _debugger(wanted=debug):
            remade = again.carry_out()
        for path in save(remade, to) if to is not None else ():
            _say(str(path))
    name = " ".join(word for word in (galaxy, stage, part) if word)
    if remade.same is None:
        _say(f"{name}: done; there is no published file to compare it with")
    elif remade.same:
        _say(f"{name}: the same bytes as published")
    else:
        for words in remade.differ:
            _say(f"{name}: {words}")
        raise typer.Exit(EXIT_DIFFERS)


@contextmanager
def _debugger(*, wanted: bool) -> Iterator[None]:
    """Open a debugger where an exception was raised, if that is wanted; then let it go on."""
    try:
        yield
    except Exception as error:
        if wanted:
            _say(f"{type(error).__name__}: {error}")
            pdb.post_mortem(error.__traceback__)
        raise


def _lines(output: Output, *, full: bool) -> Iterator[str]:
    """Yield what is to be said of an output."""
    from pxdask.survey.care.explain import other_versions  # noqa: PLC0415

    yield f"{' '.join(filter(None, (output.stage, output.part)))}  {output.key}  {output.state}"
    yield from (f"    {reason}" for reason in output.why)
    yield from (f"  file {path}" for path in output.files)
    recipe = output.recipe
    read = [f"{name} {key}" for name, key in recipe.get("outputs", {}).items()]
    if read:
        yield f"  made from {', '.join(read)}"
    for role, digest in recipe.get("files", {}).items():
        where = output.sources.get(role, "")
        yield f"  input {role} {digest}" + (f"  now at {where}" if where else "")
    seeds = output.told.get("seeds", {})
    if seeds:
        yield f"  seed {', '.join(sorted({str(seed) for seed in seeds.values()}))}"
    if output.told:
        yield f"  by {_software(output.told)}"
    changed = other_versions(output)
    if changed:
        words = (f"{name} {then}, now {now}" for name, (then, now) in changed.items())
        yield f"  versions differ: {'; '.join(words)}"
    if output.record:
        yield f"  {_told(output.record)}"
    if full and recipe:
        yield f"  version of the stage: {recipe['version']}; catalogue row: {recipe['row']}"
        yield from (f"  setting {name}: {value}" for name, value in _flat(recipe["settings"]))


def _software(told: Mapping[str, Any]) -> str:
    """Return the package's version, and the state of its code where that was a checkout."""
    version = f"pxdask {told.get('versions', {}).get('pxdask', 'of unknown version')}"
    code = told.get("code", {})
    if not code:
        return version
    return f"{version}, commit {code['commit'][:12]}{' with changes' if code['modified'] else ''}"


def _told(record: Mapping[str, Any]) -> str:
    """Return a manifest row in words."""
    ended = record["ended"]
    when = f" at {datetime.fromtimestamp(ended, UTC):%Y-%m-%d %H:%M:%S} UTC" if ended else ""
    where = f" on {record['host']}" if record["host"] else ""
    config = f", run's settings {record['config']}" if record["config"] else ""
    return f"{record['outcome']} in {record['seconds']:.2f} s{where}{when}{config}"


def _flat(settings: Mapping[str, Any], of: str = "") -> Iterator[tuple[str, str]]:
    """Yield single settings by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{of}{name}.")
        else:
            yield f"{of}{name}", brief(value)


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
