"""Spectra of a library's models, tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from pxdask.sps.observed import Observer

    Floats = NDArray[np.float64]

TILE = 2048
"""Models whose spectra are made at a time; a multiple of the engine's own block."""

_CACHE_SHARE = 0.4
"""Part of the memory allowed that spectra kept from one pass to the next may take [1]."""


class SpectraTiles:
    """Spectra of a library's models, kept from one pass to the next where memory allows."""

    def __init__(
        self, observer: Observer, parameters: Mapping[str, Floats], max_bytes: float
    ) -> None:
        self.n_model = next(iter(parameters.values())).size
        self._observer, self._parameters = observer, parameters
        keep = 4.0 * self.n_model * observer.wave.size <= _CACHE_SHARE * max_bytes
        self._kept: dict[int, NDArray[np.float32]] | None = {} if keep else None

    def up_to(self, n_model: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the rows and spectra (n_tile, n_wave) of the first models, tile by tile."""
        for start in range(0, n_model, TILE):
            stop = min(start + TILE, n_model)
            yield slice(start, stop), self._tile(start)[: stop - start]

    def one(self, model: int) -> Floats:
        """Return the spectrum of one model, made alone: kept ones may differ in the last bit."""
        one = {name: values[[model]] for name, values in self._parameters.items()}
        return np.asarray(self._observer.spectra(one)[0], np.float64)

    def _tile(self, start: int) -> NDArray[np.float32]:
        """Return the spectra of a tile of models."""
        if self._kept is not None and start in self._kept:
            return self._kept[start]
        rows = slice(start, start + TILE)
        spectra = self._observer.spectra({n: v[rows] for n, v in self._parameters.items()})
        if self._kept is not None:
            self._kept[start] = spectra
        return spectra
