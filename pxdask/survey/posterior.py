"""Posteriors with the models they came from, and their place on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.files import write_text
from pxdask.core.models import ModelConfig
from pxdask.core.schema import FIT, SEDS
from pxdask.fitting.posterior import FittedSeds
from pxdask.io.filters import filters_from_dataset, filters_to_dataset
from pxdask.io.stores import is_published, publish, read
from pxdask.sps import make_model_set
from pxdask.sps.libraries import ModelLibrary
from pxdask.sps.model_grid import at_redshift, make_model_grid
from pxdask.survey.products import shared_ends, ssp_dataset, under_names
from pxdask.survey.stored_models import library_models

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from pxdask.core.bandpass import Filter

FIT_FILE, SEDS_FILE, FILTERS_FILE = "fit.zarr.zip", "seds.zarr.zip", "filters.zarr.zip"
FACTS = "posterior.json"


@dataclass(eq=False)
class ModelSource:
    """The models of any redshift, made in this process; the last grid is kept.

    Attributes
    ----------
    settings : ModelConfig
        Ingredients and priors.
    curves : mapping
        Filter of each band, in the order of the SEDs.
    seed : int
        Of the draws.
    ssp : Dataset or None
        Populations, schema ssp/2; None: those of the settings, read when first needed.
    network : Dataset or None
        Trained network, schema network/1, for the method that uses one.
    """

    settings: ModelConfig
    curves: Mapping[str, Filter]
    seed: int
    ssp: xr.Dataset | None = None
    _grids: dict[tuple[float, float], xr.Dataset] = field(default_factory=dict, repr=False)
    network: xr.Dataset | None = None

    def __call__(self, redshift: float | None) -> ModelLibrary:
        """Return the models of a redshift, drawn when they are first asked for."""
        drawn: list[xr.Dataset] = []

        def draw() -> xr.Dataset:
            if not drawn:
                drawn.append(self._drawn(redshift))
            return drawn[0]

        return ModelLibrary(
            settings=self.settings,
            ssp=self.populations(),
            filters=tuple(replace(curve, name=name) for name, curve in self.curves.items()),
            redshift=redshift,
            seed=self.seed,
            draw=draw,
            network=None if self.network is None else self._network,
        )

    def _network(self) -> xr.Dataset:
        """Return the network."""
        if self.network is None:
            raise ConfigError("there is no network: name one as fit.npe.network")
        return self.network

    def populations(self) -> xr.Dataset:
        """Return the populations."""
        if self.ssp is None:
            self.ssp = ssp_dataset(self.settings.ssp)
        return self.ssp

    def _drawn(self, redshift: float | None) -> xr.Dataset:
        """Return the drawn set, with the bands' names."""
        return under_names(self._models(redshift), list(self.curves))

    def _models(self, redshift: float | None) -> xr.Dataset:
        """Return the drawn set: stored, between redshifts that are shared, or made for one."""
        curves = tuple(self.curves.values())
        if self.settings.stored is not None:
            names = [curve.name for curve in curves]
            return library_models(Path(self.settings.stored), names, redshift)
        ends = shared_ends(self.settings, redshift)
        if ends is None or redshift is None:
            return make_model_set(
                self.populations(),
                curves,
                redshift=redshift,
                settings=self.settings,
                seed=self.seed,
            )
        if ends not in self._grids:
            self._grids.clear()
            self._grids[ends] = make_model_grid(
                self.populations(),
                curves,
                redshifts=ends,
                settings=self.settings,
                seed=self.seed,
            )
        return at_redshift(self._grids[ends], redshift)


@dataclass(frozen=True, eq=False, repr=False)
class Posterior(FittedSeds):
    """SEDs and what their posteriors say: see `pxdask.fitting.posterior.FittedSeds`."""

    def save(self, folder: str | Path) -> Path:
        """Write posteriors, SEDs, filter curves and the models' settings into a folder.

        Raises
        ------
        ConfigError
            If the folder holds something else.
        StoreError
            If a file cannot be written.
        """
        path = Path(folder)
        if path.exists() and (not path.is_dir() or (any(path.iterdir()) and not _is_saved(path))):
            raise ConfigError(f"{path} holds something else; take another folder")
        known = self.seds["redshift"].values
        usable = known[np.isfinite(known) & (known > 0)]
        models = self.model_library(
            None if self.free_redshift or not usable.size else float(usable[0])
        )
        publish(self.fit, path / FIT_FILE)
        publish(self.seds, path / SEDS_FILE)
        publish(filters_to_dataset(models.filters), path / FILTERS_FILE)
        facts = {
            "models": models.settings.model_dump(mode="json"),
            "seed": self.seed,
            "free_redshift": self.free_redshift,
        }
        write_text(json.dumps(facts, indent=2) + "\n", path / FACTS)
        return path

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Return what `save` wrote.

        The populations are not in the folder: they are those that ``models.ssp`` names.

        Raises
        ------
        ConfigError
            If the folder holds no posterior.
        StoreError
            If a file cannot be read.
        """
        path = Path(folder)
        if not _is_saved(path):
            raise ConfigError(f"{path} holds no posterior: it has no {FACTS}")
        facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
        curves = {each.name: each for each in filters_from_dataset(read(path / FILTERS_FILE))}
        return cls(
            fit=FIT.validate(read(path / FIT_FILE)),
            seds=SEDS.validate(read(path / SEDS_FILE)),
            model_library=ModelSource(
                ModelConfig.model_validate(facts["models"]), curves, facts["seed"]
            ),
            seed=facts["seed"],
            free_redshift=facts["free_redshift"],
        )


def _is_saved(folder: Path) -> bool:
    """Return whether a folder is one that `Posterior.save` wrote."""
    return (folder / FACTS).is_file() and is_published(folder / FIT_FILE)
