"""Posteriors of a scene's parameters: normal at the best fit, fitted normal, or sampled."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.flags import Flag
from pxdask.kernels.chain_spread import split_rhat
from pxdask.morphology.compiled import double_precision, load_jax

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pxdask.core.morphology import MorphologyConfig
    from pxdask.morphology.fit import Fitted
    from pxdask.morphology.scene import Scene

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

MAX_RHAT = 1.05
"""Greatest split R-hat of chains that have converged; 500 draws of four chains, of which every
second is independent, have 1.02 by chance."""

MAX_DIVERGENT = 0.01
"""Greatest part of steps of NUTS that may diverge."""

MAX_FALL = 0.3
"""Change of the variational bound over the last quarter of its steps above which it has not
settled [nat]."""

N_CHAIN = 4


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws of the parameters of a scene.

    Attributes
    ----------
    draws : (n_draws, n_dim) float64
        Of the numbers that are fitted; NaN where the best fit has no covariance.
    flags : int
        NOT_CONVERGED where the sampler is not to be believed; to be added to the galaxy's.
    rhat : float
        Largest split R-hat of chains; NaN without chains.
    n_divergent : int
        Steps of chains that diverged.
    loss_fall : float
        Change of the variational bound over the last quarter of steps [nat]; NaN without.
    """

    draws: Floats
    flags: int = 0
    rhat: float = math.nan
    n_divergent: int = 0
    loss_fall: float = math.nan


def sample_posterior(
    scene: Scene, fitted: Fitted, *, config: MorphologyConfig, rng: np.random.Generator
) -> Posterior:
    """Return draws from the posterior of a scene.

    Parameters
    ----------
    scene : Scene
        Data, priors, form.
    fitted : Fitted
        Its best fit, with Laplace's covariance, which is where samplers begin and what their
        lengths are measured in.
    config : MorphologyConfig
        Method, number of draws.
    rng : numpy.random.Generator
        Source of the draws. Those of equal states are equal.

    Returns
    -------
    posterior : Posterior
        Of a fit without a positive covariance all draws are NaN, and it is flagged.

    Raises
    ------
    ConfigError
        If the method needs blackjax and that is not installed.
    """
    root = covariance_root(fitted.covariance)
    n_dim = fitted.theta.size
    if root is None or not np.all(np.isfinite(fitted.theta)):
        return Posterior(np.full((config.n_draws, n_dim), np.nan), int(Flag.NOT_CONVERGED))
    if config.posterior == "laplace":
        normal = rng.standard_normal((config.n_draws, n_dim))
        return Posterior(fitted.theta + normal @ root.T)
    return _sampled(scene, fitted.theta, root, config=config, seed=int(rng.integers(2**32)))


def _sampled(
    scene: Scene, theta: Floats, root: Floats, *, config: MorphologyConfig, seed: int
) -> Posterior:
    """Return draws by blackjax; see `sample_posterior`."""
    samplers = _samplers()
    with double_precision():
        density = _density(scene, config)
        key = load_jax().random.key(seed)
        at = (key, theta, root, scene.arrays)
        # programs of the reference hold the galaxy, so that to keep them would be of no use
        kept = config.engine == "jax"
        if config.posterior == "variational":
            sizes = samplers.VariationalSizes(n_draws=config.n_draws)
            make = samplers.variational_program
            program = (make if kept else make.__wrapped__)(density, scene.layout, sizes)
            return _variational(program, at)
        n_keep = max(math.ceil(config.n_draws / N_CHAIN), 4)
        chains = samplers.NutsSizes(n_chain=N_CHAIN, n_keep=n_keep)
        make = samplers.nuts_program
        program = (make if kept else make.__wrapped__)(density, scene.layout, chains)
        return _nuts(program, at, n_draws=config.n_draws)


def _density(scene: Scene, config: MorphologyConfig) -> Callable[..., Any]:
    """Return the density of the engine that made the fit."""
    if config.engine == "pysersic":
        from pxdask.morphology.reference import reference_density  # noqa: PLC0415  needs JAX

        return reference_density(scene)
    from pxdask.morphology.engine import log_density  # noqa: PLC0415  needs JAX

    return log_density


def covariance_root(covariance: Floats) -> Floats | None:
    """Return a matrix that gives a covariance times its transpose; None where there is none.

    Parameters
    ----------
    covariance : (n_dim, n_dim) float64
        Symmetric.

    Returns
    -------
    root : (n_dim, n_dim) float64 or None
        Lower triangular. None where the covariance is not finite and positive definite.
    """
    if not np.all(np.isfinite(covariance)):
        return None
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        return None


def _samplers() -> Any:  # noqa: ANN401  a module
    """Return the samplers, where they can be had."""
    load_jax()
    try:
        from pxdask.morphology import samplers  # noqa: PLC0415  extras
    except ImportError as error:
        raise ConfigError(
            "this posterior needs blackjax: pip install 'pxdask[morphology]'"
        ) from error
    return samplers


def _nuts(program: Callable[..., Any], at: tuple[Any, ...], *, n_draws: int) -> Posterior:
    """Return draws of chains, as many of each."""
    found = program(*at)
    positions = np.asarray(found.positions, dtype=np.float64)
    rhat = float(np.max(split_rhat(positions)))
    n_divergent = int(np.sum(np.asarray(found.diverged)))
    n_step = positions.shape[0] * positions.shape[1]
    good = rhat <= MAX_RHAT and n_divergent <= MAX_DIVERGENT * n_step
    if not good:
        logger.info("chains have R-hat %.3f and %d of %d diverged", rhat, n_divergent, n_step)
    draws = positions.reshape(n_step, -1)[:n_draws]
    return Posterior(draws, 0 if good else int(Flag.NOT_CONVERGED), rhat, n_divergent)


def _variational(program: Callable[..., Any], at: tuple[Any, ...]) -> Posterior:
    """Return draws of the fitted normal."""
    found = program(*at)
    draws, loss = (np.asarray(each, dtype=np.float64) for each in (found.draws, found.loss))
    quarter = loss.size // 4
    last, before = loss[-quarter:], loss[-2 * quarter : -quarter]
    fall = float(np.median(before) - np.median(last))
    settled = abs(fall) <= MAX_FALL and bool(np.all(np.isfinite(draws)))
    if not settled:
        logger.info("the variational bound still changed by %.2f nat", fall)
    return Posterior(draws, 0 if settled else int(Flag.NOT_CONVERGED), loss_fall=fall)
