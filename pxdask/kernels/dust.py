"""Dust attenuation laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CALZETTI_RV = 4.05
"""Ratio of total to selective attenuation of starbursts [1]; Calzetti et al. (2000), eq. 5."""

CALZETTI_BREAKS = (1200.0, 6300.0, 31149.8)
"""Where the law's pieces meet and where it reaches zero [Angstrom]."""

_UV_SLOPE = -0.77
"""Logarithmic slope below 1200 Angstrom [1]; gives k(970 Angstrom) = 14.28, as does the
far-ultraviolet extension of Leitherer et al. (2002, ApJS 140, 303, eq. 14)."""


def calzetti(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the starburst attenuation law, ``A(wave) / A_V``.

    Parameters
    ----------
    wave : (...) float64
        Rest-frame wavelength, > 0 [Angstrom].

    Returns
    -------
    attenuation : (...) float64
        In units of A_V, >= 0.

    Notes
    -----
    Calzetti et al. (2000, ApJ 533, 682, eq. 4), divided by R_V = 4.05. The published range
    is 1200-22000 Angstrom. Redwards the law goes on to its zero at 3.11 micron; bluewards
    it is a power law through its value at 1200 Angstrom. The two published pieces differ by
    0.7 per cent at 6300 Angstrom, where the red one is used.
    """
    micron = np.asarray(wave, dtype=np.float64) * 1e-4
    blue = 2.659 * _cubic(np.maximum(micron, 0.12)) + CALZETTI_RV
    blue *= (np.minimum(micron, 0.12) / 0.12) ** _UV_SLOPE
    red = 2.659 * (-1.857 + 1.040 / micron) + CALZETTI_RV
    return np.maximum(np.where(micron < 0.63, blue, red), 0.0) / CALZETTI_RV


def _cubic(micron: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bracket of the blue piece of equation 4."""
    inverse = 1 / micron
    return -2.156 + inverse * (1.509 + inverse * (-0.198 + inverse * 0.011))
