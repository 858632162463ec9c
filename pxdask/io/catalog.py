"""Catalogues of galaxies: any table astropy reads, checked whole before it is used."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath, PureWindowsPath
from string import Formatter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from astropy.table import Table
from astropy.units import Unit, UnitConversionError

from pxdask.core.errors import ConfigError, brief
from pxdask.core.names import name_fault
from pxdask.io.arrow_tables import arrow_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

REQUIRED = {"id": None, "ra": "deg", "dec": "deg", "redshift": ""}
"""Columns every catalogue has, with the unit they are converted to."""

UNITS = {"ebv": "mag"}
"""Further columns whose meaning is known, with the unit they are converted to."""

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


def read_catalog(
    source: str | Path | Table,
    *,
    units: Mapping[str, str] | None = None,
    need_redshift: bool = True,
) -> Table:
    """Return a checked catalogue.

    Parameters
    ----------
    source : path or astropy.table.Table
        ECSV, CSV, FITS, Parquet or VOTable, by its ending. Columns ``id``, ``ra``,
        ``dec`` [deg] and ``redshift`` are required; other columns are kept, and may be
        used in the path templates of the configuration. Units of ra and dec, where the
        table has them, are converted to degrees, and that of ``ebv`` to magnitudes.
    units : mapping, optional
        Unit in which further columns are wanted, such as those that settings name
        (`pxdask.core.rows.column_units`): a column of another unit is converted; one without
        a unit is in that unit already.
    need_redshift : bool
        Whether a galaxy without a redshift, or a table without the column, is a fault.

    Returns
    -------
    catalog : astropy.table.Table
        ``id`` as text, ``ra`` and ``dec`` [deg] and ``redshift`` as float64.

    Raises
    ------
    ConfigError
        Naming every fault of the table at once, with row and column: missing columns,
        masked or non-finite values, values out of range, ids that repeat or that could
        not be a folder's name; units that do not convert.
    """
    table = source.copy() if isinstance(source, Table) else read_table(Path(source))
    label = catalog_label(source)
    faults = Faults(label)
    faults.add(check_rows(table, label, units=units, need_redshift=need_redshift))
    names = [str(name) for name in table["id"]]
    counts = Counter(names)
    faults.add(repeated(row, names[row], counts[names[row]]) for row in _twice(names, counts))
    faults.refuse()
    return table


def catalog_label(source: str | Path | Table) -> str:
    """Return what messages call a catalogue."""
    return "the catalogue" if isinstance(source, Table) else str(source)


class Faults:
    """What is wrong with a catalogue: how much, and the first things in words.

    Parameters
    ----------
    label : str
        What messages call it.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.count = 0
        self._shown: list[str] = []

    def add(self, faults: Iterable[str]) -> None:
        """Take note of faults."""
        for fault in faults:
            self.count += 1
            if self.count <= _MAX_FAULTS:
                self._shown.append(fault)

    def refuse(self) -> None:
        """Raise `ConfigError` that names the faults, if there are any."""
        if not self.count:
            return
        more = self.count - len(self._shown)
        lines = [*self._shown, *([f"... and {more} more"] if more else [])]
        count = f"{self.count} fault{'s' * (self.count > 1)}"
        raise ConfigError("\n  - ".join([f"{self.label} has {count}:", *lines]))


def check_rows(
    table: Table,
    label: str,
    *,
    first: int = 0,
    units: Mapping[str, str] | None = None,
    need_redshift: bool = True,
) -> list[str]:
    """Bring rows of a catalogue into their form, in place; return what is wrong with each.

    Whether ids repeat is not looked at, since these may not be all rows.

    Parameters
    ----------
    table : Table
        Some rows of the catalogue.
    label : str
        What messages call it.
    first : int
        Number of the first of these rows in the catalogue.
    units : mapping, optional
        As of `read_catalog`.
    need_redshift : bool
        As of `read_catalog`.

    Raises
    ------
    ConfigError
        If it lacks a column, or has no rows.
    """
    needed = [name for name in REQUIRED if need_redshift or name != "redshift"]
    if missing := [name for name in needed if name not in table.colnames]:
        raise ConfigError(
            f"{label} lacks column{'s' * (len(missing) > 1)} {', '.join(missing)};"
            f" it has {', '.join(table.colnames) or 'none'}"
        )
    if len(table) == 0:
        raise ConfigError(f"{label} has no rows")
    names = ["" if _masked(value) else _text(value) for value in table["id"]]
    found = ((row, name_fault(name)) for row, name in enumerate(names))
    faults = [f"row {first + i}, column id: {brief(names[i])} {why}" for i, why in found if why]
    for name in ("ra", "dec", "redshift"):
        if name in table.colnames:
            is_needed = need_redshift or name != "redshift"
            faults += _convert_column(table, name, first, names, is_needed=is_needed)
    for name, unit in (UNITS | dict(units or {})).items():
        if name in table.colnames and name not in REQUIRED:
            faults += _convert_unit(table, name, unit)
    table["id"] = np.array(names)
    return faults


def repeated(row: int, name: str, count: int) -> str:
    """Return the fault of an id that stands in several rows."""
    return f"row {row}, column id: {name!r} stands {count} times"


def _twice(names: list[str], counts: Mapping[str, int]) -> Iterator[int]:
    """Yield the rows whose id is a possible one, and another row's as well."""
    return (i for i, name in enumerate(names) if counts[name] > 1 and not name_fault(name))


def rows(catalog: Table) -> Iterator[dict[str, object]]:
    """Yield each galaxy as a mapping of plain Python values; masked values are left out.

    So are those that are not a number: a catalogue's file has nothing else for either.
    """
    for row in catalog:
        yield {name: _plain(row[name]) for name in catalog.colnames if not is_absent(row[name])}


def is_absent(value: object) -> bool:
    """Return whether a row has no value in a column: it is masked, or not a number."""
    return _masked(value) or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def sky_position(galaxy: Mapping[str, object]) -> tuple[float, float]:
    """Return (ra, dec) of a catalogue row, ICRS [deg]."""
    return float(str(galaxy["ra"])), float(str(galaxy["dec"]))


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
    with reading(path, kind):
        if kind == "parquet":
            return arrow_table(pq.read_table(path))
        return Table.read(path, format=kind)


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what readers of files raise, within the block, into `ConfigError`."""
    try:
        yield
    except Exception as error:  # readers raise anything at all on a damaged file
        raise ConfigError(f"cannot read {path} as {kind}: {error}") from error


def _convert_column(
    table: Table, name: str, first: int, galaxies: list[str], *, is_needed: bool
) -> list[str]:
    """Make one numeric column float64 in its unit, in place; return what is wrong with it."""
    column, wanted = table[name], Unit(REQUIRED[name] or "")
    low, high = _RANGES[name]
    values = _numbers(column)

    def fault(row: int, what: str) -> str:
        return f"row {first + row}, column {name}: {what} (galaxy {brief(galaxies[row])})"

    faults = []
    for row in np.flatnonzero(~np.isfinite(values)).tolist():
        if is_absent(column[row]) and not is_needed:
            continue
        text = _shown(column[row])
        degrees = "; wanted degrees, such as 150.1162" if ":" in str(text) else ""
        faults.append(fault(row, f"{text!r} is not a finite number{degrees}"))
    try:
        values = _in_unit(column, values, wanted)
    except ConfigError as error:
        return [*faults, f"column {name}: {error}"]
    span = f"[{low:g}, {high:g}] {wanted}".rstrip()
    faults += [
        fault(row, f"{values[row]:g} is outside {span}")
        for row in np.flatnonzero((values < low) | (values > high)).tolist()
    ]
    if name == "redshift":
        faults += [
            fault(row, "0 has no luminosity distance; it must be positive")
            for row in np.flatnonzero(values == 0).tolist()
        ]
    meaning = getattr(column, "description", None)
    table[name] = values
    table[name].unit = None if name == "redshift" else wanted
    table[name].description = meaning
    return faults


def _convert_unit(table: Table, name: str, unit: str) -> list[str]:
    """Bring one column into a unit, in place, if it has another; return what is wrong with it."""
    column, wanted = table[name], Unit(unit)
    if not str(getattr(column, "unit", None) or "") or column.unit == wanted:
        return []
    try:
        values = _in_unit(column, _numbers(column), wanted)
    except ConfigError as error:
        return [f"column {name}: {error}; the settings, or its name, want it so"]
    meaning = column.info.description
    table[name] = values
    table[name].unit, table[name].description = wanted, meaning
    return []


def _in_unit(column: Any, values: NDArray[np.float64], wanted: Unit) -> NDArray[np.float64]:  # noqa: ANN401  astropy is untyped
    """Return a column's values in a unit; those of a column without are in it already.

    Raises
    ------
    ConfigError
        If the column's unit does not convert.
    """
    unit = getattr(column, "unit", None)
    if unit is None or unit == wanted:
        return values
    try:
        return np.asarray(Unit(unit).to(wanted, values), np.float64)
    except (UnitConversionError, ValueError, TypeError) as error:  # the latter of unknown units
        raise ConfigError(
            f"unit {str(unit)!r} does not convert to {str(wanted) or 'a pure number'}"
        ) from error


def _numbers(column: Any) -> NDArray[np.float64]:  # noqa: ANN401  astropy is untyped
    """Return a column's values; NaN where they are masked, or no numbers."""
    plain = getattr(column, "value", column)
    if plain.dtype.kind in "iuf":
        return np.ma.filled(np.ma.asarray(plain).astype(np.float64), np.nan)
    values = np.full(len(column), np.nan)
    for row, value in enumerate(column):
        with suppress(TypeError, ValueError):
            values[row] = np.nan if _masked(value) else float(value)
    return values


def _shown(value: object) -> str:
    """Return a value as messages show it."""
    return "masked" if _masked(value) else str(value)


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
