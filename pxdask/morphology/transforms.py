"""From numbers without bounds, which are fitted, to physical ones; for numpy and JAX alike.

Each parameter of a source in a band is a function of one number z. Where the prior is flat
between bounds, z has a standard normal prior and the value is its probability: what is fitted has
no edges, and the prior is exactly the flat one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

Kind = Literal["linear", "log", "bounded", "log_bounded"]

KINDS: dict[str, Kind] = {
    "flux": "linear",
    "point_flux": "linear",
    "bulge_fraction": "bounded",
    "xc": "linear",
    "yc": "linear",
    "theta": "linear",
    "ellip": "bounded",
    "r_eff": "log",
    "n": "log_bounded",
    "disc_theta": "linear",
    "disc_ellip": "bounded",
    "disc_r_eff": "log",
    "sky": "bounded",
    "sky_x": "bounded",
    "sky_y": "bounded",
}
"""Which function of z each parameter is: ``low`` and ``high`` are a zero point and a scale of z in
linear and log, and the ends of the range (or of its logarithm) where there are bounds."""


def kind_of(name: str, profile: str) -> Kind:
    """Return the transform of a parameter; radii have bounds where there are two of them."""
    if profile == "sersic_exponential" and name.endswith("r_eff"):
        return "log_bounded"
    return KINDS[name]


def values_of(
    z: Any,  # noqa: ANN401  arrays of numpy or JAX
    low: Any,  # noqa: ANN401
    high: Any,  # noqa: ANN401
    *,
    kinds: Sequence[Kind],
    xp: ModuleType = np,
    probability: Callable[[Any], Any] = ndtr,
) -> Any:  # noqa: ANN401
    """Return the physical values (..., n_local) of z (..., n_local).

    Parameters
    ----------
    z, low, high : (..., n_local) array
        Of numpy or JAX; see `KINDS`.
    kinds : sequence of str
        Kind of each parameter.
    xp : module
        ``numpy`` or ``jax.numpy``.
    probability : function
        Normal distribution function, of the same kind.
    """
    is_log = np.array([kind in ("log", "log_bounded") for kind in kinds])
    is_bounded = np.array([kind in ("bounded", "log_bounded") for kind in kinds])
    straight = low + high * z
    inside = low + (high - low) * probability(z)
    plain = xp.where(is_bounded, inside, straight)
    # exp only of what is meant for it: a flux would overflow, and its NaN enter the gradients
    return xp.where(is_log, xp.exp(xp.where(is_log, plain, 0.0)), plain)


def z_of(value: float, *, kind: Kind, low: float, high: float) -> float:
    """Return the z of a value; of one beyond its bounds, that of their outer 1e-3."""
    plain = np.log(value) if kind in ("log", "log_bounded") else value
    place = (plain - low) / (high - low) if "bounded" in kind else (plain - low) / high
    return float(ndtri(np.clip(place, 1e-3, 1 - 1e-3))) if "bounded" in kind else float(place)
