"""What the page of a galaxy tells, gathered from a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pxdask.core.errors import PxdaskError
from pxdask.report.flags import flag_counts
from pxdask.report.labels import DASH, number
from pxdask.report.pages import Column, GalaxyPage
from pxdask.survey.looking.report_pictures import figures_of, map_panels, thumbnail
from pxdask.survey.looking.report_tables import (
    ADDITIVE,
    masses_of,
    medians_of,
    provenance_tables,
    quantiles_of,
    results_tables,
    weighted,
)
from pxdask.survey.looking.viewing import viewer_data
from pxdask.survey.outshining import log_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from pxdask.report.pages import FlagCount
    from pxdask.survey.looking.plotting import GalaxyData
    from pxdask.survey.manifest import Record

    Floats = NDArray[np.float64]

T = TypeVar("T")

COLUMNS = (
    Column("ra", "RA", "deg", "right ascension, ICRS", 5),
    Column("dec", "Dec", "deg", "declination, ICRS", 5),
    Column("z", "z", "", "redshift", 4),
    Column("n_bin", "bins", "", "number of bins", 0),
    Column("n_pix", "pixels", "", "pixels in bins", 0),
    Column("log_mass", "log M★", "M☉", "sum of the bins' medians", 2),
    Column("log_mass_err", "its error", "dex", "of independent bins", 3, is_error=True),
    Column("log_sfr", "log SFR", "M☉ yr⁻¹", "sum of the bins' medians", 2),
    Column("log_sfr_err", "its error", "dex", "of independent bins", 3, is_error=True),
    Column("log_ssfr", "log sSFR", "yr⁻¹", "SFR over mass", 2),
    Column("log_age", "log age", "Gyr", "mass-weighted, mean over the bins by mass", 2),
    Column("av", "A_V", "mag", "mean over the bins by mass", 2),
    Column("logzsol", "log Z", "dex", "mean over the bins by mass", 2),
    Column("chi2", "χ²/n", "", "median over bins of chi-square over number of bands", 2),
    Column("flagged", "flagged", "%", "bins with a flag of the fit", 0),
    Column("time", "time", "s", "sum over the tasks", 1),
)
"""Columns of the table of galaxies."""

STATES = ("done", "failed", "unfinished")
"""What a galaxy can be."""

_MEANS = {"log_age": "log_mw_age", "av": "av", "logzsol": "logzsol"}


@dataclass(frozen=True, eq=False)
class Gathered:
    """What a report tells of a galaxy.

    Attributes
    ----------
    page : GalaxyPage
        Its page.
    values : tuple of float or None
        Of `COLUMNS`.
    thumbnail : bytes
        Small picture, PNG; empty if there is none.
    """

    page: GalaxyPage
    values: tuple[float | None, ...]
    thumbnail: bytes


def gather(
    data: GalaxyData,
    records: Mapping[tuple[str, str, str], Record],
    *,
    previous: str = "",
    following: str = "",
) -> Gathered:
    """Return what a report tells of a galaxy; what cannot be read is told as a fault.

    Parameters
    ----------
    data : GalaxyData
        The galaxy.
    records : mapping
        Newest manifest row of each of its tasks.
    previous, following : str
        Its neighbours in the catalogue.
    """
    faults = [
        f"{' '.join(filter(None, (one.stage, one.part)))}: {one.error}"
        for one in records.values()
        if one.outcome == "failed"
    ]

    told = _Teller(faults)
    has_fit = told(partial(_has, names=("bins", "fit")), data, nothing=False)
    shown = has_fit and told(partial(_has, names=("maps", "cube")), data, nothing=False)
    n_bin = int(data.bins.sizes["bin"]) if has_fit else 0
    page = GalaxyPage(
        name=data.galaxy,
        survey=data.run.config.name,
        state=state_of(records),
        facts=_facts(data, n_bin=n_bin, shown=shown),
        maps=told(map_panels, data, ()) if shown else (),
        figures=told(lambda one: figures_of(one, faults), data, ()) if shown else (),
        viewer=told(viewer_data, data, None) if shown and n_bin else None,
        results=told(results_tables, data, ()) if has_fit else (),
        provenance=provenance_tables(data, records),
        flags=told(_flags, data, ()) if has_fit else (),
        n_bin=n_bin,
        settings=data.run.config.dump(),
        previous=previous,
        next=following,
    )
    values = catalog_values(data.row, records)
    if has_fit:
        values = told(lambda one: _values(one, records), data, values)
    picture = told(thumbnail, data, b"") if shown else b""
    return Gathered(replace(page, faults=tuple(faults)), values, picture)


@dataclass(frozen=True, slots=True)
class _Teller:
    """Returns what is made of a galaxy's data; where that fails, something else, and a fault."""

    faults: list[str]

    def __call__(self, make: Callable[[GalaxyData], T], data: GalaxyData, nothing: T) -> T:
        """Return ``make(data)``, or ``nothing``."""
        try:
            return make(data)
        except PxdaskError as error:
            self.faults.append(str(error))
            return nothing


def _has(data: GalaxyData, *, names: tuple[str, ...]) -> bool:
    """Return whether a galaxy has some outputs; what cannot be read raises."""
    return not any(data.missing(name) for name in names)


def state_of(records: Mapping[tuple[str, str, str], Record]) -> str:
    """Return "failed", "done" or "unfinished", as `pxdask.survey.collect` does."""
    if any(record.outcome == "failed" for record in records.values()):
        return "failed"
    made = any(record.stage == "products" and record.ok for record in records.values())
    return "done" if made else "unfinished"


def _facts(data: GalaxyData, *, n_bin: int, shown: bool) -> tuple[tuple[str, str], ...]:
    """Return what is known of a galaxy, in a line."""
    row = data.row
    facts = [("RA [deg]", str(row.get("ra", DASH))), ("Dec [deg]", str(row.get("dec", DASH)))]
    facts += [("redshift", str(row.get("redshift", DASH)))]
    if n_bin:
        facts += [("bins", str(n_bin)), ("pixels in bins", str(int(data.bins["n_pix"].sum())))]
        scale = data.maps.attrs.get("kpc_per_pixel") if shown else None
        facts += [("kpc per pixel", number(float(scale)))] if scale is not None else []
        facts += [("method", str(data.run.config.fit.method))]
    return tuple(facts)


def _flags(data: GalaxyData) -> tuple[FlagCount, ...]:
    """Return the flags of the bins' fluxes and fits, each once."""
    bits = data.bins["flags"].values
    if "flags" in data.fit:
        bits = np.concatenate([bits, data.fit["flags"].values[:, None]], axis=1)
    return flag_counts(bits)


def _values(
    data: GalaxyData, records: Mapping[tuple[str, str, str], Record]
) -> tuple[float | None, ...]:
    """Return a galaxy's row of the table of galaxies."""
    bins, fit = data.bins, data.fit
    known = {
        "n_bin": float(bins.sizes["bin"]),
        "n_pix": float(bins["n_pix"].sum()),
        "chi2": _median(fit["chi2"].values / np.maximum(fit["n_used"].values, 1)),
    }
    if "flags" in fit and bins.sizes["bin"]:
        known["flagged"] = 100.0 * float(np.mean(fit["flags"].values != 0))
    for name in ADDITIVE:
        if name in fit:
            known[name], known[f"{name}_err"] = log_sum(*quantiles_of(fit, name))
    if {"log_mass", "log_sfr"} <= set(known):
        known["log_ssfr"] = known["log_sfr"] - known["log_mass"]
    for column, name in _MEANS.items():
        if name in fit and "log_mass" in fit:
            known[column] = weighted(medians_of(fit, name), masses_of(fit))[0]
    return _row(known | _known(data.row, records))


def catalog_values(
    galaxy: Mapping[str, object], records: Mapping[tuple[str, str, str], Record] | None = None
) -> tuple[float | None, ...]:
    """Return the row of a galaxy without a fit in the table of galaxies.

    Parameters
    ----------
    galaxy : mapping
        Its row of the catalogue.
    records : mapping, optional
        Newest manifest row of each of its tasks.
    """
    return _row(_known(galaxy, records or {}))


def _known(
    galaxy: Mapping[str, object], records: Mapping[tuple[str, str, str], Record]
) -> dict[str, float]:
    """Return what catalogue and manifest tell."""
    names = {"ra": "ra", "dec": "dec", "z": "redshift"}
    known = {}
    for column, name in names.items():
        try:
            known[column] = float(str(galaxy.get(name)))
        except ValueError:
            continue
    spent = {"time": sum(record.seconds for record in records.values())} if records else {}
    return known | spent


def _row(known: Mapping[str, float]) -> tuple[float | None, ...]:
    """Return the values of `COLUMNS`, rounded to what is shown and a little more."""
    values = (known.get(column.key, math.nan) for column in COLUMNS)
    return tuple(
        round(value, column.digits + 2) if math.isfinite(value) else None
        for column, value in zip(COLUMNS, values, strict=True)
    )


def _median(values: Floats) -> float:
    """Return the median of what is finite; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan
