"""Sersic profiles as mixtures of Gaussians, whose Fourier transforms are Gaussians too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import gammaincinv, gammaln

from pxdask.core.morphology import INDEX_RANGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

INDEX_RANGES = {"jax": INDEX_RANGE, "pysersic": (0.65, 8.0)}
"""The same by engine: pysersic's renderer has no amplitudes of its Gaussians beyond."""

LADDERS = ((-9.5, 31), (-2.75, 8))
"""log2 of the least sigma [r_eff], and number, of Gaussians in each ladder; every sigma is sqrt(2)
times the one before, so that each Gaussian is the square of its neighbour. The second ladder lies
between rungs of the first, where profiles of n < 0.7 have their edge."""

RIDGE = 1e-4
"""Weight of small amplitudes against small residuals: keeps those of n < 0.5 below a hundred."""

_N_KNOT = 80


@dataclass(frozen=True, eq=False)
class Mixture:
    """Amplitudes of Gaussians as cubic splines of the logarithm of the index.

    Attributes
    ----------
    sigma : (n_gauss,) float64
        Widths [r_eff], ladder after ladder.
    knots : (n_knot,) float64
        Natural logarithms of the index, evenly spaced.
    coefficients : (4, n_knot - 1, n_gauss) float64
        Of powers 3 to 0 of the distance from the knot below.
    """

    sigma: Floats
    knots: Floats
    coefficients: Floats

    def amplitudes(self, index: float) -> Floats:
        """Return the parts (n_gauss,) of the flux in each Gaussian; some are negative."""
        at = np.log(index)
        last = len(self.knots) - 2
        below = int(np.clip(np.searchsorted(self.knots, at) - 1, 0, last))
        step = at - self.knots[below]
        return np.asarray(step ** np.arange(3, -1, -1) @ self.coefficients[:, below], np.float64)


def concentration(index: Floats | float) -> Floats:
    """Return b_n, for which half of the light is within r_eff: exact (Ciotti 1991)."""
    return np.asarray(gammaincinv(2 * np.asarray(index), 0.5), dtype=np.float64)


def sersic_brightness(radius: Floats, *, index: float) -> Floats:
    """Return the surface brightness of a round profile of unit flux.

    Parameters
    ----------
    radius : array
        Distance from the centre [r_eff].
    index : float
        Sersic index n.

    Returns
    -------
    brightness : array like radius
        [r_eff-2]

    Notes
    -----
    Sersic (1968); normalisation of Graham and Driver (2005), eq. 4.
    """
    b = concentration(index)
    ln_scale = 2 * index * np.log(b) - np.log(2 * np.pi * index) - gammaln(2 * index)
    return np.asarray(np.exp(ln_scale - b * radius ** (1 / index)), dtype=np.float64)


@lru_cache(maxsize=1)
def mixture() -> Mixture:
    """Return the mixtures of Sersic profiles of all indices; made once in a process."""
    return mixture_of(sersic_brightness)


def mixture_of(brightness: Callable[..., Floats]) -> Mixture:
    """Return the mixtures of a family of profiles, in some 20 ms.

    Amplitudes are those of least squares of the flux per unit of ln r, from 1e-5 to 300 r_eff.
    What is left of it is at most (of the total flux) 2e-5 for n from 0.6 to 5, 2e-4 down to 0.4,
    1.4e-3 at 0.3 and 1.1e-2 at 0.2, where it alternates within a tenth of r_eff about the edge.
    Light beyond 60 r_eff is left out: 0.1 % of n = 6, 1 % of n = 10.

    Parameters
    ----------
    brightness : function
        Of radius [r_eff] and ``index``, as `sersic_brightness`.

    Notes
    -----
    The mixture is that of Hogg and Lang (2013); the ladder of squares, and amplitudes as smooth
    functions of n, are ours. For n > 0.5 the amplitudes sample a positive density, and converge
    exponentially with the spacing of the ladder.
    """
    sigma = np.concatenate([2.0 ** (low + 0.5 * np.arange(count)) for low, count in LADDERS])
    radius = np.exp(np.arange(np.log(1e-5), np.log(300.0), 0.02))
    scaled = radius[:, None] / sigma
    terms = scaled**2 * np.exp(-0.5 * scaled**2)
    knots = np.linspace(np.log(INDEX_RANGE[0]) - 0.01, np.log(INDEX_RANGE[1]) + 0.01, _N_KNOT)
    flux = np.stack(
        [2 * np.pi * radius**2 * brightness(radius, index=n) for n in np.exp(knots)], axis=1
    )
    system = np.vstack([terms, 10 * RIDGE * np.eye(len(sigma))])
    wanted = np.vstack([flux, np.zeros((len(sigma), _N_KNOT))])
    amplitudes = np.linalg.lstsq(system, wanted, rcond=None)[0].T
    spline = CubicSpline(knots, amplitudes)
    return Mixture(sigma=sigma, knots=knots, coefficients=np.asarray(spline.c, np.float64))
