"""Tables of photometry: any table astropy reads, in any unit of flux, as SEDs in microjansky."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.units import Quantity, Unit, UnitConversionError, spectral_density

from pxdask.core.catalogs import TableBand
from pxdask.core.constants import AB_MAG_OF_MICROJANSKY, AV_PER_OPTICAL_DEPTH
from pxdask.core.errors import ConfigError, brief
from pxdask.core.files import write_with
from pxdask.core.schema import SEDS
from pxdask.io.catalog import read_table
from pxdask.io.export import fits_unit
from pxdask.io.extensions import write_hdus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MISSING = -99.0
"""Value of a flux, magnitude or uncertainty that catalogues write where there is none."""

NO_MAGNITUDE = 99.0
"""Magnitude that catalogues write for a source that was not detected; here no measurement."""

MAGNITUDES = ("mag", "ABmag", "AB mag", "mag(AB)")
"""Units that stand for AB magnitudes."""

FLUX, FLUX_ERR, LIMIT = "flux_", "err_", "limit_"
"""What names of columns begin with, where they are not given."""


def as_table(source: object) -> Table:
    """Return a table of anything that holds one.

    Parameters
    ----------
    source : path, astropy.table.Table, pandas.DataFrame or mapping of columns
        Files: ECSV, CSV, FITS, Parquet or VOTable, by their ending.

    Raises
    ------
    ConfigError
        If it is none of these, has no rows, or cannot be read.
    """
    if isinstance(source, str | Path):
        table = read_table(Path(source))
    elif isinstance(source, Table):
        table = source
    elif hasattr(source, "to_dict") and hasattr(source, "columns"):
        table = Table.from_pandas(source)
    else:
        try:
            table = Table(source)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{brief(source)} is not a table: give a path, an astropy Table, a DataFrame or"
                " a mapping of columns"
            ) from error
    if len(table) == 0:
        raise ConfigError("the table of SEDs has no rows")
    return table


def bands_of(table: Table) -> tuple[TableBand, ...]:
    """Return the bands that a table has by the names of its columns: flux_<filter>.

    Raises
    ------
    ConfigError
        If it has none.
    """
    names = [name.removeprefix(FLUX) for name in table.colnames if name.startswith(FLUX)]
    if not names:
        raise ConfigError(
            f"the table has no column {FLUX}<filter>; it has {', '.join(table.colnames)}: name"
            " the filters"
        )
    return tuple(TableBand(name=name, filter=name) for name in names)


def seds_of_table(
    table: Table,
    *,
    bands: Sequence[TableBand],
    pivot_wave: Floats,
    unit: str = "uJy",
    id_column: str = "id",
    redshift: float | str | None = None,
) -> xr.Dataset:
    """Return the SEDs in a table.

    Parameters
    ----------
    table : Table
        A row for each SED. A column's own unit counts before ``unit``; of a flux and its
        uncertainty both have one, or neither.
    bands : sequence of TableBand
        Bands and their columns.
    pivot_wave : (n_band,)
        Pivot wavelengths [Angstrom], for fluxes per wavelength.
    unit : str
        Unit of columns that have none: see `in_microjansky`.
    id_column : str
        Column of names; rows of a table without are numbered.
    redshift : float, str or None
        Of all, or the column that holds it, or None: not known.

    Returns
    -------
    seds : Dataset
        Schema seds/1. Masked values, `MISSING` and values that are not finite are NaN.

    Raises
    ------
    ConfigError
        Naming every fault at once: columns that are absent, that hold no numbers or have
        other units, ids that repeat.
    """
    faults: list[str] = []
    n_sed, n_band = len(table), len(bands)
    flux, flux_err = np.full((2, n_sed, n_band), np.nan)
    limit = np.zeros((n_sed, n_band), dtype=np.bool_)
    for i, band in enumerate(bands):
        try:
            flux[:, i], flux_err[:, i] = _fluxes(table, band, unit, float(pivot_wave[i]))
            limit[:, i] = _limits(table, band)
        except ConfigError as error:
            faults.append(str(error))
    names = _ids(table, id_column, faults)
    at = np.full(n_sed, np.nan)
    try:
        if isinstance(redshift, str):
            at = _numbers(table, redshift)
        elif redshift is not None:
            at[:] = redshift
    except ConfigError as error:
        faults.append(str(error))
    if faults:
        raise ConfigError("\n  - ".join(["the table of SEDs has faults:", *faults]))
    return seds_dataset(
        names,
        bands=[band.name for band in bands],
        pivot_wave=pivot_wave,
        flux=flux,
        flux_err=flux_err,
        upper_limit=limit,
        redshift=at,
    )


def seds_dataset(
    names: Sequence[str],
    *,
    bands: Sequence[str],
    pivot_wave: Floats,
    flux: Floats,
    flux_err: Floats,
    redshift: Floats,
    upper_limit: NDArray[np.bool_] | None = None,
    spectra: Mapping[str, Floats] | None = None,
) -> xr.Dataset:
    """Return SEDs as schema seds/1.

    Parameters
    ----------
    names : sequence of str
        (n_sed,)
    bands, pivot_wave : sequence of str, (n_band,)
        Names and pivot wavelengths [Angstrom].
    flux, flux_err : (n_sed, n_band)
        Flux densities and uncertainties [uJy].
    redshift : (n_sed,)
        NaN where it is not known.
    upper_limit : (n_sed, n_band), optional
        Default: none is a limit.
    spectra : mapping, optional
        The schema's variables of spectra, by name.
    """
    limit = np.zeros(np.shape(flux), np.bool_) if upper_limit is None else upper_limit
    values: dict[str, NDArray[Any]] = {
        "id": np.array([str(name) for name in names], dtype=object),
        "redshift": np.asarray(redshift, np.float64),
        "flux": np.asarray(flux, np.float64),
        "flux_err": np.asarray(flux_err, np.float64),
        "upper_limit": np.asarray(limit, np.bool_),
        **{name: np.asarray(value, np.float64) for name, value in (spectra or {}).items()},
    }
    return SEDS.validate(
        xr.Dataset(
            {
                name: (SEDS.variables[name].dims, value, SEDS.attrs(name))
                for name, value in values.items()
            },
            coords={
                "band": ("band", np.array(list(bands), dtype=object), SEDS.attrs("band")),
                "pivot_wave": (
                    "band",
                    np.asarray(pivot_wave, np.float64),
                    SEDS.attrs("pivot_wave"),
                ),
            },
            attrs={"schema": SEDS.tag},
        )
    )


def in_microjansky(
    flux: Floats, flux_err: Floats, *, unit: str, pivot_wave: float
) -> tuple[Floats, Floats]:
    """Return fluxes and uncertainties in microjansky.

    Parameters
    ----------
    flux, flux_err : (n_sed,)
        In ``unit``. A pair of which one is `MISSING`, or, for magnitudes, `NO_MAGNITUDE`, is
        no measurement.
    unit : str
        A flux density per frequency (uJy, Jy, nJy, mJy) or per wavelength
        (erg / (s cm2 Angstrom), also scaled, as 1e-17 erg ...), or one of `MAGNITUDES`.
    pivot_wave : float
        Of the band, at which flux densities per wavelength are converted [Angstrom].

    Returns
    -------
    flux, flux_err : (n_sed,) float64
        [uJy]; NaN where there is no measurement.

    Raises
    ------
    ConfigError
        If the unit is none of a flux density.

    Notes
    -----
    AB magnitudes: Oke & Gunn (1983, ApJ 266, 713); an uncertainty of a magnitude becomes that
    of the flux to first order, 0.4 ln(10) flux.
    """
    missing = (flux == MISSING) | (flux_err == MISSING)
    if unit in MAGNITUDES:
        missing |= (np.abs(flux) == NO_MAGNITUDE) | (np.abs(flux_err) == NO_MAGNITUDE)
        value = 10 ** (0.4 * (AB_MAG_OF_MICROJANSKY - np.where(missing, np.nan, flux)))
        error = value * flux_err / AV_PER_OPTICAL_DEPTH
    else:
        try:
            at_pivot = spectral_density(pivot_wave * Unit("AA"))
            # a quantity, so that logarithmic units, which are not proportional to flux, are refused
            factor = Quantity(1, unit).to_value("uJy", equivalencies=at_pivot)
        except (ValueError, TypeError, UnitConversionError) as error_:
            raise ConfigError(
                f"unit {unit!r} is not one of flux density; wanted such as uJy, Jy, nJy, mJy,"
                " 'erg / (s cm2 Angstrom)' or 'AB mag'"
            ) from error_
        value, error = flux * factor, flux_err * factor
    return np.where(missing, np.nan, value), np.where(missing, np.nan, error)


def require_alike(names: Sequence[str], units: Sequence[object]) -> None:
    """Check that a flux and its uncertainty both have a unit, or neither.

    Parameters
    ----------
    names, units : sequence of str, of units
        Of both; no unit is None or one without text.

    Raises
    ------
    ConfigError
        If one alone has a unit: that of the other could only be guessed.
    """
    words = [str(unit or "") for unit in units]
    if all(words) or not any(words):
        return
    has, lacks = (0, 1) if words[0] else (1, 0)
    raise ConfigError(
        f"{names[has]} has the unit {words[has]}, {names[lacks]} has none; wanted units of both, or"
        " of none of them"
    )


def write_sed_table(table: QTable, path: Path) -> None:
    """Write a table of results with its units: FITS, Parquet or ECSV by the path's ending.

    The file appears whole or not at all. FITS has no form for units such as dex(solMass): they
    are written as astropy's ``Unit`` reads them.

    Raises
    ------
    ConfigError
        If the ending is another.
    StoreError
        If the file cannot be written.
    """
    if path.suffix == ".fits":
        write_hdus([fits.PrimaryHDU(), _table_hdu(table)], path)
    elif path.suffix in (".parquet", ".ecsv"):
        kind = "parquet" if path.suffix == ".parquet" else "ascii.ecsv"
        write_with(lambda part: table.write(part, format=kind), path)
    else:
        raise ConfigError(f"{path}: cannot write {path.suffix!r}; wanted .fits, .parquet or .ecsv")


def _table_hdu(table: QTable) -> fits.BinTableHDU:
    """Return a table whose units are text that FITS may hold."""
    hdu = fits.table_to_hdu(Table({name: _plain(table[name]) for name in table.colnames}))
    for column in hdu.columns:
        unit = table[column.name].info.unit
        if unit is not None and str(unit):
            column.unit = fits_unit(str(unit))
    hdu.name = "SEDS"
    return hdu


def _plain(column: Any) -> NDArray[Any]:  # noqa: ANN401  astropy is untyped
    """Return a column's values without its unit, masked where it is."""
    values = getattr(column, "value", column)
    mask = np.asarray(getattr(values, "mask", False))
    plain = np.asarray(getattr(values, "unmasked", values))
    return np.ma.MaskedArray(plain, mask) if mask.any() else plain


def _fluxes(table: Table, band: TableBand, unit: str, pivot_wave: float) -> tuple[Floats, Floats]:
    """Return fluxes and uncertainties of one band [uJy]."""
    values = [_numbers(table, name) for name in band.columns]
    own = [_unit_of(table, name) for name in band.columns]
    require_alike([f"column {name!r}" for name in band.columns], own)
    units = [each or unit for each in own]
    of_magnitudes = [each in MAGNITUDES for each in units]
    if units[0] == units[1] or all(of_magnitudes):
        return in_microjansky(*values, unit=units[0], pivot_wave=pivot_wave)
    if any(of_magnitudes):
        raise ConfigError(
            f"columns {' and '.join(band.columns)} have the units {' and '.join(units)}; wanted"
            " both in magnitudes, or none"
        )
    flux, _ = in_microjansky(values[0], values[1], unit=units[0], pivot_wave=pivot_wave)
    _, error = in_microjansky(values[0], values[1], unit=units[1], pivot_wave=pivot_wave)
    return flux, error


def _unit_of(table: Table, name: str) -> str:
    """Return a column's own unit, or nothing."""
    unit = table[name].info.unit
    return "" if unit is None else str(unit)


def _numbers(table: Table, name: str) -> Floats:
    """Return a column as numbers, NaN where it is masked.

    Raises
    ------
    ConfigError
        If there is no such column, or it holds something else.
    """
    if name not in table.colnames:
        raise ConfigError(f"there is no column {name!r}; there are {', '.join(table.colnames)}")
    column = getattr(table[name], "value", table[name])
    try:
        filled = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"column {name!r} holds no numbers: {error}") from error
    if filled.ndim != 1:
        raise ConfigError(f"column {name!r} has shape {filled.shape}; wanted one number a row")
    return np.asarray(filled, np.float64)


def _limits(table: Table, band: TableBand) -> NDArray[np.bool_]:
    """Return where a band's flux is an upper limit."""
    name = band.limit or f"{LIMIT}{band.name}"
    if band.limit is None and name not in table.colnames:
        return np.zeros(len(table), dtype=np.bool_)
    if name in table.colnames and table[name].dtype.kind == "b":
        return np.asarray(np.ma.filled(np.ma.asarray(table[name]), fill_value=False), np.bool_)
    values = _numbers(table, name)
    if not np.all(np.isin(values[np.isfinite(values)], (0.0, 1.0))):
        raise ConfigError(f"column {name!r} tells which fluxes are limits; wanted true or false")
    return np.asarray(values == 1)


def _ids(table: Table, name: str, faults: list[str]) -> list[str]:
    """Return the names of rows, and add what is wrong with them to ``faults``."""
    if name not in table.colnames:
        if name != "id":
            faults.append(f"there is no column {name!r}; there are {', '.join(table.colnames)}")
        return [str(row) for row in range(len(table))]
    nameless = [row for row, each in enumerate(table[name]) if each is np.ma.masked]
    if nameless:
        shown = ", ".join(str(row) for row in nameless[:5])
        faults.append(f"column {name!r}: {len(nameless)} rows have no name, such as {shown}")
        return []
    found = [each.decode() if isinstance(each, bytes) else str(each) for each in table[name]]
    twice = [each for each, count in Counter(found).items() if count > 1]
    if twice:
        shown = ", ".join(repr(each) for each in twice[:5])
        faults.append(f"column {name!r}: {len(twice)} names stand more than once, such as {shown}")
    return found
