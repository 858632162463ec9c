"""The pipeline stage that makes radial profiles of maps, and sizes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.morphology import RadialConfig
from pxdask.core.random import stream
from pxdask.core.schema import RADIAL, Schema
from pxdask.morphology.ellipses import geometry_of
from pxdask.morphology.radial import radial_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RadialStage:
    """Make profiles of a galaxy's maps on its ellipses, and measure its sizes.

    Attributes
    ----------
    config : RadialConfig
        Rings, weights, number of draws.
    seed : int
        Seed of the run.
    fitted : bool
        Whether there is a morphology stage, whose ellipse is used. Where a galaxy's failed, its
        output may still be left out, and the ellipse is that of the light's moments.
    """

    config: RadialConfig = field(default_factory=RadialConfig)
    seed: int = 1
    fitted: bool = True
    name: ClassVar[str] = "radial"
    version: ClassVar[int] = 1
    output: ClassVar[Schema] = RADIAL

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the datasets that `run` reads."""
        return ("cube", "bins", "fit", "maps", *(("morphology",) if self.fitted else ()))

    def settings(self) -> dict[str, object]:
        """Return the settings that the output depends on."""
        return {**self.config.model_dump(mode="json"), "seed": self.seed}

    def run(
        self,
        galaxy: Mapping[str, object],
        *,
        cube: xr.Dataset,
        bins: xr.Dataset,
        fit: xr.Dataset,
        maps: xr.Dataset,
        morphology: xr.Dataset | None = None,
    ) -> xr.Dataset:
        """Return the profiles and sizes of one galaxy.

        Parameters
        ----------
        galaxy : mapping
            Catalogue row: ``id``, and ``ra``, ``dec`` [deg], which a fit's centre is counted from.
        cube, bins, fit, maps : xarray.Dataset
            Schemas image/1, bins/1, fit/2 of all bins, maps/1.
        morphology : xarray.Dataset, optional
            Schema morphology/1.

        Returns
        -------
        radial : xarray.Dataset
            Schema radial/1; ``attrs['r_eff_source']`` tells "morphology" from "moments".

        Raises
        ------
        DataError
            If the inputs do not belong together, no bin has a posterior, or there is no R_eff.
        """
        galaxy_id = str(galaxy.get("id", "of unknown id"))
        if not cube["flux"].shape[1:] == bins["bin_map"].shape == maps["log_mass"].shape[1:]:
            raise DataError(
                f"galaxy {galaxy_id}: cube {cube['flux'].shape[1:]}, bin map"
                f" {bins['bin_map'].shape} and maps {maps['log_mass'].shape[1:]} differ in pixels"
            )
        try:
            geometry = geometry_of(
                cube,
                morphology,
                ra=float(str(galaxy["ra"])),
                dec=float(str(galaxy["dec"])),
                band=self.config.band,
            )
            radial = radial_profiles(
                maps,
                cube,
                geometry,
                bins=bins,
                fit=fit,
                config=self.config,
                rng=stream(self.seed, galaxy_id, self.name),
            )
        except DataError as error:
            raise DataError(f"galaxy {galaxy_id}: no radial profiles: {error}") from error
        logger.info(
            "galaxy %s: profiles in R_eff of %s (%s), half of the mass within %.3g arcsec",
            galaxy_id,
            geometry.band,
            radial.attrs["r_eff_source"],
            np.median(radial["half_mass"].values),
        )
        return radial
