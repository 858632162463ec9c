"""Dust attenuation laws."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

REFERENCE_WAVE = 5500.0
"""Wavelength of the V band, where optical depths are given [Angstrom]; as in FSPS."""

CALZETTI_RV = 4.05
"""Ratio of total to selective attenuation of starbursts [1]; Calzetti et al. (2000), eq. 5."""

CALZETTI_BREAKS = (1200.0, 6300.0, 31149.8)
"""Where the law's pieces meet and where it reaches zero [Angstrom]."""

BUMP_WAVE = 2175.0
"""Centre of the bump [Angstrom]; Kriek & Conroy (2013), section 3."""

BUMP_WIDTH = 350.0
"""Full width of the bump at half maximum [Angstrom]; Kriek & Conroy (2013), section 3."""

BIRTH_CLOUD_LOG_AGE = 7.0
"""log10 of the greatest age of stars inside birth clouds [yr]; Charlot & Fall (2000)."""

_BIRTH_CLOUD_SLOPE = -1.0
"""Slope of the birth clouds' attenuation [1]; FSPS's default ``dust1_index``."""

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


def drude_bump(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the profile of the bump at 2175 Angstrom, 1 at its centre.

    Parameters
    ----------
    wave : (...) float64
        Rest-frame wavelength, > 0 [Angstrom].

    Returns
    -------
    profile : (...) float64
        Between 0 and 1.

    Notes
    -----
    A Drude profile: Kriek & Conroy (2013, ApJ 775, L16, eq. 2), after Noll et al. (2009,
    A&A 507, 1793).
    """
    across = np.asarray(wave, dtype=np.float64) * BUMP_WIDTH
    away = np.square(wave) - BUMP_WAVE**2
    profile: NDArray[np.float64] = across**2 / (away**2 + across**2)
    return profile


def birth_cloud(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the attenuation of birth clouds in units of that at 5500 Angstrom.

    Parameters
    ----------
    wave : (...) float64
        Rest-frame wavelength, > 0 [Angstrom].

    Returns
    -------
    attenuation : (...) float64
        To be multiplied by the optical depth ``dust1``; stars of up to 10 Myr, and their
        nebulae, see it besides the diffuse dust.

    Notes
    -----
    Charlot & Fall (2000, ApJ 539, 718), with the slope -1 that FSPS gives the clouds by
    default; the paper's own is -0.7.
    """
    relative: NDArray[np.float64] = (np.asarray(wave, np.float64) / REFERENCE_WAVE) ** (
        _BIRTH_CLOUD_SLOPE
    )
    return relative


def tied_bump(index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the strength of the bump that goes with a slope.

    Parameters
    ----------
    index : (...) float64
        Slope of the ratio to Calzetti's law; negative is steeper.

    Returns
    -------
    bump : (...) float64
        E_b; negative, a trough, for slopes above 0.447.

    Notes
    -----
    Kriek & Conroy (2013, ApJ 775, L16, eq. 3).
    """
    return 0.85 - 1.9 * index


def _flat(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 at all wavelengths."""
    return np.ones_like(wave, dtype=np.float64)


def _no_bump(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 0 at all wavelengths."""
    return np.zeros_like(wave, dtype=np.float64)


def _bump_over_av(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bump of unit E_b in units of A_V."""
    return drude_bump(wave) / CALZETTI_RV


class Law(NamedTuple):
    """An attenuation law, ``(base + E_b bump) (wave / 5500 Angstrom)**n``.

    It gives the optical depth of diffuse dust in units of the parameter ``dust2``.

    Attributes
    ----------
    base, bump : callable
        From rest-frame wavelengths (...) [Angstrom] to (...) float64.
    sloped : bool
        Whether n is a parameter, ``dust_index``; otherwise it is 0.
    breaks : tuple of float
        Wavelengths [Angstrom], increasing, between which six nodes of
        `pxdask.kernels.spectra.interpolation_columns` stand for ``exp(-depth law)``: kinks
        of the law and of spectra (912), steep and curved stretches of the ultraviolet.

    Notes
    -----
    With these breaks the worst error of the flux in 28 ultraviolet to infrared filters at
    redshifts 0-6.5, attenuated by less than 5 mag, is 0.01 per cent (calzetti), 0.02
    (charlot_fall with birth clouds) and 0.07 (kriek_conroy), over the registry's priors,
    E_b up to 6 and depths up to 4.
    """

    base: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    bump: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    sloped: bool
    breaks: tuple[float, ...]


_KRIEK_CONROY_BREAKS = (912.0, 1200.0, 1650.0, 2000.0, 2300.0, 2700.0, 4000.0, 6300.0, 31149.8)

LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "calzetti": Law(
            calzetti, _no_bump, sloped=False, breaks=(912.0, 1200.0, 2500.0, 6300.0, 31149.8)
        ),
        "charlot_fall": Law(_flat, _no_bump, sloped=True, breaks=(912.0, 1500.0, 2500.0, 4000.0)),
        "kriek_conroy": Law(
            calzetti,
            _bump_over_av,
            sloped=True,
            breaks=_KRIEK_CONROY_BREAKS,
        ),
    }
)
"""Laws by their names in the settings.

``calzetti``: Calzetti et al. (2000). ``charlot_fall``: the power law of Charlot & Fall (2000)
for the diffuse dust; `birth_cloud` comes on top. ``kriek_conroy``: Noll et al. (2009) as in
Kriek & Conroy (2013, eq. 1), FSPS's ``dust_type = 4``, whose normalisation it shares: with a
bump of E_b the law is 1 + 0.0014 E_b, not 1, at 5500 Angstrom.
"""


def relative_depth(
    law: Law,
    wave: NDArray[np.float64],
    *,
    index: NDArray[np.float64] | float = 0.0,
    bump: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """Return the optical depth of a law in units of ``dust2``.

    Parameters
    ----------
    law : Law
        One of `LAWS`.
    wave : (n_wave,) float64
        Rest-frame wavelengths, > 0 [Angstrom].
    index : float64
        Slope n; (n_model, 1) for one a model. Not used by laws that are not sloped.
    bump : float64
        Strength E_b, of the same shape. Of no effect on laws without a bump.

    Returns
    -------
    depth : float64
        Of the shape to which the arguments broadcast, (n_model, n_wave).

    Notes
    -----
    See `LAWS` for the sources. A negative E_b can make the law negative; it is not cut.
    """
    depth = law.base(wave) + bump * law.bump(wave)
    if law.sloped:
        depth = depth * (np.asarray(wave, np.float64) / REFERENCE_WAVE) ** index
    return depth
