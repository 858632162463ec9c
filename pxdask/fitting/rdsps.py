"""Random densely-sampled parameter space: every model of a library weighed against each SED."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError, SchemaError
from pxdask.core.flags import Flag
from pxdask.core.models import MassPrior
from pxdask.core.schema import MODELS, QUANTILES
from pxdask.fitting.results import SedPosterior, fit_dataset, nothing
from pxdask.kernels.likelihood import (
    best_scale,
    chi_square,
    effective_number,
    ln_evidence,
    ln_likelihood_gaussian,
    ln_likelihood_student,
    posterior_weights,
    total_error,
    usable_bands,
)
from pxdask.kernels.quantiles import weighted_quantiles
from pxdask.sps.parameters import parameter
from pxdask.sps.priors import joint_ln_density

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.fitting.seds import Seds
    from pxdask.sps.library import ModelLibrary

    Floats = NDArray[np.float64]

NEGLECTED = 1e-5
"""Most of the posterior that quantiles and ``n_eff`` may leave out: models of least weight [1]."""

MIN_N_EFF = 10.0
"""Effective number of models below which a posterior is flagged FEW_MODELS. Of BC03 models with
8 bands, 68 % intervals covered 65 % at a median of 140, 68 % above 800; below ten they are no
more than the gaps of the library [1]."""

LOG_FLOOR = -14.0
"""Smallest value per surviving mass that is told from none: of SFR [dex(1 / yr)], mass of dust
[dex], its luminosity [dex(Lsun / Msun)]."""

AMPLITUDE_NODE = 0.98
"""Distance of the outer two of three nodes of the amplitude from the middle [sigma]."""

AMPLITUDE_WEIGHTS = (0.41, 0.18, 0.41)
"""Weights of the nodes [1]. With `AMPLITUDE_NODE`, the half-width of the 0.16-0.84 interval of
an amplitude's Gaussian convolved with a Gaussian spread of models is within 2.5 per cent of
the exact one at any ratio of the two, from one model alone to many."""

_NOT_PARAMETERS = ("band", "pivot_wave", "flux")
_REPORTED = {"surviving": "log_mass", "sfr": "log_sfr"}
"""As what the variables that every model set has are reported."""


@dataclass(frozen=True)
class RdspsFitter:
    """The fitter of Abdurro'uf et al. 2021 (ApJS 254, 15), section 4.2.2.

    A model's weight is its likelihood (models are drawn from the prior) at the amplitude
    that fits best. A model whose best amplitude is not positive has no weight. The error of
    each band is the observed one and ``systematic_error * flux`` in quadrature.

    The published method takes the amplitude as known. Here each model is split into three,
    at its best amplitude s, at s (1 + r) and at s / (1 + r), where r = 0.98 sigma_s / s, with
    weights 0.18, 0.41 and 0.41, as sigma_s is the amplitude's uncertainty. These stay positive
    at any S/N, and they are made for the quantiles that are reported: those of the
    Gauss-Hermite rule of three nodes would stand at 1.73 sigma where one model has all the
    weight, because its outer weights of 1/6 are above 0.16.

    Variables of the models with ``attrs["reported_as"]``, per mass formed, are reported under
    that name as log10 of their value times the amplitude: ``log_mass`` is the surviving mass.
    None of them is smaller than ``log_mass - 14``, so that ``log_sfr`` of a model that forms
    no stars, or ``log_dustmass`` of one without dust, is finite. All other variables are
    reported as they are.

    Where the prior of a parameter depends on mass (``joint_with_mass`` in the models'
    ``attrs["priors"]``), a model is also weighed by the density of its value at the surviving
    mass that fits best; models are drawn evenly there, so no other factor is due.

    Attributes
    ----------
    settings : FitConfig
        Likelihood and systematic error.
    """

    settings: FitConfig

    def prepare(self, library: ModelLibrary) -> RdspsModels:
        """Return the models made ready for fitting; see `pxdask.fitting.Fitter`."""
        models = MODELS.validate(library.draw())
        if missing := [name for name in _REPORTED if name not in models]:
            raise SchemaError(f"the models lack {missing}, from which mass and SFR follow")
        given = sorted(str(name) for name in models.variables if name not in _NOT_PARAMETERS)
        values = {name: np.array(models[name].values) for name in given}
        flux = np.array(models["flux"].values.T, order="C")
        _check_models(flux, values)
        reported = _reported(models, given)
        names = [name for name in given if name not in reported.values()]
        floor = values["surviving"] * 10.0**LOG_FLOOR
        return RdspsModels(
            settings=self.settings,
            models=models[["band", "pivot_wave"]],
            flux=flux,
            per_mass=np.array([np.log10(np.maximum(values[v], floor)) for v in reported.values()]),
            parameters=np.array([values[name] for name in names]).reshape(len(names), -1),
            attrs={
                **{name: _reported_attrs(name) for name in reported},
                **{name: dict(models[name].attrs) for name in names},
            },
            of_mass=tuple((prior, values[name]) for name, prior in _mass_priors(models).items()),
        )


def _reported(models: xr.Dataset, names: Sequence[str]) -> dict[str, str]:
    """Return the variables per mass formed by the names that they are reported under."""
    found = {reported: name for name, reported in _REPORTED.items()}
    for name in names:
        if (reported := models[name].attrs.get("reported_as")) is not None:
            found[str(reported)] = name
    return found


def _reported_attrs(name: str) -> dict[str, object]:
    """Return unit and meaning of a result that is scaled by mass."""
    entry = parameter(name)
    return {"units": entry.unit, "long_name": entry.meaning}


def _mass_priors(models: xr.Dataset) -> dict[str, MassPrior]:
    """Return the priors that depend on mass, by parameter."""
    return {
        str(name): MassPrior.model_validate(prior)
        for name, prior in models.attrs.get("priors", {}).items()
        if prior["kind"] == "joint_with_mass"
    }


def _check_models(flux: NDArray[np.float32], values: Mapping[str, Floats]) -> None:
    """Raise `DataError` where a model cannot be weighed."""
    faults = [name for name, value in values.items() if not np.all(np.isfinite(value))]
    if not np.all(np.isfinite(flux)):
        faults.append("flux")
    if faults:
        raise DataError(f"the models hold values that are not finite in {sorted(faults)}")
    if flux.size == 0:
        raise DataError(f"no models to fit with: {flux.shape[1]} models of {flux.shape[0]} bands")
    if np.any(values["surviving"] <= 0):
        raise DataError(f"surviving is {values['surviving'].min():g} in a model; must be positive")


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
        Flux density per mass formed [uJy Msun-1], contiguous along models.
    per_mass : (n_scaled, n_model)
        log10 of quantities per mass formed: surviving mass [1], SFR [yr-1], and others.
    parameters : (n_parameter, n_model)
        Values of each parameter, in its own unit.
    attrs : mapping
        Unit and meaning of every result: those per mass, then the parameters.
    of_mass : tuple of (MassPrior, (n_model,))
        Priors that depend on mass, and the values that they are about.
    """

    settings: FitConfig
    models: xr.Dataset
    flux: NDArray[np.float32]
    per_mass: Floats
    parameters: Floats
    attrs: Mapping[str, Mapping[str, object]]
    of_mass: tuple[tuple[MassPrior, Floats], ...] = ()

    def fit(self, seds: Seds) -> xr.Dataset:
        """Return the posteriors of some SEDs; see `pxdask.fitting.Prepared`."""
        if seds.flux.shape[1] != self.flux.shape[0]:
            raise DataError(
                f"the SEDs have {seds.flux.shape[1]} bands, the models {self.flux.shape[0]}"
            )
        pairs = zip(
            np.array(seds.flux, np.float64), np.array(seds.flux_err, np.float64), strict=True
        )
        return fit_dataset(
            [self._posterior(*sed) for sed in pairs],
            results=self.attrs,
            bands=self.models,
            seds=seds,
            attrs={
                "n_models": self.flux.shape[1],
                "likelihood": self.settings.likelihood,
                "systematic_error": self.settings.systematic_error,
            },
        )

    def _posterior(self, flux: Floats, flux_err: Floats) -> SedPosterior:
        """Return the posterior of one SED."""
        error = total_error(flux, flux_err, systematic_error=self.settings.systematic_error)
        n_used = int(np.count_nonzero(usable_bands(flux, error)))
        scale = best_scale(flux, error, self.flux)
        ln_likelihood = self._ln_weight(flux, error, scale.value)
        best = int(np.argmax(ln_likelihood))
        if not np.isfinite(ln_likelihood[best]):
            return nothing(len(self.attrs), flux.size, n_used=n_used)
        kept, weights = posterior_weights(ln_likelihood, neglected=NEGLECTED)
        n_eff = effective_number(weights)
        at_best = scale.value[[best]]
        model = np.array(self.flux[:, [best]], order="C")
        rows = np.concatenate(
            [self.per_mass[:, kept] + np.log10(scale.value[kept]), self.parameters[:, kept]]
        )
        share = weights / weights.sum()
        mean = rows @ share
        std = np.sqrt(np.maximum((rows - mean[:, None]) ** 2 @ share, 0.0))
        return SedPosterior(
            quantiles=self._quantiles(
                kept, weights, scale=scale.value[kept], scale_err=scale.err[kept]
            ),
            mean=mean,
            std=std,
            model_flux=at_best * model[:, 0].astype(np.float64),
            chi2=float(chi_square(flux, error, model, scale=at_best)[0]),
            n_used=n_used,
            n_eff=n_eff,
            ln_evidence=ln_evidence(ln_likelihood),
            flags=int(Flag.FEW_MODELS) if n_eff < MIN_N_EFF else 0,
        )

    def _ln_weight(self, flux: Floats, error: Floats, scale: Floats) -> Floats:
        """Return ln likelihood of each model, times what its prior owes to its mass.

        It is -inf where the amplitude is not positive.
        """
        if self.settings.likelihood == "gaussian":
            chi2 = chi_square(flux, error, self.flux, scale=scale)
            values = ln_likelihood_gaussian(error, chi2=chi2)
        else:
            values = ln_likelihood_student(
                flux, error, self.flux, scale=scale, dof=self.settings.dof
            )
        usable = (scale > 0) & ~np.isnan(values)
        if self.of_mass:
            log_mass = np.log10(np.where(usable, scale, 1.0)) + self.per_mass[0]
            values = values + sum(joint_ln_density(*each, log_mass) for each in self.of_mass)
        return np.where(usable, values, -np.inf)

    def _quantiles(
        self, kept: NDArray[np.intp], weights: Floats, *, scale: Floats, scale_err: Floats
    ) -> Floats:
        """Return quantiles of mass, SFR and the parameters, (n_result, n_quantile)."""
        probabilities = np.array(QUANTILES)
        log_scale = np.log10(scale)
        spread = np.log10(1 + AMPLITUDE_NODE * scale_err / scale)
        nodes = np.stack([log_scale - spread, log_scale, log_scale + spread])
        thrice = np.outer(AMPLITUDE_WEIGHTS, weights).ravel()
        # One result at a time: memory that is used again need not be cleared again.
        samples = chain(
            (((row[kept] + nodes).reshape(1, -1), thrice) for row in self.per_mass),
            ((row[None, kept], weights) for row in self.parameters),
        )
        return np.concatenate(
            [weighted_quantiles(*each, probabilities=probabilities) for each in samples]
        )
