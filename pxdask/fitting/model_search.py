"""Which models of a library may count for an SED, found for many SEDs at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pxdask.fitting.broad import BROAD_NORM, least_broad, sums_of_seds
from pxdask.fitting.target import degrees_of_freedom, observed
from pxdask.fitting.weighing import one_sed
from pxdask.kernels.broad import SOME
from pxdask.kernels.broad_sums import make_memory
from pxdask.kernels.nearest import make_found
from pxdask.kernels.rdsps import make_search, rounding_bound, search
from pxdask.kernels.vector_sums import N_TOGETHER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.core.models import MassPrior
    from pxdask.fitting.broad import Sums
    from pxdask.fitting.seds import Seds
    from pxdask.fitting.weighing import OneSed
    from pxdask.kernels.broad import Quantities
    from pxdask.kernels.broad_sums import Memory
    from pxdask.kernels.nearest import Found
    from pxdask.kernels.rdsps import Search

NEGLECTED = 1e-8
"""Most of the posterior that statistics may leave out: models of least weight [1]. A variance is
then wrong by no more than this times the square of the quantity's range."""

GROUP = 64
"""SEDs that are searched together, so that a block of models is read once for all of them."""

BEYOND_DOUBT = 1.25
"""How many times more models than it takes an SED must have by every `SOME`-th, to be called broad:
of 512 models that are counted it is five deviations by chance, and less by far in an order in which
like models are together."""

_OF_MODEL = 16
"""Bytes per model and SED of a group: its cost, weight, amplitude and the amplitude's error."""

_OF_PAGE = 2**19
"""Models whose costs fill a huge page of 2 MB: a list that begins takes no less memory."""

_NONE = np.empty(0, np.int32)

_SEARCHED = 1e8
"""Bytes per GB of `max_memory` that the search of a group may take; one SED always may."""


@dataclass(frozen=True, eq=False)
class Searched:
    """One SED, and how far models are from it; the next search overwrites the arrays.

    Attributes
    ----------
    sed : OneSed
        What is fitted.
    models : (n_near,) int32
        Models that may count by the search; see `pxdask.kernels.rdsps.search`.
    best : float
        Least distance that is known.
    reach : float
        Distance beyond it of models that may count.
    bound : float
        How wrong distances may be.
    sums : Sums, optional
        Where it pays to sum the posterior by class; ``models`` are not listed then.
    """

    sed: OneSed
    models: NDArray[np.int32] | NDArray[np.int64]
    best: float
    reach: float
    bound: float
    sums: Sums | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelSearch:
    """A model library that SEDs can be looked for in.

    Attributes
    ----------
    settings : FitConfig
        Likelihood, systematic error, memory.
    flux : (n_band, n_model) float32
        Flux density per mass formed [uJy Msun-1]; best with a model's bands together in memory.
    unit_flux : float
        Usual flux of a model [uJy Msun-1].
    mass_priors : mapping
        Priors that depend on mass, by parameter.
    by_band : (n_band, n_model) float32, optional
        The same fluxes as those that are searched, with a band's models together in memory, which
        searches read faster; None: ``flux`` is searched.
    quantities : Quantities, optional
        What broad posteriors are summed with; None for a small library.
    n_drawn : int, optional
        Models drawn, if more than there are.
    whole : bool
        As of `pxdask.fitting.RdspsFitter`.
    """

    settings: FitConfig
    flux: NDArray[np.float32]
    unit_flux: float
    mass_priors: Mapping[str, MassPrior] = field(default_factory=dict)
    by_band: NDArray[np.float32] | None = None
    quantities: Quantities | None = None
    n_drawn: int | None = None
    whole: bool = True

    @property
    def dof(self) -> float:
        """Degrees of freedom; infinity is the Gaussian."""
        return degrees_of_freedom(self.settings)

    @property
    def n_model(self) -> int:
        """Models drawn."""
        return self.n_drawn or self.flux.shape[1]

    def _group(self, *, plain: bool = False) -> int:
        """Return how many SEDs are worked on together: as many as a part of the memory holds.

        Where all are ``plain``, those that most models count for are not listed but summed.
        """
        room, n_model = _SEARCHED * self.settings.max_memory, self.flux.shape[1]
        if plain and self.quantities is not None and not self.mass_priors:
            n_model = min(n_model, max(least_broad(n_model), _OF_PAGE))
        return int(np.clip(room / (_OF_MODEL * n_model), 1, GROUP))

    def searched(self, seds: Seds) -> Iterator[Searched]:
        """Yield each SED with how far all models are from it."""
        seds.require_bands(self.flux.shape[0])
        data = observed(seds, self.settings)
        detected = np.where(data.limit, np.nan, data.error)
        n_group = self._group(plain=not np.any(data.limit))
        memory = make_found(min(n_group, len(seds)), self.flux.shape[1])
        memory_of_sums = self._memory()
        for start in range(0, len(seds), n_group):
            part = slice(start, start + n_group)
            ready = make_search(data.flux[part], detected[part], unit_flux=self.unit_flux)
            group = range(start, start + ready.norm.size)
            ones = [one_sed(data, i, seds.keys[i]) for i in group]
            n_used = np.array([one.n_detected for one in ones])
            bounds = rounding_bound(ready.norm, n_used=n_used, dof=self.dof)
            reach = np.array([self._reach(*each) for each in zip(ones, bounds, strict=True)])
            most = np.array([self._most(*each) for each in zip(ones, ready.norm, strict=True)])
            broad, best = self._broad_ones(ready, most)
            rest = np.flatnonzero(~broad)
            neglected = np.array([self._unlisted(one) for one in ones])
            found = search(
                self._searched_flux,
                ready.of(rest),
                dof=self.dof,
                reach=reach[rest],
                most=most[rest],
                best=best[rest],
                neglected=neglected[rest],
                out=memory.first(rest.size),
            )
            best[rest] = found.best
            broad[rest] = (found.n_near > most[rest]) & (found.n_unknown == 0)
            chosen = np.flatnonzero(broad)
            sums = self._sums(ready, chosen, best[chosen], memory_of_sums)
            for i, sed in enumerate(ones):
                one = Searched(sed, _NONE, float(best[i]), reach[i], float(bounds[i]))
                if broad[i]:
                    found_sums = next(sums)
                    one = replace(one, sums=found_sums)
                    yield one if found_sums.sound else self.alone(one)
                    continue
                k = np.searchsorted(rest, i)
                if found.n_near[k] > most[i]:
                    yield self.alone(one)
                else:
                    yield replace(one, models=found.model[k, : found.n_near[k]])

    def _broad_ones(
        self, ready: Search, most: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return which SEDs are broad beyond doubt by some of the models, and the best of these.

        An SED is weighed by all models either way; this spares it the search.
        """
        n_model = self.flux.shape[1]
        if self.quantities is None or not np.any(most < n_model):
            return np.zeros(most.size, np.bool_), np.full(most.size, np.inf, np.float32)
        reach = np.full(most.size, self.depth)
        found = search(self._some_flux, ready, dof=self.dof, reach=reach)
        beyond_doubt = found.n_near * SOME > BEYOND_DOUBT * most
        return beyond_doubt & (most < n_model) & (found.n_unknown == 0), found.best

    def _memory(self) -> Memory | None:
        """Return memory for sums by class, where there may be any."""
        if self.quantities is None:
            return None
        keep = self.settings.n_samples > 0
        n_sed = self._group() if keep else N_TOGETHER
        return make_memory(n_sed, self.quantities, n_band=self.flux.shape[0], keep=keep)

    def _sums(
        self,
        ready: Search,
        chosen: NDArray[np.int64],
        best: NDArray[np.float32],
        memory: Memory | None,
    ) -> Iterator[Sums]:
        """Yield the sums over all models of the SEDs that are broad."""
        if self.quantities is None or memory is None:
            return iter(())
        return sums_of_seds(
            ready,
            chosen,
            self._searched_flux,
            self.quantities,
            some=self._some_flux,
            best=best,
            dof=self.dof,
            depth=self.depth,
            memory=memory,
        )

    def alone(self, one: Searched) -> Searched:
        """Return an SED and a list of all models that may count, however many."""
        found = self._search_of(one.sed, one.reach)
        models = found.model[0, : found.n_near[0]]
        return replace(one, models=models, best=float(found.best[0]), sums=None)

    @property
    def _searched_flux(self) -> NDArray[np.float32]:
        """The fluxes in the better layout for a search."""
        return self.flux if self.by_band is None else self.by_band

    @cached_property
    def _some_flux(self) -> NDArray[np.float32]:
        """Every `SOME`-th model, close together in memory."""
        return self._searched_flux[:, ::SOME].copy(order="C")

    def _reach(self, sed: OneSed, bound: float) -> float:
        """Return how much further than the best a model may be and count."""
        # likelihoods may exceed those of the search where priors depend on mass, or where
        # limits draw the amplitude to where Student's t is greater
        if self.mass_priors or (sed.limited.size and math.isfinite(self.dof)):
            return math.inf
        return self.depth + 2 * bound

    @property
    def depth(self) -> float:
        """Cost above the least beyond which models together hold a quarter of `NEGLECTED`."""
        return 2 * math.log(4 * self.n_model / NEGLECTED)

    def _unlisted(self, sed: OneSed) -> float:
        """Return the share of the search's weight that models may have and not be listed."""
        # elsewhere the search's weight is not the likelihood, or is not that of all models
        plain = not sed.limited.size and not self.mass_priors and self.whole
        return 0.25 * NEGLECTED if plain and sed.n_detected else 0.0

    def _most(self, sed: OneSed, norm: float) -> int:
        """Return of how many models a posterior may be and not be summed by class."""
        plain = not sed.limited.size and not self.mass_priors and sed.n_detected > 0
        if self.quantities is None or not plain or norm > BROAD_NORM:
            return int(self.flux.shape[1])
        return least_broad(int(self.flux.shape[1])) - 1

    def within(self, one: Searched, limit: float) -> NDArray[np.int64]:
        """Return the models that a second search finds up to some distance."""
        # single precision may round the sum down
        reach = float(np.nextafter(np.float32(limit - one.best), np.float32(np.inf)))
        found = self._search_of(one.sed, reach)
        return np.asarray(found.model[0, : found.n_near[0]], np.int64)

    def _search_of(self, sed: OneSed, reach: float) -> Found:
        """Return what a search for one SED alone finds."""
        ready = make_search(sed.flux[None], sed.error[None], unit_flux=self.unit_flux)
        return search(self._searched_flux, ready, dof=self.dof, reach=np.array([reach]))
