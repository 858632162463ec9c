"""All galaxies and bins of a run in one store and a few tables.

Collecting again reads only the galaxies whose outputs are others than last time; the result is the
same, byte for byte, as if it had all been collected at once. A store that lacks files, or cannot be
understood, is made anew. What is written is noted with its checksums, for `pxdask verify`.
"""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pxdask.core.errors import ConfigError
from pxdask.core.schema import QUANTILES
from pxdask.fitting.tables import NUMBERS, results_of
from pxdask.io.stores import read
from pxdask.io.survey_store import (
    CHUNK,
    ROWS,
    SHARD,
    DamagedStoreError,
    RowWriter,
    load_group,
    replacing_store,
    write_group,
)
from pxdask.survey.collected import (
    BINS,
    COLLECTED,
    ENTRY,
    GALAXIES,
    INTEGRATED,
    KEYED,
    PATHS,
    PROFILES,
    RADIAL,
    SCHEMA,
    STORE,
    TABLES,
    Entry,
    collected_tables,
    is_whole_store,
    save_collected,
    saved_collected,
    stored_files,
    write_tables,
)
from pxdask.survey.collected_before import CollectedBefore, as_before, content_of
from pxdask.survey.manifest import MANIFEST, Manifest
from pxdask.survey.outshining import outshining
from pxdask.survey.plan import PRODUCT_FILES, SUFFIX, Task
from pxdask.survey.profile_facts import known_kpc_per_arcsec, profile_facts
from pxdask.survey.radial_facts import radial_facts
from pxdask.survey.recipes import RECIPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pxdask.survey.manifest import Record
    from pxdask.survey.results import Run

logger = logging.getLogger(__name__)

FORMATS = ("fits", "ecsv", "parquet")

ADDITIVE = ("dex(Msun)", "dex(Lsun)", "dex(Msun / yr)")
"""Units of results that are sums over the parts of a galaxy."""

_OF_BINS = ("n_pix", "flux", "flux_err", "snr", "coverage", "n_pieces", "compactness", "sed_chi2")
_OF_FITS = (*NUMBERS, "flags", "model_flux")
_MOMENTS = ("mean", "std")
_RATIO = "redshift_ratio"
"""What a galaxy's SEDs together tell of its redshift, an attribute of its fit."""

_PLACE = {"units": "", "long_name": "place of the bin's galaxy in the group of galaxies"}
_OF_RATIO = {"units": "", "long_name": "ln of p(z given all SEDs) over p(z), by a network"}
_FIRST = {"units": "", "long_name": "the galaxy's first row in the group of bins; -1 for none"}


@dataclass(frozen=True, slots=True)
class Collected:
    """What was collected.

    Attributes
    ----------
    store : Path
        The store.
    tables : tuple of Path
        The tables.
    n_galaxy, n_bin : int
        Galaxies that have bins with a fit, and these bins.
    n_read : int
        Galaxies whose files were read; the others were taken from the store as it was.
    """

    store: Path
    tables: tuple[Path, ...]
    n_galaxy: int
    n_bin: int
    n_read: int


def collect(run: Run, *, formats: Sequence[str] = FORMATS, shard: int = SHARD) -> Collected:
    """Write all galaxies and bins of a run that have a fit into one store and tables.

    Parameters
    ----------
    run : Run
        The run; others may be working on it, but nobody else collects.
    formats : sequence of {"fits", "ecsv", "parquet"}
        Formats of the tables ``summary`` (a row for each galaxy of the catalogue) and
        ``summary-bins`` (a row for each bin).
    shard : int
        Bins in a file of the store; a multiple of its chunk, or less than that.

    Raises
    ------
    ConfigError
        If no galaxy has a fit, or a format is not known.
    StoreError, DamagedError
        If an output cannot be read.
    """
    if unknown := sorted(set(formats) - set(FORMATS)):
        raise ConfigError(
            f"cannot write tables as {', '.join(unknown)}; wanted {', '.join(FORMATS)}"
        )
    path, entries = run.store / STORE, _entries(run)
    if (path / "zarr.json").is_file() and not is_whole_store(run.store):
        before = CollectedBefore()
    else:
        before = CollectedBefore.of(path, bands=_bands(run), shard=shard)
    try:
        return _collect(run, entries, before, formats, shard)
    except DamagedStoreError as error:
        logger.warning("%s", error)
        return _collect(run, entries, CollectedBefore(), formats, shard)


def _collect(
    run: Run, entries: list[Entry], before: CollectedBefore, formats: Sequence[str], shard: int
) -> Collected:
    """Write store and tables, with what was collected before as far as it holds."""
    path = run.store / STORE
    changed = entries != before.entries
    files = saved_collected(run.store)
    n_read = 0
    if changed:
        with replacing_store(path) as part:
            n_read = _write_store(run, part, entries, before, shard)
            stored = stored_files(part)
            (run.store / COLLECTED).unlink(missing_ok=True)  # true of neither while they change
        files = {name: file for name, file in files.items() if not name.startswith(STORE)} | stored
        save_collected(run.store, files)
    galaxies = load_group(path, GALAXIES)
    tables = {run.store / f"{name}.{kind}": name for name in TABLES for kind in formats}
    wanted = [table for table in tables if changed or not table.is_file()]
    for name in TABLES:
        paths = [table for table in wanted if tables[table] == name]
        if paths:
            write_tables(paths, path, galaxies, of_bins=name == TABLES[1], shard=shard)
    if wanted:
        save_collected(run.store, files | collected_tables(wanted))
    n_bin = galaxies["n_bin"].values
    return Collected(path, tuple(tables), int((n_bin > 0).sum()), int(n_bin.sum()), n_read)


def _bands(run: Run) -> list[str]:
    """Return the names of the run's bands."""
    return [band.name for band in run.config.bands]


def _entries(run: Run) -> list[Entry]:
    """Return what there is of each galaxy of the catalogue, by its newest records."""
    with closing(Manifest(run.store / MANIFEST).index()) as index:
        return [_entry(row, index.of(str(row["id"])), run) for row in run.catalog_file.rows()]


def _entry(
    row: Mapping[str, object], records: Mapping[tuple[str, str, str], Record], run: Run
) -> Entry:
    """Return what there is of a galaxy."""
    name = str(row["id"])
    found = {stage: records.get((name, stage, "")) for stage in KEYED}
    if not run.config.fit.integrated:  # what is left of other settings is not of these fits
        found[INTEGRATED] = None
    if run.config.morphology is None:
        found[PROFILES] = None
    if run.config.radial is None:
        found[RADIAL] = None
    keys = {f"{stage}_key": one.key if one and one.ok else "" for stage, one in found.items()}
    failed = any(record.outcome == "failed" for record in records.values())
    state = "failed" if failed else "done" if keys["products_key"] else "unfinished"
    entry: Entry = {"id": name, "state": state, **keys}
    return entry | {word: float(str(row[word])) for word in ("ra", "dec", "redshift")}


def _write_store(
    run: Run, part: Path, entries: list[Entry], before: CollectedBefore, shard: int
) -> int:
    """Write the store; return the number of galaxies that were read."""
    bands, places = _bands(run), before.find()
    facts: list[dict[str, xr.Variable]] = []
    writer: RowWriter | None = None
    n_read = first = 0
    for index, entry in enumerate(entries):
        place = places.get(content_of(entry))
        if not (entry["fit_key"] and entry["bins_key"]):
            facts.append(_profiles(run, entry, bands))
            continue
        if place is not None and before.rows is not None:
            fact, pieces = as_before(before.galaxies.isel(galaxy=place), before.rows)
        else:
            fact, pieces = _galaxy(run, entry, bands)
            n_read += bool(fact)
        facts.append(fact)
        for rows_ in pieces:
            if writer is None:
                write_group(_coordinates(rows_), part, BINS)
                writer = RowWriter(part, BINS, shard=shard, chunk=min(CHUNK, shard))
            at = xr.Variable(ROWS, np.full(rows_.sizes[ROWS], index, np.int32), _PLACE)
            writer.append(rows_.assign(galaxy=at))
    if writer is None:
        raise ConfigError(f"{run.store}: no galaxy has a fit; nothing to collect")
    writer.close()
    for fact in facts:
        n_bin = int(fact["n_bin"].values) if "n_bin" in fact else 0
        fact["first_bin"] = xr.Variable((), np.int64(first if n_bin else -1), _FIRST)
        first += n_bin
    write_group(_galaxies(run, entries, facts), part, GALAXIES)
    return n_read


def _coordinates(ds: xr.Dataset) -> xr.Dataset:
    """Return the coordinates of rows alone."""
    names = [name for name in ("quantile", "band") if name in ds.coords]
    return xr.Dataset(coords={name: ds[name].variable for name in names}, attrs={"schema": SCHEMA})


def _galaxy(
    run: Run, entry: Entry, bands: list[str]
) -> tuple[dict[str, xr.Variable], Iterator[xr.Dataset]]:
    """Return what is known of a galaxy, and its rows, from its files; nothing if they differ."""
    name = str(entry["id"])
    tasks = [Task(name, stage, "", str(entry[f"{stage}_key"])) for stage in (BINS, "fit")]
    bins, fit = (read(task.path(run.store)) for task in tasks)
    found = [list(map(str, ds["band"].values)) for ds in (bins, fit)]
    fitted = fit.attrs[RECIPE]["outputs"][BINS]
    if fitted != entry["bins_key"] or found != [bands, bands]:
        logger.warning("%s is left out: its fit is not of its bins, or of the run's bands", name)
        return {}, iter(())
    rows_ = _rows(bins, fit)
    facts = _facts(bins, rows_)
    if (ratio := fit.attrs.get(_RATIO)) is not None:
        facts[_RATIO] = xr.Variable((), np.float64(ratio), _OF_RATIO)
    if entry[f"{INTEGRATED}_key"]:
        facts |= _integrated(run, entry, rows_)
    facts |= _profiles(run, entry, bands)
    if key := str(entry[f"{RADIAL}_key"]):
        facts |= radial_facts(read(Task(name, RADIAL, "", key).path(run.store)), bands=bands)
    return facts, iter((rows_,))


def _integrated(run: Run, entry: Entry, rows_: xr.Dataset) -> dict[str, xr.Variable]:
    """Return what the fit of a galaxy's whole light tells; nothing if it is of other bins."""
    task = Task(str(entry["id"]), INTEGRATED, "", str(entry[f"{INTEGRATED}_key"]))
    whole = read(task.path(run.store))
    if whole.attrs[RECIPE]["outputs"][BINS] != entry["bins_key"]:
        return {}
    names = [
        name
        for name in results_of(whole)
        if name in rows_ and rows_[name].attrs.get("units") in ADDITIVE
    ]
    return outshining(rows_, whole, names=names)


def _profiles(run: Run, entry: Entry, bands: list[str]) -> dict[str, xr.Variable]:
    """Return what a galaxy's Sersic profiles tell; nothing if it has none."""
    if not entry[f"{PROFILES}_key"]:
        return {}
    task = Task(str(entry["id"]), PROFILES, "", str(entry[f"{PROFILES}_key"]))
    kpc = known_kpc_per_arcsec(run.config.models, redshift=float(entry["redshift"]))
    return profile_facts(read(task.path(run.store)), bands=bands, kpc_per_arcsec=kpc)


def _rows(bins: xr.Dataset, fit: xr.Dataset) -> xr.Dataset:
    """Return the rows of one galaxy, without what is not the same for all: samples, spectra."""
    results = results_of(fit)
    of_fit = [*_OF_FITS, *results, *(f"{name}_{end}" for name in results for end in _MOMENTS)]
    number = np.arange(bins.sizes[ROWS], dtype=np.int32)
    values = {
        "number": xr.Variable(ROWS, number, {"units": "", "long_name": "bin in its galaxy's map"}),
        **{name: bins[name].variable for name in _OF_BINS if name in bins},
        "band_flags": bins["flags"].variable,
        **{name: fit[name].variable for name in of_fit if name in fit},
    }
    coords = {name: fit[name].variable for name in ("quantile", "band")}
    return xr.Dataset(values, coords)


def _facts(bins: xr.Dataset, rows_: xr.Dataset) -> dict[str, xr.Variable]:
    """Return what is known of a galaxy as a whole."""

    def count(value: int, meaning: str) -> xr.Variable:
        return xr.Variable((), np.int64(value), {"units": "", "long_name": meaning})

    facts = {
        "n_bin": count(bins.sizes[ROWS], "bins"),
        "n_pix": count(int(bins["n_pix"].sum()), "pixels in bins"),
        "ny": count(bins.sizes["y"], "rows of the maps"),
        "nx": count(bins.sizes["x"], "columns of the maps"),
        "pivot_wave": bins["pivot_wave"].variable,
        "flux": _summed(rows_["flux"], "flux density of all bins", power=1),
        "flux_err": _summed(rows_["flux_err"], "its uncertainty, of independent bins", power=2),
    }
    for name in results_of(rows_):
        if rows_[name].attrs.get("units") in ADDITIVE:
            facts[name] = _total(rows_[name])
    return facts


def _summed(values: xr.DataArray, meaning: str, *, power: int) -> xr.Variable:
    """Return sums over bins, (band,): of values, or in quadrature; NaN where no bin has one."""
    total = (values.variable**power).sum(ROWS, min_count=1) ** (1 / power)
    total.attrs = {"units": values.attrs["units"], "long_name": meaning}
    return total


def _total(values: xr.DataArray) -> xr.Variable:
    """Return the logarithm of the sum over bins of a logarithm's medians."""
    medians = values.sel(quantile=0.5).values
    known = medians[np.isfinite(medians)]
    total = float(np.logaddexp.reduce(known * np.log(10)) / np.log(10)) if known.size else np.nan
    meaning = values.attrs.get("long_name", values.name)
    attrs = {"units": values.attrs["units"], "long_name": f"{meaning}: sum of the bins' medians"}
    return xr.Variable((), np.float64(total), attrs)


def _galaxies(run: Run, entries: list[Entry], facts: list[dict[str, xr.Variable]]) -> xr.Dataset:
    """Return the table of galaxies."""
    forms = {name: variable for fact in facts for name, variable in fact.items()}
    columns = {
        name: xr.Variable("galaxy", _typed([entry[name] for entry in entries]), ENTRY[name])
        for name in ENTRY
    }
    for name in sorted(forms):
        form = forms[name]
        empty = np.full(form.shape, 0 if form.dtype.kind == "i" else np.nan, form.dtype)
        values = np.stack([fact[name].values if name in fact else empty for fact in facts])
        columns[name] = xr.Variable(("galaxy", *form.dims), values, form.attrs)
    for name, meaning in PATHS.items():
        paths = [_path(run, entry, name) for entry in entries]
        columns[name] = xr.Variable("galaxy", _typed(paths), {"units": "", "long_name": meaning})
    bands = xr.Variable("band", _typed(_bands(run)), {"units": "", "long_name": "band"})
    coords = {"band": bands}
    if any("quantile" in column.dims for column in columns.values()):
        about = {"units": "", "long_name": "posterior probability below the value"}
        coords["quantile"] = xr.Variable("quantile", np.array(QUANTILES), about)
    return xr.Dataset(columns, coords, {"schema": SCHEMA, "name": run.config.name})


def _typed(values: list[Any]) -> np.ndarray[Any, Any]:
    """Return values as an array; text of any length."""
    return np.array(values, dtype=object if isinstance(values[0], str) else float)


def _path(run: Run, entry: Entry, name: str) -> str:
    """Return the file of a galaxy's maps, relative to the run; empty where there is none."""
    galaxy = str(entry["id"])
    if name == "maps":
        task, suffix = Task(galaxy, "maps", "", str(entry["maps_key"])), SUFFIX
    else:
        kind = name.partition("_")[0]
        task = Task(galaxy, kind, "", str(entry["products_key"]))
        suffix = PRODUCT_FILES[kind]
    return task.path(run.store, suffix).relative_to(run.store).as_posix() if task.key else ""
