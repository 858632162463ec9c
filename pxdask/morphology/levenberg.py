"""Best fits by damped Gauss-Newton steps, compiled whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from pxdask.morphology.engine import Normal, model_images, normal_equations

if TYPE_CHECKING:
    from jax import Array

    from pxdask.morphology.engine import Arrays
    from pxdask.morphology.parameters import Layout

MAX_STEPS = 100

CONVERGED = 1e-4
"""Twice the drop of the cost that a full step promises, below which the best is reached: the
distance to it is then a hundredth of a standard deviation."""

_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-2, 1e-9, 1e12
_LONGEST = 2.0
"""Change of any number in one step; they are scaled to their priors."""


class Best(NamedTuple):
    """The best fit of one scene.

    Attributes
    ----------
    theta : (n_dim,) array
        Best parameters.
    normal : Normal
        Cost, gradient and curvature there.
    n_steps : scalar int array
        Steps tried.
    converged : scalar bool array
        Whether the last promised nothing more.
    chi2 : tuple of (n_band,) arrays
        Sum of squared residuals over errors of each band, by group.
    images : tuple of (n_band, side, side) arrays
        Models, by group [uJy per pixel].
    """

    theta: Array
    normal: Normal
    n_steps: Array
    converged: Array
    chi2: tuple[Array, ...]
    images: tuple[Array, ...]


class _State(NamedTuple):
    theta: Array
    normal: Normal
    damping: Array
    n_steps: Array
    converged: Array


def best_fit(start: Array, arrays: Arrays, layout: Layout) -> Best:
    """Return the best fit from a start (n_dim,)."""
    first = _State(
        start,
        normal_equations(start, arrays, layout),
        jnp.asarray(_FIRST_DAMPING),
        jnp.asarray(0),
        jnp.asarray(False),  # noqa: FBT003  an array
    )
    last = jax.lax.while_loop(_goes_on, lambda state: _step(state, arrays, layout), first)
    images = tuple(model_images(last.theta, arrays, layout))
    chi2 = tuple(
        jnp.sum(((group["flux"] - image) * group["weight"]) ** 2, axis=(1, 2))
        for group, image in zip(arrays["groups"], images, strict=True)
    )
    return Best(last.theta, last.normal, last.n_steps, last.converged, chi2, images)


def _goes_on(state: _State) -> Array:
    """Return whether there is more to be had."""
    able = (state.damping < _MOST_DAMPING) & jnp.isfinite(state.normal.cost)
    return ~state.converged & able & (state.n_steps < MAX_STEPS)


def _step(state: _State, arrays: Arrays, layout: Layout) -> _State:
    """Try one step; keep it where the cost falls.

    The loss's own curvature makes for quadratic convergence, but far from the best it may have
    no lower bound: there, that of reweighted least squares is taken, which has. A fit is settled
    where a step promises nothing more, or gives nothing though it is hardly damped: the bottom of
    a curved valley, such as that of sizes far below the PSF's.
    """
    own = state.normal
    near = _solved(own.curvature, own.gradient, state.damping)
    far = _solved(own.majorant, own.gradient, state.damping)
    fall = -own.gradient @ near
    trusted = jnp.isfinite(fall) & (fall > 0) & (fall < 1.0)
    step = jnp.where(trusted, near, far)
    decrement = -own.gradient @ step
    step = step * jnp.minimum(1.0, _LONGEST / jnp.max(jnp.abs(step)))
    theta = state.theta + step
    tried = normal_equations(theta, arrays, layout)
    better = tried.cost <= own.cost
    damping = jnp.where(better, state.damping * 0.2, state.damping * 8.0)
    free = better & (state.damping <= _FIRST_DAMPING)
    crawling = free & (2 * (own.cost - tried.cost) < CONVERGED)
    settled = ((decrement < CONVERGED) & (better | (decrement < 1e-3 * CONVERGED))) | crawling
    return _State(
        jnp.where(better, theta, state.theta),
        jax.tree.map(lambda new, old: jnp.where(better, new, old), tried, own),
        jnp.maximum(damping, _LEAST_DAMPING),
        state.n_steps + 1,
        settled,
    )


def _solved(matrix: Array, gradient: Array, damping: Array) -> Any:  # noqa: ANN401  Array
    """Return the damped step, in units in which the diagonal is one."""
    scale = jnp.sqrt(jnp.maximum(jnp.abs(jnp.diag(matrix)), 1e-30))
    scaled = matrix / jnp.outer(scale, scale) + damping * jnp.eye(len(gradient))
    factor = jax.scipy.linalg.cho_factor(scaled, lower=True)
    return -jax.scipy.linalg.cho_solve(factor, gradient / scale) / scale
