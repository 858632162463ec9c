"""Everything that can be known to go wrong, found before anything runs."""

from __future__ import annotations

import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from astropy.utils.exceptions import AstropyWarning

from pxdask.core.errors import PxdaskError
from pxdask.core.remote import far
from pxdask.core.rows import values_of_rows
from pxdask.core.settings import value_of
from pxdask.images.calibration import flux_factor, keyword_faults, survey_band
from pxdask.images.psf import refuse_wider
from pxdask.images.surveys import Pixels
from pxdask.io.catalog_file import catalog_rows
from pxdask.morphology.stage import absent_extra
from pxdask.sps.model_set import check_models
from pxdask.survey.inspect import (
    bin_map_path,
    open_headers,
    open_ifs,
    require_on_grid,
    resolved_bands,
    shape_psf,
    stamp_grid,
    star_list,
)
from pxdask.survey.networks.checks import check_network
from pxdask.survey.products import known_filters, ssp_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astropy.table import Table

    from pxdask.core.config import BandConfig, SurveyConfig
    from pxdask.io.catalog_file import CatalogFile
    from pxdask.io.fits import ImageHeader
    from pxdask.io.ifs import IfsHeader

BYTES_PER_PIXEL = 20
"""Disk space that a run needs for each pixel of each band [byte]; images and cube, compressed,
take about 16, maps and products the rest."""

PROFILE_BYTES = 22
"""Disk space for each pixel and band of Sersic profiles: dataset, FITS and PNG [byte]."""

RADIAL_BYTES = 40_000
"""Disk space for the radial profiles of a galaxy, whatever its size [byte]."""

SPECTRAL_BYTES = 24
"""Disk space that a run needs for each pixel and wavelength of a spectral cube [byte]: its chunks
and the matched spectra, until the chunks are removed."""

N_THREADS = 8


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    An empty ``galaxy`` means the whole run.
    """

    galaxy: str
    band: str
    message: str

    def __str__(self) -> str:
        """Return the problem as one line."""
        where = [
            f"galaxy {self.galaxy}" if self.galaxy else "the run",
            *([f"band {self.band}"] if self.band else []),
        ]
        return f"{', '.join(where)}: {self.message}"


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the check found.

    Attributes
    ----------
    problems : tuple of Problem
        What will fail.
    warnings : tuple of str
        What will be done otherwise than asked.
    notes : tuple of str
        What is odd, and how it is understood.
    bytes_needed : int
        Disk space that the run will take [byte].
    """

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    bytes_needed: int

    @property
    def fatal(self) -> tuple[Problem, ...]:
        """Problems of the whole run; it must not start."""
        return tuple(problem for problem in self.problems if not problem.galaxy)

    @property
    def bad_galaxies(self) -> set[str]:
        """Galaxies that will fail."""
        return {problem.galaxy for problem in self.problems if problem.galaxy}


def preflight(
    catalog: Table | CatalogFile,
    config: SurveyConfig,
    *,
    root: str,
    store: Path,
    at_most: int | None = None,
) -> Preflight:
    """Open the headers of all files and check filters, PSFs, units, positions and disk space.

    Parameters
    ----------
    catalog : Table or CatalogFile
        Checked catalogue.
    config : SurveyConfig
        Settings.
    root : str
        What ``{data_root}`` stands for.
    store : Path
        Where the run will write; its disk is checked.
    at_most : int, optional
        Galaxies to look at, evenly spread over a catalogue that has more; default: all. The space
        that the run will take is that of these, scaled up.

    Returns
    -------
    preflight : Preflight
        All problems at once. A problem of one galaxy does not keep the others from running.
    """
    if absent := _absent_root(config, root):
        return Preflight((Problem("", "", absent),), (), (), 0)
    every = 1 if at_most is None else -(-len(catalog) // at_most)
    galaxies = list(catalog_rows(catalog, every=every))
    check = partial(_check_galaxy, config=config, root=root)
    problems: list[Problem] = []
    used: dict[str, list[str]] = {}
    odd: dict[str, list[str]] = {}
    needed = 0
    with warnings.catch_warnings(), ThreadPoolExecutor(N_THREADS) as pool:
        # all that reads headers hushes it too, but one thread's end undoes the filters of others
        warnings.simplefilter("ignore", AstropyWarning)
        for galaxy, seen in zip(galaxies, pool.map(check, galaxies), strict=True):
            problems += seen.problems
            needed += seen.n_bytes
            for name in seen.filters:
                used.setdefault(name, []).append(str(galaxy["id"]))
            for path, note in seen.notes:
                odd.setdefault(note, []).append(path)
    for name, reason in known_filters(used).items():
        everywhere = len(used[name]) == len(galaxies)
        problems += [Problem(galaxy, "", reason) for galaxy in ([""] if everywhere else used[name])]
    network = check_network(catalog, config, galaxies, root=root, store=store)
    problems += [Problem(name, "", message) for name, message in network.faults]
    problems += _profile_problems(config) + _model_problems(config)
    problems += _width_problems(galaxies, config, root=root)
    needed = needed * len(catalog) // max(1, len(galaxies))
    problems += _space_problems(store, needed)
    notes = [f"{_such(paths)}: {note}" for note, paths in odd.items()]
    if every > 1:
        notes.append(f"{len(galaxies)} of {len(catalog)} galaxies were checked")
    return Preflight(tuple(problems), network.handed_over, tuple(notes), needed)


def _such(paths: list[str]) -> str:
    """Return a path, and how many there are like it."""
    return f"{len(paths)} files, such as {paths[0]}" if len(paths) > 1 else str(paths[0])


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of one galaxy: notes are (file, note), space is in bytes."""

    problems: list[Problem]
    filters: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    n_bytes: int = 0


def _check_galaxy(galaxy: Mapping[str, object], *, config: SurveyConfig, root: str) -> _Seen:
    """Return a galaxy's problems, filters, oddities and need of space."""
    name = str(galaxy["id"])
    try:
        bands = resolved_bands(galaxy, config, root=root)
    except PxdaskError as error:
        return _Seen([Problem(name, "", str(error))])
    headers, faults = open_headers(galaxy, bands)
    for band in bands:
        if band.name in headers:
            try:
                _check_flux(band, headers[band.name])
            except PxdaskError as error:
                faults.append((band.name, f"{band.image}: {error}"))
    size, more, cube = _check_geometry(galaxy, headers, config=config, root=root)
    faults += [("", message) for message in more]
    problems = [Problem(name, band, message) for band, message in faults]
    notes = [(header.path, header.note) for header in headers.values() if header.note]
    notes += [(cube.path, note) for note in cube.notes] if cube is not None else []
    return _Seen(problems, [band.filter for band in bands], notes, size)


def _check_geometry(
    galaxy: Mapping[str, object],
    headers: Mapping[str, ImageHeader],
    *,
    config: SurveyConfig,
    root: str,
) -> tuple[int, list[str], IfsHeader | None]:
    """Return the space that a galaxy takes, what is wrong beside its bands, and its cube."""
    faults: list[str] = []
    cube: IfsHeader | None = None
    size = 0
    try:
        cube = open_ifs(galaxy, config, root=root)
    except PxdaskError as error:
        faults.append(str(error))
    if not headers:
        return size, faults, cube
    try:
        grid = stamp_grid(galaxy, headers, config)
        n_wave = 0 if cube is None else cube.shape[0]
        plane = BYTES_PER_PIXEL * len(config.bands) + SPECTRAL_BYTES * n_wave
        size = plane * grid.shape[0] * grid.shape[1]
        if (profiles := config.morphology) is not None:
            n_band = len(profiles.bands) or len(config.bands)
            size += PROFILE_BYTES * n_band * profiles.max_side**2
        size += RADIAL_BYTES if config.radial is not None else 0
        if len(headers) == len(config.bands) and (path := bin_map_path(galaxy, config, root=root)):
            require_on_grid(path, grid)
    except PxdaskError as error:
        faults.append(str(error))
    try:
        star_list(galaxy, config, root=root)
    except PxdaskError as error:
        faults.append(str(error))
    return size, faults + _missing_columns(galaxy, config), cube


def _check_flux(band: BandConfig, header: ImageHeader) -> None:
    """Raise `ConfigError` if a count's worth cannot be told; keyword faults are told elsewhere."""
    if keyword_faults(band, header.keywords):
        return
    pixels = Pixels(
        band=survey_band(band) if band.survey is not None else band.name,
        keywords=header.keywords,
        pixel_area=1.0,
        pivot=5000.0,
        bunit=band.unit or header.bunit,
        zero_point=band.zero_point,
    )
    flux_factor(band, pixels)


def _missing_columns(galaxy: Mapping[str, object], config: SurveyConfig) -> list[str]:
    """Return what is wrong with the catalogue columns that the settings name."""
    faults = []
    for value, _ in values_of_rows(config):
        try:
            value_of(value, galaxy)
        except PxdaskError as error:
            faults.append(str(error))
    return faults


def _profile_problems(config: SurveyConfig) -> list[Problem]:
    """Return what keeps the settings' Sersic profiles from being fitted."""
    settings = config.morphology
    if settings is None:
        return []
    fault = absent_extra(settings)
    problems = [Problem("", "", fault)] if fault else []
    for band in config.bands:
        wanted = settings.data == "own" and (not settings.bands or band.name in settings.bands)
        if wanted and band.psf is not None and band.psf.kernel is not None:
            why = "morphology needs its PSF, which a kernel is not: give psf.fwhm or psf.image,"
            why += " leave it out of morphology.bands, or set morphology.data to matched"
            problems.append(Problem("", band.name, why))
    return problems


def _absent_root(config: SurveyConfig, root: str) -> str:
    """Return what is wrong with the folder that paths begin with; empty where nothing is."""
    wanted = any("{data_root}" in band.image for band in config.bands)
    if not wanted or Path(root).is_dir():
        return ""
    return f"no such folder: {root}; give the one that {{data_root}} stands for by --data-root"


def _model_problems(config: SurveyConfig) -> list[Problem]:
    """Return what keeps the settings' models from being made: populations, priors, results."""
    try:
        check_models(ssp_dataset(config.models.ssp), config.models)
    except PxdaskError as error:
        return [Problem("", "", str(error))]
    return []


def _width_problems(
    galaxies: Sequence[Mapping[str, object]], config: SurveyConfig, *, root: str
) -> list[Problem]:
    """Return bands whose PSF is wider than that of ``images.target_psf``, both being shapes.

    Shapes are the settings', or the surveys', and so all galaxies'.
    """
    if not (galaxies and config.images.match_psf and config.images.target_psf):
        return []
    try:
        bands = resolved_bands(galaxies[0], config, root=root)
    except PxdaskError:
        return []
    shapes = {
        band.name: shape_psf(band.needed_psf) for band in bands if band.needed_psf.fwhm is not None
    }
    target = shapes.pop(config.images.target_psf, None)
    if target is None:
        return []
    problems = []
    for name, psf in shapes.items():
        try:
            refuse_wider(psf, target, band=name)
        except PxdaskError as error:
            problems.append(Problem("", "", str(error)))
    return problems


def _space_problems(store: Path, needed: int) -> list[Problem]:
    """Return a problem if the disk has not the space that the run needs [byte].

    Object stores have no end that could be asked for.
    """
    if far(store):
        return []
    folder = store
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free >= needed:
        return []
    message = f"{store} has {free / 1e9:.2f} GB free; the run needs about {needed / 1e9:.2f} GB"
    return [Problem("", "", message)]
