"""The pipeline stage that bins a cube."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pxdask.binning.images import NO_RESULT, bin_images
from pxdask.binning.spectra import bin_spectra
from pxdask.core.errors import DataError
from pxdask.core.schema import BINS, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.config import BinConfig

logger = logging.getLogger(__name__)

_SPECTRAL = ("spectrum", "spectrum_err", "coverage")
_WAVES = ("wave", "lsf_fwhm")


@dataclass(frozen=True)
class BinStage:
    """Bin the pixels of a galaxy; see `bin_images` and `bin_pixels`.

    Attributes
    ----------
    config : BinConfig
        Settings.
    given : (ny, nx) array, optional
        The map that method ``map`` takes bins from. Its content must count in the stage's key.
    """

    config: BinConfig
    given: NDArray[Any] | None = field(default=None, repr=False, compare=False)
    name: ClassVar[str] = "bins"
    version: ClassVar[int] = 4
    inputs: ClassVar[tuple[str, ...]] = ("cube",)
    output: ClassVar[Schema] = BINS

    def settings(self) -> dict[str, object]:
        """Return the settings that the output depends on.

        Of a given map's path only whether there is one is kept: files count by their content.
        """
        settings = self.config.model_dump(mode="json", exclude=set(NO_RESULT))
        return {**settings, "map": settings["map"] is not None}

    def run(
        self,
        galaxy: Mapping[str, object],
        *,
        cube: xr.Dataset,
        spectra: xr.Dataset | None = None,
    ) -> xr.Dataset:
        """Return the bins of one galaxy.

        Parameters
        ----------
        galaxy : mapping
            Catalogue row; only ``id`` is read, for messages.
        cube : Dataset
            ``image/1`` with ``region``: matched images on one grid.
        spectra : Dataset, optional
            ``cube/1``: spectra on the grid of the images.

        Returns
        -------
        bins : Dataset
            ``bins/1``, as `bin_images` makes it; with spectra also their sums, see `bin_spectra`.

        Raises
        ------
        DataError
            If the cube has no region, or an empty one; if binning takes more memory than
            the settings allow; if spectra or a given map are on another grid.
        ConfigError
            If the settings name a band that the cube does not have.
        """
        galaxy_id = galaxy.get("id", "of unknown id")
        region = _region(cube, galaxy_id)
        try:
            bins = bin_images(
                cube["flux"].to_numpy(),
                cube["flux_err"].to_numpy(),
                bands=[str(band) for band in cube["band"].to_numpy()],
                settings=self.config,
                region=region,
                pivot_wave=cube["pivot_wave"].to_numpy(),
                noise_area=cube["noise_area"].to_numpy(),
                flags=cube["flags"].to_numpy(),
                wcs=cube.attrs.get("wcs"),
                given=self.given,
            )
            if spectra is not None:
                bins = _with_spectra(bins, spectra, min_coverage=self.config.min_coverage)
        except DataError as error:
            raise DataError(f"galaxy {galaxy_id}: {error}") from error
        logger.info("galaxy %s: %d pixels in %d bins", galaxy_id, region.sum(), bins.sizes["bin"])
        return bins


def _region(cube: xr.Dataset, galaxy_id: object) -> NDArray[np.bool_]:
    """Return the galaxy's pixels, at least one."""
    if "region" not in cube:
        raise DataError(
            f"galaxy {galaxy_id}: the cube has no variable 'region'; bins need the pixels that"
            " belong to the galaxy, as the stage that makes cubes marks them"
        )
    region: NDArray[np.bool_] = cube["region"].to_numpy()
    if not region.any():
        raise DataError(
            f"galaxy {galaxy_id}: its region has no pixel, wanted at least one; lower"
            " images.region.threshold or images.region.min_area, merge more images.region.bands,"
            " or check that the catalogue's position is on the galaxy"
        )
    return region


def _with_spectra(bins: xr.Dataset, spectra: xr.Dataset, *, min_coverage: float) -> xr.Dataset:
    """Return bins with the sums of their pixels' spectra."""
    sums = bin_spectra(spectra, bins["bin_map"].to_numpy(), min_coverage=min_coverage)
    declared = {
        name: (BINS.variables[name].dims, getattr(sums, name), BINS.attrs(name))
        for name in (*_SPECTRAL, *_WAVES)
    }
    coords = {name: declared.pop(name) for name in _WAVES}
    return bins.assign(declared).assign_coords(coords)
