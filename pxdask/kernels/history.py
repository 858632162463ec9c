"""Forms of star formation histories, and how far a fixed rule integrates each of them.

Times are in Gyr; t is the time since the start of star formation. A history may be a burst
far shorter than the steps between old ages, or spread its mass over thirty e-foldings of time.
Each form therefore has a natural coordinate x, t or ln t, and a formula for the stretch of it,
a panel, that five Gauss-Legendre points integrate well.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from numba import njit

from pxdask.kernels.fastmath import exp, log

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SFH_KINDS = {
    "tau": 0,
    "delayed_tau": 1,
    "lognormal": 2,
    "gaussian": 3,
    "double_power_law": 4,
    "piecewise": 5,
}
"""Number by which compiled code knows each form."""

TAU, DELAYED_TAU, LOGNORMAL, GAUSSIAN, DOUBLE_POWER_LAW, PIECEWISE = SFH_KINDS.values()

N_RULE = 5
"""Gauss-Legendre points of a panel."""
_LATE = 35.0
"""-ln of the rate, relative to its peak, below which late star formation is left out where it
would need panels of its own; young stars outshine old ones by less than e**15."""
_EARLY = 20.0
"""The same before the peak, where what is left out is old [1]."""
_TURN = 10.0
"""|ln((t / tau)^(alpha + beta))| beyond which a double power law is a single one to 5e-5."""


class History(NamedTuple):
    """One history with what is derived from its parameters once.

    ``density`` means mass formed per unit of the natural coordinate x: t, or ln t where
    ``logarithmic``. It is one or near it at its peak, ``reference`` its logarithm there.
    ``start`` and ``end``: where it leaves and reaches what is negligible; ``now``: the
    present, all in x.
    """

    kind: int
    age: float
    logarithmic: bool
    first: float
    second: float
    third: float
    reference: float
    start: float
    end: float
    now: float


@njit(cache=True, error_model="numpy")
def _tau_history(kind: int, age: float, rate: float) -> History:
    """Prepare the forms ``tau`` and ``delayed_tau``; ``rate`` is 1 / tau."""
    peak = age if rate * age < 1 else 1 / rate
    # t exp(-t / tau) has lost 35 e-foldings from its peak only after 40
    end = (_LATE if kind == TAU else _LATE + 5.0) / rate
    logarithmic = False
    return History(kind, age, logarithmic, rate, peak, 0.0, 0.0, 0.0, end, age)


@njit(cache=True, error_model="numpy")
def _normal_history(kind: int, age: float, centre: float, rate: float) -> History:
    """Prepare the forms ``gaussian`` and ``lognormal``; ``rate`` is 1 / tau."""
    logarithmic = kind == LOGNORMAL
    now = log(age) if logarithmic else age
    peak = min(centre, now) if logarithmic else min(max(centre, 0.0), now)
    squared = ((peak - centre) * rate) ** 2
    start = centre - sqrt(squared + 2 * _EARLY) / rate
    end = centre + sqrt(squared + 2 * _LATE) / rate
    if not logarithmic:
        start = max(start, 0.0)
    return History(kind, age, logarithmic, centre, rate, 0.0, squared / 2, start, end, now)


@njit(cache=True, error_model="numpy")
def _double_power_history(age: float, ln_tau: float, fall: float, rise: float) -> History:
    """Prepare a double power law; its mass per ln t peaks where alpha > 1 makes it fall."""
    now, logarithmic = log(age), True
    peak = now
    if fall > 1:
        peak = min(now, ln_tau + log((1 + rise) / (fall - 1)) / (fall + rise))
    y = peak - ln_tau
    slope = fall if y > 0 else -rise
    reference = peak - slope * y - log(1 + exp(-(fall + rise) * abs(y)))
    start = min(peak, ln_tau) - _EARLY / (1 + rise)
    end = max(peak, ln_tau) + _LATE / fall
    return History(
        DOUBLE_POWER_LAW, age, logarithmic, ln_tau, fall, rise, reference, start, end, now
    )


@njit(cache=True, error_model="numpy")
def history_of(kind: int, age: float, shape: NDArray[np.float64]) -> History:
    """Return a history ready to be integrated."""
    if kind == DOUBLE_POWER_LAW:
        return _double_power_history(age, shape[0], shape[1], shape[2])
    if kind in (LOGNORMAL, GAUSSIAN):
        return _normal_history(kind, age, shape[0], shape[1])
    return _tau_history(kind, age, shape[0])


@njit(cache=True, error_model="numpy", inline="always")
def _delayed_density(x: float, peak: float, rate: float) -> float:
    """Return t exp(-t / tau), one at its peak."""
    return x / peak * exp(rate * (peak - x))


@njit(cache=True, error_model="numpy", inline="always")
def _normal_density(x: float, centre: float, rate: float, reference: float) -> float:
    """Return a Gaussian, one where ``reference`` is minus the exponent."""
    z = (x - centre) * rate
    return exp(reference - 0.5 * z * z)


@njit(cache=True, error_model="numpy", inline="always")
def _double_power_density(
    x: float, ln_tau: float, fall: float, rise: float, reference: float
) -> float:
    """Return t times a double power law in ln t; the steeper power cannot overflow."""
    y = x - ln_tau
    steep = y * (fall if y > 0 else -rise)
    return exp(x - steep - reference) / (1 + exp(-(fall + rise) * abs(y)))


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def density(history: History, x: float) -> float:
    """Return the mass formed per unit of the natural coordinate."""
    if history.kind == TAU:
        return exp(-history.first * x)
    if history.kind == DELAYED_TAU:
        return _delayed_density(x, history.second, history.first)
    if history.kind == DOUBLE_POWER_LAW:
        return _double_power_density(
            x, history.first, history.second, history.third, history.reference
        )
    return _normal_density(x, history.first, history.second, history.reference)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def fill_density(history: History, x: NDArray[np.float64]) -> None:
    """Replace natural coordinates by the density there.

    One plain loop a form, which the compiler can vectorise.
    """
    first, second, third = history.first, history.second, history.third
    reference = history.reference
    if history.kind == TAU:
        for j in range(x.shape[0]):
            x[j] = exp(-first * x[j])
    elif history.kind == DELAYED_TAU:
        for j in range(x.shape[0]):
            x[j] = _delayed_density(x[j], second, first)
    elif history.kind == DOUBLE_POWER_LAW:
        for j in range(x.shape[0]):
            x[j] = _double_power_density(x[j], first, second, third, reference)
    else:
        for j in range(x.shape[0]):
            x[j] = _normal_density(x[j], first, second, reference)


@njit(cache=True, error_model="numpy")
def panel(history: History, x: float) -> float:
    """Return the length of a panel that starts at x.

    The error of five points in such a panel is up to 2e-6 for exponentials (five e-foldings)
    and t exp(-t / tau), 4e-5 for a Gaussian (three standard deviations, fewer in the wings),
    and 1e-5 for double power laws; two e-foldings of time are the most.
    """
    if history.kind == TAU:
        return 5 / history.first
    if history.kind == DELAYED_TAU:
        return 4 / history.first
    if history.kind == DOUBLE_POWER_LAW:
        both = history.second + history.third
        turned = (x - history.first) * both
        if -_TURN - 1e-6 < turned < _TURN - 1e-6:
            return min(2.0, 4 / both)
        return min(2.0, 5 / (1 + (history.third if turned < 0 else history.second)))
    z = abs(x - history.first) * history.second
    length = 3 / (history.second * max(1.0, z / 1.7))
    if history.kind == GAUSSIAN:
        return length
    # long ago in ln t is one moment in lookback time: nothing else needs to be resolved
    return min(length, max(2.0, history.now - 12 - x))


@njit(cache=True, error_model="numpy")
def next_edge(history: History, x: float, stop: float, scale: float) -> float:
    """Return where a panel that starts at x ends, at ``stop`` at the latest."""
    length = scale * panel(history, x)
    edge, least = x + length, 1e-9 * length
    if history.kind == DOUBLE_POWER_LAW:
        # slopes change here: no panel reaches across
        turn = _TURN / (history.second + history.third)
        for border in (history.first - turn, history.first + turn):
            if x + least < border < edge:
                edge = border
    return stop if edge > stop - least else edge


@njit(cache=True, error_model="numpy")
def coordinate(history: History, time: float) -> float:
    """Return the natural coordinate of a time since the start of star formation."""
    if history.logarithmic:
        return log(time) if time > 0 else history.start
    return time
