"""Mock surveys on disk: the images a catalogue's galaxies would have, and their truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig
from pxdask.core.provenance import content_key
from pxdask.core.random import stream
from pxdask.io.catalog import read_catalog, rows
from pxdask.io.filters import load_filters
from pxdask.io.fits import write_image
from pxdask.io.stores import is_published, opened, publish
from pxdask.simulate import NEARBY, SURVEYS, MockGalaxy, observe, truth_maps
from pxdask.sps import PhotometryEngine
from pxdask.survey.products import ssp_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr
    from astropy.table import Table

    from pxdask.simulate import SurveySpec

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
    models: ModelConfig | None = None,
    tick: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write mock images of a catalogue's galaxies, as surveys deliver them.

    Galaxies that are there already, made from the same row and seed, are kept.

    Parameters
    ----------
    catalog : path or Table
        Galaxies; the columns that `pxdask.simulate.MockGalaxy` has describe them.
    folder : path
        Where the images go: ``<id>/<band>.fits``, ``<id>/<band>_<kind>.fits`` for the
        uncertainty, and the true maps in ``<id>/truth.zarr.zip``.
    seed : int
        Seed of pointings and noise.
    surveys : sequence of str
        Names in `pxdask.simulate.SURVEYS`.
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
        If a survey is unknown, a row does not describe a galaxy, or the folder holds another
        mock of the same name: nothing is overwritten.
    """
    if unknown := sorted(set(surveys) - set(SURVEYS)):
        raise ConfigError(f"unknown surveys {unknown}; known: {', '.join(sorted(SURVEYS))}")
    specs = [SURVEYS[name] for name in surveys]
    settings = models or ModelConfig()
    ssp = ssp_dataset(settings.ssp)
    made = []
    for row in rows(read_catalog(catalog)):
        target = Path(folder) / str(row["id"])
        key = content_key([VERSION, row, seed, list(surveys), settings.model_dump(mode="json")])
        if not _is_made(target / TRUTH_FILE, key):
            _make(row, target, key, specs=specs, ssp=ssp, settings=settings, seed=seed)
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


def _make(
    row: Mapping[str, object],
    target: Path,
    key: str,
    *,
    specs: Sequence[SurveySpec],
    ssp: xr.Dataset,
    settings: ModelConfig,
    seed: int,
) -> None:
    """Write one galaxy's images, then its truth: the truth tells that all are there."""
    galaxy = MockGalaxy.from_row(row)
    bands = [band for spec in specs for band in spec.bands]
    engine = PhotometryEngine(
        ssp,
        load_filters([band.filter for band in bands]),
        redshift=galaxy.redshift,
        settings=settings,
    )
    truth = truth_maps(galaxy, engine=engine, bands=[band.name for band in bands])
    for spec in specs:
        for seen in observe(truth, spec, rng=stream(seed, galaxy.id, "observe", spec.name)):
            write_image(target / f"{seen.band}.fits", seen.image, seen.header)
            write_image(
                target / f"{seen.band}_{seen.kind}.fits", seen.uncertainty, seen.uncertainty_header
            )
    publish(truth.assign_attrs(key=key), target / TRUTH_FILE)
