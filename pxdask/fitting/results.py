"""Posteriors as every fitter reports them."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import FIT, QUANTILES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.fitting.seds import Seds

    Floats = NDArray[np.float64]
    Variables = dict[str, Any]

logger = logging.getLogger(__name__)

ODD_SCALES = (1e-6, 1e16)
"""Masses formed between which a flux is believed [Msun]."""

_NUMBERS = ("chi2", "n_used", "n_eff", "ln_evidence")
_COUNTS = ("n_used", "spectrum_n_used")


@dataclass(frozen=True, eq=False)
class SedPosterior:
    """What one SED says; `nothing` is the answer where it says nothing.

    Attributes
    ----------
    quantiles : (n_result, n_quantile)
        Quantiles of each result at `pxdask.core.schema.QUANTILES`.
    mean, std : (n_result,)
        Posterior mean and standard deviation of each.
    model_flux : (n_band,)
        Of the best model [uJy].
    chi2, n_eff, ln_evidence : float
        Of the best model; effective number of models or samples; NaN where not known.
    n_used : int
        Bands fitted.
    flags : int
        Bits of `Flag`.
    samples : (n_result, n_sample), optional
        Draws from the posterior, where they are kept.
    extra : mapping
        Optional variables of schema fit/2 with dimension ``bin`` alone, by name.
    spectral : mapping
        Optional variables of schema fit/2 with one more dimension, by name.
    """

    quantiles: Floats
    mean: Floats
    std: Floats
    model_flux: Floats
    chi2: float = math.nan
    n_used: int = 0
    n_eff: float = math.nan
    ln_evidence: float = math.nan
    flags: int = int(Flag.NOT_FITTED)
    samples: Floats | None = None
    extra: Mapping[str, float] = field(default_factory=dict)
    spectral: Mapping[str, Floats] = field(default_factory=dict)


def nothing(n_result: int, n_band: int, *, n_sample: int = 0, n_used: int = 0) -> SedPosterior:
    """Return the posterior of an SED that cannot be fitted."""
    return SedPosterior(
        quantiles=np.full((n_result, len(QUANTILES)), np.nan),
        mean=np.full(n_result, np.nan),
        std=np.full(n_result, np.nan),
        model_flux=np.full(n_band, np.nan),
        n_used=n_used,
        samples=np.full((n_result, n_sample), np.nan) if n_sample else None,
    )


def blank(name: str) -> float:
    """Return the value that a variable of schema fit/2 has where nothing is known.

    NOT_FITTED of ``flags``; 0 of numbers of data; -1 of other integers; NaN of all else.
    """
    if name == "flags":
        return float(Flag.NOT_FITTED)
    if name in _COUNTS:
        return 0.0
    declared = FIT.variables.get(name)
    return -1.0 if declared is not None and declared.dtype.startswith("int") else math.nan


def odd_flux(scale: float, key: tuple[str | int, ...]) -> int:
    """Return the flag ODD_FLUX, with a warning in the log, where an SED deserves it.

    Parameters
    ----------
    scale : float
        Its best amplitude [Msun].
    key : tuple
        Name of its random stream, for the warning.
    """
    least, most = ODD_SCALES
    if least <= scale <= most:
        return 0
    logger.warning(
        "SED %s: the best model has %.3g Msun, wanted %g to %g; check the unit of its fluxes, which"
        " is uJy", key, scale, least, most,
    )  # fmt: skip
    return int(Flag.ODD_FLUX)


def fit_dataset(
    posteriors: Sequence[SedPosterior],
    *,
    results: Mapping[str, Mapping[str, object]],
    bands: xr.Dataset,
    seds: Seds,
    attrs: Mapping[str, object],
    extra: Sequence[str] = (),
) -> xr.Dataset:
    """Return posteriors as schema fit/2.

    Parameters
    ----------
    posteriors : sequence of SedPosterior
        One of each SED, in their order.
    results : mapping
        Attributes (unit, meaning) of each result, in the order of the rows.
    bands : Dataset
        With the coordinates ``band`` and ``pivot_wave``.
    seds : Seds
        What was fitted, for the wavelengths of its spectra.
    attrs : mapping
        What tells how the fit was made, as JSON values.
    extra : sequence of str
        Optional variables with dimension ``bin`` alone that are there even if no SED has them, so
        that blocks of SEDs have the same ones.
    """
    n_bin, n_band, n_result = len(posteriors), bands.sizes["band"], len(results)
    coords: Variables = {
        "band": bands["band"].variable,
        "pivot_wave": bands["pivot_wave"].variable,
        "quantile": ("quantile", np.array(QUANTILES), FIT.attrs("quantile")),
    }
    # a dataset made at once: each variable that is added later costs a millisecond
    fit: Variables = {}
    for name in _NUMBERS:
        values = np.array([getattr(one, name) for one in posteriors])
        fit[name] = ("bin", values.astype(FIT.variables[name].dtype), FIT.attrs(name))
    fit["model_flux"] = (
        ("bin", "band"),
        np.array([one.model_flux for one in posteriors], np.float64).reshape(n_bin, n_band),
        FIT.attrs("model_flux"),
    )
    flags = np.array([one.flags for one in posteriors], np.uint16)
    fit["flags"] = ("bin", flags, {**flag_attrs(), "long_name": "quality flags"})
    _add_results(fit, posteriors, results, n_result)
    _add_extra(fit, coords, posteriors, seds, extra)
    dataset = xr.Dataset(coords=coords, attrs={**attrs, "schema": FIT.tag})
    return FIT.validate(dataset.assign(fit))


def _add_results(
    fit: Variables,
    posteriors: Sequence[SedPosterior],
    results: Mapping[str, Mapping[str, object]],
    n_result: int,
) -> None:
    """Add quantiles, mean, deviation and samples of every result."""
    n_bin = len(posteriors)
    quantiles = np.array([one.quantiles for one in posteriors], np.float64)
    quantiles = quantiles.reshape(n_bin, n_result, len(QUANTILES))
    mean, std = (
        np.array([getattr(one, name) for one in posteriors], np.float64).reshape(n_bin, n_result)
        for name in ("mean", "std")
    )
    samples = [one.samples for one in posteriors if one.samples is not None]
    for i, (name, given) in enumerate(results.items()):
        attrs = dict(given)
        meaning = attrs.get("long_name", name)
        fit[name] = (("bin", "quantile"), quantiles[:, i], attrs)
        fit[f"{name}_mean"] = ("bin", mean[:, i], {**attrs, "long_name": f"mean of {meaning}"})
        fit[f"{name}_std"] = (
            "bin",
            std[:, i],
            {**attrs, "long_name": f"standard deviation of {meaning}"},
        )
        if samples:
            fit[f"{name}_samples"] = (
                ("bin", "sample"),
                np.array([one[i] for one in samples], np.float32),
                {**attrs, "long_name": f"samples of {meaning}"},
            )


def _add_extra(
    fit: Variables,
    coords: Variables,
    posteriors: Sequence[SedPosterior],
    seds: Seds,
    extra: Sequence[str],
) -> None:
    """Add what only some methods or data have; of an SED without it, see `blank`."""
    names = {name for one in posteriors for name in (*one.extra, *one.spectral)} | set(extra)
    if any(one.spectral for one in posteriors) and seds.wave is not None:
        for name, values in (("wave", seds.wave), ("lsf_fwhm", seds.lsf_fwhm)):
            if values is not None:
                coords[name] = ("wave", np.asarray(values, np.float64), FIT.attrs(name))
    for name in sorted(names):
        var = FIT.variables[name]
        given = [one.extra.get(name, one.spectral.get(name)) for one in posteriors]
        shape = next((np.shape(value) for value in given if value is not None), ())
        lacking = np.full(shape, blank(name))
        values = np.array([lacking if value is None else value for value in given])
        fit[name] = (var.dims, values.astype(var.dtype), FIT.attrs(name))
