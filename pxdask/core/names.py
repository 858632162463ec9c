"""Names that become names of files and folders: identifiers of galaxies and bands.

A name comes from a catalogue or a configuration that somebody else may have written, and must
never lead out of the store, on no file system and in no object store.
"""

from __future__ import annotations

import re
import unicodedata

from pxdask.core.errors import ConfigError, brief

MAX_LENGTH = 128
"""Longest name [characters]: with stage, key and endings it stays below the 255 of a file name."""

_ALLOWED = re.compile(r"[A-Za-z0-9_.+-]+", re.ASCII)
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.ASCII)


def name_fault(name: str) -> str:
    """Return what keeps a name from being that of a file everywhere; empty if nothing does.

    Allowed are letters and digits of ASCII, ``_``, ``.``, ``+`` and ``-``, beginning with a
    letter, a digit or ``_`` and not ending in a dot, up to `MAX_LENGTH` characters, save the names
    that Windows keeps for devices. So there is no slash of either kind, NUL, ``..`` or ``~``, no
    letter that looks like another, and a name fits into a FITS header.
    """
    if len(name) > MAX_LENGTH:
        return f"has {len(name)} characters; at most {MAX_LENGTH} are allowed"
    if not _ALLOWED.fullmatch(name):
        plain = unicodedata.normalize("NFKC", name)
        hint = f"; did you mean {plain!r}?" if plain != name and _ALLOWED.fullmatch(plain) else ""
        strange = sorted({letter for letter in name if not _ALLOWED.fullmatch(letter)})
        found = f" (found {', '.join(map(ascii, strange[:5]))})" if strange else ""
        return f"must be letters a-z, digits, '_', '.', '+' or '-'{found}{hint}"
    if not (name[0].isalnum() or name[0] == "_"):
        return "must begin with a letter, a digit or '_'"
    if name.endswith("."):
        return "must not end in a dot"
    if _RESERVED.fullmatch(name):
        return "is a name that Windows keeps for a device"
    return ""


def file_name(*words: str) -> str:
    """Return words joined to the name of a file by hyphens; empty words are left out.

    Raises
    ------
    ConfigError
        If a word cannot be part of one: see `name_fault`. Catalogue and settings are checked when
        they are read; this is the last gate before a file is made.
    """
    for word in words:
        if word and (fault := name_fault(word)):
            raise ConfigError(f"{brief(word)} cannot be part of a file's name: it {fault}")
    return "-".join(word for word in words if word)
