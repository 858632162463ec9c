"""What stages read of a catalogue row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping


def redshift_of(galaxy: Mapping[str, object]) -> float:
    """Return a galaxy's redshift.

    Raises
    ------
    DataError
        If it is absent or not a positive finite number.
    """
    value = galaxy.get("redshift")
    try:
        redshift = float(str(value))
    except ValueError:
        redshift = math.nan
    if not (math.isfinite(redshift) and redshift > 0):
        raise DataError(
            f"galaxy {galaxy.get('id', 'of unknown id')}: redshift is {value!r}; wanted a "
            "positive number, which gives the distance: correct the catalogue's row"
        )
    return redshift
