"""Tables of any length as FITS, ECSV and Parquet files, written block by block; as VOTables."""

from __future__ import annotations

import io
import warnings
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import meta, vstack
from astropy.units import UnitsWarning

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.files import replacing
from pxdask.io.export import fits_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from astropy.table import Table
    from numpy.typing import NDArray

_FITS_BLOCK = 2880
"""Bytes of which a FITS file has a multiple [FITS 4.0, 3.1]."""


class TableFile(Protocol):
    """A table's file that grows."""

    def append(self, table: Table) -> None:
        """Write rows; the columns are the same each time."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


@contextmanager
def table_files(
    paths: Sequence[Path], *, n_row: int, n_letter: Mapping[str, int]
) -> Iterator[Callable[[Table], None]]:
    """Give a function that writes rows to several files, which have their names at the end.

    Parameters
    ----------
    paths : sequence of Path
        Files whose endings, ``.fits``, ``.ecsv``, ``.parquet`` or ``.vot``, tell the format; a
        VOTable is in memory as a whole.
    n_row : int
        Rows that there will be in all; a FITS header says it first.
    n_letter : mapping
        Length of the longest text of each column of texts.

    Raises
    ------
    ConfigError
        If an ending is not known.
    StoreError
        If a file cannot be written.
    DataError
        If rows were more or fewer than ``n_row``; no file gets its name.
    """
    if unknown := [path.name for path in paths if path.suffix not in TABLE_KINDS]:
        raise ConfigError(
            f"cannot write tables as {', '.join(unknown)}; endings known: {', '.join(TABLE_KINDS)}"
        )
    with ExitStack() as stack:
        kinds: dict[str, Callable[[Path], TableFile]] = {
            ".fits": partial(FitsFile, n_row=n_row, n_letter=n_letter),
            ".ecsv": EcsvFile,
            ".parquet": partial(ParquetFile, n_letter=n_letter),
            ".vot": VoTableFile,
        }
        files = []
        for path in paths:
            part = stack.enter_context(replacing(path))
            files.append(kinds[path.suffix](part))
            stack.callback(files[-1].close)

        n_written = 0

        def append(table: Table) -> None:
            nonlocal n_written
            n_written += len(table)
            for file in files:
                file.append(table)

        yield append
        if n_written != n_row:
            names = ", ".join(str(path) for path in paths)
            raise DataError(f"{names}: {n_written} rows were written; wanted {n_row}, as announced")


class EcsvFile:
    """A table as ECSV: text, with units and meanings in its header."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._n_header = 0

    def append(self, table: Table) -> None:
        """Write rows; see `TableFile`."""
        text = io.StringIO()
        table.write(text, format="ascii.ecsv")
        lines = text.getvalue().splitlines(keepends=True)
        self._file.writelines(lines[self._n_header :])
        self._n_header = len(lines) - len(table)

    def close(self) -> None:
        """Close the file; see `TableFile`."""
        self._file.close()


class VoTableFile:
    """A table as a VOTable, which is made when all rows are there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tables: list[Table] = []

    def append(self, table: Table) -> None:
        """Take rows; see `TableFile`."""
        self._tables.append(table.copy())

    def close(self) -> None:
        """Write the file; see `TableFile`."""
        if self._tables:
            whole = vstack(self._tables)
            for name in whole.colnames:
                _without_dex(whole[name])
                if whole[name].dtype.kind == "u":  # VOTables have unsigned bytes alone
                    whole[name] = whole[name].astype(np.int32)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnitsWarning)  # the standard wants 0.1nm
                whole.write(self._path, format="votable", tabledata_format="binary2")


def _without_dex(column: Any) -> None:  # noqa: ANN401  astropy is untyped
    """Say the unit of a logarithm in words, where there is one: VOTables have none for it."""
    unit = str(column.unit or "")
    if unit.startswith("dex"):
        words = column.description or column.name
        column.description = f"{words} [{unit}]"
        column.unit = None


class ParquetFile:
    """A table as Parquet, with units and meanings where astropy and Arrow look for them.

    Parameters
    ----------
    path : Path
        The file.
    n_letter : mapping
        Length of the longest text of each column of texts, for astropy.
    """

    def __init__(self, path: Path, *, n_letter: Mapping[str, int]) -> None:
        self._path = path
        self._n_letter = n_letter
        self._writer: pq.ParquetWriter | None = None

    def append(self, table: Table) -> None:
        """Write rows; see `TableFile`."""
        columns = {
            name: pa.array(np.asarray(table[name]).tolist(), _arrow(table[name]))
            for name in table.colnames
        }
        if self._writer is None:
            fields = [
                pa.field(name, column.type, metadata=_words(table[name]))
                for name, column in columns.items()
            ]
            described = "\n".join(meta.get_yaml_from_table(table)).encode()
            words: dict[str | bytes, str | bytes] = {"table_meta_yaml": described}
            for field in fields:
                if field.type == pa.string():
                    words[f"table::len::{field.name}"] = str(self._n_letter.get(field.name, 1))
            schema = pa.schema(fields, metadata=words)
            self._writer = pq.ParquetWriter(self._path, schema)
        rows = pa.Table.from_arrays(list(columns.values()), schema=self._writer.schema)
        self._writer.write_table(rows)

    def close(self) -> None:
        """Close the file; see `TableFile`."""
        if self._writer is not None:
            self._writer.close()


def _arrow(column: Any) -> pa.DataType:  # noqa: ANN401  astropy is untyped
    """Return the Arrow type of a column."""
    return pa.string() if column.dtype.kind in "UOT" else pa.from_numpy_dtype(column.dtype)


def _words(column: Any) -> dict[str, str]:  # noqa: ANN401  astropy is untyped
    """Return unit and meaning of a column."""
    words = {"unit": str(column.unit or ""), "description": str(column.description or "")}
    return {name: word for name, word in words.items() if word}


class FitsFile:
    """A table as a FITS binary table.

    Parameters
    ----------
    path : Path
        The file.
    n_row : int
        Rows that there will be.
    n_letter : mapping
        Length of the longest text of each column of texts.
    """

    def __init__(self, path: Path, *, n_row: int, n_letter: Mapping[str, int]) -> None:
        self._file = path.open("wb")
        self._n_row, self._n_letter = n_row, n_letter
        self._dtype: np.dtype[Any] | None = None
        self._n_byte = 0

    def append(self, table: Table) -> None:
        """Write rows; see `TableFile`."""
        if self._dtype is None:
            types = [
                (name, _big_endian(table[name].dtype, self._n_letter.get(name, 1)))
                for name in table.colnames
            ]
            self._dtype = np.dtype(types)
            self._begin(table, self._dtype)
        block = np.empty(len(table), self._dtype)
        for name in table.colnames:
            block[name] = _storable(np.asarray(table[name]))
        self._file.write(block.tobytes())
        self._n_byte += block.nbytes

    def _begin(self, table: Table, dtype: np.dtype[Any]) -> None:
        """Write the headers."""
        columns = []
        for name in table.colnames:
            unit, form = table[name].unit, _FORMATS.get(str(dtype[name]))
            columns.append(
                fits.Column(
                    name=name,
                    format=form or f"{dtype[name].itemsize}A",
                    unit=fits_unit(str(unit)) if unit else None,
                )
            )
        header = fits.BinTableHDU.from_columns(columns, nrows=0).header
        header["NAXIS2"] = self._n_row
        for i, name in enumerate(table.colnames, start=1):
            if table[name].description:
                # a card has 80 letters: keyword, the name in quotes, and this
                room = 67 - max(20, len(name) + 2)
                header.comments[f"TTYPE{i}"] = _ascii(str(table[name].description))[: max(0, room)]
        primary = fits.PrimaryHDU().header
        self._file.write((primary.tostring() + header.tostring()).encode("ascii"))

    def close(self) -> None:
        """Fill the last block and close the file; see `TableFile`."""
        self._file.write(b"\0" * (-self._n_byte % _FITS_BLOCK))
        self._file.close()


_FORMATS = {">f8": "D", ">f4": "E", ">i8": "K", ">i4": "J", ">i2": "I", "uint8": "B"}
"""FITS's letters of numpy's types [FITS 4.0, table 18]."""


def _big_endian(dtype: np.dtype[Any], n_letter: int) -> np.dtype[Any]:
    """Return the type that FITS has for a column: it has no unsigned integers but one byte."""
    if dtype.kind in "UOTS":
        return np.dtype(f"S{n_letter}")
    if dtype.kind == "b":
        return np.dtype("u1")
    if dtype.kind == "u":
        return np.dtype({1: "u1", 2: ">i4"}.get(dtype.itemsize, ">i8"))
    return dtype.newbyteorder(">")


def _storable(values: NDArray[Any]) -> NDArray[Any]:
    """Return text as ASCII bytes, anything else as it is."""
    if values.dtype.kind not in "UOT":
        return values
    return np.array([_ascii(str(value)).encode("ascii") for value in values])


def _ascii(text: str) -> str:
    """Return text with a question mark for what FITS cannot write."""
    return text.encode("ascii", "replace").decode("ascii")


TABLE_KINDS = (".fits", ".ecsv", ".parquet", ".vot")
"""Endings of the files that can be written."""
