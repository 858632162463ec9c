"""Whether an SED's redshift may be the one that it is said to have.

A network that is told redshifts finds some model of any SED at most of them: what a wrong redshift
does to the posterior is little beside what noise does. Asked of the fluxes alone, the redshift
is another matter: how much likelier others are is the ratio of evidences, which is what tells a
wrong one best.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.npe.density import Shape, flat_weights, make_classes, unflat_weights
from pxdask.npe.features import inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.npe.density import Classes

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

_STEP = 0.00625
"""Width of a class in ln(1 + z): a third of what fluxes good to 5 % tell of redshifts."""

_FEWEST, _MOST = 8, 400
"""Classes of a narrow and of a wide span."""

_EACH = 250
"""Mocks of a class, at least, as far as `_FEWEST` allows: of few mocks broad classes are learnt."""


@dataclass(frozen=True, eq=False)
class RedshiftCheck:
    """The density of redshifts given fluxes, under the prior that is even over a range.

    Attributes
    ----------
    span : tuple of float
        Least and greatest redshift.
    classes : Classes
        Parts of the span, of equal width in ln(1 + z), in each of which the density is even.
    """

    span: tuple[float, float]
    classes: Classes

    @cached_property
    def edges(self) -> Floats:
        """Ends of the classes (n_class + 1,)."""
        return redshift_edges(self.span, n=self.classes.shape.n_components)

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
        own, place = inputs(flux, error), class_of(redshift, self.edges)
        found = self.classes.ln_shares(own.values)[np.arange(len(flux)), place]
        low, high = self.span
        found = found - np.log(np.diff(self.edges)[place] / (high - low))
        return np.where(np.isfinite(own.scale), found, np.nan)

    def to_stored(self) -> tuple[Singles, dict[str, Any]]:
        """Return the weights end to end, and what else a check is made of, as JSON values."""
        shape = asdict(self.classes.shape)
        return flat_weights(self.classes), {"span": list(self.span), "classes": shape}

    @classmethod
    def from_stored(cls, flat: Singles, told: Mapping[str, Any]) -> RedshiftCheck:
        """Return the check of what `to_stored` gave.

        Raises
        ------
        ConfigError
            If the weights are not as many as the shape says, or are of another version.
        """
        if "classes" not in told:
            raise ConfigError(
                "the network's check of redshifts is of another version, without classes: train"
                " it anew by `pxdask npe train`"
            )
        shape = Shape(**told["classes"])
        low, high = told["span"]
        weights = unflat_weights("classes", shape, flat)
        return cls((float(low), float(high)), make_classes(shape, weights))


def n_classes(span: tuple[float, float], *, n_mocks: int) -> int:
    """Return how many parts a span is cut into, to be learnt from some mocks."""
    low, high = span
    wanted = round(float(np.log((1 + high) / (1 + low))) / _STEP)
    return max(min(wanted, _MOST, n_mocks // _EACH), _FEWEST)


def redshift_edges(span: tuple[float, float], *, n: int) -> Floats:
    """Return the ends (n + 1,) of parts of a span that have the same width in ln(1 + z)."""
    low, high = span
    return np.asarray(np.expm1(np.linspace(np.log1p(low), np.log1p(high), n + 1)))


def class_of(redshift: Floats, edges: Floats) -> NDArray[np.intp]:
    """Return the part (n_sed,) that each redshift lies in; beyond the ends, the last part there."""
    place = np.searchsorted(edges, redshift, side="right") - 1
    return np.clip(place, 0, len(edges) - 2)
