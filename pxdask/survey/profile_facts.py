"""What Sersic profiles tell of a galaxy, as columns of tables: one value for each band."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.cosmology import kpc_per_arcsec
from pxdask.core.errors import DataError
from pxdask.core.flags import flag_attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig

    Floats = NDArray[np.float64]

PREFIX = "sersic_"
"""What begins the names of the columns."""

GALAXY = 0
"""Place of the galaxy among the sources; neighbours follow."""

_RENAMED = {"xc": "east", "yc": "north"}
_WORDS = {
    "flux": "flux of the whole profile",
    "r_eff": "half-light radius along the major axis",
    "n": "Sersic index",
    "axis_ratio": "minor over major axis",
    "angle": "major axis, from north to east",
    "east": "centre, east of the catalogue's position",
    "north": "centre, north of the catalogue's position",
}


def profile_facts(
    profiles: xr.Dataset, *, bands: Sequence[str], kpc_per_arcsec: float
) -> dict[str, xr.Variable]:
    """Return the columns of a galaxy.

    Parameters
    ----------
    profiles : xarray.Dataset
        Schema morphology/1.
    bands : sequence of str
        Bands of the table; NaN in those that have no profile.
    kpc_per_arcsec : float
        Proper size of an arcsecond.

    Returns
    -------
    facts : dict
        Of each parameter its posterior median ``sersic_NAME`` (band,) and ``sersic_NAME_err``,
        its standard deviation: ellipticities as ``axis_ratio``, theta as ``angle`` [deg, north to
        east, 0 to 180], radii in arcsec and, as ``..._kpc``, in kpc; ``sersic_snr``,
        ``sersic_chi2``, reduced (band,); ``sersic_flags``.
    """
    one = profiles.isel(source=GALAXY)
    names = [str(name) for name in one["band"].values]
    places = [names.index(name) if name in names else -1 for name in bands]

    def column(values: Floats, units: str, meaning: str) -> xr.Variable:
        whole = np.append(np.asarray(values, dtype=np.float64), np.nan)
        return xr.Variable("band", whole[places], {"units": units, "long_name": meaning})

    facts: dict[str, xr.Variable] = {}
    for name in parameters(profiles):
        median, error = one[name].sel(quantile=0.5).values, one[f"{name}_std"].values
        told, units = _told(name), str(one[name].attrs["units"])
        if told.endswith("axis_ratio"):
            median = 1.0 - median
        if told.endswith("angle"):
            median = np.mod(median, 180.0)
        meaning = _WORDS.get(told, str(one[name].attrs.get("long_name", told)))
        facts[f"{PREFIX}{told}"] = column(median, units, meaning)
        facts[f"{PREFIX}{told}_err"] = column(error, units, f"1-sigma uncertainty: {meaning}")
        if told.endswith("r_eff"):
            for end, values in (("", median), ("_err", error)):
                kpc = column(values * kpc_per_arcsec, "kpc", meaning)
                facts[f"{PREFIX}{told}_kpc{end}"] = kpc
    facts[f"{PREFIX}snr"] = column(one["snr"].values, "", "total flux over its error")
    facts[f"{PREFIX}chi2"] = column(one["chi2"].values, "", "reduced chi-square")
    flags = {**flag_attrs(), "long_name": "quality flags of the profiles"}
    facts[f"{PREFIX}flags"] = xr.Variable((), np.int32(one["flags"].values), flags)
    return facts


def known_kpc_per_arcsec(models: ModelConfig, *, redshift: float) -> float:
    """Return the proper size of an arcsecond [kpc]; NaN at a redshift that gives none."""
    try:
        return kpc_per_arcsec(models, redshift=redshift)
    except DataError:
        return float("nan")


def parameters(profiles: xr.Dataset) -> list[str]:
    """Return the names of a Dataset's parameters, schema morphology/1."""
    form = ("source", "band", "quantile")
    return [str(name) for name, values in profiles.data_vars.items() if values.dims == form]


def _told(name: str) -> str:
    """Return a parameter's name in tables; ``ellip`` becomes ``axis_ratio``, disc or not."""
    part, _, last = name.rpartition("_")
    if last == "ellip":
        return f"{part}_axis_ratio" if part else "axis_ratio"
    if last == "theta":
        return f"{part}_angle" if part else "angle"
    return _RENAMED.get(name, name)
