"""What a network is given of an SED: fluxes and errors without their scale, and what is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SOFTENING = 0.1
"""Flux, over the scale, below which a colour is linear and not logarithmic [1]."""

N_HARMONIC = 32
"""Harmonics of ln(1 + z) that a network is given: a break moves through a medium band while the
redshift changes by a twentieth, which a network does not learn of the redshift itself."""

HARMONIC_PERIOD = 2.56
"""Longest period of ln(1 + z): from redshift 0 to 12. The shortest is 0.08, twice the resolution of
the bands between which a feature moves [1]."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs of a network.

    Attributes
    ----------
    values : (n_sed, n_input) float32
        Finite: ``asinh(flux / error)``, ``log10(error / scale)``, whether there is a flux, and
        ``asinh(flux / (SOFTENING scale))``, each of all bands; then, where one was given, the
        redshift and the sines and cosines of `N_HARMONIC` multiples of ln(1 + z).
    scale : (n_sed,) float64
        Flux density that stands for the SED's brightness [uJy]; NaN where no band is usable.
    """

    values: NDArray[np.float32]
    scale: Floats


def n_inputs(n_band: int, *, redshift: bool) -> int:
    """Return the number of inputs of SEDs of some bands, with or without a redshift."""
    return 4 * n_band + (1 + 2 * N_HARMONIC) * redshift


def inputs(flux: Floats, error: Floats, *, redshift: Floats | None = None) -> Inputs:
    """Return what a network is given of some SEDs.

    Parameters
    ----------
    flux, error : (n_sed, n_band) float64
        Flux density and 1-sigma uncertainty [uJy]. A band is missing where one of them is not
        finite or the error is not positive; its inputs are zeros, whatever is written there.
    redshift : (n_sed,) float64, optional
        Of each SED, where the network is conditioned on it.

    Returns
    -------
    inputs : Inputs
        An SED's numbers do not depend on the others.

    Notes
    -----
    The scale is the mean flux weighted by the inverse variance, and at least its own 1-sigma
    uncertainty. Fluxes and errors times a factor give the same inputs, and the scale times the
    factor: so a network knows SEDs of any brightness. Where errors are a part of the flux, flux
    over error tells nothing of it, and colours do.
    """
    usable = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    own_flux, own_error = np.where(usable, flux, 0.0), np.where(usable, error, 1.0)
    scale = _scale(own_flux, own_error, usable)
    n_sed, n_band = flux.shape
    values = np.zeros((n_sed, n_inputs(n_band, redshift=redshift is not None)), np.float32)
    with np.errstate(invalid="ignore"):
        ln_depth = np.log10(own_error / scale[:, None])
    values[:, :n_band] = np.arcsinh(own_flux / own_error)
    values[:, n_band : 2 * n_band] = np.where(usable, ln_depth, 0.0)
    values[:, 2 * n_band : 3 * n_band] = usable
    with np.errstate(invalid="ignore"):
        colour = np.arcsinh(own_flux / (SOFTENING * scale[:, None]))
    values[:, 3 * n_band : 4 * n_band] = np.where(usable, colour, 0.0)
    if redshift is not None:
        values[:, 4 * n_band] = redshift
        values[:, 4 * n_band + 1 :] = _harmonics(redshift)
    return Inputs(values, scale)


def _harmonics(redshift: Floats) -> Floats:
    """Return sines, then cosines, of multiples of ln(1 + z), (n_sed, 2 N_HARMONIC)."""
    steps = np.arange(1, N_HARMONIC + 1) * (2 * math.pi / HARMONIC_PERIOD)
    phase = np.log1p(redshift)[:, None] * steps
    return np.concatenate([np.sin(phase), np.cos(phase)], axis=1)


def _scale(flux: Floats, error: Floats, usable: NDArray[np.bool_]) -> Floats:
    """Return the scale of each SED; band after band, so that no sum depends on how many SEDs."""
    total, weight = np.zeros(len(flux)), np.zeros(len(flux))
    # in units of the least error: squares of small numbers vanish
    least = np.where(usable, error, np.inf).min(axis=1, initial=np.inf)
    for band in range(flux.shape[1]):
        inverse = np.where(usable[:, band], (least / error[:, band]) ** 2, 0.0)
        total += inverse * flux[:, band]
        weight += inverse
    weight[weight == 0] = np.nan
    return np.asarray(np.maximum(total / weight, least / np.sqrt(weight)))
