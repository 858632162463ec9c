"""Affine-invariant ensembles of many SEDs, advanced together."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.kernels.mixture import draw_t, ln_t, step_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.kernels.mixture import Mixture

    Floats = NDArray[np.float64]

DOF = 5.0
"""Degrees of freedom of the mixtures that independent steps are drawn from: tails that are longer
than a posterior's, so that walkers do not stay in them [1]."""

CYCLE = ("stretch", "draw", "local", "draw")
"""Kinds of step, in turn, of walkers that have mixtures."""

SIZES = (0.2, 1.2)
"""Least and greatest local step, in units of 2.38 / sqrt(n_dim) of a component's width, the best
for a Gaussian (Gelman, Roberts & Gilks 1996, Bayesian Statistics 5, 599)."""

_BLOCK = 20
"""Steps whose random numbers are drawn together, and held."""


class LnDensity(Protocol):
    """Density over a space without ends, of many SEDs."""

    def __call__(self, position: Floats, sed: NDArray[np.intp]) -> Floats:
        """Return its natural log (n,) at positions (n, n_dim), each of the SED ``sed`` (n,)."""
        ...


@dataclass(frozen=True, eq=False)
class Stretch:
    """The chains of some steps.

    Attributes
    ----------
    position : (n_step, n_sed, n_walker, n_dim) float64
        After each step.
    ln_density : (n_step, n_sed, n_walker) float64
        Natural log of the density there.
    n_accepted : (n_sed,) int64
        Proposals accepted, of ``n_step * n_walker``.
    """

    position: Floats
    ln_density: Floats
    n_accepted: NDArray[np.int64]


class ManyEnsembles:
    """Moves of the walkers of many SEDs, of every SED within its own walkers.

    It has the methods of ``emcee.moves.Move``. The walkers of all SEDs stand one after the other
    in emcee's state; the two halves of an SED's walkers move in turn, and the density of all of
    one half is one call. A stretch move takes a walker along a line through one of the other
    half. Where mixtures are given, every second step is independent of where a walker stands: a
    draw from the mixture, accepted by Metropolis and Hastings' rule; and every fourth is a random
    walk of the shape of a component, chosen by the probability that the walker is its own.

    Parameters
    ----------
    ln_density : LnDensity
        NaN counts as zero density.
    generators : sequence of numpy.random.Generator
        One of each SED, so that its chain is the same whatever the other SEDs.
    n_walker : int
        Of each SED, even.
    scale : float
        The a of the stretch move: a distance becomes 1 / a to a times as long.
    mixtures : sequence of Mixture, optional
        One of each SED.

    Notes
    -----
    Goodman & Weare 2010 (CAMCoS 5, 65), equations 7 to 10, in halves as Foreman-Mackey et al.
    2013 (PASP 125, 306), section 3. Independent steps: Tierney 1994 (Ann. Stat. 22, 1701),
    section 2.3.3. A mixture may be made of earlier steps, but steps before it do not then count.
    """

    def __init__(
        self,
        ln_density: LnDensity,
        generators: Sequence[np.random.Generator],
        *,
        n_walker: int,
        scale: float,
        mixtures: Sequence[Mixture] | None = None,
    ) -> None:
        self._ln_density = ln_density
        self._generators = generators
        self._n_walker = n_walker
        self._scale = scale
        self._mixtures = mixtures
        self._step = 0
        self._random: list[list[Floats]] = []

    def propose(self, model: object, state: Any) -> tuple[Any, NDArray[np.bool_]]:  # noqa: ANN401  emcee's State
        """Return the state one step on, and which walkers moved."""
        del model
        n_sed, half = len(self._generators), self._n_walker // 2
        n_dim = state.coords.shape[1]
        position = state.coords.reshape(n_sed, 2, half, n_dim).copy()
        ln_density = state.log_prob.reshape(n_sed, 2, half).copy()
        accepted = np.zeros((n_sed, 2, half), bool)
        kind = CYCLE[self._step % len(CYCLE)] if self._mixtures is not None else "stretch"
        random = self._numbers(half, n_dim)
        for moving in (0, 1):
            numbers = [each[:, moving] for each in random]
            here, others = position[:, moving], position[:, 1 - moving]
            if kind == "draw":
                proposed, ln_ratio = self._draws(here, numbers)
            elif kind == "local":
                proposed, ln_ratio = self._steps(here, numbers)
            else:
                proposed, ln_ratio = self._stretches(here, others, numbers[0])
            there = self._density(proposed)
            moves = np.log1p(-numbers[0][:, 2]) < ln_ratio + there - ln_density[:, moving]
            here[moves] = proposed[moves]
            ln_density[:, moving][moves] = there[moves]
            accepted[:, moving] = moves
        self._step += 1
        state.coords = position.reshape(-1, n_dim)
        state.log_prob = ln_density.ravel()
        return state, accepted.ravel()

    def tune(self, state: object, accepted: object) -> None:
        """Do nothing: there is nothing to tune."""

    def _stretches(self, here: Floats, others: Floats, uniform: Floats) -> tuple[Floats, Floats]:
        """Return stretch moves of (n_sed, half, n_dim), and what they owe to the volume."""
        half, n_dim = here.shape[1:]
        z = ((self._scale - 1) * uniform[:, 0] + 1) ** 2 / self._scale
        chosen = np.minimum((uniform[:, 1] * half).astype(np.intp), half - 1)
        partner = np.take_along_axis(others, chosen[:, :, None], axis=1)
        return partner + z[:, :, None] * (here - partner), (n_dim - 1) * np.log(z)

    def _draws(self, here: Floats, numbers: list[Floats]) -> tuple[Floats, Floats]:
        """Return draws from the mixtures, and how much rarer they are than where walkers stand."""
        uniform, normal, chi2 = numbers
        proposed, ln_ratio = np.empty_like(here), np.empty(here.shape[:2])
        for i, mixture in enumerate(self._mixtures or ()):
            proposed[i] = draw_t(mixture, uniform[i, 0], normal[i], chi2[i], dof=DOF)
            ln_ratio[i] = ln_t(mixture, here[i], dof=DOF) - ln_t(mixture, proposed[i], dof=DOF)
        return proposed, ln_ratio

    def _steps(self, here: Floats, numbers: list[Floats]) -> tuple[Floats, Floats]:
        """Return steps of the shapes of mixtures' components, and what they owe."""
        uniform, normal, _ = numbers
        proposed, ln_ratio = np.empty_like(here), np.empty(here.shape[:2])
        first, last = SIZES
        size = (first + (last - first) * uniform[:, 1]) * 2.38 / here.shape[2] ** 0.5
        for i, mixture in enumerate(self._mixtures or ()):
            proposed[i], ln_ratio[i] = step_within(
                mixture, here[i], uniform[i, 0], normal[i], size=size[i], dof=DOF
            )
        return proposed, ln_ratio

    def _numbers(self, half: int, n_dim: int) -> list[Floats]:
        """Return random numbers of a step, each (n_sed, moving, ...): uniform, and for draws."""
        k = self._step % _BLOCK
        if k == 0:
            self._random = [self._block(each, half, n_dim) for each in self._generators]
        kinds = len(self._random[0])
        return [np.stack([of_sed[i][k] for of_sed in self._random]) for i in range(kinds)]

    def _block(self, rng: np.random.Generator, half: int, n_dim: int) -> list[Floats]:
        """Return the random numbers of an SED's next steps."""
        uniform = rng.random((_BLOCK, 2, 3, half))
        if self._mixtures is None:
            return [uniform]
        normal = rng.standard_normal((_BLOCK, 2, half, n_dim))
        return [uniform, normal, rng.chisquare(DOF, (_BLOCK, 2, half))]

    def _density(self, proposed: Floats) -> Floats:
        """Return the ln density at proposals (n_sed, half, n_dim)."""
        n_sed, half, n_dim = proposed.shape
        sed = np.repeat(np.arange(n_sed), half)
        found = self._ln_density(proposed.reshape(-1, n_dim), sed).reshape(n_sed, half)
        return np.where(np.isnan(found), -np.inf, found)


def advance(
    ln_density: LnDensity,
    position: Floats,
    ln_start: Floats,
    generators: Sequence[np.random.Generator],
    *,
    n_step: int,
    scale: float,
    mixtures: Sequence[Mixture] | None = None,
) -> Stretch:
    """Return the chains of many SEDs over some steps.

    Parameters
    ----------
    ln_density : LnDensity
        Density of each SED.
    position : (n_sed, n_walker, n_dim) float64
        Where the walkers stand; an even number, those of an SED not in a plane.
    ln_start : (n_sed, n_walker) float64
        Natural log of the density there, finite.
    generators : sequence of numpy.random.Generator
        One of each SED; they move on.
    n_step : int
        Steps.
    scale, mixtures
        See `ManyEnsembles`.

    Raises
    ------
    ConfigError
        If emcee is not installed.
    """
    try:
        emcee = importlib.import_module("emcee")
    except ImportError as error:
        raise ConfigError(
            "fit.method is mcmc, which needs emcee: pip install 'pxdask[mcmc]', or emcee"
        ) from error
    n_sed, n_walker, n_dim = position.shape
    move = ManyEnsembles(ln_density, generators, n_walker=n_walker, scale=scale, mixtures=mixtures)
    sampler = emcee.EnsembleSampler(n_sed * n_walker, n_dim, _never, moves=move)
    state = emcee.State(position.reshape(-1, n_dim), log_prob=ln_start.ravel())
    # emcee's check is of all walkers as one ensemble, which they are not
    sampler.run_mcmc(state, n_step, skip_initial_state_check=True)
    return Stretch(
        position=sampler.get_chain().reshape(n_step, n_sed, n_walker, n_dim),
        ln_density=sampler.get_log_prob().reshape(n_step, n_sed, n_walker),
        n_accepted=sampler.backend.accepted.reshape(n_sed, n_walker).sum(axis=1).astype(np.int64),
    )


def _never(coords: object) -> float:
    """Raise: the move asks its own density."""
    raise NotImplementedError(coords)
