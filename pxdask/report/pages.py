"""Pages as text: of a survey, of a galaxy, of a viewer. Static, and without a network."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from pxdask.report.viewer import SCRIPT, viewer_parts, viewer_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pxdask.report.viewer_data import ViewerData

PAGES, THUMBNAILS, ASSETS = "galaxies", "thumbnails", "assets"
"""Folders of a report: pages of galaxies, their small pictures, what the pages share."""

ROWS_PER_PAGE = 50
"""Rows of the table of galaxies that are shown at a time."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a page.

    Attributes
    ----------
    title, alt : str
        Its heading, and what it shows, for those who do not see it.
    png : bytes
        The file.
    width, height : int
        Its size, from which the page keeps room for it [pixel].
    wide : bool
        Whether it has a row of its own.
    """

    title: str
    alt: str
    png: bytes
    width: int
    height: int
    wide: bool = False

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True, slots=True)
class Table:
    """A small table; the first cell of each row names it.

    Attributes
    ----------
    caption : str
        What it is.
    headers : tuple of str
        Headings, with units.
    rows : tuple of tuple of str
        Cells.
    note : str
        What a reader must know of the numbers.
    words : tuple of str
        Headings of columns that are text, aligned left.
    """

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlagCount:
    """How many bins have a flag, what it says, and what to do."""

    name: str
    count: int
    meaning: str
    advice: str


@dataclass(frozen=True)
class GalaxyPage:
    """What the page of a galaxy tells.

    Attributes
    ----------
    name, survey, state : str
        The galaxy; the run; "done", "failed" or "unfinished".
    facts : tuple of (str, str)
        What is known of it, in a line.
    faults : tuple of str
        What failed, with reasons.
    maps, figures : tuple of Picture
        Panels of maps; other figures.
    viewer : ViewerData or None
        What the interactive viewer shows.
    results, provenance : tuple of Table
        Numbers; what made them.
    flags : tuple of FlagCount
        Flags that bins have.
    settings : str
        Settings of the run, YAML.
    previous, next : str
        Names of the neighbours in the catalogue that have pages; "" for none.
    """

    name: str
    survey: str
    state: str
    facts: tuple[tuple[str, str], ...] = ()
    faults: tuple[str, ...] = ()
    maps: tuple[Picture, ...] = ()
    figures: tuple[Picture, ...] = ()
    viewer: ViewerData | None = None
    results: tuple[Table, ...] = ()
    provenance: tuple[Table, ...] = ()
    flags: tuple[FlagCount, ...] = ()
    n_bin: int = 0
    settings: str = ""
    previous: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of galaxies: short name for conditions, heading, unit, meaning.

    One that ``is_error`` is shown in the cells of the column before it.
    """

    key: str
    heading: str
    unit: str = ""
    about: str = ""
    digits: int = 2
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class GalaxyRow:
    """A row of the table of galaxies.

    Attributes
    ----------
    name, state : str
        The galaxy; "done", "failed" or "unfinished".
    has_page, has_picture : bool
        Whether there is a page, and a small picture.
    values : tuple of float or None
        Of each column; None where there is none.
    """

    name: str
    state: str
    has_page: bool
    has_picture: bool
    values: tuple[float | None, ...]

    def json(self) -> str:
        """Return the row as the page's script reads it."""
        cells: list[Any] = [self.name, self.state, int(self.has_page), int(self.has_picture)]
        return _json([*cells, *self.values])


@dataclass(frozen=True)
class SurveyPage:
    """What the page of a survey tells.

    Attributes
    ----------
    name, place, made : str
        The run, its folder, and when the page was made.
    counts : mapping of str to int
        Galaxies by state.
    tables : tuple of Table
        Stages, filters, versions.
    reasons : tuple of (int, str)
        Numbers and kinds of failures.
    columns : tuple of Column
        Of the table of galaxies, after name and state.
    settings : str
        YAML.
    """

    name: str
    place: str
    made: str
    counts: Mapping[str, int]
    tables: tuple[Table, ...]
    reasons: tuple[tuple[int, str], ...]
    columns: tuple[Column, ...]
    settings: str
    notes: tuple[str, ...] = field(default=())


def survey_html(page: SurveyPage, rows: Iterable[str]) -> Iterator[str]:
    """Yield the page of a survey, piece by piece.

    Parameters
    ----------
    page : SurveyPage
        All but the galaxies.
    rows : iterable of str
        What `GalaxyRow.json` returned for each galaxy; read once, one by one.
    """
    columns = [
        {name: getattr(one, name) for name in ("key", "heading", "unit", "digits", "is_error")}
        for one in page.columns
    ]
    facts = {
        "columns": columns,
        "rows_per_page": ROWS_PER_PAGE,
        "pages": PAGES,
        "thumbnails": THUMBNAILS,
    }
    template = _environment().get_template("survey.html")
    yield from template.generate(
        page=page,
        facts=Markup(_json(facts)),  # noqa: S704  _json escapes what ends a script
        rows=map(Markup, rows),
        total=sum(page.counts.values()),
    )


def galaxy_html(page: GalaxyPage) -> str:
    """Return the page of a galaxy.

    All is in it but the library that draws its viewer, `SCRIPT` in the folder `ASSETS` of the
    report: 1.7 MB that the pages share. Where that is not found, the rest of the page is as it is.
    """
    parts = None if page.viewer is None else viewer_parts(page.viewer)
    return (
        _environment()
        .get_template("galaxy.html")
        .render(
            page=page,
            parts=parts,
            script=None if parts is None else _script(parts.script),
            library=f"../{ASSETS}/{SCRIPT}",
        )
    )


def viewer_html(data: ViewerData) -> str:
    """Return a page with the viewer alone, and all that it needs."""
    parts = viewer_parts(data)
    return (
        _environment()
        .get_template("viewer.html")
        .render(
            title=data.galaxy,
            parts=parts,
            script=_script(parts.script),
            library=_script(viewer_script()),
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Return the templates; what is put into them is escaped."""
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_template),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["inlined"] = _inlined
    return environment


def _template(name: str) -> str:
    """Return the text of a template."""
    folder = files("pxdask.report").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _inlined(name: str) -> Markup:
    """Return a style sheet or a script of the package, as it is."""
    return Markup(_template(name))  # noqa: S704  the package's own file


def _script(code: str) -> Markup:
    """Return JavaScript that can stand in an element of a page, whatever texts are in it."""
    return Markup(code.replace("</script", r"<\/script").replace("<!--", r"<\!--"))  # noqa: S704  made safe here


def _json(value: object) -> str:
    """Return JSON that can stand in an element of a page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c").replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")
