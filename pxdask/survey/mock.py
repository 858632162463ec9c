"""Mock surveys on disk: the images a catalogue's galaxies would have, and their truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig
from pxdask.core.provenance import content_key
from pxdask.core.random import stream
from pxdask.io.catalog import read_catalog, rows
from pxdask.io.extensions import write_extensions
from pxdask.io.filters import load_filters
from pxdask.io.fits import write_image
from pxdask.io.stores import is_published, opened, publish
from pxdask.simulate import (
    IFUS,
    MOCK_UNITS,
    NEARBY,
    SURVEYS,
    MockGalaxy,
    extensions,
    observe,
    observe_ifs,
    truth_maps,
)
from pxdask.sps import PhotometryEngine
from pxdask.survey.products import ssp_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr
    from astropy.table import Table

    from pxdask.simulate import IfsSpec, SurveySpec

TRUTH_FILE = "truth.zarr.zip"
"""Name of the file with a mock galaxy's true maps, beside its images."""

VERSION = 1
"""Raised whenever the same catalogue gives other images."""


def make_mocks(
    catalog: str | Path | Table,
    folder: str | Path,
    *,
    seed: int = 1,
    surveys: Sequence[str] = NEARBY,
    ifus: Sequence[str] = (),
    models: ModelConfig | None = None,
    tick: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write mock images of a catalogue's galaxies, as surveys deliver them.

    Galaxies that are there already, made from the same row and seed, are kept.

    Parameters
    ----------
    catalog : path or Table
        Galaxies; the columns that `pxdask.simulate.MockGalaxy` has describe them, in its units
        or those that the table states.
    folder : path
        Where the images go: ``<id>/<band>.fits``, ``<id>/<band>_<kind>.fits`` for the
        uncertainty, and the true maps in ``<id>/truth.zarr.zip``.
    seed : int
        Seed of pointings and noise.
    surveys : sequence of str
        Names in `pxdask.simulate.SURVEYS`.
    ifus : sequence of str
        Names in `pxdask.simulate.IFUS`: spectral cubes, ``<id>/<name>.fits``.
    models : ModelConfig, optional
        Stellar populations of the mock; default: those of a run with default settings.
    tick : callable
        Called with the identifier of each galaxy that is done.

    Returns
    -------
    folders : list of Path
        One for each galaxy.

    Raises
    ------
    ConfigError
        If a survey or an IFU is unknown, a row does not describe a galaxy, or the folder holds
        another mock of the same name: nothing is overwritten.
    """
    if unknown := sorted(set(surveys) - set(SURVEYS)):
        raise ConfigError(f"unknown surveys {unknown}; known: {', '.join(sorted(SURVEYS))}")
    if unknown := sorted(set(ifus) - set(IFUS)):
        raise ConfigError(f"unknown IFUs {unknown}; known: {', '.join(sorted(IFUS))}")
    specs, cubes = [SURVEYS[name] for name in surveys], [IFUS[name] for name in ifus]
    settings = models or ModelConfig()
    ssp = ssp_dataset(settings.ssp)
    made = []
    for row in rows(read_catalog(catalog, units=MOCK_UNITS)):
        target = Path(folder) / str(row["id"])
        what = [*surveys, *(f"ifu {name}" for name in ifus)]
        key = content_key([VERSION, row, seed, what, settings.model_dump(mode="json")])
        if not _is_made(target / TRUTH_FILE, key):
            mock = _Mock(specs, cubes, ssp, settings, seed)
            _make(row, target, key, mock)
        made.append(target)
        tick(str(row["id"]))
    return made


def _is_made(truth: Path, key: str) -> bool:
    """Return whether the galaxy is there, and refuse to overwrite another of its name."""
    if not is_published(truth):
        return False
    with opened(truth) as ds:
        if ds.attrs.get("key") == key:
            return True
    raise ConfigError(
        f"{truth.parent} holds a mock made from another row, seed or version;"
        " remove it, or write to another folder"
    )


@dataclass(frozen=True)
class _Mock:
    """What all galaxies of a mock survey share."""

    specs: Sequence[SurveySpec]
    cubes: Sequence[IfsSpec]
    ssp: xr.Dataset
    settings: ModelConfig
    seed: int


def _make(row: Mapping[str, object], target: Path, key: str, mock: _Mock) -> None:
    """Write one galaxy's images and cubes, then its truth, which tells that all are there."""
    galaxy = MockGalaxy.from_row(row)
    bands = [band for spec in mock.specs for band in spec.bands]
    engine = PhotometryEngine(
        mock.ssp,
        load_filters([band.filter for band in bands]),
        redshift=galaxy.redshift,
        settings=mock.settings,
    )
    truth = truth_maps(galaxy, engine=engine, bands=[band.name for band in bands])
    for spec in mock.specs:
        rng = stream(mock.seed, galaxy.id, "observe", spec.name)
        for seen in observe(truth, spec, rng=rng):
            write_image(target / f"{seen.band}.fits", seen.image, seen.header)
            write_image(
                target / f"{seen.band}_{seen.kind}.fits", seen.uncertainty, seen.uncertainty_header
            )
    for cube in mock.cubes:
        made = observe_ifs(
            truth,
            cube,
            ssp=mock.ssp,
            settings=mock.settings,
            redshift=galaxy.redshift,
            rng=stream(mock.seed, galaxy.id, "observe", cube.kind),
        )
        write_extensions(target / f"{cube.kind}.fits", extensions(made))
    publish(truth.assign_attrs(key=key), target / TRUTH_FILE)
