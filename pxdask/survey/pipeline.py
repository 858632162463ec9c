"""The stages of one galaxy, built from its inputs and the settings, and their keys."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxdask.binning import BinStage
from pxdask.core.bands import BackgroundConfig, ExtinctionConfig
from pxdask.core.errors import ConfigError
from pxdask.fitting import FitStage, IntegratedStage, MapStage
from pxdask.ifs import IfsStage, LinesStage, SpectraStage
from pxdask.images import CubeStage, Grid, ImageStage, Psf, footprint, kernel_radius
from pxdask.images.calibration import needs_sky
from pxdask.images.extinction import map_ebv
from pxdask.io.catalog import sky_position
from pxdask.io.fits import image_shape, read_kernel, read_section
from pxdask.io.raw import read_raw
from pxdask.kernels.bandpass import effective_wave, pivot_wave
from pxdask.morphology.radial_stage import RadialStage
from pxdask.morphology.stage import MorphologyStage
from pxdask.survey.inspect import band_roles, shape_psf
from pxdask.survey.plan import Keys
from pxdask.survey.products import load_curves, model_library
from pxdask.survey.recipes import Recipe, outputs_read, plain_row
from pxdask.survey.stages import READS

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.config import BandConfig, SurveyConfig
    from pxdask.sps.libraries import ModelLibrary
    from pxdask.survey.inspect import GalaxyInputs
    from pxdask.survey.products import Products
    from pxdask.survey.stages import Stage

SKY_BOXES = 2
"""Boxes of background around the stamp that are read where the background is measured."""

PRODUCTS_VERSION = 2
"""Raised whenever the same maps give different FITS or PNG files."""


NO_KEYS = Keys({}, "", "", "", "", "", "", "", "")
"""Keys of nothing that is made."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Builds the stages of one galaxy.

    Attributes
    ----------
    inputs : GalaxyInputs
        The galaxy's bands, headers and grid.
    config : SurveyConfig
        Settings of the run.
    products : Products
        SSP and filter curves of the run.
    """

    inputs: GalaxyInputs
    config: SurveyConfig
    products: Products

    @property
    def has_lines(self) -> bool:
        """Whether spectra are measured: there are some, at a known redshift."""
        return self.inputs.ifs is not None and "redshift" not in self.config.models.priors

    @property
    def sidelines(self) -> tuple[str, ...]:
        """Stages after the fit that no other stage reads."""
        integrated = ("integrated",) if self.config.fit.integrated else ()
        return (*integrated, *(("lines",) if self.has_lines else ()))

    @property
    def profiled(self) -> tuple[str, ...]:
        """Bands that Sersic profiles are fitted to; none where the settings want no profiles."""
        settings = self.config.morphology
        if settings is None:
            return ()
        names = [band.name for band in self.inputs.bands]
        return tuple(name for name in names if not settings.bands or name in settings.bands)

    def band(self, name: str) -> BandConfig:
        """Return a band with the galaxy's paths and filter."""
        return next(band for band in self.inputs.bands if band.name == name)

    def target(self) -> Psf | None:
        """Return the PSF that all bands are matched to; None where they are not matched.

        Raises
        ------
        DataError
            If its image cannot be read.
        """
        settings = self.config.images
        if not settings.match_psf:
            return None
        if settings.target_psf is None:
            return max((shape_psf(band.needed_psf) for band in self.inputs.bands), key=_width)
        band = self.band(settings.target_psf)
        psf = band.needed_psf
        if psf.image is None:
            return shape_psf(psf)
        scale = psf.pixel_scale or self._pixel_scale(band.name)
        return Psf(image=read_kernel(Path(psf.image)), pixel_scale=scale)

    def margin_pix(self, name: str) -> int:
        """Return how far around the stamp a band's processing reaches [pix].

        That is the kernel, and two boxes of sky where the background is measured.
        """
        band = self.band(name)
        psf = band.needed_psf
        own = psf.image or psf.kernel
        scale = self._pixel_scale(name)
        side = max(image_shape(Path(own))) if own else 0
        if psf.pixel_scale is not None:
            side = math.ceil(side * psf.pixel_scale / scale)
        settings = band.background or BackgroundConfig()
        sky = (band.background is not None and settings.subtract) or needs_sky(band)
        kernel = kernel_radius(self.target(), pixel_scale=scale, kernel=side)
        return max(kernel, SKY_BOXES * settings.box if sky else 0)

    def raw(self, name: str) -> xr.Dataset:
        """Return the pixels of one band that the galaxy's grid and the kernels need, as raw/1.

        Raises
        ------
        DataError
            If its files cannot be used.
        """
        header, margin = self.inputs.headers[name], self.margin_pix(name)
        part = footprint(header, self.inputs.grid, margin_pix=margin)
        return read_raw(self.band(name), header, footprint=part)

    def image_stage(self, name: str) -> ImageStage:
        """Return the stage that processes one band.

        Raises
        ------
        ConfigError
            If the band's filter is not known.
        """
        band = self.band(name)
        curves = load_curves(self.products.filters)
        if band.filter not in curves:
            raise ConfigError(f"band {name}: filter {band.filter!r} is not known")
        return ImageStage(
            band=band,
            config=self.config.images,
            grid=self.inputs.grid,
            target=self.target(),
            pivot_wave=pivot_wave(curves[band.filter]),
            effective_wave=effective_wave(curves[band.filter]),
            ebv=self._map_ebv(),
        )

    def stage(self, name: str, *, first: int = 0) -> Stage:
        """Return a stage without one of its own; ``first`` is a fit block's first bin."""
        config = self.config
        if name == "cube":
            bands = tuple(band.name for band in self.inputs.bands)
            return CubeStage(config.images, bands, stars=self.inputs.stars)
        if name == "spectra" and config.ifs is not None:
            return SpectraStage(config.ifs.match, self._library, self._model_settings())
        if name == "bins":
            return BinStage(config.binning, given=self._given_bins())
        if name in ("fit", "integrated"):
            return self._fit_stage(first, integrated=name == "integrated")
        if name == "lines":
            sigma = config.fit.spectrum.sigma
            return LinesStage(self._library, self._model_settings(), config.seed, sigma=sigma)
        if name in ("maps", "radial"):
            return self._map_stage(radial=name == "radial")
        raise ConfigError(f"there is no stage {name!r}")

    def morphology_stage(self) -> MorphologyStage:
        """Return the stage that fits Sersic profiles.

        Raises
        ------
        ConfigError
            If the settings want none, or a band's filter is not known.
        """
        settings = self.config.morphology
        if settings is None:
            raise ConfigError("the settings have no morphology: no profiles are fitted")
        own = settings.data == "own"
        return MorphologyStage(
            settings,
            self.profiled,
            self.config.images.region,
            self.config.seed,
            images={name: self.image_stage(name) for name in self.profiled if own},
            stars=self.inputs.stars,
            target=None if own else self.target(),
        )

    def _fit_stage(self, first: int, *, integrated: bool) -> Stage:
        """Return the stage that fits a block of bins, or the sum of all."""
        fit, settings = self.config.fit, self._fit_settings()
        if integrated:
            return IntegratedStage(fit, self._library, settings)
        return FitStage(fit, self._library, settings, first, first + fit.block_size)

    def _map_stage(self, *, radial: bool) -> Stage:
        """Return the stage that makes maps, or their radial profiles."""
        config = self.config
        if not radial:
            return MapStage(config.models, config.maps)
        if config.radial is None:
            raise ConfigError("the settings have no radial: no profiles of maps are made")
        return RadialStage(config.radial, config.seed, fitted=bool(self.profiled))

    def keys(self) -> Keys:
        """Return the content keys of all outputs of the galaxy."""
        keys = NO_KEYS
        image = {name: self.recipe("image", name).key for name in self.inputs.checksums}
        keys = replace(keys, image=image)
        for stage in self.stages():
            found: dict[str, Any] = {stage: self.recipe(stage, keys=keys).key}
            keys = replace(keys, **found)
        return keys

    def stages(self) -> tuple[str, ...]:
        """Return the galaxy's stages after the images, in the order in which data flow."""
        spectral = ("ifs", "spectra") if self._has_ifs else ()
        profiles = ("morphology",) if self.profiled else ()
        radial = ("radial",) if self.config.radial is not None else ()
        ends = (*self.sidelines, "maps", *radial, "products")
        return ("cube", *profiles, *spectral, "bins", "fit", *ends)

    def recipe(self, stage: str, band: str = "", *, keys: Keys = NO_KEYS) -> Recipe:
        """Return all that decides an output.

        Parameters
        ----------
        stage : str
            Stage.
        band : str
            Band, for the image stage.
        keys : Keys
            Keys of the outputs that the stage reads; others are not looked at.
        """
        row = plain_row(self.inputs.galaxy)
        outputs = outputs_read(READS[stage], keys)
        files = self._files(stage, band)
        if stage == "products":
            name = {"name": self.config.name}
            return Recipe(stage, PRODUCTS_VERSION, name, row, outputs, files)
        if stage == "image":
            made: Stage = self.image_stage(band)
        elif stage == "ifs":
            made = self.ifs_stage()
        elif stage == "morphology":
            made = self.morphology_stage()
        elif stage == "bins":  # without opening the map of bins: its digest is among the files
            made = BinStage(self.config.binning)
        else:
            made = self.stage(stage)
        settings = {**made.settings(), **self._reading(stage)}
        return Recipe(stage, made.version, settings, row, outputs, files)

    def checksums(self, stage: str, band: str = "") -> dict[str, str]:
        """Return the digests of all files of the galaxy that an output comes from.

        They go by stage or band and by what the file is for.
        """
        stages, todo = set(), [stage]
        while todo:
            stages.add(todo[-1])
            todo += [name for name in READS[todo.pop()] if name not in stages]
        sources = [("image", name) for name in ([band] if band else self.inputs.checksums)]
        sources = sources if "image" in stages else []
        sources += [(name, "") for name in ("ifs", "bins") if name in stages]
        return {
            f"{name or source} {role}": digest
            for source, name in sources
            for role, digest in self._files(source, name).items()
        }

    def _files(self, stage: str, band: str) -> dict[str, str]:
        """Return the digest of each input file that a stage reads, by what it is for."""
        inputs = self.inputs
        if stage == "image":
            roles = band_roles(self.band(band))
            return dict(zip(roles, inputs.checksums[band], strict=True))
        if stage == "morphology" and self.config.morphology is not None:
            own = self.profiled if self.config.morphology.data == "own" else ()
            return {
                f"{name} {role}": digest
                for name in own
                for role, digest in self._files("image", name).items()
            }
        if stage == "ifs" and inputs.ifs is not None:
            return {"ifs": inputs.ifs.checksum}
        if stage == "bins" and inputs.bin_map is not None:
            return {"map": inputs.bin_map.checksum}
        return {}

    def _reading(self, stage: str) -> dict[str, object]:
        """Return the settings that decide how a cube is read, which its stage does not know."""
        if stage != "ifs" or self.config.ifs is None:
            return {}
        left_out = {"path", "chunk", "match"}
        return {"reading": self.config.ifs.model_dump(mode="json", exclude=left_out)}

    @property
    def _has_ifs(self) -> bool:
        """Whether the galaxy has an integral-field cube."""
        return self.config.ifs is not None and self.inputs.ifs is not None

    def ifs_stage(self, keep: tuple[int, int] | None = None) -> IfsStage:
        """Return the stage that brings slices of the integral-field cube to the grid.

        ``keep`` are the slices wanted of those that it is given; the others are margin.

        Raises
        ------
        ConfigError
            If the survey has no integral-field cubes.
        """
        config = self.config.ifs
        if config is None:
            raise ConfigError("the settings have no ifs: there are no slices to bring to the grid")
        dust = self.config.images.extinction or ExtinctionConfig()
        return IfsStage(
            config,
            self.inputs.grid,
            self.target(),
            law=dust.law,
            rv=dust.rv,
            ebv=self._map_ebv(),
            column=dust.column,
            scale=dust.scale,
            keep=keep,
        )

    def _given_bins(self) -> NDArray[Any] | None:
        """Return the map of bins that the user gives; None where bins are made.

        Raises
        ------
        DataError
            If its file cannot be read.
        """
        if self.inputs.bin_map is None:
            return None
        return read_section(self.inputs.bin_map.path, 0, slice(None), slice(None))

    def _map_ebv(self) -> float | None:
        """Return E(B-V) from the dust map that the settings name [mag]; None where none is."""
        settings = self.config.images.extinction
        if settings is None or settings.dust_map is None:
            return None
        ra, dec = sky_position(self.inputs.galaxy)
        return map_ebv(ra=ra, dec=dec, name=settings.dust_map)

    def _pixel_scale(self, name: str) -> float:
        """Return the side of a band's own pixels [arcsec]."""
        header = self.inputs.headers[name]
        return Grid(header.wcs, header.shape).pixel_scale

    def _model_settings(self) -> dict[str, object]:
        """Return what decides the models, as JSON values."""
        return {
            **self.config.models.model_dump(mode="json", exclude={"stored"}),
            "seed": self.config.seed,
            "products": list(self.products.key),
            "filters": [band.filter for band in self.inputs.bands],
        }

    def _fit_settings(self) -> dict[str, object]:
        """Return what decides the models and the network of fits, as JSON values."""
        return {**self._model_settings(), "products": list(self.products.fit_key)}

    def _library(self, redshift: float) -> ModelLibrary:
        """Return the models of the galaxy."""
        return model_library(
            self.products,
            self.config.models,
            {band.name: band.filter for band in self.inputs.bands},
            redshift=redshift,
            seed=self.config.seed,
        )


def _width(psf: Psf) -> float:
    """Return the full width at half maximum [arcsec]."""
    return psf.width
