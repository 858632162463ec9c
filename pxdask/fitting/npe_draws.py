"""Draws of a network held against the SEDs they are about, and their weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from pxdask.fitting.target import HALF_RANGE
from pxdask.kernels.closest import closeness
from pxdask.kernels.importance import smoothed_weights
from pxdask.kernels.pair_likelihood import pair_ln_likelihood
from pxdask.sps.priors import draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.fitting.target import Observed, Sampled
    from pxdask.kernels.importance import Weights
    from pxdask.npe.network import Draws
    from pxdask.npe.redshift_check import RedshiftCheck
    from pxdask.sps.simulator import SimulatedModels

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

_NEGLECTED = 1e-5
"""Part of the posterior that may be left out of its summary, so that what follows from draws of
next to no weight is not computed."""

_FARTHEST = 60.0
"""log10 of mass, and its negative, that draws beyond are put at: of an SED unlike all mocks a
network may propose masses whose squares overflow."""


class DrawSource(Protocol):
    """What gives draws: a `pxdask.npe.network.Network`, or anything with a density."""

    def draw(
        self,
        flux: Floats,
        error: Floats,
        *,
        redshift: Floats | None,
        rngs: Sequence[np.random.Generator],
        n_draws: int,
    ) -> Draws:
        """Return draws from the posterior of each SED; see `pxdask.npe.network.Network.draw`."""
        ...

    def ln_density(
        self,
        flux: Floats,
        error: Floats,
        *,
        redshift: Floats | None,
        unit: Floats,
        log_mass: Floats,
    ) -> Floats:
        """Return the density of any points; see `pxdask.npe.network.Network.ln_density`."""
        ...


class InUnits(NamedTuple):
    """Measured bands in units of their errors, upper limits left out.

    Attributes
    ----------
    data, inverse : (n_sed, n_band) float64
        Flux density over its error [1], and one over the error [uJy-1]; 0 where left out.
    n_measured : (n_sed,) int
        Bands.
    snr : (n_sed,) float64
        Of all bands together [1].
    best_snr : (n_sed,) float64
        Of the best band [1].
    best_raw_snr : (n_sed,) float64
        The same without the systematic error, which keeps S/N below its inverse [1].
    """

    data: Floats
    inverse: Floats
    n_measured: Indices
    snr: Floats
    best_snr: Floats
    best_raw_snr: Floats


def in_units(data: Observed) -> InUnits:
    """Return SEDs in units of their errors."""
    measured = np.isfinite(data.error) & ~data.limit
    inverse = np.where(measured, 1 / np.where(measured, data.error, 1.0), 0.0)
    ratio = np.where(measured, data.flux, 0.0) * inverse
    # band after band, so that no sum depends on how many SEDs there are
    total = np.zeros(len(ratio))
    for band in range(ratio.shape[1]):
        total += ratio[:, band] ** 2
    noise = np.where(measured, data.error if data.noise is None else data.noise, 1.0)
    raw = np.where(measured, data.flux, 0.0) / noise
    best, best_raw = (np.max(each, axis=1, initial=0.0) for each in (ratio, raw))
    n_measured = np.count_nonzero(measured, axis=1)
    return InUnits(ratio, inverse, n_measured, np.sqrt(total), best, best_raw)


@dataclass(frozen=True, eq=False)
class Point:
    """One model at one amplitude.

    Attributes
    ----------
    unit : (n_dim,) float64
        Point of the cube.
    flux : (n_band,) float64
        Flux density, amplitude included [uJy].
    scale : float
        Amplitude [Msun].
    chi2 : float
        Chi-square of measured bands; infinite where no amplitude is positive.
    """

    unit: Floats
    flux: Floats
    scale: float
    chi2: float


@dataclass(frozen=True, eq=False)
class Cloud:
    """Draws of one SED.

    Attributes
    ----------
    unit : (n, n_dim) float64
        Points of the cube.
    log_mass : (n,) float64
        log10 of mass formed [dex(Msun)].
    ln_likelihood : (n,) float64
        Of the draw with its mass, priors that depend on mass included.
    ln_density : (n,) float64
        Of what the draws come from, with respect to cube and ``log_mass``.
    chi2 : (n,) float64
        At that mass, upper limits not counted.
    nearest : Point
        The draw that comes nearest at its best amplitude.
    likeliest : Point
        The draw of the greatest likelihood, with its own mass.
    ln_greatest : float
        That likelihood's natural log.
    """

    unit: Floats
    log_mass: Floats
    ln_likelihood: Floats
    ln_density: Floats
    chi2: Floats
    nearest: Point
    likeliest: Point
    ln_greatest: float

    def joined(self, other: Cloud) -> Cloud:
        """Return this and more draws of the same SED."""
        likelier = self if self.ln_greatest >= other.ln_greatest else other
        nearer = self if self.nearest.chi2 <= other.nearest.chi2 else other
        return Cloud(
            np.concatenate([self.unit, other.unit]),
            np.concatenate([self.log_mass, other.log_mass]),
            np.concatenate([self.ln_likelihood, other.ln_likelihood]),
            np.concatenate([self.ln_density, other.ln_density]),
            np.concatenate([self.chi2, other.chi2]),
            nearer.nearest,
            likelier.likeliest,
            likelier.ln_greatest,
        )

    @property
    def gap(self) -> float:
        """Natural log of the greatest likelihood over the evidence; infinite where that is zero."""
        return self.ln_greatest - float(self.weights.ln_mean)

    def ln_weights(self) -> Floats:
        """Return the natural log of likelihood over density (n,), -inf beyond the prior of mass.

        Where no draw has a positive amplitude, there is no such prior, and all are beyond it.
        """
        if not self.nearest.scale > 0:
            return np.full(self.log_mass.shape, -np.inf)
        beyond = ~(np.abs(self.log_mass - math.log10(self.nearest.scale)) < HALF_RANGE)
        ln_weight = self.ln_likelihood - self.ln_density
        return np.where(beyond | np.isnan(ln_weight), -np.inf, ln_weight)

    @cached_property
    def weights(self) -> Weights:
        """Importance weights, to the prior that is even over `HALF_RANGE` about the best.

        ``ln_mean`` is the natural log of the evidence.
        """
        found = smoothed_weights(self.ln_weights())
        # the draws' density is per dex, the prior's is one over its whole range
        return found._replace(ln_mean=found.ln_mean - math.log(2 * HALF_RANGE))


@dataclass(frozen=True, eq=False)
class Judge:
    """Some SEDs, which models are held against.

    Attributes
    ----------
    sampled : Sampled
        Models, likelihood.
    data : Observed
        SEDs.
    units : InUnits
        The same in units of their errors.
    """

    sampled: Sampled
    data: Observed
    units: InUnits

    def draws(
        self,
        network: DrawSource,
        sed: Indices,
        rngs: Sequence[np.random.Generator],
        *,
        n_draws: int,
    ) -> Draws:
        """Return a network's draws of some SEDs."""
        return network.draw(
            *self._seen(sed), redshift=self.redshift(sed), rngs=rngs, n_draws=n_draws
        )

    def ln_density(
        self, network: DrawSource, sed: Indices, *, unit: Floats, log_mass: Floats
    ) -> Floats:
        """Return a network's ln density (n_sed, n_draws) at points of the cube and masses."""
        return network.ln_density(
            *self._seen(sed), redshift=self.redshift(sed), unit=unit, log_mass=log_mass
        )

    def _seen(self, sed: Indices) -> tuple[Floats, Floats]:
        """Return fluxes and errors as a network sees them: an upper limit is a missing band."""
        limit = self.data.limit[sed]
        return (
            np.where(limit, np.nan, self.data.flux[sed]),
            np.where(limit, np.nan, self.data.error[sed]),
        )

    def redshift(self, sed: Indices) -> Floats | None:
        """Return the redshift of each SED, where it is known."""
        redshift = self.sampled.model_library.redshift
        return None if redshift is None else np.full(sed.size, redshift)

    def redshift_ratio(self, check: RedshiftCheck | None, sed: Indices) -> Floats | None:
        """Return how likely the redshift is of each SED (n_sed,); None where nobody can tell.

        See `pxdask.npe.redshift_check.RedshiftCheck.ln_density`.
        """
        redshift = self.redshift(sed)
        if check is None or redshift is None:
            return None
        return check.ln_density(*self._seen(sed), redshift=redshift)

    def clouds(self, draws: Draws, sed: Indices) -> list[Cloud]:
        """Return draws (of n_sed SEDs) as clouds, each with its likelihoods.

        Parameters
        ----------
        draws : Draws
            Of each of ``sed``, as many of each.
        sed : (n_sed,) int
            Which SEDs they are about.
        """
        n_sed, n_draw, n_dim = draws.unit.shape
        rows = np.repeat(sed, n_draw)
        models = self.sampled.simulator.simulate(draws.unit.reshape(-1, n_dim))
        # no draw so far out has any weight
        each_mass = np.clip(draws.log_mass, -_FARTHEST, _FARTHEST)
        log_mass = each_mass.ravel()
        ln_likelihood = self._ln_likelihood(models, log_mass, rows).reshape(n_sed, n_draw)
        near = closeness(self.units.data, self.units.inverse, models.flux, sed=rows)
        chi2 = near.at(10.0**log_mass).reshape(n_sed, n_draw)
        free, scale = near.positive.reshape(n_sed, n_draw), near.scale.reshape(n_sed, n_draw)
        flux = models.flux.reshape(n_sed, n_draw, -1)

        def point(i: int, k: int, scale: float, chi2: float) -> Point:
            return Point(draws.unit[i, k], scale * flux[i, k].astype(np.float64), scale, chi2)

        least = np.argmin(free, axis=1)
        likeliest = np.argmax(ln_likelihood, axis=1)
        return [
            Cloud(
                draws.unit[i],
                each_mass[i],
                ln_likelihood[i],
                draws.ln_density[i],
                chi2[i],
                point(i, least[i], float(scale[i, least[i]]), float(free[i, least[i]])),
                point(i, k, float(10.0 ** each_mass[i, k]), float(chi2[i, k])),
                float(ln_likelihood[i, k]),
            )
            for i, k in enumerate(likeliest)
        ]

    def _ln_likelihood(self, models: SimulatedModels, log_mass: Floats, rows: Indices) -> Floats:
        """Return ln of likelihood times priors that depend on mass."""
        found = pair_ln_likelihood(
            self.data.flux,
            self.data.error,
            self.data.limit,
            models.flux,
            scale=10.0**log_mass,
            sed=rows,
            dof=self.sampled.dof,
        )
        if self.sampled.simulator.mass_priors:
            found = found + self.sampled.simulator.ln_mass_prior(models, log_mass)
        return found


def first_draws(draws: Draws, n: int) -> Draws:
    """Return the first draws of each SED."""
    return replace(
        draws,
        unit=draws.unit[:, :n],
        log_mass=draws.log_mass[:, :n],
        ln_density=draws.ln_density[:, :n],
    )


def counted(weights: Weights) -> Indices:
    """Return which draws hold all of the posterior but a part that does not count."""
    return np.flatnonzero(weights.share > _NEGLECTED / weights.share.size)


def derived_of(sampled: Sampled, unit: Floats) -> tuple[Mapping[str, Floats], Mapping[str, Floats]]:
    """Return parameters, and what follows from them, at points of the cube; no fluxes."""
    simulator = sampled.simulator
    parameters = draw(simulator.priors, unit, settings=simulator.settings)
    models = simulator.simulate(unit[:0])
    return parameters, replace(models, parameters=parameters).derived
