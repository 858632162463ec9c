"""How correlation of the noise of neighbouring pixels raises the errors of their sums."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import vectorize

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def aperture_growth(n_pix: ArrayLike, noise_area: ArrayLike) -> NDArray[np.float64]:
    """Return by how much correlation raises the variance of a sum over a compact region.

    Parameters
    ----------
    n_pix : array_like
        Pixels summed; below 1 counts as 1.
    noise_area : array_like
        Pixels over which the noise is correlated [pix]; below 1 and NaN count as 1.

    Returns
    -------
    growth : float64
        From 1, for one pixel, to ``noise_area``, for very many; broadcast.

    Notes
    -----
    A square of side ``L`` holds ``L - |l|`` pairs of columns at distance ``l``, so with the
    autocorrelation ``rho = exp(-pi l^2 / a^2)``, ``a^2`` the noise area, which factors into the
    two axes, ``g(L) = sum over |l| < L of (1 - |l| / L) rho(l)``. The sum is taken as the integral
    plus the first Euler-Maclaurin term for the kinks at 0 and L: right to 0.2 % in ``g`` for areas
    above 2.7, and to 2 % for those below.
    """
    return np.asarray(growth(*(np.asarray(value, np.float64) for value in (n_pix, noise_area))))


@vectorize(nopython=True, cache=True)
def growth(n_pix: float, noise_area: float) -> float:
    """Return what `aperture_growth` does, of one float64 each; for compiled code."""
    side = math.sqrt(max(n_pix, 1.0))
    reach = math.sqrt(noise_area) if noise_area > 1.0 else 1.0
    if reach == 1.0:
        return 1.0
    far = math.exp(-math.pi * (side / reach) ** 2)
    along = reach * math.erf(math.sqrt(math.pi) * side / reach)
    along -= reach**2 / (math.pi * side) * (1 - far)
    along += (1 - far) / (6 * side)
    return max(1.0, min(along, side, reach)) ** 2
