"""Models made where a sampler asks for them: from points of the unit cube to fluxes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.cosmology import age_of_universe
from pxdask.core.models import MassPrior
from pxdask.sps.derived import derived_names
from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.histories import bin_edges
from pxdask.sps.populations import populations
from pxdask.sps.priors import draw, ends_of, joint_ln_density, resolve_priors
from pxdask.sps.redshifts import interpolated, redshift_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.models import ModelConfig
    from pxdask.sps.libraries import ModelLibrary
    from pxdask.sps.priors import FreePrior

    Floats = NDArray[np.float64]

N_ENGINE = 600
"""Engines of different redshifts that a simulator keeps, the oldest leaving first. A prior from 0
to 12 has 514 nodes; an engine of 12 bands takes about 2 MB."""


@dataclass(frozen=True, eq=False)
class SimulatedModels:
    """Models, per solar mass formed.

    Attributes
    ----------
    parameters : dict of (n_model,) float64
        Free parameters, in the registry's units.
    flux : (n_model, n_band) float32
        Flux densities [uJy Msun-1].
    """

    parameters: Mapping[str, Floats]
    flux: NDArray[np.float32]
    _derive: Callable[[Mapping[str, Floats]], dict[str, Floats]] = field(repr=False)

    @cached_property
    def derived(self) -> dict[str, Floats]:
        """Return what follows from the parameters, computed when first asked for."""
        return self._derive(self.parameters)


class Simulator:
    """The models of a library at any point of their priors.

    Parameters
    ----------
    library : ModelLibrary
        Populations, bands, priors, redshift. Its drawn set is not looked at.

    Raises
    ------
    ConfigError, DataError, SchemaError
        As `pxdask.sps.priors.resolve_priors` and `PhotometryEngine`.

    Attributes
    ----------
    priors : dict
        Prior of each free parameter, with its ends.
    names : tuple of str
        Free parameters, in the order of the cube's columns.
    derived_names : tuple of str
        Variables of `SimulatedModels.derived`.
    """

    def __init__(self, library: ModelLibrary) -> None:
        settings = library.settings
        self.settings = settings
        self.priors = resolve_priors(settings, redshift=library.redshift)
        self.names = tuple(self.priors)
        self.derived_names = derived_names(settings)
        self.mass_priors = {
            name: prior for name, prior in self.priors.items() if isinstance(prior, MassPrior)
        }
        self._engine: PhotometryEngine | RedshiftEngines
        if "redshift" in self.priors:
            self._engine = RedshiftEngines(
                library.ssp, library.filters, prior=self.priors["redshift"], settings=settings
            )
        else:
            # resolve_priors has made sure that there is a redshift
            self._engine = PhotometryEngine(
                library.ssp, library.filters, redshift=library.redshift or 0.0, settings=settings
            )

    @property
    def n_dim(self) -> int:
        """Number of free parameters, the amplitude not counted."""
        return len(self.names)

    def simulate(self, unit: Floats) -> SimulatedModels:
        """Return the models at some points of the priors.

        Parameters
        ----------
        unit : (n_model, n_dim) float64
            In [0, 1]; a parameter is the inverse of its prior's cumulative distribution, so
            that the prior is flat in the cube.

        Returns
        -------
        models : SimulatedModels
            A model is the same, to the last bit, whatever the other points of the call.

        Raises
        ------
        ConfigError
            If the columns are not as many as the free parameters, or a prior goes beyond what
            the populations hold.
        """
        parameters = draw(self.priors, unit, settings=self.settings)
        return SimulatedModels(parameters, self._engine.flux(parameters), self._engine.derived)

    def ln_mass_prior(self, models: SimulatedModels, log_mass_formed: Floats) -> Floats:
        """Return what priors that depend on mass add to the flat prior of the cube.

        Parameters
        ----------
        models : SimulatedModels
            From `simulate`.
        log_mass_formed : (n_model,) float64
            log10 of each model's mass formed [dex(Msun)].

        Returns
        -------
        ln_prior : (n_model,) float64
            Natural log of the ratio of the density at the surviving mass and the even one that
            the cube has; zero where no prior depends on mass.
        """
        total = np.zeros(log_mass_formed.size)
        for name, prior in self.mass_priors.items():
            low, high = ends_of(prior)
            log_mass = log_mass_formed + np.log10(models.derived["surviving"])
            total += joint_ln_density(prior, models.parameters[name], log_mass) + np.log(high - low)
        return total


class RedshiftEngines:
    """Photometry of models that each have a redshift of their own.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    filters : sequence of Filter
        Bands.
    prior : FreePrior
        Of the redshift, with its ends.
    settings : ModelConfig
        Ingredients.
    n_engine : int
        Engines kept; they are made where models are asked for.

    Notes
    -----
    Fluxes are interpolated between the redshifts of `redshift_nodes`
    (`pxdask.sps.redshifts.interpolated`). Time bins end at the age of the universe at the
    later end of the two; other histories may be as old as the universe at their own redshift.
    """

    def __init__(
        self,
        ssp: xr.Dataset,
        filters: Sequence[Filter],
        *,
        prior: FreePrior,
        settings: ModelConfig,
        n_engine: int = N_ENGINE,
    ) -> None:
        self._ssp = ssp
        self._filters = filters
        self._settings = settings
        self._stars = populations(ssp, settings)
        self._nodes = redshift_nodes(prior)
        self._n_engine = n_engine
        self._engines: OrderedDict[tuple[float, float], PhotometryEngine] = OrderedDict()
        low, high = ends_of(prior)
        self._oldest = age_of_universe(settings, redshift=low)
        youngest = age_of_universe(settings, redshift=high)
        self._has_bins = bin_edges(settings, universe=youngest) is not None

    def flux(self, parameters: Mapping[str, Floats]) -> NDArray[np.float32]:
        """Return flux densities (n_model, n_band) float32 [uJy Msun-1].

        Parameters
        ----------
        parameters : mapping
            As for `PhotometryEngine.flux`, and ``redshift``, within its prior.
        """
        redshift = parameters["redshift"]
        flux = np.empty((redshift.size, len(self._filters)), dtype=np.float32)
        for rows, ends, chosen in self._intervals(parameters):
            low, high = (self._engine(end, ends) for end in ends)
            flux[rows] = interpolated(
                (low.flux(chosen), high.flux(chosen)),
                ends,
                redshift[rows],
                settings=self._settings,
            )
        return flux

    def derived(self, parameters: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return what follows from the parameters, (n_model,) float64 each.

        Parameters
        ----------
        parameters : mapping
            As for `flux`. What is returned is of the lower of the two nodes.
        """
        n_model = parameters["redshift"].size
        found = {name: np.empty(n_model) for name in derived_names(self._settings)}
        for rows, ends, chosen in self._intervals(parameters):
            for name, values in self._engine(ends[0], ends).derived(chosen).items():
                found[name][rows] = values
        return found

    def _intervals(
        self, parameters: Mapping[str, Floats]
    ) -> Iterator[tuple[NDArray[np.intp], tuple[float, float], dict[str, Floats]]]:
        """Yield, of each interval of redshift, the models in it, its ends, their parameters."""
        nodes, redshift = self._nodes, parameters["redshift"]
        interval = np.clip(np.searchsorted(nodes, redshift, side="right") - 1, 0, nodes.size - 2)
        order = np.argsort(interval, kind="stable")
        found, first = np.unique(interval[order], return_index=True)
        for k, rows in zip(found, np.split(order, first[1:]), strict=False):
            chosen = {name: value[rows] for name, value in parameters.items() if name != "redshift"}
            yield rows, (float(nodes[k]), float(nodes[k + 1])), chosen

    def _engine(self, redshift: float, ends: tuple[float, float]) -> PhotometryEngine:
        """Return the engine of an end of an interval."""
        # Bins must exist at both ends, so neighbouring intervals differ in them.
        universe = self._oldest
        if self._has_bins:
            universe = age_of_universe(self._settings, redshift=ends[1])
        key = (redshift, universe)
        if key in self._engines:
            self._engines.move_to_end(key)
        else:
            self._engines[key] = PhotometryEngine(
                self._ssp,
                self._filters,
                redshift=redshift,
                settings=self._settings,
                universe=universe,
                stars=self._stars,
            )
            if len(self._engines) > self._n_engine:
                self._engines.popitem(last=False)
        return self._engines[key]
