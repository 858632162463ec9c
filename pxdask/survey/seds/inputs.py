"""SEDs as users have them, as filters and a dataset of schema seds/1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table
from astropy.units import Quantity

from pxdask.core.bandpass import Filter
from pxdask.core.catalogs import TableBand
from pxdask.core.errors import ConfigError, brief
from pxdask.fitting.seds import Seds
from pxdask.io.filters import load_filters
from pxdask.io.sed_tables import as_table, bands_of, seds_dataset, seds_of_table
from pxdask.kernels.bandpass import pivot_wave

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

SPECTRAL = ("wave", "lsf_fwhm", "spectrum", "spectrum_err")
"""Attributes of `Seds`, and variables of seds/1, that are about spectra."""


def observed_seds(
    seds: object,
    *,
    filters: Mapping[str, str | Filter] | Sequence[str | Filter | TableBand] | None,
    redshift: float | str | Sequence[float] | None,
    free: bool,
    unit: str,
) -> tuple[dict[str, Filter], xr.Dataset]:
    """Return the filters of bands, and SEDs as schema seds/1; parameters as of `fit`."""
    if free and redshift is not None:
        raise ConfigError(
            f"redshift is {brief(redshift)}, and models.priors has a redshift too: give one of them"
        )
    if isinstance(seds, Seds):
        return _of_seds(seds, filters, redshift)
    table = _pairs_table(seds, filters)
    columns = _table_bands(filters) if filters else bands_of(table)
    curves = _curves(columns, filters)
    column_or_value = redshift if isinstance(redshift, float | int | str) else None
    if redshift is None and not free:
        if "redshift" not in table.colnames:
            raise ConfigError(
                "no redshift: give one, or a column of the table, or a prior for it,"
                ' models.priors["redshift"]'
            )
        column_or_value = "redshift"
    observed = seds_of_table(
        table,
        bands=columns,
        pivot_wave=np.array([pivot_wave(curve) for curve in curves.values()]),
        unit=unit,
        redshift=column_or_value,
    )
    if redshift is not None and not isinstance(redshift, float | int | str):
        observed["redshift"] = observed["redshift"].copy(
            data=_each_redshift(redshift, observed.sizes["bin"])
        )
    return curves, observed


def _pairs_table(seds: object, filters: object) -> Table:
    """Return SEDs as a table: one as pairs of numbers, arrays, or what is one already."""
    if isinstance(seds, dict) and seds and all(_is_pair(pair) for pair in seds.values()):
        table = Table()
        for name, pair in seds.items():
            for column, value in zip(("flux", "err"), pair, strict=True):
                table[f"{column}_{name}"] = np.atleast_1d(Quantity(value).value).astype(float)
                if isinstance(value, Quantity):
                    table[f"{column}_{name}"].unit = value.unit
        return table
    if isinstance(seds, tuple | list) and len(seds) == 2 and not isinstance(seds[0], str):
        if not filters:
            raise ConfigError("arrays of fluxes need filters: a name for each column")
        names = [band.name for band in _table_bands(filters)]
        table = Table()
        for column, values in zip(("flux", "err"), seds, strict=True):
            rows = np.atleast_2d(getattr(values, "value", values))
            if rows.ndim != 2 or rows.shape[1] != len(names):
                raise ConfigError(
                    f"{column} has shape {np.shape(values)}; wanted ({len(names)},) or"
                    f" (n_sed, {len(names)}), as there are {len(names)} filters"
                )
            for name, value in zip(names, rows.T, strict=True):
                table[f"{column}_{name}"] = np.array(value, np.float64)
                table[f"{column}_{name}"].unit = getattr(values, "unit", None)
        return table
    return as_table(seds)


def _is_pair(value: object) -> bool:
    """Return whether a value is a flux and its uncertainty, and not a column."""
    return isinstance(value, tuple) and len(value) == 2 and all(np.ndim(v) == 0 for v in value)


def _table_bands(filters: Any) -> tuple[TableBand, ...]:  # noqa: ANN401  as `fit` takes them
    """Return the bands that filters are given for."""
    if isinstance(filters, dict):
        return tuple(
            TableBand(name=name, filter=str(getattr(curve, "name", curve)))
            for name, curve in filters.items()
        )
    return tuple(
        each
        if isinstance(each, TableBand)
        else TableBand(
            name=str(getattr(each, "name", each)), filter=str(getattr(each, "name", each))
        )
        for each in filters
    )


def _curves(bands: Sequence[TableBand], filters: Any) -> dict[str, Filter]:  # noqa: ANN401  as above
    """Return the filter of each band: given, or by its name."""
    given = filters.values() if isinstance(filters, dict) else filters or ()
    own = {curve.name: curve for curve in given if isinstance(curve, Filter)}
    names = sorted({band.filter for band in bands} - set(own))
    known = own | {curve.name: curve for curve in load_filters(names)}
    return {band.name: known[band.filter] for band in bands}


def _each_redshift(redshift: float | Sequence[float], n_sed: int) -> NDArray[np.float64]:
    """Return a redshift for each SED."""
    values = np.asarray(redshift, np.float64)
    if values.ndim == 0:
        return np.full(n_sed, values)
    if values.shape != (n_sed,):
        raise ConfigError(f"redshift has shape {values.shape}; wanted one for each of {n_sed} SEDs")
    return values


def _of_seds(
    seds: Seds, filters: object, redshift: float | str | Sequence[float] | None
) -> tuple[dict[str, Filter], xr.Dataset]:
    """Return filters and schema seds/1 of SEDs that are arrays already."""
    if not filters:
        raise ConfigError("Seds need filters: a name for each band")
    bands = _table_bands(filters)
    curves = _curves(bands, filters)
    if len(bands) != seds.flux.shape[1]:
        raise ConfigError(
            f"the SEDs have {seds.flux.shape[1]} bands; there are {len(bands)} filters"
        )
    if isinstance(redshift, str):
        raise ConfigError(f"redshift {redshift!r} is a column; Seds have none")
    at = np.full(len(seds), np.nan)
    if redshift is not None:
        at = _each_redshift(redshift, len(seds))
    names = ["-".join(str(part) for part in key) for key in seds.keys]
    observed = seds_dataset(
        names,
        bands=list(curves),
        pivot_wave=np.array([pivot_wave(curve) for curve in curves.values()]),
        flux=seds.flux,
        flux_err=seds.flux_err,
        redshift=at,
        upper_limit=seds.upper_limit,
        spectra={n: getattr(seds, n) for n in SPECTRAL if getattr(seds, n) is not None},
    )
    return curves, observed
