"""A photometric passband as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Detector = Literal["photon", "energy"]
"""What a detector counts, and so what a transmission is per."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Transmission of one band, piecewise linear between its points.

    Attributes
    ----------
    name : str
        Identifier, as in the configuration.
    wave : (n,) float64
        Wavelength, observed frame, vacuum, increasing [Angstrom].
    transmission : (n,) float64
        Response per photon (``detector="photon"``) or per unit energy
        (``"energy"``), >= 0; the normalisation has no effect.
    detector : {"photon", "energy"}
        What the detector counts.
    """

    name: str
    wave: NDArray[np.float64]
    transmission: NDArray[np.float64]
    detector: Detector = "photon"
