"""Physical constants in the units the kernels use; each states its origin."""

C_ANGSTROM_S = 2.99792458e18
"""Speed of light [Angstrom s-1]; exact, SI."""

LSUN_ERG_S = 3.828e33
"""Nominal solar luminosity [erg s-1]; IAU 2015 resolution B3."""

MPC_CM = 3.0856775814913673e24
"""Megaparsec [cm]; IAU 2015 resolution B2."""

UJY_CGS = 1e-29
"""Microjansky [erg s-1 cm-2 Hz-1]; by definition."""

AB_MAG_OF_MICROJANSKY = 23.9
"""AB magnitude of 1 uJy [mag]; -2.5 log10(1e-29) - 48.60 (Oke & Gunn 1983, eq. 2)."""

AV_PER_OPTICAL_DEPTH = 1.0857362047581296
"""A_V of unit V-band optical depth [mag]; 2.5 / ln 10."""

FWHM_PER_SIGMA = 2.3548200450309493
"""Full width at half maximum of a Gaussian of unit sigma; sqrt(8 ln 2)."""
