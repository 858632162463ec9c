"""Star formation histories as weights on the ages of simple stellar populations.

Times are in Gyr. ``shape`` holds the parameters of a history in the form its formula wants:
for ``tau`` and ``delayed_tau`` the inverse of the e-folding time [Gyr-1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit
from scipy.special import gammainc, gammaincc

from pxdask.kernels.fastmath import exp, log

if TYPE_CHECKING:
    from numpy.typing import NDArray

SFH_KINDS = {"tau": 0, "delayed_tau": 1}
"""Number by which compiled code knows each form."""

_TAU = SFH_KINDS["tau"]
_FIRST_INSTANT = 1e-12
"""Shortest time since the start of star formation that is looked at [Gyr]."""


class AgeQuadrature(NamedTuple):
    """Gauss-Legendre points in the intervals between SSP ages.

    Attributes
    ----------
    node : (n_age,) float64
        Ages of the SSPs, increasing [Gyr].
    point : (n_point, n_age) float64
        Ages of the points [Gyr]; column j lies between nodes j - 1 and j, column 0
        between age zero and node 0.
    younger, older : (n_point, n_age) float64
        Time that a point stands for [Gyr], split between the node before and after it.
    abscissa, weight : (n_point,) float64
        The rule on the interval from 0 to 1.
    """

    node: NDArray[np.float64]
    point: NDArray[np.float64]
    younger: NDArray[np.float64]
    older: NDArray[np.float64]
    abscissa: NDArray[np.float64]
    weight: NDArray[np.float64]


def age_quadrature(log_age: NDArray[np.float64], *, n_point: int | None = None) -> AgeQuadrature:
    """Return the points at which star formation histories are integrated.

    Parameters
    ----------
    log_age : (n_age,) float64
        log10 of the SSP ages, increasing [yr].
    n_point : int, optional
        Points in each interval; default: 6 for steps of 0.05 dex, more for wider ones.
        With 6, a history that declines over 0.1 Gyr puts up to 0.2 per cent of its mass
        on a neighbouring age.

    Returns
    -------
    quadrature : AgeQuadrature

    Notes
    -----
    The scheme of FSPS (Conroy et al. 2009, ApJ 699, 486; its manual, "SFH integration"):
    spectra are linear in log age between nodes, and constant before the first one.
    """
    if n_point is None:
        n_point = max(6, round(120 * float(np.max(np.diff(log_age), initial=0.0))))
    x, weight = np.polynomial.legendre.leggauss(n_point)
    abscissa, weight = (1 + x) / 2, weight / 2
    node = 10.0 ** (np.asarray(log_age, dtype=np.float64) - 9)
    step = np.log(node[1:] / node[:-1])
    point = np.empty((n_point, node.size))
    point[:, 0] = node[0] * abscissa
    point[:, 1:] = node[:-1] * np.exp(step * abscissa[:, None])
    older = np.empty_like(point)
    older[:, 0] = node[0] * weight
    older[:, 1:] = point[:, 1:] * step * (weight * abscissa)[:, None]
    younger = np.zeros_like(point)
    younger[:, 1:] = point[:, 1:] * step * (weight * (1 - abscissa))[:, None]
    return AgeQuadrature(node, point, younger, older, abscissa, weight)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _fill_ln_sfr(
    kind: int,
    age: float,
    point: NDArray[np.float64],
    shape: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write the logarithm of the star formation rate, up to a constant, at each age.

    ``tau``: exp(-t / tau). ``delayed_tau``: t exp(-t / tau), t from the start of star
    formation. One plain loop a form, which the compiler can vectorise.
    """
    inverse_tau = shape[0]
    if kind == _TAU:
        for j in range(out.shape[0]):
            out[j] = (point[j] - age) * inverse_tau
    else:
        for j in range(out.shape[0]):
            time = max(age - point[j], _FIRST_INSTANT)
            out[j] = log(time) - time * inverse_tau


@njit(cache=True, error_model="numpy", fastmath={"nnan", "nsz"})
def _largest(values: NDArray[np.float64], start: float) -> float:
    """Return the largest of ``start`` and the values."""
    for value in values:
        start = max(start, value)
    return start


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_interval_masses(
    rate: NDArray[np.float64],
    largest: float,
    younger: NDArray[np.float64],
    older: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Add what forms at one quadrature point of each interval to the nodes beside it."""
    for j in range(rate.shape[0]):
        rate[j] = exp(rate[j] - largest)
    for j in range(rate.shape[0]):
        out[j] += older[j] * rate[j]
    for j in range(1, rate.shape[0]):
        out[j - 1] += younger[j] * rate[j]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def fill_age_weights(
    kind: int,
    age: float,
    shape: NDArray[np.float64],
    quadrature: AgeQuadrature,
    rate: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Write the weights of one history to ``out`` (n_age,); return how many can be non-zero.

    ``rate`` (n_point + 1, n_age) is scratch. Work is done on logarithms with the largest
    subtracted, so that no history, however steep, loses all its mass to underflow.
    """
    node, point, younger, older, abscissa, weight = quadrature
    n_point, n_age = point.shape
    n_full = np.searchsorted(node, age, side="right")
    start = node[n_full - 1] if n_full > 0 else 0.0
    width = max(age - start, 0.0)
    last = rate[n_point, :n_point]
    _fill_ln_sfr(kind, age, start + width * abscissa, shape, last)
    largest = _largest(last, -1e300)
    for q in range(n_point):
        _fill_ln_sfr(kind, age, point[q], shape, rate[q, :n_full])
        largest = _largest(rate[q, :n_full], largest)
    out[:] = 0.0
    for q in range(n_point):
        _add_interval_masses(rate[q, :n_full], largest, younger[q], older[q], out)
        mass = weight[q] * width * exp(last[q] - largest)
        if 0 < n_full < n_age:
            share = log(1 + width * abscissa[q] / start) / log(node[n_full] / start)
            out[n_full] += mass * share
            out[n_full - 1] += mass * (1 - share)
        else:
            out[min(n_full, n_age - 1)] += mass
    total = 0.0
    for j in range(n_age):
        total += out[j]
    for j in range(n_age):
        out[j] /= total
    return int(min(n_full + 1, n_age))


@njit(cache=True, error_model="numpy")
def _fill_all(
    kind: int,
    age: NDArray[np.float64],
    shape: NDArray[np.float64],
    quadrature: AgeQuadrature,
    out: NDArray[np.float64],
) -> None:
    """Write the weights of every history to ``out`` (n_model, n_age)."""
    n_point, n_age = quadrature.point.shape
    rate = np.empty((n_point + 1, max(n_age, n_point)))
    for i in range(age.shape[0]):
        fill_age_weights(kind, age[i], shape[i], quadrature, rate, out[i])


def age_weights(
    sfh: str,
    age: NDArray[np.float64],
    shape: NDArray[np.float64],
    *,
    quadrature: AgeQuadrature,
) -> NDArray[np.float64]:
    """Return the fraction of the mass formed that each SSP stands for.

    Parameters
    ----------
    sfh : str
        Key of `SFH_KINDS`.
    age : (n_model,) float64
        Time since the start of star formation, > 0 [Gyr].
    shape : (n_model, n_shape) float64
        See the module's docstring.
    quadrature : AgeQuadrature
        Of the SSP ages; a history older than the last is held to it.

    Returns
    -------
    weights : (n_model, n_age) float64
        Rows sum to one.
    """
    out = np.empty((age.size, quadrature.node.size))
    _fill_all(SFH_KINDS[sfh], age, shape, quadrature, out)
    return out


def recent_fraction(
    sfh: str, age: NDArray[np.float64], shape: NDArray[np.float64], *, span: float
) -> NDArray[np.float64]:
    """Return the fraction of the mass that formed in the last ``span`` Gyr.

    Parameters
    ----------
    sfh, age, shape
        As for `age_weights`.
    span : float
        Length of the interval that ends now [Gyr].

    Returns
    -------
    fraction : (n_model,) float64
        1 where the history is younger than ``span``.

    Notes
    -----
    Both forms are gamma distributions of time, of order 1 (tau) and 2 (delayed tau). The
    tail that keeps its digits is used: lower for young, upper for old histories.
    """
    order, rate = SFH_KINDS[sfh] + 1, shape[:, 0]
    now, then = age * rate, np.maximum(age - span, 0.0) * rate
    formed = np.where(
        now < 1,
        gammainc(order, now) - gammainc(order, then),
        gammaincc(order, then) - gammaincc(order, now),
    )
    fraction: NDArray[np.float64] = np.minimum(formed / gammainc(order, now), 1.0)
    return fraction


def mean_age(sfh: str, age: NDArray[np.float64], shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean age of the mass formed [Gyr], (n_model,); arguments as `age_weights`."""
    order, rate = SFH_KINDS[sfh] + 1, shape[:, 0]
    x = age * rate
    mean: NDArray[np.float64] = age - order * gammainc(order + 1, x) / gammainc(order, x) / rate
    return mean
