"""Tables of the page of a galaxy: its numbers, and what made them."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import PxdaskError
from pxdask.fitting.tables import results_of
from pxdask.report.labels import DASH, between, name_of, number, plus_minus, unit_text
from pxdask.report.pages import Table
from pxdask.survey.outshining import log_sum
from pxdask.survey.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.survey.looking.plotting import GalaxyData
    from pxdask.survey.manifest import Record

    Floats = NDArray[np.float64]

ADDITIVE = ("log_mass", "log_sfr")
"""Results that are sums over the parts of a galaxy."""


def weighted(values: Floats, weights: Floats) -> tuple[float, float, float]:
    """Return mean and 16th and 84th percentile of values with weights; NaN if there is none.

    Parameters
    ----------
    values, weights : (n,) float64
        Where either is NaN, the part is left out.
    """
    known = np.isfinite(values) & np.isfinite(weights) & (weights > 0)
    if not known.any():
        return math.nan, math.nan, math.nan
    values, weights = values[known], weights[known]
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    low, high = (float(values[order][np.searchsorted(share, at)]) for at in (0.16, 0.84))
    return float(np.average(values, weights=weights)), low, high


def quantiles_of(fit: xr.Dataset, name: str) -> tuple[Floats, Floats, Floats]:
    """Return the three quantiles of a result, each (bin,)."""
    low, middle, high = np.moveaxis(fit[name].values, 1, 0)
    return low, middle, high


def medians_of(fit: xr.Dataset, name: str) -> Floats:
    """Return the medians of a result, (bin,)."""
    return quantiles_of(fit, name)[1]


def masses_of(fit: xr.Dataset) -> Floats:
    """Return masses, (bin,), in units of the greatest."""
    log_mass = medians_of(fit, "log_mass")
    known = log_mass[np.isfinite(log_mass)]
    mass: Floats = 10.0 ** (log_mass - (known.max() if known.size else 0.0))
    return mass


def results_tables(data: GalaxyData) -> tuple[Table, ...]:
    """Return the tables of a galaxy's numbers."""
    tables = [_totals(data), _means(data), _photometry(data)]
    if data.morphology is not None:
        tables.append(_shape(data, data.morphology))
    return tuple(table for table in tables if table.rows)


def _totals(data: GalaxyData) -> Table:
    """Return mass and SFR of the whole galaxy: summed over bins, and of its whole light."""
    fit, whole = data.fit, data.integrated
    headers = ["result", "sum of bins"]
    headers += ["whole light"] if whole is not None else []
    rows, sums = [], {}
    for name in (name for name in ADDITIVE if name in fit):
        total, total_err = log_sum(*quantiles_of(fit, name))
        sums[name] = total
        row = [name_of(name), plus_minus(total, total_err)]
        if whole is not None:
            row.append(between(*whole[name].values[0]) if name in whole else DASH)
        rows.append((*row, unit_text(str(fit[name].attrs.get("units", "")))))
    if len(sums) == len(ADDITIVE):
        row = [name_of("log_ssfr"), number(sums["log_sfr"] - sums["log_mass"])]
        rows.append((*row, *([""] if whole is not None else []), "yr⁻¹"))
    return Table(
        "Whole galaxy",
        (*headers, "unit"),
        tuple(rows),
        note="Errors take bins as independent; what they share, such as a zero point or a"
        " template, is not in them. Whole light: one fit of the sum of all bins.",
        words=("unit",),
    )


def _means(data: GalaxyData) -> Table:
    """Return means over bins, weighted by mass, of what does not add up."""
    fit, whole = data.fit, data.integrated
    names = [name for name in results_of(fit) if name not in ADDITIVE]
    if "log_mass" not in fit:
        names = []
    headers = ["result", "mean of bins", "16 to 84 % of bins"]
    headers += ["whole light"] if whole is not None else []
    rows = []
    for name in names:
        mean, low, high = weighted(medians_of(fit, name), masses_of(fit))
        row = [name_of(name), number(mean), f"{number(low)} to {number(high)}"]
        if whole is not None:
            row.append(between(*whole[name].values[0]) if name in whole else DASH)
        rows.append((*row, unit_text(str(fit[name].attrs.get("units", "")))))
    return Table(
        "Means over bins, weighted by mass",
        (*headers, "unit"),
        tuple(rows),
        note="Of the bins' medians; the range is how bins differ, not an error.",
        words=("unit",),
    )


def _photometry(data: GalaxyData) -> Table:
    """Return the flux of all bins in each band."""
    bins = data.bins
    flux, flux_err = (bins[name].values for name in ("flux", "flux_err"))
    known = np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0)
    total = np.where(known, flux, 0.0).sum(axis=0)
    total_err = np.sqrt((np.where(known, flux_err, 0.0) ** 2).sum(axis=0))
    rows = []
    for i in np.argsort(bins["pivot_wave"].values, kind="stable"):
        seen = bool(known[:, i].any())
        value, error = (float(a[i]) if seen else math.nan for a in (total, total_err))
        mag = 23.9 - 2.5 * math.log10(value) if seen and value > 0 else math.nan
        rows.append(
            (
                str(bins["band"].values[i]),
                number(float(bins["pivot_wave"].values[i]) / 1e4, digits=3),
                number(value),
                number(error),
                number(value / error if error > 0 else math.nan, digits=1),
                number(mag),
            )
        )
    return Table(
        "Photometry, sum of all bins",
        ("band", "pivot wavelength [µm]", "flux [µJy]", "error [µJy]", "S/N", "AB [mag]"),
        tuple(rows),
        note="Errors of independent bins, without the systematic error of the fit.",
    )


def _shape(data: GalaxyData, shape: xr.Dataset) -> Table:
    """Return the parameters of the galaxy's profile in the band in the middle."""
    order = np.argsort(shape["pivot_wave"].values, kind="stable")
    band = int(order[(order.size - 1) // 2])
    rows = []
    for name in sorted(map(str, shape.data_vars)):
        variable = shape[name]
        if variable.dims == ("source", "band", "quantile"):
            text = between(*map(float, variable.values[0, band]))
            rows.append((name, text, unit_text(str(variable.attrs.get("units", "")))))
    return Table(
        f"Profile in {shape['band'].values[band]}",
        ("parameter", "median and 68 %", "unit"),
        tuple(rows),
        note=f"Sersic profile of {data.galaxy}; other bands are in the run's files.",
        words=("unit",),
    )


def provenance_tables(
    data: GalaxyData, records: Mapping[tuple[str, str, str], Record]
) -> tuple[Table, ...]:
    """Return what made the galaxy's results."""
    order = {name: i for i, name in enumerate(STAGES)}
    tasks = sorted(records.values(), key=lambda one: (order.get(one.stage, -1), one.part))
    stages = Table(
        "Tasks",
        ("task", "outcome", "time [s]", "key"),
        tuple(
            (
                " ".join(filter(None, (one.stage, one.part))),
                one.outcome,
                number(one.seconds),
                one.key,
            )
            for one in tasks
        ),
        note=f"`pxdask explain {data.run.store} {data.galaxy}` tells what made each file.",
        words=("outcome", "key"),
    )
    return (stages, *_software(data))


def _software(data: GalaxyData) -> tuple[Table, ...]:
    """Return versions, seeds and input files, as the newest file tells them."""
    told: Mapping[str, object] = {}
    for name in ("fit", "bins", "cube"):
        with suppress(PxdaskError):
            told = told or getattr(data, name).attrs
    code, versions = _mapping(told, "code"), _mapping(told, "versions")
    if code:
        words = f"commit {str(code.get('commit', ''))[:12]}"
        versions["pxdask's code"] = words + (", with changes" if code.get("modified") else "")
    versions |= {f"seed of {name}": seed for name, seed in _mapping(told, "seeds").items()}
    sums = _mapping(told, "checksums")
    tables = (
        ("Software and seeds", ("what", "which"), versions),
        ("Input files", ("file", "checksum"), sums),
    )
    return tuple(
        Table(caption, headers, _pairs(pairs), words=headers[1:])
        for caption, headers, pairs in tables
        if pairs
    )


def _mapping(told: Mapping[str, object], name: str) -> dict[str, object]:
    """Return a mapping that a file tells; empty if it does not."""
    found = told.get(name)
    return dict(found) if isinstance(found, dict) else {}


def _pairs(values: Mapping[str, object]) -> tuple[tuple[str, ...], ...]:
    """Return names and values as rows."""
    return tuple((name, str(value)) for name, value in values.items())
