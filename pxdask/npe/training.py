"""The training of a network from mocks. It needs JAX; using a network does not."""

from __future__ import annotations

import hashlib
import importlib
import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.provenance import content_key
from pxdask.core.random import stream
from pxdask.kernels.bandpass import pivot_wave
from pxdask.npe.agreement import filter_digest, ssp_origin
from pxdask.npe.calibration import coverage, ranks, sbc_ks
from pxdask.npe.checkpoints import Keeper, member_file
from pxdask.npe.density import Shape, make_density
from pxdask.npe.features import inputs
from pxdask.npe.mocks import make_mocks
from pxdask.npe.network import Network
from pxdask.npe.passes import Passes
from pxdask.npe.targets import relative_scale, targets
from pxdask.sps.parameters import prior_configs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig, NpeConfig
    from pxdask.npe.density import Density
    from pxdask.npe.mocks import Mocks
    from pxdask.npe.noise import NoiseModel
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

logger = logging.getLogger(__name__)

HELD_SHARE, MOST_HELD = 0.1, 20_000
"""Part of the mocks that is held out of the training, and how many at most."""

FEWEST_MOCKS = 100
"""Below, nothing can be held out and learnt."""

LEAST_WIDTH = 1e-3
"""Deviation of an input below which it tells nothing, and is not blown up."""

_N_CALIBRATED, _N_DRAW = 2000, 400
"""Mocks drawn that figures of merit are computed of, and draws of each: their ranks tell 0.001
from a coverage of 0.68 of which 2,000 mocks tell 0.01."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training is.

    Attributes
    ----------
    member, n_member : int
        Network of the ensemble, from 0, and how many there are.
    done, n_passes : int
        Passes that are done, and how many there are at most.
    loss, held_loss : float
        Mean -ln density of the pass, and of mocks held out.
    """

    member: int
    n_member: int
    done: int
    n_passes: int
    loss: float
    held_loss: float


def train(
    library: ModelLibrary,
    *,
    noise: NoiseModel,
    settings: FitConfig,
    seed: int,
    redshift_given: bool = True,
    progress: Callable[[Progress], None] | None = None,
    checkpoint: Path | None = None,
) -> Network:
    """Return a network that knows the posteriors of SEDs like mocks of some models.

    Mocks are drawn by `pxdask.npe.mocks.make_mocks`, some for each pass, while those of the pass
    before are learnt; two passes of ``npe.pass_size`` mocks are in memory. The first of the
    sequence are held out.

    Parameters
    ----------
    library : ModelLibrary
        Models. Where the redshift has a prior, the network knows its range.
    noise : NoiseModel
        Errors and missing bands of the mocks.
    settings : FitConfig
        Likelihood and systematic errors; ``npe`` says how to train.
    seed : int
        Of the mocks, and of the first weights and the order of mocks for each member of the
        ensemble.
    redshift_given : bool
        A redshift with a prior is an input of the network, not a target.
    progress : callable, optional
        Called after each pass.
    checkpoint : Path, optional
        Where the state of the training is kept, a file ``<name>-<member>.npz`` for each member;
        where there is one of the same mocks, settings and seed, the training goes on from it.
        Files are left when it ends.

    Returns
    -------
    network : Network
        With figures of merit of independent mocks that it has not seen: coverage of central 68 %
        intervals, distance of ranks from evenness (Kolmogorov-Smirnov), and its probability.

    Raises
    ------
    ConfigError
        If JAX is not installed, there are too few mocks, or noise and library have different
        bands.

    Notes
    -----
    The same models, noise, settings and seed give the same network on the same machine; another
    machine or an accelerator sums in another order.
    """
    optimisation = optimisation_module()
    npe = settings.npe
    problem = _problem(
        partial(
            make_mocks,
            library,
            noise,
            seed=seed,
            settings=settings,
            redshift_given=redshift_given,
        ),
        library,
        npe,
    )
    key = _key(problem, npe, seed)
    densities, losses = [], []
    for member in range(npe.n_members):
        n_passes = problem.n_slices * npe.max_epochs
        told = partial(Progress, member=member, n_member=npe.n_members, n_passes=n_passes)
        keeper = Keeper(
            member_file(checkpoint, member), f"{key}-{member}", partial(_tell, progress, told)
        )
        with Passes(problem.learnt, n_slices=problem.n_slices, n_passes=n_passes) as passes:
            found = optimisation.optimise(
                passes,
                problem.standard(problem.held),
                n_rows=problem.n_rows,
                form=npe.density,
                shape=problem.shape(npe),
                settings=npe,
                rng=stream(seed, "npe", member),
                resumed=keeper.load(),
                report=keeper.report,
            )
        densities.append(_raw(problem, npe, found.weights))
        losses.append((found.loss, found.held_loss))
    network = _network(problem, densities, losses, library, noise=noise, settings=settings)
    figures = _figures(network, _fresh(problem, seed), seed)
    origin = {**network.origin, "seed": int(seed), "n_mocks": npe.n_mocks, "key": key}
    return replace(network, figures=figures, origin=origin)


def _tell(
    progress: Callable[[Progress], None] | None,
    told: Callable[..., Progress],
    **figures: float,
) -> None:
    """Tell how far a training is."""
    at = told(**figures)
    logger.debug("%s", at)
    if progress is not None:
        progress(at)


@dataclass(frozen=True, eq=False)
class _Problem:
    """What is learnt: mocks in slices of a sequence, and how they are standardised.

    Attributes
    ----------
    make : callable
        Returns ``n`` mocks from ``first``.
    held : Mocks
        Held out; those of the sequence before all slices.
    n_held, n_slice : int
        Mocks drawn to be held out, and for each slice: before those too faint are left out.
    n_slices : int
        Slices.
    model_library : ModelLibrary
        What mocks are made of.
    centre, width : (n_input,) float64
        Mean and deviation of the inputs held out; a width of one where there is none.
    mass_centre, mass_width : float
        Mean and deviation of the mass target before it is standardised [dex].
    """

    make: Callable[..., Mocks]
    held: Mocks
    n_held: int
    n_slice: int
    n_slices: int
    model_library: ModelLibrary
    centre: Floats
    width: Floats
    mass_centre: float
    mass_width: float

    @property
    def n_rows(self) -> int:
        """Mocks that a slice has, as far as those held out tell."""
        return max(self.n_slice * len(self.held) // self.n_held, 1)

    def learnt(self, place: int) -> tuple[Singles, Singles]:
        """Return standardised inputs and targets of a slice."""
        return self.standard(self.make(n=self.n_slice, first=self.n_held + place * self.n_slice))

    def standard(self, mocks: Mocks) -> tuple[Singles, Singles]:
        """Return standardised inputs and targets of mocks."""
        values, relative = _inputs_and_mass(mocks, self.model_library)
        values -= self.centre.astype(np.float32)
        values /= self.width.astype(np.float32)
        return values, targets(mocks.unit, (relative - self.mass_centre) / self.mass_width)

    def shape(self, npe: NpeConfig) -> Shape:
        """Return the numbers of a density."""
        return Shape(
            n_input=len(self.centre),
            n_dim=len(self.held.names) + 1,
            hidden=npe.hidden,
            n_layers=npe.n_layers,
            n_components=npe.n_components,
            head=npe.head,
        )


def optimisation_module() -> ModuleType:
    """Return the module that needs JAX."""
    try:
        return importlib.import_module("pxdask.npe.optimisation")
    except ImportError as error:
        raise ConfigError(
            f"training a network needs JAX and optax ({error}): pip install 'pxdask[npe]';"
            " to use a trained network needs neither"
        ) from error


def _problem(make: Callable[..., Mocks], library: ModelLibrary, npe: NpeConfig) -> _Problem:
    """Return what is learnt of mocks that a function makes."""
    if npe.n_mocks < FEWEST_MOCKS:
        raise ConfigError(
            f"{npe.n_mocks} mocks; wanted {FEWEST_MOCKS} or more, and 1e7 for a good network:"
            " raise fit.npe.n_mocks"
        )
    n_held = min(int(HELD_SHARE * npe.n_mocks), MOST_HELD)
    n_slices = -(-(npe.n_mocks - n_held) // npe.pass_size)
    held = make(n=n_held, first=0)
    values, relative = _inputs_and_mass(held, library)
    width = values.std(axis=0, dtype=float)
    return _Problem(
        make,
        held,
        n_held,
        (npe.n_mocks - n_held) // n_slices,
        n_slices,
        library,
        values.mean(axis=0, dtype=float),
        np.where(width < LEAST_WIDTH, 1.0, width),
        float(relative.mean()),
        float(relative.std()),
    )


def _inputs_and_mass(mocks: Mocks, library: ModelLibrary) -> tuple[Singles, Floats]:
    """Return inputs of mocks, and their log masses over what they are compared with."""
    own = inputs(mocks.flux, mocks.error, redshift=mocks.redshift)
    redshift = mocks.redshift
    if redshift is None and library.redshift is not None:
        redshift = np.full(len(mocks), library.redshift)
    return own.values, mocks.log_mass - relative_scale(own.scale, redshift, library.settings)


def _redshifts(mocks: Mocks, library: ModelLibrary) -> tuple[float, float] | None:
    """Return the ends of the redshifts that are given; None where redshift is a target."""
    if mocks.redshift is None:
        return None if library.redshift is None else (library.redshift, library.redshift)
    prior = prior_configs(library.settings)["redshift"]
    low, high = getattr(prior, "low", None), getattr(prior, "high", None)
    found = float(mocks.redshift.min()), float(mocks.redshift.max())
    return found[0] if low is None else float(low), found[1] if high is None else float(high)


def _raw(problem: _Problem, npe: NpeConfig, weights: dict[str, Singles]) -> Density:
    """Return the density of inputs as they are: the first layer standardises them."""
    first = weights["first"] / problem.width
    bias = weights["first_bias"] - first @ problem.centre
    own = {"first": first.astype(np.float32), "first_bias": bias.astype(np.float32)}
    return make_density(npe.density, problem.shape(npe), {**weights, **own})


def _network(
    problem: _Problem,
    densities: Sequence[Density],
    losses: Sequence[tuple[list[float], list[float]]],
    library: ModelLibrary,
    *,
    noise: NoiseModel,
    settings: FitConfig,
) -> Network:
    """Return the network, without figures."""
    n_epoch = max(len(loss) for loss, _ in losses)
    curves = np.full((2, len(losses), n_epoch), np.nan)
    for member, pair in enumerate(losses):
        for k, loss in enumerate(pair):
            curves[k, member, : len(loss)] = loss
    return Network(
        bands=library.bands,
        pivot_wave=np.array([pivot_wave(band) for band in library.filters], np.float64),
        filters=tuple(filter_digest(band) for band in library.filters),
        names=problem.held.names,
        redshift=_redshifts(problem.held, library),
        models=library.settings,
        settings=settings.model_dump(mode="json"),
        noise_json=noise.to_json(),
        densities=tuple(densities),
        mass_centre=problem.mass_centre,
        mass_width=problem.mass_width,
        loss=curves[0],
        held_loss=curves[1],
        figures={},
        origin={"ssp": ssp_origin(library.ssp)},
    )


def _fresh(problem: _Problem, seed: int) -> Mocks:
    """Return mocks that no training has seen, drawn independently."""
    other = int(stream(seed, "npe-figures").integers(2**62))
    n = min(_N_CALIBRATED, problem.n_held)
    return problem.make(n=n, first=0, seed=other, points="random")


def _figures(network: Network, some: Mocks, seed: int) -> dict[str, Floats]:
    """Return figures of merit (n_dim + 1,) of mocks that the training has not seen."""
    redshift = some.redshift
    if redshift is None and network.redshift is not None:
        redshift = np.full(len(some), network.redshift[0])
    rngs = [stream(seed, "npe-figures", k) for k in range(len(some))]
    draws = network.draw(some.flux, some.error, redshift=redshift, rngs=rngs, n_draws=_N_DRAW)
    rank = ranks(
        np.concatenate([draws.unit, draws.log_mass[..., None]], axis=-1),
        np.column_stack([some.unit, some.log_mass]),
    )
    uniformity = sbc_ks(rank)
    return {
        "coverage_68": coverage(rank),
        "rank_distance": uniformity.distance,
        "rank_p_value": uniformity.p_value,
    }


def _key(problem: _Problem, npe: NpeConfig, seed: int) -> str:
    """Return the key of a training: of its mocks, those held out standing for all; its seed."""
    digest = hashlib.blake2b(digest_size=16)
    for values in problem.standard(problem.held):
        digest.update(values.tobytes())
    told = {
        "n_mocks", "pass_size", "max_epochs", "patience", "batch_size", "learning_rate", "density",
    }  # fmt: skip
    return content_key(
        {
            "mocks": digest.hexdigest(),
            "shape": asdict(problem.shape(npe)),
            "settings": npe.model_dump(mode="json", include=told),
            "seed": int(seed),
        }
    )
