"""Markov chain Monte Carlo: ensembles of walkers, many SEDs advanced together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from pxdask.core.flags import Flag
from pxdask.fitting.chains import first_chain, run
from pxdask.fitting.convergence import thinning
from pxdask.fitting.sample_summary import sample_summary, sampled_dataset, unfitted
from pxdask.fitting.spectral_form import fit_by_form
from pxdask.fitting.spectral_term import check_spectral
from pxdask.fitting.target import Sampled

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.fitting.chains import Chain
    from pxdask.fitting.results import SedPosterior
    from pxdask.fitting.seds import Seds
    from pxdask.fitting.target import Target
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

MOST_KEPT = 4000
"""Samples of a chain that results are computed of, at most: their quantiles are then as good as
those of 2,000 independent ones or more, 0.03 standard deviations."""

OF_MCMC = ("acceptance", "tau", "rhat", "n_steps")
"""What is told of every chain besides: variables of schema fit/2."""

_NEAR = 0.05
"""Distance from the median mass within which the best one is looked for: 0.3 dex [cube]."""

_SHARE = 0.5
"""Part of the memory allowed that chains may take; their analysis takes the rest."""


@dataclass(frozen=True)
class McmcFitter:
    """Ensemble sampling of each SED's posterior, with models made where walkers stand.

    Attributes
    ----------
    settings : FitConfig
        Likelihood, systematic errors; ``mcmc``.

    Notes
    -----
    Walkers move where the prior of every parameter is a standard normal distribution: so there
    are no ends, and what data do not tell is Gaussian. The mass formed is integrated over, by
    quadrature, and drawn afterwards for each sample that is kept; its logarithm's prior is even
    over three dex to both sides of the best of some first models.

    Posteriors of ages, dust and metallicity are thin and curved, and stretch moves alone pass
    along them in thousands of steps. Half of the steps are therefore draws from a mixture; it is
    learnt first, from as many draws as ``adapt_steps`` steps make (`populate`), among which the
    walkers then start. A quarter are steps of the shape of the mixture's component where
    the walker stands, a quarter stretch moves. Where a chain's first steps promise no convergence
    by ``max_steps``, the mixture is fitted again to them, and they do not count.

    A chain ends where it is ``min_taus`` autocorrelation times long, burn-in not counted, and
    its largest split R-hat is at most ``max_rhat``; or at ``max_steps``, which is flagged
    NOT_CONVERGED.
    """

    settings: FitConfig

    def prepare(self, library: ModelLibrary) -> McmcModels:
        """Return the models made ready for fitting; see `pxdask.fitting.Fitter`."""
        check_spectral(self.settings)
        return McmcModels(Sampled(self.settings, library))


@dataclass(frozen=True, eq=False)
class McmcModels:
    """A library made ready for `fit`."""

    sampled: Sampled

    def fit(self, seds: Seds) -> xr.Dataset:
        """Return the posteriors of some SEDs; see `pxdask.fitting.Prepared`."""
        return fit_by_form(self, seds)

    def fit_alike(self, seds: Seds) -> xr.Dataset:
        """Return the posteriors of some SEDs, all by the likelihood of the settings."""
        sampled, settings = self.sampled, self.sampled.settings
        posteriors: list[SedPosterior] = []
        n_together = seds_together(settings, sampled.simulator.n_dim)
        for first in range(0, len(seds), n_together):
            posteriors += self._some(seds.rows(first, first + n_together))
        method: dict[str, object] = {"method": "mcmc", "n_walkers": settings.mcmc.n_walkers}
        if n_chain := chains_kept(settings):
            method["n_chain"] = n_chain
        return sampled_dataset(posteriors, sampled, seds, method=method, extra=OF_MCMC)

    def _some(self, seds: Seds) -> list[SedPosterior]:
        """Return the posteriors of SEDs that are sampled together."""
        sampled, settings = self.sampled, self.sampled.settings
        target = sampled.target(seds)
        usable = np.flatnonzero(np.isfinite(target.best_scale))
        chains = {int(sed): first_chain(target, int(sed), seds.keys[sed]) for sed in usable}
        run(target, list(chains.values()), settings.mcmc)
        return [
            self._posterior(target, chains[sed]) if sed in chains else unfitted(target, sed)
            for sed in range(len(seds))
        ]

    def _posterior(self, target: Target, chain: Chain) -> SedPosterior:
        """Return what a chain says."""
        positions = chain.kept()
        n_step, n_walker, n_dim = positions.shape
        spacing = thinning(n_step, n_walker, tau=chain.tau, most=MOST_KEPT)
        kept = None
        if n_chain := chains_kept(self.sampled.settings):
            n_draw = self.sampled.settings.n_samples // n_chain
            spacing = min(spacing, max(n_step // n_draw, 1))
            kept = of_chains(len(range(0, n_step, spacing)), n_walker, n_draw=n_draw)
        # counted from the end, so that the last state is kept
        unit = ndtr(positions[::-1][::spacing].reshape(-1, n_dim).astype(np.float64))
        sed = np.full(len(unit), chain.sed)
        samples = np.column_stack([unit, target.draw_mass(unit, sed, chain.rng.random(len(unit)))])
        return sample_summary(
            target,
            samples,
            np.ones(len(samples)),
            sed=chain.sed,
            best=best_mass(target, chain.sed, ndtr(chain.best)),
            key=chain.key,
            n_eff=n_step * n_walker / chain.tau,
            flags=0 if chain.converged else int(Flag.NOT_CONVERGED),
            extra={
                "acceptance": chain.n_accepted / (chain.n_counted * n_walker),
                "tau": chain.tau,
                "rhat": chain.rhat,
                "n_steps": chain.n_step,
            },
            kept=kept,
        )


def chains_kept(settings: FitConfig) -> int:
    """Return of how many chains samples are kept, one of each walker; 0: they are pooled."""
    mcmc = settings.mcmc
    return mcmc.n_walkers if settings.method == "mcmc" and mcmc.keep_chains else 0


def of_chains(n_step: int, n_walker: int, *, n_draw: int) -> NDArray[np.intp]:
    """Return which positions to keep so that samples are chains, one after the other.

    Parameters
    ----------
    n_step, n_walker : int
        Of the positions, (n_step, n_walker), the last step first.
    n_draw : int
        Steps wanted of each walker, spread evenly; some come again where there are fewer.

    Returns
    -------
    kept : (n_walker * n_draw,) int
        Of the flattened positions: a walker's are together, from its first to its last.
    """
    steps = np.rint(np.linspace(n_step - 1, 0, n_draw)).astype(np.intp)
    return (steps[None, :] * n_walker + np.arange(n_walker)[:, None]).ravel()


def best_mass(target: Target, sed: int, unit: Floats) -> Floats:
    """Return a point of the free parameters (n_dim - 1,) with the best mass (n_dim,)."""
    row = np.array([sed])
    start = float(target.draw_mass(unit[None], row, np.array([0.5]))[0])

    def worse(last: float) -> float:
        return -float(target(np.append(unit, last)[None], row)[0])

    near = (max(start - _NEAR, 0.0), min(start + _NEAR, 1.0))
    found = minimize_scalar(worse, bounds=near, method="bounded", options={"xatol": 1e-7})
    return np.append(unit, found.x)


def seds_together(settings: FitConfig, n_dim: int) -> int:
    """Return how many SEDs may be sampled together within the memory that is allowed.

    A result does not depend on it.
    """
    mcmc = settings.mcmc
    # positions in single precision, of all steps
    bytes_per_sed = 4 * mcmc.max_steps * mcmc.n_walkers * n_dim
    # those of the newest steps, with densities, in double precision; random numbers of 20 steps
    bytes_per_sed += 8 * mcmc.n_walkers * (mcmc.check_every * (n_dim + 1) + 20 * (n_dim + 4))
    return max(int(_SHARE * settings.max_memory * 1e9 / bytes_per_sed), 1)
