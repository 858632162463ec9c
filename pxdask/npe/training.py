"""The training of a network from mocks. It needs JAX; using a network does not."""

from __future__ import annotations

import hashlib
import importlib
import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.files import replacing
from pxdask.core.provenance import content_key
from pxdask.core.random import stream
from pxdask.kernels.bandpass import pivot_wave
from pxdask.npe.agreement import filter_digest, ssp_origin
from pxdask.npe.calibration import coverage, ranks, sbc_ks
from pxdask.npe.density import Shape, make_density
from pxdask.npe.features import inputs
from pxdask.npe.network import Network
from pxdask.npe.targets import relative_scale, targets
from pxdask.sps.parameters import prior_configs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig, NpeConfig
    from pxdask.npe.density import Density, Form
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

_N_CALIBRATED, _N_DRAW = 2000, 400
"""Mocks held out that figures of merit are computed of, and draws of each: their ranks tell 0.001
from a coverage of 0.68 of which 2,000 mocks tell 0.01."""

_LEAST_WIDTH = 1e-3
"""Deviation of an input below which it tells nothing, and is not blown up."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is.

    Attributes
    ----------
    member, n_member : int
        Network of the ensemble, from 0, and how many there are.
    epoch, max_epochs : int
        Passes through the mocks that are done, and how many there are at most.
    loss, held_loss : float
        Mean -ln density of the pass, and of mocks held out.
    """

    member: int
    n_member: int
    epoch: int
    max_epochs: int
    loss: float
    held_loss: float


def train(
    mocks: Mocks,
    library: ModelLibrary,
    *,
    noise: NoiseModel,
    settings: FitConfig,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
    checkpoint: Path | None = None,
) -> Network:
    """Return a network that knows the posteriors of SEDs like some mocks.

    Parameters
    ----------
    mocks : Mocks
        From `pxdask.npe.mocks.make_mocks`; the last of them are held out.
    library : ModelLibrary
        What the mocks were made of.
    noise : NoiseModel
        What their errors were made of.
    settings : FitConfig
        What they were made with; ``npe`` says how to train.
    seed : int
        Of the first weights and the order of mocks, for each member of the ensemble.
    progress : callable, optional
        Called after each pass through the mocks.
    checkpoint : Path, optional
        Where the state of the training is kept, a file ``<name>-<member>.npz`` for each member;
        where there is one of the same mocks, settings and seed, the training goes on from it.
        Files are left when it ends.

    Returns
    -------
    network : Network
        With figures of merit of mocks held out: coverage of central 68 % intervals, distance of
        ranks from evenness (Kolmogorov-Smirnov), and its probability.

    Raises
    ------
    ConfigError
        If JAX is not installed, or there are too few mocks.

    Notes
    -----
    The same mocks, settings and seed give the same network on the same machine; another
    machine or an accelerator sums in another order.
    """
    optimisation = _optimisation()
    problem = _problem(mocks, library)
    form, npe = settings.npe.density, settings.npe
    key = _key(problem, npe, seed)
    densities, losses = [], []
    for member in range(npe.n_members):
        keeper = _Keeper(_own_file(checkpoint, member), f"{key}-{member}", progress, npe, member)
        found = optimisation.optimise(
            problem.inputs,
            problem.targets,
            n_held=problem.n_held,
            form=form,
            shape=problem.shape(npe),
            settings=npe,
            rng=stream(seed, "npe", member),
            resumed=keeper.load(),
            report=keeper.report,
        )
        densities.append(_raw(form, problem, npe, found.weights))
        losses.append((found.loss, found.held_loss))
    network = _network(problem, densities, losses, library, noise=noise, settings=settings)
    figures = _figures(network, mocks.rows(slice(len(mocks) - problem.n_held, None)), seed)
    origin = {**network.origin, "seed": int(seed), "n_mocks": len(mocks), "key": key}
    return replace(network, figures=figures, origin=origin)


@dataclass(frozen=True, eq=False)
class _Problem:
    """What is learnt: standardised inputs and targets of all mocks."""

    inputs: Singles
    targets: Singles
    centre: Floats
    width: Floats
    mass_centre: float
    mass_width: float
    n_held: int
    names: tuple[str, ...]
    redshift: tuple[float, float] | None

    def shape(self, npe: NpeConfig) -> Shape:
        """Return the numbers of a density."""
        return Shape(
            n_input=self.inputs.shape[1],
            n_dim=self.targets.shape[1],
            hidden=npe.hidden,
            n_layers=npe.n_layers,
            n_components=npe.n_components,
            head=npe.head,
        )


def _optimisation() -> ModuleType:
    """Return the module that needs JAX."""
    try:
        return importlib.import_module("pxdask.npe.optimisation")
    except ImportError as error:
        raise ConfigError(
            f"training a network needs JAX and optax ({error}): pip install 'pxdask[npe]';"
            " to use a trained network needs neither"
        ) from error


def _problem(mocks: Mocks, library: ModelLibrary) -> _Problem:
    """Return inputs and targets of mocks."""
    if len(mocks) < FEWEST_MOCKS:
        raise ConfigError(
            f"{len(mocks)} mocks; wanted {FEWEST_MOCKS} or more, and 1e5 for a good network:"
            " raise fit.npe.n_mocks"
        )
    own = inputs(mocks.flux, mocks.error, redshift=mocks.redshift)
    redshift = mocks.redshift
    if redshift is None and library.redshift is not None:
        redshift = np.full(len(mocks), library.redshift)
    relative = mocks.log_mass - relative_scale(own.scale, redshift, library.settings)
    mass_centre, mass_width = float(relative.mean()), float(relative.std())
    centre, width = own.values.mean(axis=0, dtype=float), own.values.std(axis=0, dtype=float)
    width = np.where(width < _LEAST_WIDTH, 1.0, width)
    return _Problem(
        ((own.values - centre) / width).astype(np.float32),
        targets(mocks.unit, (relative - mass_centre) / mass_width),
        centre,
        width,
        mass_centre,
        mass_width,
        min(int(HELD_SHARE * len(mocks)), MOST_HELD),
        mocks.names,
        _redshifts(mocks, library),
    )


def _redshifts(mocks: Mocks, library: ModelLibrary) -> tuple[float, float] | None:
    """Return the ends of the redshifts that are given; None where redshift is a target."""
    if mocks.redshift is None:
        return None if library.redshift is None else (library.redshift, library.redshift)
    prior = prior_configs(library.settings)["redshift"]
    low, high = getattr(prior, "low", None), getattr(prior, "high", None)
    found = float(mocks.redshift.min()), float(mocks.redshift.max())
    return found[0] if low is None else float(low), found[1] if high is None else float(high)


def _raw(form: Form, problem: _Problem, npe: NpeConfig, weights: dict[str, Singles]) -> Density:
    """Return the density of inputs as they are: the first layer standardises them."""
    first = weights["first"] / problem.width
    bias = weights["first_bias"] - first @ problem.centre
    own = {"first": first.astype(np.float32), "first_bias": bias.astype(np.float32)}
    return make_density(form, problem.shape(npe), {**weights, **own})


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
        names=problem.names,
        redshift=problem.redshift,
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


def _figures(network: Network, held: Mocks, seed: int) -> dict[str, Floats]:
    """Return figures of merit (n_dim + 1,) of mocks held out."""
    some = held.rows(slice(_N_CALIBRATED))
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
    """Return the key of a training: of its mocks, settings and seed."""
    digest = hashlib.blake2b(problem.inputs.tobytes(), digest_size=16)
    digest.update(problem.targets.tobytes())
    told = {"max_epochs", "patience", "batch_size", "learning_rate", "density"}
    return content_key(
        {
            "mocks": digest.hexdigest(),
            "shape": asdict(problem.shape(npe)),
            "settings": npe.model_dump(mode="json", include=told),
            "seed": int(seed),
        }
    )


def _own_file(checkpoint: Path | None, member: int) -> Path | None:
    """Return the file of a member's state."""
    if checkpoint is None:
        return None
    return checkpoint.with_name(f"{checkpoint.name}-{member}.npz")


@dataclass(frozen=True)
class _Keeper:
    """Tells of a member's training, and keeps its state."""

    path: Path | None
    key: str
    progress: Callable[[Progress], None] | None
    npe: NpeConfig
    member: int

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Return the state that was kept of this training; None where there is none."""
        if self.path is None or not self.path.exists():
            return None
        with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        if str(found.pop("key")) != self.key:
            logger.info("%s is the state of another training; it begins anew", self.path)
            return None
        logger.info("training goes on from %s, pass %d", self.path, len(found["loss"]))
        return found

    def report(
        self,
        epoch: int,
        loss: float,
        held_loss: float,
        state: Callable[[], dict[str, NDArray[Any]]],
    ) -> None:
        """Keep the state after a pass, and tell of it."""
        if self.path is not None:
            arrays: dict[str, Any] = {"key": np.array(self.key), **state()}
            with replacing(self.path) as part, part.open("wb") as file:
                np.savez(file, **arrays)
        logger.debug("network %d, pass %d: %.4f, %.4f", self.member, epoch, loss, held_loss)
        if self.progress is not None:
            self.progress(
                Progress(
                    self.member, self.npe.n_members, epoch + 1, self.npe.max_epochs, loss, held_loss
                )
            )
