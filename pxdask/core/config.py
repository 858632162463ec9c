"""Settings of a run: one frozen model per stage, every field with a unit and a meaning.

Numbers may be given bare, in the field's unit, or as text with a unit ("0.1 arcmin").
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from pxdask.core.bands import (
    BackgroundConfig,
    BandConfig,
    ExtinctionConfig,
    ImageConfig,
    PsfConfig,
    RegionConfig,
    SurveyName,
    UncertaintyConfig,
)
from pxdask.core.fits import FitConfig, MapConfig
from pxdask.core.ifs import IfsConfig
from pxdask.core.models import ModelConfig
from pxdask.core.morphology import MorphologyConfig, RadialConfig
from pxdask.core.settings import TEXT, FileSettings, Settings, setting

__all__ = [
    "BackgroundConfig",
    "BandConfig",
    "BinConfig",
    "ExtinctionConfig",
    "FitConfig",
    "IfsConfig",
    "ImageConfig",
    "MapConfig",
    "ModelConfig",
    "MorphologyConfig",
    "PsfConfig",
    "RadialConfig",
    "RegionConfig",
    "SurveyConfig",
    "SurveyName",
    "UncertaintyConfig",
    "cache_folder",
    "data_root",
    "fsps_home",
    "started_by_mpi",
    "user_folder",
    "wants_traceback",
]

DATA_ROOT_VARIABLE = "PXDASK_DATA_ROOT"
CACHE_VARIABLE = "PXDASK_CACHE"
MPI_VARIABLES = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""What MPI launchers (mpirun of MPICH, Intel, Open MPI, MVAPICH; srun) tell their processes."""
HOME_VARIABLE = "PXDASK_HOME"
FSPS_VARIABLE = "SPS_HOME"
TRACEBACK_VARIABLE = "PXDASK_TRACEBACK"


def data_root(given: str | Path | None = None) -> str:
    """Return the folder that ``{data_root}`` stands for: given, or from the environment."""
    return str(given) if given is not None else os.environ.get(DATA_ROOT_VARIABLE, "")


def cache_folder() -> Path:
    """Return the folder for products that many runs share, such as SSPs."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pxdask"


def user_folder() -> Path:
    """Return the folder for what a user gives to all surveys, such as filter curves."""
    if given := os.environ.get(HOME_VARIABLE):
        return Path(given)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "pxdask"


def started_by_mpi() -> bool:
    """Return whether an MPI launcher started this process."""
    return any(name in os.environ for name in MPI_VARIABLES)


def wants_traceback() -> bool:
    """Return whether commands that fail shall show where."""
    return os.environ.get(TRACEBACK_VARIABLE, "") not in ("", "0")


def fsps_home(given: str | Path | None = None) -> Path | None:
    """Return the folder of FSPS's data: given, or from the environment; None if neither is."""
    name = str(given) if given is not None else os.environ.get(FSPS_VARIABLE, "")
    return Path(name) if name else None


BinMethod = Literal[
    "sed_similarity", "pixedfit", "voronoi", "pixels", "squares", "hexagons", "annuli", "map"
]


class BinConfig(Settings):
    """How pixels are put into bins, by default as in Abdurro'uf et al. 2021, section 3.3."""

    method: BinMethod = setting(
        "sed_similarity", unit=TEXT, about="how pixels are grouped: see docs/binning.md"
    )
    reference_band: str | None = setting(
        None, unit=TEXT, about="band in which seeds are the brightest pixels; default: the middle"
    )
    snr: float | dict[str, float] = setting(
        5.0, unit=TEXT, about="S/N a bin must reach: one number, or by band (absent: no demand)"
    )
    min_diameter: float = setting(4.0, unit="pix", about="smallest diameter of a bin", gt=0)
    max_chi2: float = setting(
        4.0,
        unit=TEXT,
        about="largest reduced chi-square between a pixel's SED and the seed's",
        gt=0,
    )
    ring_width: float = setting(2.0, unit="pix", about="growth of the radius at each step", gt=0)
    size: float = setting(
        5.0, unit="pix", about="side of squares, width of hexagons or of annuli", ge=1
    )
    axis_ratio: float | None = setting(
        None, unit=TEXT, about="minor over major axis of annuli; default: the light's", gt=0, le=1
    )
    angle: float | None = setting(
        None, unit="deg", about="major axis of annuli, east of north; default: the light's"
    )
    map: str | None = setting(
        None, unit=TEXT, about="FITS image of given bins, with {id} and {data_root}; for method map"
    )
    correlated_noise: bool = setting(
        default=True, unit=TEXT, about="let errors of bins grow with the images' noise correlation"
    )
    min_coverage: float = setting(
        0.9, unit=TEXT, about="part of a bin's pixels that must have a spectrum", gt=0, le=1
    )
    max_memory: float = setting(
        8.0, unit="GB", about="a galaxy whose binning needs more is refused", gt=0
    )

    @model_validator(mode="after")
    def _has_map(self) -> BinConfig:
        if (self.method == "map") != (self.map is not None):
            raise ValueError(
                f"method is {self.method!r} and map {self.map!r}: method map needs the path of"
                " a map, and only it reads one"
            )
        return self


class SurveyConfig(FileSettings):
    """Everything that decides the results of a run, except the catalogue and the data."""

    name: str = setting("survey", unit=TEXT, about="name of the survey")
    seed: int = setting(1, unit=TEXT, about="seed of every random stream", ge=0)
    bands: tuple[BandConfig, ...] = setting(unit=TEXT, about="bands", min_length=1)
    images: ImageConfig = setting(ImageConfig(), unit=TEXT, about="image processing")
    ifs: IfsConfig | None = setting(
        None, unit=TEXT, about="integral-field cube of each galaxy; default: none"
    )
    binning: BinConfig = setting(BinConfig(), unit=TEXT, about="binning")
    models: ModelConfig = setting(ModelConfig(), unit=TEXT, about="models")
    fit: FitConfig = setting(FitConfig(), unit=TEXT, about="fitting")
    maps: MapConfig = setting(MapConfig(), unit=TEXT, about="maps")
    morphology: MorphologyConfig | None = setting(
        None, unit=TEXT, about="Sersic profiles of each galaxy; default: none"
    )
    radial: RadialConfig | None = setting(
        None, unit=TEXT, about="radial profiles of maps, and sizes; default: none"
    )

    @model_validator(mode="after")
    def _consistent(self) -> SurveyConfig:
        names = [band.name for band in self.bands]
        faults = [f"band {name!r} is listed twice" for name in set(names) if names.count(name) > 1]
        named: list[tuple[str, str | None]] = [
            ("images.target_psf", self.images.target_psf),
            ("binning.reference_band", self.binning.reference_band),
            ("maps.mass_band", self.maps.mass_band),
            ("maps.sfr_band", self.maps.sfr_band),
            *(("images.region.bands", name) for name in self.images.region.bands),
        ]
        named.append(("images.region.measure_band", self.images.region.measure_band))
        if self.morphology is not None:
            named += [("morphology.bands", name) for name in self.morphology.bands]
        if self.radial is not None:
            named.append(("radial.band", self.radial.band))
        if isinstance(self.binning.snr, dict):
            named += [("binning.snr", name) for name in self.binning.snr]
        faults += [
            f"{field} names band {name!r}; the bands are {names}"
            for field, name in named
            if name is not None and name not in names
        ]
        if self.images.match_psf:
            wide = [band.name for band in self.bands if band.psf and band.psf.fwhm is None]
            if wide and self.images.target_psf is None:
                faults.append(
                    f"images.target_psf must name a band: the PSFs of {wide} are images or kernels"
                )
            target = next((b for b in self.bands if b.name == self.images.target_psf), None)
            if target and target.psf and target.psf.kernel is not None:
                faults.append(f"images.target_psf: band {target.name!r} must give fwhm or image")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def band(self, name: str) -> BandConfig:
        """Return the band of this name."""
        return next(band for band in self.bands if band.name == name)
