"""Populations of weighted draws, by which the mixture that walkers are moved with is learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.fitting.ensemble import DOF
from pxdask.kernels.likelihood import effective_number
from pxdask.kernels.mixture import Mixture, draw_t, fit_mixture, ln_t

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Density = Callable[[Floats], Floats]

N_ROUND = 12
"""Populations drawn, each from a mixture that was fitted to all before."""

_N_FITTED, _N_EM = (3000, 10_000), (4, 8)
"""Draws that a mixture is fitted to, and rounds of the fit; the latter for the last three."""

_FLATTER = 0.8
"""Power of the weights by which these draws are chosen: tails count for more [1]."""

_WANTED = 400.0
"""Effective number of draws that a mixture is fitted to, at least: weights are otherwise raised
to a power below one [1]."""

_N_LOCAL, _LOCAL_SHARE, _LOCAL_WIDER = 30, 0.12, 1.5
"""Components made of the local shape of the density, their share, and how much wider they are."""

_N_LOOKED = 150
"""Draws, of the largest multiples of the mixture's density, among which their centres are."""

_APART = 6.0
"""Squared distance, in units of a local component's shape, within which there is no other [1]."""

_WHOLE_SHARE, _WHOLE_WIDER, _PRIOR_SHARE = 0.07, 1.5, 0.03
"""Share of one component as wide as all draws, and this much wider; of one as wide as the prior."""

_STEP = 0.01
"""Step of second differences, a third of the width of thin posteriors of S/N 20 [1]."""

_CURVATURES = (1.0, 1e6)
"""Least and greatest curvature of a local component: the former is the prior's own."""


@dataclass(frozen=True, eq=False)
class Population:
    """Draws of an SED.

    Attributes
    ----------
    position : (n, n_dim) float64
        Where.
    ln_density : (n,) float64
        Natural log of the density there.
    weight : (n,) float64
        With which they stand for the density, or for a power of it; they add up to one.
    mixture : Mixture
        Fitted to them.
    """

    position: Floats
    ln_density: Floats
    weight: Floats
    mixture: Mixture


def populate(
    ln_density: Density, first: Floats, *, n_draw: int, n_component: int, rng: np.random.Generator
) -> Population:
    """Return draws from the neighbourhood of a density, and a mixture that resembles it.

    Parameters
    ----------
    ln_density : callable
        Natural log (n,) of the density at positions (n, n_dim); NaN counts as none.
    first : (n_first, n_dim) float64
        Positions roughly where the density is, and all about it.
    n_draw : int
        Draws, of all rounds.
    n_component : int
        Gaussians that are fitted to draws.
    rng : numpy.random.Generator
        Of this SED.

    Notes
    -----
    Adaptive multiple importance sampling: Cornuet et al. 2012 (Scand. J. Stat. 39, 798). A draw's
    weight is its density over that of all mixtures used so far, so that a part of the density
    which one population has found is not lost when the next does not. Thin and curved tails,
    where fitted components are too few, get components of their own where the density is the
    largest multiple of the mixture's (compare Hoogerheide, Opschoor & van Dijk 2012, J.
    Econometrics 171, 101), of the shape of its second derivatives.
    """
    n_each = max(n_draw // N_ROUND, 4 * n_component)
    fitted = fit_mixture(first, n_component=max(n_component // 6, 1), n_round=_N_EM[0], rng=rng)
    mixture = _widened(fitted, first)
    position, found = np.empty((0, first.shape[1])), np.empty(0)
    mixtures: list[Mixture] = []
    ln_each = np.empty((0, 0))
    for left in reversed(range(N_ROUND)):
        new = _drawn(mixture, n_each, rng)
        there = ln_density(new)
        of_new = np.array([ln_t(one, new, dof=DOF) for one in mixtures]).reshape(-1, n_each)
        mixtures.append(mixture)
        position = np.concatenate([position, new])
        found = np.concatenate([found, np.where(np.isnan(there), -np.inf, there)])
        before = np.concatenate([ln_each, of_new], axis=1)
        ln_each = np.vstack([before, ln_t(mixture, position, dof=DOF)])
        ln_drawn = np.logaddexp.reduce(ln_each, axis=0) - math.log(len(mixtures))
        weight, power = _tempered(found - ln_drawn)
        flat = weight**_FLATTER
        late = int(left < 3)
        chosen = rng.choice(len(flat), size=_N_FITTED[late], p=flat / flat.sum())
        samples = position[chosen]
        fitted = fit_mixture(samples, n_component=n_component, n_round=_N_EM[late], rng=rng)
        aim = power * (found - ln_drawn) + ln_drawn
        known = np.unique(chosen)
        mixture = _widened(_mended(fitted, ln_density, position[known], aim[known]), samples)
    return Population(position, found, weight, mixture)


def relearnt(
    ln_density: Density, samples: Floats, *, n_component: int, rng: np.random.Generator
) -> Mixture:
    """Return the mixture that walkers' positions (n, n_dim) teach, of which few may be copies."""
    chosen = rng.choice(len(samples), size=min(_N_FITTED[1], len(samples)), replace=False)
    some = samples[chosen]
    fitted = fit_mixture(some, n_component=n_component, n_round=_N_EM[1], rng=rng)
    known = np.unique(some, axis=0)
    return _widened(_mended(fitted, ln_density, known, ln_density(known)), some)


def _drawn(mixture: Mixture, n: int, rng: np.random.Generator) -> Floats:
    """Return draws (n, n_dim) from a mixture of Student's t."""
    normal = rng.standard_normal((n, mixture.mean.shape[1]))
    return draw_t(mixture, rng.random(n), normal, rng.chisquare(DOF, n), dof=DOF)


def _tempered(ln_weight: Floats) -> tuple[Floats, float]:
    """Return weights that add up to one, and the power that they were raised to."""
    top = ln_weight - np.max(ln_weight)
    power = 1.0
    weight = np.exp(top)
    wanted = min(_WANTED, 0.25 * np.count_nonzero(np.isfinite(top)))
    while effective_number(weight) < wanted:
        power *= 0.85
        weight = np.exp(power * top)
    return weight / weight.sum(), power


def _widened(mixture: Mixture, samples: Floats) -> Mixture:
    """Return a mixture with two wide components, so that no density is much larger.

    Defensive mixtures: Hesterberg 1995 (Technometrics 37, 185).
    """
    n_dim = samples.shape[1]
    whole = np.cov(samples.T).reshape(n_dim, n_dim) + 1e-12 * np.eye(n_dim)
    kept = 1 - _WHOLE_SHARE - _PRIOR_SHARE
    return Mixture(
        np.concatenate([kept * mixture.share, [_WHOLE_SHARE, _PRIOR_SHARE]]),
        np.vstack([mixture.mean, samples.mean(axis=0), np.zeros(n_dim)]),
        np.concatenate([mixture.root, [_WHOLE_WIDER * np.linalg.cholesky(whole), np.eye(n_dim)]]),
    )


def _mended(mixture: Mixture, ln_density: Density, points: Floats, aim: Floats) -> Mixture:
    """Return a mixture with components where the density aimed at is far above it."""
    gap = aim - ln_t(mixture, points, dof=DOF)
    worst = points[np.argsort(-gap, kind="stable")[:_N_LOOKED]]
    shape = _local_covariance(ln_density, worst)
    inverse = np.linalg.inv(shape)
    chosen: list[int] = []
    free = np.ones(len(worst), bool)
    for k in range(len(worst)):
        if free[k] and len(chosen) < _N_LOCAL:
            chosen.append(k)
            apart = worst - worst[k]
            free &= np.sum((apart @ inverse[k]) * apart, axis=1) > _APART
    added = np.full(len(chosen), _LOCAL_SHARE / len(chosen))
    return Mixture(
        np.concatenate([(1 - _LOCAL_SHARE) * mixture.share, added]),
        np.vstack([mixture.mean, worst[chosen]]),
        np.concatenate([mixture.root, _LOCAL_WIDER * np.linalg.cholesky(shape[chosen])]),
    )


def _local_covariance(ln_density: Density, points: Floats) -> Floats:
    """Return the inverses (n, n_dim, n_dim) of minus the second derivatives, made positive."""
    n_dim = points.shape[1]
    step = _STEP * np.eye(n_dim)
    first, second = np.tril_indices(n_dim, -1)
    both, across = step[first] + step[second], step[first] - step[second]
    moves = np.concatenate([np.zeros((1, n_dim)), step, -step, both, -both, across, -across])
    found = ln_density((points + moves[:, None]).reshape(-1, n_dim)).reshape(len(moves), -1)
    n_pair = len(first)
    ends = np.cumsum([1, n_dim, n_dim, n_pair, n_pair, n_pair])
    here, up, down, pp, mm, pm, mp = np.split(found, ends)
    curve = np.empty((len(points), n_dim, n_dim))
    axes = np.arange(n_dim)
    curve[:, axes, axes] = ((2 * here - up - down) / _STEP**2).T
    mixed = ((pm + mp - pp - mm) / (4 * _STEP**2)).T
    curve[:, first, second] = mixed
    curve[:, second, first] = mixed
    value, vector = np.linalg.eigh(np.nan_to_num(curve, nan=1.0, posinf=1.0, neginf=1.0))
    value = np.clip(np.abs(value), *_CURVATURES)
    return np.asarray(np.einsum("nij,nj,nkj->nik", vector, 1 / value, vector))
