"""Absorption by neutral hydrogen between the galaxy and us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LYMAN_LIMIT = 911.753
"""Wavelength of the hydrogen ionisation edge [Angstrom]; NIST."""

LYMAN_LINES = (1215.67, 1025.72, 972.537, 949.743)
"""Lyman alpha to delta [Angstrom, vacuum]; NIST."""

_LINE_OPACITY = (0.0036, 1.7e-3, 1.1846e-3, 9.410e-4)
"""Coefficients A_2 to A_5 [1]; Madau (1995), below eq. 15."""


def madau1995(wave: NDArray[np.float64], *, redshift: float) -> NDArray[np.float64]:
    """Return the mean transmission of the intergalactic medium.

    Parameters
    ----------
    wave : (...) float64
        Observed wavelength, > 0 [Angstrom].
    redshift : float
        Of the source, >= 0.

    Returns
    -------
    transmission : (...) float64
        Between 0 and 1; 1 redwards of the source's Lyman alpha.

    Notes
    -----
    Madau (1995, ApJ 441, 18): line blanketing by equation 15 with the four published
    coefficients, photoelectric absorption by the approximation of footnote 3. Wavelengths
    below our own Lyman limit, where the Galaxy hides all, get the value at that limit.
    """
    wave = np.asarray(wave, dtype=np.float64)
    depth = np.zeros_like(wave)
    for line, opacity in zip(LYMAN_LINES, _LINE_OPACITY, strict=True):
        depth += np.where(wave < line * (1 + redshift), opacity * (wave / line) ** 3.46, 0.0)
    depth += _photoelectric(wave / LYMAN_LIMIT, 1 + redshift)
    transmission: NDArray[np.float64] = np.exp(-depth)
    return transmission


def _photoelectric(absorber: NDArray[np.float64], source: float) -> NDArray[np.float64]:
    """Return the optical depth of Lyman-continuum absorption; both arguments are 1 + z."""
    first = np.clip(absorber, 1.0, source)
    depth: NDArray[np.float64] = (
        0.25 * first**3 * (source**0.46 - first**0.46)
        + 9.4 * first**1.5 * (source**0.18 - first**0.18)
        - 0.7 * first**3 * (first**-1.32 - source**-1.32)
        - 0.023 * (source**1.68 - first**1.68)
    )
    return depth
