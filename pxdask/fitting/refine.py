"""More models where a posterior is, for SEDs that a library is too sparse for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from pxdask.core.errors import ConfigError
from pxdask.core.random import stream
from pxdask.fitting.weighing import Rows, weigh
from pxdask.kernels.likelihood import effective_number
from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.priors import draw, resolve_priors
from pxdask.sps.sampling import unit_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import RefineConfig
    from pxdask.fitting.rdsps_models import RdspsModels
    from pxdask.fitting.weighing import OneSed, Weighed
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]


N_CENTRE = 256
"""Gaussians of a proposal, at most."""

TEMPERED = 8.0
"""Effective number of centres per parameter that weights are evened out to have, so that the
first proposals, made from a few models, are not too narrow."""

_JITTER = 1e-12
"""Added to variances of coordinates in the unit cube, so that a covariance has an inverse."""


@dataclass(frozen=True, eq=False)
class Denser:
    """Models of the library that count, and those drawn besides.

    Attributes
    ----------
    flux : (n_band, n_model) float32
        Per mass formed [uJy Msun-1].
    rows : Rows
        Quantities of each.
    ln_factor : (n_model,)
        ln of the prior's density over that of all draws together.
    n_drawn : int
        Draws in all, of the library and of all rounds, with those outside the prior.
    """

    flux: NDArray[np.float32]
    rows: Rows
    ln_factor: Floats
    n_drawn: int


@dataclass(frozen=True, eq=False)
class Proposal:
    """A mixture of Gaussians of one covariance, from which points of the unit cube are drawn.

    Attributes
    ----------
    centre : (n_centre, n_dim)
        Means.
    root : (n_dim, n_dim)
        Lower Cholesky factor of the covariance.
    """

    centre: Floats
    root: Floats

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """Return ``n`` draws, (n, n_dim); some may be outside the cube."""
        chosen = rng.integers(0, len(self.centre), n)
        noise = rng.standard_normal((n, self.root.shape[0]))
        return np.asarray(self.centre[chosen] + noise @ self.root.T)

    def ln_density(self, points: Floats) -> Floats:
        """Return ln density at some points, (n_point,)."""
        n_dim = self.root.shape[0]
        centre, white = (np.linalg.solve(self.root, each.T).T for each in (self.centre, points))
        found = np.empty(len(points))
        for start in range(0, len(points), 4096):
            part = slice(start, start + 4096)
            # differences, not products: nothing cancels
            square = np.zeros((white[part].shape[0], len(centre)))
            for k in range(n_dim):
                square += (white[part, k, None] - centre[None, :, k]) ** 2
            found[part] = logsumexp(-0.5 * square, axis=1)
        norm = 0.5 * n_dim * math.log(2 * math.pi) + float(np.log(np.diag(self.root)).sum())
        return np.asarray(found - norm - math.log(len(self.centre)))


@dataclass(frozen=True, eq=False)
class Refiner:
    """Draws more models of one library.

    Attributes
    ----------
    settings : RefineConfig
        Effective number wanted, models per round, rounds.
    model_library : ModelLibrary
        Populations, priors, redshift.
    n_model, seed : int
        Of the drawn set.
    number : (n_model,), optional
        Which of the drawn models each of a table is, where they are in another order.
    """

    settings: RefineConfig
    model_library: ModelLibrary
    n_model: int
    seed: int
    number: NDArray[np.int64] | None = None

    @cached_property
    def _engine(self) -> PhotometryEngine:
        """What makes models."""
        lib = self.model_library
        return PhotometryEngine(
            lib.ssp, lib.filters, redshift=lib.redshift or 0.0, settings=lib.settings
        )

    @cached_property
    def _points(self) -> Floats:
        """Points of the unit cube that the drawn set is at, (n_model, n_dim)."""
        priors = resolve_priors(self.model_library.settings, redshift=self.model_library.redshift)
        return unit_points(
            self.model_library.settings.sampling,
            n_dim=len(priors),
            seed=self.seed,
            start=0,
            stop=self.n_model,
        )

    def refine(
        self, sed: OneSed, table: RdspsModels, kept: NDArray[np.int64], weighed: Weighed
    ) -> Denser:
        """Return a set of models that is denser where one SED's posterior is.

        Parameters
        ----------
        sed : OneSed
            What is fitted.
        table : RdspsModels
            The library, ready for fits.
        kept : (n_kept,)
            Models that count.
        weighed : Weighed
            Their likelihoods.

        Notes
        -----
        Population Monte Carlo (Cappe et al. 2004, J. Comp. Graph. Stat. 13, 907): each round
        draws from Gaussians around points resampled by weight, and all draws of all rounds are
        weighed by the prior over the density of their mixture (Veach & Guibas 1995; Owen & Zhou
        2000, JASA 95, 135), of which the library's own models are a part: so no weight is larger
        than it was. A draw outside the prior counts as drawn and has no weight.
        """
        cloud = _Cloud(
            points=self._points[kept if self.number is None else self.number[kept]],
            flux=np.ascontiguousarray(table.flux[:, kept]),
            values={
                name: np.asarray(row[kept], np.float64)
                for name, row in zip(
                    (*table.rows.scaled_names, *table.rows.parameter_names),
                    (*table.rows.scaled, *table.rows.parameters),
                    strict=True,
                )
            },
            ln_likelihood=weighed.ln_weight,
            n_library=self.n_model,
        )
        for number in range(self.settings.max_rounds):
            if cloud.n_eff >= self.settings.min_n_eff:
                break
            rng = stream(table.seed, *sed.key, "refine", number)
            proposal = cloud.proposal(rng)
            points = proposal.draw(rng, self.settings.n_models)
            inside = np.all((points >= 0) & (points < 1), axis=1)
            cloud = cloud.joined(
                self._made(points[inside], table, sed), proposal, self.settings.n_models
            )
        rows = Rows(
            table.rows.scaled_names,
            table.rows.parameter_names,
            scaled=tuple(cloud.values[name] for name in table.rows.scaled_names),
            parameters=tuple(cloud.values[name] for name in table.rows.parameter_names),
        )
        return Denser(cloud.flux, rows, cloud.ln_factor, cloud.n_drawn)

    def _made(self, points: Floats, table: RdspsModels, sed: OneSed) -> _Cloud:
        """Return models at some points of the unit cube."""
        settings = self.model_library.settings
        priors = resolve_priors(settings, redshift=self.model_library.redshift)
        parameters = draw(priors, points, settings=settings)
        flux = np.ascontiguousarray(self._engine.flux(parameters).T)
        values = {**parameters, **self._engine.derived(parameters)}
        found = weigh(
            sed,
            flux,
            np.arange(len(points)),
            dof=table.dof,
            of_mass=[(prior, values[name]) for name, prior in table.mass_priors.items()],
            surviving=values["surviving"],
        )
        return _Cloud(points, flux, values, found.ln_weight, self.n_model)


@dataclass(frozen=True, eq=False)
class _Cloud:
    """Models that are a sample of a mixture of the prior and of proposals."""

    points: Floats
    flux: NDArray[np.float32]
    values: Mapping[str, Floats]
    ln_likelihood: Floats
    n_library: int
    proposals: tuple[tuple[Proposal, int], ...] = ()
    ln_densities: tuple[Floats, ...] = field(default=())

    @property
    def n_drawn(self) -> int:
        """Draws in all."""
        return self.n_library + sum(n for _, n in self.proposals)

    @property
    def ln_factor(self) -> Floats:
        """Ln of the prior's density, which is one, over the mixture's."""
        terms = [np.full(len(self.points), math.log(self.n_library))]
        for (_, n), density in zip(self.proposals, self.ln_densities, strict=True):
            terms.append(math.log(n) + density)
        return np.asarray(math.log(self.n_drawn) - logsumexp(terms, axis=0))

    @property
    def ln_weight(self) -> Floats:
        """Ln of the weights, the greatest of which is one."""
        values = self.ln_likelihood + self.ln_factor
        return np.asarray(values - values.max())

    @property
    def n_eff(self) -> float:
        """Effective number of models."""
        return effective_number(np.exp(self.ln_weight))

    def proposal(self, rng: np.random.Generator) -> Proposal:
        """Return Gaussians about points drawn by weight, evened out where they are few."""
        n_dim = self.points.shape[1]
        usable = np.flatnonzero(np.isfinite(self.ln_weight))
        ln_weight, points = self.ln_weight[usable], self.points[usable]
        wanted = min(TEMPERED * n_dim, 0.5 * usable.size)
        low, high = 0.0, 1.0
        power = high
        if effective_number(np.exp(ln_weight)) < wanted:
            for _ in range(40):
                power = 0.5 * (low + high)
                enough = effective_number(np.exp(power * ln_weight)) >= wanted
                low, high = (power, high) if enough else (low, power)
        weight = np.exp(power * ln_weight)
        share, n_eff = weight / weight.sum(), effective_number(weight)
        mean = share @ points
        off = points - mean
        # Silverman's rule; a few models alone span no space, which the diagonal mends
        width = (4 / ((n_dim + 2) * max(n_eff, 1.0))) ** (1 / (n_dim + 4))
        covariance = (off * share[:, None]).T @ off
        doubt = min(1.0, n_dim / max(n_eff, 1.0))
        covariance = (1 - doubt) * covariance + doubt * np.diag(np.diag(covariance))
        covariance += np.diag(np.maximum(0.0, _JITTER - np.diag(covariance)))
        root = np.linalg.cholesky(width**2 * covariance + _JITTER * np.eye(n_dim))
        centres = points[rng.choice(usable.size, N_CENTRE, p=share)]
        return Proposal(centres, root)

    def joined(self, more: _Cloud, proposal: Proposal, n_drawn: int) -> _Cloud:
        """Return these models with those drawn from a proposal."""
        points = np.concatenate([self.points, more.points])
        new = tuple(made.ln_density(more.points) for made, _ in self.proposals)
        old = tuple(np.concatenate(pair) for pair in zip(self.ln_densities, new, strict=True))
        return _Cloud(
            points=points,
            flux=np.concatenate([self.flux, more.flux], axis=1),
            values={
                name: np.concatenate([row, more.values[name]]) for name, row in self.values.items()
            },
            ln_likelihood=np.concatenate([self.ln_likelihood, more.ln_likelihood]),
            n_library=self.n_library,
            proposals=(*self.proposals, (proposal, n_drawn)),
            ln_densities=(*old, proposal.ln_density(points)),
        )


def make_refiner(
    library: ModelLibrary, models: xr.Dataset, settings: RefineConfig
) -> Refiner | None:
    """Return what draws more models of a library; None where the settings do not ask for it.

    Raises
    ------
    ConfigError
        If redshift is free, or the drawn set is not the one that the library's settings give.
    """
    if settings.min_n_eff == 0:
        return None
    if library.redshift is None:
        raise ConfigError(
            "fit.refine needs models of one redshift, and redshift is free here: set "
            "fit.refine.min_n_eff to 0, or draw more models"
        )
    refiner = Refiner(settings, library, models.sizes["model"], int(models.attrs.get("seed", -1)))
    priors = resolve_priors(library.settings, redshift=library.redshift)
    ends = [0, refiner.n_model - 1]
    drawn = draw(priors, refiner._points[ends], settings=library.settings)  # noqa: SLF001  same module
    for name, values in drawn.items():
        found = models[name].values[ends] if name in models else None
        if found is None or not np.allclose(found, values, rtol=1e-6):
            raise ConfigError(
                f"fit.refine needs models drawn from the library's priors; {name} is {found}, "
                f"wanted {values}: set fit.refine.min_n_eff to 0, or draw the set anew"
            )
    return refiner
