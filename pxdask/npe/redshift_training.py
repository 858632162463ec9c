"""The training of what tells whether an SED may have the redshift given. It needs JAX."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.fits import FitConfig
from pxdask.core.random import stream
from pxdask.npe.density import Shape, make_classes
from pxdask.npe.features import inputs
from pxdask.npe.mocks import make_mocks
from pxdask.npe.noise import NoiseModel
from pxdask.npe.passes import Passes
from pxdask.npe.redshift_check import RedshiftCheck, class_of, n_classes, redshift_edges
from pxdask.npe.training import HELD_SHARE, LEAST_WIDTH, MOST_HELD, optimisation_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pxdask.core.fits import NpeConfig
    from pxdask.npe.mocks import Mocks
    from pxdask.npe.network import Network
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

logger = logging.getLogger(__name__)

MOST_MOCKS = 4_000_000
"""Mocks that a check learns from at most. Of 19 bands at S/N 2-30 and redshifts from 1 to 6, ln of
the density at the truth over the prior's is then 2.35 in the mean for delayed tau and 1.62 for
Dirichlet histories; sums over two million models, which are exact, have 2.54 and 1.79, and eight
Gaussians that learnt from 2 million mocks had 2.19 and 1.50."""

_HIDDEN, _N_LAYERS = 160, 8
"""Width and number of the layers."""

_MOST_PASS = 125_000
"""Mocks made and learnt at a time, at most: the loss is told some times."""


def with_redshift_check(network: Network, library: ModelLibrary) -> Network:
    """Return a network that can tell whether an SED may have the redshift that is given.

    It has to learn anew how odd good SEDs are, as there is one more figure of them: see
    `pxdask.fitting.npe_limits.with_limits`. A network that is not told redshifts of a range is
    returned as it is.

    Parameters
    ----------
    network : Network
        Trained.
    library : ModelLibrary
        What it was trained with; its seed is that of the mocks, of the first weights and of the
        order of mocks.

    Raises
    ------
    ConfigError
        If JAX is not installed.
    DataError
        If nearly no mock passes the selection.
    """
    if network.redshift is None or not network.redshift_is_input:
        return network
    settings = FitConfig.model_validate(network.settings)
    make = partial(
        make_mocks,
        library,
        NoiseModel.from_json(network.noise_json),
        seed=library.seed,
        settings=settings,
    )
    n_mocks = min(settings.npe.n_mocks, MOST_MOCKS)
    n_held = min(int(HELD_SHARE * n_mocks), MOST_HELD)
    n = n_classes(network.redshift, n_mocks=n_mocks)
    learnt = _Learnt.of(make, network.redshift, n_held=n_held, n=n)
    check = _trained(learnt, n_mocks - n_held, settings.npe, stream(library.seed, "npe-redshift"))
    return replace(network, redshift_check=check, outliers={})


@dataclass(frozen=True, eq=False)
class _Learnt:
    """What is learnt: redshifts of mocks, of whose inputs each is standardised.

    Attributes
    ----------
    make : callable
        Returns ``n`` mocks from ``first``.
    span : tuple of float
        Redshifts that they have.
    n_classes : int
        Parts of the span that are told apart.
    held : Mocks
        Held out; those of the sequence before the others.
    n_held : int
        Mocks drawn to be held out, before those too faint are left out.
    centre, width : (n_input,) float64
        Mean and deviation of the inputs held out; a width of one where there is none.
    """

    make: Callable[..., Mocks]
    span: tuple[float, float]
    n_classes: int
    held: Mocks
    n_held: int
    centre: Floats
    width: Floats

    @classmethod
    def of(
        cls, make: Callable[..., Mocks], span: tuple[float, float], *, n_held: int, n: int
    ) -> _Learnt:
        """Return what is learnt of mocks that a function makes."""
        held = make(n=n_held, first=0)
        if not len(held):
            raise DataError(f"none of {n_held} mocks passes the selection by fit.npe.snr")
        values = inputs(held.flux, held.error).values
        width = values.std(axis=0, dtype=float)
        width = np.where(width < LEAST_WIDTH, 1.0, width)
        return cls(make, span, n, held, n_held, values.mean(axis=0, dtype=float), width)

    def slice_of(self, place: int, *, n: int) -> tuple[Singles, Singles]:
        """Return standardised inputs and targets of a slice of some mocks."""
        return self.standard(self.make(n=n, first=self.n_held + place * n))

    def standard(self, mocks: Mocks) -> tuple[Singles, Singles]:
        """Return standardised inputs and targets of mocks."""
        values = inputs(mocks.flux, mocks.error).values
        values -= self.centre.astype(np.float32)
        values /= self.width.astype(np.float32)
        if mocks.redshift is None:
            raise DataError("the mocks have no redshifts of their own; wanted a prior of them")
        place = class_of(mocks.redshift, redshift_edges(self.span, n=self.n_classes))
        return values, place[:, None].astype(np.float32)


def _trained(
    learnt: _Learnt, n_mocks: int, settings: NpeConfig, rng: np.random.Generator
) -> RedshiftCheck:
    """Return the check that has learnt from some mocks, as often as settings say."""
    n_slices = -(-n_mocks // min(settings.pass_size, _MOST_PASS))
    n = n_mocks // n_slices
    shape = Shape(
        n_input=learnt.centre.size,
        n_dim=1,
        hidden=_HIDDEN,
        n_layers=_N_LAYERS,
        n_components=learnt.n_classes,
        head=1,
    )
    n_passes = n_slices * settings.max_epochs
    with Passes(partial(learnt.slice_of, n=n), n_slices=n_slices, n_passes=n_passes) as passes:
        found = optimisation_module().optimise(
            passes,
            learnt.standard(learnt.held),
            n_rows=max(n * len(learnt.held) // learnt.n_held, 1),
            form="classes",
            shape=shape,
            settings=settings,
            rng=rng,
            report=_tell,
        )
    # of inputs as they are: the first layer standardises them
    layer = found.weights["first"] / learnt.width
    bias = (found.weights["first_bias"] - layer @ learnt.centre).astype(np.float32)
    changed = {"first": layer.astype(np.float32), "first_bias": bias}
    logger.info("redshifts learnt to a mean -ln probability of %.3f", min(found.held_loss))
    return RedshiftCheck(learnt.span, make_classes(shape, {**found.weights, **changed}))


def _tell(number: int, loss: float, held_loss: float, _: object) -> None:
    """Tell how far the training is."""
    logger.debug("redshifts, pass %d: -ln probability %.3f, held out %.3f", number, loss, held_loss)
