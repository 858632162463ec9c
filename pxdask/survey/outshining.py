"""What a galaxy's whole light tells, beside the sum over its bins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.schema import QUANTILES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LOW, _MIDDLE, _HIGH = QUANTILES


def outshining(
    bins: xr.Dataset, whole: xr.Dataset, *, names: Iterable[str]
) -> dict[str, xr.Variable]:
    """Return what the fit of a galaxy's whole light tells of sums over its bins.

    Parameters
    ----------
    bins : Dataset
        Posterior quantiles (bin, quantile) of logarithms of what adds up: masses, rates.
    whole : Dataset
        Schema fit/2, of one bin: the whole light.
    names : iterable of str
        Those of them that both have.

    Returns
    -------
    facts : dict of Variable
        Of each name: ``<name>_integrated`` (quantile,), ``<name>_resolved_err`` [dex],
        ``<name>_difference`` and ``<name>_difference_err`` [dex].

    Notes
    -----
    The difference is the logarithm of the sum of the bins' medians less the median of the whole.
    Its uncertainty is that of both in quadrature: it holds for independent posteriors. Both are of
    the same photons, whose noise shifts both alike, and of the same priors: it is an upper limit
    of what noise does, and knows nothing of what priors do.
    """
    facts: dict[str, xr.Variable] = {}
    for name in names:
        attrs, quantiles = bins[name].attrs, whole[name].isel(bin=0)
        unit, meaning = attrs["units"], attrs.get("long_name", name)
        low, middle, high = (float(quantiles.sel(quantile=q)) for q in (_LOW, _MIDDLE, _HIGH))
        total, total_err = log_sum(*(bins[name].sel(quantile=q).values for q in QUANTILES))
        facts[f"{name}_integrated"] = xr.Variable(
            "quantile",
            quantiles.values.astype(np.float64),
            {"units": unit, "long_name": f"{meaning}: of the whole light"},
        )
        told = {
            "resolved_err": (total_err, "uncertainty of the sum of the bins' medians"),
            "difference": (total - middle, "sum of the bins' medians less that of the whole light"),
            "difference_err": (
                math.hypot(total_err, 0.5 * (high - low)),
                "uncertainty of the difference, of independent posteriors",
            ),
        }
        for end, (value, words) in told.items():
            facts[f"{name}_{end}"] = xr.Variable(
                (), np.float64(value), {"units": "dex", "long_name": f"{meaning}: {words}"}
            )
    return facts


def log_sum(low: Floats, middle: Floats, high: Floats) -> tuple[float, float]:
    """Return the logarithm of a sum of which logarithms are known, and its uncertainty [dex].

    Parameters
    ----------
    low, middle, high : (n,) float64
        Quantiles 0.16, 0.5 and 0.84 of log10 of each part, in any unit; NaN is left out.

    Returns
    -------
    total, total_err : float
        Of the parts' medians; half the distances of the linear quantiles in quadrature, as a part
        of the sum. NaN where no part is known.
    """
    known = np.isfinite(low) & np.isfinite(middle) & np.isfinite(high)
    if not known.any():
        return math.nan, math.nan
    # the greatest is taken out, so that no unit overflows
    unit = float(middle[known].max())
    parts = 10.0 ** (middle[known] - unit)
    widths = 0.5 * (10.0 ** (high[known] - unit) - 10.0 ** (low[known] - unit))
    total = float(parts.sum())
    total_err = float(np.sqrt((widths**2).sum())) / (total * math.log(10))
    return unit + math.log10(total), total_err
