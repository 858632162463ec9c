"""Whether chains of an ensemble are long enough to be believed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Chain = NDArray[np.float32] | NDArray[np.float64]

WINDOW = 5.0
"""The sum of autocorrelations ends at this many times itself (Sokal 1996, section 3)."""

BURN_IN = 5.0
"""Autocorrelation times that are left out at the start of a chain, half of it at most."""

PER_TAU = 2.0
"""Samples kept of each autocorrelation time: more would be all but copies."""


def autocorrelation_time(chain: Chain) -> Floats:
    """Return the integrated autocorrelation time of each parameter.

    Parameters
    ----------
    chain : (n_step, n_walker, n_dim)
        Positions of walkers.

    Returns
    -------
    tau : (n_dim,) float64
        In steps, 1 or more; NaN where a parameter does not vary, or there is one step.

    Notes
    -----
    ``1 + 2 sum_t rho(t)``, up to the smallest t that is `WINDOW` times the sum (Sokal 1996, lecture
    notes, section 3). The autocovariances are means over walkers about the mean of all, and not
    of each walker: walkers that stay apart make tau long. By fast Fourier transform.
    """
    n_step = chain.shape[0]
    if n_step < 2:
        return np.full(chain.shape[2], np.nan)
    mean = np.mean(chain, axis=(0, 1), dtype=np.float64)
    series = np.subtract(chain, mean, dtype=chain.dtype, casting="same_kind")
    n_fft = fft.next_fast_len(2 * n_step, real=True)
    transform = fft.rfft(series, n_fft, axis=0)
    power = np.mean(transform.real**2 + transform.imag**2, axis=1, dtype=np.float64)
    covariance = fft.irfft(power, n_fft, axis=0)[:n_step]
    # not each lag over its own number of pairs, which is noisier where these are few
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = covariance / np.where(covariance[0] > 0, covariance[0], np.nan)
    sums = 2 * np.cumsum(correlation, axis=0) - 1
    ends = np.arange(n_step)[:, None] >= WINDOW * sums
    last = np.where(np.any(ends, axis=0), np.argmax(ends, axis=0), n_step - 1)
    tau = np.take_along_axis(sums, last[None], axis=0)[0]
    return np.asarray(np.maximum(tau, 1.0))


def burn_in(n_step: int, *, tau: float) -> int:
    """Return how many steps to leave out at a chain's start.

    Parameters
    ----------
    n_step : int
        Length of the chain.
    tau : float
        Longest autocorrelation time so far [steps]; NaN where not known yet.

    Returns
    -------
    n_left_out : int
        `BURN_IN` times ``tau``, rounded up; half of the chain where that is less, or ``tau``
        is not known.
    """
    if not math.isfinite(tau):
        return n_step // 2
    return min(math.ceil(BURN_IN * tau), n_step // 2)


def thinning(n_step: int, n_walker: int, *, tau: float, most: int) -> int:
    """Return the spacing of the steps that are kept.

    Parameters
    ----------
    n_step, n_walker : int
        Size of the chain without its burn-in.
    tau : float
        Longest autocorrelation time [steps].
    most : int
        Samples to keep at most.

    Returns
    -------
    spacing : int
        ``tau / PER_TAU``, more where the samples would be too many, and 1 or more.
    """
    by_tau = int(tau / PER_TAU) if math.isfinite(tau) else 1
    return min(max(by_tau, math.ceil(n_step * n_walker / most), 1), max(n_step, 1))
