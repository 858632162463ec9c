"""Where gas shines in lines, which a fit of starlight leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EMISSION_LINES = {
    "Ly alpha": (1215.67,),
    "C IV": (1548.19, 1550.77),
    "He II 1640": (1640.42,),
    "O III] 1661": (1660.81, 1666.15),
    "C III]": (1906.68, 1908.73),
    "Mg II": (2796.35, 2803.53),
    "[O II] 3727": (3727.09, 3729.88),
    "H 10": (3798.98,),
    "H eta": (3836.48,),
    "[Ne III] 3869": (3869.86,),
    "He I and H zeta": (3889.75, 3890.16),
    "[Ne III] and H epsilon": (3968.59, 3971.20),
    "H delta": (4102.90,),
    "H gamma": (4341.69,),
    "[O III] 4363": (4364.44,),
    "He II 4686": (4687.02,),
    "H beta": (4862.68,),
    "[O III]": (4960.30, 5008.24),
    "[N I]": (5199.35, 5201.71),
    "[N II] 5755": (5756.19,),
    "He I 5876": (5877.24,),
    "[O I]": (6302.05, 6365.54),
    "[N II] and H alpha": (6549.86, 6564.61, 6585.27),
    "He I 6678": (6679.99,),
    "[S II]": (6718.29, 6732.67),
    "He I 7065": (7067.14,),
    "[Ar III]": (7137.77, 7753.24),
    "[O II] 7325": (7321.94, 7332.21),
    "[S III]": (9071.1, 9533.2),
    "He I 10830": (10833.2,),
}
"""Lines of galaxies from 0.12 to 1.1 micron [Angstrom, vacuum]. Wavelengths of the NIST Atomic
Spectra Database, Ritz values where it has them; optical ones as chosen by Westfall et al. 2019
(AJ 158, 231) and Belfiore et al. 2019 (AJ 158, 160)."""


def near_lines(wave: Floats, *, half_width: Floats | float) -> NDArray[np.bool_]:
    """Return which wavelengths lie at an emission line.

    Parameters
    ----------
    wave : (...) float64
        Rest frame, vacuum [Angstrom].
    half_width : float or (...) float64
        Distance from a line up to which a wavelength is at it [Angstrom].

    Returns
    -------
    near : (...) bool
        NaN is not near any line.
    """
    lines = np.sort(np.concatenate([np.array(each) for each in EMISSION_LINES.values()]))
    after = np.clip(np.searchsorted(lines, wave), 1, lines.size - 1)
    distance = np.minimum(np.abs(wave - lines[after - 1]), np.abs(wave - lines[after]))
    return np.asarray(distance <= half_width)
