"""Samplers of a density in JAX, by blackjax: NUTS, and a normal of full rank fitted to it.

Both work in coordinates in which a normal that is known beforehand, Laplace's, is the standard
one: there is no length scale to be learnt, and few steps do. A density's data are arguments of what
is compiled, so that it is compiled once for each form of problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import blackjax  # type: ignore[import-untyped]  # it has no types
import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]  # it has no types
from blackjax.vi.fullrank_vi import (  # type: ignore[import-untyped]
    FRVIState,
    sample,
)
from blackjax.vi.fullrank_vi import step as variational_step

from pxdask.morphology.compiled import one_threaded

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from jax import Array

    Density = Callable[[Array, Any, Hashable], Array]
    """ln of a density, of position (n_dim,), data, and what is static."""

_TARGET_ACCEPTANCE = 0.85
_FIRST_STEP = 0.5
"""Step of NUTS before it is adapted; a standard normal takes about one."""

_MOST_DOUBLINGS = 7
"""Of a trajectory: up to 127 steps."""

_WIDE_START = 1.5
"""Widths of the known normal from which chains start: wider than it, so that R-hat can tell."""

_RATE = 0.05
"""First learning rate of the variational fit, of means in widths and of logarithms of widths."""


_NO_SLOPE = 1e-2
"""Slope of the bound, in nats per width, below which Adam does not scale steps up: a mean is then
wrong by a hundredth of a width."""


@dataclass(frozen=True, slots=True)
class NutsSizes:
    """Chains, steps that adapt them, and steps kept of each."""

    n_chain: int = 4
    n_warm: int = 150
    n_keep: int = 125


@dataclass(frozen=True, slots=True)
class VariationalSizes:
    """Steps of the fit, draws in each, and draws in the end."""

    n_step: int = 400
    n_sample: int = 8
    n_draws: int = 500


class Chains(NamedTuple):
    """What NUTS gives: positions (n_keep, n_chain, n_dim), and of each step whether it diverged."""

    positions: Array
    diverged: Array


class Variational(NamedTuple):
    """What the variational fit gives.

    Attributes
    ----------
    draws : (n_draws, n_dim) array
        From the fitted normal.
    loss : (n_step,) array
        Negative bound of the evidence at each step [nat].
    """

    draws: Array
    loss: Array


@lru_cache(maxsize=64)
def nuts_program(
    density: Density, static: Hashable, sizes: NutsSizes
) -> Callable[[Array, Array, Array, Any], Chains]:
    """Return a compiled sampler of a density, by NUTS.

    Parameters
    ----------
    density : callable
        See `Density`.
    static : hashable
        Its last argument.
    sizes : NutsSizes
        Chains and steps.

    Returns
    -------
    program : callable
        Of a random key, centre (n_dim,) and root (n_dim, n_dim) of the known normal (the root
        times its transpose is the covariance), and data.

    Notes
    -----
    Hoffman & Gelman 2014 (JMLR 15, 1593), with the warm-up of Stan: step and diagonal metric are
    adapted in windows. Chains are run one after another: in step, each would wait for the one
    whose trajectory is longest.
    """

    def program(key: Array, centre: Array, root: Array, data: Any) -> Chains:  # noqa: ANN401  tree
        target = partial(_whitened, density=density, static=static, at=(centre, root, data))

        def chain(key: Array) -> tuple[Array, Array]:
            begin, warm, go = jax.random.split(key, 3)
            start = _WIDE_START * jax.random.normal(begin, centre.shape, centre.dtype)
            adaptation = blackjax.window_adaptation(
                blackjax.nuts,
                target,
                initial_step_size=_FIRST_STEP,
                target_acceptance_rate=_TARGET_ACCEPTANCE,
                max_num_doublings=_MOST_DOUBLINGS,
            )
            (state, tuned), _ = adaptation.run(warm, start, sizes.n_warm)
            sampler = blackjax.nuts(target, **tuned)

            def step(state: Any, key: Array) -> tuple[Any, tuple[Array, Array]]:  # noqa: ANN401
                state, info = sampler.step(key, state)
                return state, (state.position, info.is_divergent)

            return jax.lax.scan(step, state, jax.random.split(go, sizes.n_keep))[1]

        white, diverged = jax.lax.map(chain, jax.random.split(key, sizes.n_chain))
        positions = centre + jnp.einsum("ij,cnj->nci", root, white)
        return Chains(positions, diverged.T)

    return _compiled(program)


@lru_cache(maxsize=64)
def variational_program(
    density: Density, static: Hashable, sizes: VariationalSizes
) -> Callable[[Array, Array, Array, Any], Variational]:
    """Return a compiled fit of a normal of full rank to a density; arguments as `nuts_program`.

    Notes
    -----
    The evidence bound is climbed by Adam with the gradient of Roeder, Wu & Duvenaud 2017 (NIPS
    30), which has no noise where the density is a normal: there the fit starts at its end.
    """
    rate = optax.cosine_decay_schedule(_RATE, sizes.n_step)
    optimiser = optax.adam(rate, eps=_NO_SLOPE)

    def program(
        key: Array,
        centre: Array,
        root: Array,
        data: Any,  # noqa: ANN401  tree of arrays
    ) -> Variational:
        n_dim = centre.size
        target = partial(_whitened, density=density, static=static, at=(centre, root, data))
        first = jnp.zeros_like(centre), jnp.zeros(n_dim * (n_dim + 1) // 2, centre.dtype)
        start = FRVIState(*first, optimiser.init(first))

        def step(state: FRVIState, key: Array) -> tuple[FRVIState, Array]:
            new, info = variational_step(key, state, target, optimiser, sizes.n_sample)
            return new, info.elbo  # blackjax 1.x gives its negative

        fit, last = jax.random.split(key)
        state, loss = jax.lax.scan(step, start, jax.random.split(fit, sizes.n_step))
        white = sample(last, state, sizes.n_draws)
        return Variational(centre + white @ root.T, loss)

    return _compiled(program)


def _whitened(
    white: Array, *, density: Density, static: Hashable, at: tuple[Array, Array, Any]
) -> Array:
    """Return ln of the density at a position in units of the known normal."""
    centre, root, data = at
    return density(centre + root @ white, data, static)


def _compiled(program: Callable[..., Any]) -> Callable[..., Any]:
    """Return a program compiled at its first call, for the thread that calls it."""
    compiled: Callable[..., Any] = jax.jit(program, compiler_options=one_threaded())
    return compiled
