"""More draws for SEDs that a network's own are too few for: from a density that learns."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from pxdask.kernels.importance import evened_out
from pxdask.kernels.mixture import Mixture, draw_t, fit_mixture, ln_t
from pxdask.npe.network import Draws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.fits import NpeConfig
    from pxdask.fitting.npe_draws import Cloud, DrawSource, Judge

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

BROADER = 1.2
"""Factor by which a network's Gaussians are widened where its draws are weighed: what it proposes
too seldom would come with weights that few draws have, and be missed by most."""

DOF = 5.0
"""Degrees of freedom of the components: tails wider than those of a posterior."""

_N_COMPONENT, _N_EM = 4, 8
"""Components, and rounds in which they are fitted."""

_N_LEARNT = 400
"""Draws that they are fitted to."""

_LEAST_EFF = 50.0
"""Effective draws that they are fitted to, at least: the weights are raised to a power at which
so many count."""

_WIDE, _SHARE_WIDE = 2.0, 0.2
"""Factor by which one more component is wider than all draws, and its share: what the others
miss has draws that tell."""

_SHARE_NETWORK = 0.5
"""Part of each round's draws that are the network's."""

_MOST = 6.0
"""Ends of coordinates in units of the prior's standard deviation: 1e-9 of a prior is beyond."""

_RIDGE = 1e-8
"""Variance that is added to that of all draws, so that it has a root."""

_LN_ROOT_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class Sources:
    """Draws of one SED and the densities that they came from.

    Attributes
    ----------
    cloud : Cloud
        All draws; their density is the mean of all sources', by the numbers of draws of each.
    place : (n, n_dim + 1) float64
        Draws in coordinates where each prior is a standard normal, and last log10 of mass.
    ln_each : (n_source, n) float64
        Natural log of each source's density, with respect to ``place``.
    counts : (n_source,) int
        Draws of each.
    mixtures : tuple of Mixture
        The sources but the first, which is the network.
    """

    cloud: Cloud
    place: Floats
    ln_each: Floats
    counts: Indices
    mixtures: tuple[Mixture, ...] = ()


def with_more_rounds(
    judge: Judge,
    network: DrawSource,
    clouds: Sequence[Cloud],
    *,
    sed: Indices,
    rngs: Sequence[np.random.Generator],
    settings: NpeConfig,
) -> list[Cloud]:
    """Return clouds with more draws where too few count.

    Parameters
    ----------
    judge : Judge
        SEDs.
    network : DrawSource
        Where the first draws came from.
    clouds : sequence of Cloud
        One of each SED.
    sed : (n_cloud,) int
        Which SEDs.
    rngs : sequence of n_cloud Generator
        Each SED's own.
    settings : NpeConfig
        Draws of a round, effective draws to reach, rounds at most, the first included.

    Notes
    -----
    Adaptive multiple importance sampling (Cornuet, Marin, Mira & Robert 2012, Scand. J. Stat. 39,
    798): a mixture of Student's t is fitted to all draws by their weights, drawn from, and every
    draw weighed by the density of the mixture of all sources (Owen & Zhou 2000, JASA 95, 135), so
    that what the network proposes and the mixtures miss keeps its part.
    """
    found, growing = list(clouds), dict[int, Sources]()
    hopeful = [k for k, cloud in enumerate(clouds) if _is_hopeful(cloud, settings)]
    n_network = round(_SHARE_NETWORK * settings.n_draws)
    for _ in range(settings.max_rounds - 1):
        few = [k for k in hopeful if found[k].weights.n_eff < settings.min_n_eff]
        if not few:
            break
        for k in few:
            if k not in growing:
                growing[k] = _first(found[k])
        own = [growing[k] for k in few]
        some = [rngs[k] for k in few]
        again, place = _drawn_of_network(judge, network, sed[few], some, n=n_network)
        mixtures = [_learnt(one, rng) for one, rng in zip(own, some, strict=True)]
        learnt = np.array(
            [
                _drawn(mixture, settings.n_draws - n_network, rng)
                for mixture, rng in zip(mixtures, some, strict=True)
            ]
        )
        place = np.concatenate([place, learnt], axis=1)
        unit = np.concatenate([again.unit, ndtr(learnt[..., :-1])], axis=1)
        log_mass = np.ascontiguousarray(place[..., -1])
        ln_network = judge.ln_density(network, sed[few], unit=unit, log_mass=log_mass)
        ln_network = ln_network - _prior_to_cube(place)
        more = judge.clouds(Draws(unit, log_mass, np.zeros_like(log_mass)), sed[few])
        for row, k in enumerate(few):
            growing[k] = _grown(
                own[row], mixtures[row], more[row], place[row], ln_network[row], n_network
            )
            found[k] = growing[k].cloud
    return found


def _is_hopeful(cloud: Cloud, settings: NpeConfig) -> bool:
    """Return whether more draws are any use: not where the SED is handed over all the same."""
    if cloud.weights.n_eff == 0:  # nothing to learn from: all masses are beyond their prior
        return False
    enough = cloud.weights.n_eff >= settings.min_efficiency * cloud.chi2.size
    return enough or settings.hand_over == "none"


def _first(cloud: Cloud) -> Sources:
    """Return the network's draws alone."""
    place = np.column_stack([ndtri(cloud.unit), cloud.log_mass])
    ln_each = (cloud.ln_density - _prior_to_cube(place))[None]
    return Sources(cloud, place, ln_each, np.array([len(place)]))


def _drawn_of_network(
    judge: Judge,
    network: DrawSource,
    sed: Indices,
    rngs: Sequence[np.random.Generator],
    *,
    n: int,
) -> tuple[Draws, Floats]:
    """Return more draws of the network, and where they are in normal coordinates."""
    draws = judge.draws(network, sed, rngs, n_draws=n)
    return draws, np.concatenate([ndtri(draws.unit), draws.log_mass[..., None]], axis=-1)


def _prior_to_cube(place: Floats) -> Floats:
    """Return what turns ln densities of normal coordinates (..., n_dim + 1) into the cube's."""
    total = np.zeros(place.shape[:-1])
    for k in range(place.shape[-1] - 1):
        total += 0.5 * place[..., k] ** 2 + _LN_ROOT_2PI
    return total


def _learnt(own: Sources, rng: np.random.Generator) -> Mixture:
    """Return a mixture fitted to draws by their weights."""
    weight = evened_out(own.cloud.ln_weights(), n_eff=_LEAST_EFF, factor=0.8)
    chosen = rng.choice(weight.size, size=_N_LEARNT, p=weight / weight.sum())
    samples = own.place[chosen]
    fitted = fit_mixture(samples, n_component=_N_COMPONENT, n_round=_N_EM, rng=rng)
    centre = np.mean(samples, axis=0)
    spread = np.cov(samples.T) + _RIDGE * np.eye(len(centre))
    return Mixture(
        np.append((1 - _SHARE_WIDE) * fitted.share, _SHARE_WIDE),
        np.vstack([fitted.mean, centre]),
        np.concatenate([fitted.root, _WIDE * np.linalg.cholesky(spread)[None]]),
    )


def _drawn(mixture: Mixture, n: int, rng: np.random.Generator) -> Floats:
    """Return draws (n, n_dim + 1) from a mixture, those beyond all priors being put at their ends.

    Their density is not changed: such a draw has next to no weight.
    """
    n_dim = mixture.mean.shape[1]
    place = draw_t(
        mixture, rng.random(n), rng.standard_normal((n, n_dim)), rng.chisquare(DOF, n), dof=DOF
    )
    place[:, :-1] = np.clip(place[:, :-1], -_MOST, _MOST)
    return place


def _grown(
    own: Sources,
    mixture: Mixture,
    more: Cloud,
    place: Floats,
    ln_network: Floats,
    n_network: int,
) -> Sources:
    """Return draws with those of one more source, the first of them being the network's."""
    mixtures = (*own.mixtures, mixture)
    ln_new = np.array([ln_network, *(ln_t(one, place, dof=DOF) for one in mixtures)])
    ln_old = np.vstack([own.ln_each, ln_t(mixture, own.place, dof=DOF)])
    ln_each = np.hstack([ln_old, ln_new])
    counts = np.append(own.counts, len(place) - n_network)
    counts[0] += n_network
    every = np.vstack([own.place, place])
    total = np.full(len(every), -np.inf)
    for one, count in zip(ln_each, counts / counts.sum(), strict=True):
        total = np.logaddexp(total, one + math.log(count))
    joined = own.cloud.joined(more)
    cloud = replace(joined, ln_density=total + _prior_to_cube(every))
    return Sources(cloud, every, ln_each, counts, mixtures)
