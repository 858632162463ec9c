"""Rows of Parquet files as tables of astropy, with the units and masks that are in the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from astropy.table import Column, MaskedColumn, Table, meta

from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_DESCRIBED = b"table_meta_yaml"
"""Where astropy keeps, in a Parquet file, what describes its columns."""

_MASK = ".mask"
"""What astropy adds to a column's name for that of its mask."""


def arrow_table(batch: pa.RecordBatch | pa.Table) -> Table:
    """Return rows of a Parquet file as a table; what is neither text nor number becomes text.

    Columns have the units that astropy, or we, wrote. Values that are null, and those that
    astropy's mask hides, are masked. Lists and the like are left out.

    Raises
    ------
    ConfigError
        If what astropy says of the columns cannot be read.
    """
    described = _described(batch.schema)
    masks = {f"{name}{_MASK}" for name in batch.schema.names} & described.keys()
    table = Table()
    for name in batch.schema.names:
        if pa.types.is_nested(batch[name].type) or name in masks:
            continue
        values, absent = _values(batch[name])
        if f"{name}{_MASK}" in masks:
            absent = absent | np.asarray(batch[f"{name}{_MASK}"], np.bool_)
        table[name] = MaskedColumn(values, mask=absent) if absent.any() else Column(values)
        table[name].unit = described.get(name) or _own_unit(batch.schema.field(name))
    return table


def _values(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return values and where there are none."""
    kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif not (numeric or pa.types.is_boolean(kind) or pa.types.is_string(kind)):
        column = column.cast(pa.string())
    absent = np.asarray(column.is_null())
    if pa.types.is_string(column.type):
        return np.array(column.fill_null("").to_pylist(), dtype=np.str_), absent
    return np.asarray(column.fill_null(False if pa.types.is_boolean(kind) else 0)), absent


def _described(schema: pa.Schema) -> Mapping[str, str]:
    """Return the units of the columns that astropy wrote, masks among them; "" for none."""
    text = (schema.metadata or {}).get(_DESCRIBED)
    if text is None:
        return {}
    try:
        header = meta.get_header_from_yaml(text.decode().splitlines())
        return {str(one["name"]): str(one.get("unit") or "") for one in header["datatype"]}
    except (meta.YamlParseError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"what the Parquet file says of its columns ({_DESCRIBED.decode()}) cannot be read:"
            f" {error}; write the file anew"
        ) from error


def _own_unit(field: pa.Field) -> str | None:
    """Return the unit that a column's own metadata state."""
    stated = (field.metadata or {}).get(b"unit")
    return None if stated is None else stated.decode()
