"""Whether chains of a sampler tell the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]


def split_rhat(chain: Floats | Singles) -> Floats:
    """Return the potential scale reduction of each parameter, each chain in halves.

    Parameters
    ----------
    chain : (n_step, n_walker, n_dim)
        Positions of walkers, or of chains.

    Returns
    -------
    rhat : (n_dim,) float64
        1 where all halves tell the same; NaN where a parameter does not vary in any of them,
        or there are fewer than four steps.

    Notes
    -----
    Gelman et al. 2013 (Bayesian Data Analysis, 3rd edition), equations 11.1 to 11.4, not of
    ranks: what is sampled here has no long tails. A chain of n steps of autocorrelation time tau
    has about ``1 + tau / n`` even where it has converged.
    """
    half = chain.shape[0] // 2
    if half < 2:
        return np.full(chain.shape[2], np.nan)
    halves = np.stack([chain[:half], chain[chain.shape[0] - half :]]).astype(np.float64)
    means = np.mean(halves, axis=1)
    within = np.mean(np.var(halves, axis=1, ddof=1), axis=(0, 1))
    between = np.var(means.reshape(-1, chain.shape[2]), axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(within > 0, between / within, np.nan)
    return np.asarray(np.sqrt((half - 1) / half + ratio))
