"""What flags mean to who reads results, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.flags import Flag
from pxdask.report.pages import FlagCount

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXPLAINED: dict[Flag, tuple[str, str]] = {
    Flag.NO_DATA: (
        "An image has no value here.",
        "The band is left out of the fit; look whether the image covers the galaxy.",
    ),
    Flag.NO_ERROR: (
        "The uncertainty is missing, zero, negative or infinite.",
        "The band is left out of the fit; look at the band's uncertainty image.",
    ),
    Flag.EDGE: (
        "Part of the flux came from outside the image or from masked pixels.",
        "The flux may be too low there.",
    ),
    Flag.LOW_SNR: (
        "The bin does not reach the asked signal-to-noise ratio in a band.",
        "Usual in the outskirts; the fit weighs the band by its error.",
    ),
    Flag.NOT_FITTED: (
        "There is no posterior: no usable band, or no model of positive flux.",
        "The maps are blank there.",
    ),
    Flag.FEW_MODELS: (
        "So few models make up the posterior that its interval is too narrow.",
        "Trust the median, not the error; fit with more models, or let fit.refine add some.",
    ),
    Flag.MASKED: ("A neighbour or a foreground star covers the pixel.", "It is in no bin."),
    Flag.UPPER_LIMIT: (
        "A flux is an upper limit.",
        "It was fitted as such: models below it are not preferred.",
    ),
    Flag.NOT_CONVERGED: (
        "The sampler took its last step before its chains had converged.",
        "Allow more steps, or take another method.",
    ),
    Flag.AT_EDGE: (
        "The posterior leans on an end of the prior of a parameter.",
        "The interval is cut there; widen the prior if the science allows.",
    ),
    Flag.ODD_FLUX: (
        "A flux is so far from any galaxy's that its unit is probably wrong.",
        "Look at the unit and the zero point of the band.",
    ),
    Flag.OUT_OF_DISTRIBUTION: (
        "No model that the network was trained with looks like this SED.",
        "Look at the SED: a bad band, a wrong redshift, or a galaxy beyond the priors.",
    ),
    Flag.HANDED_OVER: (
        "The network was not to be believed; another method made the posterior.",
        "The result is as good as that method's.",
    ),
    Flag.BAD_CHI2: (
        "The best model is far from the data, by their errors.",
        "Look at the residuals: errors too small, a bad band, or models without something.",
    ),
    Flag.OFF_CENTRE: (
        "The best model's centre ran away from the galaxy's position.",
        "The shape is of something else; look at the residual image.",
    ),
    Flag.ODD_REDSHIFT: (
        "The galaxy's SEDs together speak for another redshift than the catalogue's.",
        "Look where that comes from; no result of the galaxy is better than its redshift.",
    ),
}
"""Meaning and advice of each flag."""


def flag_counts(bits: NDArray[np.integer]) -> tuple[FlagCount, ...]:
    """Return the flags that occur, with their numbers.

    Parameters
    ----------
    bits : (bin,) or (bin, band) integer
        Flags of bins; a bin counts once, in however many bands it has a flag.
    """
    per_bin = np.bitwise_or.reduce(bits, axis=1) if bits.ndim == 2 else bits
    found = []
    for flag in Flag:
        count = int(np.count_nonzero(per_bin & int(flag)))
        if count:
            meaning, advice = EXPLAINED.get(flag, ("", ""))
            found.append(FlagCount((flag.name or "").lower(), count, meaning, advice))
    return tuple(found)
