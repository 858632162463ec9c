"""What stages read of a catalogue row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pxdask.core.bands import ExtinctionConfig
from pxdask.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pxdask.core.config import SurveyConfig

_OF_SHAPES = {"theta": "deg", "xc": "arcsec", "yc": "arcsec", "r_eff": "arcsec"}
"""Units of shapes of Sersic profiles; the others are pure numbers."""


def values_of_rows(config: SurveyConfig) -> list[tuple[float | str, str]]:
    """Return the settings that may name catalogue columns, each with its unit; none that is None.

    A column that only some galaxies need is not among them: that of a spectral cube's dust.
    """
    region, extinction = config.images.region, config.images.extinction
    sizes = (region.radius, region.semi_major, region.length, region.width)
    found: list[tuple[float | str | None, str]] = [(size, "arcsec") for size in sizes]
    found += [(region.axis_ratio, ""), (region.angle, "deg")]
    if extinction is not None and extinction.dust_map is None:
        found.append((extinction.column, "mag"))
    if config.maps.inclination:
        found.append((config.maps.axis_ratio, ""))
    if config.morphology is not None:
        for name, prior in config.morphology.priors.items():
            unit = _OF_SHAPES.get(name.removeprefix("disc_"), "")
            found += [(prior.mean, unit), (prior.std, unit)]
    return [(value, unit) for value, unit in found if value is not None]


def column_units(config: SurveyConfig) -> dict[str, str]:
    """Return the unit in which each catalogue column is wanted that the settings name.

    Raises
    ------
    ConfigError
        If settings of different units name one column.
    """
    dust = config.images.extinction or ExtinctionConfig()
    units: dict[str, str] = {}
    for name, unit in [*values_of_rows(config), (dust.column, "mag")]:
        if isinstance(name, str) and units.setdefault(name, unit) != unit:
            raise ConfigError(
                f"the settings name the column {name!r} for a value in {units[name] or 'no unit'}"
                f" and for one in {unit or 'no unit'}; wanted a column for each"
            )
    return units


def redshift_of(galaxy: Mapping[str, object]) -> float:
    """Return a galaxy's redshift.

    Raises
    ------
    DataError
        If it is absent or not a positive finite number.
    """
    value = galaxy.get("redshift")
    try:
        redshift = float(str(value))
    except ValueError:
        redshift = math.nan
    if not (math.isfinite(redshift) and redshift > 0):
        raise DataError(
            f"galaxy {galaxy.get('id', 'of unknown id')}: redshift is {value!r}; wanted a "
            "positive number, which gives the distance: correct the catalogue's row"
        )
    return redshift
