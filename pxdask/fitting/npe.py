"""Amortised inference: a network's draws, weighed by the exact likelihood, trusted or not."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.random import stream
from pxdask.fitting.hand_over import OF_NETWORK, has_spectrum, with_blanks, with_handed_over
from pxdask.fitting.mcmc import McmcFitter
from pxdask.fitting.npe_draws import Judge, counted, first_draws, in_units
from pxdask.fitting.npe_rounds import BROADER, with_more_rounds
from pxdask.fitting.npe_summary import Weighted, weighted_posteriors
from pxdask.fitting.npe_trust import LIMITS, N_CHECKED, Training, Trust
from pxdask.fitting.outliers import OutlierLimit
from pxdask.fitting.results import nothing
from pxdask.fitting.sample_summary import sampled_dataset
from pxdask.fitting.spectral import SpectralRdsps
from pxdask.fitting.target import Sampled, observed
from pxdask.npe.network import Network

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.fits import FitConfig
    from pxdask.fitting.fitter import Fitter, Prepared
    from pxdask.fitting.npe_draws import Cloud, DrawSource
    from pxdask.fitting.results import SedPosterior
    from pxdask.fitting.seds import Seds
    from pxdask.npe.network import Draws
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

logger = logging.getLogger(__name__)

_EXTRA = (*OF_NETWORK, "ln_evidence_err")
"""What is told of every SED besides, NaN where not known."""

_MOST_TOGETHER = 128
"""SEDs of one batch: fewer are slower, more are not faster."""

_SHARE = 0.5
"""Part of the memory allowed that draws may take."""


@dataclass(frozen=True)
class NpeFitter:
    """Posteriors by a trained network, and how far it is to be believed of each SED.

    Attributes
    ----------
    settings : FitConfig
        Likelihood, systematic errors; ``npe``.

    Notes
    -----
    Draws of the network, a little broadened, are weighed by the exact likelihood over their density
    (`pxdask.kernels.importance`), in rounds until enough count: what is reported is the exact
    posterior, and the network decides only how many draws that takes. ``efficiency`` is the
    effective part of those of the first round. The prior of log10 of mass formed is even over six
    dex about the best draw's (`pxdask.fitting.target.HALF_RANGE`), as for the other samplers, so
    that ``ln_evidence`` means the same.

    An SED is flagged OUT_OF_DISTRIBUTION where it is odder than all but ``false_alarms`` of good
    ones: no model comes near it, only an odd corner of them does, or its fluxes make another
    redshift than that given much likelier (`pxdask.fitting.outliers`).
    How odd good ones are has been learnt with the network (`pxdask.fitting.npe_limits`). So is
    one whose S/N or missing bands are such as no mock of the training had. ``outlier_score`` is
    the logarithm of the chance of a good SED as odd, over that of ``false_alarms``; where the
    draws' least chi-square makes no outlier no nearer model is looked for. ``redshift_ratio`` is
    what the fluxes tell of the redshift; what those of a whole galaxy tell together,
    `pxdask.fitting.npe_redshift` says where its blocks of bins are joined.

    An SED of which the network is not to be believed is fitted by ``hand_over`` instead, and
    flagged HANDED_OVER: where the efficiency is below ``min_efficiency``; after re-weighting
    also where fewer than `MIN_N_EFF` draws count, or fewer than ``min_n_eff`` with weights whose
    tail is so heavy that they are not to be believed. So is one with a spectrum, of which the
    network knows nothing.

    An upper limit is a missing band to the network; the likelihood knows it. So SEDs with one are
    re-weighted where ``npe.reweight`` is false, too; and priors that depend on mass, of which a
    network knows nothing either, are refused there.
    """

    settings: FitConfig

    def prepare(self, library: ModelLibrary) -> NpeModels:
        """Return the models made ready for fitting; see `pxdask.fitting.Fitter`.

        Raises
        ------
        ConfigError
            If there is no network, it was trained for other bands or priors, or a prior depends on
            mass and draws are not re-weighted.
        DataError
            If the redshift is outside the network's range, and nothing is handed over.
        """
        if library.network is None:
            raise ConfigError(
                "fit.method is npe and no network is given: train one by `pxdask npe train` and"
                " name it as fit.npe.network, or let `pxdask run` train it before it fits"
            )
        network, npe = Network.from_dataset(library.network()), self.settings.npe
        network.check(library, self.settings)
        knows = network.knows(library.redshift)
        if not knows and npe.hand_over == "none":
            raise DataError(
                f"redshift: the network knows {_span(network.redshift)}; it is"
                f" {library.redshift:g}. Train a network of a wider range (fit.npe.redshift), or"
                " let such galaxies be fitted by fit.npe.hand_over: rdsps or mcmc"
            )
        if not knows:
            logger.info(
                "redshift %g is outside what the network knows (%s): all SEDs are handed over",
                library.redshift, _span(network.redshift),
            )  # fmt: skip
        sampled = Sampled(self.settings, library)
        limit = OutlierLimit.from_json(network.outliers.get(LIMITS[npe.reweight], {}))
        if not network.outliers:
            logger.warning(
                "the network does not know how odd good SEDs are (it was trained without): only"
                " SEDs far from all models are called outliers"
            )
        trust = Trust(sampled, limit, Training.of(network), network.redshift_check)
        source = network.broadened(BROADER) if npe.reweight else network
        return NpeModels(sampled, source, trust, knows_redshift=knows)


@dataclass(frozen=True, eq=False)
class NpeModels:
    """A network and its models made ready for `fit`.

    Attributes
    ----------
    sampled : Sampled
        Models, likelihood.
    network : DrawSource
        Gives draws.
    trust : Trust
        What SEDs and posteriors are judged by.
    knows_redshift : bool
        Whether the network was trained for the redshift of the SEDs; where not, all are handed
        over.
    """

    sampled: Sampled
    network: DrawSource
    trust: Trust
    knows_redshift: bool = True

    @property
    def settings(self) -> FitConfig:
        """Settings of the fit."""
        return self.sampled.settings

    def fit(self, seds: Seds) -> xr.Dataset:
        """Return the posteriors of some SEDs; see `pxdask.fitting.Prepared`.

        Raises
        ------
        DataError
            If they have other bands than the library, in number.
        ConfigError
            If SEDs have a spectrum that is to be fitted, and nothing is handed over.
        """
        seds.require_bands(len(self.sampled.model_library.filters))
        # what is not for the network: SEDs with spectra, and those of an unknown redshift
        foreign = has_spectrum(seds, self.settings) | (not self.knows_redshift)
        limited = self._limited(seds) & ~foreign
        posteriors, distrusted = self.posteriors(seds, foreign=foreign | limited)
        if weighed := np.flatnonzero(limited).tolist():
            logger.info("%d of %d SEDs have upper limits: re-weighted", len(weighed), len(seds))
            some = seds.chosen(np.array(weighed))
            own = self._weighing.posteriors(some, foreign=np.zeros(len(some), np.bool_))
            for i, posterior, bad in zip(weighed, *own, strict=True):
                posteriors[i], distrusted[i] = posterior, bad
        method = {"method": "npe"}
        fit = sampled_dataset(posteriors, self.sampled, seds, method=method, extra=_EXTRA)
        fit = with_blanks(fit, self.settings)
        rows = np.flatnonzero(np.array(distrusted, bool) | foreign)
        if self.settings.npe.hand_over == "none" or not rows.size:
            return fit
        logger.info("%d of %d SEDs are handed over to %s", rows.size, len(seds), self._method)
        return with_handed_over(fit, self._other, seds, rows=rows)

    def posteriors(
        self, seds: Seds, *, foreign: NDArray[np.bool_]
    ) -> tuple[list[SedPosterior], list[bool]]:
        """Return the posteriors of SEDs, and which are not to be believed.

        Parameters
        ----------
        seds : Seds
            Of the library's bands.
        foreign : (n_sed,) bool
            SEDs that are not for the network: their posteriors say nothing.
        """
        posteriors: list[SedPosterior] = []
        distrusted: list[bool] = []
        for first in range(0, len(seds), self.n_together):
            part = slice(first, first + self.n_together)
            found, bad = self._some(seds.rows(part.start, part.stop), foreign[part])
            posteriors += found
            distrusted += bad
        return posteriors, distrusted

    def _limited(self, seds: Seds) -> NDArray[np.bool_]:
        """Return which SEDs have upper limits, of which draws that are not weighed know nothing."""
        if self.settings.npe.reweight:
            return np.zeros(len(seds), np.bool_)
        return np.asarray(np.any(observed(seds, self.settings).limit, axis=1))

    @cached_property
    def _weighing(self) -> NpeModels:
        """The same models with draws that are weighed, made when first needed."""
        npe = self.settings.npe.model_copy(update={"reweight": True})
        settings = self.settings.model_copy(update={"npe": npe})
        return NpeFitter(settings).prepare(self.sampled.model_library)

    @property
    def _method(self) -> str:
        """Method that SEDs are handed over to."""
        return self.settings.npe.hand_over

    @cached_property
    def _other(self) -> Prepared:
        """Models for what is handed over, made when first needed."""
        settings = self.settings.model_copy(update={"method": self._method})
        fitter: Fitter = SpectralRdsps(settings)
        if self._method == "mcmc":
            fitter = McmcFitter(settings)
        return fitter.prepare(self.sampled.model_library)

    @property
    def n_together(self) -> int:
        """SEDs of one batch, as many as a part of the memory holds; results do not depend on it."""
        npe, sampled = self.settings.npe, self.sampled
        n_band, n_result = len(sampled.model_library.filters), len(sampled.results)
        per_draw = 8 * (4 * sampled.n_dim + n_result + 12) + 12 * n_band
        bytes_per_sed = per_draw * npe.n_draws * (npe.max_rounds if npe.reweight else 1)
        room = _SHARE * self.settings.max_memory * 1e9 / bytes_per_sed
        return int(np.clip(room, 1, _MOST_TOGETHER))

    def _some(
        self, seds: Seds, foreign: NDArray[np.bool_]
    ) -> tuple[list[SedPosterior], list[bool]]:
        """Return the posteriors of SEDs of one batch, and which are not to be believed."""
        sampled, npe = self.sampled, self.settings.npe
        data = observed(seds, self.settings)
        judge = Judge(sampled, data, in_units(data))
        sed = np.flatnonzero((judge.units.n_measured > 0) & ~foreign)
        posteriors, distrusted = self._unfitted(judge, len(seds)), [False] * len(seds)
        if not sed.size:
            return posteriors, distrusted
        seed = sampled.model_library.seed
        rngs = [stream(seed, *seds.keys[i], "npe") for i in sed]
        draws = judge.draws(self.network, sed, rngs, n_draws=npe.n_draws)
        first = judge.clouds(draws if npe.reweight else first_draws(draws, N_CHECKED), sed)
        # no model of positive amplitude: as for the other methods, no posterior
        bright = [k for k, cloud in enumerate(first) if math.isfinite(cloud.nearest.chi2)]
        sed, first, rngs = sed[bright], [first[k] for k in bright], [rngs[k] for k in bright]
        clouds = first
        if npe.reweight:
            clouds = with_more_rounds(judge, self.network, first, sed=sed, rngs=rngs, settings=npe)
        near, found = self.trust.nearest_points(judge, clouds, sed), []
        for k, i in enumerate(sed.tolist()):
            one = _reweighted(clouds[k]) if npe.reweight else _drawn(draws, bright[k], clouds[k])
            found.append(self.trust.told(judge, one, (clouds[k], first[k]), near[k], sed=i))
            distrusted[i] = self.trust.distrusts(clouds[k], first[k])
        keys = [seds.keys[i] for i in sed.tolist()]
        for i, posterior in zip(
            sed.tolist(), weighted_posteriors(sampled, found, keys), strict=True
        ):
            posteriors[i] = posterior
        return posteriors, distrusted

    def _unfitted(self, judge: Judge, n_sed: int) -> list[SedPosterior]:
        """Return the posteriors of SEDs that say nothing."""
        sampled, n_used = self.sampled, judge.data.n_used
        n_band, n_sample = len(sampled.model_library.filters), self.settings.n_samples
        return [
            nothing(len(sampled.results), n_band, n_sample=n_sample, n_used=int(n_used[sed]))
            for sed in range(n_sed)
        ]


def _reweighted(cloud: Cloud) -> Weighted:
    """Return the draws of an SED that count, with their weights."""
    weights = cloud.weights
    rows, n = counted(weights), weights.share.size
    return Weighted(
        cloud.unit[rows],
        cloud.log_mass[rows],
        weights.share[rows],
        best=cloud.likeliest,
        middle=cloud.nearest.scale,
        n_eff=weights.n_eff,
        ln_evidence=weights.ln_mean,
        # of a mean of n weights, relative to it; no draw may have any weight
        extra={"ln_evidence_err": math.sqrt(max(1 / max(weights.n_eff, 1.0) - 1 / n, 0.0))},
    )


def _span(redshift: tuple[float, float] | None) -> str:
    """Return a range in words."""
    return "any" if redshift is None else f"{redshift[0]:g} to {redshift[1]:g}"


def _drawn(draws: Draws, row: int, cloud: Cloud) -> Weighted:
    """Return all draws of an SED, which count the same."""
    n_draw = draws.log_mass.shape[1]
    return Weighted(
        draws.unit[row],
        draws.log_mass[row],
        np.full(n_draw, 1 / n_draw),
        best=cloud.likeliest,
        middle=cloud.nearest.scale,
        n_eff=float(n_draw),
    )
