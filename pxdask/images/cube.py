"""All bands of a galaxy in one Dataset, and the pixels that are the galaxy's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.provenance import content_key
from pxdask.core.schema import IMAGE, Schema
from pxdask.images.choice import find_region

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pxdask.core.config import ImageConfig


@dataclass(frozen=True)
class CubeStage:
    """Bands stacked in the configured order, with the galaxy's region.

    Attributes
    ----------
    config : ImageConfig
        Only ``region`` is used.
    bands : tuple of str
        Names, in the order of the cube.
    stars : tuple of (float, float, float)
        ra, dec, ICRS [deg], and radius [arcsec] of what is masked; see `star_mask`.
    """

    config: ImageConfig
    bands: tuple[str, ...]
    stars: tuple[tuple[float, float, float], ...] = ()

    name: ClassVar[str] = "cube"
    version: ClassVar[int] = 2
    output: ClassVar[Schema] = IMAGE

    @property
    def inputs(self) -> tuple[str, ...]:
        """One image a band."""
        return self.bands

    def settings(self) -> dict[str, Any]:
        """Return what the output depends on, as JSON values."""
        return {
            "bands": list(self.bands),
            # What the path leads to counts, not the path.
            "region": self.config.region.model_dump(mode="json", exclude={"stars"}),
            "stars": content_key([list(star) for star in self.stars]),
        }

    def run(self, galaxy: Mapping[str, object], **images: xr.Dataset) -> xr.Dataset:
        """Return the cube of a galaxy.

        Parameters
        ----------
        galaxy : mapping
            The catalogue row: id, ra, dec [deg].
        **images : xarray.Dataset
            Schema image/1 on one grid, each with one band or more, under any names.

        Returns
        -------
        cube : xarray.Dataset
            Schema image/1 with all bands and ``region``; masked pixels are flagged. attrs
            tell the region's kind, and its geometry where it has one; see `find_region`.

        Raises
        ------
        DataError
            If a band is missing, grids differ, or there is no region; see `find_region`.
        """
        name = galaxy.get("id")
        found = {
            str(band): image.isel(band=[i])
            for image in images.values()
            for i, band in enumerate(image["band"].values)
        }
        if missing := [band for band in self.bands if band not in found]:
            raise DataError(f"galaxy {name!r}: no image of {missing}; got {sorted(found)}")
        parts = [found[band] for band in self.bands]
        grids = {(part.attrs["wcs"], part.sizes["y"], part.sizes["x"]) for part in parts}
        if len(grids) != 1:
            raise DataError(f"galaxy {name!r}: its images are on {len(grids)} different grids")
        cube = xr.concat(
            [part.drop_vars("region", errors="ignore") for part in parts],
            dim="band",
            combine_attrs="override",
            data_vars="all",
            coords="minimal",
            compat="override",
            join="exact",
        )
        cube = cube.assign_coords(
            band=("band", np.array(self.bands, dtype=object), IMAGE.attrs("band"))
        )
        return IMAGE.validate(self._with_region(cube, galaxy))

    def _with_region(self, cube: xr.Dataset, galaxy: Mapping[str, object]) -> xr.Dataset:
        """Return the cube with its region, and with flags on what is masked."""
        try:
            found = find_region(cube, galaxy, config=self.config.region, stars=self.stars)
        except DataError as error:
            where, message = f"galaxy {galaxy.get('id')!r}: ", str(error)
            raise DataError(message if message.startswith(where) else where + message) from error
        masked = np.where(found.masked, int(Flag.MASKED), 0).astype(np.uint16)
        text = {**cube["flags"].attrs, **flag_attrs()}
        return cube.assign(
            flags=(("band", "y", "x"), cube["flags"].values | masked, text),
            region=(("y", "x"), found.pixels, IMAGE.attrs("region")),
        ).assign_attrs(found.geometry)
