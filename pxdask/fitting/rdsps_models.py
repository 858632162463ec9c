"""A library ready for fits: its models searched for each SED, weighed, and summed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.flags import Flag
from pxdask.core.random import stream
from pxdask.fitting.broad import broad_summary
from pxdask.fitting.model_search import NEGLECTED, ModelSearch
from pxdask.fitting.over_mass import ln_over_mass
from pxdask.fitting.results import SedPosterior, fit_dataset, nothing, odd_flux
from pxdask.fitting.target import LEANING
from pxdask.fitting.weighing import Weighed, drawn_models, samples_of, summarise, weigh
from pxdask.kernels.likelihood import effective_number, ln_peak, posterior_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.fitting.broad import Sums
    from pxdask.fitting.model_search import Searched
    from pxdask.fitting.refine import Refiner
    from pxdask.fitting.seds import Seds
    from pxdask.fitting.weighing import OneSed, Rows, Summary
    from pxdask.kernels.broad import Quantities

    Floats = NDArray[np.float64]

MIN_N_EFF = 10.0
"""Effective number of models below which a posterior is flagged FEW_MODELS. Of BC03 models with
8 bands, 68 % intervals covered 65 % at a median of 140, 68 % above 800; below ten they are no
more than the gaps of the library [1]."""


@dataclass(frozen=True)
class _Amplitude:
    """Amplitude of the best model, its error [Msun], and the form of its likelihood."""

    value: float
    err: float
    dof: float


@dataclass(frozen=True, eq=False, kw_only=True)
class RdspsModels(ModelSearch):
    """A model library made ready for `fit`.

    Attributes
    ----------
    models : xarray.Dataset
        The bands, as coordinates.
    rows : Rows
        Quantities of every model.
    attrs : mapping
        Unit and meaning of every result: those per mass, then the parameters.
    edges : (n_parameter, 2)
        Values below and above which a parameter is near an end of its prior, or NaN.
    seed : int
        Of the run.
    refiner : Refiner, optional
        Draws more models where SEDs want them.
    ln_factor : (n_model,), optional
        ln of the prior's density over that which models were drawn with, where they differ.
    """

    models: xr.Dataset
    rows: Rows
    attrs: Mapping[str, Mapping[str, object]]
    edges: Floats
    seed: int
    refiner: Refiner | None = field(default=None, repr=False)
    ln_factor: Floats | None = None

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
            models = self.within(one, limit)
            weighed = self.weighed(one.sed, models)
        return models, weighed

    def _posterior(self, one: Searched) -> SedPosterior:
        """Return the posterior of one SED."""
        sed = one.sed
        if one.sums is not None and self.quantities is not None:
            found = self._broad(one, one.sums, self.quantities)
            if not self.refiner or found.n_eff >= self.settings.refine.min_n_eff:
                return found
            one = self.alone(one)  # sums by class do not tell where to draw more models
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

    def posterior(
        self,
        sed: OneSed,
        models: NDArray[np.int64],
        weighed: Weighed,
        *,
        dof: float | None = None,
    ) -> SedPosterior:
        """Return a posterior that is summed model by model.

        ``dof`` is of the likelihood that the amplitude has; default: of the bands'.
        """
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
        amplitude = _Amplitude(
            float(scale.value[best]), float(scale.err[best]), self.dof if dof is None else dof
        )
        return self._finished(sed, summary, models[at[best]], amplitude, n_eff, ln_evidence)

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
        amplitude = _Amplitude(float(weighed.scale.value[0]), float(weighed.scale.err[0]), self.dof)
        return self._finished(sed, summary, best, amplitude, total**2 / squares, ln_evidence)

    def _rng(self, sed: OneSed) -> np.random.Generator | None:
        """Return the stream of an SED's samples, where there are any."""
        return stream(self.seed, *sed.key, "samples") if self.settings.n_samples else None

    def _finished(
        self,
        sed: OneSed,
        summary: Summary,
        best: int,
        amplitude: _Amplitude,
        n_eff: float,
        ln_evidence: float,
    ) -> SedPosterior:
        """Return a posterior with the best model and the flags.

        ``ln_evidence`` is the mean over models of the likelihood at the best amplitude; what is
        reported is the mean over mass too, as samplers have it.
        """
        model_flux = amplitude.value * self.flux[:, best].astype(np.float64)
        used = np.isfinite(sed.error)
        residual = (sed.flux - model_flux)[used] / sed.error[used]
        flags = int(Flag.FEW_MODELS) if n_eff < MIN_N_EFF else 0
        if np.any(summary.shares > LEANING):
            flags |= int(Flag.AT_EDGE)
        flags |= odd_flux(amplitude.value, sed.key)
        ln_evidence += ln_over_mass(
            sed,
            model_flux,
            dof=amplitude.dof,
            relative=summary.relative_error,
            of_best=amplitude.err / amplitude.value,
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
