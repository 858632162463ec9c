"""Tables of the galaxies and bins of a run that are collected in one store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Column, QTable, Table

from pxdask.core.errors import ConfigError
from pxdask.core.files import write_text
from pxdask.io.stores import checksum, files_under
from pxdask.io.survey_store import ROWS, StoredRows, load_group
from pxdask.io.table_files import table_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import xarray as xr

SCHEMA = "survey/2"
"""Form of the store; 2: what samplers and networks tell of themselves is in it."""

STORE = "survey.zarr"
GALAXIES, BINS, INTEGRATED = "galaxies", "bins", "integrated"
PROFILES, RADIAL = "morphology", "radial"

KEYED = (BINS, "fit", INTEGRATED, PROFILES, "maps", RADIAL, "products")
"""Stages whose keys are told of each galaxy."""

TABLES = ("summary", "summary-bins")
"""Names of the tables of galaxies and of bins."""

COLLECTED = "collected.json"
"""File of a run's folder that tells size and checksum of each file that was collected."""

ENTRY: dict[str, dict[str, str]] = {
    "id": {"units": "", "long_name": "galaxy"},
    "ra": {"units": "deg", "long_name": "right ascension, ICRS"},
    "dec": {"units": "deg", "long_name": "declination, ICRS"},
    "redshift": {"units": "", "long_name": "redshift"},
    "state": {"units": "", "long_name": "done, failed or unfinished"},
    **{
        f"{stage}_key": {"units": "", "long_name": f"content key of the output of {stage}"}
        for stage in KEYED
    },
}
"""What the catalogue and the manifest tell of a galaxy."""

Entry = dict[str, str | float]
"""Its values."""

PATHS = {
    "maps": "file of the maps in the run's folder",
    "maps_fits": "file of the maps as FITS",
    "summary_png": "file of a picture of the maps",
}
"""Columns of the table of galaxies that name files."""


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """What was written: size [byte] and checksum."""

    n_bytes: int
    checksum: str


def galaxy_table(store: Path) -> QTable:
    """Return a row for each galaxy of a store that was collected, with units.

    Raises
    ------
    ConfigError
        If nothing was collected.
    """
    path = store / STORE
    if not (path / "zarr.json").is_file():
        raise ConfigError(f"{path} is not there; `pxdask collect {store}` makes it")
    return QTable(_flat(load_group(path, GALAXIES)), copy=False)


def stored_files(folder: Path) -> dict[str, CollectedFile]:
    """Return size and checksum of all files of a store, by their names under `STORE`."""
    return {
        f"{STORE}/{file.path.relative_to(folder).as_posix()}": CollectedFile(
            file.n_bytes, checksum(file.path)
        )
        for file in files_under(folder)
    }


def collected_tables(paths: Iterable[Path]) -> dict[str, CollectedFile]:
    """Return size and checksum of tables, by their names in the run's folder."""
    return {path.name: CollectedFile(path.stat().st_size, checksum(path)) for path in paths}


def save_collected(run: Path, files: Mapping[str, CollectedFile]) -> None:
    """Note what was collected into a run's folder, by the files' names there."""
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps([file.n_bytes, file.checksum])}"
        for name, file in sorted(files.items())
    )
    write_text(f"{{\n{lines}\n}}\n", run / COLLECTED)


def saved_collected(run: Path) -> dict[str, CollectedFile]:
    """Return what was noted when a run was collected; nothing if it was not, or is not legible."""
    try:
        facts = json.loads((run / COLLECTED).read_text(encoding="utf-8"))
        return {str(name): CollectedFile(*values) for name, values in facts.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def is_whole_store(run: Path) -> bool:
    """Return whether all files that a store had when it was written are there in their sizes.

    A piece that is absent would be read as rows without values. Bytes are not looked at.
    """
    there = {
        f"{STORE}/{file.path.relative_to(run / STORE).as_posix()}": file.n_bytes
        for file in files_under(run / STORE)
    }
    noted = {
        name: file.n_bytes for name, file in saved_collected(run).items() if name.startswith(STORE)
    }
    return bool(there) and noted == there


def write_tables(
    paths: Sequence[Path],
    store: Path,
    galaxies: xr.Dataset,
    *,
    of_bins: bool,
    shard: int,
    only: Sequence[str] = (),
) -> None:
    """Write one table, of galaxies or of bins, to files of several kinds; of all, or of some."""
    longest = {
        str(name): max(1, *(len(str(word)) for word in galaxies[name].values))
        for name in galaxies.data_vars
        if galaxies[name].dtype.kind in "OT"
    }
    longest["galaxy"] = longest["id"]
    names = galaxies["id"].values
    stored = StoredRows(store, BINS, shard=shard)
    chosen = set(only) or set(map(str, names))
    keep = np.array([str(name) in chosen for name in names])
    n_row = int(galaxies["n_bin"].values[keep].sum() if of_bins else keep.sum())
    with table_files(paths, n_row=n_row, n_letter=longest) as append:
        if not of_bins:
            append(_flat(galaxies.isel(galaxy=keep)))
            return
        for block in stored.rows(0, stored.n_row):
            some = block if keep.all() else block.isel({ROWS: keep[block["galaxy"].values]})
            append(_flat(some.assign(galaxy=(ROWS, names[some["galaxy"].values]))))


def _flat(ds: xr.Dataset) -> Table:
    """Return a table: a column for each variable, or each of its bands, quantiles, or of both."""
    table = Table()
    for name in _in_order(ds):
        variable = ds[name]
        attrs = variable.attrs
        ends = [
            [f"_p{100 * x:.0f}" if axis == "quantile" else f"_{x}" for x in ds[axis].values]
            for axis in variable.dims[1:]
        ]
        for place in np.ndindex(variable.shape[1:]):
            end = "".join(words[i] for words, i in zip(ends, place, strict=True))
            values = variable.values[(slice(None), *place)]
            table[f"{name}{end}"] = Column(
                np.array(list(map(str, values))) if values.dtype.kind in "OT" else values,
                unit=attrs.get("units") or None,
                description=attrs.get("long_name") or None,
            )
    return table


def _in_order(ds: xr.Dataset) -> list[str]:
    """Return the variables of a table: what names a row, counts, results, then others."""
    names = sorted(str(name) for name in ds.data_vars if not str(name).endswith(("_mean", "_std")))
    first = [*ENTRY, "galaxy", "number", "n_bin", "n_pix", "chi2", "n_eff", "flags"]
    first += ["log_mass", "log_sfr"]
    return [*(name for name in first if name in names), *(n for n in names if n not in first)]
