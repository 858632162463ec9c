"""Where a cube's file keeps its flux, errors, mask and wavelengths, whatever the survey."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io import fits
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ErrorKind = Literal["sigma", "variance", "ivar"]

DEFAULT_PSF = 2.5
"""FWHM where the file has none [arcsec]: cubes of dithered 2 to 2.7 arcsec fibres, of MaNGA (Law
et al. 2016) and CALIFA (Sanchez et al. 2016)."""

ANY_BIT = -1
"""Mask of bits that stands for all of them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One file's planes and their meaning, as its survey documents them.

    Attributes
    ----------
    flux : int
        Number of the HDU of the flux, (n_wave, ny, nx).
    wave : (n_wave,) float64
        Wavelengths as they are in the file [Angstrom].
    air : bool
        Whether they are in air.
    unit : str
        Unit of the flux where the header does not state one; empty: it must.
    lsf_fwhm : (n_wave,) float64
        Width of the line spread function [Angstrom].
    psf_fwhm : (n_wave,) float64
        Width of the point spread function [arcsec].
    psf : str
        Where that width is from.
    error : int or None
        HDU of the uncertainty.
    error_kind : str
        What that is.
    mask : int or None
        HDU of the mask.
    bad_bits : int
        Bits of the mask that say not to use a value.
    empty_bits : int
        Bits of the mask that say that there is none.
    needs_extinction : bool
        Whether the Milky Way's dust is still in the fluxes.
    ebv : float or None
        The E(B-V) that the file states [mag].
    noise_area : float
        Pixels over which the noise is correlated [pix].
    notes : tuple of str
        What a user should know of how the file was read.
    """

    flux: int
    wave: Floats
    air: bool
    unit: str
    lsf_fwhm: Floats
    psf_fwhm: Floats
    psf: str
    error: int | None = None
    error_kind: ErrorKind = "sigma"
    mask: int | None = None
    bad_bits: int = ANY_BIT
    empty_bits: int = 0
    needs_extinction: bool = True
    ebv: float | None = None
    noise_area: float = 1.0
    notes: tuple[str, ...] = ()


class CubeFile:
    """The HDUs of one file, looked up by name, with errors that name the file.

    Attributes
    ----------
    path : str
        The file.
    hdus : astropy.io.fits.HDUList
        Open HDUs.
    names : list of str
        Their names in capitals; the primary's is PRIMARY where it has none.
    """

    def __init__(self, path: str, hdus: fits.HDUList) -> None:
        self.path = path
        self.hdus = hdus
        self.names = [str(hdu.name).upper() or f"HDU {i}" for i, hdu in enumerate(hdus)]

    def find(self, *names: str) -> int | None:
        """Return the number of the first HDU that has one of these names; None if none has."""
        return next((i for name in names for i, own in enumerate(self.names) if own == name), None)

    def need(self, *names: str) -> int:
        """Return the number of an HDU, or raise `DataError` saying which there are."""
        if (found := self.find(*names)) is None:
            raise DataError(
                f"{self.path} has no HDU {' or '.join(names)}; it has {', '.join(self.names)}"
            )
        return found

    def header(self, index: int) -> fits.Header:
        """Return the header of an HDU."""
        return self.hdus[index].header

    def keyword(self, name: str, *, start: int = 0) -> Any:  # noqa: ANN401  text, number or None
        """Return a keyword's value from one HDU, else the primary, else any; None if absent."""
        order = [start, 0, *range(len(self.hdus))]
        return next((self.header(i)[name] for i in order if name in self.header(i)), None)

    def number(self, name: str, *, start: int = 0) -> float | None:
        """Return a keyword's value where it is a finite number, else None."""
        try:
            value = float(self.keyword(name, start=start))
        except (TypeError, ValueError):
            return None
        return value if np.isfinite(value) else None

    def values(self, index: int) -> Floats:
        """Return all values of a small HDU."""
        return np.array(self.hdus[index].data, dtype=np.float64)

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the shape of an image HDU; empty if it holds none."""
        if not self.hdus[index].is_image:
            return ()
        header = self.header(index)
        return tuple(int(header[f"NAXIS{i}"]) for i in range(int(header["NAXIS"]), 0, -1))

    def first_cube(self, *names: str) -> int:
        """Return the first HDU of these names, else the first at all, that has three axes."""
        named = [i for name in names for i, own in enumerate(self.names) if own == name]
        everything: list[int] = [*named, *range(len(self.names))]
        for index in everything:
            if len(self.shape(index)) == 3:
                return index
        shapes = ", ".join(f"{n} {self.shape(i)}" for i, n in enumerate(self.names))
        raise DataError(f"{self.path} holds no cube (wavelength, y, x): its HDUs are {shapes}")


def widths(value: float, wave: Floats) -> Floats:
    """Return one width for all wavelengths."""
    return np.full(wave.shape, float(value))


def drizzled_area(ratio: float) -> float:
    """Return the pixels over which drizzling correlates noise, for many dithers.

    Parameters
    ----------
    ratio : float
        Side of the drops over side of the output pixels.

    Notes
    -----
    The square of Fruchter & Hook (2002), eq. 9 and 10, which are of standard deviations.
    """
    growth = 1 / (1 - ratio / 3) if ratio <= 1 else ratio / (1 - 1 / (3 * ratio))
    return float(growth**2)


def matching(names: Sequence[str], pattern: str) -> list[str]:
    """Return the keywords that match a regular expression, in order."""
    return sorted(name for name in names if re.fullmatch(pattern, name))
