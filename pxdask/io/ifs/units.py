"""What one unit of a cube is worth in the unit that all cubes leave this package in."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
from astropy.units import (
    Angstrom,
    Unit,
    UnitBase,
    UnitsWarning,
    pix,
    spectral_density,
    sr,
)

from pxdask.core.errors import DataError
from pxdask.core.schema import IFS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DENSITIES = (Unit("erg s-1 cm-2 Angstrom-1"), Unit("erg s-1 cm-2 Hz-1"))

_WANTED = "a flux density per pixel or solid angle, such as 1e-17 erg/s/cm2/Angstrom or MJy/sr"


def flux_factor(
    text: str, *, wave: NDArray[np.float64], pixel_area: float, path: str
) -> NDArray[np.float64]:
    """Return the factors that bring a cube's slices to 1e-17 erg s-1 cm-2 Angstrom-1 per pixel.

    Parameters
    ----------
    text : str
        The flux's unit, BUNIT: per unit wavelength or frequency; per pixel, said or not, or per
        solid angle.
    wave : (n_wave,) float64
        Wavelengths in vacuum [Angstrom].
    pixel_area : float
        Solid angle of a pixel [sr].
    path : str
        The file, for messages.

    Returns
    -------
    factor : (n_wave,) float64

    Raises
    ------
    DataError
        If the unit is absent, cannot be read, or is not of a flux density.
    """
    unit = _unit(text, path)
    target = Unit(IFS.variables["flux"].unit)
    for per, size in ((Unit(""), 1.0), (pix, 1.0), (sr, pixel_area)):
        whole = unit * per
        if not any(whole.is_equivalent(density) for density in _DENSITIES):
            continue  # spectral_density would convert more than flux densities
        value = whole.to(target, equivalencies=spectral_density(wave * Angstrom))
        return np.broadcast_to(np.asarray(value * size, dtype=np.float64), wave.shape).copy()
    raise DataError(f"{path}: BUNIT is {text!r}; wanted {_WANTED}")


def _unit(text: str, path: str) -> UnitBase:
    """Return a unit from the spellings that surveys use."""
    spelled = re.sub(r"\bang(strom)?s?\b", "Angstrom", text.strip(), flags=re.IGNORECASE)
    spelled = re.sub(r"(?<![A-Za-z])A(?![A-Za-z])", "Angstrom", spelled)  # nobody means ampere
    spelled = re.sub(r"\b(spaxels?|spax|pixels?)\b", "pix", spelled, flags=re.IGNORECASE)
    spelled = re.sub(r"\bergs\b", "erg", spelled)
    if not spelled:
        raise DataError(f"{path}: BUNIT is absent; wanted {_WANTED}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnitsWarning)  # several slashes
            return Unit(spelled)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: BUNIT is {text!r}; wanted {_WANTED}") from error
