"""Random densely-sampled parameter space: every model of a library weighed against each SED."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError, SchemaError
from pxdask.core.models import MassPrior
from pxdask.core.schema import MODELS
from pxdask.fitting.broad import BROAD_LEAST, broad_quantities
from pxdask.fitting.model_search import NEGLECTED
from pxdask.fitting.rdsps_models import MIN_N_EFF, RdspsModels
from pxdask.fitting.refine import make_refiner
from pxdask.fitting.target import near_ends
from pxdask.fitting.weighing import Rows
from pxdask.kernels.colour_order import colour_order
from pxdask.sps.parameters import parameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

__all__ = ["MIN_N_EFF", "NEGLECTED", "RdspsFitter", "RdspsModels"]

_COPIED = 1e8
"""Bytes of fluxes per GB of `max_memory` up to which they are copied into a faster layout."""

_NOT_PARAMETERS = ("band", "pivot_wave", "flux")
_REPORTED = {"surviving": "log_mass", "sfr": "log_sfr"}
"""As what the variables that every model set has are reported."""


@dataclass(frozen=True)
class RdspsFitter:
    """The fitter of Abdurro'uf et al. 2021 (ApJS 254, 15), section 4.2.2.

    A model's weight is its likelihood (models are drawn from the prior) at the amplitude
    that fits best. A model whose best amplitude is not positive has no weight. The error of
    each band is the observed one and ``systematic_error * flux`` in quadrature.

    The weight is the likelihood at the best amplitude, as published, not its integral over a
    prior of ln(mass), which has a further factor sigma_s / s. Ranks of 500 truths drawn from the
    prior (BC03, 8 bands, 65,536 models) are as even with the one as with the other: 68 %
    intervals of mass cover 70 and 69 % at S/N 3, 67 and 67 % at S/N 10. The evidence does have it
    (`pxdask.fitting.over_mass`), so that it means the same as that of samplers.

    The published method takes the amplitude as known. Here each model is split into three,
    at its best amplitude s, at s (1 + r) and at s / (1 + r), where r = 0.98 sigma_s / s, with
    weights 0.18, 0.41 and 0.41, as sigma_s is the amplitude's uncertainty. These stay positive
    at any S/N, and they are made for the quantiles that are reported: those of the
    Gauss-Hermite rule of three nodes would stand at 1.73 sigma where one model has all the
    weight, because its outer weights of 1/6 are above 0.16.

    All models are searched in single precision, with a bound on its error; those that may
    hold any of the posterior that counts are weighed in double precision, so that results are
    those of weighing all in double precision. Where a good part of the library counts (low
    S/N), statistics are of classes of values in single precision: probabilities of quantiles
    are right to 1e-4 or the share of a class, 1/4096 of a quantity's range; means and
    deviations to 1e-4 of the deviation or of that range.

    Bands of upper limits enter with the chance Phi((limit - s m) / softness); the amplitude s
    is then the best of detections and limits together (Sawicki 2012).

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
    whole : bool
        Whether the library is all there is, so that its models may be put in another order, and
        those left unweighed that by the search hold too little of the posterior. Where it is
        False, parts of a library give together, to the last bit, what the whole gives.
    """

    settings: FitConfig
    whole: bool = True

    def prepare(self, library: ModelLibrary) -> RdspsModels:
        """Return the models made ready for fitting; see `pxdask.fitting.Fitter`."""
        models = MODELS.validate(library.draw())
        if missing := [name for name in _REPORTED if name not in models]:
            raise SchemaError(f"the models lack {missing}, from which mass and SFR follow")
        given = sorted(str(name) for name in models.variables if name not in _NOT_PARAMETERS)
        values = {name: models[name].values for name in given}
        flux = models["flux"].values.T
        _check_models(flux, values)
        copied = flux.nbytes < _COPIED * self.settings.max_memory
        order = colour_order(flux.T) if copied and self.whole else None
        if order is not None:
            flux = flux.T[order].T
            values = {name: value[order] for name, value in values.items()}
        refiner = make_refiner(library, models, self.settings.refine)
        reported = _reported(models, given)
        names = [name for name in given if name not in reported.values()]
        rows = Rows(
            tuple(reported.values()),
            tuple(names),
            scaled=tuple(values[name] for name in reported.values()),
            parameters=tuple(values[name] for name in names),
        )
        return RdspsModels(
            settings=self.settings,
            models=models[["band", "pivot_wave"]],
            flux=flux,
            rows=rows.tabled() if copied else rows,
            attrs={
                **{name: _reported_attrs(name) for name in reported},
                **{name: dict(models[name].attrs) for name in names},
            },
            edges=_edges(models, names),
            seed=library.seed,
            whole=self.whole,
            unit_flux=_unit_flux(flux),
            mass_priors=_mass_priors(models),
            by_band=np.ascontiguousarray(flux) if copied else None,
            quantities=broad_quantities(rows) if flux.shape[1] >= BROAD_LEAST else None,
            refiner=replace(refiner, number=order) if refiner else None,
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


def _edges(models: xr.Dataset, names: Sequence[str]) -> Floats:
    """Return values near the ends of priors, (n_parameter, 2); NaN where there is no prior."""
    edges = np.full((len(names), 2), np.nan)
    for name, prior in models.attrs.get("priors", {}).items():
        if name in names and prior.get("low") is not None and prior.get("high") is not None:
            edges[names.index(name)] = near_ends(prior["low"], prior["high"])
    return edges


def _unit_flux(flux: NDArray[np.float32]) -> float:
    """Return the usual flux of a model, a power of two, by which no digit is lost."""
    some = np.abs(flux[:, :: max(flux.shape[1] // 1000, 1)].astype(np.float64)).max(axis=0)
    middle = float(np.median(some[some > 0])) if np.any(some > 0) else 1.0
    return 2.0 ** math.frexp(middle)[1]


def _check_models(flux: NDArray[np.float32], values: Mapping[str, Floats]) -> None:
    """Raise `DataError` where a model cannot be weighed."""
    faults = [name for name, value in values.items() if not _all_finite(value)]
    if not _all_finite(flux):
        faults.append("flux")
    if faults:
        raise DataError(f"the models hold values that are not finite in {sorted(faults)}")
    if flux.size == 0:
        raise DataError(f"no models to fit with: {flux.shape[1]} models of {flux.shape[0]} bands")
    if np.any(values["surviving"] <= 0):
        raise DataError(f"surviving is {values['surviving'].min():g} in a model; must be positive")


def _all_finite(values: NDArray[np.floating]) -> bool:
    """Tell whether all values are finite, without a mask as large as they are."""
    last = values.shape[-1]
    return all(bool(np.isfinite(values[..., i : i + 65536]).all()) for i in range(0, last, 65536))
