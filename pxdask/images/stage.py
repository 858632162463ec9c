"""One band: from the image as delivered to the common grid and PSF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import IMAGE, Schema
from pxdask.images.grid import Grid
from pxdask.images.noise import FULL_COVERAGE, NoisyImage, convolve, unprocessed
from pxdask.images.psf import Psf, matching_kernel, unit_sum
from pxdask.images.resample import to_grid
from pxdask.images.units import microjansky_factor, pixel_flags, to_sigma, unusable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.core.config import BandConfig, ImageConfig


@dataclass(frozen=True)
class ImageStage:
    """Units, errors, PSF and pixels of one band made those of the cube.

    Attributes
    ----------
    band : BandConfig
        The band; its paths are not used.
    config : ImageConfig
        Settings of all bands.
    grid : Grid
        The common grid.
    target : Psf or None
        What the band is matched to; None for no matching.
    pivot_wave : float
        Of the band's filter [Angstrom].
    """

    band: BandConfig
    config: ImageConfig
    grid: Grid
    target: Psf | None
    pivot_wave: float

    name: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("raw",)
    output: ClassVar[Schema] = IMAGE

    def settings(self) -> dict[str, Any]:
        """Return what the output depends on, as JSON values; files count by their content."""
        band, uncertainty, psf = self.band, self.band.uncertainty, self.band.psf
        kind = "fwhm" if psf.fwhm is not None else "image" if psf.image is not None else "kernel"
        return {
            "band": band.name,
            "pivot_wave": self.pivot_wave,
            "hdu": band.hdu,
            "unit": band.unit,
            "zero_point": band.zero_point,
            "uncertainty": {"kind": uncertainty.kind, "hdu": uncertainty.hdu},
            "psf": {"kind": kind, "fwhm": psf.fwhm},
            "target": self._wanted.settings() if self._wanted is not None else None,
            "reproject": self.config.reproject,
            "grid": {"wcs": self.grid.wcs, "shape": list(self.grid.shape)},
        }

    def run(self, galaxy: Mapping[str, object], *, raw: xr.Dataset) -> xr.Dataset:
        """Return the band on the common grid.

        Parameters
        ----------
        galaxy : mapping
            The catalogue row; names the galaxy in messages.
        raw : xarray.Dataset
            Schema raw/1, of any cutout that holds the grid.

        Returns
        -------
        image : xarray.Dataset
            Schema image/1 with one band. flux is NaN and flagged where there is no data;
            flux_err where there is none.

        Raises
        ------
        DataError
            If no pixel on the stamp has both flux and error.
        ConfigError
            If the unit is none, or the PSF wider than the target's.
        """
        where = f"galaxy {galaxy.get('id')!r}, band {self.band.name!r} ({raw.attrs['path']})"
        planes = raw["image"].values, raw["uncertainty"].values
        if reason := unusable(*planes, kind=raw.attrs["uncertainty_kind"]):
            raise DataError(f"{where}: {reason}")
        source = Grid(raw.attrs["wcs"], (raw.sizes["y"], raw.sizes["x"]))
        kernel, width = self._matching(raw, source)
        image = _calibrated(raw, source, pivot=self.pivot_wave)
        if kernel is not None:
            image = convolve(image, kernel)
        image = to_grid(image, source, self.grid, method=self.config.reproject, kernel=kernel)
        if not np.any(image.good):
            raise DataError(f"{where}: no good pixel reaches the stamp, only its surroundings")
        return self._dataset(image, width)

    @property
    def _wanted(self) -> Psf | None:
        """The target, if images are matched at all."""
        return self.target if self.config.match_psf else None

    def _matching(self, raw: xr.Dataset, source: Grid) -> tuple[NDArray[np.float64] | None, float]:
        """Return the kernel for this band (None: none needed) and the width it leads to."""
        if raw.attrs["psf_kind"] == "kernel":
            if self._wanted is None:
                return None, np.nan
            return unit_sum(raw["psf"].values), self._wanted.width
        own = band_psf(raw)
        if self._wanted is None:
            return None, own.width
        kernel = matching_kernel(
            own, self._wanted, pixel_scale=source.pixel_scale, band=self.band.name
        )
        return kernel, own.width if kernel is None else self._wanted.width

    def _dataset(self, image: NoisyImage, width: float) -> xr.Dataset:
        """Return the Dataset of this band."""
        flags = pixel_flags(image.flux, image.variance)
        partial = np.isfinite(image.flux) & (image.coverage < FULL_COVERAGE)
        flags |= np.where(partial, int(Flag.EDGE), 0).astype(np.uint16)
        planes = {
            "flux": image.flux.astype(np.float32),
            "flux_err": np.sqrt(image.variance).astype(np.float32),
        }
        flag_text = {**IMAGE.attrs("flags"), **flag_attrs()}
        dataset = xr.Dataset(
            {
                name: (("band", "y", "x"), plane[None], IMAGE.attrs(name))
                for name, plane in planes.items()
            },
            coords={
                "band": ("band", np.array([self.band.name], dtype=object), IMAGE.attrs("band")),
                "pivot_wave": ("band", [float(self.pivot_wave)], IMAGE.attrs("pivot_wave")),
            },
            attrs={
                "schema": IMAGE.tag,
                "wcs": self.grid.wcs,
                "pixel_scale": self.grid.pixel_scale,
            },
        )
        return IMAGE.validate(
            dataset.assign(
                flags=(("band", "y", "x"), flags[None], flag_text),
                psf_fwhm=("band", [float(width)], IMAGE.attrs("psf_fwhm")),
                noise_area=("band", [float(image.noise_area)], IMAGE.attrs("noise_area")),
            )
        )


def band_psf(raw: xr.Dataset) -> Psf:
    """Return the PSF in a raw/1 Dataset whose psf_kind is fwhm or image."""
    if raw.attrs["psf_kind"] == "fwhm":
        return Psf(fwhm=float(raw.attrs["psf_fwhm"]))
    scale = Grid(raw.attrs["wcs"], (raw.sizes["y"], raw.sizes["x"])).pixel_scale
    return Psf(image=raw["psf"].values, pixel_scale=scale)


def _as_delivered(raw: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return image and sigma in the image's own unit."""
    sigma = to_sigma(
        raw["uncertainty"].values,
        kind=raw.attrs["uncertainty_kind"],
        scale=float(raw.attrs.get("uncertainty_scale", 1.0)),
    )
    return raw["image"].values.astype(np.float64), sigma


def _calibrated(raw: xr.Dataset, source: Grid, *, pivot: float) -> NoisyImage:
    """Return the image in uJy per pixel, with its variance; infinities count as missing."""
    factor = microjansky_factor(
        unit=raw.attrs.get("bunit"),
        zero_point=raw.attrs.get("zero_point"),
        pixel_area=source.pixel_area,
        pivot=pivot,
    )
    flux, sigma = _as_delivered(raw)
    flux = np.where(np.isfinite(flux), flux, np.nan)
    return unprocessed(flux * factor, sigma * factor)
