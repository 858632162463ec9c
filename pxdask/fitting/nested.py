"""Nested sampling, for evidences: one SED at a time, by nautilus or dynesty."""

from __future__ import annotations

import importlib
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.flags import Flag
from pxdask.core.random import stream
from pxdask.fitting.sample_summary import sample_summary, sampled_dataset, unfitted
from pxdask.fitting.spectral_form import fit_by_form
from pxdask.fitting.spectral_term import check_spectral
from pxdask.fitting.target import Sampled
from pxdask.kernels.likelihood import effective_number

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig, NestedConfig
    from pxdask.fitting.results import SedPosterior
    from pxdask.fitting.seds import Seds
    from pxdask.fitting.target import Target
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

N_EFF = 2000
"""Effective number of samples at which nautilus stops [1]."""

DLNZ = 0.01
"""Part of the evidence, as its natural log, left at which dynesty stops [1]."""

_EXTRA = ("ln_evidence_err",)
"""What is told of every SED besides: variables of schema fit/2."""

_PACKAGES = {"nautilus": "nautilus-sampler", "dynesty": "dynesty"}
_NO_DENSITY = -1e30
"""ln density told to the packages, which refuse infinities, where there is none."""


class CubeDensity(Protocol):
    """A density over the unit cube, whose integral is wanted."""

    def __call__(self, cube: Floats) -> Floats:
        """Return its natural log (n,) at points (n, n_dim)."""
        ...


@dataclass(frozen=True, eq=False)
class NestedRun:
    """What nested sampling found.

    Attributes
    ----------
    cube : (n_sample, n_dim) float64
        Samples.
    weights : (n_sample,) float64
        Of each; the largest is one.
    best : (n_dim,) float64
        Sample of the largest density.
    ln_evidence, ln_evidence_err : float
        Natural log of the integral, and its 1-sigma uncertainty.
    complete : bool
        Whether the sampler stopped of itself, and not at the cap of calls.
    """

    cube: Floats
    weights: Floats
    best: Floats
    ln_evidence: float
    ln_evidence_err: float
    complete: bool


@dataclass(frozen=True)
class NestedFitter:
    """Nested sampling of each SED's posterior, on the likelihood and the priors of MCMC.

    Attributes
    ----------
    settings : FitConfig
        Likelihood, systematic errors; ``nested``.

    Notes
    -----
    The evidence is the integral of likelihood times prior over the priors of the parameters and
    over log10 of the mass formed, whose prior is even over six dex
    (`pxdask.fitting.target.HALF_RANGE`).
    """

    settings: FitConfig

    def prepare(self, library: ModelLibrary) -> NestedModels:
        """Return the models made ready for fitting; see `pxdask.fitting.Fitter`.

        Raises
        ------
        ConfigError
            If the package that the settings name is not installed.
        """
        package(self.settings.nested.sampler)
        check_spectral(self.settings)
        return NestedModels(Sampled(self.settings, library))


@dataclass(frozen=True, eq=False)
class NestedModels:
    """A library made ready for `fit`."""

    sampled: Sampled

    def fit(self, seds: Seds) -> xr.Dataset:
        """Return the posteriors of some SEDs; see `pxdask.fitting.Prepared`."""
        return fit_by_form(self, seds)

    def fit_alike(self, seds: Seds) -> xr.Dataset:
        """Return the posteriors of some SEDs, all by the likelihood of the settings."""
        sampled, settings = self.sampled, self.sampled.settings
        target = sampled.target(seds)
        posteriors = [
            self._posterior(target, sed, seds.keys[sed])
            if math.isfinite(target.best_scale[sed])
            else unfitted(target, sed)
            for sed in range(len(seds))
        ]
        method = {"method": "nested", "sampler": settings.nested.sampler}
        return sampled_dataset(posteriors, sampled, seds, method=method, extra=_EXTRA)

    def _posterior(self, target: Target, sed: int, key: tuple[str | int, ...]) -> SedPosterior:
        """Return the posterior of one SED."""
        found = sample(
            lambda cube: target(cube, np.full(len(cube), sed)),
            n_dim=self.sampled.n_dim,
            settings=self.sampled.settings.nested,
            rng=stream(self.sampled.model_library.seed, *key, "nested"),
        )
        return sample_summary(
            target,
            found.cube,
            found.weights,
            sed=sed,
            best=found.best,
            key=key,
            n_eff=effective_number(found.weights),
            ln_evidence=found.ln_evidence,
            flags=0 if found.complete else int(Flag.NOT_CONVERGED),
            extra={"ln_evidence_err": found.ln_evidence_err},
        )


def sample(
    ln_density: CubeDensity, *, n_dim: int, settings: NestedConfig, rng: np.random.Generator
) -> NestedRun:
    """Return samples of a density over the unit cube, and its integral.

    Parameters
    ----------
    ln_density : CubeDensity
        Natural log of the density, -inf where there is none.
    n_dim : int
        Dimensions of the cube.
    settings : NestedConfig
        Package, live points, calls.
    rng : numpy.random.Generator
        Seeds the package.

    Raises
    ------
    ConfigError
        If the package is not installed.
    """
    module = package(settings.sampler)

    def finite(cube: Floats) -> Floats:
        found = ln_density(cube)
        return np.where(found > _NO_DENSITY, found, _NO_DENSITY)

    if settings.sampler == "nautilus":
        return _nautilus(module, finite, n_dim, settings, rng)
    return _dynesty(module, finite, n_dim, settings, rng)


def package(name: str) -> Any:  # noqa: ANN401  a module
    """Return a sampler's package.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"fit.nested.sampler is {name}, which is not installed: pip install {_PACKAGES[name]}"
        ) from error


def _nautilus(
    nautilus: Any,  # noqa: ANN401  a module
    ln_density: CubeDensity,
    n_dim: int,
    settings: NestedConfig,
    rng: np.random.Generator,
) -> NestedRun:
    """Return what importance nested sampling finds (Lange 2023, MNRAS 525, 3181).

    Its neural networks are left out: a likelihood here costs less than they do. The error of
    ln evidence is that of a sum of weights of its effective number of samples.
    """
    sampler = nautilus.Sampler(
        lambda unit: unit,
        ln_density,
        n_dim=n_dim,
        n_live=settings.n_live,
        n_networks=0,
        vectorized=True,
        pass_dict=False,
        seed=int(rng.integers(2**31)),
    )
    complete = sampler.run(n_eff=N_EFF, n_like_max=settings.max_calls, discard_exploration=True)
    if not complete and np.any(sampler.shell_n == 0):
        # at the cap not all of the posterior had been sampled anew: what exploring it gave is whole
        sampler.discard_exploration = False
    cube, ln_weight, ln_found = sampler.posterior()
    weights = np.exp(ln_weight - np.max(ln_weight))
    return NestedRun(
        cube=np.asarray(cube),
        weights=weights,
        best=np.asarray(cube[np.argmax(ln_found)]),
        ln_evidence=float(sampler.log_z),
        ln_evidence_err=1 / math.sqrt(effective_number(weights)),
        complete=bool(complete),
    )


def _dynesty(
    dynesty: Any,  # noqa: ANN401  a module
    ln_density: CubeDensity,
    n_dim: int,
    settings: NestedConfig,
    rng: np.random.Generator,
) -> NestedRun:
    """Return what nested sampling finds (Speagle 2020, MNRAS 493, 3132), a point at a time."""
    sampler = dynesty.NestedSampler(
        lambda point: float(ln_density(np.asarray(point)[None])[0]),
        lambda unit: unit,
        n_dim,
        nlive=settings.n_live,
        rstate=rng,
    )
    with warnings.catch_warnings():
        # it is told by `complete`
        warnings.filterwarnings("ignore", "The sampling was stopped short", UserWarning)
        sampler.run_nested(maxcall=settings.max_calls, dlogz=DLNZ, print_progress=False)
    found = sampler.results
    weights = np.exp(found.logwt - np.max(found.logwt))
    return NestedRun(
        cube=np.asarray(found.samples),
        weights=weights,
        best=np.asarray(found.samples[np.argmax(found.logl)]),
        ln_evidence=float(found.logz[-1]),
        ln_evidence_err=float(found.logzerr[-1]),
        complete=bool(np.sum(found.ncall) < settings.max_calls),
    )
