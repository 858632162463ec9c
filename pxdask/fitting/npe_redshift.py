"""Whether a galaxy's SEDs, which have one redshift, together speak for another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.flags import Flag

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LIMIT = math.log(0.05)
"""Sum of ratios below which a redshift is odd: of galaxies whose redshift is right, 1 in 20 is
there at most, whatever the noise and the number of the SEDs; see `shared_ratio`. At a sum of 0,
where SEDs make a redshift neither likelier nor less likely than it was, a quarter of the galaxies
would be that are too faint to tell anything."""

LEAST = LIMIT
"""What the ratio of one SED counts at least, so that none alone makes a redshift odd. A right
redshift has a smaller one in 0.1 % of mocks. What is below is of a wrong redshift, or of nothing
that the models know, such as a star or a bad band, and how far below says no more."""


def shared_ratio(ratio: Floats) -> float:
    """Return what SEDs of one redshift tell of it together: the sum of what each does.

    Parameters
    ----------
    ratio : (n_sed,) float64
        Natural log of p(z | fluxes) over p(z) of each, at the redshift given; NaN: not known.

    Returns
    -------
    total : float
        Sum, of which each counts `LEAST` at least. NaN where none is known.

    Notes
    -----
    p(z | fluxes) / p(z) = p(fluxes | z) / p(fluxes) is the Bayes factor of the redshift against
    any. The mean of its inverse over fluxes of that redshift is one at most, so that no more than a
    part exp(t) of SEDs has a logarithm below t (Markov's inequality); and so it is with the product
    over independent SEDs. What is cut off at `LEAST` only adds to sums.

    SEDs out of distribution count too: a wrong redshift makes most SEDs so.
    """
    known = ratio[np.isfinite(ratio)]
    return float(np.sum(np.maximum(known, LEAST))) if known.size else math.nan


def with_shared_redshift(fit: xr.Dataset) -> xr.Dataset:
    """Return a fit of all bins of a galaxy, which says whether they speak for another redshift.

    Parameters
    ----------
    fit : Dataset
        Schema fit/2, of one galaxy. One without ``redshift_ratio`` is returned as it is, and so
        is one of which no SED tells anything.

    Returns
    -------
    fit : Dataset
        With `shared_ratio` as ``attrs["redshift_ratio"]``. Where it is below `LIMIT`, all bins are
        flagged ODD_REDSHIFT, those without a posterior too.
    """
    if "redshift_ratio" not in fit or "flags" not in fit:
        return fit
    total = shared_ratio(fit["redshift_ratio"].values)
    if math.isnan(total):
        return fit
    told = fit.assign_attrs(redshift_ratio=total)
    if total >= LIMIT:
        return told
    flags = fit["flags"].variable
    return told.assign(flags=flags.copy(data=flags.values | np.uint16(int(Flag.ODD_REDSHIFT))))
