"""The pipeline stage that brings spectra to the flux scale of the images."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.rows import redshift_of
from pxdask.core.schema import CUBE, Schema
from pxdask.ifs.spectral import corrected, match_spectra

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr

    from pxdask.core.ifs import MatchConfig
    from pxdask.sps.libraries import ModelLibrary

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpectraStage:
    """Multiply the spectrum of every pixel by the factor that its photometry asks for.

    Attributes
    ----------
    config : MatchConfig
        Settings of the factor; not enabled, spectra stay as they are.
    model_library : callable
        Gives the models of a redshift, with the images' bands in their order. Not called where
        matching is not enabled.
    model_settings : mapping
        JSON values that decide what ``library`` gives.
    """

    config: MatchConfig
    model_library: Callable[[float], ModelLibrary]
    model_settings: Mapping[str, object]
    name: ClassVar[str] = "spectra"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("cube", "ifs")
    output: ClassVar[Schema] = CUBE

    def settings(self) -> dict[str, object]:
        """Return the settings that the output depends on."""
        if not self.config.enabled:
            return {"enabled": False}
        return {**self.config.model_dump(mode="json"), "models": dict(self.model_settings)}

    def run(self, galaxy: Mapping[str, object], *, cube: xr.Dataset, ifs: xr.Dataset) -> xr.Dataset:
        """Return the spectra of one galaxy on the images' flux scale.

        Parameters
        ----------
        galaxy : mapping
            Catalogue row: ``redshift`` and, for messages, ``id``.
        cube : Dataset
            ``image/1``: matched images on one grid.
        ifs : Dataset
            ``cube/1``: all wavelengths of the spectra, on the same grid.

        Returns
        -------
        spectra : Dataset
            ``cube/1``, as `pxdask.ifs.spectral.corrected` makes it; without matching, as given.

        Raises
        ------
        DataError
            If the galaxy has no redshift, or the grids differ.
        ConfigError
            If the models' bands are not those of the images, or the populations do not reach
            the wavelengths of the spectra.
        """
        if not self.config.enabled:
            return CUBE.validate(ifs)
        galaxy_id = galaxy.get("id", "of unknown id")
        library = self.model_library(redshift_of(galaxy))
        try:
            result = match_spectra(cube, ifs, library, settings=self.config)
        except (ConfigError, DataError) as error:
            raise type(error)(f"galaxy {galaxy_id}: {error}") from error
        matched = result.order >= 0
        logger.info(
            "galaxy %s: spectra of %d pixels matched, %d of them with a series cut short",
            galaxy_id, np.sum(matched), np.sum(matched & (result.order < self.config.order)),
        )  # fmt: skip
        if not np.any(matched):
            logger.warning(
                "galaxy %s: no pixel has both a spectrum and photometry that could be matched:"
                " spectra keep their own flux scale",
                galaxy_id,
            )
        return corrected(ifs, result)
