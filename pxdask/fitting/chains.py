"""Chains of walkers of one SED each: their start, their steps, and when they end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from pxdask.core.errors import DataError
from pxdask.core.random import stream
from pxdask.fitting.convergence import autocorrelation_time, burn_in
from pxdask.fitting.ensemble import advance
from pxdask.fitting.population import populate, relearnt
from pxdask.kernels.chain_spread import split_rhat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.core.fits import McmcConfig
    from pxdask.fitting.target import Target
    from pxdask.kernels.mixture import Mixture

    Floats = NDArray[np.float64]

_N_FIRST = 1000
"""Models, drawn from the first ones, that the first mixture is fitted to."""

RELEARN_AFTER = 400
"""Steps after which a mixture is fitted again, to them, where they promise no convergence."""


@dataclass(eq=False)
class Chain:
    """The walkers of one SED, as far as they have come.

    Attributes
    ----------
    sed, key : int, tuple
        Number in the target, and name of the random stream.
    rng : numpy.random.Generator
        The stream.
    position : (n_walker, n_dim) float64
        Where the walkers stand: see `McmcFitter`.
    ln_density : (n_walker,) float64
        Natural log of the density there.
    best, ln_best : (n_dim,) float64, float
        Position of the largest density over the cube so far, and its natural log.
    n_step, n_counted, n_accepted : int
        Steps so far, with those that learning the mixture was worth; those since it was last
        fitted; proposals accepted in these.
    mixture : Mixture or None
        Of the independent steps.
    tau, rhat : float
        Longest autocorrelation time [steps] and largest split R-hat at the last test; NaN
        before.
    converged : bool
        Whether the last test was passed.
    steps : list of (n_step, n_walker, n_dim) float32
        Positions that count.
    """

    sed: int
    key: tuple[str | int, ...]
    rng: np.random.Generator
    position: Floats
    ln_density: Floats
    best: Floats
    ln_best: float = -math.inf
    n_step: int = 0
    n_counted: int = 0
    n_accepted: int = 0
    mixture: Mixture | None = None
    tau: float = math.nan
    rhat: float = math.nan
    converged: bool = False
    steps: list[NDArray[np.float32]] = field(default_factory=list, repr=False)

    def kept(self) -> NDArray[np.float32]:
        """Return the positions (n_step, n_walker, n_dim) that count, after burn-in."""
        return np.concatenate(self.steps)[burn_in(self.n_counted, tau=self.tau) :]

    def extend(self, position: Floats, ln_density: Floats, n_accepted: int) -> None:
        """Add the steps (n_step, n_walker, n_dim) that were made."""
        self.steps.append(position.astype(np.float32))
        self.position, self.ln_density = position[-1], ln_density[-1]
        self.n_step += len(position)
        self.n_counted += len(position)
        self.n_accepted += n_accepted
        self.note_best(position, ln_density)

    def note_best(self, position: Floats, ln_density: Floats) -> None:
        """Remember the best of some positions (..., n_dim), if it is better than before."""
        in_cube = ln_density - ln_normal(position)
        best = np.unravel_index(np.argmax(in_cube), in_cube.shape)
        if in_cube[best] > self.ln_best:
            self.best, self.ln_best = position[best].copy(), float(in_cube[best])

    def hopeless(self, settings: McmcConfig) -> bool:
        """Return whether steps to come are too few for its tau, and enough to begin again."""
        left = settings.max_steps - self.n_step
        enough = self.n_counted >= RELEARN_AFTER and left >= RELEARN_AFTER
        return enough and self.tau * settings.min_taus > left + len(self.kept())

    def relearn(self, target: Target, n_component: int) -> None:
        """Fit the mixture to the steps so far, which then count no more."""
        density = NormalDensity(target, np.array([self.sed]))
        samples = np.concatenate(self.steps).reshape(-1, self.position.shape[1])
        self.mixture = relearnt(
            lambda position: density(position, np.zeros(len(position), np.intp)),
            samples.astype(np.float64),
            n_component=n_component,
            rng=self.rng,
        )
        self.steps, self.n_counted, self.n_accepted, self.tau = [], 0, 0, math.nan

    def test(self, settings: McmcConfig) -> None:
        """Find out whether the chain has converged."""
        last = self.n_step >= settings.max_steps
        # a test costs as much as some steps: not before it can be hoped to be passed
        if not last and math.isfinite(self.tau) and self.n_counted < settings.min_taus * self.tau:
            return
        self.tau = float(np.max(autocorrelation_time(self.kept())))
        kept = self.kept()
        long = len(kept) >= settings.min_taus * self.tau
        if last or long:
            self.rhat = float(np.max(split_rhat(kept)))
            self.converged = bool(long and self.rhat <= settings.max_rhat)


@dataclass(frozen=True, eq=False)
class NormalDensity:
    """The posterior where the prior is standard normal, so that no parameter has an end.

    Attributes
    ----------
    target : Target
        Density over the unit cube.
    seds : (n_chain,) int
        Which of the target's SEDs each chain is of.
    """

    target: Target
    seds: NDArray[np.intp]

    def __call__(self, position: Floats, sed: NDArray[np.intp]) -> Floats:
        """Return the natural log of the density (n,), but for a constant."""
        return self.target.over_mass(ndtr(position), self.seds[sed]) + ln_normal(position)


def ln_normal(position: Floats) -> Floats:
    """Return the natural log of the standard normal density of (..., n_dim), but for a constant."""
    found = np.zeros(position.shape[:-1])
    # column by column: the bits of a sum over an axis depend on the shape
    for i in range(position.shape[-1]):
        found -= 0.5 * position[..., i] ** 2
    return found


def first_chain(
    target: Target, sed: int, key: tuple[str | int, ...], *, first: Floats | None = None
) -> Chain:
    """Return the start of an SED's chain, with the mixture that its walkers are moved by.

    Parameters
    ----------
    target : Target
        Densities.
    sed : int
        Which SED; one with a finite ``best_scale``.
    key : tuple
        Name of its random stream.
    first : (n_first, n_dim) float64, optional
        Positions that the first mixture is fitted to. Default: `Target.start`.
    """
    sampled, mcmc = target.sampled, target.sampled.settings.mcmc
    rng = stream(sampled.model_library.seed, *key, "mcmc")
    density = NormalDensity(target, np.array([sed]))

    def of_sed(position: Floats) -> Floats:
        return density(position, np.zeros(len(position), np.intp))

    if mcmc.n_components == 0:
        position = ndtri(target.start(sed, mcmc.n_walkers, rng)[:, :-1])
        chain = Chain(sed, key, rng, position, of_sed(position), best=position[0])
        chain.note_best(position, chain.ln_density)
        return chain
    n_adapt = adapt_steps(mcmc)
    found = populate(
        of_sed,
        ndtri(target.start(sed, _N_FIRST, rng)[:, :-1]) if first is None else first,
        n_draw=n_adapt * mcmc.n_walkers,
        n_component=mcmc.n_components,
        rng=rng,
    )
    chosen = rng.choice(len(found.weight), size=mcmc.n_walkers, p=found.weight)
    chain = Chain(
        sed, key, rng, found.position[chosen], found.ln_density[chosen], best=found.position[0]
    )
    chain.mixture, chain.n_step = found.mixture, n_adapt
    chain.note_best(found.position, found.ln_density)
    return chain


def adapt_steps(settings: McmcConfig) -> int:
    """Return how many steps' worth of models the mixture is learnt from."""
    most = max(settings.max_steps // 2, 1)
    return min(settings.adapt_steps, most) if settings.n_components else 0


def run(target: Target, chains: list[Chain], settings: McmcConfig) -> None:
    """Advance chains until each has converged or is at its last step.

    Parameters
    ----------
    target : Target
        Densities.
    chains : list of Chain
        Their starts, which are changed; one is the same, to the last bit, whatever the others.
    settings : McmcConfig
        When to fit, to test, and to stop.

    Raises
    ------
    DataError
        If a start has no density, which is not to be with finite models.
    """
    if lost := [chain.key for chain in chains if not np.all(np.isfinite(chain.ln_density))]:
        raise DataError(f"walkers of the SEDs {lost} start where the posterior is zero")
    active = chains
    while active:
        n_step = active[0].n_step
        stop = min(n_step + settings.check_every, settings.max_steps)
        mixtures = [chain.mixture for chain in active if chain.mixture is not None]
        together = advance(
            NormalDensity(target, np.array([chain.sed for chain in active])),
            np.stack([chain.position for chain in active]),
            np.stack([chain.ln_density for chain in active]),
            [chain.rng for chain in active],
            n_step=stop - n_step,
            scale=settings.step_scale,
            mixtures=mixtures or None,
        )
        for i, chain in enumerate(active):
            accepted = int(together.n_accepted[i])
            chain.extend(together.position[:, i], together.ln_density[:, i], accepted)
            chain.test(settings)
            if chain.mixture is not None and not chain.converged and chain.hopeless(settings):
                chain.relearn(target, settings.n_components)
        active = [c for c in active if not c.converged and c.n_step < settings.max_steps]
