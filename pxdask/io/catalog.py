"""Catalogues of galaxies: any table astropy reads, checked whole before it is used."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePath, PureWindowsPath
from string import Formatter
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table
from astropy.units import Unit, UnitConversionError

from pxdask.core.errors import ConfigError, brief
from pxdask.core.names import name_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REQUIRED = {"id": None, "ra": "deg", "dec": "deg", "redshift": ""}
"""Columns every catalogue has, with the unit they are converted to."""

_FORMATS = {
    ".ecsv": "ascii.ecsv",
    ".csv": "ascii.csv",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}
_RANGES = {"ra": (-360.0, 360.0), "dec": (-90.0, 90.0), "redshift": (0.0, 20.0)}
_MAX_FAULTS = 50
_FORM = re.compile(r"[<>=^]?[+ -]?0?[0-9]{0,2}(\.[0-9]{1,2})?[a-zA-Z]?")


def read_catalog(source: str | Path | Table) -> Table:
    """Return a checked catalogue.

    Parameters
    ----------
    source : path or astropy.table.Table
        ECSV, CSV, FITS, Parquet or VOTable, by its ending. Columns ``id``, ``ra``,
        ``dec`` [deg] and ``redshift`` are required; other columns are kept, and may be
        used in the path templates of the configuration. Units of ra and dec, where the
        table has them, are converted to degrees.

    Returns
    -------
    catalog : astropy.table.Table
        ``id`` as text, ``ra`` and ``dec`` [deg] and ``redshift`` as float64.

    Raises
    ------
    ConfigError
        Naming every fault of the table at once, with row and column: missing columns,
        masked or non-finite values, values out of range, ids that repeat or that could
        not be a folder's name.
    """
    table = source.copy() if isinstance(source, Table) else read_table(Path(source))
    label = "the catalogue" if isinstance(source, Table) else str(source)
    if missing := [name for name in REQUIRED if name not in table.colnames]:
        raise ConfigError(
            f"{label} lacks column{'s' * (len(missing) > 1)} {', '.join(missing)};"
            f" it has {', '.join(table.colnames)}"
        )
    if len(table) == 0:
        raise ConfigError(f"{label} has no rows")
    faults = [*_id_faults(table)]
    for name in ("ra", "dec", "redshift"):
        faults += _convert_column(table, name)
    if faults:
        shown = faults[:_MAX_FAULTS]
        if len(faults) > _MAX_FAULTS:
            shown.append(f"... and {len(faults) - _MAX_FAULTS} more")
        count = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
        raise ConfigError("\n  - ".join([f"{label} has {count}:", *shown]))
    table["id"] = np.array([_text(value) for value in table["id"]])
    return table


def rows(catalog: Table) -> Iterator[dict[str, object]]:
    """Yield each galaxy as a mapping of plain Python values; masked values are left out."""
    for row in catalog:
        yield {name: _plain(row[name]) for name in catalog.colnames if not _masked(row[name])}


def sky_position(galaxy: Mapping[str, object]) -> tuple[float, float]:
    """Return (ra, dec) of a catalogue row, ICRS [deg]."""
    return float(str(galaxy["ra"])), float(str(galaxy["dec"]))


def write_catalog(catalog: Table, path: Path) -> None:
    """Write the rows as planned to a Parquet file; columns of arrays are left out."""
    flat = [name for name in catalog.colnames if catalog[name].ndim == 1]
    catalog[flat].to_pandas(index=False).to_parquet(path, index=False)


def fill_template(template: str, galaxy: Mapping[str, object], *, root: str) -> str:
    """Return a template with catalogue columns and ``{data_root}`` filled in.

    A template is the user's own, and may lead anywhere. What a catalogue puts into it may not:
    a text with ``..`` as a part of a path, with a NUL, or that leads to another place than
    below the data root by being absolute, is refused. Fields are names of columns, with
    a format if one is wanted (``{tile:04d}``), and nothing of Python behind a dot or in brackets.

    Raises
    ------
    ConfigError
        If the template names something that the galaxy's row does not have, or the row's text
        would lead elsewhere.
    """
    try:
        fields = list(Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"template {template!r}: {error}") from error
    filled = ""
    for text, name, form, conversion in fields:
        filled += text
        if name is None:
            continue
        word = _formatted(template, galaxy, root, name, f"!{conversion}" if conversion else form)
        if name != "data_root":
            _require_inside(word, name, galaxy, root, first=not filled)
        filled += word
    if "\0" in filled:
        raise ConfigError(f"template {template!r} has a NUL in it: no path can have one")
    return filled


def _formatted(
    template: str, galaxy: Mapping[str, object], root: str, name: str, form: str | None
) -> str:
    """Return one field of a template as text; raise `ConfigError` if it cannot be."""
    if not _FORM.fullmatch(form or ""):
        raise ConfigError(
            f"template {template!r}: {form!r} is no plain format of {name}, such as 04d or .1f"
        )
    try:
        return format(root if name == "data_root" else galaxy[name], form or "")
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            f"galaxy {galaxy.get('id')!r}: template {template!r} needs {error};"
            f" the catalogue gives {', '.join(sorted(galaxy))} and data_root"
        ) from error


def _require_inside(
    word: str, name: str, galaxy: Mapping[str, object], root: str, *, first: bool
) -> None:
    """Raise `ConfigError` if a column's text leads a path to where the template does not."""
    parts = (*PurePath(word).parts, *PureWindowsPath(word).parts)
    away = first and PurePath(word).is_absolute() and not PurePath(word).is_relative_to(root)
    if ".." in parts or "\0" in word or away:
        raise ConfigError(
            f"galaxy {galaxy.get('id')!r}: column {name} holds {brief(word)}, which would lead a"
            f" path out of the data root {root!r}; write paths below it, without '..'"
        )


def read_table(path: Path) -> Table:
    """Return the table in a file, in the format its ending tells.

    Raises
    ------
    ConfigError
        If there is no such file, its format is not known, or it cannot be read.
    """
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(
            f"{path}: cannot tell the format from {path.suffix!r};"
            f" endings known: {', '.join(sorted(_FORMATS))}"
        )
    if not path.is_file():
        raise ConfigError(f"no catalogue at {path}")
    kind = _FORMATS[path.suffix.lower()]
    try:
        if kind == "parquet":
            import pandas as pd  # noqa: PLC0415  slow to import and only needed here

            return Table.from_pandas(pd.read_parquet(path))
        return Table.read(path, format=kind)
    except Exception as error:  # readers raise anything at all on a damaged file
        raise ConfigError(f"cannot read {path} as {kind}: {error}") from error


def _id_faults(table: Table) -> list[str]:
    """Return what is wrong with the ids."""
    names = ["" if _masked(value) else _text(value) for value in table["id"]]
    counts = Counter(names)
    faults = []
    for row, name in enumerate(names):
        if fault := name_fault(name):
            faults.append(f"row {row}, column id: {brief(name)} {fault}")
        elif counts[name] > 1:
            faults.append(f"row {row}, column id: {name!r} stands {counts[name]} times")
    return faults


def _convert_column(table: Table, name: str) -> list[str]:
    """Make one numeric column float64 in its unit, in place; return what is wrong with it."""
    column, wanted = table[name], Unit(REQUIRED[name] or "")
    faults, values = [], np.full(len(table), np.nan)
    low, high = _RANGES[name]
    for row, value in enumerate(column):
        text = "masked" if _masked(value) else str(value)
        try:
            values[row] = np.nan if _masked(value) else float(getattr(value, "value", value))
        except (TypeError, ValueError):
            values[row] = np.nan
        if not np.isfinite(values[row]):
            faults.append(f"row {row}, column {name}: {text!r} is not a finite number")
    unit = getattr(column, "unit", None)
    if unit is not None and unit != wanted:
        try:
            values = Unit(unit).to(wanted, values)
        except UnitConversionError:
            return [*faults, f"column {name}: unit {str(unit)!r} does not convert to {wanted}"]
    faults += [
        f"row {row}, column {name}: {values[row]:g} is outside [{low:g}, {high:g}] {wanted}"
        for row in np.flatnonzero((values < low) | (values > high))
    ]
    if name == "redshift":
        faults += [
            f"row {row}, column redshift: 0 has no luminosity distance; it must be positive"
            for row in np.flatnonzero(values == 0)
        ]
    meaning = getattr(column, "description", None)
    table[name] = values
    table[name].unit = None if name == "redshift" else wanted
    table[name].description = meaning
    return faults


def _masked(value: object) -> bool:
    return value is np.ma.masked or value is None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _plain(value: object) -> object:
    """Return a table value as a plain Python one."""
    value = getattr(value, "value", value)
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
