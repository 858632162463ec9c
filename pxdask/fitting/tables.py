"""Datasets of posteriors as columns of tables, and many of them as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.core.schema import FIT
from pxdask.fitting.results import blank

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astropy.table import QTable


NUMBERS = (
    "chi2",
    "n_used",
    "n_eff",
    "ln_evidence",
    "ln_evidence_err",
    "acceptance",
    "tau",
    "rhat",
    "n_steps",
    "efficiency",
    "predictive_p",
    "outlier_score",
    "redshift_ratio",
    "spectrum_chi2",
    "spectrum_n_used",
)
"""Variables of fit/2 that are one number an SED, in the order of tables; none has a unit."""


def results_of(fit: xr.Dataset) -> tuple[str, ...]:
    """Return the names of what has a posterior in a dataset of schema fit/2.

    Mass and SFR come first, then the others by their names: the order of a dataset that was
    stored is another than that of a fresh one.
    """
    names = sorted(str(name) for name in fit.data_vars if fit[name].dims == ("bin", "quantile"))
    first = [name for name in ("log_mass", "log_sfr") if name in names]
    return (*first, *(name for name in names if name not in first))


def add_results(table: QTable, fit: xr.Dataset, *, moments: bool = True) -> None:
    """Add columns of quantiles, and of means and deviations, with units, to a table."""
    for name in results_of(fit):
        unit = str(fit[name].attrs.get("units", ""))
        meaning = str(fit[name].attrs.get("long_name", ""))
        columns = {
            f"{name}_p{100 * quantile:.0f}": fit[name].values[:, i]
            for i, quantile in enumerate(fit["quantile"].values)
        }
        if moments:
            columns |= {
                f"{name}_{end}": fit[f"{name}_{end}"].values
                for end in ("mean", "std")
                if f"{name}_{end}" in fit
            }
        for column, values in columns.items():
            table[column] = values
            table[column].info.description = meaning
            # the deviation of a logarithm is a number of dex, of whatever quantity
            deviation = column.endswith("_std") and unit.startswith("dex")
            table[column].info.unit = "dex" if deviation else unit


def flag_words(bits: int) -> str:
    """Return the names of flags, separated by spaces; "" for none."""
    return " ".join(flag.name.lower() for flag in Flag if flag.name and int(bits) & flag)


def gather(parts: Mapping[tuple[int, ...], xr.Dataset], *, n_sed: int) -> xr.Dataset:
    """Return one fit of many SEDs from fits of some.

    Parameters
    ----------
    parts : mapping
        Fits, schema fit/2, of the same bands and parameters, by the rows that their SEDs have
        in the whole.
    n_sed : int
        SEDs in the whole; one that is in no part is NaN and flagged NOT_FITTED.

    Returns
    -------
    fit : Dataset
        Schema fit/2. What a variable is in a part that lacks it, `pxdask.fitting.results.blank`
        tells.

    Raises
    ------
    DataError
        If there is no part.
    """
    if not parts:
        raise DataError("no fit to gather; wanted at least one")
    first = max(parts.values(), key=lambda part: len(part.coords))
    whole = xr.Dataset(coords=first.coords, attrs=first.attrs)
    every = {name: part for part in parts.values() for name in part.data_vars}
    for name, source in every.items():
        variable = source[name]
        if "bin" not in variable.dims:
            whole[name] = variable.variable
            continue
        values = np.full((n_sed, *variable.shape[1:]), blank(str(name)), variable.dtype)
        for rows, part in parts.items():
            if name in part:
                values[list(rows)] = part[name].values
        whole[name] = xr.Variable(variable.dims, values, variable.attrs)
    return FIT.validate(whole)
