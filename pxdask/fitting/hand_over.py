"""SEDs that a network is not to be believed of, fitted by another method in one dataset."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.flags import Flag
from pxdask.core.schema import FIT
from pxdask.fitting.mcmc import OF_MCMC
from pxdask.fitting.results import blank
from pxdask.kernels.likelihood import usable_bands

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.fitting.fitter import Prepared
    from pxdask.fitting.seds import Seds

logger = logging.getLogger(__name__)

OF_NETWORK = ("efficiency", "predictive_p", "outlier_score", "redshift_ratio")
"""Variables that stay what the network found."""

_KEPT_FLAGS = int(Flag.OUT_OF_DISTRIBUTION)
"""Flags that stay as they were found with the network."""


def has_spectrum(seds: Seds, settings: FitConfig) -> NDArray[np.bool_]:
    """Return which SEDs (n_sed,) have a spectrum that is to be fitted, or are to have one.

    Raises
    ------
    ConfigError
        If there are any, which a network knows nothing of, and nothing is handed over.
    """
    use = settings.spectrum.use
    found = np.full(len(seds), use == "spectrum")
    if use == "both" and seds.spectrum is not None and seds.spectrum_err is not None:
        found = np.asarray(np.any(usable_bands(seds.spectrum, seds.spectrum_err), axis=1))
    if np.any(found) and settings.npe.hand_over == "none":
        raise ConfigError(
            f"{np.count_nonzero(found)} of {len(seds)} SEDs have a spectrum to fit"
            f" (fit.spectrum.use: {use}), and a network knows photometry alone; wanted"
            " fit.npe.hand_over: rdsps or mcmc, or fit.spectrum.use: photometry"
        )
    if np.any(found):
        logger.info(
            "%d of %d SEDs have a spectrum to fit, which no network knows: left to %s",
            np.count_nonzero(found), len(seds), settings.npe.hand_over,
        )  # fmt: skip
    return found


def with_blanks(fit: xr.Dataset, settings: FitConfig) -> xr.Dataset:
    """Return a fit with the variables that only handed over SEDs have, whether there are any.

    So blocks of SEDs have the same variables, whatever becomes of each.
    """
    if settings.npe.hand_over != "mcmc":
        return fit
    blanks = {}
    for name in OF_MCMC:
        values = np.full(fit.sizes["bin"], blank(name)).astype(FIT.variables[name].dtype)
        blanks[name] = (FIT.variables[name].dims, values, FIT.attrs(name))
    return fit.assign(blanks)


def with_handed_over(
    fit: xr.Dataset, other: Prepared, seds: Seds, *, rows: NDArray[np.intp]
) -> xr.Dataset:
    """Return a fit in which some SEDs are fitted by another method.

    Parameters
    ----------
    fit : Dataset
        Schema fit/2, of all SEDs, with every variable that the other method gives.
    other : Prepared
        The other method, of the same models.
    seds : Seds
        All SEDs.
    rows : (n,) int
        Those to hand over.

    Returns
    -------
    fit : Dataset
        What only the network tells stays: `efficiency` and the like. What the other method does
        not tell is `pxdask.fitting.results.blank`.
    """
    found = other.fit(seds.chosen(rows))
    joined = {}
    for name, variable in fit.data_vars.items():
        if "bin" not in variable.dims or name in OF_NETWORK:
            continue
        values = variable.values.copy()
        if name == "flags":
            kept = values[rows] & np.uint16(_KEPT_FLAGS)
            values[rows] = found["flags"].values | kept | np.uint16(int(Flag.HANDED_OVER))
        elif name in found:
            values[rows] = found[name].values
        else:
            values[rows] = blank(str(name))
        joined[name] = (variable.dims, values, variable.attrs)
    return FIT.validate(fit.assign(joined))
