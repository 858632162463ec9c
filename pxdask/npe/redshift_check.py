"""Whether an SED's redshift may be the one that it is said to have.

A network that is told redshifts finds some model of any SED at most of them: what a wrong redshift
does to the posterior is little beside what noise does. Asked of the fluxes alone, the redshift
is another matter: how much likelier others are is the ratio of evidences, which is what tells a
wrong one best.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from pxdask.npe.density import Shape, flat_weights, make_density, unflat_weights
from pxdask.npe.features import inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.npe.density import Density

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

_LN_ROOT_2PI = 0.5 * math.log(2 * math.pi)

_LEAST_PLACE = 1e-6
"""Distance from the range's ends at which a redshift is put that lies there or beyond."""


@dataclass(frozen=True, eq=False)
class RedshiftCheck:
    """The density of redshifts given fluxes, under the prior that is even over a range.

    Attributes
    ----------
    span : tuple of float
        Least and greatest redshift.
    density : Density
        Of one target: the redshift's place in the span, as a normal deviate.
    """

    span: tuple[float, float]
    density: Density

    def ln_density(self, flux: Floats, error: Floats, *, redshift: Floats) -> Floats:
        """Return ln of the density (n_sed,) of the redshifts given over the prior's.

        Parameters
        ----------
        flux, error : (n_sed, n_band) float64
            Flux density and its total 1-sigma uncertainty [uJy]; see `pxdask.npe.features.inputs`
            for what is missing.
        redshift : (n_sed,) float64
            Said to be those of the SEDs.

        Returns
        -------
        ln_density : (n_sed,) float64
            Of an SED with the redshift, over that of one with any. NaN where no band is usable.
            An SED's does not depend on the others.

        Notes
        -----
        No other figure of the fluxes tells SEDs whose redshift is another of the span, whichever,
        better from good ones (Neyman & Pearson 1933, Phil. Trans. A 231, 289), as far as the
        density is right.
        """
        own, deviate = inputs(flux, error), redshift_targets(redshift, self.span)
        found = self.density.ln_density(own.values, deviate[:, None])[:, 0]
        found += 0.5 * deviate[:, 0].astype(np.float64) ** 2 + _LN_ROOT_2PI
        return np.where(np.isfinite(own.scale), found, np.nan)

    def to_stored(self) -> tuple[Singles, dict[str, Any]]:
        """Return the weights end to end, and what else a check is made of, as JSON values."""
        shape = asdict(self.density.shape)
        return flat_weights(self.density), {"span": list(self.span), "shape": shape}

    @classmethod
    def from_stored(cls, flat: Singles, told: Mapping[str, Any]) -> RedshiftCheck:
        """Return the check of what `to_stored` gave.

        Raises
        ------
        ConfigError
            If the weights are not as many as the shape says.
        """
        shape = Shape(**told["shape"])
        weights = unflat_weights("mixture", shape, flat)
        low, high = told["span"]
        return cls((float(low), float(high)), make_density("mixture", shape, weights))


def redshift_targets(redshift: Floats, span: tuple[float, float]) -> Singles:
    """Return places of redshifts (n_sed,) in a span as normal deviates (n_sed, 1)."""
    low, high = span
    place = np.clip((redshift - low) / (high - low), _LEAST_PLACE, 1 - _LEAST_PLACE)
    return np.asarray(ndtri(place)[:, None], np.float32)
