"""SEDs that no model looks like, told from noise by some figures of them.

The first is how near the nearest model comes: the least chi-square is that of noise, less what the
parameters could fit of it. The second is how much of the models is near: a good SED has, at a
given S/N, a posterior of about a given volume, and one that only an odd corner of the models
fits, by luck, has a smaller one. The third, where redshifts are given, is how much likelier the
fluxes make others. What they are of good SEDs is learnt from mocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.square_sums import chance_of_squares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.fitting.npe_draws import InUnits

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

LEAST_MOCKS = 300
"""Good SEDs below which no limit is learnt."""

_TAIL = 0.1
"""Part of good SEDs that are the tail of a law, which is exponential."""

_PROBABILITIES = np.linspace(0.0, 1 - _TAIL, 46)
"""Where a law's quantiles are kept."""

_LN_LEAST = -700.0
"""Natural log of the least chance that is told from none."""

_OF_REDSHIFT = 2.0
"""Weight of the redshift's chance, where those of the two other figures have one: it is alone
against a wrong redshift, as these are together against SEDs that no model looks like."""

_SAME = 0.01
"""Variance that is added to squares of residuals before their logarithm is taken, as a part of
their mean, so that no small one decides."""

_CLIP, _N_CLIP = 6.0, 4
"""Robust deviations beyond which a figure is left out of what a law is fitted to, and rounds."""


class Oddness(NamedTuple):
    """Figures by which outliers are told.

    Attributes
    ----------
    chi2 : (n_sed,) float64
        Least chi-square; infinite where no model has a positive amplitude.
    gap : (n_sed,) float64
        Natural log of the greatest likelihood over the evidence: the smaller the part of the
        models that fit, the greater it is. NaN where it is not known, and does not count.
    redshift : (n_sed,) float64 or None
        Natural log of the prior's density over that of the redshift given the fluxes
        (`pxdask.npe.redshift_check`): the less likely it is, the greater. None, or NaN, where it
        is not known.
    """

    chi2: Floats
    gap: Floats
    redshift: Floats | None = None


@dataclass(frozen=True)
class Law:
    """How a figure of good SEDs is distributed, which depends on what else is known of them.

    Attributes
    ----------
    mean, ln_variance : tuple of float
        Coefficients of what is known.
    quantiles : tuple of float
        Of the standardised figure, from its least to where the tail begins.
    tail : float
        Mean excess in the tail.
    """

    mean: tuple[float, ...]
    ln_variance: tuple[float, ...]
    quantiles: tuple[float, ...]
    tail: float

    def ln_chance(self, values: Floats, known: Floats) -> Floats:
        """Return the natural log of the chance (n_sed,) of figures so great or greater.

        Parameters
        ----------
        values : (n_sed,) float64
            The figure; NaN says nothing and has a chance of one.
        known : (n_sed, n_known) float64
            What else is known of the SEDs.
        """
        place = (values - _dot(known, self.mean)) * np.exp(-0.5 * _dot(known, self.ln_variance))
        start = self.quantiles[-1]
        bulk = np.log1p(-np.interp(place, self.quantiles, _PROBABILITIES))
        beyond = math.log(_TAIL) - (place - start) / self.tail
        found = np.maximum(np.where(place > start, beyond, bulk), _LN_LEAST)
        return np.where(np.isnan(values), 0.0, found)

    def to_json(self) -> dict[str, Any]:
        """Return the law as JSON values."""
        return {
            "mean": list(self.mean),
            "ln_variance": list(self.ln_variance),
            "quantiles": list(self.quantiles),
            "tail": self.tail,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Law:
        """Return the law of JSON values."""
        return cls(
            mean=tuple(values["mean"]),
            ln_variance=tuple(values["ln_variance"]),
            quantiles=tuple(values["quantiles"]),
            tail=float(values["tail"]),
        )


def learnt_law(values: Floats, known: Floats) -> Law:
    """Return the law of a figure (n_sed,) of good SEDs, of which (n_sed, n_known) is known.

    Mean and logarithm of the variance are linear in what is known, by least squares without those
    farther than `_CLIP` robust deviations, such as SEDs that the network fails at; what remains
    has the same distribution for all. Beyond the quantiles kept it is exponential.
    """
    near = np.ones(values.size, np.bool_)
    for _ in range(_N_CLIP):
        mean = np.linalg.lstsq(known[near], values[near])[0]
        residual = values - known @ mean
        square = residual**2
        ln_square = np.log(square + _SAME * np.mean(square[near]) + 1e-30)
        ln_variance = np.linalg.lstsq(known[near], ln_square[near])[0]
        place = residual * np.exp(-0.5 * (known @ ln_variance))
        middle = np.median(place)
        spread = np.median(np.abs(place - middle))
        near = np.abs(place - middle) <= 1.4826 * _CLIP * spread + 1e-12
    quantiles = np.quantile(place, _PROBABILITIES)
    beyond = place[place > quantiles[-1]] - quantiles[-1]
    # of an exponential, whatever the few farthest are
    tail = float(np.median(beyond)) / math.log(2) if beyond.size else 0.0
    return Law(
        mean=tuple(mean.tolist()),
        ln_variance=tuple(ln_variance.tolist()),
        quantiles=tuple(quantiles.tolist()),
        tail=max(tail, 1e-12),
    )


@dataclass(frozen=True)
class OutlierLimit:
    """How odd good SEDs are.

    Attributes
    ----------
    chi2, gap : Law or None
        Of the figures of `Oddness`. Without, the chance of a chi-square is that of the true
        model's under the likelihood, and nothing else is looked at: outliers, and false alarms,
        are then fewer.
    redshift : Law or None
        Without, redshifts are not looked at.
    total : Law or None
        Of the weighted sum of all chances' negative logarithms, which nothing is known for.
    """

    chi2: Law | None = None
    gap: Law | None = None
    redshift: Law | None = None
    total: Law | None = None

    def ln_chance(
        self,
        found: Oddness,
        units: InUnits,
        sed: Indices,
        *,
        redshift: Floats | None,
        dof: float = math.inf,
    ) -> Floats:
        """Return the natural log of the chance (n_sed,) of a good SED as odd as each, or odder.

        Parameters
        ----------
        found : Oddness
            Of each.
        units : InUnits
            SEDs.
        sed : (n_sed,) int
            Which of them.
        redshift : (n_sed,) float64 or None
            Of each, where it is known.
        dof : float
            Degrees of freedom of Student's t, where that is the likelihood; what has been learnt
            is of the likelihood already.
        """
        if self.chi2 is None or self.gap is None or self.total is None:
            chance, n_measured = np.ones(sed.size), units.n_measured[sed]
            for n in np.unique(n_measured[n_measured > 0]).tolist():
                rows = n_measured == n
                chance[rows] = chance_of_squares(found.chi2[rows], n=n, dof=dof)
            return np.asarray(np.log(np.maximum(chance, 1e-300)))
        known = what_is_known(units, sed, redshift=redshift)
        total = _total((self.chi2, self.gap, self.redshift), found, known)
        return self.total.ln_chance(total, np.ones((sed.size, 1)))

    def to_json(self) -> dict[str, Any]:
        """Return the limit as JSON values."""
        laws = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: law.to_json() for name, law in laws if law is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> OutlierLimit:
        """Return the limit of JSON values."""
        if unknown := set(values) - {each.name for each in fields(cls)}:
            raise ConfigError(
                f"the network's limits of outliers are of another version: they tell of"
                f" {', '.join(sorted(unknown))}; train it anew"
            )
        return cls(**{name: Law.from_json(law) for name, law in values.items()})


def what_is_known(units: InUnits, sed: Indices, *, redshift: Floats | None) -> Floats:
    """Return what the figures of good SEDs depend on, (n_sed, n_known).

    The figures are of the degrees of freedom that parameters take, and of the volume of the
    posterior: both follow S/N, of all bands together, of the best and of each, their number, and,
    a little, redshift.
    """
    ratio, n_band = np.abs(units.data[sed]), units.data.shape[1]
    ln_each = np.zeros(sed.size)
    for band in range(n_band):
        ln_each += np.log(np.maximum(ratio[:, band], 1.0))
    ln_snr = np.log(np.maximum(units.snr[sed], 0.1))
    z = np.zeros(sed.size) if redshift is None else np.log1p(redshift)
    return np.column_stack(
        [
            np.ones(sed.size),
            ln_snr,
            ln_snr**2,
            units.n_measured[sed] / n_band,
            ln_each / n_band,
            (ln_each / n_band) ** 2,
            np.log(np.maximum(units.best_snr[sed], 1.0)),
            z,
            z**2,
        ]
    )


def outlier_limit(found: Oddness, known: Floats) -> OutlierLimit:
    """Return how odd good SEDs are.

    Parameters
    ----------
    found : Oddness
        Of good SEDs, chi-squares after `pxdask.fitting.downhill.nearest`; those are left out where
        a figure is not finite.
    known : (n_sed, n_known) float64
        From `what_is_known`: the first is one.

    Raises
    ------
    DataError
        If there are fewer than `LEAST_MOCKS`.

    Notes
    -----
    Chances are made one as Fisher did (1925, Statistical Methods for Research Workers, 21.1), by
    the sum of their logarithms, here with weights (Good 1955, J. R. Stat. Soc. B 17, 264); the
    distribution of the sum is learnt, so that they need not be independent.
    """
    figures = [figure for figure in found if figure is not None]
    good = np.all(np.isfinite(figures), axis=0)
    if np.count_nonzero(good) < LEAST_MOCKS:
        raise DataError(
            f"{np.count_nonzero(good)} good SEDs to learn outliers from; wanted {LEAST_MOCKS}"
        )
    some, known = Oddness(*(figure[good] for figure in figures)), known[good]
    chi2, gap = learnt_law(some.chi2, known), learnt_law(some.gap, known)
    redshift = None if some.redshift is None else learnt_law(some.redshift, known[:, :1])
    total = _total((chi2, gap, redshift), some, known)
    return OutlierLimit(chi2, gap, redshift, learnt_law(total, np.ones((total.size, 1))))


def _total(laws: Sequence[Law | None], found: Oddness, known: Floats) -> Floats:
    """Return the negative weighted sum of the ln chances of figures that have a law."""
    total, weights = np.zeros(len(known)), (1.0, 1.0, _OF_REDSHIFT)
    # the redshift's figure is a ratio of likelihoods, which means the same whatever is known
    own = (known, known, known[:, :1])
    for weight, law, figure, of_it in zip(weights, laws, found, own, strict=True):
        if law is not None and figure is not None:
            total -= weight * law.ln_chance(figure, of_it)
    return total


def _dot(known: Floats, coefficients: Sequence[float]) -> Floats:
    """Return sums over what is known, in order, so that none depends on how many SEDs there are."""
    if len(coefficients) > known.shape[1]:
        raise ConfigError(
            f"the network's limits of outliers depend on {len(coefficients)} figures of an SED, of"
            f" which this pxdask knows {known.shape[1]}: they are of another version; train it anew"
        )
    total = np.zeros(len(known))
    for k, coefficient in enumerate(coefficients):
        total += coefficient * known[:, k]
    return total


def predictive_p(chi2: Floats, share: Floats, *, n_band: int, dof: float = math.inf) -> float:
    """Return how probable data as far from the models of the posterior as these are, or farther.

    Parameters
    ----------
    chi2 : (n,) float64
        Of draws from the posterior, each at its own amplitude.
    share : (n,) float64
        Their weights, which add up to 1.
    n_band : int
        Bands measured; NaN is returned where there is none.
    dof : float
        Degrees of freedom of Student's t, where that is the likelihood.

    Notes
    -----
    Posterior predictive p-value (Gelman, Meng & Stern 1996, Statistica Sinica 6, 733) of
    chi-square, whose law is known for data that a draw predicts, so that none need be made: it
    has ``n_band`` degrees of freedom, or is the sum of so many squares of Student's t.
    """
    if n_band == 0:
        return math.nan
    return float(np.sum(share * chance_of_squares(chi2, n=n_band, dof=dof)))
