"""Absorption by neutral hydrogen between the galaxy and us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.kernels import lyman

if TYPE_CHECKING:
    from numpy.typing import NDArray

LYMAN_LIMIT = 911.753
"""Wavelength of the hydrogen ionisation edge [Angstrom]; NIST."""

LYMAN_LINES = (1215.67, 1025.72, 972.537, 949.743)
"""Lyman alpha to delta [Angstrom, vacuum]; NIST."""

_INOUE_LIMIT = 911.8
"""Wavelength of the ionisation edge in the fits of Inoue et al. (2014) [Angstrom]."""

_FOREST_PIECES = ((1.0, 2.2, 1.2), (2.2, 5.7, 3.7), (5.7, np.inf, 5.5))
"""Range of 1 + z, and power of it, of the forest's opacity; Inoue et al. (2014), eq. 21."""

_DAMPED_PIECES = ((1.0, 3.0, 2.0), (3.0, np.inf, 3.0))
"""The same of damped systems; Inoue et al. (2014), eq. 22."""

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


def inoue2014(wave: NDArray[np.float64], *, redshift: float) -> NDArray[np.float64]:
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
    Inoue et al. (2014, MNRAS 442, 1805, eq. 20-29): 39 Lyman lines and the Lyman continuum, of
    the Lyman alpha forest and of damped systems. The published coefficients are rounded, so
    that the pieces meet to a per cent, and the continuum of damped systems starts at
    -0.0006 (1 + z)**2; it is kept at zero. As in `madau1995`, wavelengths below our own Lyman
    limit get the continuum's value at that limit.
    """
    wave = np.asarray(wave, dtype=np.float64)
    source = 1 + redshift
    absorber = np.clip(wave / _INOUE_LIMIT, 1.0, source)
    depth = _series(wave, source, lyman.FOREST, _FOREST_PIECES)
    depth += _series(wave, source, lyman.DAMPED, _DAMPED_PIECES)
    behind = wave < _INOUE_LIMIT * source
    depth += np.where(behind, np.maximum(_forest_continuum(absorber, source), 0.0), 0.0)
    depth += np.where(behind, np.maximum(_damped_continuum(absorber, source), 0.0), 0.0)
    transmission: NDArray[np.float64] = np.exp(-depth)
    return transmission


def _series(
    wave: NDArray[np.float64],
    source: float,
    opacity: NDArray[np.float64],
    pieces: tuple[tuple[float, float, float], ...],
) -> NDArray[np.float64]:
    """Return the optical depth of all lines, a power law of ``wave / line`` in each piece.

    A wavelength lies in a piece ``(low, high)`` of the lines between ``wave / high`` and
    ``wave / low``, which are neighbours: their sum is a difference of running sums.
    """
    depth = np.zeros_like(wave)
    for (low, high, power), strength in zip(pieces, opacity.T, strict=True):
        if low >= source:
            break
        running = np.concatenate([[0.0], np.cumsum(strength * lyman.WAVE**-power)])
        first = np.searchsorted(lyman.WAVE * min(high, source), wave, side="right")
        stop = np.searchsorted(lyman.WAVE * low, wave, side="right")
        depth += (running[stop] - running[first]) * wave**power
    return depth


def _forest_continuum(x: NDArray[np.float64], source: float) -> NDArray[np.float64]:
    """Return the optical depth of eq. 25-27; ``x`` is the absorber's 1 + z, up to ``source``."""
    depth: NDArray[np.float64]
    if source < 2.2:
        depth = 0.325 * (x**1.2 - source**-0.9 * x**2.1)
    elif source < 5.7:
        depth = 0.0255 * source**1.6 * x**2.1
        depth += np.where(x < 2.2, 0.325 * x**1.2 - 0.250 * x**2.1, -0.0255 * x**3.7)
    else:
        depth = 5.22e-4 * source**3.4 * x**2.1 + np.select(
            [x < 2.2, x < 5.7],
            [0.325 * x**1.2 - 0.0314 * x**2.1, 0.218 * x**2.1 - 0.0255 * x**3.7],
            -5.22e-4 * x**5.5,
        )
    return depth


def _damped_continuum(x: NDArray[np.float64], source: float) -> NDArray[np.float64]:
    """Return the optical depth of eq. 28-29; ``x`` is the absorber's 1 + z, up to ``source``."""
    depth: NDArray[np.float64]
    if source < 3.0:
        depth = 0.211 * source**2 - 0.0766 * source**2.3 * x**-0.3 - 0.135 * x**2
    else:
        depth = 0.0470 * source**3 - 0.0178 * source**3.3 * x**-0.3
        near = 0.634 - 0.135 * x**2 - 0.291 * x**-0.3
        depth += np.where(x < 3.0, near, -0.0292 * x**3)
    return depth
