"""From Balmer lines to dust and star formation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import MPC_CM
from pxdask.ifs.lines import REST_WAVE
from pxdask.kernels.dust import CALZETTI_RV, calzetti

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

INTRINSIC_DECREMENT = 2.86
"""L(H alpha) / L(H beta) without dust [1]; case B, Osterbrock 1989."""

SFR_PER_LUMINOSITY = 4.65e-42
"""Star formation rate of unit H alpha luminosity [Msun yr-1 (erg s-1)-1]; Kennicutt 1998 for the
initial mass function of Chabrier 2003: 7.9e-42 / 1.7 (Abdurro'uf et al. 2021, eq. 9)."""

NEBULAR_RV = 3.1
"""R_V of Calzetti's law for gas [1]; Abdurro'uf et al. 2021, section 6.5."""

MIN_SNR = 2.0
"""Signal-to-noise ratio of H alpha and H beta above which dust is corrected for [1]; the same."""

FLUX_UNIT = 1e-17
"""Unit of fluxes of lines [erg s-1 cm-2]."""

LUMINOSITY_UNIT = 1e40
"""Unit of luminosities of lines [erg s-1]; in erg s-1 a map of float32 would overflow."""


@dataclass(frozen=True, eq=False)
class BalmerDust:
    """What the Balmer decrement tells of dust in front of gas; (n,) float64 each.

    Attributes
    ----------
    decrement : (n,) float64
        F(H alpha) / F(H beta) [1]; NaN where H beta is not positive.
    ebv : (n,) float64
        Colour excess E(B-V) of the gas [mag], not negative.
    attenuation : (n,) float64
        Of H alpha [mag], not negative.
    """

    decrement: Floats
    ebv: Floats
    attenuation: Floats


@dataclass(frozen=True, eq=False)
class StarFormation:
    """Dust, luminosity and star formation of Balmer lines; (n,) float64 each.

    Uncertainties are half of the range from the 16th to the 84th percentile of the bootstrap.

    Attributes
    ----------
    decrement, decrement_err : (n,) float64
        F(H alpha) / F(H beta) [1].
    ebv, ebv_err : (n,) float64
        E(B-V) of the gas [mag].
    attenuation, attenuation_err : (n,) float64
        Of H alpha [mag].
    luminosity, luminosity_err : (n,) float64
        Of H alpha, corrected [1e40 erg s-1].
    sfr, sfr_err : (n,) float64
        Star formation rate [Msun yr-1].
    """

    decrement: Floats
    decrement_err: Floats
    ebv: Floats
    ebv_err: Floats
    attenuation: Floats
    attenuation_err: Floats
    luminosity: Floats
    luminosity_err: Floats
    sfr: Floats
    sfr_err: Floats


def balmer_dust(halpha: Floats, hbeta: Floats) -> BalmerDust:
    """Return dust from the Balmer decrement.

    Parameters
    ----------
    halpha, hbeta : (...) float64
        Observed fluxes, in one unit.

    Returns
    -------
    dust : BalmerDust
        Decrements below 2.86, which no dust makes, give none; those of fluxes that are not
        positive are NaN.

    Notes
    -----
    Abdurro'uf et al. 2021, equations 6 and 7, with the law of Calzetti et al. 2000 and R_V = 3.1.
    """
    usable = (halpha > 0) & (hbeta > 0)
    ratio = np.divide(halpha, hbeta, out=np.full(np.shape(halpha), np.nan), where=usable)
    excess = np.maximum(2.5 * np.log10(ratio / INTRINSIC_DECREMENT), 0.0)
    k_alpha, k_beta = (_nebular_law(REST_WAVE[name]) for name in ("halpha", "hbeta"))
    ebv = excess / (k_beta - k_alpha)
    return BalmerDust(ratio, ebv, ebv * k_alpha)


def line_luminosity(flux: Floats, *, distance: float) -> Floats:
    """Return the luminosity [1e40 erg s-1] of a flux [1e-17 erg s-1 cm-2] at a distance [Mpc]."""
    sphere = 4 * math.pi * (distance * MPC_CM) ** 2
    return np.asarray(sphere * FLUX_UNIT / LUMINOSITY_UNIT * flux, np.float64)


def star_formation(
    halpha: Floats,
    hbeta: Floats,
    *,
    halpha_err: Floats,
    hbeta_err: Floats,
    distance: float,
    rng: np.random.Generator,
    n_draws: int = 100,
) -> StarFormation:
    """Return star formation rates of H alpha, corrected for dust.

    Parameters
    ----------
    halpha, hbeta, halpha_err, hbeta_err : (n,) float64
        Observed fluxes and 1-sigma uncertainties [1e-17 erg s-1 cm-2].
    distance : float
        Luminosity distance [Mpc].
    rng : numpy.random.Generator
        Source of the bootstrap.
    n_draws : int
        Pairs of fluxes drawn for uncertainties.

    Returns
    -------
    found : StarFormation
        NaN where a line has a signal-to-noise ratio of 2 or less, or is missing: without H beta
        the dust is not known.

    Notes
    -----
    Abdurro'uf et al. 2021, section 6.5, equations 6 to 9. Errors are theirs (Gaussian bootstrap),
    but from percentiles: where H beta is faint, few draws of a near-zero H beta would rule a
    standard deviation. Draws with an H beta that is not positive stand at the greatest dust.
    """
    good = (halpha > MIN_SNR * halpha_err) & (hbeta > MIN_SNR * hbeta_err)
    good &= (halpha_err > 0) & (hbeta_err > 0)
    noise = rng.standard_normal((n_draws, 2, halpha.size))
    alpha, beta = halpha[good], hbeta[good]
    best = _properties(alpha, beta, distance)
    drawn = _properties(
        np.maximum(alpha + noise[:, 0, good] * halpha_err[good], 1e-3 * alpha),
        np.maximum(beta + noise[:, 1, good] * hbeta_err[good], 1e-3 * beta),
        distance,
    )
    found = {}
    for name, value in best.items():
        low, high = np.percentile(drawn[name], (15.865, 84.135), axis=0)
        for key, each in ((name, value), (f"{name}_err", 0.5 * (high - low))):
            found[key] = np.full(halpha.shape, np.nan)
            found[key][good] = each
    return StarFormation(**found)


def _properties(halpha: Floats, hbeta: Floats, distance: float) -> dict[str, Floats]:
    """Return what follows from fluxes of Balmer lines, by name."""
    dust = balmer_dust(halpha, hbeta)
    luminosity = line_luminosity(halpha * 10 ** (0.4 * dust.attenuation), distance=distance)
    return {
        "decrement": dust.decrement,
        "ebv": dust.ebv,
        "attenuation": dust.attenuation,
        "luminosity": luminosity,
        "sfr": SFR_PER_LUMINOSITY * LUMINOSITY_UNIT * luminosity,
    }


def _nebular_law(wave: float) -> float:
    """Return A(wave) / E(B-V) of gas: Calzetti's law, whose R_V is a constant added."""
    return float(calzetti(np.array(wave))) * CALZETTI_RV - CALZETTI_RV + NEBULAR_RV
