"""The outputs of a run as files that others' tools open."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.files import refuse_existing
from pxdask.core.names import file_name
from pxdask.core.provenance import canonical_json
from pxdask.core.remote import location
from pxdask.io.export import write_line_maps, write_maps_fits
from pxdask.io.export_cubes import write_cube_fits
from pxdask.io.export_datasets import write_asdf, write_zarr
from pxdask.io.pixedfit_bins import write_pixedfit_bins
from pxdask.io.pixedfit_cards import their_filter
from pxdask.io.pixedfit_fluxmap import write_pixedfit_fluxmap
from pxdask.io.pixedfit_maps import write_pixedfit_maps
from pxdask.io.pixedfit_specphoto import Matching, write_pixedfit_specphoto
from pxdask.io.profiles import write_profiles_fits
from pxdask.io.provenance import CARD
from pxdask.io.survey_store import SHARD, open_group
from pxdask.kernels.legendre import legendre_basis
from pxdask.survey.collect import collect
from pxdask.survey.collected import GALAXIES, STORE, TABLES, write_tables
from pxdask.survey.inspect import resolved_bands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import xarray as xr

    from pxdask.survey.results import Run

logger = logging.getLogger(__name__)

Target = Literal["fits", "pixedfit", "ecsv", "parquet", "votable", "asdf", "zarr"]
Layout = Literal["current", "1.0"]

TARGETS: tuple[Target, ...] = get_args(Target)

_TABLES = {"fits": ".fits", "ecsv": ".ecsv", "parquet": ".parquet", "votable": ".vot"}
"""Endings of the tables of galaxies and bins, by what is asked for."""

_STAGES = ("cube", "spectra", "bins", "fit", "integrated", "lines", "maps", "morphology", "radial")
"""Outputs of a galaxy that are handed on as they are, where there are any."""

_PROVENANCE = (
    "galaxy",
    "stage",
    "key",
    "config_key",
    "seeds",
    "versions",
    "code",
    "recipe",
    "checksums",
)
"""Attributes of datasets that tell of their making."""

_NEEDED = ("cube", "bins", "fit", "maps")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes
    ----------
    paths : tuple of Path
        Files, and folders of zarr.
    left_out : tuple of str
        Galaxies that have no maps yet, or failed.
    """

    paths: tuple[Path, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Writing:
    """A file to be written."""

    path: Path
    write: Callable[[Path], None]


def export(
    run: Run,
    *,
    to: Target,
    folder: str | Path,
    galaxies: Sequence[str] = (),
    layout: Layout = "current",
    overwrite: bool = False,
) -> Exported:
    """Write a run's outputs for other tools.

    Parameters
    ----------
    run : Run
        The run.
    to : {"fits", "pixedfit", "ecsv", "parquet", "votable", "asdf", "zarr"}
        What to write, of each galaxy ID:

        - fits: ``ID-maps.fits`` (see `write_maps_fits`), ``ID-images.fits`` and, with spectra,
          ``ID-spectra.fits`` (see `write_cube_fits`) and ``ID-lines.fits``; with profiles
          ``ID-morphology.fits``; and the tables, ``summary.fits`` (a row for each galaxy) and
          ``summary-bins.fits`` (a row for each bin);
        - pixedfit: ``ID-fluxmap.fits``, or with spectra ``ID-corr_specphoto.fits``;
          ``ID-pixbin.fits``; ``ID-maps_properties.fits``;
        - ecsv, parquet, votable: the tables;
        - asdf, zarr: ``ID.asdf``, ``ID.zarr``, with all datasets of the galaxy.
    folder : path
        Where files go; made if it is not there.
    galaxies : sequence of str
        Only these; default: all that are finished.
    layout : {"current", "1.0"}
        Of piXedfit's files: names of HDUs of its newest version or of 1.0.
    overwrite : bool
        Whether existing files may be replaced; if not, and any is there, nothing is written.

    Returns
    -------
    exported : Exported

    Raises
    ------
    ConfigError
        If ``to`` is not known, a galaxy is not in the catalogue or has no maps, no galaxy has, or
        a file exists.
    StoreError
        If an output cannot be read, or a file not be written.

    Notes
    -----
    Tables are of what `collect` gathers: ``survey.zarr`` in the run's folder is brought up to date
    first.
    """
    if to not in TARGETS:
        raise ConfigError(f"cannot export to {to!r}; wanted {', '.join(TARGETS)}")
    if layout not in get_args(Layout):
        raise ConfigError(f"the layout is {layout!r}; wanted {' or '.join(get_args(Layout))}")
    place = location(folder)
    names, left_out = _chosen(run, galaxies)
    paths: list[Path] = []
    tables = [place / f"{name}{_TABLES[to]}" for name in TABLES] if to in _TABLES else []
    planned = {name: _planned(run, name, place, to, layout) for name in names}
    for path in (*tables, *(one.path for writings in planned.values() for one in writings)):
        refuse_existing(path, overwrite=overwrite)
    for name, writings in planned.items():
        logger.info("%s is exported to %s", name, to)
        for one in writings:
            one.write(one.path)
            paths.append(one.path)
    if tables:
        _write_tables(run, tables, only=names if left_out or galaxies else ())
        paths += tables
    return Exported(tuple(paths), left_out)


def _chosen(run: Run, galaxies: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the galaxies to write, and those that are not there yet."""
    finished = run.finished()
    if galaxies:
        for name in galaxies:
            run.row(name)
            if name not in finished:
                run.maps(name)  # raises what became of it
                raise ConfigError(f"{run.store}: galaxy {name!r} is not finished")
        return list(dict.fromkeys(galaxies)), ()
    if not finished:
        raise ConfigError(
            f"{run.store}: no galaxy is finished, nothing to export; `pxdask status {run.store}`"
            " tells why"
        )
    known = set(finished)
    return finished, tuple(name for name in run.galaxies if name not in known)


def _planned(run: Run, galaxy: str, folder: Path, to: Target, layout: Layout) -> list[_Writing]:
    """Return the files of a galaxy; nothing is read of it yet but its newest records."""
    there = _there(run, galaxy)

    def writing(kind: str, function: Callable[[Run, str, Path], None]) -> _Writing:
        return _Writing(folder / file_name(galaxy, kind), partial(function, run, galaxy))

    if to == "fits":
        found = [writing("maps.fits", _maps_fits), writing("images.fits", _images_fits)]
        found += [writing("spectra.fits", _spectra_fits)] * ("spectra" in there)
        found += [writing("lines.fits", _lines_fits)] * ("lines" in there)
        found += [writing("morphology.fits", _morphology_fits)] * ("morphology" in there)
        return found
    if to == "pixedfit":
        images = "corr_specphoto.fits" if "spectra" in there else "fluxmap.fits"
        first = write_specphoto if "spectra" in there else partial(_fluxmap, layout=layout)
        return [
            writing(images, first),
            writing("pixbin.fits", partial(write_pixbin, layout=layout)),
            writing("maps_properties.fits", _maps_properties),
        ]
    if to in ("asdf", "zarr"):
        write = write_asdf if to == "asdf" else write_zarr
        path = folder / f"{file_name(galaxy)}.{to}"
        return [_Writing(path, partial(_all_datasets, run, galaxy, there, write))]
    return []


def _there(run: Run, galaxy: str) -> tuple[str, ...]:
    """Return the outputs that a galaxy has, and the run's settings still want."""
    unwanted = {
        "spectra": run.config.ifs is None,
        "lines": run.config.ifs is None,
        "integrated": not run.config.fit.integrated,
        "morphology": run.config.morphology is None,
        "radial": run.config.radial is None,
    }
    records = {record.stage: record for record in run.tried(galaxy) if not record.part}
    return tuple(
        stage
        for stage in _STAGES
        if stage in records and records[stage].ok and not unwanted.get(stage, False)
    )


def _maps_fits(run: Run, galaxy: str, path: Path) -> None:
    """Write maps, bins and images as one FITS file."""
    parts = {name: run.dataset(galaxy, name) for name in _NEEDED}
    write_maps_fits(path, **parts, header=_header(run, galaxy, parts["maps"]))


def _images_fits(run: Run, galaxy: str, path: Path) -> None:
    """Write the images as a cube."""
    cube = run.dataset(galaxy, "cube")
    write_cube_fits(path, cube, header=_header(run, galaxy, cube))


def _spectra_fits(run: Run, galaxy: str, path: Path) -> None:
    """Write the spectra as a cube."""
    cube = run.dataset(galaxy, "spectra")
    write_cube_fits(path, cube, header=_header(run, galaxy, cube))


def _lines_fits(run: Run, galaxy: str, path: Path) -> None:
    """Write maps of emission lines."""
    write_line_maps(path, run.line_maps(galaxy))


def _morphology_fits(run: Run, galaxy: str, path: Path) -> None:
    """Write Sersic profiles."""
    profiles = run.dataset(galaxy, "morphology")
    write_profiles_fits(path, profiles=profiles, header=_header(run, galaxy, profiles))


def _fluxmap(run: Run, galaxy: str, path: Path, *, layout: Layout) -> None:
    """Write images in piXedfit's layout."""
    cube = run.dataset(galaxy, "cube")
    write_pixedfit_fluxmap(
        path,
        cube,
        galaxy=_their_row(run, galaxy),
        filters=pixedfit_filters(run, galaxy),
        target=run.config.images.target_psf,
        layout=layout,
        overwrite=True,
    )


def write_specphoto(run: Run, galaxy: str, path: Path) -> None:
    """Write images and matched spectra in piXedfit's layout."""
    spectra = run.dataset(galaxy, "spectra")
    write_pixedfit_specphoto(
        path,
        run.dataset(galaxy, "cube"),
        spectra,
        galaxy=_their_row(run, galaxy),
        survey=str(spectra.attrs.get("kind", "generic")),
        matching=matching_of(spectra),
        filters=pixedfit_filters(run, galaxy),
        overwrite=True,
    )


def matching_of(spectra: xr.Dataset) -> Matching | None:
    """Return the factors that brought spectra to the images' light; None if none were used."""
    if "polynomial" not in spectra:
        return None
    polynomial = spectra["polynomial"].values
    low, high = spectra.attrs["polynomial_ends"]
    basis = legendre_basis(spectra["wave"].values, ends=(low, high), order=len(polynomial) - 1)
    factor = np.tensordot(basis.astype(np.float32), polynomial, axes=(0, 0))
    return Matching(factor)


def write_pixbin(run: Run, galaxy: str, path: Path, *, layout: Layout) -> None:
    """Write bins in piXedfit's layout."""
    bins, there = run.dataset(galaxy, "bins"), _there(run, galaxy)
    write_pixedfit_bins(
        path,
        bins,
        run.dataset(galaxy, "cube"),
        galaxy=_their_row(run, galaxy),
        reference_band=str(bins.attrs["reference_band"]),
        spectra=run.dataset(galaxy, "spectra") if "spectra" in there else None,
        filters=pixedfit_filters(run, galaxy),
        layout=layout,
        overwrite=True,
    )


def _maps_properties(run: Run, galaxy: str, path: Path) -> None:
    """Write maps in piXedfit's layout."""
    cube = run.dataset(galaxy, "cube")
    write_pixedfit_maps(
        path,
        *(run.dataset(galaxy, name) for name in ("maps", "bins", "fit")),
        filters=pixedfit_filters(run, galaxy),
        region=cube["region"].values if "region" in cube else None,
        overwrite=True,
    )


def _all_datasets(
    run: Run, galaxy: str, stages: Sequence[str], write: Callable[..., None], path: Path
) -> None:
    """Write all datasets of a galaxy."""
    write(path, {name: run.dataset(galaxy, name) for name in stages}, galaxy=run.row(galaxy))


def _write_tables(run: Run, paths: Sequence[Path], *, only: Sequence[str]) -> None:
    """Write the tables of galaxies and of bins."""
    collect(run, formats=())
    store = run.store / STORE
    galaxies = open_group(store, GALAXIES).load()
    for name, path in zip(TABLES, paths, strict=True):
        of_bins = name == TABLES[1]
        write_tables([path], store, galaxies, of_bins=of_bins, shard=SHARD, only=only)


def pixedfit_filters(run: Run, galaxy: str) -> list[str]:
    """Return the names that the bands' filters have in piXedfit's library."""
    bands = resolved_bands(run.row(galaxy), run.config, root=run.data_root)
    return [their_filter(str(band.filter)) for band in bands]


def _their_row(run: Run, galaxy: str) -> dict[str, object]:
    """Return a galaxy's row of the catalogue, with E(B-V) under the name that the writers know."""
    row = run.row(galaxy)
    extinction = run.config.images.extinction
    column = None if extinction is None else extinction.column
    return row | ({"ebv": row[column]} if column in row else {})


def _header(run: Run, galaxy: str, ds: xr.Dataset) -> dict[str, Any]:
    """Return keys of a FITS file as a whole, with what the dataset tells of its making."""
    row = run.row(galaxy)
    made_of = {name: ds.attrs[name] for name in _PROVENANCE if name in ds.attrs}
    header = {"RUNNAME": run.config.name, "PXDKEY": str(ds.attrs.get("key", ""))}
    header[CARD] = canonical_json(made_of)
    return header | {key: row[key] for key in ("id", "ra", "dec", "redshift")}
