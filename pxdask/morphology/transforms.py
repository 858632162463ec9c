"""From numbers without bounds, which are fitted, to physical ones; for numpy and JAX alike.

Each parameter of a source in a band is a function of one number z. Where the prior is flat
between bounds, z has a standard normal prior and the value is its probability: what is fitted has
no edges, and the prior is exactly the flat one. Where the prior is given, as a normal one between
bounds, the value is its quantile at the probability of z, so that it, too, is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

Kind = Literal["linear", "log", "bounded", "log_bounded", "truncated"]

MOST_Z = 37.0
"""Distance from zero [standard deviations] beyond which a truncated value stays as it is: normal
probabilities are below the least number there."""

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
linear and log, and the ends of the range (or of its logarithm) where there are bounds. What has
a given prior is `truncated` in place of bounded or log, and needs a mean and a width as well."""


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
    quantile: Callable[[Any], Any] = ndtri,
    given: tuple[Any, Any] | None = None,
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
    quantile : function
        Its inverse.
    given : tuple of (..., n_local) array, optional
        Mean and width of given priors; anything where the kind is not truncated.
    """
    is_log = np.array([kind in ("log", "log_bounded") for kind in kinds])
    is_bounded = np.array([kind in ("bounded", "log_bounded") for kind in kinds])
    straight = low + high * z
    inside = low + (high - low) * probability(z)
    plain = xp.where(is_bounded, inside, straight)
    # exp only of what is meant for it: a flux would overflow, and its NaN enter the gradients
    values = xp.where(is_log, xp.exp(xp.where(is_log, plain, 0.0)), plain)
    is_given = np.array([kind == "truncated" for kind in kinds])
    if given is None or not is_given.any():
        return values
    # numbers of others would have no quantile, and their NaN enter the gradients
    numbers = [
        xp.where(is_given, number, usual)
        for number, usual in zip((low, high, *given), (-1.0, 1.0, 0.0, 1.0), strict=True)
    ]
    truncated = _truncated(z, *numbers, xp=xp, probability=probability, quantile=quantile)
    return xp.where(is_given, truncated, values)


def _truncated(
    z: Any,  # noqa: ANN401  arrays of numpy or JAX
    low: Any,  # noqa: ANN401
    high: Any,  # noqa: ANN401
    mean: Any,  # noqa: ANN401
    std: Any,  # noqa: ANN401
    *,
    xp: ModuleType,
    probability: Callable[[Any], Any],
    quantile: Callable[[Any], Any],
) -> Any:  # noqa: ANN401
    """Return the quantiles, at the probability of z, of a normal between two ends.

    Both sides are reckoned from their own tail: probabilities near one have no digits left.
    """
    near = xp.clip(z, -MOST_Z, MOST_Z)
    is_lower = near < 0
    below, above = probability((low - mean) / std), probability((mean - high) / std)
    tail = probability(xp.where(is_lower, near, -near)) * (1 - below - above)
    away = quantile(xp.where(is_lower, below, above) + tail)
    return mean + std * xp.where(is_lower, away, -away)


def z_of(value: float, *, kind: Kind, low: float, high: float) -> float:
    """Return the z of a value; of one beyond its bounds, that of their outer 1e-3."""
    plain = np.log(value) if kind in ("log", "log_bounded") else value
    place = (plain - low) / (high - low) if "bounded" in kind else (plain - low) / high
    return float(ndtri(np.clip(place, 1e-3, 1 - 1e-3))) if "bounded" in kind else float(place)
