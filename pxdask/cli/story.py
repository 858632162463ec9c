"""How ``--help`` reads: commands in the order of a survey's life, each with an example."""

from __future__ import annotations

from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTIONS = {
    "Start a survey": ("init", "simulate", "check", "run", "resume", "fit", "morphology"),
    "Look at it": ("status", "logs", "maps", "plot", "report", "explain", "task", "cite"),
    "Keep and pass on": ("collect", "export", "import", "verify", "du", "gc"),
    "Parts that a survey is made of": (
        *("filters", "psf", "ssp", "models", "npe"),
        *("bins", "ifs", "cluster"),
    ),
}
"""Commands by the time when they are needed; what is in none of them comes last."""

OTHERS = "Others"

EXIT_CODES = (
    (0, "done"),
    (1, "done, but a galaxy failed, or a check or comparison found a fault"),
    (2, "not done: a wrong argument, setting, catalogue, file or cluster"),
    (3, "not done: an unforeseen error; the message names its traceback"),
    (130, "interrupted by Ctrl-C; `pxdask resume` goes on"),
)
"""What a script may rely on."""

EXAMPLES = {
    "init": "pxdask init --survey galex --survey sdss -o survey.yaml",
    "simulate": "pxdask simulate catalogs/demo.ecsv --out demo/images",
    "check": "pxdask check catalog.ecsv survey.yaml --data-root images",
    "run": "pxdask run catalog.ecsv survey.yaml --data-root images --store my-run",
    "resume": "pxdask resume my-run --retry-failed",
    "fit": "pxdask fit photometry.fits fit.yaml my-fit",
    "status": "pxdask status my-run --watch",
    "logs": "pxdask logs my-run spiral --level warning",
    "maps": "pxdask maps my-run",
    "plot": "pxdask plot my-run spiral sed --bin 3 -o sed.png",
    "report": "pxdask report my-run -o report",
    "explain": "pxdask explain my-run spiral --stage fit",
    "task": "pxdask task my-run spiral bins --pdb",
    "cite": "pxdask cite my-run > my-run.bib",
    "collect": "pxdask collect my-run --table fits",
    "export": "pxdask export my-run --to fits -o export",
    "verify": "pxdask verify my-run --remove",
    "import": "pxdask import fluxmap.fits --out new-survey",
    "du": "pxdask du my-run --by galaxy",
    "gc": "pxdask gc my-run --yes",
    "filters list": "pxdask filters list 'jwst_*'",
    "filters show": "pxdask filters show sdss_r wise_w1",
    "filters add": "pxdask filters add kids_u OmegaCAM.u_SDSS.xml",
    "filters remove": "pxdask filters remove kids_u",
    "filters plot": "pxdask filters plot galex_fuv sdss_g --out filters.png",
    "psf check": "pxdask psf check galex:fuv wise:w2 --pixel-scale 1.5 --out kernel.png",
    "psf kernel": "pxdask psf kernel sdss:r wise:w2 --pixel-scale 0.396 --out kernel.fits",
    "psf stars": "pxdask psf stars image.fits --out psf.fits",
    "ssp build": "pxdask ssp build bc03",
    "ssp list": "pxdask ssp list",
    "ssp show": "pxdask ssp show bc03",
    "ssp doctor": "pxdask ssp doctor",
    "models build": "pxdask models build survey.yaml --redshift 0.05 --out models.zarr",
    "models show": "pxdask models show models.zarr",
    "models parameters": "pxdask models parameters",
    "npe train": "pxdask npe train survey.yaml catalog.ecsv -o network.zarr.zip",
    "npe check": "pxdask npe check network.zarr.zip survey.yaml catalog.ecsv",
    "npe show": "pxdask npe show network.zarr.zip",
    "npe noise": "pxdask npe noise my-run -o noise.json",
    "bins show": "pxdask bins show my-run spiral",
    "bins plot": "pxdask bins plot my-run spiral bins.png",
    "bins export": "pxdask bins export my-run spiral pixbin.fits",
    "bins import": "pxdask bins import pixbin.fits map.fits",
    "ifs show": "pxdask ifs show cube.fits",
    "ifs plot": "pxdask ifs plot my-run spiral 0 spectrum.png",
    "ifs maps": "pxdask ifs maps my-run spiral lines.fits",
    "ifs export": "pxdask ifs export my-run spiral specphoto.fits",
    "morphology": "pxdask morphology catalog.ecsv survey.yaml --data-root images -o sizes.ecsv",
    "cluster show": "pxdask cluster show deploy/slurm.yaml",
    "cluster check": "pxdask cluster check deploy/slurm.yaml",
}
"""An example of each command."""


def first_line(command: Any) -> str:  # noqa: ANN401  a command of typer, whose classes move
    """Return what a command does, in a line."""
    return " ".join(cleandoc(command.help or "").split("\n\n")[0].split())


def by_section(names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield title and names of the sections that have any, in order."""
    for title, listed in SECTIONS.items():
        if found := [name for name in listed if name in names]:
            yield title, found
    known = {name for listed in SECTIONS.values() for name in listed}
    if others := [name for name in names if name not in known]:
        yield OTHERS, others


class Part(TyperGroup):
    """A group whose commands are listed with their whole first lines."""

    def sections(self, names: list[str]) -> Iterator[tuple[str, list[str]]]:
        """Yield titles and the names of commands under them."""
        yield "Commands", names

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  typer's
        """Write what the commands do; nothing is cut."""
        shown = [name for name in self.list_commands(ctx) if not self.commands[name].hidden]
        for title, names in self.sections(shown):
            with formatter.section(title):
                formatter.write_dl([(name, first_line(self.commands[name])) for name in names])


class Story(Part):
    """The command ``pxdask`` itself: its commands are told in order, by section."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401  typer's
        super().__init__(**attributes)
        for name, command in commands_of(self):
            if name in EXAMPLES:
                command.epilog = f"\b\nExample:\n  {EXAMPLES[name]}"

    def sections(self, names: list[str]) -> Iterator[tuple[str, list[str]]]:
        """Yield titles and the names of commands under them."""
        return by_section(names)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  typer's
        """Return the commands in the order of `SECTIONS`."""
        return [name for _, names in by_section(super().list_commands(ctx)) for name in names]


def commands_of(group: TyperGroup, of: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the name, such as ``ssp build``, and the command of all that groups hold."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands_of(command, f"{of}{name} ")
        else:
            yield f"{of}{name}", command


def exit_code_lines() -> str:
    """Return the exit codes for ``--help``."""
    rows = [f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES]
    return "\n".join(("\b", "Exit codes:", *rows))
