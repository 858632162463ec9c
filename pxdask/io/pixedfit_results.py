"""Results of fits in the FITS layouts of piXedfit: one file for each bin.

RDSPS: FIT_PARAMS has two rows, mean and standard deviation. MCMC: three, the 16th, 50th and 84th
percentiles. Both: OBS_PHOTO and BFIT_PHOTO, photometry as it was and of the best model
[erg s-1 cm-2 Angstrom-1], and, where they were kept, SAMPLERS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.schema import FIT, QUANTILES
from pxdask.io.fits import opened_hdus
from pxdask.io.pixedfit_cards import BUNIT, UNIT, bands_of, hdus_of, keys_of, to_ujy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io import fits
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_UNITS = {
    "log_mass": "dex(Msun)",
    "log_sfr": "dex(Msun / yr)",
    "log_dustmass": "dex(Msun)",
    **dict.fromkeys(("log_age", "log_tau", "log_t0", "log_mw_age"), "dex(Gyr)"),
    "log_qpah": "dex(percent)",
    "z": "",
}
"""Units of piXedfit's parameters that are not logarithms of pure numbers."""

_ROWS = {"rdsps": ("mean", "mean_err"), "mcmc": ("p16", "p50", "p84")}
_CHAIN = ("id", "chi2", "lnprob", "chi2_photo", "redcd_chi2_spec")
"""Columns of SAMPLERS that are no parameters."""


@dataclass(frozen=True, slots=True)
class PixedfitFit:
    """What a file of results holds.

    Attributes
    ----------
    method : {"rdsps", "mcmc"}
        How it was fitted.
    parameters : mapping
        Of each parameter its statistics: ``mean`` and ``mean_err``, or ``p16``, ``p50``, ``p84``;
        in piXedfit's units.
    best : mapping
        Parameters of the model of least chi-square, where the file has them; else empty.
    samples : mapping
        Values (n_sample,) of each parameter, and ``chi2``, ``lnprob``, where they were kept; of
        RDSPS all models, to be weighted.
    flux, flux_err, model_flux : (n_band,) float64
        Photometry as it was fitted, and the best model's (of MCMC the median) [uJy].
    model_wave, model_spectrum : (n_wave,) float64
        The model's spectrum, observed frame [Angstrom], [1e-17 erg s-1 cm-2 Angstrom-1]; of MCMC
        the median. Empty where there is none.
    filters : tuple of str
        Names of filters.
    pivot_wave : (n_band,) float64
        [Angstrom].
    header : mapping
        Keys of the file, in lower case.
    """

    method: str
    parameters: Mapping[str, Mapping[str, float]]
    best: Mapping[str, float]
    samples: Mapping[str, Floats]
    flux: Floats
    flux_err: Floats
    model_flux: Floats
    model_wave: Floats
    model_spectrum: Floats
    filters: tuple[str, ...]
    pivot_wave: Floats
    header: Mapping[str, Any]


def read_pixedfit_fit(path: str | Path, *, pivot: Mapping[str, float] | None = None) -> PixedfitFit:
    """Return the result of one fit of piXedfit, by RDSPS or MCMC.

    Parameters
    ----------
    path : Path
        The file of one bin.
    pivot : mapping, optional
        Pivot wavelengths [Angstrom] by filter, for those that `load_filters` does not know.

    Raises
    ------
    DataError
        If the file is absent, damaged or of another kind; the message names HDU and key.
    ConfigError
        If the pivot wavelength of a filter is not known.
    """
    with opened_hdus(path) as hdus:
        header = keys_of(hdus)
        tables = {name: hdu.data for name, hdu in hdus_of(hdus[1:]).items()}
        method = str(header.get("fitmethod", "")).strip()
        if method not in _ROWS:
            raise DataError(
                f"{path}: HDU 0: the key FITMETHOD is {header.get('fitmethod')!r}; wanted rdsps or"
                " mcmc: is it a result of piXedfit's fits?"
            )
        parameters = _parameters(path, tables, header, method)
        best = _first_row(tables.get("MINCHI2_PARAMS"))
        chain = tables.get("SAMPLERS")
        samples = {} if chain is None else {name: _plain(chain, name) for name in _numeric(chain)}
        filters, waves = bands_of(path, header, pivot or {})
        column = "flux" if method == "rdsps" else "p50"
        raw = [
            _column(path, tables, hdu, name)
            for hdu, name in (("OBS_PHOTO", "flux"), ("OBS_PHOTO", "flux_err"))
        ]
        raw.append(_column(path, tables, "BFIT_PHOTO", column))
        if wrong := [values.size for values in raw if values.size != len(filters)]:
            raise DataError(
                f"{path}: there are {len(filters)} filters, and HDU OBS_PHOTO or BFIT_PHOTO has"
                f" {wrong[0]} rows; wanted one for each"
            )
        spectrum = tables.get("BFIT_MOD_SPEC")
        wave, model = np.empty(0), np.empty(0)
        if spectrum is not None:
            wave = _plain(spectrum, "wave")
            name = "flux" if method == "rdsps" else "tot_p50"
            model = _column(path, tables, "BFIT_MOD_SPEC", name) / UNIT
    per_angstrom = {"unit": 1.0, "bunit": BUNIT}
    flux, flux_err, model_flux = (to_ujy(path, values, per_angstrom, waves) for values in raw)
    return PixedfitFit(
        method=method,
        parameters=parameters,
        best=best,
        samples={name: values for name, values in samples.items() if name != "id"},
        flux=flux,
        flux_err=flux_err,
        model_flux=model_flux,
        model_wave=wave,
        model_spectrum=model,
        filters=tuple(filters),
        pivot_wave=waves,
        header=header,
    )


def read_pixedfit_fits(
    paths: Sequence[str | Path], *, pivot: Mapping[str, float] | None = None
) -> xr.Dataset:
    """Return the results of a galaxy's bins as a fit of ours has them, to compare or to map.

    Parameters
    ----------
    paths : sequence of Path
        One file for each bin, in the order of the bins.
    pivot : mapping, optional
        As of `read_pixedfit_fit`.

    Returns
    -------
    fit : Dataset
        ``fit/2``. Of RDSPS, which gives mean and standard deviation, the quantiles are those of a
        normal distribution, as in piXedfit's own figures, and ``attrs["quantiles"]`` says so.
        ``chi2`` is of OBS_PHOTO and BFIT_PHOTO, whose errors have piXedfit's 10 per cent in them;
        ``n_eff`` and ``ln_evidence`` are NaN.

    Raises
    ------
    DataError
        As `read_pixedfit_fit`, or if the files differ in method, filters or parameters.
    ConfigError
        If the pivot wavelength of a filter is not known.
    """
    results = [read_pixedfit_fit(path, pivot=pivot) for path in paths]
    if not results:
        raise DataError("no files of results are given; wanted one for each bin")
    first = results[0]
    for path, result in zip(paths, results, strict=True):
        for what, own, want in (
            ("method", result.method, first.method),
            ("filters", result.filters, first.filters),
            ("parameters", sorted(result.parameters), sorted(first.parameters)),
        ):
            if own != want:
                raise DataError(f"{path}: has {what} {own}, and {paths[0]} {want}; wanted the same")
    values: dict[str, Any] = {}
    for name in first.parameters:
        attrs = {"units": _unit(name), "long_name": f"{name} of piXedfit"}
        rows = np.array([list(one.parameters[name].values()) for one in results])
        if first.method == "rdsps":
            values[f"{name}_mean"] = ("bin", rows[:, 0], attrs)
            values[f"{name}_std"] = ("bin", rows[:, 1], attrs)
            rows = rows[:, :1] + rows[:, 1:] * np.array([-1.0, 0.0, 1.0])
        values[name] = (("bin", "quantile"), rows, attrs)
    return _dataset(results, values)


def _dataset(results: Sequence[PixedfitFit], values: Mapping[str, Any]) -> xr.Dataset:
    """Return fit/2 of results and the variables of their parameters."""
    first, n_bin = results[0], len(results)
    flux, error, model = (
        np.array([getattr(one, name) for one in results])
        for name in ("flux", "flux_err", "model_flux")
    )
    used = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    chi2 = np.where(used, ((flux - model) / np.where(used, error, 1.0)) ** 2, 0.0).sum(axis=1)
    nan = np.full(n_bin, np.nan)
    own: dict[str, NDArray[Any]] = {
        "chi2": chi2,
        "n_used": used.sum(axis=1).astype(np.int32),
        "n_eff": nan,
        "ln_evidence": nan,
        "model_flux": model,
    }
    attrs: dict[str, Any] = {"schema": FIT.tag, "source": "piXedfit", "method": first.method}
    if first.method == "rdsps":
        attrs["quantiles"] = "of a normal distribution with piXedfit's mean and deviation"
    return FIT.validate(
        xr.Dataset(
            {n: (FIT.variables[n].dims, value, FIT.attrs(n)) for n, value in own.items()}
            | dict(values),
            coords={
                "band": ("band", np.array(first.filters, object), FIT.attrs("band")),
                "pivot_wave": ("band", first.pivot_wave, FIT.attrs("pivot_wave")),
                "quantile": ("quantile", np.array(QUANTILES), FIT.attrs("quantile")),
            },
            attrs=attrs,
        )
    )


def _parameters(
    path: str | Path, tables: Mapping[str, Any], header: Mapping[str, Any], method: str
) -> dict[str, dict[str, float]]:
    """Return the statistics of each parameter."""
    table = _table(path, tables, "FIT_PARAMS")
    rows = _ROWS[method]
    if len(table) != len(rows):
        raise DataError(
            f"{path}: HDU FIT_PARAMS has {len(table)} rows; wanted {len(rows)} of {method}:"
            f" {', '.join(rows)}"
        )
    names = _numeric(table)
    listed = [header.get(f"param{i}") for i in range(int(header.get("nparams", 0)))]
    if absent := [name for name in listed if name is not None and str(name) not in names]:
        raise DataError(f"{path}: HDU FIT_PARAMS has no column {', '.join(map(str, absent))}")
    return {
        name: dict(zip(rows, (float(value) for value in table[name]), strict=True))
        for name in names
        if name not in _CHAIN
    }


def _numeric(table: Any) -> list[str]:  # noqa: ANN401  astropy is untyped
    """Return the names of the columns that hold numbers."""
    return [name for name in table.names if np.asarray(table[name]).dtype.kind in "fi"]


def _table(path: str | Path, tables: Mapping[str, Any], hdu: str) -> fits.FITS_rec:
    """Return a table that must be there."""
    if tables.get(hdu) is None:
        raise DataError(
            f"{path} has no HDU {hdu}; wanted a result of piXedfit's fits, got the HDUs"
            f" {', '.join(tables)}"
        )
    return tables[hdu]


def _column(path: str | Path, tables: Mapping[str, Any], hdu: str, name: str) -> Floats:
    """Return a column that must be there."""
    table = _table(path, tables, hdu)
    if name not in table.names:
        raise DataError(
            f"{path}: HDU {hdu} has no column {name!r}; it has {', '.join(table.names)}"
        )
    return _plain(table, name)


def _plain(table: Any, name: str) -> Floats:  # noqa: ANN401  astropy is untyped
    """Return a column's values in the machine's byte order."""
    return np.array(table[name], dtype=np.float64)


def _first_row(table: Any) -> dict[str, float]:  # noqa: ANN401  astropy is untyped
    """Return the numbers in the first row of a table; nothing where there is none."""
    if table is None or not len(table):
        return {}
    return {name: float(table[name][0]) for name in _numeric(table)}


def _unit(name: str) -> str:
    """Return the unit of a parameter of piXedfit."""
    return _UNITS.get(name, "dex" if name.startswith("log") else "")
