"""All bands of a galaxy in one Dataset, and the pixels that are the galaxy's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.schema import IMAGE, Schema
from pxdask.images.grid import Grid, position
from pxdask.images.region import galaxy_region

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
    """

    config: ImageConfig
    bands: tuple[str, ...]

    name: ClassVar[str] = "cube"
    version: ClassVar[int] = 1
    output: ClassVar[Schema] = IMAGE

    @property
    def inputs(self) -> tuple[str, ...]:
        """One image a band."""
        return self.bands

    def settings(self) -> dict[str, Any]:
        """Return what the output depends on, as JSON values."""
        return {"bands": list(self.bands), "region": self.config.region.model_dump(mode="json")}

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
            Schema image/1 with all bands and ``region``.

        Raises
        ------
        DataError
            If a band is missing, grids differ, or the galaxy is not detected.
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
        """Return the cube with its region."""
        region = self.config.region
        names = region.bands or self.bands
        used = [self.bands.index(band) for band in names]
        grid = Grid(cube.attrs["wcs"], (cube.sizes["y"], cube.sizes["x"]))
        x, y = position(grid.to_wcs(), ra=_degrees(galaxy, "ra"), dec=_degrees(galaxy, "dec"))
        try:
            pixels = galaxy_region(
                cube["flux"].values[used],
                cube["flux_err"].values[used],
                x=x,
                y=y,
                psf_fwhm=cube["psf_fwhm"].values[used] / grid.pixel_scale,
                noise_area=cube["noise_area"].values[used],
                threshold=region.threshold,
                min_area=region.min_area,
                deblend_contrast=region.deblend_contrast,
                names=names,
            )
        except DataError as error:
            raise DataError(f"galaxy {galaxy.get('id')!r}: {error}") from error
        return cube.assign(region=(("y", "x"), pixels, IMAGE.attrs("region")))


def _degrees(galaxy: Mapping[str, object], name: str) -> float:
    """Return a coordinate of the catalogue row [deg]."""
    value = galaxy.get(name)
    try:
        return float(str(value))
    except ValueError as error:
        raise DataError(f"galaxy {galaxy.get('id')!r}: {name} is {value!r}, not degrees") from error
