"""The catalogue of a run: a Parquet file that is written and read some rows at a time.

A catalogue of a million galaxies is never in memory whole, unless a user asks for its table.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table

from pxdask.core.errors import ConfigError
from pxdask.core.names import name_fault
from pxdask.core.remote import local_copy
from pxdask.io.arrow_tables import arrow_table
from pxdask.io.catalog import (
    Faults,
    catalog_label,
    check_rows,
    is_absent,
    read_catalog,
    read_table,
    reading,
    repeated,
    rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

ROWS_AT_ONCE = 10_000
"""Rows of a row group, and of a block that is checked: some megabytes."""

_DIGEST = 16
"""Bytes of the digest of an id; two of a million ids have the same with a chance of 1e-27."""


class CatalogFile:
    """The rows of a catalogue's Parquet file, as `write_catalog` makes it.

    Parameters
    ----------
    path : Path
        The file; of an object store, it is fetched whenever rows are read.
    only : collection of str, optional
        Identifiers of the galaxies wanted; default: all.
    """

    def __init__(self, path: Path, only: Iterable[str] = ()) -> None:
        self.path = path
        self._only = frozenset(only)

    def __len__(self) -> int:
        """Return the number of galaxies wanted."""
        if self._only:
            return len(self._only)
        with local_copy(self.path) as file:
            return int(pq.read_metadata(file).num_rows)

    def chosen(self, galaxies: Iterable[str]) -> CatalogFile:
        """Return the same file of which some galaxies are wanted.

        Raises
        ------
        ConfigError
            If one of them is not in the catalogue.
        """
        wanted = set(galaxies)
        if unknown := sorted(wanted.difference(self.ids())):
            raise ConfigError(f"not in the catalogue: {', '.join(unknown)}")
        return CatalogFile(self.path, wanted)

    def ids(self) -> Iterator[str]:
        """Yield the identifiers, in order."""
        return (str(row["id"]) for row in self._rows(["id"]))

    def rows(self, *, every: int = 1) -> Iterator[dict[str, object]]:
        """Yield galaxies as `pxdask.io.catalog.rows` does: all of them, or one of ``every``."""
        return (row for number, row in enumerate(self._rows()) if number % every == 0)

    def row(self, galaxy: str) -> dict[str, object] | None:
        """Return a galaxy's row; None if there is none. Only the ids of the others are read."""
        with local_copy(self.path) as file, pq.ParquetFile(file, pre_buffer=False) as opened:
            for group in range(opened.num_row_groups):
                names = opened.read_row_group(group, columns=["id"])["id"]
                at = pc.index(names, pa.scalar(galaxy, names.type)).as_py()
                if at >= 0:
                    found = opened.read_row_group(group).slice(at, 1)
                    return next(_plain_rows(found))
        return None

    def table(self) -> Table:
        """Return the catalogue as `read_catalog` does, in memory."""
        with local_copy(self.path) as file:
            return read_catalog(file)

    def _rows(self, columns: list[str] | None = None) -> Iterator[dict[str, object]]:
        """Yield the rows of the galaxies that are wanted."""
        with local_copy(self.path) as file, pq.ParquetFile(file, pre_buffer=False) as opened:
            for batch in opened.iter_batches(ROWS_AT_ONCE, columns=columns, use_threads=False):
                for row in _plain_rows(batch):
                    if not self._only or row["id"] in self._only:
                        yield row


def catalog_rows(catalog: Table | CatalogFile, *, every: int = 1) -> Iterator[dict[str, object]]:
    """Yield galaxies of a catalogue in memory or in a file; see `CatalogFile.rows`."""
    if isinstance(catalog, CatalogFile):
        return catalog.rows(every=every)
    return rows(catalog[::every])


def write_catalog(
    source: str | Path | Table, path: Path, *, units: Mapping[str, str] | None = None
) -> CatalogFile:
    """Write a catalogue's rows to a Parquet file as they are checked, some at a time.

    Parameters
    ----------
    source : path or Table
        See `pxdask.io.catalog.read_catalog`. FITS and Parquet files are read some rows at a time,
        those of other formats whole.
    path : Path
        File of this machine. Numbers that are none are written as absent; columns of arrays are
        left out.
    units : mapping, optional
        Units in which columns are wanted; see `pxdask.io.catalog.read_catalog`.

    Raises
    ------
    ConfigError
        As `read_catalog`; what is written by then is of no use.
    """
    faults, digests, first = Faults(catalog_label(source)), [], 0
    writer: pq.ParquetWriter | None = None
    try:
        for block in _blocks(source):
            faults.add(check_rows(block, faults.label, first=first, units=units))
            digests.append(_digests(block))
            first += len(block)
            if not faults.count:
                found = _arrow(block)
                writer = writer or pq.ParquetWriter(path, found.schema)
                writer.write_table(found.cast(writer.schema), row_group_size=ROWS_AT_ONCE)
    finally:
        if writer is not None:
            writer.close()
    twice, count = np.unique(np.concatenate(digests), return_counts=True)
    if (count > 1).any():
        faults.add(_repeats(source, faults.label, twice[count > 1]))
    faults.refuse()
    return CatalogFile(path)


def _blocks(source: str | Path | Table) -> Iterator[Table]:
    """Yield a catalogue's rows, some at a time; at least one block, maybe of no rows."""
    if isinstance(source, Table):
        yield from _slices(source)
        return
    path = Path(source)
    if path.suffix.lower() == ".parquet" and path.is_file():
        yield from _parquet_blocks(path)
    elif path.suffix.lower() in (".fits", ".fit") and path.is_file():
        yield from _fits_blocks(path)
    else:
        yield from _slices(read_table(path))


def _slices(table: Table) -> Iterator[Table]:
    for start in range(0, max(1, len(table)), ROWS_AT_ONCE):
        yield table[start : start + ROWS_AT_ONCE].copy()


def _parquet_blocks(path: Path) -> Iterator[Table]:
    """Yield rows of a Parquet file; raise `ConfigError` if it cannot be read."""
    with reading(path, "parquet"), pq.ParquetFile(path, pre_buffer=False) as file:
        if file.metadata.num_rows == 0:
            yield arrow_table(file.schema_arrow.empty_table())
        for batch in file.iter_batches(ROWS_AT_ONCE, use_threads=False):
            yield arrow_table(batch)


def _fits_blocks(path: Path) -> Iterator[Table]:
    """Yield rows of the first binary table of a FITS file; of other tables, all at once.

    Raises `ConfigError` if it cannot be read.
    """
    n_row = 0
    # astropy would leave a file open that it finds to be damaged
    with reading(path, "fits"), path.open("rb") as file, fits.open(file, memmap=True) as hdus:
        for hdu in [one for one in hdus if isinstance(one, fits.BinTableHDU)][:1]:
            n_row = int(hdu.header["NAXIS2"])
            for start in range(0, n_row, ROWS_AT_ONCE):
                some = hdu.data[start : start + ROWS_AT_ONCE]
                part = fits.BinTableHDU(some, header=hdu.header.copy())
                yield Table.read(part, format="fits")
    if not n_row:
        yield from _slices(read_table(path))


def _arrow(block: Table) -> pa.Table:
    """Return checked rows as Arrow columns; absent values are null, columns of arrays left out."""
    columns: dict[str, pa.Array] = {}
    for name in block.colnames:
        column = block[name]
        if getattr(column, "ndim", 1) != 1:
            continue
        values = getattr(column, "value", column)
        mask = np.ma.getmaskarray(np.ma.asarray(values)) if hasattr(values, "mask") else None
        plain = np.asarray(getattr(values, "data", values) if mask is not None else values)
        if plain.dtype.kind in "biuf":
            native = plain.astype(plain.dtype.newbyteorder("="))
            columns[name] = pa.array(native, mask=mask, from_pandas=True)
        else:
            words = [None if is_absent(value) else _word(value) for value in column]
            columns[name] = pa.array(words, pa.string())
    return pa.table(columns)


def _word(value: Any) -> str:  # noqa: ANN401  whatever a table holds
    return value.decode() if isinstance(value, bytes) else str(value)


def _plain_rows(batch: pa.RecordBatch | pa.Table) -> Iterator[dict[str, object]]:
    """Yield rows as plain Python values; absent ones are left out."""
    columns = [batch[name].to_pylist() for name in batch.schema.names]
    for values in zip(*columns, strict=True):
        named = zip(batch.schema.names, values, strict=True)
        yield {name: value for name, value in named if not (value is None or is_absent(value))}


def _digests(block: Table) -> NDArray[np.void]:
    """Return a digest of each id; ids of a million rows themselves would take 100 MB."""
    words = (str(name).encode(errors="replace") for name in block["id"])
    digests = b"".join(hashlib.blake2b(word, digest_size=_DIGEST).digest() for word in words)
    return np.frombuffer(digests, dtype=f"S{_DIGEST}")


def _repeats(source: str | Path | Table, label: str, digests: NDArray[np.void]) -> Iterator[str]:
    """Yield the fault of each row whose id is another's too."""
    wanted = set(digests.tolist())
    found: list[tuple[int, str]] = []
    first = 0
    for block in _blocks(source):
        check_rows(block, label, first=first)
        for row, digest in enumerate(_digests(block).tolist()):
            name = str(block["id"][row])
            if digest in wanted and not name_fault(name):
                found.append((first + row, name))
        first += len(block)
    counts = Counter(name for _, name in found)
    yield from (repeated(row, name, counts[name]) for row, name in found)
