"""What a pixel value is worth in microjansky, and how well it is known."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from pxdask.core.errors import ConfigError
from pxdask.core.flags import Flag
from pxdask.kernels.bandpass import ab_flux, flux_per_frequency

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

NANOMAGGY_UJY = 3.631
"""One nanomaggy [uJy]; 3631e-9 Jy (SDSS DR7 and later, "Flux units: maggies")."""

_NANOMAGGIES = re.compile(r"\b(nano[- ]?magg(?:y|ies)|nanomgy|nmgy)\b", re.IGNORECASE)
_ANGSTROM = re.compile(r"(?<![A-Za-z])A(?![A-Za-z])")
_ERGS = re.compile(r"\bergs\b")
_MICRO = re.compile(r"\b(?:UJY|UJy|ujy)\b")
_EXAMPLES = "uJy, nJy, Jy, nmgy, MJy/sr, uJy/arcsec2, erg s-1 cm-2 Angstrom-1, erg s-1 cm-2 Hz-1"


def microjansky_factor(
    *,
    unit: str | None = None,
    zero_point: float | None = None,
    pixel_area: float,
    pivot: float,
    beam_area: float | None = None,
) -> float:
    """Return what a pixel value of 1 is worth [uJy per pixel]; the same holds for its error.

    Parameters
    ----------
    unit : str, optional
        Flux density per pixel, or surface brightness, as FITS or astropy spell it, with or
        without a number before it; ``A`` means Angstrom, ``/pix`` is understood.
    zero_point : float, optional
        AB magnitude of one count, instead of a unit [mag].
    pixel_area : float
        Solid angle of a pixel, used for surface brightness [arcsec2].
    pivot : float
        Pivot wavelength, used for flux densities per wavelength [Angstrom].
    beam_area : float, optional
        Solid angle of the beam, used for units per beam [arcsec2].

    Returns
    -------
    factor : float

    Raises
    ------
    ConfigError
        If the unit is not one of brightness, or not exactly one description is given.

    Notes
    -----
    ``f_nu = f_lambda pivot^2 / c`` is exact for the pivot wavelength by its definition (Tokunaga
    & Vacca 2005, eq. A11).
    """
    if (unit is None) == (zero_point is None):
        raise ConfigError(f"give a unit or a zero point, not both: {unit!r}, {zero_point!r}")
    if zero_point is not None:
        return float(ab_flux(zero_point))
    parsed = _parse(str(unit))
    per_wavelength = float(flux_per_frequency(1.0, pivot=pivot))
    for reference, worth in (
        (u.uJy, 1.0),
        (u.uJy / u.arcsec**2, pixel_area),
        (u.nmgy, NANOMAGGY_UJY),
        (u.nmgy / u.arcsec**2, NANOMAGGY_UJY * pixel_area),
        (u.erg / u.s / u.cm**2 / u.AA, per_wavelength),
        (u.erg / u.s / u.cm**2 / u.AA / u.arcsec**2, per_wavelength * pixel_area),
    ):
        if parsed.is_equivalent(reference):
            return float(parsed.to(reference) * worth)
    if parsed.is_equivalent(u.uJy / u.beam):
        if beam_area is None:
            raise ConfigError(
                f"unit {unit!r}: the beam's solid angle is known for survey spire only"
            )
        return float(parsed.to(u.uJy / u.beam) * pixel_area / beam_area)
    raise ConfigError(
        f"unit {unit!r} is not one of brightness; wanted such as {_EXAMPLES}, or a zero_point"
    )


def to_sigma(uncertainty: NDArray[Any], *, kind: str, scale: float = 1.0) -> NDArray[np.float64]:
    """Return 1-sigma errors in the image's unit.

    Parameters
    ----------
    uncertainty : (ny, nx) array
        What the survey delivers, divided by ``scale``.
    kind : {"sigma", "variance", "weight"}
        sigma, its square, or the inverse of its square.
    scale : float
        See ``uncertainty``.

    Returns
    -------
    sigma : (ny, nx) float64
        NaN where the uncertainty is zero, negative or not finite: none of these is an error.

    Raises
    ------
    ConfigError
        If ``kind`` is none of the three.
    """
    values = np.asarray(uncertainty, dtype=np.float64) * scale
    values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    if kind == "sigma":
        return values
    if kind == "variance":
        return np.sqrt(values)
    if kind == "weight":
        return 1.0 / np.sqrt(values)
    raise ConfigError(f"uncertainty kind {kind!r}; wanted sigma, variance or weight")


def pixel_flags(flux: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return NO_DATA where the flux, NO_ERROR where the error is not finite, of equal shape."""
    no_data = np.where(np.isfinite(flux), 0, int(Flag.NO_DATA))
    no_error = np.where(np.isfinite(sigma), 0, int(Flag.NO_ERROR))
    return (no_data | no_error).astype(np.uint16)


def unusable(flux: NDArray[Any], uncertainty: NDArray[Any], *, kind: str) -> str:
    """Return why no pixel of a band can be used, as a phrase; empty if one can.

    Parameters
    ----------
    flux, uncertainty : (ny, nx) array
        As delivered.
    kind : str
        Of the uncertainty.
    """
    has_flux = np.isfinite(flux)
    has_error = np.isfinite(to_sigma(uncertainty, kind=kind))
    causes = (
        (flux.size == 0, "no pixel of the image falls on the stamp"),
        (not np.any(has_flux), "all pixels of the image are NaN"),
        (not np.any(np.isfinite(uncertainty)), f"the {kind} map is NaN everywhere"),
        (not np.any(uncertainty), f"the {kind} map is zero everywhere"),
        (not np.any(has_error), f"the {kind} map is nowhere positive"),
        (not np.any(has_flux & has_error), f"no pixel has both a flux and a positive {kind}"),
    )
    return next((text for holds, text in causes if holds), "")


def _parse(text: str) -> u.UnitBase:
    """Return the unit in a text, in the spellings that survey headers use."""
    spelled = _NANOMAGGIES.sub("nmgy", text.strip())
    spelled = _MICRO.sub("uJy", _ERGS.sub("erg", _ANGSTROM.sub("Angstrom", spelled)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)  # several slashes: common, clear
            parsed = u.Unit(spelled)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"unit {text!r} is not one astropy reads; wanted such as {_EXAMPLES}, or a zero_point"
        ) from error
    per_pixel = parsed * u.pix
    return per_pixel if u.pix not in per_pixel.decompose().bases else parsed
