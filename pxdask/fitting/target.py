"""The posterior density that samplers explore, of many SEDs at once, and what samples of it say."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.core.random import stream
from pxdask.core.schema import QUANTILES
from pxdask.fitting.results import SedPosterior
from pxdask.kernels.amplitude import (
    AmplitudeNodes,
    amplitude_nodes,
    draw_ln_scale,
    ln_mean_likelihood,
)
from pxdask.kernels.likelihood import effective_number, total_error, usable_bands
from pxdask.kernels.pair_likelihood import pair_ln_likelihood
from pxdask.kernels.quantiles import weighted_quantiles
from pxdask.sps.derived import derived_attrs
from pxdask.sps.parameters import parameter
from pxdask.sps.priors import ends_of
from pxdask.sps.sampling import unit_points
from pxdask.sps.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.fitting.seds import Seds
    from pxdask.sps.library import ModelLibrary

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

N_START = 16384
"""Models among which samplers look for a start."""

HALF_RANGE = 3.0
"""The prior of an SED's log10 of mass formed is even this far to both sides of the amplitude of
the best of the first models [dex]."""

LOG_FLOOR = -14.0
"""Smallest value per surviving mass that is told from none; as in `pxdask.fitting.rdsps`."""

ODD_SCALES = (1e-6, 1e16)
"""Masses formed between which a flux is believed [Msun]."""

EDGE, LEANING = 0.02, 0.16
"""A posterior leans on an end of a prior if more than `LEANING` of it is within `EDGE` of the
prior's width of it [1]."""

_LN_10 = math.log(10)

_N_DRAWN = 96
"""Nodes among which masses are drawn."""

_JITTER = 0.1
"""Scatter of the first walkers about their models, in units of those models' scatter [1]."""


@dataclass(frozen=True, eq=False)
class Observed:
    """Photometry as the likelihood takes it.

    Attributes
    ----------
    flux, error : (n_sed, n_band) float64
        Flux density or upper limit, and its whole uncertainty [uJy]; NaN where left out.
    limit : (n_sed, n_band) bool
        Upper limits.
    """

    flux: Floats
    error: Floats
    limit: NDArray[np.bool_]

    @property
    def n_used(self) -> NDArray[np.intp]:
        """Bands fitted of each SED, upper limits included."""
        return np.asarray(np.count_nonzero(np.isfinite(self.error), axis=1))


def observed(seds: Seds, settings: FitConfig) -> Observed:
    """Return the photometry of SEDs with systematic errors and upper limits as settings say."""
    flux, flux_err = (np.array(each, np.float64) for each in (seds.flux, seds.flux_err))
    usable = usable_bands(flux, flux_err)
    limit = np.zeros(flux.shape, bool) if seds.upper_limit is None else seds.upper_limit & usable
    if settings.limits_below is not None:
        faint = usable & ~limit
        faint[faint] = flux[faint] < settings.limits_below * flux_err[faint]
        flux[faint] = settings.limit_sigma * flux_err[faint]
        limit = limit | faint
    error = total_error(
        flux,
        flux_err * math.hypot(1.0, settings.systematic_sigma),
        systematic_error=settings.systematic_error,
    )
    # a limit is as soft as it is said to be
    error = np.where(limit, flux_err, error)
    return Observed(np.where(usable, flux, np.nan), np.where(usable, error, np.nan), limit)


@dataclass(frozen=True, eq=False)
class FirstModels:
    """Models among which samplers look for a start: ``unit`` (n_model, n_dim), ``flux``."""

    unit: Floats
    flux: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sampled:
    """A library made ready for samplers.

    Attributes
    ----------
    settings : FitConfig
        Likelihood, systematic errors, upper limits.
    library : ModelLibrary
        Bands, priors, seed of the run.
    """

    settings: FitConfig
    library: ModelLibrary
    simulator: Simulator = field(init=False)
    first: FirstModels = field(init=False)

    def __post_init__(self) -> None:
        simulator = Simulator(self.library)
        unit = unit_points(
            "sobol", n_dim=simulator.n_dim, seed=self.library.seed, start=0, stop=N_START
        )
        flux = simulator.simulate(unit).flux
        if not np.all(np.isfinite(flux)):
            raise DataError("the models hold fluxes that are not finite")
        object.__setattr__(self, "simulator", simulator)
        object.__setattr__(self, "first", FirstModels(unit, flux))

    @cached_property
    def results(self) -> dict[str, dict[str, object]]:
        """Unit and meaning of every result, in order: those scaled by mass, parameters, others."""
        attrs = {name: derived_attrs(name) for name in self.simulator.derived_names}
        scaled = [each["reported_as"] for each in attrs.values() if "reported_as" in each]
        names = [name for name, each in attrs.items() if "reported_as" not in each]
        of_scaled: dict[str, dict[str, object]] = {
            name: {"units": parameter(name).unit, "long_name": parameter(name).meaning}
            for name in scaled
        }
        others = {name: derived_attrs(name) for name in (*self.simulator.names, *names)}
        return {**of_scaled, **{name: dict(each) for name, each in others.items()}}

    @property
    def dof(self) -> float:
        """Degrees of freedom of the likelihood; infinite: a Gaussian."""
        return math.inf if self.settings.likelihood == "gaussian" else self.settings.dof

    @property
    def n_dim(self) -> int:
        """Dimensions of the cube: the free parameters, and last the mass formed."""
        return self.simulator.n_dim + 1

    def check_bands(self, seds: Seds) -> None:
        """Raise `DataError` if SEDs have other bands than the library, in number."""
        n_band = len(self.library.filters)
        if seds.flux.shape[1] != n_band:
            raise DataError(f"the SEDs have {seds.flux.shape[1]} bands, the models {n_band}")

    def target(self, data: Observed) -> Target:
        """Return the posterior density of some SEDs."""
        looks = (first_look(self, data, sed) for sed in range(len(data.flux)))
        return Target(self, data, np.array([look.best_scale for look in looks], np.float64))


@dataclass(frozen=True, eq=False)
class FirstLook:
    """The first models against one SED, each at the amplitude that fits its measured bands best.

    Attributes
    ----------
    scale, ln_likelihood : (n_first,) float64
        Amplitude [Msun]; -inf where it is not positive.
    """

    scale: Floats
    ln_likelihood: Floats

    @property
    def best_scale(self) -> float:
        """Amplitude of the best model [Msun]; NaN where none is positive."""
        best = int(np.argmax(self.ln_likelihood))
        return float(self.scale[best]) if np.isfinite(self.ln_likelihood[best]) else math.nan


def first_look(sampled: Sampled, data: Observed, sed: int) -> FirstLook:
    """Return what the first models say of an SED."""
    flux = sampled.first.flux
    measured = np.isfinite(data.error[sed]) & ~data.limit[sed]
    # in units of the error, so that nothing overflows where fluxes are extreme
    inverse = np.where(measured, 1 / data.error[sed], 0.0)
    signal = np.where(measured, data.flux[sed] * inverse, 0.0)
    scaled = flux * inverse
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = np.sum(scaled * signal, axis=1) / np.sum(scaled * scaled, axis=1)
    usable = np.isfinite(scale) & (scale > 0)
    ln_likelihood = pair_ln_likelihood(
        data.flux[[sed]],
        data.error[[sed]],
        data.limit[[sed]],
        flux,
        scale=np.where(usable, scale, 0.0),
        sed=np.zeros(len(flux), np.intp),
        dof=sampled.dof,
    )
    return FirstLook(scale, np.where(usable, ln_likelihood, -np.inf))


@dataclass(frozen=True, eq=False)
class Target:
    """The posterior density of some SEDs over the unit cube, the prior being flat in it.

    Attributes
    ----------
    sampled : Sampled
        Models.
    data : Observed
        SEDs.
    best_scale : (n_sed,) float64
        Amplitude of the best of the first models [Msun]; NaN where none is positive.
    """

    sampled: Sampled
    data: Observed
    best_scale: Floats

    def __call__(self, cube: Floats, sed: NDArray[np.intp]) -> Floats:
        """Return the natural log of likelihood times prior at points of the cube.

        Parameters
        ----------
        cube : (n, n_dim) float64
            In [0, 1]: the free parameters, then log10 of mass formed, from `HALF_RANGE` below
            to as much above that of ``best_scale``.
        sed : (n,) int
            Which SED each is about.

        Returns
        -------
        ln_density : (n,) float64
            With respect to the cube, so that its integral is the evidence.
        """
        simulator = self.sampled.simulator
        models = simulator.simulate(cube[:, :-1])
        log_scale = self.log_scale(cube[:, -1], sed)
        found = self.ln_likelihood(models.flux, 10.0**log_scale, sed)
        if simulator.mass_priors:
            found = found + simulator.ln_mass_prior(models, log_scale)
        return found

    def over_mass(self, unit: Floats, sed: NDArray[np.intp]) -> Floats:
        """Return the natural log of the density of the free parameters, whatever the mass.

        Parameters
        ----------
        unit : (n, n_dim - 1) float64
            In [0, 1]: the free parameters.
        sed : (n,) int
            Which SED each is about.

        Returns
        -------
        ln_density : (n,) float64
            The integral of the density over the cube's last coordinate.
        """
        return ln_mean_likelihood(self._nodes(unit, sed))

    def draw_mass(self, unit: Floats, sed: NDArray[np.intp], uniform: Floats) -> Floats:
        """Return the cube's last coordinate (n,), drawn from the posterior at given others.

        Parameters
        ----------
        unit, sed
            As for `over_mass`.
        uniform : (n,) float64
            In [0, 1): how much of that posterior is below.
        """
        log_scale = draw_ln_scale(self._nodes(unit, sed, n_node=_N_DRAWN), uniform) / _LN_10
        last = 0.5 * (1 + (log_scale - np.log10(self.best_scale[sed])) / HALF_RANGE)
        return np.asarray(np.clip(last, 0.0, 1.0))

    def _nodes(
        self, unit: Floats, sed: NDArray[np.intp], *, n_node: int | None = None
    ) -> AmplitudeNodes:
        """Return the likelihood, times priors that depend on mass, at nodes in mass."""
        simulator, data = self.sampled.simulator, self.data
        models = simulator.simulate(unit)
        nodes = amplitude_nodes(
            data.flux,
            data.error,
            data.limit,
            models.flux,
            sed=sed,
            low=_LN_10 * (np.log10(self.best_scale) - HALF_RANGE),
            width=2 * HALF_RANGE * _LN_10,
            dof=self.sampled.dof,
            n_node=n_node,
        )
        if not simulator.mass_priors:
            return nodes
        columns = (nodes.ln_scale / _LN_10).T
        ln_prior = np.array([simulator.ln_mass_prior(models, column) for column in columns]).T
        top = np.max(ln_prior, axis=1)
        weight = nodes.weight * np.exp(ln_prior - top[:, None])
        return AmplitudeNodes(nodes.ln_scale, weight, nodes.ln_top + top)

    def ln_likelihood(
        self, flux: NDArray[np.float32], scale: Floats, sed: NDArray[np.intp]
    ) -> Floats:
        """Return the natural log of the likelihood (n,) of models at given amplitudes [Msun]."""
        data = self.data
        return pair_ln_likelihood(
            data.flux,
            data.error,
            data.limit,
            flux,
            scale=scale,
            sed=sed,
            dof=self.sampled.dof,
        )

    def log_scale(self, unit: Floats, sed: NDArray[np.intp]) -> Floats:
        """Return log10 of mass formed [dex(Msun)] from the cube's last coordinate."""
        return np.asarray(np.log10(self.best_scale[sed]) + HALF_RANGE * (2 * unit - 1))

    def start(self, sed: int, n_walker: int, rng: np.random.Generator) -> Floats:
        """Return points of the cube to start from.

        Parameters
        ----------
        sed : int
            Which SED; one with a finite ``best_scale``.
        n_walker : int
            Number of points.
        rng : numpy.random.Generator
            Of this SED.

        Returns
        -------
        cube : (n_walker, n_dim) float64
            Models drawn from the first ones by their likelihood, raised to a power at which at
            least half as many of them count as there are walkers, scattered a little.
        """
        look = first_look(self.sampled, self.data, sed)
        ln_weight = look.ln_likelihood - np.max(look.ln_likelihood)
        weight = np.exp(ln_weight)
        wanted = min(0.5 * n_walker, 0.5 * np.count_nonzero(np.isfinite(ln_weight)))
        while effective_number(weight) < wanted:
            ln_weight = 0.7 * ln_weight
            weight = np.exp(ln_weight)
        weight /= weight.sum()
        chosen = rng.choice(weight.size, size=n_walker, p=weight)
        log_offset = np.log10(look.scale[chosen] / self.best_scale[sed])
        last = 0.5 * (1 + log_offset / HALF_RANGE)
        cube = np.column_stack([self.sampled.first.unit[chosen], last])
        scatter = _JITTER * np.std(cube, axis=0) + 1e-4
        cube = np.abs(cube + scatter * rng.standard_normal(cube.shape))
        cube = np.where(cube > 1, 2 - cube, cube)
        return np.asarray(np.clip(cube, 1e-6, 1 - 1e-6))

    def summary(
        self,
        sed: int,
        cube: Floats,
        weights: Floats,
        *,
        best: Floats,
        key: tuple[str | int, ...],
        n_eff: float,
        ln_evidence: float = math.nan,
        flags: int = 0,
        extra: Mapping[str, float] | None = None,
    ) -> SedPosterior:
        """Return what weighted samples say of an SED.

        Parameters
        ----------
        sed : int
            Which SED.
        cube : (n, n_dim) float64
            Points of the cube.
        weights : (n,) float64
            Of each, in any normalisation.
        best : (n_dim,) float64
            Point of the largest density.
        key : tuple
            Name of the SED's random stream.
        n_eff, ln_evidence, flags, extra
            Passed on; AT_EDGE and ODD_FLUX are added to the flags.
        """
        simulator, settings = self.sampled.simulator, self.sampled.settings
        rows_of = np.full(len(cube), sed)
        models = simulator.simulate(cube[:, :-1])
        log_scale = self.log_scale(cube[:, -1], rows_of)
        rows = self._rows(models.parameters, models.derived, log_scale)
        share = weights / weights.sum()
        mean = rows @ share
        best_flux = simulator.simulate(best[None, :-1]).flux[0].astype(np.float64)
        model_flux = 10.0 ** self.log_scale(best[-1:], rows_of[:1])[0] * best_flux
        flags |= int(Flag.AT_EDGE) if self._leans(models.parameters, cube[:, -1], share) else 0
        flags |= self.odd_flux(sed, key)
        samples = None
        if settings.n_samples:
            rng = stream(self.sampled.library.seed, *key, "samples")
            samples = rows[:, rng.choice(len(cube), size=settings.n_samples, p=share)]
        return SedPosterior(
            quantiles=weighted_quantiles(rows, share, probabilities=np.array(QUANTILES)),
            mean=mean,
            std=np.sqrt(np.maximum((rows - mean[:, None]) ** 2 @ share, 0.0)),
            model_flux=model_flux,
            chi2=self._chi2(sed, model_flux),
            n_used=int(self.data.n_used[sed]),
            n_eff=n_eff,
            ln_evidence=ln_evidence,
            flags=flags,
            samples=samples,
            extra=extra or {},
        )

    def odd_flux(self, sed: int, key: tuple[str | int, ...]) -> int:
        """Return the flag ODD_FLUX, with a warning in the log, where an SED deserves it."""
        scale, (least, most) = self.best_scale[sed], ODD_SCALES
        if least <= scale <= most:
            return 0
        logger.warning(
            "SED %s: its best amplitude is %.3g Msun, beyond [%g, %g]: is its flux in uJy?",
            key, scale, least, most,
        )  # fmt: skip
        return int(Flag.ODD_FLUX)

    def _rows(
        self, parameters: Mapping[str, Floats], derived: Mapping[str, Floats], log_scale: Floats
    ) -> Floats:
        """Return every result (n_result, n) in the order of ``sampled.results``."""
        floor = derived["surviving"] * 10.0**LOG_FLOOR
        found = dict(parameters)
        for name, values in derived.items():
            reported = derived_attrs(name).get("reported_as")
            if reported is None:
                found[name] = values
            else:
                found[reported] = np.log10(np.maximum(values, floor)) + log_scale
        return np.array([found[name] for name in self.sampled.results])

    def _leans(self, parameters: Mapping[str, Floats], last: Floats, share: Floats) -> bool:
        """Return whether the posterior leans on an end of a prior, the amplitude's included."""
        depths = [last]
        for name, prior in self.sampled.simulator.priors.items():
            low, high = ends_of(prior)
            depths.append((parameters[name] - low) / (high - low))
        return any(
            share[near].sum() > LEANING
            for depth in depths
            for near in (depth < EDGE, depth > 1 - EDGE)
        )

    def _chi2(self, sed: int, model_flux: Floats) -> float:
        """Return chi-square of a model, upper limits not counted."""
        measured = np.isfinite(self.data.error[sed]) & ~self.data.limit[sed]
        residual = (self.data.flux[sed] - model_flux)[measured] / self.data.error[sed][measured]
        return float(residual @ residual)
