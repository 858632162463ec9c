"""Upper limits in the likelihood of one SED."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import erfcx, log_ndtr

from pxdask.kernels.likelihood import Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Models = NDArray[np.float32] | NDArray[np.float64]

_MILLS = math.sqrt(2 / math.pi)

_NEWTON_STEPS = 60
"""At most; ten are usual."""

_NEWTON_GOAL = 1e-9
"""Step of the amplitude at which Newton's method has arrived [sigma of the amplitude]."""


@dataclass(frozen=True, slots=True)
class Limited:
    """Amplitudes of detections and limits together.

    Attributes
    ----------
    scale : Scale
        Amplitudes, and their uncertainty by the curvature of ln likelihood.
    ln_chance : (n_model,)
        ln likelihood of the limits at them.
    """

    scale: Scale
    ln_chance: Floats


def limited_scale(scale: Scale, limit: Floats, softness: Floats, model: Models) -> Limited:
    """Return amplitudes that fit detections and upper limits together.

    Parameters
    ----------
    scale : Scale
        Amplitudes of the detections alone, (n_model,) [Msun].
    limit, softness : (n_limit,)
        Upper limits and their 1-sigma softness [uJy], all finite, softness positive.
    model : (n_limit, n_model)
        Model flux density in the bands of the limits [uJy Msun-1], not negative.

    Returns
    -------
    limited : Limited
        NaN where the amplitude of the detections is.

    Notes
    -----
    The likelihood of a limit L is Phi((L - s m) / softness), the chance of a noise that hides
    the model (Sawicki 2012, PASP 124, 1208, equation 10). The slope of ln likelihood in s is a
    decreasing and concave function; from the detections' amplitude, where it is not positive,
    Newton's steps go down to its root without ever crossing it.
    """
    value, square = scale.value.copy(), scale.err**-2.0
    start = square * scale.value
    ratio = np.asarray(model, np.float64) / softness[:, None]
    top = (limit / softness)[:, None]
    for _ in range(_NEWTON_STEPS):
        z = top - value * ratio
        mills = _MILLS / erfcx(-z / math.sqrt(2))
        slope = start - square * value - np.sum(ratio * mills, axis=0)
        curve = square + np.sum(ratio**2 * mills * (mills + z), axis=0)
        step = slope / curve
        value += step
        if not np.any(np.abs(step) * np.sqrt(curve) > _NEWTON_GOAL):
            break
    z = top - value * ratio
    return Limited(Scale(value, curve**-0.5), np.sum(log_ndtr(z), axis=0))
