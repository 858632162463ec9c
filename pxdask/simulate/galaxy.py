"""Mock galaxies: a bulge in an exponential disc with spiral arms and gradients.

Each fine pixel holds one stellar population of the model family that is fitted, so that
its true parameters exist. The trends are those of nearby spirals: old, metal-rich, dusty
centres; metallicity falls by 0.1 dex per effective radius (Sanchez et al. 2014, A&A 563,
A49), dust falls with radius (Munoz-Mateos et al. 2009, ApJ 701, 1965), discs grow
inside-out, and arms are younger and dustier than the disc between them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammaincinv

from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DISC_RADII_PER_SCALE = float(gammaincinv(2.0, 0.5))
"""Effective radius of an exponential disc [scale lengths]; 1.678."""

MOCK_UNITS = {
    **dict.fromkeys(("r_eff", "bulge_r_eff"), "arcsec"),
    **dict.fromkeys(("position_angle", "pitch_angle"), "deg"),
    **dict.fromkeys(("bulge_age", "age", "tau"), "Gyr"),
    **dict.fromkeys(("bulge_fraction", "axis_ratio"), ""),
}
"""Units of a mock galaxy's columns, to which a catalogue's are converted."""

_SERSIC_B4 = float(gammaincinv(8.0, 0.5))
_BULGE_CUT = 5.0
_TREND_LIMIT = 3.0
"""Radius beyond which gradients end [effective radii]: nothing is known of farther out."""
_BULGE_LOG_TAU = 0.0
_BULGE_LOGZSOL = 0.15
"""Bulges form with a time scale of 1 Gyr and end somewhat metal-rich."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MockGalaxy:
    """A mock galaxy, as a catalogue row describes it.

    Attributes
    ----------
    id : str
    ra, dec : float
        Centre, ICRS [deg].
    redshift : float
    log_mass : float
        log10 of the stellar mass, living stars and remnants [Msun].
    r_eff : float
        Effective radius of the disc along its major axis [arcsec].
    bulge_fraction : float
        Bulge's part of the mass.
    bulge_r_eff : float
        Effective radius of the bulge, round, of Sersic index 4 cut off at 5 radii [arcsec].
    axis_ratio : float
        Minor over major axis of the disc.
    position_angle : float
        Of the major axis, from north through east [deg].
    n_arms : int
        Number of spiral arms.
    arm_strength : float
        0 (none) to 1 (arms hold twice the mass between them).
    pitch_angle : float
        Of the logarithmic arms [deg]; its sign is their winding.
    bulge_age : float
        Age of the bulge, and the greatest age anywhere unless the disc's is greater [Gyr].
    age, tau : float
        Age and time scale of the disc's star formation at `r_eff` [Gyr].
    logzsol : float
        log10 of the disc's metallicity at `r_eff` [solar].
    dust2 : float
        Optical depth of the disc's dust in the V band at `r_eff`.
    """

    id: str
    ra: float
    dec: float
    redshift: float
    log_mass: float
    r_eff: float
    bulge_fraction: float
    axis_ratio: float
    position_angle: float
    bulge_r_eff: float = 3.0
    n_arms: int = 2
    arm_strength: float = 0.6
    pitch_angle: float = 20.0
    bulge_age: float = 11.0
    age: float = 9.0
    tau: float = 2.2
    logzsol: float = -0.1
    dust2: float = 0.35

    def __post_init__(self) -> None:
        for name, low, high in (
            ("bulge_fraction", 0.0, 1.0),
            ("arm_strength", 0.0, 1.0),
            ("axis_ratio", 0.05, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(
                    f"galaxy {self.id!r}: {name} is {value}, not from {low} to {high}"
                )
        for name in ("redshift", "r_eff", "bulge_r_eff", "bulge_age", "age", "tau", "n_arms"):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"galaxy {self.id!r}: {name} is {getattr(self, name)}, not positive"
                )
        if self.pitch_angle == 0:
            raise ConfigError(f"galaxy {self.id!r}: arms of pitch_angle 0 would be rings")

    @classmethod
    def from_row(cls, row: Mapping[str, object]) -> MockGalaxy:
        """Return the galaxy of a catalogue row; columns that a mock does not know are ignored.

        Raises
        ------
        ConfigError
            If a column without a default is missing, or a value is out of its range.
        """
        names = [field.name for field in fields(cls) if field.name in row]
        kinds: dict[str, Callable[[Any], Any]] = {"id": str, "n_arms": _whole}
        try:
            return cls(**{name: kinds.get(name, float)(row[name]) for name in names})
        except (TypeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"galaxy {row.get('id')!r} is no mock galaxy: {error}") from error


def _whole(value: Any) -> int:  # noqa: ANN401  whatever a catalogue column holds
    """Return a whole number, and refuse to round one."""
    if int(value) != float(value):
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


@dataclass(frozen=True, slots=True)
class Structure:
    """Shape and populations of a mock galaxy, each (ny, nx) float64.

    ``weight`` is the mass formed per area in arbitrary units; ages and time scales are
    log10 of Gyr.
    """

    weight: Array
    log_age: Array
    log_tau: Array
    logzsol: Array
    dust2: Array


def structure(galaxy: MockGalaxy, *, east: Array, north: Array, step: float) -> Structure:
    """Return what a mock galaxy is made of at given places.

    Parameters
    ----------
    galaxy : MockGalaxy
    east, north : (ny, nx) float64
        Offsets from the centre on the tangent plane [arcsec].
    step : float
        Size of the pixels at these places [arcsec]; within it the bulge's cusp is
        levelled off, as a pixel's mean would.

    Returns
    -------
    structure : Structure
        Populations blend by their mass: a pixel half bulge, half disc has the mean of
        the logarithms of their parameters.
    """
    angle = np.deg2rad(galaxy.position_angle)
    along = north * np.cos(angle) + east * np.sin(angle)
    across = (east * np.cos(angle) - north * np.sin(angle)) / galaxy.axis_ratio
    radius = np.hypot(along, across) / galaxy.r_eff
    arms = _arms(galaxy, radius=radius, azimuth=np.arctan2(across, along))

    scale = galaxy.r_eff / DISC_RADII_PER_SCALE
    disc = np.exp(-DISC_RADII_PER_SCALE * radius) / (2 * np.pi * scale**2 * galaxy.axis_ratio)
    disc = disc * (1.0 - galaxy.bulge_fraction) * (1.0 + arms)
    bulge = galaxy.bulge_fraction * _bulge_density(
        np.hypot(np.hypot(east, north), 0.4 * step), r_eff=galaxy.bulge_r_eff
    )
    weight = disc + bulge
    part = bulge / weight

    outwards = np.minimum(radius, _TREND_LIMIT) - 1.0
    log_age = np.log10(galaxy.age) - 0.06 * outwards - 0.18 * arms
    log_tau = np.log10(galaxy.tau) + 0.08 * outwards + 0.20 * arms
    logzsol = galaxy.logzsol - 0.10 * outwards
    dust2 = galaxy.dust2 * np.exp(-0.35 * outwards) * (1.0 + 0.8 * arms)
    oldest = np.log10(max(galaxy.bulge_age, galaxy.age))
    return Structure(
        weight=weight,
        log_age=np.minimum(log_age + part * (np.log10(galaxy.bulge_age) - log_age), oldest),
        log_tau=log_tau + part * (_BULGE_LOG_TAU - log_tau),
        logzsol=logzsol + part * (_BULGE_LOGZSOL - logzsol),
        dust2=dust2 * (1.0 - 0.3 * part),
    )


def _arms(galaxy: MockGalaxy, *, radius: Array, azimuth: Array) -> Array:
    """Return how much of an arm is at each place, 0 to the arms' strength.

    The crest follows ``radius = exp(tan(pitch) * azimuth)``, a logarithmic spiral. Arms
    begin outside the bulge and die away at three effective radii.
    """
    crest = np.log(np.maximum(radius, 1e-3)) / np.tan(np.deg2rad(galaxy.pitch_angle))
    wave = (0.5 + 0.5 * np.cos(galaxy.n_arms * (azimuth - crest))) ** 2
    begin = np.clip((radius - 0.25) / 0.5, 0.0, 1.0)
    end = np.clip((3.5 - radius) / 1.5, 0.0, 1.0)
    envelope = begin**2 * (3 - 2 * begin) * end**2 * (3 - 2 * end)
    arms: Array = galaxy.arm_strength * wave * envelope
    return arms


def _bulge_density(radius: Array, *, r_eff: float) -> Array:
    """Return a Sersic profile of index 4, cut off at five effective radii, of unit mass [arcsec-2].

    Uncut, its wings would outshine an exponential disc far out, and old, metal-rich
    stars with them.

    Notes
    -----
    Graham & Driver 2005 (PASA 22, 118), equation 1. The mass is summed over rings of
    equal logarithmic width, to 1e-5.
    """

    def profile(x: Array) -> Array:
        shape: Array = np.exp(-_SERSIC_B4 * x**0.25 - (x / _BULGE_CUT) ** 4)
        return shape

    rings = np.geomspace(1e-6, 4 * _BULGE_CUT, 2000)
    mass = 2 * np.pi * float(np.trapezoid(profile(rings) * rings**2, np.log(rings)))
    return profile(radius / r_eff) / (mass * r_eff**2)
