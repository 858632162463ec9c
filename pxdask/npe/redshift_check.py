"""Whether an SED's redshift may be the one that it is said to have.

A network that is told redshifts finds some model of any SED at most of them: what a wrong redshift
does to the posterior is little beside what noise does. Asked of the fluxes alone, the redshift
is another matter: how much likelier others are is the ratio of evidences, which is what tells a
wrong one best.
"""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp, ndtri

from pxdask.npe.density import Shape, flat_weights, make_density, unflat_weights
from pxdask.npe.features import inputs
from pxdask.npe.passes import Passes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from numpy.typing import NDArray

    from pxdask.core.fits import NpeConfig
    from pxdask.npe.density import Density
    from pxdask.npe.mocks import Mocks

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

logger = logging.getLogger(__name__)

MOST_MOCKS = 1_000_000
"""Mocks that a check is trained with, where a network has as many."""

_SETTINGS = {"density": "mixture", "hidden": 128, "n_layers": 4, "n_components": 8, "head": 1}
"""Of the density: small, as it has one target."""

_N_PLACE = 512
"""Redshifts whose probabilities are added up: less than the best redshifts' error apart."""

_LEAST_PLACE = 1e-6
"""Distance from the range's ends at which a redshift is put that lies there or beyond."""

_LEAST_WIDTH = 1e-3
"""Deviation of an input below which it tells nothing, and is not blown up."""


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

    def ln_tail(self, flux: Floats, error: Floats, *, redshift: Floats) -> Floats:
        """Return ln of the probability (n_sed,) of redshifts no likelier than those given.

        Parameters
        ----------
        flux, error : (n_sed, n_band) float64
            Flux density and its total 1-sigma uncertainty [uJy]; see `pxdask.npe.features.inputs`
            for what is missing.
        redshift : (n_sed,) float64
            Said to be those of the SEDs.

        Returns
        -------
        ln_tail : (n_sed,) float64
            Of good SEDs the probability is even from 0 to 1, as far as the density is right.
            NaN where no band is usable. An SED's does not depend on the others.

        Notes
        -----
        One less the content of the region of highest density (Box & Tiao 1973, Bayesian Inference
        in Statistical Analysis, 2.8) whose border passes through the redshift.
        """
        own = inputs(flux, error)
        deviate = np.concatenate(
            [np.broadcast_to(self._deviates, (len(flux), _N_PLACE)), self.targets(redshift)], axis=1
        ).astype(np.float32)
        # densities of places, of which the prior is even, and not of deviates
        found = self.density.ln_density(own.values, deviate[..., None]) + 0.5 * deviate**2.0
        each, given = found[:, :-1], found[:, -1:]
        # the redshift's own place counts: so the least chance is not none
        below = np.column_stack([np.where(each <= given, each, -np.inf), given])
        ln_tail = logsumexp(below, axis=1) - logsumexp(found, axis=1)
        return np.where(np.isfinite(own.scale), ln_tail, np.nan)

    def targets(self, redshift: Floats) -> Singles:
        """Return redshifts (n_sed,) as deviates (n_sed, 1)."""
        return _targets(redshift, self.span)

    @cached_property
    def _deviates(self) -> Floats:
        """Deviates of places (n_place,) that are even over the span."""
        return np.asarray(ndtri((np.arange(_N_PLACE) + 0.5) / _N_PLACE))

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


def trained_check(
    make: Callable[..., Mocks],
    held: Mocks,
    *,
    first: int,
    span: tuple[float, float],
    settings: NpeConfig,
    rng: np.random.Generator,
    optimisation: ModuleType,
) -> RedshiftCheck:
    """Return a check that has learnt from mocks with redshifts.

    Parameters
    ----------
    make : callable
        Returns ``n`` mocks from ``first``.
    held : Mocks
        Held out.
    first : int
        Number of the first mock to learn from.
    span : tuple of float
        Redshifts that they have, evenly.
    settings : NpeConfig
        Numbers of mocks, batches, epochs.
    rng : numpy.random.Generator
        Gives the first weights and the order of mocks.
    optimisation : module
        `pxdask.npe.optimisation`, which needs JAX.
    """
    n_mocks = min(settings.n_mocks - first, MOST_MOCKS)
    n_slices = -(-n_mocks // settings.pass_size)
    n_slice, epochs = n_mocks // n_slices, settings.max_epochs
    values = inputs(held.flux, held.error).values
    width = values.std(axis=0, dtype=float)
    centre, width = values.mean(axis=0, dtype=float), np.where(width < _LEAST_WIDTH, 1.0, width)

    def standard(mocks: Mocks) -> tuple[Singles, Singles]:
        scaled = (inputs(mocks.flux, mocks.error).values - centre) / width
        return scaled.astype(np.float32), _targets(_given(mocks), span)

    def learnt(place: int) -> tuple[Singles, Singles]:
        return standard(make(n=n_slice, first=first + place * n_slice))

    own = settings.model_copy(update=_SETTINGS)
    shape = Shape(
        n_input=values.shape[1],
        n_dim=1,
        hidden=own.hidden,
        n_layers=own.n_layers,
        n_components=own.n_components,
        head=own.head,
    )
    with Passes(learnt, n_slices=n_slices, n_passes=n_slices * epochs) as passes:
        found = optimisation.optimise(
            passes,
            standard(held),
            n_rows=max(n_slice * len(held) // first, 1),
            form="mixture",
            shape=shape,
            settings=own,
            rng=rng,
            report=_tell,
        )
    # of inputs as they are: the first layer standardises them
    layer = found.weights["first"] / width
    bias = (found.weights["first_bias"] - layer @ centre).astype(np.float32)
    changed = {"first": layer.astype(np.float32), "first_bias": bias}
    return RedshiftCheck(span, make_density("mixture", shape, {**found.weights, **changed}))


def _tell(number: int, loss: float, held_loss: float, _: object) -> None:
    """Tell how far the training is."""
    logger.debug("redshifts, pass %d: -ln density %.3f, held out %.3f", number, loss, held_loss)


def _given(mocks: Mocks) -> Floats:
    """Return the redshifts of mocks that have some."""
    return np.full(len(mocks), math.nan) if mocks.redshift is None else mocks.redshift


def _targets(redshift: Floats, span: tuple[float, float]) -> Singles:
    """Return places of redshifts in a span as deviates (n_sed, 1)."""
    low, high = span
    place = np.clip((redshift - low) / (high - low), _LEAST_PLACE, 1 - _LEAST_PLACE)
    return np.asarray(ndtri(place)[:, None], np.float32)
