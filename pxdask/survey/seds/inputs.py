"""SEDs as users have them, as filters and a dataset of schema seds/1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from pxdask.core.bandpass import Filter
from pxdask.core.catalogs import TableBand
from pxdask.core.errors import ConfigError, brief
from pxdask.fitting.seds import Seds
from pxdask.io.filters import load_filters
from pxdask.io.sed_tables import as_table, bands_of, require_alike, seds_dataset, seds_of_table
from pxdask.kernels.bandpass import pivot_wave

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

_COLUMNS = ("flux", "err")
"""What columns are called before the name of a band."""

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
            for column, value in zip(_COLUMNS, pair, strict=True):
                table[f"{column}_{name}"] = _rows(value, f"{column} of {name!r}")[0]
                table[f"{column}_{name}"].unit = getattr(value, "unit", None)
        return table
    if isinstance(seds, tuple | list) and len(seds) == 2 and not isinstance(seds[0], str):
        if not filters:
            raise ConfigError("arrays of fluxes need filters: a name for each column")
        return _arrays_table(seds, [band.name for band in _table_bands(filters)])
    return as_table(seds)


def _arrays_table(seds: Sequence[Any], names: Sequence[str]) -> Table:
    """Return SEDs that are two arrays, fluxes and uncertainties, as a table."""
    units = [getattr(values, "unit", None) for values in seds]
    require_alike(_COLUMNS, units)
    arrays = [_rows(values, column) for column, values in zip(_COLUMNS, seds, strict=True)]
    for column, rows, values in zip(_COLUMNS, arrays, seds, strict=True):
        if rows.ndim != 2 or rows.shape[1] != len(names):
            raise ConfigError(
                f"{column} has shape {np.shape(values)}; wanted ({len(names)},) or"
                f" (n_sed, {len(names)}), as there are {len(names)} filters"
            )
    if arrays[0].shape != arrays[1].shape:
        raise ConfigError(
            f"flux has shape {np.shape(seds[0])}, err {np.shape(seds[1])}; wanted the same: an"
            " uncertainty for each flux"
        )
    table = Table()
    for column, rows, unit in zip(_COLUMNS, arrays, units, strict=True):
        for name, value in zip(names, rows.T, strict=True):
            table[f"{column}_{name}"] = value
            table[f"{column}_{name}"].unit = unit
    return table


def _rows(values: Any, name: str) -> NDArray[np.float64]:  # noqa: ANN401  whatever the user gave
    """Return numbers without their unit, with at least two axes; NaN where masked.

    Raises
    ------
    ConfigError
        If they are none, or rows are not of one length.
    """
    plain = getattr(values, "value", values)
    if hasattr(plain, "unmasked"):  # a quantity of astropy's that is masked
        plain = np.ma.MaskedArray(plain.unmasked, plain.mask)
    try:
        filled = np.ma.filled(np.ma.asarray(plain).astype(np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} is {brief(values)}; wanted numbers: {error}") from error
    return np.atleast_2d(filled)


def _is_pair(value: object) -> bool:
    """Return whether a value is a flux and its uncertainty, and not a column."""
    return isinstance(value, tuple) and len(value) == 2 and all(np.ndim(v) == 0 for v in value)


def _table_bands(filters: Any) -> tuple[TableBand, ...]:  # noqa: ANN401  as `fit` takes them
    """Return the bands that filters are given for; raise `ConfigError` where one comes twice."""
    if isinstance(filters, str):
        raise ConfigError(
            f"filters is the text {filters!r}; wanted a list of filters, or a mapping"
        )
    if isinstance(filters, dict):
        return tuple(
            TableBand(name=name, filter=str(getattr(curve, "name", curve)))
            for name, curve in filters.items()
        )
    bands = tuple(
        each
        if isinstance(each, TableBand)
        else TableBand(
            name=str(getattr(each, "name", each)), filter=str(getattr(each, "name", each))
        )
        for each in filters
    )
    names = [band.name for band in bands]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"filters named twice: {', '.join(twice)}; wanted each once, or names of bands of your"
            " own: a mapping of band to filter"
        )
    return bands


def _curves(bands: Sequence[TableBand], filters: Any) -> dict[str, Filter]:  # noqa: ANN401  as above
    """Return the filter of each band: given, or by its name."""
    given = filters.values() if isinstance(filters, dict) else filters or (None,) * len(bands)
    own = {b.name: c for b, c in zip(bands, given, strict=True) if isinstance(c, Filter)}
    names = sorted({band.filter for band in bands if band.name not in own})
    known = {curve.name: curve for curve in load_filters(names)}
    return {band.name: own.get(band.name) or known[band.filter] for band in bands}


def _each_redshift(redshift: float | Sequence[float], n_sed: int) -> NDArray[np.float64]:
    """Return a redshift for each SED."""
    try:
        values = np.asarray(redshift, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"redshift is {brief(redshift)}; wanted numbers: {error}") from error
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
