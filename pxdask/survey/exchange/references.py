"""The references that runs are cited with, as BibTeX; they are in ``data/references.bib``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from unicodedata import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ENTRY = re.compile(r"^@(\w+)\{([^,]+),\n(.*?)\n\}$", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
_ACCENT = re.compile(r"\{\\(.)(?:\{)?(\w)\}?\}")
_MARKS = {"'": "\u0301", '"': "\u0308", "~": "\u0303", "v": "\u030c"}


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One entry.

    Attributes
    ----------
    key : str
        What a text cites it by.
    kind : str
        ``article``, ``misc``, ...
    fields : mapping
        Fields in BibTeX's notation.
    """

    key: str
    kind: str
    fields: Mapping[str, str]

    def bibtex(self) -> str:
        """Return the entry as BibTeX."""
        rows = (f"  {name} = {{{value}}}," for name, value in self.fields.items())
        return "\n".join((f"@{self.kind}{{{self.key},", *rows, "}"))

    def text(self) -> str:
        """Return the entry for people, in one line."""
        get = self.fields.get
        where = get("journal") or get("booktitle") or get("howpublished", "")
        numbers = [get("volume", ""), get("pages", "")]
        if version := get("version"):
            numbers.insert(0, f"version {version}")
        place = ", ".join(part for part in (where, *numbers) if part)
        link = f"doi:{get('doi')}" if get("doi") else get("adsurl") or get("url", "")
        year = f" {get('year')}" if get("year") else ""
        parts = [f"{_people(get('author', ''))}{year}", _plain(get("title", "")), place, link]
        return ", ".join(part for part in parts if part)


@cache
def references() -> Mapping[str, Reference]:
    """Return all references by key."""
    text = (files("pxdask.survey.exchange") / "data" / "references.bib").read_text(encoding="utf-8")
    return {
        key: Reference(key, kind, dict(_FIELD.findall(body)))
        for kind, key, body in _ENTRY.findall(text)
    }


def bibtex(found: Iterable[Reference]) -> str:
    """Return entries as the text of a ``.bib`` file."""
    return "\n\n".join(entry.bibtex() for entry in found)


def _people(authors: str) -> str:
    """Return up to three family names."""
    names = [_plain(name).partition(",")[0] for name in authors.split(" and ")]
    if len(names) > 3 or names[-1] == "others":
        return f"{names[0]} et al."
    return " & ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def _plain(text: str) -> str:
    """Return BibTeX's text as people read it."""
    accented = _ACCENT.sub(lambda found: found[2] + _MARKS.get(found[1], ""), text)
    return normalize("NFC", re.sub(r"[{}\\]", "", accented))
