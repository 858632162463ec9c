"""The posterior density that samplers explore, of many SEDs at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from pxdask.core.errors import DataError
from pxdask.fitting.first_look import FirstLook, FirstModels, first_look
from pxdask.fitting.spectral_data import silent_rows, spectral_data
from pxdask.fitting.spectral_term import N_LOOKED, SpectralTerm, as_bands
from pxdask.kernels.amplitude import (
    AmplitudeNodes,
    amplitude_nodes,
    draw_ln_scale,
    ln_mean_likelihood,
    ln_mean_over_amplitude,
)
from pxdask.kernels.likelihood import total_error, usable_bands
from pxdask.kernels.pair_likelihood import pair_ln_likelihood
from pxdask.sps.derived import derived_attrs
from pxdask.sps.parameters import parameter
from pxdask.sps.sampling import unit_points
from pxdask.sps.simulator import Simulator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.fitting.seds import Seds
    from pxdask.fitting.spectral_data import SpectralData
    from pxdask.sps.libraries import ModelLibrary
    from pxdask.sps.simulator import SimulatedModels

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

N_START = 16384
"""Models among which samplers look for a start."""

HALF_RANGE = 3.0
"""The prior of an SED's log10 of mass formed is even this far to both sides of the amplitude of
the best of the first models [dex]."""

EDGE, LEANING = 0.02, 0.16
"""A posterior leans on an end of a prior if more than `LEANING` of it is within `EDGE` of the
prior's width of it [1]."""

_LN_10 = math.log(10)

_N_DRAWN, _N_PRIOR = 96, 24
"""Nodes among which masses are drawn, and where priors that depend on mass are looked at; Student's
t has as many as it takes."""

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
    noise : (n_sed, n_band) float64, optional
        Uncertainty without the part that is a share of the flux [uJy]; default: ``error``.
    """

    flux: Floats
    error: Floats
    limit: NDArray[np.bool_]
    noise: Floats | None = None

    def without(self, rows: Bools) -> Observed:
        """Return the same without the bands of some SEDs."""
        return Observed(
            np.where(rows[:, None], np.nan, self.flux),
            np.where(rows[:, None], np.nan, self.error),
            self.limit & ~rows[:, None],
            None if self.noise is None else np.where(rows[:, None], np.nan, self.noise),
        )

    @property
    def dark(self) -> Bools:
        """Which SEDs (n_sed,) have no measured band; upper limits are none."""
        return np.asarray(~np.any(np.isfinite(self.error) & ~self.limit, axis=1))

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
    noise = flux_err * math.hypot(1.0, settings.systematic_sigma)
    error = total_error(flux, noise, systematic_error=settings.systematic_error)
    # a limit is as soft as it is said to be
    error = np.where(limit, flux_err, error)
    flux, error, noise = (np.where(usable, each, np.nan) for each in (flux, error, noise))
    return Observed(flux, error, limit, noise)


def near_ends(low: float, high: float) -> tuple[float, float]:
    """Return the values below and above which a parameter is near an end of its prior."""
    near = EDGE * (high - low)
    return low + near, high - near


def degrees_of_freedom(settings: FitConfig) -> float:
    """Return the degrees of freedom of a likelihood; infinite: a Gaussian."""
    return math.inf if settings.likelihood == "gaussian" else settings.dof


@dataclass(frozen=True, eq=False)
class Sampled:
    """A library made ready for samplers.

    Attributes
    ----------
    settings : FitConfig
        Likelihood, systematic errors, upper limits.
    model_library : ModelLibrary
        Bands, priors, seed of the run.
    simulator : Simulator
        Makes models at points of the cube.
    first : FirstModels
        `N_START` models, among which a start is looked for.

    Raises
    ------
    DataError
        If one of these is not finite.
    """

    settings: FitConfig
    model_library: ModelLibrary
    simulator: Simulator = field(init=False)
    first: FirstModels = field(init=False)

    def __post_init__(self) -> None:
        simulator = Simulator(self.model_library)
        unit = unit_points(
            "sobol", n_dim=simulator.n_dim, seed=self.model_library.seed, start=0, stop=N_START
        )
        models = simulator.simulate(unit)
        if not np.all(np.isfinite(models.flux)):
            raise DataError("the models hold fluxes that are not finite")
        object.__setattr__(self, "simulator", simulator)
        object.__setattr__(self, "first", FirstModels(unit, models.parameters, models.flux))

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
        return degrees_of_freedom(self.settings)

    @cached_property
    def gaussian(self) -> Sampled:
        """The same with a Gaussian likelihood."""
        return replace(self, settings=self.settings.model_copy(update={"likelihood": "gaussian"}))

    @property
    def n_dim(self) -> int:
        """Dimensions of the cube: the free parameters, and last the mass formed."""
        return self.simulator.n_dim + 1

    def target(self, seds: Seds) -> Target:
        """Return the posterior density of some SEDs.

        Raises
        ------
        DataError
            If they have other bands than the library, in number.
        """
        seds.require_bands(len(self.model_library.filters))
        data = observed(seds, self.settings)
        if self.settings.spectrum.use != "photometry":
            spectra = spectral_data(seds, self.model_library, settings=self.settings)
            silent_rows(seds, spectra, settings=self.settings)
            if self.settings.spectrum.use == "spectrum":
                data = data.without(np.ones(len(seds), np.bool_))
            if spectra is not None:
                return self._joint(data, spectra)
        looks = tuple(self._look(data, sed) for sed in range(len(data.flux)))
        return Target(self, data, looks)

    def _joint(self, data: Observed, spectra: SpectralData) -> Target:
        """Return the posterior density of SEDs with spectra."""
        chosen = self.settings.spectrum
        has = np.array([one is not None for one in spectra.targets])
        dark = data.dark
        gives_scale = has & (dark | (chosen.polynomial_order is None))
        term = SpectralTerm(self.settings, spectra, gives_scale)
        some = {name: values[:N_LOOKED] for name, values in self.first.parameters.items()}
        seen = spectra.observer.spectra(some)
        looks, targets = [], []
        for sed in range(len(data.flux)):
            look = self._look(data, sed)
            of_bands = np.where(dark[sed], 0.0, look.ln_likelihood[:N_LOOKED])
            targets.append(term.clipped(seen, of_bands, sed=sed))
            looks.append(look)
        term = term.with_targets(tuple(targets))
        for sed, look in enumerate(looks):
            if has[sed]:
                looks[sed] = look.with_spectrum(term.of_spectra(seen, sed=sed))
        return Target(self, data, tuple(looks), term)

    def _look(self, data: Observed, sed: int) -> FirstLook:
        """Return what the first models say of the bands of an SED."""
        return first_look(
            data.flux[sed], data.error[sed], data.limit[sed], self.first.flux, dof=self.dof
        )


class _Prior(TypedDict):
    """Prior of amplitudes, and what models are held against."""

    sed: NDArray[np.intp]
    low: Floats
    width: float
    dof: float


@dataclass(frozen=True, eq=False)
class Target:
    """The posterior density of some SEDs over the unit cube, the prior being flat in it.

    Attributes
    ----------
    sampled : Sampled
        Models.
    data : Observed
        SEDs.
    looks : tuple of FirstLook
        What the first models say of each.
    spectra : SpectralTerm, optional
        Spectra of the SEDs.
    """

    sampled: Sampled
    data: Observed
    looks: tuple[FirstLook, ...] = field(repr=False)
    spectra: SpectralTerm | None = None

    @cached_property
    def best_scale(self) -> Floats:
        """Amplitude (n_sed,) of the best of the first models [Msun]; NaN where none is positive."""
        return np.array([look.best_scale for look in self.looks], np.float64)

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
        bands, rows, found = self._bands(models, sed)
        found = found + pair_ln_likelihood(
            *bands, scale=10.0**log_scale, sed=rows, dof=self.sampled.dof
        )
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
        if self.sampled.simulator.mass_priors:
            return ln_mean_likelihood(self._nodes(unit, sed, n_node=_N_PRIOR))
        models = self.sampled.simulator.simulate(unit)
        bands, rows, found = self._bands(models, sed)
        return found + ln_mean_over_amplitude(*bands, **self._prior(sed, rows))

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

    def _nodes(self, unit: Floats, sed: NDArray[np.intp], *, n_node: int) -> AmplitudeNodes:
        """Return the likelihood, times priors that depend on mass, at nodes in mass."""
        simulator = self.sampled.simulator
        models = simulator.simulate(unit)
        bands, rows, found = self._bands(models, sed)
        nodes = amplitude_nodes(*bands, **self._prior(sed, rows), n_node=n_node)
        nodes = nodes._replace(ln_top=nodes.ln_top + found)
        if not simulator.mass_priors:
            return nodes
        columns = (nodes.ln_scale / _LN_10).T
        ln_prior = np.array([simulator.ln_mass_prior(models, column) for column in columns]).T
        top = np.max(ln_prior, axis=1)
        weight = nodes.weight * np.exp(ln_prior - top[:, None])
        return AmplitudeNodes(nodes.ln_scale, weight, nodes.ln_top + top)

    def _bands(
        self, models: SimulatedModels, sed: NDArray[np.intp]
    ) -> tuple[tuple[Floats, Floats, Bools, NDArray[np.float32]], NDArray[np.intp], Floats]:
        """Return SEDs and models, which row each model is held against, and spectra's part."""
        data = self.data
        if self.spectra is None:
            bands = (data.flux, data.error, data.limit, models.flux)
            return bands, sed, np.zeros(len(sed))
        wider, found = as_bands(
            self.spectra.likelihood(models.parameters, sed),
            data.flux[sed],
            data.error[sed],
            data.limit[sed],
            models.flux,
        )
        return wider, np.arange(len(sed)), found

    def _prior(self, sed: NDArray[np.intp], rows: NDArray[np.intp]) -> _Prior:
        """Return the prior of amplitudes of models, for the rows that they are held against."""
        low = _LN_10 * (np.log10(self.best_scale) - HALF_RANGE)
        return {
            "sed": rows,
            "low": low if self.spectra is None else low[sed],
            "width": 2 * HALF_RANGE * _LN_10,
            "dof": self.sampled.dof,
        }

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
        look = self.looks[sed]
        chosen = look.drawn(n_walker, rng)
        log_offset = np.log10(look.scale[chosen] / self.best_scale[sed])
        last = 0.5 * (1 + log_offset / HALF_RANGE)
        cube = np.column_stack([self.sampled.first.unit[chosen], last])
        scatter = _JITTER * np.std(cube, axis=0) + 1e-4
        cube = np.abs(cube + scatter * rng.standard_normal(cube.shape))
        cube = np.where(cube > 1, 2 - cube, cube)
        return np.asarray(np.clip(cube, 1e-6, 1 - 1e-6))
