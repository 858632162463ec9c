"""Chunks of wavelengths as one cube."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.schema import CUBE

if TYPE_CHECKING:
    from collections.abc import Sequence


def join_slices(chunks: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return the spectra whose wavelengths were brought to the grid chunk by chunk.

    Parameters
    ----------
    chunks : sequence of Dataset
        ``cube/1``, as `pxdask.ifs.IfsStage` gives them, in the order of their wavelengths.

    Returns
    -------
    cube : Dataset
        ``cube/1``; its region is that of any wavelength. The same, to the last bit, whatever the
        chunks.

    Raises
    ------
    DataError
        If there is no chunk, wavelengths do not increase from one to the next, or grids differ.
    """
    if not chunks:
        raise DataError("no chunk of wavelengths to join; wanted at least one")
    first = chunks[0]
    for i, (chunk, after) in enumerate(pairwise(chunks)):
        last, start = float(chunk["wave"][-1]), float(after["wave"][0])
        if not last < start:
            raise DataError(
                f"chunk {i} of the spectra ends at {last:.2f} Angstrom, chunk {i + 1} begins at"
                f" {start:.2f}; wanted increasing wavelengths"
            )
        if (
            after.attrs["wcs"] != first.attrs["wcs"]
            or after["region"].shape != first["region"].shape
        ):
            raise DataError(f"chunks 0 and {i + 1} of the spectra are not on one grid")
    joined = {}
    for name in ("wave", "lsf_fwhm", "noise_area", "flux", "flux_err", "flags"):
        values = np.concatenate([chunk[name].values for chunk in chunks])
        joined[name] = xr.Variable(first[name].dims, values, first[name].attrs)
    region = np.any([chunk["region"].values for chunk in chunks], axis=0)
    joined["region"] = xr.Variable(("y", "x"), region, first["region"].attrs)
    wave = joined.pop("wave")
    made = xr.Dataset(joined, coords={"wave": wave}, attrs=_shared(chunks))
    return CUBE.validate(made)


def _shared(chunks: Sequence[xr.Dataset]) -> dict[str, object]:
    """Return the attributes that all chunks have alike: not the key of each."""
    first = chunks[0].attrs
    return {
        str(name): value
        for name, value in first.items()
        if all(name in chunk.attrs and chunk.attrs[name] == value for chunk in chunks)
    }
