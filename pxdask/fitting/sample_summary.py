"""What weighted samples of a posterior say of an SED."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.flags import Flag
from pxdask.core.random import stream
from pxdask.core.schema import QUANTILES
from pxdask.fitting.results import SedPosterior, fit_dataset, nothing, odd_flux
from pxdask.fitting.spectral_term import with_spectra
from pxdask.fitting.target import EDGE, LEANING
from pxdask.fitting.weighing import LOG_FLOOR
from pxdask.kernels.quantiles import weighted_quantiles
from pxdask.sps.derived import derived_attrs
from pxdask.sps.model_set import band_coords
from pxdask.sps.priors import ends_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.fitting.seds import Seds
    from pxdask.fitting.target import Sampled, Target

    Floats = NDArray[np.float64]


def sample_summary(
    target: Target,
    cube: Floats,
    weights: Floats,
    *,
    sed: int,
    best: Floats,
    key: tuple[str | int, ...],
    n_eff: float,
    ln_evidence: float = math.nan,
    flags: int = 0,
    extra: Mapping[str, float] | None = None,
    kept: NDArray[np.intp] | None = None,
) -> SedPosterior:
    """Return what weighted samples say of an SED.

    Parameters
    ----------
    target : Target
        What was sampled.
    cube : (n, n_dim) float64
        Points of the cube.
    weights : (n,) float64
        Of each, in any normalisation.
    sed : int
        Which SED.
    best : (n_dim,) float64
        Point of the largest density.
    key : tuple
        Name of the SED's random stream.
    n_eff, ln_evidence, flags, extra
        Passed on; AT_EDGE and ODD_FLUX are added to the flags.
    kept : (n_samples,) int, optional
        Which points are kept as samples, in their order; default: as many as the settings say,
        drawn by their weights.
    """
    sampled = target.sampled
    rows_of = np.full(len(cube), sed)
    models = sampled.simulator.simulate(cube[:, :-1])
    rows = result_rows(
        sampled, models.parameters, models.derived, target.log_scale(cube[:, -1], rows_of)
    )
    share = weights / weights.sum()
    mean = rows @ share
    at_best = sampled.simulator.simulate(best[None, :-1])
    scale = float(10.0 ** target.log_scale(best[-1:], rows_of[:1])[0])
    model_flux = scale * at_best.flux[0].astype(np.float64)
    flags |= int(Flag.AT_EDGE) if leans(sampled, models.parameters, cube[:, -1], share) else 0
    flags |= odd_flux(float(target.best_scale[sed]), key)
    samples = None
    if kept is not None:
        samples = rows[:, kept]
    elif sampled.settings.n_samples:
        rng = stream(sampled.model_library.seed, *key, "samples")
        samples = rows[:, rng.choice(len(cube), size=sampled.settings.n_samples, p=share)]
    numbers: dict[str, float] = dict(extra or {})
    spectral: dict[str, Floats] = {}
    if target.spectra is not None:
        of_spectrum, spectral = target.spectra.results(at_best.parameters, scale, sed=sed)
        numbers |= of_spectrum
    return SedPosterior(
        quantiles=weighted_quantiles(rows, share, probabilities=np.array(QUANTILES)),
        mean=mean,
        std=np.sqrt(np.maximum((rows - mean[:, None]) ** 2 @ share, 0.0)),
        model_flux=model_flux,
        chi2=_chi2(target, sed, model_flux),
        n_used=int(target.data.n_used[sed]),
        n_eff=n_eff,
        ln_evidence=ln_evidence,
        flags=flags,
        samples=samples,
        extra=numbers,
        spectral=spectral,
    )


def unfitted(target: Target, sed: int) -> SedPosterior:
    """Return the posterior of an SED that cannot be sampled."""
    sampled = target.sampled
    return nothing(
        len(sampled.results),
        len(sampled.model_library.filters),
        n_sample=sampled.settings.n_samples,
        n_used=int(target.data.n_used[sed]),
    )


def sampled_dataset(
    posteriors: Sequence[SedPosterior],
    sampled: Sampled,
    seds: Seds,
    *,
    method: Mapping[str, object],
    extra: Sequence[str] = (),
) -> xr.Dataset:
    """Return posteriors as schema fit/2.

    Parameters
    ----------
    posteriors : sequence of SedPosterior
        One of each SED, in their order.
    sampled : Sampled
        Models, likelihood.
    seds : Seds
        What was fitted.
    method : mapping
        Attributes that tell how samples came, as JSON values.
    extra : sequence of str
        What the method tells besides, of every SED; see `pxdask.fitting.results.fit_dataset`.
    """
    settings = sampled.settings
    fit = fit_dataset(
        posteriors,
        results=sampled.results,
        bands=xr.Dataset(coords=band_coords(sampled.model_library.filters)),
        seds=seds,
        attrs={
            **method,
            "likelihood": settings.likelihood,
            "systematic_error": settings.systematic_error,
        },
        extra=extra,
    )
    return with_spectra(fit, seds, settings=settings.spectrum)


def result_rows(
    sampled: Sampled,
    parameters: Mapping[str, Floats],
    derived: Mapping[str, Floats],
    log_scale: Floats,
) -> Floats:
    """Return every result (n_result, n) in the order of ``sampled.results``."""
    floor = derived["surviving"] * 10.0**LOG_FLOOR
    found = dict(parameters)
    for name, values in derived.items():
        reported = derived_attrs(name).get("reported_as")
        if reported is None:
            found[name] = values
        else:
            found[reported] = np.log10(np.maximum(values, floor)) + log_scale
    return np.array([found[name] for name in sampled.results])


def leans(sampled: Sampled, parameters: Mapping[str, Floats], last: Floats, share: Floats) -> bool:
    """Return whether the posterior leans on an end of a prior, the amplitude's included."""
    depths = [last]
    for name, prior in sampled.simulator.priors.items():
        low, high = ends_of(prior)
        depths.append((parameters[name] - low) / (high - low))
    return any(
        share[near].sum() > LEANING for depth in depths for near in (depth < EDGE, depth > 1 - EDGE)
    )


def _chi2(target: Target, sed: int, model_flux: Floats) -> float:
    """Return chi-square of a model, upper limits not counted; NaN of a spectrum alone."""
    error = target.data.error[sed]
    measured = np.isfinite(error) & ~target.data.limit[sed]
    if target.spectra is not None and not np.any(measured):
        return math.nan
    residual = (target.data.flux[sed] - model_flux)[measured] / error[measured]
    return float(residual @ residual)
