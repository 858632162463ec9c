"""Quality flags of pixels and bins, declared once, in the CF convention."""

from __future__ import annotations

from enum import IntFlag


class Flag(IntFlag):
    """One bit for each thing that can be wrong with a flux."""

    NO_DATA = 1
    """The image has no finite value here."""
    NO_ERROR = 2
    """The uncertainty is missing, zero, negative or infinite."""
    EDGE = 4
    """Part of the flux was taken from outside the image or from masked pixels."""
    LOW_SNR = 8
    """The bin does not reach the asked signal-to-noise ratio in this band."""
    NOT_FITTED = 16
    """The bin has no posterior: no usable band, or no model of positive amplitude."""
    FEW_MODELS = 32
    """So few models make up the bin's posterior that its quantiles are too close together."""
    MASKED = 64
    """The pixel is a neighbour's or a foreground star's, and not in the region."""
    UPPER_LIMIT = 128
    """The flux is an upper limit, its error the limit's own softness."""
    NOT_CONVERGED = 256
    """The sampler reached its last step before its chains had converged."""
    AT_EDGE = 512
    """The posterior leans on an end of the prior of some parameter."""
    ODD_FLUX = 1024
    """The flux is so far from any galaxy's that its unit is probably wrong."""
    OUT_OF_DISTRIBUTION = 2048
    """No model that a network was trained with looks like this SED."""
    HANDED_OVER = 4096
    """The network was not to be believed; another method made the posterior."""
    BAD_CHI2 = 8192
    """The best model is far from the data, by their errors."""
    OFF_CENTRE = 16384
    """The best model's centre ran away from the galaxy's position."""
    ODD_REDSHIFT = 32768
    """The galaxy's SEDs together speak for another redshift than the one given."""


def flag_attrs() -> dict[str, object]:
    """Return the CF attributes that explain a flag variable to any reader."""
    return {
        "flag_masks": [int(flag) for flag in Flag],
        "flag_meanings": " ".join(flag.name.lower() for flag in Flag if flag.name),
        "units": "",
    }
