"""What spectra add to the posterior density that samplers explore."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.schema import FIT
from pxdask.fitting.spectral_data import (
    SpectralLikelihood,
    clipped_targets,
    likelihood_of_spectrum,
    results_of_spectrum,
)
from pxdask.fitting.spectral_join import with_spectral_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig, SpectrumConfig
    from pxdask.fitting.seds import Seds
    from pxdask.fitting.spectral_data import SpectralData
    from pxdask.kernels.spectral_fit import SpectralTarget

    Floats = NDArray[np.float64]

N_LOOKED = 2048
"""First models whose spectra are made: the best is what spectra are clipped against."""

_BLOCK = 4096
"""Models whose spectra are in memory together."""

_HALF_LN_2PI = 0.5 * math.log(2 * math.pi)


def check_spectral(settings: FitConfig) -> None:
    """Raise `ConfigError` where one amplitude would be a spectrum's and Student's t bands'."""
    chosen = settings.spectrum
    shared = chosen.use == "both" and chosen.polynomial_order is None
    if settings.likelihood == "student_t" and shared:
        raise ConfigError(
            "fit.likelihood is student_t, with fit.spectrum.use both and polynomial_order null: a"
            " sampler takes the amplitude that bands and spectrum share as Gaussian alone; wanted"
            " likelihood gaussian, or a polynomial, or method rdsps, or use photometry or spectrum"
        )


def with_spectra(fit: xr.Dataset, seds: Seds, *, settings: SpectrumConfig) -> xr.Dataset:
    """Return a fit with every variable of spectra, where the SEDs have these and they count."""
    if seds.spectrum is None or settings.use == "photometry":
        return fit
    wider = with_spectral_variables(fit, seds, n_order=1 + (settings.polynomial_order or 0))
    return FIT.validate(wider.assign_attrs(spectrum=settings.model_dump(mode="json")))


@dataclass(frozen=True, eq=False)
class SpectralTerm:
    """The likelihood of spectra, of models made where a sampler stands.

    Attributes
    ----------
    settings : FitConfig
        Polynomial, weight, clipping.
    data : SpectralData
        Spectra of the SEDs.
    gives_scale : (n_sed,) bool
        SEDs whose amplitude the spectrum tells: those without photometry, and all where there is
        no polynomial.
    """

    settings: FitConfig
    data: SpectralData
    gives_scale: NDArray[np.bool_]

    def likelihood(
        self, parameters: Mapping[str, Floats], sed: NDArray[np.intp]
    ) -> SpectralLikelihood:
        """Return how likely spectra are, of each model its own.

        Parameters
        ----------
        parameters : mapping of (n_model,) float64
            Free parameters.
        sed : (n_model,) int
            Which SED each model is held against.

        Returns
        -------
        likelihood : SpectralLikelihood
            At the best amplitude of each model; 0 of an SED without spectrum. The amplitude is NaN
            where the spectrum does not tell it.
        """
        found = _silent(len(sed))
        for one in np.unique(sed):
            mine = np.flatnonzero(sed == one)
            # an SED's models apart from others': the last bits of spectra depend on the block
            for rows in np.split(mine, range(_BLOCK, len(mine), _BLOCK)):
                some = {name: values[rows] for name, values in parameters.items()}
                self._add(found, self.data.observer.spectra(some), int(one), rows)
        return found

    def of_spectra(self, spectra: NDArray[np.float32], *, sed: int) -> SpectralLikelihood:
        """Return `likelihood` of an SED, of models (n_model, n_wave) whose spectra are made."""
        found = _silent(len(spectra))
        self._add(found, spectra, sed, np.arange(len(spectra)))
        return found

    def _add(
        self,
        found: SpectralLikelihood,
        spectra: NDArray[np.float32],
        sed: int,
        rows: NDArray[np.intp],
    ) -> None:
        """Put the likelihoods of an SED's models into some rows."""
        target = self.data.targets[sed]
        if target is None:
            return
        one = likelihood_of_spectrum(spectra, target, settings=self.settings.spectrum)
        usable = np.isfinite(one.ln_likelihood)
        found.ln_likelihood[rows] = np.where(usable, one.ln_likelihood, -np.inf)
        if self.gives_scale[sed]:
            found.scale[rows] = np.where(usable, one.scale, np.nan)
            found.scale_err[rows] = np.where(usable, one.scale_err, np.nan)

    def clipped(
        self, spectra: NDArray[np.float32], ln_photometry: Floats, *, sed: int
    ) -> SpectralTarget | None:
        """Return an SED's spectrum without the wavelengths that no model comes near.

        Parameters
        ----------
        spectra : (n_looked, n_wave) float32
            Of the first models.
        ln_photometry : (n_looked,) float64
            Natural log of the likelihood of the bands of each.
        sed : int
            Which SED.
        """
        chosen, whole = self.settings.spectrum, self.data.targets[sed]
        if whole is None:
            return None

        def closest(now: Mapping[int, SpectralTarget]) -> list[tuple[Floats, float] | None]:
            found = likelihood_of_spectrum(spectra, now[0], settings=chosen)
            ln_each = np.nan_to_num(found.ln_likelihood + ln_photometry, nan=-np.inf)
            best = int(np.argmax(ln_each))
            if not np.isfinite(ln_each[best]):
                return [None]
            return [(spectra[best].astype(np.float64), float(found.scale[best]))]

        return clipped_targets([whole], closest, settings=chosen)[0]

    def with_targets(self, targets: tuple[SpectralTarget | None, ...]) -> SpectralTerm:
        """Return the same of other choices of wavelengths."""
        return replace(self, data=replace(self.data, targets=targets))

    def results(
        self, parameters: Mapping[str, Floats], scale: float, *, sed: int
    ) -> tuple[dict[str, float], dict[str, Floats]]:
        """Return the spectral variables of schema fit/2 of an SED, of its best model.

        Parameters
        ----------
        parameters : mapping of (1,) float64
            Of that model.
        scale : float
            Its amplitude [Msun].
        sed : int
            Which SED.
        """
        target = self.data.targets[sed]
        if target is None:
            return {"spectrum_chi2": math.nan, "spectrum_n_used": 0}, {}
        return results_of_spectrum(
            parameters, scale, target=target, data=self.data, settings=self.settings.spectrum
        )


def _silent(n_model: int) -> SpectralLikelihood:
    """Return what no spectrum says of models."""
    return SpectralLikelihood(*(np.full(n_model, value) for value in (0.0, np.nan, np.nan)))


def as_bands(
    found: SpectralLikelihood,
    flux: Floats,
    error: Floats,
    limit: NDArray[np.bool_],
    model: NDArray[np.float32],
) -> tuple[tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.float32]], Floats]:
    """Return bands of each model with one more, the amplitude that its spectrum asks for.

    Parameters
    ----------
    found : SpectralLikelihood
        Of the spectra.
    flux, error, limit, model : (n_model, n_band)
        SED that each model is held against, and the models.

    Returns
    -------
    bands : tuple
        The same with one band more, of which every model has as much as its amplitude.
    ln_likelihood : (n_model,) float64
        What is to be added to the likelihood of these bands.
    """
    n_model = len(model)
    known = np.isfinite(found.scale) & np.isfinite(found.scale_err) & (found.scale_err > 0)
    wider = (
        np.column_stack([flux, np.where(known, found.scale, np.nan)]),
        np.column_stack([error, np.where(known, found.scale_err, np.nan)]),
        np.column_stack([limit, np.zeros(n_model, bool)]),
        np.column_stack([model, np.ones(n_model, np.float32)]),
    )
    # the likelihood of the best amplitude is in the spectrum's; a band has its own
    own = np.where(known, np.log(np.where(known, found.scale_err, 1.0)) + _HALF_LN_2PI, 0.0)
    return wider, found.ln_likelihood + own
