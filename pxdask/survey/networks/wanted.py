"""What a network is to know, of the settings of a survey or of a catalogue of photometry."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.catalogs import CatalogConfig
from pxdask.core.config import SurveyConfig, data_root
from pxdask.core.errors import ConfigError
from pxdask.io.catalog import read_catalog
from pxdask.io.catalog_file import catalog_rows
from pxdask.io.sed_tables import as_table
from pxdask.survey.inspect import resolved_bands

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from astropy.table import Table

    from pxdask.core.fits import FitConfig, NpeConfig
    from pxdask.core.models import ModelConfig
    from pxdask.io.catalog_file import CatalogFile


@dataclass(frozen=True)
class Wanted:
    """What a network is to know.

    Attributes
    ----------
    models : ModelConfig
        Forms and priors.
    bands : tuple of (str, str)
        Name and filter of each band, in the order of the SEDs.
    fit : FitConfig
        Likelihood, systematic errors, and ``npe``.
    seed : int
        Of mocks, first weights, and the order of mocks.
    redshifts : tuple of float or None
        Least and greatest of what is to be fitted; None where they are not known.
    """

    models: ModelConfig
    bands: tuple[tuple[str, str], ...]
    fit: FitConfig
    seed: int
    redshifts: tuple[float, float] | None = None

    @property
    def free_redshift(self) -> bool:
        """Whether redshift is fitted, so that no network is told it."""
        return "redshift" in self.models.priors

    @property
    def npe(self) -> NpeConfig:
        """Settings of the network."""
        return self.fit.npe


def redshift_range(values: Iterable[object]) -> tuple[float, float] | None:
    """Return the least and the greatest of what are positive numbers; None if none is."""
    low, high = math.inf, -math.inf
    for value in values:
        try:
            number = float(str(value))
        except ValueError:
            continue
        if math.isfinite(number) and number > 0:
            low, high = min(low, number), max(high, number)
    return (low, high) if low <= high else None


def survey_wanted(galaxies: Table | CatalogFile, config: SurveyConfig, *, root: str) -> Wanted:
    """Return what the network of a survey is to know.

    Raises
    ------
    ConfigError
        If galaxies have different filters.
    """
    known = "redshift" in config.models.priors or config.fit.npe.redshift is not None
    rows = () if known else catalog_rows(galaxies)
    return Wanted(
        config.models,
        _survey_bands(galaxies, config, root),
        config.fit,
        config.seed,
        redshift_range(row["redshift"] for row in rows),
    )


def _survey_bands(
    galaxies: Table | CatalogFile, config: SurveyConfig, root: str
) -> tuple[tuple[str, str], ...]:
    """Return name and filter of each band, the same for all galaxies."""
    depends = any("{" in band.filter.replace("{data_root}", "") for band in config.bands)
    found: tuple[tuple[str, str], ...] = ()
    for galaxy in catalog_rows(galaxies):
        try:
            bands = resolved_bands(galaxy, config, root=root)
        except ConfigError:
            continue  # this galaxy will fail, saying so
        own = tuple((band.name, band.filter) for band in bands)
        found = found or own
        if own != found:
            raise ConfigError(
                f"galaxy {galaxy['id']} has the filters {', '.join(name for _, name in own)},"
                f" others {', '.join(name for _, name in found)}: a network knows one set; make"
                " galaxies with other filters a survey of their own, or take another fit.method"
            )
        if not depends:
            break
    if not found:
        raise ConfigError("no galaxy has all that the settings of the bands ask for")
    return found


def catalog_wanted(config: CatalogConfig, redshift: Iterable[float]) -> Wanted:
    """Return what the network of a catalogue of photometry is to know.

    Parameters
    ----------
    config : CatalogConfig
        Settings.
    redshift : iterable of float
        Of the SEDs; what is no positive number is passed over.
    """
    bands = tuple((band.name, band.filter) for band in config.bands)
    return Wanted(config.models, bands, config.fit, config.seed, redshift_range(redshift))


def wanted_of(
    config: Path,
    catalog: Path | None,
    *,
    root: Path | None = None,
    changes: Mapping[str, object] | None = None,
) -> Wanted:
    """Return what a network is to know, of the files of a survey or of a catalogue of photometry.

    Parameters
    ----------
    config : Path
        Settings: those of a survey, whose bands have images, or of a catalogue.
    catalog : Path, optional
        The catalogue; without it redshifts are not known.
    root : Path, optional
        What ``{data_root}`` in templates stands for.
    changes : mapping, optional
        Of ``fit.npe``.

    Raises
    ------
    ConfigError
        If a file is wrong, or filters depend on the galaxy and there is no catalogue.
    """
    settings = _settings(config)
    base = str(Path(data_root(root)).resolve())
    if isinstance(settings, CatalogConfig):
        wanted = catalog_wanted(settings, _sed_redshifts(catalog, settings))
    elif catalog is not None:
        wanted = survey_wanted(read_catalog(catalog), settings, root=base)
    else:
        bands = tuple(
            (band.name, band.filter.replace("{data_root}", base)) for band in settings.bands
        )
        if depends := [name for name, curve in bands if "{" in curve]:
            raise ConfigError(
                f"the filters of the bands {', '.join(depends)} depend on the galaxy: give a"
                " catalogue"
            )
        wanted = Wanted(settings.models, bands, settings.fit, settings.seed)
    npe = wanted.npe.model_copy(update=dict(changes or {}))
    return replace(wanted, fit=wanted.fit.model_copy(update={"method": "npe", "npe": npe}))


def _settings(path: Path) -> SurveyConfig | CatalogConfig:
    """Return the settings in a file: of a survey where a band has an image."""
    try:
        return CatalogConfig.load(path)
    except ConfigError as error:
        try:
            return SurveyConfig.load(path)
        except ConfigError as other:
            # the shorter list of faults is that of the kind that was meant
            raise min((error, other), key=lambda fault: len(str(fault))) from other


def _sed_redshifts(catalog: Path | None, config: CatalogConfig) -> list[float]:
    """Return the redshifts of a catalogue of photometry, as far as they are known."""
    if not isinstance(config.redshift, str):
        return [config.redshift]
    if catalog is None or "redshift" in config.models.priors:
        return []
    table = as_table(catalog)
    if config.redshift not in table.colnames:
        raise ConfigError(
            f"{catalog} has no column {config.redshift!r}, which the setting redshift names"
        )
    return [float(value) for value in np.ma.filled(np.ma.asarray(table[config.redshift]), np.nan)]
