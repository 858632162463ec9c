"""What the prior of mass does to an evidence: best likelihoods made means over mass."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pxdask.fitting.target import HALF_RANGE
from pxdask.kernels.amplitude import ln_mean_over_amplitude
from pxdask.kernels.pair_likelihood import pair_ln_likelihood

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.fitting.weighing import OneSed

    Floats = NDArray[np.float64]

_LN_RANGE = HALF_RANGE * math.log(10)

_LN_RELATIVE = np.linspace(math.log(1e-4), math.log(1e4), 1001)
"""Relative errors at which `ln_share` is known; between them it is right to 1e-4."""


_LEAST = 1e-15
"""Relative errors below it are rounded away [1]."""


def ln_share(relative: float) -> float:
    """Return the natural log of a Gaussian amplitude's mean likelihood over its greatest.

    Parameters
    ----------
    relative : float
        Error of the amplitude over the amplitude, > 0 [1].

    Returns
    -------
    ln_share : float
        The mean is over a prior that is even in the logarithm, `HALF_RANGE` dex to both sides of
        the amplitude: for small errors ``sqrt(2 pi) relative / (2 HALF_RANGE ln 10)``.
    """
    known, at = _shares(), math.log(relative)
    least = float(_LN_RELATIVE[0])
    return float(np.interp(at, _LN_RELATIVE, known)) + min(at - least, 0.0)


@cache
def _shares() -> Floats:
    """Return `ln_share` at `_LN_RELATIVE`, by quadrature, which takes longer than its use."""
    signal = np.exp(-_LN_RELATIVE)[:, None]
    n = len(signal)
    ln_mean = ln_mean_over_amplitude(
        signal,
        np.ones((n, 1)),
        np.zeros((n, 1), np.bool_),
        signal.astype(np.float32),
        sed=np.arange(n),
        low=np.full(n, -_LN_RANGE),
        width=2 * _LN_RANGE,
    )
    return np.asarray(ln_mean + 0.5 * math.log(2 * math.pi))


def ln_over_mass(
    sed: OneSed, model_flux: Floats, *, dof: float, relative: float, of_best: float
) -> float:
    """Return the natural log of the mean over mass of an SED's likelihood over that at the best.

    Parameters
    ----------
    sed : OneSed
        Bands that the amplitude is of.
    model_flux : (n_band,) float64
        Of the best model at its amplitude [uJy].
    dof : float
        Degrees of freedom of Student's t; infinity: the Gaussian [1].
    relative, of_best : float
        Relative error of the amplitude: the posterior's usual one, and the best model's [1].

    Notes
    -----
    A Gaussian without limits depends on the relative error alone. Other forms are integrated
    for the best model; others are wider as their relative errors are.
    """
    relative, of_best = (min(max(each, _LEAST), 1 / _LEAST) for each in (relative, of_best))
    if math.isinf(dof) and not sed.limited.size:
        return ln_share(relative)
    flux, error = sed.flux.copy(), sed.error.copy()
    limit = np.zeros(flux.size, np.bool_)
    flux[sed.limited], error[sed.limited], limit[sed.limited] = sed.limit, sed.softness, True
    # single precision holds no flux of any unit, but shares of the brightest
    unit = float(np.max(np.abs(model_flux)))
    model = (model_flux / unit).astype(np.float32)[None]
    bands = (flux[None] / unit, error[None] / unit, limit[None], model)
    row = np.zeros(1, np.intp)
    mean = ln_mean_over_amplitude(
        *bands, sed=row, low=np.array([-_LN_RANGE]), width=2 * _LN_RANGE, dof=dof
    )
    best = pair_ln_likelihood(*bands, scale=np.ones(1), sed=row, dof=dof)
    return float(mean[0] - best[0]) + math.log(relative / of_best)
