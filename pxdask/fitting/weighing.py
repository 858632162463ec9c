"""Models weighed against one SED, and what the weights say of any quantity."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.schema import QUANTILES
from pxdask.kernels.chosen import chosen_likelihoods, chosen_rows, logarithms
from pxdask.kernels.likelihood import (
    Scale,
    chi_square,
    ln_likelihood_gaussian,
    ln_likelihood_student,
)
from pxdask.kernels.limits import limited_scale
from pxdask.kernels.quantiles import shares_beyond, weighted_summaries
from pxdask.kernels.rdsps import columns
from pxdask.sps.priors import joint_ln_density

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.core.models import MassPrior
    from pxdask.fitting.target import Observed

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp] | NDArray[np.int64]

LOG_FLOOR = -14.0
"""Smallest value per surviving mass that is told from none: of SFR [dex(1 / yr)], mass of dust
[dex], its luminosity [dex(Lsun / Msun)]."""

AMPLITUDE_NODE = 0.98
"""Distance of the outer two of three nodes of the amplitude from the middle [sigma]."""

AMPLITUDE_WEIGHTS = (0.41, 0.18, 0.41)
"""Weights of the nodes [1]. With `AMPLITUDE_NODE`, the half-width of the 0.16-0.84 interval of
an amplitude's Gaussian convolved with a Gaussian spread of models is within 2.5 per cent of
the exact one at any ratio of the two, from one model alone to many."""

_CHUNK = 65536
"""Models whose likelihood with limits is computed at a time, so that memory does not grow."""

_AT_ONCE = 2**21
"""Numbers that are held at a time of the quantities of the models that count."""


@dataclass(frozen=True, eq=False)
class OneSed:
    """Photometry of one SED, systematic errors included.

    Attributes
    ----------
    flux, error : (n_band,)
        Detections [uJy]; NaN in bands that are left out, and in those of upper limits.
    limited : (n_limit,) int
        Bands of upper limits.
    limit, softness : (n_limit,)
        Upper limits and their 1-sigma softness [uJy].
    key : tuple
        Name of its random stream.
    """

    flux: Floats
    error: Floats
    limited: NDArray[np.intp]
    limit: Floats
    softness: Floats
    key: tuple[str | int, ...]

    @cached_property
    def n_detected(self) -> int:
        """Number of bands with a detection."""
        return int(np.count_nonzero(np.isfinite(self.error)))


def one_sed(data: Observed, k: int, key: tuple[str | int, ...]) -> OneSed:
    """Return the ``k``-th of some SEDs, whose random stream is ``key``."""
    limited = np.flatnonzero(data.limit[k])
    return OneSed(
        flux=data.flux[k],
        error=np.where(data.limit[k], np.nan, data.error[k]),
        limited=limited,
        limit=data.flux[k, limited],
        softness=data.error[k, limited],
        key=key,
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """Quantities of every model.

    Attributes
    ----------
    scaled_names, parameter_names : tuple of str
        Variables of the model set that they are.
    scaled : tuple of (n_model,)
        Quantities per mass formed, the surviving mass first.
    parameters : tuple of (n_model,)
        Quantities that do not depend on mass.
    table : (n_model, n_result), optional
        log10 of those per mass (`log_per_mass`), then the parameters, with a model's together in
        memory, for libraries that are small enough to be held twice.
    """

    scaled_names: tuple[str, ...]
    parameter_names: tuple[str, ...]
    scaled: tuple[Floats, ...]
    parameters: tuple[Floats, ...]
    table: Floats | None = None

    def tabled(self) -> Rows:
        """Return these with their table."""
        table = np.empty((self.scaled[0].size, len(self.scaled) + len(self.parameters)))
        for i in range(len(self.scaled)):
            table[:, i] = self.log_per_mass(i, slice(None))
        for i, values in enumerate(self.parameters, len(self.scaled)):
            table[:, i] = values
        return replace(self, table=table)

    def of(self, name: str) -> Floats:
        """Return the values of a parameter."""
        return self.parameters[self.parameter_names.index(name)]

    def log_per_mass(self, row: int, models: Indices | slice) -> Floats:
        """Return log10 of a scaled quantity, of `LOG_FLOOR` or more per surviving mass."""
        least = self.scaled[0][models] * 10.0**LOG_FLOOR
        return np.asarray(np.log10(np.maximum(self.scaled[row][models], least)))


@dataclass(frozen=True, eq=False)
class Weighed:
    """Likelihoods of some models.

    Attributes
    ----------
    scale : Scale
        Amplitudes, (n_model,) [Msun].
    ln_weight : (n_model,)
        ln likelihood, times what the prior owes to mass; -inf where the amplitude is not
        positive.
    """

    scale: Scale
    ln_weight: Floats

    def of(self, chosen: Indices) -> Weighed:
        """Return some of them."""
        scale = Scale(self.scale.value[chosen], self.scale.err[chosen])
        return Weighed(scale, self.ln_weight[chosen])


@dataclass(frozen=True, eq=False)
class Summary:
    """Statistics of every result: ``quantiles`` (n_result, n_quantile), ``mean``, ``std``.

    ``shares`` (n_parameter, 2) is the posterior near either end of each parameter's prior, NaN
    where it has none; ``relative_error`` that of the amplitude whose outer nodes are where they
    are on average [dex], which a few hardly known ones do not blow up; ``samples``
    (n_result, n_sample) or None.
    """

    quantiles: Floats
    mean: Floats
    std: Floats
    shares: Floats
    relative_error: float
    samples: Floats | None = None


def relative_error(spread: float) -> float:
    """Return the relative error of an amplitude whose outer nodes are so far from it [dex]."""
    return float(10.0**spread - 1) / AMPLITUDE_NODE


def weigh(
    sed: OneSed,
    flux: NDArray[np.float32],
    models: Indices,
    *,
    dof: float,
    of_mass: Sequence[tuple[MassPrior, Floats]],
    surviving: Floats,
) -> Weighed:
    """Return the likelihoods of some models, in double precision.

    Parameters
    ----------
    sed : OneSed
        What is fitted.
    flux : (n_band, n_model) float32
        Of all models, per mass formed [uJy Msun-1].
    models : (n_chosen,)
        Which models; each one's likelihood is the same, to the last bit, in whatever company.
    dof : float
        Degrees of freedom of Student's t; infinity: the Gaussian [1].
    of_mass : sequence of (MassPrior, (n_model,))
        Priors that depend on mass, and the values of all models that they are about.
    surviving : (n_model,)
        Surviving mass per mass formed [1].
    """
    scale, values = chosen_likelihoods(sed.flux, sed.error, flux, models, dof=dof)
    if sed.limited.size:
        scale, values = _with_limits(sed, flux, models, dof, scale)
    usable = (scale.value > 0) & ~np.isnan(values)
    if of_mass:
        log_mass = np.log10(np.where(usable, scale.value, 1.0) * surviving[models])
        for prior, value in of_mass:
            values = values + joint_ln_density(prior, value[models], log_mass)
    return Weighed(scale, np.where(usable, values, -np.inf))


def _with_limits(
    sed: OneSed, flux: NDArray[np.float32], models: Indices, dof: float, detected: Scale
) -> tuple[Scale, Floats]:
    """Return amplitudes and ln likelihoods of detections and upper limits together."""
    value, err = detected.value.copy(), detected.err.copy()
    ln_likelihood = np.empty(value.size)
    for start in range(0, value.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        chosen = columns(flux, models[part])
        hidden = np.maximum(chosen[sed.limited], 0)
        found = limited_scale(Scale(value[part], err[part]), sed.limit, sed.softness, hidden)
        value[part], err[part] = found.scale.value, found.scale.err
        values = ln_of_detections(sed, chosen, scale=found.scale.value, dof=dof)
        ln_likelihood[part] = values + found.ln_chance
    return Scale(value, err), ln_likelihood


def ln_of_detections(
    sed: OneSed, model: NDArray[np.floating], *, scale: Floats, dof: float
) -> Floats:
    """Return the ln likelihood (n_model,) of an SED's detections, upper limits not counted.

    Parameters
    ----------
    sed : OneSed
        What is fitted.
    model : (n_band, n_model)
        Per mass formed [uJy Msun-1].
    scale : (n_model,) float64
        Amplitude of each [Msun].
    dof : float
        Degrees of freedom of Student's t; infinity: the Gaussian [1].
    """
    if math.isinf(dof):
        chi2 = chi_square(sed.flux, sed.error, model, scale=scale)
        return ln_likelihood_gaussian(sed.error, chi2=chi2)
    return ln_likelihood_student(sed.flux, sed.error, model, scale=scale, dof=dof)


def summarise(
    rows: Rows,
    models: Indices,
    weights: Floats,
    scale: Scale,
    *,
    edges: Floats,
    rng: np.random.Generator | None,
    n_samples: int,
) -> Summary:
    """Return statistics of all results.

    Parameters
    ----------
    rows : Rows
        Quantities of all models.
    models : (n_kept,)
        Models that count.
    weights : (n_kept,)
        Their weights, positive, in any normalisation [1].
    scale : Scale
        Their amplitudes, (n_kept,) [Msun].
    edges : (n_parameter, 2)
        Values below and above which a parameter is near an end of its prior; NaN: it has none.
    rng : Generator, optional
        Of the samples, where ``n_samples`` > 0.
    n_samples : int
        Draws from the posterior to keep.
    """
    n_scaled, n_result = len(rows.scaled), len(rows.scaled) + len(rows.parameters)
    relative, log_scale, spread = logarithms(scale, node=AMPLITUDE_NODE)
    picks, noise = np.zeros(0, np.intp), np.zeros(0)
    if rng is not None and n_samples:
        picks = drawn_models(weights, rng=rng, n=n_samples)
        noise = relative[picks] * math.log10(math.e) * rng.standard_normal(n_samples)
    samples = np.empty((n_result, picks.size)) if picks.size else None
    quantiles, moments = np.empty((n_result, len(QUANTILES))), np.empty((n_result, 2))
    ends = np.full((n_result, 2), np.nan)
    ends[n_scaled:] = edges
    shares = np.empty((n_result, 2))
    step = max(1, _AT_ONCE // models.size)
    for first in range(0, n_result, step):
        part = slice(first, min(first + step, n_result))
        n_spread = max(min(n_scaled, part.stop) - first, 0)
        values = _values(rows, part, models)
        values[:n_spread] += log_scale
        quantiles[part], moments[part] = weighted_summaries(
            values,
            weights,
            probabilities=_PROBABILITIES,
            spread=spread,
            n_spread=n_spread,
            nodes=AMPLITUDE_WEIGHTS,
        )
        shares[part] = shares_beyond(values, weights, ends[part])
        if samples is not None:
            samples[part] = values[:, picks]
            samples[part][:n_spread] += noise
    error = relative_error(float(weights @ spread) / float(weights.sum()))
    return Summary(quantiles, moments[:, 0], moments[:, 1], shares[n_scaled:], error, samples)


def _values(rows: Rows, part: slice, models: Indices) -> Floats:
    """Return results of some models, per mass where they are scaled by it."""
    if rows.table is not None:
        return chosen_rows(rows.table[:, part], models)
    n_scaled = len(rows.scaled)
    values = np.empty((part.stop - part.start, models.size))
    for i, row in enumerate(values, part.start):
        scaled = i < n_scaled
        row[:] = rows.log_per_mass(i, models) if scaled else rows.parameters[i - n_scaled][models]
    return values


def drawn_models(
    weights: NDArray[np.floating], *, rng: np.random.Generator, n: int
) -> NDArray[np.intp]:
    """Return which models ``n`` draws by weight are."""
    reached = np.cumsum(weights, dtype=np.float64)
    at = np.searchsorted(reached, rng.random(n) * reached[-1], side="right")
    return np.asarray(np.minimum(at, weights.size - 1))


def samples_of(rows: Rows, picks: Indices, scale: Scale, *, rng: np.random.Generator) -> Floats:
    """Return draws of all results, (n_result, n), of models that were drawn.

    ``scale`` holds the amplitudes of these models, ``rng`` gives the deviations from them.
    """
    n_scaled = len(rows.scaled)
    values = _values(rows, slice(0, n_scaled + len(rows.parameters)), picks)
    noise = scale.err / scale.value * math.log10(math.e) * rng.standard_normal(len(picks))
    values[:n_scaled] += np.log10(scale.value) + noise
    return values


_PROBABILITIES = np.array(QUANTILES)
