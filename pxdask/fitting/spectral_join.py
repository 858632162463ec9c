"""Fits of SEDs with and without spectra, as one dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.schema import FIT
from pxdask.fitting.results import blank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.fitting.seds import Seds

    Indices = NDArray[np.intp]


def interleaved(
    fit: xr.Dataset, plain: xr.Dataset, rows: Indices, plain_rows: Indices
) -> xr.Dataset:
    """Return two fits as one, each SED in its place; of what one of them lacks, see `blank`."""
    joined = xr.Dataset(coords=fit.coords, attrs=fit.attrs)
    n_bin = rows.size + plain_rows.size
    for name in [*fit.data_vars, *(n for n in plain.data_vars if n not in fit)]:
        source = fit[name] if name in fit else plain[name]
        if "bin" not in source.dims:
            joined[name] = source.variable
            continue
        values = np.full((n_bin, *source.shape[1:]), blank(str(name)), source.dtype)
        for one, place in ((fit, rows), (plain, plain_rows)):
            if name in one:
                values[place] = one[name].values
        joined[name] = xr.Variable(source.dims, values, source.attrs)
    return joined


def with_spectral_variables(fit: xr.Dataset, seds: Seds, *, n_order: int) -> xr.Dataset:
    """Return a fit with every variable of spectra, so that blocks of SEDs have the same ones."""
    joined = fit.copy()
    n_bin = fit.sizes["bin"]
    for name, values in (("wave", seds.wave), ("lsf_fwhm", seds.lsf_fwhm)):
        if values is not None and name not in joined:
            joined[name] = ("wave", np.asarray(values, np.float64), FIT.attrs(name))
    # What all SEDs share is a coordinate: blocks of SEDs are joined variable by variable.
    joined = joined.set_coords([name for name in ("wave", "lsf_fwhm") if name in joined])
    blanks = {
        "model_spectrum": np.full((n_bin, joined.sizes["wave"]), np.nan),
        "polynomial": np.full((n_bin, n_order), np.nan),
        "spectrum_chi2": np.full(n_bin, np.nan),
        "spectrum_n_used": np.zeros(n_bin, np.int32),
    }
    for name, values in blanks.items():
        if name not in joined:
            joined[name] = (FIT.variables[name].dims, values, FIT.attrs(name))
    return joined
