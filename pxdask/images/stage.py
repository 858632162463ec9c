"""One band: from the image as delivered to the common grid and PSF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from pxdask.core.bands import BackgroundConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import IMAGE, Schema
from pxdask.images.background import subtract_background
from pxdask.images.calibration import flux_factor, needs_sky, recipe_sigma, survey_band
from pxdask.images.extinction import catalogue_ebv, extinction_factor
from pxdask.images.grid import Grid
from pxdask.images.noise import FULL_COVERAGE, NoisyImage, convolve, unprocessed
from pxdask.images.psf import Psf, matching_kernel
from pxdask.images.psf_images import kernel_on_pixels
from pxdask.images.resample import to_grid
from pxdask.images.surveys import Pixels
from pxdask.images.units import pixel_flags, to_sigma, unusable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.core.config import BandConfig, ImageConfig
    from pxdask.images.background import Background


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
    effective_wave : float or None
        Of the band's filter, for extinction [Angstrom]; default: the pivot wavelength.
    ebv : float or None
        E(B-V) of the Milky Way where it is not a column of the catalogue [mag].
    """

    band: BandConfig
    config: ImageConfig
    grid: Grid
    target: Psf | None
    pivot_wave: float
    effective_wave: float | None = None
    ebv: float | None = None

    name: ClassVar[str] = "image"
    version: ClassVar[int] = 2
    inputs: ClassVar[tuple[str, ...]] = ("raw",)
    output: ClassVar[Schema] = IMAGE

    def settings(self) -> dict[str, Any]:
        """Return what the output depends on, as JSON values; files count by their content.

        So of a file's path only whether there is one is kept.
        """
        band, extinction = self.band, self.config.extinction
        given = band.model_dump(mode="json", exclude={"filter", "image", "exposure"})
        psf = band.needed_psf.model_dump(mode="json")
        psf |= {name: psf[name] is not None for name in ("image", "kernel")}  # (not its name)
        uncertainty = given["uncertainty"] and {**given["uncertainty"], "path": None}
        matching = self._wanted is not None
        return {
            **given,
            "psf": psf,
            "uncertainty": uncertainty,
            "exposure": band.exposure is not None,
            "pivot_wave": self.pivot_wave,
            "extinction": extinction.model_dump(mode="json") if extinction is not None else None,
            "effective_wave": self._effective_wave if extinction is not None else None,
            "ebv": self.ebv if extinction is not None else None,
            "target": self._wanted.settings() if self._wanted is not None else None,
            "kernel_method": self.config.kernel_method if matching else None,
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
        source = Grid(raw.attrs["wcs"], (raw.sizes["y"], raw.sizes["x"]))
        kernel, width = self._matching(raw, source)
        sky = self.calibrated(galaxy, raw=raw)
        image = sky.image
        if kernel is not None:
            image = convolve(image, kernel)
        image = to_grid(image, source, self.grid, method=self.config.reproject, kernel=kernel)
        if not np.any(image.good):
            raise DataError(
                f"{self._where(galaxy, raw)}: no good pixel reaches the stamp, only its"
                " surroundings"
            )
        return self._dataset(image, width, sky)

    def calibrated(self, galaxy: Mapping[str, object], *, raw: xr.Dataset) -> CalibratedImage:
        """Return the band on its own pixels, in uJy per pixel less its background.

        Parameters
        ----------
        galaxy, raw
            As of `run`. Infinities count as missing.

        Raises
        ------
        DataError
            If no pixel has both flux and error.
        ConfigError
            If the unit is none.
        """
        source = Grid(raw.attrs["wcs"], (raw.sizes["y"], raw.sizes["x"]))
        try:
            return self._calibrated(galaxy, raw, source)
        except DataError as error:
            raise DataError(f"{self._where(galaxy, raw)}: {error}") from error

    def _where(self, galaxy: Mapping[str, object], raw: xr.Dataset) -> str:
        """Return what messages call the image of a galaxy."""
        return f"galaxy {galaxy.get('id')!r}, band {self.band.name!r} ({raw.attrs['path']})"

    @property
    def _wanted(self) -> Psf | None:
        """The target, if images are matched at all."""
        return self.target if self.config.match_psf else None

    @property
    def _effective_wave(self) -> float:
        """Wavelength at which extinction is taken [Angstrom]."""
        return self.pivot_wave if self.effective_wave is None else self.effective_wave

    def _calibrated(
        self, galaxy: Mapping[str, object], raw: xr.Dataset, source: Grid
    ) -> CalibratedImage:
        """Return the image in uJy per pixel less its background; infinities count as missing."""
        image = raw["image"].values.astype(np.float64)
        if "uncertainty" in raw and (
            reason := unusable(image, raw["uncertainty"].values, kind=raw.attrs["uncertainty_kind"])
        ):
            raise DataError(reason)
        if image.size == 0 or not np.any(np.isfinite(image)):
            raise DataError(unusable(image, np.ones_like(image), kind="sigma"))
        image = np.where(np.isfinite(image), image, np.nan)
        background = self._background(image)
        pixels = self._pixels(raw, source, background)
        sigma = self._sigma(raw, image, pixels)
        factor = flux_factor(self.band, pixels) * self._extinction(galaxy)
        settings, level = self.band.background, 0.0
        if background is not None and settings is not None and settings.subtract:
            image, level = image - background.level, float(np.median(background.level))
        return CalibratedImage(
            image=unprocessed(image * factor, sigma * factor),
            level=np.nan if background is None else level * factor,
            rms=np.nan if background is None else float(np.median(background.rms)) * factor,
        )

    def _background(self, image: NDArray[np.float64]) -> Background | None:
        """Return the sky of an image in its own unit; None where it is of no use."""
        settings = self.band.background
        if (settings is None or not settings.subtract) and not needs_sky(self.band):
            return None
        settings = settings or BackgroundConfig()
        return subtract_background(
            image,
            box=settings.box,
            filter_size=settings.filter_size,
            sigma=settings.sigma,
            mask_threshold=settings.mask_threshold,
        )

    def _pixels(self, raw: xr.Dataset, source: Grid, background: Background | None) -> Pixels:
        """Return what the survey's recipes may use."""
        planes = {
            name: raw[name].values.astype(np.float64)
            for name in ("exposure", "calibration", "sky")
            if name in raw
        }
        if background is not None:
            planes |= {"level": background.level, "rms": background.rms}
        return Pixels(
            band=survey_band(self.band) if self.band.survey is not None else self.band.name,
            keywords=raw.attrs.get("keywords", {}),
            pixel_area=source.pixel_area,
            pivot=self.pivot_wave,
            bunit=raw.attrs.get("bunit"),
            zero_point=raw.attrs.get("zero_point"),
            planes=planes,
        )

    def _sigma(
        self, raw: xr.Dataset, image: NDArray[np.float64], pixels: Pixels
    ) -> NDArray[np.float64]:
        """Return 1-sigma errors in the image's own unit."""
        if "uncertainty" in raw:
            sigma = to_sigma(
                raw["uncertainty"].values,
                kind=raw.attrs["uncertainty_kind"],
                scale=float(raw.attrs.get("uncertainty_scale", 1.0)),
            )
        else:
            sigma = recipe_sigma(self.band, image, pixels)
            if reason := unusable(image, sigma, kind="sigma"):
                raise DataError(f"by the survey's recipe, {reason}")
        return sigma * (self.band.uncertainty.scale if self.band.uncertainty is not None else 1.0)

    def _extinction(self, galaxy: Mapping[str, object]) -> float:
        """Return the factor that undoes the dust of the Milky Way."""
        settings = self.config.extinction
        if settings is None:
            return 1.0
        if settings.dust_map is not None:
            if self.ebv is None:
                raise ConfigError(f"E(B-V) from the map {settings.dust_map!r} was not passed on")
            ebv = self.ebv
        else:
            ebv = settings.scale * catalogue_ebv(galaxy, column=settings.column)
        factor = extinction_factor(self._effective_wave, ebv=ebv, law=settings.law, rv=settings.rv)
        return float(factor)

    def _matching(self, raw: xr.Dataset, source: Grid) -> tuple[NDArray[np.float64] | None, float]:
        """Return the kernel for this band (None: none needed) and the width it leads to."""
        if raw.attrs["psf_kind"] == "kernel":
            if self._wanted is None:
                return None, np.nan
            scale = float(raw.attrs.get("psf_pixel_scale", source.pixel_scale))
            given = kernel_on_pixels(
                raw["psf"].values, kernel_scale=scale, pixel_scale=source.pixel_scale
            )
            return given, self._wanted.width
        own = band_psf(raw)
        if self._wanted is None:
            return None, own.width
        kernel = matching_kernel(
            own,
            self._wanted,
            pixel_scale=source.pixel_scale,
            band=self.band.name,
            method=self.config.kernel_method,
        )
        return kernel, own.width if kernel is None else self._wanted.width

    def _dataset(self, image: NoisyImage, width: float, sky: CalibratedImage) -> xr.Dataset:
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
                background=("band", [sky.level], IMAGE.attrs("background")),
                background_rms=("band", [sky.rms], IMAGE.attrs("background_rms")),
            )
        )


@dataclass(frozen=True, slots=True)
class CalibratedImage:
    """A band on its own pixels.

    Attributes
    ----------
    image : NoisyImage
        Flux density per pixel and its variance, (ny, nx).
    level, rms : float
        Sky that was subtracted and its scatter [uJy]; NaN where it was not measured.
    """

    image: NoisyImage
    level: float
    rms: float


def band_psf(raw: xr.Dataset) -> Psf:
    """Return the PSF in a raw/1 Dataset whose psf_kind is fwhm or image."""
    attrs = raw.attrs
    if attrs["psf_kind"] == "fwhm":
        return Psf(
            fwhm=float(attrs["psf_fwhm"]),
            shape=attrs.get("psf_shape", "gaussian"),
            second_fwhm=attrs.get("second_fwhm"),
            second_weight=attrs.get("second_weight"),
            beta=attrs.get("beta"),
        )
    scale = attrs.get("psf_pixel_scale")
    if scale is None:
        scale = Grid(attrs["wcs"], (raw.sizes["y"], raw.sizes["x"])).pixel_scale
    return Psf(image=raw["psf"].values, pixel_scale=float(scale))
