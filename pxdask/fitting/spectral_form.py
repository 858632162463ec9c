"""The form of the likelihood of SEDs whose amplitude a spectrum alone tells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.fitting.spectral_join import interleaved
from pxdask.fitting.target import observed

if TYPE_CHECKING:
    import xarray as xr

    from pxdask.fitting.mcmc import McmcModels
    from pxdask.fitting.nested import NestedModels
    from pxdask.fitting.seds import Seds


def fit_by_form(models: McmcModels | NestedModels, seds: Seds) -> xr.Dataset:
    """Return the posteriors of SEDs, in the Gaussian form where the spectrum alone tells mass.

    Student's t is a form of bands. A spectrum is Gaussian, and so is its amplitude, where no
    band is measured or none is to count.
    """
    sampled = models.sampled
    settings = sampled.settings
    if settings.likelihood != "student_t" or settings.spectrum.use == "photometry":
        return models.fit_alike(seds)
    dark = np.full(len(seds), settings.spectrum.use == "spectrum")
    if seds.spectrum is not None:
        dark |= observed(seds, settings).dark
    if not np.any(dark):
        return models.fit_alike(seds)
    rows, others = np.flatnonzero(dark), np.flatnonzero(~dark)
    of_spectra = replace(models, sampled=sampled.gaussian).fit_alike(seds.chosen(rows))
    if others.size:
        of_bands = models.fit_alike(seds.chosen(others))
        of_spectra = interleaved(of_spectra, of_bands, rows, others)
    return of_spectra.assign_attrs(likelihood=settings.likelihood)
