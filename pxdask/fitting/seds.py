"""What is fitted: photometry, spectra, or both, of any number of objects."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_OF_ALL = ("wave", "lsf_fwhm")
"""Arrays that all SEDs share."""


@dataclass(frozen=True, eq=False)
class Seds:
    """Observed SEDs.

    Attributes
    ----------
    flux, flux_err : (n_sed, n_band) float64
        Flux density and its 1-sigma uncertainty [uJy]. A band counts where both are finite and
        the uncertainty is positive.
    keys : tuple
        Names of each SED's random stream, such as (galaxy, bin): ``len(keys) == n_sed``.
    upper_limit : (n_sed, n_band) bool, optional
        Where ``flux`` is an upper limit and ``flux_err`` the 1-sigma softness of it.
    wave : (n_wave,) float64, optional
        Wavelengths of the spectra, increasing [Angstrom, vacuum, observed frame].
    lsf_fwhm : (n_wave,) float64, optional
        Full width at half maximum of the line spread function [Angstrom].
    spectrum, spectrum_err : (n_sed, n_wave) float64, optional
        Spectra [1e-17 erg s-1 cm-2 Angstrom-1] and their uncertainty; a wavelength counts where
        a band would.

    Raises
    ------
    DataError
        If fluxes are not of two dimensions, shapes do not agree, or wavelengths do not increase.
    """

    flux: Floats
    flux_err: Floats
    keys: tuple[tuple[str | int, ...], ...]
    upper_limit: NDArray[np.bool_] | None = None
    wave: Floats | None = None
    lsf_fwhm: Floats | None = None
    spectrum: Floats | None = None
    spectrum_err: Floats | None = None

    def __post_init__(self) -> None:
        n_sed = len(self.keys)
        wanted: dict[str, tuple[int, ...]] = {"flux": (n_sed, *np.shape(self.flux)[1:2])}
        wanted["flux_err"] = wanted["upper_limit"] = wanted["flux"]
        if self.wave is not None:
            wanted["wave"] = wanted["lsf_fwhm"] = np.shape(self.wave)[:1]
            wanted["spectrum"] = wanted["spectrum_err"] = (n_sed, np.size(self.wave))
        faults = []
        if np.ndim(self.flux) != 2:
            faults.append(f"flux {np.shape(self.flux)}, wanted ({n_sed}, n_band)")
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "keys" or value is None:
                continue
            if np.shape(value) != wanted.get(item.name):
                faults.append(f"{item.name} {np.shape(value)}, wanted {wanted.get(item.name)}")
        if (self.spectrum is None) != (self.wave is None) or (self.spectrum is None) != (
            self.spectrum_err is None
        ):
            faults.append("wave, spectrum and spectrum_err go together; one is missing")
        if self.wave is not None and not np.all(np.diff(self.wave) > 0):
            faults.append("wave does not increase")
        if faults:
            raise DataError(f"{n_sed} SEDs of unequal shapes: {'; '.join(faults)}")

    def __len__(self) -> int:
        return len(self.keys)

    def rows(self, start: int, stop: int) -> Seds:
        """Return the SEDs from ``start`` to before ``stop``."""
        return self._cut(slice(start, stop), self.keys[start:stop])

    def chosen(self, rows: NDArray[np.intp]) -> Seds:
        """Return some of the SEDs (n,), in the order given."""
        return self._cut(rows, tuple(self.keys[i] for i in rows))

    def require_bands(self, n_band: int) -> None:
        """Check the number of bands.

        Raises
        ------
        DataError
            If it is not that of the models.
        """
        if self.flux.shape[1] != n_band:
            raise DataError(f"the SEDs have {self.flux.shape[1]} bands, the models {n_band}")

    def _cut(self, rows: slice | NDArray[np.intp], keys: tuple[tuple[str | int, ...], ...]) -> Seds:
        """Return some of the SEDs, which have these keys."""
        cut = {
            item.name: getattr(self, item.name)[rows]
            for item in fields(self)
            if item.name not in ("keys", *_OF_ALL) and getattr(self, item.name) is not None
        }
        return replace(self, keys=keys, **cut)
