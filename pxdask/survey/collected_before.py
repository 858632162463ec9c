"""What was collected last time: galaxies whose outputs are still the same are taken from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import xarray as xr

from pxdask.core.errors import DamagedError, StoreError
from pxdask.io.survey_store import StoredRows, load_group
from pxdask.survey.collected import (
    BINS,
    ENTRY,
    GALAXIES,
    INTEGRATED,
    PATHS,
    PROFILES,
    RADIAL,
    SCHEMA,
    Entry,
)
from pxdask.survey.profile_facts import PREFIX
from pxdask.survey.radial_facts import SIZES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class CollectedBefore:
    """What was collected last time, if anything was.

    Attributes
    ----------
    entries : list of dict
        What the catalogue and the manifest told of each galaxy.
    galaxies : Dataset
        The table of galaxies.
    rows : StoredRows, optional
        The rows of their bins.
    """

    entries: list[Entry] = field(default_factory=list)
    galaxies: xr.Dataset = field(default_factory=xr.Dataset)
    rows: StoredRows | None = None

    @classmethod
    def of(cls, path: Path, *, bands: list[str], shard: int) -> CollectedBefore:
        """Return the store as it is; nothing if there is none of these bands."""
        try:
            galaxies = load_group(path, GALAXIES)
            stored = StoredRows(path, BINS, shard=shard)
        except (StoreError, DamagedError):
            return cls()
        if galaxies.attrs.get("schema") != SCHEMA or list(galaxies["band"].values) != bands:
            return cls()
        if not set(ENTRY) <= set(galaxies.variables):
            return cls()
        columns = {name: list(galaxies[name].values.tolist()) for name in ENTRY}
        entries = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        return cls(entries, galaxies, stored)

    def find(self) -> dict[tuple[str, ...], int]:
        """Return the place of each galaxy by its name and the keys of bins and fits."""
        return {content_of(entry): i for i, entry in enumerate(self.entries)}


def content_of(entry: Entry) -> tuple[str, ...]:
    """Return what decides a galaxy's rows."""
    stages = (BINS, "fit", INTEGRATED, PROFILES, RADIAL)
    return tuple(str(entry[name]) for name in ("id", *(f"{stage}_key" for stage in stages)))


def as_before(
    galaxy: xr.Dataset, stored: StoredRows
) -> tuple[dict[str, xr.Variable], Iterator[xr.Dataset]]:
    """Return what is known of a galaxy, and its rows, from the store as it was."""
    own = {*ENTRY, *PATHS, "first_bin"}
    fact = {
        str(name): value.variable for name, value in galaxy.data_vars.items() if name not in own
    }
    if not str(galaxy[f"{PROFILES}_key"].values):  # those of others are NaN here
        fact = {name: value for name, value in fact.items() if not name.startswith(PREFIX)}
    if not str(galaxy[f"{RADIAL}_key"].values):
        fact = {name: value for name, value in fact.items() if name not in SIZES}
    first, n_bin = int(galaxy["first_bin"]), int(galaxy["n_bin"])
    if n_bin == 0:
        return {}, iter(())
    return fact, stored.rows(first, first + n_bin)
