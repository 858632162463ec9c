"""Distance and age at a redshift, in the flat cosmology of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astropy.cosmology import FlatLambdaCDM

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from pxdask.core.config import ModelConfig


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


def _cosmology(settings: ModelConfig, redshift: float) -> FlatLambdaCDM:
    """Return the cosmology, once the redshift is known to be usable."""
    if not 0 < redshift < float("inf"):
        raise DataError(
            f"the redshift is {redshift}; a distance needs one above zero. For very near"
            " galaxies give the redshift that their distance corresponds to"
        )
    return FlatLambdaCDM(H0=settings.hubble, Om0=settings.omega_m)
