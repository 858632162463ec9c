"""What a density is of: points of the priors' cube as normal deviates, and mass over brightness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtri

from pxdask.core.cosmology import luminosity_distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig

    Floats = NDArray[np.float64]

_LEAST_TARGET = 1e-10
"""Distance from the cube's ends at which a point is put that lies there: its deviate is finite."""

_MOST_EXACT = 64
"""Redshifts whose distances are computed one by one; of more, they are interpolated."""

_N_NODE = 257
"""Redshifts between which distances are a cubic spline: good to 1e-8 dex from 0.01 to 20."""


def targets(unit: Floats, mass: Floats) -> NDArray[np.float32]:
    """Return targets (..., n_dim + 1): points of the cube as normal deviates, and the mass.

    Parameters
    ----------
    unit : (..., n_dim) float64
        Where the prior is flat; cut to the open cube.
    mass : (...) float64
        log10 of mass, standardised.
    """
    normal = ndtri(np.clip(unit, _LEAST_TARGET, 1 - _LEAST_TARGET))
    return np.asarray(np.concatenate([normal, mass[..., None]], axis=-1), np.float32)


def relative_scale(scale: Floats, redshift: Floats | None, settings: ModelConfig) -> Floats:
    """Return what log10 of the mass formed is compared with, (n_sed,) [dex].

    Parameters
    ----------
    scale : (n_sed,) float64
        Flux density that stands for an SED's brightness [uJy]; NaN gives NaN.
    redshift : (n_sed,) float64 or None
        > 0, where known: twice log10 of the luminosity distance in Mpc is then added.
    settings : ModelConfig
        Gives the cosmology.
    """
    found = np.log10(scale)
    if redshift is None:
        return np.asarray(found)
    nodes, inverse = np.unique(redshift, return_inverse=True)
    if nodes.size <= _MOST_EXACT:
        distance = np.array([luminosity_distance(settings, redshift=z) for z in nodes.tolist()])
        return np.asarray(found + 2 * np.log10(distance)[inverse])
    z = np.geomspace(nodes[0], nodes[-1], _N_NODE)
    distance = np.array([luminosity_distance(settings, redshift=each) for each in z.tolist()])
    return np.asarray(found + 2 * CubicSpline(np.log(z), np.log10(distance))(np.log(redshift)))


def ln_mean(each: Floats) -> Floats:
    """Return the natural log of the mean density over members, the first axis."""
    if len(each) == 1:
        return np.asarray(each[0])
    total = each[0]
    for other in each[1:]:
        total = np.logaddexp(total, other)
    return np.asarray(total - math.log(len(each)))
