"""Sersic profiles of one galaxy: stamps, the best model, its posterior."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.provenance import content_key
from pxdask.core.random import stream
from pxdask.core.schema import MORPHOLOGY, Schema
from pxdask.morphology.stamps import Stamps, make_stamps, region_radius, stamps_of_cube

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from pxdask.core.bands import RegionConfig
    from pxdask.core.morphology import MorphologyConfig
    from pxdask.images.psf import Psf
    from pxdask.images.stage import ImageStage

RAW = "raw "
"""What begins the names of inputs that are bands as delivered."""


@dataclass(frozen=True)
class MorphologyStage:
    """Sersic profiles of a galaxy, fitted to its bands.

    Attributes
    ----------
    config : MorphologyConfig
        Settings.
    bands : tuple of str
        What is fitted, in the order of the result.
    region : RegionConfig
        Least area and deblending of other sources.
    seed : int
        Of the run; what is drawn depends on it and on the galaxy's name.
    images : mapping
        The stage of each band, which calibrates it, where ``config.data`` is own.
    stars : tuple of (float, float, float)
        ra, dec [deg], radius [arcsec] of what is masked.
    target : Psf or None
        What the cube is matched to, where ``config.data`` is matched.
    """

    config: MorphologyConfig
    bands: tuple[str, ...]
    region: RegionConfig
    seed: int
    images: Mapping[str, ImageStage] = field(default_factory=dict)
    stars: tuple[tuple[float, float, float], ...] = ()
    target: Psf | None = None

    name: ClassVar[str] = "morphology"
    version: ClassVar[int] = 3
    output: ClassVar[Schema] = MORPHOLOGY

    @property
    def inputs(self) -> tuple[str, ...]:
        """The cube, and, where they are fitted on their own pixels, the bands as delivered."""
        own = self.config.data == "own"
        return ("cube", *(f"{RAW}{band}" for band in self.bands if own))

    def settings(self) -> dict[str, Any]:
        """Return what the output depends on, as JSON values; the cube's settings are in its key."""
        region = self.region.model_dump(mode="json", include={"min_area", "deblend_contrast"})
        return {
            **self.config.model_dump(mode="json", exclude={"bands"}),
            "bands": list(self.bands),
            "region": region,
            "stars": content_key([list(star) for star in self.stars]),
            "seed": self.seed,
        }

    def run(
        self, galaxy: Mapping[str, object], *, cube: xr.Dataset, **raws: xr.Dataset
    ) -> xr.Dataset:
        """Return a galaxy's profiles.

        Parameters
        ----------
        galaxy : mapping
            The catalogue row: id, ra, dec [deg], and the columns that priors name.
        cube : xarray.Dataset
            Schema image/1 with ``region``, which the stamps are as large as.
        **raws : xarray.Dataset
            Schema raw/1 of each band, named as `inputs` says.

        Returns
        -------
        profiles : xarray.Dataset
            Schema morphology/1.

        Raises
        ------
        DataError
            If a band has no data at the galaxy, or there is no first guess.
        ConfigError
            If a band has a kernel in place of a PSF, or an extra is not installed.
        """
        if fault := absent_extra(self.config):
            raise ConfigError(fault)
        stamps = self.stamps(galaxy, cube=cube, **raws)
        found = fit_galaxies([(galaxy, stamps)], config=self.config, seed=self.seed)[0]
        if isinstance(found, DataError):
            raise found
        return MORPHOLOGY.validate(found)

    def stamps(
        self, galaxy: Mapping[str, object], *, cube: xr.Dataset, **raws: xr.Dataset
    ) -> Stamps:
        """Return what is fitted; parameters and errors as of `run`."""
        ra, dec = (float(str(galaxy[name])) for name in ("ra", "dec"))
        common: dict[str, Any] = {
            "radius": region_radius(cube, ra=ra, dec=dec),
            "config": self.config,
            "region": self.region,
            "stars": self.stars,
        }
        if self.config.data == "matched":
            return stamps_of_cube(cube, galaxy, bands=self.bands, psf=self.target, **common)
        own = {band: raws[f"{RAW}{band}"] for band in self.bands}
        return make_stamps({band: self.images[band] for band in self.bands}, galaxy, own, **common)


def fit_galaxies(
    ready: Sequence[tuple[Mapping[str, object], Stamps]],
    *,
    config: MorphologyConfig,
    seed: int,
) -> list[xr.Dataset | DataError]:
    """Return the profiles of galaxies, those of equal form fitted in one compiled program.

    Parameters
    ----------
    ready : sequence of (mapping, Stamps)
        Catalogue rows and what is fitted.
    config : MorphologyConfig
        Settings.
    seed : int
        Of the run. A galaxy's draws are the same whatever it is fitted beside.

    Returns
    -------
    profiles : list
        Schema morphology/1 of each, or why it has none.
    """
    from pxdask.morphology.fit import fit_scenes  # noqa: PLC0415  JAX is slow to load
    from pxdask.morphology.posterior import sample_posterior  # noqa: PLC0415
    from pxdask.morphology.results import to_dataset  # noqa: PLC0415
    from pxdask.morphology.scene import make_scene  # noqa: PLC0415

    found: dict[int, xr.Dataset | DataError] = {}
    scenes = {}
    for i, (galaxy, stamps) in enumerate(ready):
        try:
            scenes[i] = make_scene(
                stamps.bands,
                ra=float(str(galaxy["ra"])),
                dec=float(str(galaxy["dec"])),
                config=config,
                galaxy=galaxy,
                neighbours=stamps.neighbours,
            )
        except DataError as error:
            found[i] = error
    if not scenes:
        return [found[i] for i in range(len(ready))]
    rngs = [stream(seed, "morphology", str(ready[i][0].get("id"))) for i in scenes]
    fitted = fit_scenes(list(scenes.values()), config=config, rngs=rngs)
    for i, one, rng in zip(scenes, fitted, rngs, strict=True):
        draws = sample_posterior(scenes[i], one, config=config, rng=rng)
        found[i] = to_dataset(one, draws, scenes[i], config)
    return [found[i] for i in range(len(ready))]


def absent_extra(config: MorphologyConfig) -> str:
    """Return what to install for the settings, in a line; empty where nothing lacks."""
    wanted = ["jax", *(["blackjax"] if config.posterior != "laplace" else [])]
    if any(find_spec(name) is None for name in wanted):
        return "morphology needs JAX: pip install 'pxdask[morphology]'"
    if config.engine == "pysersic" and find_spec("pysersic") is None:
        return "morphology.engine pysersic needs it: pip install 'pxdask[pysersic]'"
    return ""
