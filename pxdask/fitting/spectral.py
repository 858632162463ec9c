"""Spectra with photometry, or alone, weighed against every model of a library."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_ndtr

from pxdask.core.schema import FIT
from pxdask.fitting.rdsps import RdspsFitter
from pxdask.fitting.results import SedPosterior, nothing
from pxdask.fitting.spectral_data import (
    clipped_targets,
    results_of_spectrum,
    silent_rows,
    spectral_data,
)
from pxdask.fitting.spectral_join import interleaved, with_spectral_variables
from pxdask.fitting.spectral_tiles import SpectraTiles
from pxdask.fitting.target import observed
from pxdask.fitting.weighing import OneSed, Weighed, ln_of_detections, one_sed, weigh
from pxdask.kernels.likelihood import Scale
from pxdask.kernels.spectral_fit import (
    SpectralTarget,
    amplitude_sums,
    polynomial_fit,
    spectral_ln_likelihood,
)
from pxdask.sps.parameters import free_parameters
from pxdask.sps.priors import joint_ln_density

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.fitting.rdsps import RdspsModels
    from pxdask.fitting.seds import Seds
    from pxdask.fitting.spectral_data import SpectralData
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

CLIP_MODELS = 8192
"""Models among which the best is sought that a spectrum is clipped against: the first ones."""

_SUMS_SHARE = 0.2
"""Part of the memory allowed that what is kept of each spectrum and model may take [1]."""


@dataclass(frozen=True)
class SpectralRdsps:
    """`RdspsFitter` for SEDs that have spectra too, or spectra alone.

    A model's weight is the likelihood of the photometry, as `RdspsFitter` has it, times that of
    the spectrum, which is Gaussian, to the power ``spectrum.weight``.

    The model's spectrum, seen as the spectrograph sees it (`pxdask.sps.observed.Observer`), is
    multiplied by the Legendre polynomial of wavelength that fits best; a model whose
    polynomial is not positive throughout the fitted range has no weight. The polynomial takes
    up the spectrum's normalisation, so that the amplitude, and with it mass, is the
    photometry's; where no photometry is fitted, it is the mean of the polynomial over the
    fitted range. With ``polynomial_order: null`` photometry and spectrum share one amplitude.

    Wavelengths count in ``wave_ranges``, away from emission lines, and where the populations'
    bins are fine enough; those at which the best of the first `CLIP_MODELS` models is more than
    ``clip_sigma`` away are dropped, in ``clip_rounds`` rounds that each begin from all. An SED
    without enough wavelengths is fitted by its photometry alone; with ``use: spectrum`` it is not
    fitted.

    Spectra weigh models so sharply that few of a library count (flag FEW_MODELS); the library is
    not refined for them. A sampler has no such limit.

    Of n models and n_wave wavelengths, spectra take 4 n n_wave bytes: kept from one pass to the
    next where ``max_memory`` allows, made again in each pass where not. A pass is made for every
    few hundred SEDs.

    Attributes
    ----------
    settings : FitConfig
        Likelihood, systematic errors, spectra.
    """

    settings: FitConfig

    def prepare(self, library: ModelLibrary) -> SpectralModels:
        """Return the models made ready for fitting; see `pxdask.fitting.Fitter`."""
        photometry = RdspsFitter(self.settings).prepare(library)
        models = library.draw()
        free = free_parameters(library.settings)
        given = {name: models[name].values for name in free if name in models}
        return SpectralModels(self.settings, library, photometry, given)


@dataclass(frozen=True, eq=False)
class SpectralModels:
    """A model library made ready for `fit`.

    Attributes
    ----------
    settings : FitConfig
        Likelihood, systematic errors, spectra.
    model_library : ModelLibrary
        Populations and redshifts.
    photometry : RdspsModels
        Fits SEDs without a spectrum, and holds the models' photometry.
    parameters : mapping of (n_model,)
        Free parameters of the models.
    """

    settings: FitConfig
    model_library: ModelLibrary
    photometry: RdspsModels
    parameters: Mapping[str, Floats]

    @cached_property
    def drawn(self) -> RdspsModels:
        """The models in the order in which they were drawn, which their spectra have."""
        return RdspsFitter(self.settings, whole=False).prepare(self.model_library)

    def fit(self, seds: Seds) -> xr.Dataset:
        """Return the posteriors of some SEDs; see `pxdask.fitting.Prepared`."""
        chosen = self.settings.spectrum
        if chosen.use == "photometry":
            return self.photometry.fit(seds)
        data = spectral_data(seds, self.model_library, settings=self.settings)
        silent_rows(seds, data, settings=self.settings)
        if chosen.use == "spectrum":
            seds = replace(seds, flux=np.full(seds.flux.shape, np.nan))
        if seds.spectrum is None:
            return self.photometry.fit(seds)
        found = [False] * len(seds) if data is None else [one is not None for one in data.targets]
        with_spectrum, without = np.flatnonzero(found), np.flatnonzero(~np.array(found, bool))
        fit = self.photometry.fit(seds.chosen(without))
        if data is not None and with_spectrum.size:
            rows = seds.chosen(with_spectrum)
            of_spectra = self.drawn.dataset(self._posteriors(rows, data), seds)
            fit = interleaved(of_spectra, fit, with_spectrum, without)
        n_order = 1 + (chosen.polynomial_order or 0)
        fit = with_spectral_variables(fit, seds, n_order=n_order)
        return FIT.validate(fit.assign_attrs(spectrum=chosen.model_dump(mode="json")))

    def _posteriors(self, seds: Seds, data: SpectralData) -> list[SedPosterior]:
        """Return the posteriors of SEDs that all have a spectrum."""
        targets = [target for target in data.targets if target is not None]
        spectra = SpectraTiles(data.observer, self.parameters, 1e9 * self.settings.max_memory)
        n_model = spectra.n_model
        n_together = int(_SUMS_SHARE * 1e9 * self.settings.max_memory / (24 * n_model))
        n_together = max(n_together, 1)
        found = []
        for start in range(0, len(targets), n_together):
            stop = min(start + n_together, len(targets))
            some = seds.rows(start, stop)
            now = self._clipped(some, targets[start:stop], spectra)
            sums = self._sums(now, spectra, n_model)
            found += [
                self._posterior(some, i, now[i], [each[i] for each in sums], data)
                for i in range(stop - start)
            ]
        return found

    def _sums(
        self, targets: Sequence[SpectralTarget], spectra: SpectraTiles, n_model: int
    ) -> tuple[Floats, Floats, Floats]:
        """Return what is kept of each target and model.

        With a polynomial: chi-square, its first coefficient and the error of this; without
        one: ``sum(m^2 / e^2)``, ``sum(d m / e^2)``, and in all columns ``sum(d^2 / e^2)``.
        """
        shape = (len(targets), n_model)
        first, second, third = np.empty(shape), np.empty(shape), np.empty(shape)
        for rows, tile in spectra.up_to(n_model):
            if self.settings.spectrum.polynomial_order is None:
                sums = amplitude_sums(tile, targets)
                first[:, rows], second[:, rows] = sums.square, sums.cross
                third[:, rows] = sums.power[:, None]
            else:
                fit = polynomial_fit(tile, targets)
                first[:, rows], second[:, rows] = fit.chi2, fit.coefficients[..., 0]
                third[:, rows] = fit.scale_err
        return first, second, third

    def _clipped(
        self, seds: Seds, targets: Sequence[SpectralTarget], spectra: SpectraTiles
    ) -> list[SpectralTarget]:
        """Return the targets without the wavelengths that no model comes near."""
        n_model = min(CLIP_MODELS, spectra.n_model)

        def closest(now: Mapping[int, SpectralTarget]) -> Iterator[tuple[Floats, float] | None]:
            sums = self._sums(list(now.values()), spectra, n_model)
            for place, (i, target) in enumerate(now.items()):
                of_one = [each[place] for each in sums]
                weighed = self._weights(seds, i, target, of_one, n_model)
                best = int(np.argmax(weighed.ln_weight))
                if np.isfinite(weighed.ln_weight[best]):
                    yield spectra.one(best), float(weighed.scale.value[best])
                else:
                    yield None

        return clipped_targets(targets, closest, settings=self.settings.spectrum)

    def _weights(
        self,
        seds: Seds,
        sed: int,
        target: SpectralTarget,
        sums: Sequence[Floats],
        n_model: int,
    ) -> Weighed:
        """Return amplitudes and ln weights of the first models against one SED."""
        chosen, rows = self.settings.spectrum, self.drawn.rows
        surviving = rows.scaled[0][:n_model]
        bands = _one(seds, sed, self.settings)
        first, second, third = sums
        if bands.n_detected:
            of_bands = weigh(
                bands,
                self.drawn.flux,
                np.arange(n_model),
                dof=self.drawn.dof,
                of_mass=[],
                surviving=surviving,
            )
            scale, values = of_bands.scale, of_bands.ln_weight
        if chosen.polynomial_order is None:
            with np.errstate(divide="ignore", invalid="ignore"):
                square, cross = chosen.weight * first, chosen.weight * second
                if bands.n_detected:
                    square = square + scale.err**-2.0
                    cross = cross + np.nan_to_num(scale.value * scale.err**-2.0)
                scale = Scale(cross / square, square**-0.5)
            chi2 = third - 2 * scale.value * second + scale.value**2 * first
        else:
            chi2 = first
            if not bands.n_detected:
                scale = Scale(second, third / math.sqrt(chosen.weight))
        if chosen.polynomial_order is None or not bands.n_detected:
            values = self._ln_bands(bands, scale.value)
        values = values + spectral_ln_likelihood(chi2, target, weight=chosen.weight)
        usable = (scale.value > 0) & np.isfinite(values) & np.isfinite(scale.err)
        log_mass = np.log10(np.where(usable, scale.value, 1.0) * surviving)
        for name, prior in self.drawn.mass_priors.items():
            values = values + joint_ln_density(prior, rows.of(name)[:n_model], log_mass)
        return Weighed(scale, np.where(usable, values, -np.inf))

    def _ln_bands(self, bands: OneSed, scale: Floats) -> Floats:
        """Return ln likelihood (n_model,) of the photometry at given amplitudes."""
        models = np.ascontiguousarray(self.drawn.flux[:, : scale.size])
        values = np.zeros(scale.size)
        if bands.n_detected:
            values = ln_of_detections(bands, models, scale=scale, dof=self.drawn.dof)
        hidden = models[bands.limited].astype(np.float64) * scale
        room = (bands.limit[:, None] - hidden) / bands.softness[:, None]
        return np.asarray(values + np.sum(log_ndtr(room), axis=0))

    def _posterior(
        self,
        seds: Seds,
        sed: int,
        target: SpectralTarget,
        sums: Sequence[Floats],
        data: SpectralData,
    ) -> SedPosterior:
        """Return the posterior of one SED."""
        models, settings = replace(self.drawn, refiner=None), self.settings
        bands = _one(seds, sed, settings)
        n_used = bands.n_detected + bands.limited.size
        weighed = self._weights(seds, sed, target, sums, models.flux.shape[1])
        best = int(np.argmax(weighed.ln_weight))
        if not np.isfinite(weighed.ln_weight[best]):
            logger.warning(
                "SED %s: no model has a positive amplitude and polynomial; lower"
                " spectrum.polynomial_order, or narrow spectrum.wave_ranges", bands.key,
            )  # fmt: skip
            return nothing(
                len(models.attrs), bands.flux.size, n_sample=settings.n_samples, n_used=n_used
            )
        # an amplitude that is the spectrum's too is Gaussian
        of_bands = bands.n_detected and settings.spectrum.polynomial_order is not None
        found = models.posterior(
            bands if of_bands else replace(bands, limited=bands.limited[:0]),
            np.arange(models.flux.shape[1]),
            weighed,
            dof=models.dof if of_bands else math.inf,
        )
        found = replace(found, n_used=n_used)
        at_best = float(weighed.scale.value[best])
        parameters = {name: values[[best]] for name, values in self.parameters.items()}
        numbers, spectral = results_of_spectrum(
            parameters, at_best, target=target, data=data, settings=settings.spectrum
        )
        return replace(found, extra=numbers, spectral=spectral)


def _one(seds: Seds, sed: int, settings: FitConfig) -> OneSed:
    """Return the photometry of one SED, systematic errors and upper limits as settings say."""
    return one_sed(observed(seds.rows(sed, sed + 1), settings), 0, seds.keys[sed])
