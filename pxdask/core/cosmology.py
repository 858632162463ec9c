"""Distance and age at a redshift, in the cosmology of the settings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from astropy import cosmology

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from pxdask.core.models import ModelConfig


def luminosity_distance(settings: ModelConfig, *, redshift: float) -> float:
    """Return the luminosity distance [Mpc].

    Raises
    ------
    DataError
        If the redshift is not a positive number.
    """
    return float(_cosmology(settings, redshift).luminosity_distance(redshift).to_value("Mpc"))


def age_of_universe(settings: ModelConfig, *, redshift: float) -> float:
    """Return the age of the universe at a redshift [Gyr]; raises as `luminosity_distance`."""
    return float(_cosmology(settings, redshift).age(redshift).to_value("Gyr"))


def kpc_per_arcsec(settings: ModelConfig, *, redshift: float) -> float:
    """Return the proper transverse size of an arcsecond [kpc]; raises as above."""
    per_arcmin = _cosmology(settings, redshift).kpc_proper_per_arcmin(redshift)
    return float(per_arcmin.to_value("kpc / arcsec"))


def _cosmology(settings: ModelConfig, redshift: float) -> cosmology.FLRW:
    """Return the cosmology, once the redshift is known to be usable."""
    if not 0 < redshift < float("inf"):
        raise DataError(
            f"the redshift is {redshift}; a distance needs one above zero. For very near"
            " galaxies give the redshift that their distance corresponds to"
        )
    return _named(settings.cosmology, settings.hubble, settings.omega_m)


@cache
def _named(name: str, hubble: float, omega_m: float) -> cosmology.FLRW:
    """Return a cosmology; making one takes astropy 10 ms."""
    if name == "flat_LCDM":
        return cosmology.FlatLambdaCDM(H0=hubble, Om0=omega_m)
    return getattr(cosmology, name)
