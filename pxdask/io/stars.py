"""Tables of foreground stars and other objects to be masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.io.registry import IORegistryError
from astropy.table import Table
from astropy.units import Unit, UnitConversionError

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

COLUMNS = ("ra", "dec", "radius")


def read_stars(path: str | Path) -> tuple[tuple[float, float, float], ...]:
    """Return ra, dec, ICRS [deg], and radius [arcsec] of each row of a table.

    Parameters
    ----------
    path : str or Path
        ECSV, FITS, CSV or VOTable with columns ``ra``, ``dec``, ``radius``, in any unit the
        table states; without one, degrees and arcsec. An empty table is none.

    Raises
    ------
    DataError
        If the file is absent or no table, or lacks a column; if a value is no number, masked or
        not finite, a radius negative, or its unit another than of an angle.
    """
    try:
        table = Table.read(str(path))
    except FileNotFoundError as error:
        raise DataError(f"no such file: {path}") from error
    except (OSError, ValueError, TypeError, IORegistryError) as error:
        raise DataError(
            f"{path} cannot be read as a table of stars; wanted ECSV, FITS, CSV or VOTable"
        ) from error
    names = {name.lower(): name for name in table.colnames}
    if absent := [name for name in COLUMNS if name not in names]:
        raise DataError(f"{path} has no column {absent}; it has {table.colnames}")
    values: list[NDArray[np.float64]] = []
    for name, unit in zip(COLUMNS, ("deg", "deg", "arcsec"), strict=True):
        column = table[names[name]]
        try:
            plain: NDArray[np.float64] = np.ma.filled(np.ma.asarray(column, dtype=float), np.nan)
            values.append(plain if column.unit is None else Unit(column.unit).to(unit, plain))
        except (ValueError, TypeError, UnitConversionError) as error:
            raise DataError(
                f"{path}: column {column.name} [{column.unit or 'no unit'}] cannot be had in"
                f" {unit}: {error}"
            ) from error
    stars = np.stack(values, axis=1)
    if not np.all(np.isfinite(stars)):
        row = int(np.flatnonzero(~np.isfinite(stars).all(axis=1))[0])
        raise DataError(f"{path}: row {row} holds ra, dec, radius {stars[row].tolist()}")
    if np.any(stars[:, 2] < 0):
        row = int(np.flatnonzero(stars[:, 2] < 0)[0])
        raise DataError(
            f"{path}: row {row} has a radius of {stars[row, 2]:g} arcsec; wanted 0 or more"
        )
    return tuple((float(ra), float(dec), float(radius)) for ra, dec, radius in stars)
