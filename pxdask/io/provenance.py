"""What outputs tell of their own making, whatever their format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from pxdask.core.errors import DamagedError
from pxdask.core.remote import local_copy
from pxdask.io.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

CARD = "PXDPROV"
"""FITS card that holds what other outputs have as attributes, as JSON."""


def read_provenance(path: Path) -> dict[str, Any]:
    """Return what an output tells of what made it; no data are read.

    Parameters
    ----------
    path : Path
        A dataset (``.zarr.zip``), or maps as FITS.

    Returns
    -------
    provenance : dict
        The dataset's attributes, or the same values of the FITS file; empty if it has none.

    Raises
    ------
    StoreError
        If the file cannot be read.
    DamagedError
        If it is not what its ending says.
    """
    if path.suffix == ".zip":
        with opened(path) as ds:
            return dict(ds.attrs)
    with local_copy(path) as file:
        try:
            found = json.loads(str(fits.getheader(file).get(CARD, "{}")))
        except (OSError, ValueError) as error:
            raise DamagedError(f"{path} is damaged: {error}") from error
    return dict(found)
