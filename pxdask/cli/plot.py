"""The command ``pxdask plot``: figures of a run's galaxies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from pxdask.survey.looking.plotting import Choice, GalaxyData

out = Console()


def plot(
    store: Annotated[str, typer.Argument(help="folder of the run, or s3://bucket/run")],
    galaxy: Annotated[str, typer.Argument(help="identifier of the galaxy")],
    kind: Annotated[
        str | None, typer.Argument(help="kind of figure [default: list the kinds]")
    ] = None,
    *,
    bin_number: Annotated[
        int | None, typer.Option("--bin", help="bin to show [default: a bright one]", min=0)
    ] = None,
    band: Annotated[str | None, typer.Option(help="band to show [default: all]")] = None,
    pixel: Annotated[
        tuple[int, int] | None, typer.Option(help="pixel to show, and its bin: row column, from 0")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="only this property; may be repeated")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="PNG, PDF or SVG file, or with --all a folder [default: GALAXY-KIND.png; .]",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="every kind that can be drawn")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace files that are there")
    ] = False,
) -> None:
    """Draw a galaxy: images, bins, SEDs, fits, posteriors, histories, maps, profiles."""
    from pxdask.core.errors import ConfigError  # noqa: PLC0415  commands load what they need
    from pxdask.core.files import refuse_existing  # noqa: PLC0415
    from pxdask.plots.style import write_figure  # noqa: PLC0415
    from pxdask.survey.looking.plotting import KINDS, Choice, data_of, draw_of  # noqa: PLC0415
    from pxdask.survey.results import open_run  # noqa: PLC0415

    data = data_of(open_run(store), galaxy)
    if kind is not None and every:
        raise ConfigError(f"got the kind {kind!r} and --all; wanted one of them")
    if kind is None and not every:
        _list_kinds(data)
        return
    wanted = Choice(bin=bin_number, band=band, pixel=pixel, names=tuple(name or ()))
    if kind is not None:
        path = to or Path(f"{galaxy}-{kind}.png")
        if kind in KINDS:
            refuse_existing(path, overwrite=overwrite)  # before minutes are spent on drawing
        _say(str(write_figure(path, draw_of(data, kind, wanted), overwrite=overwrite)))
        return
    _draw_all(data, wanted, folder=to or Path(), overwrite=overwrite)


def _draw_all(data: GalaxyData, wanted: Choice, *, folder: Path, overwrite: bool) -> None:
    """Draw every kind that can be drawn, and say why the others cannot."""
    from pxdask.core.errors import DataError  # noqa: PLC0415
    from pxdask.core.files import refuse_existing  # noqa: PLC0415
    from pxdask.plots.style import write_figure  # noqa: PLC0415
    from pxdask.survey.looking.plotting import KINDS, draw_of, undrawable  # noqa: PLC0415

    reasons = undrawable(data)
    paths = {name: folder / f"{data.galaxy}-{name}.png" for name in KINDS if name not in reasons}
    for path in paths.values():
        refuse_existing(path, overwrite=overwrite)  # before any is drawn
    for name, path in paths.items():
        try:
            figure = draw_of(data, name, wanted)
        except DataError as error:
            reasons[name] = str(error)
            continue
        _say(str(write_figure(path, figure, overwrite=overwrite)))
    for name, reason in reasons.items():
        _say(f"no {name}: {reason}")


def _list_kinds(data: GalaxyData) -> None:
    """Print the kinds of figures, and what the galaxy lacks for some."""
    from pxdask.survey.looking.plotting import KINDS, undrawable  # noqa: PLC0415

    reasons = undrawable(data)
    for kind in KINDS.values():
        _say(f"{kind.name:14} {kind.help}")
        if kind.name in reasons:
            _say(f"{'':14} not of {data.galaxy}: {reasons[kind.name]}")


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
