"""A library ready for fits: its models searched for each SED, weighed, and summed."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.core.random import stream
from pxdask.fitting.broad import BROAD_NORM, broad_summary, least_broad, sums_of_seds
from pxdask.fitting.results import SedPosterior, fit_dataset, nothing
from pxdask.fitting.target import LEANING, ODD_SCALES, observed
from pxdask.fitting.weighing import Weighed, drawn_models, one_sed, samples_of, summarise, weigh
from pxdask.kernels.likelihood import effective_number, ln_peak, posterior_weights
from pxdask.kernels.nearest import make_found
from pxdask.kernels.rdsps import (
    make_search,
    rounding_bound,
    search,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.core.models import MassPrior
    from pxdask.fitting.broad import Sums
    from pxdask.fitting.refine import Refiner
    from pxdask.fitting.seds import Seds
    from pxdask.fitting.weighing import OneSed, Rows, Summary
    from pxdask.kernels.broad import Quantities
    from pxdask.kernels.nearest import Found
    from pxdask.kernels.rdsps import Search

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

NEGLECTED = 1e-8
"""Most of the posterior that statistics may leave out: models of least weight [1]. A variance is
then wrong by no more than this times the square of the quantity's range."""

MIN_N_EFF = 10.0
"""Effective number of models below which a posterior is flagged FEW_MODELS. Of BC03 models with
8 bands, 68 % intervals covered 65 % at a median of 140, 68 % above 800; below ten they are no
more than the gaps of the library [1]."""

GROUP = 64
"""SEDs that are searched together, so that a block of models is read once for all of them."""

_OF_MODEL = 16
"""Bytes per model and SED of a group: its cost, weight, amplitude and the amplitude's error."""

_STRIDE = 16
"""Of how many models one tells whether an SED is broad beyond doubt."""

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


@dataclass(frozen=True, eq=False)
class RdspsModels:
    """A model library made ready for `fit`.

    Attributes
    ----------
    settings : FitConfig
        Likelihood and systematic error.
    models : xarray.Dataset
        The bands, as coordinates.
    flux : (n_band, n_model) float32
        Flux density per mass formed [uJy Msun-1]; best with a model's bands together in memory.
    rows : Rows
        Quantities of every model.
    attrs : mapping
        Unit and meaning of every result: those per mass, then the parameters.
    edges : (n_parameter, 2)
        Values below and above which a parameter is near an end of its prior, or NaN.
    seed : int
        Of the run.
    unit_flux : float
        Usual flux of a model [uJy Msun-1].
    mass_priors : mapping
        Priors that depend on mass, by parameter.
    by_band : (n_band, n_model) float32, optional
        The same fluxes as those that are searched, with a band's models together in memory, which
        searches read faster; None: ``flux`` is searched.
    quantities : Quantities, optional
        What broad posteriors are summed with; None for a small library.
    refiner : Refiner, optional
        Draws more models where SEDs want them.
    ln_factor : (n_model,), optional
        ln of the prior's density over that which models were drawn with, where they differ.
    n_drawn : int, optional
        Models drawn, if more than there are.
    whole : bool
        As of `pxdask.fitting.RdspsFitter`.
    """

    settings: FitConfig
    models: xr.Dataset
    flux: NDArray[np.float32]
    rows: Rows
    attrs: Mapping[str, Mapping[str, object]]
    edges: Floats
    seed: int
    unit_flux: float
    mass_priors: Mapping[str, MassPrior] = field(default_factory=dict)
    by_band: NDArray[np.float32] | None = None
    quantities: Quantities | None = None
    refiner: Refiner | None = field(default=None, repr=False)
    ln_factor: Floats | None = None
    n_drawn: int | None = None
    whole: bool = True

    def fit(self, seds: Seds) -> xr.Dataset:
        """Return the posteriors of some SEDs; see `pxdask.fitting.Prepared`."""
        return self.dataset([self._posterior(one) for one in self.searched(seds)], seds)

    def dataset(self, posteriors: Sequence[SedPosterior], seds: Seds) -> xr.Dataset:
        """Return posteriors of some SEDs, one of each, as schema fit/2."""
        return fit_dataset(
            posteriors,
            results=self.attrs,
            bands=self.models,
            seds=seds,
            attrs={
                "n_models": self.n_model,
                "likelihood": self.settings.likelihood,
                "systematic_error": self.settings.systematic_error,
            },
        )

    @property
    def dof(self) -> float:
        """Degrees of freedom; infinity is the Gaussian."""
        return math.inf if self.settings.likelihood == "gaussian" else self.settings.dof

    @property
    def n_model(self) -> int:
        """Models drawn."""
        return self.n_drawn or self.flux.shape[1]

    @property
    def _group(self) -> int:
        """SEDs searched together: as many as a part of the memory holds."""
        room = _SEARCHED * self.settings.max_memory
        return int(np.clip(room / (_OF_MODEL * self.flux.shape[1]), 1, GROUP))

    def searched(self, seds: Seds) -> Iterator[Searched]:
        """Yield each SED with how far all models are from it."""
        if seds.flux.shape[1] != self.flux.shape[0]:
            raise DataError(
                f"the SEDs have {seds.flux.shape[1]} bands, the models {self.flux.shape[0]}"
            )
        data = observed(seds, self.settings)
        detected = np.where(data.limit, np.nan, data.error)
        memory = make_found(min(self._group, len(seds)), self.flux.shape[1])
        for start in range(0, len(seds), self._group):
            part = slice(start, start + self._group)
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
                neglected=neglected[rest],
                out=memory.first(rest.size),
            )
            best[rest] = found.best
            broad[rest] = (found.n_near > most[rest]) & (found.n_unknown == 0)
            chosen = np.flatnonzero(broad)
            sums = self._sums(ready, chosen, best[chosen])
            for i, sed in enumerate(ones):
                one = Searched(sed, _NONE, float(best[i]), reach[i], float(bounds[i]))
                if broad[i]:
                    found_sums = next(sums)
                    one = replace(one, sums=found_sums)
                    yield one if found_sums.sound else self._alone(one)
                    continue
                k = np.searchsorted(rest, i)
                if found.n_near[k] > most[i]:
                    yield self._alone(one)
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
        some = self._searched_flux[:, ::_STRIDE]
        found = search(some, ready, dof=self.dof, reach=np.full(most.size, self.depth))
        beyond_doubt = found.n_near * _STRIDE > 2 * most
        return beyond_doubt & (most < n_model) & (found.n_unknown == 0), found.best

    def _sums(
        self, ready: Search, chosen: NDArray[np.int64], best: NDArray[np.float32]
    ) -> Iterator[Sums]:
        """Yield the sums over all models of the SEDs that are broad."""
        if self.quantities is None:
            return iter(())
        return sums_of_seds(
            ready,
            chosen,
            self._searched_flux,
            self.quantities,
            best=best,
            dof=self.dof,
            depth=self.depth,
            keep=self.settings.n_samples > 0,
        )

    def _alone(self, one: Searched) -> Searched:
        """Return an SED and a list of all models that may count, however many."""
        found = self._search_of(one.sed, one.reach)
        models = found.model[0, : found.n_near[0]]
        return replace(one, models=models, best=float(found.best[0]), sums=None)

    @property
    def _searched_flux(self) -> NDArray[np.float32]:
        """The fluxes in the better layout for a search."""
        return self.flux if self.by_band is None else self.by_band

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

    def candidates(self, one: Searched) -> tuple[NDArray[np.int64], Weighed]:
        """Return the models that may hold any of the posterior that counts, and their weights.

        Some of no weight at all, or of less than `NEGLECTED` allows, are among them.
        """
        models, limit = one.models.astype(np.int64), one.best + one.reach
        weighed = self.weighed(one.sed, models)
        peak = ln_peak(one.sed.error, dof=self.dof)
        while math.isfinite(limit):
            # the best that was found may be worse than the best that the search promised
            top = float(weighed.ln_weight.max(initial=-np.inf))
            wanted = -2 * (top - peak) + self.depth + one.bound
            if wanted <= limit:
                break
            limit = wanted
            models = self._within(one, limit)
            weighed = self.weighed(one.sed, models)
        return models, weighed

    def _within(self, one: Searched, limit: float) -> NDArray[np.int64]:
        """Return the models that a second search finds up to some distance."""
        # single precision may round the sum down
        reach = float(np.nextafter(np.float32(limit - one.best), np.float32(np.inf)))
        found = self._search_of(one.sed, reach)
        return np.asarray(found.model[0, : found.n_near[0]], np.int64)

    def _search_of(self, sed: OneSed, reach: float) -> Found:
        """Return what a search for one SED alone finds."""
        ready = make_search(sed.flux[None], sed.error[None], unit_flux=self.unit_flux)
        return search(self._searched_flux, ready, dof=self.dof, reach=np.array([reach]))

    def _posterior(self, one: Searched) -> SedPosterior:
        """Return the posterior of one SED."""
        sed = one.sed
        if one.sums is not None and self.quantities is not None:
            found = self._broad(one, one.sums, self.quantities)
            if not self.refiner or found.n_eff >= self.settings.refine.min_n_eff:
                return found
            one = self._alone(one)  # sums by class do not tell where to draw more models
        if sed.n_detected:
            models, weighed = self.candidates(one)
            if np.any(np.isfinite(weighed.ln_weight)):
                return self.posterior(sed, models, weighed)
        return nothing(
            len(self.attrs),
            sed.flux.size,
            n_sample=self.settings.n_samples,
            n_used=sed.n_detected + sed.limited.size,
        )

    def weighed(self, sed: OneSed, models: NDArray[np.int64]) -> Weighed:
        """Return the likelihoods of some models."""
        found = weigh(
            sed,
            self.flux,
            models,
            dof=self.dof,
            of_mass=[(prior, self.rows.of(name)) for name, prior in self.mass_priors.items()],
            surviving=self.rows.scaled[0],
        )
        if self.ln_factor is None:
            return found
        return Weighed(found.scale, found.ln_weight + self.ln_factor[models])

    def posterior(self, sed: OneSed, models: NDArray[np.int64], weighed: Weighed) -> SedPosterior:
        """Return a posterior that is summed model by model."""
        at, weights = posterior_weights(
            weighed.ln_weight, neglected=NEGLECTED, n_model=self.n_model
        )
        n_eff = effective_number(weights)
        if self.refiner and n_eff < self.settings.refine.min_n_eff:
            more = self.refiner.refine(sed, self, models[at], weighed.of(at))
            denser = replace(
                self,
                flux=more.flux,
                rows=more.rows,
                ln_factor=more.ln_factor,
                n_drawn=more.n_drawn,
                refiner=None,
            )
            every = np.arange(more.ln_factor.size)
            return denser.posterior(sed, every, denser.weighed(sed, every))
        scale = weighed.of(at).scale
        summary = summarise(
            self.rows,
            models[at],
            weights,
            scale,
            edges=self.edges,
            rng=self._rng(sed),
            n_samples=self.settings.n_samples,
        )
        ln_likelihood = weighed.ln_weight[at]
        ln_evidence = float(ln_likelihood.max()) + math.log(weights.sum() / self.n_model)
        if self.ln_factor is not None:
            ln_likelihood = ln_likelihood - self.ln_factor[models[at]]
        best = int(np.argmax(ln_likelihood))
        return self._finished(
            sed, summary, models[at[best]], float(scale.value[best]), n_eff, ln_evidence
        )

    def _broad(self, one: Searched, sums: Sums, quantities: Quantities) -> SedPosterior:
        """Return a posterior that is summed by classes of values."""
        sed, broad, best = one.sed, sums.broad, int(sums.broad.best)
        weighed = self.weighed(sed, np.array([best]))
        summary = broad_summary(sums, quantities, edges=self.edges)
        if rng := self._rng(sed):
            picks = drawn_models(broad.weight, rng=rng, n=self.settings.n_samples)
            scale = self.weighed(sed, picks).scale
            summary = replace(summary, samples=samples_of(self.rows, picks, scale, rng=rng))
        total, squares = float(broad.total), float(broad.squares)
        # the sum's own reference: errors of single models average out; that of rounding the
        # norm would not
        least = one.best
        if math.isinf(self.dof):
            least += sums.norm - float(np.float32(sums.norm))
        ln_evidence = ln_peak(sed.error, dof=self.dof) - 0.5 * least
        ln_evidence += math.log(total / self.n_model)
        at_best = float(weighed.scale.value[0])
        return self._finished(sed, summary, best, at_best, total**2 / squares, ln_evidence)

    def _rng(self, sed: OneSed) -> np.random.Generator | None:
        """Return the stream of an SED's samples, where there are any."""
        return stream(self.seed, *sed.key, "samples") if self.settings.n_samples else None

    def _finished(
        self,
        sed: OneSed,
        summary: Summary,
        best: int,
        scale: float,
        n_eff: float,
        ln_evidence: float,
    ) -> SedPosterior:
        """Return a posterior with the best model and the flags."""
        model_flux = scale * self.flux[:, best].astype(np.float64)
        used = np.isfinite(sed.error)
        residual = (sed.flux - model_flux)[used] / sed.error[used]
        flags = int(Flag.FEW_MODELS) if n_eff < MIN_N_EFF else 0
        if np.any(summary.shares > LEANING):
            flags |= int(Flag.AT_EDGE)
        if not ODD_SCALES[0] <= scale <= ODD_SCALES[1]:
            flags |= int(Flag.ODD_FLUX)
            logger.warning(
                "SED %s: the best model has %.3g Msun, wanted %g to %g; check the unit of its "
                "fluxes, which is uJy",
                sed.key,
                scale,
                *ODD_SCALES,
            )
        return SedPosterior(
            quantiles=summary.quantiles,
            mean=summary.mean,
            std=summary.std,
            model_flux=model_flux,
            chi2=float(residual @ residual) if residual.size else math.nan,
            n_used=sed.n_detected + sed.limited.size,
            n_eff=n_eff,
            ln_evidence=ln_evidence,
            flags=flags,
            samples=summary.samples,
        )
