"""Points of the unit cube, from which models are drawn: any slice of one endless sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import qmc

from pxdask.core.errors import ConfigError
from pxdask.core.random import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BITS = 32
"""Bits of a coordinate of a Sobol point; scipy's `fast_forward` knows no more."""

_CHUNK = 4096
"""Random points that share a stream."""


def unit_points(
    kind: Literal["sobol", "random"], *, n_dim: int, seed: int, start: int, stop: int
) -> NDArray[np.float64]:
    """Return the points ``start`` to ``stop`` of the sequence of a seed.

    Parameters
    ----------
    kind : {"sobol", "random"}
        Scrambled Sobol points (Owen 1998, J. Complexity 14, 466), jointly spread and balanced
        when a power of two of them is taken from the first on; or independent ones.
    n_dim : int
        Coordinates of a point.
    seed : int
        Of the run.
    start, stop : int
        First point, and the one after the last.

    Returns
    -------
    points : (stop - start, n_dim) float64
        In [0, 1). A point is the same, to the last bit, in whatever slice.

    Raises
    ------
    ConfigError
        If the slice is not one, or goes beyond the 2^32 points of a Sobol sequence.
    """
    if not 0 <= start <= stop:
        raise ConfigError(f"models [{start}, {stop}); wanted 0 <= start <= stop")
    if kind == "random":
        return _random(n_dim, seed, start, stop)
    if stop > 2**_BITS:
        raise ConfigError(f"{stop} models; a Sobol sequence has {2**_BITS}: take random sampling")
    sequence = qmc.Sobol(n_dim, scramble=True, bits=_BITS, rng=stream(seed, "models"))
    # the first point is drawn alone: scipy warns of any other number that is no power of two
    first = sequence.random(1)
    if start > 1:
        sequence.fast_forward(start - 1)
    rest = sequence.random(max(stop - max(start, 1), 0))
    points = np.concatenate([first, rest]) if start == 0 else rest
    return np.asarray(points[: stop - start], dtype=np.float64)


def _random(n_dim: int, seed: int, start: int, stop: int) -> NDArray[np.float64]:
    """Return independent points; each chunk has a stream of its own."""
    first = start // _CHUNK
    chunks = [
        stream(seed, "models", number).random((_CHUNK, n_dim))
        for number in range(first, -(-stop // _CHUNK))
    ]
    points = np.concatenate([np.empty((0, n_dim)), *chunks])
    return points[start - first * _CHUNK : stop - first * _CHUNK]
